//! The chain anchor -> credential -> signature: what holds, and each link that does not.

use trust::author::{
    AuthorError, RevocationRequest, Signer as _, SoftwareKey, exchange_credential, issue_credential,
    read_unverified_credential, sign_revocation, sign1_detached_chained,
};
use trust::host::read_unverified_revocation;
use trust::{
    Anchor, Credential, ErrorKind, Held, MAX_GENERATION, MAX_SEQUENCE_CEILING, MinimumSequence, Replacement,
    RevocationList, Revoked, RevokedId, Rights, Role, TrustStore, TrustStoreBuf, UnixTime,
    verify_chained_sign1,
};

use super::roots::{
    CLASS, CTI, PAYLOAD, VENDOR, anchors, chained, credential, key, release, request, revocation,
    revocation_request, revoked_key, root, store,
};

fn credential_id(cti: [u8; 16]) -> Revoked {
    RevokedId::Credential(cti).revoked(Role::Release, 0)
}

fn anchor(seed: u8) -> Anchor {
    Anchor::root(key(seed).public_key())
}

#[test]
fn a_credential_says_what_was_certified() {
    let (cwt, anchors) = (credential(), anchors());
    let credential = Credential::verify(&cwt, &store(&anchors), Role::Release).unwrap();
    assert_eq!(credential.issuer_kid(), root().public_key().kid());
    assert_eq!((credential.iss(), credential.sub()), ("Example root", "Example release"));
    assert_eq!(credential.cti(), &CTI);
    assert_eq!(credential.key(), &release().public_key());
    assert_eq!(credential.role(), Role::Release);
    assert_eq!(credential.issued_at(), UnixTime(1_700_000_000));
    assert_eq!(credential.not_before(), Some(UnixTime(1_700_000_000)));
    assert_eq!(credential.expires(), Some(UnixTime(1_800_000_000)));
}

/// A root that certifies itself, or another root, would be its own judge: no list may name an anchor.
#[test]
fn a_credential_for_an_anchor_is_refused() {
    let own = trust::author::CredentialRequest { key: root().public_key(), ..request() };
    let Err(AuthorError::Refused(refused)) = issue_credential(&own, &root()) else { panic!("issued") };
    assert_eq!(refused.kind, ErrorKind::CredentialForAnchor);
    // What one verifier takes, another one whose anchor it certifies refuses: whatever rights, whatever domain.
    let other = trust::author::CredentialRequest { key: key(5).public_key(), ..request() };
    let cwt = issue_credential(&other, &root()).unwrap();
    assert!(Credential::verify(&cwt, &store(&anchors()), Role::Release).is_ok());
    let sign1 = sign1_detached_chained(PAYLOAD, &key(5), &cwt).unwrap();
    for domain in [anchors()[0].domain(), anchor(5).domain()] {
        let both = [anchors()[0], Anchor::new(key(5).public_key(), Rights::BOOT, domain)];
        let refused = verify_chained_sign1(&sign1, PAYLOAD, &store(&both), Role::Release).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::CredentialForAnchor);
    }
}

#[test]
fn a_release_credential_has_a_ceiling_and_no_other_one_has() {
    let ceiling = |role, sequence_ceiling| {
        let request = trust::author::CredentialRequest { role, sequence_ceiling, ..request() };
        issue_credential(&request, &root()).map(|cwt| {
            Credential::verify(&cwt, &store(&anchors()), role).map(|credential| credential.sequence_ceiling())
        })
    };
    assert_eq!(ceiling(Role::Release, None).unwrap(), Ok(0xFFFF_FFFF));
    for number in [1, 1 << 33, MAX_SEQUENCE_CEILING] {
        assert_eq!(ceiling(Role::Release, Some(number)).unwrap(), Ok(number));
    }
    for number in [0, MAX_SEQUENCE_CEILING + 1, u64::MAX] {
        let Err(AuthorError::Refused(refused)) = ceiling(Role::Release, Some(number)) else {
            panic!("{number}")
        };
        assert_eq!(refused.kind, ErrorKind::OutOfRange);
    }
    for role in [Role::Identity, Role::Service, Role::Device, Role::Operator] {
        assert_eq!(ceiling(role, None).unwrap(), Ok(0));
        let Err(AuthorError::Refused(refused)) = ceiling(role, Some(9)) else { panic!("{role:?}") };
        assert_eq!(refused.kind, ErrorKind::UnknownKey);
    }
}

