//! The receiving half: single frames, and first frame, flow control, consecutive frames.

use super::pdu::FlowStatus;
use super::told::Told;
use super::{Config, N_A_US, N_CR_US, NEVER, ReceiveError, after};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    /// `received` of `len` bytes have come.
    Receiving,
    /// A message of `len` bytes waits to be taken.
    Complete,
}

// Fields in place of states with data: a device copies less.
#[derive(Debug)]
// Small fields first: the short instructions of a device reach them.
#[repr(C)]
pub(super) struct Receiver {
    phase: Phase,
    next_number: u8,
    /// Consecutive frames until our next flow control; 0: no more.
    until_flow_control: u8,
    /// The flow control that has to go out.
    flow_control: Option<FlowStatus>,
    pub(super) error: Told<ReceiveError>,
    /// Whole message, bytes.
    len: usize,
    received: usize,
    /// RX_DL, learnt from the first frame.
    frame_len: usize,
    /// When the flow control has to be out, or the next consecutive frame has to be there; else [`NEVER`].
    pub(super) deadline: u64,
    /// How long a consecutive frame is waited for, at most N_Cr.
    pub(super) patience_us: u64,
}

impl Receiver {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            next_number: 0,
            until_flow_control: 0,
            flow_control: None,
            len: 0,
            received: 0,
            frame_len: 0,
            deadline: NEVER,
            error: Told::NOTHING,
            patience_us: N_CR_US,
        }
    }

    pub(super) const fn complete_len(&self) -> Option<usize> {
        if matches!(self.phase, Phase::Complete) { Some(self.len) } else { None }
    }

    pub(super) const fn is_receiving(&self) -> bool {
        matches!(self.phase, Phase::Receiving)
    }

    /// Forgets a complete message.
    pub(super) fn release(&mut self) {
        if self.phase == Phase::Complete {
            self.phase = Phase::Idle;
        }
    }

    /// Takes the first bytes of a message of the announced length into the buffer, if it is free and the message fits.
    fn begin(&mut self, announced: u32, payload: &[u8], buffer: &mut [u8]) -> Result<(), ReceiveError> {
        match self.phase {
            Phase::Complete => return Err(ReceiveError::Busy),
            // 9.8.3: a new message ends the one that is under way.
            Phase::Receiving => self.fail(ReceiveError::Interrupted),
            Phase::Idle => {}
        }
        // The length is checked against what is there before a byte is stored: FFFFFFFF costs nothing.
        let len = usize::try_from(announced).ok().filter(|&len| len <= buffer.len());
        let (Some(len), Some(to)) = (len, buffer.get_mut(..payload.len())) else {
            return Err(ReceiveError::TooLong { announced });
        };
        to.copy_from_slice(payload);
        self.len = len;
        self.received = payload.len();
        Ok(())
    }

    /// A single frame, also in the middle of another message.
    pub(super) fn on_single(&mut self, payload: &[u8], buffer: &mut [u8]) {
        let announced = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        match self.begin(announced, payload, buffer) {
            Ok(()) => self.phase = Phase::Complete,
            Err(error) => self.error.tell(error),
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
        match self.begin(announced, payload, buffer) {
            Ok(()) => {
                self.phase = Phase::Receiving;
                self.frame_len = frame_len;
                self.next_number = 1;
                self.until_flow_control = 0;
                self.answer(FlowStatus::CONTINUE, now_us);
            }
            Err(error) => {
                self.error.tell(error);
                self.answer(FlowStatus::OVERFLOW, now_us);
            }
        }
    }

    pub(super) fn on_consecutive(
        &mut self,
        number: u8,
        payload: &[u8],
        frame_len: usize,
        buffer: &mut [u8],
        now_us: u64,
    ) {
        // Nobody may go on before our flow control is out.
        if !self.is_receiving() || self.flow_control.is_some() {
            return;
        }
        if number != self.next_number {
            self.fail(ReceiveError::SequenceNumber { expected: self.next_number, found: number });
            // The rest is useless: a sender that hears so begins again at once instead of after a timeout.
            self.answer(FlowStatus::OVERFLOW, now_us);
            return;
        }
        // All frames but the last have the length of the first; the last holds at least the rest.
        let rest = self.len.saturating_sub(self.received);
        let taken = rest.min(self.frame_len.saturating_sub(1));
        let is_last = taken == rest;
        if frame_len > self.frame_len || (!is_last && frame_len != self.frame_len) {
            return;
        }
        let end = self.received.saturating_add(taken);
        let (Some(to), Some(from)) = (buffer.get_mut(self.received..end), payload.get(..taken)) else {
            return;
        };
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
        self.received = end;
        if is_last {
            self.phase = Phase::Complete;
            self.deadline = NEVER;
            return;
        }
        self.next_number = number.wrapping_add(1) & 0x0F;
        self.deadline = after(now_us, self.patience_us);
        if self.until_flow_control != 0 {
            self.until_flow_control = self.until_flow_control.saturating_sub(1);
            if self.until_flow_control == 0 {
                self.answer(FlowStatus::CONTINUE, now_us);
            }
        }
    }

    /// A flow control has to go out from now on.
    fn answer(&mut self, status: FlowStatus, now_us: u64) {
        self.flow_control = Some(status);
        self.deadline = after(now_us, N_A_US);
    }

    /// The flow control that is due; the time of the next consecutive frame counts from here.
    pub(super) fn take_flow_control(&mut self, config: &Config, now_us: u64) -> Option<FlowStatus> {
        let status = self.flow_control.take()?;
        self.until_flow_control = config.block_size;
        self.deadline = if self.is_receiving() { after(now_us, self.patience_us) } else { NEVER };
        Some(status)
    }

    pub(super) fn frames_left(&mut self, now_us: u64) {
        if self.is_receiving() && self.flow_control.is_none() {
            self.deadline = self.deadline.max(after(now_us, self.patience_us));
        }
    }

    pub(super) fn on_timeout(&mut self, now_us: u64) {
        if now_us < self.deadline {
            return;
        }
        self.fail(match self.flow_control {
            Some(_) => ReceiveError::BusTimeout,
            None => ReceiveError::ConsecutiveTimeout,
        });
    }

    fn fail(&mut self, error: ReceiveError) {
        if self.is_receiving() {
            self.phase = Phase::Idle;
        }
        self.flow_control = None;
        self.deadline = NEVER;
        self.error.tell(error);
    }
}
