//! The memory maps of the emulated boards: machines of ARM's MPS2 family, as QEMU has them. Drivers, the linker scripts
//! of loader and application (`linker`), the simulator and the emulator's launcher take every address from here;
//! docs/flash-layout.md describes the regions. The flash array and the lengths are those of all machines; a
//! [`Machine`] has the addresses. A flash region is (offset in the flash array, length), in bytes.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

#[cfg(feature = "host")]
extern crate std;

#[cfg(feature = "host")]
pub mod linker;

/// A machine: its addresses, its clock and its interrupt lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Machine {
    /// Name of the FPGA image, and of the features that choose it; QEMU's machine is `mps2-` and this.
    pub name: &'static str,
    /// The core.
    pub core: &'static str,
    /// The target of rustc for its programs.
    pub target: &'static str,
    /// Where the loader is linked and starts.
    pub loader_start: u32,
    /// Address of offset 0 of the flash array: the PSRAM.
    pub flash_start: u32,
    /// First byte of RAM, and the lowest a stack may reach: below lies nothing, and a guard.
    pub ram_start: u32,
    /// CMSDK UART 0, the CAN controller.
    pub uart: u32,
    /// CMSDK timer 0, which ends a sleep.
    pub sleep_timer: u32,
    /// CMSDK timer 1, the clock.
    pub clock_timer: u32,
    /// CMSDK watchdog.
    pub watchdog: u32,
    /// Frequency of timers and watchdog.
    pub peripheral_mhz: u32,
    /// Interrupt lines of the UART, both directions.
    pub uart_interrupts: [u16; 2],
    /// Interrupt line of timer 0.
    pub sleep_interrupt: u16,
}

/// Cortex-M4F.
pub const AN386: Machine = Machine {
    name: "an386",
    core: "Cortex-M4F",
    target: "thumbv7em-none-eabihf",
    loader_start: 0x0000_0000,
    flash_start: 0x2100_0000,
    ram_start: 0x2000_0000,
    uart: 0x4000_4000,
    sleep_timer: 0x4000_0000,
    clock_timer: 0x4000_1000,
    watchdog: 0x4000_8000,
    peripheral_mhz: 25,
    uart_interrupts: [0, 1],
    sleep_interrupt: 8,
};
/// Cortex-M3.
pub const AN385: Machine =
    Machine { name: "an385", core: "Cortex-M3", target: "thumbv7m-none-eabi", ..AN386 };
/// Cortex-M7, with its PSRAM in the external memory of the architecture's map.
pub const AN500: Machine = Machine { name: "an500", core: "Cortex-M7", flash_start: 0x6000_0000, ..AN386 };
/// Cortex-M33, which starts in secure state and stays there: code, RAM and peripherals at their secure addresses.
pub const AN505: Machine = Machine {
    name: "an505",
    core: "Cortex-M33",
    target: "thumbv8m.main-none-eabi",
    loader_start: 0x1000_0000,
    flash_start: 0x8000_0000,
    ram_start: 0x3800_0000,
    uart: 0x5020_0000,
    sleep_timer: 0x5000_0000,
    clock_timer: 0x5000_1000,
    watchdog: 0x5008_1000,
    peripheral_mhz: 20,
    uart_interrupts: [32, 33],
    sleep_interrupt: 3,
};
/// The Cortex-M3 with the loader of a Cortex-M0, whose instructions it has too. QEMU has no machine with a Cortex-M0 and room
/// for a loader. For sizes; no test runs it.
pub const AN385_AS_M0: Machine = Machine { core: "Cortex-M0", target: "thumbv6m-none-eabi", ..AN385 };
/// All of them.
pub const MACHINES: [Machine; 4] = [AN385, AN386, AN500, AN505];

impl Machine {
    /// Address of the image in slot A, where an application is linked.
    #[must_use]
    pub const fn image_start(&self) -> u32 {
        self.flash_start + SLOT_A.0 + HEAD_LEN
    }

    /// Address of the image in slot B, where a second link of an application lies if images run in place.
    #[must_use]
    pub const fn second_image_start(&self) -> u32 {
        self.flash_start + SLOT_B_IN_PLACE.0 + HEAD_LEN
    }

    /// Address of the mailbox.
    #[must_use]
    pub const fn mailbox_start(&self) -> u32 {
        self.ram_start + RAM_LEN - MAILBOX_LEN
    }

    /// Address of the word that stands for the reset cause of a chip, after the 32 bytes of the mailbox proper.
    #[must_use]
    pub const fn reset_cause_start(&self) -> u32 {
        self.mailbox_start() + 32
    }

    /// Where the emulator lays down what is a unique id in a chip, 8 bytes: in RAM that no program is linked for. A
    /// reset lays it down again.
    #[must_use]
    pub const fn unique_id_start(&self) -> u32 {
        self.ram_start + (1 << 20)
    }
}

/// Bytes the loader may occupy.
pub const LOADER_LEN: u32 = 64 * 1024;

/// Bytes of the flash array.
pub const FLASH_LEN: u32 = 0x14_0000;
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
/// The same on a board whose images run in place: as long as slot A.
pub const SLOT_B_IN_PLACE: (u32, u32) = (SLOT_B.0, SLOT_A.1);
/// Behind the firmware, where a loader has a table: the three parts of its journal.
pub const TABLE_JOURNAL: (u32, u32) = (0x11_1000, 0x3000);
/// The marks of its progress.
pub const TABLE_PROGRESS: (u32, u32) = (0x11_4000, 0x2000);
/// Its slots.
pub const TABLE_SLOTS: [(u32, u32); 2] = [(0x11_6000, 0x1_5000), (0x12_B000, 0x1_5000)];

/// Bytes of a slot before its image: the envelope.
pub const HEAD_LEN: u32 = 4096;
/// Largest image in bytes.
pub const IMAGE_LEN_MAX: u32 = SLOT_A.1 - HEAD_LEN;
/// Vectors of an application's table, those of the core included.
pub const APP_VECTORS: u32 = 256;
/// Where the descriptor of a demo application lies in its image: after the vectors.
pub const APP_DESCRIPTOR_OFFSET: u32 = APP_VECTORS * 4;
/// Bytes of that descriptor.
pub const APP_DESCRIPTOR_LEN: u32 = 52;

/// Bytes of RAM that loader and application use.
pub const RAM_LEN: u32 = 64 * 1024;
/// Bytes of the mailbox between application and loader, at the end of RAM. Neither's linker places anything there.
pub const MAILBOX_LEN: u32 = 64;
/// Bytes of RAM the loader is linked for, its stack included.
pub const LOADER_RAM_LEN: u32 = 18 * 1024;
/// Bytes of them that are stack. The deepest use is read from the painted stack after a whole life (board_smoke.rs), and
/// 512 bytes more have to be free.
pub const LOADER_STACK_LEN: u32 = 11 * 1024;
/// Bytes more of both for a loader that decrypts: what it knows of an image that comes lies on the stack.
pub const DECRYPTING_STACK_LEN: u32 = 512;
/// Bytes of RAM the application is linked for, its stack included.
pub const APP_RAM_LEN: u32 = RAM_LEN - MAILBOX_LEN;
/// Bytes of them that are stack.
pub const APP_STACK_LEN: u32 = 16 * 1024;
