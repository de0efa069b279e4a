//! Who succeeds whom: docs/records.md, Succession.

use trust::author::{
    AuthorError, Minimum, Signer as _, SuccessionRequest, grant_succession, request_succession,
};
use trust::{
    Anchor, AnchorSet, Error, ErrorKind, Holding, Kid, MAX_MINIMUM_SEQUENCE, MAX_SUCCESSION_CHAIN_LEN,
    RevocationList, Rights, Succeeded, SuccessionChain, SuccessionNumber, UnixTime, encode_succession_chain,
    verify_succession_request,
};

use super::forge::{SUCCESSION, SUCCESSION_GRANT, Sign1, map, succession, succession_claims};
use super::roots::{VENDOR, anchors, key, root};
use super::thrones::{
    RECOVERY, ROOT, Succession, by_recovery, by_root, domain, first_list, given, list, number,
};

const FIRST: SuccessionNumber = SuccessionNumber::FIRST;

/// A chain of these records, and an empty list of this root.
fn chain(records: &[Vec<u8>], root: u8) -> Vec<u8> {
    let records: Vec<_> = records.iter().map(Vec::as_slice).collect();
    encode_succession_chain(&records, &first_list(root)).unwrap()
}

/// What a verifier with these anchors finds, its root having this number.
fn follow(held: &[Anchor], at: SuccessionNumber, records: &[Vec<u8>]) -> Result<Succeeded, ErrorKind> {
    let holding = Holding { given: &given(), held, numbers: &[at] };
    // The list is judged later.
    let chain = chain(records, 1);
    SuccessionChain::verify(&chain, &holding).map(|chain| *chain.succeeded()).map_err(|error| error.kind)
}

/// The same of a device that has taken nothing yet.
fn follow_first(records: &[Vec<u8>]) -> Result<Succeeded, ErrorKind> {
    follow(&given(), FIRST, records)
}

/// A device after the succession.
fn after(succeeded: &Succeeded, held: &[Anchor]) -> AnchorSet {
    succeeded.anchors_after(held, Some(Kid([0; 8]))).unwrap()
}

fn key_of(succeeded: Result<Succeeded, ErrorKind>) -> Result<[u8; 32], ErrorKind> {
    succeeded.map(|succeeded| *succeeded.root().key().as_bytes())
}

fn is_key(number: u8) -> Result<[u8; 32], ErrorKind> {
    Ok(*key(number).public_key().as_bytes())
}

#[test]
fn a_root_names_its_successor_and_the_recovery_root_names_any() {
    let succeeded = follow_first(&[by_root(1, 4, 1).record()]).unwrap();
    assert_eq!((succeeded.number(), succeeded.is_by_recovery()), (number(0, 1), false));
    assert_eq!(*succeeded.root(), Anchor::new(key(4).public_key(), ROOT, domain()));
    let succeeded = follow_first(&[by_recovery(4, 1).record()]).unwrap();
    assert_eq!((succeeded.number(), succeeded.is_by_recovery()), (number(1, 0), true));
    // Several in a row.
    let row = [by_root(1, 4, 1), by_root(4, 5, 2), by_recovery(6, 1)].map(|record| record.record());
    assert_eq!(key_of(follow_first(&row)), is_key(6));
    let row = [
        by_recovery(6, 1).record(),
        Succession { number: number(1, 1), ..by_root(6, 7, 1) }.record(),
        by_recovery(8, 2).record(),
    ];
    assert_eq!(follow_first(&row).unwrap().number(), number(2, 0));
}

