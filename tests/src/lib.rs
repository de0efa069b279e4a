//! Harness and scenarios over all products: emulated flash, the board in QEMU, and whole pipelines.
#![forbid(unsafe_code)]

pub mod addresses;
pub mod demonstration;
pub mod device;
pub mod factory;
pub mod parent_death;
pub mod power;
pub mod qemu;
pub mod xtask;

pub use flash_model as flash;
