//! What coset builds, and the crates p256, ed25519-dalek, hmac and aes-kw sign, wrap and authenticate.

mod flipped;
mod forms;
mod key_files;
mod keys;
mod wycheproof;

use std::vec;
use std::vec::Vec;

use ::hmac::Mac as _;
use aes_kw::KeyInit as _;
use coset::iana::{Algorithm as Alg, EnumI64 as _};
use coset::{
    CoseMac0Builder, CoseMacBuilder, CoseRecipient, CoseRecipientBuilder, CoseSign1Builder, CoseSignBuilder,
    CoseSignatureBuilder, Header, HeaderBuilder, TaggedCborSerializable as _,
};
use p256::ecdsa::signature::Signer as _;

use super::*;

const PAYLOAD: &[u8] = b"\x82\x2f\x58\x20the digest of a manifest, 32 B..";
const UPDATE_KID: &[u8] = b"update-1";
const MAC_KID: &[u8] = b"mac-of-1";
const UPDATE_KEY: [u8; 16] = [0x11; 16];
const MAC_KEY: [u8; 32] = [0x33; 32];
const CONTENT_MAC_KEY: [u8; 32] = [0x55; 32];

/// A signer of either curve, from a seed.
enum Signs {
    Ed25519(u8),
    P256(u8),
}

impl Signs {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(seed) => {
                ed25519_dalek::SigningKey::from_bytes(&[*seed; 32]).sign(message).to_bytes().to_vec()
            }
            Self::P256(seed) => {
                let signature: p256::ecdsa::Signature = p256_key(*seed).sign(message);
                signature.to_vec()
            }
        }
    }

    fn public(&self) -> VerifyingKey {
        match self {
            Self::Ed25519(seed) => {
                let key = ed25519_dalek::SigningKey::from_bytes(&[*seed; 32]).verifying_key().to_bytes();
                crate::PublicKey::from_bytes(&key).unwrap().into()
            }
            Self::P256(seed) => {
                VerifyingKey::of_p256(p256_key(*seed).verifying_key().to_sec1_point(false).as_bytes())
                    .unwrap()
            }
        }
    }
}

fn p256_key(seed: u8) -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap()
}

/// Keys of a device, as key 8 of its provisioning block has them.
fn device() -> DeviceKeys {
    let key = |purpose: u8, kid: &[u8], key: &[u8]| {
        let len = u8::try_from(key.len()).unwrap();
        let head = if len < 24 { vec![0x40 | len] } else { vec![0x58, len] };
        [&[0x84, purpose, 0, 0x48], kid, &head, key].concat()
    };
    let block = [&[0x82], &key(1, UPDATE_KID, &UPDATE_KEY)[..], &key(3, MAC_KID, &MAC_KEY)].concat();
    let mut keys = DeviceKeys::default();
    let reader = &mut Reader::new(&block);
    keys.read(reader);
    reader.finish().unwrap();
    keys
}

fn protected(algorithm: Alg, kid: &[u8]) -> Header {
    HeaderBuilder::new().algorithm(algorithm).key_id(kid.to_vec()).build()
}

fn sign1(header: Header, signs: &Signs) -> Vec<u8> {
    let made = CoseSign1Builder::new().protected(header);
    made.create_detached_signature(PAYLOAD, b"", |message| signs.sign(message))
        .build()
        .to_tagged_vec()
        .unwrap()
}

