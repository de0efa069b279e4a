//! An open bus with a UDS tester on it, turned to one node at a time (docs/can-protocol.md).

use std::collections::BTreeSet;
use std::time::Duration;

use can_bus::{
    BitRates, Bus, BusAddress, BusError, ChannelError, Identifiers, IsoTpChannel, Tester, TesterError,
};
use update_protocol::isotp::ReceiveError;
use update_protocol::profile;
use update_protocol::uds::Nrc;
use update_protocol::uds::client::ClientError;

use crate::cli::Cli;
use crate::error::{BusName, DeviceAnswerError, DeviceRefusal, Error, Subject, nrc_words};

/// `3E 00`: every device answers it with one frame.
const TESTER_PRESENT: [u8; 2] = [0x3E, 0];
/// How long the answers to it may take: twice P2.
const ANSWER_WINDOW: Duration = Duration::from_millis(100);
/// `22 FD03`
const READ_FACTORY_TAG: [u8; 3] = [0x22, 0xFD, 0x03];
const TAG_ROUNDS: u32 = 2;
const TAG_WINDOW: Duration = Duration::from_millis(200);
/// A device waits less long for the flow control of an answer.
const DEAF_TIME: Duration = Duration::from_millis(1100);

/// `31 01 F001`
const ABANDON_INSTALL: [u8; 4] = [0x31, 0x01, 0xF0, 0x01];
/// `11 01`
const HARD_RESET: [u8; 2] = [0x11, 0x01];
/// How often several devices are asked to drop an install before they are reset.
const MAX_FAREWELLS: u32 = 3;

/// How often a scan asks, since its request or an answer may be lost.
const SCAN_ROUNDS: u32 = 2;

/// Why a request has no positive answer, as far as the host cares.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The device said no.
    Refused(Nrc),
    /// No answer, or not whole.
    Lost(String),
    /// An answer that breaks the protocol.
    Answer(DeviceAnswerError),
    Bus(BusError),
    /// Several devices have this node address.
    Clash {
        answers: u32,
        requests: u32,
    },
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(nrc) => write!(f, "it refuses: {}", nrc_words(*nrc)),
            Self::Lost(_) => f.write_str("it does not answer"),
            Self::Clash { answers, requests } => write!(f, "{answers} answers came to {requests} requests"),
            Self::Answer(error) => error.fmt(f),
            Self::Bus(error) => error.fmt(f),
        }
    }
}

impl From<TesterError> for Trouble {
    fn from(error: TesterError) -> Self {
        match error {
            TesterError::Client(ClientError::Refused { nrc, .. }) => Self::Refused(nrc),
            TesterError::Client(ClientError::PendingTooLong { .. }) => {
                Self::Answer(DeviceAnswerError::PendingForEver)
            }
            TesterError::Client(ClientError::Malformed { service }) => {
                Self::Answer(DeviceAnswerError::Malformed { service })
            }
            TesterError::Channel(ChannelError::Receive(ReceiveError::TooLong { announced })) => {
                Self::Answer(DeviceAnswerError::TooLong(announced))
            }
            // Without another node on the bus no frame is acknowledged: a device that resets looks like that.
            TesterError::Channel(ChannelError::Bus(error @ BusError::Stuck)) => Self::Lost(error.to_string()),
            TesterError::Channel(ChannelError::Bus(error)) => Self::Bus(error),
            TesterError::SharedAddress { answers, requests } => Self::Clash { answers, requests },
            TesterError::State(error) => Self::Answer(DeviceAnswerError::StateRecord(error)),
            // Asking again does not make it shorter.
            TesterError::Object(_) => Self::Refused(Nrc::REQUEST_OUT_OF_RANGE),
            other => Self::Lost(other.to_string()),
        }
    }
}

