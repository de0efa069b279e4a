//! `/v1/devices`: the registry and its reports.

pub(super) mod changes;
pub(super) mod csv;
mod messages;
pub(super) mod reports;

use std::str::FromStr;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use trust::host::device_id;
use trust::provisioning::UNPROVISIONED_SERIAL;
use trust::{Kid, PublicKey};

use self::messages::{CredentialMessage, DeviceMessage};
use super::extract::{MayReport, MayWrite, PathValue, QueryOf, page_limit};
use super::problem::Problem;
use super::{App, body};
use crate::domain::identities::IdentityError;
use crate::domain::registration::{Conflict, Custody, DeviceFacts, Source, Statement};
use crate::domain::registry::{Anchors, DeviceFilter, Event, RegistryError, Reporter};
use crate::domain::{Digest, Malformed, Note, Serial, VersionText, lowercase_hex, unix_now};

const DEFAULT_LIMIT: u16 = 1000;

/// The body of a retirement.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetirementBody {
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    vendor: String,
    class: String,
    version: Option<String>,
    sequence: Option<u64>,
    manifest_digest: Option<String>,
    release_kid: Option<String>,
    table: Option<TableRegistration>,
    anchors: Option<Vec<String>>,
    identity: Option<String>,
    /// A CWT in hex.
    credential: Option<String>,
    line: Option<String>,
    owner: Option<String>,
    state: Option<String>,
    key_checks: Option<String>,
    at: Option<u64>,
}

/// What is said of the table of a device.
#[derive(Deserialize, Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct TableRegistration {
    version: Option<String>,
    sequence: Option<u64>,
    manifest_digest: Option<String>,
    release_kid: Option<String>,
}

impl TableRegistration {
    fn statement(self) -> Result<Statement, Malformed> {
        let said = Statement {
            version: parsed(self.version)?,
            sequence: self.sequence,
            manifest_digest: parsed(self.manifest_digest)?,
            release_kid: self.release_kid.as_deref().map(kid).transpose()?,
        };
        if said == Statement::default() {
            return Err(Malformed {
                expected: "a table has a version, a sequence number or a manifest digest",
            });
        }
        Ok(said)
    }
}

impl Registration {
    /// What is said, the credential not verified yet.
    fn facts(self, reporter: Reporter, source: Source) -> Result<(DeviceFacts, Option<Vec<u8>>), Malformed> {
        let message = self;
        let facts = DeviceFacts {
            vendor: message.vendor.parse()?,
            class: message.class.parse()?,
            firmware: Statement {
                version: parsed(message.version)?,
                sequence: message.sequence,
                manifest_digest: parsed(message.manifest_digest)?,
                release_kid: message.release_kid.as_deref().map(kid).transpose()?,
            },
            table: message.table.map(TableRegistration::statement).transpose()?.unwrap_or_default(),
            anchors: message.anchors.as_deref().map(anchors).transpose()?,
            identity: message.identity.as_deref().map(identity).transpose()?,
            credential: None,
            custody: Custody {
                line: parsed(message.line)?,
                owner: parsed(message.owner)?,
                state: parsed(message.state)?,
                key_checks: parsed(message.key_checks)?,
            },
            reporter,
            source,
        };
        if facts.firmware.is_key_alone() || facts.table.is_key_alone() {
            return Err(Malformed {
                expected: "a release_kid goes with a version, a sequence number or a manifest digest: a key signs many \
                           releases",
            });
        }
        let credential = message.credential.as_deref().map(credential).transpose()?;
        Ok((facts, credential))
    }
}

/// Refuses releases that are here for another device alone: this one would not have taken them.
fn refuse_of_another(
    app: &App,
    serial: &Serial,
    releases: impl IntoIterator<Item = Digest>,
) -> Result<(), RegistryError> {
    for digest in releases {
        if let Some((vendor, id)) = app.catalogue.device_of(digest)
            && id.0 != device_id(vendor.0, serial.as_str())
        {
            let conflict = Conflict::OtherDevice { digest };
            return Err(RegistryError::Conflict { serial: serial.as_str().to_owned(), conflict });
        }
    }
    Ok(())
}

