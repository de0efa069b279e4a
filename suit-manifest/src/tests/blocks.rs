//! The blocks of published envelopes, under the key of draft-ietf-suit-manifest-37 appendix B.

use trust::blocks::{Algorithm, CoseStructure, Keys, Outcome, Verdict, VerifyingKey, judge};

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
