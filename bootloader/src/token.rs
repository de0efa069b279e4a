//! The verdict as a value. Only a verified image (`verify.rs`) yields a token. The jump takes an [`Entry`]; the
//! events of the journal that mark slot B or exchange the slots take a [`SlotProof`]. No other code can make, copy or
//! reuse one:
//!
//! ```compile_fail,E0451
//! # use bootloader::{Entry, firmware_image::Vectors};
//! fn forge(vectors: Vectors) -> Entry {
//!     let (evidence, banks) = (unreachable!(), unreachable!());
//!     Entry { vectors: [vectors; 2], evidence, silent_resets: 0, banks, table: None }
//! }
//! ```
//! ```compile_fail,E0382
//! # use bootloader::Entry;
//! fn jump_twice(entry: Entry) {
//!     entry.redeem();
//!     entry.redeem();
//! }
//! ```
//! ```compile_fail,E0277
//! # use bootloader::Entry;
//! fn copy(entry: &Entry) -> Entry {
//!     Entry::clone(entry)
//! }
//! ```
//! ```compile_fail,E0451
//! # use bootloader::{Purpose, SlotProof, state::ImageRecord};
//! fn forge(image: ImageRecord) -> SlotProof {
//!     SlotProof { purpose: Purpose::Try, image }
//! }
//! ```
//! ```compile_fail,E0382
//! # use bootloader::{SlotProof, state::Event};
//! fn use_twice(proof: SlotProof) -> [Event; 2] {
//!     [Event::Matched(proof), Event::SwapStarted(proof)]
//! }
//! ```
//! ```compile_fail,E0277
//! # use bootloader::SlotProof;
//! fn copy(proof: &SlotProof) -> SlotProof {
//!     SlotProof::clone(proof)
//! }
//! ```
//! ```compile_fail,E0308
//! # use bootloader::state::Event;
//! fn without_proof() -> [Event; 2] {
//!     [Event::Matched(()), Event::SwapStarted(())]
//! }
//! ```
//! ```compile_fail,E0624
//! # use bootloader::SlotProof;
//! fn constructor() {
//!     let _ = SlotProof::of;
//! }
//! ```
//!
//! Each of these differs from the following by the forbidden part only: the names are right, and nothing else keeps
//! them from compiling. Stable Rust does not compare the code of the error; `cargo xtask test` does.
//!
//! ```
//! # use bootloader::{Entry, Purpose, SlotProof, firmware_image::Vectors, state::{Event, ImageRecord}};
//! fn given(vectors: Vectors, entry: Entry) -> (Vectors, Entry) {
//!     (vectors, entry)
//! }
//! fn jump_once(entry: Entry) {
//!     entry.redeem();
//! }
//! fn lend(entry: &Entry) -> &Entry {
//!     entry
//! }
//! fn given_proof(image: ImageRecord, proof: SlotProof) -> (Purpose, ImageRecord, SlotProof) {
//!     (Purpose::Try, image, proof)
//! }
//! fn use_each_once(proof: SlotProof, other: SlotProof) -> [Event; 2] {
//!     [Event::Matched(proof), Event::SwapStarted(other)]
//! }
//! fn lend_proof(proof: &SlotProof) -> &SlotProof {
//!     proof
//! }
//! ```

use core::hint::black_box;

use firmware_image::Vectors;
#[cfg(feature = "loader")]
use suit_manifest::Reason;

use crate::evidence::Evidence;
#[cfg(any(feature = "loader", feature = "remap"))]
use crate::layout::Slot;
#[cfg(feature = "table")]
use crate::mailbox::TablePlace;
use crate::mailbox::{self, MAILBOX_LEN};
use crate::state::ImageRecord;
#[cfg(feature = "loader")]
use crate::{layout::Layout, refusal::Refusal, state::BootState, verify::VerifiedImage};

/// The purpose for which an image was verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// A word, for size: a device widens a byte again after each call.
#[repr(u32)]
pub enum Purpose {
    /// Slot B, just streamed: to wait there for the next boot.
    Install,
    /// Slot B: to be swapped in and tried.
    Try,
    /// Slot B: to come back in place of an image on trial.
    Return,
    /// Slot A: to run.
    Run,
}

