//! QEMU's mps2-an386 as a board: a Cortex-M4F whose flash is emulated in PSRAM and whose CAN controller is a UART
//! that speaks slcan. Loader and demo application share these drivers. docs/boards.md says how to run it.
//!
//! All that is unsafe in this project is in the boards; every such line says why it is sound.
#![no_std]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

use bootloader::layout::{Layout, Region, Regions};
pub use qemu_mps2_layout as layout;

#[cfg(all(target_os = "none", feature = "loader"))]
mod board;
#[cfg(target_os = "none")]
mod can_uart;
#[cfg(target_os = "none")]
mod clock;
#[cfg(target_os = "none")]
mod fault;
#[cfg(target_os = "none")]
mod guard;
#[cfg(target_os = "none")]
pub mod machine;
#[cfg(target_os = "none")]
pub mod mailbox;
#[cfg(target_os = "none")]
pub mod psram;
#[cfg(target_os = "none")]
mod watchdog;

const fn region((start, len): (u32, u32)) -> Region {
    Region { start, len }
}

/// The layout as the loader library takes it.
pub const LAYOUT: Layout = match Layout::new(Regions {
    base: layout::FLASH_START,
    page: layout::FLASH_PAGE_LEN,
    stored: region(layout::STORED),
    journal: region(layout::JOURNAL),
    progress: region(layout::PROGRESS),
    slot_a: region(layout::SLOT_A),
    slot_b: region(layout::SLOT_B),
    ram: Region { start: layout::RAM_START, len: layout::APP_RAM_LEN },
}) {
    Ok(layout) => layout,
    Err(error) => panic!("{}", error.words()),
};

const _: () = assert!(LAYOUT.image_address() == layout::IMAGE_START);
const _: () = assert!(LAYOUT.image_capacity() == layout::IMAGE_LEN_MAX);
const _: () = assert!(LAYOUT.flash_len() == layout::FLASH_LEN);
