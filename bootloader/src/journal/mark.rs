//! Marks of progress: short entries in a region of their own, so that a step of a procedure costs no record
//! (docs/flash-layout.md, Progress). The region is a log: it is erased when it is full.

use embedded_storage::nor_flash::NorFlash;

use crate::checksum::checksum;
#[cfg(feature = "loader")]
use crate::flash::FlashError;
use crate::flash::{Flash, HasLayout};
use crate::layout::{Area, UNIT};

/// Bytes of a mark; it takes at least a word.
pub(crate) const MARK_LEN: usize = 16;

/// One step further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    /// The marks to which it belongs.
    pub(super) marks: u32,
    /// How far the procedure has come.
    pub(super) position: u32,
    /// CRC of what the next step reads, as long as it has not been done.
    pub(super) source: u32,
}

/// The content of the region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Marks {
    /// The furthest of the marks that count.
    pub(super) furthest: Option<Mark>,
    /// The place for the next one.
    pub(super) next: u32,
    /// A sector of which no place reads: the furthest mark may be there.
    pub(super) is_silent: bool,
}

impl Mark {
    #[cfg(any(feature = "loader", test))]
    #[inline(never)]
    fn encode(self) -> [u8; UNIT] {
        let mut bytes = [0; UNIT];
        let [marks, position, source, crc, ..] = bytes.as_chunks_mut::<4>().0 else { return bytes };
        (*marks, *position) = (self.marks.to_be_bytes(), self.position.to_be_bytes());
        *source = self.source.to_be_bytes();
        *crc = checksum(&[&*marks, &*position, &*source]).to_be_bytes();
        bytes
    }

    /// It counts if it is one that [`encode`](Self::encode) writes.
    fn decode(place: &[u8; UNIT]) -> Option<Self> {
        let (content, rest) = place.split_first_chunk::<12>()?;
        let (crc, unused) = rest.split_first_chunk::<4>()?;
        let is_whole = checksum(&[content]).to_be_bytes() == *crc && unused.iter().all(|byte| *byte == 0);
        let (&[marks, position, source], _) = content.as_chunks::<4>().0.split_first_chunk()?;
        let [marks, position, source] = [marks, position, source].map(u32::from_be_bytes);
        is_whole.then_some(Self { marks, position, source })
    }

    /// Programs it into this place, which has to be erased, and reads it back.
    #[cfg(feature = "loader")]
    pub(super) fn write<F: NorFlash, L: HasLayout>(
        self,
        flash: &mut Flash<F, L>,
        index: u32,
    ) -> Result<(), FlashError> {
        let bytes = self.encode();
        let mut place = [0; UNIT];
        if !read(flash, index, &mut place) || !is_erased(flash, &place) {
            return Err(FlashError::NotProgrammed);
        }
        let (len, offset) = (place_len::<F>(), offset_of_place::<F>(index).ok_or(FlashError::OutOfArea)?);
        flash.program(Area::Progress, offset, bytes.get(..len).ok_or(FlashError::Geometry)?)?;
        if read(flash, index, &mut place) && place == bytes { Ok(()) } else { Err(FlashError::NotProgrammed) }
    }
}

/// The content of this place, with zeros after it. It is read alone: a word beside it that faults costs nothing.
#[inline(never)]
fn read<F: NorFlash, L: HasLayout>(flash: &mut Flash<F, L>, index: u32, place: &mut [u8; UNIT]) -> bool {
    *place = [0; UNIT];
    let content = place.get_mut(..place_len::<F>()).zip(offset_of_place::<F>(index));
    content.is_some_and(|(content, offset)| flash.read(Area::Progress, offset, content).is_ok())
}

fn is_erased<F: NorFlash, L: HasLayout>(flash: &Flash<F, L>, place: &[u8; UNIT]) -> bool {
    place.get(..place_len::<F>()).is_some_and(|place| flash.is_erased(place))
}

/// Bytes of the smallest sector of the parts we know.
const SECTOR_MIN: u32 = 128;

/// Looks at all places for the marks with this number.
#[inline(never)]
pub(super) fn scan<F: NorFlash, L: HasLayout>(flash: &mut Flash<F, L>, marks: u32) -> Marks {
    let mut found = Marks { furthest: None, next: 0, is_silent: false };
    let places = places(flash);
    // One erase and one fault hit a sector at least. Its length is not known: the driver of two devices names the larger one.
    let in_a_sector = SECTOR_MIN.checked_div(place_len_u32::<F>()).unwrap_or(1).min(places).max(1);
    let mut unreadable = 0u32;
    for index in 0..places {
        // Sectors are whole places.
        if index.checked_rem(in_a_sector) == Some(0) {
            unreadable = 0;
        }
        let mut place = [0; UNIT];
        let is_readable = read(flash, index, &mut place);
        if !is_readable {
            unreadable = unreadable.saturating_add(1);
            found.is_silent |= unreadable == in_a_sector;
        } else if is_erased(flash, &place) {
            continue;
        }
        // A cut may have left the word after this place half programmed, although it reads as erased.
        found.next = index.saturating_add(2);
        if is_readable
            && let Some(mark) = Mark::decode(&place)
            && mark.marks == marks
            && found.furthest.is_none_or(|furthest| mark.position > furthest.position)
        {
            found.furthest = Some(mark);
        }
    }
    found
}

/// How many marks there is room for.
pub(super) fn places<F: NorFlash, L: HasLayout>(flash: &Flash<F, L>) -> u32 {
    flash.layout().region(Area::Progress).len.checked_div(place_len_u32::<F>()).unwrap_or(0)
}

const fn place_len<F: NorFlash>() -> usize {
    let word = if F::WRITE_SIZE > F::READ_SIZE { F::WRITE_SIZE } else { F::READ_SIZE };
    if word > MARK_LEN { word } else { MARK_LEN }
}

const fn place_len_u32<F: NorFlash>() -> u32 {
    crate::layout::offset_of(place_len::<F>())
}

fn offset_of_place<F: NorFlash>(index: u32) -> Option<u32> {
    index.checked_mul(place_len_u32::<F>())
}
