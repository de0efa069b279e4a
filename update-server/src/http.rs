//! The interface of docs/server-api.md, and nothing else: each route turns a request into a call of the domain, and
//! what comes back into the message of the document. Those messages are types of their own; the domain's can change
//! without the interface noticing.

mod body;
mod conditional;
mod devices;
mod extract;
mod health;
mod images;
mod issuers;
mod observe;
mod problem;
mod releases;
mod revocations;
mod successions;

use std::sync::Arc;

use axum::Router;
use axum::http::header::HeaderValue;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use tower_http::catch_panic::CatchPanicLayer;

use self::observe::RequestIds;
use self::problem::Problem;
use crate::blobs::Blobs;
use crate::config::Tokens;
use crate::domain::catalogue::Catalogue;
use crate::domain::identities::Identities;
use crate::domain::records::Records;
use crate::domain::registry::Registry;
use crate::domain::unix_now;
use crate::readiness::Readiness;

/// Everything that the routes work with.
#[derive(Debug)]
pub struct Parts {
    /// Releases.
    pub catalogue: Catalogue,
    /// Devices.
    pub registry: Registry,
    /// Issuing keys, and the credentials of devices.
    pub identities: Identities,
    /// Anchors, successions and revocation lists.
    pub records: Records,
    /// Images.
    pub blobs: Arc<Blobs>,
    /// Whether all of it works.
    pub readiness: Readiness,
    /// Tokens for writing.
    pub tokens: Tokens,
    /// Longest image, bytes.
    pub max_image_bytes: u64,
}

/// Shared by all requests.
pub type App = Arc<Parts>;

/// All routes.
pub fn router(parts: Parts) -> Router {
    let request_ids = Arc::new(RequestIds::starting(unix_now()));
    Router::new()
        .route("/v1/live", get(health::live))
        .route("/v1/health", get(health::ready))
        .route("/v1/anchors", get(successions::anchors))
        .route("/v1/images/{digest}", put(images::put_image).get(images::send_image))
        .route("/v1/releases", post(releases::publish).get(releases::list))
        .route("/v1/releases/latest", get(releases::latest))
        .route("/v1/releases/{digest}", get(releases::show))
        .route("/v1/releases/{digest}/envelope", get(releases::envelope))
        .route("/v1/releases/{digest}/withdrawal", put(releases::withdraw).delete(releases::restore))
        .route("/v1/revocations", put(revocations::put_list).get(revocations::lists))
        .route("/v1/revocations/{domain}", get(revocations::list))
        .route("/v1/successions", put(successions::put))
        .route("/v1/successions/{domain}", get(successions::list))
        .route("/v1/successions/{domain}/chain", get(successions::chain))
        .route("/v1/issuers", put(issuers::put).get(issuers::list))
        .route("/v1/issuers/{domain}/{kid}", get(issuers::show))
        .route("/v1/devices", get(devices::list).post(devices::csv::import))
        .route("/v1/devices.csv", get(devices::csv::export))
        .route(
            "/v1/devices/{serial}",
            put(devices::register).get(devices::show).patch(devices::changes::amend),
        )
        .route("/v1/devices/{serial}/state", put(devices::changes::change_state))
        .route("/v1/devices/{serial}/retirement", put(devices::retire).delete(devices::restore))
        .route("/v1/devices/{serial}/events", post(devices::record))
        .route("/v1/devices/{serial}/reports", post(devices::reports::keep).get(devices::reports::list))
        .route("/v1/devices/{serial}/reports/{digest}", get(devices::reports::show))
        .fallback(async || Problem::not_found("not-found", "There is nothing at this path."))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This path does not take this method.",
            )
        })
        .with_state(Arc::new(parts))
        .layer(CatchPanicLayer::custom(|_panic| Problem::internal("a handler panicked").into_response()))
        .layer(from_fn_with_state(request_ids, observe::observe))
}

/// The body of a message that goes out as bytes of a known kind.
fn raw(media_type: &'static str, bytes: Vec<u8>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(axum::http::header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    (headers, bytes).into_response()
}
