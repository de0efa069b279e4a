//! Where things lie in flash: one description per board, checked once (docs/flash-layout.md). Every other module
//! names an [`Area`] and an offset in it, never an address.

pub use firmware_image::Region;
use suit_manifest::MAX_ENVELOPE_HEAD_LEN;
use trust::DOMAINS_MAX;
use trust::provisioning::MAX_PROVISIONING_BLOCK_LEN;

use crate::checksum::Checksum;

/// Bytes of an envelope head the loader holds and stores (docs/can-protocol.md, Downloads).
pub const ENVELOPE_LEN_MAX: usize = MAX_ENVELOPE_HEAD_LEN;
/// Bytes of a revocation list (docs/records.md, Revocation).
pub const REVOCATION_LIST_LEN_MAX: usize = trust::MAX_REVOCATION_LIST_LEN;
/// Bytes of a provisioning block (docs/records.md).
pub const PROVISIONING_BLOCK_LEN_MAX: usize = MAX_PROVISIONING_BLOCK_LEN;
/// Bytes of a record in the journal (docs/flash-layout.md, Journal): whole words of every flash we know.
pub const JOURNAL_RECORD_LEN: usize = 160;
/// Records that a part of the journal holds at least: two events, each twice, and the places that are passed over after
/// two resets (docs/flash-layout.md, Journal).
pub const JOURNAL_PART_RECORDS: usize = 6;
/// All that is read or programmed is a multiple of this, aligned to it: the largest flash word there is.
pub const UNIT: usize = 32;
/// The largest page: that of the largest sector of the parts we know.
const PAGE_MAX: u32 = 131_072;
/// A length as flash offsets count it. For constants: a length above 4 GiB does not compile.
#[allow(clippy::cast_possible_truncation, reason = "asserted")]
pub(crate) const fn offset_of(len: usize) -> u32 {
    assert!(len <= u32::MAX as usize, "longer than any flash");
    len as u32
}

/// Header before a stored object.
pub(crate) const OBJECT_HEADER_LEN: usize = UNIT;
/// Bytes a half of the region of stored objects holds at least: a provisioning block, a list of each domain, and later
/// the anchor set, the report and the device keys.
pub const STORED_HALF_LEN: u32 = offset_of(
    object(PROVISIONING_BLOCK_LEN_MAX)
        + DOMAINS_MAX * object(REVOCATION_LIST_LEN_MAX)
        + object(1024)
        + 2 * object(512),
);
/// Bytes of flash for an object.
#[allow(clippy::arithmetic_side_effects, reason = "of constants")]
const fn object(len: usize) -> usize {
    OBJECT_HEADER_LEN + len
}
/// Bytes a part of the journal holds at least.
const JOURNAL_PART_LEN: u32 = offset_of(JOURNAL_PART_RECORDS * JOURNAL_RECORD_LEN);

/// How the image that was installed comes to run (docs/boot-rules.md, Remap).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Strategy {
    /// The slots are exchanged page by page: every image runs in slot A.
    Swap,
    /// Images run where they lie, from either slot. A release has an image for each slot.
    #[cfg(feature = "remap")]
    InPlace,
    /// The board maps the slot of the image that runs to the addresses of slot A, right before the jump.
    #[cfg(feature = "remap")]
    BankSwitch,
}

/// Sectors of one length that lie one after the other in a flash device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sectors {
    /// How many.
    pub count: u32,
    /// Bytes that are erased at once.
    pub len: u32,
}

/// The flash of a board: one device, or two that are [`Joined`](crate::flash::Joined).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part<'s> {
    /// Its sectors, in the order of their offsets.
    pub sectors: &'s [Sectors],
    /// The value of an erased byte: 00 or FF.
    pub erased: u8,
}

