//! Roots that follow one another: a succession closes a ledger, and the successor's goes on from it.

use ledger::{Base64, Entry, Error, Event, FORMAT, Fault, Hex, Import, Ledger, Open, Purpose, Time, Writer};
use trust::author::{
    Minimum, RevocationRequest, Signer as _, SoftwareKey, SuccessionRequest, prepare_revocation,
    prepare_succession, request_succession,
};
use trust::{Domain, Kid, Revoked, RevokedId, Rights, Role, SuccessionNumber, UnixTime, sha256};

use crate::desk::{Desk, context, key};

pub(crate) const SECOND: u8 = 110;
const THIRD: u8 = 111;
const RECOVERY: u8 = 120;

fn number(recovery_epoch: u16, succession_sequence: u16) -> SuccessionNumber {
    SuccessionNumber { recovery_epoch, succession_sequence }
}

/// What `new` asks for in the domain of `first`.
fn request(first: &SoftwareKey, new: u8, number: SuccessionNumber, rights: Rights) -> Vec<u8> {
    let domain = Domain(first.public_key().kid());
    let (iss, issued_at) = (format!("root {new}"), UnixTime(20));
    request_succession(&SuccessionRequest { iss, issued_at, domain, number, rights }, &key(new)).unwrap()
}

/// The first succession of a desk's root, to a new root of this name.
pub(crate) fn named(desk: &Desk, name: &str) -> Event {
    let domain = Domain(desk.root.public_key().kid());
    let (iss, issued_at, number) = (name.to_owned(), UnixTime(20), number(0, 1));
    let request = SuccessionRequest { iss, issued_at, domain, number, rights: Rights::ALL };
    succession(&request_succession(&request, &key(SECOND)).unwrap(), &desk.root)
}

fn succession(request: &[u8], grantor: &SoftwareKey) -> Event {
    Event::of_record(&prepare_succession(request, &grantor.public_key()).unwrap()).unwrap()
}

fn reported(request: &[u8], grantor: &SoftwareKey) -> Event {
    let record = prepare_succession(request, &grantor.public_key()).unwrap().sign(grantor).unwrap();
    let grantor = Hex(grantor.public_key().to_cose_key());
    Event::Import(Import::Succession { grantor, record: Base64(record) })
}

pub(crate) fn open_of(desk: &Desk, number: u8, purpose: Purpose) -> Open {
    let public = key(number).public_key();
    Open {
        name: format!("root {number}"),
        kid: Hex(public.kid().0),
        public_key: Hex(public.to_cose_key()),
        purpose,
        ..desk.open_event()
    }
}

fn grant(writer: &mut Writer, event: Event, grantor: &SoftwareKey, now: u64) {
    writer.append(event, &context(now)).unwrap();
    let record = writer.begun().unwrap().1.sign(grantor).unwrap();
    writer.finish(&record).unwrap();
}

/// A ledger with a key and a minimum, whose root has named `root 110`.
pub(crate) fn closed() -> Desk {
    let desk = Desk::new();
    let mut writer = desk.begin();
    desk.issue(&mut writer, "ci", 1, 11);
    writer.append(minimum(&desk.root, 1, 5, 12), &context(12)).unwrap();
    desk.finish(&mut writer);
    let request = request(&desk.root, SECOND, number(0, 1), Rights::ALL);
    grant(&mut writer, succession(&request, &desk.root), &desk.root, 21);
    desk
}

fn minimum(root: &SoftwareKey, list: u64, sequence: u64, now: u64) -> Event {
    let mut request = RevocationRequest::first("root".into(), UnixTime(now));
    request.sequence = list;
    if sequence > 0 {
        request.raise_minimum(Minimum { vendor: [7; 16], class: None, sequence });
    }
    Event::of_record(&prepare_revocation(&request, &root.public_key()).unwrap()).unwrap()
}

#[test]
fn a_succession_closes_the_ledger_of_the_root_that_it_replaces() {
    let desk = closed();
    let mut writer = Writer::open(&desk.path()).unwrap();
    let before = desk.files();
    for event in [desk.credential("cd", 2, 30), minimum(&desk.root, 2, 6, 30)] {
        let refused = writer.append(event, &context(30)).unwrap_err();
        assert_eq!(refused.code(), "ledger-closed");
        assert!(refused.to_string().contains("root 110"), "{refused}");
    }
    let again = request(&desk.root, THIRD, number(0, 2), Rights::ALL);
    let refused = writer.append(succession(&again, &desk.root), &context(30)).unwrap_err();
    assert_eq!(refused.code(), "ledger-closed");
    assert_eq!(desk.files(), before);
    // The head is signed over it, and people go on to note what they do.
    desk.sign_head(&mut writer, 31);
    assert!(Ledger::open(&desk.path()).unwrap().uncovered().is_empty());
}

