//! Cells of a table that a person may open with a spreadsheet (OWASP, CSV Injection): a name came from outside.

use std::borrow::Cow;

/// Before a cell that a spreadsheet would take for something else than text; taken off again when it comes in.
const GUARD: char = '\'';

/// Whether a spreadsheet would run the cell or trim it, or it looks like one that is guarded.
fn needs_guard(cell: &str) -> bool {
    // A cell with guards only is none that is guarded, so that other programs may write it as it is.
    let bare = cell.trim_start_matches(GUARD);
    let is_formula = bare.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    // The same in full width.
    is_formula || bare.starts_with(['\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']) || bare.trim() != bare
}

/// A cell that begins like no formula, and that [`unguarded`] reads as this text.
#[must_use]
pub fn guarded(cell: &str) -> Cow<'_, str> {
    if needs_guard(cell) { format!("{GUARD}{cell}").into() } else { cell.into() }
}

/// What [`guarded`] wrote; of other cells what stands between spaces.
#[must_use]
pub fn unguarded(cell: &str) -> &str {
    cell.strip_prefix(GUARD).filter(|bare| needs_guard(bare)).unwrap_or_else(|| cell.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_like_a_formula_and_each_reads_back() {
        for text in [
            "=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "'", "''=1", "'=1", "''", "' x", "'x ",
            "'''＝1 ", "'x", " x", "x ", " ", "＝1", "＋1", "－1", "＠", "x", "#x", "a,b", "a\"b", "", "x=1",
            "=",
        ] {
            let cell = guarded(text);
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']),
                "{cell}"
            );
            assert_eq!(unguarded(&cell), text, "{cell}");
        }
        assert_eq!(unguarded(" as another program writes it "), "as another program writes it");
    }
}
