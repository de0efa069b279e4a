//! A CAN interface of the Linux kernel (CAN_RAW; Documentation/networking/can.rst).
//!
//! The kernel gives a frame back to the socket that sent it when the frame has left (CAN_RAW_RECV_OWN_MSGS), marked as
//! its own (MSG_CONFIRM). These echoes tell how many frames are in flight; nobody receives them. A full queue refuses a
//! frame (ENOBUFS); the next frame that leaves makes room in it.

mod kernel;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use update_protocol::can::Frame;
use update_protocol::isotp::N_A_US;

use self::kernel::KernelSocket;
use crate::address::SocketCanAddress;
use crate::bus::{BitRates, BusError, Left};
use crate::wait::now_or_never;
use crate::window::InFlight;

/// Frames that are held while this program waits for an echo. The kernel drops the frames that come after them, and so
/// does this program.
const MAX_HELD_FRAMES: usize = 4096;
/// The queue of an interface may be full of frames whose echoes this socket does not get; it is asked again after this.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(1);

/// Who sent a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// This socket; the frame has left.
    ThisSocket,
    /// Another socket of this machine; the frame has left.
    ThisMachine,
    /// Another node.
    Bus,
}

/// A socket that gives frames back when they have left.
pub(crate) trait FrameSocket: fmt::Debug + Send + Sync {
    /// The next frame; `None` instead of an error frame.
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Option<Frame>, Origin)>>;

    /// Hands a frame to the interface; waits while the send buffer is full. ENOBUFS: its queue is full.
    fn poll_send(&mut self, cx: &mut Context<'_>, frame: &Frame) -> Poll<io::Result<()>>;
}

/// What is known of an interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) bit_rates: BitRates,
    /// Whether the driver echoes. For other drivers the kernel does, as soon as the queue has taken the frame.
    pub(crate) driver_echoes: bool,
}

/// Whether echoes come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Echoes {
    /// No frame has been sent for long enough.
    Unknown,
    Come,
    /// None came for N_As after the first frame: nobody acknowledges it, or the driver does not echo.
    Absent,
}

#[derive(Debug)]
pub(crate) struct SocketCan {
    socket: Box<dyn FrameSocket>,
    facts: Facts,
    in_flight: InFlight,
    echoes: Echoes,
    /// Frames of others that came while something else was waited for.
    held: VecDeque<Frame>,
    /// How many frames of this machine have left.
    frames_left: u64,
}

impl SocketCan {
    pub(crate) fn open(address: &SocketCanAddress) -> io::Result<Self> {
        let (socket, facts) = KernelSocket::open(address)?;
        Ok(Self::over(Box::new(socket), facts))
    }

    pub(crate) fn over(socket: Box<dyn FrameSocket>, facts: Facts) -> Self {
        let in_flight = InFlight::new(facts.bit_rates.nominal);
        Self { socket, facts, in_flight, echoes: Echoes::Unknown, held: VecDeque::new(), frames_left: 0 }
    }

    pub(crate) const fn bit_rates(&self) -> BitRates {
        self.facts.bit_rates
    }

    /// Whether [`left`](Self::left) tells when frames leave the controller.
    pub(crate) fn confirms(&self) -> bool {
        self.facts.driver_echoes && self.echoes == Echoes::Come
    }

    pub(crate) async fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        let give_up_at = Instant::now() + Duration::from_micros(N_A_US);
        loop {
            if !self.read_until(give_up_at, |this| !this.in_flight.is_full()).await? {
                self.no_echo()?;
            }
            match timeout_at(give_up_at, poll_fn(|cx| self.socket.poll_send(cx, frame))).await {
                Ok(Ok(())) => {
                    if self.echoes != Echoes::Absent {
                        self.in_flight.sent(*frame, Instant::now());
                    }
                    return Ok(());
                }
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.in_flight.refused();
                    if !self.queue_moves(give_up_at).await? {
                        return Err(BusError::Stuck);
                    }
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_elapsed) => return Err(BusError::Stuck),
            }
        }
    }

    /// Waits until everything has left, or, if that ends it, until a frame of somebody else has come. Frames that come
    /// are held for [`recv`](Self::recv).
    pub(crate) async fn left(&mut self, frame_ends_it: bool) -> Result<Left, BusError> {
        let ends = |this: &Self| this.in_flight.is_empty() || (frame_ends_it && !this.held.is_empty());
        if let Some(deadline) = self.in_flight.deadline()
            && !self.read_until(deadline, ends).await?
        {
            self.no_echo()?;
        }
        Ok(if self.in_flight.is_empty() { Left::All } else { Left::Heard })
    }

    pub(crate) async fn recv(&mut self) -> Result<Frame, BusError> {
        loop {
            if let Some(frame) = self.held.pop_front() {
                return Ok(frame);
            }
            self.read().await?;
        }
    }

    /// Waits for a frame to leave the full queue; `false` when it has been full until then.
    async fn queue_moves(&mut self, give_up_at: Instant) -> Result<bool, BusError> {
        let ask_again_at = if self.in_flight.is_empty() || !self.confirms() {
            // No echo is to come: the frames in the queue are those of others.
            give_up_at.min(Instant::now() + FULL_QUEUE_PAUSE)
        } else {
            give_up_at
        };
        let left = self.frames_left;
        self.read_until(ask_again_at, |this| this.frames_left != left).await?;
        Ok(Instant::now() < give_up_at)
    }

    /// Reads frames until it is done; `false` when it is not by then.
    async fn read_until(&mut self, until: Instant, done: impl Fn(&Self) -> bool) -> Result<bool, BusError> {
        let mut late = 0;
        while !done(self) {
            if Instant::now() < until {
                if let Ok(read) = timeout_at(until, self.read()).await {
                    read?;
                }
                continue;
            }
            // A program that was not scheduled for a while finds the echoes waiting beside its timeout. On a bus that
            // never pauses other frames would come without end.
            late += 1;
            match now_or_never(self.read()).await {
                Some(read) if late <= MAX_HELD_FRAMES => read?,
                _ => return Ok(false),
            };
        }
        Ok(true)
    }

    async fn read(&mut self) -> Result<(), BusError> {
        let (frame, origin) = poll_fn(|cx| self.socket.poll_recv(cx)).await?;
        if origin != Origin::Bus {
            self.frames_left = self.frames_left.wrapping_add(1);
        }
        match (origin, frame) {
            (Origin::ThisSocket, frame) => {
                self.echoes = Echoes::Come;
                if let Some(frame) = frame {
                    self.in_flight.left(&frame);
                }
            }
            (Origin::ThisMachine | Origin::Bus, Some(frame)) if self.held.len() < MAX_HELD_FRAMES => {
                self.held.push_back(frame);
            }
            (Origin::ThisMachine | Origin::Bus, _) => {}
        }
        Ok(())
    }

    /// N_As is over and a frame has not left. An interface that has never echoed is used without echoes.
    fn no_echo(&mut self) -> Result<(), BusError> {
        self.in_flight.clear();
        if self.echoes == Echoes::Unknown {
            self.echoes = Echoes::Absent;
            return Ok(());
        }
        Err(BusError::Stuck)
    }
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
