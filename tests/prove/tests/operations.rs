//! The part of `cargo xtask prove` that every test run has: each operation of a life once, with a kind of fault that the
//! seed chooses and a cut in the recovery.

use std::sync::atomic::AtomicBool;

use prove::case::Kind;
use prove::engine::{Selection, Summary, run};
use prove::geometries;

#[test]
fn every_operation_survives_a_fault_and_a_cut_in_the_recovery() {
    let selection = Selection { kinds: Kind::ALL.to_vec(), seed: 1, brief: true, every: 1 };
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

/// Runs every case of one kind in one geometry, whatever number a case that was found once has by now.
fn survives_each(kind: Kind, name: &'static str) {
    let selection = Selection { kinds: vec![kind], seed: 1, brief: false, every: 1 };
    let mut summary = Summary::default();
    let (_, make) = geometries::ALL.into_iter().find(|(known, _)| *known == name).unwrap();
    run(make(name).as_ref(), &selection, &AtomicBool::new(false), &mut summary);
    assert!(summary.is_good() && summary.cases > 1_000, "{summary}: {:?}", summary.failures);
}

/// One of them within a swap took devices out of service, when it hit the erase of the marks.
#[test]
fn boot50_a_device_survives_each_cut_that_leaves_words_unreadable() {
    survives_each(Kind::CutUnreadable, "w32-p512");
}

/// One of two parts of a journal that stopped to erase within a swap left a device between two images.
#[test]
fn boot64_a_device_with_two_parts_of_a_journal_survives_each_error_that_lasts() {
    survives_each(Kind::ErrorLasts, "w8-p512-two-parts");
}