/// Judges what is said with what is here of releases and issuers: adds the credential of a device once it has verified, whose
/// key is the device's identity.
async fn verified(
    app: &App,
    serial: &Serial,
    mut facts: DeviceFacts,
    credential: Option<Vec<u8>>,
) -> Result<DeviceFacts, Problem> {
    refuse_of_another(app, serial, facts.named().map(|(digest, ..)| digest))?;
    if let Some(bytes) = credential {
        let of = (serial, facts.vendor, facts.class);
        let identity = app.identities.verify(bytes, of, unix_now()).await?;
        if facts.identity.is_some_and(|key| key != identity.key) {
            return Err(IdentityError::OtherDevice.into());
        }
        facts.identity = Some(identity.key);
        facts.credential = Some(identity.credential);
    }
    Ok(facts)
}

fn credential(text: &str) -> Result<Vec<u8>, Malformed> {
    hex::decode(text).map_err(|_| Malformed { expected: "a credential is a CWT in hexadecimal" })
}

fn parsed<T: FromStr<Err: Into<Malformed>>>(text: Option<String>) -> Result<Option<T>, Malformed> {
    text.map(|text| text.parse().map_err(Into::into)).transpose()
}

pub(super) fn kid(text: &str) -> Result<Kid, Malformed> {
    Ok(Kid(lowercase_hex(text).ok_or(Malformed { expected: "a kid is 16 lowercase hexadecimal digits" })?))
}

fn anchors(kids: &[String]) -> Result<Anchors, Malformed> {
    Anchors::new(kids.iter().map(|text| kid(text)).collect::<Result<_, _>>()?)
}

fn identity(text: &str) -> Result<PublicKey, Malformed> {
    let key = hex::decode(text).ok().and_then(|bytes| PublicKey::from_cose_key(&bytes).ok());
    key.ok_or(Malformed { expected: "an identity is an Ed25519 public key as a COSE_Key in hexadecimal" })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    kind: String,
    release: Option<String>,
    target: Option<String>,
    release_kid: Option<String>,
    version: Option<String>,
    sequence: Option<u64>,
    reason: Option<String>,
    at: Option<u64>,
}

impl TryFrom<Report> for Event {
    type Error = Malformed;

    fn try_from(message: Report) -> Result<Self, Malformed> {
        Ok(Self {
            kind: message.kind.parse()?,
            release: parsed(message.release)?,
            target: parsed(message.target)?,
            release_kid: message.release_kid.as_deref().map(kid).transpose()?,
            version: parsed(message.version)?,
            sequence: message.sequence,
            reason: parsed(message.reason)?,
            at: message.at,
        })
    }
}

pub(super) async fn register(
    by: MayReport,
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
    request: Request,
) -> Result<Response, Problem> {
    check_serial(&serial)?;
    let (parts, body) = request.into_parts();
    let message: Registration = body::read_json(&parts.headers, body).await?;
    let at = message.at;
    let source = if by.may_write() { Source::Publisher { at } } else { Source::Report { at } };
    let (facts, credential) = message.facts(by.reporter().clone(), source)?;
    if facts.needs_write() || credential.is_some() {
        by.check_write()?;
    }
    let facts = verified(&app, &serial, facts, credential).await?;
    let (new, device) = app.registry.register(&serial, &facts, unix_now()).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(DeviceMessage::new(device, None))).into_response())
}

fn check_serial(serial: &Serial) -> Result<(), Problem> {
    if serial.as_str() == UNPROVISIONED_SERIAL {
        return Err(Problem::malformed("A device in factory state reports this serial; it names no device."));
    }
    Ok(())
}

