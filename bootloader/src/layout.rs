//! Where things lie in flash: one description per board, checked once (docs/flash-layout.md). Every other module
//! names an [`Area`] and an offset in it, never an address.

pub use firmware_image::Region;
use suit_manifest::MAX_ENVELOPE_HEAD_LEN;
use trust::DOMAINS_MAX;
use trust::provisioning::MAX_PROVISIONING_BLOCK_LEN;

/// Bytes of an envelope head the loader holds and stores (docs/can-protocol.md, Downloads).
pub const ENVELOPE_LEN_MAX: usize = MAX_ENVELOPE_HEAD_LEN;
/// Bytes of a revocation list (docs/records.md, Revocation).
pub const REVOCATION_LIST_LEN_MAX: usize = trust::MAX_REVOCATION_LIST_LEN;
/// Bytes of a provisioning block (docs/records.md).
pub const PROVISIONING_BLOCK_LEN_MAX: usize = MAX_PROVISIONING_BLOCK_LEN;
/// Bytes of a record in the journal (docs/flash-layout.md, Journal): whole words of every flash we know.
pub const JOURNAL_RECORD_LEN: usize = 192;
/// Records that a half of the journal holds at least: two events, each twice, and the places that are passed over after
/// two resets (docs/flash-layout.md, Journal).
pub const JOURNAL_HALF_RECORDS: usize = 6;
/// All that is read or programmed is a multiple of this, aligned to it: the largest flash word there is.
pub const UNIT: usize = 32;
/// A length as flash offsets count it. For constants: a length above 4 GiB does not compile.
#[allow(clippy::cast_possible_truncation, reason = "asserted")]
pub(crate) const fn offset_of(len: usize) -> u32 {
    assert!(len <= u32::MAX as usize, "longer than any flash");
    len as u32
}

/// Header before a stored record (provisioning block, revocation list).
pub(crate) const RECORD_HEADER_LEN: usize = UNIT;
/// Bytes a half of the provisioning region holds at least.
const PROVISIONING_HALF_LEN: u32 = offset_of(RECORD_HEADER_LEN + PROVISIONING_BLOCK_LEN_MAX);
/// Bytes a half of the journal holds at least.
const JOURNAL_HALF_LEN: u32 = offset_of(JOURNAL_HALF_RECORDS * JOURNAL_RECORD_LEN);
/// Bytes a half of the revocation region holds at least: a list of each domain.
const REVOCATION_HALF_LEN: u32 = offset_of(DOMAINS_MAX * (RECORD_HEADER_LEN + REVOCATION_LIST_LEN_MAX));

/// The memory of a board. All but `base` and `ram` are offsets into its flash device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Regions {
    /// Address at which offset 0 of the flash device is mapped.
    pub base: u32,
    /// Bytes that are erased at once: a power of two, 512 to 8192, a multiple of the driver's erase size.
    pub page: u32,
    /// Two equal halves of whole pages, each at least 1056 bytes: the provisioning block, twice.
    pub provisioning: Region,
    /// Two equal halves of whole pages, each at least 1152 bytes: six records.
    pub journal: Region,
    /// Two equal halves of whole pages, each at least 3136 bytes: a list of each of two domains.
    pub revocation: Region,
    /// Whole pages, for the marks of progress: a mark takes 16 bytes, or a word if that is more. A swap of `n` pages
    /// makes `2 n` of them.
    pub progress: Region,
    /// The slot that runs: the envelope head, then the image.
    pub slot_a: Region,
    /// The slot that receives: one page more than slot A.
    pub slot_b: Region,
    /// Addresses of the RAM an application's first stack pointer may point into.
    pub ram: Region,
}

/// The fault of a description.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LayoutError {
    /// The page is not a power of two from 512 to 8192.
    Page,
    /// A region is empty, not whole pages, or wraps around the address space.
    Unaligned,
    /// A region is smaller than what it must hold.
    TooSmall,
    /// Slot B is not one page longer than slot A, or halves differ in size.
    Unequal,
    /// Two regions share bytes.
    Overlap,
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
    /// Its image runs.
    A,
    /// It receives images: the region of slot B without its first page.
    B,
    /// The image that ran before a swap: the region of slot B without its last page. A swap moves each page of slot A to
    /// the page before the one that it takes from [`Slot::B`].
    Kept,
}

/// A named part of flash. The loader reads, programs and erases nothing outside one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Area {
    /// One copy of the provisioning block.
    Provisioning(Half),
    /// One half of the journal.
    Journal(Half),
    /// One half of the revocation region.
    Revocation(Half),
    /// The marks of progress.
    Progress,
    /// A slot: the head, then the image.
    Slot(Slot),
}

/// A checked [`Regions`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    regions: Regions,
}

