//! Outer structure, authentication, digests: draft-ietf-suit-manifest-37 sections 8.2, 8.3, 8.4.12, 10.

use ciborium::Value;
use sha2::{Digest as _, Sha256};
use trust::ErrorKind as Trust;
use trust::author::Minimum;
use trust::author::{ScopeRequest, Signer, SoftwareKey};
use trust::{Anchor, RevocationList, RevokedId, Role, TrustStore};

use super::support::*;
use crate::limits::MAX_ENVELOPE_LEN;
use crate::{Envelope, ErrorKind, Section};

#[test]
fn a_release_authenticates() {
    let envelope = release();
    let authenticated = authenticate(&envelope).unwrap();
    assert_eq!(authenticated.manifest().sequence_number(), 5);
    assert_eq!(authenticated.authority().credential().key(), &release_key().public_key());
    let manifest = wrapped_manifest(&envelope);
    assert_eq!(*authenticated.digest(), <[u8; 32]>::from(Sha256::digest(&manifest)));
}

/// The bstr of member 3 with its head.
fn wrapped_manifest(envelope: &[u8]) -> Vec<u8> {
    let Value::Tag(107, members) = ciborium::from_reader(envelope).unwrap() else { panic!() };
    encode(&members.as_map().unwrap()[1].1)
}

/// T1: nothing authenticates such a member, so that it must not be there.
#[test]
fn unauthenticated_members_are_refused() {
    for key in [1, 0, 4, 14, 15, 18, 24, -1, 300] {
        let mut parts = Parts::default();
        let member = (Value::from(key), bytes(b"\x80"));
        // In canonical order around 2 and 3.
        let envelope = if (0..=1).contains(&key) {
            let signed = Parts::default().signed();
            let Value::Tag(107, members) = ciborium::from_reader(signed.as_slice()).unwrap() else {
                panic!()
            };
            let members = [vec![member], members.into_map().unwrap()].concat();
            encode(&Value::Tag(107, Box::new(Value::Map(members))))
        } else {
            parts.severed.push(member);
            parts.signed()
        };
        let expected = match key {
            14 | 15 | 18 => ErrorKind::EnvelopeMemberUnsupported,
            _ => ErrorKind::EnvelopeMemberUnknown,
        };
        assert_eq!(refusal(&envelope), expected, "key {key}");
    }
}

#[test]
fn severed_members_need_a_digest_in_the_manifest() {
    for key in [16, 20, 23] {
        let parts = Parts { severed: vec![(key.into(), bytes(&sequence([simple(3)])))], ..Parts::default() };
        assert_eq!(parts.refusal(), ErrorKind::EnvelopeMemberUnauthenticated, "absent, key {key}");
    }
    // The manifest has its own copy: nothing speaks for the one in the envelope.
    let body = sequence([simple(3)]);
    let mut parts = Parts::default().with(20, bytes(&body));
    parts.severed.push((20.into(), bytes(&body)));
    assert_eq!(parts.refusal(), ErrorKind::EnvelopeMemberUnauthenticated);
}

/// T3, and the first trap again: the digest is over the bstr, its head included.
#[test]
fn severed_members_are_held_against_their_digest() {
    let body = sequence([simple(3)]);
    let good = Parts::default().with_severed(20, &body);
    assert_eq!(run(&good, Section::Install).unwrap(), Vec::<String>::new());

    let mut tampered = good.clone();
    tampered.severed = vec![(20.into(), bytes(&sequence([simple(14)])))];
    assert_eq!(tampered.refusal(), ErrorKind::MemberDigestMismatch);

    let mut over_content = Parts::default().with(20, digest_value(-16, &Sha256::digest(&body)));
    over_content.severed.push((20.into(), bytes(&body)));
    assert_eq!(over_content.refusal(), ErrorKind::MemberDigestMismatch);
}

#[test]
fn a_severed_section_cannot_run_but_the_others_can() {
    let mut parts =
        Parts::default().with_severed(20, &sequence([simple(3)])).with(7, bytes(&sequence([simple(3)])));
    parts.severed.clear();
    assert_eq!(run(&parts, Section::Validate).unwrap(), Vec::<String>::new());
    assert_eq!(run(&parts, Section::Install).unwrap_err().kind, ErrorKind::MemberSevered);
}

#[test]
fn integrated_payloads_are_recognised_and_refused() {
    let parts = Parts { severed: vec![(Value::Text("#image".into()), bytes(b"image"))], ..Parts::default() };
    assert_eq!(parts.refusal(), ErrorKind::IntegratedPayloadUnsupported);
}

