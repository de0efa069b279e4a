//! `provision --keys update,authentication`: devices that use no public keys, and those that have both.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use trust::provisioning::ProvisioningBlock;

use super::cuts::kill_everywhere;
use super::encrypt::{MASTER, secret};
use super::identity::{BATCH, factory};
use super::workshop::{Workshop, split};

/// Serials with their authentication keys of line one out of [`MASTER`], as Python derives them: key, kid, check, and the
/// check of the update key.
pub(super) const DEVICES: [[&str; 5]; 2] = [
    [
        "A-0001",
        "8bde52101a4c81f9d429e723ce95a69deb6fd12d52ace34acf9bd11518468751",
        "0db5d2ece6f0730c",
        "7a562e24a3",
        "488c59c1c1",
    ],
    [
        "B/0003",
        "d48cedbde487345abbba7f0412283386e748b47130a24586dd3695830c7e83d0",
        "159f7223979f2949",
        "b3665fffbf",
        "4b5860e825",
    ],
];
/// A batch of devices that use no public keys.
pub(super) const PLAIN: &str = "provision --devices plain.csv --vendor anchorage.example --class demo-node --no-ledger --out-dir batch \
    --master master.key --line one --keys update,authentication";

/// A line that has nothing but a master key.
pub(super) fn line_of_master() -> Workshop {
    let workshop = Workshop::new();
    secret(&workshop, "master.key", MASTER);
    secret(&workshop, "other.key", &MASTER[32..]);
    workshop.write("plain.csv", b"serial,node\nA-0001,16\nB/0003,18\n");
    workshop
}

fn block_file(serial: &str) -> String {
    format!("batch/{}.block", serial.replace('/', "%2F"))
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

#[test]
fn sym27_devices_without_public_keys_have_both_keys_in_their_blocks_and_nowhere_else() {
    let workshop = line_of_master();
    let run = workshop.run(&[&["--json"], &split(PLAIN)[..]].concat());
    assert_eq!(run.exit, 0, "{run:?}");
    let made = run.object();
    assert_eq!(
        (&made["keys"], &made["anchors"], &made["ledger_entry"]),
        (&json!(["update", "authentication"]), &json!([]), &Value::Null)
    );
    let list = String::from_utf8(workshop.read("batch/devices.csv")).unwrap();
    for (device, [serial, key, kid, check, update]) in made["devices"].as_array().unwrap().iter().zip(DEVICES)
    {
        let file = block_file(serial);
        let (block, keys) = ProvisioningBlock::parse_with_keys(&workshop.read(&file)).unwrap();
        let (held, authentication) = keys.authentication().unwrap();
        assert_eq!((hex::encode(held.0), hex::encode(authentication)), (kid.into(), key.into()), "{serial}");
        assert!(keys.update().is_some() && block.anchors.as_slice().is_empty(), "{serial}");
        let mode = std::fs::metadata(workshop.path(&file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{serial}");
        let checks = format!("authentication={check} update={update}");
        assert_eq!(device["key_check"], checks.as_str());
        assert!(list.contains(&format!(",{checks}\n")), "{list}");
        let words = workshop.run(&["inspect", &file]).stdout;
        assert!(
            words.contains("without public keys") && words.contains(kid) && !words.contains(key),
            "{words}"
        );
        for (path, content) in workshop.snapshot() {
            let is_own = path.ends_with(&file);
            assert_eq!(contains(&content, &hex::decode(key).unwrap()), is_own, "{}", path.display());
            assert!(!contains(&content, key.as_bytes()), "{}", path.display());
        }
        assert!(!run.stdout.contains(key) && !run.stderr.contains(key));
    }
    let words = workshop.run(&split(PLAIN)).stdout;
    assert!(words.contains("without public keys") && words.contains("update, authentication"), "{words}");
}

/// With anchors, both kinds of releases can be judged; and a ledger of a line takes what it takes of other batches.
#[test]
fn sym28_a_batch_with_both_keys_goes_on_with_both_of_them() {
    let workshop = factory();
    secret(&workshop, "master.key", MASTER);
    secret(&workshop, "other.key", &MASTER[32..]);
    let line = format!("{BATCH} --master master.key --line one --keys update,authentication");
    let entries = || workshop.ok(&split("ledger verify line-ledger"))["entries"].clone();
    let mut went_on = 0;
    let killed = kill_everywhere(&workshop, &line, |what| {
        if entries() == 2 {
            for other in [
                line.replace("master.key", "other.key"),
                line.replace("update,authentication", "update"),
                line.replace("--keys update,authentication", ""),
            ] {
                let run = workshop.run(&[&["--json"], &split(&other)[..]].concat());
                assert_eq!(run.refusal().0, "device-known", "{what}: {other}");
            }
        }
        went_on += u32::from(workshop.ok(&split(&line))["went_on"] == true);
        for [serial, ..] in DEVICES {
            let read = ProvisioningBlock::parse_with_keys(&workshop.read(&block_file(serial)));
            let (block, keys) = read.unwrap();
            assert_eq!(block.anchors.as_slice().len(), 2, "{what}");
            assert!(keys.update().is_some() && keys.authentication().is_some(), "{what}");
        }
    });
    assert!(killed > 15 && went_on > 5, "{killed} {went_on}");
    workshop.ok(&split(&line));
    let ledger = String::from_utf8(workshop.read("line-ledger/000002-devices.jsonl")).unwrap();
    for [_, key, _, check, update] in DEVICES {
        assert!(ledger.contains(&format!("\"key_check\":\"authentication={check} update={update}\"")));
        assert!(!ledger.contains(key));
    }
}

/// Nothing records such a batch but its folder, unless there is a ledger: it takes devices without anchors as well.
#[test]
fn a_batch_without_public_keys_stays_as_it_is_with_a_ledger_and_without() {
    let workshop = line_of_master();
    workshop.ok(&split(PLAIN));
    assert_eq!(workshop.ok(&split(PLAIN))["went_on"], false);
    for other in [
        PLAIN.replace("master.key", "other.key"),
        PLAIN.replace("--keys update,authentication", "--force"),
        format!("{PLAIN} --revision 1 --force"),
    ] {
        assert_eq!(workshop.refused(&split(&other)), ("file-exists".into(), 2), "{other}");
    }
    workshop.key("line");
    workshop.ok(&split("ledger init plain-ledger --key line.pem --name line --holder Eve --kept line"));
    let line = PLAIN.replace("--no-ledger", "--ledger plain-ledger").replace("batch", "other");
    assert_eq!(workshop.ok(&split(&line))["ledger_entry"], 2);
    assert_eq!(workshop.ok(&split(&line))["went_on"], true);
    let without = line.replace("--keys update,authentication", "");
    assert_eq!(workshop.refused(&split(&without)), ("device-known".into(), 4));
}
