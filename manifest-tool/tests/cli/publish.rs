//! `publish` against a server of a few lines that records what it is sent (docs/server-api.md).

use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Value, json};
use suit_manifest::author::integrate;

use super::fake_server::{FakeServer, publish_arguments};
use super::members::with_integrated;
use super::workshop::{Workshop, finish, split};

fn workshop() -> Workshop {
    let workshop = Workshop::with_release();
    workshop.write("token", b"# of the server\n\na-token-for-tests \r\nthe-next-token-for-tests\n");
    workshop
}

/// A list of the root.
fn revoke(workshop: &Workshop, out: &str, more: &[&str]) {
    let line = format!(
        "revoke --key root.pem --issuer r --kid 0102030405060708 --role release --generation 0 --out {out}"
    );
    let first: &[&str] = if more.contains(&"--previous") { &[] } else { &["--first"] };
    workshop.ok(&[&split(&line)[..], more, first].concat());
}

/// What is in force when the root's list with this number is.
fn in_force(workshop: &Workshop, list_sequence: u64) -> Value {
    json!([{"issuer_kid": workshop.ok(&["key", "public", "root.cose"])["kid"], "list_sequence": list_sequence}])
}

fn image_path(workshop: &Workshop) -> String {
    let inspected = workshop.ok(&["inspect", "signed.suit"]);
    format!("/v1/images/{}", inspected["image"]["sha256"].as_str().unwrap())
}

#[test]
fn lists_then_image_then_release() {
    let (workshop, server) = (workshop(), FakeServer::start());
    revoke(&workshop, "list.cwt", &[]);
    let run = server.publish(&workshop, &["--revocations", "list.cwt"]);
    assert_eq!(run.exit, 0, "{run:?}");
    let object = run.object();
    assert_eq!((&object["release"], &object["image_upload"]), (&json!("created"), &json!("created")));
    assert_eq!(object["revocations"], in_force(&workshop, 1));
    assert_eq!(object["envelope_url"], "/v1/releases/x/envelope");

    let image = image_path(&workshop);
    let record = server.record.lock().unwrap();
    let sent: Vec<&str> = record.sent.iter().map(|sent| sent.what.as_str()).collect();
    let (head, put) = (format!("HEAD {image}"), format!("PUT {image}"));
    assert_eq!(sent, ["PUT /v1/revocations", &head, &put, "POST /v1/releases"]);
    assert_eq!(record.sent[0].body, workshop.read("list.cwt"));
    assert_eq!(record.sent[2].body, workshop.read("image.bin"));
    assert_eq!(record.sent[3].body, workshop.read("signed.suit"));
    for headers in &record.headers {
        assert_eq!(headers["authorization"], "Bearer a-token-for-tests");
    }
    assert_eq!(record.headers[2]["content-length"], "5000");
    assert_eq!(record.headers[3]["content-type"], "application/suit-envelope+cose");
}

/// One file: the server gets envelope and image as ever. docs/attacks.md, SUIT36.
#[test]
fn suit36_an_image_in_the_envelope_is_published_beside_it() {
    let (workshop, server) = (with_integrated(), FakeServer::start());
    workshop.write("token", b"a-token-for-tests\n");
    workshop.ok(&split("integrate integrated.suit --image image.bin --out bundle.suit"));
    let common = ["publish", "--token-file", "token", "--server", &server.url];
    workshop.ok(&[&common[..], &["bundle.suit"]].concat());
    {
        let record = server.record.lock().unwrap();
        let bodies: Vec<_> = record.sent.iter().filter(|sent| !sent.what.starts_with("HEAD")).collect();
        assert_eq!(bodies[0].body, workshop.read("image.bin"));
        assert_eq!(bodies[1].body, workshop.read("integrated.suit"));
    }
    server.take_sent();
    // Another image in it, and one twice.
    let mut changed = workshop.read("bundle.suit");
    let at = changed.windows(64).position(|window| window == &workshop.read("image.bin")[100..164]).unwrap();
    changed[at] ^= 1;
    workshop.write("changed.suit", &changed);
    let refused = workshop.refused(&[&common[..], &["changed.suit"]].concat());
    assert_eq!(refused, ("image-digest-mismatch".into(), 5));
    let stray = integrate(&workshop.read("bundle.suit"), &[("#x", b"what nobody signed")]).unwrap();
    workshop.write("stray.suit", &stray);
    assert_eq!(workshop.refused(&[&common[..], &["stray.suit"]].concat()), ("member-not-fetched".into(), 5));
    let twice = workshop.refused(&[&common[..], &["bundle.suit", "--image", "image.bin"]].concat());
    assert_eq!(twice, ("usage".into(), 2));
    assert!(server.take_sent().is_empty());
}

