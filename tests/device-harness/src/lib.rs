//! A device for tests: the loader library over the flash model, and a manufacturer with keys, envelopes and images.
#![forbid(unsafe_code)]
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

pub mod device;
pub mod factory;
pub mod part;
pub mod power;
pub mod succession;
