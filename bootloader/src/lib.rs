//! The loader as a library: where things lie in flash, the journal, the boot rules, installing, swapping, and the
//! bus session. A board brings a flash driver, a CAN controller and the jump; docs/boot-rules.md and
//! docs/flash-layout.md describe the rest.
//!
//! Heap-free, `no_std`, no `unsafe`. Without the feature `loader` only the part an application needs is built:
//! the flash door, the journal, confirming, and the mailbox to the loader.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
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

pub mod flash;
pub mod handoff;
pub mod journal;
pub mod layout;
pub mod state;
pub mod swap;

#[cfg(test)]
#[path = "../../tests/src/flash.rs"]
mod flash_model;
