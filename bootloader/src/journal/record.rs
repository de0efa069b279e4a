//! One snapshot as bytes, format version 1 (docs/flash-layout.md, Journal): big-endian, CRC-32 at the end. Frozen by
//! literal bytes in a test; a new format is a new version, never another meaning of this one.
//!
//! One pass over the fields reads and writes. A record that was read counts if it is written the same again: that
//! covers the CRC, the version, and every byte that no field has.

use trust::DOMAINS_MAX;

use crate::checksum::checksum;
use crate::layout::{JOURNAL_RECORD_LEN as RECORD_LEN, UNIT};
use crate::state::{BootState, ImageRecord, Status, SwapProgress};

const VERSION: u8 = 1;
/// Components of this device; the format has room for two.
const COMPONENTS: usize = 1;
/// Bytes before the first component, and the CRC.
const FIXED_LEN: usize = 40;
/// Floor, and digest, sequence number and size of both images.
const COMPONENT_LEN: usize = 8 + 2 * 44;
/// recovery-epoch, succession-sequence, list-sequence.
const DOMAIN_LEN: usize = 2 + 2 + 8;
/// Bytes of a record with so many of each.
#[allow(clippy::arithmetic_side_effects, reason = "of constants")]
const fn len(components: usize, domains: usize) -> usize {
    (FIXED_LEN + components * COMPONENT_LEN + domains * DOMAIN_LEN).next_multiple_of(UNIT)
}
const _: () = assert!(len(COMPONENTS, DOMAINS_MAX) == RECORD_LEN);
// A device with two of each has a record too.
const _: () = assert!(len(2, 2) <= 256);
/// Version, length in units of 32 bytes, components and domains.
#[allow(clippy::cast_possible_truncation, reason = "asserted")]
pub(super) const HEAD: [u8; 3] = [VERSION, (RECORD_LEN / UNIT) as u8, (COMPONENTS << 4 | DOMAINS_MAX) as u8];

pub(super) const PROVISIONED: u64 = 1 << 0;
pub(super) const SECOND_COPY: u64 = 1 << 1;
pub(super) const UNMARKED: u64 = 1 << 2;
pub(super) const ACTIVE: u64 = 1 << 3;
pub(super) const SPARE: u64 = 1 << 4;
pub(super) const RECEIVES_IN_B: u64 = 1 << 5;
pub(super) const ANCHOR_SET: u64 = 1 << 6;

/// A snapshot with its place in time.
#[derive(Clone, Copy, Debug)]
pub struct Record<S = BootState> {
    pub(super) sequence: u32,
    /// The second of its two copies: the first one was read back before this one was begun.
    pub(super) is_second: bool,
    pub(super) state: S,
}

/// A state as a journal keeps it in memory: its fields, or the bytes of its record ([`Packed`](super::Packed)).
pub trait Snapshot: Copy {
    /// That of a device as it comes from the factory.
    const FACTORY: Self;

    /// The bytes of a record.
    #[must_use]
    fn encode(record: &Record<Self>) -> [u8; RECORD_LEN];

    /// `None`: torn, of another version, or never one of ours.
    #[must_use]
    fn decode(bytes: &[u8; RECORD_LEN]) -> Option<Record<Self>>;

    /// Whether this is a record in which nothing fell that only rises.
    #[must_use]
    fn keeps(bytes: &[u8; RECORD_LEN], before: &Self) -> bool;

    /// How far the procedure has come, if marks say that it has come further, and the number of the marks that count.
    #[must_use]
    fn marked(&self) -> Option<(u32, u32)>;

    /// The same state with its procedure further on, by a mark.
    fn go_to(&mut self, position: u32, source: u32);
}

impl<S: Snapshot> Record<S> {
    /// No record.
    pub(super) const NONE: Self = Self { sequence: 0, is_second: false, state: S::FACTORY };

    pub(super) fn encode(&self) -> [u8; RECORD_LEN] {
        S::encode(self)
    }
}

impl Snapshot for BootState {
    const FACTORY: Self = Self::FACTORY;

    #[inline(never)]
    fn encode(record: &Record) -> [u8; RECORD_LEN] {
        let mut pass = Pass { bytes: [0; RECORD_LEN], at: 0, writes: true };
        pass.fields(&mut record.clone());
        if let Some((content, crc)) = pass.bytes.split_last_chunk_mut::<4>() {
            *crc = checksum(&[content]).to_be_bytes();
        }
        pass.bytes
    }

    #[inline(never)]
    fn decode(bytes: &[u8; RECORD_LEN]) -> Option<Record> {
        let mut record = Record::NONE;
        Pass { bytes: *bytes, at: 0, writes: false }.fields(&mut record);
        (record.encode() == *bytes).then_some(record)
    }

    #[inline(never)]
    fn keeps(bytes: &[u8; RECORD_LEN], before: &Self) -> bool {
        Self::decode(bytes).is_some_and(|Record { state, .. }| {
            let domains = state.domains.iter().zip(&before.domains);
            state.floor >= before.floor
                && state.provisioned >= before.provisioned
                && state.has_anchor_set >= before.has_anchor_set
                && domains.fold(true, |keeps, (now, before)| keeps & now.keeps(before))
        })
    }

