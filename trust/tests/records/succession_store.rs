//! The store of a program: every succession is kept, and given on as a chain.

use trust::author::Minimum;
use trust::{
    ErrorKind, Held, RevocationList, SuccessionNumber, TrustStoreBuf, encode_succession_chain,
    read_unverified_succession,
};

use super::roots::{VENDOR, key, root};
use super::thrones::{Succession, by_recovery, by_root, domain, first_list, given, list, number};

const FIRST: SuccessionNumber = SuccessionNumber::FIRST;

fn store() -> TrustStoreBuf {
    TrustStoreBuf::new(given())
}

fn chain(records: &[Vec<u8>], list: &[u8]) -> Vec<u8> {
    encode_succession_chain(&records.iter().map(Vec::as_slice).collect::<Vec<_>>(), list).unwrap()
}

fn is_root(store: &TrustStoreBuf, number: u8) -> bool {
    use trust::author::Signer as _;
    store.root_of(domain()).is_some_and(|root| *root.key() == key(number).public_key())
}

#[test]
fn a_store_takes_successions_one_by_one_and_lists_of_the_present_root_only() {
    use trust::author::Signer as _;
    let mut store = store();
    let old = list(1, |list| list.sequence = 7);
    assert_eq!(store.add_list(old.clone()), Ok(Held::Newest));
    assert_eq!(store.add_list(first_list(4)).unwrap_err().kind, ErrorKind::AnchorUnknown);
    let record = by_root(1, 4, 1).record();
    assert_eq!(store.add_succession(record.clone()), Ok(Held::Newest));
    assert_eq!(store.add_succession(record), Ok(Held::Already));
    assert!(is_root(&store, 4));
    assert_eq!(store.number_of(domain()), number(0, 1));
    assert!(store.list_of(domain()).is_none(), "the list of the old root counts no more");
    assert_eq!(store.add_list(old).unwrap_err().kind, ErrorKind::AnchorRights);
    assert_eq!(store.chain_after(domain(), FIRST), Ok(None), "without a list there is no chain");
    assert_eq!(store.add_list(first_list(4)), Ok(Held::Newest));
    assert_eq!(store.list_of(domain()).unwrap().sequence(), 1);
    assert!(
        store.anchors().iter().any(|anchor| anchor.kid() == root().public_key().kid() && anchor.is_retired())
    );
}

#[test]
fn a_store_gives_the_chain_that_a_device_needs() {
    let mut store = store();
    let records = [
        by_root(1, 4, 1),
        by_root(4, 5, 2),
        by_recovery(6, 1),
        Succession { number: number(1, 1), ..by_root(6, 7, 1) },
        by_recovery(8, 2),
        Succession { number: number(2, 1), ..by_root(8, 9, 1) },
    ];
    let rows = records.map(|record| record.record());
    for row in &rows {
        store.add_succession(row.clone()).unwrap();
    }
    let list = first_list(9);
    store.add_list(list.clone()).unwrap();
    let [_, _, six, _, eight, nine] = rows.clone();
    for (at, expected) in [
        (FIRST, vec![six.clone(), eight.clone(), nine.clone()]),
        (number(0, 2), vec![six, eight.clone(), nine.clone()]),
        (number(1, 0), vec![eight.clone(), nine.clone()]),
        (number(1, 1), vec![eight, nine.clone()]),
        (number(2, 0), vec![nine]),
    ] {
        assert_eq!(store.chain_after(domain(), at), Ok(Some(chain(&expected, &list))), "{at}");
    }
    assert_eq!(store.chain_after(domain(), number(2, 1)), Ok(None));
    assert_eq!(store.successions().count(), 6, "every one is kept");

    // Another store follows, from wherever it is.
    let whole = store.chain_after(domain(), FIRST).unwrap().unwrap();
    for held in 0..rows.len() {
        let mut other = TrustStoreBuf::new(given());
        for row in &rows[..held] {
            other.add_succession(row.clone()).unwrap();
        }
        assert_eq!(other.add_chain(&whole), Ok(Held::Newest), "after {held}");
        assert!(is_root(&other, 9));
        assert_eq!(other.chain_after(domain(), FIRST).unwrap().unwrap(), whole);
        assert_eq!(other.add_chain(&whole), Ok(Held::Already));
    }
}

