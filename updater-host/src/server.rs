//! The update-server's client (docs/server-api.md): newest release, envelope, image, revocation lists, reports.
//!
//! What the server says is not believed: bodies have limits, content is matched with its digest, and everything that
//! decides is verified afterwards from its signature.

mod download;
mod shelf;
pub(crate) mod wire;

pub(crate) use download::Fetching;
pub(crate) use shelf::Shelf;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use server_client::{
    MAX_CA_FILE_LEN, MAX_JSON_LEN, Refusal, authorities, bearer, cause, is_refusal, is_web_page, parse_url,
    transfer_time, url_of, waited_for,
};
use suit_manifest::author::inspect;
use suit_manifest::limits::MAX_ENVELOPE_LEN;
use trust::{Domain, MAX_REVOCATION_LIST_LEN, SuccessionNumber};
use uuid::Uuid;

use crate::cache::digest_of_hex;
use crate::error::{Error, ServerAnswerError};
use crate::files::{self, MAX_IMAGE_LEN};
use crate::output::ServerWait;
use crate::release::NamedImage;
use wire::{
    DeviceBody, EventBody, ImageObject, KeptReport, RegisteredDevice, ReleaseObject, SaidBody,
    SuccessionObject, SuccessionPage,
};

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Codes of docs/server-api.md for what the server does not have.
const NO_RELEASE: &str = "release-unknown";
const NOT_OFFERED: &str = "release-not-offered";
const NO_LIST: &str = "revocation-list-unknown";
const NO_DOMAIN: &str = "domain-unknown";
const NO_PATH: &str = "not-found";
const NO_QUESTION: &str = "request-malformed";
/// Most pages of successions that a server is asked for: a device takes a fraction of the first one.
const MAX_SUCCESSION_PAGES: usize = 16;
/// How long the server may be silent in the middle of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// How long an answer may take in all, if it is no image.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long all answers may take that the plan needs, but for the images. What was fetched before does without them.
const QUESTIONS_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a server may explain a refusal; without the rest of the words it is one as well.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to one update-server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    client: Client,
    base: Url,
    authorization: Option<HeaderValue>,
    /// How long an image of so many bytes may take.
    image_time: fn(u64) -> Duration,
    /// How long all questions may take together.
    questions_time: Duration,
    /// How long they took so far, milliseconds.
    asked: Arc<AtomicU64>,
    /// Tells of a server that takes its time.
    wait: ServerWait,
}

/// For which device a release is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind {
    pub(crate) vendor: Uuid,
    pub(crate) class: Uuid,
    pub(crate) device: Uuid,
    /// What of it the release is to install.
    pub(crate) shelf: Shelf,
}

/// The newest release for a kind of device, as the server tells it.
#[derive(Clone, Debug)]
pub(crate) struct Latest {
    /// The release object as it came, to be kept.
    pub(crate) object: Vec<u8>,
    /// SHA-256 over the bstr-wrapped manifest.
    pub(crate) manifest_digest: [u8; 32],
    /// SHA-256 over the envelope.
    pub(crate) envelope_digest: [u8; 32],
    /// Sequence number, to tell the newer of two; the signed one decides.
    pub(crate) sequence: u64,
    /// The single device that it is for, if it is.
    pub(crate) device: Option<Uuid>,
    /// Digest and size of the image; only for an envelope whose own word the host could not check.
    pub(crate) image: NamedImage,
    /// The same of the table of a release of both.
    pub(crate) table_image: Option<NamedImage>,
}

impl Latest {
    /// Reads a release object, fresh or kept.
    ///
    /// # Errors
    /// [`Error::ServerAnswer`]
    pub(crate) fn read(object: Vec<u8>) -> Result<Self, Error> {
        let release: ReleaseObject = serde_json::from_slice(&object)
            .map_err(|error| Error::ServerAnswer(ServerAnswerError::Json(error)))?;
        let digest = |text: &str| digest_of_hex(text).ok_or(Error::ServerAnswer(ServerAnswerError::Digest));
        let named = |image: ImageObject| {
            Ok::<_, Error>(NamedImage { digest: digest(&image.sha256)?, size: image.size.min(MAX_IMAGE_LEN) })
        };
        Ok(Self {
            manifest_digest: digest(&release.manifest_digest)?,
            envelope_digest: digest(&release.envelope_sha256)?,
            sequence: release.sequence,
            device: release.device,
            image: named(release.image)?,
            table_image: release.table_image.map(named).transpose()?,
            object,
        })
    }

