//! Places and parts that do not take, or do not keep, what is written.

use super::*;

#[test]
fn a_place_that_may_hold_a_weak_word_is_passed_over() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    journal.record(&mut device, list(1)).unwrap();
    nor.medium_mut().cut_at(0, Cut::Weak);
    journal.record(&mut device, list(2)).unwrap_err();
    nor.medium_mut().power_on();
    let mut journal = Journal::open(&mut device);
    journal.record(&mut device, list(3)).unwrap();
    assert_eq!(nor.medium().reprogrammed(), 0);
    assert_eq!(sequence(&Journal::open(&mut device)), 3);
}

#[test]
fn a_weak_word_that_is_programmed_all_the_same_costs_its_place_only() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    Journal::open(&mut device).record(&mut device, list(1)).unwrap();
    // The first record after a reset, twice: what precedes it reads as erased.
    nor.medium_mut().cut_at(0, Cut::Weak);
    Journal::open(&mut device).record(&mut device, list(2)).unwrap_err();
    nor.medium_mut().power_on();
    Journal::open(&mut device).record(&mut device, list(3)).unwrap();
    assert!(nor.medium().reprogrammed() > 0);
    assert_eq!(sequence(&Journal::open(&mut device)), 3);
}

#[test]
fn places_that_do_not_take_a_record_are_passed_over() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    for index in [0, 1, 4, 5, 6, PLACES - 2, PLACES - 1] {
        nor.medium_mut().wear_out(place(index) + 16);
    }
    // The first word of the second half as well.
    nor.medium_mut().wear_out(place(PLACES));
    for number in 1..=100 {
        let mut journal = Journal::open(&mut device);
        journal.record(&mut device, list(number)).unwrap();
        assert_eq!(sequence(&Journal::open(&mut device)), number);
    }
}

#[test]
fn a_journal_that_takes_no_record_keeps_the_state() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    journal.record(&mut device, list(1)).unwrap();
    for index in 1..2 * PLACES {
        nor.medium_mut().wear_out(place(index) + RECORD_LEN - 8);
    }
    assert_eq!(journal.record(&mut device, list(2)), Err(JournalError::Flash(FlashError::NotProgrammed)));
    assert_eq!((sequence(&journal), sequence(&Journal::open(&mut device))), (1, 1));
}

#[test]
fn a_record_that_was_refused_and_reads_after_all_is_older_than_the_next() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    journal.record(&mut device, list(1)).unwrap();
    // The last word takes its bits late.
    nor.medium_mut().cut_at(LAST_WORD, Cut::Settles(1));
    journal.record(&mut device, list(2)).unwrap_err();
    nor.medium_mut().power_on();
    journal.record(&mut device, list(7)).unwrap();
    nor.medium_mut().power_cycle();
    assert_eq!(sequence(&Journal::open(&mut device)), 7);
}

#[test]
fn what_is_affirmed_lasts_and_costs_one_record() {
    for cut in [Cut::Fades(3), Cut::Settles(3)] {
        let nor = Nor::<8, 4096>::new(FLASH_LEN);
        let mut device = flash(&nor);
        let mut journal = Journal::open(&mut device);
        journal.record(&mut device, list(1)).unwrap();
        nor.medium_mut().cut_at(LAST_WORD, cut);
        journal.record(&mut device, list(2)).unwrap_err();
        nor.medium_mut().power_on();

        let mut journal = Journal::open(&mut device);
        let found = sequence(&journal);
        assert_eq!(found, if cut == Cut::Fades(3) { 2 } else { 1 });
        journal.affirm(&mut device).unwrap();
        let before = nor.medium().operations();
        journal.affirm(&mut device).unwrap();
        assert_eq!(nor.medium().operations(), before);
        nor.medium_mut().power_cycle();
        assert_eq!(sequence(&Journal::open(&mut device)), found, "{cut:?}");
    }
}

#[test]
fn an_unreadable_newest_record_leaves_the_one_before() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    for number in 1..=3 {
        journal.record(&mut device, list(number)).unwrap();
    }
    // Each stands there twice.
    for copy in [place(4), place(5)] {
        nor.medium_mut().break_word(copy + 64);
    }
    let mut journal = Journal::open(&mut device);
    assert_eq!(sequence(&journal), 2);
    journal.record(&mut device, list(4)).unwrap();
    assert_eq!(sequence(&Journal::open(&mut device)), 4);
}

