//! The blocks of published envelopes, under the key of draft-ietf-suit-manifest-37 appendix B.

use trust::Kid;
use trust::author::{DerivedKey, ProvisioningRequest};
use trust::blocks::{Algorithm, CoseStructure, Keys, Outcome, Verdict, VerifyingKey, judge};
use trust::device_keys::Purpose;
use trust::provisioning::ProvisioningBlock;

use super::published::{
    AES_KW_SLOT, DEPENDENT, ES_ECDH_CONTENT, ES_ECDH_DEPENDENCY, INTEGRATED_DEPENDENCY, PROCESS_DEPENDENCY,
};
use super::vectors::{DRAFT_0, DRAFT_1, DRAFT_2, DRAFT_3, DRAFT_4, DRAFT_5};
use crate::author::tree::EnvelopeTree;

/// The public half, as the appendix prints it: a SubjectPublicKeyInfo.
const PUBLIC_KEY: &str = "\
    -----BEGIN PUBLIC KEY-----\n\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhJaBGq4LqqvSYVcYnuzaJr6qi/Eb\n\
    bz/m4rVlnIXbwK07HypLbAmBMcCjbazR14vTgdzfsJwFLbM5kdtzOLSolg==\n\
    -----END PUBLIC KEY-----\n";

fn holds(envelope: &[u8], key: &VerifyingKey) -> bool {
    let Ok(tree) = EnvelopeTree::read(envelope) else { return false };
    let keys = Keys { public: std::slice::from_ref(key), ..Keys::default() };
    let verdicts: Vec<Verdict<'_>> =
        tree.blocks.iter().map(|block| judge(*block, tree.payload.bytes, &keys)).collect();
    verdicts.iter().any(|verdict| verdict.outcome == Outcome::Holds(key.kid()))
}

/// docs/attacks.md, SUIT48.
#[test]
fn suit48_the_six_examples_of_the_draft_hold_and_no_bit_of_them_is_changed() {
    let key = VerifyingKey::parse(PUBLIC_KEY.as_bytes()).unwrap();
    for example in [DRAFT_0, DRAFT_1, DRAFT_2, DRAFT_3, DRAFT_4, DRAFT_5] {
        let envelope = hex::decode(example).unwrap();
        assert!(holds(&envelope, &key));
        let tree = EnvelopeTree::read(&envelope).unwrap();
        let keys = Keys { public: std::slice::from_ref(&key), ..Keys::default() };
        let verdict = judge(tree.blocks[0], tree.payload.bytes, &keys);
        assert_eq!(verdict.structure, Some(CoseStructure::Sign1));
        assert_eq!((verdict.parts[0].algorithm, verdict.parts[0].kid), (Some(Algorithm::Number(-7)), None));
        // From the wrapper on: digest, headers and signature.
        let (start, block) = (tree.payload.base as usize, tree.blocks[0]);
        let end = block.base as usize + block.bytes.len();
        let mut changed = envelope.clone();
        for bit in 8 * start..8 * end {
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!holds(&changed, &key), "bit {bit}");
            changed[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// ESP256 of the working group's other drafts: the same key, but for what a distributor signed.
#[test]
fn published_envelopes_with_esp256_hold() {
    let key = VerifyingKey::parse(PUBLIC_KEY.as_bytes()).unwrap();
    for example in [PROCESS_DEPENDENCY, INTEGRATED_DEPENDENCY, DEPENDENT, ES_ECDH_CONTENT] {
        let envelope = hex::decode(example).unwrap();
        assert!(holds(&envelope, &key));
        let tree = EnvelopeTree::read(&envelope).unwrap();
        let verdict = judge(tree.blocks[0], tree.payload.bytes, &Keys::default());
        assert_eq!(verdict.parts[0].algorithm, Some(Algorithm::Number(-9)));
    }
    assert!(!holds(&hex::decode(ES_ECDH_DEPENDENCY).unwrap(), &key));
}

/// HMAC 256/256 of draft-ietf-suit-firmware-encryption-26 section 10, with the key that it prints; the block names none.
#[test]
fn a_published_mac_holds_under_its_key() {
    let envelope = hex::decode(AES_KW_SLOT).unwrap();
    let tree = EnvelopeTree::read(&envelope).unwrap();
    let judged = |key: [u8; 32]| {
        let bytes = key.to_vec().into();
        let key = DerivedKey { purpose: Purpose::Authentication, revision: 0, kid: Kid([1; 8]), bytes };
        let request = ProvisioningRequest {
            serial: "A-1",
            vendor: [1; 16],
            class: [2; 16],
            device: [3; 16],
            node_address: 5,
            anchors: &[],
            sequence_floor: 0,
        };
        let block = request.encode_with_keys(&[key]).unwrap();
        let (_, keys) = ProvisioningBlock::parse_with_keys(&block).unwrap();
        let keys = Keys { device: Some(&keys), ..Keys::default() };
        judge(tree.blocks[0], tree.payload.bytes, &keys).outcome
    };
    assert_eq!(judged([b'a'; 32]), Outcome::Holds(Kid([1; 8])));
    assert!(matches!(judged([b'b'; 32]), Outcome::Fails(_)));
}
