//! The board as its loader sees it: a description, and drivers.

use bootloader::Entry;
use bootloader::board::Board;
use bootloader::layout::{Layout, Region};
use bootloader::mailbox::{Listening, MAILBOX_LEN, ResetCause};
use cortex_m_board::{handover, variant};
use stm32_support::unique_id;
use update_protocol::isotp::Config;

use crate::machine::{Flash, MAILBOX, Machine};
use crate::memory_map::{CODE, VECTORS};
use crate::rcc::handover as rcc;
use crate::{LAYOUT, flash};

/// The three words of the unique id (39.1).
const UNIQUE_ID: usize = 0x1FFF_7A10;

impl Board for Machine {
    type Flash = Flash;
    type Profile = variant::Profile;
    type Authority = variant::Authority;
    type Reports = variant::Reports;

    const LOADER_VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LAYOUT: Layout = LAYOUT;
    const LOADER: &'static [Region] =
        &[Region { start: VECTORS.0, len: VECTORS.1 }, Region { start: CODE.0, len: CODE.1 }];
    /// 16 of the core and 82 interrupts (12.2, table 61).
    const VECTORS: u32 = 16 + 82;
    /// No delay at power-up, ten seconds for an application that dies.
    const LISTENING: Listening = Listening::DEFAULT;
    const CAN: Config = Config::classic();

    fn mailbox(&mut self) -> [u8; MAILBOX_LEN] {
        MAILBOX.get()
    }

    fn put_mailbox(&mut self, content: &[u8; MAILBOX_LEN]) {
        MAILBOX.put(content);
    }

    fn take_reset_cause(&mut self) -> ResetCause {
        rcc::take_reset_cause()
    }

    fn unique_id(&mut self) -> u64 {
        // SAFETY: the address of this part.
        unsafe { unique_id::folded(UNIQUE_ID) }
    }

    fn power_up_flash(&mut self) -> Option<Self::Flash> {
        // SAFETY: called once.
        Some(unsafe { self.take_flash() })
    }

    /// Locks the controller, which an application unlocks again. The part protects sectors by option bytes only
    /// (docs/boards.md).
    fn lock(&mut self) {
        flash::lock();
    }

    fn jump(&mut self, entry: Entry) -> ! {
        rcc::stop();
        handover::jump(&mut self.peripherals, entry)
    }

    fn reset(&mut self) -> ! {
        self.reset_now()
    }

    /// The flash of this part always comes up.
    fn halt(&mut self) -> ! {
        self.reset_now()
    }
}
