//! The registry of devices: which there are, what they run, and what became of their updates.

use std::collections::BTreeMap;
use std::str::FromStr;

use trust::host::printable;
use trust::{Kid, PublicKey};

use super::installs::Installs;
use super::life_cycle::LifeState;
use super::registration::{Conflict, DeviceFacts, Gains};
use super::{Digest, Identifier, Malformed, Note, Serial, VersionText};
use crate::store::{Store, StoreError, StoredDevice, StoredEvent};

/// Events that come with a single device.
pub const EVENTS_SHOWN: u32 = 100;

/// A name of a production line or an owner: 1 to 64 printable characters, without a space at either end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label(String);

impl Label {
    const MAX_LEN: usize = 64;

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let fits = (1..=Self::MAX_LEN).contains(&text.chars().count());
        if fits && text.trim() == text && printable(text) == text {
            return Ok(Self(text.to_owned()));
        }
        Err(Malformed { expected: "a line or an owner has 1 to 64 printable characters" })
    }
}

/// Values by which the symmetric keys of a device are compared (key-check values), by name. They are too short to be keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChecks(BTreeMap<String, Vec<u8>>);

impl KeyChecks {
    const MAX_NAME_LEN: usize = 32;
    /// A name with more digits may be a key in hexadecimal.
    const MAX_NAME_DIGITS: usize = 4;
    /// Bytes: shorter than half of a key of AES-128.
    const MAX_VALUE_LEN: usize = 6;
    /// Bytes of all values together: shorter than a key of AES-128, which would else come in pieces.
    const MAX_SUM_LEN: usize = 12;

    /// The pairs as they are stored: `name=hex`, by name, with a space between.
    pub fn to_text(&self) -> String {
        let pairs: Vec<_> =
            self.0.iter().map(|(name, value)| format!("{name}={}", hex::encode(value))).collect();
        pairs.join(" ")
    }
}

impl FromStr for KeyChecks {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed {
            expected: "key-check values are of the form name=hex with a space between, of 2 to 6 bytes each and 12 \
                       bytes together; a name has 1 to 32 lowercase letters, hyphens and at most 4 digits",
        };
        let mut pairs = BTreeMap::new();
        let mut sum = 0;
        for pair in text.split(' ') {
            let (name, value) = pair.split_once('=').ok_or(malformed)?;
            let is_name = (1..=Self::MAX_NAME_LEN).contains(&name.len())
                && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                && name.bytes().filter(u8::is_ascii_digit).count() <= Self::MAX_NAME_DIGITS;
            let value = hex::decode(value).map_err(|_| malformed)?;
            sum += value.len();
            let fits = (2..=Self::MAX_VALUE_LEN).contains(&value.len()) && sum <= Self::MAX_SUM_LEN;
            if !is_name || !fits || pairs.insert(name.to_owned(), value).is_some() {
                return Err(malformed);
            }
        }
        Ok(Self(pairs))
    }
}

/// Who says something: a token of the server, by the beginning of its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporter(String);

impl Reporter {
    /// The bearer of this token.
    pub fn of(token: &[u8]) -> Self {
        let Digest(digest) = Digest::of(token);
        Self(format!("token-{}", hex::encode(&digest[..4])))
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An identity of a device whose credential verified.
#[derive(Debug, Clone)]
pub struct Identity {
    pub key: PublicKey,
    pub credential: Vec<u8>,
}

/// A change of what production and owners say of a device; of the outer options `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amendment {
    pub line: Option<Option<Label>>,
    pub owner: Option<Option<Label>>,
    pub key_checks: Option<Option<KeyChecks>>,
}

impl Amendment {
    /// What changes, for the event.
    fn words(&self) -> String {
        let label = |label: &Option<Label>| {
            label.as_ref().map_or("none".to_owned(), |label| label.as_str().to_owned())
        };
        let line = self.line.as_ref().map(|value| format!("line: {}", label(value)));
        let owner = self.owner.as_ref().map(|value| format!("owner: {}", label(value)));
        let checks = self.key_checks.as_ref().map(|value| {
            format!("key checks: {}", value.as_ref().map_or("none".to_owned(), KeyChecks::to_text))
        });
        line.into_iter().chain(owner).chain(checks).collect::<Vec<_>>().join("; ")
    }
}

/// Which devices are asked for; each filter that is `None` lets all through.
#[derive(Debug, Clone, Default)]
pub struct DeviceFilter {
    pub retired: Option<bool>,
    pub vendor: Option<Identifier>,
    pub class: Option<Identifier>,
    pub line: Option<Label>,
    pub owner: Option<Label>,
    pub state: Option<LifeState>,
    pub version: Option<VersionText>,
    /// Of the table that they have.
    pub table_version: Option<VersionText>,
    /// Of what they run, or of their table.
    pub release_kid: Option<Kid>,
    /// One of the anchors that they hold.
    pub anchor: Option<Kid>,
    /// Not seen since, seconds since the epoch.
    pub unseen_since: Option<u64>,
    /// A publisher's token said which device it is.
    pub vouched: Option<bool>,
}

/// The kids of a device's anchors: 1 to 8, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchors(Vec<Kid>);

impl Anchors {
    /// The most that one report may name: more than any device holds (docs/records.md).
    const MAX: usize = 8;