#[cfg(feature = "loader")]
impl Purpose {
    /// Where such an image lies in this state.
    pub(crate) const fn slot(self, layout: &Layout, state: &BootState) -> Slot {
        let spare = state.spare_slot(layout);
        match (self, spare) {
            (Self::Return, _) if layout.swaps() => Slot::Kept,
            (Self::Install | Self::Try | Self::Return, spare) => spare,
            (Self::Run, Slot::B) => Slot::A,
            (Self::Run, _) => Slot::B,
        }
    }

    /// Whether revocation is looked at. A list that arrives later must not brick a device: what was installed and
    /// confirmed boots without; what is to be installed or tried does not.
    pub(crate) const fn is_revocable(self) -> bool {
        match self {
            Self::Install | Self::Try => true,
            Self::Return | Self::Run => false,
        }
    }
}

/// The right to jump into the image in slot A.
#[derive(Debug)]
pub struct Entry {
    /// As they were read twice.
    vectors: [Vectors; 2],
    evidence: Evidence,
    /// Hand-overs before this one without a sign of life.
    silent_resets: u8,
    /// The slot to map to the addresses of slot A, twice.
    #[cfg(feature = "remap")]
    banks: [Slot; 2],
    /// Where the table lies that verified.
    #[cfg(feature = "table")]
    table: Option<TablePlace>,
}

impl Entry {
    /// The content of the mailbox for the image that runs now: a sign of life is still missing. A board leaves it there
    /// before it jumps.
    #[must_use]
    pub fn mailbox(&self) -> [u8; MAILBOX_LEN] {
        #[cfg(feature = "table")]
        return mailbox::handing_over(self.silent_resets, self.table);
        #[cfg(not(feature = "table"))]
        mailbox::handing_over(self.silent_resets)
    }

    /// Spends it right before the jump: where to, if the evidence is still whole and both readings of the vectors agree
    /// (T14). `None` too for an image that runs only after a bank switch: [`Entry::redeem_with_bank`].
    #[must_use]
    #[cfg(feature = "remap")]
    pub fn redeem(self) -> Option<Vectors> {
        let (vectors, bank) = self.redeem_with_bank()?;
        (bank == Slot::A).then_some(vectors)
    }

    /// The same for a board that [switches banks](crate::layout::Strategy::BankSwitch): it maps this slot to the addresses
    /// of slot A, and jumps.
    #[must_use]
    #[cfg(feature = "remap")]
    pub fn redeem_with_bank(self) -> Option<(Vectors, Slot)> {
        let ([vectors, again], [bank, bank_again]) = black_box((self.vectors, self.banks));
        (self.evidence.holds() & (vectors == again) & (bank == bank_again)).then_some((vectors, bank))
    }

    /// Spends it right before the jump: where to, if the evidence is still whole and both readings of the vectors agree
    /// (T14).
    #[must_use]
    #[cfg(not(feature = "remap"))]
    pub fn redeem(self) -> Option<Vectors> {
        let [vectors, again] = black_box(self.vectors);
        (self.evidence.holds() & (vectors == again)).then_some(vectors)
    }

    #[cfg(feature = "loader")]
    pub(crate) fn of(image: VerifiedImage, silent_resets: u8) -> Result<Self, Refusal> {
        #[cfg(feature = "remap")]
        let banks = image.banks();
        let (purpose, _, vectors, evidence) = image.into_parts();
        #[cfg(feature = "table")]
        let Some(vectors) = vectors else { return Err(Reason::FlashFailed.into()) };
        if purpose == Purpose::Run && evidence.holds() {
            Ok(Self {
                vectors,
                evidence,
                silent_resets,
                #[cfg(feature = "remap")]
                banks,
                #[cfg(feature = "table")]
                table: None,
            })
        } else {
            Err(Reason::FlashFailed.into())
        }
    }

    /// With the table that its application may use.
    #[cfg(all(feature = "table", feature = "loader"))]
    pub(crate) const fn with_table(mut self, table: Option<TablePlace>) -> Self {
        self.table = table;
        self
    }
}

