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

use crate::can::Can;
use crate::flash::Controller;
use crate::memory_map::MAILBOX_START;
use crate::{can, guard, power, rcc};

// SAFETY: RAM that no linker script gives to anything else, a multiple of 4, with room for the mailbox.
pub(crate) const MAILBOX: Mailbox = unsafe { Mailbox::at(MAILBOX_START as usize) };

/// The flash, which erases and programs only while the supply is sufficient.
pub type Flash = Supplied<Controller, fn() -> bool>;

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
        guard::protect(&mut peripherals.MPU, program);
        rcc::start();
        power::start();
        Self {
            clock: Clock::start(rcc::TIMER_MHZ, &can::LINES),
            can: Can::start(),
            #[cfg(feature = "loader")]
            peripherals,
        }
    }

    /// The flash.
    ///
    /// # Safety
    /// To be called once.
    #[must_use]
    pub unsafe fn take_flash(&mut self) -> Flash {
        // SAFETY: the caller calls this once, and nothing else writes to the flash.
        Supplied::new(unsafe { Controller::take() }, power::is_sufficient)
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
}

impl Drivers for Machine {
    fn feed_watchdog(&mut self) {
        watchdog::feed();
    }

    fn expect_wake_up(&mut self) {
        // First the cause, then the pending interrupt.
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
