//! What is asked of one device: its state, a programming session, a download, a reset (docs/can-protocol.md).

use crate::connection::{Connection, Trouble};
use crate::device::{self, Device, DeviceTrust};
use crate::error::{DeviceAnswerError, DeviceRefusal, Subject};
use crate::text::DeviceText;
use update_protocol::profile::{Mode, Object, StateRecord, did};
use update_protocol::uds::client::{Request, response};
use update_protocol::uds::{Nrc, Session as Level};

/// How often a question is asked whose answer is malformed: an old answer to another question may come in between.
const READ_TRIES: u32 = 3;
/// Service and counter of a block.
const BLOCK_HEAD_LEN: usize = 2;
/// Longest request we send, bytes: what a 12-bit ISO-TP length holds. Longer ones gain nothing.
const MAX_REQUEST_LEN: usize = 4095;

/// What is being done when a device does not let a host in.
pub(crate) const PROGRAMMING: &str = "a programming session";

/// A device at one node address.
#[derive(Debug)]
pub(crate) struct Session<'c> {
    connection: &'c mut Connection,
    node: u8,
}

/// How a block was taken, for the progress of a download.
pub(crate) type OnBlock<'f> = &'f mut dyn FnMut(usize) -> Flow;

/// Whether a download goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    /// With the next block.
    Continue,
    /// Not; the device keeps what it has.
    Stop,
}

/// How a download ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// The device has and accepts it.
    Accepted,
    /// It was stopped in between.
    Stopped,
}

/// Whether a device was heard to take a reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Reset {
    /// It acknowledged it.
    Heard,
    /// No answer: it may have reset or not.
    Lost,
}

impl<'c> Session<'c> {
    /// A device; nothing is sent.
    pub(crate) fn new(connection: &'c mut Connection, node: u8) -> Self {
        connection.turn_to(node);
        Self { connection, node }
    }

    async fn ask(&mut self, request: &Request<'_>) -> Result<Vec<u8>, Trouble> {
        self.connection.ask(request).await
    }

