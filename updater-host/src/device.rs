//! The reports of a device, read from hostile answers into types that cannot be wrong.

mod report;
mod summary;
mod waits;

use serde::Serialize;
use suit_manifest::reason::Reason;
use suit_manifest::{DeviceIdentity, Target};
use trust::host::device_id;
use trust::{Domain, Kid, SuccessionNumber};
#[cfg(feature = "http")]
use update_protocol::profile::anchors::head;
use update_protocol::profile::anchors::{AnchorEntry, AnchorReport, DomainEntry};
use update_protocol::profile::{Component, ImageState, Mode, StateRecord, UNPROVISIONED_SERIAL};
use uuid::Uuid;

use crate::error::{DeviceAnswerError, Error, NO_IDENTITY, state_hint, table_hint};
use crate::text::DeviceText;
pub(crate) use report::{InfoReport, OtherUnit, ScanReport};
pub(crate) use summary::{DeviceSummary, Silence, TableSummary};
pub(crate) use waits::Waits;

/// A device, as it answered just now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Device {
    /// Node address.
    pub(crate) node: u8,
    /// Serial; `unprovisioned` in factory state.
    pub(crate) serial: DeviceText,
    /// Vendor, class and device id; zeros in factory state.
    pub(crate) identity: DeviceIdentity,
    /// What of it is looked at: the firmware, until it is [turned](Device::turned) to its table.
    pub(crate) component: Component,
    /// State record of that.
    pub(crate) state: StateRecord,
    /// State record of the other one, if the device has both.
    pub(crate) other: Option<StateRecord>,
    /// Version of the application, when it is the one that answers.
    pub(crate) application_version: Option<DeviceText>,
    /// Version of the loader, when the device tells.
    pub(crate) loader_version: Option<DeviceText>,
    /// What it trusts, when it says.
    pub(crate) trust: Option<DeviceTrust>,
}

/// The anchors of a device and their domains.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DeviceTrust {
    pub(crate) anchors: Vec<AnchorEntry>,
    pub(crate) domains: Vec<DomainEntry>,
}

impl DeviceTrust {
    /// Reads the content of `FD02`.
    ///
    /// # Errors
    /// [`DeviceAnswerError::AnchorReport`]
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DeviceAnswerError> {
        let report = AnchorReport::decode(bytes).map_err(DeviceAnswerError::AnchorReport)?;
        Ok(Self { anchors: report.anchors().collect(), domains: report.domains().collect() })
    }

    /// The number of its root of a domain; `None` for a domain that it does not know.
    #[must_use]
    pub(crate) fn number(&self, domain: Domain) -> Option<SuccessionNumber> {
        self.domains.iter().find(|known| known.domain == domain.0.0).map(number_of)
    }

    /// Its root of a domain; `None`: it has none, or lost it.
    #[must_use]
    pub(crate) fn root(&self, domain: Domain) -> Option<Kid> {
        let mut anchors = self.anchors.iter();
        anchors.find(|anchor| anchor.domain == domain.0.0 && anchor.is_root()).map(|root| Kid(root.kid))
    }

    /// The domain that an anchor of it is of.
    #[must_use]
    pub(crate) fn domain_of(&self, kid: Kid) -> Option<Domain> {
        let anchor = self.anchors.iter().find(|anchor| anchor.kid == kid.0)?;
        Some(Domain(Kid(anchor.domain)))
    }

    /// The content of `FD02`, to be kept.
    #[cfg(feature = "http")]
    #[must_use]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let count = u8::try_from(self.anchors.len()).unwrap_or(u8::MAX);
        let entries = self.anchors.iter().take(count.into()).flat_map(AnchorEntry::encode);
        let domains = self.domains.iter().flat_map(DomainEntry::encode);
        head(count).into_iter().chain(entries).chain(domains).collect()
    }

    /// list-sequence of the list that it holds of a domain, 0 if none; `None` for a domain that it does not know.
    #[must_use]
    pub(crate) fn list_sequence(&self, domain: Domain) -> Option<u64> {
        self.domains.iter().find(|known| known.domain == domain.0.0).map(|known| known.list_sequence)
    }
}

fn number_of(domain: &DomainEntry) -> SuccessionNumber {
    SuccessionNumber {
        recovery_epoch: domain.recovery_epoch,
        succession_sequence: domain.succession_sequence,
    }
}

/// Digest of the manifest of the install in progress or pending.
fn install_digest(state: &StateRecord) -> Option<String> {
    (state.manifest_digest != [0; 32]).then(|| hex::encode(state.manifest_digest))
}

