//! What a fault may cost. A fault that passes costs nothing. Of one that lasts, and of content that decayed, the rules
//! (docs/boot-rules.md, docs/flash-layout.md) excuse two losses, each only where the fault itself struck:
//! an image that slot A does not take any more or whose copy is gone, and stored objects of which one copy was there.

use bootloader::layout::{Area, Half, Layout, Slot, UNIT};
use crc::{CRC_32_ISO_HDLC, Crc};
use flash_model::Medium;

use crate::case::Kind;
use crate::world::Release;

/// Bytes of the header of a stored object; its last four are its CRC.
const HEADER_LEN: usize = UNIT;
/// Bytes that an exchange programs at a time.
const COPIED: usize = 8 * UNIT;
/// Where it has the number of its set.
const SET: usize = 16;
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Where the fault of a case struck, and the part as it was right before.
pub struct Strike {
    pub offset: usize,
    pub before: Medium,
    /// Whether slots were being exchanged: pages of the image that ran may lie in slot B.
    pub is_within_an_exchange: bool,
    /// Whether they were going back: a page that is in slot A again is taken from slot B no more.
    pub is_reverting: bool,
    /// The set of stored objects that the journal named.
    pub set: u16,
}

/// A part, and what happened to it.
pub struct Scene<'s> {
    pub layout: &'s Layout,
    /// The part at the end.
    pub medium: &'s Medium,
    pub kind: Kind,
    pub strike: Option<&'s Strike>,
}

impl Scene<'_> {
    fn struck_in(&self, start: usize, len: usize) -> bool {
        self.strike.is_some_and(|strike| (start..start + len).contains(&strike.offset))
    }

    /// While a set of stored objects is replaced or mended, one copy of it is there: whether the fault took that one.
    /// `bytes`: the object.
    pub fn took_the_only_copy(&self, bytes: &[u8]) -> bool {
        let Some(strike) = self.strike else { return false };
        let struck = [Half::First, Half::Second].into_iter().find(|&half| {
            let (start, len) = range(self.layout, Area::Stored(half));
            self.struck_in(start, len)
        });
        struck.is_some_and(|half| {
            self.kind.takes_content()
                && !halves_with(self.layout, self.medium, bytes, None).contains(&half)
                && !halves_with(self.layout, &strike.before, bytes, Some(strike.set)).contains(&half.other())
        })
    }

    /// Whether the fault is why this image, which has confirmed itself, cannot run: slot A does not take one of its
    /// pages any more, or the only copy of one is gone.
    pub fn took_the_image(&self, release: &Release) -> bool {
        if !self.layout.swaps() {
            return self.took_every_copy(release);
        }
        let page = self.layout.page() as usize;
        let (slot, len) = range(self.layout, Area::Slot(Slot::A));
        let (kept, _) = range(self.layout, Area::Slot(Slot::Kept));
        (0..len / page).any(|number| {
            let parts = content(self.layout, (release, Slot::A), number * page, page);
            let is_there = |start: usize| {
                parts.iter().all(|(offset, bytes)| self.medium.holds(start + offset, bytes, UNIT))
            };
            if is_there(slot) || parts.is_empty() {
                return false;
            }
            // What the image needs there, in whole pieces of so many bytes.
            let needed = |start: usize, piece: usize| {
                parts.iter().map(move |(offset, bytes)| {
                    let from = (start + offset) / piece * piece;
                    (from, (start + offset + bytes.len()).next_multiple_of(piece) - from)
                })
            };
            // An exchange erases a page at once and programs it by pieces: a sector that is not erased costs the page, a word
            // that takes nothing its piece.
            let own = slot + number * page;
            let fails = |(from, len)| self.medium.has_lasting_fault(from, len);
            let is_refused = self.struck_in(own, page)
                && (self.medium.takes_no_erase(own, page) || needed(slot, COPIED).any(fails));
            let struck = |start: usize| needed(start, UNIT).any(|(from, len)| self.struck_in(from, len));
            let may_be_in_b = self.strike.is_some_and(|strike| {
                let was_there =
                    |(offset, bytes): &(usize, &[u8])| strike.before.holds(slot + offset, bytes, UNIT);
                strike.is_within_an_exchange && !(strike.is_reverting && parts.iter().all(was_there))
            });
            let is_lost = self.kind.takes_content()
                && if may_be_in_b { !is_there(kept) && (struck(slot) || struck(kept)) } else { struck(slot) };
            is_refused || is_lost
        })
    }

    /// The same where an image runs in either slot: nothing writes to a slot that has an image to run, so that only content
    /// which the fault took is lost.
    fn took_every_copy(&self, release: &Release) -> bool {
        let is_whole = |medium: &Medium, slot| {
            let (start, len) = range(self.layout, Area::Slot(slot));
            let parts = content(self.layout, (release, slot), 0, len);
            parts.iter().all(|(offset, bytes)| medium.holds(start + offset, bytes, UNIT))
        };
        let struck_it = |slot: &Slot| {
            let (start, len) = range(self.layout, Area::Slot(*slot));
            self.struck_in(start, len) && self.strike.is_some_and(|strike| is_whole(&strike.before, *slot))
        };
        let slots = [Slot::A, Slot::B];
        self.kind.takes_content()
            && slots.iter().all(|&slot| !is_whole(self.medium, slot))
            && slots.iter().any(struck_it)
    }
}

