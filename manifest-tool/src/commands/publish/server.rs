//! The server's interface, version 1 (docs/server-api.md), as far as publishing needs it.

use crate::error::Error;
use crate::files::read_secret;
use crate::output::Output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Body, Client, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;
use trust::host::{MAX_KEY_FILE_LEN, printable, without_mark};
use zeroize::Zeroizing;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a request with a small body, the server's disk included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Slowest line over which an image is still sent.
const MIN_BYTES_PER_SECOND: u64 = 8 * 1024;
/// Bytes that are handed over at a time, and counted by the progress bar.
const CHUNK_LEN: usize = 64 * 1024;
/// Longest answer that is read, bytes.
const MAX_ANSWER_LEN: usize = 64 * 1024;
/// Longest part of a server's words that is shown, characters.
const MAX_DETAIL_LEN: usize = 300;

/// Whether the server had it already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Created,
    Present,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Created => "sent",
            Self::Present => "was there already",
        })
    }
}

/// The revocation list of an anchor that a server goes by, in the words of its answer.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub(super) struct ListInForce {
    pub(super) kid: String,
    pub(super) list_sequence: u64,
}

impl std::fmt::Display for ListInForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "list-sequence {} of {}", self.list_sequence, self.kid)
    }
}

/// RFC 9457, as far as it is read.
#[derive(Default, Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    code: Option<String>,
    hint: Option<String>,
}

#[derive(Deserialize)]
struct Release {
    envelope_url: Option<String>,
}

pub(super) struct Server {
    client: Client,
    base: Url,
}

impl Server {
    pub(super) fn new(url: &str, token_file: &Path) -> Result<Self, Error> {
        let base = parse_url(url).ok_or_else(|| Error::ServerUrl(url.to_owned()))?;
        let token = read_secret(token_file, MAX_KEY_FILE_LEN)?;
        let token = first_token(&token).ok_or_else(|| Error::Token(token_file.to_owned()))?;
        let value = Zeroizing::new([b"Bearer ", token].concat());
        let mut authorization =
            HeaderValue::from_bytes(&value).map_err(|_| Error::Token(token_file.to_owned()))?;
        authorization.set_sensitive(true);

        // Installed explicitly: which cryptography speaks TLS is not left to features. A second call is one too many.
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("anchorage-manifest-tool/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, authorization)]))
            // The token is for this server only.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true);
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|_| Error::Internal("no HTTP client"))?;
        Ok(Self { client, base })
    }

    pub(super) fn sends_the_token_in_clear(&self) -> bool {
        self.base.scheme() == "http" && !is_loopback(&self.base)
    }

    /// Sends a list that says `meant`; it is in force when the server says so.
    pub(super) async fn put_revocations(
        &self,
        list: Vec<u8>,
        meant: &ListInForce,
    ) -> Result<ListInForce, Error> {
        let step = "sending the revocation list";
        let request =
            self.client.put(self.url(step, &["revocations"])?).header(CONTENT_TYPE, "application/cwt");
        let answer = send(step, request.body(list).timeout(REQUEST_TIMEOUT)).await?;
        let in_force: ListInForce = read_object(step, answer).await?;
        if in_force != *meant {
            let detail = format!("{in_force} is in force, where {meant} was sent");
            return Err(Error::ServerAnswer { step: step.to_owned(), detail });
        }
        Ok(in_force)
    }

