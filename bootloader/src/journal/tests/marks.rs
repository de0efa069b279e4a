//! Marks of progress.

use super::*;

/// The state with an install that has come so far.
fn installing(device: &mut Flash<Nor<8, 4096>>, journal: &mut Journal) -> ImageRecord {
    let image = ImageRecord { manifest_digest: [3; 32], sequence: 1, size: 0x10_0000 };
    journal.record(device, Event::InstallStarted(image)).unwrap();
    image
}

/// An install that has begun, and three marks after it.
fn three_steps(device: &mut Flash<Nor<8, 4096>>, journal: &mut Journal) {
    installing(device, journal);
    for step in 1..=3 {
        journal.advance(device, Event::Committed(step), |_, _| 0).unwrap();
    }
}

#[test]
fn marks_carry_a_procedure_on_and_count_for_it_only() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    installing(&mut device, &mut journal);
    let records = nor.medium().operations();
    for step in 1..=1_000 {
        journal.advance(&mut device, Event::Committed(step * 16), |_, _| 7).unwrap();
        assert_eq!(journal.state().status, Status::Installing { offset: step * 16 });
        assert_eq!(Journal::open(&mut device).state().status, Status::Installing { offset: step * 16 });
    }
    // Far less than 160 bytes each.
    assert!(nor.medium().operations() - records < 1_000 * 3);
    // Those of an install that was replaced do not count for the next one.
    installing(&mut device, &mut journal);
    assert_eq!(Journal::open(&mut device).state().status, Status::Installing { offset: 0 });
}

/// A mark lost, or a region that takes none: the procedure goes on from a step before, or by records.
#[test]
fn marks_that_decay_or_are_not_taken_cost_steps_only() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    three_steps(&mut device, &mut journal);
    nor.medium_mut().break_word(MARKS + 2 * mark::MARK_LEN);
    assert_eq!(Journal::open(&mut device).state().status, Status::Installing { offset: 2 });
    for word in (0..4096).step_by(8) {
        nor.medium_mut().wear_out(MARKS + word);
    }
    let mut journal = Journal::open(&mut device);
    for step in 3..=40 {
        journal.advance(&mut device, Event::Committed(step), |_, _| 0).unwrap();
        assert_eq!(Journal::open(&mut device).state().status, Status::Installing { offset: step });
    }
}

/// A mark that a cut left in doubt, and that reads whole only after its step was begun again.
#[test]
fn a_mark_in_doubt_counts_no_more_once_another_reading_was_affirmed() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    installing(&mut device, &mut journal);
    journal.advance(&mut device, Event::Committed(1), |_, _| 0).unwrap();
    // The last of the two words of the mark.
    nor.medium_mut().cut_at(1, Cut::Settles(1));
    journal.advance(&mut device, Event::Committed(2), |_, _| 0).unwrap_err();
    nor.medium_mut().power_on();
    let mut journal = Journal::open(&mut device);
    assert_eq!(journal.state().status, Status::Installing { offset: 1 });
    journal.affirm(&mut device).unwrap();
    nor.medium_mut().power_cycle();
    assert_eq!(Journal::open(&mut device).state().status, Status::Installing { offset: 1 });
}

/// Where the marks begin in this layout.
const MARKS: usize = 0x3_0000;

/// Marks that do not read for a while may read later: a record that is written meanwhile takes none of them back.
#[test]
fn boot24_marks_that_do_not_read_outlive_a_record_that_is_written_again() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    three_steps(&mut device, &mut journal);
    let silent = Nor::<8, 4096>::with(nor.medium().clone());
    for word in (0..4096).step_by(8) {
        silent.medium_mut().break_word(MARKS + word);
    }
    let mut journal = Journal::open(&mut flash(&silent));
    assert!(journal.is_silent());
    journal.affirm(&mut flash(&silent)).unwrap();
    // The record of the one, the marks of the other.
    let records = place(0)..place(2 * PLACES);
    nor.medium_mut().tamper(records.start, &silent.medium().bytes()[records.clone()]);
    assert_eq!(Journal::open(&mut device).state().status, Status::Installing { offset: 3 });
}

/// A record that is written between marks has the position too: marks of before that are left when later ones are lost
/// take nothing back.
#[test]
fn marks_before_a_record_take_nothing_back() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    three_steps(&mut device, &mut journal);
    journal.record(&mut device, Event::MendFailed).unwrap();
    for lost in [1, 2] {
        nor.medium_mut().break_word(MARKS + lost * mark::MARK_LEN);
    }
    assert_eq!(Journal::open(&mut device).state().status, Status::Installing { offset: 3 });
}

/// A place that is used already takes no mark, and nothing is programmed over what is there.
#[test]
fn a_place_that_is_not_erased_any_more_takes_no_mark() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    installing(&mut device, &mut journal);
    journal.advance(&mut device, Event::Committed(1), |_, _| 0).unwrap();
    // Another view of the same journal, which passes a place over, writes the one after it.
    Journal::open(&mut device).advance(&mut device, Event::Committed(2), |_, _| 0).unwrap();
    for step in [3, 4] {
        journal.advance(&mut device, Event::Committed(step), |_, _| 0).unwrap();
    }
    assert_eq!(Journal::open(&mut device).state().status, Status::Installing { offset: 4 });
}

/// Whatever the boot wrote before it, a list that came or a copy that was mended: a stranger cannot resume for nothing.
#[test]
fn boot27_a_resumption_counts_once_a_boot_also_after_another_record() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    installing(&mut device, &mut journal);
    for boot in 1..=5 {
        let mut journal = Journal::open(&mut device);
        let before = journal.state().attempts.count();
        journal.record(&mut device, list(boot)).unwrap();
        for _ in 0..3 {
            journal.resume(&mut device).unwrap();
            assert_eq!(journal.state().attempts.count(), before + 1);
            assert_eq!(Journal::open(&mut device).state().attempts.count(), before + 1, "boot {boot}");
        }
    }
}

/// Two devices have sectors of their own lengths, and the driver names the larger one.
#[test]
fn boot23_a_short_sector_of_marks_that_does_not_read_leaves_the_position_unknown() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    three_steps(&mut device, &mut journal);
    for (len, is_silent) in [(112, false), (128, true)] {
        for word in (0x3_0800..0x3_0800 + len).step_by(8) {
            nor.medium_mut().break_word(word);
        }
        assert_eq!(Journal::open(&mut device).is_silent(), is_silent, "{len}");
    }
}
