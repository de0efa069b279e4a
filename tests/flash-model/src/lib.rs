//! A NOR flash that holds its user to the contract: a word is programmed once between two erases of its sector, an
//! erase takes whole sectors, reads are aligned. It counts operations and loses power at any one of them; what the cut
//! leaves may read torn, erased, otherwise at the next cut, or not at all. It fails in the other ways that a flash
//! does, too: a driver that reports an error or reports success of what did not happen, once or for good, at any
//! operation; words that decay at rest; sectors that wear out. A part may have more than one chip, uneven sectors,
//! another value of an erased byte, and erased words that fault when they are read.
//!
//! One operation is one word programmed or one sector erased: what the medium does without being interruptible
//! from outside.
#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc, reason = "a test that holds the model wrong panics")]

mod fault;
mod medium;
mod nor;
mod part;
mod random;

pub use fault::{Cut, Decay, Fault, Operation};
pub use medium::Medium;
pub use nor::{ModelError, Nor};
pub use part::Chip;
pub use random::Random;

#[cfg(test)]
mod tests;