    pub(super) async fn put_image(
        &self,
        sha256: &str,
        image: Vec<u8>,
        output: Output,
    ) -> Result<Outcome, Error> {
        let step = "sending the image";
        let url = self.url(step, &["images", sha256])?;
        // A large image is not sent for nothing. Whatever the answer, the PUT decides; it also repairs what the server
        // holds in another length.
        let len = image.len() as u64;
        let present = self.client.head(url.clone()).timeout(REQUEST_TIMEOUT).send().await;
        if present.is_ok_and(|answer| answer.status() == StatusCode::OK && named_len(&answer) == Some(len)) {
            return Ok(Outcome::Present);
        }
        let bar = progress_bar(len, output);
        let body = Body::wrap_stream(chunks(image, bar.clone()));
        let request = self
            .client
            .put(url)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, len)
            .timeout(REQUEST_TIMEOUT + Duration::from_secs(len / MIN_BYTES_PER_SECOND))
            .body(body);
        let answer = send(step, request).await;
        bar.finish_and_clear();
        Ok(outcome(answer?.status()))
    }

    pub(super) async fn post_release(&self, envelope: Vec<u8>) -> Result<(Outcome, Option<String>), Error> {
        let step = "publishing the release";
        let request = self
            .client
            .post(self.url(step, &["releases"])?)
            .header(CONTENT_TYPE, "application/suit-envelope+cose")
            .timeout(REQUEST_TIMEOUT)
            .body(envelope);
        let answer = send(step, request).await?;
        let outcome = outcome(answer.status());
        let release: Release = read_object(step, answer).await?;
        Ok((outcome, release.envelope_url))
    }

    fn url(&self, step: &str, path: &[&str]) -> Result<Url, Error> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().push("v1").extend(path);
            }
            Err(()) => {
                return Err(Error::ServerAnswer { step: step.to_owned(), detail: "no path".to_owned() });
            }
        }
        Ok(url)
    }
}

/// The first line that is neither empty nor a comment: the server's own token file serves too.
fn first_token(file: &[u8]) -> Option<&[u8]> {
    let mut lines = without_mark(file).split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let token = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"))?;
    token.iter().all(u8::is_ascii_graphic).then_some(token)
}

fn parse_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    (matches!(url.scheme(), "http" | "https") && url.has_host() && plain).then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// 2xx; anything else is an error with the server's own words.
async fn send(step: &str, request: RequestBuilder) -> Result<Response, Error> {
    let failed = |source: reqwest::Error| Error::Http { step: step.to_owned(), source: describe(source) };
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let body = read_answer(step, answer).await.unwrap_or_default();
    let Problem { title, detail, code, hint } = serde_json::from_slice(&body).unwrap_or_default();
    let words =
        detail.or(title).unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason").to_owned());
    let is_slug = |code: &String| {
        code.len() <= 64 && code.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    Err(Error::ServerRefused {
        step: step.to_owned(),
        status: status.as_u16(),
        code: code.filter(is_slug),
        detail: shown(&words),
        hint: hint.map(|hint| shown(&hint)).filter(|hint| !hint.is_empty()),
    })
}

/// A server's words, as far as they are shown.
fn shown(words: &str) -> String {
    printable(&words.chars().take(MAX_DETAIL_LEN).collect::<String>())
}

/// The JSON object of an answer.
async fn read_object<T: serde::de::DeserializeOwned>(step: &str, answer: Response) -> Result<T, Error> {
    let body = read_answer(step, answer).await?;
    serde_json::from_slice(&body)
        .map_err(|error| Error::ServerAnswer { step: step.to_owned(), detail: error.to_string() })
}

/// `Content-Length` of the answer to a HEAD, which has no body of that length.
fn named_len(answer: &Response) -> Option<u64> {
    answer.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The body, up to the limit.
async fn read_answer(step: &str, mut answer: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    let failed = |source: reqwest::Error| Error::Http { step: step.to_owned(), source: describe(source) };
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_ANSWER_LEN {
            let detail = format!("it is longer than {MAX_ANSWER_LEN} bytes");
            return Err(Error::ServerAnswer { step: step.to_owned(), detail });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn outcome(status: StatusCode) -> Outcome {
    if status == StatusCode::CREATED { Outcome::Created } else { Outcome::Present }
}

/// reqwest says what went wrong in the cause, and names the URL, which people know.
fn describe(error: reqwest::Error) -> Box<dyn std::error::Error + Send + Sync> {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text.into()
}

fn progress_bar(len: u64, output: Output) -> ProgressBar {
    // On anything but a terminal indicatif draws nothing by itself.
    let target = if output.is_json() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(len), target);
    let style = ProgressStyle::with_template("  image {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn chunks(
    image: Vec<u8>,
    bar: ProgressBar,
) -> impl futures::Stream<Item = Result<Vec<u8>, std::convert::Infallible>> {
    let mut position = 0;
    futures::stream::iter(std::iter::from_fn(move || {
        let rest = image.get(position..)?;
        let chunk = rest.get(..CHUNK_LEN.min(rest.len())).filter(|chunk| !chunk.is_empty())?;
        position += chunk.len();
        bar.inc(chunk.len() as u64);
        Some(Ok(chunk.to_vec()))
    }))
}
