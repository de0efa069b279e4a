//! What becomes of the entry of a device when something is said of it. One home for the rules: reports say what a device
//! runs and holds; publishers say which device it is, whose it is and where it is in its life; lists tell of the past. What
//! is older replaces nothing that is newer, and nothing that is known is contradicted.

use suit_manifest::Target;
use trust::{Kid, PublicKey};

use super::installs::Installs;
use super::life_cycle::LifeState;
use super::order::{Order, order};
use super::registry::{Anchors, Event, KeyChecks, Label, Reporter};
use super::{Digest, Identifier, VersionText};
use crate::store::{Installed, Registered, StoreError, StoredDevice};

/// The sequence number that a device has where nothing is (docs/can-protocol.md).
pub const NOTHING: u64 = 0;

/// What is said of the firmware that a device runs, or of the table that it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    pub version: Option<VersionText>,
    pub sequence: Option<u64>,
    pub manifest_digest: Option<Digest>,
    /// The key that signed that manifest.
    pub release_kid: Option<Kid>,
}

impl Statement {
    /// Whether it names something of a release. A key alone does not: it signed many.
    fn says_something(&self) -> bool {
        self.version.is_some() || self.sequence.is_some() || self.manifest_digest.is_some()
    }

    /// Whether it names a key, and nothing of what that signed.
    pub fn is_key_alone(&self) -> bool {
        self.release_kid.is_some() && !self.says_something()
    }

    /// Whether it says that nothing is there, and what that is.
    fn contradicts_itself(&self) -> bool {
        self.sequence == Some(NOTHING)
            && (self.version.is_some() || self.manifest_digest.is_some() || self.release_kid.is_some())
    }
}

/// What is said of a device when it is registered or brought up to date.
#[derive(Debug, Clone)]
pub struct DeviceFacts {
    pub vendor: Identifier,
    pub class: Identifier,
    /// What it runs.
    pub firmware: Statement,
    /// The table that it has.
    pub table: Statement,
    /// The anchors that it holds.
    pub anchors: Option<Anchors>,
    /// The public half of its identity key.
    pub identity: Option<PublicKey>,
    /// Its identity credential, which verified.
    pub credential: Option<Vec<u8>>,
    /// What production and owners say of it.
    pub custody: Custody,
    /// Who says so.
    pub reporter: Reporter,
    pub source: Source,
}

impl DeviceFacts {
    /// Whether a report token does not permit to say this.
    pub fn needs_write(&self) -> bool {
        self.identity.is_some() || self.credential.is_some() || self.custody != Custody::default()
    }

    /// Whether it says of a target that nothing is there, and what that is.
    pub fn contradict_themselves(&self) -> bool {
        self.firmware.contradicts_itself() || self.table.contradicts_itself()
    }

    /// The manifests that it names, as what, and with which sequence number.
    pub fn named(&self) -> impl Iterator<Item = (Digest, Installs, &Statement)> {
        [(&self.firmware, Installs::Firmware), (&self.table, Installs::Table)]
            .into_iter()
            .filter_map(|(said, target)| Some((said.manifest_digest?, target, said)))
    }
}

/// What production and owners say of a device. A report that is not theirs says none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Custody {
    /// The production line or batch.
    pub line: Option<Label>,
    pub owner: Option<Label>,
    /// Where nobody has said one yet; later ones come by [`super::registry::Registry::change_state`].
    pub state: Option<LifeState>,
    pub key_checks: Option<KeyChecks>,
}

/// Where facts come from, and of which time they are: seconds since the epoch. A time in the future counts as now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A device's report, under a token for reports.
    Report { at: Option<u64> },
    /// Under a publisher's token.
    Publisher { at: Option<u64> },
    /// A row of a list under a publisher's token.
    List(ListTimes),
}

/// What a row of a list says of its times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListTimes {
    /// The server that made the list knew the device from reports only.
    pub reported_only: bool,
    pub stated_at: Option<u64>,
    pub table_stated_at: Option<u64>,
    pub anchors_at: Option<u64>,
    pub last_seen: Option<u64>,
}

impl Source {
    /// Whether it says which device has this serial number.
    fn vouches(self) -> bool {
        match self {
            Self::Report { .. } => false,
            Self::Publisher { .. } => true,
            Self::List(times) => !times.reported_only,
        }
    }

    /// Whether it needs no publisher's token.
    pub const fn is_report(self) -> bool {
        matches!(self, Self::Report { .. })
    }

    const fn is_list(self) -> bool {
        matches!(self, Self::List(_))
    }

    /// Of which time is what is said of a target.
    fn stated_at(self, target: Target) -> Option<u64> {
        self.at(|times| match target {
            Target::Firmware => times.stated_at,
            Target::Table => times.table_stated_at,
        })
    }

