//! Incoming bodies: bounded in length and time, and never a private key.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use serde::de::DeserializeOwned;
use trust::host::is_private_key;

use super::problem::Problem;

/// A sender that is silent for this long is given up.
pub(super) const STALL_LIMIT: Duration = Duration::from_secs(30);
/// Longest JSON that a route takes, bytes.
pub(super) const MAX_JSON_LEN: u64 = 4096;

/// Reads a whole body of at most `limit` bytes.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: u64) -> Result<Bytes, Problem> {
    refuse_announced(headers, limit)?;
    let mut parts = parts(body);
    let mut bytes = BytesMut::new();
    while let Some(part) = parts.next().await {
        let part = part?;
        if (bytes.len() + part.len()) as u64 > limit {
            return Err(Problem::too_large(limit));
        }
        bytes.extend_from_slice(&part);
    }
    if has_private_key(&bytes) || is_private_key(&bytes) {
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
    refuse_announced(headers, limit)?;
    let mut parts = parts(body);
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
    // Of what is longer, a text may still have a key in it, behind a comment of any length.
    let mut watch = TextWatch::default();
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

/// Looks for a PEM private key in a text that comes in parts. Firmware with a PEM parser in it is not text.
#[derive(Default)]
struct TextWatch {
    tail: Vec<u8>,
    has_begun: bool,
    /// The text is UTF-16: every other byte of ASCII is zero.
    is_wide: bool,
    is_binary: bool,
    seen: bool,
}

impl TextWatch {
    fn take(&mut self, part: &[u8]) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.is_wide = part.starts_with(b"\xff\xfe") || part.starts_with(b"\xfe\xff");
        }
        let narrow: Vec<u8>;
        let part = match self.is_wide {
            false => part,
            true => {
                narrow = part.iter().copied().filter(|byte| *byte != 0).collect();
                &narrow
            }
        };
        self.is_binary |= part.iter().any(|b| b.is_ascii_control() && !b.is_ascii_whitespace());
        if self.is_binary || self.seen {
            return;
        }
        self.tail.extend_from_slice(part);
        self.seen = contains(&self.tail, PEM_PRIVATE_KEY);
        let overlap = self.tail.len().saturating_sub(PEM_PRIVATE_KEY.len());
        self.tail.drain(..overlap);
    }

    fn found(&self) -> bool {
        self.seen && !self.is_binary
    }
}

fn refuse_announced(headers: &HeaderMap, limit: u64) -> Result<(), Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > limit) { Err(Problem::too_large(limit)) } else { Ok(()) }
}

fn parts(body: Body) -> impl Stream<Item = Result<Bytes, Problem>> + Unpin + use<> {
    parts_within(STALL_LIMIT, body)
}

fn parts_within(
    stall_limit: Duration,
    body: Body,
) -> impl Stream<Item = Result<Bytes, Problem>> + Unpin + use<> {
    futures::stream::unfold(body.into_data_stream(), move |mut stream: BodyDataStream| async move {
        match tokio::time::timeout(stall_limit, stream.next()).await {
            Ok(part) => Some((part?.map_err(|_| incomplete()), stream)),
            Err(_) => Some((Err(stalled()), stream)),
        }
    })
    .fuse()
    .boxed()
}

fn incomplete() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "body-incomplete", "The body broke off before its end.")
}

fn stalled() -> Problem {
    let detail = format!("Nothing of the body arrived for {} seconds.", STALL_LIMIT.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body-stalled", detail)
}

/// PEM of every kind of private key: `PRIVATE KEY`, `ENCRYPTED PRIVATE KEY`, `EC PRIVATE KEY`,
/// `OPENSSH PRIVATE KEY`, ... (RFC 7468 sections 10 and 11).
const PEM_PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";
/// PKCS#8 of an Ed25519 key between its version and its 32 bytes (RFC 8410 section 7).
const DER_ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// No key file is longer.
const KEY_FILE_LEN: usize = 64 << 10;

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

/// Whether an unencrypted Ed25519 key in PKCS#8 begins here. The length differs: version 2 (a 1) may have the public
/// key and attributes behind it (RFC 5958 section 2).
fn is_der_private_key(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, _, 0x02, 0x01, 0x00 | 0x01, rest @ ..] if rest.starts_with(DER_ED25519))
}

/// Whether a private key is anywhere in a small body.
fn has_private_key(bytes: &[u8]) -> bool {
    contains(bytes, PEM_PRIVATE_KEY) || (0..bytes.len()).any(|at| is_der_private_key(&bytes[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The examples of RFC 8410 section 10.3, without the PEM around them and with other bytes for the key, and one that
    // `ring` made.
    const DER_1: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    const DER_2: [u8; 16] = *b"\x30\x72\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    const DER_RING: [u8; 16] = *b"\x30\x53\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    const PEM: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGbMFcG...";

    #[test]
    fn private_keys_are_seen() {
        assert!(has_private_key(&[b"{\"version\": \"", PEM].concat()));
        for der in [DER_1, DER_2, DER_RING] {
            assert!(has_private_key(&[&[0x82, 0x58, 0x30], &der[..], &[7; 32]].concat()));
            // Neither a part of it nor a public key, nor another version.
            assert!(!has_private_key(&der[1..]) && !has_private_key(&der[..15]));
        }
        assert!(!has_private_key(b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"));
        assert!(!has_private_key(b"\x30\x2e\x02\x01\x02\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"));
        assert!(!has_private_key(b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA"));
        assert!(!has_private_key(b""));
    }

    #[test]
    fn a_key_in_a_long_text_is_found_and_firmware_with_a_pem_parser_is_not() {
        let found = |parts: &[&[u8]]| {
            let mut watch = TextWatch::default();
            parts.iter().for_each(|part| watch.take(part));
            watch.found()
        };
        let comment = "# a comment\n".repeat(10_000);
        assert!(found(&[comment.as_bytes(), PEM]));
        assert!(found(&[comment.as_bytes(), &PEM[..25], &PEM[25..], comment.as_bytes()]));
        assert!(!found(&[comment.as_bytes(), b"-----BEGIN PUBLIC KEY-----"]));
        assert!(!found(&[&[0x00, 0x20, 0x01, 0x20], PEM]) && !found(&[PEM, &[0]]));
    }

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
        let mut parts = parts_within(Duration::from_millis(50), body);
        let problem = parts.next().await.unwrap().unwrap_err();
        assert!(format!("{problem:?}").contains("body-stalled"), "{problem:?}");
    }
}