    /// Reads a data identifier.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn read(&mut self, did: u16) -> Result<Vec<u8>, Trouble> {
        let mut tries = 0;
        loop {
            tries += 1;
            let outcome = match self.ask(&Request::Read(&[did])).await {
                Ok(answer) => response::identifier(&answer, did).map(<[u8]>::to_vec).map_err(Trouble::from),
                Err(trouble) => Err(trouble),
            };
            match outcome {
                Err(Trouble::Answer(DeviceAnswerError::Malformed { .. })) if tries < READ_TRIES => {}
                Err(Trouble::Refused(Nrc::BUSY_REPEAT_REQUEST)) if tries < READ_TRIES => {}
                other => return other,
            }
        }
    }

    /// Reads an identifier that a device need not have.
    async fn read_optional(&mut self, did: u16) -> Result<Option<Vec<u8>>, Trouble> {
        match self.read(did).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Trouble::Refused(_)) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// The state record.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn state(&mut self) -> Result<StateRecord, Trouble> {
        let bytes = self.read(did::STATE_RECORD).await?;
        StateRecord::decode(&bytes).map_err(|error| Trouble::Answer(DeviceAnswerError::StateRecord(error)))
    }

    /// The serial.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn serial(&mut self) -> Result<DeviceText, Trouble> {
        text(&self.read(did::SERIAL).await?)
    }

    /// Everything a device tells about itself.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn device(&mut self) -> Result<Device, Trouble> {
        let state = self.state().await?;
        let serial = self.serial().await?;
        let identity = device::identity(&self.read(did::IDENTITY).await?).map_err(Trouble::Answer)?;
        let application_version = match state.mode {
            Mode::Application => self.read_optional(did::APPLICATION_VERSION).await?,
            Mode::Loader | Mode::Factory => None,
        };
        let loader_version = self.read_optional(did::LOADER_VERSION).await?;
        let trust = self.trust().await?;
        Ok(Device {
            node: self.node,
            serial,
            identity,
            state,
            application_version: application_version.as_deref().map(text).transpose()?,
            loader_version: loader_version.as_deref().map(text).transpose()?,
            trust,
        })
    }

    /// Its anchors and their domains; `None` when it does not say. A loader does, an application need not.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn trust(&mut self) -> Result<Option<DeviceTrust>, Trouble> {
        let report = self.read_optional(did::ANCHORS).await?;
        report.as_deref().map(DeviceTrust::read).transpose().map_err(Trouble::Answer)
    }

    /// Brings the loader into a programming session; an application resets into it first.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn open_programming(&mut self) -> Result<(), Trouble> {
        let answer = self.ask(&Request::Session(Level::Programming)).await?;
        response::session(&answer)?;
        Ok(())
    }

    /// Sends a whole object and has it accepted. `on_block` hears of every block that was taken.
    ///
    /// # Errors
    /// [`Trouble`]
    pub(crate) async fn download(
        &mut self,
        object: Object,
        bytes: &[u8],
        on_block: OnBlock<'_>,
    ) -> Result<Ended, Trouble> {
        let out_of_range = Trouble::Refused(Nrc::REQUEST_OUT_OF_RANGE);
        let (Some(address), Ok(size)) = (object.address(), u32::try_from(bytes.len())) else {
            return Err(out_of_range);
        };
        let answer = self.ask(&Request::Download { address, size }).await?;
        let max = usize::try_from(response::download(&answer)?).unwrap_or(usize::MAX).min(MAX_REQUEST_LEN);
        let block_len = max.checked_sub(BLOCK_HEAD_LEN).filter(|len| *len > 0);
        let block_len = block_len.ok_or(Trouble::Answer(DeviceAnswerError::RequestTooShort(max)))?;
        let mut counter: u8 = 0;
        for block in bytes.chunks(block_len) {
            counter = counter.wrapping_add(1);
            self.ask(&Request::Transfer { counter, data: block }).await?;
            if on_block(block.len()) == Flow::Stop {
                return Ok(Ended::Stopped);
            }
        }
        self.ask(&Request::TransferExit).await?;
        Ok(Ended::Accepted)
    }

    /// Resets the device. It may be gone before its answer is heard.
    ///
    /// # Errors
    /// [`Trouble::Refused`], [`Trouble::Bus`]
    pub(crate) async fn reset(&mut self) -> Result<Reset, Trouble> {
        match self.ask(&Request::HardReset).await {
            Ok(_) => Ok(Reset::Heard),
            Err(Trouble::Lost(_)) => Ok(Reset::Lost),
            Err(trouble) => Err(trouble),
        }
    }

    /// What a negative answer means: the reason is in the state record. That of a mere step is not: there is the one
    /// of an older refusal or revert.
    pub(crate) async fn refusal(&mut self, subject: Subject, nrc: Nrc) -> DeviceRefusal {
        let (reason_code, position) = match subject {
            Subject::Step(_) => (0, 0),
            _ => match self.state().await {
                Ok(state) => (state.reason, state.reason_position),
                Err(_) => (0, 0),
            },
        };
        DeviceRefusal { subject, nrc, reason_code, position }
    }
}

fn text(bytes: &[u8]) -> Result<DeviceText, Trouble> {
    DeviceText::new(bytes).map_err(Trouble::Answer)
}

/// Whether a negative answer means that the session is gone, or that somebody else talks to the device, rather than
/// that the device refuses what it was given.
#[must_use]
pub(crate) fn session_is_lost(nrc: Nrc) -> bool {
    matches!(
        nrc,
        Nrc::BUSY_REPEAT_REQUEST
            | Nrc::REQUEST_SEQUENCE_ERROR
            | Nrc::WRONG_BLOCK_SEQUENCE_COUNTER
            | Nrc::SUB_FUNCTION_NOT_IN_SESSION
            | Nrc::SERVICE_NOT_IN_SESSION
    )
}
