//! The state that the journal keeps, and each of its transitions. Pure: nothing here touches flash.
//!
//! A snapshot is complete; an [`Event`] that the present [`Status`] does not allow is an error value. A test
//! generates the table of all pairs and compares it with docs/boot-rules.md.

use suit_manifest::Reason;
use trust::{DOMAINS_MAX, SuccessionNumber};

use crate::attempts::Attempts;
use crate::layout::{Layout, Slot};
use crate::token::{Purpose, SlotProof};

const SWAP_FAILED: u16 = Reason::SwapFailed.code();

/// The highest number of marks.
pub(crate) const MARKS_MAX: u32 = 0xFF_FFFF;

/// How often the loader tries to write a copy of the stored objects again that it cannot write: each try erases its
/// pages. The next set is another try.
pub(crate) const FAILED_MENDS_MAX: u8 = 3;

/// Boots an image gets to confirm itself before it is reverted.
pub const TRIAL_BOOTS: u8 = 1;

/// An authenticated image: enough to recognise it again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageRecord {
    /// SHA-256 over the bstr-wrapped manifest.
    pub manifest_digest: [u8; 32],
    /// The manifest's sequence number.
    pub sequence: u64,
    /// Bytes of the image.
    pub size: u32,
}

/// The numbers of a domain that only rise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DomainNumbers {
    /// recovery-epoch of its root.
    pub recovery_epoch: u16,
    /// succession-sequence of its root within the epoch.
    pub succession_sequence: u16,
    /// list-sequence of its newest revocation list; 0 if it has none.
    pub list_sequence: u64,
}

impl DomainNumbers {
    /// Those of its root.
    pub(crate) fn root(&self) -> SuccessionNumber {
        let Self { recovery_epoch, succession_sequence, .. } = *self;
        SuccessionNumber { recovery_epoch, succession_sequence }
    }

    /// Whether none of the numbers fell, in their order.
    pub(crate) fn keeps(&self, before: &Self) -> bool {
        // A succession begins the lists again.
        self.root() > before.root()
            || self.root() == before.root() && self.list_sequence >= before.list_sequence
    }
}

/// A step of the swap of one page, in this order. Each reads only data that the step before left whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// A word, for size: a device widens a byte again after each call.
#[repr(u32)]
pub enum Step {
    /// The page of slot A goes to the free page of slot B.
    Save,
    /// The page of the image that comes goes to slot A; where it was is free then.
    Take,
}

/// The progress of a swap: its next step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SwapProgress {
    /// How many pages are exchanged.
    pub page: u32,
    /// Step of the next one.
    pub step: Step,
}

impl SwapProgress {
    /// Where a swap begins.
    pub const START: Self = Self { page: 0, step: Step::Save };

    /// The progress after this step.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.step {
            Step::Save => Self { page: self.page, step: Step::Take },
            Step::Take => Self { page: self.page.saturating_add(1), step: Step::Save },
        }
    }

    /// As one number, that of the steps done: for the journal.
    pub(crate) const fn position(self) -> u32 {
        self.page.saturating_mul(2).saturating_add(matches!(self.step, Step::Take) as u32)
    }

    /// The progress after so many steps.
    pub(crate) const fn at(position: u32) -> Self {
        let step = if position.is_multiple_of(2) { Step::Save } else { Step::Take };
        Self { page: position / 2, step }
    }
}

/// The procedure that is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Nothing. The active image, if there is one, has confirmed itself.
    Idle,
    /// An authenticated image streams into slot B; image bytes below `offset` are there.
    Installing {
        /// Committed image bytes.
        offset: u32,
    },
    /// Slot B holds an image that matched; the next boot swaps it in.
    Pending,
    /// The slots are being exchanged to try the spare image.
    Swapping(SwapProgress),
    /// The active image has not confirmed itself yet.
    Trial {
        /// Number of hand-overs so far.
        boots: u8,
    },
    /// The slots are being exchanged back.
    Reverting(SwapProgress),
}

impl Status {
    /// Whether the image on trial has had its boots without confirming itself.
    #[cfg(feature = "loader")]
    pub(crate) const fn is_trial_over(&self) -> bool {
        matches!(self, Self::Trial { boots } if *boots >= TRIAL_BOOTS)
    }
}

