//! The receiving half: single frames, and first frame, flow control, consecutive frames.

use super::pdu::FlowStatus;
use super::{Config, N_A_US, N_CR_US, ReceiveError};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    Receiving {
        /// Whole message, bytes.
        len: usize,
        received: usize,
        /// RX_DL, learnt from the first frame.
        frame_len: usize,
        next_number: u8,
        /// Consecutive frames until our next flow control; `None`: no more.
        until_flow_control: Option<u8>,
        deadline: u64,
    },
    /// A message of this length waits to be taken.
    Complete(usize),
}

#[derive(Debug)]
pub(super) struct Receiver {
    state: State,
    /// The flow control that has to go out, and since when.
    flow_control: Option<(FlowStatus, u64)>,
    pub(super) error: Option<ReceiveError>,
    /// How long a consecutive frame is waited for, at most N_Cr.
    pub(super) patience_us: u64,
}

impl Receiver {
    pub(super) const fn new() -> Self {
        Self { state: State::Idle, flow_control: None, error: None, patience_us: N_CR_US }
    }

    pub(super) const fn complete_len(&self) -> Option<usize> {
        match self.state {
            State::Complete(len) => Some(len),
            State::Idle | State::Receiving { .. } => None,
        }
    }

    pub(super) const fn is_receiving(&self) -> bool {
        matches!(self.state, State::Receiving { .. })
    }

    /// Forgets a complete message.
    pub(super) fn release(&mut self) {
        if matches!(self.state, State::Complete(_)) {
            self.state = State::Idle;
        }
    }

    /// A single frame, also in the middle of another message (9.8.3: it ends that one).
    pub(super) fn on_single(&mut self, payload: &[u8], buffer: &mut [u8]) {
        match self.state {
            State::Complete(_) => return self.error = Some(ReceiveError::Busy),
            State::Receiving { .. } => self.fail(ReceiveError::Interrupted),
            State::Idle => {}
        }
        if let Some(to) = buffer.get_mut(..payload.len()) {
            to.copy_from_slice(payload);
            self.state = State::Complete(payload.len());
        } else {
            self.error =
                Some(ReceiveError::TooLong { announced: u32::try_from(payload.len()).unwrap_or(u32::MAX) });
        }
    }

    pub(super) fn on_first(
        &mut self,
        announced: u32,
        payload: &[u8],
        frame_len: usize,
        buffer: &mut [u8],
        now_us: u64,
    ) {
        match self.state {
            State::Complete(_) => {
                self.error = Some(ReceiveError::Busy);
                self.flow_control = Some((FlowStatus::Overflow, now_us));
                return;
            }
            State::Receiving { .. } => self.fail(ReceiveError::Interrupted),
            State::Idle => {}
        }
        // The length is checked against what is there before a byte is stored: FFFFFFFF costs nothing.
        let len = usize::try_from(announced).ok().filter(|&len| len <= buffer.len());
        let (Some(len), Some(to)) = (len, buffer.get_mut(..payload.len())) else {
            self.error = Some(ReceiveError::TooLong { announced });
            self.flow_control = Some((FlowStatus::Overflow, now_us));
            return;
        };
        to.copy_from_slice(payload);
        self.state = State::Receiving {
            len,
            received: payload.len(),
            frame_len,
            next_number: 1,
            until_flow_control: None,
            deadline: now_us.saturating_add(self.patience_us),
        };
        self.flow_control = Some((FlowStatus::Continue, now_us));
    }

    pub(super) fn on_consecutive(
        &mut self,
        number: u8,
        payload: &[u8],
        frame_len: usize,
        buffer: &mut [u8],
        now_us: u64,
    ) {
        let State::Receiving { len, received, frame_len: rx_dl, next_number, until_flow_control, .. } =
            self.state
        else {
            return;
        };
        // Nobody may go on before our flow control is out.
        if self.flow_control.is_some() {
            return;
        }
        if number != next_number {
            self.fail(ReceiveError::SequenceNumber { expected: next_number, found: number });
            // The rest is useless: a sender that hears so begins again at once instead of after a timeout.
            self.flow_control = Some((FlowStatus::Overflow, now_us));
            return;
        }
        // All frames but the last have the length of the first; the last holds at least the rest.
        let rest = len.saturating_sub(received);
        let taken = rest.min(rx_dl.saturating_sub(1));
        let is_last = taken == rest;
        if frame_len > rx_dl || (!is_last && frame_len != rx_dl) {
            return;
        }
        let end = received.saturating_add(taken);
        let (Some(to), Some(from)) = (buffer.get_mut(received..end), payload.get(..taken)) else {
            return;
        };
        to.copy_from_slice(from);
        if is_last {
            self.state = State::Complete(len);
            return;
        }
        let until_flow_control = until_flow_control.map(|left| left.saturating_sub(1));
        self.state = State::Receiving {
            len,
            received: end,
            frame_len: rx_dl,
            next_number: next_number.wrapping_add(1) & 0x0F,
            until_flow_control,
            deadline: now_us.saturating_add(self.patience_us),
        };
        if until_flow_control == Some(0) {
            self.flow_control = Some((FlowStatus::Continue, now_us));
        }
    }

    /// The flow control that is due; the time of the next consecutive frame counts from here.
    pub(super) fn take_flow_control(&mut self, config: &Config, now_us: u64) -> Option<FlowStatus> {
        let (status, _) = self.flow_control.take()?;
        if let State::Receiving { until_flow_control, deadline, .. } = &mut self.state {
            *until_flow_control = (config.block_size != 0).then_some(config.block_size);
            *deadline = now_us.saturating_add(self.patience_us);
        }
        Some(status)
    }

    pub(super) fn frames_left(&mut self, now_us: u64) {
        if let State::Receiving { deadline, .. } = &mut self.state {
            *deadline = (*deadline).max(now_us.saturating_add(self.patience_us));
        }
    }

    pub(super) fn next_timeout(&self) -> Option<u64> {
        match (self.flow_control, self.state) {
            (Some((_, since)), _) => Some(since.saturating_add(N_A_US)),
            (None, State::Receiving { deadline, .. }) => Some(deadline),
            (None, State::Idle | State::Complete(_)) => None,
        }
    }

    pub(super) fn on_timeout(&mut self, now_us: u64) {
        if self.next_timeout().is_none_or(|deadline| now_us < deadline) {
            return;
        }
        if self.flow_control.take().is_some() {
            self.fail(ReceiveError::BusTimeout);
        } else {
            self.fail(ReceiveError::ConsecutiveTimeout);
        }
    }

    fn fail(&mut self, error: ReceiveError) {
        if self.is_receiving() {
            self.state = State::Idle;
        }
        self.flow_control = None;
        self.error = Some(error);
    }
}
