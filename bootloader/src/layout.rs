//! Where things lie in flash: one description per board, checked once (docs/flash-layout.md). Every other module
//! names an [`Area`] and an offset in it, never an address.

pub use firmware_image::Region;
use suit_manifest::MAX_ENVELOPE_HEAD_LEN;
use trust::DOMAINS_MAX;
use trust::provisioning::MAX_PROVISIONING_BLOCK_LEN;

mod check;
mod numbers;

pub use check::{LayoutError, Part, Sectors};
pub use numbers::LAYOUT_NUMBERS;

/// Bytes of an envelope head the loader holds and stores (docs/can-protocol.md, Downloads).
pub const ENVELOPE_LEN_MAX: usize = MAX_ENVELOPE_HEAD_LEN;
/// Bytes of a revocation list (docs/records.md, Revocation).
pub const REVOCATION_LIST_LEN_MAX: usize = trust::MAX_REVOCATION_LIST_LEN;
/// Bytes of a provisioning block (docs/records.md).
pub const PROVISIONING_BLOCK_LEN_MAX: usize = MAX_PROVISIONING_BLOCK_LEN;
/// Bytes of an anchor set.
pub const ANCHOR_SET_LEN_MAX: usize = 1024;
const _: () = assert!(trust::MAX_ANCHOR_SET_LEN <= ANCHOR_SET_LEN_MAX);
/// Bytes of a record in the journal (docs/flash-layout.md, Journal): whole words of every flash we know.
pub const JOURNAL_RECORD_LEN: usize = 160;
/// Records that a part of the journal holds at least: two events, each twice, and the places that are passed over after
/// two resets (docs/flash-layout.md, Journal).
pub const JOURNAL_PART_RECORDS: usize = 6;
/// Places of a part that an exchange and its trial take, twice for each record: the begin and the end of the exchange and
/// of its revert, a turn of the marks in each, the hand-over, and two places that a reset passes over.
pub(crate) const EXCHANGE_PLACES: usize = 20;
/// Records that a part of the journal holds at least where there are two: if the other one fails for good, this one holds
/// an exchange and the record that began the part.
pub const JOURNAL_LONE_PART_RECORDS: usize = EXCHANGE_PLACES + 2;
/// All that is read or programmed is a multiple of this, aligned to it: the largest flash word there is.
pub const UNIT: usize = 32;
/// A length as flash offsets count it. For constants: a length above 4 GiB does not compile.
#[allow(clippy::cast_possible_truncation, reason = "asserted")]
pub(crate) const fn offset_of(len: usize) -> u32 {
    assert!(len <= u32::MAX as usize, "longer than any flash");
    len as u32
}

/// Header before a stored object.
pub(crate) const OBJECT_HEADER_LEN: usize = UNIT;
/// Bytes a half of the region of stored objects holds at least: a provisioning block, a list of each domain, the anchor
/// set, and later the report and the device keys.
pub const STORED_HALF_LEN: u32 = offset_of(
    object(PROVISIONING_BLOCK_LEN_MAX)
        + DOMAINS_MAX * object(REVOCATION_LIST_LEN_MAX)
        + object(ANCHOR_SET_LEN_MAX)
        + 2 * object(512),
);
/// Bytes of flash for an object.
#[allow(clippy::arithmetic_side_effects, reason = "of constants")]
const fn object(len: usize) -> usize {
    OBJECT_HEADER_LEN + len
}

/// How the image that was installed comes to run (docs/boot-rules.md, Remap).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// The slots are exchanged page by page: every image runs in slot A.
    Swap,
    /// Images run where they lie, from either slot. A release has an image for each slot.
    #[cfg(feature = "remap")]
    InPlace,
    /// The board exchanges two banks of this many bytes each, right before the jump: the slot of the image that runs is at
    /// the addresses of slot A.
    #[cfg(feature = "remap")]
    BankSwitch {
        /// Bytes of a bank: what lies between a place and the one that it is exchanged with. The first bank of a pair has
        /// an address that is an even multiple of it.
        bank: u32,
    },
    /// Nothing runs: the slots hold a table, which the application uses where it lies.
    #[cfg(feature = "table")]
    Data,
}

impl Strategy {
    /// Its number in [`Layout::numbers`].
    const fn number(self) -> u8 {
        match self {
            Self::Swap => 0,
            #[cfg(feature = "remap")]
            Self::InPlace => 1,
            #[cfg(feature = "remap")]
            Self::BankSwitch { .. } => 2,
            #[cfg(feature = "table")]
            Self::Data => 3,
        }
    }
}

