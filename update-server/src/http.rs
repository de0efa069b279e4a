//! The interface of docs/server-api.md, and nothing else: each route turns a request into a call of the domain, and
//! what comes back into the message of the document. Those messages are types of their own; the domain's can change
//! without the interface noticing.

mod body;
mod conditional;
mod devices;
mod extract;
mod images;
mod linger;
mod problem;
mod releases;
mod revocations;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Serialize;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;
use tracing::Span;

use self::problem::Problem;
use crate::VERSION;
use crate::blobs::Blobs;
use crate::config::Tokens;
use crate::domain::catalogue::Catalogue;
use crate::domain::records::Records;
use crate::domain::registry::Registry;
use crate::domain::unix_now;
use crate::store::Store;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the routes work with.
#[derive(Debug)]
pub struct Parts {
    /// Releases.
    pub catalogue: Catalogue,
    /// Devices.
    pub registry: Registry,
    /// Anchors and revocation lists.
    pub records: Records,
    /// Images.
    pub blobs: Arc<Blobs>,
    /// For the health check.
    pub store: Store,
    /// Who may write.
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
        .route("/v1/health", get(health))
        .route("/v1/anchors", get(anchors))
        .route("/v1/images/{digest}", put(images::put_image).get(images::send_image))
        .route("/v1/releases", post(releases::publish).get(releases::list))
        .route("/v1/releases/latest", get(releases::latest))
        .route("/v1/releases/{digest}/envelope", get(releases::envelope))
        .route("/v1/revocations", put(revocations::put_list).get(revocations::lists))
        .route("/v1/revocations/{kid}", get(revocations::list))
        .route("/v1/devices", get(devices::list))
        .route("/v1/devices/{serial}", put(devices::register).get(devices::show))
        .route("/v1/devices/{serial}/events", post(devices::record))
        .fallback(async || Problem::not_found("not-found", "There is nothing at this path."))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This path does not take this method.")
        })
        .with_state(Arc::new(parts))
        .layer(from_fn(linger::linger))
        .layer(CatchPanicLayer::custom(|_panic| Problem::internal("a handler panicked").into_response()))
        .layer(
            // Method and path; no header ever, since one of them is the token.
            TraceLayer::new_for_http()
                .make_span_with(|request: &Request| {
                    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
                    tracing::info_span!("request", id, method = %request.method(), path = request.uri().path())
                })
                .on_request(())
                .on_response(|response: &Response, latency: Duration, _: &Span| {
                    let ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
                    tracing::info!(status = response.status().as_u16(), ms, "answered");
                })
                // Failures are logged where they are made, with their cause.
                .on_failure(()),
        )
        .layer(from_fn_with_state(request_ids, identify))
}

/// Names requests, so that an answer can be found in the log: start of the process, then a count.
struct RequestIds {
    start: u64,
    next: AtomicU64,
}

impl RequestIds {
    fn starting(start: u64) -> Self {
        Self { start, next: AtomicU64::new(1) }
    }

    fn next(&self) -> Option<HeaderValue> {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        HeaderValue::try_from(format!("{:x}-{count:x}", self.start)).ok()
    }
}

/// Middleware: gives the request its id (whatever the client sent under that name is dropped) and the answer too,
/// with the headers that every answer has.
async fn identify(State(ids): State<Arc<RequestIds>>, mut request: Request, next: Next) -> Response {
    let id = ids.next();
    request.headers_mut().remove(REQUEST_ID);
    if let Some(id) = &id {
        request.headers_mut().insert(REQUEST_ID, id.clone());
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // What is decided anew at every read is no cache's to keep: a release may have been revoked meanwhile.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Some(id) = id {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// The body of a message that goes out as bytes of a known kind.
fn raw(media_type: &'static str, bytes: Vec<u8>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(axum::http::header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    (headers, bytes).into_response()
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

async fn health(State(app): State<App>) -> Result<Json<Health>, Problem> {
    match app.store.ping().await {
        Ok(()) => Ok(Json(Health { status: "ok", version: VERSION })),
        Err(error) => {
            tracing::error!(%error, "unhealthy");
            let detail = "The database does not answer.";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail))
        }
    }
}

#[derive(Serialize)]
struct Anchors {
    anchors: Vec<Anchor>,
}

#[derive(Serialize)]
struct Anchor {
    kid: String,
    cose_key: String,
}

async fn anchors(State(app): State<App>) -> Json<Anchors> {
    let anchors = app.records.anchors().iter().map(|anchor| Anchor {
        kid: hex::encode(anchor.kid().0),
        cose_key: hex::encode(anchor.to_cose_key()),
    });
    Json(Anchors { anchors: anchors.collect() })
}
