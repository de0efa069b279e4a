//! What is not a request of docs/server-api.md, in all sorts of ways.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::json;

use crate::harness::*;

const PEM: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg\n";

#[tokio::test]
async fn health_and_the_edges_of_the_map() {
    let world = World::new();
    let server = world.start();
    let health = server.get("/v1/health").await;
    let live = json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "log_lines_lost": 0, "damaged_images": 0});
    assert_eq!(server.get("/v1/live").await.is(200).json(), live);
    let mut ready = live;
    ready["warnings"] = json!([]);
    ready["releases"] = json!({"stored": 0, "under_no_anchor": 0});
    assert_eq!(health.is(200).json(), ready);
    assert_eq!(health.header("x-content-type-options"), Some("nosniff"));
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/health",
        "/v1/health/",
        "//v1/health",
        "/v1/images",
        "/v1/images/a/b",
        "/%00",
    ] {
        server.get(path).await.is_problem(404, "not-found");
    }
    server.put("/nowhere", image(1, 4 << 20)).await.is_problem(404, "not-found");
    for (method, path, allow) in [
        (Method::POST, "/v1/health", "GET,HEAD"),
        (Method::DELETE, "/v1/devices/A", "PUT,GET,HEAD,PATCH"),
        (Method::PATCH, "/v1/releases", "POST,GET,HEAD"),
        (Method::PUT, "/v1/releases/latest", "GET,HEAD"),
    ] {
        let answer = server.send(method, path, &[("authorization", &bearer())], b"{}".to_vec()).await;
        answer.is_problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some(allow));
    }
    // Ids are ours, and no two are the same.
    let own = server.get_with("/v1/health", &[("x-request-id", "forged")]).await;
    assert_ne!(own.header("x-request-id"), Some("forged"));
    assert_ne!(own.header("x-request-id"), health.header("x-request-id"));
}

#[tokio::test]
async fn a_private_key_is_refused_wherever_it_arrives() {
    let world = World::new();
    let server = world.start();
    let key = world.path("key.pem");
    std::fs::write(&key, PEM).unwrap();
    server
        .put(&format!("/v1/images/{}", sha256(PEM.as_bytes())), PEM)
        .await
        .is_problem(400, "private-key-refused");
    server.post("/v1/releases", PEM).await.is_problem(400, "private-key-refused");
    server.put("/v1/revocations", PEM).await.is_problem(400, "private-key-refused");
    let body = json!({"vendor": uuid(VENDOR), "class": uuid(CLASS), "identity": PEM}).to_string();
    server.put("/v1/devices/A", body).await.is_problem(400, "private-key-refused");
    let body = json!({"kind": "update-started", "reason": PEM}).to_string();
    server.post("/v1/devices/A/events", body).await.is_problem(400, "private-key-refused");
    assert_eq!(world.image_files(), [""; 0]);
    assert!(!server.log().contains("MIGbMFcG"), "nor is it in the log");

    // In whatever clothes.
    let seed = [7; 32];
    let der = [&b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..], &seed].concat();
    let cose = [&b"\xa4\x01\x01\x03\x27\x20\x06\x23\x58\x20"[..], &seed].concat();
    let jwk = br#" {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKx", "d": "nWGxne_9"}"#.to_vec();
    let full_pem = format!("{PEM}-----END ENCRYPTED PRIVATE KEY-----\n");
    let commented = format!("# my key\n{full_pem}").into_bytes();
    let marked = format!("\u{feff}{full_pem}").into_bytes();
    let far = format!("{}{PEM}", "# a comment\n".repeat(20_000)).into_bytes();
    // As an editor of Windows writes it.
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let wide = utf16(&format!("\u{feff}{full_pem}"));
    let wide_and_far = utf16(&format!("\u{feff}{}{PEM}", "# a comment\n".repeat(20_000)));
    let latin1 = [&b"# cl\xe9\n"[..], full_pem.as_bytes()].concat();
    for key in [der, cose, jwk, commented, marked, far, wide, wide_and_far, latin1] {
        let answer = server.put(&format!("/v1/images/{}", sha256(&key)), key.clone()).await;
        assert_eq!(answer.status, 400, "{:?} {answer:?}", String::from_utf8_lossy(&key[..20]));
        answer.is_problem(400, "private-key-refused");
        if key.len() < 1024 {
            server.put("/v1/revocations", key.clone()).await.is_problem(400, "private-key-refused");
            server.post("/v1/releases", key).await.is_problem(400, "private-key-refused");
        }
    }
    assert_eq!(world.image_files(), [""; 0]);

    // An image with a PEM parser in it is an image.
    let firmware = [&image(1, 3000), PEM.as_bytes()].concat();
    server.put_image(&firmware).await;
}

