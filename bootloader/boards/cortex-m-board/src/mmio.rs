//! Device registers of 32 bits.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

/// One register.
#[derive(Debug)]
pub struct Register(usize);

impl Register {
    /// The register at this address.
    ///
    /// # Safety
    /// `address` is that of a 32-bit device register that tolerates any read, and any write that the caller makes.
    #[must_use]
    pub const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    /// Reads it.
    #[must_use]
    pub fn read(&self) -> u32 {
        // SAFETY: the maker of the register vouched for the address.
        unsafe { with_exposed_provenance::<u32>(self.0).read_volatile() }
    }

    /// Writes it.
    pub fn write(&self, value: u32) {
        // SAFETY: the maker of the register vouched for the address.
        unsafe { with_exposed_provenance_mut::<u32>(self.0).write_volatile(value) }
    }

    /// Sets these bits, and keeps the others.
    pub fn set(&self, bits: u32) {
        self.write(self.read() | bits);
    }

    /// Clears these bits, and keeps the others.
    pub fn clear(&self, bits: u32) {
        self.write(self.read() & !bits);
    }

    /// Puts a value into the bits of `mask`, and keeps the others.
    pub fn replace(&self, mask: u32, value: u32) {
        self.write(self.read() & !mask | value & mask);
    }
}
