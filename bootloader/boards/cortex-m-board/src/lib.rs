//! What the programs of Cortex-M boards share: functions for memory, device registers, memory protection, the
//! mailbox in RAM that outlives a reset, and the jump into an application.
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
#[cfg(target_os = "none")]
pub mod mailbox;
// ARMv6-M has no conditional instructions: those of compiler_builtins serve there.
#[cfg(all(target_os = "none", feature = "loader", not(armv6m)))]
mod memory;
#[cfg(target_os = "none")]
pub mod mmio;
#[cfg(target_os = "none")]
pub mod protection;
#[cfg(target_os = "none")]
pub mod retained;
#[cfg(feature = "loader")]
pub mod variant;

/// The running program, which decides the memory that it may access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// Runs at reset.
    Loader,
    /// Runs in slot A.
    Application,
}

/// The interrupt vectors of a program that keeps interrupts masked, so that the core reads none of them. cortex-m-rt
/// requires one; a number makes the table longer.
#[macro_export]
macro_rules! masked_interrupts {
    () => {
        $crate::masked_interrupts!(1);
    };
    ($count:expr) => {
        unsafe extern "C" {
            fn DefaultHandler();
        }

        // SAFETY: the section of interrupt vectors, and a handler that resets.
        #[unsafe(link_section = ".vector_table.interrupts")]
        #[unsafe(no_mangle)]
        static __INTERRUPTS: [unsafe extern "C" fn(); $count] = [DefaultHandler; _];
    };
}
