//! Requests as bytes.

use core::fmt;

use super::super::{MAX_IDENTIFIERS, SUPPRESS_POSITIVE, Session, sid};

const HARD_RESET: u8 = 1;
const START_ROUTINE: u8 = 1;
const NO_COMPRESSION_NO_ENCRYPTION: u8 = 0;
/// Four bytes of size, four of address.
const FOUR_AND_FOUR: u8 = 0x44;

/// A request of an update.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request<'a> {
    /// `10`
    Session(Session),
    /// `11 01`
    HardReset,
    /// `22`, 1 to [`MAX_IDENTIFIERS`] of them.
    Read(&'a [u16]),
    /// `31 01`
    StartRoutine {
        /// Routine identifier.
        routine: u16,
        /// Parameters of the routine.
        option: &'a [u8],
    },
    /// `34 00 44`
    Download {
        /// Names the object ([`crate::profile::Object::address`]).
        address: u32,
        /// Its bytes.
        size: u32,
    },
    /// `36`
    Transfer {
        /// 1 for the first block, then one more each, 255 is followed by 0.
        counter: u8,
        /// At least one byte.
        data: &'a [u8],
    },
    /// `37`
    TransferExit,
    /// `3E`
    TesterPresent {
        /// Whether an answer is wanted.
        answer: bool,
    },
}

/// Why a request has no bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestError {
    /// The buffer is too short.
    NoRoom,
    /// None, or more than [`MAX_IDENTIFIERS`].
    Identifiers(usize),
    /// A block has at least one byte.
    EmptyBlock,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom => f.write_str("the request does not fit its buffer"),
            Self::Identifiers(count) => {
                write!(f, "a request reads 1 to {MAX_IDENTIFIERS} data identifiers, not {count}")
            }
            Self::EmptyBlock => f.write_str("a block of a transfer has at least one byte"),
        }
    }
}

impl core::error::Error for RequestError {}

impl Request<'_> {
    /// Writes the request to the front of `buffer` and returns that part.
    ///
    /// # Errors
    /// [`RequestError`]
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], RequestError> {
        let mut len: usize = 0;
        let mut put = |bytes: &[u8]| {
            let end = len.checked_add(bytes.len()).ok_or(RequestError::NoRoom)?;
            buffer.get_mut(len..end).ok_or(RequestError::NoRoom)?.copy_from_slice(bytes);
            len = end;
            Ok(())
        };
        match *self {
            Self::Session(session) => put(&[sid::SESSION, session as u8])?,
            Self::HardReset => put(&[sid::RESET, HARD_RESET])?,
            Self::Read(identifiers) => {
                if identifiers.is_empty() || identifiers.len() > MAX_IDENTIFIERS {
                    return Err(RequestError::Identifiers(identifiers.len()));
                }
                put(&[sid::READ])?;
                identifiers.iter().try_for_each(|identifier| put(&identifier.to_be_bytes()))?;
            }
            Self::StartRoutine { routine, option } => {
                put(&[sid::ROUTINE, START_ROUTINE])?;
                put(&routine.to_be_bytes())?;
                put(option)?;
            }
            Self::Download { address, size } => {
                put(&[sid::DOWNLOAD, NO_COMPRESSION_NO_ENCRYPTION, FOUR_AND_FOUR])?;
                put(&address.to_be_bytes())?;
                put(&size.to_be_bytes())?;
            }
            Self::Transfer { counter, data } => {
                if data.is_empty() {
                    return Err(RequestError::EmptyBlock);
                }
                put(&[sid::TRANSFER, counter])?;
                put(data)?;
            }
            Self::TransferExit => put(&[sid::TRANSFER_EXIT])?,
            Self::TesterPresent { answer } => {
                put(&[sid::TESTER_PRESENT, if answer { 0 } else { SUPPRESS_POSITIVE }])?;
            }
        }
        buffer.get(..len).ok_or(RequestError::NoRoom)
    }
}
