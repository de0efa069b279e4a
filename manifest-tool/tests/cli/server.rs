//! `withdraw` and `retire`, and a server behind TLS of an authority of its own.

use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use super::fake_server::{FakeServer, Record, answer};
use super::workshop::{Workshop, finish};

/// `COMMAND ... --server URL --token-file token`
fn with_server<'a>(command: &'a str, url: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [&[command], arguments, &["--server", url, "--token-file", "token"]].concat()
}

fn workshop() -> Workshop {
    let workshop = Workshop::with_release();
    workshop.write("token", b"a-token-for-tests\n");
    workshop
}

#[test]
fn a_release_is_withdrawn_and_offered_again() {
    let (workshop, server) = (workshop(), FakeServer::start());
    let digest = workshop.ok(&["inspect", "signed.suit"])["manifest_digest"].as_str().unwrap().to_owned();

    for release in ["signed.suit", digest.as_str()] {
        let said =
            workshop.ok(&with_server("withdraw", &server.url, &[release, "--reason", "bricks the pump"]));
        assert_eq!((&said["withdrawn"], &said["manifest_digest"]), (&json!(true), &json!(digest)));
        assert_eq!(
            workshop.ok(&with_server("withdraw", &server.url, &[release, "--undo"]))["withdrawn"],
            false
        );
        let path = format!("/v1/releases/{digest}/withdrawal");
        let body = server.record.lock().unwrap().sent[0].body.clone();
        assert_eq!(&body[..], br#"{"reason":"bricks the pump"}"#);
        assert_eq!(server.take_sent(), [format!("PUT {path}"), format!("DELETE {path}")]);
    }
    for wrong in [
        &["signed.suit"][..],
        &["signed.suit", "--reason", ""],
        &["signed.suit", "--reason", "a\u{1b}"],
        &["signed.suit", "--undo", "--reason", "r"],
    ] {
        assert_eq!(
            workshop.refused(&with_server("withdraw", &server.url, wrong)),
            ("usage".into(), 2),
            "{wrong:?}"
        );
    }
    assert!(server.take_sent().is_empty());
    let problem = json!({"title": "Not Found", "status": 404, "code": "release-unknown"}).to_string();
    server.answers("PUT", StatusCode::NOT_FOUND, &problem);
    let refusal = workshop.refused(&with_server("withdraw", &server.url, &["signed.suit", "--reason", "r"]));
    assert_eq!(refusal, ("release-unknown".into(), 7));
}

#[test]
fn a_device_is_retired_and_restored() {
    let (workshop, server) = (workshop(), FakeServer::start());

    assert_eq!(
        workshop.ok(&with_server("retire", &server.url, &["SN 1", "--reason", "scrapped"]))["retired"],
        true
    );
    workshop.ok(&with_server("retire", &server.url, &["SN 1"]));
    assert_eq!(workshop.ok(&with_server("retire", &server.url, &["SN 1", "--undo"]))["retired"], false);
    let bodies: Vec<_> = server.record.lock().unwrap().sent.iter().map(|sent| sent.body.clone()).collect();
    assert_eq!(bodies, [&br#"{"reason":"scrapped"}"#[..], b"{}", b""]);
    let path = "/v1/devices/SN%201/retirement";
    assert_eq!(server.take_sent(), [format!("PUT {path}"), format!("PUT {path}"), format!("DELETE {path}")]);
    assert_eq!(workshop.refused(&with_server("retire", &server.url, &["\u{fc}"])), ("usage".into(), 2));
}

/// A portal answers 200 as well, and a server may have done something else.
#[test]
fn a_mark_is_what_the_server_says() {
    let (workshop, server) = (workshop(), FakeServer::start());
    let digest = workshop.ok(&["inspect", "signed.suit"])["manifest_digest"].as_str().unwrap().to_owned();
    let refused = |command, arguments: &[&str], answer: &str| {
        for method in ["PUT", "DELETE"] {
            server.answers(method, StatusCode::OK, answer);
        }
        let refusal = workshop.refused(&with_server(command, &server.url, arguments));
        assert_eq!(refusal, ("server-answer".into(), 7), "{command} {arguments:?} {answer}");
    };
    let release = |digest: &str, withdrawn: Value| {
        json!({"manifest_digest": digest, "status": "offered", "withdrawn": withdrawn}).to_string()
    };
    let device = |serial: &str, retired: Value| json!({"serial": serial, "retired": retired}).to_string();
    let mark = |reason: &str| json!({"reason": reason, "at": 1});
    for answer in ["<html>", "{}", &release(&"0".repeat(64), mark("r"))] {
        refused("withdraw", &["signed.suit", "--reason", "r"], answer);
    }
    refused("withdraw", &["signed.suit", "--reason", "r"], &release(&digest, Value::Null));
    refused("withdraw", &["signed.suit", "--reason", "r"], &release(&digest, mark("other")));
    refused("withdraw", &["signed.suit", "--undo"], &release(&digest, mark("r")));
    for answer in ["<html>", "{}", &device("SN-2", mark("r"))] {
        refused("retire", &["SN-1", "--reason", "r"], answer);
    }
    refused("retire", &["SN-1"], &device("SN-1", Value::Null));
    refused("retire", &["SN-1", "--reason", "r"], &device("SN-1", mark("other")));
    refused("retire", &["SN-1", "--undo"], &device("SN-1", mark("r")));

    // A reason that was not given is the server's; a release may be refused for another reason than its withdrawal.
    server.answers("PUT", StatusCode::OK, &device("SN-1", mark("scrapped before")));
    assert_eq!(workshop.ok(&with_server("retire", &server.url, &["SN-1"]))["reason"], "scrapped before");
    let expired = json!({"manifest_digest": digest, "status": "refused", "refusal": "credential-expired"});
    server.answers("DELETE", StatusCode::OK, &expired.to_string());
    let undo = with_server("withdraw", &server.url, &["signed.suit", "--undo"]);
    let object = workshop.ok(&undo);
    assert_eq!((&object["withdrawn"], &object["offered"]), (&json!(false), &json!(false)));
    let people = workshop.run(&undo);
    assert!(people.stdout.contains("not offered: credential-expired"), "{people:?}");
}

/// axum over TLS.
struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            // A client that does not trust us goes away.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// An authority `NAME.ca.pem`, and a server's key and certificate of it, by the OpenSSL of this machine.
fn authority(workshop: &Workshop, name: &str) {
    let steps = [
        format!(
            "req -x509 -newkey ed25519 -nodes -keyout {name}.ca.key -out {name}.ca.pem -days 9 -subj /CN={name}"
        ),
        format!("req -newkey ed25519 -nodes -keyout {name}.key -out {name}.csr -subj /CN=localhost"),
        format!(
            "x509 -req -in {name}.csr -CA {name}.ca.pem -CAkey {name}.ca.key -out {name}.pem -days 9 -extfile san"
        ),
    ];
    workshop.write("san", b"subjectAltName=DNS:localhost\n");
    for step in steps {
        let mut command = Command::new("openssl");
        command.current_dir(workshop.path(".")).args(step.split(' ')).stdin(Stdio::null());
        let run = finish(command);
        assert_eq!(run.exit, 0, "{step}: {}", run.stderr);
    }
}

#[test]
fn a_server_of_another_authority_is_trusted_by_its_certificate() {
    let workshop = workshop();
    authority(&workshop, "ours");
    authority(&workshop, "theirs");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_slice(&workshop.read("ours.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&workshop.read("ours.key")).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let listener = TlsListener { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
    let record = Arc::<std::sync::Mutex<Record>>::default();
    let router = Router::new().fallback(answer).with_state(Arc::clone(&record));
    runtime.spawn(async move { axum::serve(listener, router).await });

    assert_eq!(workshop.refused(&with_server("retire", &url, &["SN-1"])), ("server-unreachable".into(), 3));
    assert_eq!(
        workshop.refused(&with_server("retire", &url, &["SN-1", "--ca", "theirs.ca.pem"])),
        ("server-unreachable".into(), 3)
    );
    assert_eq!(
        workshop.refused(&with_server("retire", &url, &["SN-1", "--ca", "token"])),
        ("ca-invalid".into(), 4)
    );
    assert!(record.lock().unwrap().sent.is_empty(), "no token goes to a server that is not trusted");
    workshop.ok(&with_server("retire", &url, &["SN-1", "--ca", "ours.ca.pem"]));
    // Bundles, as they come from Windows.
    let bundle =
        [b"\xef\xbb\xbf", &workshop.read("theirs.ca.pem")[..], &workshop.read("ours.ca.pem")].concat();
    workshop.write("bundle.pem", &String::from_utf8(bundle).unwrap().replace('\n', "\r\n").into_bytes());
    workshop.ok(&with_server("retire", &url, &["SN-1", "--ca", "bundle.pem"]));
}