    fn anchors_at(self) -> Option<u64> {
        self.at(|times| times.anchors_at)
    }

    fn at(self, of_list: impl FnOnce(ListTimes) -> Option<u64>) -> Option<u64> {
        match self {
            Self::Report { at } | Self::Publisher { at } => at,
            Self::List(times) => of_list(times).or(times.last_seen),
        }
    }
}

/// What is said contradicts what is known. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("it is registered with another vendor, {0}")]
    Vendor(Identifier),
    #[error("it is registered with another class, {0}")]
    Class(Identifier),
    #[error("it is registered with another identity key")]
    Identity,
    #[error("its line is {0:?}")]
    Line(String),
    #[error("its owner is {0:?}")]
    Owner(String),
    #[error("its state is {0}")]
    State(LifeState),
    #[error("its key-check values are {0}")]
    KeyChecks(String),
    /// A release that is here is said to be on it as what it does not install.
    #[error("the release {digest} installs {}, not {}", .installs.name(), .said.name())]
    Target { digest: Digest, installs: Installs, said: Installs },
    /// A release that is here has another sequence number than the one that is said to come with it.
    #[error("the release {digest} has the sequence number {known}, not {said}")]
    Sequence { digest: Digest, known: u64, said: u64 },
    /// It is said that nothing is there, and what that is.
    #[error(
        "the sequence number 0 says that nothing is there: no version, manifest, key or confirmed update goes with it"
    )]
    Nothing,
    /// A release that is here is for other devices.
    #[error("the release {digest} is for devices of vendor {vendor} and class {class}, which it is not")]
    Release { digest: Digest, vendor: Identifier, class: Identifier },
    /// A release that is here is for one other device.
    #[error("the release {digest} is for another device alone")]
    OtherDevice { digest: Digest },
    /// No envelope of a release that is here is signed by the key that is said to have signed it.
    #[error("no envelope of the release {digest} that is here is signed by the key {}", hex::encode(.said.0))]
    Signer { digest: Digest, said: Kid },
    /// The same of the version in its text.
    #[error("the release {digest} has the version {known:?}, not {said:?}")]
    Version { digest: Digest, known: String, said: String },
    /// The token for reports has made as many devices known as it may.
    #[error("its token has reported {most} devices already for which no publisher has vouched")]
    TooManyReported { most: i64 },
    /// The stored credential was issued later.
    #[error("the stored identity credential was issued later, at {stored}")]
    CredentialOlder { stored: u64 },
    /// Another one of the same time is stored.
    #[error("another identity credential that was issued at {issued_at} too is stored")]
    CredentialContradicts { issued_at: u64 },
}

impl Conflict {
    /// The code under which the interface names it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Vendor(_)
            | Self::Class(_)
            | Self::Identity
            | Self::Line(_)
            | Self::Owner(_)
            | Self::State(_)
            | Self::KeyChecks(_) => "device-conflict",
            Self::Target { .. } => "target-contradicts",
            Self::Sequence { .. } | Self::Nothing => "sequence-contradicts",
            Self::Release { .. } | Self::OtherDevice { .. } | Self::Signer { .. } => "release-contradicts",
            Self::Version { .. } => "version-contradicts",
            Self::TooManyReported { .. } => "device-limit",
            Self::CredentialOlder { .. } => "credential-older",
            Self::CredentialContradicts { .. } => "credential-contradicts",
        }
    }
}

/// The entry of a device after something was said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub device: StoredDevice,
    pub is_new: bool,
    /// What a publisher said against reports: the change, for the event.
    pub claimed: Option<String>,
}

/// What a list did to the devices that it registered. A device that was known can have gained an identity and other values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Gains {
    /// Registered for the first time.
    pub new: u64,
    /// Known before, and with another identity key or credential now: filled in, or a later one.
    pub identified: u64,
    /// Known before, and with other values filled in or brought up to date.
    pub completed: u64,
    /// Known before, and nothing was added but when they were seen, or that it was still so later.
    pub unchanged: u64,
    /// Their rows had an older credential than the registry, which stays.
    pub older_credentials: u64,
}

impl Gains {
    /// Counts a device that was registered.
    pub fn count(&mut self, before: Option<&StoredDevice>, after: &StoredDevice, facts: &DeviceFacts) {
        let Some(before) = before else {
            self.new += 1;
            return;
        };
        let is_identified = before.identity != after.identity || before.credential != after.credential;
        // All but the identity, when it was seen, and the times of values that stay.
        let same = StoredDevice {
            identity: after.identity.clone(),
            credential: after.credential.clone(),
            last_seen: after.last_seen,
            firmware: Installed { stated_at: after.firmware.stated_at, ..before.firmware.clone() },
            table: Installed { stated_at: after.table.stated_at, ..before.table.clone() },
            anchors_at: after.anchors_at,
            seen_by: after.seen_by.clone(),
            ..before.clone()
        };
        let is_completed = same != *after;
        let is_older = facts.credential.is_some() && after.credential != facts.credential;
        self.identified += u64::from(is_identified);
        self.completed += u64::from(is_completed);
        self.unchanged += u64::from(!is_identified && !is_completed);
        self.older_credentials += u64::from(is_older);
    }
}