/// Everything the journal remembers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// Small fields first: the short instructions of a device reach them.
#[repr(C)]
pub struct BootState {
    /// The procedure that is under way.
    pub status: Status,
    /// The number of the set of stored objects that counts; 0: there is none yet.
    pub set: u16,
    /// Reason code (docs/errors.md) of the last revert, or of a pending image that was dropped; 0 if none.
    pub revert_reason: u16,
    /// The provisioning block was written. Never taken back.
    pub provisioned: bool,
    /// Each step of the present procedure is a record: no mark counts.
    pub is_unmarked: bool,
    /// The anchors are those of the stored anchor set: those of the provisioning block, or of the build, have retired. Never
    /// taken back.
    pub has_anchor_set: bool,
    /// Slot B receives, and not slot A as from the factory. Always false where images are swapped.
    pub receives_in_b: bool,
    /// How often a copy of a stored object was not written again, since the last set was written whole; at most 7.
    pub failed_mends: u8,
    /// The marks of progress that count, 24 bits: those with another number belong to a procedure, or to a stretch of
    /// it, that is in a record since.
    pub marks: u32,
    /// Swapping, reverting: CRC-32 of what the next step reads; 0 if it reads nothing. Installing: the committed image
    /// bytes when the install was begun or resumed last.
    pub source: u32,
    /// Reserved for ownership handover; kept as it is.
    pub ownership_floor: u32,
    /// Installs that began since the last confirmation.
    pub attempts: Attempts,
    /// Lowest sequence number that may be installed or booted. Never falls; rises when an image confirms.
    pub floor: u64,
    /// The numbers of each domain, in the order of the provisioning block.
    pub domains: [DomainNumbers; DOMAINS_MAX],
    /// The image that runs: in slot A, but on a board that does not swap in the slot that does not receive. While a swap
    /// is under way: what was in slot A before it.
    pub active: Option<ImageRecord>,
    /// The image in the slot that receives, whole or on its way: slot B where images are swapped. While a swap is under
    /// way: what was in slot B before it.
    pub spare: Option<ImageRecord>,
}

impl BootState {
    /// A device as it comes from the factory.
    pub const FACTORY: Self = Self {
        status: Status::Idle,
        floor: 0,
        active: None,
        spare: None,
        receives_in_b: false,
        has_anchor_set: false,
        set: 0,
        domains: [DomainNumbers { recovery_epoch: 0, succession_sequence: 0, list_sequence: 0 }; DOMAINS_MAX],
        provisioned: false,
        revert_reason: 0,
        ownership_floor: 0,
        marks: 0,
        is_unmarked: false,
        source: 0,
        failed_mends: 0,
        attempts: Attempts::NONE,
    };

    /// The slot that receives images.
    #[must_use]
    pub const fn spare_slot(&self, layout: &Layout) -> Slot {
        layout.receiving_slot(self.receives_in_b)
    }

    /// What counts for the device counts for its table: what is stored, and the numbers of the domains.
    #[cfg(all(feature = "table", feature = "loader"))]
    pub(crate) const fn adopt(&mut self, device: &Self) {
        (self.set, self.domains) = (device.set, device.domains);
        (self.provisioned, self.has_anchor_set) = (device.provisioned, device.has_anchor_set);
    }

    /// The highest list-sequence of any domain.
    #[must_use]
    pub fn highest_list_sequence(&self) -> u64 {
        self.domains.iter().map(|domain| domain.list_sequence).max().unwrap_or(0)
    }
}

/// A change of the state. An event that depends on a verified image takes the proof of it.
#[derive(PartialEq, Eq, Debug)]
pub enum Event {
    /// The first set of stored objects was written, with the provisioning block; the floor is at least this.
    Provisioned(u64),
    /// A set of stored objects with newer revocation lists was written; the list-sequence of each domain.
    RevocationStored([u64; DOMAINS_MAX]),
    /// A set of stored objects with another anchor set, and the list of a new root, was written; the numbers of each domain.
    Succeeded([DomainNumbers; DOMAINS_MAX]),
    /// A copy of the stored objects could not be written again.
    MendFailed,
    /// An envelope was authenticated, its conditions hold, and its head is in slot B.
    InstallStarted(ImageRecord),
    /// Image bytes below this offset are in slot B.
    Committed(u32),
    /// The image in slot B matched its manifest.
    Matched(SlotProof),
    /// The install, or the pending image, is to be forgotten.
    Abandoned,
    /// The pending image did not verify at boot; the reason code.
    PendingDropped(u16),
    /// The pending image verified; the slots are to be exchanged.
    SwapStarted(SlotProof),
    /// A step of the present exchange is done.
    SwapStepped,
    /// A page cannot be exchanged to try the spare image: those before it go back, of so many in all.
    SwapGivenUp(u32),
    /// The exchange cannot go on, and a new image comes: no image is known any more.
    SwapLost,
    /// The last step of the present exchange is done.
    SwapFinished,
    /// The pending image verified and runs where it lies: its trial begins, and the other slot receives.
    #[cfg(feature = "remap")]
    Remapped(SlotProof),
    /// The image on trial is reverted to the one in the other slot, which runs where it lies; the reason code.
    #[cfg(feature = "remap")]
    RemappedBack(SlotProof, u16),
    /// A boot of the image on trial is used up: the loader is about to hand over, or cannot revert now.
    HandedOver,
    /// The application says that it works.
    Confirmed,
    /// The image on trial is reverted to the one in slot B; the reason code.
    RevertStarted(SlotProof, u16),
    /// The image on trial is dropped and slot B has none to revert to, or a new image comes; the reason code.
    TrialDropped(u16),
}

