//! `provision --master`: devices get their update keys in their blocks, and nobody else gets them.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use trust::provisioning::ProvisioningBlock;

use super::cuts::kill_everywhere;
use super::encrypt::{MASTER, secret};
use super::identity::{BATCH, factory};
use super::workshop::{Workshop, firmware, split};

/// Serials of [`factory`], with the update keys of line one out of [`MASTER`], as Python derives them: key, kid and check.
const DEVICES: [[&str; 4]; 3] = [
    ["A-0001", "2b20a515f9cec5b0d12d7272ff8bae51", "770c9c0eaf157da6", "488c59c1c1"],
    ["A-0002", "a557f9408383892ca362985734024634", "6db00b24e52a9526", "d4865530f4"],
    ["B/0003", "4a76842e47c974a26fb24493388c5d58", "43e74428bedb04dc", "4b5860e825"],
];
const ONE: &str = "provision --serial A-0001 --vendor anchorage.example --class demo-node --anchor root.cose --out one.block \
    --master master.key --line one";

fn line_with_master() -> (Workshop, String) {
    let workshop = factory();
    secret(&workshop, "master.key", MASTER);
    secret(&workshop, "other.key", &MASTER[32..]);
    (workshop, format!("{BATCH} --master master.key --line one"))
}

fn mode(workshop: &Workshop, name: &str) -> u32 {
    std::fs::metadata(workshop.path(name)).unwrap().permissions().mode() & 0o777
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

fn entries(workshop: &Workshop) -> Value {
    workshop.ok(&split("ledger verify line-ledger"))["entries"].clone()
}

#[test]
fn sym27_a_batch_has_its_keys_in_its_blocks_and_nowhere_else() {
    let (workshop, line) = line_with_master();
    let run = workshop.run(&[&["--json"], &split(&line)[..]].concat());
    assert_eq!(run.exit, 0, "{run:?}");
    let made = run.object();
    let list = String::from_utf8(workshop.read("batch/devices.csv")).unwrap();
    let ledger = String::from_utf8(workshop.read("line-ledger/000002-devices.jsonl")).unwrap();
    for (device, [serial, key, kid, check]) in made["devices"].as_array().unwrap().iter().zip(DEVICES) {
        let file = format!("batch/{}.block", serial.replace('/', "%2F"));
        let block = workshop.read(&file);
        let (_, keys) = ProvisioningBlock::parse_with_keys(&block).unwrap();
        let (held, update) = keys.update().unwrap();
        assert_eq!(
            (hex::encode(held.0), hex::encode(update.as_bytes())),
            (kid.into(), key.into()),
            "{serial}"
        );
        assert_eq!(mode(&workshop, &file), 0o600);
        let check = format!("update={check}");
        assert_eq!(device["key_check"], check.as_str());
        assert!(
            list.contains(&format!(",{check}\n")) && ledger.contains(&format!("\"key_check\":\"{check}\""))
        );
        let shown = workshop.ok(&["inspect", &file]);
        assert_eq!(shown["keys"], json!([{"purpose": "update", "kid": kid, "revision": 0}]));
        let words = workshop.run(&["inspect", &file]);
        assert!(words.stdout.contains(kid) && !words.stdout.contains(key), "{words:?}");
        assert_eq!(workshop.refused(&["inspect", "--edn", &file]), ("usage".into(), 2));
        for (path, content) in workshop.snapshot() {
            let is_own = path.ends_with(&file);
            assert_eq!(contains(&content, &hex::decode(key).unwrap()), is_own, "{}", path.display());
            assert!(!contains(&content, key.as_bytes()), "{}", path.display());
        }
        assert!(!run.stdout.contains(key) && !run.stderr.contains(key));
    }
    // The same again goes on, with the same keys.
    let blocks = || {
        workshop.snapshot().into_iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "block"))
    };
    let before: Vec<_> = blocks().collect();
    assert_eq!(workshop.ok(&split(&line))["went_on"], true);
    assert_eq!(blocks().collect::<Vec<_>>(), before);
}