/// The entry once `facts` were said. `known` is the one before, if the device is registered.
///
/// # Errors
/// The stored credential of the device is damaged.
pub fn registered(
    known: Option<StoredDevice>,
    serial: &str,
    facts: &DeviceFacts,
    now: u64,
) -> Result<Result<Outcome, Conflict>, StoreError> {
    let is_new = known.is_none();
    let mut device = known.unwrap_or_else(|| StoredDevice::new(serial, facts.vendor, facts.class));
    if is_new {
        device.registered = Some(Registered { by: facts.reporter.as_str().to_owned(), at: now });
        device.last_seen = match facts.source {
            Source::List(ListTimes { last_seen: Some(at), .. }) => at.min(now),
            Source::List(_) | Source::Report { .. } | Source::Publisher { .. } => now,
        };
        device.seen_by = Some(facts.reporter.as_str().to_owned());
    }
    let mut claimed = None;
    if facts.source.vouches() && !device.vouched {
        claimed = claim(&mut device, facts, now);
    }
    if let Err(conflict) = identify(&mut device, facts).and_then(|()| keep_custody(&mut device, facts)) {
        return Ok(Err(conflict));
    }
    match certify(&mut device, facts, now)? {
        Ok(()) => {}
        Err(conflict) => return Ok(Err(conflict)),
    }
    state_what_is_installed(&mut device, facts, now);
    see(&mut device, facts, now);
    Ok(Ok(Outcome { device, is_new, claimed }))
}

/// A publisher says which device has this serial number. Until then reports alone did, and whoever reported first must not
/// keep production out: what they said gives way, and what is known under another vendor or class is of another device.
fn claim(device: &mut StoredDevice, facts: &DeviceFacts, now: u64) -> Option<String> {
    let mut words = Vec::new();
    if (device.vendor, device.class) != (facts.vendor, facts.class) {
        words.push(format!(
            "vendor {} class {} to vendor {} class {}",
            device.vendor, device.class, facts.vendor, facts.class
        ));
        (device.vendor, device.class) = (facts.vendor, facts.class);
        (device.firmware, device.table) = (Installed::default(), Installed::default());
        (device.anchors, device.anchors_at) = (None, 0);
    }
    let said = facts.identity.map(|key| key.to_cose_key().to_vec());
    if said.is_some() && device.identity.is_some() && said != device.identity {
        words.push("identity".to_owned());
        (device.identity, device.credential) = (None, None);
    }
    device.vouched = true;
    device.registered = Some(Registered { by: facts.reporter.as_str().to_owned(), at: now });
    (!words.is_empty()).then(|| words.join("; "))
}

fn identify(device: &mut StoredDevice, facts: &DeviceFacts) -> Result<(), Conflict> {
    if device.vendor != facts.vendor {
        return Err(Conflict::Vendor(device.vendor));
    }
    if device.class != facts.class {
        return Err(Conflict::Class(device.class));
    }
    let said = facts.identity.map(|key| key.to_cose_key().to_vec());
    fill(&mut device.identity, said, |_| Conflict::Identity)
}

fn keep_custody(device: &mut StoredDevice, facts: &DeviceFacts) -> Result<(), Conflict> {
    let Custody { line, owner, state, key_checks } = &facts.custody;
    let text = |label: &Option<Label>| label.as_ref().map(|label| label.as_str().to_owned());
    fill(&mut device.line, text(line), Conflict::Line)?;
    fill(&mut device.owner, text(owner), Conflict::Owner)?;
    fill(&mut device.key_checks, key_checks.as_ref().map(KeyChecks::to_text), Conflict::KeyChecks)?;
    // Without anybody's word it is in use.
    let mut known = device.state_set.then_some(device.state);
    fill(&mut known, *state, Conflict::State)?;
    if let Some(state) = known {
        (device.state, device.state_set) = (state, true);
    }
    Ok(())
}

/// Fills in what is not known, and contradicts nothing.
fn fill<T: PartialEq + Clone>(
    known: &mut Option<T>,
    said: Option<T>,
    conflict: impl FnOnce(T) -> Conflict,
) -> Result<(), Conflict> {
    match (known.as_ref(), said) {
        (Some(known), Some(said)) if *known != said => Err(conflict(known.clone())),
        (Some(_), _) | (None, None) => Ok(()),
        (None, said @ Some(_)) => {
            *known = said;
            Ok(())
        }
    }
}

