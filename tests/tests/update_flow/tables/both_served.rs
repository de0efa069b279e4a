//! Releases of firmware and a table that come from a server, and what is beyond them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::served::{plans, two_ends};
use super::with_table_slot;
use crate::bench::{Bench, Ended, Life, UpdateServer, from_server};

impl Bench {
    /// Makes a release of both.
    fn publish_both(&self, server: &UpdateServer, sequence: u64, life: Life, table: &[u8]) {
        self.both(sequence, life, table);
        let [release, image, table] =
            [format!("both-{sequence}.suit"), format!("{sequence}.bin"), format!("table-{sequence}.bin")];
        server.publish_files(self, &[&release, "--image", &image, "--table", &table]);
    }

    fn publish_firmware(&self, server: &UpdateServer, sequence: u64) {
        self.release(sequence, Life::Confirms);
        server.publish(self, sequence);
    }

    /// Version of what runs, and sequence number of the table.
    fn has(&self) -> (Value, Value) {
        (self.info()["version"].clone(), self.table_of_device().0)
    }
}

impl UpdateServer {
    /// Sends an image, and nothing else.
    fn put_image(&self, image: &[u8]) {
        let digest = trust::sha256(image).map(|byte| format!("{byte:02x}")).concat();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).expect("connected");
        let head = format!(
            "PUT /v1/images/{digest} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\
             Authorization: Bearer a-token-for-tests-0123456789abcdef\r\n\r\n",
            image.len()
        );
        stream.write_all(&[head.as_bytes(), image].concat()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
}

/// The updates of a run before its last one: sequence numbers, and whether they were of both.
fn told(ended: &Ended) -> Vec<(u64, bool)> {
    let lines = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let updated = lines.filter(|line| line["event"] == "updated");
    let of =
        |line: Value| (line["after"]["sequence"].as_u64().expect("a number"), line["with_table"] == true);
    updated.map(of).collect()
}

/// What ran before each of the same updates.
fn told_before(ended: &Ended) -> Vec<Value> {
    let lines = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter(|line| line["event"] == "updated").map(|line| line["before"]["sequence"].clone()).collect()
}

/// Neither half is brought without the other, and each goes on by itself afterwards.
#[test]
fn a_server_brings_both_and_then_what_is_beyond() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.publish_both(&server, 4, Life::Confirms, b"0..80 bar");
    // Neither has one of its own.
    for target in ["firmware", "table"] {
        bench.fetch(&server, &["--target", target]).is_error("no-release", 7);
    }
    let ended = bench.fetch(&server, &[]);
    ended.is_result("confirmed", 0);
    assert_eq!((&ended.last["with_table"], &ended.last["table"]), (&json!(true), &Value::Null));
    assert_eq!((plans(&ended), told(&ended)), (vec!["firmware".to_owned()], vec![]));
    assert!(!ended.stdout.contains("no-release"), "{}", ended.stdout);
    assert_eq!(bench.has(), (json!("4.0.0"), json!(4)));
    let device = server.get("/v1/devices/A-0001");
    let digest = device["manifest_digest"].as_str().expect("a digest");
    assert_eq!((&device["version"], &device["table"]["manifest_digest"]), (&json!("4.0.0"), &json!(digest)));
    assert_eq!(server.get(&format!("/v1/releases/{digest}"))["target"], "both");
    assert_eq!(device["events"][0]["target"], "both");
    let again = bench.fetch(&server, &[]);
    again.is_result("up-to-date", 0);
    assert_eq!((&again.last["with_table"], plans(&again)), (&json!(true), vec![]));

    // Older ones of each are none, newer ones come.
    bench.publish_firmware(&server, 3);
    bench.publish_table(&server, 2, b"0..70 bar");
    bench.fetch(&server, &[]).is_result("up-to-date", 0);
    bench.publish_firmware(&server, 5);
    let ended = bench.fetch(&server, &[]);
    ended.is_result("confirmed", 0);
    assert_eq!((&ended.last["table"], told(&ended)), (&json!(null), vec![]));
    assert_eq!(bench.has(), (json!("5.0.0"), json!(4)));
    bench.publish_table(&server, 6, b"0..85 bar");
    assert_eq!(
        two_ends(&bench.fetch(&server, &[])),
        [("up-to-date".into(), 5.into()), ("confirmed".into(), 6.into())]
    );

    // Both, and newer ones of each, in one run.
    bench.publish_firmware(&server, 7);
    bench.publish_both(&server, 8, Life::Confirms, b"0..90 bar, 4 s");
    bench.publish_firmware(&server, 9);
    bench.publish_table(&server, 10, b"0..95 bar, 4 s");
    let ended = bench.fetch(&server, &[]);
    assert_eq!(plans(&ended), ["firmware", "firmware", "table"]);
    assert_eq!(told(&ended), [(8, true), (9, false)]);
    assert_eq!(told_before(&ended), [5, 8]);
    assert_eq!(two_ends(&ended), [("confirmed".into(), 9.into()), ("confirmed".into(), 10.into())]);
    assert_eq!(bench.has(), (json!("9.0.0"), json!(10)));
    // What is beyond it on one side alone.
    bench.publish_both(&server, 11, Life::Confirms, b"0..97 bar, 4 s");
    bench.publish_table(&server, 12, b"0..99 bar, 4 s");
    let ended = bench.fetch(&server, &[]);
    assert_eq!((plans(&ended).len(), told(&ended)), (2, vec![(11, true)]));
    assert_eq!(two_ends(&ended), [("confirmed".into(), 11.into()), ("confirmed".into(), 12.into())]);
    assert_eq!(bench.has(), (json!("11.0.0"), json!(12)));
}

