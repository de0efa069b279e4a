//! After a succession: what `publish` sends, and what `verify` accepts.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::fake_server::FakeServer;
use super::workshop::{Workshop, split};

/// A release of the root, a successor by the root and one by the recovery root, each with its first list, and the release
/// certified again under the first of them, `again.suit`.
fn workshop() -> Workshop {
    let workshop = Workshop::with_release();
    for name in ["recovery", "second", "third"] {
        workshop.key(name);
    }
    workshop.write("token", b"a-token-for-tests\n");
    let anchors = "--anchor root.cose --recovery-anchor recovery.cose";
    let ok = |line: &str| workshop.ok(&split(line));
    ok(&format!("succession request --key second.pem --name second {anchors} --out second.request"));
    ok(&format!("succession grant second.request --key root.pem {anchors} --no-ledger --yes --out one.cwt"));
    ok(&format!(
        "succession request --key third.pem --name third --by-recovery --succession one.cwt {anchors} --out third.request"
    ));
    ok(&format!(
        "succession grant third.request --key recovery.pem --succession one.cwt {anchors} --no-ledger --yes --out two.cwt"
    ));
    for name in ["root", "second", "third"] {
        ok(&format!("revoke --key {name}.pem --issuer r --nothing-new --first --out {name}.list"));
    }
    workshop.credential("second", "release", &["--force"]);
    ok("recertify signed.suit --credential release.cwt --out again.suit");
    workshop
}

#[test]
fn publish_sends_successions_before_lists_and_the_release() {
    let (workshop, server) = (workshop(), FakeServer::start());
    let kid = |name: &str| workshop.ok(&["key", "public", &format!("{name}.cose")])["kid"].clone();
    let root = |name: &str, epoch: u64, sequence: u64| {
        json!({
            "domain": kid("root"), "root_kid": kid(name), "recovery_epoch": epoch, "succession_sequence": sequence,
            "list_sequence": null
        })
    };
    let answer = |root: &Value| server.answers("PUT /v1/successions", StatusCode::CREATED, &root.to_string());
    let line = ["--succession", "two.cwt", "--succession", "one.cwt", "--revocations", "third.list"];

    // The server says that the last of them counts, whichever of them it answers.
    answer(&root("third", 1, 0));
    let run = server.publish(&workshop, &line);
    assert_eq!(run.exit, 0, "{run:?}");
    let roots = run.object()["successions"].clone();
    assert_eq!(roots.as_array().unwrap().len(), 2);
    assert_eq!((&roots[1]["root_kid"], &roots[1]["recovery_epoch"]), (&kid("third"), &json!(1)));
    let record = server.record.lock().unwrap();
    let sent: Vec<_> = record.sent.iter().map(|sent| (sent.what.as_str(), sent.body.to_vec())).collect();
    assert_eq!(sent[0], ("PUT /v1/successions", workshop.read("one.cwt")), "in the order of their numbers");
    assert_eq!(sent[1], ("PUT /v1/successions", workshop.read("two.cwt")));
    assert_eq!(sent[2].0, "PUT /v1/revocations");
    assert_eq!(sent.last().unwrap().0, "POST /v1/releases");
    drop(record);

    // Another root, an earlier one, or another domain: somebody else answers, and nothing more is sent.
    let mut elsewhere = root("third", 1, 1);
    elsewhere["domain"] = "0011223344556677".into();
    for wrong in [root("root", 0, 0), root("root", 1, 0), elsewhere] {
        server.take_sent();
        answer(&wrong);
        let run = server.publish(&workshop, &["--succession", "two.cwt"]);
        assert_eq!(run.refusal(), ("server-answer".to_owned(), 7), "{wrong}");
        assert_eq!(server.take_sent(), ["PUT /v1/successions"]);
    }
    let fork = json!({"code": "succession-forked", "detail": "Another succession."}).to_string();
    server.answers("PUT /v1/successions", StatusCode::CONFLICT, &fork);
    assert_eq!(server.publish(&workshop, &["--succession", "two.cwt"]).refusal().0, "succession-forked");
    // No other file is sent.
    server.take_sent();
    for (file, code) in [("root.list", "record-type"), ("root.pem", "record-malformed")] {
        assert_eq!(server.publish(&workshop, &["--succession", file]).refusal().0, code, "{file}");
    }
    assert_eq!(server.take_sent(), [""; 0]);
}

#[test]
fn verify_follows_successions_as_a_device_does() {
    let workshop = workshop();
    let verify = |release: &str, more: &str| {
        let line = format!("verify {release} --anchor root.cose --recovery-anchor recovery.cose {more}");
        let run = workshop.run(&[&["--json"], &split(&line)[..]].concat());
        if run.exit == 0 { String::new() } else { run.refusal().0 }
    };
    assert_eq!(verify("signed.suit", ""), "");
    assert_eq!(verify("again.suit", ""), "anchor-unknown");
    let one = "--succession one.cwt --revocations second.list --revocations root.list";
    assert_eq!(verify("again.suit", one), "");
    assert_eq!(verify("signed.suit", one), "anchor-rights");
    // In whatever order they are given; and the recovery root has the last word.
    assert_eq!(verify("again.suit", "--succession two.cwt --succession one.cwt"), "anchor-rights");
    assert_eq!(verify("again.suit", "--succession second.list"), "record-type");
    let lines = [
        (
            "verify again.suit --anchor root.cose --anchor second.cose --recovery-anchor recovery.cose",
            "usage",
        ),
        ("verify again.suit --anchor root.cose --recovery-anchor root.cose", "usage"),
        ("verify again.suit --anchor root.cose --succession one.cwt --succession two.cwt", "anchor-unknown"),
    ];
    for (line, code) in lines {
        assert_eq!(workshop.refused(&split(line)).0, code, "{line}");
    }
}