/// The bytes of a release that lie in a range of its slot, with their offsets.
fn content<'r>(
    layout: &Layout,
    (release, slot): (&'r Release, Slot),
    start: usize,
    len: usize,
) -> Vec<(usize, &'r [u8])> {
    let image = release.image(layout, slot);
    let parts = [(0, release.envelope.as_slice()), (layout.head_len() as usize, image)];
    let cut = |(offset, bytes): (usize, &'r [u8])| {
        let first = start.max(offset);
        let end = (start + len).min(offset + bytes.len());
        (first < end).then(|| (first, &bytes[first - offset..end - offset]))
    };
    parts.into_iter().filter_map(cut).collect()
}

/// The halves of the stored objects that hold these bytes whole, with a header of this set, or of any.
pub fn halves_with(layout: &Layout, medium: &Medium, bytes: &[u8], set: Option<u16>) -> Vec<Half> {
    let holds = |half: &Half| {
        let (start, len) = range(layout, Area::Stored(*half));
        let places = start..=(start + len).saturating_sub(HEADER_LEN + bytes.len());
        places.step_by(UNIT).any(|at| {
            let header = &medium.bytes()[at..at + HEADER_LEN];
            let (fields, crc) = header.split_at(HEADER_LEN - 4);
            crc == CRC.checksum(fields).to_be_bytes()
                && set.is_none_or(|set| fields[SET..SET + 2] == set.to_be_bytes())
                && medium.holds(at, header, UNIT)
                && medium.holds(at + HEADER_LEN, bytes, UNIT)
        })
    };
    [Half::First, Half::Second].into_iter().filter(holds).collect()
}

fn range(layout: &Layout, area: Area) -> (usize, usize) {
    let region = layout.region(area);
    (region.start as usize, region.len as usize)
}

#[cfg(test)]
mod tests {
    use device_harness::device::DeviceOf;
    use device_harness::part;
    use flash_model::{Chip, Nor};

    use super::*;
    use crate::world::World;

    const PAGE: usize = 4096;

    /// Whether a fault of this kind, at this offset of slot A, is why release 1 cannot run: the page after the head is gone.
    fn is_excused(kind: Kind, offset: usize) -> bool {
        let layout = part::layout(u32::try_from(PAGE).unwrap(), 2);
        let mut medium = Medium::of(&[Chip::even(8, PAGE, layout.flash_len() as usize)]);
        let world = World::new(&DeviceOf::<_>::over(Nor::<8, PAGE>::with(medium.clone()), layout));
        let release = world.release(1).unwrap();
        let (slot, _) = range(&layout, Area::Slot(Slot::A));
        medium.tamper(slot, &release.envelope);
        medium.tamper(slot + PAGE, release.image(&layout, Slot::A));
        let before = medium.clone();
        let offset = slot + offset;
        match kind {
            Kind::ErrorLasts if offset.is_multiple_of(PAGE) => medium.fail_to_erase(offset),
            Kind::ErrorLasts => medium.fail_to_program(offset),
            _ => medium.break_word(offset),
        }
        let strike = Strike { offset, before, is_within_an_exchange: false, is_reverting: false, set: 1 };
        medium.tamper(slot + PAGE, &[0; 64]);
        Scene { layout: &layout, medium: &medium, kind, strike: Some(&strike) }.took_the_image(release)
    }

    /// The image has 2061 bytes in its page.
    #[test]
    fn a_fault_excuses_the_loss_of_what_it_struck_only() {
        for kind in [Kind::ErrorLasts, Kind::ReadLasts, Kind::Decay] {
            for offset in [PAGE + 8, PAGE + 2056] {
                assert!(is_excused(kind, offset), "{kind:?} at {offset}");
            }
            for offset in [2048, PAGE + 2304, 2 * PAGE - 8, 2 * PAGE + 8] {
                assert!(!is_excused(kind, offset), "{kind:?} at {offset}");
            }
        }
        assert!(is_excused(Kind::ErrorLasts, PAGE), "a page that is not erased any more");
        assert!(!is_excused(Kind::ErrorLasts, 2 * PAGE), "another page");
    }
}
