//! What the registry knows of a device after an update.

use serde_json::{Value, json};

use crate::bench::{Bench, Life, Ongoing, UpdateServer};

fn update<'u>(server: &'u UpdateServer, more: &[&'u str]) -> Vec<&'u str> {
    let update =
        ["update", "--yes", "--server", &server.url, "--anchor", "root.cose", "--token-file", "token"];
    [&update[..], more].concat()
}

fn kid(bytes: [u8; 8]) -> Value {
    json!(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Manifest digest, release key and anchors are those of what runs.
#[test]
fn the_registry_knows_the_manifest_the_release_key_and_the_anchors_of_what_runs() {
    let (bench, _sim) = Bench::with_device();
    let server = UpdateServer::start(&bench, 0);
    let successor = bench.factory.with_new_release_key(9);
    bench.release_by(&successor, 2, Life::Confirms, |_| ());
    server.publish(&bench, 2);
    let ended = bench.run(&update(&server, &[]));
    ended.is_result("confirmed", 0);
    let device = server.get("/v1/devices/A-0001");
    assert_eq!(device["manifest_digest"], ended.last["release"]["manifest_digest"]);
    assert_eq!(device["manifest_digest"], bench.info()["active_digest"]);
    assert_eq!(device["release_kid"], kid(successor.release_kid().0));
    // Only the loader reports anchors, so an update learns of them.
    assert_eq!(device["anchors"], json!([kid(bench.factory.anchor().kid().0)]));
    let confirmed = device["events"]
        .as_array()
        .and_then(|events| events.iter().find(|event| event["kind"] == "update-confirmed").cloned());
    assert_eq!(confirmed.expect("an event")["release_kid"], kid(successor.release_kid().0));
}

/// A release that was reverted is not what runs, and its key did not sign what runs.
#[test]
fn a_reverted_release_is_not_registered_as_what_runs() {
    let (bench, _sim) = Bench::with_device();
    let server = UpdateServer::start(&bench, 0);
    bench.release_by(&bench.factory.with_new_release_key(9), 2, Life::NeverConfirms, |_| ());
    server.publish(&bench, 2);
    let before = bench.info();
    bench
        .run(&update(&server, &["--confirm-timeout", "1s", "--revert-unconfirmed"]))
        .is_result("reverted", 7);
    let device = server.get("/v1/devices/A-0001");
    assert_eq!(device["manifest_digest"], before["active_digest"]);
    assert_eq!((&device["release_kid"], &device["sequence"]), (&Value::Null, &json!(1)));
}

/// The token of a server on this machine stays on it.
#[test]
fn a_proxy_is_not_asked_for_a_server_on_this_machine() {
    let (bench, _sim) = Bench::with_device();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    let mut command = bench.command(&update(&server, &[]));
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(variable, "http://127.0.0.1:1");
    }
    Ongoing::start(&mut command).end().is_result("confirmed", 0);
    assert_eq!(server.get("/v1/devices/A-0001")["version"], "2.0.0");
}

/// Installed from files, so that no report named its key: the registration of a device that is up to date does.
#[test]
fn the_registry_learns_the_key_of_a_release_that_runs_already() {
    let (bench, _sim) = Bench::with_device();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    bench.update(2, &[]).is_result("confirmed", 0);
    bench.run(&update(&server, &[])).is_result("up-to-date", 0);
    let device = server.get("/v1/devices/A-0001");
    assert_eq!(device["release_kid"], kid(bench.factory.release_kid().0));
    assert_eq!(device["manifest_digest"], bench.info()["active_digest"]);
}
