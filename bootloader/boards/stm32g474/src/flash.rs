//! The flash (RM0440 3.3, DBANK = 1): words of 64 bits with an ECC, pages of 2 KiB. Each call feeds the watchdog.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use stm32_support::watchdog;

use crate::memory_map::{BANK_LEN, FLASH_START, LOADER_START, PAGE_LEN, WORD_LEN};
use crate::registers::registers;
use crate::{FLASH_LEN, banks, ecc};

registers! {
    0x4002_2000:
    KEYR = 0x08;
    SR = 0x10;
    CR = 0x14;
    OPTR = 0x20;
}

const KEYS: [u32; 2] = [0x4567_0123, 0xCDEF_89AB];
const BUSY: u32 = 1 << 16;
/// OPERR, PROGERR, WRPERR, PGAERR, SIZERR, PGSERR, MISSERR, FASTERR, RDERR, OPTVERR.
const ERRORS: u32 = 0xC3FA;
const PROGRAM: u32 = 1;
const ERASE_PAGE: u32 = 1 << 1;
const PAGE: u32 = 3;
const ERASE_BANK_2: u32 = 1 << 11;
const START: u32 = 1 << 16;
const LOCK: u32 = 1 << 31;
const TWO_BANKS: u32 = 1 << 22;
/// Flips an address to another line of the controller's buffer, in the same page.
const OTHER_LINE: usize = 64;

/// Why an access failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlashError {
    /// It is not aligned, or not in the flash of the layout.
    Outside,
    /// A word has two bad bits.
    Ecc,
    /// The controller reports an error: the bits of FLASH_SR.
    Controller(u32),
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Outside => NorFlashErrorKind::OutOfBounds,
            Self::Ecc | Self::Controller(_) => NorFlashErrorKind::Other,
        }
    }
}

/// The flash of the layout; there is one.
#[derive(Debug)]
pub struct Flash(());

impl Flash {
    /// `None` if the option bytes make one bank of the flash, whose pages are longer.
    ///
    /// # Safety
    /// To be called once.
    #[must_use]
    pub unsafe fn take() -> Option<Self> {
        (OPTR.read() & TWO_BANKS != 0).then_some(Self(()))
    }

    /// Address of `len` bytes at `offset`, while the banks are not exchanged.
    fn address(offset: u32, len: u32) -> Result<u32, FlashError> {
        match offset.checked_add(len) {
            Some(end) if end <= FLASH_LEN => Ok(FLASH_START + offset),
            _ => Err(FlashError::Outside),
        }
    }
}

fn unlock() {
    if CR.read() & LOCK != 0 {
        for key in KEYS {
            KEYR.write(key);
        }
    }
    // Errors of an operation before keep the next one from beginning (3.3.7).
    SR.write(ERRORS);
}

/// Waits for the end of an operation.
fn finish() -> Result<(), FlashError> {
    // An operation that does not end is ended by the watchdog.
    while SR.read() & BUSY != 0 {}
    let errors = SR.read() & ERRORS;
    if errors == 0 { Ok(()) } else { Err(FlashError::Controller(errors)) }
}

