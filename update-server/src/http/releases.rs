//! `/v1/releases`: publish, list, newest, envelope.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use suit_manifest::limits::MAX_ENVELOPE_LEN;

use super::extract::{MayWrite, PathValue, QueryOf, page_limit};
use super::problem::Problem;
use super::{App, body, raw};
use crate::domain::catalogue::{Audience, CatalogueError, Publication, Release};
use crate::domain::{Digest, Malformed, unix_now};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    image: ImageMessage,
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

impl From<Release> for ReleaseMessage {
    fn from(release: Release) -> Self {
        Self {
            manifest_digest: release.manifest_digest.to_string(),
            envelope_sha256: release.envelope_digest.to_string(),
            sequence: release.sequence,
            version: release.version,
            vendor: release.vendor.to_string(),
            class: release.class.to_string(),
            device: release.device.map(|device| device.to_string()),
            envelope_url: format!("/v1/releases/{}/envelope", release.manifest_digest),
            image_url: format!("/v1/images/{}", release.image.digest),
            image: ImageMessage {
                sha256: release.image.digest.to_string(),
                size: release.image.size,
                uri: release.image.uri,
            },
            release_kid: hex::encode(release.release_kid.0),
            published_at: release.published_at,
        }
    }
}

pub(super) async fn publish(
    _: MayWrite,
    State(app): State<App>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let envelope = body::read(&parts.headers, body, MAX_ENVELOPE_LEN as u64).await?;
    let (publication, release) = app.catalogue.publish(&envelope, unix_now()).await?;
    let status = match publication {
        Publication::Created => {
            let Release { manifest_digest, vendor, class, sequence, .. } = &release;
            tracing::info!(%manifest_digest, %vendor, %class, sequence, "published release");
            StatusCode::CREATED
        }
        Publication::AlreadyThere => StatusCode::OK,
    };
    Ok((status, Json(ReleaseMessage::from(release))).into_response())
}

/// For whom releases are asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LatestQuery {
    vendor: String,
    class: String,
    device: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    vendor: String,
    class: String,
    device: Option<String>,
    below: Option<u64>,
    limit: Option<u16>,
}

fn audience(vendor: &str, class: &str, device: Option<&str>) -> Result<Audience, Malformed> {
    let device = device.map(str::parse).transpose()?;
    Ok(Audience { vendor: vendor.parse()?, class: class.parse()?, device })
}

#[derive(Serialize)]
pub(super) struct Releases {
    releases: Vec<ReleaseMessage>,
}

pub(super) async fn list(
    State(app): State<App>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Releases>, Problem> {
    let audience = audience(&query.vendor, &query.class, query.device.as_deref())?;
    let limit = page_limit(query.limit, DEFAULT_LIMIT)?;
    let offers = app.catalogue.offers(audience, query.below, usize::from(limit), unix_now()).await?;
    Ok(Json(Releases { releases: offers.into_iter().map(ReleaseMessage::from).collect() }))
}

pub(super) async fn latest(
    State(app): State<App>,
    QueryOf(query): QueryOf<LatestQuery>,
) -> Result<Response, Problem> {
    let audience = audience(&query.vendor, &query.class, query.device.as_deref())?;
    match app.catalogue.latest(audience, unix_now()).await {
        Ok(release) => Ok(Json(ReleaseMessage::from(release)).into_response()),
        Err(CatalogueError::Unknown) => {
            Err(Problem::not_found("release-unknown", "No release is offered to this vendor and class."))
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
        // It was here, and is not given out any more: the reason says why.
        Err(CatalogueError::Refused(reason)) => {
            Err(Problem::new(StatusCode::GONE, reason.slug(), reason.message()).hint(reason.hint()))
        }
        Err(error) => Err(error.into()),
    }
}