    /// The kids of a list, in its order.
    ///
    /// # Errors
    /// None, too many, or one twice.
    pub fn new(kids: Vec<Kid>) -> Result<Self, Malformed> {
        let once = (1..kids.len()).all(|index| !kids[..index].contains(&kids[index]));
        if once && (1..=Self::MAX).contains(&kids.len()) {
            return Ok(Self(kids));
        }
        Err(Malformed { expected: "a device has 1 to 8 anchors, each once" })
    }

    /// The kids.
    pub fn kids(&self) -> &[Kid] {
        &self.0
    }
}

/// What can happen to a device in an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Bytes are about to be sent.
    Started,
    /// The image is in the device and will be tried.
    Installed,
    /// The new image has confirmed itself.
    Confirmed,
    /// The device went back to the old image.
    Reverted,
    /// The device, or the host before it, refused.
    Refused,
    /// The device kept its own revocation list instead of the host's: it holds the other branch of a fork, or a newer
    /// one.
    ListRefused,
    /// The device kept its root instead of following the host's succession chain.
    SuccessionRefused,
}

impl EventKind {
    const ALL: [Self; 7] = [
        Self::Started,
        Self::Installed,
        Self::Confirmed,
        Self::Reverted,
        Self::Refused,
        Self::ListRefused,
        Self::SuccessionRefused,
    ];

    /// The kind as the interface writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "update-started",
            Self::Installed => "update-installed",
            Self::Confirmed => "update-confirmed",
            Self::Reverted => "update-reverted",
            Self::Refused => "update-refused",
            Self::ListRefused => "list-refused",
            Self::SuccessionRefused => "succession-refused",
        }
    }

    /// Whether the event's version is what the device has from now on. Of the other kinds it is what was tried.
    pub fn says_what_is_installed(self) -> bool {
        self == Self::Confirmed
    }

    /// Whether it is of an update, and so of what that installs.
    pub fn is_of_update(self) -> bool {
        match self {
            Self::Started | Self::Installed | Self::Confirmed | Self::Reverted | Self::Refused => true,
            Self::ListRefused | Self::SuccessionRefused => false,
        }
    }
}

impl FromStr for EventKind {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(Malformed {
            expected: "an event's kind is update-started, -installed, -confirmed, -reverted or -refused, list-refused or \
                       succession-refused",
        })
    }
}

/// The slug of a reason. Any well-formed one is kept: a device may be newer than its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug(String);

impl Slug {
    const MAX_LEN: usize = 64;

    /// The slug's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let fits = (1..=Self::MAX_LEN).contains(&text.len());
        if fits && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            return Ok(Self(text.to_owned()));
        }
        Err(Malformed { expected: "a reason is a slug of lowercase letters, digits and hyphens" })
    }
}

/// Something that happened to a device.
#[derive(Debug, Clone)]
pub struct Event {
    /// What it was.
    pub kind: EventKind,
    /// The manifest concerned.
    pub release: Option<Digest>,
    /// What the update installs, as the reporter says; of a release that is here, its manifest does.
    pub target: Option<Installs>,
    /// The key that signed that manifest.
    pub release_kid: Option<Kid>,
    /// The version concerned.
    pub version: Option<VersionText>,
    /// The sequence number concerned.
    pub sequence: Option<u64>,
    pub reason: Option<Slug>,
    /// When, where the reporter had a clock: seconds since the epoch.
    pub at: Option<u64>,
}

/// Why the registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("no device with the serial number {0:?} is registered")]
    UnknownDevice(String),
    /// A serial number names one device for good, and a registration contradicts nothing.
    #[error("the device {serial:?} is refused: {conflict}")]
    Conflict {
        serial: String,
        /// What is known instead.
        conflict: Conflict,
    },
    /// The life cycle has no such step.
    #[error("a device that is {from} does not become {to}")]
    Transition {
        /// Its state.
        from: LifeState,
        /// The one that was asked for.
        to: LifeState,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn conflict_of(serial: &Serial, conflict: Conflict) -> RegistryError {
    RegistryError::Conflict { serial: serial.as_str().to_owned(), conflict }
}

/// Which devices of a list are registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Import {
    /// All of them, or none if one is refused.
    All,
    /// Those that are not refused.
    Good,
    /// None: the list is only judged.
    None,
}