#[test]
fn a_begun_entry_is_not_signed_after_the_root_was_replaced() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    writer.append(desk.credential("ci", 1, 11), &context(11)).unwrap();
    let record = writer.begun().unwrap().1.sign(&desk.root).unwrap();
    let request = request(&desk.root, SECOND, number(1, 0), Rights::ALL);
    writer.append(reported(&request, &key(RECOVERY)), &context(12)).unwrap();
    assert_eq!(writer.finish(&record).unwrap_err().code(), "ledger-closed");
    writer.void("the root was stolen".into(), &context(13)).unwrap();
    assert_eq!(Ledger::open(&desk.path()).unwrap().keys(desk.now()).len(), 0);
}

#[test]
fn the_ledger_of_the_successor_goes_on_from_the_one_before() {
    let desk = closed();
    let before = Ledger::open(&desk.path()).unwrap();
    let path = desk.path().with_file_name("second");
    let open = open_of(&desk, SECOND, Purpose::Root);
    for (wrong, code) in [
        (Open { name: "ci".into(), ..open.clone() }, "ledger-name-taken"),
        (Open { name: "root".into(), ..open.clone() }, "ledger-name-taken"),
        (open_of(&desk, THIRD, Purpose::Root), "ledger-not-succeeded"),
    ] {
        let refused = Writer::continue_from(&path, wrong, &before, &context(40)).unwrap_err();
        assert_eq!(refused.code(), code);
    }
    let early = Writer::continue_from(&path, open.clone(), &before, &context(5)).unwrap_err();
    assert_eq!(early.code(), "ledger-time");
    assert!(!path.exists());
    // A copy that does not read is no beginning: without an entry, the same command goes on.
    let damaged = desk.path().join("000003-revocation-list.cwt");
    let good = std::fs::read(&damaged).unwrap();
    std::fs::write(&damaged, &good[1..]).unwrap();
    let refused = Writer::continue_from(&path, open.clone(), &before, &context(40)).unwrap_err();
    assert_eq!(refused.code(), "ledger-damaged");
    assert_eq!(Ledger::open(&path).unwrap_err().code(), "ledger-absent");
    std::fs::write(&damaged, &good).unwrap();
    // What a cut left there is of no entry.
    std::fs::create_dir_all(path.join("000001-before/000001-before")).unwrap();
    let mut writer = Writer::continue_from(&path, open, &before, &context(40)).unwrap();
    let ledger = writer.ledger();
    assert_eq!((ledger.root_number(), ledger.line().count()), (Some(number(0, 1)), 2));
    assert_eq!(ledger.list_before().unwrap().sequence(), 1);
    assert_eq!(ledger.before().unwrap().entries().len(), 4);
    // The first list states what the last one did; a name stays that of its key.
    let second = key(SECOND);
    let refused = writer.append(minimum(&second, 1, 4, 41), &context(41)).unwrap_err();
    assert_eq!(refused.code(), "not-possible");
    grant(&mut writer, minimum(&second, 1, 5, 41), &second, 41);
    let third = request(&desk.root, THIRD, number(0, 2), Rights::ALL);
    grant(&mut writer, succession(&third, &second), &second, 42);
    drop(writer);
    let before = Ledger::open(&path).unwrap();
    let path = desk.path().with_file_name("third");
    let open = open_of(&desk, THIRD, Purpose::Root);
    let writer = Writer::continue_from(&path, open, &before, &context(50)).unwrap();
    assert_eq!((writer.ledger().line().count(), writer.ledger().root_number()), (3, Some(number(0, 2))));
    // Without a list of its own it has those of the roots before.
    assert_eq!(writer.ledger().list_before().unwrap().issuer_kid(), second.public_key().kid());
}

/// A list with these devices, and a lowest generation of their role.
fn devices(root: &SoftwareKey, ids: &[u8], lowest: u64, now: u64) -> Event {
    let mut request = RevocationRequest::first("root".into(), UnixTime(now));
    ids.iter().for_each(|id| request.revoke(Role::Device, 2, RevokedId::Key(Kid([*id; 8]))));
    request.raise_generation(Role::Device, lowest);
    Event::of_record(&prepare_revocation(&request, &root.public_key()).unwrap()).unwrap()
}

