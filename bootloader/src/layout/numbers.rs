//! A layout as numbers, for an application that is built without this crate (docs/applications.md).

use super::{Layout, Region, Regions, Strategy};
use crate::checksum::Checksum;

/// How many [`Layout::numbers`] there are.
pub const LAYOUT_NUMBERS: usize = 17;

/// The last number: the CRC-32 over the others, each big-endian.
pub(super) fn seal([content @ .., _]: &[u32; LAYOUT_NUMBERS]) -> u32 {
    let mut crc = Checksum::new();
    for number in content {
        crc.update(&number.to_be_bytes());
    }
    crc.value()
}

impl Layout {
    /// The layout as numbers: for an application that is built without this crate (docs/applications.md).
    #[must_use]
    pub fn numbers(&self) -> [u32; LAYOUT_NUMBERS] {
        let r = &self.regions;
        let [o, j, s, a, b, ram] = [r.stored, r.journal, r.progress, r.slot_a, r.slot_b, r.ram];
        let mut numbers = [
            r.base,
            r.page,
            u32::from_le_bytes([self.erased, self.strategy().number(), 0, 0]),
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
        let strategy = match strategy {
            0 => Strategy::Swap,
            #[cfg(feature = "remap")]
            1 => Strategy::InPlace,
            #[cfg(feature = "remap")]
            2 => Strategy::BankSwitch { bank: regions.slot_a.start.abs_diff(regions.slot_b.start) },
            #[cfg(feature = "table")]
            3 => Strategy::Data,
            // This library was built without it: it would write a journal that the loader does not know.
            _ => return None,
        };
        Some(Self::assembled(regions, journal_parts, erased, strategy))
    }
}
