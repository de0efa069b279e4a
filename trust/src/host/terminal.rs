//! Text that came from a file, a device or a server, made harmless for a terminal.

/// Text with nothing in it that a terminal would obey: control characters and characters that are invisible or
/// change the reading direction are escaped as `\u{..}`.
#[must_use]
pub fn printable(text: &str) -> String {
    printable_cut(text, usize::MAX)
}

/// [`printable`], of at most the first `max` characters; `...` says that there were more.
#[must_use]
pub fn printable_cut(text: &str, max: usize) -> String {
    let mut shown = String::new();
    let mut characters = text.chars();
    for character in characters.by_ref().take(max) {
        if is_harmful(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    if characters.next().is_some() {
        shown.push_str("...");
    }
    shown
}

/// Whether this is a name, or a text of one line, that looks to everybody like what it is: 1 to `limit` bytes, no blanks at
/// its ends, no control characters, and none that are invisible or change the reading direction.
#[must_use]
pub fn is_line(text: &str, limit: usize) -> bool {
    !text.is_empty() && text.len() <= limit && text.trim() == text && !text.chars().any(is_harmful)
}

/// Control characters, and format characters that hide or reorder text (Unicode general category Cf, UAX 9).
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::{is_line, printable, printable_cut};

    #[test]
    fn a_terminal_obeys_nothing() {
        assert_eq!(printable("Größe 1"), "Größe 1");
        assert_eq!(printable("a\x1b[2Jb\r\n\u{9b}\u{202e}"), "a\\u{1b}[2Jb\\r\\n\\u{9b}\\u{202e}");
        assert_eq!(printable("in\u{200b}visible\u{feff}"), "in\\u{200b}visible\\u{feff}");
    }

    /// Each kind of what `is_line` refuses, alone.
    #[test]
    fn tool68_a_line_looks_like_what_it_is() {
        assert!(is_line("Größe 1", 9) && !is_line("Größe 1", 8) && !is_line("", 9));
        let invisible = "\u{ad}\u{61c}\u{200b}\u{200f}\u{2028}\u{202e}\u{2060}\u{206f}\u{feff}\u{fff9}\u{fffb}\u{e0000}\u{e007f}";
        for character in invisible.chars().chain("\0\n\u{7f}\u{9b}".chars()) {
            assert!(!is_line(&format!("ci{character}2026"), 99), "{}", character.escape_default());
        }
        assert!(!is_line(" ci", 99) && !is_line("ci\u{a0}", 99));
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(printable_cut("12345", 5), "12345");
        assert_eq!(printable_cut("123456", 5), "12345...");
        assert_eq!(printable_cut("ééé", 2), "éé...");
    }
}
