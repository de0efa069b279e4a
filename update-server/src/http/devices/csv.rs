//! Lists of devices as CSV (RFC 4180): what goes out can come in again.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::{ListQuery, Registration, check_serial, with_credential};
use crate::domain::{Serial, unix_now};
use crate::http::extract::{MayWrite, QueryOf};
use crate::http::problem::Problem;
use crate::http::{App, body};
use crate::store::StoredDevice;

const MEDIA_TYPE: &str = "text/csv; charset=utf-8";
/// Longest list that is taken, bytes.
const MAX_LEN: u64 = 8 * 1024 * 1024;
/// Most devices of a list that is taken: all of them are written at once, or none.
const MAX_DEVICES: usize = 10_000;
/// Devices that are read at once for a list that goes out.
const PAGE: u32 = 1000;

/// A line. What is empty is not known.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Row {
    serial: String,
    vendor: String,
    class: String,
    line: String,
    owner: String,
    state: String,
    version: String,
    sequence: String,
    manifest_digest: String,
    release_kid: String,
    /// kids with a space between.
    anchors: String,
    identity: String,
    credential: String,
    key_checks: String,
    last_seen: String,
    seen_by: String,
    retired_at: String,
    retired_reason: String,
}

impl From<StoredDevice> for Row {
    fn from(device: StoredDevice) -> Self {
        let text = |value: Option<String>| value.unwrap_or_default();
        let kids = device.anchors.unwrap_or_default();
        let (retired_at, retired_reason) =
            device.retired.map_or((String::new(), String::new()), |it| (it.at.to_string(), text(it.reason)));
        Self {
            serial: device.serial,
            vendor: device.vendor.to_string(),
            class: device.class.to_string(),
            line: text(device.line),
            owner: text(device.owner),
            state: device.state.to_string(),
            version: text(device.version),
            sequence: text(device.sequence.map(|number| number.to_string())),
            manifest_digest: text(device.manifest_digest.map(|digest| digest.to_string())),
            release_kid: text(device.release_kid.map(|kid| hex::encode(kid.0))),
            anchors: kids.iter().map(|kid| hex::encode(kid.0)).collect::<Vec<_>>().join(" "),
            identity: text(device.identity.map(hex::encode)),
            credential: text(device.credential.map(hex::encode)),
            key_checks: text(device.key_checks),
            last_seen: device.last_seen.to_string(),
            seen_by: text(device.seen_by),
            retired_at,
            retired_reason,
        }
    }
}

impl Row {
    /// What it says, as a registration. When it was seen and that it was retired are the server's own words.
    fn registration(self) -> Result<(Serial, Registration), Problem> {
        let given = |value: String| (!value.is_empty()).then_some(value);
        let sequence = given(self.sequence).map(|number| number.parse());
        let sequence = sequence
            .transpose()
            .map_err(|_| Problem::malformed("A sequence is an unsigned 64-bit integer."))?;
        let serial = self.serial.parse::<Serial>()?;
        check_serial(&serial)?;
        let anchors = given(self.anchors).map(|kids| kids.split(' ').map(str::to_owned).collect());
        let message = Registration {
            vendor: self.vendor,
            class: self.class,
            version: given(self.version),
            sequence,
            manifest_digest: given(self.manifest_digest),
            release_kid: given(self.release_kid),
            anchors,
            identity: given(self.identity),
            credential: given(self.credential),
            line: given(self.line),
            owner: given(self.owner),
            state: given(self.state),
            key_checks: given(self.key_checks),
            at: None,
        };
        Ok((serial, message))
    }
}

/// All devices that the filter lets through, page by page.
pub(in crate::http) async fn export(
    State(app): State<App>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Response, Problem> {
    if query.after.is_some() || query.limit.is_some() {
        return Err(Problem::malformed("The list is whole: it takes neither after nor limit."));
    }
    let filter = query.filter()?;
    // The header alone, of a line without a device.
    let header = encode(&[], true)?;
    let pages = futures::stream::try_unfold((app, Some(String::new())), move |(app, after)| {
        let filter = filter.clone();
        async move {
            let Some(after) = after else { return Ok(None) };
            let devices = app.registry.devices(Some(&after), &filter, PAGE).await.map_err(failed)?;
            let Some(last) = devices.last().map(|device| device.serial.clone()) else { return Ok(None) };
            let next = (devices.len() as u64 == u64::from(PAGE)).then_some(last);
            let rows: Vec<Row> = devices.into_iter().map(Row::from).collect();
            let page = encode(&rows, false).map_err(|_| std::io::Error::other("the list broke off"))?;
            Ok::<_, std::io::Error>(Some((page, (app, next))))
        }
    });
    let header = futures::stream::once(async { Ok(header) });
    let stream = futures::StreamExt::chain(header, pages);
    let headers = [(CONTENT_TYPE, MEDIA_TYPE), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(stream)).into_response())
}

fn failed(error: impl std::fmt::Display) -> std::io::Error {
    tracing::error!(%error, "a list of devices broke off");
    std::io::Error::other("the list broke off")
}

fn encode(rows: &[Row], header: bool) -> Result<Bytes, Problem> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    if header {
        writer.write_record(COLUMNS).map_err(Problem::internal)?;
    }
    for row in rows {
        writer.serialize(row).map_err(Problem::internal)?;
    }
    writer.into_inner().map(Bytes::from).map_err(|error| Problem::internal(error.to_string()))
}

/// The columns, in the order of [`Row`].
const COLUMNS: [&str; 18] = [
    "serial",
    "vendor",
    "class",
    "line",
    "owner",
    "state",
    "version",
    "sequence",
    "manifest_digest",
    "release_kid",
    "anchors",
    "identity",
    "credential",
    "key_checks",
    "last_seen",
    "seen_by",
    "retired_at",
    "retired_reason",
];

#[derive(Serialize)]
struct Imported {
    devices: usize,
    new: u64,
}

pub(in crate::http) async fn import(
    by: MayWrite,
    State(app): State<App>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = body::read(&parts.headers, body, MAX_LEN).await?;
    let mut devices = Vec::new();
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(&bytes[..]);
    for row in reader.deserialize::<Row>() {
        let row = row.map_err(|error| Problem::malformed(format!("The CSV: {error}.")))?;
        let line = devices.len() as u64 + 2;
        let at_line = |problem: Problem| problem.at_line(line);
        if devices.len() == MAX_DEVICES {
            return Err(Problem::malformed(format!("At most {MAX_DEVICES} devices are taken at once.")));
        }
        let (serial, message) = row.registration().map_err(at_line)?;
        let (facts, credential) =
            message.facts(by.reporter().clone()).map_err(|error| at_line(error.into()))?;
        let facts = with_credential(&app, &serial, facts, credential).await.map_err(at_line)?;
        devices.push((line, serial, facts));
    }
    if devices.is_empty() {
        return Err(Problem::malformed("The list has no device: a header and a line for each are needed."));
    }
    let count = devices.len();
    let new = app.registry.import(devices, unix_now()).await?;
    tracing::info!(devices = count, new, "devices imported");
    Ok(Json(Imported { devices: count, new }).into_response())
}
