//! Which list may take the place of which: docs/records.md, Revocation.

use proptest::prelude::*;
use trust::author::{AuthorError, Minimum, RevocationRequest, sign_revocation};
use trust::{
    Error, ErrorKind, Kid, MAX_GENERATION, MAX_LIST_SEQUENCE, MAX_MINIMUM_SEQUENCE, MAX_REVOCATION_LIST_LEN,
    MAX_REVOKED, Replacement, RevocationList, RevokedId, Role, TrustStoreBuf, UnixTime,
};

use super::roots::{CLASS, VENDOR, anchors, key, minimum, revocation_request, revoked_key, root};

const DROPS: Result<Replacement, ErrorKind> = Err(ErrorKind::RevocationDropsEntry);
const NEWER: Result<Replacement, ErrorKind> = Ok(Replacement::Newer);

/// What becomes of `next`, number 2, when `held`, number 1, is held.
fn judge(held: &RevocationRequest, next: &RevocationRequest) -> Result<Replacement, ErrorKind> {
    let held = sign_revocation(&RevocationRequest { sequence: 1, ..held.clone() }, &root()).unwrap();
    let next = sign_revocation(&RevocationRequest { sequence: 2, ..next.clone() }, &root()).unwrap();
    let anchors = anchors();
    let held = RevocationList::verify(&held, &anchors).unwrap();
    RevocationList::verify(&next, &anchors).unwrap().replaces(&held).map_err(|error: Error| error.kind)
}

fn empty() -> RevocationRequest {
    RevocationRequest::first("Example root".into(), UnixTime(0))
}

/// The way back in for a stolen key: a newer list that forgets it.
#[test]
fn a_newer_list_that_drops_an_entry_is_refused() {
    let held = RevocationRequest { revoked: vec![revoked_key(9)], ..empty() };
    assert_eq!(judge(&held, &held), NEWER);
    assert_eq!(judge(&held, &empty()), DROPS);
    assert_eq!(judge(&held, &RevocationRequest { revoked: vec![revoked_key(8)], ..empty() }), DROPS);
    let both = RevocationRequest { revoked: vec![revoked_key(8), revoked_key(9)], ..empty() };
    assert_eq!(judge(&held, &both), NEWER);
    // For another role it is another entry.
    let id = revoked_key(9).id;
    let other = RevocationRequest { revoked: vec![id.revoked(Role::Service, 0)], ..empty() };
    assert_eq!(judge(&held, &other), DROPS);
    // A lower generation would let it be dropped too early later on.
    let at =
        |generation| RevocationRequest { revoked: vec![id.revoked(Role::Release, generation)], ..empty() };
    assert_eq!(judge(&at(3), &at(3)), NEWER);
    assert_eq!(judge(&at(3), &at(4)), NEWER);
    assert_eq!(judge(&at(3), &at(2)), DROPS);
}

#[test]
fn an_entry_goes_when_its_generation_is_revoked_as_a_whole() {
    let held = RevocationRequest { revoked: vec![revoked_key(9).id.revoked(Role::Release, 3)], ..empty() };
    let lowest = |role, lowest| RevocationRequest { lowest_generations: vec![(role, lowest)], ..empty() };
    assert_eq!(judge(&held, &lowest(Role::Release, 4)), NEWER);
    assert_eq!(judge(&held, &lowest(Role::Release, 3)), DROPS, "its own generation is still good");
    assert_eq!(judge(&held, &lowest(Role::Service, 4)), DROPS, "of another role");
}

#[test]
fn the_lowest_generation_of_a_role_never_falls() {
    for role in Role::ALL {
        let lowest = |lowest| RevocationRequest { lowest_generations: vec![(role, lowest)], ..empty() };
        assert_eq!(judge(&lowest(3), &lowest(2)), DROPS, "{role:?}");
        assert_eq!(judge(&lowest(3), &lowest(3)), NEWER);
        assert_eq!(judge(&lowest(3), &lowest(4)), NEWER);
        assert_eq!(judge(&lowest(3), &empty()), DROPS);
    }
}

#[test]
fn a_minimum_sequence_never_falls() {
    let of = |minimums: &[Minimum]| RevocationRequest { minimum_sequences: minimums.to_vec(), ..empty() };
    let wide = |sequence| Minimum { vendor: VENDOR, class: None, sequence };
    assert_eq!(judge(&of(&[minimum(7)]), &of(&[minimum(7)])), NEWER);
    assert_eq!(judge(&of(&[minimum(7)]), &of(&[minimum(8)])), NEWER);
    assert_eq!(judge(&of(&[minimum(7)]), &of(&[minimum(6)])), DROPS);
    assert_eq!(judge(&of(&[minimum(7)]), &empty()), DROPS);
    // One for every class of the vendor stands in for a lower one of a class, never the other way round.
    assert_eq!(judge(&of(&[minimum(7)]), &of(&[wide(7)])), NEWER);
    assert_eq!(judge(&of(&[minimum(7)]), &of(&[wide(6)])), DROPS);
    assert_eq!(judge(&of(&[wide(7)]), &of(&[minimum(7)])), DROPS);
    let foreign = Minimum { vendor: CLASS, ..wide(9) };
    assert_eq!(judge(&of(&[minimum(7)]), &of(&[foreign])), DROPS, "another vendor's");
}

