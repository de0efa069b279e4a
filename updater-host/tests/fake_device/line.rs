//! The production line: one device after the other, each block on one device at most, whatever ends the program.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Command;

use serde_json::Value;
use trust::encode_succession_chain;
use update_protocol::profile::Object;
use update_protocol::uds::Nrc;

use super::fake::{FakeDevice, Script};
use super::succession::{first_list, report, succession};
use super::{Asked, Bench, Ended, made};

/// Bytes of a file that hold the first line of a log, and a log without a label.
const HEAD_FITS: u32 = 400;
const LOG_FITS: u32 = 1500;

const SERIALS: [&str; 3] = ["L-1", "L-2", "L-3"];

/// A folder `line` with the blocks of three devices, as manifest-tool makes it.
fn bench() -> Bench {
    let bench = Bench::new();
    std::fs::create_dir(bench.made.folder().join("line")).unwrap();
    let mut list =
        "serial,node_address,vendor,class,device,block,block_sha256,credential,kid,key_check\n".to_owned();
    for (serial, node) in SERIALS.iter().zip(0x21..) {
        let block = made::block(serial, node);
        let device = trust::host::device_id(made::VENDOR, serial);
        let [vendor, class, device] = [made::VENDOR, made::CLASS, device].map(uuid::Uuid::from_bytes);
        let sha256 = hex::encode(trust::sha256(&block));
        bench.made.write(&format!("line/{serial}.block"), &block);
        list += &format!("{serial},{node},{vendor},{class},{device},{serial}.block,{sha256},,,\n");
    }
    bench.made.write("line/devices.csv", list.as_bytes());
    bench
}

fn blank(bench: &Bench, tag: u8) -> FakeDevice {
    FakeDevice::start(&bench.bus, Script::blank(tag))
}

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["--scan-time", "200ms", "provision", "--from", "line", "--wait", "2s"], more].concat()
}

fn next(bench: &Bench) -> Ended {
    bench.run(&arguments(&["--next"]))
}

/// The lines of the log after the first: result and serial.
fn log(bench: &Bench) -> Vec<(String, String)> {
    let log = String::from_utf8(bench.made.read("line/line.jsonl")).unwrap();
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let lines = log.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| (text(&line, "result"), text(&line, "serial"))).collect()
}

fn logged(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    lines.iter().map(|(result, serial)| ((*result).to_owned(), (*serial).to_owned())).collect()
}

fn append(bench: &Bench, text: &str) {
    let path = bench.made.folder().join("line/line.jsonl");
    std::fs::File::options().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// As if the program had ended after it noted that the first block goes to the device with this tag.
fn begun(bench: &Bench, tag: u8) {
    let device = blank(bench, tag);
    // It is sent, and nothing else is written.
    let status = limited(bench, LOG_FITS).status().unwrap();
    assert_eq!(status.code(), Some(3));
    drop(device);
    assert_eq!(log(bench), logged(&[("begun", "L-1")]));
}

/// The program on a disk that takes files of so many bytes.
fn limited(bench: &Bench, bytes: u32) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("trap '' XFSZ; exec prlimit --fsize={bytes} \"$0\" \"$@\""));
    command.arg(env!("CARGO_BIN_EXE_updater-host")).args(["--json", "--patience", "2s"]);
    command.args(arguments(&["--next"])).current_dir(bench.made.folder()).env("ANCHORAGE_BUS", &bench.bus);
    command
}

fn blocks(device: &FakeDevice) -> Vec<Vec<u8>> {
    let block = |asked| match asked {
        Asked::Object(Object::ProvisioningBlock, bytes) => Some(bytes),
        _ => None,
    };
    device.asked().into_iter().filter_map(block).collect()
}