/// Nothing is written until the next [`unlock`].
pub(crate) fn lock() {
    CR.write(LOCK);
}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        watchdog::feed();
        let len = u32::try_from(bytes.len()).map_err(|_| FlashError::Outside)?;
        let start = Self::address(offset, len)? as usize;
        let flip = banks::flip() as usize;
        let is_good = ecc::watch(|| {
            for (address, byte) in (start..).zip(bytes) {
                // SAFETY: within the flash, which has no side effects that `ecc` does not catch.
                *byte = unsafe { with_exposed_provenance::<u8>(address ^ flip).read_volatile() };
            }
        });
        if is_good {
            return Ok(());
        }
        // The controller's buffer still holds the word, and would answer the next read without an error (3.3.2).
        let other = start ^ flip ^ OTHER_LINE;
        let _is_good = ecc::watch(|| {
            // SAFETY: in the same page of flash.
            let _word = unsafe { with_exposed_provenance::<u8>(other).read_volatile() };
        });
        Err(FlashError::Ecc)
    }

    fn capacity(&self) -> usize {
        FLASH_LEN as usize
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD_LEN;
    const ERASE_SIZE: usize = PAGE_LEN as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let len = to.checked_sub(from).ok_or(FlashError::Outside)?;
        let start = Self::address(from, len)?;
        if !from.is_multiple_of(PAGE_LEN) || !len.is_multiple_of(PAGE_LEN) {
            return Err(FlashError::Outside);
        }
        unlock();
        let mut result = Ok(());
        let mut done = 0;
        while done < len && result.is_ok() {
            watchdog::feed();
            // The registers name the bank, wherever it lies.
            let at = start + done - LOADER_START;
            let bank = if at < BANK_LEN { 0 } else { ERASE_BANK_2 };
            let page = ERASE_PAGE | (at % BANK_LEN / PAGE_LEN) << PAGE | bank;
            CR.write(page);
            CR.write(page | START);
            result = finish();
            done += PAGE_LEN;
        }
        lock();
        result
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let len = u32::try_from(bytes.len()).map_err(|_| FlashError::Outside)?;
        let start = Self::address(offset, len)?;
        let (words, rest) = bytes.as_chunks::<WORD_LEN>();
        if !rest.is_empty() || !(offset as usize).is_multiple_of(WORD_LEN) {
            return Err(FlashError::Outside);
        }
        unlock();
        CR.write(PROGRAM);
        let flip = banks::flip() as usize;
        let mut result = Ok(());
        for (address, word) in (start as usize..).step_by(WORD_LEN).zip(words) {
            watchdog::feed();
            let [a, b, c, d, e, f, g, h] = *word;
            for (address, half) in (address ^ flip..).step_by(4).zip([[a, b, c, d], [e, f, g, h]]) {
                // SAFETY: within the flash, aligned. The controller takes the write, and programs at the second half.
                unsafe {
                    with_exposed_provenance_mut::<u32>(address).write_volatile(u32::from_le_bytes(half))
                };
                // One write after the other reaches the controller.
                cortex_m::asm::isb();
            }
            result = finish();
            if result.is_err() {
                break;
            }
        }
        lock();
        result
    }
}

#[cfg(feature = "loader")]
pub(crate) use secured::leave;
#[cfg(all(feature = "loader", feature = "bank-switch"))]
pub(crate) use secured::unlock_to_hide;

/// The securable area (3.5.4).
#[cfg(feature = "loader")]
mod secured {
    use super::unlock;
    use crate::memory_map::SECURED_PAGES;
    use crate::registers::registers;

    registers! {
        0x4002_2000:
        SEC1R = 0x70;
    }

    const SIZE: u32 = 0xFF;
    #[cfg(feature = "bank-switch")]
    const HIDE: u32 = 1 << 28;

    /// Unlocks the controller; what FLASH_CR takes for the loader to be hidden as [`leave`] does it.
    #[cfg(feature = "bank-switch")]
    pub(crate) fn unlock_to_hide() -> u32 {
        unlock();
        if SEC1R.read() & SIZE == SECURED_PAGES { HIDE } else { 0 }
    }

    /// Branches to an application. If the option bytes make the loader's pages a securable area, neither they nor their
    /// content are there for it until the next reset.
    ///
    /// # Safety
    /// The arguments are those of an image that may run; nothing of the caller is used afterwards.
    pub(crate) unsafe fn leave(stack_pointer: *const u32, reset_vector: *const u32) -> ! {
        // SAFETY: the caller vouched for them.
        unsafe {
            if SEC1R.read() & SIZE == SECURED_PAGES {
                unlock();
                hide_and_branch(stack_pointer, reset_vector)
            }
            cortex_m::asm::bootstrap(stack_pointer, reset_vector)
        }
    }

    /// Sets SEC_PROT1 and LOCK. In RAM, since the loader's code is gone after that.
    #[unsafe(naked)]
    #[unsafe(link_section = ".data.hide_and_branch")]
    unsafe extern "C" fn hide_and_branch(stack_pointer: *const u32, reset_vector: *const u32) -> ! {
        core::arch::naked_asm!(
            "ldr r2, =0x40022014", // FLASH_CR
            "ldr r3, =0x10000000", // SEC_PROT1
            "str r3, [r2]",
            "orr r3, r3, #0x80000000", // LOCK
            "str r3, [r2]",
            "dsb",
            "isb",
            "msr msp, r0",
            "bx r1",
            ".ltorg",
        )
    }
}
