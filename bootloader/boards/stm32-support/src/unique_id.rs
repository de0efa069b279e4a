//! The unique id: 96 bits in system memory, at an address of the part.

/// The three words, folded: place on the wafer, number of the wafer, lot.
///
/// # Safety
/// The address is that of the unique id register of this part.
#[must_use]
pub unsafe fn folded(address: usize) -> u64 {
    let word = |index: usize| {
        let place = core::ptr::with_exposed_provenance::<u32>(address + 4 * index);
        // SAFETY: the caller vouches for the three words; nobody writes system memory.
        u64::from(unsafe { place.read_volatile() })
    };
    (word(2) << 32 | word(1)) ^ word(0).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
