//! Marks of progress: short entries in a region of their own, so that a step of a procedure costs no record
//! (docs/flash-layout.md, Progress).

use embedded_storage::nor_flash::NorFlash;

use crate::checksum::checksum;
use crate::flash::Flash;
#[cfg(feature = "loader")]
use crate::flash::FlashError;
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

impl Mark {
    #[cfg(feature = "loader")]
    fn encode(self) -> [u8; UNIT] {
        let mut bytes = [0; UNIT];
        let crc = self.crc();
        for (place, field) in
            bytes.as_chunks_mut::<4>().0.iter_mut().zip([self.marks, self.position, self.source, crc])
        {
            *place = field.to_be_bytes();
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[marks, position, source, crc], _) = bytes.as_chunks::<4>().0.split_first_chunk::<4>()?;
        let mark = Self {
            marks: u32::from_be_bytes(marks),
            position: u32::from_be_bytes(position),
            source: u32::from_be_bytes(source),
        };
        (mark.crc() == u32::from_be_bytes(crc)).then_some(mark)
    }

    fn crc(self) -> u32 {
        let Self { marks, position, source } = self;
        checksum(&[&marks.to_be_bytes(), &position.to_be_bytes(), &source.to_be_bytes()])
    }

    /// Programs it into this place and reads it back.
    #[cfg(feature = "loader")]
    pub(super) fn write<F: NorFlash>(self, flash: &mut Flash<F>, index: u32) -> Result<(), FlashError> {
        let (len, offset) = (place_len::<F>(), offset_of_place::<F>(index).ok_or(FlashError::OutOfArea)?);
        let bytes = self.encode();
        flash.program(Area::Progress, offset, bytes.get(..len).ok_or(FlashError::Geometry)?)?;
        if read::<F>(flash, index) == Some(self) { Ok(()) } else { Err(FlashError::NotProgrammed) }
    }
}

/// The mark in this place. It is read alone: a word beside it that faults costs nothing.
fn read<F: NorFlash>(flash: &mut Flash<F>, index: u32) -> Option<Mark> {
    let mut place = [0; UNIT];
    let place = place.get_mut(..place_len::<F>())?;
    flash.read(Area::Progress, offset_of_place::<F>(index)?, place).ok()?;
    Mark::decode(place)
}

/// The furthest of these marks.
pub(super) fn furthest<F: NorFlash>(flash: &mut Flash<F>, marks: u32) -> Option<Mark> {
    let mut furthest: Option<Mark> = None;
    for index in 0..places::<F>(flash) {
        if let Some(mark) = read::<F>(flash, index)
            && mark.marks == marks
            && furthest.is_none_or(|furthest| mark.position > furthest.position)
        {
            furthest = Some(mark);
        }
    }
    furthest
}

/// How many marks there is room for.
pub(super) fn places<F: NorFlash>(flash: &Flash<F>) -> u32 {
    let len = u32::try_from(place_len::<F>()).unwrap_or(u32::MAX);
    flash.layout().region(Area::Progress).len.checked_div(len).unwrap_or(0)
}

const fn place_len<F: NorFlash>() -> usize {
    let word = if F::WRITE_SIZE > F::READ_SIZE { F::WRITE_SIZE } else { F::READ_SIZE };
    if word > MARK_LEN { word } else { MARK_LEN }
}

fn offset_of_place<F: NorFlash>(index: u32) -> Option<u32> {
    index.checked_mul(u32::try_from(place_len::<F>()).ok()?)
}
