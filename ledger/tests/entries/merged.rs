//! Copies that cannot be joined, and what a ledger knows of those that were.

use ledger::{Custody, Event, Hex, Ledger, MAX_BATCHES_LEN, Purpose, Writer};

use crate::desk::{Desk, context};
use crate::roots::{SECOND, closed, open_of};

fn note(holder: &str) -> Event {
    let (kept, reason) = ("a drawer".to_owned(), "a move".to_owned());
    Event::Custody(Custody { name: "root".into(), kid: Hex([1; 8]), holder: holder.into(), kept, reason })
}

fn hex(writer: &Writer) -> String {
    Hex(writer.ledger().entries().last().unwrap().digest).to_string()
}

/// One stick gave up what the other one signed: joining only what follows would lose the record.
#[test]
fn a_record_that_one_copy_has_of_a_common_entry_is_not_lost() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    writer.append(desk.credential("ci", 1, 11), &context(11)).unwrap();
    let other = desk.copy();
    writer.void("the wrong key".into(), &context(12)).unwrap();
    let mut theirs = Writer::open(&other.path()).unwrap();
    other.finish(&mut theirs);
    theirs.append(note("Bob"), &context(13)).unwrap();
    other.issue(&mut theirs, "cd", 2, 14);
    let (before, their_files) = (desk.files(), other.files());
    let refused = writer.merge(theirs.ledger(), "two sticks".into(), &context(15)).unwrap_err();
    assert_eq!(refused.code(), "ledger-signed-once");
    let message = refused.to_string();
    let signed = format!("entry 2 is signed in the ledger {}", other.path().display());
    assert!(message.starts_with(&signed), "{message}");
    let same = theirs.merge(writer.ledger(), "two sticks".into(), &context(15)).unwrap_err();
    assert_eq!(same.to_string(), message);
    assert_eq!((desk.files(), other.files()), (before, their_files));
    assert!(!desk.path().join("000004-merge").exists() && !other.path().join("000005-merge").exists());
}

/// A cut while a copy was joined left its folder, and the number went to another entry.
#[test]
fn what_a_cut_left_of_a_merge_is_no_part_of_the_ledger() {
    let desk = closed();
    let mut writer = Writer::open(&desk.path()).unwrap();
    let number = writer.append(note("Bob"), &context(30)).unwrap();
    let left = desk.path().join(format!("{number:06}-merge"));
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("000002-devices.json"), b"{}").unwrap();
    let lines = std::fs::File::create(left.join("000002-devices.jsonl")).unwrap();
    lines.set_len(MAX_BATCHES_LEN + 1).unwrap();
    let before = Ledger::open(&desk.path()).unwrap();
    let path = desk.path().with_file_name("second");
    let open = open_of(&desk, SECOND, Purpose::Root);
    Writer::continue_from(&path, open, &before, &context(31)).unwrap();
    assert!(!path.join("000001-before").join(left.file_name().unwrap()).exists());
}

/// Somebody wrote down the last entry of a stick, which was joined since.
#[test]
fn what_was_written_down_of_a_joined_copy_is_there() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    let other = desk.copy();
    writer.append(note("Ada"), &context(11)).unwrap();
    let mut theirs = Writer::open(&other.path()).unwrap();
    for holder in ["Bob", "Eve", "Bob", "Eve"] {
        theirs.append(note(holder), &context(12)).unwrap();
    }
    let written = hex(&theirs);
    let check = |ledger: &Ledger, entries, digest| {
        ledger.check_written(entries, digest).map_err(|error| error.code().to_owned())
    };
    let stale = Err("ledger-stale".to_owned());
    assert_eq!(check(writer.ledger(), Some(5), Some(&written)), stale);
    writer.merge(theirs.ledger(), "two sticks".into(), &context(13)).unwrap();
    for ledger in [writer.ledger(), &Ledger::open(&desk.path()).unwrap()] {
        for (entries, digest) in [(Some(5), &written[..]), (Some(5), &written[..16]), (None, &written[..])] {
            assert_eq!(check(ledger, entries, Some(digest)), Ok(()), "{entries:?} {digest}");
        }
        // It is entry 5, and this ledger itself has three.
        assert_eq!(check(ledger, Some(4), Some(&written)), stale);
        assert_eq!(check(ledger, Some(5), None), stale);
        assert_eq!(check(ledger, Some(3), None), Ok(()));
    }
}