/// Somebody else signs: a key that is no anchor, one of another domain, one that has retired, the recovery root with a
/// number of the root and the reverse.
#[test]
fn key25_a_succession_is_granted_by_the_present_root_or_the_recovery_root() {
    let good = by_root(1, 4, 1);
    assert_eq!(key_of(follow_first(&[good.grant(9)])), Err(ErrorKind::AnchorUnknown));
    assert_eq!(key_of(follow_first(&[good.grant(RECOVERY)])), Err(ErrorKind::AnchorRights));
    assert_eq!(key_of(follow_first(&[by_recovery(4, 1).grant(1)])), Err(ErrorKind::AnchorRights));
    let other = Anchor::root(key(9).public_key());
    let both = [given()[0], given()[1], other];
    let holding = Holding { given: &both, held: &both, numbers: &[FIRST; 2] };
    let refused = SuccessionChain::verify(&chain(&[good.grant(9)], 1), &holding).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::AnchorRights);
    // The domain of nobody here.
    let foreign = Succession { domain: other.domain(), ..good };
    assert_eq!(key_of(follow_first(&[foreign.record()])), Err(ErrorKind::AnchorUnknown));
    // Under the kid of the root.
    let claims = succession_claims(&root(), &key(4));
    let request = Sign1::record(&key(4), SUCCESSION, &map(&claims)).cwt(&key(4));
    let forged = Sign1::record(&root(), SUCCESSION_GRANT, &request);
    assert_eq!(key_of(follow_first(&[forged.cwt(&key(9))])), Err(ErrorKind::SignatureInvalid));
    // The root that was succeeded.
    let succeeded = follow_first(&[good.record()]).unwrap();
    let held = after(&succeeded, &given());
    assert!(held.signer(root().public_key().kid()).is_none(), "nothing needs it");
    let held = succeeded.anchors_after(&given(), None).unwrap();
    let late = by_root(1, 5, 2).record();
    let refused = follow(held.as_slice(), number(0, 1), &[late]);
    assert_eq!(key_of(refused), Err(ErrorKind::AnchorRights));
}

#[test]
fn key26_a_succession_that_is_old_or_out_of_its_order_is_refused() {
    let row = [by_root(1, 4, 1), by_root(4, 5, 2), by_root(5, 6, 3)].map(|record| record.record());
    let [one, two, three] = &row;
    assert_eq!(key_of(follow_first(std::slice::from_ref(two))), Err(ErrorKind::SuccessionOrder));
    for wrong in [[one, three], [two, one], [one, one], [three, two]] {
        assert_eq!(key_of(follow_first(&wrong.map(Clone::clone))), Err(ErrorKind::SuccessionOrder));
    }
    let held = after(&follow_first(&row[..2]).unwrap(), &given());
    let follow = |records: &[Vec<u8>]| key_of(follow(held.as_slice(), number(0, 2), records));
    for old in [&row[..1], &row[..2], &row[1..2]] {
        assert_eq!(follow(old), Err(ErrorKind::SuccessionOld));
    }
    // The whole row and what is missing lead to the same root.
    for new in [&row[..], &row[1..], &row[2..]] {
        assert_eq!(follow(new), is_key(6));
    }
    // An epoch is not passed over either, nor does the recovery root's word count twice.
    assert_eq!(follow(&[by_recovery(7, 2).record()]), Err(ErrorKind::SuccessionOrder));
    let recovered = [by_recovery(7, 1).record(), by_recovery(8, 2).record()];
    assert_eq!(follow(&recovered), is_key(8));
}

/// One of two domains in a chain is that of the other's root.
#[test]
fn key26_a_chain_is_of_one_domain() {
    let other = Anchor::root(key(9).public_key());
    let foreign = Succession { domain: other.domain(), ..by_root(9, 5, 2) };
    let both = [given()[0], given()[1], other];
    let holding = Holding { given: &both, held: &both, numbers: &[FIRST; 2] };
    let chain = chain(&[by_root(1, 4, 1).record(), foreign.record()], 1);
    assert_eq!(SuccessionChain::verify(&chain, &holding).unwrap_err().kind, ErrorKind::SuccessionOrder);
}

