//! The loader: flash, journal, identity and the buffers that a board lends, and the steps that a bus session takes
//! with them. The boot rules are in `decide.rs`; nothing here knows of a bus.

#[cfg(feature = "table")]
mod both;
#[cfg(feature = "one-file")]
mod one_file;
mod reporting;
#[cfg(feature = "table")]
mod table;

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;
use suit_manifest::profile::Installs as _;
use trust::{AnchorSet, Kid};

use crate::attempts::Pace;
use crate::authority::Authenticates as _;
use crate::flash::{Flash, HasLayout};
use crate::install::{Beside, Install};
use crate::journal::{Journal, Recovery};
use crate::layout::{Area, Layout};
use crate::provisioning::{self, Identity, ProvisioningBlock};
use crate::refusal::Refusal;
use crate::revocation::{self, ListBuffer};
use crate::state::{BootState, Event, ImageRecord, Status};
use crate::stored::{self, DEVICE, Kind};
use crate::succession::{self, Anchors};
use crate::token::{Purpose, SlotProof};
use crate::verify::{EnvelopeBuffer, VerifiedImage, Verifier};
#[cfg(feature = "table")]
use table::Other;

/// The buffers that a board lends while the loader runs.
pub struct Buffers<'b> {
    /// Holds the object that is received, and the head of a slot that is verified.
    pub envelope: &'b mut EnvelopeBuffer,
    /// Holds a revocation list.
    pub list: &'b mut ListBuffer,
}

/// The loader of one device.
// Small fields first: the short instructions of a device reach them.
#[repr(C)]
pub struct Loader<'b, F, L: HasLayout = Layout> {
    install: Option<Install<L::Profile>>,
    pace: Pace,
    /// Where the image stream that was opened last begins, until its first byte comes.
    opened_at: Option<u32>,
    /// The anchor under which the image that runs was installed, once that has verified.
    pub(crate) runs_under: Option<Kid>,
    buffers: Buffers<'b>,
    pub(crate) journal: Journal,
    pub(crate) flash: Flash<F, L>,
    /// Or why nobody is trusted: [`Reason::NotProvisioned`] in factory state.
    identity: Result<Identity, Reason>,
    /// Those that count once the device has an identity.
    anchors: Anchors,
    #[cfg(feature = "table")]
    other: Other,
}

impl<'b, F: NorFlash, L: HasLayout> Loader<'b, F, L> {
    /// A loader that has read nothing yet and trusts nobody.
    pub fn new(flash: Flash<F, L>, buffers: Buffers<'b>) -> Self {
        Self {
            flash,
            journal: Journal::unread(),
            identity: Err(Reason::JournalCorrupt),
            anchors: Anchors::given::<L>(&AnchorSet::EMPTY),
            runs_under: None,
            install: None,
            pace: Pace::START,
            opened_at: None,
            buffers,
            #[cfg(feature = "table")]
            other: Other::START,
        }
    }

    /// [`Loader::new`], [recovered](Self::recover).
    pub fn start(flash: Flash<F, L>, buffers: Buffers<'b>) -> Self {
        let mut loader = Self::new(flash, buffers);
        loader.recover();
        loader
    }

    /// Recovers the journal and reads the identity of the device; writes nothing. A block that the journal does not
    /// know was interrupted by a cut and may read differently next time, so the device stays in factory state until
    /// the host sends the block again. A whole block beside a journal without a record was not: the journal lasts
    /// before the block is written, so its records were lost.
    // In place, and apart: a loader that moves costs code and takes its RAM twice.
    #[inline(never)]
    pub fn recover(&mut self) {
        self.journal = Journal::open(&mut self.flash);
        let is_lost = match self.journal.recovery() {
            Recovery::Found => false,
            Recovery::Lost => true,
            Recovery::Blank => stored::is_used(&mut self.flash),
        };
        if is_lost {
            return;
        }
        let state = self.journal.state();
        if !state.provisioned {
            self.identity = Err(Reason::NotProvisioned);
            return;
        }
        let name = (Kind::Provisioning, DEVICE);
        let len = stored::load(&mut self.flash, state.set, name, self.buffers.envelope).unwrap_or(0);
        let parsed = self.parse(len);
        provisioning::wipe::<L>(self.buffers.envelope);
        match &parsed {
            Ok(block) if provisioning::check_anchors::<L>(block).is_ok() => {
                self.take(block);
                if L::Authority::HAS_ANCHORS {
                    self.anchors.load(&mut self.flash, self.journal.state(), self.buffers.envelope);
                }
                #[cfg(feature = "table")]
                self.recover_table();
            }
            _ => self.identity = Err(Reason::ProvisioningMalformed),
        }
    }

