//! Numbers that never fall are not used up by a slip.

use axum::http::StatusCode;
use serde_json::json;

use super::fake_server::FakeServer;
use super::workshop::{CLASS, VENDOR, Workshop};

/// `create` after the workshop's release 2.
fn create<'a>(sequence: &'a str, vendor: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let common = [
        "create",
        "--image",
        "firmware.bin",
        "--vendor",
        vendor,
        "--class",
        CLASS,
        "--version",
        "3",
        "--out",
        "3.suit",
        "--image-out",
        "3.bin",
        "--previous-release",
        "signed.suit",
        "--image-format",
        "bin",
        "--sequence",
        sequence,
    ];
    [&common[..], more].concat()
}

#[test]
fn a_sequence_number_rises_and_never_far() {
    let workshop = Workshop::with_release();
    for (sequence, code) in [
        ("1", "usage"),
        ("2", "usage"),
        ("1048579", "step-too-large"),
        ("18446744073709551615", "step-too-large"),
    ] {
        assert_eq!(workshop.refused(&create(sequence, VENDOR, &[])), (code.into(), 2), "{sequence}");
    }
    assert_eq!(workshop.refused(&create("3", "another.example", &[])), ("usage".into(), 2));
    workshop.ok(&create("1048578", VENDOR, &["--force"]));
    workshop.ok(&create("1048579", VENDOR, &["--force"]));
    // Not even then.
    assert_eq!(workshop.refused(&create("2", VENDOR, &["--force"])), ("usage".into(), 2));
}

/// The last look before the whole fleet sees the number.
#[test]
fn a_number_far_above_the_servers_newest_is_not_published() {
    let (workshop, server) = (Workshop::with_release(), FakeServer::start());
    workshop.write("token", b"a-token\n");
    workshop.ok(&create("1048579", VENDOR, &["--force"]));
    workshop.ok(&[
        "sign",
        "3.suit",
        "--key",
        "release.pem",
        "--credential",
        "release.cwt",
        "--out",
        "signed.suit",
        "--force",
    ]);
    std::fs::rename(workshop.path("3.bin"), workshop.path("image.bin")).unwrap();
    server.answers("GET", StatusCode::OK, &json!({"sequence": 2}).to_string());
    assert_eq!(server.publish(&workshop, &[]).refusal(), ("step-too-large".into(), 2));
    assert!(server.take_sent().is_empty());
    assert_eq!(server.publish(&workshop, &["--force"]).exit, 0);
    server.answers("GET", StatusCode::OK, &json!({"sequence": 3}).to_string());
    assert_eq!(server.publish(&workshop, &[]).exit, 0);
    // A server that answers nonsense is not one to publish on.
    server.answers("GET", StatusCode::OK, "{}");
    assert_eq!(server.publish(&workshop, &[]).refusal(), ("server-answer".into(), 7));
}