#[test]
fn the_envelope_is_strict_cbor() {
    let good = Parts::default().signed();
    let Value::Tag(107, members) = ciborium::from_reader(good.as_slice()).unwrap() else { panic!() };
    let [wrapper, manifest] = <[_; 2]>::try_from(members.into_map().unwrap()).unwrap();
    let tagged = |tag, members: Vec<(Value, Value)>| encode(&Value::Tag(tag, Box::new(Value::Map(members))));
    assert_eq!(tagged(107, vec![wrapper.clone(), manifest.clone()]), good);

    let malformed = |kind| ErrorKind::Malformed(kind);
    // Section 8.3: the wrapper comes before the manifest.
    let swapped = tagged(107, vec![manifest.clone(), wrapper.clone()]);
    assert_eq!(refusal(&swapped), malformed(Trust::KeyOrder));
    let twice = tagged(107, vec![wrapper.clone(), manifest.clone(), manifest.clone()]);
    assert_eq!(refusal(&twice), malformed(Trust::KeyOrder));
    assert_eq!(refusal(&tagged(107, vec![wrapper.clone()])), malformed(Trust::MissingKey));
    assert_eq!(refusal(&tagged(107, vec![manifest.clone()])), malformed(Trust::MissingKey));
    assert_eq!(refusal(&tagged(107, vec![])), malformed(Trust::MissingKey));
    // A bare manifest has nobody's signature.
    assert_eq!(refusal(&tagged(1070, vec![wrapper, manifest])), ErrorKind::ManifestBare);
    assert_eq!(refusal(&[&good[..], &[0]].concat()), malformed(Trust::TrailingBytes));
    assert_eq!(refusal(&good[2..]), malformed(Trust::UnexpectedType), "no tag");
    // d8 6b a2 ...: the same map with an indefinite length
    let indefinite = [&[0xd8, 0x6b, 0xbf], &good[3..], &[0xff]].concat();
    assert_eq!(refusal(&indefinite), malformed(Trust::NotCanonical));
    assert_eq!(refusal(&vec![0; MAX_ENVELOPE_LEN + 1]), ErrorKind::EnvelopeTooLarge);
}

#[test]
fn exactly_one_signature_counts() {
    let manifest = Parts::default().manifest();
    let digest = encode(&digest_value(-16, &Sha256::digest(encode(&bytes(&manifest)))));
    let sign1 =
        bytes(&trust::author::sign1_detached_chained(&digest, &release_key(), &credential()).unwrap());
    let digest = bytes(&digest);

    let unsigned = assemble(vec![digest.clone()], &manifest, &[]);
    assert!(!Envelope::parse(&unsigned).unwrap().has_block());
    assert_eq!(refusal(&unsigned), ErrorKind::SignatureMissing);
    let twice = assemble(vec![digest.clone(), sign1.clone(), sign1.clone()], &manifest, &[]);
    assert_eq!(refusal(&twice), ErrorKind::SignatureMultiple);
    let none = assemble(vec![], &manifest, &[]);
    assert_eq!(refusal(&none), ErrorKind::Malformed(Trust::Truncated));
    assert!(authenticate(&assemble(vec![digest, sign1], &manifest, &[])).is_ok());
}

#[test]
fn a_signature_over_anything_else_is_refused() {
    let manifest = Parts::default().manifest();
    let wrapped = encode(&bytes(&manifest));
    let digest = encode(&digest_value(-16, &Sha256::digest(&wrapped)));
    let signed_over = |payload: &[u8], digest: &[u8]| {
        let sign1 = trust::author::sign1_detached_chained(payload, &release_key(), &credential()).unwrap();
        assemble(vec![bytes(digest), bytes(&sign1)], &manifest, &[])
    };
    assert!(authenticate(&signed_over(&digest, &digest)).is_ok());
    // The second trap: the payload is what the digest bstr holds, not the bstr.
    let over_bstr = signed_over(&encode(&bytes(&digest)), &digest);
    assert_eq!(refusal(&over_bstr), ErrorKind::Trust(Trust::SignatureInvalid));
    // The first trap: the digest is over the bstr, not over what it holds.
    let over_content = encode(&digest_value(-16, &Sha256::digest(&manifest)));
    assert_eq!(refusal(&signed_over(&over_content, &over_content)), ErrorKind::ManifestDigestMismatch);
    assert_eq!(refusal(&signed_over(b"other", &digest)), ErrorKind::Trust(Trust::SignatureInvalid));
}

