//! Power cuts, alone and in a row.

use super::*;

/// The two plain kinds of cuts, and the others by turns.
fn cuts(operation: u64) -> [Cut; 3] {
    let other = match operation % 5 {
        0 => Cut::Weak,
        1 => Cut::Torn(operation),
        2 => Cut::Unreadable,
        3 => Cut::Fades(operation),
        _ => Cut::Settles(operation),
    };
    [Cut::Nothing, Cut::All, other]
}

/// Records `events` times, through many turnovers, with a cut at every operation, and goes on after it.
fn cut_everywhere<const WORD: usize, const PAGE: usize>(events: u64, parts: u32) {
    let clean = Nor::<WORD, PAGE>::new(FLASH_LEN);
    let mut device = flash_of(&clean, parts);
    let mut journal = Journal::open(&mut device);
    for number in 1..=events {
        journal.record(&mut device, list(number)).unwrap();
    }
    let operations = clean.medium().operations();
    for operation in 0..operations {
        for cut in cuts(operation) {
            let nor = Nor::<WORD, PAGE>::new(FLASH_LEN);
            nor.medium_mut().cut_at(operation, cut);
            let mut device = flash_of(&nor, parts);
            let mut journal = Journal::open(&mut device);
            let mut told = 0;
            while journal.record(&mut device, list(told + 1)).is_ok() {
                told += 1;
            }
            assert!(nor.medium().is_off(), "operation {operation} was never reached");
            nor.medium_mut().power_on();

            let mut journal = Journal::open(&mut device);
            let found = sequence(&journal);
            assert!(found == told || found == told + 1, "told {told}, found {found}, cut at {operation}");
            // Numbers of their own: what the cut left must not come back, however it reads later.
            for number in 100..=103 + operation % 3 {
                journal.record(&mut device, list(number)).unwrap();
                assert_eq!(sequence(&Journal::open(&mut device)), number, "{cut:?} at {operation}");
                nor.medium_mut().power_cycle();
                assert_eq!(sequence(&Journal::open(&mut device)), number, "{cut:?} at {operation}, later");
                if number % 2 == 0 {
                    journal = Journal::open(&mut device);
                }
            }
        }
    }
}

#[test]
fn a_cut_leaves_the_state_before_or_after_in_every_geometry() {
    cut_everywhere::<1, 512>(7, 2);
    cut_everywhere::<4, 512>(12, 2);
    cut_everywhere::<8, 4096>(35, 2);
    cut_everywhere::<32, 512>(17, 2);
    cut_everywhere::<32, 8192>(67, 2);
    cut_everywhere::<8, 512>(14, 3);
    cut_everywhere::<32, 4096>(40, 3);
}

/// Operations of the next record, on a copy; the record lasts.
fn operations_of_a_record<const WORD: usize, const PAGE: usize>(
    nor: &Nor<WORD, PAGE>,
    number: u64,
    parts: u32,
) -> u64 {
    let twin = Nor::<WORD, PAGE>::with(nor.medium().clone());
    let before = twin.medium().operations();
    let mut device = flash_of(&twin, parts);
    Journal::open(&mut device).record(&mut device, list(number)).unwrap();
    let operations = twin.medium().operations() - before;
    twin.medium_mut().power_cycle();
    assert_eq!(sequence(&Journal::open(&mut device)), number);
    operations
}

/// Loses power again and again: at the first operation of what follows, at the end of an erase, and at the last word of
/// the first record and of the one after it. Whatever became of the words in doubt, what a caller was told of stays.
fn cut_again<const WORD: usize, const PAGE: usize>(
    nor: &Nor<WORD, PAGE>,
    told: u64,
    (cuts, parts): (u32, u32),
) {
    let mut device = flash_of(nor, parts);
    let found = sequence(&Journal::open(&mut device));
    assert!(found >= told, "told {told}, found {found}, {cuts} cuts to come");
    let operations = operations_of_a_record(nor, found + 1, parts);
    if cuts == 0 {
        return;
    }
    let words = (RECORD_LEN / WORD) as u64;
    let erases = operations % words;
    let mut places = vec![0, erases.saturating_sub(1), erases + words - 1, operations - 1];
    places.dedup();
    for operation in places {
        for cut in [Cut::Fades(operation), Cut::Settles(operation)] {
            let nor = Nor::<WORD, PAGE>::with(nor.medium().clone());
            nor.medium_mut().cut_at(operation, cut);
            let mut device = flash_of(&nor, parts);
            Journal::open(&mut device).record(&mut device, list(found + 1)).unwrap_err();
            nor.medium_mut().power_on();
            cut_again(&nor, told, (cuts - 1, parts));
        }
    }
}

