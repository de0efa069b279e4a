//! The sending half: segments on the fly, at the pace the receiver's flow control asks for.

use super::pdu::{self, FlowStatus, Head};
use super::told::Told;
use super::{Addressing, Config, MAX_WAIT_FRAMES, N_A_US, N_BS_US, NEVER, StMin, TransmitError, after};
use crate::can::Frame;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// A word, for size: a device widens a byte again after each call.
#[repr(u32)]
enum Phase {
    Idle,
    /// A single or first frame is to go out, until `at` at the latest.
    Starting,
    /// The receiver speaks next, until `at` at the latest.
    AwaitingFlowControl,
    /// A consecutive frame goes out at `at`.
    Sending,
}

// Fields in place of states with data: a device copies less.
#[derive(Debug)]
// Small fields first: the short instructions of a device reach them.
#[repr(C)]
pub(super) struct Transmitter {
    phase: Phase,
    functional: bool,
    /// Number of the next consecutive frame.
    number: u8,
    /// Flow controls in a row that said "wait"; or frames left of this block, 0: no more flow control.
    count: u8,
    /// STmin of the last flow control.
    pub(super) st_min: StMin,
    pub(super) outcome: Told<Result<(), TransmitError>>,
    /// Whole message, bytes.
    len: usize,
    sent: usize,
    /// Time of the phase, when to poll again or when a wait is over; [`NEVER`] in [`Phase::Idle`].
    pub(super) at: u64,
    /// How long a flow control is waited for, at most N_Bs.
    pub(super) patience_us: u64,
}

impl Transmitter {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            functional: false,
            number: 0,
            count: 0,
            len: 0,
            sent: 0,
            at: NEVER,
            outcome: Told::NOTHING,
            patience_us: N_BS_US,
            st_min: StMin::from_millis(0),
        }
    }

    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    pub(super) fn start(&mut self, len: usize, functional: bool, now_us: u64) {
        self.outcome = Told::NOTHING;
        self.phase = Phase::Starting;
        self.functional = functional;
        self.number = 0;
        self.len = len;
        self.sent = 0;
        self.at = after(now_us, N_A_US);
    }

    pub(super) fn abort(&mut self) {
        self.phase = Phase::Idle;
        self.at = NEVER;
    }

    pub(super) fn on_flow_control(&mut self, status: FlowStatus, block_size: u8, st_min: StMin, now_us: u64) {
        let fault = match (self.phase, status) {
            (Phase::AwaitingFlowControl, FlowStatus::CONTINUE) => {
                self.phase = Phase::Sending;
                self.st_min = st_min;
                self.count = block_size;
                self.at = now_us;
                return;
            }
            (Phase::AwaitingFlowControl, FlowStatus::WAIT) if self.count < MAX_WAIT_FRAMES => {
                self.count = self.count.saturating_add(1);
                self.at = after(now_us, N_BS_US);
                return;
            }
            (Phase::AwaitingFlowControl, FlowStatus::WAIT) => TransmitError::WaitLimit,
            (Phase::AwaitingFlowControl, FlowStatus::OVERFLOW) => TransmitError::Overflow,
            (Phase::AwaitingFlowControl, FlowStatus(status)) => TransmitError::FlowStatus(status),
            // An unexpected flow control is ignored, except an overflow: it says that the rest is useless.
            (Phase::Sending, FlowStatus::OVERFLOW) => TransmitError::FrameLost,
            (Phase::Sending | Phase::Idle | Phase::Starting, _) => return,
        };
        self.finish(Err(fault));
    }

    pub(super) fn poll(
        &mut self,
        addressing: &Addressing,
        config: &Config,
        buffer: &[u8],
        now_us: u64,
    ) -> Option<Frame> {
        let head = match self.phase {
            Phase::Starting if self.len <= config.max_single_frame_len() => Head::Single(self.len),
            Phase::Starting => Head::First(self.len),
            Phase::Sending if now_us >= self.at => Head::Consecutive(self.number),
            Phase::Idle | Phase::AwaitingFlowControl | Phase::Sending => return None,
        };
        let id = if self.functional { addressing.functional_tx? } else { addressing.tx };
        let (frame, taken) = pdu::segment(id, config, head, buffer.get(self.sent..self.len)?);
        self.sent = self.sent.saturating_add(taken);
        self.number = self.number.wrapping_add(1) & 0x0F;
        let mut is_due = self.phase == Phase::Starting;
        if !is_due && self.count != 0 {
            self.count = self.count.saturating_sub(1);
            is_due = self.count == 0;
        }
        if self.sent >= self.len {
            self.finish(Ok(()));
        } else if is_due {
            self.phase = Phase::AwaitingFlowControl;
            self.count = 0;
            self.at = after(now_us, self.patience_us);
        } else {
            self.at = after(now_us, self.st_min.as_micros());
        }
        Some(frame)
    }

    pub(super) const fn is_awaiting_flow_control(&self) -> bool {
        matches!(self.phase, Phase::AwaitingFlowControl)
    }

    pub(super) const fn next_frame_at(&self) -> Option<u64> {
        if matches!(self.phase, Phase::Sending) { Some(self.at) } else { None }
    }

    pub(super) fn on_timeout(&mut self, now_us: u64) {
        let (patience_us, fault) = match self.phase {
            Phase::Idle => return,
            Phase::Starting => (0, TransmitError::BusTimeout),
            Phase::AwaitingFlowControl => (0, TransmitError::FlowControlTimeout),
            Phase::Sending => (N_A_US, TransmitError::BusTimeout),
        };
        if now_us >= after(self.at, patience_us) {
            self.finish(Err(fault));
        }
    }

    pub(super) fn frames_left(&mut self, now_us: u64) {
        let wait_us = match self.phase {
            Phase::AwaitingFlowControl => self.patience_us,
            Phase::Sending => self.st_min.as_micros(),
            Phase::Idle | Phase::Starting => return,
        };
        self.at = self.at.max(after(now_us, wait_us));
    }

    #[cfg(feature = "tester")]
    pub(super) fn frame_stuck(&mut self) {
        if !self.is_idle() || self.outcome.is(Ok(())) {
            self.finish(Err(TransmitError::BusTimeout));
        }
    }

    fn finish(&mut self, outcome: Result<(), TransmitError>) {
        self.abort();
        self.outcome.tell(outcome);
    }
}