#[test]
fn key27_two_successions_of_one_number_are_a_fork_that_the_recovery_root_ends() {
    let [one, other] = [by_root(1, 4, 1), by_root(1, 9, 1)];
    let held = after(&follow_first(&[one.record()]).unwrap(), &given());
    let follow = |records: &[Vec<u8>]| key_of(follow(held.as_slice(), number(0, 1), records));
    let fork = Err(ErrorKind::SuccessionForked);
    assert_eq!(follow(&[other.record()]), fork);
    assert_eq!(follow(&[other.record(), by_root(9, 5, 2).record()]), fork);
    // The same key with other rights is another record.
    let rights = Rights::GOVERNANCE.and(Rights::SUCCESSION);
    assert_eq!(follow(&[Succession { rights, ..one }.record()]), fork);
    // On either side of the fork, and before it.
    let row = [other.record(), by_root(9, 5, 2).record(), by_recovery(6, 1).record()];
    assert_eq!(follow(&row), is_key(6));
    assert_eq!(key_of(follow_first(&row)), is_key(6));
    assert_eq!(follow(&row[2..]), is_key(6));
}

/// Two words of the recovery root for one epoch: nobody ends that.
#[test]
fn key27_the_recovery_root_itself_may_not_fork() {
    let held = after(&follow_first(&[by_recovery(4, 1).record()]).unwrap(), &given());
    let other = by_recovery(9, 1).record();
    assert_eq!(key_of(follow(held.as_slice(), number(1, 0), &[other])), Err(ErrorKind::SuccessionForked));
}

#[test]
fn key28_a_successor_has_no_more_rights_than_its_root_and_those_of_a_root_at_least() {
    let owner = Rights::GOVERNANCE.and(Rights::SUCCESSION);
    let rights = |rights| Succession { rights, ..by_root(1, 4, 1) };
    assert!(follow_first(&[rights(owner).record()]).is_ok());
    assert!(follow_first(&[rights(Rights::ALL).record()]).is_ok());
    let held = after(&follow_first(&[rights(owner).record()]).unwrap(), &given());
    let next = |rights| Succession { rights, ..by_root(4, 5, 2) }.record();
    assert!(follow(held.as_slice(), number(0, 1), &[next(owner)]).is_ok());
    for more in [ROOT, owner.and(Rights::BOOT), Rights::ALL] {
        let refused = follow(held.as_slice(), number(0, 1), &[next(more)]);
        assert_eq!(key_of(refused), Err(ErrorKind::SuccessionRights));
    }
    for fewer in
        [Rights::GOVERNANCE, Rights::SUCCESSION, Rights::FIRMWARE.and(Rights::SUCCESSION), Rights::BOOT]
    {
        let mut claims = succession_claims(&root(), &key(4));
        claims[6].1 = vec![fewer.bits()];
        let forged = succession(&claims, &key(4), &root());
        assert_eq!(key_of(follow_first(&[forged])), Err(ErrorKind::SuccessionRights), "{fewer:?}");
    }
}

/// The thief of a root leaves it without the right to certify firmware: the recovery root gives that back, and no more than
/// the domain began with.
#[test]
fn key28_the_recovery_root_gives_back_what_a_thief_took_from_the_rights() {
    let owner = Rights::GOVERNANCE.and(Rights::SUCCESSION);
    let thief = Succession { rights: owner, ..by_root(1, 9, 1) }.record();
    let held = after(&follow_first(&[thief]).unwrap(), &given());
    let succeeded = follow(held.as_slice(), number(0, 1), &[by_recovery(4, 1).record()]).unwrap();
    assert_eq!(succeeded.root().rights(), ROOT);

    let first = Anchor::new(root().public_key(), owner, domain());
    let anchors = [first, given()[1]];
    let holding = Holding { given: &anchors, held: &anchors, numbers: &[FIRST] };
    let chain = chain(&[by_recovery(4, 1).record()], 1);
    assert_eq!(SuccessionChain::verify(&chain, &holding).unwrap_err().kind, ErrorKind::SuccessionRights);
}

