//! `/v1/releases`: publish, list, newest, envelope, withdrawal.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use suit_manifest::limits::MAX_ENVELOPE_LEN;

use super::extract::{MayWrite, PathValue, QueryOf, page_limit};
use super::problem::Problem;
use super::{App, body, raw};
use crate::domain::catalogue::{Audience, CatalogueError, Image, Publication, Release};
use crate::domain::index::{Entry, Verdict};
use crate::domain::installs::Installs;
use crate::domain::{Digest, Malformed, Note, unix_now};
use crate::store::ReleaseEvent;

const MEDIA_TYPE: &str = "application/suit-envelope+cose";
const DEFAULT_LIMIT: u16 = 100;

/// The release object of docs/server-api.md.
#[derive(Serialize)]
struct ReleaseMessage {
    manifest_digest: String,
    envelope_sha256: String,
    sequence: u64,
    version: Option<String>,
    vendor: String,
    class: String,
    target: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    image: ImageMessage,
    /// For component-slot 1, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_image: Option<ImageMessage>,
    /// The table that comes with firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    table_image: Option<ImageMessage>,
    release_kid: String,
    published_at: u64,
    envelope_url: String,
    image_url: String,
}

#[derive(Serialize)]
struct ImageMessage {
    sha256: String,
    size: u64,
    uri: String,
}

impl From<&Image> for ImageMessage {
    fn from(image: &Image) -> Self {
        Self { sha256: image.digest.to_string(), size: image.size, uri: image.uri.clone() }
    }
}

impl From<&Release> for ReleaseMessage {
    fn from(release: &Release) -> Self {
        Self {
            manifest_digest: release.manifest_digest.to_string(),
            envelope_sha256: release.envelope_digest.to_string(),
            sequence: release.sequence,
            version: release.version.clone(),
            vendor: release.vendor.to_string(),
            class: release.class.to_string(),
            target: release.target.name(),
            device: release.device.map(|device| device.to_string()),
            envelope_url: format!("/v1/releases/{}/envelope", release.manifest_digest),
            image_url: format!("/v1/images/{}", release.image.digest),
            image: ImageMessage::from(&release.image),
            second_image: release.second_image.as_ref().map(ImageMessage::from),
            table_image: release.table_image.as_ref().map(ImageMessage::from),
            release_kid: hex::encode(release.release_kid.0),
            published_at: release.published_at,
        }
    }
}

/// A release with its status.
#[derive(Serialize)]
pub(super) struct StatusMessage {
    #[serde(flatten)]
    release: ReleaseMessage,
    status: &'static str,
    /// Why it is refused: a slug of docs/errors.md.
    refusal: Option<&'static str>,
    withdrawn: Option<WithdrawalMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventMessage>>,
}

#[derive(Serialize)]
struct WithdrawalMessage {
    reason: String,
    at: u64,
}

#[derive(Serialize)]
struct EventMessage {
    kind: String,
    reason: Option<String>,
    at: u64,
}

impl StatusMessage {
    /// `None` when no key of a configured anchor ever signed it.
    fn new(entry: Entry, events: Option<Vec<ReleaseEvent>>) -> Option<Self> {
        let (status, refusal) = match entry.verdict {
            Verdict::Offered => ("offered", None),
            Verdict::Withdrawn => ("withdrawn", None),
            Verdict::Refused(reason) => ("refused", Some(reason.slug())),
            Verdict::Damaged => return None,
        };
        let events = events.map(|events| {
            let event =
                |event: ReleaseEvent| EventMessage { kind: event.kind, reason: event.reason, at: event.at };
            events.into_iter().map(event).collect()
        });
        let withdrawn = entry
            .withdrawal
            .map(|withdrawal| WithdrawalMessage { reason: withdrawal.reason, at: withdrawal.at });
        let release = ReleaseMessage::from(entry.release.as_deref()?);
        Some(Self { release, status, refusal, withdrawn, events })
    }
}

/// The body of a withdrawal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithdrawalBody {
    reason: String,
}

pub(super) async fn publish(
    _: MayWrite,
    State(app): State<App>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let envelope = body::read(&parts.headers, body, MAX_ENVELOPE_LEN as u64).await?;
    let (publication, release) = app.catalogue.publish(envelope, unix_now()).await?;
    let status = match publication {
        Publication::Created => {
            let Release { manifest_digest, vendor, class, target, sequence, .. } = release.as_ref();
            let target = target.name();
            tracing::info!(%manifest_digest, %vendor, %class, target, sequence, "published release");
            StatusCode::CREATED
        }
        Publication::AlreadyThere => StatusCode::OK,
    };
    Ok((status, Json(ReleaseMessage::from(release.as_ref()))).into_response())
}

