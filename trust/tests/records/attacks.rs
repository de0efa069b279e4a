//! COSE and Ed25519 attacks: everything here is signed by the right key, and refused all the same.

use curve25519_dalek::Scalar;
use ed25519_dalek::{Signature, SigningKey, Verifier as _};
use sha2::{Digest as _, Sha512};
use trust::author::{Signer as _, issue_credential};
use trust::{Credential, Error, ErrorKind, RevocationList, Role, TrustStoreBuf, verify_chained_sign1};

use super::forge::{
    CREDENTIAL, NIL, REVOCATION, SUCCESSION, SUCCESSION_GRANT, Sign1, array, bstr, credential_claims, int,
    map, protected, revocation_claims, sig_structure, succession_claims, tag, tstr,
};
use super::roots::{PAYLOAD, anchors, chained, credential, key, release, request, root, store};
use super::thrones::given;

fn refusal(cwt: &[u8]) -> ErrorKind {
    Credential::verify(cwt, &store(&anchors()), Role::Release).unwrap_err().kind
}

fn chained_refusal(sign1: &[u8]) -> ErrorKind {
    verify_chained_sign1(sign1, PAYLOAD, &store(&anchors()), Role::Release).unwrap_err().kind
}

fn record() -> Sign1 {
    Sign1::record(&root(), CREDENTIAL, &map(&credential_claims(&release())))
}

fn chained_parts() -> Sign1 {
    Sign1::chained(&release(), &credential(), PAYLOAD)
}

/// `{1: -19, 4: kid, 16: typ}` with changes.
fn headers(change: impl FnOnce(&mut Vec<(Vec<u8>, Vec<u8>)>)) -> Vec<u8> {
    let kid = bstr(&root().public_key().kid().0);
    let mut entries = vec![(int(1), int(-19)), (int(4), kid), (int(16), tstr(CREDENTIAL))];
    change(&mut entries);
    map(&entries)
}

#[test]
fn forged_parts_are_otherwise_good() {
    let cwt = record().cwt(&root());
    assert!(Credential::verify(&cwt, &store(&anchors()), Role::Release).is_ok());
    assert_eq!(chained_parts().sign(&release()), chained());
    assert_eq!(headers(|_| ()), protected(&root(), Some(CREDENTIAL)));
    let list = Sign1::record(&root(), REVOCATION, &map(&revocation_claims())).cwt(&root());
    assert!(RevocationList::verify(&list, &anchors()).is_ok());
}

/// T12: S + L is another signature over the same message.
#[test]
fn s_plus_l_is_refused() {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    for (mut bytes, refusal) in
        [(credential(), refusal as fn(&[u8]) -> ErrorKind), (chained(), chained_refusal)]
    {
        let s = bytes.len() - 32;
        let mut carry = 0u16;
        for (byte, l) in bytes[s..].iter_mut().zip(L) {
            carry += u16::from(*byte) + u16::from(l);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert_eq!(carry, 0);
        assert_eq!(refusal(&bytes), ErrorKind::SignatureInvalid);
    }
}

/// T12: R of small order. Plain verification takes this signature, `verify_strict` does not.
#[test]
fn small_order_r_is_refused() {
    let signing = SigningKey::from_bytes(&[1; 32]);
    let parts = record();
    let message = sig_structure(&parts.protected, &parts.signed);
    let mut r = [0; 32];
    r[0] = 1; // the neutral element
    let hash = Sha512::new().chain_update(r).chain_update(signing.verifying_key().as_bytes());
    let k = Scalar::from_bytes_mod_order_wide(&hash.chain_update(&message).finalize().into());
    let s = k * signing.to_scalar();
    let signature = [r, s.to_bytes()].concat();
    let plain = Signature::from_slice(&signature).unwrap();
    assert!(signing.verifying_key().verify(&message, &plain).is_ok());
    assert_eq!(refusal(&tag(61, &parts.with_signature(&bstr(&signature)))), ErrorKind::SignatureInvalid);
}

/// T12: a certified key of small order would take nearly any signature.
#[test]
fn a_credential_cannot_certify_a_weak_key() {
    let mut claims = credential_claims(&release());
    let weak = [&release().public_key().to_cose_key()[..8], &[1], &[0; 31]].concat();
    claims[4].1 = map(&[(int(1), weak)]);
    let cwt = Sign1::record(&root(), CREDENTIAL, &map(&claims)).cwt(&root());
    assert_eq!(refusal(&cwt), ErrorKind::KeyInvalid);
}

#[test]
fn alg_counts_in_the_protected_header_only() {
    let mut parts = record();
    parts.protected = headers(|entries| drop(entries.remove(0)));
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::HeaderMissing);
    parts.unprotected = map(&[(int(1), int(-19))]);
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::HeaderMissing);
    parts.protected = headers(|_| ());
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::HeaderUnknown);

    let mut parts = chained_parts();
    parts.unprotected = map(&[(int(1), int(-19)), (int(13), credential())]);
    assert_eq!(chained_refusal(&parts.sign(&release())), ErrorKind::HeaderUnknown);
}