/// All of it was fetched by a run that nobody confirmed.
#[test]
fn without_the_server_both_and_what_is_beyond_come_from_the_cache() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.publish_both(&server, 4, Life::Confirms, b"0..80 bar");
    bench.publish_table(&server, 5, b"0..85 bar");
    let url = server.url.clone();
    let unconfirmed: Vec<&str> = from_server(&url).into_iter().filter(|it| *it != "--yes").collect();
    let asked = bench.run(&unconfirmed);
    asked.is_error("confirmation-needed", 2);
    assert_eq!(plans(&asked), ["firmware", "table"]);
    assert_eq!(bench.has(), (json!("1.0.0"), json!(0)));
    drop(server);
    let ended = bench.run(&from_server(&url));
    assert_eq!(two_ends(&ended), [("confirmed".into(), 4.into()), ("confirmed".into(), 5.into())]);
    assert_eq!((told(&ended), ended.code), (vec![(4, true)], 0));
    assert!(ended.stdout.contains("server-unreachable"), "{}", ended.stdout);
    assert_eq!(bench.has(), (json!("4.0.0"), json!(5)));
    // There was no firmware to fetch: it is nothing that is missing.
    let again = bench.run(&from_server(&url));
    assert_eq!(again.code, 0, "{}", again.stdout);
}

/// What is beyond a release is not brought before that is confirmed; it goes back as a whole.
#[test]
fn nothing_follows_a_release_of_both_that_is_not_confirmed() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.publish_table(&server, 2, b"0..70 bar");
    bench.fetch(&server, &["--target", "table"]).is_result("confirmed", 0);
    bench.publish_both(&server, 4, Life::NeverConfirms, b"0..80 bar");
    bench.publish_firmware(&server, 5);
    let trial = bench.fetch(&server, &["--confirm-timeout", "1s"]);
    trial.is_result("trial", 7);
    assert_eq!((&trial.last["after"]["sequence"], told(&trial)), (&json!(4), vec![]));
    assert_eq!(bench.has(), (json!("4.0.0"), json!(4)));
    let reverted = bench.fetch(&server, &["--confirm-timeout", "1s", "--revert-unconfirmed"]);
    reverted.is_result("reverted", 7);
    assert_eq!(bench.has(), (json!("1.0.0"), json!(2)));
    // Withdrawn, it keeps nothing from coming.
    let digest = reverted.last["release"]["manifest_digest"].as_str().expect("a digest").to_owned();
    let withdraw =
        ["withdraw", &digest, "--reason", "it hangs", "--server", &server.url, "--token-file", "token"];
    assert_eq!(bench.maker(&withdraw).code, 0);
    let ended = bench.fetch(&server, &[]);
    assert_eq!(two_ends(&ended), [("confirmed".into(), 5.into()), ("up-to-date".into(), 2.into())]);
    assert!(ended.stdout.contains("release-not-offered"), "{}", ended.stdout);
}

/// Firmware that never reads a table comes by itself, as ever.
#[test]
fn a_device_without_a_table_is_offered_no_release_of_both() {
    let (bench, _sim) = Bench::with_device();
    let server = UpdateServer::start(&bench, 0);
    bench.publish_both(&server, 4, Life::Confirms, b"0..80 bar");
    bench.fetch(&server, &[]).is_error("no-release", 7);
    assert_eq!(bench.info()["version"], "1.0.0");
    bench.publish_firmware(&server, 2);
    let ended = bench.fetch(&server, &[]);
    ended.is_result("confirmed", 0);
    assert_eq!((&ended.last["after"]["sequence"], &ended.last["with_table"]), (&json!(2), &Value::Null));
}

/// The release is offered when all of it is there; what was sent is not sent again.
#[test]
fn a_publication_of_both_that_was_cut_short_goes_on() {
    let (bench, _sim) = with_table_slot();
    let server = UpdateServer::start(&bench, 0);
    bench.both(4, Life::Confirms, b"0..80 bar");
    let image = bench.read("4.bin");
    // As after a run that ended behind the first image.
    server.put_image(&image);
    bench.fetch(&server, &[]).is_error("no-release", 7);
    let files = ["both-4.suit", "--image", "4.bin", "--table", "table-4.bin"];
    assert_eq!(server.publication(&bench, &files[..3]).code, 2);
    bench.fetch(&server, &[]).is_error("no-release", 7);
    server.publish_files(&bench, &files);
    bench.fetch(&server, &[]).is_result("confirmed", 0);
    assert_eq!(bench.has(), (json!("4.0.0"), json!(4)));
    server.publish_files(&bench, &files);
}