/// For whom releases are asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LatestQuery {
    vendor: String,
    class: String,
    target: Option<String>,
    device: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    vendor: String,
    class: String,
    target: Option<String>,
    device: Option<String>,
    below: Option<u64>,
    limit: Option<u16>,
    all: Option<bool>,
}

fn audience(
    vendor: &str,
    class: &str,
    target: Option<&str>,
    device: Option<&str>,
) -> Result<Audience, Malformed> {
    let device = device.map(str::parse).transpose()?;
    // Who names none is given firmware: clients that know of no tables never get one.
    let target = target.map_or(Ok(Installs::Firmware), str::parse)?;
    Ok(Audience { vendor: vendor.parse()?, class: class.parse()?, target, device })
}

#[derive(Serialize)]
struct Releases<T> {
    releases: Vec<T>,
}

pub(super) async fn list(
    State(app): State<App>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Response, Problem> {
    let audience = audience(&query.vendor, &query.class, query.target.as_deref(), query.device.as_deref())?;
    let limit = usize::from(page_limit(query.limit, DEFAULT_LIMIT)?);
    if query.all == Some(true) {
        let every = app.catalogue.every(audience, query.below, limit, unix_now()).await?;
        let releases: Vec<_> =
            every.into_iter().filter_map(|entry| StatusMessage::new(entry, None)).collect();
        return Ok(Json(Releases { releases }).into_response());
    }
    let offers = app.catalogue.offers(audience, query.below, limit, unix_now()).await?;
    let offered = offers.iter().filter_map(|entry| entry.release.as_deref());
    Ok(Json(Releases { releases: offered.map(ReleaseMessage::from).collect() }).into_response())
}

pub(super) async fn show(
    State(app): State<App>,
    PathValue(digest): PathValue<Digest>,
) -> Result<Response, Problem> {
    let (entry, events) = app.catalogue.release(digest, unix_now()).await?;
    let message = StatusMessage::new(entry, Some(events)).ok_or(CatalogueError::Unknown)?;
    Ok(Json(message).into_response())
}

pub(super) async fn withdraw(
    _: MayWrite,
    State(app): State<App>,
    PathValue(digest): PathValue<Digest>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let WithdrawalBody { reason } = body::read_json(&parts.headers, body).await?;
    let note: Note = reason.parse()?;
    mark(&app, digest, Some(note)).await
}

pub(super) async fn restore(
    _: MayWrite,
    State(app): State<App>,
    PathValue(digest): PathValue<Digest>,
) -> Result<Response, Problem> {
    mark(&app, digest, None).await
}

async fn mark(app: &App, digest: Digest, note: Option<Note>) -> Result<Response, Problem> {
    let entry = app.catalogue.withdraw(digest, note.map(Note::into_string), unix_now()).await?;
    let message = StatusMessage::new(entry, None).ok_or(CatalogueError::Unknown)?;
    Ok(Json(message).into_response())
}

pub(super) async fn latest(
    State(app): State<App>,
    QueryOf(query): QueryOf<LatestQuery>,
) -> Result<Response, Problem> {
    let audience = audience(&query.vendor, &query.class, query.target.as_deref(), query.device.as_deref())?;
    match app.catalogue.latest(audience, unix_now()).await {
        Ok(release) => Ok(Json(ReleaseMessage::from(release.as_ref())).into_response()),
        Err(CatalogueError::Unknown) => {
            let what = audience.target.words();
            let detail = format!("No release of {what} was published for this vendor and class.");
            Err(Problem::not_found("release-unknown", detail))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn envelope(
    State(app): State<App>,
    PathValue(digest): PathValue<Digest>,
) -> Result<Response, Problem> {
    match app.catalogue.envelope(digest, unix_now()).await {
        Ok(bytes) => Ok(raw(MEDIA_TYPE, bytes)),
        // It was handed out before: 410 and the reason.
        Err(CatalogueError::Refused(reason)) => {
            Err(Problem::new(StatusCode::GONE, reason.slug(), reason.message()).hint(reason.hint()))
        }
        Err(error @ CatalogueError::Withdrawn(_)) => Err(Problem::from(error).gone()),
        Err(error) => Err(error.into()),
    }
}
