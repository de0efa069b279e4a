//! The boot rules of docs/boot-rules.md, in their order and with their numbers: the decision after a reset.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;

use crate::flash::HasLayout;
use crate::journal::JournalError;
use crate::layout::Layout;
use crate::loader::Loader;
use crate::mailbox::Wake;
use crate::refusal::Refusal;
use crate::session::{Description, Session};
use crate::state::{Event, ImageRecord, Status};
use crate::swap::{self, Start};
use crate::token::{Entry, Purpose, SlotProof};
use crate::verify::VerifiedImage;

/// The result of the boot rules, and the only two things that a board does next.
#[expect(clippy::large_enum_variant, reason = "there is one, matched in place; no heap to box it on")]
pub enum Boot<'b, F, L: HasLayout = Layout> {
    /// Hand over: interrupts off, VTOR, MSP, jump.
    Run(Entry),
    /// Stay on the bus; until [`Session::listens_until_us`], if it has a time.
    Stay(Session<'b, F, L>),
}

/// What the device does with the image that it may run.
pub(crate) struct Decision {
    /// It runs at once. Else the device stays in its loader.
    pub(crate) runs: bool,
    /// The fault; `None` when a tester asked for the loader.
    pub(crate) refusal: Option<Refusal>,
    /// For how long to listen before the image runs, milliseconds; 0: until a reset.
    pub(crate) listen_ms: u32,
}

