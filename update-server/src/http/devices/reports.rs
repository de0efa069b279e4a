//! `/v1/devices/{serial}/reports`: what devices report under their own keys, for who has these keys.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::super::extract::{MayReport, PathPair, PathValue, QueryOf};
use super::super::problem::Problem;
use super::super::{App, body, raw};
use crate::domain::device_report::{MAX_REPORT_LEN, Nonce, ReceivedReport, ReportWords};
use crate::domain::installs::Installs;
use crate::domain::{Digest, Serial, unix_now};
use crate::store::{ReportInsertion, StoredReport};

/// RFC 9052 section 11.3.1.
const MEDIA_TYPE: &str = "application/cose; cose-type=\"cose-mac0\"";

/// The question that a report answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct QuestionQuery {
    nonce: String,
    at: Option<u64>,
}

#[derive(Serialize)]
struct Kept {
    digest: String,
    /// Never: who has the key of the device verifies it.
    verified: bool,
}

#[derive(Serialize)]
pub(in super::super) struct Reports {
    reports: Vec<ReportMessage>,
}

/// The report object of docs/server-api.md.
#[derive(Serialize)]
struct ReportMessage {
    digest: String,
    verified: bool,
    received_at: u64,
    at: Option<u64>,
    reporter: String,
    nonce: Option<String>,
    device_key: Option<String>,
    key_also_of: Option<String>,
    manifest_digest: Option<String>,
    release_sequence: Option<u64>,
    release_target: Option<&'static str>,
    outcome: &'static str,
    reason: Option<&'static str>,
    summary: String,
}

impl ReportMessage {
    fn new(stored: StoredReport, words: ReportWords) -> Self {
        Self {
            digest: stored.digest.to_string(),
            verified: false,
            received_at: stored.received_at,
            at: stored.at.filter(|at| *at <= stored.received_at),
            reporter: stored.reporter,
            nonce: words.nonce,
            device_key: stored.device_key.map(|kid| hex::encode(kid.0)),
            key_also_of: stored.key_also_of,
            manifest_digest: stored.manifest_digest.map(hex::encode),
            release_sequence: stored.release_sequence,
            release_target: stored.release_target.map(Installs::name),
            outcome: words.outcome,
            reason: words.reason.map(|reason| reason.slug()),
            summary: words.summary,
        }
    }
}

pub(in super::super) async fn keep(
    by: MayReport,
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
    QueryOf(query): QueryOf<QuestionQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let nonce: Nonce = query.nonce.parse()?;
    let (parts, body) = request.into_parts();
    let bytes = body::read(&parts.headers, body, MAX_REPORT_LEN).await?;
    let report = ReceivedReport::read(bytes.to_vec(), &nonce)?;
    let digest = report.digest().to_string();
    let kept = app.registry.keep_report(&serial, report, query.at, (by.reporter(), unix_now())).await?;
    tracing::info!(serial = serial.as_str(), digest, ?kept, "report of a device");
    let status = match kept {
        ReportInsertion::Created { .. } => StatusCode::CREATED,
        ReportInsertion::AlreadyThere => StatusCode::OK,
    };
    Ok((status, Json(Kept { digest, verified: false })).into_response())
}

pub(in super::super) async fn list(
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
) -> Result<Json<Reports>, Problem> {
    let reports = app.registry.reports(&serial).await?;
    Ok(Json(Reports {
        reports: reports.into_iter().map(|(stored, words)| ReportMessage::new(stored, words)).collect(),
    }))
}

pub(in super::super) async fn show(
    State(app): State<App>,
    PathPair(serial, digest): PathPair<Serial, Digest>,
) -> Result<Response, Problem> {
    match app.registry.report(&serial, digest).await? {
        Some(bytes) => Ok(raw(MEDIA_TYPE, bytes)),
        None => Err(Problem::not_found("report-unknown", "No such report of this device is stored.")),
    }
}
