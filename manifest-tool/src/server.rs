//! The server's interface, version 1 (docs/server-api.md), as far as a publisher needs it.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::ProgressBar;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use server_client::{
    MAX_CA_FILE_LEN, MAX_JSON_LEN, Refusal, authorities, bearer, cause, exposes_token, is_refusal,
    is_web_page, parse_url, transfer_time, url_of, waited_for, waited_for_once_sent, waiting_for,
};
use trust::host::{MAX_TOKEN_FILE_LEN, Serial, read_write_token};

use crate::error::{Error, refused_rows};
use crate::files::{read, read_secret};
use crate::output::Output;

mod answers;
mod images;
mod reports;
mod series;

use answers::{DeviceStatus, MeantMark, Release, ReleaseStatus, check};
pub(crate) use answers::{Imported, IssuerKept, ListInForce, RootInForce};
use images::upload;
pub(crate) use reports::StoredReport;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a request with a small body, the server's disk included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer about a list of devices, bytes: 10,000 rows that are refused, each with its reason.
const MAX_ROWS_LEN: u64 = 8 * 1024 * 1024;

/// What the server did with an upload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Created,
    Present,
    /// What the server held was damaged, and is whole again.
    Repaired,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Created => "sent",
            Self::Present => "already there",
            Self::Repaired => "repaired: the server's copy was damaged",
        })
    }
}

/// Which server, and how to reach it.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ServerPlace {
    /// URL of the server, such as https://updates.example.com
    #[arg(long, value_name = "URL")]
    server: String,
    /// Certificate authorities (PEM) to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl ServerPlace {
    /// Runs `task` with the server, of which it can only read: that needs no token.
    pub(crate) fn run<T>(
        &self,
        output: Output,
        task: impl AsyncFnOnce(Server) -> Result<T, Error>,
    ) -> Result<T, Error> {
        run_with(Server::new(self, None, output)?, task)
    }
}

/// A server that takes what is sent.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ServerArguments {
    #[command(flatten)]
    place: ServerPlace,
    /// File with the bearer token
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
}

impl ServerArguments {
    pub(crate) fn url(&self) -> &str {
        &self.place.server
    }

    /// Reads the files and runs `task` with the server.
    pub(crate) fn run<T>(
        &self,
        output: Output,
        task: impl AsyncFnOnce(Server) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let server = Server::new(&self.place, Some(&self.token_file), output)?;
        if exposes_token(&server.base) {
            output.warn("the token travels unencrypted: use https");
        }
        run_with(server, task)
    }
}

fn run_with<T>(server: Server, task: impl AsyncFnOnce(Server) -> Result<T, Error>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| Error::Internal("the async runtime did not start"))?;
    runtime.block_on(task(server))
}

/// What a host gets that asks for a release.
#[derive(Debug)]
pub(crate) enum HandedOut {
    This,
    Another,
    /// The server's reason.
    Nothing(String),
}

pub(crate) struct Server {
    client: Client,
    base: Url,
    output: Output,
}

