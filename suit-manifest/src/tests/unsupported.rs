//! Unsupported is not malformed: what SUIT or COSE allows and no device of ours takes has a reason of its own, with
//! the reason of a SUIT report that belongs to it.

use ciborium::Value;
use sha2::{Digest as _, Sha256};

use super::support::{
    IMAGE, Parts, assemble, authenticate, bytes, credential, digest_value, encode, identity, map, parameters,
    refusal, seal, sequence, simple, uri,
};
use crate::{Envelope, ErrorKind, Reason, Target, image_reference};

fn reason(envelope: &[u8]) -> Reason {
    let refused = Envelope::parse(envelope).err().or_else(|| authenticate(envelope).err());
    refused.expect("a refusal").reason()
}

/// Signed by something else than a COSE_Sign1 with Ed25519.
fn signed_by(block: &Value) -> Vec<u8> {
    let manifest = Parts::default().manifest();
    let digest = encode(&digest_value(-16, &Sha256::digest(encode(&bytes(&manifest)))));
    assemble(vec![bytes(&digest), bytes(&encode(block))], &manifest, &[])
}

fn block(protected: &Value) -> Value {
    let signature = bytes(&[0; 64]);
    Value::Array(vec![bytes(&encode(protected)), map([]), Value::Null, signature])
}

#[test]
fn suit23_other_signatures_are_unsupported_and_not_malformed() {
    let headers = |alg: Value| map([(1, alg), (4, bytes(&[7; 8]))]);
    let ed25519 = block(&headers((-19).into()));
    for (tag, name) in [(17, "Mac0"), (97, "Mac"), (98, "Sign"), (16, "Encrypt0"), (96, "Encrypt")] {
        let envelope = signed_by(&Value::Tag(tag, Box::new(ed25519.clone())));
        assert_eq!(
            (reason(&envelope), reason(&envelope).suit_report()),
            (Reason::CoseUnsupported, 2),
            "{name}"
        );
    }
    assert_eq!(reason(&signed_by(&ed25519)), Reason::CoseUnsupported, "untagged");
    for alg in [(-7).into(), (-9).into(), (-8).into(), Value::Text("Ed25519".into())] {
        let envelope = signed_by(&Value::Tag(18, Box::new(block(&headers(alg)))));
        assert_eq!((reason(&envelope), reason(&envelope).suit_report()), (Reason::AlgorithmUnsupported, 3));
    }
    let kid = map([(1, (-19).into()), (4, bytes(b"a kid of another length"))]);
    let kid = signed_by(&Value::Tag(18, Box::new(block(&kid))));
    assert_eq!((reason(&kid), reason(&kid).suit_report()), (Reason::HeaderUnsupported, 2));
    // What is no COSE at all is malformed.
    for garbage in [Value::Tag(19, Box::new(ed25519)), 5.into(), map([])] {
        assert_eq!(reason(&signed_by(&garbage)), Reason::RecordMalformed);
    }
}

#[test]
fn suit23_other_envelopes_are_unsupported_and_not_malformed() {
    let manifest: Value = ciborium::from_reader(Parts::default().manifest().as_slice()).unwrap();
    assert_eq!(reason(&encode(&Value::Tag(1070, Box::new(manifest.clone())))), Reason::ManifestBare);
    assert_eq!(reason(&encode(&Value::Tag(108, Box::new(manifest)))), Reason::ManifestMalformed);
    for key in [14, 15, 18] {
        let mut parts = Parts::default();
        parts.severed.push((key.into(), bytes(&[0x80])));
        assert_eq!(reason(&parts.signed()), Reason::EnvelopeMemberUnsupported, "{key}");
        assert_eq!(reason(&parts.signed()).suit_report(), 9);
    }
    let mut parts = Parts::default();
    parts.severed.push((Value::Text("#app".into()), bytes(b"image")));
    assert_eq!(reason(&parts.signed()), Reason::IntegratedPayloadUnsupported);
}

#[test]
fn suit23_legal_manifests_beyond_what_is_taken_are_not_malformed() {
    let limit = |parts: &Parts| assert_eq!(reason(&parts.signed()), Reason::ManifestLimit);
    limit(&Parts::default().with(4, Value::Text("u".repeat(257))));
    limit(&Parts::install([parameters([uri(&"u".repeat(257))]), simple(21)]));
    limit(&Parts::install(vec![simple(3); 65]));
    let component = |id: Value| Parts { components: vec![id], ..Parts::default() };
    limit(&component(Value::Array(vec![bytes(&[1; 33])])));
    limit(&component(Value::Array(vec![bytes(&[1]); 5])));
    assert_eq!(component(Value::Array(vec![])).refusal(), ErrorKind::ComponentUnsupported);
    assert_eq!(Parts::install([parameters([uri("")])]).refusal(), ErrorKind::ParameterUnsupported);
    // Both are optional in suit-common.
    let common = |entries: Vec<(i64, Value)>| {
        let common = bytes(&encode(&map(entries)));
        let manifest = encode(&map([(1, 1.into()), (2, 5.into()), (3, common)]));
        refusal(&seal(&manifest, &[], &credential()))
    };
    let components = (2, Value::Array(vec![Value::Array(vec![bytes(b"app")])]));
    let shared = (4, bytes(&sequence(identity())));
    assert_eq!(common(vec![shared]), ErrorKind::ComponentCount);
    assert_eq!(common(vec![components]), ErrorKind::IdentityUnchecked);
    // An extension of SUIT_Digest.
    let digest = Value::Array(vec![(-16).into(), bytes(&IMAGE), 1.into()]);
    let digest = Parts::install([parameters([(3, bytes(&encode(&digest)))])]);
    assert_eq!(reason(&digest.signed()), Reason::DigestAlgorithmUnsupported);
}

#[test]
fn suit23_an_encrypted_image_is_unsupported() {
    let parts = Parts::install([parameters([(19, bytes(&[0xd8, 0x60, 0x80])), uri("x")]), simple(21)]);
    let envelope = parts.signed();
    let refused = image_reference(authenticate(&envelope).unwrap().manifest(), Target::Firmware).unwrap_err();
    assert_eq!((refused.reason(), refused.reason().suit_report()), (Reason::EncryptionUnsupported, 8));
}
