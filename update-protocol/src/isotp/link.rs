//! One pair of identifiers: frames and time in, frames and messages out.

use super::pdu::{self, Pdu};
use super::receive::Receiver;
use super::transmit::Transmitter;
use super::{Addressing, Config, N_BS_US, SendError, StMin, due};
#[cfg(feature = "tester")]
use super::{ReceiveError, TransmitError};
use crate::can::{Frame, MAX_FD_LEN};
use crate::uds::{SUPPRESS_POSITIVE, sid};

/// TesterPresent without an answer. A second tool may send it at any time with the address of the first; it does not
/// end a reception, unlike every other single frame (ISO 15765-2:2016, 9.8.3).
const KEEP_ALIVE: &[u8] = &[sid::TESTER_PRESENT, SUPPRESS_POSITIVE];

/// Whom a message was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// This node only.
    Physical,
    /// Every node; only ever a single frame.
    Functional,
}

/// A link whose buffers are lent, as on a device.
pub type BorrowedLink<'b> = Link<&'b mut [u8], &'b mut [u8]>;

/// Both directions between this node and its peer.
///
/// `R` and `T` are the receive and the transmit buffer: `&mut [u8]`, `[u8; N]` or `Vec<u8>`. The longest message is
/// what the buffer holds.
///
/// The caller's loop: give every frame to [`on_frame`](Self::on_frame) (foreign ones are ignored); when none is
/// waiting, call [`on_timeout`](Self::on_timeout); send what [`poll_transmit`](Self::poll_transmit) returns until it
/// returns `None`; sleep until [`next_timeout`](Self::next_timeout) or the next frame. Frames go before timeouts so
/// that a program that was not scheduled for a while does not drop a transfer whose frames are already there.
///
/// ```
/// use update_protocol::can::Id;
/// use update_protocol::isotp::{Addressing, Config, Link, Target};
///
/// let (request, response) = (Id::Standard(0x7E0), Id::Standard(0x7E8));
/// let mut tester = Link::new(Addressing::tester(request, response, None)?, Config::classic(), [0; 64], [0; 64]);
/// let mut device = Link::new(Addressing::device(response, request, None)?, Config::classic(), [0; 64], [0; 64]);
/// tester.send(b"more than seven bytes", 0)?;
/// while device.received(Target::Physical).is_none() {
///     while let Some(frame) = tester.poll_transmit(0) { device.on_frame(&frame, 0); }
///     while let Some(frame) = device.poll_transmit(0) { tester.on_frame(&frame, 0); }
/// }
/// assert_eq!(device.received(Target::Physical), Some(&b"more than seven bytes"[..]));
/// assert_eq!(tester.take_sent(), Some(Ok(())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
// Small fields first: the short instructions of a device reach them.
#[repr(C)]
pub struct Link<R, T> {
    config: Config,
    transmitter: Transmitter,
    receiver: Receiver,
    addressing: Addressing,
    functional_len: usize,
    rx_buffer: R,
    tx_buffer: T,
    /// What came for all; apart, because it may come in the middle of a physical message and must not end it.
    functional: [u8; MAX_FD_LEN],
}

