//! The NOR contract enforced over ordinary memory, for boards whose flash is emulated: QEMU's PSRAM and the
//! simulator's file hold the same bytes, so that either can run the other's flash.
//!
//! A word is programmed once between erases, as on parts with ECC; which words are programmed is kept in a map
//! after the array and survives power cuts like the array itself. A violation is an error and writes nothing.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

#[cfg(test)]
mod tests;

/// Bytes of one program operation, programmed at most once between erases.
pub const WORD_LEN: u32 = 8;
/// Bytes of one erase operation.
pub const PAGE_LEN: u32 = 4096;
/// Bytes of the map that one byte of it stands for.
const BYTES_PER_MAP_BYTE: u32 = WORD_LEN * 8;
const MAP_BYTES_PER_PAGE: usize = (PAGE_LEN / BYTES_PER_MAP_BYTE) as usize;
/// Words that one step of a program operation handles: one byte of the map.
const STEP_LEN: usize = BYTES_PER_MAP_BYTE as usize;
/// Identifies an array that has been set up, with its version in the last byte; the capacity follows.
const MAGIC: [u8; 8] = *b"NORARR\0\x01";
/// Bytes of the header, the last ones of [`store_len`]; zeros until the array is set up.
pub const HEADER_LEN: u32 = 16;
/// Bytes that an erase overwrites at a time.
const ERASE_STEP_LEN: u32 = 64;

/// Ordinary memory that keeps its bytes without power: addressed from 0, any length, any alignment.
pub trait Store {
    /// Why the memory could not be reached.
    type Error: core::fmt::Debug;

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// [`Store::Error`] if the memory could not be reached.
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error>;

    /// Stores `bytes` at `offset`.
    ///
    /// # Errors
    /// [`Store::Error`] if the memory could not be reached.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// Why an access was refused or failed. Offsets count from the start of the array.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error<E> {
    /// An offset or a length is not a multiple of the word (program) or page (erase).
    NotAligned,
    /// The access reaches beyond the array.
    OutOfBounds,
    /// The word at `offset` has been programmed since its page was erased.
    AlreadyProgrammed {
        /// Where the word starts.
        offset: u32,
    },
    /// The memory holds an array of another capacity or version.
    ForeignArray,
    /// The memory below failed.
    Store(E),
}

impl<E: core::fmt::Debug> NorFlashError for Error<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::AlreadyProgrammed { .. } | Self::ForeignArray | Self::Store(_) => NorFlashErrorKind::Other,
        }
    }
}

/// Bytes of memory that an array of `capacity` bytes occupies with its map and header.
#[must_use]
pub const fn store_len(capacity: u32) -> u32 {
    header_offset(capacity).saturating_add(HEADER_LEN)
}

/// The header lies after the map, so that the array itself starts at 0.
const fn header_offset(capacity: u32) -> u32 {
    capacity.saturating_add(capacity / BYTES_PER_MAP_BYTE)
}

/// A NOR flash of `capacity` bytes over a [`Store`] of [`store_len`] bytes.
#[derive(Debug)]
pub struct FlashArray<S> {
    store: S,
    capacity: u32,
}

impl<S: Store> FlashArray<S> {
    /// Takes over the array in `store`; memory that never held one becomes a new chip, erased throughout.
    ///
    /// # Errors
    /// [`Error::NotAligned`] if `capacity` is not whole pages, [`Error::ForeignArray`] if the memory holds an
    /// array of another capacity or version, [`Error::Store`] if it cannot be reached.
    pub fn power_up(store: S, capacity: u32) -> Result<Self, Error<S::Error>> {
        if !capacity.is_multiple_of(PAGE_LEN) {
            return Err(Error::NotAligned);
        }
        let mut array = Self { store, capacity };
        let mut expected = [0; HEADER_LEN as usize];
        let (magic, rest) = expected.split_at_mut(MAGIC.len());
        magic.copy_from_slice(&MAGIC);
        if let Some((capacity_field, _)) = rest.split_first_chunk_mut() {
            *capacity_field = capacity.to_le_bytes();
        }
        if array.has_header(&expected)? {
            return Ok(array);
        }
        // Memory that was written before is not erased: it may belong to something else. Read twice, since what is
        // erased is gone: one instruction that is skipped must not read zeros here.
        for _ in 0..2 {
            if !array.has_header(&[0; _])? {
                return Err(Error::ForeignArray);
            }
        }
        let mut page = 0;
        while page < capacity {
            array.erase_page(page)?;
            page = page.saturating_add(PAGE_LEN);
        }
        // Last, so that a cut in between starts over.
        array.store.write(header_offset(capacity), &expected).map_err(Error::Store)?;
        Ok(array)
    }

