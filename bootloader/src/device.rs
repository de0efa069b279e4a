//! The main loop of a device: serves its program on the bus until a reset. A board provides frames, time and the
//! watchdog ([`Drivers`]); the simulator, which has none, drives [`Service`] itself.

use update_protocol::can::Frame;
use update_protocol::isotp::{BorrowedLink, Link};
use update_protocol::uds::Session;
use update_protocol::uds::server::{Event, Handler, Server};

/// Longest time that a reset waits for the last frame to leave the controller.
const LAST_FRAME_US: u64 = 100_000;
/// A time that does not come.
const NEVER: u64 = u64::MAX;

/// A program on the bus.
pub trait Program: Handler {
    /// It is so late now, microseconds; called before each look for a request.
    fn set_now(&mut self, _now_us: u64) {}

    /// Whether the device resets when its tester stays silent (S3): a loader with a bootable image does, and one that
    /// tries again; an application continues.
    fn ends_with_its_session(&self) -> bool;
}

#[cfg(feature = "loader")]
impl<F: embedded_storage::nor_flash::NorFlash, L: crate::flash::HasLayout> Program
    for crate::Session<'_, F, L>
{
    fn set_now(&mut self, now_us: u64) {
        Self::set_now(self, now_us);
    }

    fn ends_with_its_session(&self) -> bool {
        self.leads_to_an_image() || self.is_retry()
    }
}

/// Why a program stops serving.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The device is to be reset: a tester asked for it or for the other program, or left.
    Reset,
    /// The time was up. A program that [ends with its session](Program::ends_with_its_session) has no tester then.
    TimeUp,
}

/// A program that serves testers.
#[derive(Debug)]
pub struct Service<'p, P> {
    server: Server,
    program: &'p mut P,
}

impl<'p, P: Program> Service<'p, P> {
    /// Serves with this server.
    pub const fn new(server: Server, program: &'p mut P) -> Self {
        Self { server, program }
    }

    /// Serves at most one request; to be called as [`Server::poll`]. `true`: the device is to be reset.
    pub fn poll<R, T>(&mut self, link: &mut Link<R, T>, now_us: u64) -> bool
    where
        R: AsRef<[u8]> + AsMut<[u8]>,
        T: AsRef<[u8]> + AsMut<[u8]>,
    {
        self.program.set_now(now_us);
        match self.server.poll(link, self.program, now_us) {
            Some(Event::Reset) => true,
            Some(Event::SessionExpired) => self.program.ends_with_its_session(),
            None => false,
        }
    }

    /// Whether the program may stop now: no tester needs it, or it goes on without one.
    pub fn may_stop<R, T>(&self, link: &Link<R, T>) -> bool
    where
        R: AsRef<[u8]> + AsMut<[u8]>,
        T: AsRef<[u8]> + AsMut<[u8]>,
    {
        let is_at_rest = self.server.session() == Session::Default
            && !self.server.is_busy()
            && !link.is_sending()
            && !link.is_receiving();
        is_at_rest || !self.program.ends_with_its_session()
    }

    /// When to poll again at the latest, besides after every frame in or out.
    #[must_use]
    pub fn next_timeout(&self) -> Option<u64> {
        self.server.next_timeout()
    }
}

/// The drivers of a board that the loop uses: CAN, clock, watchdog.
pub trait Drivers {
    /// Restarts the watchdog.
    fn feed_watchdog(&mut self);

    /// Forgets the wake-ups seen so far: what a device has from now on ends the next
    /// [`sleep_until`](Self::sleep_until) at once.
    fn expect_wake_up(&mut self);

    /// The next frame received.
    fn receive(&mut self) -> Option<Frame>;

    /// Whether the controller takes a frame now, and has sent the last one.
    fn is_idle(&mut self) -> bool;

    /// Sends a frame; the controller is idle.
    fn transmit(&mut self, frame: &Frame);

    /// Microseconds since the start.
    fn now_us(&mut self) -> u64;

    /// Sleeps until a device has something or this time has come; at most as long as the watchdog allows.
    fn sleep_until(&mut self, deadline_us: Option<u64>);
}

/// Serves testers until the device is to be reset and the last frame has left, or until it is `until_us` and no tester
/// is in the way.
#[inline(never)]
pub fn serve<B: Drivers, P: Program>(
    board: &mut B,
    link: &mut BorrowedLink<'_>,
    service: &mut Service<'_, P>,
    until_us: Option<u64>,
) -> Ended {
    // NEVER in place of an `Option`: comparisons without cases.
    let until_us = until_us.unwrap_or(NEVER);
    let mut reset_at_us = NEVER;
    loop {
        board.feed_watchdog();
        // The order keeps a wake-up that comes between the two.
        board.expect_wake_up();
        let received = board.receive();
        let now_us = board.now_us();
        match &received {
            Some(frame) => link.on_frame(frame, now_us),
            None => link.on_timeout(now_us),
        }
        // A session expires once: that the device is to be reset stays known, and nobody is served meanwhile.
        if reset_at_us == NEVER && service.poll(link, now_us) {
            reset_at_us = now_us.wrapping_add(LAST_FRAME_US);
        }
        let mut stop_at_us = NEVER;
        if reset_at_us != NEVER {
            if board.is_idle() || now_us >= reset_at_us {
                return Ended::Reset;
            }
        } else if service.may_stop(link) {
            stop_at_us = until_us;
            if now_us >= until_us {
                return Ended::TimeUp;
            }
        }
        let mut is_quiet = received.is_none();
        let now_us = board.now_us();
        while board.is_idle() {
            let Some(frame) = link.poll_transmit(now_us) else { break };
            board.transmit(&frame);
            is_quiet = false;
        }
        if is_quiet {
            let link_us = link.next_timeout().unwrap_or(NEVER);
            let service_us = service.next_timeout().unwrap_or(NEVER);
            let at_us = link_us.min(service_us).min(reset_at_us).min(stop_at_us);
            board.sleep_until((at_us != NEVER).then_some(at_us));
        }
    }
}

#[cfg(test)]
mod tests;