#[test]
fn a_generation_below_the_lowest_is_revoked() {
    let refused = |generation, role, lowest: &[(Role, u64)]| {
        let request = trust::author::CredentialRequest { generation, role, ..request() };
        let cwt = issue_credential(&request, &root()).unwrap();
        let list = RevocationRequest {
            revoked: vec![],
            lowest_generations: lowest.to_vec(),
            ..revocation_request()
        };
        let list = sign_revocation(&list, &root()).unwrap();
        let anchors = anchors();
        let lists = [RevocationList::verify(&list, &anchors).unwrap()];
        let store = TrustStore::new(&anchors).with_lists(&lists);
        Credential::verify(&cwt, &store, role).err().map(|error| error.kind)
    };
    for role in Role::ALL {
        assert_eq!(refused(2, role, &[(role, 3)]), Some(ErrorKind::GenerationRevoked), "{role:?}");
        assert_eq!(refused(3, role, &[(role, 3)]), None, "{role:?}");
        for other in Role::ALL.into_iter().filter(|other| *other != role) {
            assert_eq!(refused(0, role, &[(other, 3)]), None, "{role:?}, {other:?}");
        }
    }
    let high = trust::author::CredentialRequest { generation: MAX_GENERATION + 1, ..request() };
    let Err(AuthorError::Refused(error)) = issue_credential(&high, &root()) else { panic!("issued") };
    assert_eq!(error.kind, ErrorKind::OutOfRange);
}

#[test]
fn a_credential_is_exchanged_under_the_same_signature() {
    let renewed = trust::author::CredentialRequest { cti: [0x78; 16], expires: None, ..request() };
    let renewed = issue_credential(&renewed, &root()).unwrap();
    let old = chained();
    let new = exchange_credential(&old, PAYLOAD, &renewed).unwrap();
    let anchors = anchors();
    let authority = verify_chained_sign1(&new, PAYLOAD, &store(&anchors), Role::Release).unwrap();
    assert_eq!(authority.credential().cti(), &[0x78; 16]);
    assert_eq!(new[new.len() - 64..], old[old.len() - 64..], "the signature is the same");
    assert_eq!(exchange_credential(&new, PAYLOAD, &credential()).unwrap(), old);
    // Another key's credential, another payload: nothing is made that does not verify.
    let other = trust::author::CredentialRequest { key: key(6).public_key(), ..request() };
    let other = issue_credential(&other, &root()).unwrap();
    let refused = exchange_credential(&old, PAYLOAD, &other).unwrap_err();
    assert!(matches!(refused, AuthorError::NotTheSignersCredential));
    let Err(AuthorError::Refused(refused)) = exchange_credential(&old, b"another", &renewed) else {
        panic!("made")
    };
    assert_eq!(refused.kind, ErrorKind::SignatureInvalid);
}

#[test]
fn scope_permits_what_it_names() {
    let anchors = anchors();
    let mut request = request();
    request.scope.serials = vec!["A-1".into(), "A-2".into()];
    request.scope.actions = Some(5);
    let cwt = issue_credential(&request, &root()).unwrap();
    let credential = Credential::verify(&cwt, &store(&anchors), Role::Release).unwrap();
    let scope = credential.scope();
    assert_eq!(scope.vendor(), &VENDOR);
    assert!(scope.permits_vendor(&VENDOR) && !scope.permits_vendor(&CLASS));
    assert!(scope.permits_class(&CLASS) && !scope.permits_class(&VENDOR));
    assert!(scope.permits_serial("A-2") && !scope.permits_serial("A-3") && !scope.permits_serial(""));
    assert_eq!(scope.classes().collect::<Vec<_>>(), [&CLASS]);
    assert_eq!(scope.serials().collect::<Vec<_>>(), ["A-1", "A-2"]);
    assert_eq!(scope.actions(), Some(5));

    request.scope.classes.clear();
    request.scope.serials.clear();
    request.scope.actions = None;
    let cwt = issue_credential(&request, &root()).unwrap();
    let credential = Credential::verify(&cwt, &store(&anchors), Role::Release).unwrap();
    assert!(credential.scope().permits_class(&[0; 16]) && credential.scope().permits_serial("any"));
    assert!(!credential.scope().permits_vendor(&[0; 16]));
    assert_eq!(credential.scope().actions(), None);
}

