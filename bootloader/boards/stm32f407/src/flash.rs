//! The flash controller (RM0090, 3). Words of 32 bits, sectors of 16, 64 and 128 KiB, no ECC: a read never faults.
//!
//! There is one bank: the core stands still at its next fetch until an erase or a program ends. The controller is
//! unlocked for one operation at a time.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

use cortex_m_board::mmio::Register;
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use stm32_support::watchdog;

use crate::PART;
use crate::memory_map::{CODE, FLASH_LEN, FLASH_START, VECTORS};
use crate::registers::FLASH;

const KEYR: Register = FLASH.register(0x04);
const KEYS: [u32; 2] = [0x4567_0123, 0xCDEF_89AB];
const SR: Register = FLASH.register(0x0C);
const BUSY: u32 = 1 << 16;
/// OPERR, WRPERR, PGAERR, PGPERR, PGSERR.
const ERRORS: u32 = 1 << 1 | 0b1111 << 4;
const END_OF_OPERATION: u32 = 1;
const CR: Register = FLASH.register(0x10);
const PROGRAM: u32 = 1;
const ERASE_SECTOR: u32 = 1 << 1;
const SECTOR_SHIFT: u32 = 3;
/// 32 bits at once: from 2.7 V on.
const WORDS: u32 = 0b10 << 8;
const START: u32 = 1 << 16;
const LOCK: u32 = 1 << 31;

const WORD: usize = 4;
/// The smallest sector.
const SECTOR_MIN: usize = 16 * 1024;

/// Why an access failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlashError {
    /// It is not aligned, or leaves the flash.
    Access,
    /// It would change the loader.
    Loader,
    /// The controller reports an error: write protection, alignment, parallelism or sequence.
    Controller,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Access => NorFlashErrorKind::OutOfBounds,
            Self::Loader | Self::Controller => NorFlashErrorKind::Other,
        }
    }
}

/// The flash; there is one.
pub struct Controller(());

impl Controller {
    /// The flash.
    ///
    /// # Safety
    /// To be called once; nothing else writes to the flash.
    pub(crate) const unsafe fn take() -> Self {
        Self(())
    }

    /// Unlocks the controller with these bits set, as long as `work` takes.
    fn unlocked(
        &mut self,
        bits: u32,
        work: impl FnOnce() -> Result<(), FlashError>,
    ) -> Result<(), FlashError> {
        wait();
        SR.write(ERRORS | END_OF_OPERATION);
        for key in KEYS {
            KEYR.write(key);
        }
        CR.write(bits | WORDS);
        let result = work();
        CR.write(LOCK);
        result
    }
}

/// The end of an operation.
fn finish() -> Result<(), FlashError> {
    wait();
    if SR.read() & ERRORS == 0 { Ok(()) } else { Err(FlashError::Controller) }
}

/// Until the controller is idle. It always ends: the watchdog resets if it does not.
fn wait() {
    cortex_m::asm::dsb();
    while SR.read() & BUSY != 0 {}
}

/// Locks the controller and the option bytes. An application unlocks the former with the keys: it has to.
#[cfg(feature = "loader")]
pub(crate) fn lock() {
    const OPTCR: Register = FLASH.register(0x14);
    const OPTION_LOCK: u32 = 1;
    CR.write(LOCK);
    OPTCR.set(OPTION_LOCK);
}

/// The address of these bytes, if they lie in the flash and are aligned so.
fn locate(offset: u32, len: usize, align: usize) -> Result<usize, FlashError> {
    let start = usize::try_from(offset).map_err(|_| FlashError::Access)?;
    let end = start.checked_add(len).ok_or(FlashError::Access)?;
    let is_inside = end <= FLASH_LEN as usize && start.is_multiple_of(align) && len.is_multiple_of(align);
    if is_inside { Ok(FLASH_START as usize + start) } else { Err(FlashError::Access) }
}

/// Refuses to change the loader.
fn check(address: usize, len: usize) -> Result<(), FlashError> {
    let is_loader = [VECTORS, CODE].iter().any(|&(start, region_len)| {
        let (start, region_len) = (start as usize, region_len as usize);
        address < start + region_len && start < address.saturating_add(len)
    });
    if is_loader { Err(FlashError::Loader) } else { Ok(()) }
}

/// Number and length of the sector that begins at this offset.
fn sector_at(offset: u32) -> Option<(u32, u32)> {
    let (mut number, mut start) = (0u32, 0u32);
    for run in PART.sectors {
        for _ in 0..run.count {
            if start == offset {
                return Some((number, run.len));
            }
            number = number.wrapping_add(1);
            start = start.wrapping_add(run.len);
        }
    }
    None
}

impl ErrorType for Controller {
    type Error = FlashError;
}

impl ReadNorFlash for Controller {
    const READ_SIZE: usize = WORD;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        watchdog::feed();
        let start = locate(offset, bytes.len(), WORD)?;
        for (address, word) in (start..).step_by(WORD).zip(bytes.as_chunks_mut::<WORD>().0) {
            // SAFETY: a word of the flash, which this driver alone changes.
            *word = unsafe { with_exposed_provenance::<u32>(address).read_volatile() }.to_ne_bytes();
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        FLASH_LEN as usize
    }
}

impl NorFlash for Controller {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR_MIN;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let len = to.checked_sub(from).and_then(|len| usize::try_from(len).ok()).ok_or(FlashError::Access)?;
        check(locate(from, len, SECTOR_MIN)?, len)?;
        let mut at = from;
        while at < to {
            watchdog::feed();
            let (number, len) = sector_at(at).ok_or(FlashError::Access)?;
            at = at.checked_add(len).filter(|end| *end <= to).ok_or(FlashError::Access)?;
            self.unlocked(ERASE_SECTOR | number << SECTOR_SHIFT, || {
                CR.set(START);
                finish()
            })?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        watchdog::feed();
        let start = locate(offset, bytes.len(), WORD)?;
        check(start, bytes.len())?;
        self.unlocked(PROGRAM, || {
            for (address, word) in (start..).step_by(WORD).zip(bytes.as_chunks::<WORD>().0) {
                // SAFETY: a word of the flash outside of the loader; the controller programs it.
                unsafe {
                    with_exposed_provenance_mut::<u32>(address).write_volatile(u32::from_ne_bytes(*word))
                };
                finish()?;
            }
            Ok(())
        })
    }
}
