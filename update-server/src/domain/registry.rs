//! The registry of devices: which there are, what they run, and what became of their updates.

use std::str::FromStr;

use trust::{Kid, PublicKey};

use super::{Digest, Identifier, Malformed, Serial, VersionText};
use crate::store::{Store, StoreError, StoredDevice, StoredEvent};

/// Events that come with a single device.
pub const EVENTS_SHOWN: u32 = 100;

/// What is said of a device when it is registered or brought up to date.
#[derive(Debug, Clone)]
pub struct DeviceFacts {
    pub vendor: Identifier,
    pub class: Identifier,
    /// What it runs.
    pub version: Option<VersionText>,
    /// The sequence number of what it runs.
    pub sequence: Option<u64>,
    /// The manifest of what it runs.
    pub manifest_digest: Option<Digest>,
    /// The key that signed that manifest.
    pub release_kid: Option<Kid>,
    /// The anchors that it holds.
    pub anchors: Option<Anchors>,
    /// The public half of its identity key.
    pub identity: Option<PublicKey>,
    /// When it ran that, where the reporter had a clock: seconds since the epoch.
    pub at: Option<u64>,
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

    /// Whether the event's version is what the device runs from now on. Of the other kinds it is what was tried.
    pub fn says_what_runs(self) -> bool {
        self == Self::Confirmed
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
    /// A serial number names one device for good.
    #[error("the serial number {0:?} is registered with another vendor, class or identity key")]
    OtherDevice(String),
    #[error(transparent)]
    Store(#[from] StoreError),
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

    /// Registers a device (`true`) or brings it up to date (`false`).
    pub async fn register(
        &self,
        serial: &Serial,
        facts: &DeviceFacts,
        now: u64,
    ) -> Result<(bool, StoredDevice), RegistryError> {
        let outcome = self.store.upsert_device(serial.as_str(), facts, now).await?;
        outcome.ok_or_else(|| RegistryError::OtherDevice(serial.as_str().to_owned()))
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
        now: u64,
    ) -> Result<StoredDevice, RegistryError> {
        let device = self.store.mark_retired(serial.as_str(), retired, note, now).await?;
        device.ok_or_else(|| RegistryError::UnknownDevice(serial.as_str().to_owned()))
    }

    /// A device and its last [`EVENTS_SHOWN`] events, the last received first.
    pub async fn device(&self, serial: &Serial) -> Result<(StoredDevice, Vec<StoredEvent>), RegistryError> {
        let device = self.store.device(serial.as_str()).await?;
        let device = device.ok_or_else(|| RegistryError::UnknownDevice(serial.as_str().to_owned()))?;
        let events = self.store.events(serial.as_str(), EVENTS_SHOWN).await?;
        Ok((device, events))
    }

    /// At most `limit` devices by serial number, after `after`; only retired ones, or only others, where that is asked.
    pub async fn devices(
        &self,
        after: Option<&Serial>,
        retired: Option<bool>,
        limit: u32,
    ) -> Result<Vec<StoredDevice>, RegistryError> {
        Ok(self.store.devices(after.map(Serial::as_str), retired, limit).await?)
    }

    /// Keeps what happened to a device.
    pub async fn record(&self, serial: &Serial, event: &Event, now: u64) -> Result<(), RegistryError> {
        if self.store.insert_event(serial.as_str(), event, now).await? {
            Ok(())
        } else {
            Err(RegistryError::UnknownDevice(serial.as_str().to_owned()))
        }
    }
}
