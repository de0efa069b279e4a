//! Devices that `provision --known` knows from ledgers and credentials.

use std::process::Command;

use serde_json::json;

use super::identity::{BATCH, factory};
use super::workshop::{Workshop, split};

fn copy(workshop: &Workshop, from: &str, to: &str) {
    let status = Command::new("cp").arg("-r").arg(workshop.path(from)).arg(workshop.path(to)).status();
    assert!(status.unwrap().success());
}

/// The refusal of a command that changes nothing, and its message.
fn refused(workshop: &Workshop, line: &str) -> (String, String) {
    let before = workshop.snapshot();
    let run = workshop.run(&[&["--json"], &split(line)[..]].concat());
    assert!(workshop.snapshot() == before, "{line}");
    (run.refusal().0, run.object()["error"]["message"].as_str().unwrap().to_owned())
}

/// Cut before the signatures, or before the files: the copy in the office has the batch too.
#[test]
fn a_batch_goes_on_whatever_copies_of_its_ledger_are_known() {
    let workshop = factory();
    workshop.ok(&split(BATCH));
    copy(&workshop, "line-ledger", "office");
    copy(&workshop, "batch/A-0001.cwt", "first.cwt");
    let again = format!("{BATCH} --known office --known line-ledger --known first.cwt");
    for lost in ["line-ledger/000002-devices.cwt", "office/000002-devices.cwt", "batch/B%2F0003.block"] {
        std::fs::remove_file(workshop.path(lost)).unwrap();
        let made = workshop.ok(&split(&again));
        assert_eq!((&made["went_on"], &made["ledger_entry"]), (&json!(true), &json!(2)), "{lost}");
    }
    workshop.ok(&split("ledger finish office --key line.pem"));
    // The copy went on by itself, and has one of them in a batch of its own.
    workshop.write("one.csv", b"serial,node,public_key\nA-0001,16,thief.cose\n");
    let other = BATCH.replace("devices.csv", "one.csv").replace("--out-dir batch", "--out-dir other");
    workshop.ok(&split(&format!("{} --again", other.replace("--ledger line-ledger", "--ledger office"))));
    let (code, message) = refused(&workshop, &again);
    assert_eq!(code, "device-known");
    assert_eq!(message, "the serial A-0001 is in entry 3 of the ledger of line-1 already");
}

/// A credential names a device and its key as a ledger does.
#[test]
fn a_device_of_a_credential_is_not_made_again_and_keeps_its_key() {
    let workshop = factory();
    let known = "provision --vendor anchorage.example --class demo-node --anchor root.cose --issuing line.cwt --key line.pem";
    let one = |serial: &str, key: &str, more: &str| {
        format!(
            "{known} --serial {serial} --device-key {key}.cose --out {serial}.block --credential-out {serial}.cwt --no-ledger {more}"
        )
    };
    workshop.ok(&split(&one("A-0001", "one", "")));
    std::fs::rename(workshop.path("A-0001.cwt"), workshop.path("first.cwt")).unwrap();
    std::fs::remove_file(workshop.path("A-0001.block")).unwrap();
    for (serial, key, what) in [
        ("A-0001", "two", "the serial A-0001"),
        ("A-0001", "one", "the serial A-0001"),
        ("a-0001", "two", "the serial a-0001, in another case as A-0001,"),
        ("B-0002", "one", "the key of B-0002, as that of A-0001,"),
    ] {
        let found = refused(&workshop, &one(serial, key, "--known first.cwt"));
        assert_eq!(found, ("device-known".into(), format!("{what} is in a credential of first.cwt already")));
    }
    // Whoever means it may make the device again, without a ledger; but no other one with its key.
    let refused = refused(&workshop, &one("B-0002", "one", "--known first.cwt --again"));
    assert_eq!(refused.0, "device-known");
    workshop.ok(&split(&one("A-0001", "one", "--known first.cwt --again")));
    workshop.ok(&split(&one("B-0002", "two", "--known first.cwt")));
    assert_eq!(workshop.refused(&split(&one("C-0003", "thief", "--again"))), ("usage".into(), 2));
}

/// Without a ledger of its own a line still knows the devices of others.
#[test]
fn a_device_of_another_ledger_is_made_again_without_a_ledger() {
    let workshop = factory();
    workshop.ok(&split(BATCH));
    let other = BATCH.replace("--ledger line-ledger", "--no-ledger --known line-ledger");
    let other = other.replace("--out-dir batch", "--out-dir other");
    assert_eq!(workshop.refused(&split(&other)), ("device-known".into(), 4));
    workshop.ok(&split(&format!("{other} --again")));
}
