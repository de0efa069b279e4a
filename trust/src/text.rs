//! Short texts that a device, a file and a server have in common: serials and versions.

/// Longest serial, bytes (docs/records.md, Provisioning block).
pub const MAX_SERIAL_LEN: usize = 32;
/// Longest version of a release, bytes: what fits a device's answer (docs/can-protocol.md).
pub const MAX_VERSION_LEN: usize = 32;

/// Whether every character is printable ASCII, the space included. An empty text is.
#[must_use]
pub const fn is_printable(text: &str) -> bool {
    is_printable_ascii(text.as_bytes())
}

const fn is_printable_ascii(text: &[u8]) -> bool {
    let mut rest = text;
    while let [first, others @ ..] = rest {
        if !matches!(*first, b' '..=b'~') {
            return false;
        }
        rest = others;
    }
    true
}

/// Whether this is a serial: 1 to [`MAX_SERIAL_LEN`] printable ASCII characters, neither the first nor the last of them a
/// space, and the first no full stop: a device has files of its name, which would be hidden, or those of a program itself; and
/// a URL takes `.` and `..` for folders.
#[must_use]
pub const fn is_serial(text: &str) -> bool {
    is_serial_bytes(text.as_bytes())
}

/// [`is_serial`] of bytes.
pub(crate) const fn is_serial_bytes(text: &[u8]) -> bool {
    !matches!(text, [] | [b' ' | b'.', ..] | [.., b' '])
        && text.len() <= MAX_SERIAL_LEN
        && is_printable_ascii(text)
}

/// Whether this is the version of a release: 1 to [`MAX_VERSION_LEN`] printable ASCII characters.
#[must_use]
pub const fn is_version(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_VERSION_LEN && is_printable(text)
}

#[cfg(test)]
mod tests {
    use super::is_serial;

    #[test]
    fn a_serial_is_a_name_in_a_url_and_on_a_label() {
        for good in ["A", "A-0001", "a b", "a.", "A.block", "01234567890123456789012345678901"] {
            assert!(is_serial(good), "{good}");
        }
        for bad in [
            "",
            " ",
            " a",
            "a ",
            ".",
            "..",
            "...",
            ".a",
            ".lock",
            ".anchorage-1",
            "a\n",
            "\u{e4}",
            "012345678901234567890123456789012",
        ] {
            assert!(!is_serial(bad), "{bad:?}");
        }
    }
}
