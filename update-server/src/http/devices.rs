//! `/v1/devices`: the registry and its reports.

use std::str::FromStr;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use trust::provisioning::UNPROVISIONED_SERIAL;
use trust::{Kid, PublicKey};

use super::extract::{MayReport, MayWrite, PathValue, QueryOf, page_limit};
use super::problem::Problem;
use super::{App, body};
use crate::domain::registry::{Anchors, DeviceFacts, Event};
use crate::domain::{Malformed, Note, Serial, lowercase_hex, unix_now};
use crate::store::{StoredDevice, StoredEvent};

const DEFAULT_LIMIT: u16 = 1000;

/// The device object of docs/server-api.md.
#[derive(Serialize)]
struct DeviceMessage {
    serial: String,
    vendor: String,
    class: String,
    version: Option<String>,
    sequence: Option<u64>,
    manifest_digest: Option<String>,
    release_kid: Option<String>,
    anchors: Option<Vec<String>>,
    identity: Option<String>,
    last_seen: u64,
    retired: Option<RetirementMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventMessage>>,
}

impl DeviceMessage {
    fn new(device: StoredDevice, events: Option<Vec<StoredEvent>>) -> Self {
        Self {
            serial: device.serial,
            vendor: device.vendor.to_string(),
            class: device.class.to_string(),
            version: device.version,
            sequence: device.sequence,
            manifest_digest: device.manifest_digest.map(|digest| digest.to_string()),
            release_kid: device.release_kid.map(|kid| hex::encode(kid.0)),
            anchors: device.anchors.map(|kids| kids.iter().map(|kid| hex::encode(kid.0)).collect()),
            retired: device.retired.map(|it| RetirementMessage { reason: it.reason, at: it.at }),
            identity: device.identity.map(hex::encode),
            last_seen: device.last_seen,
            events: events.map(|events| events.into_iter().map(EventMessage::from).collect()),
        }
    }
}

#[derive(Serialize)]
struct RetirementMessage {
    reason: Option<String>,
    at: u64,
}

/// The body of a retirement.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetirementBody {
    reason: Option<String>,
}

#[derive(Serialize)]
struct EventMessage {
    kind: String,
    release: Option<String>,
    release_kid: Option<String>,
    version: Option<String>,
    sequence: Option<u64>,
    reason: Option<String>,
    note: Option<String>,
    at: Option<u64>,
    received_at: u64,
}

impl From<StoredEvent> for EventMessage {
    fn from(event: StoredEvent) -> Self {
        Self {
            kind: event.kind,
            release: event.release.map(|digest| digest.to_string()),
            release_kid: event.release_kid.map(|kid| hex::encode(kid.0)),
            note: event.note,
            version: event.version,
            sequence: event.sequence,
            reason: event.reason,
            // What lies in the future was not observed; stored as it was said, so that a repeat is known for one.
            at: event.at.filter(|at| *at <= event.received_at),
            received_at: event.received_at,
        }
    }
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
    anchors: Option<Vec<String>>,
    identity: Option<String>,
    at: Option<u64>,
}

impl TryFrom<Registration> for DeviceFacts {
    type Error = Malformed;

    fn try_from(message: Registration) -> Result<Self, Malformed> {
        Ok(Self {
            vendor: message.vendor.parse()?,
            class: message.class.parse()?,
            version: parsed(message.version)?,
            sequence: message.sequence,
            manifest_digest: parsed(message.manifest_digest)?,
            release_kid: message.release_kid.as_deref().map(kid).transpose()?,
            anchors: message.anchors.as_deref().map(anchors).transpose()?,
            identity: message.identity.as_deref().map(identity).transpose()?,
            at: message.at,
        })
    }
}

fn parsed<T: FromStr<Err: Into<Malformed>>>(text: Option<String>) -> Result<Option<T>, Malformed> {
    text.map(|text| text.parse().map_err(Into::into)).transpose()
}

fn kid(text: &str) -> Result<Kid, Malformed> {
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
            release_kid: message.release_kid.as_deref().map(kid).transpose()?,
            version: parsed(message.version)?,
            sequence: message.sequence,
            reason: parsed(message.reason)?,
            at: message.at,
        })
    }
}

pub(super) async fn register(
    _: MayReport,
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
    request: Request,
) -> Result<Response, Problem> {
    if serial.as_str() == UNPROVISIONED_SERIAL {
        return Err(Problem::malformed("A device in factory state reports this serial; it names no device."));
    }
    let (parts, body) = request.into_parts();
    let message: Registration = body::read_json(&parts.headers, body).await?;
    let (new, device) = app.registry.register(&serial, &message.try_into()?, unix_now()).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(DeviceMessage::new(device, None))).into_response())
}

pub(super) async fn show(
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
) -> Result<Response, Problem> {
    let (device, events) = app.registry.device(&serial).await?;
    Ok(Json(DeviceMessage::new(device, Some(events))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    after: Option<String>,
    retired: Option<bool>,
    limit: Option<u16>,
}

#[derive(Serialize)]
pub(super) struct Devices {
    devices: Vec<DeviceMessage>,
}

pub(super) async fn list(
    State(app): State<App>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Devices>, Problem> {
    let after = query.after.map(|serial| serial.parse::<Serial>()).transpose()?;
    let limit = page_limit(query.limit, DEFAULT_LIMIT)?;
    let devices = app.registry.devices(after.as_ref(), query.retired, u32::from(limit)).await?;
    Ok(Json(Devices {
        devices: devices.into_iter().map(|device| DeviceMessage::new(device, None)).collect(),
    }))
}

pub(super) async fn retire(
    _: MayWrite,
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let RetirementBody { reason } = body::read_json(&parts.headers, body).await?;
    let note = reason.map(|reason| reason.parse::<Note>()).transpose()?.map(Note::into_string);
    mark(&app, &serial, true, note.as_deref()).await
}

pub(super) async fn restore(
    _: MayWrite,
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
) -> Result<Response, Problem> {
    mark(&app, &serial, false, None).await
}

async fn mark(app: &App, serial: &Serial, retired: bool, note: Option<&str>) -> Result<Response, Problem> {
    let device = app.registry.retire(serial, retired, note, unix_now()).await?;
    tracing::info!(serial = serial.as_str(), retired, "retirement of a device");
    Ok(Json(DeviceMessage::new(device, None)).into_response())
}

pub(super) async fn record(
    _: MayReport,
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    let message: Report = body::read_json(&parts.headers, body).await?;
    let event: Event = message.try_into()?;
    app.registry.record(&serial, &event, unix_now()).await?;
    tracing::info!(serial = serial.as_str(), kind = event.kind.as_str(), "device event");
    Ok(StatusCode::CREATED)
}