impl<R, T> Link<R, T>
where
    R: AsRef<[u8]> + AsMut<[u8]>,
    T: AsRef<[u8]> + AsMut<[u8]>,
{
    /// An idle link.
    pub const fn new(addressing: Addressing, config: Config, rx_buffer: R, tx_buffer: T) -> Self {
        Self {
            addressing,
            config,
            receiver: Receiver::new(),
            transmitter: Transmitter::new(),
            rx_buffer,
            tx_buffer,
            functional: [0; MAX_FD_LEN],
            functional_len: 0,
        }
    }

    /// The identifiers.
    pub const fn addressing(&self) -> &Addressing {
        &self.addressing
    }

    /// How it sends.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The longest message it receives.
    pub fn receive_capacity(&self) -> usize {
        self.rx_buffer.as_ref().len()
    }

    /// Talks to another peer from here on; everything under way is forgotten, the [patience](Self::set_patience) too.
    pub fn retarget(&mut self, addressing: Addressing) {
        self.addressing = addressing;
        self.receiver = Receiver::new();
        self.transmitter = Transmitter::new();
        self.functional_len = 0;
    }

    /// How long a flow control and a consecutive frame are waited for from here on, at most [`N_BS_US`]. A host that
    /// knows the pace of its peer notices a lost frame sooner with it.
    pub fn set_patience(&mut self, patience_us: u64) {
        let patience_us = patience_us.min(N_BS_US);
        self.transmitter.patience_us = patience_us;
        self.receiver.patience_us = patience_us;
    }

    /// STmin of the last flow control of the peer; none before the first.
    pub const fn peer_st_min(&self) -> StMin {
        self.transmitter.st_min
    }

    /// A frame from the bus. Frames of others, malformed frames and unexpected frames are ignored.
    // A call, for size: it is large, and so are its callers on a device.
    #[inline(never)]
    pub fn on_frame(&mut self, frame: &Frame, now_us: u64) {
        let functional = Some(frame.id()) == self.addressing.functional_rx;
        if !functional && frame.id() != self.addressing.rx {
            return;
        }
        let buffer = self.rx_buffer.as_mut();
        match Pdu::parse(frame) {
            Some(Pdu::Single(payload)) if functional => {
                if self.functional_len == 0
                    && let Some(to) = self.functional.get_mut(..payload.len())
                {
                    to.copy_from_slice(payload);
                    self.functional_len = payload.len();
                }
            }
            // Only a single frame can be for all; everything else would make every node answer.
            _ if functional => {}
            // It keeps the session alive, as the message does that it would end.
            Some(Pdu::Single(KEEP_ALIVE)) if self.receiver.is_receiving() => {}
            Some(Pdu::Single(payload)) => self.receiver.on_single(payload, buffer),
            Some(Pdu::First { len, payload, frame_len }) => {
                self.receiver.on_first(len, payload, frame_len, buffer, now_us);
            }
            Some(Pdu::Consecutive { number, payload, frame_len }) => {
                self.receiver.on_consecutive(number, payload, frame_len, buffer, now_us);
            }
            Some(Pdu::FlowControl { status, block_size, st_min }) => {
                self.transmitter.on_flow_control(status, block_size, st_min, now_us);
            }
            None => {}
        }
    }

    /// The next frame for the bus; call until `None`.
    pub fn poll_transmit(&mut self, now_us: u64) -> Option<Frame> {
        if let Some(status) = self.receiver.take_flow_control(&self.config, now_us) {
            return Some(pdu::flow_control(self.addressing.tx, &self.config, status));
        }
        self.transmitter.poll(&self.addressing, &self.config, self.tx_buffer.as_ref(), now_us)
    }

    /// When to call [`poll_transmit`](Self::poll_transmit) and [`on_timeout`](Self::on_timeout) again at the latest.
    pub fn next_timeout(&self) -> Option<u64> {
        due(self.receiver.deadline.min(self.transmitter.at))
    }

    /// When the next consecutive frame may leave. Unlike the other timeouts this one is worth being exact about: STmin
    /// is a fraction of a millisecond on a fast bus.
    pub fn next_frame_at(&self) -> Option<u64> {
        self.transmitter.next_frame_at()
    }

    /// Tells the link that the frames it gave away have left this node: the waits for a flow control and a consecutive
    /// frame, and STmin, count from here (L_Data.con of ISO 15765-2). Without it they count from
    /// [`poll_transmit`](Self::poll_transmit).
    pub fn frames_left(&mut self, now_us: u64) {
        self.receiver.frames_left(now_us);
        self.transmitter.frames_left(now_us);
    }

    /// Tells the link that a frame it gave away has not left this node within [`N_A_US`](super::N_A_US). The message on
    /// its way out ends with [`TransmitError::BusTimeout`], also if that frame was its last.
    #[cfg(feature = "tester")]
    pub fn frame_stuck(&mut self) {
        self.transmitter.frame_stuck();
    }

    /// Ends what has waited too long. May be called at any time; call it when no frame is waiting.
    pub fn on_timeout(&mut self, now_us: u64) {
        self.receiver.on_timeout(now_us);
        self.transmitter.on_timeout(now_us);
    }

    /// Takes a message for sending (it is copied).
    ///
    /// # Errors
    /// [`SendError`]; nothing is sent then.
    pub fn send(&mut self, message: &[u8], now_us: u64) -> Result<(), SendError> {
        self.enqueue(message, Target::Physical, now_us)
    }

    /// Takes a message for every node; it has to fit one frame.
    ///
    /// # Errors
    /// [`SendError`]; nothing is sent then.
    pub fn send_functional(&mut self, message: &[u8], now_us: u64) -> Result<(), SendError> {
        if self.addressing.functional_tx.is_none() || message.len() > self.config.max_single_frame_len() {
            return Err(SendError::NotFunctional);
        }
        self.enqueue(message, Target::Functional, now_us)
    }

    fn enqueue(&mut self, message: &[u8], target: Target, now_us: u64) -> Result<(), SendError> {
        if !self.transmitter.is_idle() {
            return Err(SendError::Busy);
        }
        if message.is_empty() {
            return Err(SendError::Empty);
        }
        let buffer = self.tx_buffer.as_mut();
        let capacity = buffer.len();
        if u32::try_from(message.len()).is_err() {
            return Err(SendError::TooLong { capacity });
        }
        buffer.get_mut(..message.len()).ok_or(SendError::TooLong { capacity })?.copy_from_slice(message);
        self.transmitter.start(message.len(), target == Target::Functional, now_us);
        Ok(())
    }

    /// Whether a message is on its way out.
    pub const fn is_sending(&self) -> bool {
        !self.transmitter.is_idle()
    }

    /// Whether a message on its way out waits for a flow control.
    pub const fn is_awaiting_flow_control(&self) -> bool {
        self.transmitter.is_awaiting_flow_control()
    }

    /// Whether a message is on its way in.
    pub const fn is_receiving(&self) -> bool {
        self.receiver.is_receiving()
    }

    /// Gives up the message that is on its way out.
    pub fn abort_send(&mut self) {
        self.transmitter.abort();
    }

    /// How the last message ended, once: `Ok` when its last frame was handed out, unless that frame got stuck.
    #[cfg(feature = "tester")]
    pub const fn take_sent(&mut self) -> Option<Result<(), TransmitError>> {
        self.transmitter.outcome.take()
    }

    /// Why a reception ended without a message, once.
    #[cfg(feature = "tester")]
    pub const fn take_receive_error(&mut self) -> Option<ReceiveError> {
        self.receiver.error.take()
    }

    /// The message that has come, until it is [released](Self::release). Nothing else is received meanwhile.
    pub fn received(&self, target: Target) -> Option<&[u8]> {
        match target {
            Target::Physical => self.rx_buffer.as_ref().get(..self.receiver.complete_len()?),
            Target::Functional => {
                self.functional.get(..self.functional_len).filter(|message| !message.is_empty())
            }
        }
    }

    /// Makes room for the next message.
    pub fn release(&mut self, target: Target) {
        match target {
            Target::Physical => self.receiver.release(),
            Target::Functional => self.functional_len = 0,
        }
    }

    /// The message that has come and the buffer its answer may be written to, if nothing is being sent.
    pub(crate) fn request_and_answer(&mut self, target: Target) -> Option<(&[u8], &mut [u8])> {
        if !self.transmitter.is_idle() {
            return None;
        }
        let request = match target {
            Target::Physical => self.rx_buffer.as_ref().get(..self.receiver.complete_len()?)?,
            Target::Functional => {
                self.functional.get(..self.functional_len).filter(|message| !message.is_empty())?
            }
        };
        Some((request, self.tx_buffer.as_mut()))
    }

    /// Sends what was written to the buffer of [`request_and_answer`](Self::request_and_answer).
    pub(crate) fn send_written(&mut self, len: usize, now_us: u64) {
        if self.transmitter.is_idle() && len != 0 && len <= self.tx_buffer.as_ref().len() {
            self.transmitter.start(len, false, now_us);
        }
    }
}
