//! One snapshot as bytes, format version 1 (docs/flash-layout.md, Journal): 192 bytes, big-endian, CRC-32 at the
//! end. Frozen by literal bytes in a test; a new format is a new version, never another meaning of this one.

use trust::DOMAINS_MAX;

use crate::checksum::checksum;
use crate::layout::{Half, JOURNAL_RECORD_LEN as RECORD_LEN};
use crate::state::{BootState, ImageRecord, RevocationPointer, Status, SwapProgress};

/// Bytes before the CRC that no field has yet: zeros.
const RESERVED_LEN: usize = 52;
const VERSION: u8 = 1;

const PROVISIONED: u8 = 1 << 0;
const REVOCATION: u8 = 1 << 1;
const REVOCATION_SECOND: u8 = 1 << 2;
const ACTIVE: u8 = 1 << 3;
const SPARE: u8 = 1 << 4;
const ALL_FLAGS: u8 = PROVISIONED | REVOCATION | REVOCATION_SECOND | ACTIVE | SPARE;

pub(super) fn encode(sequence: u32, state: &BootState) -> [u8; RECORD_LEN] {
    let (status, boots, progress) = encode_status(state);
    let mut flags = 0;
    if state.provisioned {
        flags |= PROVISIONED;
    }
    let mut list_sequences = [0; DOMAINS_MAX];
    if let Some(pointer) = state.revocation {
        flags |= REVOCATION;
        if pointer.half == Half::Second {
            flags |= REVOCATION_SECOND;
        }
        list_sequences = pointer.sequences;
    }
    if state.active.is_some() {
        flags |= ACTIVE;
    }
    if state.spare.is_some() {
        flags |= SPARE;
    }
    let none = ImageRecord { manifest_digest: [0; 32], sequence: 0, size: 0 };
    let active = state.active.as_ref().unwrap_or(&none);
    let spare = state.spare.as_ref().unwrap_or(&none);

    let [first_list, second_list] = list_sequences;
    let mut out = Writer { bytes: [0; RECORD_LEN], at: 0 };
    out.put(&[VERSION, status, boots, flags]);
    out.put(&sequence.to_be_bytes());
    out.put(&progress.to_be_bytes());
    out.put(&active.size.to_be_bytes());
    out.put(&spare.size.to_be_bytes());
    out.put(&state.ownership_floor.to_be_bytes());
    out.put(&state.revert_reason.to_be_bytes());
    out.put(&[0; 2]);
    out.put(&state.floor.to_be_bytes());
    out.put(&active.sequence.to_be_bytes());
    out.put(&spare.sequence.to_be_bytes());
    out.put(&first_list.to_be_bytes());
    out.put(&active.manifest_digest);
    out.put(&spare.manifest_digest);
    out.put(&second_list.to_be_bytes());
    out.put(&state.marks.to_be_bytes());
    out.put(&[0; RESERVED_LEN]);
    let crc = checksum(&[out.written()]);
    out.put(&crc.to_be_bytes());
    out.bytes
}

/// `None`: torn, of another version, or never one of ours.
pub(super) fn decode(bytes: &[u8; RECORD_LEN]) -> Option<(u32, BootState)> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    if checksum(&[content]) != u32::from_be_bytes(*crc) {
        return None;
    }
    let mut input = Reader { rest: content };
    let [version, status, boots, flags] = input.take::<4>()?;
    let sequence = u32::from_be_bytes(input.take()?);
    let progress = u32::from_be_bytes(input.take()?);
    let active_size = u32::from_be_bytes(input.take()?);
    let spare_size = u32::from_be_bytes(input.take()?);
    let ownership_floor = u32::from_be_bytes(input.take()?);
    let revert_reason = u16::from_be_bytes(input.take()?);
    let reserved = input.take::<2>()?;
    let floor = u64::from_be_bytes(input.take()?);
    let active_sequence = u64::from_be_bytes(input.take()?);
    let spare_sequence = u64::from_be_bytes(input.take()?);
    let first_list = u64::from_be_bytes(input.take()?);
    let active_digest = input.take::<32>()?;
    let spare_digest = input.take::<32>()?;
    let second_list = u64::from_be_bytes(input.take()?);
    let marks = u32::from_be_bytes(input.take()?);
    let unassigned = input.take::<RESERVED_LEN>()?;
    if version != VERSION
        || flags & !ALL_FLAGS != 0
        || reserved != [0; 2]
        || sequence == 0
        || unassigned != [0; _]
    {
        return None;
    }
    let image = |flag, manifest_digest, sequence, size| {
        (flags & flag != 0).then_some(ImageRecord { manifest_digest, sequence, size })
    };
    let half = if flags & REVOCATION_SECOND != 0 { Half::Second } else { Half::First };
    let state = BootState {
        status: decode_status(status, boots, progress)?,
        floor,
        active: image(ACTIVE, active_digest, active_sequence, active_size),
        spare: image(SPARE, spare_digest, spare_sequence, spare_size),
        revocation: (flags & REVOCATION != 0)
            .then_some(RevocationPointer { half, sequences: [first_list, second_list] }),
        provisioned: flags & PROVISIONED != 0,
        revert_reason,
        ownership_floor,
        marks,
    };
    Some((sequence, state))
}

/// Status, boots of a trial, progress.
fn encode_status(state: &BootState) -> (u8, u8, u32) {
    let (status, boots) = match state.status {
        Status::Idle => (0, 0),
        Status::Installing { .. } => (1, 0),
        Status::Pending => (2, 0),
        Status::Swapping(_) => (3, 0),
        Status::Trial { boots } => (4, boots),
        Status::Reverting(_) => (5, 0),
    };
    (status, boots, state.position().unwrap_or(0))
}

fn decode_status(status: u8, boots: u8, progress: u32) -> Option<Status> {
    Some(match (status, boots, progress) {
        (0, 0, 0) => Status::Idle,
        (1, 0, offset) => Status::Installing { offset },
        (2, 0, 0) => Status::Pending,
        (3, 0, position) => Status::Swapping(SwapProgress::at(position)),
        (4, boots, 0) => Status::Trial { boots },
        (5, 0, position) => Status::Reverting(SwapProgress::at(position)),
        _ => return None,
    })
}

struct Writer {
    bytes: [u8; RECORD_LEN],
    at: usize,
}

impl Writer {
    /// The fields above add up to [`RECORD_LEN`]: what does not fit cannot be, and is left out.
    #[inline(never)]
    fn put(&mut self, field: &[u8]) {
        let end = self.at.saturating_add(field.len());
        if let Some(place) = self.bytes.get_mut(self.at..end) {
            place.copy_from_slice(field);
            self.at = end;
        }
    }

    fn written(&self) -> &[u8] {
        self.bytes.get(..self.at).unwrap_or(&[])
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*field)
    }
}