    /// The provisioning block in the buffer.
    fn parse(&self, len: usize) -> Result<ProvisioningBlock, trust::Error> {
        provisioning::parse::<L>(self.buffers.envelope.get(..len).unwrap_or_default())
    }

    /// Goes by the identity and the anchors of this block from here on.
    fn take(&mut self, block: &ProvisioningBlock) {
        self.identity = Ok(block.identity);
        self.anchors = Anchors::given::<L>(&block.anchors);
    }

    /// The identity of the device; `None` in factory state, and when its block or its journal is unreadable.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref().ok()
    }

    /// Its address on the bus.
    pub fn node_address(&self) -> u8 {
        crate::address::node_address(self.identity())
    }

    /// The anchors.
    pub(crate) const fn anchors(&self) -> &AnchorSet {
        &self.anchors.set
    }

    /// The state in the journal, of the firmware or of the table.
    pub(crate) fn state(&self) -> &BootState {
        self.journal.state()
    }

    /// The layout of the flash.
    pub(crate) fn layout(&self) -> &crate::layout::Layout {
        self.flash.layout()
    }

    /// Whether an envelope or a succession chain may come now.
    #[inline(never)]
    pub(crate) fn check_ready(&self) -> Result<(), Refusal> {
        self.known()?;
        match self.state().status {
            // An exchange that is under way in a session has failed in this boot.
            Status::Idle
            | Status::Installing { .. }
            | Status::Pending
            | Status::Swapping(_)
            | Status::Reverting(_) => Ok(()),
            // So has a revert; the trial of an image that boots is not used up before it is handed over.
            status if status.is_trial_over() => Ok(()),
            // Slot B holds the way back.
            Status::Trial { .. } => Err(Reason::TrialNotConfirmed.into()),
        }
    }

    /// Whether an exchange, or the end of a trial, failed in this boot.
    pub(crate) fn is_between_images(&self) -> bool {
        let status = self.state().status;
        status.is_trial_over() || matches!(status, Status::Swapping(_) | Status::Reverting(_))
    }

    /// Whether a provisioning block may come now.
    pub(crate) fn check_factory(&self) -> Result<(), Refusal> {
        let untrusted = self.identity.as_ref().err();
        if untrusted == Some(&Reason::NotProvisioned) {
            Ok(())
        } else if untrusted == Some(&Reason::JournalCorrupt) {
            Err(Reason::JournalCorrupt.into())
        } else {
            Err(Reason::AlreadyProvisioned.into())
        }
    }

    /// Puts bytes of an object into the buffer; `false` if they do not fit.
    pub(crate) fn receive(&mut self, offset: u32, data: &[u8]) -> bool {
        self.free_buffer();
        let start = usize::try_from(offset).ok();
        let end = start.and_then(|start| start.checked_add(data.len()));
        let place = start.zip(end).and_then(|(start, end)| self.buffers.envelope.get_mut(start..end));
        place.map(|place| place.copy_from_slice(data)).is_some()
    }

    /// Judges the first `len` bytes of the buffer as an envelope; its install begins with the first byte of the image.
    /// `is_good`: the active image verifies.
    pub(crate) fn accept_envelope(&mut self, len: usize, is_good: bool) -> Result<(), Refusal> {
        self.check_ready()?;
        self.governed()?;
        self.install = None;
        let verifier = verifier(&self.identity, &self.anchors.set)?;
        let envelope = self.buffers.envelope.get(..len).ok_or(Refusal::of(Reason::EnvelopeTooLarge))?;
        let envelope = (envelope, Beside::default());
        let (list, install) = (&mut *self.buffers.list, &mut self.install);
        Install::accept(&mut self.flash, &self.journal, &verifier, envelope, list, is_good, install)
    }

    /// Begins the image stream at `offset`, `len` bytes to its end, unless it has to wait.
    pub(crate) fn open_image(&mut self, offset: u32, len: u32) -> Result<(), Refusal> {
        let committed = self.committed();
        let missing = Refusal::of(Reason::NoEnvelope);
        let install = self.install.as_mut().ok_or(missing)?;
        let is_new = install.in_buffer().is_some();
        let committed = if is_new { 0 } else { committed.ok_or(missing)? };
        install.open(self.flash.layout(), committed, offset, len)?;
        let has_progress = !is_new && self.journal.state().has_progress();
        let attempts = &self.journal.state().attempts;
        match self.pace.delay_s(attempts, install.digest(), offset, has_progress) {
            0 => {
                self.opened_at = Some(offset);
                install.begin_at(&mut self.flash, &self.journal, offset)
            }
            delay_s => {
                install.close();
                Err(Refusal { position: delay_s, ..Refusal::of(Reason::InstallDelayed) })
            }
        }
    }

    /// Takes the next bytes of the image.
    pub(crate) fn write_image(&mut self, data: &[u8]) -> Result<(), Refusal> {
        let install = self.install.as_mut().ok_or(Refusal::of(Reason::NoEnvelope))?;
        install.check(data.len())?;
        let is_new = install.in_buffer().is_some();
        let written = install.write(&mut self.flash, &mut self.journal, self.buffers.envelope, data);
        if let Some(offset) = self.opened_at.take() {
            self.pace.erase(offset, is_new, install.in_buffer().is_some());
        }
        written
    }

    /// Verifies the image that has come and marks it pending.
    pub(crate) fn finish_image(&mut self) -> Result<(), Refusal> {
        let install = self.install.as_mut().ok_or(Refusal::of(Reason::NoEnvelope))?;
        let verifier = verifier(&self.identity, &self.anchors.set)?;
        let buffers = (&mut *self.buffers.envelope, &mut *self.buffers.list);
        let finished = install.finish(&mut self.flash, &mut self.journal, &verifier, buffers);
        // What is in flash is judged: a new envelope comes first.
        self.install = None;
        finished
    }

    /// Ends the image stream where it is; what was committed can be resumed.
    pub(crate) fn close_image(&mut self) {
        if let Some(install) = self.install.as_mut() {
            install.close();
        }
    }

    /// Whether the next `len` image bytes cost a page erase.
    pub(crate) fn will_erase(&self, len: u32) -> bool {
        self.install.as_ref().is_some_and(|install| install.will_erase(self.flash.layout(), len))
    }

    /// Forgets an install in progress or a pending image; the active image stays. `false`: there was none.
    pub(crate) fn abandon(&mut self) -> Result<bool, Refusal> {
        let was_in_buffer = self.in_buffer().is_some();
        self.install = None;
        match self.state().status {
            Status::Installing { .. } | Status::Pending => {
                self.journal.record(&mut self.flash, Event::Abandoned)?;
                Ok(true)
            }
            Status::Idle | Status::Trial { .. } | Status::Swapping(_) | Status::Reverting(_) => {
                Ok(was_in_buffer)
            }
        }
    }

    /// Verifies the pending image again; `None` if there is none.
    pub(crate) fn check_pending(&mut self) -> Option<Result<(), Refusal>> {
        self.state().spare.as_ref().filter(|_| self.state().status == Status::Pending)?;
        self.free_buffer();
        let verified = self.verify(Purpose::Try, Reason::JournalCorrupt);
        #[cfg(feature = "table")]
        let verified = verified.and_then(|image| self.before_its_reset(image));
        Some(verified.and_then(SlotProof::of).map(drop))
    }

    /// Judges the first `len` bytes of the buffer as a revocation list and stores it.
    pub(crate) fn accept_list(&mut self, len: usize) -> Result<(), Refusal> {
        if !L::Authority::HAS_ANCHORS {
            return Err(Reason::ObjectUnknown.into());
        }
        self.governed()?;
        let received = self.buffers.envelope.get(..len).ok_or(Refusal::of(Reason::RecordMalformed))?;
        revocation::accept(&mut self.flash, &mut self.journal, &self.anchors.set, received, self.buffers.list)
    }

    /// Judges the first `len` bytes of the buffer as a succession chain and stores its end. What is not swapped in yet is
    /// abandoned.
    pub(crate) fn accept_chain(&mut self, len: usize) -> Result<(), Refusal> {
        if !L::Authority::HAS_ANCHORS {
            return Err(Reason::ObjectUnknown.into());
        }
        self.check_ready()?;
        self.install = None;
        let received = self.buffers.envelope.get(..len).ok_or(Refusal::of(Reason::RecordMalformed))?;
        let (flash, journal, anchors) = (&mut self.flash, &mut self.journal, &mut self.anchors);
        #[cfg(feature = "table")]
        let runs_under = self.other.needed(self.runs_under);
        #[cfg(not(feature = "table"))]
        let runs_under = self.runs_under;
        succession::accept(flash, journal, anchors, runs_under, received, self.buffers.list)
    }

    /// Judges the first `len` bytes of the buffer as a provisioning block and stores it, once.
    pub(crate) fn provision(&mut self, len: usize) -> Result<(), Refusal> {
        let provisioned = self.store_block(len);
        provisioning::wipe::<L>(self.buffers.envelope);
        provisioned
    }

    #[inline(never)]
    fn store_block(&mut self, len: usize) -> Result<(), Refusal> {
        self.check_factory()?;
        let parsed = self.parse(len);
        let block = parsed.as_ref().map_err(|error| Refusal {
            position: error.position,
            ..Refusal::of(Reason::of_provisioning(error.kind))
        })?;
        provisioning::check_anchors::<L>(block)?;
        // A record in doubt may mark the present block as final next time.
        self.journal.affirm(&mut self.flash)?;
        // Marks of a test in the factory.
        self.flash.erase_area(Area::Progress)?;
        // Both copies read back before the journal makes the block final.
        let bytes = self.buffers.envelope.get(..len).unwrap_or_default();
        let objects = [((Kind::Provisioning, DEVICE), bytes)];
        stored::replace(&mut self.flash, self.journal.state(), &objects)?;
        self.journal.record(&mut self.flash, Event::Provisioned(block.sequence_floor))?;
        self.take(block);
        Ok(())
    }

    /// The image of an install that has not begun yet: its envelope is in the buffer.
    pub(crate) fn in_buffer(&self) -> Option<&ImageRecord> {
        self.install.as_ref().and_then(|install| install.in_buffer())
    }

    /// Another object comes into the buffer.
    fn free_buffer(&mut self) {
        if self.in_buffer().is_some() {
            self.install = None;
        }
    }

    /// Nothing of an install stays in RAM that depends on a key.
    pub(crate) fn forget(&mut self) {
        if L::Profile::DECRYPTS {
            self.install = None;
        }
    }

    /// It is so late now, microseconds.
    pub(crate) fn set_now_us(&mut self, now_us: u64) {
        self.pace.set_now_us(now_us);
    }

    /// Image bytes that are committed, while an install is under way.
    pub(crate) fn committed(&self) -> Option<u32> {
        match self.state().status {
            Status::Installing { offset } => Some(offset),
            _ => None,
        }
    }

    /// Verifies the image in the slot of this purpose, which the journal has there, or refuses with `missing`.
    pub(crate) fn verify(&mut self, purpose: Purpose, missing: Reason) -> Result<VerifiedImage, Refusal> {
        if purpose.is_revocable() {
            self.governed()?;
        }
        let verifier = verifier(&self.identity, &self.anchors.set)?;
        let state = self.journal.state();
        let recorded = if purpose == Purpose::Run { &state.active } else { &state.spare };
        let expected = recorded.as_ref().ok_or(Refusal::of(missing))?;
        let buffers = (&mut *self.buffers.envelope, &mut *self.buffers.list);
        verifier.slot(&mut self.flash, state, purpose, expected, buffers)
    }

    /// Writes again what decayed and of which a whole copy is left. Where that fails, the copy still counts.
    pub(crate) fn mend(&mut self) {
        let _ = self.journal.mend(&mut self.flash);
        let _ = stored::mend(&mut self.flash, &mut self.journal);
    }

    /// Succeeds when the device has an identity, and the anchors that the journal knows of.
    pub(crate) fn governed(&self) -> Result<(), Refusal> {
        self.known()?;
        if self.anchors.is_lost { Err(Reason::AnchorSetMalformed.into()) } else { Ok(()) }
    }

    /// Succeeds when the device has an identity and anchors.
    pub(crate) fn known(&self) -> Result<(), Refusal> {
        known(&self.identity).map(|_| ())
    }
}

fn known(identity: &Result<Identity, Reason>) -> Result<&Identity, Refusal> {
    identity.as_ref().map_err(|&reason| reason.into())
}

/// Verifies for this device.
#[inline(never)]
fn verifier<'p>(
    identity: &'p Result<Identity, Reason>,
    anchors: &'p AnchorSet,
) -> Result<Verifier<'p>, Refusal> {
    let identity = known(identity)?;
    Ok(Verifier { identity, anchors })
}
