//! Tables that come from a server, beside the firmware.

use serde_json::{Value, json};

use super::with_table_slot;
use crate::bench::{Bench, Ended, Life, UpdateServer, from_server};

impl Bench {
    /// Makes a table and publishes it.
    pub(super) fn publish_table(&self, server: &UpdateServer, sequence: u64, content: &[u8]) {
        self.table(sequence, content);
        let (envelope, table) = (format!("table-{sequence}.suit"), format!("table-{sequence}.bin"));
        server.publish_files(self, &[&envelope, "--image", &table]);
    }

    pub(super) fn fetch(&self, server: &UpdateServer, more: &[&str]) -> Ended {
        self.run(&[&from_server(&server.url)[..], more].concat())
    }
}

/// What became of firmware and of table in the last line: result, sequence number.
pub(super) fn two_ends(ended: &Ended) -> [(Value, Value); 2] {
    let table = &ended.last["table"];
    assert_eq!((&ended.last["target"], &table["target"]), (&json!("firmware"), &json!("table")));
    [&ended.last, table].map(|report| (report["result"].clone(), report["after"]["sequence"].clone()))
}

/// One run brings both, each the newest of its own, whatever the numbers are.
#[test]
fn srv65_a_server_brings_firmware_and_table_each_its_newest() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.fetch(&server, &[]).is_error("no-release", 7);
    bench.fetch(&server, &["--target", "table"]).is_error("no-release", 7);
    // Tables alone, with a number above that of all firmware.
    bench.publish_table(&server, 40, b"0..80 bar");
    bench.fetch(&server, &["--target", "firmware"]).is_error("no-release", 7);
    let alone = bench.fetch(&server, &[]);
    alone.is_result("confirmed", 0);
    assert_eq!((&alone.last["target"], &alone.last["after"]["sequence"]), (&json!("table"), &json!(40)));
    assert!(alone.stdout.contains("\"no-release\""), "{}", alone.stdout);

    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    bench.publish_table(&server, 41, b"0..85 bar");
    let ended = bench.fetch(&server, &[]);
    ended.is_result("confirmed", 0);
    let confirmed = json!("confirmed");
    assert_eq!(two_ends(&ended), [(confirmed.clone(), json!(2)), (confirmed.clone(), json!(41))]);
    let told = ended.stdout.lines().filter(|line| line.contains("\"event\":\"updated\"")).count();
    assert_eq!(told, 1, "{}", ended.stdout);
    assert_eq!(bench.table_of_device(), (json!(41), confirmed));
    let again = bench.fetch(&server, &[]);
    let there = json!("up-to-date");
    assert_eq!(two_ends(&again), [(there.clone(), json!(2)), (there, json!(41))]);
    let firmware = bench.fetch(&server, &["--target", "firmware"]);
    firmware.is_result("up-to-date", 0);
    assert_eq!(firmware.last["table"], Value::Null);
    // The registry knows of each what it is.
    let device = server.get("/v1/devices/A-0001");
    assert_eq!((&device["version"], &device["sequence"]), (&json!("2.0.0"), &json!(2)));
    assert_eq!((&device["table"]["version"], &device["table"]["sequence"]), (&json!("41.0.0"), &json!(41)));
    for (installed, target) in [(&device, "firmware"), (&device["table"], "table")] {
        let digest = installed["manifest_digest"].as_str().expect("a digest");
        let release = server.get(&format!("/v1/releases/{digest}"));
        assert_eq!(
            (&release["target"], &release["release_kid"]),
            (&json!(target), &installed["release_kid"])
        );
    }
    let events: Vec<_> = device["events"].as_array().expect("a list").iter().collect();
    let of = |target: &str| {
        let of_it = events.iter().filter(|event| event["target"] == target);
        of_it.map(|event| event["kind"].as_str().expect("a kind")).collect::<Vec<_>>()
    };
    let run = ["update-confirmed", "update-installed", "update-started"];
    assert_eq!((of("firmware"), of("table")), (run.to_vec(), [run, run].concat()));
}

/// Of what there is a plan, in the order in which they were shown.
pub(super) fn plans(ended: &Ended) -> Vec<String> {
    let lines = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let plans = lines.filter(|line| line["event"] == "plan");
    plans.map(|plan| plan["target"].as_str().expect("a target").to_owned()).collect()
}

