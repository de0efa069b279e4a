//! The state record (`FD00`, docs/can-protocol.md), made from the journal.

use update_protocol::profile::{Flags, ImageState, Mode, STATE_RECORD_LEN, StateRecord};

use crate::journal::Packed;
use crate::journal::packed::{
    ACTIVE_DIGEST, ACTIVE_SEQUENCE, FLOOR, POSITION, REVERT_REASON, SPARE_DIGEST, SPARE_SIZE,
};
use crate::layout::Layout;
#[cfg(feature = "loader")]
use crate::state::{BootState, ImageRecord, Status};

#[cfg(feature = "loader")]
const NO_IMAGE: ImageRecord = ImageRecord { manifest_digest: [0; 32], sequence: 0, size: 0 };

/// The fields that the journal does not know.
#[cfg(feature = "loader")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Circumstances<'a> {
    pub(crate) mode: Mode,
    /// The active image was not found wrong.
    pub(crate) bootable: bool,
    /// The loader listens before it hands over.
    pub(crate) listening: bool,
    pub(crate) anchor_compiled_in: bool,
    /// The image of an install that is to begin with its first byte.
    pub(crate) accepted: Option<&'a ImageRecord>,
    /// Code and position of the last refusal, 0 if none.
    pub(crate) refusal: (u16, u32),
    pub(crate) max_request_len: u16,
}

/// The record that a loader answers.
#[cfg(feature = "loader")]
pub(crate) fn state_record(state: &BootState, layout: &Layout, now: &Circumstances<'_>) -> StateRecord {
    let status = if now.accepted.is_some() { Status::Installing { offset: 0 } } else { state.status };
    let in_progress = match status {
        Status::Installing { .. } | Status::Pending => now.accepted.or(state.spare.as_ref()),
        _ => None,
    };
    let (in_progress, active) =
        (in_progress.unwrap_or(&NO_IMAGE), state.active.as_ref().unwrap_or(&NO_IMAGE));
    let image = match status {
        Status::Pending => ImageState::Pending,
        Status::Trial { .. } | Status::Swapping(_) => ImageState::Trial,
        Status::Reverting(_) => ImageState::Reverting,
        Status::Idle | Status::Installing { .. } if state.active.is_some() && now.bootable => {
            ImageState::Confirmed
        }
        Status::Idle | Status::Installing { .. } => ImageState::None,
    };
    let (reason, reason_position) = if now.refusal.0 == 0 { (state.revert_reason, 0) } else { now.refusal };
    StateRecord {
        mode: now.mode,
        image,
        flags: Flags {
            reverted: state.revert_reason != 0,
            resumable: matches!(status, Status::Installing { .. }),
            anchor_compiled_in: now.anchor_compiled_in,
            listening: now.listening,
            second_slot: layout.component_slot(state.spare_slot(layout)) != 0,
        },
        sequence_floor: state.floor,
        active_sequence: active.sequence,
        revocation_sequence: state.highest_list_sequence(),
        resume_offset: match status {
            Status::Installing { offset } => offset,
            _ => 0,
        },
        image_size: in_progress.size,
        manifest_digest: in_progress.manifest_digest,
        reason,
        reason_position,
        max_request_len: now.max_request_len,
        slot_capacity: layout.image_capacity(),
        active_digest: active.manifest_digest,
    }
}

/// The state of the image that runs, of the device whose journal record this is.
pub(crate) fn image_state(state: &Packed) -> ImageState {
    match state.status() {
        Packed::PENDING => ImageState::Pending,
        Packed::SWAPPING | Packed::TRIAL => ImageState::Trial,
        Packed::REVERTING => ImageState::Reverting,
        _ if state.has_active() => ImageState::Confirmed,
        _ => ImageState::None,
    }
}

/// The record that an application answers, from the bytes of the journal's: [`state_record`] without a refusal, of an image
/// that runs. Numbers are big-endian in both.
#[inline(never)]
pub(crate) fn application_record(
    state: &Packed,
    layout: &Layout,
    anchor_compiled_in: bool,
    max_request_len: u16,
) -> [u8; STATE_RECORD_LEN] {
    let (image, is_install) = (image_state(state), state.status() == Packed::INSTALLING);
    let flags = Flags {
        reverted: state.field(REVERT_REASON) != [0; 2],
        resumable: is_install,
        anchor_compiled_in,
        listening: false,
        second_slot: layout.component_slot(layout.receiving_slot(state.receives_in_b())) != 0,
    };
    let mut record = [0; STATE_RECORD_LEN];
    // In the order of the record; what is not put is zeros.
    put(&mut record, 0, &[StateRecord::VERSION, Mode::Application as u8, image as u8, flags.to_byte()]);
    put(&mut record, 4, state.field(FLOOR));
    put(&mut record, 12, state.field(ACTIVE_SEQUENCE));
    put(&mut record, 20, state.highest_list_sequence());
    if is_install {
        put(&mut record, 28, state.field(POSITION));
    }
    if is_install || image == ImageState::Pending {
        put(&mut record, 32, state.field(SPARE_SIZE));
        put(&mut record, 36, state.field(SPARE_DIGEST));
    }
    put(&mut record, 68, state.field(REVERT_REASON));
    put(&mut record, 74, &max_request_len.to_be_bytes());
    put(&mut record, 76, &layout.image_capacity().to_be_bytes());
    put(&mut record, 80, state.field(ACTIVE_DIGEST));
    record
}

/// The record of its table that an application answers: [`application_record`], by what the loader found.
#[cfg(feature = "table")]
pub(crate) fn table_record(
    state: &Packed,
    layout: &Layout,
    is_found: bool,
    max_request_len: u16,
) -> [u8; STATE_RECORD_LEN] {
    let mut record = application_record(state, layout, false, max_request_len);
    // A confirmed table that does not verify is none; no other state says that there is one.
    let image = image_state(state);
    let image = if image == ImageState::Confirmed && !is_found { ImageState::None } else { image };
    put(&mut record, 2, &[image as u8]);
    record
}

#[inline(never)]
fn put(record: &mut [u8; STATE_RECORD_LEN], at: usize, field: &[u8]) {
    for (to, from) in record.iter_mut().skip(at).zip(field) {
        *to = *from;
    }
}
