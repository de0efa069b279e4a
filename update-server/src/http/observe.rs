//! Middleware around every request: its id, the headers that every answer has, and its one line in the log.
//!
//! Method, path and status; no header ever, since one of them is the token. What a client sent stands in that line
//! only, cut to a bounded length, so that nobody can fill a disk with long paths.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use crate::log::cut;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why a request was refused: from the problem to the line in the log.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// The problem's code.
    pub(super) code: &'static str,
    /// The problem's detail, as sent.
    pub(super) detail: String,
    /// The cause of our own failure, for the log only.
    pub(super) cause: Option<String>,
}

/// Names requests, so that an answer can be found in the log: start of the process, then a count.
pub(super) struct RequestIds {
    start: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn starting(start: u64) -> Self {
        Self { start, next: AtomicU64::new(1) }
    }

    fn next(&self) -> String {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:x}-{count:x}", self.start)
    }
}

/// Middleware: gives the answer its id and headers, and logs it. An id that the client sent counts for nothing.
pub(super) async fn observe(State(ids): State<Arc<RequestIds>>, request: Request, next: Next) -> Response {
    let id = ids.next();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let started = Instant::now();
    let span = tracing::info_span!("request", id);
    let mut response = next.run(request).instrument(span.clone()).await;

    let (method, path) = (cut(method.as_str()), cut(uri.path()));
    let status = response.status().as_u16();
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| match response.extensions_mut().remove::<Refusal>() {
        Some(Refusal { code, cause: Some(cause), .. }) => {
            tracing::error!(method, path, status, ms, code, cause, "failed");
        }
        // As text, which the log quotes and escapes: a detail can repeat what the client sent.
        Some(Refusal { code, detail, .. }) => {
            tracing::info!(method, path, status, ms, code, detail = cut(&detail), "refused");
        }
        None => tracing::info!(method, path, status, ms, "answered"),
    });

    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // What is decided anew at every read is no cache's to keep: a release may have been revoked meanwhile.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}