/// An event that the present state does not allow. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IllegalTransition;

impl BootState {
    /// How far the present procedure has come, as a number that only grows; `None` if there is none.
    pub(crate) const fn position(&self) -> Option<u32> {
        match self.status {
            Status::Installing { offset } => Some(offset),
            Status::Swapping(at) | Status::Reverting(at) => Some(at.position()),
            Status::Idle | Status::Pending | Status::Trial { .. } => None,
        }
    }

    /// The same state with its procedure further on.
    pub(crate) fn set_position(&mut self, position: u32) {
        match &mut self.status {
            Status::Installing { offset } => *offset = position,
            Status::Swapping(at) | Status::Reverting(at) => *at = SwapProgress::at(position),
            Status::Idle | Status::Pending | Status::Trial { .. } => {}
        }
    }

    /// Whether an install came further by more than an eighth of its image since it was begun or resumed.
    #[cfg(feature = "loader")]
    pub(crate) fn has_progress(&self) -> bool {
        let (Status::Installing { offset }, Some(image)) = (self.status, &self.spare) else { return false };
        offset.saturating_sub(self.source) > image.size >> 3
    }

    /// An install that is resumed and came no further counts as another one: it erases the same page, or a stranger resumes
    /// it to wear the journal out.
    #[cfg(feature = "loader")]
    pub(crate) fn resume_install(&mut self) {
        let is_counted = !self.has_progress();
        if let (Status::Installing { offset }, Some(image)) = (self.status, &self.spare) {
            self.source = offset;
            if is_counted {
                self.attempts.add(&image.manifest_digest);
            }
        }
    }

    /// The state after an event.
    ///
    /// # Errors
    /// [`IllegalTransition`] if the state does not allow the event.
    pub fn after(&self, event: Event) -> Result<Self, IllegalTransition> {
        let mut next = *self;
        next.go_on(event)?;
        Ok(next)
    }

    /// Becomes the state after an event.
    ///
    /// # Errors
    /// [`IllegalTransition`] if the state does not allow the event; the state is unusable then.
    pub(crate) fn go_on(&mut self, event: Event) -> Result<(), IllegalTransition> {
        let floor = self.floor;
        // T14: no event lowers the floor, whatever became of its own comparison.
        if self.apply(event) && self.floor >= floor { Ok(()) } else { Err(IllegalTransition) }
    }