impl<'b, F: NorFlash, L: HasLayout> Loader<'b, F, L> {
    /// A session of this loader after the boot rules ([`Session::boot`]), if it does not hand over at once. Moves the
    /// loader: a board with little RAM has its session in place from the start.
    pub fn boot(self, wake: &Wake, description: Description) -> Boot<'b, F, L> {
        let mut session = Session::new(self, description);
        match session.boot(wake) {
            Some(entry) => Boot::Run(entry),
            None => Boot::Stay(session),
        }
    }

    /// The boot rules. `standby` becomes the image to run, at once or once no tester needs the loader: in place, since it
    /// is large.
    #[inline(never)]
    pub(crate) fn decide(&mut self, wake: &Wake, standby: &mut Option<Entry>) -> Result<Decision, Refusal> {
        // Rule 1. The journal was recovered when the loader started. Without an identity or anchors the device boots
        // nothing.
        self.known()?;
        self.mend();
        let image = self.settle(wake, wake.request.is_none());
        #[cfg(feature = "table")]
        let image = self.settle_with_table(wake, image);
        self.runs_under = image.as_ref().ok().map(VerifiedImage::issuer);
        // An image on trial is another one than those that were silent.
        let is_trial = matches!(self.state().status, Status::Trial { .. });
        let silent_resets = if is_trial { 0 } else { wake.silent_resets };
        let refused = match image.and_then(|image| Entry::of(image, silent_resets)) {
            Ok(entry) => {
                *standby = Some(entry);
                None
            }
            Err(refusal) => Some(refusal),
        };
        let stays = Decision { runs: false, refusal: None, listen_ms: 0 };

        // Rule 6. With a request in the mailbox the loader stays on the bus.
        if wake.request.is_some() {
            return Ok(Decision { refusal: refused, ..stays });
        }

        // Rule 7. Nothing bootable: stay on the bus and report why.
        if let Some(refusal) = refused {
            return Err(refusal);
        }

        // Rule 8. The loader listens at power-up if its board wants it, and before it runs an image again that was reset
        // time and again without a sign of life; a trial ends at its next reset anyway.
        let listen_ms = if is_trial { wake.with_life().listen_ms() } else { wake.listen_ms() };
        if listen_ms != 0 {
            let refusal = (wake.is_silent() && !is_trial).then(|| silent(wake));
            return Ok(Decision { refusal, listen_ms, ..stays });
        }

        // Rules 9 and 10.
        let refusal = self.hand_over().err();
        Ok(Decision { runs: refusal.is_none(), refusal, ..stays })
    }

    /// Rules 2 to 5: the image that is active, if it verifies. `tries`: what is pending is tried.
    // In its one place; with a table in two.
    #[cfg_attr(not(feature = "table"), inline(always))]
    #[cfg_attr(feature = "table", inline(never))]
    pub(crate) fn settle(&mut self, wake: &Wake, tries: bool) -> Result<VerifiedImage, Refusal> {
        // Rule 2. The loader finishes an interrupted swap in its direction.
        swap::resume(&mut self.flash, &mut self.journal, wake.may_retry()).map_err(not_exchanged)?;

        // Rule 3. The loader swaps in a pending image that verifies, revocation included, and drops any other. A
        // request for the loader comes first. When the journal takes no record nothing has happened, and the active
        // image still runs.
        let mut tried = Ok(());
        if self.state().status == Status::Pending && tries {
            tried = self.try_pending(wake);
            if self.state().status != Status::Pending {
                tried?;
            }
        }

        // Rule 4. An image that used its trial boot without confirming is reverted.
        let is_over = self.state().status.is_trial_over();
        #[cfg(feature = "table")]
        let is_over = is_over && !self.follows_firmware();
        if is_over {
            self.revert(Reason::TrialNotConfirmed.into())?;
        }

        // Rule 5. The active image verifies, without revocation lists, and is not below the floor. An image on trial
        // that does not verify is reverted at once, and so is a table without its firmware.
        let active = self.verify_active();
        #[cfg(feature = "table")]
        let active = active.and_then(|image| self.on_trial_with_its_part(image));
        match active {
            Err(refusal)
                if matches!(self.state().status, Status::Trial { .. })
                    && !is_kept(wake, refusal, self.state().spare) =>
            {
                self.revert(refusal)?;
                self.verify_active()
            }
            // Of one that still waits, what is wrong says more than that there is nothing else.
            Err(refusal) => Err(tried.err().unwrap_or(refusal)),
            verified => verified,
        }
    }

    /// Rules 2 to 5 for the table; then rule 5 for firmware on trial that came with it.
    #[cfg(feature = "table")]
    #[inline(never)]
    fn settle_with_table(
        &mut self,
        wake: &Wake,
        mut image: Result<VerifiedImage, Refusal>,
    ) -> Result<VerifiedImage, Refusal> {
        self.settle_table(wake, image.is_ok());
        if let Ok(verified) = &image
            && let Err(refusal) = self.check_table_on_trial(verified)
        {
            image = self.revert(refusal).and_then(|()| self.verify_active());
            self.settle_table(wake, image.is_ok());
        }
        image
    }

    /// Rule 9. The loader counts a trial before it begins, so that a hang or a watchdog reset ends it. Then the image may
    /// run (rule 10); the jump checks the evidence once more.
    pub(crate) fn hand_over(&mut self) -> Result<(), Refusal> {
        #[cfg(feature = "table")]
        self.hand_table_over()?;
        match self.state().status {
            Status::Trial { .. } => Ok(self.journal.record(&mut self.flash, Event::HandedOver)?),
            _ => Ok(()),
        }
    }

    /// Rule 3.
    fn try_pending(&mut self, wake: &Wake) -> Result<(), Refusal> {
        let verified = self.verify(Purpose::Try, Reason::JournalCorrupt);
        #[cfg(feature = "table")]
        let verified = verified.and_then(|image| self.with_its_part(image));
        match verified.and_then(SlotProof::of) {
            Ok(proof) => {
                let room = self.journal.make_room(&mut self.flash);
                // A device that has nothing else to run tries it without.
                if self.state().active.is_some() {
                    room.map_err(|error| not_exchanged(error.into()))?;
                }
                swap::begin(&mut self.flash, &mut self.journal, Start::Try(proof), wake.may_retry())
                    .map_err(not_exchanged)
            }
            Err(refusal) if is_kept(wake, refusal, self.state().active) => Err(refusal),
            // It waits for it.
            #[cfg(feature = "table")]
            Err(refusal) if refusal.reason == Reason::PartMissing => Err(refusal),
            Err(refusal) => {
                let dropped = Event::PendingDropped(refusal.reason.code());
                Ok(self.journal.record(&mut self.flash, dropped)?)
            }
        }
    }

    /// Rules 4 and 5: reverts to the image in slot B if it verifies; an empty or damaged slot never comes back.
    fn revert(&mut self, why: Refusal) -> Result<(), Refusal> {
        match self.verify(Purpose::Return, Reason::NothingBootable).and_then(SlotProof::of) {
            Ok(proof) => {
                let start = Start::Return(proof, why.reason);
                swap::begin(&mut self.flash, &mut self.journal, start, true).map_err(not_exchanged)
            }
            // A slot that does not read now may read after a reset, so the loader forgets nothing. The trial is used up: a
            // new image ends it.
            Err(refusal) if refusal.reason == Reason::FlashFailed => {
                let _ = self.hand_over();
                Err(refusal)
            }
            Err(_) => {
                let dropped = Event::TrialDropped(why.reason.code());
                Ok(self.journal.record(&mut self.flash, dropped)?)
            }
        }
    }

    /// Rule 5.
    fn verify_active(&mut self) -> Result<VerifiedImage, Refusal> {
        let nothing = Reason::from_code(self.state().revert_reason).unwrap_or(Reason::NothingBootable);
        self.verify(Purpose::Run, nothing)
    }
}

/// The image is whole, but it dies: the count, and the cause of the last reset before it.
fn silent(wake: &Wake) -> Refusal {
    let position = u32::from_be_bytes([0, 0, wake.cause as u8, wake.silent_resets]);
    Refusal { position, ..Refusal::of(Reason::ApplicationSilent) }
}

/// Whether an image that does not read is not dropped yet: there is no other one, and the loader resets by itself to try
/// it again. Where a tester asked for the loader, one is there to bring another image.
fn is_kept(wake: &Wake, refusal: Refusal, other: Option<ImageRecord>) -> bool {
    refusal.reason == Reason::FlashFailed && other.is_none() && wake.request.is_none() && wake.may_retry()
}

/// The slots were not exchanged, or not to the end; the next reset continues.
#[inline(never)]
fn not_exchanged(error: JournalError) -> Refusal {
    match error {
        JournalError::Flash(_) => Reason::SwapFailed.into(),
        JournalError::Illegal(_) => Reason::JournalCorrupt.into(),
    }
}
