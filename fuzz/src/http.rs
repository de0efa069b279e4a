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
use tempfile::TempDir;
use tower::ServiceExt as _;
use update_server::config::{Config, Tokens};
use update_server::server::Server;

const TOKEN: &str = "a-token-for-fuzzing-0123456789";

/// What takes a body; the first byte of the input chooses.
const REQUESTS: [(&str, &str); 5] = [
    ("PUT", "/v1/devices/A-0001"),
    ("POST", "/v1/releases"),
    ("POST", "/v1/revocations"),
    ("PUT", "/v1/images/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("PUT", "/v1/devices/A-0002"),
];

/// A server without its listener.
struct Bench {
    runtime: tokio::runtime::Runtime,
    router: Router,
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
        Self { router: server.router(), runtime, _server: server, _folder: folder }
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
pub(crate) fn http(data: &[u8]) {
    thread_local! {
        static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
    }
    let Some((choice, body)) = data.split_first() else { return };
    let (method, path) = REQUESTS[usize::from(*choice) % REQUESTS.len()];
    BENCH.with(|bench| {
        let mut bench = bench.borrow_mut();
        let (status, answer) = bench.get_or_insert_with(Bench::new).answer(method, path, body);
        assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{method} {path}: {status}");
        if status.is_client_error() {
            let problem: serde_json::Value = serde_json::from_slice(&answer).expect("a problem is JSON");
            assert!(problem["detail"].is_string() || problem["title"].is_string(), "{problem}");
        }
    });
}

pub(crate) fn http_seeds() -> Vec<Vec<u8>> {
    let factory = Factory::new(1);
    let device =
        br#"{"vendor":"11111111-1111-1111-1111-111111111111","class":"22222222-2222-2222-2222-222222222222",
        "version":"1.0.0","sequence":1,"event":"registered","at":1800000000}"#;
    let body = |choice: u8, body: &[u8]| [&[choice][..], body].concat();
    vec![
        body(0, device),
        body(1, &factory.envelope(3, b"image")),
        body(2, &factory.revocation_list(3, &[])),
        body(3, b""),
    ]
}