impl Part<'_> {
    /// Whether a sector begins or ends at this offset.
    const fn has_border(&self, offset: u32) -> bool {
        let (mut rest, mut end) = (self.sectors, 0u32);
        while let [sectors, after @ ..] = rest {
            let Some(len) = sectors.count.checked_mul(sectors.len) else { return false };
            let Some(here) = offset.checked_sub(end) else { return false };
            if here <= len {
                return sectors.len != 0 && here.is_multiple_of(sectors.len);
            }
            end = end.saturating_add(len);
            rest = after;
        }
        false
    }

    /// Whether every step of this length through the region ends where a sector does.
    const fn has(&self, region: Region, step: u32) -> bool {
        let mut done = 0;
        while done < region.len {
            if !self.has_border(region.start.saturating_add(done)) {
                return false;
            }
            done = done.saturating_add(step);
        }
        done == region.len && self.has_border(region.start.saturating_add(done))
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
    /// Two or three equal parts of whole pages, each at least 960 bytes: six records. Three, if it divides into three
    /// such parts: then a page of it that fails for good stops nothing.
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

/// The fault of a description.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LayoutError {
    /// The page is not a power of two from 512 to 131072.
    Page,
    /// A region is empty, not whole pages, or wraps around the address space.
    Unaligned,
    /// A region, a half of one, or a page of a slot does not begin and end where a sector of the part does.
    Sectors,
    /// The erased value of the part is neither 00 nor FF.
    Erased,
    /// A region is smaller than what it must hold.
    TooSmall,
    /// Slot B is not one page longer than slot A, or as long on a board that does not swap, or halves differ in size.
    Unequal,
    /// Two regions share bytes.
    Overlap,
}

impl LayoutError {
    /// The fault in words, for the compile error of a board.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Page => "the page is not a power of two from 512 to 131072 bytes",
            Self::Unaligned => "a region is empty, is not whole pages, or reaches beyond the address space",
            Self::Sectors => {
                "a region, a half of one, or a page of a slot does not begin and end with a sector of the part"
            }
            Self::Erased => "the erased value of the part is neither 00 nor FF",
            Self::TooSmall => "a region is smaller than the data that it has to hold",
            Self::Unequal => {
                "slot B is not one page longer than slot A (as long as slot A, without a swap), or two halves differ in size"
            }
            Self::Overlap => "two regions overlap",
        }
    }
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

/// How many [`Layout::numbers`] there are.
pub const LAYOUT_NUMBERS: usize = 17;