    /// Applies an event; `false` when the state does not allow it, which leaves an unusable state.
    fn apply(&mut self, event: Event) -> bool {
        let status = self.status;
        match event {
            Event::Provisioned(floor) => {
                self.floor = self.floor.max(floor);
                self.begin_set();
                !core::mem::replace(&mut self.provisioned, true) && matches!(status, Status::Idle)
            }
            Event::RevocationStored(sequences) => {
                self.begin_set();
                self.domains
                    .iter_mut()
                    .zip(sequences)
                    .all(|(domain, new)| new >= core::mem::replace(&mut domain.list_sequence, new))
            }
            Event::Succeeded(numbers) => {
                self.begin_set();
                self.has_anchor_set = true;
                // What is not swapped in yet was installed under a root that may have retired.
                if !matches!(status, Status::Idle) {
                    self.settle(None);
                }
                matches!(status, Status::Idle | Status::Installing { .. } | Status::Pending)
                    && self.provisioned
                    && self
                        .domains
                        .iter_mut()
                        .zip(numbers)
                        .all(|(domain, new)| new.keeps(&core::mem::replace(domain, new)))
            }
            Event::MendFailed => {
                self.failed_mends = self.failed_mends.saturating_add(1);
                self.failed_mends <= FAILED_MENDS_MAX
            }
            Event::InstallStarted(image) => {
                (self.status, self.source) = (Status::Installing { offset: 0 }, 0);
                self.spare = Some(image);
                self.attempts.add(&image.manifest_digest);
                self.begin_marks();
                image.sequence >= self.floor
                    && matches!(status, Status::Idle | Status::Installing { .. } | Status::Pending)
            }
            Event::Committed(to) => {
                let Status::Installing { offset } = status else { return false };
                self.status = Status::Installing { offset: to };
                to >= offset && self.spare.as_ref().is_some_and(|image| to <= image.size)
            }
            Event::Matched(proof) => {
                self.status = Status::Pending;
                matches!(status, Status::Installing { .. })
                    && proof.is_for(Purpose::Install, self.spare.as_ref())
            }
            Event::Abandoned => {
                self.settle(None);
                matches!(status, Status::Installing { .. } | Status::Pending)
            }
            Event::PendingDropped(reason) => {
                self.settle(Some(reason));
                matches!(status, Status::Pending)
            }
            Event::SwapStarted(proof) => {
                self.status = Status::Swapping(SwapProgress::START);
                self.revert_reason = 0;
                self.begin_marks();
                matches!(status, Status::Pending) && proof.is_for(Purpose::Try, self.spare.as_ref())
            }
            Event::SwapStepped => {
                let (Status::Swapping(progress) | Status::Reverting(progress)) = &mut self.status else {
                    return false;
                };
                *progress = progress.next();
                true
            }
            Event::SwapGivenUp(pages) => {
                let Status::Swapping(at) = status else { return false };
                // The page whose new content did not come is taken back only; before it nothing has changed in slot A.
                let undone = SwapProgress { page: pages.saturating_sub(at.page), step: Step::Save };
                self.status = Status::Reverting(match at.step {
                    Step::Save => undone,
                    Step::Take => SwapProgress { page: undone.page.saturating_sub(1), step: Step::Take },
                });
                core::mem::swap(&mut self.active, &mut self.spare);
                self.revert_reason = SWAP_FAILED;
                self.begin_marks();
                at.page < pages
            }
            Event::SwapLost => {
                self.active = None;
                self.settle(Some(SWAP_FAILED));
                matches!(status, Status::Swapping(_) | Status::Reverting(_))
            }
            Event::SwapFinished => {
                core::mem::swap(&mut self.active, &mut self.spare);
                self.status = match status {
                    Status::Swapping(_) => Status::Trial { boots: 0 },
                    Status::Reverting(_) => Status::Idle,
                    Status::Idle | Status::Installing { .. } | Status::Pending | Status::Trial { .. } => {
                        return false;
                    }
                };
                true
            }
            #[cfg(feature = "remap")]
            Event::Remapped(proof) => {
                let is_good = status == Status::Pending && proof.is_for(Purpose::Try, self.spare.as_ref());
                self.turn();
                self.status = Status::Trial { boots: 0 };
                self.revert_reason = 0;
                is_good
            }
            #[cfg(feature = "remap")]
            Event::RemappedBack(proof, reason) => {
                let is_good = matches!(status, Status::Trial { .. })
                    && proof.is_for(Purpose::Return, self.spare.as_ref());
                self.turn();
                self.status = Status::Idle;
                self.revert_reason = reason;
                is_good
            }
            Event::HandedOver => {
                let Status::Trial { boots } = status else { return false };
                self.status = Status::Trial { boots: boots.saturating_add(1) };
                boots < TRIAL_BOOTS
            }
            Event::Confirmed => {
                let Status::Trial { boots } = status else { return false };
                self.status = Status::Idle;
                self.attempts = Attempts::NONE;
                self.floor = self.active.as_ref().map_or(self.floor, |image| self.floor.max(image.sequence));
                boots > 0
            }
            Event::RevertStarted(proof, reason) => {
                self.status = Status::Reverting(SwapProgress::START);
                self.revert_reason = reason;
                self.begin_marks();
                matches!(status, Status::Trial { .. }) && proof.is_for(Purpose::Return, self.spare.as_ref())
            }
            Event::TrialDropped(reason) => {
                self.active = None;
                self.settle(Some(reason));
                matches!(status, Status::Trial { .. })
            }
        }
    }

    /// The slots change places: images and place in one record.
    #[cfg(feature = "remap")]
    fn turn(&mut self) {
        core::mem::swap(&mut self.active, &mut self.spare);
        self.receives_in_b = !self.receives_in_b;
    }

    /// The marks so far count no more.
    #[inline(never)]
    pub(crate) fn begin_marks(&mut self) {
        self.marks = self.marks.wrapping_add(1) & MARKS_MAX;
        self.is_unmarked = false;
    }

    /// The number of the set of stored objects after the present one.
    #[must_use]
    pub const fn next_set(&self) -> u16 {
        match self.set.checked_add(1) {
            Some(next) => next,
            None => 1,
        }
    }

    /// The next set of stored objects counts.
    #[inline(never)]
    fn begin_set(&mut self) {
        self.set = self.next_set();
        self.failed_mends = 0;
    }

    /// Ends the procedure and forgets the image in slot B.
    #[inline(never)]
    fn settle(&mut self, reason: Option<u16>) {
        self.status = Status::Idle;
        self.spare = None;
        self.revert_reason = reason.unwrap_or(self.revert_reason);
    }
}

#[cfg(test)]
mod tests;
