//! A table beside the firmware (docs/tables.md): data with two slots, a journal, a floor and a trial of its own. The loader
//! is turned to one of both, and all that it does with an image it does with that one, by the same rules. What the device
//! has stored, and the numbers of its domains, are in the journal of the firmware and count for both.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;
use trust::Kid;

use super::Loader;
use crate::attempts::Pace;
use crate::flash::HasLayout;
use crate::journal::{Journal, JournalError, Recovery};
use crate::layout::Layout;
use crate::mailbox::{TablePlace, Wake};
use crate::refusal::Refusal;
use crate::state::{BootState, Event, Status};
use crate::verify::VerifiedImage;

/// What the loader keeps of the one that it is not turned to, and what it found of the table.
pub(super) struct Other {
    pub(super) journal: Journal,
    pace: Pace,
    /// Where the table lies that verified in this boot, and the anchor under which it did.
    found: Option<(TablePlace, Kid)>,
    /// Why none did.
    refusal: Option<Refusal>,
}

impl Other {
    pub(super) const START: Self =
        Self { journal: Journal::unread(), pace: Pace::START, found: None, refusal: None };

    /// The anchor that has to stay when its root retires; `None`: all that there is room for. `runs_under`: that of the
    /// firmware.
    pub(super) fn needed(&self, runs_under: Option<Kid>) -> Option<Kid> {
        match self.found {
            Some((_, kid)) if runs_under != Some(kid) => None,
            _ => runs_under,
        }
    }
}

impl<F: NorFlash, L: HasLayout> Loader<'_, F, L> {
    /// Reads the journal of the table; writes nothing.
    #[inline(never)]
    pub(super) fn recover_table(&mut self) {
        if self.flash.turn(true) {
            self.other.journal = Journal::open(&mut self.flash);
        }
        self.flash.turn(false);
    }

    /// Turns to the table, or to the firmware. Of an install that is under way, what is in flash stays.
    ///
    /// # Errors
    /// There is no table, or its journal does not read: then nobody knows how low a number may be.
    pub(crate) fn turn(&mut self, to_table: bool) -> Result<(), Refusal> {
        if self.flash.is_at_table() == to_table {
            return Ok(());
        }
        if to_table && self.other.journal.recovery() == Recovery::Lost {
            return Err(Reason::JournalCorrupt.into());
        }
        if !self.flash.turn(to_table) {
            return Err(Reason::ObjectUnknown.into());
        }
        core::mem::swap(&mut self.journal, &mut self.other.journal);
        core::mem::swap(&mut self.pace, &mut self.other.pace);
        if to_table {
            self.journal.adopt(self.other.journal.state());
        }
        (self.install, self.opened_at) = (None, None);
        Ok(())
    }

    /// Whether it is turned to the table.
    pub(crate) const fn is_at_table(&self) -> bool {
        self.flash.is_at_table()
    }

    /// State and layout of the table, or of the firmware; `None`: there is no table.
    pub(crate) fn at(&self, table: bool) -> Option<(&BootState, &Layout)> {
        let journal = if self.is_at_table() == table { &self.journal } else { &self.other.journal };
        self.flash.layout_at(table).map(|layout| (journal.state(), layout))
    }

    /// Where the table lies that verified in this boot.
    pub(crate) fn table(&self) -> Option<TablePlace> {
        self.other.found.map(|(place, _)| place)
    }

    /// Why none did.
    pub(crate) const fn table_refusal(&self) -> Option<Refusal> {
        self.other.refusal
    }

    /// Rules 2 to 5 for the table. Whatever comes of them, the firmware goes on by its own. `runs`: firmware verified, which is
    /// what tries a table; without it one that is pending waits.
    #[inline(never)]
    pub(crate) fn settle_table(&mut self, wake: &Wake, runs: bool) {
        let settled = match self.turn(true) {
            Ok(()) => {
                let _ = self.journal.mend(&mut self.flash);
                self.settle(wake, runs && wake.request.is_none()).and_then(found)
            }
            Err(refusal) => Err(refusal),
        };
        let _ = self.turn(false);
        match settled {
            Ok(found) => (self.other.found, self.other.refusal) = (Some(found), None),
            Err(refusal) => (self.other.found, self.other.refusal) = (None, Some(refusal)),
        }
    }

    /// Rule 9 for the table. A trial that the journal does not take is none: the application goes without.
    ///
    /// # Errors
    /// [`JournalError`] of a table that came with the firmware that is on trial: that does not go without.
    pub(crate) fn hand_table_over(&mut self) -> Result<(), JournalError> {
        if self.other.found.is_none() || self.turn(true).is_err() {
            return Ok(());
        }
        let is_tried_with_firmware = self.is_tried_with_firmware();
        let status = self.state().status;
        // One that follows its firmware may have been handed over before that was.
        let handed_over = match status {
            Status::Trial { .. } if !status.is_trial_over() => {
                self.journal.record(&mut self.flash, Event::HandedOver)
            }
            _ => Ok(()),
        };
        match (&mut self.other.found, handed_over) {
            (Some((place, _)), Ok(())) => place.is_tried_with_firmware = is_tried_with_firmware,
            (found, Err(error)) => (*found, self.other.refusal) = (None, Some(error.into())),
            (None, Ok(())) => {}
        }
        let _ = self.turn(false);
        if is_tried_with_firmware { handed_over } else { Ok(()) }
    }
}

fn found(image: VerifiedImage) -> Result<(TablePlace, Kid), Refusal> {
    let issuer = image.issuer();
    let slot = image.table().ok_or(Refusal::of(Reason::FlashFailed))?;
    Ok((TablePlace { slot, is_tried_with_firmware: false }, issuer))
}