/// Every way to lose power `cuts` times in a row, from each number of records in a half, with resets between them and
/// without.
fn cut_in_a_row<const WORD: usize, const PAGE: usize>(cuts: u32, parts: u32) {
    let capacity = u64::from(capacity(&flash_of(&Nor::<WORD, PAGE>::new(FLASH_LEN), parts), 0));
    for told in capacity..=2 * capacity {
        for resets in [false, true] {
            let nor = Nor::<WORD, PAGE>::new(FLASH_LEN);
            let mut device = flash_of(&nor, parts);
            let mut journal = Journal::open(&mut device);
            for number in 1..=told {
                journal.record(&mut device, list(number)).unwrap();
                if resets && number % 2 == 0 {
                    journal = Journal::open(&mut device);
                }
            }
            cut_again(&nor, told, (cuts, parts));
        }
    }
}

#[test]
fn boot3_four_cuts_in_a_row_leave_what_was_told_in_every_geometry() {
    cut_in_a_row::<8, 512>(4, 2);
    cut_in_a_row::<32, 1024>(4, 2);
    cut_in_a_row::<8, 4096>(2, 2);
    cut_in_a_row::<8, 512>(4, 3);
}

/// A supply that fails at the last word of the first record after each reset, and then in the erase.
#[test]
fn boot3_a_supply_that_fails_after_each_reset_costs_no_record() {
    fn fail_always<const WORD: usize, const PAGE: usize>() {
        let nor = Nor::<WORD, PAGE>::new(FLASH_LEN);
        let mut device = flash(&nor);
        let mut journal = Journal::open(&mut device);
        let told = 100;
        for number in 1..=told {
            journal.record(&mut device, list(number)).unwrap();
        }
        let words = (RECORD_LEN / WORD) as u64;
        for reset in 0..4 * u64::from(capacity(&device, 0)) {
            let erases = operations_of_a_record(&nor, told, 2) % words;
            // In the erase as well, when there is one.
            for operation in if erases == 0 { vec![words - 1] } else { vec![0, erases + words - 1] } {
                nor.medium_mut().cut_at(operation, Cut::Fades(reset));
                Journal::open(&mut device).affirm(&mut device).unwrap_err();
                nor.medium_mut().power_on();
                assert_eq!(sequence(&Journal::open(&mut device)), told, "reset {reset}");
            }
        }
        Journal::open(&mut device).affirm(&mut device).unwrap();
        nor.medium_mut().power_cycle();
        assert_eq!(sequence(&Journal::open(&mut device)), told);
    }
    fail_always::<8, 512>();
    fail_always::<32, 512>();
    fail_always::<8, 4096>();
    fail_always::<32, 8192>();
}

/// A journal with a record in doubt: after so many records the places of the first part from there on take none, the next
/// part is not erased for once, and power goes away in the first record of the one after it. Everything is mended then.
fn in_doubt(records: u64, fail: fn(&mut Medium, usize)) -> Nor<8, 4096> {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash_of(&nor, 3);
    let mut journal = Journal::open(&mut device);
    for number in 1..=records {
        journal.record(&mut device, list(number)).unwrap();
    }
    for index in 2 * usize::try_from(records).unwrap()..PLACES {
        fail(&mut nor.medium_mut(), place(index));
    }
    nor.medium_mut().wear_out(place(50));
    nor.medium_mut().wear_out(place(51));
    nor.medium_mut().fail_to_erase(place(25));
    let words = (RECORD_LEN / 8) as u64;
    let last = (2 * words..12 * words).find(|&operation| {
        let twin = Nor::<8, 4096>::with(nor.medium().clone());
        twin.medium_mut().cut_at(operation, Cut::Nothing);
        let mut device = flash_of(&twin, 3);
        Journal::open(&mut device).record(&mut device, list(records + 1)).unwrap_err();
        twin.medium().last_offset() == place(52) + RECORD_LEN - 8
    });
    nor.medium_mut().cut_at(last.expect("the last word of the first copy"), Cut::Settles(1));
    Journal::open(&mut device).record(&mut device, list(records + 1)).unwrap_err();
    nor.medium_mut().power_on();
    nor.medium_mut().mend();
    nor
}

/// The record in doubt reads whole later: by then it has to be gone, or older than what was told since.
fn nothing_in_doubt_comes_back(nor: &Nor<8, 4096>) {
    let mut device = flash_of(nor, 3);
    Journal::open(&mut device).record(&mut device, list(20)).unwrap();
    nor.medium_mut().power_cycle();
    nor.medium_mut().mend();
    assert_eq!(sequence(&Journal::open(&mut device)), 20);
}

#[test]
fn boot3_a_part_with_records_in_doubt_is_erased_first() {
    nothing_in_doubt_comes_back(&in_doubt(12, Medium::wear_out));
}

/// The part with the newest record takes records again: nothing else would erase the other one.
#[test]
fn boot3_a_part_with_records_in_doubt_is_erased_though_another_one_has_room() {
    nothing_in_doubt_comes_back(&in_doubt(10, Medium::fail_to_program));
}

/// It is not erased: what is written has a higher number than each place of it may have.
#[test]
fn boot3_a_part_with_records_in_doubt_that_cannot_be_erased_is_outnumbered() {
    let nor = in_doubt(10, Medium::fail_to_program);
    nor.medium_mut().fail_to_erase(place(50));
    nothing_in_doubt_comes_back(&nor);
}
