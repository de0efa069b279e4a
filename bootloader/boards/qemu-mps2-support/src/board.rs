//! The board as its loader sees it: a description, and drivers.

use bootloader::Entry;
use bootloader::board::Board;
use bootloader::layout::{Layout, Region};
use bootloader::mailbox::{Listening, MAILBOX_LEN, ResetCause};
use cortex_m_board::variant;
use flash_array::FlashArray;
use update_protocol::isotp::Config;

use crate::layout::{APP_VECTORS, FLASH_LEN, LOADER_LEN};
use crate::machine::Machine;
use crate::psram::{self, Psram};
use crate::{LAYOUT, MACHINE, clock, mailbox};

impl Board for Machine {
    type Flash = psram::Flash;
    type Profile = variant::Profile;
    type Authority = variant::Authority;
    type Reports = variant::Reports;

    const LOADER_VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const LAYOUT: Layout = LAYOUT;
    #[cfg(feature = "table")]
    const TABLE: Option<Layout> = Some(crate::TABLE_LAYOUT);
    const LOADER: &'static [Region] = &[Region { start: MACHINE.loader_start, len: LOADER_LEN }];
    const VECTORS: u32 = APP_VECTORS;
    /// No delay at power-up, ten seconds for an application that dies.
    const LISTENING: Listening = Listening::DEFAULT;
    const CAN: Config = Config::classic();

    fn mailbox(&mut self) -> [u8; MAILBOX_LEN] {
        mailbox::MAILBOX.get()
    }

    fn put_mailbox(&mut self, content: &[u8; MAILBOX_LEN]) {
        mailbox::MAILBOX.put(content);
    }

    fn take_reset_cause(&mut self) -> ResetCause {
        mailbox::take_cause()
    }

    /// 0 if the emulator was given none.
    fn unique_id(&mut self) -> u64 {
        let place = core::ptr::with_exposed_provenance::<u64>(MACHINE.unique_id_start() as usize);
        // SAFETY: RAM that no program writes, and a multiple of 8.
        unsafe { place.read_volatile() }
    }

    fn power_up_flash(&mut self) -> Option<psram::Flash> {
        // SAFETY: called once, and nothing else of the loader touches the PSRAM.
        FlashArray::power_up(unsafe { Psram::take() }, FLASH_LEN).ok()
    }

    /// Nothing: the emulated flash has no write protection.
    fn lock(&mut self) {}

    fn jump(&mut self, entry: Entry) -> ! {
        clock::stop();
        cortex_m_board::handover::jump(&mut self.peripherals, entry)
    }

    fn reset(&mut self) -> ! {
        Self::reset(self)
    }

    fn halt(&mut self) -> ! {
        Self::halt(self)
    }
}
