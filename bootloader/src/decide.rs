//! What to do after a reset: the boot rules of docs/boot-rules.md, in their order and with their numbers.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;

use crate::handoff::{Entry, Request};
use crate::layout::Slot;
use crate::loader::Loader;
use crate::refusal::Refusal;
use crate::state::{Event, Status, TRIAL_BOOTS};
use crate::swap;
use crate::verify::VerifiedImage;

/// What the board does now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Boot {
    /// Hand over: interrupts off, VTOR, MSP, jump.
    Run(Entry),
    /// Stay on the bus; the reason, if it is not just that somebody asked for it.
    Stay(Option<Reason>),
}

impl<F: NorFlash> Loader<'_, F> {
    /// Runs the boot rules once. Every rule is straight on: nothing is tried twice within one boot, and a watchdog
    /// that the flash driver feeds bounds the swap.
    pub fn boot(&mut self, request: Option<Request>) -> Boot {
        match self.decide(request) {
            Ok(Some(entry)) => Boot::Run(entry),
            Ok(None) => Boot::Stay(None),
            Err(refusal) => {
                self.stay = Some(refusal);
                Boot::Stay(Some(refusal.reason))
            }
        }
    }

    fn decide(&mut self, request: Option<Request>) -> Result<Option<Entry>, Refusal> {
        // Rule 1. The journal was recovered when the loader started; a device that does not know who it is or whom
        // it believes boots nothing.
        self.known()?;

        // Rule 2. An interrupted exchange of the slots is finished, in the direction it had.
        swap::finish(&mut self.flash, &mut self.journal)?;

        // Rule 3. A pending image that verifies, revocation included, is swapped in. One that does not is dropped.
        // Somebody who asks for the loader is served first. When the journal takes no record nothing has happened,
        // and what ran so far still runs.
        let mut tried = Ok(());
        if self.state().status == Status::Pending && request.is_none() {
            tried = self.try_pending();
            if self.state().status != Status::Pending {
                tried?;
            }
        }

        // Rule 4. An image whose trial is over without a word from it goes.
        if let Status::Trial { boots } = self.state().status
            && boots >= TRIAL_BOOTS
        {
            self.revert(Reason::TrialNotConfirmed.into())?;
        }

        // Rule 5. The active image verifies, revocation aside, and is not below the floor. One on trial that does
        // not verify goes at once.
        let image = match self.verify_active() {
            Err(refusal) if matches!(self.state().status, Status::Trial { .. }) => {
                self.revert(refusal)?;
                self.verify_active()
            }
            verified => verified,
        };
        self.active_refused = image.is_err();

        // Rule 6. Whoever asked for the loader gets it.
        if request.is_some() {
            return Ok(None);
        }

        // Rule 7. Nothing bootable: stay on the bus and say why.
        let image = image.map_err(|refusal| tried.err().unwrap_or(refusal))?;

        // Rule 8. A trial is counted before it begins, so that it cannot be repeated for ever.
        if matches!(self.state().status, Status::Trial { .. }) {
            self.journal.record(&mut self.flash, Event::HandedOver)?;
        }

        // Rule 9. The evidence is asked once more, then the image runs.
        image.entry().map(Some)
    }

    /// Rule 3.
    fn try_pending(&mut self) -> Result<(), Refusal> {
        let spare = self.state().spare.ok_or(Refusal::of(Reason::JournalCorrupt))?;
        let verified = self.verify(Slot::B, &spare, true).and_then(VerifiedImage::entry);
        let event = match verified {
            Ok(_) => Event::SwapStarted,
            Err(refusal) => Event::PendingDropped(refusal.reason.code()),
        };
        self.journal.record(&mut self.flash, event)?;
        Ok(swap::finish(&mut self.flash, &mut self.journal)?)
    }

    /// Rules 4 and 5: back to the image in slot B, if there is one that verifies; an empty or damaged slot never
    /// comes back.
    fn revert(&mut self, why: Refusal) -> Result<(), Refusal> {
        let verified = match self.state().spare {
            Some(spare) => self.verify(Slot::B, &spare, false).and_then(VerifiedImage::entry),
            None => Err(Reason::NothingBootable.into()),
        };
        if verified.is_err() {
            self.journal.record(&mut self.flash, Event::TrialDropped(why.reason.code()))?;
            return Ok(());
        }
        self.journal.record(&mut self.flash, Event::RevertStarted(why.reason.code()))?;
        Ok(swap::finish(&mut self.flash, &mut self.journal)?)
    }

    /// Rule 5.
    fn verify_active(&mut self) -> Result<VerifiedImage, Refusal> {
        let nothing = Reason::from_code(self.state().revert_reason).unwrap_or(Reason::NothingBootable);
        let active = self.state().active.ok_or(Refusal::of(nothing))?;
        self.verify(Slot::A, &active, false)
    }
}
