//! Bodies of requests, with a good token, to the service of update-server: every answer says what was wrong, and none
//! says that the server failed.

use std::cell::RefCell;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use device_harness::factory::Factory;
use http_body_util::BodyExt as _;
use suit_manifest::author::inspect;
use tempfile::TempDir;
use tower::ServiceExt as _;
use trust::author::{CredentialRequest, ScopeRequest, Signer as _, SoftwareKey, issue_credential};
use trust::{Role, UnixTime, sha256};
use update_server::config::{Config, Tokens};
use update_server::server::Server;

const TOKEN: &str = "a-token-for-fuzzing-0123456789";

const IMAGE: &[u8] = b"image";
const REASON: &[u8] = br#"{"reason":"It does not start below 0 degrees"}"#;
const EVENT: &[u8] = br#"{"kind":"update-confirmed","version":"1.0.0","sequence":3,"at":1800000100}"#;
const DEVICE: &[u8] = br#"{"vendor":"11111111-1111-1111-1111-111111111111",
    "class":"22222222-2222-2222-2222-222222222222","version":"1.0.0","sequence":1,"at":1800000000}"#;

const STATE: &[u8] = br#"{"state":"suspended","reason":"In a depot"}"#;
const AMENDMENT: &[u8] = br#"{"line":"one","owner":null,"key_checks":"update=a1b2c3","reason":"As made"}"#;
const LIST: &[u8] = b"# by hand\nserial,vendor,class,owner,last_seen\n\
    A-0002,11111111-1111-1111-1111-111111111111,22222222-2222-2222-2222-222222222222,\"'=Ada\",1800000000\n";

/// What takes a body, and a body that it takes, in an order in which all of them succeed.
fn requests() -> Vec<(&'static str, String, Vec<u8>)> {
    let factory = Factory::new(1);
    let envelope = factory.envelope(3, IMAGE);
    let list = factory.revocation_list(3, &[]);
    let manifest = *inspect(&envelope).unwrap().digest();
    let retirement = "/v1/devices/A-0001/retirement";
    let withdrawal = format!("/v1/releases/{}/withdrawal", hex(&manifest));
    vec![
        ("PUT", format!("/v1/images/{}", hex(&sha256(IMAGE))), IMAGE.to_vec()),
        ("POST", "/v1/releases".to_owned(), envelope),
        ("PUT", "/v1/devices/A-0001".to_owned(), DEVICE.to_vec()),
        ("POST", "/v1/devices/A-0001/events".to_owned(), EVENT.to_vec()),
        ("PUT", retirement.to_owned(), REASON.to_vec()),
        ("DELETE", retirement.to_owned(), Vec::new()),
        ("PUT", withdrawal.clone(), REASON.to_vec()),
        ("DELETE", withdrawal, Vec::new()),
        ("PUT", "/v1/revocations".to_owned(), list),
        ("PUT", "/v1/issuers".to_owned(), issuing_key()),
        ("PUT", "/v1/devices/A-0001/state".to_owned(), STATE.to_vec()),
        ("PATCH", "/v1/devices/A-0001".to_owned(), AMENDMENT.to_vec()),
        ("POST", "/v1/devices".to_owned(), LIST.to_vec()),
        ("POST", "/v1/devices?good_rows=true".to_owned(), LIST.to_vec()),
    ]
}

/// The credential of an issuing key under the root of the factory.
fn issuing_key() -> Vec<u8> {
    let key = |seed| SoftwareKey::from_seed(&[seed; 32]).unwrap();
    let request = CredentialRequest {
        iss: "root".into(),
        sub: "line 1".into(),
        key: key(9).public_key(),
        role: Role::Identity,
        scope: ScopeRequest {
            vendor: [0x11; 16],
            classes: vec![[0x22; 16]],
            serials: Vec::new(),
            actions: None,
        },
        issued_at: UnixTime(1_700_000_000),
        not_before: None,
        expires: None,
        cti: [9; 16],
        generation: 0,
        sequence_ceiling: None,
    };
    issue_credential(&request, &key(1)).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A server without its listener, which has taken each of the requests once.
struct Bench {
    runtime: tokio::runtime::Runtime,
    router: Router,
    paths: Vec<(&'static str, String)>,
    _server: Server,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, TOKEN).unwrap();
        std::fs::set_permissions(&token_file, Permissions::from_mode(0o600)).unwrap();
        let config = Config {
            listen: "127.0.0.1:0".to_owned(),
            data: folder.path().join("data"),
            anchors: vec![Factory::new(1).anchor()],
            tokens: Tokens::read(&token_file).unwrap(),
            connections_per_address: 64,
            max_image_bytes: 4096,
            shutdown_limit: Duration::from_secs(1),
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(Server::open(config)).unwrap();
        let (router, requests) = (server.router(), requests());
        let paths = requests.iter().map(|(method, path, _)| (*method, path.clone())).collect();
        let bench = Self { router, paths, runtime, _server: server, _folder: folder };
        for (method, path, body) in &requests {
            let (status, answer) = bench.answer(method, path, body);
            assert!(status.is_success(), "{method} {path}: {}", String::from_utf8_lossy(&answer));
        }
        bench
    }

    fn answer(&self, method: &str, path: &str, body: &[u8]) -> (StatusCode, Vec<u8>) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {TOKEN}"));
        let request =
            request.header("content-type", "application/json").body(Body::from(body.to_vec())).unwrap();
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
        })
    }
}

/// The first byte chooses the request, the rest is its body.
pub(crate) fn http(data: &[u8]) -> bool {
    thread_local! {
        static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
    }
    let Some((choice, body)) = data.split_first() else { return false };
    BENCH.with(|bench| {
        let mut bench = bench.borrow_mut();
        let bench = bench.get_or_insert_with(Bench::new);
        let (method, path) = &bench.paths[usize::from(*choice) % bench.paths.len()];
        let (status, answer) = bench.answer(method, path, body);
        assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{method} {path}: {status}");
        if status.is_client_error() {
            let problem: serde_json::Value = serde_json::from_slice(&answer).expect("a problem is JSON");
            assert!(problem["detail"].is_string() || problem["title"].is_string(), "{problem}");
        }
        status.is_success()
    })
}

pub(crate) fn http_seeds() -> Vec<Vec<u8>> {
    let seed = |(choice, request): (u8, (_, _, Vec<u8>))| [&[choice][..], &request.2].concat();
    (0..).zip(requests()).map(seed).collect()
}