/// `revoke --previous A --previous B`: union, maxima, one above both; it may take the place of either.
#[test]
fn a_fork_ends_with_a_list_that_follows_both() {
    let a = RevocationRequest {
        sequence: 4,
        revoked: vec![revoked_key(8), revoked_key(9)],
        lowest_generations: vec![(Role::Service, 2)],
        minimum_sequences: vec![minimum(7)],
        ..empty()
    };
    let b = RevocationRequest {
        sequence: 4,
        revoked: vec![revoked_key(9).id.revoked(Role::Release, 3), revoked_key(7)],
        lowest_generations: vec![(Role::Service, 1), (Role::Device, 1)],
        minimum_sequences: vec![Minimum { vendor: VENDOR, class: None, sequence: 5 }],
        ..empty()
    };
    let signed = [&a, &b].map(|request| sign_revocation(request, &root()).unwrap());
    let anchors = anchors();
    let [a, b] = signed.each_ref().map(|cwt| RevocationList::verify(cwt, &anchors).unwrap());
    assert_eq!(a.replaces(&b).unwrap_err().kind, ErrorKind::RevocationForked);
    assert_eq!(b.replaces(&a).unwrap_err().kind, ErrorKind::RevocationForked);

    let united =
        RevocationRequest::following("Example root".into(), UnixTime(9), &[a.clone(), b.clone()]).unwrap();
    assert_eq!(united.sequence, 5);
    let cwt = sign_revocation(&united, &root()).unwrap();
    let list = RevocationList::verify(&cwt, &anchors).unwrap();
    assert_eq!([list.replaces(&a), list.replaces(&b)], [Ok(Replacement::Newer); 2]);
    assert_eq!(list.revoked().count(), 3);
    assert_eq!(Role::ALL.map(|role| list.lowest_generation(role)), [0, 0, 2, 1, 0]);
    assert_eq!(list.minimum_sequence(&VENDOR, &CLASS), 7);
    assert_eq!(list.minimum_sequence(&VENDOR, &VENDOR), 5);
    // One of both alone does not end it.
    let half = RevocationRequest::following("Example root".into(), UnixTime(9), &[a]).unwrap();
    let half = sign_revocation(&half, &root()).unwrap();
    let half = RevocationList::verify(&half, &anchors).unwrap();
    assert_eq!(half.replaces(&b).unwrap_err().kind, ErrorKind::RevocationDropsEntry);
}

#[test]
fn a_store_takes_no_list_that_drops_an_entry_in_either_order() {
    let sign = |sequence, revoked| {
        sign_revocation(&RevocationRequest { sequence, revoked, ..empty() }, &root()).unwrap()
    };
    let (old, new) = (sign(1, vec![revoked_key(9)]), sign(2, vec![]));
    for lists in [[&old, &new], [&new, &old]] {
        let mut trusted = TrustStoreBuf::new(anchors());
        trusted.add_list(lists[0].clone()).unwrap();
        let refused = trusted.add_list(lists[1].clone()).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::RevocationDropsEntry);
        assert_eq!(trusted.lists().next().unwrap().as_bytes(), lists[0], "the store stays as it was");
    }
}

#[test]
fn the_largest_list_that_the_counts_allow_fits() {
    let largest = RevocationRequest {
        iss: "i".repeat(64),
        issued_at: UnixTime(u64::MAX),
        sequence: MAX_LIST_SEQUENCE,
        revoked: (0..MAX_REVOKED as usize)
            .map(|number| {
                let role = Role::ALL[number % Role::ALL.len()];
                RevokedId::Credential([u8::try_from(number).unwrap(); 16]).revoked(role, MAX_GENERATION)
            })
            .collect(),
        lowest_generations: Role::ALL.map(|role| (role, MAX_GENERATION)).to_vec(),
        minimum_sequences: (0..16)
            .map(|number| Minimum {
                vendor: VENDOR,
                class: Some([number; 16]),
                sequence: MAX_MINIMUM_SEQUENCE,
            })
            .collect(),
    };
    let cwt = sign_revocation(&largest, &root()).unwrap();
    assert!(cwt.len() <= MAX_REVOCATION_LIST_LEN, "{} bytes", cwt.len());
    let anchors = anchors();
    let list = RevocationList::verify(&cwt, &anchors).unwrap();
    assert_eq!((list.revoked().count(), list.minimum_sequences().count()), (MAX_REVOKED as usize, 16));
}

