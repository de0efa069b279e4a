//! Names of files that belong to one device, and of images in a folder of releases for single devices.

use std::fmt::Write as _;

/// A serial as a file name: letters, digits and `._-` stand as they are, the rest percent-encoded.
#[must_use]
pub fn file_name(serial: &str) -> String {
    let mut name = String::new();
    for byte in serial.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name
}

/// Ends the names of files with the release for one device.
pub const ENVELOPE_SUFFIX: &str = ".suit";

/// The file with the release for the device with this serial.
#[must_use]
pub fn envelope_name(serial: &str) -> String {
    format!("{}{ENVELOPE_SUFFIX}", file_name(serial))
}

/// The file with the encrypted image that has this SHA-256.
#[must_use]
pub fn ciphertext_name(digest: &[u8; 32]) -> String {
    format!("{}.enc", hex::encode(digest))
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use super::*;

    /// docs/attacks.md, HOST44: what a device calls itself is no path.
    #[test]
    fn host44_no_serial_leaves_the_folder_of_a_bundle() {
        for serial in
            ["A-0001", "..", ".", "../../etc/passwd", "/dev/null", "a\\b", "C:x", "", "a\0b", "~", "%2F", "ü"]
        {
            let name = envelope_name(serial);
            let parts: Vec<_> = Path::new(&name).components().collect();
            assert!(matches!(parts.as_slice(), [Component::Normal(_)]), "{name}");
            assert!(!name.contains(['\\', ':', '\0']), "{name}");
        }
        // And no two of them share one.
        assert_ne!(envelope_name("a b"), envelope_name("a%20b"));
        assert_eq!(envelope_name("A-0001"), "A-0001.suit");
    }
}
