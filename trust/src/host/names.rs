//! Serials and versions as owned text, with one rule and one wording.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::text::{MAX_SERIAL_LEN, MAX_VERSION_LEN, is_serial, is_version};

/// Why a text is not a serial, or not a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameError {
    /// Not a serial.
    Serial,
    /// Not a version.
    Version,
}

impl NameError {
    /// One sentence without a full stop.
    #[must_use]
    pub const fn message(self) -> &'static str {
        // The numbers are those of the constants: asserted below.
        match self {
            Self::Serial => {
                "a serial is 1 to 32 printable ASCII characters, without a space at either end or a full stop at its beginning"
            }
            Self::Version => "a version is 1 to 32 printable ASCII characters",
        }
    }
}

const _: () = assert!(MAX_SERIAL_LEN == 32 && MAX_VERSION_LEN == 32);

impl std::error::Error for NameError {}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

/// The device id of a serial: UUIDv5 of `device:` and the serial in the namespace of the vendor id
/// (docs/records.md, Identifiers).
#[must_use]
pub fn device_id(vendor: [u8; 16], serial: &str) -> [u8; 16] {
    Uuid::new_v5(&Uuid::from_bytes(vendor), format!("device:{serial}").as_bytes()).into_bytes()
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $rule:ident, $error:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                if $rule(text) { Ok(Self(text.to_owned())) } else { Err($error) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// Serial of a device: 1 to 32 printable ASCII characters.
    Serial,
    is_serial,
    NameError::Serial
);
name!(
    /// Version of a release, for people: 1 to 32 printable ASCII characters.
    VersionText,
    is_version,
    NameError::Version
);

#[cfg(test)]
mod tests {
    use super::{NameError, Serial, VersionText};

    #[test]
    fn serials_and_versions_are_short_printable_ascii() {
        for right in ["A", "SN-0001", "a/../..", "a b", &"x".repeat(32)] {
            assert_eq!(right.parse::<Serial>().unwrap().as_str(), right);
            assert_eq!(right.parse::<VersionText>().unwrap().as_str(), right);
        }
        for wrong in ["", "a\n", "a\0", "\u{7f}", "ü", &"x".repeat(33)] {
            assert_eq!(wrong.parse::<Serial>(), Err(NameError::Serial), "{wrong:?}");
            assert_eq!(wrong.parse::<VersionText>(), Err(NameError::Version), "{wrong:?}");
        }
    }
}
