//! Ledgers that somebody wrote by hand, with a chain that holds: each fault is found by its own check.

use ledger::{
    Backup, BackupCheck, BackupKind, Custody, Entry, Error, Event, FORMAT, Fault, Hex, Ledger, Merge, Open,
    Time, Void, Writer,
};
use trust::{UnixTime, sha256};

use crate::desk::{Desk, context};

/// What stands in a folder: the number and the kind in the name of a file, and the entry in it.
type File = (u64, &'static str, Entry);

fn entry(number: u64, time: u64, event: Event) -> Entry {
    let tool = "by hand".to_owned();
    Entry {
        format: FORMAT,
        number,
        previous: None,
        time: Time(UnixTime(time)),
        by: None,
        tool,
        unwitnessed: false,
        event,
    }
}

fn file(number: u64, event: Event) -> File {
    (number, event.kind(), entry(number, 10 + number, event))
}

fn custody(holder: &str) -> Event {
    let (holder, kept, reason) = (holder.to_owned(), "a drawer".to_owned(), "a move".to_owned());
    Event::Custody(Custody { name: "root".into(), kid: Hex([1; 8]), holder, kept, reason })
}

fn backup() -> Event {
    Event::Backup(Backup { form: BackupKind::Copy, holders: vec!["Ada".into()], kept: "a safe".into() })
}

fn void(entry: u64) -> Event {
    Event::Void(Void { entry, reason: "a slip".into() })
}

/// Writes entries that follow one another, whatever else is wrong with them; the digest of the last one.
fn lay(
    folder: &std::path::Path,
    before: Option<[u8; 32]>,
    files: impl IntoIterator<Item = File>,
) -> [u8; 32] {
    std::fs::create_dir_all(folder).unwrap();
    let mut digest = before;
    for (number, kind, mut entry) in files {
        entry.previous = digest.map(Hex);
        let mut bytes = serde_json::to_vec_pretty(&entry).unwrap();
        bytes.push(b'\n');
        std::fs::write(folder.join(format!("{number:06}-{kind}.json")), &bytes).unwrap();
        digest = Some(sha256(&bytes));
    }
    digest.unwrap()
}

/// The fault of a ledger whose first entry is good.
fn fault(files: impl IntoIterator<Item = File>) -> Fault {
    let desk = Desk::new();
    lay(&desk.path(), None, std::iter::once(file(1, Event::Open(desk.open_event()))).chain(files));
    fault_in(&desk)
}

fn fault_in(desk: &Desk) -> Fault {
    match Ledger::open(&desk.path()).unwrap_err() {
        Error::Damaged { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_laid_by_hand_reads_if_nothing_is_wrong() {
    let desk = Desk::new();
    let open = file(1, Event::Open(desk.open_event()));
    let check = Event::BackupCheck(BackupCheck { backup: 2 });
    lay(&desk.path(), None, [open, file(2, backup()), file(3, check), file(4, custody("Bob"))]);
    assert_eq!(Ledger::open(&desk.path()).unwrap().entries().len(), 4);
}

#[test]
fn a_number_a_kind_and_a_time_are_what_they_must_be() {
    assert_eq!(fault([file(2, backup()), (2, "custody", entry(3, 13, custody("B")))]), Fault::Twice);
    assert_eq!(fault([file(3, custody("Bob"))]), Fault::Gap(2));
    assert_eq!(fault([(2, "custody", entry(7, 12, custody("Bob")))]), Fault::Number(7));
    assert_eq!(fault([(2, "custody", entry(2, 12, backup()))]), Fault::Kind("backup"));
    assert_eq!(fault([(2, "custody", entry(2, 10, custody("Bob")))]), Fault::Time);
}

#[test]
fn a_ledger_begins_once_with_its_key() {
    let desk = Desk::new();
    assert!(matches!(fault([file(2, Event::Open(desk.open_event()))]), Fault::Place(_)));
    lay(&desk.path(), None, [file(1, custody("Bob"))]);
    assert!(matches!(fault_in(&desk), Fault::Place(_)));
    for wrong in [
        Open { kid: Hex([9; 8]), ..desk.open_event() },
        Open { public_key: Hex([9; 40]), ..desk.open_event() },
    ] {
        let desk = Desk::new();
        lay(&desk.path(), None, [file(1, Event::Open(wrong))]);
        assert_eq!(fault_in(&desk), Fault::Key);
    }
}

#[test]
fn a_text_is_one_line_of_a_length() {
    for holder in ["", "  ", "Bob\u{1b}[2J", "B\nb", &"B".repeat(65)] {
        assert_eq!(fault([file(2, custody(holder))]), Fault::Text, "{holder:?}");
    }
    let desk = Desk::new();
    lay(&desk.path(), None, [file(1, Event::Open(desk.open_event()))]);
    let long = vec![b' '; usize::try_from(ledger::MAX_ENTRY_LEN).unwrap() + 1];
    std::fs::write(desk.path().join("000002-custody.json"), long).unwrap();
    assert_eq!(fault_in(&desk), Fault::TooLong(ledger::MAX_ENTRY_LEN));
}

#[test]
fn a_record_is_beside_the_entry_that_has_it() {
    for name in ["000002-custody.cwt", "000003-credential.cwt", "000002-credential.cwt"] {
        let desk = Desk::new();
        lay(&desk.path(), None, [file(1, Event::Open(desk.open_event())), file(2, custody("Bob"))]);
        std::fs::write(desk.path().join(name), b"a record").unwrap();
        assert_eq!(fault_in(&desk), Fault::NoEntry, "{name}");
    }
}

/// The entry shows names beside ids: no other name than the one that makes the id.
#[test]
fn a_name_makes_its_id() {
    let desk = Desk::new();
    let Event::Credential(entry) = desk.credential("ci", 1, 11) else { unreachable!() };
    let named = |id: &str, name: &str| {
        let names = [(id.to_owned(), name.to_owned())].into();
        fault([file(2, Event::Credential(ledger::CredentialEntry { names, ..entry.clone() }))])
    };
    assert_eq!(named(&entry.facts.vendor, "bank.example"), Fault::Facts);
    assert_eq!(named(&entry.facts.classes[0], "door-lock"), Fault::Facts);
}

#[test]
fn only_what_waits_is_given_up_and_only_a_backup_is_checked() {
    let desk = Desk::new();
    assert!(matches!(fault([file(2, custody("Bob")), file(3, void(2))]), Fault::Place(_)));
    assert!(matches!(fault([file(2, void(9))]), Fault::Place(_)));
    let begun = || file(2, desk.credential("ci", 1, 11));
    assert!(matches!(fault([begun(), file(3, void(2)), file(4, void(2))]), Fault::Place(_)));
    let check = |backup| Event::BackupCheck(BackupCheck { backup });
    assert!(matches!(fault([file(2, custody("Bob")), file(3, check(2))]), Fault::Place(_)));
    assert!(matches!(fault([file(2, check(3)), file(3, backup())]), Fault::Place(_)));
}

fn merge(common: u64, other: Vec<Hex<32>>) -> Event {
    Event::Merge(Merge { common, other, reason: "two sticks".into() })
}

#[test]
fn a_merge_joins_what_went_on_before_it() {
    let desk = Desk::new();
    let open = file(1, Event::Open(desk.open_event()));
    let later = entry(3, 13, custody("Bob"));
    // It names entry 3 as common, which stands after it.
    let digest = |number: u64, event| {
        let folder = desk.path().join("scratch");
        let digest = lay(&folder, None, [(number, "custody", entry(number, 20, event))]);
        std::fs::remove_dir_all(folder).unwrap();
        digest
    };
    let wrong = digest(4, custody("Eve"));
    lay(&desk.path(), None, [open, file(2, merge(3, vec![Hex(wrong)])), (3, "custody", later)]);
    assert!(matches!(fault_in(&desk), Fault::Place(_)));
    // Nothing in common, and no folder.
    assert!(matches!(fault([file(2, merge(0, vec![]))]), Fault::Place(_)));
    assert_eq!(fault([file(2, merge(1, vec![]))]), Fault::Joined);
}

/// A desk whose ledger joined a copy that had signed a list of its own.
fn joined() -> (Desk, Writer) {
    joined_after(1)
}

/// `revoked`: what the first list of the ledger itself revokes.
fn joined_after(revoked: u8) -> (Desk, Writer) {
    let desk = Desk::new();
    let mut writer = desk.begin();
    let other = desk.copy();
    desk.list_in(&mut writer, 1, &[revoked], 11);
    let mut other_writer = Writer::open(&other.path()).unwrap();
    other.list_in(&mut other_writer, 1, &[2], 12);
    writer.merge(other_writer.ledger(), "two sticks".into(), &context(13)).unwrap();
    (desk, writer)
}

#[test]
fn what_was_joined_stays_whole() {
    type Change = fn(&std::path::Path);
    let changes: [(&str, Change, Fault); 3] = [
        ("its record", |folder| change_last(&folder.join("000002-revocation-list.cwt")), Fault::Record),
        (
            "its entry",
            |folder| std::fs::remove_file(folder.join("000002-revocation-list.json")).unwrap(),
            Fault::NoEntry,
        ),
        ("all of it", |folder| std::fs::remove_dir_all(folder).unwrap(), Fault::Joined),
    ];
    for (what, change, found) in changes {
        let (desk, writer) = joined();
        drop(writer);
        assert_eq!(Ledger::open(&desk.path()).unwrap().joined().len(), 1);
        change(&desk.path().join("000003-merge"));
        assert_eq!(fault_in(&desk), found, "{what}");
    }
    // Another entry in its place, which follows too.
    let (desk, writer) = joined();
    let first = writer.ledger().entry(1).unwrap().digest;
    drop(writer);
    let folder = desk.path().join("000003-merge");
    std::fs::remove_dir_all(&folder).unwrap();
    lay(&folder, Some(first), [file(2, custody("Eve"))]);
    assert_eq!(fault_in(&desk), Fault::Joined);
}

fn change_last(path: &std::path::Path) {
    let mut bytes = std::fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn the_list_after_a_merge_continues_both() {
    let (desk, mut writer) = joined();
    // It continues the ledger's own list only.
    let event = desk.list(2, &[1], 14);
    let refused = writer.append(event.clone(), &context(14)).unwrap_err();
    assert_eq!(refused.code(), "not-possible");
    let last = writer.ledger().entries().last().unwrap().digest;
    drop(writer);
    lay(&desk.path(), Some(last), [(4, "revocation-list", entry(4, 14, event))]);
    let record = Writer::open(&desk.path()).unwrap().begun().unwrap().1.sign(&desk.root).unwrap();
    std::fs::write(desk.path().join("000004-revocation-list.cwt"), record).unwrap();
    assert!(matches!(fault_in(&desk), Fault::List(_)));

    let (desk, mut writer) = joined();
    desk.list_in(&mut writer, 2, &[1, 2], 14);
    assert_eq!(writer.ledger().lists_to_continue().len(), 1);
}

#[test]
fn a_copy_is_joined_once_and_only_if_it_went_on() {
    let (_desk, mut writer) = joined();
    let code = |writer: &mut Writer, other: &Desk| {
        let other = Ledger::open(&other.path()).unwrap();
        writer.merge(&other, "again".into(), &context(20)).unwrap_err().code()
    };
    let (same, same_writer) = joined();
    drop(same_writer);
    assert_eq!(code(&mut writer, &same), "ledger-not-forked", "it is the same");
    // Two that each joined a copy: the folders of the other one would be lost.
    let (other, other_writer) = joined_after(3);
    drop(other_writer);
    assert_eq!(code(&mut writer, &other), "ledger-not-forked");
    // The same key, and no entry in common.
    let strange = Desk::new();
    let opened = Open { name: "another beginning".into(), ..strange.open_event() };
    drop(Writer::create(&strange.path(), opened, &context(10)).unwrap());
    assert_eq!(code(&mut writer, &strange), "ledger-not-forked");
    // What waits for its signature there would wait here for ever.
    let desk = Desk::new();
    let mut writer = desk.begin();
    let waiting = desk.copy();
    let mut other = Writer::open(&waiting.path()).unwrap();
    other.append(waiting.credential("ci", 1, 11), &context(11)).unwrap();
    desk.list_in(&mut writer, 1, &[], 11);
    assert_eq!(code(&mut writer, &waiting), "ledger-begun");
}