fn ids(revoked: &[Revoked]) -> Vec<u8> {
    revoked.iter().map(|revoked| revoked.id.as_bytes()[0]).collect()
}

/// The middle root forgets a device: the next one knows it all the same. What lies below a lowest generation may go.
#[test]
fn devices_stay_revoked_under_all_roots_that_follow() {
    for (lowest, expected) in [(0, vec![1, 2, 3]), (2, vec![1, 2, 3]), (3, vec![])] {
        let desk = Desk::new();
        let mut writer = desk.begin();
        grant(&mut writer, devices(&desk.root, &[1, 2], 0, 11), &desk.root, 11);
        assert_eq!(writer.ledger().devices_revoked_before(), []);
        assert_eq!(writer.ledger().devices_that_return(), []);
        let to_second = request(&desk.root, SECOND, number(0, 1), Rights::ALL);
        grant(&mut writer, succession(&to_second, &desk.root), &desk.root, 21);
        let path = desk.path().with_file_name("second");
        let open = open_of(&desk, SECOND, Purpose::Root);
        let mut second = Writer::continue_from(&path, open, writer.ledger(), &context(40)).unwrap();
        assert_eq!(ids(&second.ledger().devices_revoked_before()), [1, 2]);
        assert_eq!(second.ledger().devices_that_return(), [], "it has no list yet");
        let list = if lowest == 3 {
            devices(&key(SECOND), &[], 3, 41)
        } else {
            devices(&key(SECOND), &[2, 3], lowest, 41)
        };
        grant(&mut second, list, &key(SECOND), 41);
        let returned: &[u8] = if lowest == 3 { &[] } else { &[1] };
        assert_eq!(ids(&second.ledger().devices_that_return()), returned);
        let to_third = request(&desk.root, THIRD, number(0, 2), Rights::ALL);
        grant(&mut second, succession(&to_third, &key(SECOND)), &key(SECOND), 42);
        let path = desk.path().with_file_name("third");
        let open = open_of(&desk, THIRD, Purpose::Root);
        let third = Writer::continue_from(&path, open, second.ledger(), &context(50)).unwrap();
        let mut known = ids(&third.ledger().devices_revoked_before());
        known.sort_unstable();
        assert_eq!(known, expected, "{lowest}");
    }
}

/// A thief sends devices minimums that nobody knows: the successor of the recovery root is not bound by any.
#[test]
fn the_successor_of_the_recovery_root_is_free_of_minimums() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    writer.append(minimum(&desk.root, 1, 5, 12), &context(12)).unwrap();
    desk.finish(&mut writer);
    let request = request(&desk.root, SECOND, number(1, 0), Rights::ALL);
    writer.append(reported(&request, &key(RECOVERY)), &context(21)).unwrap();
    let path = desk.path().with_file_name("second");
    let open = open_of(&desk, SECOND, Purpose::Root);
    let mut second = Writer::continue_from(&path, open, writer.ledger(), &context(40)).unwrap();
    grant(&mut second, minimum(&key(SECOND), 1, 0, 41), &key(SECOND), 41);
    assert_eq!(Ledger::open(&path).unwrap().root_number(), Some(number(1, 0)));
}

