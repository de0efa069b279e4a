//! The board as its loader sees it: a description, and drivers.

use bootloader::Entry;
use bootloader::board::Board;
use bootloader::layout::{Layout, Region};
use bootloader::mailbox::{Listening, MAILBOX_LEN, ResetCause};
use cortex_m_board::{handover, variant};
use stm32_support::unique_id;
use update_protocol::isotp::Config;

use crate::machine::{Flash, MAILBOX, Machine};
use crate::memory_map::{LOADER_LEN, LOADER_START};
use crate::{LAYOUT, flash, rcc};

/// The three words of the unique id (48.1).
const UNIQUE_ID: usize = 0x1FFF_7590;

impl Board for Machine {
    type Flash = Flash;
    type Profile = variant::Profile;
    type Authority = variant::Authority;
    type Reports = variant::Reports;

    const LOADER_VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LAYOUT: Layout = LAYOUT;
    const LOADER: &'static [Region] = &[Region { start: LOADER_START, len: LOADER_LEN }];
    /// 16 of the core and 102 interrupts (14.3, table 101).
    const VECTORS: u32 = 16 + 102;
    /// No delay at power-up, ten seconds for an application that dies.
    const LISTENING: Listening = Listening::DEFAULT;
    const CAN: Config = if cfg!(feature = "fd") { Config::fd(true) } else { Config::classic() };

    fn mailbox(&mut self) -> [u8; MAILBOX_LEN] {
        MAILBOX.get()
    }

    fn put_mailbox(&mut self, content: &[u8; MAILBOX_LEN]) {
        MAILBOX.put(content);
    }

    fn take_reset_cause(&mut self) -> ResetCause {
        rcc::handover::take_reset_cause()
    }

    fn unique_id(&mut self) -> u64 {
        // SAFETY: the address of this part.
        unsafe { unique_id::folded(UNIQUE_ID) }
    }

    fn power_up_flash(&mut self) -> Option<Self::Flash> {
        // SAFETY: called once.
        unsafe { self.take_flash() }
    }

    /// Locks the controller, which an application unlocks again. The loader itself is hidden from it by the jump, if the
    /// option bytes say so; the stored objects cannot be (docs/boards.md).
    fn lock(&mut self) {
        flash::lock();
    }

    fn jump(&mut self, entry: Entry) -> ! {
        rcc::handover::stop();
        #[cfg(not(feature = "bank-switch"))]
        handover::jump_by(&mut self.peripherals, entry, flash::leave);
        #[cfg(feature = "bank-switch")]
        handover::jump_with_bank(&mut self.peripherals, entry, flash::leave, crate::banks::switch)
    }

    fn reset(&mut self) -> ! {
        self.reset_now()
    }

    fn halt(&mut self) -> ! {
        self.halt_now()
    }
}
