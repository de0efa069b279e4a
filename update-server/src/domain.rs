//! What the server is about, free of HTTP and SQL: the catalogue of releases, the registry of devices, and the
//! signed records that decide what may be offered.

pub mod catalogue;
pub mod device_report;
pub mod identities;
pub mod index;
pub mod installs;
pub mod life_cycle;
pub mod order;
pub mod records;
pub mod registration;
pub mod registry;

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use trust::host::{NameError, printable};

pub use trust::host::{Serial, VersionText};

/// A SHA-256 digest; as text 64 lowercase hexadecimal digits, and nothing else is read as one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A text does not have the expected form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{expected}")]
pub struct Malformed {
    /// The expected form, in words for a person.
    pub expected: &'static str,
}

impl FromStr for Digest {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        lowercase_hex(text)
            .map(Self)
            .ok_or(Malformed { expected: "a digest is 64 lowercase hexadecimal digits" })
    }
}

/// Exactly `N` bytes of lowercase hexadecimal: one spelling a value, so that a path names one thing.
pub fn lowercase_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let lowercase = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (lowercase && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

/// A vendor or class identifier (docs/records.md, Identifiers); as text a hyphenated UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Identifier(pub [u8; 16]);

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", uuid::Uuid::from_bytes(self.0).hyphenated())
    }
}

impl FromStr for Identifier {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        // `uuid` reads four spellings; the interface has the hyphenated one.
        if text.len() == uuid::fmt::Hyphenated::LENGTH
            && let Ok(uuid) = uuid::Uuid::try_parse(text)
        {
            return Ok(Self(uuid.into_bytes()));
        }
        Err(Malformed {
            expected: "a vendor or class is a UUID of the form 01234567-89ab-cdef-0123-456789abcdef",
        })
    }
}

/// A reason that a person gives: 1 to 200 printable characters of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note(String);

impl Note {
    const MAX_LEN: usize = 200;

    /// The note's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The note's text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl FromStr for Note {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let fits = (1..=Self::MAX_LEN).contains(&text.chars().count());
        if fits && !text.trim().is_empty() && printable(text) == text {
            return Ok(Self(text.to_owned()));
        }
        Err(Malformed { expected: "a reason has 1 to 200 printable characters" })
    }
}

impl From<NameError> for Malformed {
    fn from(error: NameError) -> Self {
        Self { expected: error.message() }
    }
}

/// The present time in seconds since the Unix epoch. A clock before 1970 reads as 0, where every credential with a
/// validity is refused.
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_one_spelling() {
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(text.parse::<Digest>().unwrap(), Digest::of(b""));
        assert_eq!(Digest::of(b"").to_string(), text);
        for wrong in
            ["", &text[1..], &text.to_uppercase(), &format!("{text}0"), "../../../../etc/passwd", "é"]
        {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_identifier_is_a_hyphenated_uuid() {
        let text = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        assert_eq!(text.parse::<Identifier>().unwrap().to_string(), text);
        for wrong in ["", "6ba7b8109dad11d180b400c04fd430c8", "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}", "x"] {
            assert!(wrong.parse::<Identifier>().is_err(), "{wrong}");
        }
    }
}