/// What the line made is what releases are encrypted for.
#[test]
fn a_release_is_encrypted_for_the_devices_of_a_batch() {
    let (workshop, line) = line_with_master();
    workshop.ok(&split(&line));
    workshop.write("firmware.bin", &firmware());
    workshop.ok(&split(
        "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 2 --version 2 --out u.suit --image-out i",
    ));
    let encrypt = "encrypt u.suit --image i --master master.key --devices batch/devices.csv --out e.suit --ciphertext-out e.enc";
    assert_eq!(workshop.refused(&split(&format!("{encrypt} --line two"))), ("key-check-differs".into(), 4));
    let made = workshop.ok(&split(&format!("{encrypt} --line one")));
    let kids: Vec<&str> =
        made["recipients"].as_array().unwrap().iter().map(|one| one["kid"].as_str().unwrap()).collect();
    assert_eq!(kids, DEVICES.map(|[_, _, kid, _]| kid));
}

/// Of two keys for one device, nobody would know which one it has.
#[test]
fn sym28_a_batch_goes_on_with_its_own_keys_alone() {
    let (workshop, line) = line_with_master();
    let mut went_on = 0;
    let killed = kill_everywhere(&workshop, &line, |what| {
        if entries(&workshop) == 2 {
            let other = line.replace("master.key", "other.key");
            assert_eq!(
                workshop.run(&[&["--json"], &split(&other)[..]].concat()).refusal().0,
                "device-known",
                "{what}"
            );
        }
        let made = workshop.ok(&split(&line));
        went_on += u32::from(made["went_on"] == true);
        for [serial, ..] in DEVICES {
            let file = format!("batch/{}.block", serial.replace('/', "%2F"));
            assert_eq!(mode(&workshop, &file), 0o600, "{what}");
        }
    });
    assert!(killed > 15 && went_on > 5, "{killed} {went_on}");
    workshop.ok(&split(&line));
    for other in [
        line.replace("master.key", "other.key"),
        line.replace("--line one", "--line two"),
        format!("{line} --derivation cmac"),
        format!("{line} --revision 1"),
        BATCH.to_owned(),
    ] {
        assert_eq!(workshop.refused(&split(&other)), ("device-known".into(), 4), "{other}");
    }
}

#[test]
fn sym28_a_block_with_a_key_is_replaced_by_nothing() {
    let (workshop, _) = line_with_master();
    let made = workshop.ok(&split(ONE));
    assert_eq!(
        (&made["key_check"], mode(&workshop, "one.block")),
        (&json!(format!("update={}", DEVICES[0][3])), 0o600)
    );
    workshop.ok(&split(ONE));
    for other in [
        format!("{ONE} --revision 1 --force"),
        format!("{ONE} --revision 1"),
        ONE.replace("--master master.key --line one", "--force"),
        "key public root.pem --force --out one.block".to_owned(),
    ] {
        assert_eq!(workshop.refused(&split(&other)), ("file-exists".into(), 2), "{other}");
    }
    assert_eq!(workshop.refused(&split(&ONE.replace("one.block", "-"))), ("usage".into(), 2));
    assert_eq!(workshop.refused(&split(&ONE.replace("one.block", "master.key"))), ("same-file".into(), 2));
    // Others may have read it: then it is not simply taken as written.
    std::fs::set_permissions(workshop.path("one.block"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(workshop.refused(&split(ONE)), ("secret-readable".into(), 4));
    std::fs::set_permissions(workshop.path("master.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        workshop.refused(&split(&ONE.replace("one.block", "two.block"))),
        ("secret-readable".into(), 4)
    );
}

/// A master key among the files of a batch is none of them.
#[test]
fn sym28_a_batch_does_not_replace_its_master_key() {
    let (workshop, _) = line_with_master();
    secret(&workshop, "A-0001.block", MASTER);
    let line = BATCH.replace("--out-dir batch", "--out-dir . --master A-0001.block --line one --force");
    workshop.write("list", &workshop.read("devices.csv"));
    let line = line.replace("--devices devices.csv", "--devices list");
    assert_eq!(workshop.refused(&split(&line)), ("same-file".into(), 2));
}
