//! What is forged of a device that runs its images where they lie.

use anyhow::Result;
use bootloader::layout::Slot;
use bootloader::state::Status;

use super::{History, Prepared, record};

/// Release 2 runs in slot B.
pub(super) fn forged_in_place(history: &History) -> Result<Prepared> {
    let (subject, envelope, image) = (history.device()?, history.forged(2, 3)?, history.image(3, Slot::B));
    anyhow::ensure!(subject.active_slot()? == Slot::B, "release 2 is not in slot B");
    subject.place(Slot::B, &envelope, image)?;
    let record = record(&envelope, image, 2)?;
    subject.forge(|state| state.active = Some(record))?;
    Ok(Prepared::new(subject, None))
}

pub(super) fn forged_pending_in_place(history: &History) -> Result<Prepared> {
    let (subject, envelope, image) = (history.device()?, history.forged(3, 3)?, history.image(3, Slot::A));
    subject.place(Slot::A, &envelope, image)?;
    let record = record(&envelope, image, 3)?;
    subject.forge(|state| {
        state.status = Status::Pending;
        state.spare = Some(record);
    })?;
    Ok(Prepared::new(subject, Some((Slot::B, history.image(2, Slot::B).to_vec()))))
}
