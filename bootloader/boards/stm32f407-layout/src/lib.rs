//! The memory map of an STM32F407xG (RM0090, tables 1 and 5). A flash region is (offset in flash, length), in bytes.
//!
//! Twelve sectors: 0 to 3 of 16 KiB, 4 of 64 KiB, 5 to 11 of 128 KiB. The loader has sectors 0 (vectors) and 4 (code).

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

/// Address of offset 0 of the flash.
pub const FLASH_START: u32 = 0x0800_0000;
/// Bytes of the flash.
pub const FLASH_LEN: u32 = 1024 * KIB;
/// Bytes of the largest sector: what a swap moves at once.
pub const PAGE_LEN: u32 = 128 * KIB;
const KIB: u32 = 1024;

/// Sector 0: the vectors, where the core starts. Address and length.
pub const VECTORS: (u32, u32) = (FLASH_START, 16 * KIB);
/// Sector 4: the loader's code and constants. Address and length.
pub const CODE: (u32, u32) = (FLASH_START + 64 * KIB, 64 * KIB);

/// Sectors 1 to 3: the three parts of the journal.
pub const JOURNAL: (u32, u32) = (16 * KIB, 48 * KIB);
/// No sector is left for marks: each step is a record of the journal.
pub const PROGRESS: (u32, u32) = (64 * KIB, 0);
/// Sectors 5 and 6: the two halves of the stored objects.
pub const STORED: (u32, u32) = (128 * KIB, 256 * KIB);
/// Sectors 7 and 8: the slot that runs.
pub const SLOT_A: (u32, u32) = (384 * KIB, 256 * KIB);
/// Sectors 9 to 11: the slot that receives, one page more.
pub const SLOT_B: (u32, u32) = (640 * KIB, 384 * KIB);

/// Bytes of a slot before its image: the envelope.
pub const HEAD_LEN: u32 = 4 * KIB;
/// Address of the image in slot A, where an application is linked.
pub const IMAGE_START: u32 = FLASH_START + SLOT_A.0 + HEAD_LEN;
/// Largest image in bytes.
pub const IMAGE_LEN_MAX: u32 = SLOT_A.1 - HEAD_LEN;

/// First byte of RAM (SRAM1 and SRAM2, which lie one after the other), and the lowest a stack may reach.
pub const RAM_START: u32 = 0x2000_0000;
/// Bytes of RAM.
pub const RAM_LEN: u32 = 128 * KIB;
/// Bytes at the end of RAM that no program's linker places anything in: the mailbox, and room after it.
pub const MAILBOX_LEN: u32 = 64;
/// Address of the mailbox.
pub const MAILBOX_START: u32 = RAM_START + RAM_LEN - MAILBOX_LEN;
/// Bytes of RAM an application may use.
pub const APP_RAM_LEN: u32 = RAM_LEN - MAILBOX_LEN;
/// Bytes of RAM the loader is linked for, its stack included.
pub const LOADER_RAM_LEN: u32 = 18 * KIB;
/// Bytes of them that are stack.
pub const LOADER_STACK_LEN: u32 = 11 * KIB;
/// Bytes of RAM of the demo application that are stack.
pub const APP_STACK_LEN: u32 = 16 * KIB;
