//! Scenarios over all products: `cargo xtask` as a person calls it, and addresses for tests side by side.
#![forbid(unsafe_code)]

pub mod addresses;
pub mod demonstration;
pub mod plain;
pub mod secrets;
pub mod xtask;
