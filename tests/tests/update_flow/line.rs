//! A production line with simulated boards: blocks by manifest-tool, one device after the other, a power cut anywhere.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

use device_harness::factory::Factory;
use emulator::parent_death;
use serde_json::{Value, json};
use system_tests::addresses;

use crate::bench::{Bench, Ended, Life, Ongoing, files, program};
use crate::relay::{Manner, Relay};

/// Three devices, in the folder `line`, for the root of the bench.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("list.csv", b"serial,node\nL-1,0x21\nL-2,0x22\nL-3,0x23\n");
    let vendor = ["--vendor", "acme.example", "--class", "pump", "--anchor", "root.cose"];
    bench
        .manifest_tool(&[&["provision", "--devices", "list.csv", "--out-dir", "line"][..], &vendor].concat());
    bench
}

const NEXT: [&str; 8] = ["provision", "--from", "line", "--next", "--wait", "20s", "--scan-time", "300ms"];

/// The lines of the log after the first: result and serial.
fn log(bench: &Bench) -> Vec<(String, String)> {
    let log = String::from_utf8(bench.read("line/line.jsonl")).expect("text");
    let text = |line: &Value, name: &str| line[name].as_str().expect("a text").to_owned();
    let lines = log.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.map(|line| (text(&line, "result"), text(&line, "serial"))).collect()
}

#[test]
fn three_boards_one_after_the_other() {
    let bench = bench();
    let mut boards = Vec::new();
    for (number, serial) in (1..).zip(["L-1", "L-2", "L-3"]) {
        boards.push(bench.sim(&format!("flash-{number}"), &bench.bus));
        let ended = bench.run(&NEXT);
        ended.is_result("provisioned", 0);
        assert_eq!((&ended.last["serial"], &ended.last["left"]), (&json!(serial), &json!(3 - number)));
    }
    let scan = bench.run(&["scan"]);
    let devices = scan.last["devices"].as_array().expect("devices");
    let serials: Vec<&str> = devices.iter().filter_map(|device| device["serial"].as_str()).collect();
    assert_eq!(serials, ["L-1", "L-2", "L-3"]);
    bench.run(&NEXT).is_result("list-done", 0);
    let line = String::from_utf8(bench.read("line/line.jsonl")).expect("text");
    let last: Value = serde_json::from_str(line.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["anchors"][0]["rights"], 15);
}

#[test]
fn two_boards_at_once_get_nothing() {
    let bench = bench();
    let _one = bench.sim("flash-1", &bench.bus);
    let other = bench.sim("flash-2", &bench.bus);
    bench.run(&NEXT).is_error("several-factory-devices", 7);
    assert_eq!(log(&bench), []);
    drop(other);
    bench.run(&NEXT).is_result("provisioned", 0);
}

/// An application does not say which anchors its device has. So the loader is asked, and a device that somebody else made
/// under a serial of the list is not noted as one of ours.
#[test]
fn host41_a_device_of_another_root_is_not_found_by_its_serial() {
    let bench = Bench::new();
    let stranger = Factory::new(9);
    bench.write("stranger.cose", &stranger.anchor().key().to_cose_key());
    bench.write("list.csv", b"serial,node\nL-1,0x21\nL-2,0x22\n");
    let ids = [
        "--vendor",
        "11111111-1111-1111-1111-111111111111",
        "--class",
        "22222222-2222-2222-2222-222222222222",
    ];
    for (anchor, folder) in [("root.cose", "line"), ("stranger.cose", "other")] {
        let command = ["provision", "--devices", "list.csv", "--out-dir", folder, "--anchor", anchor];
        bench.manifest_tool(&[&command[..], &ids].concat());
    }
    bench.release(1, Life::Confirms);
    bench.release_by(&stranger, 2, Life::Confirms, |_| ());
    let next = &[&NEXT[..5], &["2s", "--scan-time", "300ms"]].concat();
    for (folder, number, anchor) in [("other", "2", "stranger.cose"), ("line", "1", "root.cose")] {
        let _board = bench.sim(&format!("flash-{folder}"), &bench.bus);
        bench.run(&["provision", &format!("{folder}/L-1.block")]).is_result("provisioned", 0);
        let (envelope, image) = (format!("{number}.suit"), format!("{number}.bin"));
        let update = [&files(&envelope, &image)[..], &["--anchor", anchor]].concat();
        bench.run(&update).is_result("confirmed", 0);
        let ended = bench.run(next);
        if folder == "other" {
            ended.is_error("device-differs", 7);
            assert_eq!(log(&bench), []);
        } else {
            ended.is_result("found", 0);
            assert_eq!(log(&bench), [("found".to_owned(), "L-1".to_owned())]);
            let log = String::from_utf8(bench.read("line/line.jsonl")).expect("text");
            let last: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("JSON");
            assert_eq!(last["anchors"][0]["rights"], 15);
        }
        assert_eq!(bench.info()["mode"], "application");
    }
}