/// Somebody else's public key, and a request that bears the kid of the key in it.
#[test]
fn key29_a_new_root_proves_that_it_has_its_key() {
    let claims = succession_claims(&root(), &key(4));
    let forged = succession(&claims, &key(9), &root());
    assert_eq!(key_of(follow_first(&[forged])), Err(ErrorKind::KeyMismatch));
    let request = Sign1::record(&key(4), SUCCESSION, &map(&claims)).cwt(&key(9));
    assert_eq!(verify_succession_request(&request).unwrap_err().kind, ErrorKind::SignatureInvalid);
    let forged = Sign1::record(&root(), SUCCESSION_GRANT, &request).cwt(&root());
    assert_eq!(key_of(follow_first(&[forged])), Err(ErrorKind::SignatureInvalid));
}

/// A new root asks for what it may have, or nothing is signed.
#[test]
fn a_request_without_the_rights_of_a_root_is_not_made() {
    for rights in [Rights::GOVERNANCE, Rights::FIRMWARE.and(Rights::SUCCESSION)] {
        let request = SuccessionRequest {
            iss: "Example root 2".into(),
            issued_at: UnixTime(1_700_000_000),
            domain: domain(),
            number: number(0, 1),
            rights,
        };
        let Err(AuthorError::Refused(error)) = request_succession(&request, &key(4)) else { panic!("made") };
        assert_eq!(error.kind, ErrorKind::SuccessionRights);
    }
}

/// With a key that was a root before would come back what it signed then.
#[test]
fn key30_a_key_is_a_root_once() {
    let refused = Err(ErrorKind::SuccessionKey);
    // The first root, the recovery root, the present root, one of the chain.
    let row =
        |records: &[Succession]| follow_first(&records.iter().map(Succession::record).collect::<Vec<_>>());
    assert_eq!(key_of(row(&[by_root(1, RECOVERY, 1)])), refused);
    assert_eq!(key_of(row(&[by_recovery(1, 1)])), refused);
    assert_eq!(key_of(row(&[by_root(1, 4, 1), by_root(4, 1, 2)])), refused);
    assert_eq!(key_of(row(&[by_root(1, 4, 1), by_root(4, 5, 2), by_root(5, 4, 3)])), refused);
    // One that was passed over, and the root of a device that dropped the ones before.
    let held = after(&row(&[by_root(1, 4, 1), by_root(4, 5, 2)]).unwrap(), &given());
    let again = [by_root(1, 4, 1), by_root(4, 5, 2), by_root(5, 4, 3)].map(|record| record.record());
    assert_eq!(key_of(follow(held.as_slice(), number(0, 2), &again)), refused);
    let again = by_root(5, 1, 3).record();
    assert_eq!(key_of(follow(held.as_slice(), number(0, 2), &[again])), refused);
    // A root that retired and is still held, since the image that runs was installed under it; the root itself.
    let held = follow(held.as_slice(), number(0, 2), &[by_root(5, 6, 3).record()]).unwrap();
    let two = after(&row(&[by_root(1, 4, 1), by_root(4, 5, 2)]).unwrap(), &given());
    let held = held.anchors_after(two.as_slice(), Some(key(5).public_key().kid())).unwrap();
    for old in [5, 6] {
        assert!(held.as_slice().iter().any(|anchor| *anchor.key() == key(old).public_key()));
        let mut claims = succession_claims(&root(), &key(old));
        claims[4].1 = vec![4];
        let again = succession(&claims, &key(old), &key(6));
        assert_eq!(key_of(follow(held.as_slice(), number(0, 3), &[again])), refused, "{old}");
    }
    let Err(AuthorError::Refused(error)) = grant_succession(&by_root(1, 4, 1).request(), &key(4)) else {
        panic!("granted to itself")
    };
    assert_eq!(error.kind, ErrorKind::SuccessionKey);
}