#[test]
fn a_chained_signature_gives_authority() {
    let (sign1, anchors) = (chained(), anchors());
    let authority = verify_chained_sign1(&sign1, PAYLOAD, &store(&anchors), Role::Release).unwrap();
    assert_eq!(authority.credential().key(), &release().public_key());
    assert!(authority.scope().permits_vendor(&VENDOR));
}

#[test]
fn another_payload_is_refused() {
    let (sign1, anchors) = (chained(), anchors());
    for payload in [&PAYLOAD[1..], b"", &[PAYLOAD, b"\0"].concat()] {
        let refused = verify_chained_sign1(&sign1, payload, &store(&anchors), Role::Release).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::SignatureInvalid);
    }
    let refused = verify_chained_sign1(&sign1, &[0; 257], &store(&anchors), Role::Release).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::TooLong);
}

#[test]
fn a_foreign_anchor_is_refused() {
    let (sign1, cwt) = (chained(), credential());
    for anchors in [vec![], vec![anchor(5)], vec![Anchor::root(release().public_key())]] {
        let refused = Credential::verify(&cwt, &store(&anchors), Role::Release).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::AnchorUnknown);
        let refused = verify_chained_sign1(&sign1, PAYLOAD, &store(&anchors), Role::Release).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::AnchorUnknown);
    }
    let several = [anchor(5), anchors()[0]];
    assert!(verify_chained_sign1(&sign1, PAYLOAD, &store(&several), Role::Release).is_ok());
}

#[test]
fn a_release_key_certifies_nobody() {
    let mut request = request();
    request.key = key(6).public_key();
    let cwt = issue_credential(&request, &release()).unwrap();
    let sign1 = sign1_detached_chained(PAYLOAD, &key(6), &cwt).unwrap();
    let refused = verify_chained_sign1(&sign1, PAYLOAD, &store(&anchors()), Role::Release).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::AnchorUnknown);
}

#[test]
fn a_release_key_revokes_nothing() {
    let cwt = sign_revocation(&revocation_request(), &release()).unwrap();
    assert_eq!(RevocationList::verify(&cwt, &anchors()).unwrap_err().kind, ErrorKind::AnchorUnknown);
}

#[test]
fn every_other_role_is_refused() {
    let anchors = anchors();
    let roles = [Role::Release, Role::Identity, Role::Service, Role::Device, Role::Operator];
    for held in roles {
        let mut request = request();
        request.role = held;
        let cwt = issue_credential(&request, &root()).unwrap();
        let sign1 = sign1_detached_chained(PAYLOAD, &release(), &cwt).unwrap();
        for needed in roles {
            let result = verify_chained_sign1(&sign1, PAYLOAD, &store(&anchors), needed);
            match result {
                Ok(_) => assert_eq!(held, needed),
                Err(refused) => {
                    assert_ne!(held, needed);
                    assert_eq!(refused.kind, ErrorKind::RoleMismatch);
                }
            }
        }
    }
}

#[test]
fn revoked_by_cti_and_by_kid() {
    let (sign1, anchors) = (chained(), anchors());
    let nothing = RevocationRequest { revoked: vec![], ..revocation_request() };
    for (request, expected) in [
        (nothing.clone(), None),
        (revocation_request(), None),
        (
            RevocationRequest {
                revoked: vec![credential_id([0; 16]), credential_id(CTI)],
                ..nothing.clone()
            },
            Some(ErrorKind::CredentialRevoked),
        ),
        (RevocationRequest { revoked: vec![revoked_key(2)], ..nothing }, Some(ErrorKind::KeyRevoked)),
    ] {
        let cwt = sign_revocation(&request, &root()).unwrap();
        let lists = [RevocationList::verify(&cwt, &anchors).unwrap()];
        let store = TrustStore::new(&anchors).with_lists(&lists);
        let result = verify_chained_sign1(&sign1, PAYLOAD, &store, Role::Release);
        assert_eq!(result.err().map(|error| error.kind), expected);
    }
}