#[test]
fn what_is_revoked_as_a_whole_takes_no_room() {
    let mut request = RevocationRequest {
        revoked: (0..40)
            .map(|number| RevokedId::Credential([number; 16]).revoked(Role::Release, 1))
            .collect(),
        ..revocation_request()
    };
    let Err(AuthorError::Refused(refused)) = sign_revocation(&request, &root()) else { panic!("made") };
    assert_eq!(refused.kind, ErrorKind::TooMany);
    request.raise_generation(Role::Release, 2);
    let cwt = sign_revocation(&request, &root()).unwrap();
    let anchors = anchors();
    assert_eq!(RevocationList::verify(&cwt, &anchors).unwrap().revoked().count(), 0);
}

/// A list of few roles, ids, generations and minimums, so that lists meet.
fn lists() -> impl Strategy<Value = RevocationRequest> {
    let role = (0..Role::ALL.len()).prop_map(|index| Role::ALL[index]);
    let entry = (role.clone(), 0..4u64, 0..4u8)
        .prop_map(|(role, generation, id)| RevokedId::Key(Kid([id; 8])).revoked(role, generation));
    let class = prop_oneof![Just(None), (0..3u8).prop_map(|class| Some([class; 16]))];
    let minimum = (class, 0..4u64).prop_map(|(class, sequence)| Minimum { vendor: VENDOR, class, sequence });
    let entries = proptest::collection::vec(entry, 0..6);
    let lowest = proptest::collection::vec((role, 0..4u64), 0..3);
    let minimums = proptest::collection::vec(minimum, 0..4);
    (entries, lowest, minimums).prop_map(|(entries, lowest, minimums)| {
        let mut request = empty();
        entries.iter().for_each(|entry| request.revoke(entry.role, entry.generation, entry.id));
        lowest.iter().for_each(|(role, lowest)| request.raise_generation(*role, *lowest));
        minimums.iter().for_each(|minimum| request.raise_minimum(*minimum));
        request
    })
}

/// Whether a credential with this key, role and generation, or a release with this number, is refused by a list.
fn refuses(list: &RevocationList<'_>) -> Vec<bool> {
    let mut refused = Vec::new();
    for role in Role::ALL {
        for (id, generation) in (0..4).flat_map(|id| (0..4).map(move |generation| (id, generation))) {
            let by_list = list.revokes_kid(role, &Kid([id; 8])) || generation < list.lowest_generation(role);
            refused.push(by_list);
        }
    }
    for (class, sequence) in (0..4).flat_map(|class| (0..5).map(move |sequence| (class, sequence))) {
        let least = list.minimum_sequence(&VENDOR, &[class; 16]);
        refused.push(sequence < least);
    }
    refused
}

proptest! {
    /// The rule behind the rules: what a list refuses, no list that may replace it lets in again. A revoked key has
    /// only the generations under which it was certified: those that its entry names, and lower ones.
    #[test]
    fn nothing_that_is_refused_is_let_in_again(held in lists(), next in lists()) {
        let sign = |request: &RevocationRequest, sequence| {
            sign_revocation(&RevocationRequest { sequence, ..request.clone() }, &root()).unwrap()
        };
        let (held, next) = (sign(&held, 1), sign(&next, 2));
        let anchors = anchors();
        let (held, next) =
            (RevocationList::verify(&held, &anchors).unwrap(), RevocationList::verify(&next, &anchors).unwrap());
        if next.replaces(&held).is_ok() {
            let highest = |role, id| {
                held.revoked().filter(|entry| (entry.role, entry.id) == (role, id)).map(|entry| entry.generation).max()
            };
            for (index, (before, after)) in refuses(&held).into_iter().zip(refuses(&next)).enumerate() {
                let credentials = Role::ALL.len() * 16;
                if before && !after {
                    prop_assert!(index < credentials, "a minimum fell");
                    let (role, id) = (Role::ALL[index / 16], RevokedId::Key(Kid([u8::try_from(index % 16 / 4).unwrap(); 8])));
                    let generation = u64::try_from(index % 4).unwrap();
                    prop_assert!(highest(role, id).is_some_and(|highest| generation > highest), "{role:?} {id:?} {generation}");
                }
            }
        }
        // And the list that follows one always may replace it.
        let following = RevocationRequest::following("r".into(), UnixTime(0), std::slice::from_ref(&held)).unwrap();
        let following = sign_revocation(&following, &root()).unwrap();
        let following = RevocationList::verify(&following, &anchors).unwrap();
        prop_assert_eq!(following.replaces(&held), Ok(Replacement::Newer));
    }
}

#[test]
fn the_entry_of_another_domain_has_no_effect_and_is_no_fault() {
    let other = key(5);
    let both = [anchors()[0], trust::Anchor::root(trust::author::Signer::public_key(&other))];
    let list = RevocationRequest { revoked: vec![revoked_key(5)], ..empty() };
    let cwt = sign_revocation(&list, &root()).unwrap();
    assert!(RevocationList::verify(&cwt, &both).is_ok());
}