#[test]
fn successions_come_in_their_order_in_the_ledger_of_whoever_grants() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    let all = |new, number| request(&desk.root, new, number, Rights::ALL);
    let recovery = key(RECOVERY);
    let of_root = |new, number| succession(&all(new, number), &desk.root);
    let elsewhere = request(&desk.stranger, SECOND, number(0, 1), Rights::ALL);
    let Event::Import(Import::Succession { record, .. }) = reported(&all(SECOND, number(1, 0)), &recovery)
    else {
        unreachable!()
    };
    let grantor = Hex(desk.stranger.public_key().to_cose_key());
    for event in [
        of_root(SECOND, number(0, 2)),
        of_root(SECOND, number(1, 0)),
        of_root(SECOND, number(1, 1)),
        succession(&elsewhere, &desk.root),
        reported(&all(SECOND, number(0, 1)), &recovery),
        Event::Import(Import::Succession { grantor, record }),
    ] {
        assert_eq!(writer.append(event, &context(30)).unwrap_err().code(), "ledger-succession");
    }
    writer.append(reported(&all(SECOND, number(1, 0)), &recovery), &context(30)).unwrap();
    let old = writer.append(reported(&all(THIRD, number(1, 0)), &recovery), &context(31)).unwrap_err();
    assert_eq!(old.code(), "ledger-succession");

    // The ledger before is lost, and so is the number of the root: whose numbers are whose is known.
    let late = Desk::new();
    let mut writer =
        Writer::create(&late.path(), open_of(&desk, SECOND, Purpose::Root), &context(10)).unwrap();
    assert_eq!(writer.ledger().root_number(), None);
    let second = key(SECOND);
    let recovery_number = succession(&all(THIRD, number(4, 0)), &second);
    assert_eq!(writer.append(recovery_number, &context(11)).unwrap_err().code(), "ledger-succession");
    grant(&mut writer, succession(&all(THIRD, number(3, 2)), &second), &second, 11);
    assert_eq!(writer.check_open().unwrap_err().code(), "ledger-closed");

    let vault = Desk::new();
    let mut open = open_of(&desk, RECOVERY, Purpose::RecoveryRoot);
    open.name = "recovery".into();
    let mut writer = Writer::create(&vault.path(), open, &context(10)).unwrap();
    let of_recovery = |new, number| succession(&all(new, number), &recovery);
    let root = writer.append(of_recovery(SECOND, number(0, 1)), &context(11)).unwrap_err();
    assert_eq!(root.code(), "ledger-succession");
    grant(&mut writer, of_recovery(SECOND, number(1, 0)), &recovery, 11);
    for wrong in [number(1, 0), number(3, 0)] {
        let refused = writer.append(of_recovery(THIRD, wrong), &context(12)).unwrap_err();
        assert_eq!(refused.code(), "ledger-succession", "{wrong}");
    }
    grant(&mut writer, of_recovery(THIRD, number(2, 0)), &recovery, 12);
    assert!(writer.ledger().successor().is_none(), "a recovery root does not retire");
    assert_eq!(Ledger::open(&vault.path()).unwrap().successions().count(), 2);
}

#[test]
fn only_so_many_ledgers_go_on_from_one_another() {
    let desk = Desk::new();
    let first = desk.begin();
    let mut before = first.ledger().clone();
    // The desk's root.
    let mut grantor = key(100);
    drop(first);
    for place in 1..=u8::try_from(ledger::MAX_LEDGERS).unwrap() {
        let request = request(&desk.root, place, number(0, place.into()), Rights::ALL);
        let mut writer = Writer::open(before.folder()).unwrap();
        let path = desk.path().with_file_name(format!("root {place}"));
        let open = open_of(&desk, place, Purpose::Root);
        if u32::from(place) == ledger::MAX_LEDGERS {
            // The last root signs no succession that would close its ledger for good.
            let refused = writer.append(succession(&request, &grantor), &context(20)).unwrap_err();
            assert_eq!(refused.code(), "ledger-succession");
            // What the recovery root says counts all the same.
            let rescue = self::request(&desk.root, SECOND, number(1, 0), Rights::ALL);
            writer.append(reported(&rescue, &key(RECOVERY)), &context(20)).unwrap();
            let open = open_of(&desk, SECOND, Purpose::Root);
            let refused = Writer::continue_from(&path, open, writer.ledger(), &context(20)).unwrap_err();
            assert_eq!(refused.code(), "ledger-not-succeeded");
            return;
        }
        grant(&mut writer, succession(&request, &grantor), &grantor, 20);
        let went_on = Writer::continue_from(&path, open, writer.ledger(), &context(20));
        before = went_on.unwrap().ledger().clone();
        assert_eq!(before.line().count(), usize::from(place) + 1);
        grantor = key(place);
    }
}

#[test]
fn what_a_key_may_certify_follows_from_its_purpose_and_its_succession() {
    let desk = Desk::new();
    let certifies = |purpose| {
        let desk = Desk::new();
        let open = Open { purpose, ..desk.open_event() };
        let writer = Writer::create(&desk.path(), open, &context(10)).unwrap();
        let ledger = writer.ledger();
        (
            ledger.may_certify(Role::Release),
            ledger.may_certify(Role::Service),
            ledger.may_certify(Role::Device),
            ledger.may_revoke(),
        )
    };
    assert_eq!(certifies(Purpose::Root), (true, true, true, true));
    assert_eq!(certifies(Purpose::OwnerRoot), (false, true, true, true));
    assert_eq!(certifies(Purpose::RecoveryRoot), (false, false, false, false));
    assert_eq!(certifies(Purpose::Issuing), (false, false, true, false));
    // A root that gave a right up.
    let mut writer = desk.begin();
    let governance = Rights::from_bits(6).unwrap();
    let request = request(&desk.root, SECOND, number(0, 1), governance);
    grant(&mut writer, succession(&request, &desk.root), &desk.root, 21);
    let path = desk.path().with_file_name("second");
    let open = open_of(&desk, SECOND, Purpose::Root);
    let second = Writer::continue_from(&path, open, writer.ledger(), &context(40)).unwrap();
    assert!(!second.ledger().may_certify(Role::Release) && second.ledger().may_revoke());
}

