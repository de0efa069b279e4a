#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

use embedded_storage::nor_flash::{ErrorType, NorFlashErrorKind, ReadNorFlash};
use flash_model::{Cut, Medium, Nor};

use super::*;
use crate::attempts::Attempts;
use crate::checksum::checksum;
use crate::layout::{self, Layout, Region, Regions, tests::GOOD};
use crate::state::{DomainNumbers, ImageRecord, Status, Step, SwapProgress};

/// That of a loader.
type Journal = super::Journal;

mod cuts;
mod faults;
mod marks;
mod packed;
mod places;
mod record;
mod scan;

/// A layout that gives the journal parts of as few pages as hold six records, also where there are two, which a board
/// does not have: then a part is full after three events.
fn layout(page: u32, parts: u32) -> Layout {
    let region = |index: u32, len| Region { start: index * 0x1_0000, len };
    let regions = Regions {
        page,
        stored: region(0, 0x4000),
        journal: region(1, 960u32.next_multiple_of(page) * parts),
        progress: region(3, page),
        slot_a: region(4, 0x4000),
        slot_b: region(5, 0x4000 + page),
        ..GOOD
    };
    Layout::assembled(regions, parts as u8, 0xFF, layout::Strategy::Swap)
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

/// Records in a half of one page of 4096 bytes.
const PLACES: usize = 4096 / RECORD_LEN;
/// The operation that programs the last word of a record of words of 8 bytes.
const LAST_WORD: u64 = RECORD_LEN as u64 / 8 - 1;

/// Where the place with this index begins; those of the second half follow those of the first.
fn place(index: usize) -> usize {
    0x1_0000 + index / PLACES * 4096 + index % PLACES * RECORD_LEN
}
