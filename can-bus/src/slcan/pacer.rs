//! How fast frames are written to an adapter. Its queue is small, it may drop what does not fit, and not every adapter
//! says so: so no more is written than its bus takes away, and what it answers narrows that further.
//!
//! Lawicel's commands answer each frame with `z`, `Z` or an empty line, and with BEL when it is refused; other firmware
//! answers nothing.

use std::time::Duration;

use update_protocol::can::Frame;

/// Frames in the adapter's queue at most; fewer than any adapter we know holds.
const WINDOW: u32 = 8;
/// The queue is not shorter than this, since this program may be woken up that late.
const SHORTEST_QUEUE: Duration = Duration::from_micros(2_200);
/// Refused frames make the pace slower by half, to this at most.
const SLOWEST: f64 = 8.0;
/// Accepted frames in a row after which the window widens by one and the pace rises.
const RECOVERY: u32 = 200;
/// How long an answer may take that is not lost.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_millis(100);

/// What has to happen before the next frame is written.
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
    /// When the bus will have taken everything that was written, as far as can be reckoned.
    free_at: Duration,
    /// What a frame takes longer than by itself: others are on the bus too.
    slowness: f64,
    window: u32,
    widest: u32,
    /// Frames without an answer.
    unanswered: u32,
    /// Whether the adapter answers frames at all.
    answers: bool,
    accepted: u32,
    refused: u64,
}

impl Pacer {
    pub(super) fn new(bit_rate: u32) -> Self {
        let bit_rate = f64::from(bit_rate);
        let frame = Duration::from_secs_f64(131.0 / bit_rate);
        let widest = u32::try_from(SHORTEST_QUEUE.as_micros().div_ceil(frame.as_micros().max(1)));
        let widest = widest.unwrap_or(WINDOW).max(WINDOW);
        Self {
            bit_rate,
            free_at: Duration::ZERO,
            slowness: 1.0,
            window: widest,
            widest,
            unanswered: 0,
            answers: false,
            accepted: 0,
            refused: 0,
        }
    }

    /// Least time of a frame on the bus: without stuff bits, so that an idle bus is used to the full.
    fn frame_time(&self, frame: &Frame) -> Duration {
        let id_bits = if frame.id().is_extended() { 20.0 } else { 0.0 };
        // The data of CAN FD has a bit rate of its own that is not known here, mostly four times as high or higher.
        let data_bits =
            if frame.is_fd() { 2.0 } else { 8.0 } * f64::from(u8::try_from(frame.data().len()).unwrap_or(64));
        Duration::from_secs_f64(self.slowness * (47.0 + id_bits + data_bits) / self.bit_rate)
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
        self.refused = self.refused.saturating_add(1);
        self.window = (self.window / 2).max(1);
        self.slowness = (self.slowness * 1.5).min(SLOWEST);
        // The queue has to drain first.
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(131.0 * 4.0 / self.bit_rate);
        alone
    }

    /// A message was lost, or not. That is all there is to go by when an adapter drops frames without a word.
    pub(super) fn message(&mut self, passed: bool) {
        if !self.answers {
            let slowness = if passed { self.slowness / 1.02 } else { self.slowness * 1.25 };
            self.slowness = slowness.clamp(1.0, SLOWEST);
        }
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
