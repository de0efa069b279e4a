//! The running board.

use bootloader::device::Drivers;
use bootloader::flash::Supplied;
use bootloader::mailbox::Request;
use cortex_m::peripheral::{Peripherals, SCB};
use cortex_m_board::Program;
use cortex_m_board::mailbox::Mailbox;
use stm32_support::clock::Clock;
use stm32_support::watchdog;
use update_protocol::can::Frame;

use crate::fdcan::{self, Can};
use crate::memory_map::MAILBOX_START;
use crate::{banks, flash, guard, power, rcc};

// SAFETY: RAM that no linker script gives to anything else, a multiple of 4, with room for the mailbox.
pub(crate) const MAILBOX: Mailbox = unsafe { Mailbox::at(MAILBOX_START as usize) };

/// The flash, which erases and programs only while the supply is sufficient.
pub type Flash = Supplied<flash::Flash, fn() -> bool>;

/// The running board.
pub struct Machine {
    can: Can,
    clock: Clock,
    #[cfg(feature = "loader")]
    pub(crate) peripherals: Peripherals,
}

impl Machine {
    /// Brings up watchdog, protection, clocks, supply detector, timer and CAN controller.
    ///
    /// # Safety
    /// To be called once, as the first thing of a program that is `program`.
    #[must_use]
    pub unsafe fn start(program: Program) -> Self {
        watchdog::start();
        // SAFETY: the caller calls this once, so these are the only ones.
        let mut peripherals = unsafe { Peripherals::steal() };
        banks::start();
        guard::protect(&mut peripherals.MPU, program);
        let has_crystal = rcc::start();
        power::start();
        Self {
            clock: Clock::start(rcc::TIMER_MHZ, &fdcan::LINES),
            can: Can::start(!has_crystal),
            #[cfg(feature = "loader")]
            peripherals,
        }
    }

    /// The flash, unless the option bytes contradict the layout.
    ///
    /// # Safety
    /// To be called once.
    #[must_use]
    pub unsafe fn take_flash(&mut self) -> Option<Flash> {
        // SAFETY: the caller calls this once.
        let flash = unsafe { flash::Flash::take() }?;
        Some(Supplied::new(flash, power::is_sufficient))
    }

    /// The CAN controller.
    #[must_use]
    pub const fn can(&self) -> &Can {
        &self.can
    }

    /// An application's sign of life.
    pub fn say_alive(&mut self) {
        MAILBOX.say_alive();
    }

    /// Leaves a request of an application for the loader.
    pub fn ask(&mut self, request: Request) {
        MAILBOX.ask(request);
    }

    /// Ends the program.
    pub fn reset_now(&mut self) -> ! {
        SCB::sys_reset()
    }

    /// There is nothing left to do; the watchdog resets in the end.
    pub fn halt_now(&mut self) -> ! {
        loop {
            cortex_m::asm::wfi();
        }
    }
}

impl Drivers for Machine {
    fn feed_watchdog(&mut self) {
        watchdog::feed();
    }

    fn expect_wake_up(&mut self) {
        self.can.acknowledge();
        self.clock.expect_wake_up();
    }

    fn receive(&mut self) -> Option<Frame> {
        self.can.receive()
    }

    fn is_idle(&mut self) -> bool {
        self.can.is_idle()
    }

    fn transmit(&mut self, frame: &Frame) {
        self.can.transmit(frame);
    }

    fn now_us(&mut self) -> u64 {
        self.clock.now_us()
    }

    fn sleep_until(&mut self, deadline_us: Option<u64>) {
        self.clock.sleep_until(deadline_us);
    }
}