#[test]
fn only_the_list_of_the_credentials_own_anchor_counts() {
    let (sign1, other) = (chained(), key(5));
    let anchors = [anchors()[0], anchor(5)];
    let empty = RevocationRequest { revoked: vec![], ..revocation_request() };
    let cti = RevocationRequest { revoked: vec![credential_id(CTI)], ..empty.clone() };
    let kid = RevocationRequest { revoked: vec![revoked_key(2)], ..empty.clone() };
    // What the root's list names, what the other anchor's does.
    for (own, foreign, expected) in [
        (&empty, &cti, None),
        (&empty, &kid, None),
        (&cti, &empty, Some(ErrorKind::CredentialRevoked)),
        (&kid, &cti, Some(ErrorKind::KeyRevoked)),
    ] {
        let (own, foreign) =
            (sign_revocation(own, &root()).unwrap(), sign_revocation(foreign, &other).unwrap());
        let own = RevocationList::verify(&own, &anchors).unwrap();
        let foreign = RevocationList::verify(&foreign, &anchors).unwrap();
        for lists in [[own.clone(), foreign.clone()], [foreign, own]] {
            let store = TrustStore::new(&anchors).with_lists(&lists);
            let result = verify_chained_sign1(&sign1, PAYLOAD, &store, Role::Release);
            assert_eq!(result.err().map(|error| error.kind), expected);
        }
    }
}

#[test]
fn time_is_checked_with_a_clock_and_only_then() {
    let (sign1, anchors) = (chained(), anchors());
    for (now, expected) in [
        (None, None),
        (Some(0), Some(ErrorKind::CredentialNotYetValid)),
        (Some(1_699_999_999), Some(ErrorKind::CredentialNotYetValid)),
        (Some(1_700_000_000), None),
        (Some(1_799_999_999), None),
        (Some(1_800_000_000), Some(ErrorKind::CredentialExpired)),
        (Some(u64::MAX), Some(ErrorKind::CredentialExpired)),
    ] {
        let store = now.map(UnixTime).into_iter().fold(TrustStore::new(&anchors), TrustStore::at);
        let result = verify_chained_sign1(&sign1, PAYLOAD, &store, Role::Release);
        assert_eq!(result.err().map(|error| error.kind), expected, "{now:?}");
    }
}

#[test]
fn a_revocation_list_says_what_was_signed() {
    let (cwt, anchors) = (revocation(), anchors());
    let list = RevocationList::verify(&cwt, &anchors).unwrap();
    assert_eq!(list.issuer_kid(), root().public_key().kid());
    assert_eq!((list.iss(), list.issued_at(), list.sequence()), ("Example root", UnixTime(1_700_000_000), 3));
    let kid = key(9).public_key().kid();
    // One entry a role, with the highest generation of its ids.
    let told =
        [RevokedId::Key(kid), RevokedId::Credential([0x99; 16])].map(|id| id.revoked(Role::Release, 2));
    assert_eq!(list.revoked().collect::<Vec<_>>(), told);
    assert!(
        list.revokes_kid(Role::Release, &kid) && !list.revokes_kid(Role::Release, &root().public_key().kid())
    );
    assert!(list.revokes_cti(Role::Release, &[0x99; 16]) && !list.revokes_cti(Role::Release, &CTI));
    assert!(!list.revokes_kid(Role::Service, &kid) && !list.revokes_cti(Role::Service, &[0x99; 16]));
    assert_eq!(Role::ALL.map(|role| list.lowest_generation(role)), [0, 0, 0, 1, 0]);
    assert_eq!(list.minimum_sequence(&VENDOR, &CLASS), 7);
    assert_eq!(list.minimum_sequence(&CLASS, &VENDOR), 0);
    let minimum = MinimumSequence { vendor: &VENDOR, class: Some(&CLASS), sequence: 7 };
    assert_eq!(list.minimum_sequences().collect::<Vec<_>>(), [minimum]);
    assert_eq!(list.as_bytes(), cwt);
}

#[test]
fn a_list_takes_the_place_of_an_older_one_only() {
    let anchors = anchors();
    let lists = [2, 3, 4].map(|sequence| {
        sign_revocation(&RevocationRequest { sequence, ..revocation_request() }, &root()).unwrap()
    });
    let [older, list, newer] = lists.each_ref().map(|cwt| RevocationList::verify(cwt, &anchors).unwrap());
    assert_eq!(list.replaces(&older), Ok(Replacement::Newer));
    assert_eq!(list.replaces(&list), Ok(Replacement::Same));
    assert_eq!(list.replaces(&newer).unwrap_err().kind, ErrorKind::RevocationSequence);
}