    fn marked(&self) -> Option<(u32, u32)> {
        self.position().filter(|_| !self.is_unmarked).map(|position| (position, self.marks))
    }

    fn go_to(&mut self, position: u32, source: u32) {
        self.set_position(position);
        self.source = source;
    }
}

/// The number that a record has if it is whole.
pub(super) fn sequence_in(bytes: &[u8; RECORD_LEN]) -> u32 {
    let [_, _, _, _, s0, s1, s2, s3, ..] = *bytes;
    u32::from_be_bytes([s0, s1, s2, s3])
}

/// One pass over all fields of a record.
struct Pass {
    bytes: [u8; RECORD_LEN],
    at: usize,
    writes: bool,
}

impl Pass {
    /// The order of the fields and their lengths.
    fn fields(&mut self, record: &mut Record) {
        let Record { sequence, is_second, state } = record;
        self.field(&mut { HEAD });
        let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
        let flags = flag(state.provisioned, PROVISIONED)
            | flag(*is_second, SECOND_COPY)
            | flag(state.is_unmarked, UNMARKED)
            | flag(state.active.is_some(), ACTIVE)
            | flag(state.spare.is_some(), SPARE)
            | flag(state.receives_in_b, RECEIVES_IN_B)
            | flag(state.has_anchor_set, ANCHOR_SET);
        let flags = self.number(flags, 1);
        let has = |flag| flags & flag != 0;
        (state.provisioned, *is_second, state.is_unmarked) =
            (has(PROVISIONED), has(SECOND_COPY), has(UNMARKED));
        (state.receives_in_b, state.has_anchor_set) = (has(RECEIVES_IN_B), has(ANCHOR_SET));
        self.number_32(sequence, 4);
        self.status(state);
        self.number_32(&mut state.source, 4);
        self.number_32(&mut state.marks, 3);
        self.number_16(&mut state.set);
        self.number_16(&mut state.revert_reason);
        self.number_32(&mut state.ownership_floor, 4);
        self.field(&mut state.attempts.0);
        state.floor = self.number(state.floor, 8);
        for (image, is_there) in [(&mut state.active, has(ACTIVE)), (&mut state.spare, has(SPARE))] {
            self.image(image, is_there);
        }
        for domain in &mut state.domains {
            self.number_16(&mut domain.recovery_epoch);
            self.number_16(&mut domain.succession_sequence);
            domain.list_sequence = self.number(domain.list_sequence, 8);
        }
    }

    /// Status, boots of a trial and failed mends in one byte; the position.
    fn status(&mut self, state: &mut BootState) {
        let (kind, boots) = match state.status {
            Status::Idle => (0, 0),
            Status::Installing { .. } => (1, 0),
            Status::Pending => (2, 0),
            Status::Swapping(_) => (3, 0),
            Status::Trial { boots } => (4, boots),
            Status::Reverting(_) => (5, 0),
        };
        let mut packed = [kind | boots << 3 | state.failed_mends << 5];
        self.field(&mut packed);
        let [packed] = packed;
        let mut position = state.position().unwrap_or(0);
        self.number_32(&mut position, 4);
        state.failed_mends = packed >> 5;
        state.status = match packed & 7 {
            1 => Status::Installing { offset: position },
            2 => Status::Pending,
            3 => Status::Swapping(SwapProgress::at(position)),
            4 => Status::Trial { boots: packed >> 3 & 3 },
            5 => Status::Reverting(SwapProgress::at(position)),
            _ => Status::Idle,
        };
    }

    #[inline(never)]
    fn image(&mut self, place: &mut Option<ImageRecord>, is_there: bool) {
        let none = ImageRecord { manifest_digest: [0; 32], sequence: 0, size: 0 };
        let mut image = place.unwrap_or(none);
        self.field(&mut image.manifest_digest);
        image.sequence = self.number(image.sequence, 8);
        self.number_32(&mut image.size, 4);
        *place = is_there.then_some(image);
    }

    fn number_16(&mut self, number: &mut u16) {
        *number = u16::try_from(self.number((*number).into(), 2)).unwrap_or(0);
    }

    #[inline(never)]
    fn number_32(&mut self, number: &mut u32, width: usize) {
        *number = u32::try_from(self.number((*number).into(), width)).unwrap_or(0);
    }

    /// The low `width` bytes of a number.
    #[inline(never)]
    fn number(&mut self, number: u64, width: usize) -> u64 {
        let mut bytes = number.to_be_bytes();
        if let Some(low) = bytes.len().checked_sub(width).and_then(|start| bytes.get_mut(start..)) {
            self.field(low);
        }
        u64::from_be_bytes(bytes)
    }

    /// The fields fit into the record, by the assertions above.
    #[inline(never)]
    fn field(&mut self, field: &mut [u8]) {
        let end = self.at.saturating_add(field.len());
        if let Some(place) = self.bytes.get_mut(self.at..end) {
            // Byte by byte: what copies slices of unproven length links a panic.
            for (place, field) in place.iter_mut().zip(field) {
                let (to, from) = if self.writes { (place, *field) } else { (field, *place) };
                *to = from;
            }
            self.at = end;
        }
    }
}