/// The memory of a board. All but `base` and `ram` are offsets into its flash device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Regions {
    /// Address at which offset 0 of the flash device is mapped.
    pub base: u32,
    /// Bytes of a page, the unit of a swap: a power of two, 512 to 131072, a multiple of the driver's erase size. On a
    /// part with uneven sectors: the largest sector of a slot.
    pub page: u32,
    /// Two equal halves of whole pages, each at least 6336 bytes: the stored objects, twice.
    pub stored: Region,
    /// Three equal parts of whole pages, each at least 960 bytes (6 records), if it divides into them: then a page of it
    /// that fails for good stops nothing. Else two of at least 3520 bytes (22 records).
    pub journal: Region,
    /// Whole pages, for the marks of progress: a mark takes 16 bytes, or a word if that is more. A swap of `n` pages
    /// makes `2 n` of them. On a part with uneven sectors it may be empty: then each step is a record of the journal.
    pub progress: Region,
    /// The slot that runs, or one of both: the envelope head, then the image.
    pub slot_a: Region,
    /// The slot that receives: one page more than slot A. On a board that does not swap: the other one, as long as slot A.
    pub slot_b: Region,
    /// Addresses of the RAM an application's first stack pointer may point into.
    pub ram: Region,
}

/// The memory of a table beside the firmware: offsets into the same flash device. Its pages are those of the firmware's
/// slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg(feature = "table")]
pub struct TableRegions {
    /// As [`Regions::journal`].
    pub journal: Region,
    /// Whole pages, for the marks of progress, or nothing: then each commit of a table that comes is a record of its journal.
    pub progress: Region,
    /// One slot: the envelope head, then the table.
    pub slot_a: Region,
    /// The other one, as long.
    pub slot_b: Region,
}

/// One of two alternating halves of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Half {
    /// The one at the lower address.
    First,
    /// The one at the higher address.
    Second,
}

impl Half {
    /// The half that is not this one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// One of the two slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// Its image runs. On a board that does not swap: the one at [`Regions::slot_a`], whether its image runs or not.
    A,
    /// It receives images: the region of slot B without its first page. On a board that does not swap: the other one, whole.
    B,
    /// The image that ran before a swap: the region of slot B without its last page. A swap moves each page of slot A to
    /// the page before the one that it takes from [`Slot::B`].
    Kept,
}

/// A named part of flash. The loader reads, programs and erases nothing outside one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Area {
    /// One half of the stored objects.
    Stored(Half),
    /// One part of the journal, counted from 0.
    Journal(u8),
    /// The marks of progress.
    Progress,
    /// A slot: the head, then the image.
    Slot(Slot),
}

/// A checked [`Regions`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    regions: Regions,
    journal_parts: u8,
    erased: u8,
    #[cfg(feature = "remap")]
    strategy: Strategy,
}

impl Layout {
    /// Of a description that was checked.
    pub(crate) const fn assembled(
        regions: Regions,
        journal_parts: u8,
        erased: u8,
        strategy: Strategy,
    ) -> Self {
        #[cfg(not(feature = "remap"))]
        let Strategy::Swap = strategy;
        Self {
            regions,
            journal_parts,
            erased,
            #[cfg(feature = "remap")]
            strategy,
        }
    }

    /// How an image comes to run.
    #[must_use]
    #[cfg(feature = "remap")]
    pub const fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// How an image comes to run.
    #[must_use]
    #[cfg(not(feature = "remap"))]
    #[allow(clippy::unused_self, reason = "as with the feature")]
    pub const fn strategy(&self) -> Strategy {
        Strategy::Swap
    }

    /// Whether the slots hold a table, and not firmware.
    #[must_use]
    #[cfg(feature = "table")]
    pub const fn is_data(&self) -> bool {
        matches!(self.strategy(), Strategy::Data)
    }

    /// Whether the slots hold a table, and not firmware.
    #[must_use]
    #[cfg(not(feature = "table"))]
    #[allow(clippy::unused_self, reason = "as with the feature")]
    pub const fn is_data(&self) -> bool {
        false
    }

    /// Whether images are exchanged, so that each one runs in slot A.
    #[must_use]
    pub const fn swaps(&self) -> bool {
        matches!(self.strategy(), Strategy::Swap)
    }

    /// The value of an erased byte.
    #[must_use]
    pub const fn erased(&self) -> u8 {
        self.erased
    }

    /// Parts of the journal: two or three.
    #[must_use]
    pub const fn journal_parts(&self) -> u8 {
        self.journal_parts
    }

    /// The description that was checked.
    #[must_use]
    pub const fn regions(&self) -> &Regions {
        &self.regions
    }

    /// Bytes of a page: what a swap moves at once.
    #[must_use]
    pub const fn page(&self) -> u32 {
        self.regions.page
    }

    /// Address of offset 0 of the flash.
    #[must_use]
    pub const fn base(&self) -> u32 {
        self.regions.base
    }

    /// Bytes of a slot before its image: those of the longest envelope. Whole pages, or a part of the first one.
    #[must_use]
    pub const fn head_len(&self) -> u32 {
        HEAD_LEN
    }