#[tokio::test]
async fn nothing_that_a_client_sends_can_forge_a_line_of_the_log() {
    let world = World::new();
    let server = world.start();
    let forged = "a%0AFORGED%1b%5B2J";
    let latest = format!("/v1/releases/latest?vendor={}&class={forged}", uuid(VENDOR));
    for path in [
        &format!("/v1/devices?{forged}=1"),
        &format!("/v1/devices?limit={forged}"),
        &format!("/v1/devices?after={forged}"),
        &format!("/v1/devices/{forged}"),
        &latest,
    ] {
        server.get(path).await.is_problem(400, "request-malformed");
    }
    server.get(&format!("/{forged}")).await.is_problem(404, "not-found");
    let bodies = [json!({"a\nFORGED\u{1b}[2J": 1}), json!({"kind": "a\nFORGED\u{1b}[2J"})];
    for body in bodies {
        let answer = server.post("/v1/devices/A/events", body.to_string()).await;
        answer.is_problem(400, "request-malformed");
    }
    let log = server.log();
    assert!(log.contains("FORGED"), "it is logged, in its place");
    assert!(!log.contains('\u{1b}') && !log.lines().any(|line| line.starts_with("FORGED")), "{log}");
}

#[tokio::test]
async fn what_is_no_http_does_no_harm() {
    let world = World::new();
    let server = world.start();
    let long_head = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    let many_heads = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(1000));
    // A head over the limits is refused before all of it is read, and the reset that follows may overtake the answer.
    for (request, answer, may_be_lost) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], "HTTP/1.1 400 ", false),
        (b"GET /v1/health\r\n\r\n", "HTTP/1.1 400 ", false),
        (b"GET /v1/h\xff HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 ", false),
        (long_head.as_bytes(), "HTTP/1.1 431 ", true),
        (many_heads.as_bytes(), "HTTP/1.1 431 ", true),
        (b"POST /v1/releases HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400 ", false),
        (
            b"POST /v1/releases HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 400 ",
            false,
        ),
        (
            b"POST /v1/releases HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n",
            "HTTP/1.1 431 ",
            false,
        ),
        (
            b"POST /v1/releases HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 400 ",
            false,
        ),
        (b"POST /v1/releases HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 400 ", false),
    ] {
        let got = server.raw(request);
        let refused = got.starts_with(answer) || (may_be_lost && got.is_empty());
        assert!(refused, "{:?}: {got}", String::from_utf8_lossy(request));
    }
    server.get("/v1/health").await.is(200);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_given_up_and_others_are_served_meanwhile() {
    let world = World::new();
    let server = world.start();
    let mut slow = server.connect();
    slow.write_all(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n").unwrap();
    server.get("/v1/health").await.is(200);
    slow.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let started = Instant::now();
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(started.elapsed() < Duration::from_secs(50), "the connection was closed");
}

/// A connection from one of the addresses that every Linux machine has.
fn connect_from(last: u8, server: &Server) -> std::net::TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, last], 0)).into()).unwrap();
    socket.connect(&server.address.parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    let stream = std::net::TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
    stream
}

/// That a request is answered; those who are slow would keep it waiting for longer than the client waits.
fn is_served(mut stream: std::net::TcpStream, within: Duration) {
    stream.set_read_timeout(Some(within)).unwrap();
    stream.write_all(b"GET /v1/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn slow_heads_lock_nobody_out() {
    let world = World::new();
    let server = world.start();
    let mut slow = Vec::new();
    // More than there are places, and not so many that the system holds a connection back: waiting for that would
    // outlast the slow heads.
    for count in 0..300 {
        let mut stream = connect_from(u8::try_from(2 + count % 5).unwrap(), &server);
        stream.write_all(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n").unwrap();
        slow.push(stream);
    }
    // A third of the time for which a head may be slow.
    let within = Duration::from_secs(10);
    is_served(connect_from(9, &server), within);
    // Nor those who come from the same address.
    is_served(connect_from(2, &server), within);
    for _ in 0..20 {
        server.get("/v1/live").await.is(200);
    }
}

#[tokio::test]
async fn slow_readers_lock_nobody_out_and_an_address_has_a_bound() {
    let world = World::new();
    let server = world.start();
    let image = image(1, 32 << 20);
    server.put_image(&image).await;
    let request = format!("GET /v1/images/{} HTTP/1.1\r\nHost: x\r\n\r\n", sha256(&image));
    let begin = |last: u8| {
        let mut stream = connect_from(last, &server);
        socket2::SockRef::from(&stream).set_recv_buffer_size(4096).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        (stream, start)
    };
    let readers: Vec<_> = (0..64).map(|_| begin(2)).collect();
    assert!(readers.iter().all(|(_, start)| start == b"HTTP/1.1 200"));
    // All of its places are at work, and one more is told so.
    assert_eq!(&begin(2).1, b"HTTP/1.1 503");
    let mut others = Vec::new();
    for count in 0..192 {
        others.push(begin(u8::try_from(3 + count % 3).unwrap()));
    }
    // Every place is taken: the slowest goes once it has been slow for long enough.
    is_served(connect_from(9, &server), Duration::from_secs(30));
}
