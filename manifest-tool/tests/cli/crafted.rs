//! Ledgers and files of batches that somebody else wrote: nothing is signed that the command would not make itself.

use std::process::Command;

use serde_json::{Value, json};

use super::identity::{BATCH, factory};
use super::workshop::{Run, Workshop, finish, split};

const LINES: &str = "line-ledger/000002-devices.jsonl";
const ENTRY: &str = "line-ledger/000002-devices.json";

/// A batch that waits for its signatures, with a change in what is to be signed for the first device. The digests of the
/// ledger hold.
fn begun_with(change: impl FnOnce(&Workshop, &mut Vec<u8>)) -> Workshop {
    use base64ct::{Base64, Encoding as _};
    let workshop = factory();
    workshop.ok(&split(BATCH));
    std::fs::remove_file(workshop.path("line-ledger/000002-devices.cwt")).unwrap();
    std::fs::remove_file(workshop.path("line-ledger/head.json")).unwrap();
    std::fs::remove_dir_all(workshop.path("batch")).unwrap();
    let lines = String::from_utf8(workshop.read(LINES)).unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let text = first["to_be_signed"].as_str().unwrap();
    let mut bytes = Base64::decode_vec(text).unwrap();
    change(&workshop, &mut bytes);
    let crafted = lines.replace(text, &Base64::encode_string(&bytes));
    let entry = String::from_utf8(workshop.read(ENTRY)).unwrap();
    let digest = |lines: &str| hex::encode(trust::sha256(lines.as_bytes()));
    workshop.write(ENTRY, entry.replace(&digest(&lines), &digest(&crafted)).as_bytes());
    workshop.write(LINES, crafted.as_bytes());
    workshop
}

fn replace(bytes: &mut [u8], that: &[u8], this: &[u8]) {
    let at = (0..bytes.len()).find(|at| bytes[*at..].starts_with(that)).unwrap();
    bytes[at..at + this.len()].copy_from_slice(this);
}

/// What a batch never signs, whoever began it: another role, another name, another device.
#[test]
fn key84_a_begun_batch_signs_credentials_of_its_devices_only() {
    // Role service, in the place of device.
    let cases: [(&[u8], &[u8]); 3] = [
        (b"\x3a\x00\x01\x11\x70\x04", b"\x3a\x00\x01\x11\x70\x03"),
        (b"\x02\x66A-0001", b"\x02\x66A-9001"),
        (b"\x03\x81\x66A-0001", b"\x03\x81\x66A-9001"),
    ];
    for (that, this) in cases {
        refuse_begun_with(|_, bytes| replace(bytes, that, this));
    }
}

/// Nor one for another key, vendor or class than its entry says, or under another issuing key.
#[test]
fn key84_a_begun_batch_says_what_its_entry_says() {
    let workshop = factory();
    workshop.ok(&split(BATCH));
    let lines = String::from_utf8(workshop.read(LINES)).unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let entry = String::from_utf8(workshop.read(ENTRY)).unwrap();
    let vendor = entry.split_once("\"vendor\": \"").unwrap().1.split('"').next().unwrap();
    let id = |text: &str| hex::decode(text.replace('-', "")).unwrap();
    for that in [id(vendor), id(first["class"].as_str().unwrap())] {
        let mut other = that.clone();
        *other.last_mut().unwrap() ^= 1;
        refuse_begun_with(|_, bytes| replace(bytes, &that, &other));
    }
    // What is in a file of a public key is its last 32 bytes.
    let point = |workshop: &Workshop, name| workshop.read(name).split_off(10);
    refuse_begun_with(|workshop, bytes| {
        replace(bytes, &point(workshop, "one.cose"), &point(workshop, "two.cose"));
    });
    // The kid of the line is in the header too, which has to be that of its key.
    refuse_begun_with(|workshop, bytes| {
        let line = workshop.ok(&split("key public line.cose"))["kid"].as_str().unwrap().to_owned();
        let kid = id(&line);
        let at = (0..bytes.len()).rfind(|at| bytes[*at..].starts_with(&kid)).unwrap();
        bytes[at] ^= 1;
    });
}

