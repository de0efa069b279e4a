//! The UDS client on a channel: one request at a time, repeated where repeating is safe, and whole downloads.

mod download;
mod pace;

pub use download::{Ended, Flow};

use std::time::Duration;

use update_protocol::isotp::{Addressing, Target, TransmitError};
use update_protocol::profile::{Component, Destination, StateRecord, StateRecordError};
use update_protocol::uds::client::{
    ClientError, Exchange, Progress, Request, RequestError, Timing, response,
};
use update_protocol::uds::{Nrc, S3_CLIENT_MS, SUPPRESS_POSITIVE, Session, sid};

use crate::answers::Surplus;
use crate::bus::{Bus, BusError};
use crate::channel::{ChannelError, Heard, IsoTpChannel, at_the_latest};
use pace::Pace;

/// How often a request is repeated whose answer was lost, where the device recognises a repeat or a repeat is harmless.
const REPEATS: u32 = 3;
/// The same for a block of a download; each is waited for longer than the one before.
const BLOCK_REPEATS: u32 = 8;
/// How often a device may say that it is busy, or send a malformed answer: an old answer to another question may come
/// in between.
const BUSY_REPEATS: u32 = 2;
/// How long a device that is busy is left alone.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// S3client: how long a device hears nothing while its answer is waited for.
const S3_CLIENT_US: u64 = S3_CLIENT_MS as u64 * 1000;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum TesterError {
    /// The message did not pass.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The device refused, was silent, or answered nonsense.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The request cannot be built.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The state record cannot be read.
    #[error(transparent)]
    State(#[from] StateRecordError),
    /// The object has no address, is longer than 4 GiB, or ends before its offset.
    #[error("{:?} cannot be sent as an object{}", .0.object, of(.0.component))]
    Object(Destination),
    /// Several devices have this address.
    #[error("{answers} answers came to {requests} requests")]
    SharedAddress {
        /// Answers that came, to all requests so far.
        answers: u32,
        /// Requests that were sent, repeats included.
        requests: u32,
    },
    /// The device has judged the object and its answer was lost; its state record tells.
    #[error("the answer of the device to the end of the download was lost")]
    VerdictLost,
}

/// Whose object it is, in words.
const fn of(component: Component) -> &'static str {
    match component {
        Component::Firmware => "",
        Component::Table => " of the table",
    }
}

impl From<BusError> for TesterError {
    fn from(error: BusError) -> Self {
        Self::Channel(error.into())
    }
}

impl TesterError {
    /// The NRC, if the device refused.
    #[must_use]
    pub const fn refusal(&self) -> Option<Nrc> {
        if let Self::Client(ClientError::Refused { nrc, .. }) = self { Some(*nrc) } else { None }
    }

    /// Whether a message was lost, so that a repeat may help.
    const fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Client(ClientError::Timeout { .. })
                | Self::Channel(ChannelError::Transmit(_) | ChannelError::Receive(_) | ChannelError::TooSlow)
        )
    }

    /// Whether nothing was heard, rather than that something was lost.
    const fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Client(ClientError::Timeout { .. })
                | Self::Channel(ChannelError::Transmit(
                    TransmitError::FlowControlTimeout | TransmitError::BusTimeout
                ))
        )
    }

    /// Whether the request did not leave whole, so that the device cannot have acted on it.
    const fn is_unsent(&self) -> bool {
        matches!(self, Self::Channel(ChannelError::Transmit(_) | ChannelError::TooSlow))
    }
}

/// Which try a request is.
#[derive(Clone, Copy, Debug)]
struct Try {
    /// 0 for the first one.
    repeat: u32,
    /// How many of those before it ended without a word. The wait is longer after each of them.
    silences: u32,
    /// Whether another one follows if this one is not answered: then it is waited for only as long as an answer takes
    /// on this bus, and not for the whole P2.
    another_follows: bool,
}

/// A tester that talks to one device.
#[derive(Debug)]
pub struct Tester {
    channel: IsoTpChannel,
    /// Before a device has declared its own.
    default_timing: Timing,
    timing: Timing,
    pace: Pace,
    /// How long a device may leave everything unanswered.
    patience_us: u64,
    /// When it answered last, or when it was first asked something since.
    since_us: u64,
    /// Whether its last answer was lost.
    is_silent: bool,
    /// Whether it has said NRC 78 to what it is asked now.
    was_pending: bool,
    /// Whether the device says with each block how much it has; unknown before the first one.
    tells_received: Option<bool>,
    request: Vec<u8>,
}

