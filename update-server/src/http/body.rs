//! Incoming bodies: bounded in length and time, and never a private key.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use trust::host::{PrivateKeyWatch, contains_private_key, is_private_key, transfer_time};

use super::problem::Problem;

/// A sender that is silent for this long is given up.
pub(super) const STALL_LIMIT: Duration = Duration::from_secs(30);
/// Longest JSON that a route takes, bytes.
pub(super) const MAX_JSON_LEN: u64 = 4096;

/// Reads a whole body of at most `limit` bytes.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: u64) -> Result<Bytes, Problem> {
    let len = announced(headers, limit)?;
    let mut parts = parts(body, len);
    let mut bytes = BytesMut::new();
    while let Some(part) = parts.next().await {
        let part = part?;
        if (bytes.len() + part.len()) as u64 > limit {
            return Err(Problem::too_large(limit));
        }
        bytes.extend_from_slice(&part);
    }
    if contains_private_key(&bytes) {
        return Err(Problem::private_key());
    }
    Ok(bytes.freeze())
}

pub(super) async fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let bytes = read(headers, body, MAX_JSON_LEN).await?;
    serde_json::from_slice(&bytes).map_err(|error| Problem::malformed(format!("The body: {error}.")))
}

/// The parts of an image. The receiver counts them; an announced length above the limit is refused here.
pub(super) async fn image(
    headers: &HeaderMap,
    body: Body,
    limit: u64,
) -> Result<impl Stream<Item = Result<Bytes, Problem>> + use<>, Problem> {
    let len = announced(headers, limit)?;
    let mut parts = parts(body, len);
    // A key file is short: it is looked at as a whole before a byte is stored.
    let mut start = BytesMut::new();
    while start.len() < KEY_FILE_LEN
        && let Some(part) = parts.next().await
    {
        start.extend_from_slice(&part?);
    }
    if is_private_key(&start) {
        return Err(Problem::private_key());
    }
    // Of what is longer, a text may still have a key in it, after a comment of any length.
    let mut watch = PrivateKeyWatch::default();
    let rest = parts.map(Some).chain(futures::stream::once(async { None }));
    let whole = futures::stream::once(async { Some(Ok(start.freeze())) }).chain(rest);
    Ok(whole.filter_map(move |part| {
        let checked = match part {
            Some(Ok(part)) => {
                watch.take(&part);
                Some(Ok(part))
            }
            Some(Err(problem)) => Some(Err(problem)),
            // The end: an error here, and nothing is stored.
            None if watch.found() => Some(Err(Problem::private_key())),
            None => None,
        };
        std::future::ready(checked)
    }))
}

/// The announced length of a body, or `limit`, bytes.
fn announced(headers: &HeaderMap, limit: u64) -> Result<u64, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match announced {
        Some(announced) if announced > limit => Err(Problem::too_large(limit)),
        announced => Ok(announced.unwrap_or(limit)),
    }
}

/// The parts of a body of at most `len` bytes, for as long as a client waits for such a transfer.
fn parts(body: Body, len: u64) -> impl Stream<Item = Result<Bytes, Problem>> + Unpin + use<> {
    parts_within(STALL_LIMIT, transfer_time(len), body)
}

fn parts_within(
    stall_limit: Duration,
    time_limit: Duration,
    body: Body,
) -> impl Stream<Item = Result<Bytes, Problem>> + Unpin + use<> {
    let deadline = Instant::now() + time_limit;
    futures::stream::unfold(body.into_data_stream(), move |mut stream: BodyDataStream| async move {
        let stalls = Instant::now() + stall_limit;
        match tokio::time::timeout_at(stalls.min(deadline), stream.next()).await {
            Ok(part) => Some((part?.map_err(|_| incomplete()), stream)),
            Err(_) if deadline <= stalls => Some((Err(too_slow(time_limit)), stream)),
            Err(_) => Some((Err(stalled()), stream)),
        }
    })
    .fuse()
    .boxed()
}

fn too_slow(time_limit: Duration) -> Problem {
    let detail = format!("The body did not arrive within {} seconds.", time_limit.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", detail)
}

fn incomplete() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "body-incomplete", "The body broke off before its end.")
}

fn stalled() -> Problem {
    let detail = format!("Nothing of the body arrived for {} seconds.", STALL_LIMIT.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body-stalled", detail)
}

/// No key file is longer.
const KEY_FILE_LEN: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGbMFcG...";

    #[tokio::test]
    async fn a_key_cut_into_small_parts_is_seen_and_an_image_comes_through_whole() {
        let headers = HeaderMap::new();
        let body = |bytes: &'static [u8]| {
            Body::from_stream(futures::stream::iter(bytes.chunks(5).map(Ok::<_, std::io::Error>)))
        };
        assert!(image(&headers, body(PEM), 1000).await.is_err());
        assert!(read(&headers, body(PEM), 1000).await.is_err());
        let bytes: &'static [u8] = &[0x5a; 700];
        let parts: Vec<_> = image(&headers, body(bytes), 1000).await.unwrap().collect().await;
        assert_eq!(parts.into_iter().map(|part| part.unwrap()).collect::<Vec<_>>().concat(), bytes);
        assert!(read(&headers, body(bytes), 699).await.is_err());
        assert_eq!(read(&headers, body(bytes), 700).await.unwrap(), bytes);
    }

    #[tokio::test]
    async fn a_silent_sender_is_given_up() {
        let body = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let mut parts = parts_within(Duration::from_millis(50), Duration::from_secs(60), body);
        let problem = parts.next().await.unwrap().unwrap_err();
        assert!(format!("{problem:?}").contains("body-stalled"), "{problem:?}");
    }
    /// One byte now and then keeps a connection from being silent, and its place from others.
    #[tokio::test(start_paused = true)]
    async fn a_sender_that_drips_is_given_up() {
        let drips = futures::stream::unfold((), |()| async {
            tokio::time::sleep(STALL_LIMIT - Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
        });
        let begun = Instant::now();
        let problem =
            read_json::<serde_json::Value>(&HeaderMap::new(), Body::from_stream(drips)).await.unwrap_err();
        assert!(format!("{problem:?}").contains("body-too-slow"), "{problem:?}");
        assert_eq!(begun.elapsed().as_secs(), transfer_time(MAX_JSON_LEN).as_secs());
    }
}