    /// Whether it is about the manifest of this envelope. One that cannot be read is for the checks to refuse.
    #[must_use]
    pub(crate) fn names(&self, envelope: &[u8]) -> bool {
        inspect(envelope).map_or(true, |inspection| {
            *inspection.digest() == self.manifest_digest
                && inspection.manifest().sequence_number() == self.sequence
        })
    }
}

impl Server {
    /// A client for the server at `url`; `token` is needed for reports only; `ca` names the authorities to trust
    /// instead of those of the system.
    ///
    /// # Errors
    /// [`Error::ServerUrl`], [`Error::HttpClient`]
    pub(crate) fn new(url: &str, token: Option<&str>, ca: Option<&Path>) -> Result<Self, Error> {
        let base = parse_url(url).map_err(Error::ServerUrl)?;
        let authorities = match ca {
            Some(path) => {
                let file = files::read(path, MAX_CA_FILE_LEN)?;
                Some(authorities(&file).ok_or_else(|| Error::Authorities(path.to_owned()))?)
            }
            None => None,
        };
        let client = server_client::client(&base, authorities)
            .user_agent(concat!("updater-host/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(Error::HttpClient)?;
        let authorization = token.and_then(bearer);
        Ok(Self {
            client,
            base,
            authorization,
            image_time: transfer_time,
            questions_time: QUESTIONS_TIMEOUT,
            asked: Arc::default(),
            wait: ServerWait::new(|_, _| {}),
        })
    }

    /// The same, whose waits are told.
    #[must_use]
    pub(crate) fn telling(self, wait: ServerWait) -> Self {
        Self { wait, ..self }
    }

    /// The server's name in messages, in the cache and in the queue.
    #[must_use]
    pub(crate) fn name(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    /// Whether reports would send the token unencrypted to another machine.
    #[must_use]
    pub(crate) fn exposes_token(&self) -> bool {
        self.authorization.is_some() && server_client::exposes_token(&self.base)
    }

    /// Whether it can report, that is, has a token.
    #[must_use]
    pub(crate) fn can_report(&self) -> bool {
        self.authorization.is_some()
    }

    /// The newest release for a kind of device, or for this very device.
    ///
    /// # Errors
    /// [`Error::NoRelease`], [`Error::ServerUnreachable`], [`Error::ServerRefused`], [`Error::ServerAnswer`]
    pub(crate) async fn latest(&self, kind: &Kind) -> Result<Latest, Error> {
        let mut url = self.url(&["v1", "releases", "latest"]);
        url.query_pairs_mut()
            .append_pair("vendor", &kind.vendor.to_string())
            .append_pair("class", &kind.class.to_string())
            .append_pair("device", &kind.device.to_string());
        // Firmware goes without saying, also to a server of an earlier version.
        if kind.shelf != Shelf::Firmware {
            url.query_pairs_mut().append_pair("target", kind.shelf.name());
        }
        // That one has nothing else, and says that it does not know the question.
        let has_none = |error: &Error| {
            has_code(error, NO_RELEASE) || (kind.shelf != Shelf::Firmware && has_code(error, NO_QUESTION))
        };
        match self.ask(url, MAX_JSON_LEN).await {
            Ok(object) => Latest::read(object),
            Err(error) if has_none(&error) => {
                let Kind { vendor, class, shelf, .. } = *kind;
                Err(Error::NoRelease { vendor, class, shelf, has_both: false })
            }
            Err(Error::ServerRefused { code: Some(code), detail, .. }) if code == NOT_OFFERED => {
                Err(Error::NotOffered { detail })
            }
            Err(error) => Err(error),
        }
    }

    /// The envelope of a release.
    ///
    /// # Errors
    /// [`Error::ServerUnreachable`], [`Error::ServerRefused`], [`Error::ServerAnswer`]
    pub(crate) async fn envelope(&self, release: &Latest) -> Result<Vec<u8>, Error> {
        let url = self.url(&["v1", "releases", &hex::encode(release.manifest_digest), "envelope"]);
        let bytes = self.ask(url, MAX_ENVELOPE_LEN as u64).await?;
        if <sha2::Sha256 as sha2::Digest>::digest(&bytes)[..] != release.envelope_digest[..] {
            return Err(Error::ServerAnswer(ServerAnswerError::OtherContent { what: "envelope" }));
        }
        Ok(bytes)
    }

    /// The revocation list of a domain, if the server has one. To be verified.
    ///
    /// # Errors
    /// [`Error::ServerUnreachable`], [`Error::ServerRefused`], [`Error::ServerAnswer`]
    pub(crate) async fn revocation_list(&self, domain: Domain) -> Result<Option<Vec<u8>>, Error> {
        let url = self.url(&["v1", "revocations", &hex::encode(domain.0.0)]);
        match self.ask(url, MAX_REVOCATION_LIST_LEN as u64).await {
            Ok(list) => Ok(Some(list)),
            Err(error) if has_code(&error, NO_LIST) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The successions of a domain that the server has, but for those that its recovery root put aside. To be verified.
    ///
    /// # Errors
    /// [`Error::ServerUnreachable`], [`Error::ServerRefused`], [`Error::ServerAnswer`]
    pub(crate) async fn successions(&self, domain: Domain) -> Result<Vec<Vec<u8>>, Error> {
        let mut records = Vec::new();
        let mut after = SuccessionNumber::FIRST;
        for _ in 0..MAX_SUCCESSION_PAGES {
            let mut url = self.url(&["v1", "successions", &hex::encode(domain.0.0)]);
            url.query_pairs_mut().append_pair("after", &after.to_string());
            let page = match self.ask(url, MAX_JSON_LEN).await {
                Ok(page) => page,
                // A server of an earlier version has no such path.
                Err(error) if has_code(&error, NO_DOMAIN) || has_code(&error, NO_PATH) => return Ok(records),
                Err(error) => return Err(error),
            };
            let page: SuccessionPage = serde_json::from_slice(&page)
                .map_err(|error| Error::ServerAnswer(ServerAnswerError::Json(error)))?;
            if page.successions.is_empty() {
                return Ok(records);
            }
            for SuccessionObject { recovery_epoch, succession_sequence, record } in page.successions {
                let number = SuccessionNumber { recovery_epoch, succession_sequence };
                match hex::decode(record) {
                    Ok(record) if number > after => records.push(record),
                    _ => return Err(other_succession()),
                }
                after = number;
            }
        }
        Err(other_succession())
    }

    /// Registers a device, or tells what it runs now.
    ///
    /// # Errors
    /// [`Error::ServerUnreachable`], [`Error::ServerRefused`]
    pub(crate) async fn put_device(&self, serial: &str, body: &DeviceBody) -> Result<(), Error> {
        let url = self.url(&["v1", "devices", serial]);
        let request = self.write(Method::PUT, url).json(body);
        let device = self.whole(request, ANSWER_TIMEOUT, MAX_JSON_LEN).await?;
        let device: RegisteredDevice = serde_json::from_slice(&device)
            .map_err(|error| Error::ServerAnswer(ServerAnswerError::Json(error)))?;
        if device.serial == serial {
            Ok(())
        } else {
            Err(Error::ServerAnswer(ServerAnswerError::OtherContent { what: "device" }))
        }
    }

    /// # Errors
    /// [`Error::ServerUnreachable`], [`Error::ServerRefused`]
    pub(crate) async fn post_event(&self, serial: &str, body: &EventBody) -> Result<(), Error> {
        let url = self.url(&["v1", "devices", serial, "events"]);
        let response = self.send(self.write(Method::POST, url).json(body), ANSWER_TIMEOUT).await?;
        match response.status() {
            StatusCode::CREATED => Ok(()),
            status => Err(Error::ServerAnswer(ServerAnswerError::Status(status.as_u16()))),
        }
    }

    /// Hands over what a device said.
    ///
    /// # Errors
    /// [`Error::ServerUnreachable`], [`Error::ServerRefused`], [`Error::ServerAnswer`]
    pub(crate) async fn post_report(&self, serial: &str, said: &SaidBody) -> Result<(), Error> {
        let mut url = self.url(&["v1", "devices", serial, "reports"]);
        url.query_pairs_mut().append_pair("nonce", &said.nonce).append_pair("at", &said.at.to_string());
        // What is no hex, in a file that somebody changed, is no report to the server.
        let report = hex::decode(&said.report).unwrap_or_default();
        let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&report));
        let request = self.write(Method::POST, url).body(report);
        let kept = self.whole(request, ANSWER_TIMEOUT, MAX_JSON_LEN).await?;
        let kept: KeptReport = serde_json::from_slice(&kept)
            .map_err(|error| Error::ServerAnswer(ServerAnswerError::Json(error)))?;
        if kept.digest == digest {
            Ok(())
        } else {
            Err(Error::ServerAnswer(ServerAnswerError::OtherContent { what: "report" }))
        }
    }

    fn url(&self, segments: &[&str]) -> Url {
        url_of(&self.base, segments)
    }

    fn write(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.client.request(method, url).timeout(ANSWER_TIMEOUT);
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        }
    }

    /// Asks for what the plan needs, at most `limit` bytes. A server that takes too long over it counts as one that does
    /// not answer.
    async fn ask(&self, url: Url, limit: u64) -> Result<Vec<u8>, Error> {
        let asked = Duration::from_millis(self.asked.load(Ordering::Relaxed));
        let left = self.questions_time.saturating_sub(asked);
        if left.is_zero() {
            let detail = "its answers take too long".to_owned();
            return Err(Error::ServerUnreachable { url: self.name(), detail });
        }
        let begun = Instant::now();
        let answer = self.whole(self.client.get(url).timeout(left), left, limit).await;
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.asked.fetch_add(took, Ordering::Relaxed);
        answer
    }

    /// An answer that is a success, to its end. `left`: the timeout of the request. One wait for head and body: it is told
    /// once.
    async fn whole(&self, request: RequestBuilder, left: Duration, limit: u64) -> Result<Vec<u8>, Error> {
        let answer = async { self.body(self.head(request).await?, limit).await };
        self.wait_for(answer, left).await
    }

    /// An answer that is a success, whose body comes later.
    async fn send(&self, request: RequestBuilder, left: Duration) -> Result<Response, Error> {
        self.wait_for(self.head(request), left).await
    }

    async fn head(&self, request: RequestBuilder) -> Result<Response, Error> {
        accepted(request.send().await.map_err(|error| self.unreachable(&error))?).await
    }

    async fn wait_for<T>(&self, answer: impl Future<Output = T>, left: Duration) -> T {
        let begun = Instant::now();
        waited_for(answer, || self.wait.tell(&self.name(), left.saturating_sub(begun.elapsed()))).await
    }

    /// Reads a body of at most `limit` bytes.
    async fn body(&self, mut response: Response, limit: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if (bytes.len() as u64).saturating_add(chunk.len() as u64) > limit {
                return Err(Error::ServerAnswer(ServerAnswerError::TooLong(limit)));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        Error::ServerUnreachable { url: self.name(), detail: cause(error) }
    }
}

fn other_succession() -> Error {
    Error::ServerAnswer(ServerAnswerError::OtherContent { what: "succession" })
}

/// Codes decide, not the status: a 404 without one comes from another server, or from a proxy before it.
fn has_code(error: &Error, wanted: &str) -> bool {
    matches!(error, Error::ServerRefused { code: Some(code), .. } if code == wanted)
}

/// The answer, when it is a success; else what the server says about it.
async fn accepted(mut response: Response) -> Result<Response, Error> {
    let status = response.status();
    if status.is_success() {
        if is_web_page(response.headers()) {
            return Err(Error::ServerAnswer(ServerAnswerError::WebPage));
        }
        return Ok(response);
    }
    if !is_refusal(status) {
        return Err(Error::ServerAnswer(ServerAnswerError::Status(status.as_u16())));
    }
    let mut bytes = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > MAX_JSON_LEN {
                break;
            }
        }
    };
    // What came in time may be whole.
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, read).await;
    let Refusal { code, words, .. } = Refusal::read(&bytes);
    let detail = words.unwrap_or_else(|| status.to_string());
    Err(Error::ServerRefused { status: status.as_u16(), code, detail })
}

#[cfg(test)]
pub(crate) mod tests;
