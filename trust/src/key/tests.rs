use ed25519_dalek::VerifyingKey;

use super::{Kid, PublicKey, is_canonical};
use crate::error::ErrorKind;

/// RFC 8032 section 7.1, test 1.
const RFC8032_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn key_bytes(hex: &str) -> [u8; 32] {
    hex::decode(hex).unwrap().try_into().unwrap()
}

#[test]
fn frozen_cose_key_and_thumbprint() {
    let key = PublicKey::from_bytes(&key_bytes(RFC8032_KEY)).unwrap();
    let encoded = format!("a301012006215820{RFC8032_KEY}");
    assert_eq!(hex::encode(key.to_cose_key()), encoded);
    assert_eq!(PublicKey::from_cose_key(&hex::decode(encoded).unwrap()), Ok(key));
    // SHA-256 over those bytes (RFC 9679 section 3), computed with another implementation.
    assert_eq!(key.kid(), Kid(hex::decode("866eefbd6718c884").unwrap().try_into().unwrap()));
}

#[test]
fn a_cose_key_has_one_encoding() {
    let good = PublicKey::from_bytes(&key_bytes(RFC8032_KEY)).unwrap().to_cose_key();
    let with = |from: &str, to: &str| hex::decode(hex::encode(good).replacen(from, to, 1)).unwrap();
    for (name, bytes, kind) in [
        ("kty EC2", with("a30101", "a30102"), ErrorKind::KeyInvalid),
        ("crv X25519", with("2006", "2004"), ErrorKind::KeyInvalid),
        ("alg inside", with("a30101", "a401010332"), ErrorKind::KeyInvalid),
        ("short x", with("215820d7", "21581f"), ErrorKind::KeyInvalid),
        ("unsorted", with("a301012006", "a320060101"), ErrorKind::KeyOrder),
        ("long integer", with("a30101", "a3180101"), ErrorKind::NotCanonical),
        ("trailing", [&good[..], &[0]].concat(), ErrorKind::TrailingBytes),
        ("cut", good[..39].to_vec(), ErrorKind::Truncated),
        ("empty", Vec::new(), ErrorKind::Truncated),
    ] {
        assert_eq!(PublicKey::from_cose_key(&bytes).unwrap_err().kind, kind, "{name}");
    }
}

/// T12: the points of order 1, 2, 4 and 8, and their non-canonical encodings.
#[test]
fn small_order_keys_are_refused() {
    for hex in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        // sign bit on x = 0
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        // y not below p
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ] {
        assert_eq!(PublicKey::from_bytes(&key_bytes(hex)).unwrap_err().kind, ErrorKind::KeyInvalid, "{hex}");
    }
}

/// T12: y = p + n for every n that fits. The library alone would take some of them.
#[test]
fn non_canonical_keys_are_refused() {
    let mut taken_by_the_library = 0;
    for low in 0xed..=0xff {
        for high in [0x7f, 0xff] {
            let mut bytes = [0xff; 32];
            bytes[0] = low;
            bytes[31] = high;
            assert!(!is_canonical(&bytes));
            assert_eq!(PublicKey::from_bytes(&bytes).unwrap_err().kind, ErrorKind::KeyInvalid);
            taken_by_the_library +=
                u32::from(VerifyingKey::from_bytes(&bytes).is_ok_and(|key| !key.is_weak()));
        }
    }
    assert!(taken_by_the_library > 0, "the check is what refuses them");
    let mut largest = [0xff; 32];
    (largest[0], largest[31]) = (0xec, 0x7f);
    assert!(is_canonical(&largest));
}

#[test]
fn bytes_that_are_no_point_are_refused() {
    let mut bytes = [0; 32];
    bytes[0] = 2; // y = 2 is not on the curve
    assert_eq!(PublicKey::from_bytes(&bytes).unwrap_err().kind, ErrorKind::KeyInvalid);
}

/// The message comes in pieces and the frames are kept apart; the answer is that of the library's `verify_strict`.
#[test]
fn verification_is_verify_strict() {
    use ed25519_dalek::{Signature, Signer as _, SigningKey};
    let signing = SigningKey::from_bytes(&[1; 32]);
    let library = signing.verifying_key();
    let key = PublicKey::from_bytes(library.as_bytes()).unwrap();
    let good = signing.sign(b"one message").to_bytes();
    let mut signatures = vec![good];
    for bit in 0..512 {
        let mut flipped = good;
        flipped[bit / 8] ^= 1 << (bit % 8);
        signatures.push(flipped);
    }
    for r in ["01", "00", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"] {
        let mut small = good;
        small[..32].copy_from_slice(&key_bytes(&format!("{r:0<64}")));
        signatures.push(small);
    }
    let mut held = 0;
    for signature in signatures {
        let ours = key.verify(&[b"one ", b"", b"message"], &signature, 0).is_ok();
        let theirs = library.verify_strict(b"one message", &Signature::from_bytes(&signature)).is_ok();
        assert_eq!(ours, theirs, "{}", hex::encode(signature));
        held += u32::from(ours);
    }
    assert_eq!(held, 1);
}