/// Entries that a hand laid: each fault has its own check.
#[test]
fn a_ledger_that_was_laid_by_hand_is_held_against_the_one_before() {
    let fault = |folder: &std::path::Path| match Ledger::open(folder).unwrap_err() {
        Error::Damaged { fault, .. } => fault,
        other => panic!("{other}"),
    };
    let lay = |folder: &std::path::Path, number: u64, previous: Option<[u8; 32]>, event: Event, time| {
        let kind = event.kind();
        let entry = Entry {
            format: FORMAT,
            number,
            previous: previous.map(Hex),
            time: Time(UnixTime(time)),
            by: None,
            tool: "by hand".into(),
            unwitnessed: false,
            event,
        };
        let mut bytes = serde_json::to_vec_pretty(&entry).unwrap();
        bytes.push(b'\n');
        std::fs::write(folder.join(format!("{number:06}-{kind}.json")), &bytes).unwrap();
        sha256(&bytes)
    };
    let made = || {
        let desk = closed();
        let before = Ledger::open(&desk.path()).unwrap();
        let path = desk.path().with_file_name("second");
        let open = open_of(&desk, SECOND, Purpose::Root);
        Writer::continue_from(&path, open, &before, &context(40)).unwrap();
        (desk, path)
    };
    // The copy of the ledger before: gone, cut, of another domain, of another key.
    let (_desk, path) = made();
    std::fs::remove_dir_all(path.join("000001-before")).unwrap();
    assert!(matches!(fault(&path), Fault::Before("it is not there")));
    let (desk, path) = made();
    for name in ["json", "cwt"] {
        std::fs::remove_file(path.join(format!("000001-before/000004-succession.{name}"))).unwrap();
    }
    assert!(matches!(fault(&path), Fault::Before("it has another head")));
    drop(desk);
    let (desk, path) = made();
    let ledger = Ledger::open(&path).unwrap();
    type Change = (&'static str, fn(&mut Open));
    let changes: [Change; 3] = [
        ("it is of another domain", |open| open.domain = Hex([1; 8])),
        ("it has another head", |open| open.continues.as_mut().unwrap().kid = Hex([1; 8])),
        ("it names another root", |open| {
            let other = key(THIRD).public_key();
            (open.kid, open.public_key) = (Hex(other.kid().0), Hex(other.to_cose_key()));
        }),
    ];
    for (wanted, change) in changes {
        let mut open = ledger.opened().clone();
        change(&mut open);
        lay(&path, 1, None, Event::Open(open), 40);
        assert_eq!(fault(&path), Fault::Before(wanted));
    }
    // A first list without the minimum before, a succession that skips one, and a record after the root retired.
    let first = lay(&path, 1, None, Event::Open(ledger.opened().clone()), 40);
    let second = key(SECOND);
    let event = minimum(&second, 1, 4, 41);
    let record =
        trust::author::Unsigned::from_to_be_signed(event.to_be_signed().unwrap(), &second.public_key());
    std::fs::write(path.join("000002-revocation-list.cwt"), record.unwrap().sign(&second).unwrap()).unwrap();
    lay(&path, 2, Some(first), event, 41);
    assert!(matches!(fault(&path), Fault::List(_)));
    for name in ["json", "cwt"] {
        std::fs::remove_file(path.join(format!("000002-revocation-list.{name}"))).unwrap();
    }
    let skipping = request(&desk.root, THIRD, number(0, 3), Rights::ALL);
    lay(&path, 2, Some(first), succession(&skipping, &second), 41);
    assert!(matches!(fault(&path), Fault::Succession(_)));
    let desk = closed();
    let last = Ledger::open(&desk.path()).unwrap().entries().last().unwrap().digest;
    let unsigned = desk.unsigned_credential("late", 9, 50);
    lay(&desk.path(), 5, Some(last), Event::of_record(&unsigned).unwrap(), 50);
    std::fs::write(desk.path().join("000005-credential.cwt"), unsigned.sign(&desk.root).unwrap()).unwrap();
    assert_eq!(fault(&desk.path()), Fault::Retired);
}
