use sha2::Digest as _;
use trust::Kid;

use super::*;
use crate::cache::Cache;
use fake::{Answer, FakeServer};

pub(crate) mod fake;

const VENDOR: Uuid = Uuid::from_u128(1);
const CLASS: Uuid = Uuid::from_u128(2);
const KIND: Kind = Kind { vendor: VENDOR, class: CLASS, device: Uuid::from_u128(3), shelf: Shelf::Firmware };

fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(bytes).into()
}

fn client(server: &FakeServer) -> Server {
    Server::new(&server.url(), Some("secret"), None).unwrap()
}

fn cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().to_owned());
    (folder, cache)
}

/// An image that no single read of a socket holds.
fn big_image() -> Vec<u8> {
    (0u32..200_000).flat_map(u32::to_le_bytes).collect()
}

/// The image, or the part of it that was asked for, as docs/server-api.md says.
fn serve_image(request: &fake::Request, image: &[u8]) -> Answer {
    let Some(range) = request.header("range") else { return Answer::ok(image.to_vec()) };
    let from: usize = range.strip_prefix("bytes=").unwrap().trim_end_matches('-').parse().unwrap();
    let end = image.len() - 1;
    Answer::new(206, image[from..].to_vec())
        .with("Content-Range", &format!("bytes {from}-{end}/{}", image.len()))
}

#[test]
fn an_address_that_is_no_server_is_refused() {
    for bad in ["", "localhost:80", "ftp://host", "http://", "/tmp/x", "file:///etc/passwd"] {
        let error = Server::new(bad, None, None).unwrap_err();
        assert_eq!((error.code().as_str(), error.exit_code()), ("server-url", 2), "{bad}");
    }
}

