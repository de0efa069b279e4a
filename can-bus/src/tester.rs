//! The UDS client on a channel: one request at a time, repeated where repeating is safe.

use crate::bus::{Bus, BusError};
use crate::channel::{ChannelError, IsoTpChannel};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use update_protocol::isotp::{Config, Link, SendError};
use update_protocol::profile::{self, Object, StateRecord, StateRecordError, did};
use update_protocol::uds::client::{
    ClientError, Exchange, Progress, Request, RequestError, Timing, response,
};
use update_protocol::uds::{S3_CLIENT_MS, SUPPRESS_POSITIVE, Session, sid};

/// How often a request is sent again whose answer was lost, if the device can tell a repeat.
const REPEATS: usize = 3;
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
    /// No such object.
    #[error("an image offset of {0} bytes is beyond what can be addressed")]
    Offset(u32),
}

impl From<BusError> for TesterError {
    fn from(error: BusError) -> Self {
        Self::Channel(error.into())
    }
}

impl TesterError {
    /// The device's own "no", if it is one.
    #[must_use]
    pub const fn refusal(&self) -> Option<update_protocol::uds::Nrc> {
        if let Self::Client(ClientError::Refused { nrc, .. }) = self { Some(*nrc) } else { None }
    }

    /// Whether a message was lost on the way, so that asking again may help.
    const fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Client(ClientError::Timeout { .. })
                | Self::Channel(ChannelError::Transmit(_) | ChannelError::Receive(_))
        )
    }
}

/// A tester that talks to one device.
#[derive(Debug)]
pub struct Tester {
    channel: IsoTpChannel,
    timing: Timing,
    request: Vec<u8>,
}

impl Tester {
    /// A tester on a channel.
    #[must_use]
    pub fn new(channel: IsoTpChannel) -> Self {
        Self { channel, timing: Timing::default(), request: vec![0; crate::MAX_MESSAGE_LEN] }
    }

    /// The same with another patience.
    #[must_use]
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// The channel, to [retarget](IsoTpChannel::retarget) it.
    pub const fn channel_mut(&mut self) -> &mut IsoTpChannel {
        &mut self.channel
    }

    /// Gives the bus back.
    #[must_use]
    pub fn into_bus(self) -> Bus {
        self.channel.into_bus()
    }

    /// Sends a request and waits for its positive answer, following NRC 78. Reading, TesterPresent and TransferData
    /// are sent again when a message is lost: the block counter tells a repeat. The others are not. While it waits, it
    /// [keeps the session alive](Self::keep_alive).
    ///
    /// # Errors
    /// [`TesterError`]
    pub async fn request(&mut self, request: &Request<'_>) -> Result<Vec<u8>, TesterError> {
        let repeatable =
            matches!(request, Request::Read(_) | Request::Transfer { .. } | Request::TesterPresent { .. });
        let mut repeats = if repeatable { REPEATS } else { 0 };
        loop {
            match self.request_once(request).await {
                Err(error) if repeats > 0 && error.is_loss() => repeats -= 1,
                outcome => return outcome,
            }
        }
    }

    async fn request_once(&mut self, request: &Request<'_>) -> Result<Vec<u8>, TesterError> {
        let bytes = request.encode(&mut self.request)?;
        // An answer that came after its request was given up must not be taken for the answer to this one.
        self.channel.discard_received().await?;
        self.channel.send(bytes).await?;
        let mut exchange = Exchange::begin(bytes, self.timing, self.channel.now_us());
        if matches!(request, Request::TesterPresent { answer: false }) {
            return Ok(Vec::new());
        }
        let mut silent_until = self.channel.now_us().saturating_add(S3_CLIENT_US);
        loop {
            match self.channel.recv(Some(exchange.deadline().min(silent_until))).await {
                Ok((message, _)) => {
                    if exchange.on_message(&message, self.channel.now_us())? == Progress::Answered {
                        return Ok(message);
                    }
                }
                Err(ChannelError::Timeout) => {}
                Err(error) => return Err(error.into()),
            }
            exchange.on_timeout(self.channel.now_us())?;
            if self.channel.now_us() >= silent_until {
                // A bus that does not take it is no reason to give up the answer; what is wrong with it, receiving
                // from it tells.
                let _not_sent = self.keep_alive().await;
                silent_until = self.channel.now_us().saturating_add(S3_CLIENT_US);
            }
        }
    }

