//! Ctrl-C: what was begun is ended, and a device is not left in a session.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::Value;
use update_protocol::profile::Object;

use super::fake::Asked;
use super::{Bench, images};

#[test]
fn ctrl_c_ends_between_two_blocks_and_says_that_it_resumes() {
    let bench = Bench::new();
    let device = bench.device(|script| script.block_pause = Duration::from_millis(150));
    let mut update = vec!["--json", "update", "--release", "release.suit", "--image", "image.bin"];
    update.extend(["--anchor", "root.cose", "--yes"]);
    let mut child = bench.command(&update).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| is_progress(line)).unwrap();
    interrupt(&child);
    // `timeout` signals twice: the program, and the group that it is in.
    interrupt(&child);
    let last: Value = serde_json::from_str(&lines.last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "interrupted", "{last}");
    assert_eq!(last["error"]["hint"], "Run it again to resume.");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(device.asked().last(), Some(&Asked::Reset));
    assert_eq!(images(&device.asked()), []);
}

/// What a program says that is interrupted while it waits to try again.
fn interrupted_between_tries(bench: &Bench, arguments: &[&str]) -> String {
    let mut child = bench.command(arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    // The second pause is long enough to act in it.
    for _ in 0..3 {
        lines.find(|line| line.contains(r#""event":"retry""#)).unwrap();
    }
    interrupt(&child);
    let last: Value = serde_json::from_str(&lines.last().unwrap()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    last["error"]["message"].as_str().unwrap().to_owned()
}

/// A device that still answers is not left in its programming session.
#[test]
fn ctrl_c_between_two_tries_lets_the_device_go() {
    let image = "interrupted after 0 of 20000 bytes; the device keeps its active image, and what it has written of them";
    for (object, message) in [
        (Object::Image { offset: 0 }, image),
        (Object::Envelope, "interrupted before the image was sent; the device keeps its active image"),
    ] {
        let bench = Bench::new();
        let device = bench.device(|script| script.loses_session = Some((object, u32::MAX)));
        let mut update = vec!["--json", "update", "--release", "release.suit", "--image", "image.bin"];
        update.extend(["--anchor", "root.cose", "--yes"]);
        let told = interrupted_between_tries(&bench, &update);
        assert!(told == message || told.starts_with("interrupted after 20000 of 20000"), "{told}");
        assert_eq!(device.asked().last(), Some(&Asked::Reset), "{object:?}");
    }
}

/// The table of a release of both has come whole: something was sent, and waits.
#[test]
fn ctrl_c_between_the_halves_says_what_waits() {
    let bench = Bench::new();
    let digest = *suit_manifest::author::inspect(&bench.made.read("both.suit")).unwrap().digest();
    let device = bench.with_table(|table, script| {
        (table.manifest_digest, script.manifest_digest) = (digest, digest);
        script.loses_session = Some((Object::Envelope, u32::MAX));
    });
    let mut update = vec!["--json", "update", "--release", "both.suit", "--image", "image.bin"];
    update.extend(["--image", "table.bin", "--anchor", "root.cose", "--yes"]);
    let told = interrupted_between_tries(&bench, &update);
    assert!(told.starts_with("interrupted after the table was sent, and before the firmware"), "{told}");
    assert!(told.ends_with("the table waits for its firmware"), "{told}");
    assert_eq!(device.asked().last(), Some(&Asked::Reset));
}

/// A device is not left in a session that this program opened, and a result that is known stands.
#[test]
fn ctrl_c_while_a_list_is_sent_lets_the_device_go() {
    let update = ["update", "--release", "release.suit", "--image", "image.bin", "--anchor", "root.cose"];
    let update = [&update[..], &["--revocations", "list.cwt", "--yes"]].concat();
    for (command, result) in [(&["revocations", "list.cwt"][..], "stored"), (&update, "up-to-date")] {
        let bench = Bench::new();
        let device = bench.device(|script| {
            (script.active_sequence, script.active_digest) = (5, script.manifest_digest);
            script.revocation_sequence = 1;
            script.block_pause = Duration::from_millis(200);
        });
        let mut child = bench.command(&[&["--json"], command].concat()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        lines.find(|line| line.contains("revocation list")).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        interrupt(&child);
        let last: Value = serde_json::from_str(&lines.last().unwrap()).unwrap();
        assert_eq!(
            (last["result"].as_str(), child.wait().unwrap().code()),
            (Some(result), Some(0)),
            "{last}"
        );
        let list = Asked::Object(Object::RevocationList, bench.made.read("list.cwt"));
        assert_eq!(device.asked(), [Asked::Programming, list, Asked::Reset]);
    }
}

/// A file may be a pipe that nobody writes to, or lie on a drive that hangs.
#[test]
fn a_second_signal_ends_the_program_while_a_file_hangs() {
    let bench = Bench::new();
    let _device = bench.device(|_| ());
    let pipe = bench.made.folder().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let update =
        ["--json", "update", "--node", "0x10", "--image", "image.bin", "--anchor", "root.cose", "--yes"];
    let mut child = bench.command(&[&update[..], &["--release", "pipe"]].concat()).spawn().unwrap();
    // Opens when the program reads at the other end.
    let writer = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(60);
    let status = loop {
        interrupt(&child);
        std::thread::sleep(Duration::from_millis(200));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(std::time::Instant::now() < until, "signals do not end it");
    };
    assert_eq!(status.code(), Some(3));
    drop(writer);
}

fn is_progress(line: &str) -> bool {
    let event: Value = serde_json::from_str(line).unwrap();
    event["event"] == "progress" && event["bytes"].as_u64() > Some(0)
}

pub(crate) fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}