/// Anchors as a device has them whose anchor set is unreadable.
fn lost() -> [Anchor; 2] {
    given().map(Anchor::retired)
}

#[test]
fn key34_a_domain_that_lost_its_root_takes_the_whole_chain_and_no_older_one() {
    let row = [by_root(1, 4, 1), by_root(4, 5, 2), by_root(5, 6, 3)].map(|record| record.record());
    let follow = |at, records: &[Vec<u8>]| key_of(follow(&lost(), at, records));
    assert_eq!(follow(number(0, 2), &row[..2]), is_key(5));
    assert_eq!(follow(number(0, 2), &row), is_key(6));
    assert_eq!(follow(number(0, 2), &row[..1]), Err(ErrorKind::SuccessionOld));
    assert_eq!(follow(number(0, 2), &row[1..]), Err(ErrorKind::SuccessionOrder));
    // The recovery root may begin it, with its first word.
    let recovered = [by_recovery(7, 1), by_recovery(8, 2)].map(|record| record.record());
    assert_eq!(follow(number(0, 2), &recovered[..1]), is_key(7));
    assert_eq!(follow(number(1, 0), &recovered[..1]), is_key(7));
    assert_eq!(follow(number(1, 1), &recovered[..1]), Err(ErrorKind::SuccessionOld));
    assert_eq!(follow(number(1, 1), &recovered), is_key(8));
    assert_eq!(follow(number(1, 1), &recovered[1..]), Err(ErrorKind::SuccessionOrder));
    assert_eq!(lost()[1], given()[1], "a recovery root does not retire");
}

/// T14: the verdict on each signature is skipped.
#[test]
fn t14_a_forged_succession_does_not_count_if_the_verdict_on_its_signatures_is_skipped() {
    let claims = succession_claims(&root(), &key(4));
    let good = Sign1::record(&key(4), SUCCESSION, &map(&claims));
    let grant = |request: &[u8], by| Sign1::record(&root(), SUCCESSION_GRANT, request).cwt(&key(by));
    trust::fault::skip_signatures(true);
    for forged in [grant(&good.cwt(&key(4)), 9), grant(&good.cwt(&key(9)), 1)] {
        assert_eq!(key_of(follow_first(&[forged])), Err(ErrorKind::SignatureInvalid));
    }
    trust::fault::skip_signatures(false);
}

#[test]
fn the_anchors_after_a_succession_keep_the_order_of_domains_and_what_the_image_needs() {
    let owner = Anchor::root(key(20).public_key());
    let first = root().public_key().kid();
    let succeeded = follow_first(&[by_root(1, 4, 1).record()]).unwrap();
    let held = [given()[0], owner, given()[1]];
    let new = *succeeded.root();
    for (needed, stays) in [(Some(first), true), (None, true), (Some(owner.kid()), false)] {
        let after = succeeded.anchors_after(&held, needed).unwrap();
        let mut expected = vec![new, owner, given()[1]];
        expected.extend(stays.then_some(given()[0].retired()));
        assert_eq!(after.as_slice(), expected);
        assert!(after.domains().eq([domain(), owner.domain()]));
    }
    // The next one drops the root before the last, unless it is the first of its domain there.
    let held = succeeded.anchors_after(&held, Some(first)).unwrap();
    let holding = Holding { given: &given(), held: held.as_slice(), numbers: &[number(0, 1), FIRST] };
    let next = chain(&[by_root(4, 5, 2).record()], 1);
    let next = *SuccessionChain::verify(&next, &holding).unwrap().succeeded();
    let after = next.anchors_after(held.as_slice(), Some(key(4).public_key().kid())).unwrap();
    assert_eq!(after.as_slice(), [*next.root(), owner, given()[1], new.retired()]);
    let after = next.anchors_after(held.as_slice(), Some(first)).unwrap();
    assert_eq!(after.as_slice(), [*next.root(), owner, given()[1], given()[0].retired()]);
    let held = [given()[0].retired(), owner, new];
    let after = next.anchors_after(&held, Some(new.kid())).unwrap();
    assert_eq!(after.as_slice(), [given()[0].retired(), owner, *next.root(), new.retired()]);
    assert!(after.domains().eq([domain(), owner.domain()]));
}

