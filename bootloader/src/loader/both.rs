//! A release of firmware and a table (docs/boot-rules.md, Both in one): each has its journal, and the same manifest digest
//! stands in both. They are tried together or not at all, and what becomes of the firmware becomes of the table.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;

use super::Loader;
use crate::flash::HasLayout;
use crate::refusal::Refusal;
use crate::state::{Event, ImageRecord, Status};
use crate::token::{Purpose, SlotProof};
use crate::verify::VerifiedImage;

/// Whether an image in a journal is of this release.
fn is_of(image: Option<&ImageRecord>, release: &[u8; 32]) -> bool {
    image.is_some_and(|image| image.manifest_digest == *release)
}

impl<F: NorFlash, L: HasLayout> Loader<'_, F, L> {
    /// Whether it is turned to a table that came with the firmware that is active: then the firmware's trial is the table's.
    fn is_with_firmware(&self) -> bool {
        let (table, firmware) = (&self.state().active, &self.other.journal.state().active);
        self.is_at_table()
            && table.as_ref().is_some_and(|table| is_of(firmware.as_ref(), &table.manifest_digest))
    }

    /// Whether the firmware that came with the table is on trial itself. The loader is turned to the table.
    pub(super) fn is_tried_with_firmware(&self) -> bool {
        self.is_with_firmware() && matches!(self.other.journal.state().status, Status::Trial { .. })
    }

    /// Rule 4 for a table that came with the firmware: it stays as long as that does, and the firmware has confirmed both. If
    /// the journal does not take that, the next boot says it again.
    #[inline(never)]
    pub(crate) fn follows_firmware(&mut self) -> bool {
        if !self.is_with_firmware() {
            return false;
        }
        match self.other.journal.state().status {
            Status::Trial { .. } | Status::Swapping(_) | Status::Reverting(_) => {}
            Status::Idle | Status::Installing { .. } | Status::Pending => {
                let _ = self.confirm_with_firmware();
            }
        }
        true
    }

    /// What the firmware's journal says is said for good before the table's goes by it: another reading may find the firmware
    /// on trial still, which goes back, and the table could not.
    fn confirm_with_firmware(&mut self) -> Result<(), Refusal> {
        self.turn(false)?;
        let affirmed = self.journal.affirm(&mut self.flash);
        self.turn(true)?;
        affirmed?;
        Ok(self.journal.record(&mut self.flash, Event::Confirmed)?)
    }

    /// An image to be tried, or on trial: only with the other part of its release, if that has two.
    ///
    /// # Errors
    /// [`Reason::PartMissing`] if that is not there yet; [`Reason::TrialNotConfirmed`] if it was given up; why it does not verify.
    #[inline(never)]
    pub(crate) fn with_its_part(&mut self, image: VerifiedImage) -> Result<VerifiedImage, Refusal> {
        if let Some(release) = image.release_of_both() {
            if self.is_at_table() {
                self.check_firmware_of(release)?;
            } else {
                self.check_table_of(release)?;
            }
        }
        Ok(image)
    }

    /// The active table: with its firmware, as long as it is on trial.
    ///
    /// # Errors
    /// Those of [`with_its_part`](Self::with_its_part).
    pub(crate) fn on_trial_with_its_part(&mut self, image: VerifiedImage) -> Result<VerifiedImage, Refusal> {
        match self.state().status {
            Status::Trial { .. } if self.is_at_table() => self.with_its_part(image),
            _ => Ok(image),
        }
    }

    /// Firmware on trial, after the table was settled.
    ///
    /// # Errors
    /// Why the table of its release is not the one that was found.
    pub(crate) fn check_table_on_trial(&self, image: &VerifiedImage) -> Result<(), Refusal> {
        let (Some(release), Status::Trial { .. }) = (image.release_of_both(), self.state().status) else {
            return Ok(());
        };
        if let Some(refusal) = self.table_refusal() {
            return Err(refusal);
        }
        let is_its = self.at(true).is_some_and(|(table, _)| is_of(table.active.as_ref(), release));
        if is_its { Ok(()) } else { Err(Reason::PartMissing.into()) }
    }

    /// A pending image, as far as can be said before the reset that tries it: the firmware speaks for both.
    ///
    /// # Errors
    /// Those of [`with_its_part`](Self::with_its_part).
    pub(crate) fn before_its_reset(&mut self, image: VerifiedImage) -> Result<VerifiedImage, Refusal> {
        if self.is_at_table() { Ok(image) } else { self.with_its_part(image) }
    }

    /// The firmware comes first: it runs, whatever of its trial is left. Once it was given up its table is, too.
    fn check_firmware_of(&self, release: &[u8; 32]) -> Result<(), Refusal> {
        let firmware = self.other.journal.state();
        if is_of(firmware.active.as_ref(), release) {
            return Ok(());
        }
        let is_given_up = firmware.status == Status::Idle && is_of(firmware.spare.as_ref(), release);
        Err(if is_given_up { Reason::TrialNotConfirmed } else { Reason::PartMissing }.into())
    }

    /// The table verifies where it is: to be tried with the firmware, or in use since.
    fn check_table_of(&mut self, release: &[u8; 32]) -> Result<(), Refusal> {
        self.turn(true)?;
        let state = self.state();
        let purpose = if is_of(state.active.as_ref(), release) {
            Some(Purpose::Run)
        } else if state.status == Status::Pending && is_of(state.spare.as_ref(), release) {
            Some(Purpose::Try)
        } else {
            None
        };
        let verified = match purpose {
            Some(purpose) => self.verify(purpose, Reason::PartMissing).and_then(SlotProof::of).map(drop),
            None => Err(Reason::PartMissing.into()),
        };
        self.turn(false)?;
        verified
    }
}
