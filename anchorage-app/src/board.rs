//! The description of a board as C has it, and its flash as the loader library takes it.

use core::ffi::{c_int, c_void};

use bootloader::layout::{LAYOUT_NUMBERS, Layout, UNIT};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

/// The longest word: everything that is programmed is a multiple of it.
const WORD_MAX: u32 = 32;
const _: () = assert!(WORD_MAX as usize == UNIT);

/// Reads `length` bytes at an offset of the flash device; 0 if all of them were read.
pub type Read = unsafe extern "C" fn(*mut c_void, u32, *mut c_void, u32) -> c_int;
/// Programs `length` bytes at an offset, whole words that are erased; 0 if all of them were programmed.
pub type Program = unsafe extern "C" fn(*mut c_void, u32, *const c_void, u32) -> c_int;
/// Erases `length` bytes at an offset, whole pages; 0 if all of them were erased.
pub type Erase = unsafe extern "C" fn(*mut c_void, u32, u32) -> c_int;

/// `anchorage_layout`: [`Layout::numbers`], whose last one says that they are whole, and after it the word: bytes that are
/// programmed at once.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CLayout {
    /// The layout.
    pub numbers: [u32; LAYOUT_NUMBERS],
    /// A power of two, 1 to 32.
    pub word: u32,
}

impl CLayout {
    /// The layout, if the numbers are whole.
    pub(crate) fn check(&self) -> Option<Layout> {
        if !self.word.is_power_of_two() || self.word > WORD_MAX {
            return None;
        }
        Layout::from_numbers(&self.numbers)
    }
}

/// `anchorage_flash`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CFlash {
    /// Handed to each callback.
    pub context: *mut c_void,
    /// Reads.
    pub read: Option<Read>,
    /// Programs.
    pub program: Option<Program>,
    /// Erases.
    pub erase: Option<Erase>,
}

impl CFlash {
    /// The driver, if all callbacks are there.
    pub(crate) fn driver(&self, word: u32) -> Option<Callbacks> {
        let Self { context, read, program, erase } = *self;
        Some(Callbacks { context, read: read?, program: program?, erase: erase?, word })
    }
}

/// The callbacks as a driver.
///
/// The word of the part is known at run time only. All that is programmed here are records, whole multiples of [`UNIT`],
/// aligned to it, which suits every word; [`NorFlash::write`] checks it all the same. Marks, which take a place of at least
/// 16 bytes, are only read, and those in places of 32 bytes are found in steps of 16 as well.
pub struct Callbacks {
    context: *mut c_void,
    read: Read,
    program: Program,
    erase: Erase,
    word: u32,
}

/// A callback failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed;

impl embedded_storage::nor_flash::NorFlashError for Failed {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl ErrorType for Callbacks {
    type Error = Failed;
}

fn succeeded(result: c_int) -> Result<(), Failed> {
    if result == 0 { Ok(()) } else { Err(Failed) }
}

impl ReadNorFlash for Callbacks {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failed> {
        let length = u32::try_from(bytes.len()).map_err(|_| Failed)?;
        // SAFETY: the place has `length` bytes; the header says what a callback may do with them.
        succeeded(unsafe { (self.read)(self.context, offset, bytes.as_mut_ptr().cast(), length) })
    }

    /// The layout decides: it lies within what the board says.
    fn capacity(&self) -> usize {
        u32::MAX as usize
    }
}

impl NorFlash for Callbacks {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = 1;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Failed> {
        // SAFETY: the header says what a callback may do.
        succeeded(unsafe { (self.erase)(self.context, from, to.saturating_sub(from)) })
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failed> {
        let length = u32::try_from(bytes.len()).map_err(|_| Failed)?;
        if (offset | length) & self.word.saturating_sub(1) != 0 {
            return Err(Failed);
        }
        // SAFETY: the place has `length` bytes; the header says what a callback may do with them.
        succeeded(unsafe { (self.program)(self.context, offset, bytes.as_ptr().cast(), length) })
    }
}