fn sign(signers: Vec<(Header, Signs)>) -> Vec<u8> {
    let mut made = CoseSignBuilder::new();
    for (header, signs) in signers {
        let signature = CoseSignatureBuilder::new().protected(header).build();
        made = made.add_detached_signature(signature, PAYLOAD, b"", |message| signs.sign(message));
    }
    made.build().to_tagged_vec().unwrap()
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = ::hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn mac0(kid: &[u8]) -> Vec<u8> {
    let header = protected(Alg::HMAC_256_256, kid);
    let made = CoseMac0Builder::new().protected(header).payload(PAYLOAD.to_vec());
    let mut made = made.create_tag(b"", |message| hmac(&MAC_KEY, message)).build();
    made.payload = None;
    made.to_tagged_vec().unwrap()
}

fn mac(key: &[u8], recipients: Vec<CoseRecipient>) -> Vec<u8> {
    let header = HeaderBuilder::new().algorithm(Alg::HMAC_256_256).build();
    let mut made = CoseMacBuilder::new().protected(header).payload(PAYLOAD.to_vec());
    for recipient in recipients {
        made = made.add_recipient(recipient);
    }
    let mut made = made.create_tag(b"", |message| hmac(key, message)).build();
    made.payload = None;
    made.to_tagged_vec().unwrap()
}

fn direct(kid: &[u8]) -> CoseRecipient {
    let header = HeaderBuilder::new().algorithm(Alg::Direct).key_id(kid.to_vec()).build();
    CoseRecipientBuilder::new().unprotected(header).ciphertext(Vec::new()).build()
}

fn wrapped(kid: &[u8]) -> CoseRecipient {
    let mut out = [0; 40];
    aes_kw::KwAes128::new(&UPDATE_KEY.into()).wrap_key(&CONTENT_MAC_KEY, &mut out).unwrap();
    let header = HeaderBuilder::new().algorithm(Alg::A128KW).key_id(kid.to_vec()).build();
    CoseRecipientBuilder::new().unprotected(header).ciphertext(out.to_vec()).build()
}

/// Under these keys, and the device's.
fn verdict<'a>(block: &'a [u8], public: &[VerifyingKey]) -> Verdict<'a> {
    let device = device();
    judge(
        Span { bytes: block, base: 0 },
        PAYLOAD,
        &Keys { public, device: Some(&device), allow_eddsa: false },
    )
}

fn fault(block: &[u8], public: &[VerifyingKey]) -> Option<ErrorKind> {
    match verdict(block, public).outcome {
        Outcome::Fails(error) => Some(error.kind),
        Outcome::Holds(_) | Outcome::Unsupported | Outcome::NoKey => None,
    }
}

/// A block of each kind that holds, its structure and algorithm.
fn all() -> Vec<(Vec<u8>, CoseStructure, i64)> {
    let ed25519 = Signs::Ed25519(1).public().kid().0;
    let p256 = Signs::P256(2).public().kid().0;
    let two = vec![
        (protected(Alg::Ed25519, &ed25519), Signs::Ed25519(1)),
        (protected(Alg::ESP256, &p256), Signs::P256(2)),
    ];
    vec![
        (sign1(protected(Alg::Ed25519, &ed25519), &Signs::Ed25519(1)), CoseStructure::Sign1, -19),
        (sign1(protected(Alg::ES256, &p256), &Signs::P256(2)), CoseStructure::Sign1, -7),
        (sign1(protected(Alg::ESP256, &p256), &Signs::P256(2)), CoseStructure::Sign1, -9),
        (sign(two), CoseStructure::Sign, -19),
        (mac0(MAC_KID), CoseStructure::Mac0, 5),
        (mac(&MAC_KEY, vec![direct(MAC_KID)]), CoseStructure::Mac, 5),
        (mac(&CONTENT_MAC_KEY, vec![wrapped(UPDATE_KID)]), CoseStructure::Mac, 5),
    ]
}

fn given() -> Vec<VerifyingKey> {
    vec![Signs::Ed25519(1).public(), Signs::P256(2).public()]
}

#[test]
fn each_kind_that_others_make_holds() {
    for (block, structure, algorithm) in all() {
        let verdict = verdict(&block, &given());
        assert!(matches!(verdict.outcome, Outcome::Holds(_)), "{structure:?}: {:?}", verdict.outcome);
        assert_eq!(verdict.structure, Some(structure));
        assert_eq!(structure.tag().and_then(CoseStructure::of_tag), Some(structure));
        assert_eq!(verdict.parts[0].algorithm, Some(Algorithm::Number(algorithm)));
        assert_eq!(verdict.keys().count(), verdict.parts.len());
    }
    let wrapped = mac(&CONTENT_MAC_KEY, vec![wrapped(UPDATE_KID)]);
    let wrapped = verdict(&wrapped, &[]);
    assert_eq!(wrapped.parts[0].key_algorithm.and_then(Algorithm::number), Some(Alg::A128KW.to_i64()));
    assert_eq!(wrapped.parts[0].kid, Some(UPDATE_KID));
}

/// A payload of another digest, and another key.
#[test]
fn a_block_of_another_manifest_fails() {
    let device = device();
    let keys = Keys { public: &given(), device: Some(&device), allow_eddsa: true };
    for (block, structure, _) in all() {
        for bit in 0..PAYLOAD.len() * 8 {
            let mut payload = PAYLOAD.to_vec();
            payload[bit / 8] ^= 1 << (bit % 8);
            let outcome = judge(Span { bytes: &block, base: 0 }, &payload, &keys).outcome;
            assert!(matches!(outcome, Outcome::Fails(_)), "{structure:?}, bit {bit}: {outcome:?}");
        }
    }
}
