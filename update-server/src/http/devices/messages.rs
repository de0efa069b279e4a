//! The objects of docs/server-api.md that answers have: devices and their events.

use serde::Serialize;

use crate::domain::installs::Installs;
use crate::store::{Installed, StoredDevice, StoredEvent};

/// The device object of docs/server-api.md.
#[derive(Serialize)]
pub(super) struct DeviceMessage {
    serial: String,
    vendor: String,
    class: String,
    version: Option<String>,
    sequence: Option<u64>,
    manifest_digest: Option<String>,
    release_kid: Option<String>,
    stated_at: Option<u64>,
    /// `None` while nothing is known of one.
    table: Option<TableMessage>,
    anchors: Option<Vec<String>>,
    anchors_at: Option<u64>,
    identity: Option<String>,
    line: Option<String>,
    owner: Option<String>,
    state: &'static str,
    key_checks: Option<String>,
    /// A publisher said which device this is; else it is known from reports only.
    vouched: bool,
    registered: Option<RegisteredMessage>,
    last_seen: u64,
    seen_by: Option<String>,
    retired: Option<RetirementMessage>,
    /// Of a device that is asked for alone, like the events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) credential: Option<CredentialMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventMessage>>,
}

impl DeviceMessage {
    pub(super) fn new(device: StoredDevice, events: Option<Vec<StoredEvent>>) -> Self {
        Self {
            serial: device.serial,
            vendor: device.vendor.to_string(),
            class: device.class.to_string(),
            version: device.firmware.version,
            sequence: device.firmware.sequence,
            manifest_digest: device.firmware.manifest_digest.map(|digest| digest.to_string()),
            release_kid: device.firmware.release_kid.map(|kid| hex::encode(kid.0)),
            stated_at: known_time(device.firmware.stated_at),
            table: TableMessage::new(device.table),
            anchors_at: known_time(device.anchors_at),
            anchors: device.anchors.map(|kids| kids.iter().map(|kid| hex::encode(kid.0)).collect()),
            retired: device.retired.map(|it| RetirementMessage { reason: it.reason, at: it.at }),
            identity: device.identity.map(hex::encode),
            line: device.line,
            owner: device.owner,
            state: device.state.as_str(),
            key_checks: device.key_checks,
            vouched: device.vouched,
            registered: device.registered.map(|it| RegisteredMessage { by: it.by, at: it.at }),
            last_seen: device.last_seen,
            seen_by: device.seen_by,
            credential: None,
            events: events.map(|events| events.into_iter().map(EventMessage::from).collect()),
        }
    }
}

/// The table of a device, with the members that say what runs.
#[derive(Serialize)]
struct TableMessage {
    version: Option<String>,
    sequence: Option<u64>,
    manifest_digest: Option<String>,
    release_kid: Option<String>,
    stated_at: Option<u64>,
}

impl TableMessage {
    fn new(table: Installed) -> Option<Self> {
        (table != Installed::default()).then(|| Self {
            version: table.version,
            sequence: table.sequence,
            manifest_digest: table.manifest_digest.map(|digest| digest.to_string()),
            release_kid: table.release_kid.map(|kid| hex::encode(kid.0)),
            stated_at: known_time(table.stated_at),
        })
    }
}

/// 0 is before every report.
pub(super) fn known_time(at: u64) -> Option<u64> {
    (at != 0).then_some(at)
}

#[derive(Serialize)]
struct RegisteredMessage {
    by: String,
    at: u64,
}

#[derive(Serialize)]
pub(super) struct CredentialMessage {
    pub(super) cwt: String,
    /// Why it does not verify now.
    pub(super) refusal: Option<&'static str>,
}

#[derive(Serialize)]
struct RetirementMessage {
    reason: Option<String>,
    at: u64,
}

#[derive(Serialize)]
struct EventMessage {
    kind: String,
    release: Option<String>,
    target: Option<&'static str>,
    release_kid: Option<String>,
    version: Option<String>,
    sequence: Option<u64>,
    reason: Option<String>,
    note: Option<String>,
    at: Option<u64>,
    received_at: u64,
    reporter: Option<String>,
}

impl From<StoredEvent> for EventMessage {
    fn from(event: StoredEvent) -> Self {
        Self {
            kind: event.kind,
            release: event.release.map(|digest| digest.to_string()),
            target: event.target.map(Installs::name),
            release_kid: event.release_kid.map(|kid| hex::encode(kid.0)),
            note: event.note,
            version: event.version,
            sequence: event.sequence,
            reason: event.reason,
            // What lies in the future was not observed; stored as it was said, so that a repeat is known for one.
            at: event.at.filter(|at| *at <= event.received_at),
            received_at: event.received_at,
            reporter: event.reporter,
        }
    }
}