fn refuse_begun_with(change: impl FnOnce(&Workshop, &mut Vec<u8>)) {
    let workshop = begun_with(change);
    for line in [BATCH, "ledger finish line-ledger --key line.pem"] {
        assert_eq!(workshop.refused(&split(line)), ("ledger-damaged".into(), 5), "{line}");
    }
    assert!(!workshop.path("line-ledger/000002-devices.cwt").exists());
}

/// Of a batch that the ledger takes, everything but the cti is what the command would make at the time of its entry.
#[test]
fn key84_a_begun_batch_is_what_the_command_would_make() {
    let workshop = begun_with(|_, _| {});
    assert_eq!(workshop.ok(&split(BATCH))["went_on"], true);
    let later = |_: &Workshop, bytes: &mut Vec<u8>| {
        let at = (0..bytes.len()).find(|at| bytes[*at..].starts_with(b"\x06\x1a")).unwrap();
        bytes[at + 2] += 1;
    };
    let issuer = |_: &Workshop, bytes: &mut Vec<u8>| replace(bytes, b"\x01\x66line-1", b"\x01\x66line-2");
    for workshop in [begun_with(later), begun_with(issuer)] {
        assert_eq!(workshop.refused(&split(BATCH)), ("batch-differs".into(), 4));
        assert!(!workshop.path("line-ledger/000002-devices.cwt").exists());
        // Given up, it is made anew.
        workshop.ok(&split("ledger void line-ledger --reason unknown"));
        assert_eq!(workshop.ok(&split(BATCH))["ledger_entry"], 4);
    }
}

/// Something else in the place of a file of a ledger is refused, and not waited for.
#[test]
fn key85_a_pipe_in_a_ledger_is_not_waited_for() {
    for name in [LINES, ENTRY, "line-ledger/000002-devices.cwt", "line-ledger/head.json"] {
        let workshop = factory();
        workshop.ok(&split(BATCH));
        std::fs::remove_file(workshop.path(name)).unwrap();
        assert!(Command::new("mkfifo").arg(workshop.path(name)).status().unwrap().success());
        let run = within_seconds(&workshop, "ledger verify line-ledger --anchor line.cose");
        assert_eq!(run.refusal(), ("ledger-damaged".into(), 5), "{name}");
        assert!(run.object()["error"]["message"].as_str().unwrap().contains("is a pipe"), "{run:?}");
    }
}

/// With --json; whoever waits for a pipe is ended, with an exit code that no test expects.
fn within_seconds(workshop: &Workshop, line: &str) -> Run {
    let mut command = Command::new("timeout");
    command.current_dir(workshop.path("")).arg("20").arg(env!("CARGO_BIN_EXE_manifest-tool")).arg("--json");
    command.args(split(line));
    finish(command)
}

/// Whoever has a root's key as a device's would have it certified by the line.
#[test]
fn key93_no_device_has_the_key_of_the_root() {
    let workshop = factory();
    for (file, more, code) in [
        ("root.cose", "--anchor root.cose", "credential-for-anchor"),
        // The ledger of the line knows the root of its domain.
        ("root.cose", "", "key-has-role"),
        ("line.cose", "", "credential-for-anchor"),
    ] {
        workshop.write("devices.csv", format!("serial,public_key\nA-0001,{file}\n").as_bytes());
        let line = "provision --devices devices.csv --vendor anchorage.example --class demo-node --issuing line.cwt --key line.pem \
                    --ledger line-ledger --out-dir batch";
        let refused = workshop.refused(&split(&format!("{line} {more}")));
        assert_eq!(refused.0, code, "{file} {more}");
        let listed = workshop.ok(&split("ledger list line-ledger"));
        assert_eq!(listed["entries"].as_array().map(Vec::len), Some(1), "{}", json!(file));
    }
}
