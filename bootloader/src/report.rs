//! The state record (`FD00`, docs/can-protocol.md), made from the journal.

use update_protocol::profile::{Flags, ImageState, Mode, StateRecord};

use crate::layout::Layout;
use crate::state::{BootState, ImageRecord, Status};

const NO_IMAGE: ImageRecord = ImageRecord { manifest_digest: [0; 32], sequence: 0, size: 0 };

/// The fields that the journal does not know.
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

/// The record.
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