/// Only its device verifies a MAC: a server takes none.
#[test]
fn a_release_with_a_mac_is_not_published() {
    let (workshop, server) = (workshop(), FakeServer::start());
    let unsigned = workshop.read("unsigned.suit");
    let made = suit_manifest::author::authenticate(&unsigned, &trust::Kid([7; 8]), &[7; 32]).unwrap();
    workshop.write("mac.suit", &made);
    let common = ["publish", "--token-file", "token", "--server", &server.url, "--image", "image.bin"];
    for (file, code) in [("mac.suit", "cose-unsupported"), ("unsigned.suit", "signature-missing")] {
        assert_eq!(workshop.refused(&[&common[..], &[file]].concat()), (code.into(), 5));
    }
    assert!(server.take_sent().is_empty());
}

#[test]
fn a_list_goes_without_a_release() {
    let (workshop, server) = (workshop(), FakeServer::start());
    revoke(&workshop, "l.cwt", &[]);
    let common = ["publish", "--token-file", "token", "--server", &server.url];
    let object = workshop.ok(&[&common[..], &["--revocations", "l.cwt"]].concat());
    assert_eq!(object["revocations"], in_force(&workshop, 1));
    assert_eq!(object.get("release"), None);
    assert_eq!(server.take_sent(), ["PUT /v1/revocations"]);
    for incomplete in [&[][..], &["signed.suit"], &["--image", "image.bin", "--revocations", "l.cwt"]] {
        assert_eq!(
            workshop.refused(&[&common[..], incomplete].concat()),
            ("usage".into(), 2),
            "{incomplete:?}"
        );
    }
    assert!(server.take_sent().is_empty());
}

/// The server answers 201 for the first list of an anchor only: its object tells what is in force.
#[test]
fn a_newer_list_is_in_force() {
    let (workshop, server) = (workshop(), FakeServer::start());
    revoke(&workshop, "1.cwt", &[]);
    revoke(&workshop, "2.cwt", &["--previous", "1.cwt"]);
    let arguments =
        |list| ["publish", "--token-file", "token", "--server", &server.url, "--revocations", list];
    for (list, sequence) in [("1.cwt", 1), ("2.cwt", 2), ("2.cwt", 2)] {
        assert_eq!(workshop.ok(&arguments(list))["revocations"], in_force(&workshop, sequence));
    }
    let people = workshop.run(&arguments("2.cwt"));
    assert!(people.stdout.contains("in force: list-sequence 2 of "), "{people:?}");
    // A server that says something else has something else.
    for answer in [r#"{"issuer_kid":"00","list_sequence":2}"#, "{}"] {
        server.answers("PUT", StatusCode::OK, answer);
        assert_eq!(workshop.refused(&arguments("2.cwt")), ("server-answer".into(), 7));
    }
}

/// The file that was meant may be a key.
#[test]
fn only_a_list_is_sent_as_a_list() {
    let (workshop, server) = (workshop(), FakeServer::start());
    for (file, code) in [("root.pem", "record-malformed"), ("release.cwt", "record-type")] {
        let arguments = ["publish", "--token-file", "token", "--server", &server.url, "--revocations", file];
        assert_eq!(workshop.refused(&arguments), (code.into(), 5));
    }
    assert!(server.take_sent().is_empty());
}

/// What the server holds is damaged: sending it again repairs it.
#[test]
fn an_image_of_another_length_is_sent_again() {
    let (workshop, server) = (workshop(), FakeServer::start());
    assert_eq!(server.publish(&workshop, &[]).exit, 0);
    let image = image_path(&workshop);
    server.record.lock().unwrap().held.insert(image.clone(), Bytes::from_static(b"cut off"));
    server.take_sent();
    let object = server.publish(&workshop, &[]).object();
    assert_eq!(object["image_upload"], "repaired");
    assert_eq!(
        server.take_sent(),
        [format!("HEAD {image}"), format!("PUT {image}"), "POST /v1/releases".to_owned()]
    );
    assert_eq!(server.record.lock().unwrap().held[&image], workshop.read("image.bin"));
}

