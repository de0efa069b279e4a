//! The board as its programs see it: start it, serve the bus, hand over, reset.

use bootloader::device::Drivers;
use cortex_m::peripheral::{Peripherals, SCB};
use cortex_m_board::Program;
use update_protocol::can::Frame;

use crate::can_uart::CanUart;
use crate::clock::Clock;
use crate::{guard, mailbox, watchdog};

/// The running board.
pub struct Machine {
    can: CanUart,
    clock: Clock,
    #[cfg(feature = "loader")]
    pub(crate) peripherals: Peripherals,
}

impl Machine {
    /// Brings up watchdog, protection, clock and CAN controller.
    ///
    /// # Safety
    /// To be called once, as the first thing of a program that is `program`.
    #[must_use]
    pub unsafe fn start(program: Program) -> Self {
        watchdog::start();
        // SAFETY: the caller calls this once, so these are the only ones.
        let mut peripherals = unsafe { Peripherals::steal() };
        guard::protect(&mut peripherals.MPU, program);
        let clock = Clock::start();
        Self {
            can: CanUart::start(),
            clock,
            #[cfg(feature = "loader")]
            peripherals,
        }
    }

    /// The CAN controller.
    #[must_use]
    pub fn can(&self) -> &CanUart {
        &self.can
    }

    /// Ends the program.
    pub fn reset(&mut self) -> ! {
        mailbox::announce_reset();
        SCB::sys_reset()
    }

    /// There is nothing left to do; the watchdog resets in the end.
    pub fn halt(&mut self) -> ! {
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
        self.clock.expect_wake_up();
        self.can.acknowledge();
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