#[test]
fn every_other_alg_is_refused() {
    for alg in [-8, -7, -9, -48, 5, 0, -20, -18, 19] {
        let mut parts = record();
        parts.protected = headers(|entries| entries[0].1 = int(alg));
        assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::AlgorithmUnsupported, "{alg}");
    }
    let mut parts = record();
    parts.protected = headers(|entries| entries[0].1 = tstr("Ed25519"));
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::AlgorithmUnsupported);
    parts.protected = headers(|entries| entries[0].1 = bstr(b"Ed25519"));
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::UnexpectedType, "no alg at all");
}

#[test]
fn no_signature_is_refused() {
    let (record, chain) = (record(), chained_parts());
    for item in [NIL.to_vec(), bstr(&[]), bstr(&[0; 63]), bstr(&[0; 65]), array(&[]), int(0)] {
        assert_eq!(refusal(&tag(61, &record.with_signature(&item))), ErrorKind::UnexpectedType);
        assert_eq!(chained_refusal(&chain.with_signature(&item)), ErrorKind::UnexpectedType);
    }
    let zeros = bstr(&[0; 64]);
    assert_eq!(refusal(&tag(61, &record.with_signature(&zeros))), ErrorKind::SignatureInvalid);
    assert_eq!(chained_refusal(&chain.with_signature(&zeros)), ErrorKind::SignatureInvalid);
}

#[test]
fn two_signatures_are_refused() {
    let good = chained();
    let body = &good[2..]; // after the tag and the array head
    let signature = bstr(&[0; 64]);
    let five = [&[0xd2, 0x85][..], body, &signature].concat();
    assert_eq!(chained_refusal(&five), ErrorKind::UnexpectedType);
    // COSE_Sign, tag 98
    let (record, claims) = (record(), map(&credential_claims(&release())));
    let one = array(&[bstr(&record.protected), map(&[]), bstr(&[0; 64])]);
    let sign =
        tag(98, &array(&[bstr(&record.protected), map(&[]), bstr(&claims), array(&[one.clone(), one])]));
    assert_eq!(refusal(&tag(61, &sign)), ErrorKind::CoseUnsupported);
    // one record after another
    assert_eq!(refusal(&[credential(), credential()].concat()), ErrorKind::TrailingBytes);
    assert_eq!(chained_refusal(&[chained(), chained()].concat()), ErrorKind::TrailingBytes);
}

#[test]
fn crit_is_refused() {
    let crit = (int(2), array(&[int(16)]));
    let mut parts = record();
    parts.protected = headers(|entries| entries.insert(1, crit.clone()));
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::CriticalHeader);
    parts.protected = headers(|_| ());
    parts.unprotected = map(&[crit]);
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::HeaderUnknown);
}

#[test]
fn unknown_headers_are_refused() {
    let mut parts = record();
    parts.protected = headers(|entries| entries.insert(2, (int(5), bstr(&[0; 12]))));
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::HeaderUnknown);
    parts.protected = headers(|_| ());
    parts.unprotected = map(&[(int(13), credential())]);
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::HeaderUnknown, "kcwt has no place in a record");

    let mut parts = chained_parts();
    parts.unprotected = map(&[(int(13), credential()), (int(14), int(0))]);
    assert_eq!(chained_refusal(&parts.sign(&release())), ErrorKind::HeaderUnknown);
    parts.unprotected = map(&[]);
    assert_eq!(chained_refusal(&parts.sign(&release())), ErrorKind::HeaderMissing);
    let mut parts = chained_parts();
    parts.protected = protected(&release(), Some(CREDENTIAL));
    assert_eq!(chained_refusal(&parts.sign(&release())), ErrorKind::HeaderUnknown, "typ");
}

