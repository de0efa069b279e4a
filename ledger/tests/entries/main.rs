//! A ledger as its writers make it, as time and people damage it, and as two of them part.

mod batches;
mod desk;
mod forged;
mod merged;
mod names;
mod roots;
mod unfit;

use ledger::{Error, Event, Fault, Ledger, Relation, Writer, compare};
use trust::author::Signer as _;

use desk::{Desk, context};

#[test]
fn each_step_leaves_a_ledger_that_reads() {
    let desk = Desk::new();
    assert!(matches!(Ledger::open(&desk.path()), Err(Error::Absent(_))));
    let mut writer = desk.begin();
    assert_eq!(Ledger::open(&desk.path()).unwrap().uncovered().len(), 1);
    desk.sign_head(&mut writer, 10);
    let number = writer.append(desk.credential("ci 2026", 1, 11), &context(11)).unwrap();
    // Begun: it is found again, and nothing else is signed before it is finished.
    drop(writer);
    let mut writer = Writer::open(&desk.path()).unwrap();
    assert_eq!(writer.ledger().begun().unwrap().entry.number, number);
    let other = writer.append(desk.list(1, &[], 12), &context(12)).unwrap_err();
    assert_eq!(other.code(), "ledger-begun");
    assert!(other.to_string().contains("ci 2026"), "{other}");
    let (_, unsigned) = writer.begun().unwrap();
    let record = unsigned.sign(&desk.root).unwrap();
    writer.finish(&record).unwrap();
    drop(writer);
    let mut writer = Writer::open(&desk.path()).unwrap();
    assert!(writer.ledger().begun().is_none());
    assert_eq!(writer.ledger().uncovered().len(), 1);
    desk.sign_head(&mut writer, 13);
    let read = Ledger::open(&desk.path()).unwrap();
    assert_eq!((read.uncovered().len(), read.head().unwrap().head.entries), (0, 2));
    assert_eq!(read.entry(2).unwrap().record.as_deref(), Some(&record[..]));
    assert_eq!(read.keys(desk.now()).len(), 1);
}

#[test]
fn a_begun_entry_can_be_given_up() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    assert_eq!(writer.void("no".into(), &context(11)).unwrap_err().code(), "ledger-nothing-begun");
    writer.append(desk.credential("ci", 1, 11), &context(11)).unwrap();
    writer.void("the wrong key lay on the desk".into(), &context(12)).unwrap();
    assert!(writer.ledger().begun().is_none());
    // Its name is free again, and it certified nothing.
    let again = writer.append(desk.credential("ci", 2, 12), &context(12)).unwrap();
    desk.finish(&mut writer);
    assert_eq!(again, 4);
    desk.sign_head(&mut writer, 13);
    let read = Ledger::open(&desk.path()).unwrap();
    assert!(read.is_void(2) && read.keys(desk.now()).len() == 1);
}

#[test]
fn nothing_is_written_that_could_not_be_read() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    desk.issue(&mut writer, "ci", 1, 11);
    let before = desk.files();
    let name_taken = writer.append(desk.credential("ci", 2, 12), &context(12)).unwrap_err();
    assert_eq!(name_taken.code(), "ledger-name-taken");
    let root_name = writer.append(desk.credential("root", 2, 12), &context(12)).unwrap_err();
    assert_eq!(root_name.code(), "ledger-name-taken");
    let backwards = writer.append(desk.credential("cd", 2, 12), &context(10)).unwrap_err();
    assert_eq!(backwards.code(), "ledger-time");
    let Event::Credential(mut entry) = desk.credential("cd", 2, 12) else { unreachable!() };
    entry.holder = Some("Ada\nLovelace".into());
    let text = writer.append(Event::Credential(entry), &context(12)).unwrap_err();
    assert_eq!(text.code(), "ledger-text");
    assert_eq!(desk.files(), before);
    // The same key may have several credentials under its name.
    desk.issue(&mut writer, "ci", 1, 12);
    assert_eq!(writer.ledger().keys(desk.now())[0].credentials.len(), 2);
}

#[test]
fn a_record_is_that_of_the_begun_entry() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    let record = desk.unsigned_credential("cd", 3, 11).sign(&desk.root).unwrap();
    assert_eq!(writer.finish(&record).unwrap_err().code(), "ledger-nothing-begun");
    writer.append(desk.credential("ci", 1, 11), &context(11)).unwrap();
    let (_, unsigned) = writer.begun().unwrap();
    let mut good = unsigned.sign(&desk.root).unwrap();
    let before = desk.files();
    *good.last_mut().unwrap() ^= 1;
    for bad in [&record[..], &good, b"", b"no record"] {
        assert_eq!(writer.finish(bad).unwrap_err().code(), "not-possible");
    }
    assert!(unsigned.sign(&desk.stranger).is_err(), "another key signs nothing here");
    assert_eq!(desk.files(), before);
}

