//! STM32F407xG as a board: Cortex-M4F at 168 MHz, CAN1 (bxCAN) at 500 kbit/s on PD0 and PD1, 1 MiB of flash in uneven
//! sectors, a crystal of 8 MHz. Sections are those of RM0090, revision 19. docs/boards.md says what ran where.
//!
//! The registers are constants over one volatile wrapper and no peripheral access crate: the loader needs seven
//! peripherals, and the crate for this family compiles a hundred of them for each build.
#![no_std]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

use bootloader::layout::{Layout, Part, Region, Regions, Sectors};
pub use stm32f407_layout as memory_map;

#[cfg(all(target_os = "none", feature = "loader"))]
mod board;
#[cfg(target_os = "none")]
mod can;
#[cfg(target_os = "none")]
mod flash;
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

/// The sectors of the part (3.4, table 5).
pub const PART: Part<'_> = Part {
    sectors: &[
        Sectors { count: 4, len: 16 * 1024 },
        Sectors { count: 1, len: 64 * 1024 },
        Sectors { count: 7, len: 128 * 1024 },
    ],
    erased: 0xFF,
};

/// The layout as the loader library takes it.
pub const LAYOUT: Layout = match Layout::on(
    &PART,
    Regions {
        base: memory_map::FLASH_START,
        page: memory_map::PAGE_LEN,
        stored: Region::of(memory_map::STORED),
        journal: Region::of(memory_map::JOURNAL),
        progress: Region::of(memory_map::PROGRESS),
        slot_a: Region::of(memory_map::SLOT_A),
        slot_b: Region::of(memory_map::SLOT_B),
        ram: Region { start: memory_map::RAM_START, len: memory_map::APP_RAM_LEN },
    },
) {
    Ok(layout) => layout,
    Err(error) => panic!("{}", error.words()),
};

const _: () = assert!(LAYOUT.image_address() == memory_map::IMAGE_START);
const _: () = assert!(LAYOUT.image_capacity() == memory_map::IMAGE_LEN_MAX);
const _: () = assert!(LAYOUT.flash_len() == memory_map::FLASH_LEN);
const _: () = assert!(LAYOUT.journal_parts() == 3);
