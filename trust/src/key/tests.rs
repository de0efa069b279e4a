use curve25519_dalek::Scalar as LibraryScalar;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha512};

use super::scalar::Scalar;
use super::{Commitment, Kid, PublicKey, commitment, is_canonical};
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

/// The message comes in pieces; the answer is that of the library's `verify_strict`.
fn verify_both_ways(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let library = VerifyingKey::from_bytes(key).unwrap();
    let theirs = library.verify_strict(message, &Signature::from_bytes(signature)).is_ok();
    // A key of small order is refused when it is read.
    let ours = PublicKey::from_bytes(key).is_ok_and(|key| {
        let (first, second) = message.split_at(message.len() / 3);
        key.verify(&[first, b"", second], signature, 0, &mut { Commitment::VACANT }).is_ok()
    });
    assert_eq!(ours, theirs, "{} {} {}", hex::encode(key), hex::encode(message), hex::encode(signature));
    ours
}

/// 64 bytes of their own for each number.
fn noise(number: u32) -> [u8; 64] {
    Sha512::digest(number.to_be_bytes()).into()
}

#[test]
fn verification_is_verify_strict() {
    let signing = SigningKey::from_bytes(&[1; 32]);
    let key = signing.verifying_key().to_bytes();
    let good = signing.sign(b"one message").to_bytes();
    let mut signatures = vec![good];
    for bit in 0..512 {
        let mut flipped = good;
        flipped[bit / 8] ^= 1 << (bit % 8);
        signatures.push(flipped);
    }
    let (r, s) = good.split_at(32);
    let s: [u8; 32] = s.try_into().unwrap();
    // S + L, and every other S at an edge.
    let order: [u8; 32] = key_bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut sum = [0; 32];
    let mut carry = 0;
    for (sum, (s, order)) in sum.iter_mut().zip(s.iter().zip(order)) {
        carry += u16::from(*s) + u16::from(order);
        *sum = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    let below = {
        let mut below = order;
        below[0] -= 1;
        below
    };
    for s in [sum, order, below, [0; 32], [0xff; 32]] {
        signatures.push([r, &s].concat().try_into().unwrap());
    }
    // R of small order, and encodings of R that are not canonical.
    for r in EIGHT_TORSION.map(|point| point.compress().to_bytes()).into_iter().chain([
        key_bytes("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        key_bytes("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
        key_bytes("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        key_bytes("0100000000000000000000000000000000000000000000000000000000000080"),
        [0xff; 32],
        [2; 32],
    ]) {
        signatures.push([r, s].concat().try_into().unwrap());
        signatures.push([r, [0; 32]].concat().try_into().unwrap());
    }
    let held =
        signatures.iter().filter(|signature| verify_both_ways(&key, b"one message", signature)).count();
    assert_eq!(held, 1);
}

#[test]
fn verification_is_verify_strict_for_any_key_and_message() {
    for number in 0..2000 {
        let noise = noise(number);
        let signing = SigningKey::from_bytes(noise.first_chunk().unwrap());
        let key = signing.verifying_key().to_bytes();
        let message = noise.repeat(number as usize % 5);
        let good = signing.sign(&message).to_bytes();
        assert!(verify_both_ways(&key, &message, &good));
        let mut damaged = good;
        damaged[number as usize % 64] ^= noise[63] | 1;
        assert!(!verify_both_ways(&key, &message, &damaged));
        assert!(!verify_both_ways(&key, b"another", &good));
    }
}

/// Keys and R with a part of small order: the equation without the cofactor decides, and takes k modulo L for it.
#[test]
fn verification_is_verify_strict_for_points_of_mixed_order() {
    let base = ED25519_BASEPOINT_POINT;
    let mut held = 0;
    for number in 0..800u32 {
        let (secret, nonce) = (noise(number), noise(number + 1_000_000));
        let (secret, nonce) = (
            LibraryScalar::from_bytes_mod_order_wide(&secret),
            // Without a nonce R is of small order, and the equation may hold all the same.
            LibraryScalar::from_bytes_mod_order_wide(&nonce) * LibraryScalar::from(u8::from(number % 5 > 0)),
        );
        let key = base * secret + EIGHT_TORSION[number as usize % 8];
        let r = base * nonce + EIGHT_TORSION[number as usize / 8 % 8];
        let (key, r) = (key.compress().to_bytes(), r.compress().to_bytes());
        let message = number.to_be_bytes();
        let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message);
        let k = LibraryScalar::from_bytes_mod_order_wide(&hash.finalize().into());
        let signature = [r, (nonce + k * secret).to_bytes()].concat().try_into().unwrap();
        held += u32::from(verify_both_ways(&key, &message, &signature));
    }
    // One of eight by chance, and all whose key and R are without such a part.
    assert!((60..160).contains(&held), "{held}");
}

#[test]
fn scalars_are_those_of_the_library() {
    let order = LibraryScalar::ZERO - LibraryScalar::ONE;
    let mut wide: Vec<[u8; 64]> = (0..2000).map(noise).collect();
    wide.extend([[0; 64], [0xff; 64]]);
    for bit in 0..512 {
        let mut one = [0; 64];
        one[bit / 8] = 1 << (bit % 8);
        wide.push(one);
        wide.push(one.map(|byte| !byte));
    }
    for add in 0..3 {
        let mut near = [0; 64];
        near[..32].copy_from_slice(order.as_bytes());
        near[0] += add;
        wide.push(near);
    }
    // The highest bit of the order is bit 252, the only one of the last window.
    let bits = |scalar: &Scalar| (0..85).map(|window| scalar.window(3 * window)).collect::<Vec<_>>();
    for wide in wide {
        let (ours, theirs) =
            (Scalar::from_wide_bytes(&wide), LibraryScalar::from_bytes_mod_order_wide(&wide).to_bytes());
        assert_eq!(Scalar::from_canonical_bytes(&theirs), Some(ours), "{}", hex::encode(wide));
        for (window, digit) in bits(&ours).into_iter().enumerate() {
            let bit = |at: usize| usize::from(theirs[at / 8] >> (at % 8) & 1);
            let at = 3 * window;
            assert_eq!(digit, bit(at) | bit(at + 1) << 1 | bit(at + 2) << 2);
        }
        let narrow = wide.first_chunk().unwrap();
        assert_eq!(
            Scalar::from_canonical_bytes(narrow).is_some(),
            bool::from(LibraryScalar::from_canonical_bytes(*narrow).is_some()),
            "{}",
            hex::encode(narrow)
        );
    }
}

/// Each scalar below 2^252 leaves the last window empty. Those above are too rare for a test to meet by chance.
#[test]
fn the_highest_scalars_are_multiplied_as_by_the_library() {
    let key = ED25519_BASEPOINT_POINT * LibraryScalar::from_bytes_mod_order_wide(&noise(0));
    let highest = LibraryScalar::ZERO - LibraryScalar::ONE;
    let ours = |scalar: &LibraryScalar| Scalar::from_canonical_bytes(scalar.as_bytes()).unwrap();
    for (s, k) in [(highest, highest), (highest, LibraryScalar::ONE), (LibraryScalar::ONE, highest)] {
        let theirs = ED25519_BASEPOINT_POINT * s - key * k;
        assert_eq!(commitment(&ours(&s), &ours(&k), &-key), theirs.compress().to_bytes());
    }
}
