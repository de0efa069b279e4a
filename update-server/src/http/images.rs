//! `/v1/images/{sha256}`: upload with the digest taken on the way, download whole or in part.

use std::io;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt as _;
use serde::Serialize;

use super::App;
use super::body;
use super::conditional::{Selection, select};
use super::extract::{MayWrite, PathValue};
use super::problem::Problem;
use crate::blobs::{BlobError, UploadError};
use crate::domain::Digest;

#[derive(Serialize)]
struct StoredImage {
    sha256: String,
    size: u64,
}

impl From<UploadError<Problem>> for Problem {
    fn from(error: UploadError<Problem>) -> Self {
        match error {
            UploadError::Source(problem) => problem,
            UploadError::Blob(error) => error.into(),
        }
    }
}

pub(super) async fn put_image(
    _: MayWrite,
    State(app): State<App>,
    PathValue(digest): PathValue<Digest>,
    request: Request,
) -> Result<Response, Problem> {
    let limit = app.max_image_bytes;
    let (parts, body) = request.into_parts();
    let image = body::image(&parts.headers, body, limit).await?;
    // What is there already is written again: it may be damaged, and the answer promises what was sent.
    let there = app.blobs.contains(digest).await?;
    let size = app.blobs.write(digest, image, limit).await?;
    tracing::info!(%digest, size, there, "stored image");
    let status = if there { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(StoredImage { sha256: digest.to_string(), size })).into_response())
}

/// `GET` and `HEAD`.
pub(super) async fn send_image(
    State(app): State<App>,
    PathValue(digest): PathValue<Digest>,
    method: Method,
    request: HeaderMap,
) -> Result<Response, Problem> {
    let absent = || {
        if app.catalogue.names_image(digest) {
            app.blobs.note_lost(digest);
            return Problem::from(BlobError::Lost(digest));
        }
        Problem::not_found("image-unknown", "No image with this digest is stored.")
    };
    // A publisher asks by HEAD whether to send it: then the disk has to have it, not the memory.
    let image = match method {
        Method::HEAD => app.blobs.stored(digest).await?,
        _ => app.blobs.image(digest).await?,
    };
    let image = image.ok_or_else(absent)?;
    let size = image.size();
    let etag = HeaderValue::try_from(format!("\"{digest}\"")).map_err(Problem::internal)?;
    // RFC 9110 section 14.2: a range is for GET only.
    let selection = match (select(&request, &etag, size), &method) {
        (Selection::Part(_) | Selection::Unsatisfiable, &Method::HEAD) => Selection::Whole,
        (selection, _) => selection,
    };
    let (status, range) = match selection {
        Selection::NotModified => (StatusCode::NOT_MODIFIED, 0..0),
        Selection::Whole => (StatusCode::OK, 0..size),
        Selection::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Selection::Unsatisfiable => {
            let detail = format!("The image has {size} bytes; the range lies beyond them.");
            let content_range =
                HeaderValue::try_from(format!("bytes */{size}")).map_err(Problem::internal)?;
            return Err(Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range-not-satisfiable", detail)
                .header(CONTENT_RANGE, content_range));
        }
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(ETAG, etag);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // What a digest names never changes.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    if status == StatusCode::NOT_MODIFIED {
        return Ok(response);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if status == StatusCode::PARTIAL_CONTENT {
        let (first, last) = (range.start, range.end - 1);
        let content_range = HeaderValue::try_from(format!("bytes {first}-{last}/{size}"));
        headers.insert(CONTENT_RANGE, content_range.map_err(Problem::internal)?);
    }
    if method != Method::HEAD {
        *response.body_mut() = match image.in_memory(range.clone()) {
            Some(bytes) => Body::from(bytes),
            None => {
                let broken =
                    move |error: &io::Error| tracing::error!(%digest, %error, "a download broke off");
                Body::from_stream(image.read(range).inspect_err(broken))
            }
        };
    }
    Ok(response)
}