#[test]
fn a_chain_is_taken_whole_or_not_at_all() {
    let mut store = store();
    let minimum = |sequence| Minimum { vendor: VENDOR, class: None, sequence };
    store.add_list(list(1, |list| list.minimum_sequences = vec![minimum(5)])).unwrap();
    let rows = [by_root(1, 4, 1).record(), by_root(4, 5, 2).record()];
    let bad = by_root(4, 6, 2).grant(9);
    for (refused, kind) in [
        (chain(&rows, &first_list(5)), ErrorKind::RevocationDropsEntry),
        (chain(&rows, &list(4, |list| list.minimum_sequences = vec![minimum(5)])), ErrorKind::AnchorUnknown),
        (chain(&[rows[0].clone(), bad], &first_list(6)), ErrorKind::AnchorUnknown),
    ] {
        assert_eq!(store.add_chain(&refused).unwrap_err().kind, kind);
        assert!(is_root(&store, 1));
        assert_eq!((store.successions().count(), store.number_of(domain())), (0, FIRST));
        assert_eq!(store.list_of(domain()).unwrap().minimum_sequences().count(), 1);
    }
    let good = list(5, |list| list.minimum_sequences = vec![minimum(6)]);
    assert_eq!(store.add_chain(&chain(&rows, &good)), Ok(Held::Newest));
    assert_eq!(store.successions().count(), 2);
    // A newer list under the same root comes with the same chain.
    let newer = list(5, |list| (list.sequence, list.minimum_sequences) = (2, vec![minimum(6)]));
    assert_eq!(store.add_chain(&chain(&rows, &newer)), Ok(Held::Newest));
    assert_eq!(store.add_chain(&chain(&rows, &good)), Ok(Held::Older));
    assert_eq!(store.list_of(domain()).unwrap().sequence(), 2);
}

#[test]
fn key27_a_store_names_a_fork_and_takes_the_word_of_the_recovery_root() {
    let mut store = store();
    for row in [by_root(1, 4, 1), by_root(4, 5, 2)] {
        store.add_succession(row.record()).unwrap();
    }
    // At the present number and below it, alone and in a chain.
    let fork = ErrorKind::SuccessionForked;
    for row in [by_root(4, 9, 2), by_root(1, 9, 1)] {
        assert_eq!(store.add_succession(row.record()).unwrap_err().kind, fork);
        assert_eq!(store.add_chain(&chain(&[row.record()], &first_list(9))).unwrap_err().kind, fork);
    }
    let thief = [by_root(1, 9, 1).record(), by_recovery(6, 1).record()];
    assert_eq!(store.add_chain(&chain(&thief, &first_list(6))), Ok(Held::Newest));
    assert!(is_root(&store, 6));
    assert_eq!(store.successions().count(), 3, "what did not verify is not kept");
    // What belongs to the epoch before counts no more.
    assert_eq!(store.add_succession(thief[0].clone()), Ok(Held::Older));
    assert_eq!(store.add_succession(by_recovery(9, 1).record()).unwrap_err().kind, fork);
}

/// After each step, since programs take lists and successions apart.
#[test]
fn key31_a_store_holds_the_first_list_of_a_successor_to_the_minimums_before() {
    let minimum = |sequence| Minimum { vendor: VENDOR, class: None, sequence };
    let with = |root, sequence| list(root, |list| list.minimum_sequences = vec![minimum(sequence)]);
    let mut store = store();
    store.add_list(with(1, 5)).unwrap();
    store.add_succession(by_root(1, 4, 1).record()).unwrap();
    for less in [first_list(4), with(4, 4)] {
        assert_eq!(store.add_list(less).unwrap_err().kind, ErrorKind::RevocationDropsEntry);
    }
    // The recovery root's is not held to them.
    let mut recovered = store.clone();
    recovered.add_succession(by_recovery(6, 1).record()).unwrap();
    assert_eq!(recovered.add_list(first_list(6)), Ok(Held::Newest));
    assert_eq!(store.add_list(with(4, 5)), Ok(Held::Newest));
}

