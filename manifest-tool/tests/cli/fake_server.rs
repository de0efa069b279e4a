//! A server of a few lines that records what it is sent (docs/server-api.md).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use suit_manifest::author::inspect;
use trust::host::read_unverified_revocation;

use super::workshop::{Run, Workshop, finish};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) what: String,
    pub(super) body: Bytes,
}

/// What the server has, what it was sent, and how it answers `METHOD path` out of turn.
#[derive(Default)]
pub(super) struct Record {
    pub(super) sent: Vec<Sent>,
    pub(super) headers: Vec<HeaderMap>,
    /// Of each GET.
    pub(super) queries: Vec<String>,
    pub(super) held: HashMap<String, Bytes>,
    /// `ETag` of each image, in place of its digest.
    pub(super) tag: Option<Option<String>>,
    /// Before each answer.
    pub(super) delay: Option<std::time::Duration>,
    answers: HashMap<String, (StatusCode, String)>,
    /// The same, for one time.
    once: HashMap<String, (StatusCode, String)>,
}

pub(super) type Shared = Arc<Mutex<Record>>;

pub(super) struct FakeServer {
    pub(super) record: Shared,
    pub(super) url: String,
    _runtime: tokio::runtime::Runtime,
}

impl FakeServer {
    pub(super) fn start() -> Self {
        let record = Shared::default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&record));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { record, url, _runtime: runtime }
    }

    pub(super) fn publish(&self, workshop: &Workshop, more: &[&str]) -> Run {
        finish(workshop.command(&[&["--json"], &publish_arguments(&self.url)[..], more].concat()))
    }

    pub(super) fn answers(&self, what: &str, status: StatusCode, body: &str) {
        self.record.lock().unwrap().answers.insert(what.to_owned(), (status, body.to_owned()));
    }

    /// The newest of a target, of the vendor and class of `view`.
    pub(super) fn newest(&self, view: &Value, target: &str, sequence: Option<u64>) {
        let [vendor, class] = ["vendor", "class"].map(|member| view[member].as_str().unwrap());
        let mut asked = format!("GET /v1/releases?vendor={vendor}&class={class}&all=true&limit=1");
        if target != "firmware" {
            asked += &format!("&target={target}");
        }
        let release =
            |sequence| json!({"vendor": vendor, "class": class, "target": target, "sequence": sequence});
        let releases: Vec<_> = sequence.map(release).into_iter().collect();
        self.answers(&asked, StatusCode::OK, &json!({"releases": releases}).to_string());
    }

    pub(super) fn answers_once(&self, what: &str, status: StatusCode, body: &str) {
        self.record.lock().unwrap().once.insert(what.to_owned(), (status, body.to_owned()));
    }

    pub(super) fn take_queries(&self) -> Vec<String> {
        std::mem::take(&mut self.record.lock().unwrap().queries)
    }

    pub(super) fn take_sent(&self) -> Vec<String> {
        std::mem::take(&mut self.record.lock().unwrap().sent).into_iter().map(|sent| sent.what).collect()
    }
}

/// Publishes the release of [`Workshop::with_release`].
pub(super) fn publish_arguments(url: &str) -> [&str; 8] {
    ["publish", "signed.suit", "--image", "image.bin", "--token-file", "token", "--server", url]
}

pub(super) async fn answer(State(record): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 8 << 20).await.unwrap();
    let what = format!("{} {}", parts.method, parts.uri.path());
    let delay = record.lock().unwrap().delay;
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    let mut record = record.lock().unwrap();
    // A question is not counted among what is sent.
    if parts.method == "GET" {
        record.queries.push(parts.uri.query().unwrap_or_default().to_owned());
    } else {
        record.sent.push(Sent { what: what.clone(), body: body.clone() });
        record.headers.push(parts.headers);
    }
    let once = record.once.keys().find(|prefix| what.starts_with(prefix.as_str())).cloned();
    let once = once.and_then(|prefix| record.once.remove(&prefix));
    // With the query, and the longest counts.
    let asked = format!("{what}?{}", parts.uri.query().unwrap_or_default());
    let answers = || record.answers.iter().filter(|(prefix, _)| asked.starts_with(prefix.as_str()));
    let always = || answers().max_by_key(|(prefix, _)| prefix.len());
    let (status, body) = match once.or_else(|| always().map(|(_, answer)| answer.clone())) {
        Some(answer) => answer,
        None if parts.method == "HEAD" => {
            let answer = Response::builder();
            let answer = match record.held.get(parts.uri.path()) {
                Some(held) => {
                    let digest = parts.uri.path().rsplit('/').next().unwrap();
                    let answer = answer.header("content-length", held.len());
                    match record.tag.clone().unwrap_or_else(|| Some(format!("\"{digest}\""))) {
                        Some(tag) => answer.header("etag", tag),
                        None => answer,
                    }
                }
                None => answer.status(StatusCode::NOT_FOUND),
            };
            return answer.body(Body::empty()).unwrap();
        }
        None if what.starts_with("GET ") && what.ends_with("/v1/releases") => {
            (StatusCode::OK, json!({"releases": []}).to_string())
        }
        None if what.starts_with("GET ") && what.ends_with("/envelope") => {
            let envelope = record.held.get("envelope").cloned().unwrap_or_default();
            return Response::new(Body::from(envelope));
        }
        None if what.ends_with("/withdrawal") || what.ends_with("/retirement") => {
            (StatusCode::OK, marked(parts.method == "PUT", parts.uri.path(), &body).to_string())
        }
        None => {
            let key = match parts.method.as_str() {
                "POST" => format!("{} {}", parts.uri.path(), body.len()),
                _ => parts.uri.path().to_owned(),
            };
            let answer = match read_unverified_revocation(&body) {
                Ok(list) => {
                    json!({"issuer_kid": hex::encode(list.issuer_kid().0), "list_sequence": list.sequence()})
                }
                Err(_) if parts.method == "PUT" => {
                    let sha256 = parts.uri.path().rsplit('/').next();
                    json!({"sha256": sha256, "size": body.len()})
                }
                Err(_) => {
                    let digest = inspect(&body).map(|envelope| hex::encode(envelope.digest()));
                    json!({"manifest_digest": digest.ok(), "envelope_url": "/v1/releases/x/envelope"})
                }
            };
            if parts.method == "POST" {
                record.held.insert("envelope".to_owned(), body.clone());
            }
            let known = record.held.insert(key, body).is_some();
            (if known { StatusCode::OK } else { StatusCode::CREATED }, answer.to_string())
        }
    };
    let answer = Response::builder().status(status);
    if status.is_redirection() {
        // The body of an answer out of turn is the address then.
        return answer.header("location", body).body(Body::empty()).unwrap();
    }
    answer.body(Body::from(body)).unwrap()
}

/// The object of a release or device whose mark is at `path`.
fn marked(is_marked: bool, path: &str, body: &[u8]) -> Value {
    let subject = path.rsplit('/').nth(1).unwrap().replace("%20", " ");
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mark = if is_marked { json!({"reason": body["reason"], "at": 1}) } else { Value::Null };
    if path.ends_with("/retirement") {
        json!({"serial": subject, "retired": mark})
    } else {
        let status = if is_marked { "withdrawn" } else { "offered" };
        json!({"manifest_digest": subject, "status": status, "refusal": null, "withdrawn": mark})
    }
}
