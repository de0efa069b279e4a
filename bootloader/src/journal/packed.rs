//! A state that stays the bytes of its record: for an application, which reads a few fields and changes three, and has no
//! room for all of them (docs/decisions/0056). A test compares it with the fields of [`BootState`](super::BootState) for
//! any state.

use core::ops::Range;

use super::record::{
    ACTIVE, ANCHOR_SET, HEAD, PROVISIONED, RECEIVES_IN_B, Record, SECOND_COPY, SPARE, Snapshot, UNMARKED,
};
use crate::checksum::checksum;
use crate::layout::JOURNAL_RECORD_LEN as RECORD_LEN;
use crate::state::BootState;

// Where the fields are, in the order of the pass that reads and writes all of them.
const FLAGS: usize = 3;
const SEQUENCE: Range<usize> = 4..8;
const STATUS: usize = 8;
/// Of the procedure under way.
pub(crate) const POSITION: Range<usize> = 9..13;
const SOURCE: Range<usize> = 13..17;
const MARKS: Range<usize> = 16..20;
const SET: Range<usize> = 20..22;
/// Reason of the last revert.
pub(crate) const REVERT_REASON: Range<usize> = 22..24;
const ATTEMPTS: Range<usize> = 28..36;
/// Lowest sequence number that may be installed.
pub(crate) const FLOOR: Range<usize> = 36..44;
const ACTIVE_IMAGE: Range<usize> = 44..88;
/// Of the image in slot A: manifest digest, sequence number.
pub(crate) const ACTIVE_DIGEST: Range<usize> = 44..76;
pub(crate) const ACTIVE_SEQUENCE: Range<usize> = 76..84;
/// Its bytes.
#[cfg(feature = "table")]
pub(crate) const ACTIVE_SIZE: Range<usize> = 84..88;
const SPARE_IMAGE: Range<usize> = 88..132;
/// Of the image in slot B: manifest digest, size.
pub(crate) const SPARE_DIGEST: Range<usize> = 88..120;
pub(crate) const SPARE_SIZE: Range<usize> = 128..132;
/// recovery-epoch, succession-sequence and list-sequence: as they stand there they compare as bytes.
const DOMAINS: [Range<usize>; trust::DOMAINS_MAX] = [132..144, 144..156];
/// list-sequence.
const LISTS: [Range<usize>; trust::DOMAINS_MAX] = [136..144, 148..156];

/// The bytes of a record; all zeros without one.
#[derive(Clone, Copy, Debug)]
pub struct Packed([u8; RECORD_LEN]);

impl Packed {
    pub(crate) const INSTALLING: u8 = 1;
    pub(crate) const PENDING: u8 = 2;
    pub(crate) const SWAPPING: u8 = 3;
    pub(crate) const TRIAL: u8 = 4;
    pub(crate) const REVERTING: u8 = 5;

    /// Some of the bytes.
    #[inline(always)]
    pub(crate) fn field(&self, range: Range<usize>) -> &[u8] {
        self.0.get(range).unwrap_or_default()
    }

    #[inline(always)]
    fn put(&mut self, range: Range<usize>, bytes: &[u8]) {
        if let Some(place) = self.0.get_mut(range) {
            for (to, from) in place.iter_mut().zip(bytes) {
                *to = *from;
            }
        }
    }

    fn flags(&self) -> u64 {
        self.0[FLAGS].into()
    }

    /// The number of the [status](super::record), as in a record.
    pub(crate) fn status(&self) -> u8 {
        self.0[STATUS] & 7
    }

    /// Hand-overs of the image on trial.
    fn boots(&self) -> u8 {
        self.0[STATUS] >> 3 & 3
    }

    /// The highest list-sequence of any domain.
    pub(crate) fn highest_list_sequence(&self) -> &[u8] {
        let [first, second] = LISTS.map(|range| self.field(range));
        first.max(second)
    }

    /// All fields.
    pub(crate) fn fields(&self) -> BootState {
        let record = Record { sequence: 0, is_second: false, state: *self };
        BootState::decode(&record.encode()).map_or(BootState::FACTORY, |record| record.state)
    }

    /// Whether the image in slot A is on trial.
    pub(crate) fn is_trial(&self) -> bool {
        self.status() == Self::TRIAL
    }

    /// Whether there is an image in slot A.
    pub(crate) fn has_active(&self) -> bool {
        self.flags() & ACTIVE != 0
    }