/// The length alone says nothing: a proxy that serves another file of it, an image that was exchanged.
#[test]
fn an_image_of_another_digest_is_sent_again() {
    let (workshop, server) = (workshop(), FakeServer::start());
    assert_eq!(server.publish(&workshop, &[]).exit, 0);
    let image = image_path(&workshop);
    for tag in [Some("\"00\"".to_owned()), Some(format!("W/\"{}\"", &image[11..])), None] {
        server.take_sent();
        server.record.lock().unwrap().tag = Some(tag);
        assert_eq!(server.publish(&workshop, &[]).object()["image_upload"], "repaired");
        assert!(server.take_sent().contains(&format!("PUT {image}")));
    }
}

/// Damage of the same length is found by the server: when it is asked for the image, or when a release needs it.
#[test]
fn a_damaged_image_is_repaired_and_said_to_be() {
    let (workshop, server) = (workshop(), FakeServer::start());
    assert_eq!(server.publish(&workshop, &[]).exit, 0);
    let image = image_path(&workshop);
    server.take_sent();
    server.answers_once("HEAD", StatusCode::SERVICE_UNAVAILABLE, "");
    assert_eq!(server.publish(&workshop, &[]).object()["image_upload"], "repaired");
    let sent = [format!("HEAD {image}"), format!("PUT {image}"), "POST /v1/releases".to_owned()];
    assert_eq!(server.take_sent(), sent);

    let damaged = json!({"title": "Conflict", "status": 409, "code": "image-damaged"}).to_string();
    server.answers_once("POST", StatusCode::CONFLICT, &damaged);
    let object = server.publish(&workshop, &[]).object();
    assert_eq!((&object["image_upload"], &object["release"]), (&json!("repaired"), &json!("present")));
    let post = "POST /v1/releases".to_owned();
    assert_eq!(server.take_sent(), [format!("HEAD {image}"), post.clone(), format!("PUT {image}"), post]);
    // Once: what stays damaged is an error.
    server.answers("POST", StatusCode::CONFLICT, &damaged);
    assert_eq!(server.publish(&workshop, &[]).refusal(), ("image-damaged".into(), 7));
}

/// Of a release with an image for each slot both are sent, and the report says what became of each.
#[test]
fn both_images_of_a_release_are_published() {
    let (workshop, server) = (workshop(), FakeServer::start());
    let created = workshop.two_slots();
    let common = ["publish", "--token-file", "token", "--server", &server.url];
    let publish = |more: &[&str]| finish(workshop.command(&[&["--json"], &common[..], more].concat()));
    // One of two, two of one, and two that are exchanged.
    for (more, code) in [
        (&["two.suit", "--image", "image.bin"][..], ("usage", 2)),
        (&["signed.suit", "--image", "image.bin", "--second-image", "image2.bin"], ("usage", 2)),
        (&["two.suit", "--image", "image2.bin", "--second-image", "image.bin"], ("image-digest-mismatch", 5)),
        (&["two.suit", "--image", "image.bin", "--second-image", "image.bin"], ("image-digest-mismatch", 5)),
    ] {
        assert_eq!(publish(more).refusal(), (code.0.into(), code.1), "{more:?}");
    }
    assert!(server.take_sent().is_empty());

    let both = ["two.suit", "--image", "image.bin", "--second-image", "image2.bin"];
    let path = |member: &str| format!("/v1/images/{}", created[member]["sha256"].as_str().unwrap());
    let (first, second) = (path("image"), path("second_image"));
    let (head, put, post) =
        (|path| format!("HEAD {path}"), |path| format!("PUT {path}"), "POST /v1/releases".to_owned());
    let upload = || {
        let report = publish(&both).object();
        ["image_upload", "second_image_upload"].map(|member| report[member].as_str().unwrap().to_owned())
    };
    assert_eq!(upload(), ["created", "created"]);
    assert_eq!(server.take_sent(), [head(&first), put(&first), head(&second), put(&second), post.clone()]);
    for (path, name) in [(&first, "image.bin"), (&second, "image2.bin")] {
        assert_eq!(server.record.lock().unwrap().held[path], workshop.read(name));
    }
    assert_eq!(upload(), ["present", "present"]);
    assert_eq!(server.take_sent(), [head(&first), head(&second), post.clone()]);
    for (path, news) in [(&first, ["created", "present"]), (&second, ["present", "created"])] {
        server.record.lock().unwrap().held.remove(path);
        assert_eq!(upload(), news);
        assert!(server.take_sent().contains(&put(path)));
    }
    // The server does not say which of them is damaged.
    let damaged = json!({"title": "Conflict", "status": 409, "code": "image-damaged"}).to_string();
    server.answers_once("POST", StatusCode::CONFLICT, &damaged);
    assert_eq!(upload(), ["repaired", "repaired"]);
    let sent = [head(&first), head(&second), post.clone(), put(&first), put(&second), post];
    assert_eq!(server.take_sent(), sent);
}

