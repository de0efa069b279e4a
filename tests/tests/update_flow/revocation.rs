//! Hosts and devices that hold different revocation lists.

use serde_json::{Value, json};

use crate::bench::{Bench, Ended, Life, Sim, UpdateServer};

/// A bench whose device runs release 1 and holds one branch of a fork: list 5 takes the release key back. The host gets
/// the other one, `host.cwt`: list 5 without an entry. Release 3 is signed by another key.
fn forked() -> (Bench, Sim) {
    let (bench, sim) = Bench::with_device();
    bench.write("device.cwt", &bench.factory.revocation_list(5, &[bench.factory.release_kid()]));
    bench.write("host.cwt", &bench.factory.revocation_list(5, &[]));
    bench.run(&["revocations", "device.cwt"]).is_result("stored", 0);
    let successor = bench.factory.with_new_release_key(9);
    bench.release(2, Life::Confirms);
    bench.release_by(&successor, 3, Life::Confirms, |_| ());
    (bench, sim)
}

fn warning<'e>(ended: &'e Ended, code: &str) -> Option<&'e str> {
    ended.stdout.lines().find(|line| line.contains(r#""event":"warning""#) && line.contains(code))
}

fn list_events(server: &UpdateServer) -> Vec<Value> {
    let device = server.get("/v1/devices/A-0001");
    let events = device["events"].as_array().expect("events").iter();
    events.filter(|event| event["kind"] == "list-refused").map(|event| event["reason"].clone()).collect()
}

#[test]
fn a_fork_is_named_and_the_device_judges_by_its_own_list() {
    let (bench, _sim) = forked();
    bench.run(&["revocations", "host.cwt"]).is_error("revocation-forked", 7);
    // By the device's branch the release key of 2 is revoked; the host's does not say so.
    let ended = bench.update(2, &["--revocations", "host.cwt"]);
    ended.is_error("key-revoked", 7);
    assert!(warning(&ended, "revocation-forked").is_some(), "{}", ended.stdout);
    let ended = bench.update(3, &["--revocations", "host.cwt"]);
    ended.is_result("confirmed", 0);
    assert!(warning(&ended, "revocation-forked").is_some(), "{}", ended.stdout);
    // The very list that the device holds is no fork.
    bench.release_by(&bench.factory.with_new_release_key(9), 4, Life::Confirms, |_| ());
    let ended = bench.update(4, &["--revocations", "device.cwt"]);
    ended.is_result("confirmed", 0);
    assert!(warning(&ended, "revocation").is_none(), "{}", ended.stdout);
    assert_eq!(bench.info()["revocation_sequence"], 5);
}

#[test]
fn a_list_that_drops_an_entry_of_the_devices_does_not_stop_the_update() {
    let (bench, _sim) = forked();
    bench.write("host.cwt", &bench.factory.revocation_list(6, &[]));
    let ended = bench.update(3, &["--revocations", "host.cwt"]);
    ended.is_result("confirmed", 0);
    assert!(warning(&ended, "revocation-drops-entry").is_some(), "{}", ended.stdout);
    bench.update(2, &["--dangerous-skip-host-checks"]).is_error("key-revoked", 7);
}

#[test]
fn a_device_with_a_newer_list_is_named_and_offered_the_release() {
    let (bench, _sim) = forked();
    bench.write("host.cwt", &bench.factory.revocation_list(4, &[]));
    let ended = bench.update(3, &["--revocations", "host.cwt"]);
    ended.is_result("confirmed", 0);
    let line = warning(&ended, "revocation-sequence").expect("a warning");
    assert!(line.contains("list-sequence 5") && line.contains("(4)"), "{line}");
}

/// The server has the other branch, and learns that the device does not take it, whatever becomes of the update.
#[test]
fn the_registry_learns_of_a_fork() {
    let (bench, _sim) = forked();
    let server = UpdateServer::start(&bench, 0);
    server.publish_list(&bench, "host.cwt");
    server.publish(&bench, 3);
    let update =
        ["update", "--yes", "--server", &server.url, "--anchor", "root.cose", "--token-file", "token"];
    let ended = bench.run(&update);
    ended.is_result("confirmed", 0);
    assert!(warning(&ended, "revocation-forked").is_some(), "{}", ended.stdout);
    assert_eq!(list_events(&server), [json!("revocation-forked")]);
    // The release of the revoked key is what this server offers next.
    bench.release_by(&bench.factory, 4, Life::Confirms, |_| ());
    server.publish(&bench, 4);
    bench.run(&update).is_error("key-revoked", 7);
    assert_eq!(list_events(&server), [json!("revocation-forked"), json!("revocation-forked")]);
}

/// Without the server the list that was fetched before counts, and forks all the same.
#[test]
fn a_fork_with_the_list_in_the_cache_is_named() {
    let (bench, _sim) = forked();
    let server = UpdateServer::start(&bench, 0);
    let url = server.url.clone();
    server.publish_list(&bench, "host.cwt");
    server.publish(&bench, 3);
    let update = ["update", "--server", &url, "--anchor", "root.cose", "--token-file", "token"];
    bench.run(&update).is_error("confirmation-needed", 2);
    drop(server);
    let ended = bench.run(&[&update[..], &["--yes"]].concat());
    ended.is_result("confirmed", 0);
    assert!(warning(&ended, "revocation-forked").is_some(), "{}", ended.stdout);
}