/// Nobody is left with half of what he was asked for.
#[test]
fn host53_firmware_and_a_table_are_agreed_to_together_before_anything_is_sent() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    bench.publish_table(&server, 1, b"0..80 bar");
    let asking: Vec<&str> = from_server(&server.url).into_iter().filter(|it| *it != "--yes").collect();
    let asked = bench.run(&asking);
    asked.is_error("confirmation-needed", 2);
    assert_eq!(plans(&asked), ["firmware", "table"]);
    assert_eq!((bench.info()["sequence"].clone(), bench.table_of_device().0), (json!(1), json!(0)));
    // Of what there is nothing to do with nobody is asked.
    bench.fetch(&server, &["--target", "firmware"]).is_result("confirmed", 0);
    let asked = bench.run(&asking);
    asked.is_error("confirmation-needed", 2);
    assert_eq!(plans(&asked), ["table"]);
    assert_eq!(bench.table_of_device().0, json!(0));
    bench.fetch(&server, &[]).is_result("up-to-date", 0);
    assert_eq!(bench.table_of_device().0, json!(1));
    let nothing = bench.run(&asking);
    nothing.is_result("up-to-date", 0);
    assert_eq!(plans(&nothing), [""; 0]);
}

/// Both were fetched by a run that nobody confirmed.
#[test]
fn without_the_server_firmware_and_table_come_from_the_cache() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    bench.publish_table(&server, 1, b"0..80 bar");
    let url = server.url.clone();
    let unconfirmed: Vec<&str> = from_server(&url).into_iter().filter(|it| *it != "--yes").collect();
    bench.run(&unconfirmed).is_error("confirmation-needed", 2);
    drop(server);
    let ended = bench.run(&from_server(&url));
    assert_eq!(two_ends(&ended), [2, 1].map(|sequence| (json!("confirmed"), json!(sequence))));
    assert!(ended.stdout.contains("server-unreachable"), "{}", ended.stdout);
}

/// A session for the table would end the trial of the firmware.
#[test]
fn host51_no_table_follows_firmware_that_is_not_confirmed() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::NeverConfirms);
    server.publish(&bench, 2);
    bench.publish_table(&server, 1, b"0..80 bar");
    let trial = bench.fetch(&server, &["--confirm-timeout", "1s"]);
    trial.is_result("trial", 7);
    assert_eq!((&trial.last["after"]["sequence"], &trial.last["table"]), (&json!(2), &Value::Null));
    assert_eq!(bench.info()["sequence"], 2, "still on trial");
    assert_eq!(bench.table_of_device(), (json!(0), json!("none")));
    let reverted = bench.fetch(&server, &["--confirm-timeout", "1s", "--revert-unconfirmed"]);
    reverted.is_result("reverted", 7);
    assert_eq!(reverted.last["table"], Value::Null);
    // By itself it comes.
    bench.fetch(&server, &["--target", "table"]).is_result("confirmed", 0);
}

/// What became of the firmware is told, whatever becomes of the table.
#[test]
fn a_table_that_does_not_come_leaves_the_firmware_that_came() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    bench.publish_table(&server, 1, b"reject this");
    let ended = bench.fetch(&server, &["--confirm-timeout", "2s"]);
    ended.is_result("confirmed", 7);
    assert_eq!(two_ends(&ended)[1], (json!("trial"), json!(1)));
    // The host refuses one that is too large, and by then the firmware is there.
    bench.release(3, Life::Confirms);
    server.publish(&bench, 3);
    bench.publish_table(&server, 2, &vec![7; 400_000]);
    let ended = bench.fetch(&server, &[]);
    ended.is_error("image-too-large", 5);
    assert!(ended.stdout.contains("\"event\":\"updated\""), "{}", ended.stdout);
    assert_eq!(bench.info()["version"], "3.0.0");
}

#[test]
fn a_device_without_a_table_gets_none() {
    let (bench, _sim) = Bench::with_device();
    let server = UpdateServer::start(&bench, 0);
    bench.release(2, Life::Confirms);
    server.publish(&bench, 2);
    bench.publish_table(&server, 9, b"0..80 bar");
    let ended = bench.fetch(&server, &[]);
    ended.is_result("confirmed", 0);
    assert_eq!((&ended.last["target"], &ended.last["table"]), (&json!("firmware"), &Value::Null));
    bench.fetch(&server, &["--target", "table"]).is_error("component-unsupported", 5);
}