#[test]
fn devices_come_one_after_the_other_and_each_gets_the_next_block() {
    let bench = bench();
    let mut devices = Vec::new();
    for (number, serial) in (1..).zip(SERIALS) {
        let device = blank(&bench, number);
        let ended = next(&bench);
        ended.is_result("provisioned", 0);
        assert_eq!(ended.last["serial"], serial);
        assert_eq!(ended.last["left"], 3 - u64::from(number));
        assert_eq!(blocks(&device), [bench.made.read(&format!("line/{serial}.block"))]);
        let label = String::from_utf8(bench.made.read(&format!("line/labels/{serial}.svg"))).unwrap();
        assert!(label.contains(serial) && label.contains(ended.last["device"].as_str().unwrap()), "{label}");
        devices.push(device);
    }
    let both = SERIALS.iter().flat_map(|serial| [("begun", *serial), ("provisioned", *serial)]);
    assert_eq!(log(&bench), logged(&both.collect::<Vec<_>>()));
    // A log line has what a registry needs.
    let log = String::from_utf8(bench.made.read("line/line.jsonl")).unwrap();
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(last["block_sha256"], hex::encode(trust::sha256(&bench.made.read("line/L-3.block"))));
    assert_eq!(last["anchors"][0]["kid"], hex::encode(bench.made.root));
    next(&bench).is_result("list-done", 0);
}

