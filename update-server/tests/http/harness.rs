//! A place to run servers in, a client that hides nothing, and the keys of a small world.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use ciborium::Value as Cbor;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use suit_manifest::author::{self, UpdateDescription};
use tempfile::TempDir;
use trust::author::{CredentialRequest, RevocationRequest, ScopeRequest, Signer as _, SoftwareKey};
use trust::{Kid, RevokedId, Role, UnixTime};
use update_server::domain::unix_now;

pub(crate) const TOKEN: &str = "a-token-for-tests-0123456789";
pub(crate) const VENDOR: [u8; 16] = *b"vendor-of-tests!";
pub(crate) const CLASS: [u8; 16] = *b"class-of-tests!!";
pub(crate) const OTHER_CLASS: [u8; 16] = *b"class-of-others!";

pub(crate) fn uuid(bytes: [u8; 16]) -> String {
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Bytes that look like nothing in particular, the same for the same seed.
pub(crate) fn image(seed: u8, len: usize) -> Vec<u8> {
    let mut state = u32::from(seed) | 0x9e37_0000;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// A release key with the credential that a root gave it.
pub(crate) struct ReleaseKey {
    pub(crate) key: SoftwareKey,
    pub(crate) credential: Vec<u8>,
    pub(crate) cti: [u8; 16],
}

impl ReleaseKey {
    pub(crate) fn kid(&self) -> Kid {
        self.key.public_key().kid()
    }
}

pub(crate) fn credential_request(key: &SoftwareKey) -> CredentialRequest {
    CredentialRequest {
        iss: "root".into(),
        sub: "release".into(),
        key: key.public_key(),
        role: Role::Release,
        scope: ScopeRequest {
            vendor: VENDOR,
            classes: vec![CLASS, OTHER_CLASS],
            serials: Vec::new(),
            actions: None,
        },
        issued_at: UnixTime(unix_now()),
        not_before: None,
        expires: None,
        cti: trust::author::random_cti().unwrap(),
        generation: 0,
        sequence_ceiling: None,
    }
}

pub(crate) fn release_key(root: &SoftwareKey) -> ReleaseKey {
    release_key_with(root, |_| {})
}

pub(crate) fn release_key_with(
    root: &SoftwareKey,
    change: impl FnOnce(&mut CredentialRequest),
) -> ReleaseKey {
    let key = SoftwareKey::generate().unwrap();
    let mut request = credential_request(&key);
    change(&mut request);
    let credential = trust::author::issue_credential(&request, root).unwrap();
    ReleaseKey { key, credential, cti: request.cti }
}

pub(crate) fn description(image: &[u8], sequence: u64) -> UpdateDescription {
    UpdateDescription {
        vendor: VENDOR,
        class: CLASS,
        device: None,
        sequence,
        version: format!("{sequence}.0.0"),
        image_digest: Sha256::digest(image).into(),
        image_size: image.len() as u64,
        uri: "ni:///sha-256;test".into(),
        ..UpdateDescription::default()
    }
}

pub(crate) fn sign(description: &UpdateDescription, by: &ReleaseKey) -> Vec<u8> {
    author::sign(&author::create(description).unwrap(), &by.key, &by.credential).unwrap()
}

/// Signs what the author code refuses to sign: with a credential that does not permit it.
pub(crate) fn forge(description: &UpdateDescription, by: &ReleaseKey) -> Vec<u8> {
    let unsigned = author::create(description).unwrap();
    let Ok(Cbor::Tag(107, envelope)) = ciborium::from_reader(unsigned.as_slice()) else {
        panic!("no envelope")
    };
    let mut members = envelope.into_map().unwrap();
    let wrapper = members[0].1.as_bytes().unwrap();
    let Ok(Cbor::Array(mut wrapper)) = ciborium::from_reader(wrapper.as_slice()) else {
        panic!("no wrapper")
    };
    let signature =
        trust::author::sign1_detached_chained(wrapper[0].as_bytes().unwrap(), &by.key, &by.credential)
            .unwrap();
    wrapper.push(Cbor::Bytes(signature));
    members[0].1 = Cbor::Bytes(encode(&Cbor::Array(wrapper)));
    encode(&Cbor::Tag(107, Box::new(Cbor::Map(members))))
}

fn encode(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

pub(crate) fn envelope(image: &[u8], sequence: u64, by: &ReleaseKey) -> Vec<u8> {
    sign(&description(image, sequence), by)
}

pub(crate) fn revocation_request(sequence: u64) -> RevocationRequest {
    RevocationRequest {
        iss: "root".into(),
        issued_at: UnixTime(unix_now()),
        sequence,
        revoked: Vec::new(),
        lowest_generations: Vec::new(),
        minimum_sequences: Vec::new(),
    }
}

pub(crate) fn revocation(root: &SoftwareKey, sequence: u64, kids: &[Kid]) -> Vec<u8> {
    let revoked = kids.iter().map(|kid| RevokedId::Key(*kid).revoked(Role::Release, 0)).collect();
    let request = RevocationRequest { revoked, ..revocation_request(sequence) };
    trust::author::sign_revocation(&request, root).unwrap()
}

/// Where the envelope of a release is, by the answer to its publication.
pub(crate) fn envelope_path(release: &Value) -> String {
    release["envelope_url"].as_str().unwrap().to_owned()
}

/// A folder with anchors, tokens and a data directory.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) root: SoftwareKey,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = SoftwareKey::generate().unwrap();
        let world = Self { dir, root };
        fs::write(world.anchor_file(), world.root.public_key().to_cose_key()).unwrap();
        fs::write(world.token_file(), TOKEN).unwrap();
        fs::set_permissions(world.token_file(), fs::Permissions::from_mode(0o600)).unwrap();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn anchor_file(&self) -> PathBuf {
        self.path("root.cose")
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.path("tokens")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Does to the database what only damage or an intruder does.
    pub(crate) async fn change_database(&self, sql: &'static str) {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.data().join("registry.sqlite"));
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query(sql).execute(&pool).await.unwrap();
        pool.close().await;
    }

    /// Every file under the images folder.
    pub(crate) fn image_files(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in fs::read_dir(self.data().join("images")).unwrap() {
            for file in fs::read_dir(folder.unwrap().path()).unwrap() {
                names.push(file.unwrap().file_name().into_string().unwrap());
            }
        }
        names.sort();
        names
    }

    pub(crate) fn command(&self, extra: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_update-server"));
        command
            .env_clear()
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "debug,sqlx=warn"])
            .arg("--data")
            .arg(self.data())
            .arg("--anchor")
            .arg(self.anchor_file())
            .arg("--token-file")
            .arg(self.token_file())
            .args(extra)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn start(&self) -> Server {
        self.start_with(&[])
    }

    pub(crate) fn start_with(&self, extra: &[&str]) -> Server {
        let stderr = fs::OpenOptions::new().append(true).create(true).open(self.path("log")).unwrap();
        self.spawn(self.command(extra), stderr.into())
    }

    /// Runs `command`, which is to become a server, with that stderr.
    pub(crate) fn spawn(&self, mut command: Command, stderr: Stdio) -> Server {
        let log = self.path("log");
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("listening on http://") else {
            let _ = child.wait();
            panic!("did not start: {line:?}\n{}", fs::read_to_string(log).unwrap_or_default());
        };
        Server { address: address.to_owned(), child, log }
    }

    /// Runs a server that is not to start; gives its exit code and what it said.
    pub(crate) fn fail(&self, extra: &[&str]) -> (i32, String) {
        fail(self.command(extra))
    }
}

pub(crate) fn fail(mut command: Command) -> (i32, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("it started, or hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A server process; killed when dropped.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) child: Child,
    log: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the server\n{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// That it is a problem in full form, with this status and code.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.json()["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(
            (&problem["type"], &problem["status"]),
            (&Value::from("about:blank"), &Value::from(status))
        );
        assert!(
            !problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty()
        );
        assert!(self.header("x-request-id").is_some());
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }
}

impl Server {
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let uri: Uri = format!("http://{}{path}", self.address).parse().unwrap();
        let mut request = axum::http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let (head, body) = client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, Vec::new()).await
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.send(Method::PUT, path, &[("authorization", &bearer())], body.into()).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.send(Method::POST, path, &[("authorization", &bearer())], body.into()).await
    }

    pub(crate) async fn put_image(&self, image: &[u8]) {
        let answer = self.put(&format!("/v1/images/{}", sha256(image)), image).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// Uploads the image and publishes an envelope for it.
    pub(crate) async fn publish(&self, image: &[u8], envelope: &[u8]) -> Answer {
        self.put_image(image).await;
        self.post("/v1/releases", envelope).await
    }

    pub(crate) async fn latest(&self) -> Answer {
        self.get(&format!("/v1/releases/latest?vendor={}&class={}", uuid(VENDOR), uuid(CLASS))).await
    }

    /// The sequence numbers that are listed.
    pub(crate) async fn listed(&self) -> Vec<u64> {
        let answer = self.get(&format!("/v1/releases?vendor={}&class={}", uuid(VENDOR), uuid(CLASS))).await;
        let list = answer.is(200).json();
        list["releases"].as_array().unwrap().iter().map(|it| it["sequence"].as_u64().unwrap()).collect()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// Sends bytes as they are and reads until the server closes.
    pub(crate) fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits until the process has ended, at most `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let started = Instant::now();
        while started.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// The log up to now: lines are written in order, so that all is there once a last one is.
    pub(crate) fn log(&self) -> String {
        static MARKS: AtomicU64 = AtomicU64::new(0);
        let mark = format!("/mark-{}-", MARKS.fetch_add(1, Ordering::Relaxed));
        self.raw(format!("GET {mark} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
        let mut log = String::new();
        eventually("the log", || {
            log = fs::read_to_string(&self.log).unwrap();
            log.contains(&mark)
        });
        log
    }

    /// Resident memory, bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}

pub(crate) fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

/// Waits until `done`, at most 10 s.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(10), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
