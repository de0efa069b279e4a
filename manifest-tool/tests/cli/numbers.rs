//! Numbers that never fall are not used up by a slip.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::fake_server::FakeServer;
use super::workshop::{CLASS, VENDOR, Workshop, split};

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
    // Permission to replace files is not permission to use numbers up, nor the other way round.
    let forced = create("1048579", VENDOR, &["--force"]);
    assert_eq!(workshop.refused(&forced), ("step-too-large".into(), 2));
    workshop.ok(&create("1048578", VENDOR, &[]));
    let large = create("1048579", VENDOR, &["--allow-large-step"]);
    assert_eq!(workshop.refused(&large), ("file-exists".into(), 2));
    workshop.ok(&create("1048579", VENDOR, &["--allow-large-step", "--force"]));
    // A lower number is refused even then.
    let lower = create("2", VENDOR, &["--allow-large-step", "--force"]);
    assert_eq!(workshop.refused(&lower), ("usage".into(), 2));
}

/// The last look before the whole fleet sees the number.
#[test]
fn a_number_far_above_the_servers_newest_is_not_published() {
    let (workshop, server) = (Workshop::with_release(), FakeServer::start());
    workshop.write("token", b"a-token-for-tests\n");
    workshop.ok(&create("1048579", VENDOR, &["--allow-large-step"]));
    workshop.ok(&split("sign 3.suit --key release.pem --credential release.cwt --out signed.suit --force"));
    std::fs::rename(workshop.path("3.bin"), workshop.path("image.bin")).unwrap();
    let view = workshop.ok(&["inspect", "signed.suit"]);
    let numbered = |vendor: &Value, class: &Value, sequence: u64| {
        json!({"releases": [{"vendor": vendor, "class": class, "sequence": sequence}]}).to_string()
    };
    let newest = |sequence| numbered(&view["vendor"], &view["class"], sequence);
    server.newest(&view, "both", None);
    server.answers("GET", StatusCode::OK, &newest(2));
    assert_eq!(server.publish(&workshop, &[]).refusal(), ("step-too-large".into(), 2));
    assert!(server.take_sent().is_empty());
    assert_eq!(server.publish(&workshop, &["--allow-large-step"]).exit, 0);
    let asked = server.take_queries();
    // Then that of releases of both, and that of the envelope, which has no query.
    let query = &asked[asked.len() - 3];
    assert!(query.ends_with("&all=true&limit=1"), "withdrawn releases count: {query}");
    server.answers("GET", StatusCode::OK, &newest(3));
    assert_eq!(server.publish(&workshop, &[]).exit, 0);
    // A server that answers nonsense is not one to publish on.
    server.take_sent();
    let other = json!("00000000-0000-0000-0000-000000000001");
    for answer in
        ["{}", "<html>", &numbered(&other, &view["class"], 3), &numbered(&view["vendor"], &other, 3)]
    {
        server.answers("GET", StatusCode::OK, answer);
        assert_eq!(server.publish(&workshop, &[]).refusal(), ("server-answer".into(), 7), "{answer}");
    }
    for code in ["release-not-offered", "not-found"] {
        server.answers(
            "GET",
            StatusCode::NOT_FOUND,
            &json!({"title": "Not Found", "code": code}).to_string(),
        );
        assert_eq!(server.publish(&workshop, &[]).refusal(), (code.into(), 7));
    }
    assert!(server.take_sent().is_empty());
}

/// A device whose floor lies above every release never updates.
#[test]
fn a_sequence_floor_stays_within_reach() {
    let workshop = Workshop::new();
    let provision = |more: &[&'static str]| {
        let common = ["provision", "--vendor", VENDOR, "--class", CLASS, "--out", "block"];
        let serial: &[&str] = if more.contains(&"--serial") { &[] } else { &["--serial", "A"] };
        [&common[..], serial, &["--sequence-floor"], more].concat()
    };
    for (more, code) in [
        (&["1048577"][..], "step-too-large"),
        (&["1048577", "--force"], "step-too-large"),
        (&["4611686018427387905", "--allow-large-step"], "usage"),
        (&["0", "--serial", "unprovisioned"], "usage"),
    ] {
        assert_eq!(workshop.refused(&provision(more)), (code.into(), 2), "{more:?}");
    }
    workshop.ok(&provision(&["1048577", "--allow-large-step"]));
    workshop.ok(&provision(&["1048576", "--force"]));
}

/// A record that looks older than the one it replaces never counts, and the key that signs it lies on a machine without
/// a network to set its clock by.
#[test]
fn a_clock_before_an_earlier_record_issues_nothing() {
    let workshop = Workshop::with_release();
    workshop.key("next");
    let issue = |out: &str, more: &str| {
        split(&format!(
            "credential issue --key root.pem --for next.cose --role release --issuer root --subject next --vendor {VENDOR} --out \
             {out} {more}"
        ))
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>()
    };
    let arguments =
        |owned: &[String]| workshop.refused(&owned.iter().map(String::as_str).collect::<Vec<_>>());
    let done = |owned: &[String]| workshop.ok(&owned.iter().map(String::as_str).collect::<Vec<_>>());
    done(&issue("ahead.cwt", "--now 2050-01-01T00:00:00Z"));
    let clock = ("clock".to_owned(), 3);
    assert_eq!(arguments(&issue("next.cwt", "--known ahead.cwt")), clock);
    let replaced = "--replaces ahead.cwt --list-out list.cwt --first";
    assert_eq!(arguments(&issue("next.cwt", replaced)), clock);
    let slip = "--known ahead.cwt --now 2049-12-31T23:59:59Z";
    assert_eq!(arguments(&issue("next.cwt", slip)), ("usage".to_owned(), 2));
    let issued = done(&issue("next.cwt", "--known ahead.cwt --now 2050-01-02T00:00:00Z"));
    assert_eq!(issued["issued_at"], 2_524_694_400_u64);
    let expired = "--known ahead.cwt --now 2050-01-02T00:00:00Z --expires 2040-01-01T00:00:00Z";
    assert_eq!(arguments(&issue("late.cwt", expired)), ("usage".to_owned(), 2));

    let revoke = "revoke --key root.pem --issuer root --credential next.cwt";
    workshop.ok(&split(&format!("{revoke} --first --now 2050-01-01T00:00:00Z --out list.cwt")));
    let second = format!("{revoke} --previous list.cwt --out second.cwt");
    assert_eq!(workshop.refused(&split(&second)), clock);
    let run = workshop.run(&split(&format!("{second} --now 2050-01-01T00:00:00Z")));
    assert_eq!((run.exit, run.stderr.matches("the clock of this machine reads").count()), (0, 1), "{run:?}");
}