#[test]
fn a_line_goes_on_until_the_list_is_done() {
    let bench = bench();
    let mut child = bench.command(&[&["--json"][..], &arguments(&["--all"])].concat()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut devices = Vec::new();
    for (number, serial) in (1..).zip(SERIALS) {
        devices.push(blank(&bench, number));
        let line = lines.find(|line| line.contains(r#""event":"provisioned""#)).unwrap();
        assert!(line.contains(serial), "{line}");
    }
    let last: Value = serde_json::from_str(&lines.last().unwrap()).unwrap();
    assert_eq!((&last["result"], &last["provisioned"]), (&"list-done".into(), &3.into()), "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(devices.iter().all(|device| blocks(device).len() == 1));
}

#[test]
fn host34_two_new_devices_at_once_get_nothing() {
    let bench = bench();
    let (one, other) = (blank(&bench, 1), blank(&bench, 2));
    next(&bench).is_error("several-factory-devices", 7);
    assert_eq!((one.asked(), other.asked(), log(&bench)), (vec![], vec![], vec![]));
}

/// A first frame has three bytes of a tag: two devices may have the same ones.
#[test]
fn host34_two_new_devices_with_one_tag_get_nothing() {
    let bench = bench();
    let (one, other) = (blank(&bench, 1), blank(&bench, 1));
    next(&bench).is_error("several-factory-devices", 7);
    assert_eq!((one.asked(), other.asked(), log(&bench)), (vec![], vec![], vec![]));
}

#[test]
fn nobody_comes() {
    let bench = bench();
    let ended = next(&bench);
    ended.is_error("no-device", 3);
    assert!(ended.stdout.contains(r#""event":"waiting","step":"device""#), "{}", ended.stdout);
    assert_eq!(log(&bench), []);
}

/// Whoever leaves a device that is done on the line hears so, and not that none is there.
#[test]
fn a_device_that_is_done_is_no_next_one() {
    let bench = bench();
    let done = blank(&bench, 1);
    next(&bench).is_result("provisioned", 0);
    let ended = next(&bench);
    ended.is_error("no-blank-device", 3);
    assert!(ended.last.to_string().contains("with a block did: L-1"), "{}", ended.stdout);
    assert_eq!((blocks(&done).len(), log(&bench).len()), (1, 2));
}

#[test]
fn host35_a_device_that_has_the_block_is_found_and_no_other_one_gets_it() {
    let bench = bench();
    let first = blank(&bench, 1);
    // The disk is full as soon as the block is written: the label does not fit.
    let ended = Ended::of(&limited(&bench, LOG_FITS).output().unwrap());
    ended.is_error("file-write", 3);
    assert_eq!(log(&bench), logged(&[("begun", "L-1")]));
    let ended = next(&bench);
    ended.is_result("found", 0);
    assert_eq!((&ended.last["serial"], &ended.last["found"]), (&"L-1".into(), &1.into()));
    assert_eq!(blocks(&first).len(), 1);
    let second = blank(&bench, 2);
    assert_eq!(next(&bench).last["serial"], "L-2");
    assert_eq!(blocks(&second), [bench.made.read("line/L-2.block")]);
}

/// The log is lost, and another folder with the same blocks begins: devices say which of them they have.
#[test]
fn host35_a_device_that_no_log_knows_is_found_too() {
    let bench = bench();
    let _first = blank(&bench, 1);
    assert_eq!(next(&bench).last["serial"], "L-1");
    std::fs::remove_file(bench.made.folder().join("line/line.jsonl")).unwrap();
    next(&bench).is_result("found", 0);
    assert_eq!(log(&bench), logged(&[("found", "L-1")]));
}

#[test]
fn host36_a_block_that_was_sent_goes_to_the_same_device_only() {
    let bench = bench();
    begun(&bench, 1);
    let other = blank(&bench, 2);
    next(&bench).is_error("block-undecided", 7);
    assert_eq!((other.asked(), log(&bench).len()), (vec![], 1));
    drop(other);
    // Nobody: it is not forgotten either.
    next(&bench).is_error("block-undecided", 7);
    let same = blank(&bench, 1);
    let ended = next(&bench);
    ended.is_result("provisioned", 0);
    assert_eq!((&ended.last["serial"], blocks(&same).len()), (&"L-1".into(), 1));
}

#[test]
fn a_lost_device_is_set_aside_and_its_serial_is_never_given() {
    let bench = bench();
    begun(&bench, 1);
    bench.run(&["provision", "--from", "line", "--set-aside", "X"]).is_error("serial-not-free", 2);
    bench.run(&["provision", "--from", "line", "--set-aside", "L-1"]).is_result("set-aside", 0);
    let device = blank(&bench, 2);
    assert_eq!(next(&bench).last["serial"], "L-2");
    assert_eq!(blocks(&device).len(), 1);
    bench.run(&["provision", "--from", "line", "--set-aside", "L-2"]).is_error("serial-not-free", 2);
}

#[test]
fn host37_a_torn_last_line_goes_and_says_so() {
    let bench = bench();
    let first = blank(&bench, 1);
    assert_eq!(next(&bench).last["serial"], "L-1");
    // Longer than what is written next: what is left of it would be in the way.
    append(&bench, &format!("{{\"time\":\"2026-01-01T00:00:00Z\",\"result\":\"beg{}", "x".repeat(3000)));
    let second = blank(&bench, 2);
    let ended = next(&bench);
    ended.is_result("provisioned", 0);
    assert!(ended.stdout.contains("line-log-torn"), "{}", ended.stdout);
    assert_eq!(log(&bench).len(), 4);
    assert_eq!((blocks(&first).len(), blocks(&second).len()), (1, 1));
}

#[test]
fn host38_what_was_changed_in_the_folder_stops_the_line() {
    let bench = bench();
    let device = blank(&bench, 1);
    let path = |name: &str| bench.made.folder().join("line").join(name);
    let list = String::from_utf8(bench.made.read("line/devices.csv")).unwrap();
    let block = bench.made.read("line/L-1.block");
    let refused = |name: &str, content: &[u8], code: &str, exit: i32| {
        let before = std::fs::read(path(name)).unwrap();
        std::fs::write(path(name), content).unwrap();
        next(&bench).is_error(code, exit);
        std::fs::write(path(name), before).unwrap();
    };
    for (from, to, code) in [
        // Before the log knows the list: what the block says counts.
        ("L-1,33,", "L-1,34,", "block-differs"),
        ("L-1.block", "../L-1.block", "devices-list"),
        ("L-1.block", "L-2.block", "block-differs"),
        ("L-1,33,", "L-1,0,", "devices-list"),
        ("L-2,34,", "L-1,34,", "devices-list"),
        ("key_check", "secret", "devices-list"),
        ("L-1,33,", "L-1,33,1,", "devices-list"),
    ] {
        let _ = std::fs::remove_file(path("line.jsonl"));
        refused("devices.csv", list.replacen(from, to, 1).as_bytes(), code, 5);
    }
    let _ = std::fs::remove_file(path("line.jsonl"));
    let mut damaged = block.clone();
    *damaged.last_mut().unwrap() ^= 1;
    refused("L-1.block", &damaged, "block-differs", 5);
    refused("L-1.block", &block[..20], "block-differs", 5);
    refused("L-1.block", b"", "block-differs", 5);
    // The log began with this list.
    refused("devices.csv", list.replace("L-3,35,", "L-3,36,").as_bytes(), "devices-list-changed", 5);
    let log = String::from_utf8(bench.made.read("line/line.jsonl")).unwrap();
    for bad in ["{}\n", "\n", "rubbish\n"] {
        refused("line.jsonl", [&log, bad].concat().as_bytes(), "line-log", 5);
    }
    refused("line.jsonl", log.replace("\"version\":1", "\"version\":2").as_bytes(), "line-log", 5);
    refused("line.jsonl", b"", "line-log", 5);
    assert_eq!(device.asked(), []);
    next(&bench).is_result("provisioned", 0);
}

#[test]
fn host39_two_programs_do_not_work_through_one_list() {
    let bench = bench();
    let mut first = bench.command(&[&["--json"][..], &arguments(&["--all"])].concat()).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("waiting")).unwrap();
    next(&bench).is_error("line-busy", 3);
    drop(lines);
    first.wait().unwrap();
}

#[test]
fn a_full_disk_before_the_block_leaves_the_device_alone() {
    let bench = bench();
    let device = blank(&bench, 1);
    let ended = Ended::of(&limited(&bench, HEAD_FITS).output().unwrap());
    ended.is_error("file-write", 3);
    let hint = ended.last["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("--from") && !hint.contains("--data-dir"), "{hint}");
    assert_eq!((device.asked(), log(&bench)), (vec![], vec![]));
    next(&bench).is_result("provisioned", 0);
}

#[test]
fn a_block_that_a_device_refuses_is_free_for_another_one() {
    let bench = bench();
    let mut script = Script::blank(1);
    script.refuses = Some((Object::ProvisioningBlock, Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED, 0x0401));
    let device = FakeDevice::start(&bench.bus, script);
    let ended = next(&bench);
    assert_eq!(
        (ended.code, ended.last["error"]["refused_by"].as_str()),
        (7, Some("device")),
        "{}",
        ended.last
    );
    assert_eq!(log(&bench), logged(&[("begun", "L-1"), ("refused", "L-1")]));
    drop(device);
    let _other = blank(&bench, 2);
    assert_eq!(next(&bench).last["serial"], "L-1");
}

#[test]
fn host40_a_device_that_reports_something_else_than_its_block_is_not_noted() {
    let foreign = report(&[(9, 9, 0)]);
    let more = report(&[(7, 7, 0), (9, 9, 0)]);
    for (anchors, words) in [(foreign, "does not report the domain"), (more, "which the block does not name")]
    {
        let bench = bench();
        let mut script = Script::blank(1);
        script.anchors_of_block = Some(anchors);
        let _device = FakeDevice::start(&bench.bus, script);
        for _ in 0..2 {
            let ended = next(&bench);
            ended.is_error("device-differs", 7);
            assert!(ended.stdout.contains(words), "{}", ended.stdout);
            assert_eq!(log(&bench), logged(&[("begun", "L-1")]));
        }
    }
}

#[test]
fn a_device_leaves_the_line_with_the_present_root() {
    let bench = bench();
    let chain = encode_succession_chain(&[&succession(7, 7, 8, 1)], &first_list(8)).unwrap();
    bench.made.write("chain", &chain);
    bench
        .made
        .write("foreign", &encode_succession_chain(&[&succession(9, 9, 8, 1)], &first_list(8)).unwrap());
    let mut script = Script::blank(1);
    script.anchors_after = Some(report(&[(7, 8, 1)]));
    let device = FakeDevice::start(&bench.bus, script);
    // What does not belong to the anchors of the block is refused before it is written.
    let ended = bench.run(&arguments(&["--next", "--successions", "foreign"]));
    ended.is_error("anchor-unknown", 5);
    assert_eq!(device.asked(), []);
    bench.run(&arguments(&["--next", "--successions", "chain"])).is_result("provisioned", 0);
    assert!(device.asked().contains(&Asked::Object(Object::SuccessionChain, chain)));
    let log = String::from_utf8(bench.made.read("line/line.jsonl")).unwrap();
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(last["anchors"][0]["kid"], serde_json::json!(hex::encode(super::succession::kid(8))));
}
