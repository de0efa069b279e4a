//! How fast frames are written to an adapter. Its queue is small, it may drop what does not fit, and not every adapter
//! says so: so no more is written than its bus takes away, and what it answers narrows that further.
//!
//! Lawicel's commands answer each frame with `z`, `Z` or an empty line, and with BEL when it is refused; other firmware
//! answers nothing.

use std::time::Duration;

use update_protocol::can::Frame;

use crate::window::{self, FRAME_BITS, RECOVERY};

/// Refused frames make the pace slower by half, to this at most.
const SLOWEST: f64 = 8.0;
/// Bits of a classic frame without its data, with an identifier of 11 bits.
const CLASSIC_BITS: f64 = 47.0;
/// Bits of a CAN FD frame (ISO 11898-1) at the nominal bit rate: the arbitration, and what follows the CRC.
const FD_NOMINAL_BITS: f64 = 29.0;
/// Its bits at the data bit rate: ESI, DLC, stuff count and CRC of 17 bits.
const FD_DATA_BITS: f64 = 26.0;
/// Frames without a loss after which the window of an adapter that answers nothing widens by one.
const CALM: u32 = 600;
/// A loss within so many frames of that comes from it.
const CLIFF: u32 = 300;
/// A queue overflows within so many windows of a message: frames come to it faster than they leave. Later losses
/// come from a pace that is too fast for too long, or from the bus.
const EARLY: u32 = 3;
/// So often in a row it is no accident.
const CLIFFS: u32 = 3;
/// The narrowest window for an adapter that answers nothing: losses may have other causes.
const NARROWEST_UNANSWERED: u32 = 3;
/// How long an answer may take that is not lost.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_millis(100);

/// The condition for the next frame to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gate {
    /// Nothing.
    Open,
    /// That much time has to pass.
    After(Duration),
    /// An answer has to come.
    Answer,
}

/// Keeps the count of what is in an adapter's queue. Time is since the adapter was opened.
#[derive(Debug)]
pub(super) struct Pacer {
    bit_rate: f64,
    data_rate: f64,
    /// When the bus will have taken everything that was written, as far as can be reckoned.
    free_at: Duration,
    /// Factor on the time of a frame: others use the bus too.
    slowness: f64,
    window: u32,
    widest: u32,
    /// Frames without an answer.
    unanswered: u32,
    /// Whether the adapter answers frames at all.
    answers: bool,
    accepted: u32,
    refused: u64,
    /// Frames of messages that passed since the last loss, or since the window was widened after it.
    calm: u32,
    /// Whether it was widened after the last loss.
    is_wider: bool,
    /// The window at which something was lost just after it was widened, and how often in a row.
    cliff: u32,
    cliffs: u32,
    drops_after: Option<u32>,
}

impl Pacer {
    /// `data_rate`: of the data of CAN FD frames, bit/s; without one they are paced at the nominal bit rate.
    pub(super) fn new(bit_rate: u32, data_rate: Option<u32>) -> Self {
        let widest = window::widest(Some(bit_rate));
        Self {
            bit_rate: f64::from(bit_rate),
            data_rate: f64::from(data_rate.unwrap_or(bit_rate)),
            free_at: Duration::ZERO,
            slowness: 1.0,
            window: widest,
            widest,
            unanswered: 0,
            answers: false,
            accepted: 0,
            refused: 0,
            calm: 0,
            is_wider: false,
            cliff: 0,
            cliffs: 0,
            drops_after: None,
        }
    }

    /// Least time of a frame on the bus: without stuff bits, so that an idle bus is used to the full.
    fn frame_time(&self, frame: &Frame) -> Duration {
        let id_bits = if frame.id().is_extended() { 20.0 } else { 0.0 };
        let data_bits = 8.0 * f64::from(u8::try_from(frame.data().len()).unwrap_or(64));
        let seconds = if frame.is_fd() {
            let data_rate = if frame.brs() { self.data_rate } else { self.bit_rate };
            (FD_NOMINAL_BITS + id_bits) / self.bit_rate + (FD_DATA_BITS + data_bits) / data_rate
        } else {
            (CLASSIC_BITS + id_bits + data_bits) / self.bit_rate
        };
        Duration::from_secs_f64(self.slowness * seconds)
    }

