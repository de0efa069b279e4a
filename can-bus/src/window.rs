//! How many frames may wait between this program and a bus (docs/decisions/0019 and 0029).

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use update_protocol::can::Frame;
use update_protocol::isotp::N_A_US;

/// Fewer frames than any adapter or interface that we know holds.
const LEAST_FRAMES: u32 = 8;
/// The operating system may wake this program up so late; the bus is to have frames until then.
const LATE_WAKE_UP: Duration = Duration::from_micros(2_200);
/// Bits of a classic frame of 8 bytes with a 29-bit identifier, without stuff bits.
pub(crate) const FRAME_BITS: f64 = 131.0;
/// Assumed for the width of a window where nobody knows the bit rate, bit/s: the fastest classic bus.
const FASTEST: u32 = 1_000_000;
/// After so many frames in a row that were taken, a window that was made narrower widens by one.
pub(crate) const RECOVERY: u32 = 200;

/// The widest window for a bus, frames.
pub(crate) fn widest(bit_rate: Option<u32>) -> u32 {
    let frame = Duration::from_secs_f64(FRAME_BITS / f64::from(bit_rate.unwrap_or(FASTEST).max(1)));
    let frames = LATE_WAKE_UP.as_micros().div_ceil(frame.as_micros().max(1));
    u32::try_from(frames).unwrap_or(LEAST_FRAMES).max(LEAST_FRAMES)
}

/// Frames that an interface has taken and not echoed yet.
#[derive(Debug)]
pub(crate) struct InFlight {
    frames: VecDeque<(Frame, Instant)>,
    window: usize,
    widest: usize,
    echoes: u32,
}

impl InFlight {
    pub(crate) fn new(bit_rate: Option<u32>) -> Self {
        let widest = usize::try_from(widest(bit_rate)).unwrap_or(usize::MAX);
        Self { frames: VecDeque::new(), window: widest, widest, echoes: 0 }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.frames.len() >= self.window
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// When the oldest frame has been waiting for N_As.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.frames.front().map(|(_, since)| *since + Duration::from_micros(N_A_US))
    }

    /// The interface took a frame.
    pub(crate) fn sent(&mut self, frame: Frame, now: Instant) {
        self.frames.push_back((frame, now));
    }

    /// A frame has left. Frames leave in order: the ones before it have left or were dropped, and their echoes are lost.
    pub(crate) fn left(&mut self, frame: &Frame) {
        let Some(at) = self.frames.iter().position(|(sent, _)| sent == frame) else {
            return;
        };
        self.frames.drain(..=at);
        self.echoes = self.echoes.saturating_add(1);
        if self.echoes >= RECOVERY {
            self.echoes = 0;
            self.window = (self.window + 1).min(self.widest);
        }
    }

    /// The queue of the interface took no frame: it holds no more than are in flight.
    pub(crate) fn refused(&mut self) {
        self.echoes = 0;
        self.window = self.frames.len().clamp(1, self.window);
    }

    /// Forgets frames that are not echoed any more.
    pub(crate) fn clear(&mut self) {
        self.frames.clear();
    }
}
