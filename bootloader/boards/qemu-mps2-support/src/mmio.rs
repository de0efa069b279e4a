//! Device registers of 32 bits.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

/// One register.
pub(crate) struct Register(usize);

impl Register {
    /// # Safety
    /// `address` is that of a 32-bit device register that tolerates any read, and any write that the caller makes.
    pub(crate) const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(&self) -> u32 {
        // SAFETY: the maker of the register vouched for the address.
        unsafe { with_exposed_provenance::<u32>(self.0).read_volatile() }
    }

    pub(crate) fn write(&self, value: u32) {
        // SAFETY: the maker of the register vouched for the address.
        unsafe { with_exposed_provenance_mut::<u32>(self.0).write_volatile(value) }
    }
}