/// One word anywhere that reads otherwise, or not at all, loses no event, and the record that suffered is written again.
#[test]
fn no_word_that_decays_loses_an_event() {
    for told in [1, 2, 9, 10, 11, 25] {
        let nor = Nor::<8, 4096>::new(FLASH_LEN);
        let mut device = flash(&nor);
        let mut journal = Journal::open(&mut device);
        for number in 1..=told {
            journal.record(&mut device, list(number)).unwrap();
        }
        for word in (0..2 * PLACES * RECORD_LEN).step_by(8) {
            let offset = place(word / RECORD_LEN) + word % RECORD_LEN;
            let flip = |medium: &mut Medium, offset: usize| {
                let byte = medium.bytes()[offset];
                medium.tamper(offset, &[byte ^ 0x10]);
            };
            for decay in [Medium::break_word, flip] {
                let twin = Nor::<8, 4096>::with(nor.medium().clone());
                decay(&mut twin.medium_mut(), offset);
                let mut device = flash(&twin);
                let mut journal = Journal::open(&mut device);
                assert_eq!(sequence(&journal), told, "{offset:#x}");
                journal.mend(&mut device).unwrap();
                // The other copy of what suffered.
                let is_first = (word / RECORD_LEN % PLACES).is_multiple_of(2);
                twin.medium_mut().break_word(if is_first {
                    offset + RECORD_LEN
                } else {
                    offset - RECORD_LEN
                });
                assert_eq!(sequence(&Journal::open(&mut device)), told, "{offset:#x}, mended");
            }
        }
    }
}

/// Two cuts between the copies of a record fill the smallest part but for the two places that the next event takes. Its
/// first copy decays: the second one is whole, so no cut is in the first, and what is in it was told to a caller.
#[test]
fn boot24_a_whole_second_copy_proves_its_part() {
    type Small = Nor<8, 512>;
    let nor = Small::new(FLASH_LEN);
    let mut device = flash(&nor);
    let words = (RECORD_LEN / 8) as u64;
    // Two events, and the place that a reset passes over: the first part is full.
    for number in 1..=2 {
        Journal::open(&mut device).record(&mut device, list(number)).unwrap();
    }
    let erases = 2;
    nor.medium_mut().cut_at(erases + words, Cut::Nothing);
    Journal::open(&mut device).record(&mut device, list(8)).unwrap_err();
    nor.medium_mut().power_on();
    nor.medium_mut().cut_at(words, Cut::Nothing);
    Journal::open(&mut device).record(&mut device, list(8)).unwrap_err();
    nor.medium_mut().power_on();
    Journal::open(&mut device).record(&mut device, list(9)).unwrap();
    nor.medium_mut().break_word(0x1_0400 + 4 * RECORD_LEN);
    assert_eq!(sequence(&Journal::open(&mut device)), 9);

    for operation in 0..erases + 2 * words {
        let nor = Small::with(nor.medium().clone());
        let mut device = flash(&nor);
        nor.medium_mut().cut_at(operation, Cut::Nothing);
        Journal::open(&mut device).record(&mut device, list(10)).unwrap_err();
        nor.medium_mut().power_on();
        assert!(sequence(&Journal::open(&mut device)) >= 9, "cut at {operation}");
    }
}

/// A page that is not erased, or takes nothing, for good: with a third part the journal goes on.
#[test]
fn boot4_a_part_that_fails_for_good_is_passed_over() {
    for kind in [Medium::fail_to_erase, Medium::fail_to_program, Medium::wear_out, Medium::break_word] {
        for part in 0..3 {
            let nor = Nor::<8, 4096>::new(FLASH_LEN);
            let mut device = flash_of(&nor, 3);
            let mut journal = Journal::open(&mut device);
            for number in 1..=200 {
                if number == 30 {
                    for word in (0..4096).step_by(8) {
                        kind(&mut nor.medium_mut(), 0x1_0000 + part * 4096 + word);
                    }
                }
                if number % 7 == 0 {
                    journal = Journal::open(&mut device);
                }
                // What was in a part that reads no more is the only thing lost.
                journal.record(&mut device, list(number)).unwrap();
                assert_eq!(sequence(&Journal::open(&mut device)), number, "part {part}");
            }
        }
    }
}
