//! A production line with simulated boards: blocks by manifest-tool, one device after the other, a power cut anywhere.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use emulator::parent_death;
use serde_json::{Value, json};

use crate::bench::{Bench, Ended, program};

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

/// The computer of the line is cut off from its power at the Nth system call of a kind; the board keeps its own.
fn cut(bench: &Bench, calls: &str, number: usize) -> bool {
    let mut command: Command = parent_death::command("strace");
    command.args(["-f", "-q", "-o", "/dev/null", "-e"]).arg(format!("trace={calls}"));
    command.arg("-e").arg(format!("inject={calls}:signal=SIGKILL:when={number}"));
    command.arg(program("updater-host")).args(["--json", "--data-dir", "data"]).args(NEXT);
    command.current_dir(bench.path("")).env("ANCHORAGE_BUS", &bench.bus);
    let status = command.output().expect("strace is installed by the test command").status;
    status.signal() == Some(9) || status.code() == Some(137)
}

/// One board, a cut at each call that writes a file, and at some that send a frame: the board gets the first block and
/// no other one, and the log says so in the end.
#[test]
fn host35_a_power_cut_between_any_two_steps_goes_on() {
    let mut cuts = 0;
    for (calls, first, step) in [("fsync,fdatasync,rename,renameat2,linkat,mkdir", 1, 1), ("sendto", 9, 31)] {
        for number in (first..).step_by(step) {
            let bench = bench();
            let _board = bench.sim("flash", &bench.bus);
            let killed = cut(&bench, calls, number);
            let ended: Ended = bench.run(&NEXT);
            if !killed {
                // It made the first one to its end, so the next one is waited for.
                assert_eq!(log(&bench).last(), Some(&("provisioned".to_owned(), "L-1".to_owned())));
                break;
            }
            cuts += 1;
            assert_eq!(ended.code, 0, "{calls} {number}: {}", ended.stdout);
            let log = log(&bench);
            let ends = log.iter().filter(|(result, _)| result != "begun").count();
            assert_eq!(ends, 1, "{calls} {number}: {log:?}");
            assert!(log.iter().all(|(_, serial)| serial == "L-1"), "{calls} {number}: {log:?}");
            assert_eq!(bench.info()["serial"], "L-1", "{calls} {number}");
        }
    }
    assert!(cuts >= 7, "{cuts}");
}
