//! Updates of a configuration table (docs/tables.md).

use serde_json::{Value, json};
use update_protocol::profile::{ImageState, Object};
use update_protocol::uds::Nrc;

use crate::fake::{After, Asked, FakeDevice, Script};
use crate::fake_table::Table;
use crate::made::{TABLE, TABLE_SEQUENCE};
use crate::revocation::warnings;
use crate::{Bench, Ended};

impl Bench {
    /// Manifest digest of `table.suit`.
    fn table_digest(&self) -> [u8; 32] {
        *suit_manifest::author::inspect(&self.made.read("table.suit")).unwrap().digest()
    }

    /// A device with an older table.
    pub(crate) fn with_table(&self, change: impl FnOnce(&mut Table, &mut Script)) -> FakeDevice {
        self.device(|script| {
            let size = u32::try_from(TABLE.len()).unwrap();
            let mut table = Table::good(TABLE_SEQUENCE - 1, self.table_digest(), size);
            change(&mut table, script);
            script.table = Some(table);
        })
    }

    pub(crate) fn update_table(&self, more: &[&str]) -> Ended {
        let given = ["update", "--release", "table.suit", "--image", "table.bin", "--confirm-timeout", "1s"];
        self.run(&[&given[..], &["--anchor", "root.cose", "--yes"], more].concat())
    }
}

#[test]
fn a_table_is_installed_beside_the_firmware() {
    let bench = Bench::new();
    let device = bench.with_table(|_, _| ());
    let ended = bench.update_table(&[]);
    ended.is_result("confirmed", 0);
    assert_eq!(ended.last["target"], "table");
    assert_eq!(ended.last["before"], json!({"version": null, "sequence": 2}));
    assert_eq!(ended.last["after"], json!({"version": "limits 3", "sequence": 3}));
    assert_eq!(ended.last["bytes_sent"], TABLE.len());
    assert_eq!(
        device.asked(),
        [
            Asked::Programming,
            Asked::OfTable(Object::Envelope, bench.made.read("table.suit")),
            Asked::OfTable(Object::Image { offset: 0 }, TABLE.to_vec()),
            Asked::Reset,
        ]
    );
    let plan: Value = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|event: &Value| event["event"] == "plan")
        .unwrap();
    assert_eq!((&plan["target"], &plan["image_size"]), (&json!("table"), &json!(TABLE.len())));
    // Once more, and there is nothing to do.
    let again = bench.update_table(&[]);
    again.is_result("up-to-date", 0);
    assert_eq!(device.asked().len(), 4);
    let words = bench.command(&["info"]).output().unwrap();
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(
        words.contains("table               table 3") && words.contains("table floor         2"),
        "{words}"
    );
    let info = bench.run(&["info"]).last;
    assert_eq!(
        (&info["sequence"], &info["table"]["sequence"], &info["table"]["image"]),
        (&json!(4), &json!(3), &json!("confirmed"))
    );
}

