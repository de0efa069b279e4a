//! The 16 MiB PSRAM as the memory below the flash array. QEMU keeps it in a file, so that it survives both a reset
//! and the end of QEMU (docs/decisions/0002).

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

use flash_array::{FlashArray, Store};

use crate::layout::FLASH_LEN;
use crate::{MACHINE, watchdog};

const PSRAM_LEN: u32 = 16 * 1024 * 1024;
const _: () = assert!(flash_array::store_len(FLASH_LEN) <= PSRAM_LEN);
const _: () = assert!(flash_array::PAGE_LEN == crate::layout::FLASH_PAGE_LEN);

/// The flash of this board.
pub type Flash = FlashArray<Psram>;

/// An access beyond the PSRAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unmapped;

/// The memory; there is one.
pub struct Psram(());

impl Psram {
    /// # Safety
    /// To be called once; nothing else writes to the PSRAM.
    #[must_use]
    pub const unsafe fn take() -> Self {
        Self(())
    }

    /// Address of `len` bytes at `offset`, if they lie within the PSRAM.
    fn address(offset: u32, len: usize) -> Result<usize, Unmapped> {
        let len = u32::try_from(len).map_err(|_| Unmapped)?;
        let end = offset.checked_add(len).ok_or(Unmapped)?;
        if end <= PSRAM_LEN { Ok(MACHINE.flash_start as usize + offset as usize) } else { Err(Unmapped) }
    }
}

impl Store for Psram {
    type Error = Unmapped;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Unmapped> {
        watchdog::feed();
        let start = Self::address(offset, bytes.len())?;
        for (address, byte) in (start..).zip(bytes) {
            // SAFETY: within the PSRAM, which is memory of any alignment without side effects.
            *byte = unsafe { with_exposed_provenance::<u8>(address).read_volatile() };
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Unmapped> {
        watchdog::feed();
        let start = Self::address(offset, bytes.len())?;
        for (address, byte) in (start..).zip(bytes) {
            // SAFETY: as above; `take` promised that no other reference into the written memory exists. Volatile
            // keeps the order: a word before its mark.
            unsafe { with_exposed_provenance_mut::<u8>(address).write_volatile(*byte) };
        }
        Ok(())
    }
}