    /// Whether slot B receives, where images are not swapped.
    pub(crate) fn receives_in_b(&self) -> bool {
        self.flags() & RECEIVES_IN_B != 0
    }

    /// Whether the device was provisioned.
    pub(crate) fn is_provisioned(&self) -> bool {
        self.flags() & PROVISIONED != 0
    }

    /// The number of the set of stored objects.
    pub(crate) fn set(&self) -> u16 {
        self.field(SET).first_chunk().map_or(0, |set| u16::from_be_bytes(*set))
    }

    /// Ends the trial, as [`Event::Confirmed`](crate::state::Event::Confirmed) does; `false`: nothing was handed over to.
    #[inline(never)]
    pub(super) fn confirm(&mut self) -> bool {
        let is_handed_over = self.is_trial() && self.boots() > 0;
        // Idle; how often a copy was not mended stays.
        self.0[STATUS] &= 0xE0;
        self.put(ATTEMPTS, &[0; 8]);
        // Zeros without an image.
        let mut floor = [0; 8];
        for (to, from) in floor.iter_mut().zip(self.field(ACTIVE_SEQUENCE)) {
            *to = *from;
        }
        if &floor[..] > self.field(FLOOR) {
            self.put(FLOOR, &floor);
        }
        is_handed_over
    }

    /// Whether there is no byte that no state has.
    fn is_canonical(&self) -> bool {
        let has = |flag| self.flags() & flag != 0;
        let (status, boots) = (self.status(), self.boots());
        let is_zero = |range| self.field(range).iter().all(|byte| *byte == 0);
        self.field(0..3) == HEAD
            && self.0[FLAGS] < 1 << 7
            && status <= Self::REVERTING
            && (status == Self::TRIAL || boots == 0)
            && (status & 1 == 1 || is_zero(POSITION))
            && (has(ACTIVE) || is_zero(ACTIVE_IMAGE))
            && (has(SPARE) || is_zero(SPARE_IMAGE))
    }
}

impl Snapshot for Packed {
    const FACTORY: Self = Self([0; _]);

    #[inline(never)]
    fn encode(record: &Record<Self>) -> [u8; RECORD_LEN] {
        let mut packed = record.state;
        packed.put(0..3, &HEAD);
        #[allow(clippy::cast_possible_truncation, reason = "the flags are bits of a byte")]
        let second = SECOND_COPY as u8;
        packed.0[FLAGS] &= !second;
        if record.is_second {
            packed.0[FLAGS] |= second;
        }
        packed.put(SEQUENCE, &record.sequence.to_be_bytes());
        if let Some((content, crc)) = packed.0.split_last_chunk_mut::<4>() {
            *crc = checksum(&[content]).to_be_bytes();
        }
        packed.0
    }

    #[inline(never)]
    fn decode(bytes: &[u8; RECORD_LEN]) -> Option<Record<Self>> {
        let state = Self(*bytes);
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        let is_whole = checksum(&[content]).to_be_bytes() == *crc && state.is_canonical();
        let sequence = u32::from_be_bytes(*state.field(SEQUENCE).first_chunk()?);
        is_whole.then_some(Record { sequence, is_second: state.flags() & SECOND_COPY != 0, state })
    }

    #[inline(never)]
    fn keeps(bytes: &[u8; RECORD_LEN], before: &Self) -> bool {
        let [first, second] = DOMAINS;
        Self::decode(bytes).is_some_and(|Record { state, .. }| {
            let rising = [FLOOR, first, second].into_iter();
            let lasting = |state: &Self| state.flags() & (PROVISIONED | ANCHOR_SET);
            lasting(&state) & lasting(before) == lasting(before)
                && rising
                    .fold(true, |keeps, range| keeps & (state.field(range.clone()) >= before.field(range)))
        })
    }

    fn marked(&self) -> Option<(u32, u32)> {
        let number = |range| self.field(range).first_chunk().map_or(0, |number| u32::from_be_bytes(*number));
        // Installing, swapping and reverting have a position.
        let is_marked = self.status() & 1 == 1 && self.flags() & UNMARKED == 0;
        is_marked.then(|| (number(POSITION), number(MARKS) & crate::state::MARKS_MAX))
    }

    fn go_to(&mut self, position: u32, source: u32) {
        self.put(POSITION, &position.to_be_bytes());
        self.put(SOURCE, &source.to_be_bytes());
    }
}