#[derive(Debug, Clone)]
pub struct Registry {
    store: Store,
}

impl Registry {
    /// The registry kept in `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Where it is kept.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Registers a device (`true`) or brings it up to date (`false`).
    pub async fn register(
        &self,
        serial: &Serial,
        facts: &DeviceFacts,
        now: u64,
    ) -> Result<(bool, StoredDevice), RegistryError> {
        let outcome = self.store.upsert_device(serial.as_str(), facts, now).await?;
        let outcome = outcome.map_err(|conflict| conflict_of(serial, conflict))?;
        Ok((outcome.is_new, outcome.device))
    }

    /// Retires a device (with what is said of it, if anything is), or takes that back.
    ///
    /// # Errors
    /// There is no such device, or the database failed.
    pub async fn retire(
        &self,
        serial: &Serial,
        retired: bool,
        note: Option<&str>,
        (reporter, now): (&Reporter, u64),
    ) -> Result<StoredDevice, RegistryError> {
        let device = self.store.mark_retired(serial.as_str(), retired, note, (reporter, now)).await?;
        device.ok_or_else(|| RegistryError::UnknownDevice(serial.as_str().to_owned()))
    }

    /// Registers devices of a list, of which no two have one serial number: what that did, and which are refused, by
    /// their places in it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn import(
        &self,
        devices: &[(Serial, DeviceFacts)],
        which: Import,
        now: u64,
    ) -> Result<(Gains, Vec<(usize, RegistryError)>), StoreError> {
        let rows =
            devices.iter().map(|(serial, facts)| (serial.as_str().to_owned(), facts.clone())).collect();
        let imported = self.store.import_devices(rows, which, now).await?;
        let refused = imported.refused.into_iter().filter_map(|(place, conflict)| {
            devices.get(place).map(|(serial, _)| (place, conflict_of(serial, conflict)))
        });
        Ok((imported.gains, refused.collect()))
    }

    /// Changes what production and owners say of a device, with a reason.
    ///
    /// # Errors
    /// There is no such device, or the database failed.
    pub async fn amend(
        &self,
        serial: &Serial,
        amendment: &Amendment,
        reason: &Note,
        (reporter, now): (&Reporter, u64),
    ) -> Result<StoredDevice, RegistryError> {
        let note = format!("{}; {}", amendment.words(), reason.as_str());
        let device = self.store.amend_device(serial.as_str(), amendment, note, (reporter, now)).await?;
        device.ok_or_else(|| RegistryError::UnknownDevice(serial.as_str().to_owned()))
    }

    /// Takes a step of the life cycle, with a reason.
    ///
    /// # Errors
    /// There is no such device, or no such step; or the database failed.
    pub async fn change_state(
        &self,
        serial: &Serial,
        to: LifeState,
        reason: &Note,
        (reporter, now): (&Reporter, u64),
    ) -> Result<StoredDevice, RegistryError> {
        let changed = self.store.change_state(serial.as_str(), to, reason.as_str(), (reporter, now)).await?;
        match changed {
            None => Err(RegistryError::UnknownDevice(serial.as_str().to_owned())),
            Some(Err(from)) => Err(RegistryError::Transition { from, to }),
            Some(Ok(())) => {
                let device = self.store.device(serial.as_str()).await?;
                device.ok_or_else(|| RegistryError::UnknownDevice(serial.as_str().to_owned()))
            }
        }
    }

    /// A device and its last [`EVENTS_SHOWN`] events, the last received first.
    pub async fn device(&self, serial: &Serial) -> Result<(StoredDevice, Vec<StoredEvent>), RegistryError> {
        let device = self.store.device(serial.as_str()).await?;
        let device = device.ok_or_else(|| RegistryError::UnknownDevice(serial.as_str().to_owned()))?;
        let events = self.store.events(serial.as_str(), EVENTS_SHOWN).await?;
        Ok((device, events))
    }

    /// At most `limit` devices by serial number, after `after`, that the filter lets through.
    pub async fn devices(
        &self,
        after: Option<&str>,
        filter: &DeviceFilter,
        limit: u32,
    ) -> Result<Vec<StoredDevice>, RegistryError> {
        Ok(self.store.devices(after, filter, limit).await?)
    }

    /// Keeps what happened to a device.
    pub async fn record(
        &self,
        serial: &Serial,
        event: &Event,
        (reporter, now): (&Reporter, u64),
    ) -> Result<(), RegistryError> {
        let inserted = self.store.insert_event(serial.as_str(), event, (reporter, now)).await?;
        let known = inserted.ok_or_else(|| RegistryError::UnknownDevice(serial.as_str().to_owned()))?;
        known.map_err(|conflict| conflict_of(serial, conflict))
    }
}