/// `publish | head -1` has published: nobody must think that it has not.
#[test]
fn a_closed_pipe_has_published() {
    let (workshop, server) = (workshop(), FakeServer::start());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = workshop.command(&publish_arguments(&server.url));
    let output = command.stdout(writer).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(server.take_sent().contains(&"POST /v1/releases".to_owned()));
}

/// nginx answers 503 when it limits requests: that says nothing about the image.
#[test]
fn an_image_that_was_not_there_is_not_called_repaired() {
    let (workshop, server) = (workshop(), FakeServer::start());
    server.answers_once("HEAD", StatusCode::SERVICE_UNAVAILABLE, "");
    assert_eq!(server.publish(&workshop, &[]).object()["image_upload"], "created");
}

#[test]
fn running_it_again_does_no_harm() {
    let (workshop, server) = (workshop(), FakeServer::start());
    assert_eq!(server.publish(&workshop, &[]).exit, 0);
    server.take_sent();
    let object: Value = server.publish(&workshop, &[]).object();
    assert_eq!((&object["release"], &object["image_upload"]), (&json!("present"), &json!("present")));
    assert_eq!(
        server.take_sent(),
        [format!("HEAD {}", image_path(&workshop)), "POST /v1/releases".to_owned()]
    );
}

#[test]
fn a_base_path_is_kept() {
    let (workshop, mut server) = (workshop(), FakeServer::start());
    server.url.push_str("/updates/");
    assert_eq!(server.publish(&workshop, &[]).exit, 0);
    assert!(server.take_sent().iter().all(|what| what.contains(" /updates/v1/")));
}

#[test]
fn a_refusal_is_told_in_the_servers_words() {
    let (workshop, server) = (workshop(), FakeServer::start());
    let mut problem = json!({
        "type": "about:blank", "title": "Conflict", "status": 409, "code": "sequence-taken",
        "detail": "number 2 is taken \u{1b}[2J",
    });
    let told = |problem: &Value| {
        server.answers("POST", StatusCode::CONFLICT, &problem.to_string());
        let run = server.publish(&workshop, &[]);
        assert_eq!(run.refusal(), ("sequence-taken".into(), 7));
        let word = |member: &str| run.object()["error"][member].as_str().unwrap().to_owned();
        (word("message"), word("hint"))
    };
    let (message, hint) = told(&problem);
    assert!(message.contains("number 2 is taken \\u{1b}[2J (HTTP 409)"), "{message}");
    assert_eq!(hint, "See docs/server-api.md.");
    problem["hint"] = "Use the next number.\n".into();
    assert_eq!(told(&problem).1, "The server says: Use the next number.");
    problem["hint"] = "x".repeat(2000).into();
    assert_eq!(told(&problem).1, format!("The server says: {}...", "x".repeat(300)));
}

#[test]
fn after_a_refused_list_or_image_nothing_is_published() {
    for refusing in ["PUT /v1/revocations", "PUT /v1/images"] {
        let (workshop, server) = (workshop(), FakeServer::start());
        revoke(&workshop, "l.cwt", &[]);
        server.answers(refusing, StatusCode::UNAUTHORIZED, "<html>not JSON</html>");
        let run = server.publish(&workshop, &["--revocations", "l.cwt"]);
        assert_eq!(run.refusal(), ("server-refused".into(), 7));
        assert!(run.object()["error"]["hint"].as_str().unwrap().contains("token"));
        assert!(!server.take_sent().contains(&"POST /v1/releases".to_owned()));
    }
}

#[test]
fn odd_answers_are_refused() {
    let long = "x".repeat(70_000);
    for (body, code) in [("not JSON", "server-answer"), (long.as_str(), "server-answer")] {
        let (workshop, server) = (workshop(), FakeServer::start());
        server.answers("POST", StatusCode::CREATED, body);
        assert_eq!(server.publish(&workshop, &[]).refusal(), (code.into(), 7));
    }
}