#[test]
fn two_do_not_write_at_once() {
    let desk = Desk::new();
    let writer = desk.begin();
    assert!(matches!(Writer::open(&desk.path()), Err(Error::InUse(_))));
    drop(writer);
    assert!(matches!(Writer::create(&desk.path(), desk.open_event(), &context(11)), Err(Error::Exists(_))));
    Writer::open(&desk.path()).unwrap();
}

/// Whatever single byte of whatever file changes, and whatever file is gone: found. But for the newest of what the head does
/// not cover yet.
#[test]
fn every_damage_is_found() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    desk.issue(&mut writer, "ci", 1, 11);
    desk.list_in(&mut writer, 1, &[1], 12);
    desk.sign_head(&mut writer, 13);
    drop(writer);
    for (path, content) in desk.files() {
        if path.ends_with(".lock") {
            continue;
        }
        for place in 0..content.len() {
            let change = [0x01, 0x20, 0x80][place % 3];
            let mut changed = content.clone();
            changed[place] ^= change;
            std::fs::write(&path, &changed).unwrap();
            let opened = Ledger::open(&desk.path());
            assert!(opened.is_err(), "{} byte {place} ^ {change:#x}", path.display());
        }
        std::fs::write(&path, [&content[..], b"\n"].concat()).unwrap();
        assert!(Ledger::open(&desk.path()).is_err(), "{} with a line more", path.display());
        std::fs::remove_file(&path).unwrap();
        if path.ends_with(ledger::HEAD_FILE) {
            // Without a head nothing vouches for the last entries, and the ledger says so.
            assert_eq!(Ledger::open(&desk.path()).unwrap().uncovered().len(), 3);
        } else if path.extension().is_some_and(|extension| extension == "cwt")
            && path.to_string_lossy().contains("000003")
        {
            assert!(Ledger::open(&desk.path()).unwrap().begun().is_some());
        } else {
            assert!(Ledger::open(&desk.path()).is_err(), "{} gone", path.display());
        }
        std::fs::write(&path, &content).unwrap();
    }
    Ledger::open(&desk.path()).unwrap();
}

#[test]
fn the_last_entries_cannot_be_cut_off() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    desk.issue(&mut writer, "ci", 1, 11);
    desk.sign_head(&mut writer, 12);
    drop(writer);
    desk.remove("000002-credential.json");
    desk.remove("000002-credential.cwt");
    assert!(matches!(Ledger::open(&desk.path()), Err(Error::Damaged { fault: Fault::HeadBeyond(2), .. })));
}

