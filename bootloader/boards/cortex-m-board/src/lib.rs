//! What the loaders of Cortex-M boards share (ARMv7-M): functions for memory, device registers, memory protection, RAM
//! that outlives a reset, and the jump into an application.
#![no_std]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

#[cfg(all(target_os = "none", feature = "reset-on-fault"))]
mod fault;
#[cfg(all(target_os = "none", feature = "loader"))]
pub mod handover;
// ARMv6-M has no conditional instructions: those of compiler_builtins serve there.
#[cfg(all(target_os = "none", feature = "loader", not(armv6m)))]
mod memory;
#[cfg(target_os = "none")]
pub mod mmio;
#[cfg(target_os = "none")]
pub mod protection;
#[cfg(target_os = "none")]
pub mod retained;