/// T11
#[test]
fn a_digest_has_the_length_of_its_algorithm_and_is_sha_256() {
    let manifest = Parts::default().manifest();
    let refused =
        |digest: &Value| refusal(&assemble(vec![bytes(&encode(digest)), bytes(&[0x80])], &manifest, &[]));
    for len in [0, 1, 31, 33, 64] {
        assert_eq!(refused(&digest_value(-16, &vec![0; len])), ErrorKind::DigestLength, "{len}");
    }
    for (algorithm, len) in [(-18, 32), (-43, 48), (-44, 64), (-45, 64)] {
        let right = digest_value(algorithm, &vec![0; len]);
        assert_eq!(refused(&right), ErrorKind::DigestAlgorithmUnsupported);
        assert_eq!(refused(&digest_value(algorithm, &vec![0; len - 1])), ErrorKind::DigestLength);
    }
    assert_eq!(refused(&digest_value(-15, &[0; 32])), ErrorKind::DigestAlgorithmUnsupported);
    let extended = Value::Array(vec![(-16).into(), bytes(&[0; 32]), 0.into()]);
    assert_eq!(refused(&extended), ErrorKind::DigestAlgorithmUnsupported);

    // The same where the manifest gives the digest of an image or of a severed member.
    let short = Value::Bytes(encode(&digest_value(-16, &[0; 31])));
    assert_eq!(Parts::install([parameters([(3, short)])]).refusal(), ErrorKind::DigestLength);
    let sha384 = digest_value(-43, &[0; 48]);
    assert_eq!(Parts::default().with(20, sha384).refusal(), ErrorKind::DigestAlgorithmUnsupported);
}

/// Section 6.2: who has no valid signature does not reach the parser of the manifest.
#[test]
fn nothing_of_a_manifest_is_parsed_before_its_signature_holds() {
    let garbage = seal(b"\xff\xff\xff", &[], &credential());
    assert_eq!(refusal(&garbage), ErrorKind::Malformed(Trust::NotCanonical), "signed garbage is parsed");

    // The same garbage, its signature broken: byte 50 lies in the credential or signature.
    let stranger = SoftwareKey::from_seed(&[9; 32]).unwrap();
    let envelope = Envelope::parse(&garbage).unwrap();
    let anchors = [Anchor::root(stranger.public_key())];
    let store = TrustStore::new(&anchors);
    assert_eq!(envelope.authenticate(&store).unwrap_err().kind, ErrorKind::Trust(Trust::AnchorUnknown));
    let digest = encode(&digest_value(-16, &Sha256::digest(encode(&bytes(b"\xff\xff\xff")))));
    let sign1 = trust::author::sign1_detached_chained(b"other", &release_key(), &credential()).unwrap();
    let forged = assemble(vec![bytes(&digest), bytes(&sign1)], b"\xff\xff\xff", &[]);
    assert_eq!(refusal(&forged), ErrorKind::Trust(Trust::SignatureInvalid));
    // And a manifest that is not the one that was signed is not parsed either.
    let sign1 = trust::author::sign1_detached_chained(&digest, &release_key(), &credential()).unwrap();
    let replaced = assemble(vec![bytes(&digest), bytes(&sign1)], b"\xff\xff", &[]);
    assert_eq!(refusal(&replaced), ErrorKind::ManifestDigestMismatch);
}

#[test]
fn the_credential_must_be_a_release_credential_that_is_not_revoked() {
    let scope = ScopeRequest { vendor: VENDOR, classes: vec![], serials: vec![], actions: None };
    let service = credential_with(scope, Role::Service);
    let envelope = seal(&Parts::default().manifest(), &[], &service);
    assert_eq!(refusal(&envelope), ErrorKind::Trust(Trust::RoleMismatch));

    let request = trust::author::RevocationRequest {
        iss: "root".into(),
        issued_at: trust::UnixTime(0),
        sequence: 1,
        revoked: vec![RevokedId::Credential([7; 16]).revoked(Role::Release, 0)],
        lowest_generations: vec![],
        minimum_sequences: vec![],
    };
    let list = trust::author::sign_revocation(&request, &root()).unwrap();
    let list = RevocationList::verify(&list, &[Anchor::root(root().public_key())]).unwrap();
    let envelope = release();
    let refused = authenticate_with(&envelope, &[list]).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Trust(Trust::CredentialRevoked));
}

#[test]
fn a_manifest_speaks_of_its_signers_vendor_and_classes_only() {
    let speaks_of = |vendor: [u8; 16], class: [u8; 16]| {
        let commands = [parameters([(1, bytes(&vendor)), (2, bytes(&class))]), simple(1), simple(2)];
        Parts { shared: sequence(commands), ..Parts::default() }
    };
    assert!(authenticate(&speaks_of(VENDOR, CLASS).signed()).is_ok());
    assert!(authenticate(&speaks_of(VENDOR, OTHER_CLASS).signed()).is_ok());
    assert_eq!(speaks_of(FOREIGN, CLASS).refusal(), ErrorKind::ScopeVendor);
    assert_eq!(speaks_of(VENDOR, FOREIGN).refusal(), ErrorKind::ScopeClass);

    // Wherever it stands, and whether it would ever run or not.
    let hidden = run_sequence(sequence([parameters([(2, bytes(&FOREIGN))])]));
    let in_try_each = try_each([sequence([simple(14)]), sequence([hidden])]);
    for key in [7, 9, 16, 20] {
        let parts = Parts::default().with(key, bytes(&sequence([in_try_each.clone()])));
        assert_eq!(parts.refusal(), ErrorKind::ScopeClass, "section {key}");
    }
    let severed = Parts::default().with_severed(20, &sequence([parameters([(1, bytes(&FOREIGN))])]));
    assert_eq!(severed.refusal(), ErrorKind::ScopeVendor);
}

