//! How much the batches of a ledger may hold together.

use std::fs::File;

use ledger::{DeviceLine, Ledger, MAX_BATCHES_LEN};

use crate::desk::{Desk, context};

const UUID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

fn line(serial: &str) -> DeviceLine {
    let class = UUID.to_owned();
    DeviceLine {
        serial: serial.into(),
        node_address: 1,
        class,
        sequence_floor: 0,
        kid: None,
        key_check: None,
        to_be_signed: None,
    }
}

/// Gives the lines of a batch this length, without a byte on the disk.
fn stretch(desk: &Desk, number: u64, len: u64) -> std::path::PathBuf {
    let path = desk.path().join(format!("{number:06}-devices.jsonl"));
    File::options().write(true).open(&path).unwrap().set_len(len).unwrap();
    path
}

/// Refused before any of them is read, and before another one is written.
#[test]
fn the_batches_of_a_ledger_have_a_limit_together() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    for number in 2..7 {
        let lines = vec![line(&format!("A-{number}"))];
        assert_eq!(writer.append_devices(UUID.into(), vec![], lines, &context(11)).unwrap(), number);
    }
    let each = MAX_BATCHES_LEN / 5;
    for number in 2..7 {
        stretch(&desk, number, each);
    }
    let full = writer.append_devices(UUID.into(), vec![], vec![line("B")], &context(12)).unwrap_err();
    assert_eq!(full.code(), "ledger-full", "{full}");
    assert!(
        !desk.path().join("000007-devices.jsonl").exists()
            && !desk.path().join("000007-devices.json").exists()
    );
    drop(writer);
    stretch(&desk, 2, each + 5);
    let full = Ledger::open(&desk.path()).unwrap_err();
    assert_eq!(full.code(), "ledger-full", "{full}");
    assert!(full.to_string().contains("536870912"), "{full}");
    // Below the limit each file is held against its digest.
    stretch(&desk, 2, 100);
    assert_eq!(Ledger::open(&desk.path()).unwrap_err().code(), "ledger-damaged");
}

/// A key-check value is of 2 to 6 bytes: what is longer may be a key.
#[test]
fn sym27_a_line_of_a_ledger_has_no_room_for_a_key() {
    let desk = Desk::new();
    let mut writer = desk.begin();
    let with = |check: &str| vec![DeviceLine { key_check: Some(check.into()), ..line("A") }];
    for wrong in [
        "",
        "update",
        "update=",
        "update=a1",
        "update=a1b",
        "update=a1b2c",
        "=a1b2c3",
        "Update=a1b2c3",
        "update2=a1b2c3",
        "cldakfbffjmomflla=a1b2c3",
        "update=A1B2C3D4E5",
        "update=a1b2c3d4e5f607",
        "update=2b20a515f9cec5b0d12d7272ff8bae51",
        "2b20a515f9cec5b0d12d7272ff8bae51=a1b2c3",
        "a=2b20a515f9ce b=c5b0d12d7272 c=ff8bae51",
        "update=a1b2c3d4e5  b=a1b2",
        " update=a1b2c3d4e5",
    ] {
        assert!(writer.append_devices(UUID.into(), vec![], with(wrong), &context(11)).is_err(), "{wrong}");
    }
    for (right, number) in [("update=a1b2c3d4e5", 2), ("a=a1b2c3d4e5f6 b=a1b2c3d4e5f6", 3)] {
        assert_eq!(writer.append_devices(UUID.into(), vec![], with(right), &context(12)).unwrap(), number);
    }
    drop(writer);
    let ledger = Ledger::open(&desk.path()).unwrap();
    let checks: Vec<_> = ledger.devices().map(|(_, _, line)| line.key_check.clone().unwrap()).collect();
    assert_eq!(checks, ["update=a1b2c3d4e5", "a=a1b2c3d4e5f6 b=a1b2c3d4e5f6"]);
}