impl Trouble {
    /// Whether asking again cannot help.
    #[must_use]
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self, Self::Clash { .. } | Self::Answer(DeviceAnswerError::PendingForEver))
    }

    /// The same in the words of the protocol, for `-v`.
    #[must_use]
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Refused(nrc) => nrc.to_string(),
            Self::Lost(why) => why.clone(),
            Self::Answer(error) => error.to_string(),
            Self::Bus(error) => error.to_string(),
            Self::Clash { .. } => self.to_string(),
        }
    }

    /// What it is to a person, where nothing is tried again.
    #[must_use]
    pub(crate) fn with(self, connection: &Connection, node: u8, during: &'static str) -> Error {
        match self {
            Self::Bus(error) => connection.bus_error(error),
            Self::Lost(detail) => connection.silent(node, during, detail),
            Self::Answer(error) => Error::DeviceAnswer(error),
            Self::Clash { .. } if connection.has_twin() => {
                Error::AnotherTester { evidence: self.to_string() }
            }
            Self::Clash { .. } => Error::AddressClash { node, evidence: self.to_string() },
            Self::Refused(nrc) => Error::DeviceRefused(DeviceRefusal {
                subject: Subject::Step(during),
                nrc,
                reason_code: 0,
                position: 0,
            }),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    /// `None` between closing and opening it again: an adapter can be open once only.
    tester: Option<Tester>,
    address: BusAddress,
    /// The bus was not named: it is the simulator's.
    is_default: bool,
    identifiers: Identifiers,
    /// How long a device may be silent.
    patience: Duration,
}

impl Connection {
    /// # Errors
    /// [`Error::Bus`]
    pub(crate) async fn open(cli: &Cli) -> Result<Self, Error> {
        let address = cli.bus.clone().unwrap_or_default();
        let (identifiers, patience) = (cli.identifiers, cli.patience);
        let tester = Some(open(&address, identifiers, patience).await?);
        Ok(Self { tester, address, is_default: cli.bus.is_none(), identifiers, patience })
    }

    /// Opens the bus again if that is what the trouble was: an adapter may have been unplugged. One that is still
    /// away fails the next question.
    pub(crate) async fn recover(&mut self, trouble: &Trouble) {
        if matches!(trouble, Trouble::Bus(_)) {
            // A serial port is locked, and its adapter's channel closed by what is said last: first the old one goes.
            self.tester = None;
            self.tester = open(&self.address, self.identifiers, self.patience).await.ok();
        }
        // A message that is half sent or half received is forgotten.
        if let Some(tester) = &mut self.tester {
            tester.channel_mut().give_up();
        }
    }

    #[must_use]
    pub(crate) fn bus_name(&self) -> BusName {
        BusName { address: self.address.to_string(), is_default: self.is_default }
    }

    /// Whether frames are CAN FD.
    #[must_use]
    pub(crate) fn is_fd(&self) -> bool {
        self.address.is_fd()
    }

    /// Bit rates, as far as this program sets them or the kernel reports them.
    #[must_use]
    pub(crate) fn bit_rates(&self) -> BitRates {
        self.tester.as_ref().map_or_else(BitRates::default, |tester| tester.channel().bus().bit_rates())
    }

    /// Whether CAN FD frames go to an adapter whose data bit rate nobody named.
    #[must_use]
    pub(crate) fn lacks_data_rate(&self) -> bool {
        let rates = self.bit_rates();
        matches!(self.address, BusAddress::Slcan(_))
            && self.is_fd()
            && rates.nominal.is_some()
            && rates.data.is_none()
    }

    /// No device answers at this node address.
    #[must_use]
    pub(crate) fn silent(&self, node: u8, during: &'static str, detail: String) -> Error {
        Error::DeviceSilent { node, bus: self.bus_name(), during, detail }
    }

    #[must_use]
    pub(crate) fn bus_error(&self, source: BusError) -> Error {
        bus_error(&self.address, source)
    }

    /// The node addresses from which something answers within `window`.
    ///
    /// # Errors
    /// [`Error::Bus`]
    pub(crate) async fn nodes(&mut self, window: Duration) -> Result<Vec<u8>, Error> {
        match self.identifiers {
            Identifiers::Normal29 => {
                let closed = || bus_error(&self.address, BusError::Closed);
                let bus = self.tester.as_mut().ok_or_else(closed)?.channel_mut().bus_mut();
                let mut nodes = BTreeSet::new();
                for _ in 0..SCAN_ROUNDS {
                    let round = can_bus::find_nodes(bus, window / SCAN_ROUNDS).await;
                    nodes.extend(round.map_err(|source| bus_error(&self.address, source))?);
                }
                Ok(nodes.into_iter().collect())
            }
            // One pair of identifiers, so one device at most; whether it is there its first answer tells.
            Identifiers::Normal11 | Identifiers::Pair { .. } => Ok(vec![profile::DEFAULT_NODE_ADDRESS]),
        }
    }

    /// How many devices answer one question to a node address: those that share it answer it each.
    ///
    /// # Errors
    /// [`Error::Bus`]
    pub(crate) async fn count_answers(&mut self, node: u8) -> Result<usize, Error> {
        Ok(self.first_frames(node, &TESTER_PRESENT, ANSWER_WINDOW).await?.len())
    }

    /// How many devices in factory state answer at a node address, by the tags they answer with. Two that sent at the
    /// same instant destroyed each other's frames: their delays differ the next time.
    ///
    /// # Errors
    /// [`Error::Bus`]
    pub(crate) async fn count_factory_devices(&mut self, node: u8) -> Result<usize, Error> {
        let mut tags = BTreeSet::new();
        for round in 0..TAG_ROUNDS {
            if round > 0 {
                tokio::time::sleep(DEAF_TIME).await;
            }
            let answers = self.first_frames(node, &READ_FACTORY_TAG, TAG_WINDOW).await?;
            tags.extend(answers.into_iter().filter(|answer| !is_refusal(answer)));
            if tags.len() > 1 {
                break;
            }
        }
        Ok(tags.len())
    }

    /// Has several devices at one node address drop what they took in together, and reset. Each is deaf for N_Bs while
    /// it waits for the flow control of an answer.
    ///
    /// # Errors
    /// [`Error::Bus`]
    pub(crate) async fn leave_several(&mut self, node: u8) -> Result<(), Error> {
        for _ in 0..MAX_FAREWELLS {
            // An application refuses it: it has nothing to drop.
            if self.first_frames(node, &ABANDON_INSTALL, ANSWER_WINDOW).await?.len() > 1 {
                break;
            }
            tokio::time::sleep(DEAF_TIME).await;
        }
        self.first_frames(node, &HARD_RESET, ANSWER_WINDOW).await.map(drop)
    }

    /// Whether a device in factory state answers at a node address. It takes a moment: each such device waits for a while
    /// before it answers.
    ///
    /// # Errors
    /// [`Error::Bus`]
    pub(crate) async fn has_factory_device(&mut self, node: u8) -> Result<bool, Error> {
        let answers = self.first_frames(node, &READ_FACTORY_TAG, TAG_WINDOW).await?;
        Ok(answers.iter().any(|answer| !is_refusal(answer)))
    }

    async fn first_frames(
        &mut self,
        node: u8,
        request: &[u8],
        window: Duration,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let addressing = self.identifiers.addressing(node);
        let Some(tester) = self.tester.as_mut() else {
            return Err(bus_error(&self.address, BusError::Closed));
        };
        let bus = tester.channel_mut().bus_mut();
        let frames = can_bus::first_frames(bus, &addressing, request, window).await;
        frames.map_err(|source| bus_error(&self.address, source))
    }

    /// Turns to a node; what is left of an exchange with another one is forgotten.
    pub(crate) fn turn_to(&mut self, node: u8) {
        let addressing = self.identifiers.addressing(node);
        if let Some(tester) = &mut self.tester {
            tester.turn_to(addressing);
        }
    }

    /// Whether a node that is asked was heard of before: a scan of 29-bit identifiers collects who answers.
    #[must_use]
    pub(crate) fn scans(&self) -> bool {
        self.identifiers.is_29bit()
    }

    /// The tester, turned to the node.
    ///
    /// # Errors
    /// [`Trouble::Bus`] between closing and opening the bus again.
    pub(crate) fn tester(&mut self) -> Result<&mut Tester, Trouble> {
        self.tester.as_mut().ok_or(Trouble::Bus(BusError::Closed))
    }

    /// Whether the adapter has refused frames.
    #[must_use]
    pub(crate) fn drops_frames(&mut self) -> bool {
        self.tester.as_mut().is_some_and(|tester| tester.channel_mut().bus_mut().refused_frames() > 0)
    }

    /// How many frames the adapter seems to hold, if it drops those that follow without saying so.
    #[must_use]
    pub(crate) fn drops_after(&self) -> Option<u32> {
        self.tester.as_ref().and_then(|tester| tester.channel().bus().drops_after())
    }

    /// Whether another tester on this bus sends with our identifiers.
    #[must_use]
    pub(crate) fn has_twin(&self) -> bool {
        self.tester.as_ref().is_some_and(Tester::has_twin)
    }
}

async fn open(address: &BusAddress, identifiers: Identifiers, patience: Duration) -> Result<Tester, Error> {
    let bus = Bus::open(address).await.map_err(|source| bus_error(address, source))?;
    let addressing = identifiers.addressing(profile::DEFAULT_NODE_ADDRESS);
    Ok(Tester::new(IsoTpChannel::new(bus, addressing)).with_patience(patience))
}

/// A negative answer in a single frame, classic or FD.
fn is_refusal(frame: &[u8]) -> bool {
    matches!(frame, [0x01..=0x0F, 0x7F, ..] | [0x00, _, 0x7F, ..])
}

fn bus_error(address: &BusAddress, source: BusError) -> Error {
    Error::Bus { address: address.to_string(), source }
}

#[cfg(all(test, unix))]
mod tests;
