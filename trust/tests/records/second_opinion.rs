//! coset reads and verifies what we make: another implementation of the same specifications.

use coset::cwt::{ClaimsSet, Timestamp};
use coset::{AsCborValue as _, CborSerializable as _, CoseSign1, Label, RegisteredLabelWithPrivate, iana};
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use trust::PublicKey;
use trust::author::Signer as _;

use super::roots::{CTI, PAYLOAD, anchors, chained, credential, release, revocation, root};

fn untag(bytes: &[u8], tags: &[u64]) -> ciborium::Value {
    let mut value: ciborium::Value = ciborium::from_reader(bytes).unwrap();
    for expected in tags {
        let ciborium::Value::Tag(tag, inner) = value else { panic!("no tag {expected}") };
        assert_eq!(tag, *expected);
        value = *inner;
    }
    value
}

fn holds(key: &PublicKey, signature: &[u8], message: &[u8]) -> Result<(), ed25519_dalek::SignatureError> {
    VerifyingKey::from_bytes(key.as_bytes())?.verify(message, &Signature::from_slice(signature)?)
}

fn alg(sign1: &CoseSign1) -> Option<RegisteredLabelWithPrivate<iana::Algorithm>> {
    sign1.protected.header.alg.clone()
}

#[test]
fn coset_verifies_records() {
    for (cwt, typ) in [(credential(), "anchorage-credential+cwt"), (revocation(), "anchorage-revocation+cwt")]
    {
        let sign1 = CoseSign1::from_cbor_value(untag(&cwt, &[61, 18])).unwrap();
        assert_eq!(alg(&sign1), Some(RegisteredLabelWithPrivate::Assigned(iana::Algorithm::Ed25519)));
        assert_eq!(sign1.protected.header.key_id, root().public_key().kid().0);
        assert_eq!(sign1.protected.header.rest, [(Label::Int(16), typ.into())]);
        assert!(sign1.unprotected.is_empty());
        sign1
            .verify_signature(&[], |signature, message| holds(&root().public_key(), signature, message))
            .unwrap();
    }
}

#[test]
fn coset_reads_the_claims() {
    let sign1 = CoseSign1::from_cbor_value(untag(&credential(), &[61, 18])).unwrap();
    let claims = ClaimsSet::from_slice(&sign1.payload.unwrap()).unwrap();
    assert_eq!(claims.issuer.as_deref(), Some("Example root"));
    assert_eq!(claims.subject.as_deref(), Some("Example release"));
    assert_eq!(claims.cwt_id.as_deref(), Some(&CTI[..]));
    assert_eq!(claims.issued_at, Some(Timestamp::WholeSeconds(1_700_000_000)));
    assert_eq!(claims.expiration_time, Some(Timestamp::WholeSeconds(1_800_000_000)));
    assert_eq!(claims.rest.len(), 5, "cnf, role, scope, generation, ceiling");
}

#[test]
fn coset_verifies_the_chained_signature() {
    let sign1 = CoseSign1::from_cbor_value(untag(&chained(), &[18])).unwrap();
    assert_eq!(sign1.payload, None);
    assert_eq!(sign1.protected.header.key_id, release().public_key().kid().0);
    sign1
        .verify_detached_signature(PAYLOAD, &[], |signature, message| {
            holds(&release().public_key(), signature, message)
        })
        .unwrap();
    let [(Label::Int(13), kcwt)] = &sign1.unprotected.rest[..] else { panic!("kcwt") };
    assert_eq!(*kcwt, untag(&credential(), &[]));
}

#[test]
fn coset_reads_the_key() {
    let [anchor] = anchors();
    let key = coset::CoseKey::from_slice(&anchor.key().to_cose_key()).unwrap();
    assert_eq!(key.kty, coset::KeyType::Assigned(iana::KeyType::OKP));
    assert_eq!(key.params[1], (Label::Int(-2), anchor.key().as_bytes().to_vec().into()));
}
