//! Peripherals that are the same in all STM32 with a Cortex-M4: a clock (TIM2), the watchdog (IWDG) and the unique id.
#![no_std]
#![cfg(target_os = "none")]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod clock;
pub mod unique_id;
pub mod watchdog;