#[test]
fn a_url_with_a_password_is_refused_and_the_password_is_not_shown() {
    for bad in
        ["https://user:hunter2@host:1/base", "https://host/?q", "https://host/#f", "htps://u:hunter2@h"]
    {
        let error = Server::new(bad, None, None).unwrap_err();
        assert_eq!(error.code(), "server-url");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    assert_eq!(Server::new("https://host:1/base/", None, None).unwrap().name(), "https://host:1/base");
}

#[test]
fn a_token_that_would_travel_in_the_clear_is_noticed() {
    let exposes = |url, token| Server::new(url, token, None).unwrap().exposes_token();
    assert!(exposes("http://192.0.2.1", Some("t")));
    assert!(!exposes("https://192.0.2.1", Some("t")));
    assert!(!exposes("http://127.0.0.1:80", Some("t")));
    assert!(!exposes("http://[::1]:80", Some("t")));
    assert!(!exposes("http://localhost", Some("t")));
    assert!(!exposes("http://192.0.2.1", None));
}

#[test]
fn a_serial_cannot_leave_its_place_in_the_path() {
    let server = Server::new("http://h/base", None, None).unwrap();
    assert_eq!(
        server.url(&["v1", "devices", "../a b?c#d/e%2f"]).as_str(),
        "http://h/base/v1/devices/..%2Fa%20b%3Fc%23d%2Fe%252f"
    );
}

#[tokio::test]
async fn the_newest_release_and_its_envelope() {
    let envelope = b"an envelope".to_vec();
    let object = serde_json::json!({
        "manifest_digest": "11".repeat(32),
        "envelope_sha256": hex::encode(sha256(&envelope)),
        "sequence": 7,
        "image": {"sha256": "22".repeat(32), "size": 5, "uri": "ni:///x"},
        "envelope_url": "http://elsewhere.example/envelope",
    });
    let server = FakeServer::start(move |request| match request.path.as_str() {
        "/v1/releases/latest?vendor=00000000-0000-0000-0000-000000000001&class=00000000-0000-0000-0000-000000000002&device=00000000-0000-0000-0000-000000000003" => {
            Answer::ok(object.to_string().into_bytes())
        }
        path if path == format!("/v1/releases/{}/envelope", "11".repeat(32)) => Answer::ok(envelope.clone()),
        _ => Answer::new(500, vec![]),
    });
    let client = client(&server);
    let latest = client.latest(&KIND).await.unwrap();
    assert_eq!(latest.manifest_digest, [0x11; 32]);
    assert_eq!(latest.image, NamedImage { digest: [0x22; 32], size: 5 });
    assert_eq!(client.envelope(&latest).await.unwrap(), b"an envelope");
    // Reading needs no token, so none is shown.
    assert!(server.requests().iter().all(|request| request.header("authorization").is_none()));
}

/// The number and the digest that a server gives stand in plans, reports and the cache.
#[test]
fn a_release_object_is_about_its_envelope() {
    let envelope = crate::release::tests::Made::good().envelope();
    let inspection = inspect(&envelope).unwrap();
    let (digest, sequence) = (*inspection.digest(), inspection.manifest().sequence_number());
    let names = |digest: [u8; 32], sequence: u64, envelope: &[u8]| {
        let object = serde_json::json!({
            "manifest_digest": hex::encode(digest), "envelope_sha256": "00".repeat(32), "sequence": sequence,
            "image": {"sha256": "22".repeat(32), "size": 5},
        });
        Latest::read(object.to_string().into_bytes()).unwrap().names(envelope)
    };
    assert!(names(digest, sequence, &envelope));
    assert!(!names(digest, sequence + 1, &envelope));
    assert!(!names([0; 32], sequence, &envelope));
    assert!(names([0; 32], 0, b"no envelope"), "the checks refuse it with their own words");
}

#[tokio::test]
async fn no_release_is_an_error_of_its_own() {
    let server = FakeServer::start(|_| Answer::new(404, br#"{"code":"release-unknown"}"#.to_vec()));
    let error = client(&server).latest(&KIND).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("no-release", 7));
    // The server says why it offers none of its releases.
    let problem = br#"{"code":"release-not-offered","detail":"withdrawn: bad bearing"}"#.to_vec();
    let server = FakeServer::start(move |_| Answer::new(404, problem.clone()));
    let error = client(&server).latest(&KIND).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("release-not-offered", 7));
    assert!(error.to_string().contains("withdrawn: bad bearing"), "{error}");
}

#[tokio::test]
async fn a_path_that_the_server_does_not_know_is_not_an_absence() {
    let server = FakeServer::start(|_| Answer::new(404, br#"{"code":"not-found"}"#.to_vec()));
    assert_eq!(client(&server).latest(&KIND).await.unwrap_err().code(), "not-found");
    assert_eq!(client(&server).revocation_list(Domain(Kid([1; 8]))).await.unwrap_err().code(), "not-found");
    // Another server's page says nothing of a release or a list.
    let server = FakeServer::start(|_| Answer::new(404, b"<html>".to_vec()));
    assert_eq!(client(&server).latest(&KIND).await.unwrap_err().code(), "server-refused");
    assert_eq!(
        client(&server).revocation_list(Domain(Kid([1; 8]))).await.unwrap_err().code(),
        "server-refused"
    );
    let server = FakeServer::start(|_| Answer::new(404, br#"{"code":"revocation-list-unknown"}"#.to_vec()));
    assert_eq!(client(&server).revocation_list(Domain(Kid([1; 8]))).await.unwrap(), None);
}

#[tokio::test]
async fn another_envelope_than_the_one_that_is_listed_is_refused() {
    let server = FakeServer::start(|_| Answer::ok(b"another".to_vec()));
    let latest = Latest {
        object: vec![],
        manifest_digest: [1; 32],
        envelope_digest: sha256(b"the one"),
        sequence: 1,
        device: None,
        image: NamedImage { digest: [0; 32], size: 0 },
        table_image: None,
    };
    let error = client(&server).envelope(&latest).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("server-answer", 7));
}

#[tokio::test]
async fn answers_that_make_no_sense_are_refused() {
    let not_hex = br#"{"manifest_digest":"../../etc","envelope_sha256":"","sequence":1,"image":{"sha256":"","size":1}}"#;
    for body in [&b""[..], b"[]", b"{}", b"\xff", not_hex] {
        let body = body.to_vec();
        let server = FakeServer::start(move |_| Answer::ok(body.clone()));
        let error = client(&server).latest(&KIND).await.unwrap_err();
        assert_eq!((error.code().as_str(), error.exit_code()), ("server-answer", 7));
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let server = FakeServer::start(|_| Answer::ok(vec![b' '; 70_000]));
    let error = client(&server).latest(&KIND).await.unwrap_err();
    assert!(matches!(error, Error::ServerAnswer(ServerAnswerError::TooLong(MAX_JSON_LEN))), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = FakeServer::start(|_| Answer::new(302, vec![]).with("Location", "http://127.0.0.1:1/"));
    let error = client(&server).latest(&KIND).await.unwrap_err();
    assert!(matches!(error, Error::ServerAnswer(ServerAnswerError::Status(302))), "{error}");
}

#[tokio::test]
async fn a_problem_keeps_its_code_and_its_words_are_made_harmless() {
    let problem = br#"{"code":"credential-revoked","detail":"no\u001b[31m"}"#.to_vec();
    let server = FakeServer::start(move |_| Answer::new(403, problem.clone()));
    let error = client(&server).latest(&KIND).await.unwrap_err();
    assert_eq!(error.code(), "credential-revoked");
    assert_eq!(error.to_string(), "the server refused (403): no\\u{1b}[31m");
    assert_eq!(error.exit_code(), 7);

    let server = FakeServer::start(|_| Answer::new(409, br#"{"code":"Not a slug\n"}"#.to_vec()));
    let error = client(&server).latest(&KIND).await.unwrap_err();
    assert_eq!(error.code(), "server-refused");
}

#[tokio::test]
async fn a_refusal_that_never_ends_is_one_all_the_same() {
    let problem = br#"{"code":"unavailable"}"#.to_vec();
    let server = FakeServer::start(move |_| Answer::new(500, problem.clone()).that_drips());
    let error = client(&server).latest(&KIND).await.unwrap_err();
    assert_eq!(error.code(), "unavailable");
}

#[tokio::test]
async fn what_an_answer_quotes_is_made_harmless() {
    let server = FakeServer::start(|_| Answer::ok(br#"{"device":"\u001b[2J"}"#.to_vec()));
    let error = client(&server).latest(&KIND).await.unwrap_err();
    assert_eq!(error.code(), "server-answer");
    assert!(!error.to_string().contains('\u{1b}'), "{:?}", error.to_string());
}

#[tokio::test]
async fn no_server_is_an_error_that_says_so() {
    let client = Server::new("http://127.0.0.1:1", None, None).unwrap();
    let error = client.latest(&KIND).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("server-unreachable", 3));
    assert!(error.is_offline());
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn an_image_that_breaks_off_is_resumed_with_a_range() {
    let image = big_image();
    let served = image.clone();
    let server = FakeServer::start(move |request| {
        let answer = serve_image(request, &served);
        // The first answer ends in the middle.
        if request.header("range").is_none() { answer.cut_after(300_000) } else { answer }
    });
    let (_folder, cache) = cache();
    let mut heard = Fetching::ByAnother;
    let fetched =
        client(&server).image(&cache, &sha256(&image), image.len() as u64, &mut |now| heard = now).await;
    assert_eq!(fetched.unwrap(), image);
    assert_eq!(heard, Fetching::At(image.len() as u64));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    let if_range = requests[1].header("if-range").unwrap();
    assert_eq!(if_range, format!("\"{}\"", hex::encode(sha256(&image))));
    // From the cache, without the server.
    drop(server);
    let offline = Server::new("http://127.0.0.1:1", None, None).unwrap();
    assert!(offline.image(&cache, &sha256(&image), image.len() as u64, &mut |_| ()).await.is_ok());
}

#[tokio::test]
async fn a_server_that_goes_away_in_the_middle_leaves_what_came_for_the_next_run() {
    let image = big_image();
    let (_folder, cache) = cache();
    let (name, size) = (sha256(&image), image.len() as u64);
    let served = image.clone();
    let server = FakeServer::start(move |request| {
        let answer = serve_image(request, &served);
        if request.header("range").is_none() { answer.cut_after(300_000) } else { Answer::hang_up() }
    });
    let error = client(&server).image(&cache, &name, size, &mut |_| ()).await.unwrap_err();
    assert_eq!(error.code(), "server-unreachable");
    drop(server);

    let served = image.clone();
    let server = FakeServer::start(move |request| serve_image(request, &served));
    assert_eq!(client(&server).image(&cache, &name, size, &mut |_| ()).await.unwrap(), image);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].header("range").is_some(), "it began again");
}

#[tokio::test]
async fn a_server_without_ranges_sends_all_of_it_again() {
    let image = big_image();
    let (_folder, cache) = cache();
    let name = sha256(&image);
    cache.partial_image(&name).unwrap().unwrap().append(&image[..1000]).unwrap();
    let served = image.clone();
    let server = FakeServer::start(move |_| Answer::ok(served.clone()));
    let fetched = client(&server).image(&cache, &name, image.len() as u64, &mut |_| ()).await;
    assert_eq!(fetched.unwrap(), image);
}

#[tokio::test]
async fn a_damaged_part_is_found_by_the_digest_and_fetched_anew() {
    let image = big_image();
    let (_folder, cache) = cache();
    let name = sha256(&image);
    cache.partial_image(&name).unwrap().unwrap().append(&[0xff; 1000]).unwrap();
    let served = image.clone();
    let server = FakeServer::start(move |request| serve_image(request, &served));
    let fetched = client(&server).image(&cache, &name, image.len() as u64, &mut |_| ()).await;
    assert_eq!(fetched.unwrap(), image);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn another_image_is_refused_and_does_not_stay() {
    let image = big_image();
    let mut other = image.clone();
    other[5] ^= 1;
    let (_folder, cache) = cache();
    let (name, size) = (sha256(&image), image.len() as u64);
    let server = FakeServer::start(move |request| serve_image(request, &other));
    let error = client(&server).image(&cache, &name, size, &mut |_| ()).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("server-answer", 7));
    assert_eq!(cache.image(&name, size).unwrap(), None);
}

#[tokio::test]
async fn a_longer_image_and_a_range_that_was_not_asked_for_are_refused() {
    let (_folder, cache) = cache();
    let server = FakeServer::start(|_| Answer::ok(vec![0; 5000]));
    let error = client(&server).image(&cache, &[1; 32], 4999, &mut |_| ()).await.unwrap_err();
    assert!(matches!(error, Error::ServerAnswer(ServerAnswerError::TooLong(4999))), "{error}");

    cache.partial_image(&[1; 32]).unwrap().unwrap().append(&[0; 10]).unwrap();
    let server = FakeServer::start(|_| Answer::new(206, vec![0; 5]).with("Content-Range", "bytes 0-4/20"));
    let error = client(&server).image(&cache, &[1; 32], 20, &mut |_| ()).await.unwrap_err();
    assert!(matches!(error, Error::ServerAnswer(ServerAnswerError::Range)), "{error}");
}

/// A report of which only the required members are there.
fn device() -> DeviceBody {
    DeviceBody {
        manifest_digest: None,
        release_kid: None,
        table: None,
        anchors: None,
        vendor: VENDOR,
        class: CLASS,
        version: None,
        sequence: None,
        at: None,
    }
}

#[tokio::test]
async fn a_report_carries_the_token() {
    let server = FakeServer::start(|_| Answer::ok(br#"{"serial":"A/1"}"#.to_vec()));
    let body = DeviceBody { version: Some("1.0.0".to_owned()), sequence: Some(1), at: Some(9), ..device() };
    client(&server).put_device("A/1", &body).await.unwrap();
    let request = server.requests().remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/v1/devices/A%2F1"));
    assert_eq!(request.header("authorization"), Some("Bearer secret"));
    let sent: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&sent["version"], &sent["at"]), (&"1.0.0".into(), &9.into()));
}

/// Each byte comes before the silence counts.
#[tokio::test]
async fn an_image_that_comes_too_slowly_is_given_up() {
    let (_folder, cache) = cache();
    let server = FakeServer::start(|_| Answer::ok(vec![0; 10]).that_drips());
    let client = Server { image_time: |_| Duration::from_millis(300), ..client(&server) };
    let error = client.image(&cache, &[1; 32], 1_000_010, &mut |_| ()).await.unwrap_err();
    assert_eq!(error.code(), "server-unreachable");
    // What came stays for the next run.
    assert!(cache.partial_image(&[1; 32]).unwrap().unwrap().len() >= 10);
}

#[tokio::test]
async fn another_program_that_fetches_the_same_image_is_not_waited_for_without_end() {
    let (_folder, cache) = cache();
    let _other = cache.partial_image(&[1; 32]).unwrap().unwrap();
    let server = FakeServer::start(|_| Answer::ok(vec![]));
    let client = Server { image_time: |_| Duration::from_millis(300), ..client(&server) };
    let mut heard = Vec::new();
    let error = client.image(&cache, &[1; 32], 10, &mut |now| heard.push(now)).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("download-busy", 3));
    assert_eq!(heard, [Fetching::ByAnother]);
}

#[tokio::test]
async fn a_report_is_delivered_when_an_update_server_says_so() {
    let body = device();
    let event = EventBody {
        kind: wire::EventKind::Started,
        release: None,
        target: None,
        release_kid: None,
        version: None,
        sequence: None,
        reason: None,
        at: 0,
    };
    for answer in ["", "<html>", "{}", r#"{"serial":"B"}"#] {
        let server = FakeServer::start(move |_| Answer::ok(answer.as_bytes().to_vec()));
        let error = client(&server).put_device("A", &body).await.unwrap_err();
        assert_eq!(error.code(), "server-answer", "{answer}");
        assert_eq!(client(&server).post_event("A", &event).await.unwrap_err().code(), "server-answer");
    }
    let server = FakeServer::start(|_| Answer::new(201, vec![]));
    client(&server).post_event("A", &event).await.unwrap();
}

/// A portal before the Internet answers everything with its page: that is no damaged list and no damaged release.
#[tokio::test]
async fn a_web_page_is_no_answer() {
    let page = || Answer::ok(b"<html>".to_vec()).with("Content-Type", "Text/HTML; charset=utf-8");
    let server = FakeServer::start(move |_| page());
    let client = client(&server);
    for error in [
        client.latest(&KIND).await.unwrap_err(),
        client.revocation_list(Domain(Kid([1; 8]))).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::ServerAnswer(ServerAnswerError::WebPage)), "{error}");
        assert_eq!((error.code().as_str(), error.exit_code()), ("server-answer", 7));
    }
}

/// Servers of an earlier version refuse parameters that they do not know.
#[tokio::test]
async fn a_server_that_knows_of_no_tables_has_none() {
    let server = FakeServer::start(|_| Answer::new(400, br#"{"code":"request-malformed"}"#.to_vec()));
    for shelf in [Shelf::Table, Shelf::Both] {
        let kind = Kind { shelf, ..KIND };
        assert_eq!(client(&server).latest(&kind).await.unwrap_err().code(), "no-release");
    }
    assert_eq!(client(&server).latest(&KIND).await.unwrap_err().code(), "request-malformed");
}

/// One limit for all questions: a server that trickles does not hold the update up once for each.
#[tokio::test]
async fn a_server_that_takes_too_long_is_not_asked_again() {
    let server = FakeServer::start(|_| Answer::ok(Vec::new()).that_drips());
    let client = Server { questions_time: Duration::from_millis(300), ..client(&server) };
    for _ in 0..3 {
        let error = client.revocation_list(Domain(Kid([1; 8]))).await.unwrap_err();
        assert!(error.is_offline(), "{error}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn whoever_waits_for_a_slow_server_hears_of_it() {
    use std::sync::Mutex;
    static LEFT: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    let fake = FakeServer::start(|request| {
        let pause = if request.path.contains("latest") { 0 } else { 2_300 };
        if request.path.contains("successions") {
            let page = br#"{"successions": []}"#.to_vec();
            return Answer::ok(page).in_halves(Duration::from_millis(pause));
        }
        std::thread::sleep(Duration::from_millis(pause));
        Answer::new(404, br#"{"code": "revocation-list-unknown"}"#.to_vec())
    });
    let server = client(&fake).telling(ServerWait::new(|_, left| LEFT.lock().unwrap().push(left.as_secs())));
    assert!(server.latest(&KIND).await.is_err());
    assert_eq!(*LEFT.lock().unwrap(), [0; 0]);
    assert_eq!(server.revocation_list(Domain(Kid([1; 8]))).await.unwrap(), None);
    // Once for each answer, however many pieces it comes in, and with what is left of all of it.
    assert!(server.successions(Domain(Kid([1; 8]))).await.unwrap().is_empty());
    let left = LEFT.lock().unwrap();
    assert!(matches!(left[..], [54..=58, 50..=56]), "{left:?}");
    assert!(left[1] < left[0], "{left:?}");
}