    /// Begins a session.
    ///
    /// # Errors
    /// [`TesterError`]
    pub async fn session(&mut self, session: Session) -> Result<(), TesterError> {
        let answer = self.request(&Request::Session(session)).await?;
        response::session(&answer)?;
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
        let answer = self.request(&Request::Read(&[identifier])).await?;
        Ok(response::identifier(&answer, identifier)?.to_vec())
    }

    /// Reads the state record.
    ///
    /// # Errors
    /// [`TesterError`]
    pub async fn read_state(&mut self) -> Result<StateRecord, TesterError> {
        Ok(StateRecord::decode(&self.read(did::STATE_RECORD).await?)?)
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
        self.channel.send_functional(&[sid::TESTER_PRESENT, SUPPRESS_POSITIVE]).await
    }

    /// Begins a download; returns how many bytes of the object a block may have.
    ///
    /// # Errors
    /// [`TesterError`]
    pub async fn open_object(&mut self, object: Object, size: u32) -> Result<usize, TesterError> {
        let Some(address) = object.address() else {
            let Object::Image { offset } = object else { return Err(TesterError::Offset(0)) };
            return Err(TesterError::Offset(offset));
        };
        let answer = self.request(&Request::Download { address, size }).await?;
        // Service and counter are part of what the device says it takes.
        let device = usize::try_from(response::download(&answer)?).unwrap_or(usize::MAX);
        Ok(device.min(self.request.len()).saturating_sub(2))
    }

    /// Sends a block. `counter` is 1 for the first one and wraps from 255 to 0.
    ///
    /// # Errors
    /// [`TesterError`]
    pub async fn transfer(&mut self, counter: u8, data: &[u8]) -> Result<(), TesterError> {
        self.request(&Request::Transfer { counter, data }).await.map(|_| ())
    }

    /// Ends a download: the device judges the object.
    ///
    /// # Errors
    /// [`TesterError`]; what exactly the device objects to is in its [state record](Self::read_state).
    pub async fn finish_object(&mut self) -> Result<(), TesterError> {
        self.request(&Request::TransferExit).await.map(|_| ())
    }

    /// A whole download. `progress` is told how many bytes of `data` the device has, after every block.
    ///
    /// # Errors
    /// [`TesterError`]
    pub async fn download(
        &mut self,
        object: Object,
        data: &[u8],
        mut progress: impl FnMut(usize),
    ) -> Result<(), TesterError> {
        let size = u32::try_from(data.len()).map_err(|_| SendError::TooLong { capacity: u32::MAX as usize });
        let max = self.open_object(object, size.map_err(ChannelError::from)?).await?;
        let (mut counter, mut sent) = (0_u8, 0);
        for block in data.chunks(max) {
            counter = counter.wrapping_add(1);
            self.transfer(counter, block).await?;
            sent += block.len();
            progress(sent);
        }
        self.finish_object().await
    }
}

/// Asks every node on 29-bit identifiers whether it is there and collects node addresses for `window`.
///
/// # Errors
/// [`BusError`]
pub async fn find_nodes(bus: &mut Bus, window: Duration) -> Result<Vec<u8>, BusError> {
    let config = if bus.is_fd() { Config::fd(true) } else { Config::classic() };
    let addressing = profile::tester_addressing(profile::DEFAULT_NODE_ADDRESS);
    let mut link = Link::new(addressing, config, [0; 8], [0; 8]);
    // Two bytes fit every buffer and frame; the link is new and idle.
    let _taken = link.send_functional(&[sid::TESTER_PRESENT, 0], 0);
    while let Some(frame) = link.poll_transmit(0) {
        bus.send(&frame).await?;
    }
    let mut nodes = BTreeSet::new();
    let deadline = Instant::now() + window;
    while let Ok(frame) = timeout_at(deadline, bus.recv()).await {
        let frame = frame?;
        // A single frame with `7E 00` from a device to the tester.
        if let (Some(node), [0x02, 0x7E, 0x00, ..]) = (profile::responding_node(frame.id()), frame.data()) {
            nodes.insert(node);
        }
    }
    Ok(nodes.into_iter().collect())
}
