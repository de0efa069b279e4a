//! Between loader and application: the check of a vector table before the jump, and the mailbox in RAM through
//! which an application asks for the loader (docs/boot-rules.md, Handoff). Plain bytes in and out; the jump and
//! the place of the mailbox are the board's.

use crate::layout::{Layout, Region, offset_of};

/// Bytes of the mailbox; it keeps its content across a reset and is cleared once it was read.
pub const MAILBOX_LEN: usize = 16;
const MAGIC: [u8; 8] = *b"ANCHRMB1";
const PROGRAMMING_SESSION: u8 = 1;

/// What an application asks the loader for, across a reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Stay on the bus in the programming session, and answer the `10 02` the application has received.
    ProgrammingSession {
        /// The positive answer was not suppressed: the loader sends it once it is up.
        answer: bool,
    },
}

impl Request {
    /// The mailbox's bytes.
    #[must_use]
    pub fn encode(self) -> [u8; MAILBOX_LEN] {
        let Self::ProgrammingSession { answer } = self;
        let [m0, m1, m2, m3, m4, m5, m6, m7] = MAGIC;
        let content = [m0, m1, m2, m3, m4, m5, m6, m7, PROGRAMMING_SESSION, u8::from(answer), 0, 0];
        let [c0, c1, c2, c3] = crate::journal::checksum(&[&content]).to_be_bytes();
        [m0, m1, m2, m3, m4, m5, m6, m7, PROGRAMMING_SESSION, u8::from(answer), 0, 0, c0, c1, c2, c3]
    }

    /// Reads a mailbox; RAM that was never written, or decayed, is no request.
    #[must_use]
    pub fn decode(mailbox: &[u8; MAILBOX_LEN]) -> Option<Self> {
        let (content, crc) = mailbox.split_last_chunk::<4>()?;
        if crate::journal::checksum(&[content]) != u32::from_be_bytes(*crc) {
            return None;
        }
        match content.strip_prefix(&MAGIC)? {
            [PROGRAMMING_SESSION, answer @ (0 | 1), 0, 0] => {
                Some(Self::ProgrammingSession { answer: *answer == 1 })
            }
            _ => None,
        }
    }
}

/// Bytes of a vector table that are looked at: first stack pointer, reset vector.
pub const VECTORS_LEN: usize = 8;

/// Where to jump. Only [`check_vectors`] makes one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    vector_table: u32,
    stack_pointer: u32,
    reset_vector: u32,
}

impl Entry {
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

const VECTORS_END: u32 = offset_of(VECTORS_LEN);

/// What is wrong with a vector table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VectorError {
    /// The first stack pointer is not in RAM, or not a multiple of 8.
    StackPointer,
    /// The reset vector has no thumb bit.
    ThumbBit,
    /// The reset vector does not point behind the vectors and into the image.
    OutsideImage,
}

/// Checks the first two vectors of an image of `image_size` bytes that runs at the layout's image address.
pub fn check_vectors(
    layout: &Layout,
    image_size: u32,
    vectors: &[u8; VECTORS_LEN],
) -> Result<Entry, VectorError> {
    let [s0, s1, s2, s3, r0, r1, r2, r3] = *vectors;
    let stack_pointer = u32::from_le_bytes([s0, s1, s2, s3]);
    let reset_vector = u32::from_le_bytes([r0, r1, r2, r3]);
    let vector_table = layout.image_address();
    // The stack grows down: its first pointer may be the end of RAM, but not its start.
    let Region { start, len } = layout.ram();
    let depth = stack_pointer.checked_sub(start).ok_or(VectorError::StackPointer)?;
    if depth == 0 || depth > len || !stack_pointer.is_multiple_of(8) {
        return Err(VectorError::StackPointer);
    }
    if reset_vector & 1 == 0 {
        return Err(VectorError::ThumbBit);
    }
    let target = (reset_vector & !1).checked_sub(vector_table).ok_or(VectorError::OutsideImage)?;
    // A thumb instruction takes two bytes.
    let inside = target.checked_add(2).is_some_and(|end| end <= image_size);
    if target < VECTORS_END || !inside {
        return Err(VectorError::OutsideImage);
    }
    Ok(Entry { vector_table, stack_pointer, reset_vector })
}

#[cfg(test)]
mod tests;
