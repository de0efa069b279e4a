//! `publish` of a release of firmware and a table, against the server of a few lines.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::fake_server::FakeServer;
use super::workshop::{Run, Workshop, finish, split};

const CREATE: &str = "create --image firmware.bin --image-out f.bin --table limits --vendor anchorage.example \
                      --class demo-node --version 7 --out u.suit --force --sequence";
const SIGN: &str = "sign u.suit --key release.pem --credential release.cwt --force --out both.suit";

/// A release of both with this number, and what `create` said of it.
fn both(sequence: u64) -> (Workshop, Value) {
    let workshop = Workshop::with_release();
    workshop.write("limits", b"max_pressure = 80\n");
    workshop.write("token", b"a-token-for-tests\n");
    let created = workshop.ok(&split(&format!("{CREATE} {sequence}")));
    workshop.ok(&split(SIGN));
    (workshop, created)
}

fn publish(workshop: &Workshop, server: &FakeServer, release: &str) -> Run {
    let line = format!("--json publish {release} --token-file token --server {}", server.url);
    finish(workshop.command(&split(&line)))
}

/// The server offers nothing that is not whole; what was cut short goes on where it was.
#[test]
fn both_images_and_then_the_release_are_sent() {
    let ((workshop, created), server) = (both(7), FakeServer::start());
    let path = |image: &Value| format!("/v1/images/{}", image["sha256"].as_str().unwrap());
    let (image, table) = (path(&created["image"]), path(&created["table"]));
    let [head, put] = ["HEAD", "PUT"].map(|method| move |path: &str| format!("{method} {path}"));
    let all = "both.suit --image f.bin --table limits";
    // The connection breaks between the two.
    let full = json!({"title": "Insufficient Storage", "code": "storage-full"}).to_string();
    server.answers_once(&put(&table), StatusCode::INSUFFICIENT_STORAGE, &full);
    assert_eq!(publish(&workshop, &server, all).refusal(), ("storage-full".into(), 7));
    assert_eq!(server.take_sent(), [head(&image), put(&image), head(&table), put(&table)]);

    let published = publish(&workshop, &server, all).object();
    let outcome = ["release", "image_upload", "table_upload"].map(|member| published[member].clone());
    // The image had come before.
    assert_eq!(outcome, [json!("created"), json!("present"), json!("created")]);
    let post = "POST /v1/releases".to_owned();
    assert_eq!(server.take_sent(), [head(&image), head(&table), put(&table), post.clone()]);
    for (path, name) in [(&image, "f.bin"), (&table, "limits")] {
        assert_eq!(server.record.lock().unwrap().held[path], workshop.read(name));
    }
    let again = publish(&workshop, &server, all).object();
    assert_eq!((&again["image_upload"], &again["table_upload"]), (&json!("present"), &json!("present")));
    let words = workshop.run(&split(&format!("publish {all} --token-file token --server {}", server.url)));
    let rows = words.stdout.lines().filter(|line| line.ends_with("already there")).count();
    assert_eq!(rows, 3, "image, table, release: {words:?}");
    server.take_sent();
    // Out of one file.
    workshop.ok(&split(&format!("{CREATE} 7 --integrated")));
    workshop.ok(&split(SIGN));
    workshop.ok(&split("integrate both.suit --image f.bin --image limits --out one.suit"));
    assert_eq!(publish(&workshop, &server, "one.suit").exit, 0);
    assert_eq!(server.take_sent(), [head(&image), head(&table), post]);
    assert_eq!(publish(&workshop, &server, "one.suit --table limits").refusal(), ("usage".into(), 2));
}

#[test]
fn nothing_is_sent_of_a_release_of_both_whose_parts_do_not_belong_together() {
    let ((workshop, _), server) = (both(7), FakeServer::start());
    workshop.write("other", b"max_pressure = 81\n");
    workshop.write("longer", b"max_pressure = 80\n\n");
    let cases = [
        ("both.suit --image f.bin", ("usage", 2), "pass --table"),
        ("both.suit --table limits", ("usage", 2), "pass --image"),
        ("signed.suit --image image.bin --table limits", ("usage", 2), "omit --table"),
        ("both.suit --image f.bin --table limits --second-image f.bin", ("usage", 2), "omit --second-image"),
        ("both.suit --image f.bin --table other", ("image-digest-mismatch", 5), "other"),
        ("both.suit --image f.bin --table longer", ("image-digest-mismatch", 5), "longer"),
        ("both.suit --image limits --table f.bin", ("image-digest-mismatch", 5), "limits"),
        ("both.suit --image f.bin --table f.bin", ("image-digest-mismatch", 5), "f.bin"),
    ];
    for (line, (code, exit), words) in cases {
        let refused = publish(&workshop, &server, line);
        assert_eq!(refused.refusal(), (code.into(), exit), "{line}");
        let said = refused.object()["error"].to_string();
        assert!(said.contains(words), "{line}: {said}");
    }
    assert!(server.take_sent().is_empty() && server.take_queries().is_empty());
}