#[test]
fn typ_tells_records_apart() {
    let mut parts = record();
    parts.protected = headers(|entries| entries[2].1 = tstr(REVOCATION));
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::RecordType);
    parts.protected = headers(|entries| entries[2].1 = tstr("anchorage-credential+cwt2"));
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::RecordType);
    parts.protected = headers(|entries| drop(entries.remove(2)));
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::HeaderMissing);
}

#[test]
fn kid_must_be_there_and_be_eight_bytes() {
    let mut parts = record();
    parts.protected = headers(|entries| drop(entries.remove(1)));
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::HeaderMissing);
    parts.protected = headers(|entries| entries[1].1 = bstr(&[0; 7]));
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::HeaderUnknown);
    parts.protected = Vec::new();
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::HeaderMissing);
}

/// A kid is a name, not a proof.
#[test]
fn a_foreign_key_under_the_anchors_kid_is_refused() {
    assert_eq!(refusal(&record().cwt(&key(5))), ErrorKind::SignatureInvalid);
    assert_eq!(chained_refusal(&chained_parts().sign(&key(5))), ErrorKind::SignatureInvalid);
}

#[test]
fn the_credential_of_another_key_is_refused() {
    let mut other = request();
    other.key = key(6).public_key();
    let other = issue_credential(&other, &root()).unwrap();
    let parts = Sign1::chained(&release(), &other, PAYLOAD);
    assert_eq!(chained_refusal(&parts.sign(&release())), ErrorKind::KeyMismatch);
}

#[test]
fn an_embedded_payload_or_another_tag_is_refused() {
    let mut parts = chained_parts();
    parts.payload = bstr(PAYLOAD);
    assert_eq!(chained_refusal(&parts.sign(&release())), ErrorKind::UnexpectedType);
    let mut parts = record();
    parts.payload = NIL.to_vec();
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::UnexpectedType);
    // Without its tags, or with others.
    let cwt = credential();
    assert_eq!(refusal(&cwt[2..]), ErrorKind::UnexpectedType);
    assert_eq!(refusal(&[&[0xd8, 62][..], &cwt[2..]].concat()), ErrorKind::UnexpectedType);
    assert_eq!(chained_refusal(&chained()[1..]), ErrorKind::CoseUnsupported);
    assert_eq!(chained_refusal(&tag(19, &chained()[1..])), ErrorKind::UnexpectedType);
}

#[test]
fn suit23_another_structure_of_cose_is_unsupported_and_not_malformed() {
    let body = &chained()[1..];
    for number in [16, 17, 96, 97, 98] {
        assert_eq!(chained_refusal(&tag(number, body)), ErrorKind::CoseUnsupported, "{number}");
        assert_eq!(refusal(&tag(61, &tag(number, body))), ErrorKind::CoseUnsupported, "{number}");
    }
    for number in [15, 19, 61, 107] {
        assert_eq!(chained_refusal(&tag(number, body)), ErrorKind::UnexpectedType, "{number}");
    }
    // A header may have a text for a name.
    let mut parts = record();
    parts.protected = headers(|entries| entries.push((tstr("x"), int(0))));
    assert_eq!(refusal(&parts.cwt(&root())), ErrorKind::HeaderUnknown);
    let mut parts = chained_parts();
    parts.unprotected = map(&[(int(13), credential()), (tstr("x"), int(0))]);
    assert_eq!(chained_refusal(&parts.sign(&release())), ErrorKind::HeaderUnknown);
}