/// The last number: the CRC-32 over the others, each big-endian.
fn seal([content @ .., _]: &[u32; LAYOUT_NUMBERS]) -> u32 {
    let mut crc = Checksum::new();
    for number in content {
        crc.update(&number.to_be_bytes());
    }
    crc.value()
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
    /// Checks a description. `const`, so that a board's wrong description does not compile:
    ///
    /// ```
    /// # use bootloader::layout::{Layout, Region, Regions};
    /// # const REGIONS: Regions = Regions {
    /// #     base: 0x2100_0000, page: 4096,
    /// #     stored: Region { start: 0, len: 16384 }, journal: Region { start: 0x4000, len: 12288 },
    /// #     progress: Region { start: 0x8000, len: 8192 },
    /// #     slot_a: Region { start: 0x1_0000, len: 0x8_0000 }, slot_b: Region { start: 0x9_0000, len: 0x8_1000 },
    /// #     ram: Region { start: 0x2000_0000, len: 0x1_0000 },
    /// # };
    /// const LAYOUT: Layout = match Layout::new(REGIONS) {
    ///     Ok(layout) => layout,
    ///     Err(error) => panic!("{}", error.words()),
    /// };
    /// ```
    ///
    /// The sectors of the part are as long as a page, or a part of it, and FF when they are erased.
    ///
    /// # Errors
    /// [`LayoutError`] names the first fault.
    pub const fn new(regions: Regions) -> Result<Self, LayoutError> {
        Self::even(regions, Strategy::Swap)
    }

    /// The same for a board that does not swap; with a part, as [`Layout::on`].
    ///
    /// # Errors
    /// [`LayoutError`] names the first fault.
    #[cfg(feature = "remap")]
    pub const fn of(
        strategy: Strategy,
        part: Option<&Part<'_>>,
        regions: Regions,
    ) -> Result<Self, LayoutError> {
        match part {
            Some(part) => Self::uneven(part, regions, strategy),
            None => Self::even(regions, strategy),
        }
    }

    const fn even(regions: Regions, strategy: Strategy) -> Result<Self, LayoutError> {
        let r = &regions;
        let page = match page_of(r) {
            Ok(page) => page,
            Err(error) => return Err(error),
        };
        // Every region is whole pages; on a part whose sectors are uneven `on` compares with those.
        let [o, j, s, a, b] = [r.stored, r.journal, r.progress, r.slot_a, r.slot_b];
        if !whole(o, page) || !whole(j, page) || !whole(s, page) || !whole(a, page) || !whole(b, page) {
            return Err(LayoutError::Unaligned);
        }
        let third = part(j, 3, 0);
        let parts = if j.len.is_multiple_of(3) && whole(third, page) { thirds(third) } else { 2 };
        if !whole(half(o, Half::First), page) || !whole(part(j, parts, 0), page) {
            return Err(LayoutError::Unequal);
        }
        Self::check(regions, parts, 0xFF, strategy)
    }

    /// Checks a description against the sectors of a part, which may be uneven: a region, and each half of one, is
    /// whole sectors; a slot is pages that are whole sectors each. `const`, like [`Layout::new`]:
    ///
    /// ```
    /// # use bootloader::layout::{Layout, LayoutError, Part, Region, Regions, Sectors};
    /// const KIB: u32 = 1024;
    /// /// STM32F42x, 2 MiB: two banks.
    /// const PART: Part<'_> = Part {
    ///     sectors: &[
    ///         Sectors { count: 4, len: 16 * KIB }, Sectors { count: 1, len: 64 * KIB }, Sectors { count: 7, len: 128 * KIB },
    ///         Sectors { count: 4, len: 16 * KIB }, Sectors { count: 1, len: 64 * KIB }, Sectors { count: 7, len: 128 * KIB },
    ///     ],
    ///     erased: 0xFF,
    /// };
    /// # const fn region(start: u32, len: u32) -> Region { Region { start: start * KIB, len: len * KIB } }
    /// # const REGIONS: Regions = Regions {
    /// #     base: 0x0800_0000, page: 128 * KIB, stored: region(1024, 32), journal: region(1056, 32),
    /// #     progress: region(64, 64), slot_a: region(384, 512), slot_b: region(1152, 640),
    /// #     ram: Region { start: 0x2000_0000, len: 0x1_0000 },
    /// # };
    /// const LAYOUT: Layout = match Layout::on(&PART, REGIONS) {
    ///     Ok(layout) => layout,
    ///     Err(error) => panic!("{}", error.words()),
    /// };
    /// # let odd = Regions { slot_a: region(320, 512), ..REGIONS };
    /// # assert_eq!(Layout::on(&PART, odd), Err(LayoutError::Sectors));
    /// ```
    ///
    /// # Errors
    /// [`LayoutError`] names the first fault.
    pub const fn on(part: &Part<'_>, regions: Regions) -> Result<Self, LayoutError> {
        Self::uneven(part, regions, Strategy::Swap)
    }

    const fn uneven(part: &Part<'_>, regions: Regions, strategy: Strategy) -> Result<Self, LayoutError> {
        if part.erased != 0 && part.erased != 0xFF {
            return Err(LayoutError::Erased);
        }
        let r = &regions;
        let page = match page_of(r) {
            Ok(page) => page,
            Err(error) => return Err(error),
        };
        let [o, j, s, a, b] = [r.stored, r.journal, r.progress, r.slot_a, r.slot_b];
        let third = self::part(j, 3, 0);
        let is_thirds = j.len.is_multiple_of(3) && third.len != 0 && part.has(j, third.len);
        let parts = if is_thirds { thirds(third) } else { 2 };
        if !o.len.is_multiple_of(2) || !j.len.is_multiple_of(parts as u32) {
            return Err(LayoutError::Unequal);
        }
        if o.len == 0 || j.len == 0 || !is_pages(a, page) || !is_pages(b, page) {
            return Err(LayoutError::Unaligned);
        }
        if !part.has(o, o.len / 2)
            || !part.has(j, self::part(j, parts, 0).len)
            || !part.has(s, s.len)
            || !part.has(a, page)
            || !part.has(b, page)
        {
            return Err(LayoutError::Sectors);
        }
        Self::check(regions, parts, part.erased, strategy)
    }

    /// What holds on every part.
    const fn check(
        regions: Regions,
        journal_parts: u8,
        erased: u8,
        strategy: Strategy,
    ) -> Result<Self, LayoutError> {
        // A swap moves each page to the one before.
        let offset = if matches!(strategy, Strategy::Swap) { regions.page } else { 0 };
        let all = [regions.stored, regions.journal, regions.progress, regions.slot_a, regions.slot_b];
        // `for` is not const yet; an array pattern names each pair's members instead of indexing. No region wraps around: it
        // has whole pages, or ends where a sector does.
        let [o, j, s, a, b] = all;
        if regions.ram.end().is_none()
            || regions.base.checked_add(a.start).is_none()
            || regions.base.checked_add(b.start).is_none()
        {
            return Err(LayoutError::Unaligned);
        }
        if a.len.saturating_add(offset) != b.len {
            return Err(LayoutError::Unequal);
        }
        if half(o, Half::First).len < STORED_HALF_LEN
            || part(j, journal_parts, 0).len < JOURNAL_PART_LEN
            || a.len <= HEAD_LEN
        {
            return Err(LayoutError::TooSmall);
        }
        if o.overlaps(j)
            || o.overlaps(s)
            || o.overlaps(a)
            || o.overlaps(b)
            || j.overlaps(s)
            || j.overlaps(a)
            || j.overlaps(b)
            || s.overlaps(a)
            || s.overlaps(b)
            || a.overlaps(b)
        {
            return Err(LayoutError::Overlap);
        }
        Ok(Self {
            regions,
            journal_parts,
            erased,
            #[cfg(feature = "remap")]
            strategy,
        })
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

    /// The layout as numbers: for an application that is built without this crate (docs/applications.md).
    #[must_use]
    pub fn numbers(&self) -> [u32; LAYOUT_NUMBERS] {
        let r = &self.regions;
        let [o, j, s, a, b, ram] = [r.stored, r.journal, r.progress, r.slot_a, r.slot_b, r.ram];
        let mut numbers = [
            r.base,
            r.page,
            u32::from_le_bytes([self.erased, self.strategy() as u8, 0, 0]),
            self.journal_parts.into(),
            o.start,
            o.len,
            j.start,
            j.len,
            s.start,
            s.len,
            a.start,
            a.len,
            b.start,
            b.len,
            ram.start,
            ram.len,
            0,
        ];
        numbers[LAYOUT_NUMBERS - 1] = seal(&numbers);
        numbers
    }

    /// The layout with these [`numbers`](Self::numbers). Whoever made them checked them; the last one tells whether
    /// these are the same.
    #[must_use]
    pub fn from_numbers(numbers: &[u32; LAYOUT_NUMBERS]) -> Option<Self> {
        let [base, page, erased, journal_parts, rest @ .., last] = numbers;
        if seal(numbers) != *last {
            return None;
        }
        let (regions, _) = rest.as_chunks::<2>();
        let mut regions = regions.iter().map(|[start, len]| Region { start: *start, len: *len });
        let ([erased, strategy, ..], [journal_parts, ..]) =
            (erased.to_le_bytes(), journal_parts.to_le_bytes());
        let strategy = match strategy {
            0 => Strategy::Swap,
            #[cfg(feature = "remap")]
            1 => Strategy::InPlace,
            #[cfg(feature = "remap")]
            2 => Strategy::BankSwitch,
            // This library was built without it: it would write a journal that the loader does not know.
            _ => return None,
        };
        let regions = Regions {
            base: *base,
            page: *page,
            stored: regions.next()?,
            journal: regions.next()?,
            progress: regions.next()?,
            slot_a: regions.next()?,
            slot_b: regions.next()?,
            ram: regions.next()?,
        };
        #[cfg(not(feature = "remap"))]
        let Strategy::Swap = strategy;
        Some(Self {
            regions,
            journal_parts,
            erased,
            #[cfg(feature = "remap")]
            strategy,
        })
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
            (Strategy::BankSwitch, slot) => slot,
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

/// Three parts, or two if a third is too small.
const fn thirds(third: Region) -> u8 {
    if third.len >= JOURNAL_PART_LEN { 3 } else { 2 }
}

/// One of `count` equal parts; empty if there is no such part.
const fn part(region: Region, count: u8, index: u8) -> Region {
    let len = match region.len.checked_div(count as u32) {
        Some(len) if index < count => len,
        _ => 0,
    };
    Region { start: region.start.saturating_add(len.saturating_mul(index as u32)), len }
}

const fn page_of(regions: &Regions) -> Result<u32, LayoutError> {
    match regions.page {
        page @ 512..=PAGE_MAX if page.is_power_of_two() => Ok(page),
        _ => Err(LayoutError::Page),
    }
}

const fn is_pages(region: Region, page: u32) -> bool {
    region.len != 0 && region.len.is_multiple_of(page)
}

const fn whole(region: Region, page: u32) -> bool {
    region.len != 0
        && region.start.is_multiple_of(page)
        && region.len.is_multiple_of(page)
        && region.end().is_some()
}

#[cfg(test)]
pub(crate) mod tests;