#[test]
fn a_list_cannot_name_an_anchor_of_its_domain() {
    let other = key(5).public_key();
    let request = RevocationRequest { revoked: vec![revoked_key(5)], ..revocation_request() };
    let cwt = sign_revocation(&request, &root()).unwrap();
    let own = anchors()[0];
    for rights in [Rights::FIRMWARE, Rights::GOVERNANCE, Rights::SUCCESSION] {
        let same_domain = [own, Anchor::new(other, rights, own.domain())];
        assert_eq!(RevocationList::verify(&cwt, &same_domain).unwrap_err().kind, ErrorKind::RevokesAnchor);
    }
    let retired = [own, Anchor::new(other, Rights::BOOT, own.domain())];
    assert!(
        RevocationList::verify(&cwt, &retired).is_ok(),
        "a root that has retired, and that others have dropped"
    );
    assert!(RevocationList::verify(&cwt, &[own, anchor(5)]).is_ok(), "an anchor of another domain");
    assert!(RevocationList::verify(&cwt, &[own]).is_ok(), "a key that is no anchor here");
    let own = RevocationRequest { revoked: vec![revoked_key(1)], ..revocation_request() };
    let Err(AuthorError::Refused(refused)) = sign_revocation(&own, &root()) else { panic!("made") };
    assert_eq!(refused.kind, ErrorKind::RevokesAnchor);
}

/// An anchor certifies, lists and boots what its rights say, and nothing else.
#[test]
fn an_anchor_does_what_its_rights_say() {
    let refused = |rights, role, boots: bool| {
        let mut request = request();
        request.role = role;
        let cwt = issue_credential(&request, &root()).unwrap();
        let anchors = [Anchor::new(root().public_key(), rights, anchors()[0].domain())];
        let store = if boots { store(&anchors).to_boot() } else { store(&anchors) };
        Credential::verify(&cwt, &store, role).err().map(|error| error.kind)
    };
    let missing = Some(ErrorKind::AnchorRights);
    let others = [Role::Identity, Role::Service, Role::Device, Role::Operator];
    for bits in 1..=15 {
        let rights = Rights::from_bits(bits).unwrap();
        let needs = |right| if rights.include(right) { None } else { missing };
        assert_eq!(refused(rights, Role::Release, false), needs(Rights::FIRMWARE), "{rights:?}");
        let boots = rights.include(Rights::FIRMWARE) || rights.include(Rights::BOOT);
        assert_eq!(refused(rights, Role::Release, true).is_none(), boots, "{rights:?}");
        for role in others {
            assert_eq!(refused(rights, role, false), needs(Rights::GOVERNANCE), "{rights:?}");
            assert_eq!(refused(rights, role, true), needs(Rights::GOVERNANCE), "{rights:?}");
        }
        let anchors = [Anchor::new(root().public_key(), rights, anchors()[0].domain())];
        let list = RevocationList::verify(&revocation(), &anchors).err().map(|error| error.kind);
        assert_eq!(list, needs(Rights::GOVERNANCE), "{rights:?}");
    }
    assert_eq!([0, 16, 255, u64::MAX].map(Rights::from_bits), [None; 4]);
}

/// Two anchors of one domain: a list of either counts for the credentials of both.
#[test]
fn a_list_counts_for_its_domain() {
    let (sign1, domain) = (chained(), anchors()[0].domain());
    let anchors = [anchors()[0], Anchor::new(key(5).public_key(), Rights::GOVERNANCE, domain)];
    let request = RevocationRequest { revoked: vec![credential_id(CTI)], ..revocation_request() };
    let cwt = sign_revocation(&request, &key(5)).unwrap();
    let lists = [RevocationList::verify(&cwt, &anchors).unwrap()];
    assert_eq!(lists[0].domain(), domain);
    let store = TrustStore::new(&anchors).with_lists(&lists);
    let refused = verify_chained_sign1(&sign1, PAYLOAD, &store, Role::Release).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::CredentialRevoked);
}