    #[inline(never)]
    fn has_header(&mut self, expected: &[u8; HEADER_LEN as usize]) -> Result<bool, Error<S::Error>> {
        let mut header = [0; HEADER_LEN as usize];
        self.store.read(header_offset(self.capacity), &mut header).map_err(Error::Store)?;
        Ok(header == *expected)
    }

    fn map_offset(&self, offset: u32) -> u32 {
        self.capacity.saturating_add(offset / BYTES_PER_MAP_BYTE)
    }

    fn erase_page(&mut self, page: u32) -> Result<(), Error<S::Error>> {
        let erased = [0xFF; ERASE_STEP_LEN as usize];
        let mut offset = page;
        while offset < page.saturating_add(PAGE_LEN) {
            self.store.write(offset, &erased).map_err(Error::Store)?;
            offset = offset.saturating_add(ERASE_STEP_LEN);
        }
        self.store.write(self.map_offset(page), &[0; MAP_BYTES_PER_PAGE]).map_err(Error::Store)
    }

    /// Bits of the map byte that stand for the words of `bytes`, which start at word `first` of that byte.
    fn mask(first: u32, len_bytes: usize) -> u8 {
        let words = len_bytes >> WORD_LEN.trailing_zeros();
        let ones = if words >= 8 { 0xFF } else { (1_u16 << words).saturating_sub(1) };
        (ones << first).to_le_bytes()[0]
    }

    fn map_byte(&mut self, offset: u32) -> Result<u8, Error<S::Error>> {
        let mut byte = [0];
        self.store.read(self.map_offset(offset), &mut byte).map_err(Error::Store)?;
        let [byte] = byte;
        Ok(byte)
    }

    fn within(&self, offset: u32, len: usize) -> Result<(), Error<S::Error>> {
        let end = u32::try_from(len).ok().and_then(|len| offset.checked_add(len));
        if end.is_some_and(|end| end <= self.capacity) { Ok(()) } else { Err(Error::OutOfBounds) }
    }
}

impl<S: Store> ErrorType for FlashArray<S> {
    type Error = Error<S::Error>;
}

impl<S: Store> ReadNorFlash for FlashArray<S> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.within(offset, bytes.len())?;
        self.store.read(offset, bytes).map_err(Error::Store)
    }

    fn capacity(&self) -> usize {
        self.capacity as usize
    }
}

impl<S: Store> NorFlash for FlashArray<S> {
    const WRITE_SIZE: usize = WORD_LEN as usize;
    const ERASE_SIZE: usize = PAGE_LEN as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        if !from.is_multiple_of(PAGE_LEN) || !to.is_multiple_of(PAGE_LEN) {
            return Err(Error::NotAligned);
        }
        if from > to || to > self.capacity {
            return Err(Error::OutOfBounds);
        }
        let mut page = from;
        while page < to {
            self.erase_page(page)?;
            page = page.saturating_add(PAGE_LEN);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        if !offset.is_multiple_of(WORD_LEN) || !bytes.len().is_multiple_of(WORD_LEN as usize) {
            return Err(Error::NotAligned);
        }
        self.within(offset, bytes.len())?;
        // Every word is looked at before the first one is written.
        for writes in [false, true] {
            let (mut at, mut rest) = (offset, bytes);
            // The parts that share a byte of the map.
            while !rest.is_empty() {
                let room = STEP_LEN.saturating_sub((at % BYTES_PER_MAP_BYTE) as usize);
                let (step, tail) = rest.split_at_checked(room).unwrap_or((rest, &[]));
                let first = (at / WORD_LEN) % 8;
                let (mask, map_byte) = (Self::mask(first, step.len()), self.map_byte(at)?);
                if writes {
                    // The word first, then its mark: a cut in between leaves a word that reads as programmed.
                    self.store.write(at, step).map_err(Error::Store)?;
                    self.store.write(self.map_offset(at), &[map_byte | mask]).map_err(Error::Store)?;
                } else if map_byte & mask != 0 {
                    let ahead =
                        (map_byte & mask).trailing_zeros().saturating_sub(first).saturating_mul(WORD_LEN);
                    return Err(Error::AlreadyProgrammed { offset: at.saturating_add(ahead) });
                }
                at = (at / BYTES_PER_MAP_BYTE).saturating_add(1).saturating_mul(BYTES_PER_MAP_BYTE);
                rest = tail;
            }
        }
        Ok(())
    }
}
