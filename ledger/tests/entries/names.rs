//! Whose name is whose, also where two keys have names that people take for one.

use ledger::{Context, Custody, Event, Hex, Ledger, Writer};
use trust::author::Signer as _;

use crate::desk::{Desk, context, key};

/// Two sticks went on, and each certified another key under one name.
#[test]
fn a_key_keeps_its_name_beside_an_alike_one_of_a_joined_copy() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    let other = desk.copy();
    desk.issue(&mut writer, "ci", 1, 11);
    let mut theirs = Writer::open(&other.path()).unwrap();
    other.issue(&mut theirs, "ci", 2, 12);
    writer.merge(theirs.ledger(), "two sticks".into(), &context(13)).unwrap();
    desk.issue(&mut writer, "ci", 1, 14);
    desk.issue(&mut writer, "ci", 2, 15);
    // Whoever says the name means one of them, and it is not for the ledger to choose.
    let kid = |number| Hex(key(number).public_key().kid().0);
    let both = writer.ledger().key_named("ci", desk.now()).unwrap_err();
    assert_eq!(both.code(), "ledger-name-of-two");
    assert_eq!(
        both.to_string(),
        format!("two keys of the ledger are named \"ci\": {} and {}", kid(1), kid(2))
    );
    assert_eq!(writer.ledger().key_in_line("ci", desk.now()).unwrap_err().code(), "ledger-name-of-two");
    for number in [1, 2] {
        let found = writer.ledger().key_named(&kid(number).to_string(), desk.now()).unwrap();
        assert_eq!((found.kid, found.credentials.len()), (kid(number), 2));
    }
    // Nobody else gets it, and neither gets it in another case.
    for (name, subject) in [("ci", 3), ("CI", 3), ("CI", 1), ("CI", 2)] {
        let taken = writer.append(desk.credential(name, subject, 16), &context(16)).unwrap_err();
        assert_eq!(taken.code(), "ledger-name-taken", "{name} {subject}");
    }
}

/// What was signed before is in the world under its name: the ledger begins with it, whatever names it refuses today.
#[test]
fn what_was_signed_before_keeps_its_name() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    let adopt = |writer: &mut Writer, name: &str, subject| {
        let unwitnessed = Context { unwitnessed: true, ..context(11) };
        writer.append(desk.credential(name, subject, 11), &unwitnessed).unwrap();
        desk.finish(writer);
    };
    let hidden = "ci\u{200b}";
    adopt(&mut writer, "CI", 1);
    adopt(&mut writer, "ci", 2);
    adopt(&mut writer, hidden, 3);
    for (name, subject) in [("CI", 1), ("ci", 2), (hidden, 3)] {
        desk.issue(&mut writer, name, subject, 12);
    }
    assert_eq!(
        writer.append(desk.credential(hidden, 4, 13), &context(13)).unwrap_err().code(),
        "ledger-text"
    );
    assert_eq!(Ledger::open(&desk.path()).unwrap().keys(desk.now()).len(), 3);
}

/// A beginning that failed leaves no ledger in the way of the next one; one that its key vouches for stays.
#[test]
fn a_ledger_is_taken_back_until_its_key_vouches_for_it() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    desk.issue(&mut writer, "ci", 1, 11);
    writer.append(desk.credential("cd", 2, 12), &context(12)).unwrap();
    writer.withdraw().unwrap();
    let left: Vec<_> = desk.files().into_iter().filter(|(path, _)| !path.ends_with(".lock")).collect();
    assert!(left.is_empty(), "{left:?}");
    let mut writer = desk.begin();
    desk.sign_head(&mut writer, 13);
    let before = desk.files();
    assert_eq!(writer.withdraw().unwrap_err().code(), "ledger-exists");
    assert_eq!(desk.files(), before);
    let note = Custody {
        name: "root".into(),
        kid: Hex([1; 8]),
        holder: "Bob".into(),
        kept: "a drawer".into(),
        reason: "a move".into(),
    };
    Writer::open(&desk.path()).unwrap().append(Event::Custody(note), &context(14)).unwrap();
}
