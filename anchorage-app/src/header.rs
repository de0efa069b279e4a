//! The header `anchorage_layout.h`, which a program of the board's maker writes from its checked layout: C applications and the loader
//! take the same numbers.

use std::format;
use std::string::String;

use bootloader::layout::Layout;

/// A board as its C application sees it.
#[derive(Clone, Copy, Debug)]
pub struct Board<'a> {
    /// The layout of its loader.
    pub layout: &'a Layout,
    /// That of its table, if it has one.
    pub table: Option<&'a Layout>,
    /// Bytes of a word of its flash.
    pub word: u32,
    /// Address of its mailbox.
    pub mailbox: u32,
}

impl Board<'_> {
    /// The text of `anchorage_layout.h`.
    #[must_use]
    pub fn layout_h(&self) -> String {
        let Self { layout, table, word: _, mailbox } = self;
        let table = table.map_or_else(String::new, |table| {
            format!(
                "\n/* Initial value of the struct anchorage_layout of the table. */\n#define ANCHORAGE_TABLE_LAYOUT \\\n{}",
                self.initial(table)
            )
        });
        format!(
            "/* Generated from the layout of the board; do not edit. */
#ifndef ANCHORAGE_LAYOUT_H
#define ANCHORAGE_LAYOUT_H

/* Initial value of a struct anchorage_layout. */
#define ANCHORAGE_LAYOUT \\
{layout}{table}
/* Address of the mailbox. */
#define ANCHORAGE_MAILBOX {mailbox:#010x}u

/* Where the application is linked: address of its vector table, and the most bytes of its image. */
#define ANCHORAGE_IMAGE_START {image:#010x}u
#define ANCHORAGE_IMAGE_LENGTH_MAX {capacity:#x}u

#endif
",
            image = layout.image_address(),
            capacity = layout.image_capacity(),
            layout = self.initial(layout),
        )
    }

    fn initial(&self, layout: &Layout) -> String {
        let [base, page, erased, journal_parts, rest @ .., seal] = layout.numbers();
        let (regions, _) = rest.as_chunks::<2>();
        let names = ["stored", "journal", "progress", "slot A", "slot B", "RAM"];
        let regions: String = (regions.iter().zip(names))
            .map(|([start, len], name)| format!("{{ {start:#010x}u, {len:#x}u }}, /* {name} */ \\\n        "))
            .collect();
        let word = self.word;
        format!(
            "    {{ \\
        {base:#010x}u, {page}u, {erased:#04x}u, {journal_parts}u, /* base, page, erased, journal parts */ \\
        {regions}{seal:#010x}u, {word}u /* seal, word */ \\
    }}
"
        )
    }
}
