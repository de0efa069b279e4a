#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

use embedded_storage::nor_flash::{ErrorType, NorFlashErrorKind, ReadNorFlash};
use flash_model::{Cut, Medium, Nor};

use super::*;
use crate::attempts::Attempts;
use crate::checksum::checksum;
use crate::layout::{Layout, Region, Regions, tests::GOOD};
use crate::state::{DomainNumbers, ImageRecord, Status, Step, SwapProgress};

/// Every kind of record, format version 1. Devices in the field hold these bytes: do not change, only add.
fn frozen() -> [(Record, &'static str); 4] {
    let one = ImageRecord { manifest_digest: [0xA1; 32], sequence: 0x0102_0304_0506_0708, size: 0x1234 };
    let two = ImageRecord { manifest_digest: [0xB2; 32], sequence: 9, size: 0xFFFF_FFFF };
    let numbers = |recovery_epoch, succession_sequence, list_sequence| DomainNumbers {
        recovery_epoch,
        succession_sequence,
        list_sequence,
    };
    [
        (
            Record { sequence: 1, is_second: false, state: BootState::FACTORY },
            "01051200000000010000000000000000000000000000000000000000000000000000000000000000\
             00000000000000000000000000000000000000000000000000000000000000000000000000000000\
             00000000000000000000000000000000000000000000000000000000000000000000000000000000\
             000000000000000000000000000000000000000000000000000000000000000000000000dedbf74c",
        ),
        (
            Record {
                sequence: 0x0102_0304,
                is_second: true,
                state: BootState {
                    status: Status::Installing { offset: 0x2000 },
                    floor: 7,
                    active: Some(one),
                    spare: Some(two),
                    set: 0x0E0F,
                    domains: [numbers(1, 2, 5), numbers(0x1112, 0x1314, 0x0C0D)],
                    provisioned: true,
                    revert_reason: 0x0303,
                    ownership_floor: 6,
                    marks: 0,
                    is_unmarked: false,
                    source: 0,
                    failed_mends: 3,
                    attempts: Attempts([1, 2, 3, 4, 5, 6, 7, 8]),
                },
            },
            "0105121b010203046100002000000000000000000e0f030300000006010203040506070800000000\
             00000007a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a101020304\
             0506070800001234b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2\
             0000000000000009ffffffff000100020000000000000005111213140000000000000c0d80ee740b",
        ),
        (
            Record {
                sequence: 2,
                is_second: false,
                state: BootState {
                    status: Status::Reverting(SwapProgress { page: 3, step: Step::Take }),
                    spare: Some(one),
                    marks: 0x0006_0708,
                    is_unmarked: true,
                    source: 0x2122_2324,
                    ..BootState::FACTORY
                },
            },
            "01051214000000020500000007212223240607080000000000000000000000000000000000000000\
             00000000000000000000000000000000000000000000000000000000000000000000000000000000\
             0000000000000000a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1\
             010203040506070800001234000000000000000000000000000000000000000000000000c4f73d19",
        ),
        (
            Record {
                sequence: 3,
                is_second: true,
                state: BootState {
                    status: Status::Trial { boots: 1 },
                    active: Some(two),
                    domains: [numbers(0, 0, u64::MAX), numbers(0, 0, 0)],
                    failed_mends: 7,
                    ..BootState::FACTORY
                },
            },
            "0105120a00000003ec00000000000000000000000000000000000000000000000000000000000000\
             00000000b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b200000000\
             00000009ffffffff0000000000000000000000000000000000000000000000000000000000000000\
             00000000000000000000000000000000ffffffffffffffff0000000000000000000000001515b1f1",
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_record_format_is_frozen() {
    for (record, expected) in frozen() {
        let bytes = record.encode();
        assert_eq!(hex(&bytes), expected);
        let read = Record::decode(&bytes).expect("a record");
        let Record { sequence, is_second, state } = record;
        assert_eq!((read.sequence, read.is_second, read.state), (sequence, is_second, state));
    }
}

#[test]
fn a_record_with_any_bit_flipped_is_no_record() {
    let [_, (record, _), ..] = frozen();
    let bytes = record.encode();
    for bit in 0..RECORD_LEN * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Record::decode(&flipped).is_none(), "bit {bit}");
    }
}

/// Another version, length or number of components and domains; a flag, a status and boots that there are not; images
/// that are not there and have content.
#[test]
fn a_record_with_a_value_where_no_field_has_it_is_no_record() {
    let bytes = Record { sequence: 1, is_second: false, state: BootState::FACTORY }.encode();
    assert_eq!(sealed(bytes), bytes);
    for (position, value) in
        [(0, 2), (1, 6), (2, 0x22), (2, 0x11), (3, 0x20), (8, 6), (8, 7), (8, 0x08), (12, 1)]
    {
        let mut other = bytes;
        other[position] = value;
        assert!(Record::decode(&sealed(other)).is_none(), "{value} at {position}");
    }
    for position in 44..132 {
        let mut other = bytes;
        other[position] = 1;
        assert!(Record::decode(&sealed(other)).is_none(), "byte {position} of an image");
    }
}

/// The record with the CRC that belongs to its content.
fn sealed(mut record: [u8; RECORD_LEN]) -> [u8; RECORD_LEN] {
    let (content, crc) = record.split_last_chunk_mut::<4>().unwrap();
    *crc = checksum(&[content]).to_be_bytes();
    record
}

/// A layout that gives the journal parts of as few pages as hold six records.
fn layout(page: u32, parts: u32) -> Layout {
    let region = |index: u32, len| Region { start: index * 0x1_0000, len };
    Layout::new(Regions {
        page,
        stored: region(0, 0x4000),
        journal: region(1, 960u32.next_multiple_of(page) * parts),
        progress: region(3, page),
        slot_a: region(4, 0x4000),
        slot_b: region(5, 0x4000 + page),
        ..GOOD
    })
    .unwrap()
}

const FLASH_LEN: u32 = 0x5_6000;

fn flash<const WORD: usize, const PAGE: usize>(nor: &Nor<WORD, PAGE>) -> Flash<Nor<WORD, PAGE>> {
    flash_of(nor, 2)
}

/// The flash with so many parts of a journal.
fn flash_of<const WORD: usize, const PAGE: usize>(
    nor: &Nor<WORD, PAGE>,
    parts: u32,
) -> Flash<Nor<WORD, PAGE>> {
    Flash::new(nor.clone(), layout(PAGE as u32, parts)).unwrap()
}

fn list(sequence: u64) -> Event {
    Event::RevocationStored([sequence, 0])
}

fn sequence(journal: &Journal) -> u64 {
    journal.state().highest_list_sequence()
}

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

/// Records in a half of one page of 4096 bytes.
const PLACES: usize = 4096 / RECORD_LEN;
/// The operation that programs the last word of a record of words of 8 bytes.
const LAST_WORD: u64 = RECORD_LEN as u64 / 8 - 1;

/// Where the place with this index begins; those of the second half follow those of the first.
fn place(index: usize) -> usize {
    0x1_0000 + index / PLACES * 4096 + index % PLACES * RECORD_LEN
}

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

/// The state with an install that has come so far.
fn installing(device: &mut Flash<Nor<8, 4096>>, journal: &mut Journal) -> ImageRecord {
    let image = ImageRecord { manifest_digest: [3; 32], sequence: 1, size: 0x10_0000 };
    journal.record(device, Event::InstallStarted(image)).unwrap();
    image
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
    installing(&mut device, &mut journal);
    for step in 1..=3 {
        journal.advance(&mut device, Event::Committed(step), |_, _| 0).unwrap();
    }
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

#[test]
fn an_event_that_does_not_belong_is_not_written() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    let illegal = journal.record(&mut device, Event::Confirmed);
    assert!(matches!(illegal, Err(JournalError::Illegal(_))));
    assert_eq!(nor.medium().operations(), 0);
}

#[test]
fn a_sequence_of_lists_that_falls_is_not_written() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    journal.record(&mut device, list(5)).unwrap();
    assert!(matches!(journal.record(&mut device, list(4)), Err(JournalError::Illegal(_))));
    assert_eq!(sequence(&Journal::open(&mut device)), 5);
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

/// A driver whose read with this number answers with an erased word, or not at all.
struct Glitch {
    nor: Nor<8, 4096>,
    reads: u64,
    at: u64,
    is_error: bool,
}

impl ErrorType for Glitch {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Glitch {
    const READ_SIZE: usize = 8;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.reads += 1;
        self.nor.read(offset, bytes).map_err(|_| NorFlashErrorKind::Other)?;
        match (self.reads == self.at, self.is_error) {
            (true, true) => Err(NorFlashErrorKind::Other),
            (true, false) => {
                bytes.fill(0xFF);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn capacity(&self) -> usize {
        self.nor.capacity()
    }
}

impl NorFlash for Glitch {
    const WRITE_SIZE: usize = 8;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.nor.erase(from, to).map_err(|_| NorFlashErrorKind::Other)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.nor.write(offset, bytes).map_err(|_| NorFlashErrorKind::Other)
    }
}

/// Whatever goes wrong once within recovery, it finds the newest record, and where the next one goes.
#[test]
fn t14_a_fault_within_recovery_downgrades_nothing() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash_of(&nor, 3);
    let mut journal = Journal::open(&mut device);
    for number in 1..=30 {
        journal.record(&mut device, list(number)).unwrap();
    }
    journal = Journal::open(&mut device);
    let glitch = |at, is_error| {
        let driver = Glitch { nor: nor.clone(), reads: 0, at, is_error };
        let mut device = Flash::new(driver, layout(4096, 3)).unwrap();
        let found = Journal::open(&mut device);
        (found, device.release().reads)
    };
    let (_, reads) = glitch(0, false);
    for at in 1..=reads {
        for is_error in [false, true] {
            let (found, _) = glitch(at, is_error);
            assert_eq!(sequence(&found), 30, "read {at}");
            assert!(found.is_same(&journal), "read {at}");
        }
    }
    assert!(!journal.is_same(&Journal::recover(&mut flash_of(&Nor::<8, 4096>::new(FLASH_LEN), 3), 0)));
}

/// A state that a fault made of the one before takes back nothing: neither floor nor provisioning nor a list.
#[test]
fn t14_a_record_that_takes_something_back_is_not_written() {
    let numbers = |list_sequence| DomainNumbers { recovery_epoch: 1, succession_sequence: 2, list_sequence };
    let held =
        BootState { floor: 7, provisioned: true, domains: [numbers(5), numbers(0)], ..BootState::FACTORY };
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    journal.newest.state = held;
    journal.append(&mut device, held).unwrap();
    let root = |recovery_epoch, succession_sequence| {
        let numbers = DomainNumbers { recovery_epoch, succession_sequence, list_sequence: 9 };
        BootState { domains: [numbers; 2], ..held }
    };
    for wrong in [
        BootState::FACTORY,
        BootState { floor: 6, ..held },
        BootState { provisioned: false, ..held },
        BootState { domains: [numbers(4), numbers(0)], ..held },
        BootState { domains: [numbers(5), DomainNumbers::default()], ..held },
        root(1, 1),
        root(0, 3),
    ] {
        let before = nor.medium().bytes().to_vec();
        assert_eq!(journal.append(&mut device, wrong), Err(FlashError::NotProgrammed), "{wrong:?}");
        assert!(before == nor.medium().bytes(), "something of it was written");
        assert_eq!(Journal::open(&mut device).state(), &held);
    }
    for right in [root(1, 3), root(2, 0), BootState { floor: 8, ..held }] {
        let twin = Nor::<8, 4096>::with(nor.medium().clone());
        let mut device = flash(&twin);
        let mut journal = Journal::open(&mut device);
        journal.append(&mut device, right).unwrap();
        assert_eq!(Journal::open(&mut device).state(), &right);
    }
}

/// The next part is not erased for once, and power goes away in the first record of the one after it. That record reads
/// whole later: by then it has to be gone.
#[test]
fn boot3_a_part_with_records_in_doubt_is_erased_first() {
    let nor = Nor::<8, 4096>::new(FLASH_LEN);
    let mut device = flash_of(&nor, 3);
    let mut journal = Journal::open(&mut device);
    for number in 1..=12 {
        journal.record(&mut device, list(number)).unwrap();
    }
    nor.medium_mut().wear_out(place(24));
    nor.medium_mut().wear_out(place(50));
    nor.medium_mut().wear_out(place(51));
    nor.medium_mut().fail_to_erase(place(25));
    let words = (RECORD_LEN / 8) as u64;
    let last = (2 * words..6 * words).find(|&operation| {
        let twin = Nor::<8, 4096>::with(nor.medium().clone());
        twin.medium_mut().cut_at(operation, Cut::Nothing);
        let mut device = flash_of(&twin, 3);
        Journal::open(&mut device).record(&mut device, list(13)).unwrap_err();
        twin.medium().last_offset() == place(52) + RECORD_LEN - 8
    });
    nor.medium_mut().cut_at(last.expect("the last word of the first copy"), Cut::Settles(1));
    Journal::open(&mut device).record(&mut device, list(13)).unwrap_err();
    nor.medium_mut().power_on();
    nor.medium_mut().mend();
    Journal::open(&mut device).record(&mut device, list(20)).unwrap();
    nor.medium_mut().power_cycle();
    assert_eq!(sequence(&Journal::open(&mut device)), 20);
}
