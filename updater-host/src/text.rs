//! Text from devices, servers and manifests, made harmless: a terminal never sees a control character of theirs.

use std::path::Path;

use update_protocol::profile::MAX_TEXT_LEN;

use crate::error::DeviceAnswerError;

/// A serial or version as a device gave it: at most 32 bytes, otherwise anything.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct DeviceText(Vec<u8>);

impl DeviceText {
    /// Takes the bytes of a data identifier.
    ///
    /// # Errors
    /// [`DeviceAnswerError::TextTooLong`]
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, DeviceAnswerError> {
        if bytes.len() > MAX_TEXT_LEN {
            return Err(DeviceAnswerError::TextTooLong(bytes.len()));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The text, when it is printable ASCII and not empty, as docs/records.md asks for.
    #[must_use]
    pub(crate) fn as_str(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.0).ok()?;
        trust::is_serial(text).then_some(text)
    }
}

impl std::fmt::Display for DeviceText {
    /// Printable ASCII as it is, everything else as `\xNN`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let escaped: String = self
            .0
            .iter()
            .map(|byte| match byte {
                0x20..=0x7e => char::from(*byte).to_string(),
                other => format!("\\x{other:02x}"),
            })
            .collect();
        f.pad(&escaped)
    }
}

impl serde::Serialize for DeviceText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Longest text of others that is shown, characters.
const MAX_SHOWN: usize = 300;

/// Text of others for a terminal: control and direction characters are escaped, and it is cut at 300 characters.
#[must_use]
pub(crate) fn printable(text: &str) -> String {
    trust::host::printable_cut(text, MAX_SHOWN)
}

/// A path for a terminal.
#[must_use]
pub(crate) fn shown(path: &Path) -> String {
    trust::host::printable(&path.display().to_string())
}

/// A number of bytes for people, rounded to a tenth.
#[must_use]
pub(crate) fn bytes_for_people(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = KIB * KIB;
    if bytes < KIB {
        return format!("{bytes} bytes");
    }
    // 1023.95 KiB and more round up to 1.0 MiB.
    let (unit, name) = if tenths(bytes, KIB) < KIB * 10 { (KIB, "KiB") } else { (MIB, "MiB") };
    let tenths = tenths(bytes, unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// Tenths of a unit, rounded to the nearest.
fn tenths(bytes: u64, unit: u64) -> u64 {
    let (whole, rest) = (bytes / unit, bytes % unit);
    whole * 10 + (rest * 10 + unit / 2) / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_with_escapes_does_not_reach_the_terminal() {
        let text = DeviceText::new(b"A-1\x1b[2J\r\n\xff").unwrap();
        assert_eq!(text.to_string(), "A-1\\x1b[2J\\x0d\\x0a\\xff");
        assert_eq!(text.as_str(), None);
        assert_eq!(serde_json::to_string(&text).unwrap(), r#""A-1\\x1b[2J\\x0d\\x0a\\xff""#);
    }

    #[test]
    fn a_text_has_at_most_32_bytes() {
        assert!(DeviceText::new(&[b'a'; 32]).is_ok());
        assert_eq!(DeviceText::new(&[b'a'; 33]), Err(DeviceAnswerError::TextTooLong(33)));
    }

    #[test]
    fn an_empty_text_is_no_serial() {
        assert_eq!(DeviceText::new(b"").unwrap().as_str(), None);
    }

    #[test]
    fn text_of_others_is_escaped_and_cut() {
        assert_eq!(printable("v2\u{1b}[31m\u{202e}x"), "v2\\u{1b}[31m\\u{202e}x");
        assert_eq!(printable(&"a".repeat(1000)).len(), MAX_SHOWN + 3);
        assert_eq!(printable("Größe 7"), "Größe 7");
    }

    #[test]
    fn sizes_for_people() {
        assert_eq!(bytes_for_people(1023), "1023 bytes");
        assert_eq!(bytes_for_people(1024), "1.0 KiB");
        assert_eq!(bytes_for_people(1536), "1.5 KiB");
        // 183.39 and 183.35 round up, 183.34 down.
        assert_eq!(bytes_for_people(187_792), "183.4 KiB");
        assert_eq!(bytes_for_people(187_751), "183.4 KiB");
        assert_eq!(bytes_for_people(187_740), "183.3 KiB");
        assert_eq!(bytes_for_people(1_048_575), "1.0 MiB");
        assert_eq!(bytes_for_people(1_048_524), "1023.9 KiB");
        assert_eq!(bytes_for_people(3 * 1_048_576 + 104_858), "3.1 MiB");
        assert_eq!(bytes_for_people(u64::MAX), "17592186044416.0 MiB");
    }
}