/// A portal answers 200 as well: nothing is published on it.
#[test]
fn an_upload_is_what_the_server_says() {
    let digest = "0".repeat(64);
    let image = json!({"sha256": digest, "size": 5000}).to_string();
    let release = json!({"manifest_digest": digest, "envelope_url": null}).to_string();
    for (what, answer) in [
        ("PUT /v1/images", "<html>"),
        ("PUT /v1/images", "{}"),
        ("PUT /v1/images", &image),
        ("POST", "{}"),
        ("POST", &release),
    ] {
        let (workshop, server) = (workshop(), FakeServer::start());
        server.answers(what, StatusCode::OK, answer);
        assert_eq!(server.publish(&workshop, &[]).refusal(), ("server-answer".into(), 7), "{what} {answer}");
    }
    let (workshop, server) = (workshop(), FakeServer::start());
    let sha256 = image_path(&workshop).rsplit('/').next().unwrap().to_owned();
    server.answers("PUT", StatusCode::OK, &json!({"sha256": sha256, "size": 4999}).to_string());
    assert_eq!(server.publish(&workshop, &[]).refusal(), ("server-answer".into(), 7));
    assert!(!server.take_sent().contains(&"POST /v1/releases".to_owned()));
}

/// The token is for one server.
#[test]
fn a_redirect_is_not_followed() {
    let (workshop, server, elsewhere) = (workshop(), FakeServer::start(), FakeServer::start());
    for status in [StatusCode::TEMPORARY_REDIRECT, StatusCode::SEE_OTHER] {
        server.answers("POST", status, &format!("{}/v1/releases", elsewhere.url));
        assert_eq!(server.publish(&workshop, &[]).refusal(), ("server-answer".into(), 7));
    }
    assert!(elsewhere.take_sent().is_empty());
}

#[test]
fn nothing_is_sent_that_does_not_belong_together() {
    let (workshop, server) = (workshop(), FakeServer::start());
    workshop.write("image.bin", b"another image");
    assert_eq!(server.publish(&workshop, &[]).refusal(), ("image-digest-mismatch".into(), 5));
    workshop.write("image.bin", &workshop.read("firmware.bin"));
    workshop.write("signed.suit", &workshop.read("unsigned.suit"));
    assert_eq!(server.publish(&workshop, &[]).refusal(), ("signature-missing".into(), 5));
    assert!(server.take_sent().is_empty());
}

#[test]
fn bad_tokens_urls_and_absent_servers() {
    let workshop = workshop();
    let publish = |server: &str| workshop.refused(&publish_arguments(server));
    for url in [
        "",
        "updates.example.com",
        "ftp://updates.example.com",
        "http://a:b@localhost",
        "http://localhost/?q",
    ] {
        assert_eq!(publish(url), ("server-url".into(), 2), "{url}");
    }
    // A log keeps what is printed.
    let run = workshop.run(&publish_arguments("http://user:secret@localhost"));
    assert!(!run.stderr.contains("secret") && run.stderr.contains("a user name or a password"), "{run:?}");
    assert_eq!(publish("http://127.0.0.1:1"), ("server-unreachable".into(), 3));
    // TLS works as far as there is somebody to speak it with.
    assert_eq!(publish("https://127.0.0.1:1"), ("server-unreachable".into(), 3));
    for token in [&b""[..], b" \n", b"# only this\n", b"two words", b"report 0123456789abcdef", b"\xff"] {
        workshop.write("token", token);
        assert_eq!(publish("http://127.0.0.1:1"), ("token-invalid".into(), 4));
    }
}

/// A renewed envelope that no host gets would let the old credential expire in the field.
#[test]
fn publish_says_when_the_server_hands_out_another_envelope() {
    let (workshop, server) = (workshop(), FakeServer::start());
    let run = server.publish(&workshop, &[]);
    assert_eq!((run.exit, &run.object()["handed_out"], run.stderr.as_str()), (0, &json!(true), ""));
    for (status, answer, words) in [
        (StatusCode::OK, "another", "hands out another envelope"),
        (
            StatusCode::GONE,
            r#"{"code": "release-withdrawn", "detail": "it bricks"}"#,
            "to no host: it bricks",
        ),
    ] {
        server.answers("GET /v1/releases/", status, answer);
        let run = server.publish(&workshop, &[]);
        assert_eq!((run.exit, &run.object()["handed_out"]), (0, &json!(false)), "{run:?}");
        assert!(run.stderr.contains(words), "{run:?}");
    }
}