/// Its number is one of both series, and a number of either series may be one of it.
#[test]
fn a_number_far_above_one_series_of_the_server_is_not_published() {
    const FAR: u64 = 1 + (1 << 20);
    let (workshop, view) = both(FAR + 1);
    let all = "both.suit --image f.bin --table limits";
    for (firmware, table, both, is_taken) in [
        (None, None, None, true),
        (Some(2), Some(2), None, true),
        (Some(1), Some(FAR), None, false),
        (Some(FAR), Some(1), None, false),
        (None, Some(1), None, false),
        (None, None, Some(1), false),
        (Some(1), Some(1), Some(2), true),
    ] {
        let server = FakeServer::start();
        for (target, sequence) in [("firmware", firmware), ("table", table), ("both", both)] {
            server.newest(&view, target, sequence);
        }
        let run = publish(&workshop, &server, all);
        let case = format!("{firmware:?}, {table:?}, {both:?}: {run:?}");
        if is_taken {
            assert_eq!(run.exit, 0, "{case}");
        } else {
            assert_eq!(run.refusal(), ("step-too-large".into(), 2), "{case}");
            assert!(server.take_sent().is_empty(), "{case}");
        }
    }

    // Firmware and a table after one of both.
    workshop.ok(&split(&format!("{} {FAR}", CREATE.replace(" --table limits", ""))));
    workshop.ok(&split("sign u.suit --key release.pem --credential release.cwt --out firmware.suit"));
    let table = CREATE.replace("--image firmware.bin --image-out f.bin ", "");
    workshop.ok(&split(&format!("{table} {FAR}")));
    workshop.ok(&split("sign u.suit --key release.pem --credential release.cwt --out table.suit"));
    for (release, target) in
        [("firmware.suit --image f.bin", "firmware"), ("table.suit --image limits", "table")]
    {
        let server = FakeServer::start();
        server.newest(&view, "firmware", None);
        server.newest(&view, "table", None);
        server.newest(&view, "both", Some(0));
        assert_eq!(publish(&workshop, &server, release).refusal().0, "step-too-large");
        server.newest(&view, "both", Some(1));
        assert_eq!(publish(&workshop, &server, release).exit, 0);
        // Of what is released alone, the newest of both is nothing.
        server.newest(&view, target, Some(1));
        server.newest(&view, "both", None);
        assert_eq!(publish(&workshop, &server, release).exit, 0);
    }
}

/// Firmware goes to a server from before releases of both, as ever; one of both does not, before anything is sent.
#[test]
fn a_server_that_knows_of_no_release_of_both_takes_the_others() {
    let ((workshop, view), server) = (both(7), FakeServer::start());
    let asked = ["vendor", "class"].map(|member| format!("{member}={}", view[member].as_str().unwrap()));
    let asked = format!("GET /v1/releases?{}&all=true&limit=1&target=both", asked.join("&"));
    let unknown = json!({"title": "Bad Request", "code": "request-malformed"}).to_string();
    server.answers(&asked, StatusCode::BAD_REQUEST, &unknown);
    assert_eq!(publish(&workshop, &server, "signed.suit --image image.bin").exit, 0);
    server.take_sent();
    let all = "both.suit --image f.bin --table limits";
    assert_eq!(publish(&workshop, &server, all).refusal(), ("request-malformed".into(), 7));
    let other = json!({"title": "Internal Server Error", "code": "internal"}).to_string();
    server.answers(&asked, StatusCode::INTERNAL_SERVER_ERROR, &other);
    assert_eq!(publish(&workshop, &server, "signed.suit --image image.bin").refusal().0, "internal");
    assert!(server.take_sent().is_empty());
}