/// All roots before are kept while nobody knows which one the image needs, and as many as there is room for.
#[test]
fn anchors_after_many_successions_fit() {
    let mut held = AnchorSet::of(&given()).unwrap();
    for sequence in 1..20 {
        let grantor = if sequence == 1 { 1 } else { 100 + sequence - 1 };
        let record = by_root(grantor, 100 + sequence, sequence.into()).record();
        let succeeded = follow(held.as_slice(), number(0, u16::from(sequence) - 1), &[record]).unwrap();
        held = succeeded.anchors_after(held.as_slice(), None).unwrap();
        assert_eq!(held.as_slice().len(), usize::from(2 + sequence).min(8));
        assert_eq!(held.as_slice()[0], *succeeded.root());
    }
}

#[test]
fn key31_the_first_list_of_a_successor_is_its_own_and_states_every_minimum() {
    let succeeded = follow_first(&[by_root(1, 4, 1).record()]).unwrap();
    let after = after(&succeeded, &given());
    let minimum = |class, sequence| Minimum { vendor: VENDOR, class, sequence };
    let old = list(1, |list| {
        list.sequence = 9;
        list.lowest_generations = vec![(trust::Role::Release, 7)];
        list.minimum_sequences = vec![minimum(Some([1; 16]), 5), minimum(Some([2; 16]), 6)];
    });
    let old = RevocationList::verify(&old, &anchors()).unwrap();
    let judge = |minimums: &[Minimum]| {
        let new = list(4, |list| list.minimum_sequences = minimums.to_vec());
        let new = RevocationList::verify(&new, after.as_slice()).unwrap();
        succeeded.admits(&new, Some(&old)).map_err(|error: Error| error.kind)
    };
    let both = [minimum(Some([1; 16]), 5), minimum(Some([2; 16]), 8)];
    assert_eq!(judge(&both), Ok(()));
    assert_eq!(judge(&[minimum(None, 6)]), Ok(()));
    for less in [&[][..], &both[..1], &[minimum(None, 5)], &[minimum(Some([1; 16]), 4), both[1]]] {
        assert_eq!(judge(less), Err(ErrorKind::RevocationDropsEntry));
    }
    // The old root's list is nobody's any more; another governor of the domain signs no first list.
    assert_eq!(
        RevocationList::verify(&first_list(1), after.as_slice()).unwrap_err().kind,
        ErrorKind::AnchorUnknown
    );
    let governor = Anchor::new(key(9).public_key(), Rights::GOVERNANCE, domain());
    let other = first_list(9);
    let other = RevocationList::verify(&other, &[governor]).unwrap();
    assert_eq!(succeeded.admits(&other, None).unwrap_err().kind, ErrorKind::AnchorUnknown);
    // Its own list that is held already: neither older nor a fork.
    let own = list(4, |list| list.sequence = 2);
    let own = RevocationList::verify(&own, after.as_slice()).unwrap();
    let first = first_list(4);
    let first = RevocationList::verify(&first, after.as_slice()).unwrap();
    assert_eq!(succeeded.admits(&own, Some(&own)), Ok(()));
    assert_eq!(succeeded.admits(&own, Some(&first)), Ok(()));
    assert_eq!(succeeded.admits(&first, Some(&own)).unwrap_err().kind, ErrorKind::RevocationSequence);
}

