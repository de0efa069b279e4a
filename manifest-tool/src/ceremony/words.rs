//! Fingerprints as people compare them: hex in groups, and words that can be read aloud.

use trust::PublicKey;

use crate::wordlist;

/// Words of a fingerprint: the first 132 bits of the digest. To make another key with them takes 2^132 tries.
pub const FINGERPRINT_WORDS: usize = 12;

/// SHA-256 that identifies something, as hex and words. Nothing of it is secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The thumbprint of a key (RFC 9679), as `key info` shows it.
    #[must_use]
    pub fn of_key(key: &PublicKey) -> Self {
        Self(trust::sha256(&key.to_cose_key()))
    }

    /// Of a file.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(trust::sha256(content))
    }

    /// 64 hex digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The hex digits in groups of eight.
    #[must_use]
    pub fn groups(&self) -> String {
        let groups: Vec<String> = self.0.chunks(4).map(hex::encode).collect();
        groups.join(" ")
    }

    /// The words, of the English list of BIP-39.
    #[must_use]
    pub fn words(&self) -> Vec<&'static str> {
        wordlist::words(&self.0, FINGERPRINT_WORDS)
    }
}

#[cfg(test)]
mod tests {
    use super::{FINGERPRINT_WORDS, Fingerprint};

    /// The first eleven of the words are those that BIP-39 gives for the same 128 bits: its test vectors.
    #[test]
    fn words_are_those_of_the_list() {
        let zeros = Fingerprint([0; 32]).words();
        assert_eq!(zeros, ["abandon"; FINGERPRINT_WORDS]);
        let words = Fingerprint([0x7f; 32]).words();
        assert_eq!(words[..4], ["legal", "winner", "thank", "year"]);
        assert_eq!(Fingerprint([0xff; 32]).words(), ["zoo"; FINGERPRINT_WORDS]);
    }

    #[test]
    fn hex_is_in_groups() {
        let groups = Fingerprint([0xab; 32]).groups();
        assert_eq!((groups.len(), groups.split(' ').count()), (71, 8));
    }
}