/// What a device runs: for the plan, the result and the server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Installed {
    /// Version of the application, when it answered.
    pub(crate) version: Option<String>,
    /// Sequence number of the active image; 0: none.
    pub(crate) sequence: u64,
    /// Manifest digest of the active image, when the device says it; results name the release already.
    #[serde(skip)]
    pub(crate) digest: Option<[u8; 32]>,
}

/// What of a device a manifest installs.
pub(crate) const fn component_of(target: Target) -> Component {
    match target {
        Target::Firmware => Component::Firmware,
        Target::Table => Component::Table,
    }
}

/// The target of a manifest that installs this.
pub(crate) const fn target_of(component: Component) -> Target {
    match component {
        Component::Firmware => Target::Firmware,
        Component::Table => Target::Table,
    }
}

/// The one that a component of a device has beside it.
pub(crate) const fn beside(component: Component) -> Component {
    match component {
        Component::Firmware => Component::Table,
        Component::Table => Component::Firmware,
    }
}

impl Installed {
    /// By the application's own name for its version and the state record.
    #[must_use]
    pub(crate) fn new(version: Option<&DeviceText>, state: &StateRecord) -> Self {
        Self {
            version: version.map(ToString::to_string),
            sequence: state.active_sequence,
            digest: active_digest(state),
        }
    }
}

/// Digest of the manifest of the active image, when the device says it.
fn active_digest(state: &StateRecord) -> Option<[u8; 32]> {
    Some(state.active_digest).filter(|digest| digest != &[0; 32])
}

impl Device {
    /// That its application dies, if it does.
    #[must_use]
    pub(crate) fn silence(&self) -> Option<Silence> {
        Silence::of(self.firmware())
    }

    /// What it runs; or the table that it has, whose version only a release says.
    #[must_use]
    pub(crate) fn installed(&self) -> Installed {
        let version = match self.component {
            Component::Firmware => self.application_version.as_ref(),
            Component::Table => None,
        };
        Installed::new(version, &self.state)
    }

    /// What it has of the component beside the one that is looked at; `None` while that is on trial by itself: a session ends
    /// the trial. A table that came with its firmware stands as that does.
    #[cfg(feature = "http")]
    pub(crate) fn beside(&self, component: Component) -> Option<Installed> {
        let state = self.other.as_ref().filter(|_| component != self.component)?;
        let is_on_trial = matches!(state.image, ImageState::Trial | ImageState::Reverting);
        let shares_its_end = component == Component::Table
            && active_digest(state).is_some_and(|own| self.state.active_digest == own);
        let version = match component {
            Component::Firmware => self.application_version.as_ref(),
            Component::Table => None,
        };
        (!is_on_trial || shares_its_end).then(|| Installed::new(version, state))
    }

    /// The device, with this component looked at.
    ///
    /// # Errors
    /// [`Error::NoTable`]
    pub(crate) fn turned(mut self, component: Component) -> Result<Self, Error> {
        self.turn(component)?;
        Ok(self)
    }

    /// The same, in place.
    pub(crate) fn turn(&mut self, component: Component) -> Result<(), Error> {
        if component != self.component {
            let Some(other) = &mut self.other else {
                return Err(Error::NoTable { serial: self.serial.to_string() });
            };
            std::mem::swap(&mut self.state, other);
            self.component = component;
        }
        Ok(())
    }

    /// Whether something tries what is installed: a table that nothing tries waits for good.
    ///
    /// # Errors
    /// [`Error::NoFirmware`]
    pub(crate) fn check_tries(&self) -> Result<(), Error> {
        if self.component == Component::Table && !self.has_firmware() {
            return Err(Error::NoFirmware { serial: self.serial.to_string() });
        }
        Ok(())
    }

    /// Whether it has firmware that runs, or that a reset starts: an update may have found it in its loader.
    pub(crate) fn has_firmware(&self) -> bool {
        let firmware = self.firmware();
        firmware.mode == Mode::Application
            || matches!(firmware.image, ImageState::Confirmed | ImageState::Pending | ImageState::Trial)
    }

    /// The state of its firmware.
    fn firmware(&self) -> &StateRecord {
        self.of(Component::Firmware).unwrap_or(&self.state)
    }

    /// The state of a component; `None` for a table that it does not have.
    pub(crate) fn of(&self, component: Component) -> Option<&StateRecord> {
        if component == self.component { Some(&self.state) } else { self.other.as_ref() }
    }

    /// Whether a reset changes nothing of it: nothing is on trial, and nothing waits for its first start.
    pub(crate) fn is_settled(&self) -> bool {
        let settled = |state: &StateRecord| matches!(state.image, ImageState::Confirmed | ImageState::None);
        settled(&self.state) && self.other.as_ref().is_none_or(settled)
    }