/// Of two credentials of a device the later one counts. A list may have the earlier one: it tells of the past.
fn certify(
    device: &mut StoredDevice,
    facts: &DeviceFacts,
    now: u64,
) -> Result<Result<(), Conflict>, StoreError> {
    let Some(offered) = &facts.credential else { return Ok(Ok(())) };
    let order = match &device.credential {
        None => Order::Later,
        Some(stored) => {
            order(offered, stored, now).map_err(|_| StoreError::Corrupt { what: "credential" })?
        }
    };
    match order {
        Order::Same => {}
        Order::Later => device.credential = Some(offered.clone()),
        Order::Earlier { .. } if facts.source.is_list() => {}
        Order::Earlier { stored } => return Ok(Err(Conflict::CredentialOlder { stored })),
        Order::Contradicts { issued_at } => return Ok(Err(Conflict::CredentialContradicts { issued_at })),
    }
    Ok(Ok(()))
}

fn state_what_is_installed(device: &mut StoredDevice, facts: &DeviceFacts, now: u64) {
    let is_list = facts.source.is_list();
    for (target, said) in [(Target::Firmware, &facts.firmware), (Target::Table, &facts.table)] {
        let known = device.installed(target);
        if said.says_something()
            && let Some(at) = news(facts.source.stated_at(target), now, known.stated_at, is_list)
        {
            known.hear(said, at);
        }
    }
    if let Some(anchors) = &facts.anchors
        && let Some(at) = news(facts.source.anchors_at(), now, device.anchors_at, is_list)
    {
        (device.anchors, device.anchors_at) = (Some(anchors.kids().to_vec()), at);
    }
}

fn see(device: &mut StoredDevice, facts: &DeviceFacts, now: u64) {
    let seen = match facts.source {
        Source::Report { .. } | Source::Publisher { .. } => Some(now),
        // A list has not met the device.
        Source::List(times) => times.last_seen.map(|at| at.min(now)).filter(|at| *at > device.last_seen),
    };
    if let Some(at) = seen {
        (device.last_seen, device.seen_by) = (at, Some(facts.reporter.as_str().to_owned()));
    }
}

/// The entry once this event was reported of it, which is of an update of `installs`: what that does not install stays as it
/// was.
pub fn heard(
    mut device: StoredDevice,
    (event, installs): (&Event, Installs),
    (reporter, now): (&Reporter, u64),
) -> StoredDevice {
    let said = Statement {
        version: event.version.clone(),
        sequence: event.sequence,
        manifest_digest: event.release,
        release_kid: event.release_kid,
    };
    for target in installs.targets() {
        let known = device.installed(*target);
        if event.kind.says_what_is_installed()
            && said.says_something()
            && let Some(at) = news(event.at, now, known.stated_at, false)
        {
            known.hear(&said, at);
        }
    }
    (device.last_seen, device.seen_by) = (now, Some(reporter.as_str().to_owned()));
    device
}

impl Installed {
    /// What is left out stays as it was, but what belongs to another release does not.
    fn hear(&mut self, said: &Statement, at: u64) {
        let version = said.version.as_ref().map(|version| version.as_str().to_owned());
        if !self.may_be_of(said, version.as_ref()) {
            *self = Self::default();
        }
        self.version = version.or(self.version.take());
        self.sequence = said.sequence.or(self.sequence);
        self.manifest_digest = said.manifest_digest.or(self.manifest_digest);
        self.release_kid = said.release_kid.or(self.release_kid);
        self.stated_at = at;
    }

    /// Whether a statement may be of the release that is known: it names something of it, and nothing of another one. Where
    /// nothing is, nothing that is known is of that.
    fn may_be_of(&self, said: &Statement, version: Option<&String>) -> bool {
        let named = [
            of(self.manifest_digest.as_ref(), said.manifest_digest.as_ref()),
            of(self.sequence.as_ref(), said.sequence.as_ref()),
            of(self.version.as_ref(), version),
        ];
        said.sequence != Some(NOTHING) && named.contains(&Some(true)) && !named.contains(&Some(false))
    }
}

/// Whether what is said is what is known; `None` unless both are there.
fn of<T: PartialEq>(known: Option<&T>, said: Option<&T>) -> Option<bool> {
    Some(known? == said?)
}

/// The time of a statement; `None` when something of a later time is known. A time in the future counts as now, also in the
/// database (the clock was set back). Of two reports of one second the last one counts; a list has to be later
/// than what is known, if anything is.
fn news(at: Option<u64>, now: u64, known: u64, is_list: bool) -> Option<u64> {
    let (at, known) = (at.unwrap_or(now).min(now), known.min(now));
    let is_news = if is_list { at > known || known == 0 } else { at >= known };
    is_news.then_some(at)
}
