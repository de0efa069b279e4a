//! STM32G474xE as a board: Cortex-M4F at 144 MHz, FDCAN1 at 500 kbit/s and 2 Mbit/s on PA11 and PA12, 512 KiB of flash
//! in two banks, a crystal of 24 MHz. Sections are those of RM0440, revision 8. docs/boards.md says what ran where.
//!
//! The registers are constants over one volatile wrapper and no peripheral access crate: the loader uses forty of them,
//! and the crates for this part compile ten thousand.
#![no_std]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

#[cfg(feature = "bank-switch")]
use bootloader::layout::Strategy;
use bootloader::layout::{Layout, LayoutError, Region, Regions};
pub use stm32g474_layout as memory_map;

#[cfg(target_os = "none")]
mod banks;
#[cfg(all(target_os = "none", feature = "loader"))]
mod board;
#[cfg(target_os = "none")]
mod ecc;
#[cfg(target_os = "none")]
mod fdcan;
#[cfg(target_os = "none")]
pub mod flash;
#[cfg(target_os = "none")]
mod guard;
#[cfg(target_os = "none")]
pub mod machine;
#[cfg(target_os = "none")]
mod power;
#[cfg(target_os = "none")]
mod rcc;
#[cfg(target_os = "none")]
mod registers;

#[cfg(not(feature = "bank-switch"))]
const SLOT_B: (u32, u32) = memory_map::SLOT_B;
#[cfg(feature = "bank-switch")]
const SLOT_B: (u32, u32) = memory_map::SLOT_B_IN_BANK_2;

const REGIONS: Regions = Regions {
    base: memory_map::FLASH_START,
    page: memory_map::PAGE_LEN,
    stored: Region::of(memory_map::STORED),
    journal: Region::of(memory_map::JOURNAL),
    progress: Region::of(memory_map::PROGRESS),
    slot_a: Region::of(memory_map::SLOT_A),
    slot_b: Region::of(SLOT_B),
    ram: Region { start: memory_map::RAM_START, len: memory_map::APP_RAM_LEN },
};

#[cfg(not(feature = "bank-switch"))]
const CHECKED: Result<Layout, LayoutError> = Layout::new(REGIONS);
#[cfg(feature = "bank-switch")]
const CHECKED: Result<Layout, LayoutError> =
    Layout::of(Strategy::BankSwitch { bank: memory_map::BANK_LEN }, None, REGIONS);

/// The layout as the loader library takes it.
pub const LAYOUT: Layout = match CHECKED {
    Ok(layout) => layout,
    Err(error) => panic!("{}", error.words()),
};

/// Bytes from offset 0 to the end of what the layout uses.
const FLASH_LEN: u32 = LAYOUT.flash_len();

const _: () = assert!(LAYOUT.image_address() == memory_map::IMAGE_START);
const _: () = assert!(LAYOUT.image_capacity() == memory_map::IMAGE_LEN_MAX);
const _: () = assert!(LAYOUT.journal_parts() == 3);
const _: () = assert!(memory_map::LOADER_LEN + FLASH_LEN <= 2 * memory_map::BANK_LEN);
