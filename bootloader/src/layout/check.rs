//! The checks of a description, all of them `const`: what does not fit its part does not compile (docs/flash-layout.md).

#[cfg(feature = "table")]
use super::TableRegions;
use super::{
    HEAD_LEN, Half, JOURNAL_LONE_PART_RECORDS, JOURNAL_PART_RECORDS, JOURNAL_RECORD_LEN, Layout, Region,
    Regions, STORED_HALF_LEN,
};
use super::{Strategy, UNIT, half, offset_of, part};

/// The largest page: that of the largest sector of the parts we know.
const PAGE_MAX: u32 = 131_072;
/// Bytes a part of the journal holds at least, and one of two.
const JOURNAL_PART_LEN: u32 = offset_of(JOURNAL_PART_RECORDS * JOURNAL_RECORD_LEN);
const JOURNAL_LONE_PART_LEN: u32 = offset_of(JOURNAL_LONE_PART_RECORDS * JOURNAL_RECORD_LEN);

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

    /// Whether a region can be erased in areas of this length: page by page if they are whole pages, else at once.
    const fn erases(&self, region: Region, area_len: u32, page: u32) -> bool {
        self.has(region, if area_len.is_multiple_of(page) { page } else { area_len })
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
    /// Slots of a board that switches banks are not at one offset of two banks.
    Banks,
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
            Self::Banks => "the slots do not lie at one offset of two banks",
            Self::Overlap => "two regions overlap",
        }
    }
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

    /// The layout of a table beside this firmware; with a part, as [`Layout::on`]. Both share the stored objects.
    ///
    /// # Errors
    /// [`LayoutError`] names the first fault.
    #[cfg(feature = "table")]
    pub const fn for_table(self, part: Option<&Part<'_>>, table: TableRegions) -> Result<Self, LayoutError> {
        let TableRegions { journal, progress, slot_a, slot_b } = table;
        let r = self.regions;
        let laid = Self::of(Strategy::Data, part, Regions { journal, progress, slot_a, slot_b, ..r });
        if laid.is_ok() {
            let (own, others) =
                ([journal, progress, slot_a, slot_b], [r.journal, r.progress, r.slot_a, r.slot_b]);
            let mut rest: &[Region] = &own;
            while let [region, after @ ..] = rest {
                let mut theirs: &[Region] = &others;
                while let [other, behind @ ..] = theirs {
                    if region.overlaps(*other) {
                        return Err(LayoutError::Overlap);
                    }
                    theirs = behind;
                }
                rest = after;
            }
        }
        laid
    }

    const fn even(regions: Regions, strategy: Strategy) -> Result<Self, LayoutError> {
        let r = &regions;
        let page = match page_of(r) {
            Ok(page) => page,
            Err(error) => return Err(error),
        };
        // Every region is whole pages; on a part whose sectors are uneven `on` compares with those.
        let [o, j, s, a, b] = [r.stored, r.journal, r.progress, r.slot_a, r.slot_b];
        let has_marks = s.len != 0 || !is_data(strategy);
        if !whole(o, page)
            || !whole(j, page)
            || has_marks && !whole(s, page)
            || !whole(a, page)
            || !whole(b, page)
        {
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
        if !part.erases(o, o.len / 2, page)
            || !part.erases(j, self::part(j, parts, 0).len, page)
            || !part.erases(s, s.len, page)
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
        #[cfg(feature = "remap")]
        if let Strategy::BankSwitch { bank } = strategy
            && !are_exchanged(regions.base, a, b, bank)
        {
            return Err(LayoutError::Banks);
        }
        // A turn of the marks takes places of the journal, of which one is reckoned with.
        let steps = b.len.div_ceil(regions.page).saturating_mul(2);
        if journal_parts < 3
            && matches!(strategy, Strategy::Swap)
            && s.len < steps.saturating_mul(offset_of(UNIT))
        {
            return Err(LayoutError::TooSmall);
        }
        let journal_part_len = if journal_parts < 3 { JOURNAL_LONE_PART_LEN } else { JOURNAL_PART_LEN };
        if half(o, Half::First).len < STORED_HALF_LEN
            || part(j, journal_parts, 0).len < journal_part_len
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
        Ok(Self::assembled(regions, journal_parts, erased, strategy))
    }
}

/// Whether each byte of one slot changes places with that of the other one when two banks of this length do: the banks
/// follow one another, the first of a pair at an address that is an even multiple of its length. The flash device may begin
/// within a bank.
#[cfg(feature = "remap")]
const fn are_exchanged(base: u32, a: Region, b: Region, bank: u32) -> bool {
    let (low, high) = if a.start < b.start { (a, b) } else { (b, a) };
    let Some(pair) = bank.checked_mul(2) else { return false };
    let Some(offset) = base.saturating_add(low.start).checked_rem(pair) else { return false };
    let (end, distance) = (offset.saturating_add(low.len), low.start.abs_diff(high.start));
    // The lengths are equal.
    end <= bank && distance == bank
}

/// Whether the slots hold a table.
const fn is_data(strategy: Strategy) -> bool {
    #[cfg(feature = "table")]
    return matches!(strategy, Strategy::Data);
    #[cfg(not(feature = "table"))]
    {
        _ = strategy;
        false
    }
}

/// Three parts, or two if a third is too small.
const fn thirds(third: Region) -> u8 {
    if third.len >= JOURNAL_PART_LEN { 3 } else { 2 }
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