pub(super) async fn show(
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
) -> Result<Response, Problem> {
    let (device, events) = app.registry.device(&serial).await?;
    let credential = match device.credential.clone() {
        None => None,
        Some(bytes) => {
            let refusal = app.identities.refusal(&bytes, unix_now()).await?;
            Some(CredentialMessage { cwt: hex::encode(&bytes), refusal })
        }
    };
    let mut message = DeviceMessage::new(device, Some(events));
    message.credential = credential;
    Ok(Json(message).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    after: Option<String>,
    limit: Option<u16>,
    retired: Option<bool>,
    vendor: Option<String>,
    class: Option<String>,
    line: Option<String>,
    owner: Option<String>,
    state: Option<String>,
    version: Option<String>,
    table_version: Option<String>,
    release_kid: Option<String>,
    anchor: Option<String>,
    unseen_since: Option<u64>,
    vouched: Option<bool>,
}

impl ListQuery {
    fn filter(self) -> Result<DeviceFilter, Malformed> {
        Ok(DeviceFilter {
            retired: self.retired,
            vendor: parsed(self.vendor)?,
            class: parsed(self.class)?,
            line: parsed(self.line)?,
            owner: parsed(self.owner)?,
            state: parsed(self.state)?,
            version: parsed(self.version)?,
            table_version: parsed(self.table_version)?,
            release_kid: self.release_kid.as_deref().map(kid).transpose()?,
            anchor: self.anchor.as_deref().map(kid).transpose()?,
            unseen_since: self.unseen_since,
            vouched: self.vouched,
        })
    }
}

#[derive(Serialize)]
pub(super) struct Devices {
    devices: Vec<DeviceMessage>,
}

pub(super) async fn list(
    State(app): State<App>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Devices>, Problem> {
    let after = query.after.as_ref().map(|serial| serial.parse::<Serial>()).transpose()?;
    let limit = page_limit(query.limit, DEFAULT_LIMIT)?;
    let filter = query.filter()?;
    let devices = app.registry.devices(after.as_ref().map(Serial::as_str), &filter, u32::from(limit)).await?;
    Ok(Json(Devices {
        devices: devices.into_iter().map(|device| DeviceMessage::new(device, None)).collect(),
    }))
}

pub(super) async fn retire(
    by: MayWrite,
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let RetirementBody { reason } = body::read_json(&parts.headers, body).await?;
    let note = reason.map(|reason| reason.parse::<Note>()).transpose()?.map(Note::into_string);
    mark(&app, &serial, true, note.as_deref(), &by).await
}

pub(super) async fn restore(
    by: MayWrite,
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
) -> Result<Response, Problem> {
    mark(&app, &serial, false, None, &by).await
}

async fn mark(
    app: &App,
    serial: &Serial,
    retired: bool,
    note: Option<&str>,
    by: &MayWrite,
) -> Result<Response, Problem> {
    let device = app.registry.retire(serial, retired, note, (by.reporter(), unix_now())).await?;
    tracing::info!(serial = serial.as_str(), retired, "retirement of a device");
    Ok(Json(DeviceMessage::new(device, None)).into_response())
}

pub(super) async fn record(
    by: MayReport,
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    let message: Report = body::read_json(&parts.headers, body).await?;
    let event: Event = message.try_into()?;
    // An event has the name of its release; a device report has the application's own.
    if let (Some(digest), Some(said)) = (event.release, event.version.as_ref().map(VersionText::as_str))
        && let Some(known) = app.catalogue.version_of(digest)
        && known != said
    {
        let (serial, said) = (serial.as_str().to_owned(), said.to_owned());
        let conflict = Conflict::Version { digest, known, said };
        return Err(RegistryError::Conflict { serial, conflict }.into());
    }
    if event.kind.says_what_is_installed() {
        refuse_of_another(&app, &serial, event.release)?;
    }
    app.registry.record(&serial, &event, (by.reporter(), unix_now())).await?;
    tracing::info!(serial = serial.as_str(), kind = event.kind.as_str(), "device event");
    Ok(StatusCode::CREATED)
}
