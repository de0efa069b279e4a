//! The memory map of the emulated board. Its drivers, the linker scripts of loader and application (`linker`), the
//! simulator and the emulator's launcher take every address from here; docs/flash-layout.md describes the regions.
//! A flash region is (offset in the flash array, length), in bytes.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

#[cfg(feature = "host")]
pub mod linker;

/// Where the loader is linked and starts.
pub const LOADER_START: u32 = 0x0000_0000;
/// Bytes the loader may occupy.
pub const LOADER_LEN: u32 = 64 * 1024;

/// Address of offset 0 of the flash array.
pub const FLASH_START: u32 = 0x2100_0000;
/// Bytes of the flash array.
pub const FLASH_LEN: u32 = 0x11_1000;
/// Bytes that are erased at once.
pub const FLASH_PAGE_LEN: u32 = 4096;
/// The two halves of the stored objects.
pub const STORED: (u32, u32) = (0x0_0000, 0x4000);
/// The three parts of the journal.
pub const JOURNAL: (u32, u32) = (0x0_4000, 0x3000);
/// The marks of progress.
pub const PROGRESS: (u32, u32) = (0x0_8000, 0x2000);
/// The slot that runs.
pub const SLOT_A: (u32, u32) = (0x1_0000, 0x8_0000);
/// The slot that receives: one page more.
pub const SLOT_B: (u32, u32) = (0x9_0000, 0x8_1000);

/// Bytes of a slot before its image: the envelope.
pub const HEAD_LEN: u32 = 4096;
/// Address of the image in slot A, where an application is linked.
pub const IMAGE_START: u32 = FLASH_START + SLOT_A.0 + HEAD_LEN;
/// Largest image in bytes.
pub const IMAGE_LEN_MAX: u32 = SLOT_A.1 - HEAD_LEN;
/// Where the descriptor of a demo application lies in its image: after the vectors of a Cortex-M4.
pub const APP_DESCRIPTOR_OFFSET: u32 = 0x400;
/// Bytes of that descriptor.
pub const APP_DESCRIPTOR_LEN: u32 = 52;

/// First byte of RAM, and the lowest a stack may reach: below lies nothing, and a guard (src/guard.rs).
pub const RAM_START: u32 = 0x2000_0000;
/// Bytes of RAM that loader and application use.
pub const RAM_LEN: u32 = 64 * 1024;
/// Bytes of the mailbox between application and loader, at the end of RAM. Neither's linker places anything there.
pub const MAILBOX_LEN: u32 = 64;
/// Address of the mailbox.
pub const MAILBOX_START: u32 = RAM_START + RAM_LEN - MAILBOX_LEN;
/// Address of the word that stands for the reset cause of a chip, after the 32 bytes of the mailbox proper.
pub const RESET_CAUSE_START: u32 = MAILBOX_START + 32;
/// Bytes of RAM the loader is linked for, its stack included.
pub const LOADER_RAM_LEN: u32 = 18 * 1024;
/// Bytes of them that are stack. The deepest use is read from the painted stack after a whole life (board_smoke.rs), and
/// 512 bytes more have to be free.
pub const LOADER_STACK_LEN: u32 = 11 * 1024;
/// Where the emulator lays down what is a unique id in a chip, 8 bytes: in RAM that no program is linked for. A reset
/// lays it down again.
pub const UNIQUE_ID_START: u32 = RAM_START + (1 << 20);
/// Bytes of RAM the application is linked for, its stack included.
pub const APP_RAM_LEN: u32 = RAM_LEN - MAILBOX_LEN;
/// Bytes of them that are stack.
pub const APP_STACK_LEN: u32 = 16 * 1024;
