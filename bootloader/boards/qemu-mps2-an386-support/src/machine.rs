//! The board as its programs see it: start it, serve the bus, hand over, reset.

use crate::can_uart::CanUart;
use crate::clock::Clock;
use crate::layout::UNIQUE_ID_START;
use crate::{guard, handover, watchdog};
use bootloader::handoff::Entry;
use cortex_m::peripheral::{Peripherals, SCB};
use update_protocol::isotp::BorrowedLink;
use update_protocol::uds::server::{Event, Handler, Server};

/// How long a reset waits for the last frame to leave the controller.
const LAST_FRAME_US: u64 = 100_000;

/// Which program runs; they differ in what they may touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// Runs at reset.
    Loader,
    /// Runs in slot A.
    Application,
}

/// Why serving came to an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// A tester asked for a reset, or for the other program.
    Reset,
    /// Nobody has spoken for so long that the session is over. Serving can go on.
    SessionExpired,
}

/// The number of this board that no other has; 0 if the emulator was given none.
#[must_use]
pub fn unique_id() -> u64 {
    let place = core::ptr::with_exposed_provenance::<u64>(UNIQUE_ID_START as usize);
    // SAFETY: RAM that no program writes, and a multiple of 8.
    unsafe { place.read_volatile() }
}

/// The running board.
pub struct Machine {
    can: CanUart,
    clock: Clock,
    peripherals: Peripherals,
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
        match program {
            Program::Loader => guard::protect_loader(&mut peripherals.MPU),
            Program::Application => guard::protect_application(&mut peripherals.MPU),
        }
        let clock = Clock::start(&mut peripherals.SYST);
        Self { can: CanUart::start(), clock, peripherals }
    }

    /// The CAN controller.
    #[must_use]
    pub fn can(&self) -> &CanUart {
        &self.can
    }

    /// Serves testers until one of them asks for a reset, or leaves.
    pub fn serve<H: Handler>(
        &mut self,
        link: &mut BorrowedLink<'_>,
        server: &mut Server,
        handler: &mut H,
    ) -> Ended {
        let mut reset_at_us = None;
        loop {
            watchdog::feed();
            // First the wake-ups are forgotten, then the devices are looked at: nothing in between is lost.
            self.clock.expect_wake_up();
            self.can.acknowledge();
            let received = self.can.receive();
            let now_us = self.clock.now_us();
            match &received {
                Some(frame) => link.on_frame(frame, now_us),
                None => link.on_timeout(now_us),
            }
            match server.poll(link, handler, now_us) {
                Some(Event::Reset) => {
                    let deadline_us = *reset_at_us.get_or_insert(now_us.saturating_add(LAST_FRAME_US));
                    if self.can.is_idle() || now_us >= deadline_us {
                        return Ended::Reset;
                    }
                }
                Some(Event::SessionExpired) => return Ended::SessionExpired,
                None => {}
            }
            let mut is_quiet = received.is_none();
            let now_us = self.clock.now_us();
            while self.can.is_idle() {
                let Some(frame) = link.poll_transmit(now_us) else { break };
                self.can.transmit(&frame);
                is_quiet = false;
            }
            if is_quiet {
                let deadline_us = match (link.next_timeout(), server.next_timeout()) {
                    (Some(link), Some(server)) => Some(link.min(server)),
                    (link, server) => link.or(server),
                };
                self.clock.sleep_until(deadline_us);
            }
        }
    }

    /// Ends the loader: runs the application.
    pub fn hand_over(&mut self, entry: &Entry) -> ! {
        handover::jump(&mut self.peripherals, entry)
    }

    /// Ends the program.
    pub fn reset(&mut self) -> ! {
        SCB::sys_reset()
    }

    /// There is nothing left to do; the watchdog resets in the end.
    pub fn halt(&mut self) -> ! {
        loop {
            cortex_m::asm::wfi();
        }
    }
}
