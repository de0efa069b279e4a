//! The mailbox in RAM through which an application asks for the loader (docs/boot-rules.md, Handoff). Plain bytes in
//! and out; the place of the mailbox is the board's.

use crate::checksum::checksum;

/// Bytes of the mailbox; it keeps its content across a reset and is cleared once it was read.
pub const MAILBOX_LEN: usize = 16;
const MAGIC: [u8; 8] = *b"ANCHRMB1";
const PROGRAMMING_SESSION: u8 = 1;

/// A request of the application to the loader, across a reset.
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
        let [c0, c1, c2, c3] = checksum(&[&content]).to_be_bytes();
        [m0, m1, m2, m3, m4, m5, m6, m7, PROGRAMMING_SESSION, u8::from(answer), 0, 0, c0, c1, c2, c3]
    }

    /// Reads a mailbox; RAM that was never written, or decayed, is no request.
    #[must_use]
    pub fn decode(mailbox: &[u8; MAILBOX_LEN]) -> Option<Self> {
        let (content, crc) = mailbox.split_last_chunk::<4>()?;
        if checksum(&[content]) != u32::from_be_bytes(*crc) {
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

#[cfg(test)]
mod tests;
