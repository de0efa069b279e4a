//! The vector table of a firmware image for a Cortex-M (ARMv7-M Architecture Reference Manual, section B1.5.3).
//!
//! The loader compares the first two vectors with the memory of its board before it jumps ([`Vectors::check`]). The
//! maker's tool knows the image only, and refuses data that cannot be firmware ([`is_plausible`]).
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

#[cfg(test)]
extern crate std;

mod plausible;

pub use plausible::is_plausible;

/// Bytes of a vector table that the loader checks: first stack pointer, reset vector.
pub const VECTORS_LEN: usize = 8;
const VECTORS_END: u32 = 8;

/// A range of memory (addresses) or of a flash device (offsets), in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// First byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Region {
    /// Of a memory map, whose crate names no other: first byte, and length in bytes.
    #[must_use]
    pub const fn of((start, len): (u32, u32)) -> Self {
        Self { start, len }
    }

    /// The address after the last byte; `None` if the region wraps around the address space.
    #[must_use]
    pub const fn end(self) -> Option<u32> {
        self.start.checked_add(self.len)
    }

    /// Whether both have a byte in common; neither may wrap around.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.start.saturating_add(other.len)
            && other.start < self.start.saturating_add(self.len)
    }
}

/// The first two vectors of an image, when they lead into it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vectors {
    vector_table: u32,
    stack_pointer: u32,
    reset_vector: u32,
}

/// The fault of a vector table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VectorError {
    /// The first stack pointer is not in RAM, or not a multiple of 8.
    StackPointer,
    /// The reset vector has no thumb bit.
    ThumbBit,
    /// The reset vector does not point after the vectors and into the image.
    OutsideImage,
}

impl Vectors {
    /// Checks the first two vectors of an image that lies at `image` and runs with its stack in `ram`.
    ///
    /// # Errors
    /// [`VectorError::StackPointer`], [`VectorError::ThumbBit`] or [`VectorError::OutsideImage`], the first that
    /// applies.
    pub fn check(image: Region, ram: Region, vectors: &[u8; VECTORS_LEN]) -> Result<Self, VectorError> {
        let [s0, s1, s2, s3, r0, r1, r2, r3] = *vectors;
        let stack_pointer = u32::from_le_bytes([s0, s1, s2, s3]);
        let reset_vector = u32::from_le_bytes([r0, r1, r2, r3]);
        // The stack grows down: its first pointer may be the end of RAM, but not its start.
        let depth = stack_pointer.checked_sub(ram.start).ok_or(VectorError::StackPointer)?;
        if depth == 0 || depth > ram.len || !stack_pointer.is_multiple_of(8) {
            return Err(VectorError::StackPointer);
        }
        if reset_vector & 1 == 0 {
            return Err(VectorError::ThumbBit);
        }
        let target = (reset_vector & !1).checked_sub(image.start).ok_or(VectorError::OutsideImage)?;
        // A thumb instruction takes two bytes.
        let inside = target.checked_add(2).is_some_and(|end| end <= image.len);
        if target < VECTORS_END || !inside {
            return Err(VectorError::OutsideImage);
        }
        Ok(Self { vector_table: image.start, stack_pointer, reset_vector })
    }

    /// Address for VTOR.
    #[must_use]
    pub const fn vector_table(&self) -> u32 {
        self.vector_table
    }

    /// Value for MSP.
    #[must_use]
    pub const fn stack_pointer(&self) -> u32 {
        self.stack_pointer
    }

    /// Where to branch to, thumb bit set.
    #[must_use]
    pub const fn reset_vector(&self) -> u32 {
        self.reset_vector
    }
}

#[cfg(test)]
mod tests;
