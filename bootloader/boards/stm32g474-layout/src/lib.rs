//! The memory map of an STM32G474xE (RM0440, 2.2 and 3.3.1 with DBANK = 1; 2.4 for RAM). A flash region is (offset from [`FLASH_START`],
//! length), in bytes.
//!
//! Bank 1 holds the loader and slot A, bank 2 everything that is written while one of them runs: a program goes on while
//! the other bank is erased. A swap alone writes to bank 1; where the banks are exchanged, installs to slot A do.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

/// Where the loader is linked and starts: bank 1.
pub const LOADER_START: u32 = 0x0800_0000;
/// Bytes the loader may occupy. As many has the securable area, if the option bytes set one up ([`SECURED_PAGES`]).
pub const LOADER_LEN: u32 = 64 * 1024;
/// Pages of the securable area that hides the loader (SEC_SIZE1).
pub const SECURED_PAGES: u32 = LOADER_LEN / PAGE_LEN;

/// Bytes that are erased at once.
pub const PAGE_LEN: u32 = 2048;
/// Bytes that are programmed at once; they share an ECC.
pub const WORD_LEN: usize = 8;
/// Bytes of a bank.
pub const BANK_LEN: u32 = 256 * 1024;
/// Address of offset 0.
pub const FLASH_START: u32 = LOADER_START + LOADER_LEN;
/// Bytes from there to the end of what the layout uses. After it lie 34 KiB for data of the application. Where the banks
/// are exchanged, 36 KiB lie before slot B.
pub const FLASH_LEN: u32 = SLOT_B.0 + SLOT_B.1;

/// The slot that runs: the rest of bank 1.
pub const SLOT_A: (u32, u32) = (0, BANK_LEN - LOADER_LEN);
/// The two halves of the stored objects.
pub const STORED: (u32, u32) = (SLOT_A.1, 8 * PAGE_LEN);
/// The three parts of the journal.
pub const JOURNAL: (u32, u32) = (STORED.0 + STORED.1, 3 * PAGE_LEN);
/// The marks of progress: 48 bytes for each page of a slot and more.
pub const PROGRESS: (u32, u32) = (JOURNAL.0 + JOURNAL.1, 3 * PAGE_LEN);
/// The slot that receives: one page more than slot A.
pub const SLOT_B: (u32, u32) = (PROGRESS.0 + PROGRESS.1, SLOT_A.1 + PAGE_LEN);

/// The same slot where the banks are exchanged (feature `bank-switch` of the board): at the offset of slot A in its bank.
pub const SLOT_B_IN_BANK_2: (u32, u32) = (SLOT_A.0 + BANK_LEN, SLOT_A.1);

/// Bytes of a slot before its image: the envelope.
pub const HEAD_LEN: u32 = 4096;
/// Address of the image in slot A, where an application is linked.
pub const IMAGE_START: u32 = FLASH_START + SLOT_A.0 + HEAD_LEN;
/// Largest image in bytes.
pub const IMAGE_LEN_MAX: u32 = SLOT_A.1 - HEAD_LEN;

/// First byte of RAM, and the lowest a stack may reach.
pub const RAM_START: u32 = 0x2000_0000;
/// Bytes of SRAM1 and SRAM2. The CCM SRAM is left to the application.
pub const RAM_LEN: u32 = 96 * 1024;
/// Bytes of the mailbox between application and loader, at the end of SRAM2, which has no parity.
pub const MAILBOX_LEN: u32 = 64;
/// Address of the mailbox.
pub const MAILBOX_START: u32 = RAM_START + RAM_LEN - MAILBOX_LEN;
/// Bytes of RAM the loader is linked for, its stack included.
pub const LOADER_RAM_LEN: u32 = 18 * 1024;
/// Bytes of them that are stack.
pub const LOADER_STACK_LEN: u32 = 11 * 1024;
/// Bytes of RAM an application is linked for, its stack included.
pub const APP_RAM_LEN: u32 = RAM_LEN - MAILBOX_LEN;
/// Bytes of them that are stack, for the demo application.
pub const APP_STACK_LEN: u32 = 16 * 1024;