#[test]
fn the_claims_of_a_succession_can_be_read() {
    use trust::author::Signer as _;
    let record = by_recovery(4, 1).record();
    let claims = read_unverified_succession(&record).unwrap();
    assert_eq!((claims.iss(), claims.issued_at().0), ("Example root 2", 1_700_000_000));
    assert_eq!((claims.domain(), claims.number(), claims.rights().bits()), (domain(), number(1, 0), 7));
    assert_eq!(*claims.key(), key(4).public_key());
    assert_eq!(claims.grantor(), key(3).public_key().kid());
    assert_eq!(claims.number().to_string(), "1.0");
    let list = first_list(4);
    assert!(RevocationList::verify(&list, &[trust::Anchor::root(key(4).public_key())]).is_ok());
}

#[test]
fn successions_come_in_whatever_order_and_the_recovery_root_ends_what_stops_them() {
    let rows = [by_root(1, 4, 1), by_root(4, 5, 2), by_recovery(6, 1)].map(|row| row.record());
    let [one, two, rescue] = rows.clone();
    let thief = [by_root(1, 9, 1).record(), by_root(9, 10, 2).record()];

    let mut all = store();
    let mut met = Vec::new();
    let rows = [rescue.clone(), two.clone(), one.clone(), one.clone()];
    all.add_successions(rows, |store| met.push(store.number_of(domain()))).unwrap();
    assert_eq!(met, [FIRST, number(0, 1), number(0, 2), number(1, 0)], "the roots, one after the other");
    assert_eq!((all.successions().count(), all.number_of(domain())), (3, number(1, 0)));
    // Older ones of the epoch before change nothing.
    let mut late = store();
    late.add_successions([rescue.clone()], |_| ()).unwrap();
    late.add_successions(thief.clone(), |_| ()).unwrap();
    assert_eq!(late.successions().count(), 1);

    let mut forked = store();
    forked.add_successions([one.clone()], |_| ()).unwrap();
    let refused = |store: &mut TrustStoreBuf, rows: Vec<Vec<u8>>| {
        let before = store.clone().successions().count();
        let kind = store.add_successions(rows, |_| ()).unwrap_err().kind;
        assert_eq!(store.successions().count(), before, "nothing is taken");
        kind
    };
    assert_eq!(refused(&mut forked, thief.to_vec()), ErrorKind::SuccessionForked);
    assert_eq!(refused(&mut forked, vec![two.clone(), thief[0].clone()]), ErrorKind::SuccessionForked);
    assert_eq!(refused(&mut forked, vec![thief[1].clone()]), ErrorKind::AnchorUnknown);
    assert_eq!(refused(&mut store(), vec![two.clone()]), ErrorKind::SuccessionOrder);
    assert_eq!(refused(&mut store(), vec![b"no record".to_vec()]), ErrorKind::UnexpectedType);
    forked.add_successions([thief.to_vec(), vec![rescue]].concat(), |_| ()).unwrap();
    assert!(is_root(&forked, 6));
}

#[test]
fn a_store_tells_what_was_genuine_once() {
    use trust::author::Signer as _;
    let mut store = store();
    let record = by_root(1, 4, 1).record();
    let whole = chain(std::slice::from_ref(&record), &first_list(4));
    store.add_chain(&whole).unwrap();
    let former = store.former();
    assert_eq!(former[..2], given());
    assert_eq!(
        former[2..],
        [trust::Anchor::new(key(4).public_key(), super::thrones::ROOT, domain())],
        "with the rights that it has"
    );

    let file = trust::read_succession_file(&whole).unwrap();
    assert_eq!((file.records, file.list), (vec![&record[..]], Some(&first_list(4)[..])));
    let file = trust::read_succession_file(&record).unwrap();
    assert_eq!((file.records, file.list), (vec![&record[..]], None));
    for bad in [&b""[..], b"{}", &whole[1..], &whole[..whole.len() - 1], &first_list(4)] {
        assert!(trust::read_succession_file(bad).is_err());
    }
}