#[test]
fn a_credential_for_single_devices_signs_no_manifest() {
    let serials = vec!["A-1".into()];
    let scope = ScopeRequest { vendor: VENDOR, classes: vec![], serials, actions: None };
    let envelope = seal(&Parts::default().manifest(), &[], &credential_with(scope, Role::Release));
    assert_eq!(refusal(&envelope), ErrorKind::ScopeDevice);
}

#[test]
fn a_credential_for_certain_actions_signs_no_manifest() {
    for actions in [0, 1, u64::MAX] {
        let scope = ScopeRequest { vendor: VENDOR, classes: vec![], serials: vec![], actions: Some(actions) };
        let envelope = seal(&Parts::default().manifest(), &[], &credential_with(scope, Role::Release));
        assert_eq!(refusal(&envelope), ErrorKind::ScopeActions, "{actions}");
    }
}

#[test]
fn a_revocation_list_sets_a_minimum_sequence_for_a_class() {
    let refused = |minimums: Vec<Minimum>| {
        let list = revocation(minimums);
        let list = RevocationList::verify(&list, &[Anchor::root(root().public_key())]).unwrap();
        let envelope = release(); // sequence number 5, CLASS
        authenticate_with(&envelope, &[list]).err().map(|error| error.kind)
    };
    assert_eq!(refused(vec![minimum(VENDOR, CLASS, 6)]), Some(ErrorKind::SequenceBelowMinimum));
    assert_eq!(
        refused(vec![minimum(VENDOR, OTHER_CLASS, 9), minimum(VENDOR, CLASS, 6)]),
        Some(ErrorKind::SequenceBelowMinimum)
    );
    assert_eq!(refused(vec![minimum(VENDOR, CLASS, 5)]), None, "equal is enough");
    assert_eq!(refused(vec![minimum(VENDOR, OTHER_CLASS, 6)]), None, "another class");
    assert_eq!(refused(vec![minimum(FOREIGN, CLASS, 6)]), None, "another vendor");
    let wide = |vendor, sequence| Minimum { vendor, class: None, sequence };
    assert_eq!(refused(vec![wide(VENDOR, 6)]), Some(ErrorKind::SequenceBelowMinimum), "every class");
    assert_eq!(refused(vec![wide(VENDOR, 5), wide(FOREIGN, 6)]), None);
    assert_eq!(
        refused(vec![wide(VENDOR, 6), minimum(VENDOR, CLASS, 5)]),
        Some(ErrorKind::SequenceBelowMinimum),
        "a lower one for the class lowers nothing"
    );
}

/// Each anchor is a domain of its own: docs/records.md.
#[test]
fn a_minimum_sequence_is_for_the_releases_of_its_own_anchor() {
    let other = SoftwareKey::from_seed(&[3; 32]).unwrap();
    let anchors = [root().public_key(), other.public_key()].map(Anchor::root);
    let envelope = release(); // sequence number 5, CLASS, under `root`
    let refused = |anchor: &SoftwareKey| {
        let list = revocation_by(anchor, vec![minimum(VENDOR, CLASS, 6)]);
        let lists = [RevocationList::verify(&list, &anchors).unwrap()];
        let store = TrustStore::new(&anchors).with_lists(&lists);
        Envelope::parse(&envelope).unwrap().authenticate(&store).err().map(|error| error.kind)
    };
    assert_eq!(refused(&root()), Some(ErrorKind::SequenceBelowMinimum));
    assert_eq!(refused(&other), None);
}

/// Section 6.1
#[test]
fn the_sequence_number_does_not_fall() {
    let envelope = release();
    let authenticated = authenticate(&envelope).unwrap();
    assert_eq!(authenticated.manifest().check_sequence(0), Ok(()));
    assert_eq!(authenticated.manifest().check_sequence(5), Ok(()), "equal is allowed");
    let refused = authenticated.manifest().check_sequence(6).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::SequenceRollback);
    assert_eq!(envelope[refused.position as usize], 5, "the position is that of the number");
}
