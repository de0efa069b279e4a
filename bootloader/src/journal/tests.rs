#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

use super::*;
use crate::flash_model::{Cut, Nor};
use crate::layout::{Layout, Region, Regions, tests::GOOD};
use crate::state::{ImageRecord, RevocationPointer, Status, Step, SwapProgress};

/// Every kind of record, format version 1. Devices in the field hold these bytes: do not change, only add.
fn frozen() -> [(u32, BootState, &'static str); 4] {
    let one = ImageRecord { manifest_digest: [0xA1; 32], sequence: 0x0102_0304_0506_0708, size: 0x1234 };
    let two = ImageRecord { manifest_digest: [0xB2; 32], sequence: 9, size: 0xFFFF_FFFF };
    [
        (
            1,
            BootState::FACTORY,
            "01000000000000010000000000000000000000000000000000000000000000000000000000000000\
             00000000000000000000000000000000000000000000000000000000000000000000000000000000\
             00000000000000000000000000000000000000000000000000000000000000000000000000000000\
             00000000cf0106b5",
        ),
        (
            0x0102_0304,
            BootState {
                status: Status::Installing { offset: 0x2000 },
                floor: 7,
                active: Some(one),
                spare: Some(two),
                revocation: Some(RevocationPointer { half: Half::Second, sequence: 5 }),
                provisioned: true,
                revert_reason: 0x0303,
                ownership_floor: 6,
            },
            "0101001f010203040000200000001234ffffffff0000000603030000000000000000000701020304\
             0506070800000000000000090000000000000005a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1\
             a1a1a1a1a1a1a1a1a1a1a1a1b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2\
             b2b2b2b2b95399c9",
        ),
        (
            2,
            BootState {
                status: Status::Reverting(SwapProgress { page: 3, step: Step::Put }),
                spare: Some(one),
                ..BootState::FACTORY
            },
            "01050210000000020000000300000000000012340000000000000000000000000000000000000000\
             00000000010203040506070800000000000000000000000000000000000000000000000000000000\
             000000000000000000000000a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1\
             a1a1a1a115ec6f9c",
        ),
        (
            3,
            BootState {
                status: Status::Trial { boots: 1 },
                active: Some(two),
                revocation: Some(RevocationPointer { half: Half::First, sequence: u64::MAX }),
                ..BootState::FACTORY
            },
            "0104010a0000000300000000ffffffff000000000000000000000000000000000000000000000000\
             000000090000000000000000ffffffffffffffffb2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2\
             b2b2b2b2b2b2b2b2b2b2b2b200000000000000000000000000000000000000000000000000000000\
             00000000094e0aef",
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_record_format_is_frozen() {
    for (sequence, state, expected) in frozen() {
        let bytes = record::encode(sequence, &state);
        assert_eq!(hex(&bytes), expected);
        assert_eq!(record::decode(&bytes), Some((sequence, state)));
    }
}

#[test]
fn a_record_with_any_bit_flipped_is_no_record() {
    let [_, (sequence, state, _), ..] = frozen();
    let bytes = record::encode(sequence, &state);
    for bit in 0..RECORD_LEN * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(record::decode(&flipped), None, "bit {bit}");
    }
}

#[test]
fn a_record_of_another_version_is_no_record() {
    let mut bytes = record::encode(1, &BootState::FACTORY);
    bytes[0] = 2;
    let crc = checksum(&[&bytes[..124]]).to_be_bytes();
    bytes[124..].copy_from_slice(&crc);
    assert_eq!(record::decode(&bytes), None);
}

/// A layout that gives the journal two halves of one page.
fn layout(page: u32) -> Layout {
    let region = |index: u32, len| Region { start: index * 0x1_0000, len };
    Layout::new(Regions {
        page,
        provisioning: region(0, 0x2000),
        journal: region(1, page * 2),
        revocation: region(2, 0x4000),
        scratch: region(3, page),
        slot_a: region(4, 0x4000),
        slot_b: region(5, 0x4000),
        ..GOOD
    })
    .unwrap()
}

fn flash<const WORD: usize, const PAGE: usize>(nor: &Nor<WORD, PAGE>) -> Flash<Nor<WORD, PAGE>> {
    Flash::new(nor.clone(), layout(PAGE as u32)).unwrap()
}

fn list(sequence: u64) -> Event {
    Event::RevocationStored(RevocationPointer { half: Half::First, sequence })
}

fn sequence(journal: &Journal) -> u64 {
    journal.state().revocation.map_or(0, |pointer| pointer.sequence)
}

/// Records `events` times, through many turnovers, with a cut at every operation, and goes on after it.
fn cut_everywhere<const WORD: usize, const PAGE: usize>(events: u64) {
    let clean = Nor::<WORD, PAGE>::new(0x10_0000);
    let mut device = flash(&clean);
    let mut journal = Journal::open(&mut device);
    for number in 1..=events {
        journal.record(&mut device, list(number)).unwrap();
    }
    let operations = clean.medium().operations();
    for operation in 0..operations {
        for cut in [Cut::Nothing, Cut::All] {
            let nor = Nor::<WORD, PAGE>::new(0x10_0000);
            nor.medium_mut().cut_at(operation, cut);
            let mut device = flash(&nor);
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
            for number in found + 1..=events + 3 {
                journal.record(&mut device, list(number)).unwrap();
            }
            assert_eq!(sequence(&Journal::open(&mut device)), events + 3);
        }
    }
}

#[test]
fn a_cut_leaves_the_state_before_or_after_in_every_geometry() {
    cut_everywhere::<1, 512>(5);
    cut_everywhere::<4, 512>(9);
    cut_everywhere::<8, 4096>(35);
    cut_everywhere::<32, 512>(12);
    cut_everywhere::<32, 8192>(67);
}

#[test]
fn an_unreadable_newest_record_leaves_the_one_before() {
    let nor = Nor::<8, 4096>::new(0x10_0000);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    for number in 1..=3 {
        journal.record(&mut device, list(number)).unwrap();
    }
    nor.medium_mut().break_word(0x1_0000 + 2 * RECORD_LEN + 64);
    let mut journal = Journal::open(&mut device);
    assert_eq!(sequence(&journal), 2);
    journal.record(&mut device, list(4)).unwrap();
    assert_eq!(sequence(&Journal::open(&mut device)), 4);
}

#[test]
fn an_event_that_does_not_belong_is_not_written() {
    let nor = Nor::<8, 4096>::new(0x10_0000);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    let illegal = journal.record(&mut device, Event::Confirmed);
    assert!(matches!(illegal, Err(JournalError::Illegal(_))));
    assert_eq!(nor.medium().operations(), 0);
}

#[test]
fn a_sequence_of_lists_that_falls_is_not_written() {
    let nor = Nor::<8, 4096>::new(0x10_0000);
    let mut device = flash(&nor);
    let mut journal = Journal::open(&mut device);
    journal.record(&mut device, list(5)).unwrap();
    assert!(matches!(journal.record(&mut device, list(4)), Err(JournalError::Illegal(_))));
    assert_eq!(sequence(&Journal::open(&mut device)), 5);
}