/// The image in slot B verified for one purpose.
#[derive(PartialEq, Eq, Debug)]
pub struct SlotProof {
    purpose: Purpose,
    image: ImageRecord,
}

impl SlotProof {
    /// Whether it is a proof for this purpose, and of the image that the journal has in slot B.
    #[inline(always)]
    pub(crate) fn is_for(&self, purpose: Purpose, spare: Option<&ImageRecord>) -> bool {
        self.purpose == purpose && spare == Some(&self.image)
    }

    #[cfg(feature = "loader")]
    pub(crate) fn of(image: VerifiedImage) -> Result<Self, Refusal> {
        let (purpose, image, _, evidence) = image.into_parts();
        // What verified a moment ago reads differently now: no verdict.
        if evidence.holds() { Ok(Self { purpose, image }) } else { Err(Reason::FlashFailed.into()) }
    }

    /// For the table of transitions.
    #[cfg(test)]
    pub(crate) const fn forged(purpose: Purpose, image: ImageRecord) -> Self {
        Self { purpose, image }
    }
}

#[cfg(test)]
mod tests {
    use firmware_image::Region;

    use super::*;
    use crate::evidence::PAIRS;

    fn entry(vectors: Vectors, evidence: Evidence) -> Entry {
        Entry { vectors: [vectors; 2], evidence, silent_resets: 0, banks: [Slot::A; 2], table: None }
    }

    /// Which bank is mapped is decided by two readings that agree, and by a board that knows how.
    #[test]
    fn t14_an_entry_whose_banks_differ_or_that_nobody_maps_is_not_redeemed() {
        let (image, ram) = (Region { start: 0x1000, len: 64 }, Region { start: 0x2000, len: 64 });
        let vectors = Vectors::check(image, ram, &[0x40, 0x20, 0, 0, 0x09, 0x10, 0, 0]).unwrap();
        let same = [7; 32];
        let with = |banks| {
            let evidence = Evidence::collect(&[(&same, &same); PAIRS as usize]);
            Entry { banks, ..entry(vectors, evidence) }
        };
        assert_eq!(with([Slot::A, Slot::B]).redeem_with_bank(), None);
        assert_eq!(with([Slot::B, Slot::A]).redeem_with_bank(), None);
        assert_eq!(with([Slot::B; 2]).redeem(), None);
        assert_eq!(with([Slot::B; 2]).redeem_with_bank(), Some((vectors, Slot::B)));
        assert_eq!(with([Slot::A; 2]).redeem(), Some(vectors));
    }

    /// A word of the vectors that went astray on the way leads nowhere.
    #[test]
    fn t14_an_entry_whose_vectors_differ_is_not_redeemed() {
        let (image, ram) = (Region { start: 0x1000, len: 64 }, Region { start: 0x2000, len: 64 });
        let check = |reset| Vectors::check(image, ram, &[0x40, 0x20, 0, 0, reset, 0x10, 0, 0]).unwrap();
        let same = [7; 32];
        let evidence = Evidence::collect(&[(&same, &same); PAIRS as usize]);
        assert_eq!(Entry { vectors: [check(9), check(11)], ..entry(check(9), evidence) }.redeem(), None);
    }

    /// The last look before the jump, at what [`Entry::of`] has let through.
    #[test]
    fn t14_an_entry_whose_evidence_does_not_hold_is_not_redeemed() {
        let (image, ram) = (Region { start: 0x1000, len: 64 }, Region { start: 0x2000, len: 64 });
        let vectors = Vectors::check(image, ram, &[0x40, 0x20, 0, 0, 0x09, 0x10, 0, 0]).unwrap();
        let same = [7; 32];
        for (compared, redeemed) in [(PAIRS as usize, Some(vectors)), (PAIRS as usize - 1, None)] {
            let evidence = Evidence::collect(&[(&same, &same); PAIRS as usize][..compared]);
            assert_eq!(entry(vectors, evidence).redeem(), redeemed);
        }
    }
}