#[test]
fn an_entry_says_what_its_record_says() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    desk.issue(&mut writer, "ci", 1, 11);
    drop(writer);
    let path = desk.path().join("000002-credential.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [
        (r#""name": "ci""#, r#""name": "me""#),
        (r#""generation": 0"#, r#""generation": 1"#),
        (r#""role": "release""#, r#""role": "service""#),
    ] {
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let error = Ledger::open(&desk.path()).unwrap_err();
        assert!(matches!(error, Error::Damaged { fault: Fault::Facts, .. }), "{from}: {error}");
    }
    // One form only, and no member that this version would lose.
    for (from, to, wanted) in [
        ("  \"format\"", " \"format\"", "Spelling"),
        ("\"format\": 1,", "\"format\": 1,\n  \"more\": 2,", "Form"),
        ("\"format\": 1", "\"format\": 2", "Newer"),
    ] {
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = format!("{:?}", Ledger::open(&desk.path()).unwrap_err());
        assert!(error.contains(wanted), "{error}");
    }
}

/// A stick that lay in a drawer, and two sticks that both went on.
#[test]
fn copies_are_compared() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    desk.list_in(&mut writer, 1, &[], 11);
    desk.sign_head(&mut writer, 12);
    drop(writer);
    let other = desk.copy();
    let relation = |one: &Desk, two: &Desk| {
        let (one, two) = (Ledger::open(&one.path()).unwrap(), Ledger::open(&two.path()).unwrap());
        compare(&one, &two)
    };
    assert_eq!(relation(&desk, &other).relation, Relation::Same);
    let mut writer = Writer::open(&desk.path()).unwrap();
    let newest = desk.list_in(&mut writer, 2, &[1], 13);
    drop(writer);
    assert_eq!(
        (relation(&desk, &other).relation, relation(&other, &desk).relation),
        (Relation::Behind, Relation::Ahead)
    );
    // The published list tells a stale copy.
    let stale = Ledger::open(&other.path()).unwrap().check_published(&newest).unwrap_err();
    assert!(matches!(stale, Error::Stale { published: 2, known: 1 }), "{stale}");
    Ledger::open(&desk.path()).unwrap().check_published(&newest).unwrap();

    let mut writer = Writer::open(&other.path()).unwrap();
    other.list_in(&mut writer, 2, &[2], 14);
    drop(writer);
    let parted = relation(&desk, &other);
    assert_eq!((parted.relation, parted.common), (Relation::Forked, 2));
    let forked = Ledger::open(&other.path()).unwrap().check_published(&newest).unwrap_err();
    assert!(matches!(forked, Error::Forked(2)), "{forked}");
    let strange = Ledger::open(&other.path()).unwrap().check_published(&desk.list_of_a_stranger());
    assert_eq!(strange.unwrap_err().code(), "not-possible");
}

#[test]
fn a_list_in_the_ledger_continues_the_one_before_it() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    desk.list_in(&mut writer, 1, &[1], 11);
    // A list that forgets what was revoked: the ledger does not read any more, so it must never be begun.
    let dropping = writer.append(desk.list(2, &[], 12), &context(12));
    assert_eq!(dropping.unwrap_err().code(), "not-possible");
    let backwards = writer.append(desk.list(1, &[1, 2], 12), &context(12));
    assert_eq!(backwards.unwrap_err().code(), "not-possible");
    desk.list_in(&mut writer, 2, &[1, 2], 12);
    assert_eq!(writer.ledger().newest_list().unwrap().sequence(), 2);
}

#[test]
fn a_ledger_is_of_one_key() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    writer.check_key(&desk.root.public_key()).unwrap();
    let error = writer.check_key(&desk.stranger.public_key()).unwrap_err();
    assert_eq!(error.code(), "ledger-other-key");
    let of_another = trust::author::prepare_ledger_head(
        &trust::LedgerHead { entries: 1, digest: [0; 32], issued_at: desk.now() },
        &desk.root.public_key(),
    );
    let head = of_another.unwrap().sign(&desk.root).unwrap();
    assert_eq!(writer.set_head(head).unwrap_err().code(), "not-possible");
}

/// The end of a transcript is signed like every other record, and the entry says what it says.
#[test]
fn a_ceremony_is_an_entry_with_a_record() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    let end = trust::TranscriptEnd { lines: 34, digest: [0xdd; 32], issued_at: desk.now() };
    let unsigned = trust::author::prepare_transcript_end(&end, &desk.root.public_key()).unwrap();
    let event = |change: fn(&mut ledger::CeremonyEntry)| match Event::of_record(&unsigned).unwrap() {
        Event::Ceremony(mut entry) => {
            change(&mut entry);
            Event::Ceremony(entry)
        }
        other => panic!("{other:?}"),
    };
    let text = writer.append(event(|entry| entry.purpose = Some("\n".into())), &context(11)).unwrap_err();
    assert_eq!(text.code(), "ledger-text");
    writer.append(event(|entry| entry.purpose = Some("the first root".into())), &context(11)).unwrap();
    let begun = writer.append(desk.credential("ci", 1, 12), &context(12)).unwrap_err();
    assert_eq!(begun.code(), "ledger-begun");
    let record = desk.finish(&mut writer);
    desk.sign_head(&mut writer, 13);
    assert_eq!(trust::TranscriptEnd::verify(&record, &desk.root.public_key()), Ok(end));
    let read = Ledger::open(&desk.path()).unwrap();
    assert_eq!(read.entry(2).unwrap().record.as_deref(), Some(&record[..]));

    // Another number of lines than the record has.
    let other = Desk::new();
    let mut writer = other.begin();
    let unfit = writer.append(event(|entry| entry.facts.lines = 35), &context(11)).unwrap_err();
    assert!(matches!(unfit, Error::Unfit { fault: Fault::Facts, .. }), "{unfit}");
    writer.append(event(|_| ()), &context(11)).unwrap();
    drop(writer);
    let path = other.path().join("000002-ceremony.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"lines\": 34", "\"lines\": 35")).unwrap();
    let damaged = Ledger::open(&other.path()).unwrap_err();
    assert!(matches!(damaged, Error::Damaged { fault: Fault::Facts, .. }), "{damaged}");
}
