//! The sending half: segments on the fly, at the pace the receiver's flow control asks for.

use super::pdu::{self, FlowStatus};
use super::{Addressing, Config, MAX_WAIT_FRAMES, N_A_US, N_BS_US, StMin, TransmitError};
use crate::can::{Frame, Id};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    /// A single or first frame is to go out since then.
    Starting {
        len: usize,
        since: u64,
        functional: bool,
    },
    AwaitingFlowControl {
        len: usize,
        sent: usize,
        number: u8,
        waits: u8,
        deadline: u64,
    },
    Sending {
        len: usize,
        sent: usize,
        number: u8,
        /// Frames left of this block; `None`: no more flow control.
        left_in_block: Option<u8>,
        st_min: StMin,
        /// When the next frame may go out.
        due: u64,
    },
}

#[derive(Debug)]
pub(super) struct Transmitter {
    state: State,
    pub(super) outcome: Option<Result<(), TransmitError>>,
    /// How long a flow control is waited for, at most N_Bs.
    pub(super) patience_us: u64,
    /// STmin of the last flow control.
    pub(super) st_min: StMin,
}

impl Transmitter {
    pub(super) const fn new() -> Self {
        Self { state: State::Idle, outcome: None, patience_us: N_BS_US, st_min: StMin::from_millis(0) }
    }

    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    pub(super) fn start(&mut self, len: usize, functional: bool, now_us: u64) {
        self.outcome = None;
        self.state = State::Starting { len, since: now_us, functional };
    }

    pub(super) fn abort(&mut self) {
        self.state = State::Idle;
    }

    pub(super) fn on_flow_control(&mut self, status: FlowStatus, block_size: u8, st_min: StMin, now_us: u64) {
        let State::AwaitingFlowControl { len, sent, number, waits, .. } = self.state else {
            // An unexpected flow control is ignored, except an overflow: it says that the rest is useless.
            if status == FlowStatus::Overflow && matches!(self.state, State::Sending { .. }) {
                self.finish(Err(TransmitError::FrameLost));
            }
            return;
        };
        match status {
            FlowStatus::Continue => {
                self.st_min = st_min;
                self.state = State::Sending {
                    len,
                    sent,
                    number,
                    left_in_block: (block_size != 0).then_some(block_size),
                    st_min,
                    due: now_us,
                };
            }
            FlowStatus::Wait if waits >= MAX_WAIT_FRAMES => self.finish(Err(TransmitError::WaitLimit)),
            FlowStatus::Wait => {
                let waits = waits.saturating_add(1);
                let deadline = now_us.saturating_add(N_BS_US);
                self.state = State::AwaitingFlowControl { len, sent, number, waits, deadline };
            }
            FlowStatus::Overflow => self.finish(Err(TransmitError::Overflow)),
            FlowStatus::Reserved(status) => self.finish(Err(TransmitError::FlowStatus(status))),
        }
    }

    pub(super) fn poll(
        &mut self,
        addressing: &Addressing,
        config: &Config,
        buffer: &[u8],
        now_us: u64,
    ) -> Option<Frame> {
        match self.state {
            State::Idle | State::AwaitingFlowControl { .. } => None,
            State::Starting { len, functional, .. } => {
                let id = if functional { addressing.functional_tx? } else { addressing.tx };
                self.begin(id, config, buffer.get(..len)?, now_us)
            }
            State::Sending { due, .. } if now_us < due => None,
            State::Sending { len, sent, number, left_in_block, st_min, .. } => {
                let rest = buffer.get(sent..len)?;
                let (frame, taken) = pdu::consecutive(addressing.tx, config, number, rest)?;
                let sent = sent.saturating_add(taken);
                let number = number.wrapping_add(1) & 0x0F;
                let left_in_block = left_in_block.map(|left| left.saturating_sub(1));
                if sent >= len {
                    self.finish(Ok(()));
                } else if left_in_block == Some(0) {
                    let deadline = now_us.saturating_add(self.patience_us);
                    self.state = State::AwaitingFlowControl { len, sent, number, waits: 0, deadline };
                } else {
                    let due = now_us.saturating_add(st_min.as_micros());
                    self.state = State::Sending { len, sent, number, left_in_block, st_min, due };
                }
                Some(frame)
            }
        }
    }

    fn begin(&mut self, id: Id, config: &Config, message: &[u8], now_us: u64) -> Option<Frame> {
        if message.len() <= config.max_single_frame_len() {
            let frame = pdu::single(id, config, message)?;
            self.finish(Ok(()));
            return Some(frame);
        }
        let (frame, sent) = pdu::first(id, config, message)?;
        let deadline = now_us.saturating_add(self.patience_us);
        self.state = State::AwaitingFlowControl { len: message.len(), sent, number: 1, waits: 0, deadline };
        Some(frame)
    }

    pub(super) const fn is_awaiting_flow_control(&self) -> bool {
        matches!(self.state, State::AwaitingFlowControl { .. })
    }

    pub(super) const fn next_frame_at(&self) -> Option<u64> {
        match self.state {
            State::Sending { due, .. } => Some(due),
            State::Idle | State::Starting { .. } | State::AwaitingFlowControl { .. } => None,
        }
    }

    /// When to poll again, or when a wait is over.
    pub(super) fn next_timeout(&self) -> Option<u64> {
        match self.state {
            State::Idle => None,
            State::Starting { since, .. } => Some(since.saturating_add(N_A_US)),
            State::AwaitingFlowControl { deadline, .. } => Some(deadline),
            State::Sending { due, .. } => Some(due),
        }
    }

    pub(super) fn on_timeout(&mut self, now_us: u64) {
        match self.state {
            State::Starting { since, .. } if now_us >= since.saturating_add(N_A_US) => {
                self.finish(Err(TransmitError::BusTimeout));
            }
            State::AwaitingFlowControl { deadline, .. } if now_us >= deadline => {
                self.finish(Err(TransmitError::FlowControlTimeout));
            }
            State::Sending { due, .. } if now_us >= due.saturating_add(N_A_US) => {
                self.finish(Err(TransmitError::BusTimeout));
            }
            _ => {}
        }
    }

    pub(super) fn frames_left(&mut self, now_us: u64) {
        match &mut self.state {
            State::AwaitingFlowControl { deadline, .. } => {
                *deadline = (*deadline).max(now_us.saturating_add(self.patience_us));
            }
            State::Sending { due, st_min, .. } => {
                *due = (*due).max(now_us.saturating_add(st_min.as_micros()));
            }
            State::Idle | State::Starting { .. } => {}
        }
    }

    pub(super) fn frame_stuck(&mut self) {
        let is_sent = matches!((self.state, self.outcome), (State::Idle, Some(Ok(()))));
        if is_sent || !self.is_idle() {
            self.finish(Err(TransmitError::BusTimeout));
        }
    }

    fn finish(&mut self, outcome: Result<(), TransmitError>) {
        self.state = State::Idle;
        self.outcome = Some(outcome);
    }
}