#[test]
fn the_newest_list_of_a_domain_counts_in_any_order() {
    let (sign1, anchors) = (chained(), anchors());
    let old = RevocationRequest { sequence: 1, revoked: vec![], ..revocation_request() };
    let new = RevocationRequest { sequence: 2, revoked: vec![credential_id(CTI)], ..revocation_request() };
    let [old, new] = [old, new].map(|request| sign_revocation(&request, &root()).unwrap());
    let [old, new] = [&old, &new].map(|cwt| RevocationList::verify(cwt, &anchors).unwrap());
    for lists in [[old.clone(), new.clone()], [new, old]] {
        let store = TrustStore::new(&anchors).with_lists(&lists);
        let refused = verify_chained_sign1(&sign1, PAYLOAD, &store, Role::Release).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::CredentialRevoked);
    }
}

#[test]
fn a_trust_store_holds_the_newest_list_of_each_domain() {
    let list = |sequence, signer: &SoftwareKey| {
        sign_revocation(&RevocationRequest { sequence, ..revocation_request() }, signer).unwrap()
    };
    let mut trusted = TrustStoreBuf::new([anchors()[0], anchor(5), anchors()[0]]);
    assert_eq!(trusted.anchors().len(), 2);
    for (sequence, held) in [(2, Held::Newest), (5, Held::Newest), (3, Held::Older), (5, Held::Already)] {
        assert_eq!(trusted.add_list(list(sequence, &root())), Ok(held), "{sequence}");
    }
    assert_eq!(trusted.add_list(list(1, &key(5))), Ok(Held::Newest));
    let foreign = trusted.add_list(list(9, &key(6))).unwrap_err();
    assert_eq!(foreign.kind, ErrorKind::AnchorUnknown);
    assert_eq!(trusted.lists().map(|list| list.sequence()).collect::<Vec<_>>(), [5, 1]);
    let newest = trusted.with(None, |store| {
        trusted.domains().map(|domain| store.list_of(domain).map(|list| list.sequence())).collect::<Vec<_>>()
    });
    assert_eq!(newest, [Some(5), Some(1)]);
}

#[test]
fn a_fork_is_named() {
    let list = |issued_at| {
        let request = RevocationRequest { issued_at: UnixTime(issued_at), ..revocation_request() };
        sign_revocation(&request, &root()).unwrap()
    };
    let mut trusted = TrustStoreBuf::new(anchors());
    assert_eq!(trusted.add_list(list(1)), Ok(Held::Newest));
    assert_eq!(trusted.add_list(list(2)).unwrap_err().kind, ErrorKind::RevocationForked);
    assert_eq!(trusted.add_list(list(1)), Ok(Held::Already));
}

#[test]
fn the_author_refuses_what_would_be_refused() {
    let never = trust::author::CredentialRequest {
        not_before: Some(UnixTime(5)),
        expires: Some(UnixTime(5)),
        ..request()
    };
    assert!(matches!(issue_credential(&never, &root()), Err(AuthorError::NeverValid)));
    assert!(matches!(
        sign1_detached_chained(PAYLOAD, &key(6), &credential()),
        Err(AuthorError::NotTheSignersCredential)
    ));
    let zero = RevocationRequest { sequence: 0, ..revocation_request() };
    let Err(AuthorError::Refused(refused)) = sign_revocation(&zero, &root()) else { panic!("made") };
    assert_eq!(refused.kind, ErrorKind::OutOfRange);
    let many = RevocationRequest {
        revoked: (0..33).map(|number| credential_id([number; 16])).collect(),
        ..revocation_request()
    };
    let Err(AuthorError::Refused(refused)) = sign_revocation(&many, &root()) else { panic!("made") };
    assert_eq!(refused.kind, ErrorKind::TooMany);
}

#[test]
fn a_credential_can_be_shown_unverified() {
    let mut cwt = credential();
    *cwt.last_mut().unwrap() ^= 1;
    assert_eq!(read_unverified_credential(&cwt).unwrap().sub(), "Example release");
    let refused = Credential::verify(&cwt, &store(&anchors()), Role::Release).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::SignatureInvalid);
}

#[test]
fn a_revocation_list_can_be_read_unverified() {
    let mut cwt = revocation();
    *cwt.last_mut().unwrap() ^= 1;
    let list = read_unverified_revocation(&cwt).unwrap();
    assert_eq!((list.issuer_kid(), list.sequence()), (root().public_key().kid(), 3));
    assert_eq!(RevocationList::verify(&cwt, &anchors()).unwrap_err().kind, ErrorKind::SignatureInvalid);
    assert_eq!(read_unverified_revocation(&credential()).unwrap_err().kind, ErrorKind::RecordType);
}
