//! Private keys are recognised wherever they are not meant to be: as an image, as an anchor, below `--force`.

mod watch;

pub use self::watch::PrivateKeyWatch;
use super::pem::{Pem, PemError};
use super::read::{contains, from_utf16};
use crate::cbor::Reader;

/// Longest file that may be a JWK or a COSE_Key, bytes.
const MAX_KEY_LEN: usize = 16 * 1024;
/// d of an OKP or EC2 key (RFC 9053 section 7).
const COSE_D: i64 = -4;
/// The end of the label of every private key in PEM (RFC 7468 sections 10 and 11), and most of the dashes after it.
const LABEL_END: &[u8] = b"PRIVATE KEY----";
/// PKCS#8 of an Ed25519 key between its version and its 32 bytes (RFC 8410 section 7).
const PKCS8_ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// PKCS#5, the arc of PBES1 and PBES2 (RFC 8018 appendix C): DER of the identifier up to its last number.
const PKCS5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05];
/// PKCS#12 password-based encryption (RFC 7292 appendix C), likewise.
const PKCS12_PBE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01];

/// Whether a file is a private key, encrypted or not: PEM anywhere in a text, DER (PKCS#8, PKCS#1, SEC 1), JWK, or a
/// COSE_Key with its private half. Text may be in UTF-8, UTF-16 or a character set that extends ASCII. Firmware with a
/// PEM parser in it is not a key: it is not text.
#[must_use]
pub fn is_private_key(file: &[u8]) -> bool {
    match from_utf16(file) {
        Some(text) => is_pem(text.as_bytes()) || is_jwk(text.as_bytes()),
        None => is_pem(file) || is_der(file) || is_jwk(file) || is_cose_key(file),
    }
}

/// Whether a short record or message is a private key, or has one anywhere in it: PEM, or an Ed25519 key in PKCS#8.
#[must_use]
pub fn contains_private_key(record: &[u8]) -> bool {
    let mut rest = record;
    while let [_, behind @ ..] = rest {
        if is_pkcs8_ed25519(rest) {
            return true;
        }
        rest = behind;
    }
    has_label(record) || is_private_key(record)
}

/// Whether an unencrypted Ed25519 key in PKCS#8 begins here. The length differs: version 2 (a 1) may have the public
/// key and attributes after it (RFC 5958 section 2).
fn is_pkcs8_ed25519(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, _, 0x02, 0x01, 0x00 | 0x01, rest @ ..] if rest.starts_with(PKCS8_ED25519))
}

fn is_pem(file: &[u8]) -> bool {
    match Pem::find_all(file) {
        Ok(blocks) => blocks.iter().any(Pem::is_private_key),
        // A key that was cut is still a key.
        Err(PemError::Unfinished) => has_label(file),
        // Text in another character set, such as Latin-1 in a comment; firmware has control characters, the first ones soon.
        Err(PemError::NotText) => !file.iter().any(|byte| is_control(*byte)) && has_label(file),
        // UTF-16 was decoded before.
        Err(
            PemError::Absent | PemError::Utf16 | PemError::Headers | PemError::Base64 | PemError::Several,
        ) => false,
    }
}

fn has_label(file: &[u8]) -> bool {
    contains(file, LABEL_END)
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && !byte.is_ascii_whitespace()
}

fn is_jwk(file: &[u8]) -> bool {
    let Some(text) =
        file.get(..file.len().min(MAX_KEY_LEN)).and_then(|start| std::str::from_utf8(start).ok())
    else {
        return false;
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with(['{', '[']) && text.contains("\"kty\"") && text.contains("\"d\"")
}

fn is_cose_key(file: &[u8]) -> bool {
    if file.len() > MAX_KEY_LEN {
        return false;
    }
    let mut reader = Reader::new(file);
    let entries = reader.map();
    // In whatever order: this need not be a key that we would take.
    let mut has_private_half = false;
    for _ in 0..entries.remaining() {
        has_private_half |= reader.int() == COSE_D;
        reader.skip();
        if reader.check().is_err() {
            return false;
        }
    }
    has_private_half && reader.finish().is_ok()
}

/// A DER SEQUENCE that fills the file, and begins as a private key does.
fn is_der(file: &[u8]) -> bool {
    let Some((0x30, body, [])) = element(file) else { return false };
    match element(body) {
        // The version: PKCS#8 (0 or 1), PKCS#1 (0), SEC 1 (1); then the algorithm, the modulus, or the key.
        Some((0x02, [0 | 1], rest)) => matches!(element(rest), Some((0x30 | 0x04, ..))) || is_numbers(rest),
        // EncryptedPrivateKeyInfo: the algorithm, then one OCTET STRING.
        Some((0x30, algorithm, rest)) => {
            let identifier = element(algorithm);
            matches!(identifier, Some((0x06, oid, _)) if oid.starts_with(PKCS5) || oid.starts_with(PKCS12_PBE))
                && matches!(element(rest), Some((0x04, _, [])))
        }
        _ => false,
    }
}

/// INTEGERs only: the eight numbers of PKCS#1.
fn is_numbers(mut rest: &[u8]) -> bool {
    let mut count = 0usize;
    while let Some((0x02, _, behind)) = element(rest) {
        count = count.saturating_add(1);
        rest = behind;
    }
    rest.is_empty() && count >= 8
}

/// Tag, content and what follows of the first DER element.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    // Below 0x80 the length itself, else the number of its bytes.
    let (len, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        (digits.iter().fold(0usize, |len, digit| len << 8 | usize::from(*digit)), rest)
    };
    let (content, behind) = rest.split_at_checked(len)?;
    Some((tag, content, behind))
}