impl Tester {
    /// A tester on a channel.
    #[must_use]
    pub fn new(channel: IsoTpChannel) -> Self {
        let timing = Timing::default();
        let request = vec![0; crate::MAX_MESSAGE_LEN];
        Self {
            channel,
            default_timing: timing,
            timing,
            pace: Pace::default(),
            patience_us: u64::MAX,
            since_us: 0,
            is_silent: false,
            was_pending: false,
            tells_received: None,
            request,
        }
    }

    /// The same, but nothing is repeated any more when the device has left everything unanswered for so long. The first
    /// try of a request is always made, and an answer that a device announced (NRC 78) is always waited for.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience_us: u64::try_from(patience.as_micros()).unwrap_or(u64::MAX), ..self }
    }

    /// Waits by this timing until a device declares its own.
    #[must_use]
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { default_timing: timing, timing, ..self }
    }

    /// The channel.
    #[must_use]
    pub const fn channel(&self) -> &IsoTpChannel {
        &self.channel
    }

    /// The channel, to be changed.
    pub const fn channel_mut(&mut self) -> &mut IsoTpChannel {
        &mut self.channel
    }

    /// Gives the bus back.
    #[must_use]
    pub fn into_bus(self) -> Bus {
        self.channel.into_bus()
    }

    /// Talks to the node with these identifiers from here on. Nothing changes if it does so already.
    pub fn turn_to(&mut self, addressing: Addressing) {
        if self.channel.link().addressing() != &addressing {
            self.channel.retarget(addressing);
            self.timing = self.default_timing;
            self.pace = Pace::default();
            self.tells_received = None;
            self.is_silent = false;
        }
    }

    /// Begins a question: the time between two questions does not count as silence of the device.
    fn ask(&mut self) {
        self.was_pending = false;
        if !self.is_silent {
            self.since_us = self.channel.now_us();
        }
    }

    /// Whether another try is to be made after this failure of so many.
    fn may_repeat(&self, error: &TesterError, repeat: u32, repeats: u32) -> bool {
        error.is_loss() && repeat < repeats && self.channel.now_us() < self.impatient_us()
    }

    const fn impatient_us(&self) -> u64 {
        self.since_us.saturating_add(self.patience_us)
    }

    /// Whether another tester on this bus sends with our identifiers: frames that carry one and are not ours have come.
    #[must_use]
    pub const fn has_twin(&self) -> bool {
        self.channel.foreign_frames() > 0
    }

    /// Listens until so long after the first request to this node whether several devices answer; does nothing if that
    /// is over. Later answers count as well, in each request.
    ///
    /// # Errors
    /// [`TesterError::SharedAddress`], [`TesterError::Channel`]
    pub async fn settle(&mut self, since_first: Duration) -> Result<(), TesterError> {
        self.channel.settle(since_first).await?;
        self.one_device()
    }

    fn one_device(&self) -> Result<(), TesterError> {
        match self.channel.surplus() {
            Some(Surplus { answers, requests }) => Err(TesterError::SharedAddress { answers, requests }),
            None => Ok(()),
        }
    }

    /// Sends a request and waits for its positive answer, following NRC 78. A request whose answer is lost is sent
    /// again, but a reset is not; a block is not either, [`download`](Self::download) does that. While it waits, it
    /// [keeps the session alive](Self::keep_alive).
    ///
    /// # Errors
    /// [`TesterError`]
    pub async fn request(&mut self, request: &Request<'_>) -> Result<Vec<u8>, TesterError> {
        let repeats = match request {
            Request::HardReset => 0,
            Request::Session(_)
            | Request::Read(_)
            | Request::StartRoutine { .. }
            | Request::Download { .. }
            | Request::Transfer { .. }
            | Request::TransferExit
            | Request::TesterPresent { .. } => REPEATS,
        };
        let (mut repeat, mut silences, mut busy) = (0, 0, 0);
        self.ask();
        loop {
            match self.once(request, Try { repeat, silences, another_follows: repeat < repeats }).await {
                Err(error) if self.may_repeat(&error, repeat, repeats) => {
                    repeat += 1;
                    silences += u32::from(error.is_silence());
                }
                Err(error) if busy < BUSY_REPEATS && error.refusal() == Some(Nrc::BUSY_REPEAT_REQUEST) => {
                    busy += 1;
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                // It was heard before, and the answer to that was lost.
                Err(error)
                    if repeat > 0
                        && matches!(request, Request::TransferExit)
                        && error.refusal() == Some(Nrc::REQUEST_SEQUENCE_ERROR) =>
                {
                    return Err(TesterError::VerdictLost);
                }
                outcome => return outcome,
            }
        }
    }

    async fn once(&mut self, request: &Request<'_>, this: Try) -> Result<Vec<u8>, TesterError> {
        let outcome = self.exchange(request, this).await;
        self.one_device()?;
        self.is_silent = outcome.as_ref().is_err_and(TesterError::is_loss);
        if !self.is_silent {
            self.since_us = self.channel.now_us();
        }
        outcome
    }

    async fn exchange(&mut self, request: &Request<'_>, this: Try) -> Result<Vec<u8>, TesterError> {
        let bytes = request.encode(&mut self.request)?;
        let frames = self.channel.link().config().frames_for(bytes.len());
        let is_repeat = this.repeat > 0;
        if !is_repeat {
            // An answer that came after its request was given up must not be taken for the answer to this one.
            self.channel.discard_received().await?;
        }
        // Where the bus confirms frames, the wait begins when they have left; else they may be queued for some of it.
        let queued = if self.channel.bus().confirms() { 0 } else { frames };
        self.channel.link_mut().set_patience(self.pace.flow_control_patience_us(queued, this.silences));
        if !matches!(request, Request::TesterPresent { answer: false }) {
            self.channel.expect_answer(bytes.first().copied().unwrap_or_default());
        }
        self.channel.begin(bytes, Target::Physical).map_err(ChannelError::from)?;
        let began_us = self.channel.now_us();
        let mut exchange = Exchange::begin(bytes, self.timing, began_us);
        let mut is_pending = false;
        // Sending. The answer to an earlier try may still come, and ends this one.
        loop {
            match self.channel.next(Some(at_the_latest(began_us))).await? {
                Heard::Sent(sent) => {
                    sent.map_err(ChannelError::from)?;
                    break;
                }
                Heard::Message(message, Target::Physical) if is_repeat => {
                    match exchange.on_message(&message, self.channel.now_us()) {
                        Ok(Progress::Ignored) => continue,
                        Ok(Progress::Waiting) => is_pending = true,
                        Ok(Progress::Answered) => {
                            self.channel.link_mut().abort_send();
                            return Ok(message);
                        }
                        Err(error) => {
                            self.channel.link_mut().abort_send();
                            return Err(error.into());
                        }
                    }
                    self.channel.link_mut().abort_send();
                    break;
                }
                Heard::Message(..) | Heard::Broken(_) => {}
                Heard::Late => {
                    self.channel.link_mut().abort_send();
                    return Err(ChannelError::TooSlow.into());
                }
            }
        }
        if matches!(request, Request::TesterPresent { answer: false }) {
            return Ok(Vec::new());
        }
        let is_long = matches!(
            request,
            Request::StartRoutine { .. }
                | Request::Download { .. }
                | Request::Transfer { .. }
                | Request::TransferExit
        );
        let sent_us = self.channel.now_us();
        if !is_pending {
            exchange.sent(sent_us);
        }
        let mut expected_us = sent_us.saturating_add(self.pace.patience_us(this.silences));
        if !self.channel.bus().confirms() {
            let queued_us = began_us.saturating_add(self.pace.answer_patience_us(frames, this.silences));
            expected_us = expected_us.max(queued_us);
        }
        // The device may be at work, and what announced it was lost.
        let at_work_us = if is_long && !self.was_pending { self.timing.p2_star_us } else { 0 };
        let mut silent_until = sent_us.saturating_add(S3_CLIENT_US);
        loop {
            let deadline = if is_pending {
                exchange.deadline()
            } else if this.another_follows {
                exchange.deadline().min(expected_us)
            } else {
                let deadline = exchange.deadline().max(sent_us.saturating_add(at_work_us));
                deadline.min(expected_us.max(self.impatient_us()))
            };
            let is_receiving = self.channel.link().is_receiving();
            let deadline = if is_receiving { at_the_latest(deadline) } else { deadline };
            match self.channel.next(Some(deadline.min(silent_until))).await? {
                Heard::Message(message, Target::Physical) => {
                    match exchange.on_message(&message, self.channel.now_us())? {
                        Progress::Ignored => {}
                        Progress::Waiting => is_pending = true,
                        Progress::Answered => {
                            if !is_repeat && !is_pending {
                                self.pace.answered(frames, self.channel.now_us().saturating_sub(began_us));
                            }
                            return Ok(message);
                        }
                    }
                }
                Heard::Message(_, Target::Functional) | Heard::Sent(_) => {}
                Heard::Broken(error) => return Err(ChannelError::Receive(error).into()),
                Heard::Late => {}
            }
            self.was_pending |= is_pending;
            let now_us = self.channel.now_us();
            if now_us >= deadline {
                if is_receiving {
                    self.channel.give_up();
                } else if self.channel.link().is_receiving() {
                    // It has just begun to come.
                    continue;
                }
                if is_pending {
                    exchange.on_timeout(now_us)?;
                }
                return Err(ClientError::Timeout { service: exchange.service() }.into());
            }
            if now_us >= silent_until {
                // If the bus does not take it, the answer may still come. A broken bus shows when it is read.
                let _not_sent = self.keep_alive().await;
                silent_until = self.channel.now_us().saturating_add(S3_CLIENT_US);
            }
        }
    }

    /// Begins a session; its P2 and P2* hold from there on.
    ///
    /// # Errors
    /// [`TesterError`]
    pub async fn session(&mut self, session: Session) -> Result<(), TesterError> {
        let answer = self.request(&Request::Session(session)).await?;
        self.timing = self.default_timing.declared(response::session(&answer)?);
        Ok(())
    }

    /// Resets the device.
    ///
    /// # Errors
    /// [`TesterError`]
    pub async fn hard_reset(&mut self) -> Result<(), TesterError> {
        self.request(&Request::HardReset).await.map(|_| ())
    }

    /// Reads a data identifier.
    ///
    /// # Errors
    /// [`TesterError`]
    pub async fn read(&mut self, identifier: u16) -> Result<Vec<u8>, TesterError> {
        let mut malformed = 0;
        loop {
            let answer = self.request(&Request::Read(&[identifier])).await?;
            match response::identifier(&answer, identifier) {
                Ok(content) => return Ok(content.to_vec()),
                Err(_) if malformed < BUSY_REPEATS => malformed += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads the state record.
    ///
    /// # Errors
    /// [`TesterError`]
    pub async fn read_state(&mut self) -> Result<StateRecord, TesterError> {
        self.read_state_of(Component::Firmware).await
    }

    /// Reads the state record of a component.
    ///
    /// # Errors
    /// [`TesterError`]; a device without a table refuses with [`Nrc::REQUEST_OUT_OF_RANGE`]
    pub async fn read_state_of(&mut self, component: Component) -> Result<StateRecord, TesterError> {
        Ok(StateRecord::decode(&self.read(component.state_identifier()).await?)?)
    }

    /// Starts a routine and returns what it answers.
    ///
    /// # Errors
    /// [`TesterError`]
    pub async fn routine(&mut self, routine: u16, option: &[u8]) -> Result<Vec<u8>, TesterError> {
        let answer = self.request(&Request::StartRoutine { routine, option }).await?;
        Ok(response::routine(&answer, routine)?.to_vec())
    }

    /// Keeps the sessions of all devices alive (TesterPresent on the functional identifier, not answered); to be called
    /// at least every [`S3_CLIENT_MS`] when nothing is asked.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub async fn keep_alive(&mut self) -> Result<(), ChannelError> {
        let message = [sid::TESTER_PRESENT, SUPPRESS_POSITIVE];
        if self.channel.link().addressing().functional_tx().is_none() {
            return self.channel.send(&message).await;
        }
        self.channel.send_functional(&message).await
    }
}
