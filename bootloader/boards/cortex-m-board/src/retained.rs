//! RAM that keeps its bytes across a reset.

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

/// A place of `LEN` bytes.
#[derive(Debug)]
pub struct Retained<const LEN: usize>(usize);

impl<const LEN: usize> Retained<LEN> {
    /// The place at this address.
    ///
    /// # Safety
    /// `LEN` bytes of RAM that no linker script gives to anything else; the address is a multiple of 4.
    #[must_use]
    pub const unsafe fn at(address: usize) -> Self {
        assert!(address.is_multiple_of(4) && LEN.is_multiple_of(4), "whole words");
        Self(address)
    }

    /// The content.
    #[must_use]
    pub fn get(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        for (address, byte) in (self.0..).zip(&mut bytes) {
            // SAFETY: the maker of the place vouched for it.
            *byte = unsafe { with_exposed_provenance::<u8>(address).read_volatile() };
        }
        bytes
    }

    /// Leaves a content for after the reset.
    pub fn put(&self, content: &[u8; LEN]) {
        let (words, _) = content.as_chunks();
        for (address, word) in (self.0..).step_by(4).zip(words) {
            // SAFETY: the maker of the place vouched for it.
            unsafe { with_exposed_provenance_mut::<u32>(address).write_volatile(u32::from_ne_bytes(*word)) };
        }
        cortex_m::asm::dsb();
    }
}