    /// What of it is on trial, which ends with a programming session.
    pub(crate) fn on_trial(&self) -> Option<Component> {
        let is_on_trial =
            |component: &Component| self.of(*component).is_some_and(|state| state.image == ImageState::Trial);
        [Component::Firmware, Component::Table].into_iter().find(is_on_trial)
    }

    /// Whether device id and serial belong together (docs/records.md). Two devices that share a node address mix their
    /// answers. A serial that is not text has no id, and a device without an identity has neither.
    #[must_use]
    pub(crate) fn is_one_device(&self) -> bool {
        let Some(serial) = self.serial.as_str().filter(|_| !self.has_no_identity()) else {
            return true;
        };
        device_id(self.identity.vendor, serial) == self.identity.device
    }

    /// Whether it reports what a device in factory state does. One in another mode cannot read its identity.
    fn has_no_identity(&self) -> bool {
        let DeviceIdentity { vendor, class, device } = &self.identity;
        self.serial.as_str() == Some(UNPROVISIONED_SERIAL)
            && [vendor, class, device].into_iter().all(|id| *id == [0; 16])
    }

    /// Whether it lost the identity that it had.
    fn lost_identity(&self) -> bool {
        self.state.mode != Mode::Factory && self.has_no_identity()
    }

    /// What the technician can do about its state; `None`: nothing.
    fn hint(&self) -> Option<&'static str> {
        if self.lost_identity() {
            return Some(NO_IDENTITY);
        }
        let [of_firmware, of_table] =
            [Component::Firmware, Component::Table].map(|component| self.waits(component));
        let table = || self.of(Component::Table).and_then(|state| table_hint(state, of_table));
        // Firmware that has come in part is the half that the table waits for.
        let is_half = of_table == Some(Waits::Half) && self.firmware().image == ImageState::Confirmed;
        let firmware = || state_hint(self.firmware(), of_firmware);
        if is_half { table() } else { firmware().or_else(table) }
    }

    /// # Errors
    /// [`Error::NoIdentity`]: no release and no block is meant for it.
    pub(crate) fn check_identity(&self) -> Result<(), Error> {
        if !self.lost_identity() {
            return Ok(());
        }
        Err(Error::NoIdentity { node: self.node, reason_code: self.state.reason })
    }

    /// Digest of the manifest of the active image, when the device says it.
    #[must_use]
    pub(crate) fn active_digest(&self) -> Option<[u8; 32]> {
        active_digest(&self.state)
    }

    #[must_use]
    pub(crate) fn vendor(&self) -> Uuid {
        Uuid::from_bytes(self.identity.vendor)
    }

    #[must_use]
    pub(crate) fn class(&self) -> Uuid {
        Uuid::from_bytes(self.identity.class)
    }

    #[must_use]
    pub(crate) fn summary(&self) -> DeviceSummary {
        let state = self.firmware();
        DeviceSummary {
            node: self.node,
            serial: self.serial.to_string(),
            vendor: self.vendor(),
            class: self.class(),
            mode: mode_name(state.mode),
            image: image_name(state.image),
            waits: self.waits(Component::Firmware),
            reverted: state.flags.reverted,
            resumable: state.flags.resumable,
            listening: state.flags.listening,
            silence: self.silence(),
            lost_identity: self.lost_identity(),
            version: self.application_version.as_ref().map(ToString::to_string),
            sequence: state.active_sequence,
            table: self
                .of(Component::Table)
                .map(|state| TableSummary::of(state, self.waits(Component::Table))),
        }
    }
}

/// The three identifiers of `FD01`.
///
/// # Errors
/// [`DeviceAnswerError::IdentityLength`]
pub(crate) fn identity(bytes: &[u8]) -> Result<DeviceIdentity, DeviceAnswerError> {
    match bytes.as_chunks::<16>() {
        ([vendor, class, device], []) => {
            Ok(DeviceIdentity { vendor: *vendor, class: *class, device: *device })
        }
        _ => Err(DeviceAnswerError::IdentityLength(bytes.len())),
    }
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Factory => "factory",
        Mode::Loader => "loader",
        Mode::Application => "application",
    }
}

fn image_name(image: ImageState) -> &'static str {
    match image {
        ImageState::None => "none",
        ImageState::Confirmed => "confirmed",
        ImageState::Trial => "trial",
        ImageState::Pending => "pending",
        ImageState::Reverting => "reverting",
    }
}

/// Slug of a reason code; `None` for 0.
#[must_use]
pub(crate) fn reason_slug(code: u16) -> Option<String> {
    match (code, Reason::from_code(code)) {
        (0, _) => None,
        (_, Some(reason)) => Some(reason.slug().to_owned()),
        (code, None) => Some(format!("reason-{code:04x}")),
    }
}

#[cfg(test)]
mod tests;
