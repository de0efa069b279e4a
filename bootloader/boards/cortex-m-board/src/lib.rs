//! What the loaders of Cortex-M boards share (ARMv7-M): functions for memory, device registers, memory protection, the
//! jump into an application, and linker scripts for build scripts (`linker`).
#![no_std]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

#[cfg(feature = "host")]
extern crate std;

#[cfg(all(target_os = "none", feature = "loader"))]
pub mod handover;
#[cfg(feature = "host")]
pub mod linker;
#[cfg(all(target_os = "none", feature = "loader"))]
mod memory;
#[cfg(target_os = "none")]
pub mod mmio;
#[cfg(target_os = "none")]
pub mod protection;
