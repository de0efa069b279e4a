//! ISO-TP (ISO 15765-2:2016): messages of up to 4 GiB in frames of 8 to 64 bytes, both directions at once.
//!
//! [`Link`] is one pair of identifiers: a receiver, a sender, and a one-frame mailbox for what is addressed to
//! all (functional). Lengths are checked before anything is stored, so a hostile first frame costs nothing.

mod addressing;
mod config;
mod link;
mod pdu;
mod receive;
mod told;
mod transmit;

pub use addressing::{Addressing, AddressingError, CanopenService};
pub use config::{Config, StMin};
pub use link::{BorrowedLink, Link, Target};

/// N_As and N_Ar: a frame that the bus does not take for this long ends the transfer.
pub const N_A_US: u64 = 1_000_000;
/// N_Bs: how long a sender waits for a flow control.
pub const N_BS_US: u64 = 1_000_000;
/// N_Cr: how long a receiver waits for the next consecutive frame.
pub const N_CR_US: u64 = 1_000_000;
/// N_WFTmax: how many flow controls in a row may say "wait".
pub const MAX_WAIT_FRAMES: u8 = 16;
/// The padding byte of ISO 15765-2 (a pattern with few stuff bits).
pub const PADDING: u8 = 0xCC;

/// A time that does not come: nothing is waited for.
pub(crate) const NEVER: u64 = u64::MAX;

/// `NEVER` as a device's interface says it.
pub(crate) const fn due(at_us: u64) -> Option<u64> {
    if at_us == NEVER { None } else { Some(at_us) }
}

/// The time that long after `now_us`, µs. 64 bits of microseconds do not overflow: they last 584,000 years.
pub(crate) const fn after(now_us: u64, wait_us: u64) -> u64 {
    now_us.wrapping_add(wait_us)
}

/// Why a reception ended without a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReceiveError {
    /// The first frame announced more than the buffer holds; answered with "overflow".
    TooLong {
        /// The announced length, bytes.
        announced: u32,
    },
    /// A consecutive frame was lost, repeated or out of order; answered with "overflow", so that the sender stops.
    SequenceNumber {
        /// The number that was due.
        expected: u8,
        /// The number that came.
        found: u8,
    },
    /// A single or first frame came in the middle; the new message is being received instead.
    Interrupted,
    /// No consecutive frame for [`N_CR_US`].
    ConsecutiveTimeout,
    /// The bus did not take the flow control for [`N_A_US`].
    BusTimeout,
    /// A first frame came while the last message was still being worked on; answered with "overflow".
    Busy,
}

/// Why a message was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransmitError {
    /// No flow control for [`N_BS_US`].
    FlowControlTimeout,
    /// The bus did not take a frame for [`N_A_US`].
    BusTimeout,
    /// The receiver has no room for the message.
    Overflow,
    /// The receiver said "overflow" in the middle of the message: it lost a frame and has given the message up.
    FrameLost,
    /// More than [`MAX_WAIT_FRAMES`] flow controls said "wait".
    WaitLimit,
    /// The flow control says something that is none of continue, wait, overflow.
    FlowStatus(u8),
}

/// Why a message was not taken for sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendError {
    /// The last message is still on its way.
    Busy,
    /// A message has at least one byte.
    Empty,
    /// The message does not fit the transmit buffer.
    TooLong {
        /// Size of the buffer, bytes.
        capacity: usize,
    },
    /// A functional message has to fit one frame, and the link needs a functional identifier.
    NotFunctional,
}

impl core::fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLong { announced } => write!(f, "a message of {announced} bytes is too long to receive"),
            Self::SequenceNumber { expected, found } => {
                write!(f, "a frame was lost: consecutive frame {found:X} instead of {expected:X}")
            }
            Self::Interrupted => f.write_str("another message began before this one was complete"),
            Self::ConsecutiveTimeout => f.write_str("the rest of the message did not come in time (N_Cr)"),
            Self::BusTimeout => f.write_str("the bus did not take the flow control in time (N_Ar)"),
            Self::Busy => f.write_str("a message came while the last one was being worked on"),
        }
    }
}

impl core::fmt::Display for TransmitError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::FlowControlTimeout => {
                f.write_str("the receiver did not answer the first frame in time (N_Bs)")
            }
            Self::BusTimeout => f.write_str("the bus did not take the frame in time (N_As)"),
            Self::Overflow => f.write_str("the receiver has no room for the message"),
            Self::FrameLost => f.write_str("the receiver lost a frame of the message"),
            Self::WaitLimit => write!(f, "the receiver asked to wait more than {MAX_WAIT_FRAMES} times"),
            Self::FlowStatus(status) => write!(f, "the receiver sent the reserved flow status {status:X}"),
        }
    }
}

impl core::fmt::Display for SendError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Busy => f.write_str("the last message is still being sent"),
            Self::Empty => f.write_str("a message has at least one byte"),
            Self::TooLong { capacity } => write!(f, "the message is longer than {capacity} bytes"),
            Self::NotFunctional => f.write_str("a message to all devices has to fit one frame"),
        }
    }
}

impl core::error::Error for ReceiveError {}
impl core::error::Error for TransmitError {}
impl core::error::Error for SendError {}

#[cfg(test)]
mod tests;