    /// How long the bus takes for what was written to the adapter, as far as can be reckoned; `None`: it has taken it.
    pub(super) fn queued(&self, now: Duration) -> Option<Duration> {
        self.free_at.checked_sub(now).filter(|left| !left.is_zero())
    }

    pub(super) fn gate(&self, frame: &Frame, now: Duration) -> Gate {
        if self.answers && self.unanswered >= self.window {
            return Gate::Answer;
        }
        let queue = self.frame_time(frame).mul_f64(f64::from(self.window) - 0.5);
        match self.free_at.saturating_sub(now).checked_sub(queue) {
            Some(wait) if !wait.is_zero() => Gate::After(wait),
            _ => Gate::Open,
        }
    }

    pub(super) fn written(&mut self, frame: &Frame, now: Duration) {
        self.free_at = self.free_at.max(now) + self.frame_time(frame);
        self.unanswered = self.unanswered.saturating_add(1);
    }

    /// The adapter took a frame.
    pub(super) fn accepted(&mut self) {
        self.answers = true;
        self.unanswered = self.unanswered.saturating_sub(1);
        self.accepted = self.accepted.saturating_add(1);
        if self.accepted >= RECOVERY {
            self.accepted = 0;
            self.window = (self.window + 1).min(self.widest);
            self.slowness = (self.slowness / 1.1).max(1.0);
        }
    }

    /// The adapter refused a frame: its queue is full. Returns whether it was the only one without an answer, so that it
    /// may be written again in its place.
    pub(super) fn refused(&mut self, now: Duration) -> bool {
        let alone = self.unanswered <= 1;
        self.unanswered = self.unanswered.saturating_sub(1);
        self.accepted = 0;
        // The loss of a message says nothing of a window that was made narrower since it widened.
        (self.calm, self.is_wider) = (0, false);
        self.refused = self.refused.saturating_add(1);
        self.window = (self.window / 2).max(1);
        self.slowness = (self.slowness * 1.5).min(SLOWEST);
        // The queue has to drain first.
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(FRAME_BITS * 4.0 / self.bit_rate);
        alone
    }

    /// A message of so many frames passed, or was lost. That is all there is to go by when an adapter drops frames
    /// without a word. Its queue shows when the window widens by one: so far nothing was lost, and now it is, again and
    /// again. A disturbed bus loses frames whatever the window.
    pub(super) fn message(&mut self, passed: bool, frames: u32) {
        if self.answers {
            return;
        }
        if passed {
            self.slowness = (self.slowness / 1.02).max(1.0);
            self.calm = self.calm.saturating_add(frames);
            if self.calm >= CALM && self.window < self.widest {
                (self.calm, self.is_wider) = (0, true);
                self.window += 1;
            }
            return;
        }
        let is_early = frames <= self.widest.saturating_mul(EARLY);
        if is_early && self.is_wider && self.calm < CLIFF {
            self.cliffs = if self.cliff == self.window { self.cliffs.saturating_add(1) } else { 1 };
            self.cliff = self.window;
            self.window = self.window.saturating_sub(1).max(1);
            if self.cliffs >= CLIFFS {
                self.widest = self.window;
                self.drops_after = Some(self.window);
            }
        } else if is_early && self.window > NARROWEST_UNANSWERED {
            self.window = (self.window - self.window / 4).max(NARROWEST_UNANSWERED);
        } else {
            self.slowness = (self.slowness * 1.25).min(SLOWEST);
        }
        (self.calm, self.is_wider) = (0, false);
    }

    /// How many frames the adapter seems to hold, if it drops those that follow without saying so.
    pub(super) const fn drops_after(&self) -> Option<u32> {
        self.drops_after
    }

    /// An answer did not come: it was lost, or the adapter does not answer frames.
    pub(super) fn answer_lost(&mut self) {
        self.unanswered = 0;
        self.answers = false;
    }

    /// Frames without an answer.
    pub(super) const fn unanswered(&self) -> u32 {
        self.unanswered
    }

    /// Frames that the adapter refused.
    pub(super) const fn refused_frames(&self) -> u64 {
        self.refused
    }

    /// Whether every frame has to be answered before the next one is written.
    pub(super) const fn is_lockstep(&self) -> bool {
        self.answers && self.window == 1
    }
}

#[cfg(test)]
mod tests;