impl Layout {
    /// Checks a description. `const`, so that a board's wrong description does not compile:
    ///
    /// ```
    /// # use bootloader::layout::{Layout, Region, Regions};
    /// # const REGIONS: Regions = Regions {
    /// #     base: 0x2100_0000, page: 4096,
    /// #     provisioning: Region { start: 0, len: 8192 }, journal: Region { start: 0x2000, len: 8192 },
    /// #     revocation: Region { start: 0x4000, len: 16384 }, progress: Region { start: 0x8000, len: 8192 },
    /// #     slot_a: Region { start: 0x1_0000, len: 0x8_0000 }, slot_b: Region { start: 0x9_0000, len: 0x8_1000 },
    /// #     ram: Region { start: 0x2000_0000, len: 0x1_0000 },
    /// # };
    /// const LAYOUT: Layout = match Layout::new(REGIONS) {
    ///     Ok(layout) => layout,
    ///     Err(_) => panic!("the flash layout of this board is wrong"),
    /// };
    /// ```
    ///
    /// # Errors
    /// [`LayoutError`] names the first region that does not fit.
    pub const fn new(regions: Regions) -> Result<Self, LayoutError> {
        let page = regions.page;
        if !page.is_power_of_two() || page < 512 || page > 8192 {
            return Err(LayoutError::Page);
        }
        let all = [
            regions.provisioning,
            regions.journal,
            regions.revocation,
            regions.progress,
            regions.slot_a,
            regions.slot_b,
        ];
        // `for` is not const yet; an array pattern names each pair's members instead of indexing.
        let [p, j, r, s, a, b] = all;
        if !whole(p, page)
            || !whole(j, page)
            || !whole(r, page)
            || !whole(s, page)
            || !whole(a, page)
            || !whole(b, page)
        {
            return Err(LayoutError::Unaligned);
        }
        if regions.ram.end().is_none() || regions.base.checked_add(a.start).is_none() {
            return Err(LayoutError::Unaligned);
        }
        if !whole(half(p, Half::First), page)
            || !whole(half(j, Half::First), page)
            || !whole(half(r, Half::First), page)
        {
            return Err(LayoutError::Unequal);
        }
        if a.len.saturating_add(page) != b.len {
            return Err(LayoutError::Unequal);
        }
        if half(p, Half::First).len < PROVISIONING_HALF_LEN
            || half(j, Half::First).len < JOURNAL_HALF_LEN
            || half(r, Half::First).len < REVOCATION_HALF_LEN
            || a.len <= head_len(page)
        {
            return Err(LayoutError::TooSmall);
        }
        if p.overlaps(j)
            || p.overlaps(r)
            || p.overlaps(s)
            || p.overlaps(a)
            || p.overlaps(b)
            || j.overlaps(r)
            || j.overlaps(s)
            || j.overlaps(a)
            || j.overlaps(b)
            || r.overlaps(s)
            || r.overlaps(a)
            || r.overlaps(b)
            || s.overlaps(a)
            || s.overlaps(b)
            || a.overlaps(b)
        {
            return Err(LayoutError::Overlap);
        }
        Ok(Self { regions })
    }

    /// Bytes that are erased at once.
    #[must_use]
    pub const fn page(&self) -> u32 {
        self.regions.page
    }

    /// Bytes of a slot before its image: the envelope's, rounded up to whole pages.
    #[must_use]
    pub const fn head_len(&self) -> u32 {
        head_len(self.regions.page)
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
        let [p, j, v, s, a, b] = [r.provisioning, r.journal, r.revocation, r.progress, r.slot_a, r.slot_b];
        end = larger(end, p);
        end = larger(end, j);
        end = larger(end, v);
        end = larger(end, s);
        end = larger(end, a);
        larger(end, b)
    }

    /// The region of an area, as offsets into the flash device.
    #[must_use]
    pub const fn region(&self, area: Area) -> Region {
        match area {
            Area::Provisioning(which) => half(self.regions.provisioning, which),
            Area::Journal(which) => half(self.regions.journal, which),
            Area::Revocation(which) => half(self.regions.revocation, which),
            Area::Progress => self.regions.progress,
            Area::Slot(Slot::A) => self.regions.slot_a,
            Area::Slot(Slot::B) => Region {
                start: self.regions.slot_b.start.saturating_add(self.regions.page),
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

const ENVELOPE_LEN: u32 = offset_of(ENVELOPE_LEN_MAX);

const fn head_len(page: u32) -> u32 {
    ENVELOPE_LEN.next_multiple_of(page)
}

const fn half(region: Region, which: Half) -> Region {
    let len = region.len / 2;
    match which {
        Half::First => Region { start: region.start, len },
        Half::Second => Region { start: region.start.saturating_add(len), len },
    }
}

const fn whole(region: Region, page: u32) -> bool {
    region.len != 0
        && region.start.is_multiple_of(page)
        && region.len.is_multiple_of(page)
        && region.end().is_some()
}

#[cfg(test)]
pub(crate) mod tests;