impl Server {
    fn new(place: &ServerPlace, token_file: Option<&PathBuf>, output: Output) -> Result<Self, Error> {
        let base = parse_url(&place.server).map_err(Error::ServerUrl)?;
        let mut headers = HeaderMap::new();
        if let Some(path) = token_file {
            let token = read_secret(path, MAX_TOKEN_FILE_LEN)?;
            let token =
                read_write_token(&token).map_err(|source| Error::TokenFile { path: path.clone(), source })?;
            let authorization = bearer(token).ok_or(Error::Internal("the token is no header"))?;
            headers.insert(AUTHORIZATION, authorization);
        }
        let authorities = match &place.ca {
            Some(path) => {
                let file = read(path, MAX_CA_FILE_LEN)?;
                Some(authorities(&file).ok_or_else(|| Error::Authorities(path.to_owned()))?)
            }
            None => None,
        };
        let client = server_client::client(&base, authorities)
            .user_agent(concat!("anchorage-manifest-tool/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|_| Error::Internal("the HTTP client did not start"))?;
        Ok(Self { client, base, output })
    }

    /// Withdraws a release, or offers it again.
    pub(crate) async fn put_withdrawal(
        &self,
        digest: &str,
        reason: Option<&str>,
    ) -> Result<ReleaseStatus, Error> {
        let step = if reason.is_some() { "withdrawing the release" } else { "offering the release again" };
        let mark = reason.map(Some);
        let answer = self.put_mark(step, &["releases", digest, "withdrawal"], mark).await?;
        check(step, answer, &(digest, mark))
    }

    /// Retires a device, or takes it back.
    pub(crate) async fn put_retirement(
        &self,
        serial: &Serial,
        mark: MeantMark<'_>,
    ) -> Result<DeviceStatus, Error> {
        let step = if mark.is_some() { "retiring the device" } else { "restoring the device" };
        let answer = self.put_mark(step, &["devices", serial.as_str(), "retirement"], mark).await?;
        check(step, answer, &(serial.as_str(), mark))
    }

    /// `None` takes a mark away; a mark may have a reason.
    async fn put_mark<T: serde::de::DeserializeOwned>(
        &self,
        step: &str,
        path: &[&str],
        mark: MeantMark<'_>,
    ) -> Result<T, Error> {
        let url = self.url(path);
        let request = match mark {
            Some(reason) => {
                let body = match reason {
                    Some(reason) => serde_json::json!({ "reason": reason }),
                    None => serde_json::json!({}),
                };
                self.client.put(url).header(CONTENT_TYPE, "application/json").body(body.to_string())
            }
            None => self.client.delete(url),
        };
        object(step, &self.send(step, request.timeout(REQUEST_TIMEOUT)).await?)
    }

    /// Sends a list that says `meant`; it is in force when the server says so.
    pub(crate) async fn put_revocations(
        &self,
        list: Vec<u8>,
        meant: &ListInForce,
    ) -> Result<ListInForce, Error> {
        let step = "sending the revocation list";
        let request = self.client.put(self.url(&["revocations"])).header(CONTENT_TYPE, "application/cwt");
        let answer = self.send(step, request.body(list).timeout(REQUEST_TIMEOUT)).await?;
        check(step, object(step, &answer)?, meant)
    }

    /// Sends a succession or a chain that leads to `meant`; that root, or a later one, is in force when the server says so.
    pub(crate) async fn put_succession(
        &self,
        succession: Vec<u8>,
        meant: &RootInForce,
    ) -> Result<RootInForce, Error> {
        let step = "sending the succession";
        let request = self.client.put(self.url(&["successions"])).header(CONTENT_TYPE, "application/cbor");
        let answer = self.send(step, request.body(succession).timeout(REQUEST_TIMEOUT)).await?;
        check(step, object(step, &answer)?, meant)
    }

    /// Sends the credential of an issuing key; the server has this one, or one that was issued later, when it says so.
    pub(crate) async fn put_issuer(&self, credential: Vec<u8>, kid: &str) -> Result<IssuerKept, Error> {
        let step = "sending the credential of the issuing key";
        let request = self.client.put(self.url(&["issuers"])).header(CONTENT_TYPE, "application/cwt");
        let answer = self.send(step, request.body(credential).timeout(REQUEST_TIMEOUT)).await?;
        check(step, object(step, &answer)?, &kid)
    }

    /// Registers the devices of a CSV: all of them or none, or with `good_rows` those that are not refused. `bar` is what
    /// the terminal shows meanwhile.
    pub(crate) async fn post_devices(
        &self,
        step: &str,
        csv: Vec<u8>,
        (devices, good_rows): (usize, bool),
        bar: &ProgressBar,
    ) -> Result<Imported, Error> {
        let mut url = self.url(&["devices"]);
        if good_rows {
            url.query_pairs_mut().append_pair("good_rows", "true");
        }
        let len = csv.len() as u64;
        // Each credential is verified before the answer.
        let time = transfer_time(len).saturating_add(REQUEST_TIMEOUT);
        let (body, sent) = upload(csv, |_| ());
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "text/csv")
            .header(CONTENT_LENGTH, len)
            .timeout(time)
            .body(body);
        let answer = self.exchange(step, request, MAX_ROWS_LEN);
        let answer = waited_for_once_sent(sent, answer, || self.say_waiting(bar)).await?;
        check(step, object(step, &answer)?, &(devices, good_rows))
    }

    /// `digest`: of the manifest, hex.
    pub(crate) async fn post_release(
        &self,
        envelope: Vec<u8>,
        digest: &str,
    ) -> Result<(Outcome, Option<String>), Error> {
        let step = "publishing the release";
        let request = self
            .client
            .post(self.url(&["releases"]))
            .header(CONTENT_TYPE, "application/suit-envelope+cose")
            .timeout(REQUEST_TIMEOUT)
            .body(envelope);
        let answer = self.send(step, request).await?;
        let release: Release = check(step, object(step, &answer)?, &digest)?;
        Ok((outcome(answer.status), release.envelope_url))
    }

    /// Whether hosts get this very envelope of the release; otherwise why not. A better one may be there, and a release that
    /// is withdrawn stays so.
    pub(crate) async fn hands_out(&self, digest: &str, envelope: &[u8]) -> Result<HandedOut, Error> {
        let step = "asking for the published envelope";
        let url = self.url(&["releases", digest, "envelope"]);
        match self.send(step, self.client.get(url).timeout(REQUEST_TIMEOUT)).await {
            Ok(answer) => Ok(if answer.body == envelope { HandedOut::This } else { HandedOut::Another }),
            Err(Error::ServerRefused { status: 404 | 410, detail, .. }) => Ok(HandedOut::Nothing(detail)),
            Err(error) => Err(error),
        }
    }

    fn url(&self, path: &[&str]) -> Url {
        url_of(&self.base, &[&["v1"], path].concat())
    }

    /// A person hears that the server takes its time, beside the bar of what goes on.
    fn say_waiting(&self, bar: &ProgressBar) {
        bar.suspend(|| self.output.say(&waiting_for(self.base.as_str())));
    }

    /// 2xx; anything else is an error with the server's own words. One wait for head and body: it is told once.
    async fn send(&self, step: &str, request: RequestBuilder) -> Result<Reply, Error> {
        let reply = self.exchange(step, request, MAX_JSON_LEN);
        waited_for(reply, || self.say_waiting(&ProgressBar::hidden())).await
    }

    /// The same in silence, with a limit for the body, bytes.
    async fn exchange(&self, step: &str, request: RequestBuilder, limit: u64) -> Result<Reply, Error> {
        let failed = |source: reqwest::Error| Error::Http { step: step.to_owned(), cause: cause(&source) };
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        if status.is_success() {
            if is_web_page(answer.headers()) {
                let detail = "it is a web page: a portal or a proxy answers instead of the server".to_owned();
                return Err(Error::ServerAnswer { step: step.to_owned(), detail });
            }
            return Ok(Reply { status, body: read_up_to(step, answer, limit).await? });
        }
        if !is_refusal(status) {
            return Err(Error::ServerAnswer {
                step: step.to_owned(),
                detail: format!("HTTP status {status}"),
            });
        }
        let body = read_up_to(step, answer, limit).await.unwrap_or_default();
        let Refusal { code, words, hint } = Refusal::read(&body);
        // Not in our name: it may be any server.
        let hint = hint.map(|hint| format!("The server says: {hint}"));
        let detail = words.unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason").to_owned());
        Err(Error::ServerRefused {
            step: step.to_owned(),
            status: status.as_u16(),
            code,
            detail,
            hint,
            rows: refused_rows(&body),
        })
    }
}

/// An answer that was read to its end.
struct Reply {
    status: StatusCode,
    body: Vec<u8>,
}

/// The JSON object of an answer.
fn object<T: serde::de::DeserializeOwned>(step: &str, answer: &Reply) -> Result<T, Error> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| Error::ServerAnswer { step: step.to_owned(), detail: error.to_string() })
}

/// The body, up to the limit.
async fn read_up_to(step: &str, mut answer: Response, limit: u64) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    let failed = |source: reqwest::Error| Error::Http { step: step.to_owned(), cause: cause(&source) };
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if (body.len() + chunk.len()) as u64 > limit {
            let detail = format!("it is longer than {limit} bytes");
            return Err(Error::ServerAnswer { step: step.to_owned(), detail });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn outcome(status: StatusCode) -> Outcome {
    if status == StatusCode::CREATED { Outcome::Created } else { Outcome::Present }
}