/// The first table of a device, and what people are told.
#[test]
fn people_read_of_a_table_and_not_of_an_image() {
    let bench = Bench::new();
    let _device = bench.with_table(|table, _| {
        (table.sequence, table.floor, table.image) = (0, 0, ImageState::None);
        (table.digest, table.before, table.next_sequence) = ([0; 32], (0, [0; 32]), 3);
    });
    let words = |arguments: &[&str]| {
        let output = bench.command(arguments).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let scan = words(&["scan"]).0;
    assert!(scan.contains("no table yet"), "{scan}");
    let (out, plan) = words(&[
        "update",
        "--release",
        "table.suit",
        "--image",
        "table.bin",
        "--anchor",
        "root.cose",
        "--yes",
        "--confirm-timeout",
        "1s",
    ]);
    assert!(plan.contains("Has table  nothing") && plan.contains("Table      "), "{plan}");
    assert!(out.contains("FAKE-1 uses the table limits 3 (sequence number 3) and has confirmed it"), "{out}");
    let scan = words(&["scan"]).0;
    assert!(scan.contains("4.0.0") && scan.contains("table 3"), "{scan}");
}

#[test]
fn an_interrupted_table_is_resumed() {
    let bench = Bench::new();
    let device = bench.with_table(|table, _| (table.is_resumable, table.resume_offset) = (true, 16));
    let ended = bench.update_table(&[]);
    ended.is_result("confirmed", 0);
    assert_eq!(
        (&ended.last["resumed_from"], &ended.last["bytes_sent"]),
        (&json!(16), &json!(TABLE.len() - 16))
    );
    let rest = Asked::OfTable(Object::Image { offset: 16 }, TABLE[16..].to_vec());
    assert!(device.asked().contains(&rest), "{:?}", device.asked());
    // Further than the table is long.
    drop(device);
    let _device = bench.with_table(|table, _| (table.is_resumable, table.resume_offset) = (true, 99));
    bench.update_table(&[]).is_error("device-answer", 7);
}

#[test]
fn a_table_that_is_not_confirmed_is_reverted() {
    let bench = Bench::new();
    {
        let _device = bench.with_table(|table, _| table.after = After::StaysOnTrial);
        let ended = bench.update_table(&[]);
        ended.is_result("trial", 7);
        assert_eq!(ended.last["after"]["sequence"], 3);
        let scan = bench.run(&["scan"]).last;
        assert_eq!(scan["devices"][0]["table"]["image"], "trial");
        // The same command again waits, and may end it.
        let again = bench.update_table(&["--revert-unconfirmed"]);
        again.is_result("reverted", 7);
        assert_eq!(
            (&again.last["reason"], &again.last["after"]["sequence"]),
            (&json!("trial-not-confirmed"), &json!(2))
        );
    }
    let _device = bench.with_table(|table, _| table.after = After::Reverts);
    let ended = bench.update_table(&[]);
    ended.is_result("reverted", 7);
    assert_eq!(ended.last["reason"], "trial-not-confirmed");
}

/// Its own floor is that of before until the loader confirms it, at the next start: that comes before any release.
#[test]
fn host57_after_a_release_of_both_no_older_table_is_sent() {
    let bench = Bench::new();
    let device = bench.with_table(|table, script| {
        (table.image, table.sequence, table.floor) =
            (ImageState::Trial, TABLE_SEQUENCE + 1, TABLE_SEQUENCE - 1);
        table.digest = script.active_digest;
    });
    let table = &bench.run(&["info"]).last["table"];
    assert_eq!(
        (&table["image"], &table["sequence_floor"]),
        (&json!("confirmed"), &json!(TABLE_SEQUENCE + 1))
    );
    bench.update_table(&[]).is_error("sequence-rollback", 6);
    assert_eq!(device.asked(), []);
    drop(device);
    // One on trial by itself may go back.
    let _device = bench.with_table(|table, _| {
        (table.image, table.sequence, table.floor) =
            (ImageState::Trial, TABLE_SEQUENCE + 1, TABLE_SEQUENCE - 1);
    });
    let table = &bench.run(&["info"]).last["table"];
    assert_eq!((&table["image"], &table["sequence_floor"]), (&json!("trial"), &json!(TABLE_SEQUENCE - 1)));
}

/// A reset for the one ends the trial of the other: the person is told before.
#[test]
fn a_trial_of_the_other_component_is_named() {
    let bench = Bench::new();
    let warning = |ended: &Ended| {
        let events = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut warnings = events.filter(|event| event["code"] == "on-trial");
        warnings.next().and_then(|event| event["message"].as_str().map(str::to_owned)).unwrap_or_default()
    };
    {
        let _device = bench.with_table(|_, script| script.is_on_trial = true);
        assert!(warning(&bench.update_table(&[])).contains("its active image"));
    }
    let _device = bench.with_table(|table, _| table.image = ImageState::Trial);
    assert!(warning(&bench.update(&[])).contains("its active table"));
}

#[test]
fn host47_a_table_for_a_device_that_does_not_take_it_is_never_sent() {
    let bench = Bench::new();
    {
        let device = bench.device(|_| ());
        bench.update_table(&[]).is_error("component-unsupported", 5);
        bench.run(&["abandon", "--table"]).is_error("component-unsupported", 5);
        assert_eq!(device.asked(), []);
        // Whoever wants to see the device refuse it sends it as firmware.
        bench.update_table(&["--dangerous-skip-host-checks"]);
        assert!(device.asked().contains(&Asked::Object(Object::Envelope, bench.made.read("table.suit"))));
    }
    let device = bench.with_table(|table, _| table.floor = 4);
    let rollback = bench.update_table(&[]);
    rollback.is_error("sequence-rollback", 6);
    let message = rollback.last["error"]["message"].as_str().unwrap();
    assert!(message.contains("has the table of sequence number 2, and takes nothing below 4"), "{message}");
    drop(device);
    let device = bench.with_table(|table, _| table.capacity = 8);
    bench.update_table(&[]).is_error("image-too-large", 5);
    drop(device);
    let device = bench.with_table(|_, _| ());
    let given = |release: &str, image: &str| {
        bench.run(&["update", "--release", release, "--image", image, "--anchor", "root.cose", "--yes"])
    };
    given("foreign.suit", "table.bin").is_error("device-mismatch", 5);
    given("table.suit", "image.bin").is_error("image-digest-mismatch", 5);
    assert_eq!(device.asked(), []);
}

#[test]
fn host47_a_table_that_says_nonsense_of_itself_is_no_table() {
    let bench = Bench::new();
    for raw in [vec![], vec![1; 111], vec![2; 112], vec![1; 4000]] {
        let device = bench.with_table(|table, _| table.raw = Some(raw.clone()));
        bench.run(&["info", "--node", "0x10"]).is_error("device-answer", 7);
        bench.update_table(&["--node", "0x10"]).is_error("device-answer", 7);
        assert_eq!(device.asked(), [], "{} bytes", raw.len());
        drop(device);
    }
}

/// Each has the floor, the room and the install of its own.
#[test]
fn host48_the_state_of_the_firmware_decides_nothing_for_a_table() {
    let bench = Bench::new();
    // The table's number is below the floor of the firmware, and the firmware's above that of the table.
    let device = bench.with_table(|table, script| {
        script.active_sequence = 4;
        (table.floor, table.capacity) = (0, 64);
    });
    bench.update_table(&[]).is_result("confirmed", 0);
    bench.update(&[]).is_result("confirmed", 0);
    let asked = device.asked();
    assert!(asked.contains(&Asked::Object(Object::Envelope, bench.made.read("release.suit"))));
    assert_eq!(asked.iter().filter(|asked| matches!(asked, Asked::OfTable(..))).count(), 2);
}

/// The reason of a refusal is that of the component.
#[test]
fn a_refusal_of_a_table_has_its_own_reason() {
    let bench = Bench::new();
    for (object, nrc, reason, slug) in [
        (Object::Envelope, Nrc::SECURITY_ACCESS_DENIED, 0x010a, "credential-revoked"),
        (Object::Image { offset: 0 }, Nrc::GENERAL_PROGRAMMING_FAILURE, 0x0309, "flash-failed"),
    ] {
        let device = bench.with_table(|table, script| {
            table.refuses = Some((object, nrc, reason));
            script.old_reason = 0x030f;
        });
        bench.update_table(&[]).is_error(slug, 7);
        drop(device);
    }
    // It has it, whatever it said before; what else was on its way is dropped.
    let device = bench.with_table(|table, _| {
        table.refuses = Some((Object::Envelope, Nrc::CONDITIONS_NOT_CORRECT, 0x0319));
        table.is_resumable = true;
    });
    let ended = bench.update_table(&[]);
    ended.is_result("up-to-date", 0);
    assert_eq!((&ended.last["target"], warnings(&ended).as_slice()), (&json!("table"), &[][..]));
    let asked = device.asked();
    assert_eq!(asked[asked.len() - 2..], [Asked::AbandonTable, Asked::Reset]);
}

#[test]
fn an_install_of_a_table_is_abandoned() {
    let bench = Bench::new();
    let device = bench.with_table(|table, _| table.is_resumable = true);
    bench.run(&["abandon"]).is_result("nothing-to-abandon", 0);
    assert_eq!(device.asked(), []);
    bench.run(&["abandon", "--table"]).is_result("abandoned", 0);
    assert_eq!(device.asked(), [Asked::Programming, Asked::AbandonTable, Asked::Reset]);
    bench.run(&["abandon", "--table"]).is_result("nothing-to-abandon", 0);
}

/// What a command says to people.
fn said(bench: &Bench, arguments: &[&str]) -> String {
    let output = bench.command(&[&["--patience", "2s"], arguments].concat()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Nobody is interrupted for nothing, in the loader neither, and each is told of the other.
#[test]
fn nothing_is_abandoned_that_is_not_there() {
    let bench = Bench::new();
    let device = bench.with_table(|_, script| script.stays_for = Some(0x030f));
    bench.run(&["abandon"]).is_result("nothing-to-abandon", 0);
    let ended = bench.run(&["abandon", "--table"]);
    ended.is_result("nothing-to-abandon", 0);
    assert_eq!(ended.last["target"], "table");
    assert_eq!(device.asked(), []);
    drop(device);
    let device = bench.with_table(|table, _| table.image = ImageState::Pending);
    let words = said(&bench, &["abandon"]);
    assert!(
        words.contains("no install of its image in progress") && words.contains("--table drops it"),
        "{words}"
    );
    let words = said(&bench, &["abandon", "--table"]);
    assert!(words.contains("the table that waited for a reset is dropped"), "{words}");
    drop(device);
}

/// docs/tables.md: nothing would try it.
#[test]
fn host48_a_table_for_a_device_without_firmware_is_not_sent() {
    let bench = Bench::new();
    let device = bench.with_table(|_, script| script.stays_for = Some(0x0301));
    bench.update_table(&[]).is_error("nothing-bootable", 7);
    assert_eq!(device.asked(), []);
}

/// What is installed beside starts with the same reset.
#[test]
fn what_waits_beside_a_release_is_told_before() {
    let bench = Bench::new();
    let device = bench.with_table(|_, script| script.is_pending = true);
    let ended = bench.update_table(&[]);
    assert!(warnings(&ended).contains(&"pending".to_owned()), "{}", ended.stdout);
    drop(device);
}

/// What the table of reasons says of an image is said of a table in its words.
#[test]
fn a_table_that_does_not_match_is_no_image() {
    let bench = Bench::new();
    let _device = bench.with_table(|_, _| ());
    std::fs::write(bench.made.folder().join("table.bin"), b"another").unwrap();
    let ended = bench.update_table(&[]);
    ended.is_error("image-digest-mismatch", 5);
    let message = ended.last["error"]["message"].as_str().unwrap();
    assert!(message.contains("the table does not match") && !message.contains("image"), "{message}");
}

#[test]
fn a_bundle_that_is_not_there_is_called_by_its_own_name() {
    let bench = Bench::new();
    let _device = bench.device(|_| ());
    let ended = bench.run(&["update", "--yes", "--bundle", "absent", "--anchor", "root.cose"]);
    ended.is_error("file-read", 3);
    let message = ended.last["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("absent") && !message.contains(".suit") && message.contains("no folder"),
        "{message}"
    );
}

/// The device has no name for it, and its release has.
#[test]
fn a_table_that_is_in_use_already_has_the_version_of_its_release() {
    let bench = Bench::new();
    let _device = bench.with_table(|table, _| table.digest = table.manifest_digest);
    let ended = bench.update_table(&[]);
    ended.is_result("up-to-date", 0);
    assert_eq!(ended.last["after"]["version"], "limits 3");
}

/// What waits is there as a whole, and a lost journal is no missing table.
#[test]
fn the_state_of_a_table_is_told_in_words() {
    let bench = Bench::new();
    let device = bench.with_table(|table, _| table.image = ImageState::Pending);
    let words = said(&bench, &["info"]);
    assert!(words.contains(&format!("all {} bytes", TABLE.len())) && !words.contains("0 of"), "{words}");
    drop(device);
    let _device = bench.with_table(|table, _| {
        (table.image, table.sequence, table.digest) = (ImageState::None, 0, [0; 32]);
        table.reason = suit_manifest::reason::Reason::JournalCorrupt.code();
    });
    let words = said(&bench, &["scan"]);
    assert!(words.contains("table LOST") && !words.contains("no table yet"), "{words}");
}

#[test]
fn a_damaged_table_is_called_so() {
    let bench = Bench::new();
    let device = bench.with_table(|table, _| table.image = ImageState::None);
    let words = said(&bench, &["info"]);
    assert!(
        words.contains("table 2 DAMAGED") && words.contains("Run the update of the table again"),
        "{words}"
    );
    assert!(said(&bench, &["scan"]).contains("table 2 DAMAGED"));
    drop(device);
    let _without = bench.device(|_| ());
    assert!(said(&bench, &["info"]).contains("none: the device keeps none"));
}