/// A pipe in the place of a file would be waited for, and no signal would end that.
#[test]
fn a_pipe_in_the_folder_of_a_line_is_refused() {
    let bench = bench();
    for name in ["L-1.block", "devices.csv"] {
        let path = bench.path("line").join(name);
        std::fs::remove_file(&path).expect("removed");
        let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo is there");
        assert!(made.success());
        bench.run(&NEXT).is_error("file-read", 3);
    }
}

/// Calls of the line's computer after which something lasts.
const WRITES: [&str; 5] = ["fsync", "fdatasync", "renameat2", "renameat", "mkdir"];

/// Runs the line under strace.
fn strace(bench: &Bench, options: &[&str]) -> ExitStatus {
    let mut command: Command = parent_death::command("strace");
    command.args(["-f", "-q"]).args(options);
    command.arg(program("updater-host")).args(["--json", "--data-dir", "data"]).args(NEXT);
    command.current_dir(bench.path("")).env("ANCHORAGE_BUS", &bench.bus);
    command.output().expect("strace is installed by the test command").status
}

/// How often a device is provisioned with each of these calls.
fn count(calls: &[&str]) -> Vec<usize> {
    let bench = bench();
    let _board = bench.sim("flash", &bench.bus);
    let status = strace(&bench, &["-o", "trace", "-e", &format!("trace={}", calls.join(","))]);
    assert!(
        status.success() && log(&bench).contains(&("provisioned".to_owned(), "L-1".to_owned())),
        "{status}"
    );
    let trace = String::from_utf8(bench.read("trace")).expect("text");
    let of = |call: &&str| trace.lines().filter(|line| line.contains(&format!(" {call}("))).count();
    calls.iter().map(of).collect()
}

/// One board, the computer of the line cut off from its power at every so many of these calls; the board keeps its power, gets
/// the first block and no other one, and the log says so in the end. How many cuts there were, and how many of them left
/// something to go on with.
fn cut(calls: &[&str], step: usize) -> (usize, usize) {
    let (mut cuts, mut went_on) = (0, 0);
    for (call, count) in calls.iter().zip(count(calls)) {
        for number in (1..=count).step_by(step) {
            let what = format!("{call} {number} of {count}");
            let bench = bench();
            let _board = bench.sim("flash", &bench.bus);
            let inject = format!("inject={call}:signal=SIGKILL:when={number}");
            let status = strace(&bench, &["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
            // The number of frames differs by a few from run to run.
            if status.success() && *call == "sendto" {
                continue;
            }
            assert!(status.signal() == Some(9) || status.code() == Some(137), "{what}: {status}");
            cuts += 1;
            // Killed after the last line: nothing is left to go on with.
            let is_begun = bench.path("line/line.jsonl").exists();
            if !is_begun || !log(&bench).contains(&("provisioned".to_owned(), "L-1".to_owned())) {
                let ended: Ended = bench.run(&NEXT);
                assert_eq!(ended.code, 0, "{what}: {}", ended.stdout);
                went_on += 1;
            }
            let log = log(&bench);
            let ends = log.iter().filter(|(result, _)| result != "begun").count();
            assert_eq!(ends, 1, "{what}: {log:?}");
            assert!(log.iter().all(|(_, serial)| serial == "L-1"), "{what}: {log:?}");
            assert_eq!(bench.info()["serial"], "L-1", "{what}");
        }
    }
    (cuts, went_on)
}

#[test]
fn host35_a_power_cut_between_any_two_writes_goes_on() {
    let (cuts, went_on) = cut(&WRITES, 1);
    assert!(cuts >= 7 && went_on >= 5, "{cuts}, {went_on}");
}

/// At every 13th frame.
#[test]
fn host35_a_power_cut_between_two_frames_goes_on() {
    let (cuts, went_on) = cut(&["sendto"], 13);
    assert!(cuts >= 4 && went_on >= 4, "{cuts}, {went_on}");
}

/// The device has its block and did not hear the reset: it still answers at the address of blank devices.
#[test]
fn host35_a_power_cut_between_block_and_reset_goes_on() {
    let bench = bench();
    let _board = bench.sim("flash", &bench.bus);
    let of_the_line = addresses::bus().expect("a port");
    let relay = Relay::start(&of_the_line, &bench.bus, Manner::NoReset);
    let ongoing = Ongoing::start(bench.command(&NEXT).env("ANCHORAGE_BUS", &of_the_line));
    relay.until_reset();
    ongoing.kill();
    bench.run(&NEXT).is_result("found", 0);
    assert_eq!(log(&bench), [("begun".to_owned(), "L-1".to_owned()), ("found".to_owned(), "L-1".to_owned())]);
    assert_eq!(bench.info()["node"], 0x21);
}