#[cfg(test)]
mod tests {
    use super::{contains_private_key, is_private_key};

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text.replace([' ', '\n'], "")).unwrap()
    }

    const PEM: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMC4C\n-----END ENCRYPTED PRIVATE KEY-----\n";
    /// RFC 8410 section 10.3.
    const PKCS8: &str =
        "302e020100300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842";

    #[test]
    fn pem_is_seen_wherever_it_stands_in_a_text() {
        for before in ["", "\u{feff}", "\r\n\r\n", "# of the root\n"] {
            assert!(is_private_key(format!("{before}{PEM}").as_bytes()), "{before:?}");
            assert!(is_private_key(format!("{before}{}", &PEM[..50]).as_bytes()), "cut, {before:?}");
        }
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY"] {
            assert!(is_private_key(PEM.replace("ENCRYPTED PRIVATE KEY", label).as_bytes()), "{label}");
        }
    }

    const JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}"#;

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn a_private_key_in_utf_16_is_seen() {
        for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            for mark in ["", "\u{feff}"] {
                for text in [PEM, JWK, &format!("# of the root\r\n{PEM}")] {
                    let file = utf16(&format!("{mark}{text}"), to_bytes);
                    assert!(is_private_key(&file), "{mark:?} {text}");
                }
                let cut = utf16(&format!("{mark}{PEM}"), to_bytes);
                // In the middle of a character, too.
                for len in [100, 101] {
                    assert!(is_private_key(&cut[..len]), "{mark:?} {len}");
                }
                let public = PEM.replace("ENCRYPTED PRIVATE", "PUBLIC");
                assert!(!is_private_key(&utf16(&format!("{mark}{public}"), to_bytes)));
            }
        }
        // An image that begins like a text and goes on otherwise has none.
        assert!(!is_private_key(
            &[&utf16("P", u16::to_le_bytes)[..], &[0xff, 0, 1, 2], PEM.as_bytes()].concat()
        ));
    }

    #[test]
    fn a_private_key_after_a_comment_in_latin_1_is_seen() {
        let file = [b"# cl\xe9 priv\xe9e\r\n", PEM.as_bytes()].concat();
        assert!(is_private_key(&file) && is_private_key(&file[..70]));
        assert!(!is_private_key(&[&file[..], &[0]].concat()), "firmware has control characters");
    }

    #[test]
    fn private_keys_are_seen() {
        // The examples of RFC 8410 section 10.3 with other bytes for the key, and one that `ring` made.
        const DER_1: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
        const DER_2: [u8; 16] = *b"\x30\x72\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
        const DER_RING: [u8; 16] = *b"\x30\x53\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
        assert!(contains_private_key(&[b"{\"version\": \"", PEM.as_bytes()].concat()));
        assert!(
            contains_private_key(&[&b"\x82\x00\xff"[..], PEM.as_bytes()].concat()),
            "whatever is around it"
        );
        assert!(contains_private_key(JWK.as_bytes()));
        for der in [DER_1, DER_2, DER_RING] {
            assert!(contains_private_key(&[&[0x82, 0x58, 0x30], &der[..], &[7; 32]].concat()));
            // Neither a part of it nor a public key, nor another version.
            assert!(!contains_private_key(&der[1..]) && !contains_private_key(&der[..15]));
        }
        assert!(!contains_private_key(b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"));
        assert!(!contains_private_key(b"\x30\x2e\x02\x01\x02\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"));
        assert!(!contains_private_key(b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA"));
        assert!(!contains_private_key(b""));
    }

    #[test]
    fn der_jwk_and_cose_keys_are_seen() {
        let key = hex(PKCS8);
        assert!(is_private_key(&key));
        // PBES2 with an empty set of parameters is enough to know it by.
        let encrypted = hex("3015 300d 06092a864886f70d01050d 3000 0404 01020304");
        assert!(is_private_key(&encrypted));
        assert!(!is_private_key(&encrypted[..20]), "the lengths must hold");
        // SEC 1: version 1, then the key.
        assert!(is_private_key(&hex("3009 020101 0404 01020304")));
        assert!(is_private_key(br#" {"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}"#));
        // kty, crv, x, d; and with d first.
        assert!(is_private_key(&hex("a4 0101 2006 214101 234102")));
        assert!(is_private_key(&hex("a4 234102 0101 2006 214101")));
    }

    #[test]
    fn other_files_are_not_private_keys() {
        let firmware = [&[0x00, 0x20, 0x01, 0x20, 0xff][..], PEM.as_bytes()].concat();
        assert!(!is_private_key(&firmware), "firmware with a PEM parser is firmware");
        let others = [
            &b""[..],
            b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----",
            br#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#,
            &hex("a3 0101 2006 214101"),
            // A certificate: SEQUENCE of SEQUENCE with an INTEGER in it.
            &hex("3007 3005 a003 020102"),
            &hex(PKCS8)[..40],
        ];
        for other in others {
            assert!(!is_private_key(other), "{}", hex::encode(other));
        }
    }
}