/// A thief who had the root has sent a list with minimums that nobody else has seen.
#[test]
fn key32_the_minimums_of_a_thief_do_not_bind_the_recovery_root() {
    let thief = list(1, |list| {
        let minimum = |vendor| Minimum { vendor: [vendor; 16], class: None, sequence: MAX_MINIMUM_SEQUENCE };
        list.minimum_sequences = (0..16).map(minimum).collect();
    });
    let thief = RevocationList::verify(&thief, &anchors()).unwrap();
    let succeeded = follow_first(&[by_recovery(4, 1).record()]).unwrap();
    let after = after(&succeeded, &given());
    let first = first_list(4);
    let first = RevocationList::verify(&first, after.as_slice()).unwrap();
    assert_eq!(succeeded.admits(&first, Some(&thief)), Ok(()));
}

#[test]
fn a_chain_has_a_record_a_list_and_limits() {
    let holding = Holding { given: &given(), held: &given(), numbers: &[FIRST] };
    let verify = |chain: &[u8]| SuccessionChain::verify(chain, &holding).err().map(|error| error.kind);
    let (record, list) = (by_root(1, 4, 1).record(), first_list(4));
    let good = encode_succession_chain(&[&record], &list).unwrap();
    assert_eq!(verify(&good), None);
    let of = |head: u8, parts: &[&[u8]]| [&[head][..], &parts.concat()].concat();
    assert_eq!(verify(&of(0x81, &[&list])), Some(ErrorKind::OutOfRange), "no record");
    assert_eq!(verify(&of(0x81, &[&record])), Some(ErrorKind::OutOfRange), "no list");
    assert_eq!(verify(&of(0x82, &[&record])), Some(ErrorKind::Truncated));
    assert_eq!(verify(&of(0x82, &[&record, &list, &list])), Some(ErrorKind::TrailingBytes));
    assert_eq!(verify(&record), Some(ErrorKind::UnexpectedType));
    assert_eq!(verify(&of(0x8e, &[&[0xf6; 14]])), Some(ErrorKind::TooMany));
    assert_eq!(verify(&[0; MAX_SUCCESSION_CHAIN_LEN + 1]), Some(ErrorKind::TooLong));

    // Twelve of the shortest and a list are as long as a chain may be.
    let shortest = |sequence: u16| {
        let number = number(0, sequence);
        let request = SuccessionRequest {
            iss: "R".into(),
            issued_at: UnixTime(0),
            domain: domain(),
            number,
            rights: ROOT,
        };
        let seed = |sequence: u16| u8::try_from(sequence + 30).unwrap();
        let request = request_succession(&request, &key(seed(sequence))).unwrap();
        let grantor = if sequence == 1 { 1 } else { seed(sequence - 1) };
        grant_succession(&request, &key(grantor)).unwrap()
    };
    let row: Vec<_> = (1..=13).map(shortest).collect();
    let slices: Vec<_> = row.iter().map(Vec::as_slice).collect();
    let list = super::thrones::list(42, |list| list.iss = "R".into());
    let longest = encode_succession_chain(&slices[..12], &list).unwrap();
    assert_eq!(verify(&longest), None);
    assert!(
        longest.len() + row[0].len() > MAX_SUCCESSION_CHAIN_LEN,
        "room for more records than their limit"
    );
    assert_eq!(encode_succession_chain(&slices, &list).unwrap_err().kind, ErrorKind::TooMany);
    assert_eq!(encode_succession_chain(&[], &list).unwrap_err().kind, ErrorKind::OutOfRange);
}

#[test]
fn a_record_beyond_its_limit_is_no_succession() {
    // Claims that a reader does not know and ignores make it longer.
    let mut claims = succession_claims(&root(), &key(4));
    claims.push((super::forge::int(-70100), super::forge::bstr(&[0; 900])));
    let long = succession(&claims, &key(4), &root());
    assert!(long.len() > 1024 && long.len() < 1400);
    assert_eq!(key_of(follow_first(&[long])), Err(ErrorKind::TooLong));
}