    /// Whether the image begins in the page that holds the head.
    #[must_use]
    pub const fn head_shares_page(&self) -> bool {
        self.regions.page > HEAD_LEN
    }

    /// Largest image a slot holds, in bytes.
    #[must_use]
    pub const fn image_capacity(&self) -> u32 {
        self.regions.slot_a.len.saturating_sub(self.head_len())
    }

    /// Address at which the image in slot A begins, and so its vector table.
    #[must_use]
    pub const fn image_address(&self) -> u32 {
        self.regions.base.saturating_add(self.regions.slot_a.start).saturating_add(self.head_len())
    }

    /// The slot that receives, by what the journal says of it.
    #[must_use]
    pub const fn receiving_slot(&self, in_b: bool) -> Slot {
        if self.swaps() || in_b { Slot::B } else { Slot::A }
    }

    /// Address at which the image in a slot begins while it runs.
    #[must_use]
    pub const fn run_address(&self, slot: Slot) -> u32 {
        match (self.strategy(), slot) {
            #[cfg(feature = "remap")]
            (Strategy::InPlace, Slot::B) => {
                self.regions.base.saturating_add(self.regions.slot_b.start).saturating_add(self.head_len())
            }
            _ => self.image_address(),
        }
    }

    /// The slot to map to the addresses of slot A for an image in this slot to run.
    #[must_use]
    #[cfg(feature = "remap")]
    pub const fn bank(&self, slot: Slot) -> Slot {
        match (self.strategy, slot) {
            (Strategy::BankSwitch { .. }, slot) => slot,
            _ => Slot::A,
        }
    }

    /// The number of a slot for the condition component-slot of a manifest: that of the place for which an image is
    /// linked.
    #[must_use]
    pub const fn component_slot(&self, slot: Slot) -> u64 {
        match (self.strategy(), slot) {
            #[cfg(feature = "remap")]
            (Strategy::InPlace, Slot::B) => 1,
            _ => 0,
        }
    }

    /// The RAM that a first stack pointer may point into.
    #[must_use]
    pub const fn ram(&self) -> Region {
        self.regions.ram
    }

    /// Last offset of the flash device that any region reaches, exclusive.
    #[must_use]
    pub const fn flash_len(&self) -> u32 {
        let r = &self.regions;
        let mut end = 0;
        let [o, j, s, a, b] = [r.stored, r.journal, r.progress, r.slot_a, r.slot_b];
        end = larger(end, o);
        end = larger(end, j);
        end = larger(end, s);
        end = larger(end, a);
        larger(end, b)
    }

    /// Whether a region shares these addresses.
    #[must_use]
    pub const fn uses(&self, addresses: Region) -> bool {
        let r = &self.regions;
        let all = [r.stored, r.journal, r.progress, r.slot_a, r.slot_b];
        let mut rest: &[Region] = &all;
        while let [region, after @ ..] = rest {
            let start = r.base.saturating_add(region.start);
            if region.len != 0 && addresses.overlaps(Region { start, len: region.len }) {
                return true;
            }
            rest = after;
        }
        false
    }

    /// The region of an area, as offsets into the flash device.
    #[must_use]
    pub const fn region(&self, area: Area) -> Region {
        match area {
            Area::Stored(which) => half(self.regions.stored, which),
            Area::Journal(index) => part(self.regions.journal, self.journal_parts, index),
            Area::Progress => self.regions.progress,
            Area::Slot(Slot::A) => self.regions.slot_a,
            Area::Slot(Slot::B) => Region {
                start: self.regions.slot_b.start.saturating_add(if self.swaps() {
                    self.regions.page
                } else {
                    0
                }),
                len: self.regions.slot_a.len,
            },
            Area::Slot(Slot::Kept) => {
                Region { start: self.regions.slot_b.start, len: self.regions.slot_a.len }
            }
        }
    }
}

const fn larger(end: u32, region: Region) -> u32 {
    let own = region.start.saturating_add(region.len);
    if own > end { own } else { end }
}

/// Whole pages of any part whose pages are smaller, and whole words of every other one.
const HEAD_LEN: u32 = offset_of(ENVELOPE_LEN_MAX);
const _: () = assert!(HEAD_LEN.is_power_of_two());

const fn half(region: Region, which: Half) -> Region {
    part(region, 2, matches!(which, Half::Second) as u8)
}

/// One of `count` equal parts; empty if there is no such part.
const fn part(region: Region, count: u8, index: u8) -> Region {
    let len = match region.len.checked_div(count as u32) {
        Some(len) if index < count => len,
        _ => 0,
    };
    Region { start: region.start.saturating_add(len.saturating_mul(index as u32)), len }
}

#[cfg(test)]
pub(crate) mod tests;