#[test]
fn an_encoding_that_is_not_deterministic_is_refused() {
    // The signature holds over each: only the encoding is wrong.
    let root = root();
    let mut parts = record();
    parts.protected = headers(|entries| entries.swap(0, 1));
    assert_eq!(refusal(&parts.cwt(&root)), ErrorKind::KeyOrder);
    parts.protected = headers(|entries| entries.insert(1, (int(1), int(-19))));
    assert_eq!(refusal(&parts.cwt(&root)), ErrorKind::KeyOrder);
    let good = headers(|_| ());
    parts.protected = [&[0xbf][..], &good[1..], &[0xff]].concat();
    assert_eq!(refusal(&parts.cwt(&root)), ErrorKind::NotCanonical);
    parts.protected = good;
    parts.unprotected = vec![0xbf, 0xff];
    assert_eq!(refusal(&parts.cwt(&root)), ErrorKind::NotCanonical);
}

/// One byte more, behind each part of a record that ends before its enclosing byte string does. All of it is signed.
#[test]
fn key24_nothing_follows_any_part_of_a_signed_record() {
    const MORE: u8 = 0x17;
    let more = |part: &[u8]| [part, &[MORE]].concat();
    let trailing = |part: &str, bytes: &[u8], refused: Option<Error>| {
        let refused = refused.unwrap_or_else(|| panic!("{part}: accepted"));
        assert_eq!(refused.kind, ErrorKind::TrailingBytes, "{part}");
        assert_eq!(bytes[refused.position as usize], MORE, "{part}");
    };
    let (credential_claims, list_claims) = (map(&credential_claims(&release())), map(&revocation_claims()));
    for change in ["claims", "protected header", "record"] {
        let forge = |typ, claims: &[u8]| {
            let claims = if change == "claims" { more(claims) } else { claims.to_vec() };
            let mut parts = Sign1::record(&root(), typ, &claims);
            if change == "protected header" {
                parts.protected = more(&parts.protected);
            }
            let cwt = parts.cwt(&root());
            if change == "record" { more(&cwt) } else { cwt }
        };
        let cwt = forge(CREDENTIAL, &credential_claims);
        trailing(change, &cwt, Credential::verify(&cwt, &store(&anchors()), Role::Release).err());
        // The same one, where the signature of a manifest brings it.
        let sign1 = Sign1::chained(&release(), &cwt, PAYLOAD).sign(&release());
        let refused = verify_chained_sign1(&sign1, PAYLOAD, &store(&anchors()), Role::Release).err();
        if change != "record" {
            trailing(change, &sign1, refused);
        }
        if change == "claims" {
            let request =
                Sign1::record(&key(4), SUCCESSION, &more(&map(&succession_claims(&root(), &key(4)))));
            let grant = Sign1::record(&root(), SUCCESSION_GRANT, &request.cwt(&key(4))).cwt(&root());
            trailing(change, &grant, TrustStoreBuf::new(given()).add_succession(grant.clone()).err());
        }
        let list = forge(REVOCATION, &list_claims);
        trailing(change, &list, RevocationList::verify(&list, &anchors()).err());
    }
    let verify = |sign1: &[u8]| verify_chained_sign1(sign1, PAYLOAD, &store(&anchors()), Role::Release).err();
    let mut parts = chained_parts();
    parts.protected = more(&parts.protected);
    let sign1 = parts.sign(&release());
    trailing("protected header of a manifest's signature", &sign1, verify(&sign1));
    trailing("a manifest's signature", &more(&chained()), verify(&more(&chained())));
}

#[test]
fn a_record_beyond_its_limit_is_refused() {
    let mut claims = credential_claims(&release());
    claims.insert(2, (int(4), bstr(&[0; 1024])));
    let cwt = Sign1::record(&root(), CREDENTIAL, &map(&claims)).cwt(&root());
    assert_eq!(refusal(&cwt), ErrorKind::TooLong);
    // Before anything else is looked at.
    let refused = Credential::verify(&cwt, &store(&[]), Role::Release).unwrap_err();
    assert_eq!((refused.kind, refused.position), (ErrorKind::TooLong, 0));
    assert_eq!(chained_refusal(&[0; 2000]), ErrorKind::TooLong);
    let parts = Sign1::chained(&release(), &cwt, PAYLOAD);
    assert_eq!(chained_refusal(&parts.sign(&release())), ErrorKind::TooLong);
}
