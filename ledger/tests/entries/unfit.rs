//! Entries that a reader, or a root that goes on from the ledger, would refuse: nothing of them is written.

use std::fs::File;

use ledger::{
    BackupCheck, Custody, Error, Event, Fault, Hex, Ledger, MAX_BATCHES_LEN, Merge, Open, Void, Writer,
};

use crate::desk::{Desk, context};
use crate::roots::{closed, named};

/// The refusal of an entry, after which the ledger is as before.
fn refused(desk: &Desk, writer: &mut Writer, event: Event) -> Error {
    let before = desk.files();
    let refused = writer.append(event, &context(50)).unwrap_err();
    assert_eq!(desk.files(), before, "{refused}");
    Ledger::open(&desk.path()).unwrap();
    refused
}

fn note(name: String) -> Event {
    let (kept, reason) = ("a drawer".to_owned(), "a move".to_owned());
    Event::Custody(Custody { name: "root".into(), kid: Hex([1; 8]), holder: name, kept, reason })
}

#[test]
fn no_entry_is_written_that_closes_the_ledger() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    desk.issue(&mut writer, "ci", 1, 11);
    let unfit = |refused: Error| match refused {
        Error::Unfit { fault, .. } => fault,
        other => panic!("{other}"),
    };
    // What it is about is not there, or not such an entry.
    for backup in [1, 2, 9] {
        let event = Event::BackupCheck(BackupCheck { backup });
        assert!(matches!(unfit(refused(&desk, &mut writer, event)), Fault::Place(_)), "{backup}");
    }
    for entry in [1, 2, 9] {
        let event = Event::Void(Void { entry, reason: "a slip".into() });
        assert!(matches!(unfit(refused(&desk, &mut writer, event)), Fault::Place(_)), "{entry}");
    }
    let later = Event::Merge(Merge { common: 3, other: vec![], reason: "two sticks".into() });
    assert!(matches!(unfit(refused(&desk, &mut writer, later)), Fault::Place(_)));
    // It says other things than its record, or than its names.
    let Event::Credential(entry) = desk.credential("cd", 2, 12) else { unreachable!() };
    let mut other = entry.clone();
    other.facts.generation = 7;
    assert_eq!(unfit(refused(&desk, &mut writer, Event::Credential(other))), Fault::Facts);
    let mut other = entry.clone();
    other.names.insert(entry.facts.vendor.clone(), "example.com".into());
    assert_eq!(unfit(refused(&desk, &mut writer, Event::Credential(other))), Fault::Facts);
    let mut other = entry.clone();
    other.to_be_signed.0.pop();
    assert!(matches!(unfit(refused(&desk, &mut writer, Event::Credential(other))), Fault::ToBeSigned(_)));
    // More than a reader reads.
    let many = Merge { common: 2, other: vec![Hex([1; 32]); 1000], reason: "two sticks".into() };
    let long = unfit(refused(&desk, &mut writer, Event::Merge(many)));
    assert_eq!(long, Fault::TooLong(ledger::MAX_ENTRY_LEN));
    assert_eq!(writer.append(note("Bob".into()), &context(50)).unwrap(), 3);
}

/// A copy that went on for a year, on a stick that nobody remembered.
#[test]
fn a_merge_that_would_not_read_is_not_written() {
    let desk = Desk::new();
    drop(desk.begin());
    let other = desk.copy();
    let mut writer = Writer::open(&desk.path()).unwrap();
    writer.append(note("Ada".into()), &context(50)).unwrap();
    let mut theirs = Writer::open(&other.path()).unwrap();
    theirs.append(note("Bob".into()), &context(50)).unwrap();
    let few = theirs.ledger().clone();
    for _ in 0..870 {
        theirs.append(note("Bob".into()), &context(50)).unwrap();
    }
    let before = desk.files();
    let joined = desk.path().join("000003-merge");
    let long = writer.merge(theirs.ledger(), "two sticks".into(), &context(51)).unwrap_err();
    assert!(matches!(long, Error::Unfit { fault: Fault::TooLong(_), .. }), "{long}");
    assert!(desk.files() == before && !joined.exists());
    // The batches of both are more than a reader holds.
    let full = desk.path().join("000009-devices.cwt");
    File::create(&full).unwrap().set_len(MAX_BATCHES_LEN + 1).unwrap();
    let refused = writer.merge(&few, "two sticks".into(), &context(51)).unwrap_err();
    assert_eq!(refused.code(), "ledger-full", "{refused}");
    std::fs::remove_file(&full).unwrap();
    assert!(desk.files() == before && !joined.exists());
    writer.merge(&few, "two sticks".into(), &context(51)).unwrap();
    drop(writer);
    assert_eq!(Ledger::open(&desk.path()).unwrap().joined().len(), 1);
}

/// The first entry, too: its key, and the ledger that it goes on from.
#[test]
fn a_ledger_does_not_begin_with_what_does_not_read() {
    let desk = Desk::new();
    let open = desk.open_event();
    let wrong = [Open { kid: Hex([1; 8]), ..open.clone() }, Open { public_key: Hex([1; 40]), ..open }];
    for open in wrong {
        let refused = Writer::create(&desk.path(), open, &context(10)).unwrap_err();
        assert!(matches!(refused, Error::Unfit { fault: Fault::Key, .. }), "{refused}");
        assert!(matches!(Ledger::open(&desk.path()), Err(Error::Absent(_))));
    }
    desk.begin();
}

/// One name, one key, for good: those of roots too, in whatever case, and be they only named.
#[test]
fn a_root_gets_no_name_that_a_key_has() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    desk.issue(&mut writer, "CI  2026", 1, 11);
    for name in ["root", "ROOT", "ci 2026", "Ci 2026", "CI\u{a0}2026"] {
        let taken = refused(&desk, &mut writer, named(&desk, name));
        assert_eq!(taken.code(), "ledger-name-taken", "{name}");
        let held = if name.eq_ignore_ascii_case("root") { "\"root\"" } else { "\"CI  2026\"" };
        assert!(taken.to_string().contains(held), "{taken}");
    }
    for name in ["root\u{200b}", " root", ""] {
        let event = named(&desk, "x");
        let Event::Succession(mut entry) = event else { unreachable!() };
        entry.facts.name = name.into();
        assert_eq!(refused(&desk, &mut writer, Event::Succession(entry)).code(), "ledger-text", "{name:?}");
    }
    // A credential does not get that of a key in another case either; the same key may.
    assert_eq!(refused(&desk, &mut writer, desk.credential("ci 2026", 2, 12)).code(), "ledger-name-taken");
    desk.issue(&mut writer, "ci 2026", 1, 12);
    // What was given up gives no name.
    writer.append(named(&desk, "next"), &context(13)).unwrap();
    let taken = Ledger::open(&desk.path()).unwrap();
    assert!(taken.names().iter().any(|(name, _)| *name == "next"));
    writer.void("a slip".into(), &context(14)).unwrap();
    desk.issue(&mut writer, "next", 3, 15);

    // The name of a root that was named is its own, also where it is only reported.
    let desk = closed();
    let ledger = Ledger::open(&desk.path()).unwrap();
    let names = ledger.names();
    let other = Hex([9; 8]);
    assert_eq!(ledger::check_name(names, "Root 110", other).unwrap_err().code(), "ledger-name-taken");
}
