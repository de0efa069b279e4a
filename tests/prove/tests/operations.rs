//! The part of `cargo xtask prove` that every test run has: every third operation of a life once, with a kind of fault that the
//! seed chooses and a cut in the recovery (each of them in `cargo xtask test --long`); and the kinds that a loader before this one failed, each in a geometry and a
//! step where it did. A case of its own has a number, which moves with the loader, and is blind soon.

use std::sync::atomic::AtomicBool;

use prove::case::Kind;
use prove::engine::{Selection, Summary, run};
use prove::geometries;
use prove::life::Step;

#[test]
fn every_operation_survives_a_fault_and_a_cut_in_the_recovery() {
    let steps = Step::ALL.to_vec();
    let selection =
        Selection { kinds: Kind::ALL.to_vec(), steps, seed: 1, brief: true, every: 3, names_excused: false };
    let mut summary = Summary::default();
    for (name, make) in geometries::ALL {
        run(make(name).as_ref(), &selection, &AtomicBool::new(false), &mut summary);
    }
    println!("{summary}");
    for failing in &summary.failures {
        println!("{}: cargo xtask prove --replay {}", failing.what, failing.case);
    }
    assert!(summary.is_good(), "{summary}: {:?}", summary.failures);
    assert!(summary.cases > 10_000, "{summary}");
}

/// Runs every case of one kind in these steps of one geometry, or every so manyth of them.
fn survives_each(kind: Kind, name: &'static str, steps: &[Step], every: usize) {
    let (kinds, steps) = (vec![kind], steps.to_vec());
    let selection = Selection { kinds, steps, seed: 1, brief: false, every, names_excused: false };
    let mut summary = Summary::default();
    let (_, make) = geometries::ALL.into_iter().find(|(known, _)| *known == name).unwrap();
    run(make(name).as_ref(), &selection, &AtomicBool::new(false), &mut summary);
    println!("{kind:?} in {name}: {summary}");
    assert!(summary.is_good() && summary.cases > 300, "{summary}: {:?}", summary.failures);
}

/// One of them within a swap took devices out of service, when it hit the erase of the marks.
#[test]
fn boot50_a_device_survives_each_cut_that_leaves_words_unreadable() {
    survives_each(Kind::CutUnreadable, "w32-p512", &Step::ALL, 1);
}

/// One of two parts of a journal that stopped to erase within a swap left a device between two images.
#[test]
fn boot64_a_device_with_two_parts_of_a_journal_survives_each_error_that_lasts() {
    survives_each(Kind::ErrorLasts, "w8-p512-two-parts", &Step::ALL, 1);
}

/// A word of slot A that has nothing to hold, and does not read, stopped every swap.
#[test]
fn boot23_a_device_survives_words_that_do_not_read_any_more() {
    survives_each(Kind::ReadLasts, "w2-p1024", &[Step::Update], 6);
}

/// Reads of the way back that failed for a moment were a verdict on it.
#[test]
fn boot63_a_device_survives_each_outage_of_reads_within_a_revert() {
    survives_each(Kind::Read, "w32-p512", &[Step::Revert], 1);
}

/// A word in one half of the stored objects that takes nothing stopped every list.
#[test]
fn boot24_a_device_in_the_factory_survives_words_that_do_not_read_any_more() {
    survives_each(Kind::ReadLasts, "w2-p1024", &[Step::Provision], 1);
}

/// A table that a cut leaves half confirmed, or half gone, is none that an application may go by.
#[test]
fn boot91_a_device_with_a_table_survives_each_cut_that_leaves_words_unreadable() {
    let steps = [Step::TableUpdate, Step::TableRevert, Step::TableFile, Step::Beside];
    survives_each(Kind::CutUnreadable, "w32-p512-table", &steps, 1);
}

/// What decays while the table comes is the firmware's, the table's, or what the device has stored.
#[test]
fn boot95_a_device_with_a_table_survives_words_that_decay_within_its_update() {
    survives_each(Kind::DecayWithin, "w32-p512-table", &[Step::TableUpdate, Step::Beside], 1);
}

/// A file begins anew after every cut.
#[test]
fn suit66_a_device_that_takes_one_file_survives_each_error_that_lasts() {
    survives_each(Kind::ErrorLasts, "w16-p2048-file", &[Step::File], 1);
}

/// Behind its first commit an encrypted file goes on where its key stream and its tag have to be found again.
#[test]
fn sym38_an_encrypted_file_goes_on_after_each_cut() {
    survives_each(Kind::CutNothing, "w16-p2048-file", &[Step::Continued], 3);
}

/// The same of a table, and of one that is encrypted without a tag.
#[test]
fn sym38_an_encrypted_table_goes_on_after_each_cut() {
    survives_each(Kind::CutNothing, "w32-p512-table", &[Step::TableUpdate, Step::TableFile], 1);
}
