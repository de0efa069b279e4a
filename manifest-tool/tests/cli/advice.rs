//! What the program says where a slip is likely: warnings of what is new, hints that fit the command.

use serde_json::{Value, json};

use super::identity::{BATCH, factory};
use super::succession::Desk;
use super::workshop::{Run, Workshop, finish, split};

/// Vendor id of anchorage.example and class id of demo-node, as the other tests know them.
const VENDOR_ID: &str = "98d315fc-4e56-530f-824f-d6164a8b8093";
const CLASS_ID: &str = "c4e767d0-390b-5fbe-81a6-281e47b8b657";

fn json_of(workshop: &Workshop, line: &str) -> Run {
    let run = workshop.run(&[&["--json"], &split(line)[..]].concat());
    assert_eq!(run.exit, 0, "{line}: {run:?}");
    run
}

/// What is new of these kinds, each with what is known; and the warnings name both.
fn unfamiliar(run: &Run, what: &str, known: &[&str]) {
    let found = run.object()["unfamiliar"].clone();
    let found = found.as_array().unwrap_or_else(|| panic!("{run:?}"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["what"], &found[0]["known"]), (&json!(what), &json!(known)));
    let id = found[0]["id"].as_str().unwrap();
    assert!(run.stderr.contains(&format!("warning: the {what} {id} is new")), "{run:?}");
    assert!(known.iter().all(|known| run.stderr.contains(known)), "{run:?}");
}

fn silent(run: &Run) {
    assert_eq!(run.object()["unfamiliar"], Value::Null, "{run:?}");
    assert!(!run.stderr.contains("is new"), "{run:?}");
}

/// A device of another vendor or class takes no release of the maker, and nobody notices before it is sold.
#[test]
fn tool85_a_vendor_or_class_that_nothing_knows_is_named() {
    let workshop = factory();
    let of_line = format!("{VENDOR_ID} (anchorage.example)");
    // The ledger of the line says its vendor from the start, and no class before its first batch.
    silent(&json_of(&workshop, BATCH));
    silent(&json_of(&workshop, BATCH));
    let one = |serial: &str, vendor: &str, class: &str| {
        let line =
            format!("provision --serial {serial} --vendor {vendor} --class {class} --ledger line-ledger");
        format!("{line} --anchor root.cose --out {serial}.block")
    };
    unfamiliar(&json_of(&workshop, &one("C-1", "anchorage.example", "demo-nod")), "class", &[CLASS_ID]);
    // It is known from then on.
    silent(&json_of(&workshop, &one("C-2", "anchorage.example", "demo-nod")));
    unfamiliar(&json_of(&workshop, &one("C-3", "anchorage.exampel", "demo-node")), "vendor", &[&of_line]);
    // Without a ledger nothing is known; a credential of --known is.
    let alone = "provision --serial D-1 --vendor other.example --class x --out d.block --force --no-ledger";
    silent(&json_of(&workshop, alone));
    let known = format!("{alone} --known line.cwt").replace("D-1", "D-2");
    unfamiliar(&json_of(&workshop, &known), "vendor", &[VENDOR_ID]);
}

#[test]
fn tool85_a_credential_or_minimum_for_what_nothing_knows_is_named() {
    let desk = Desk::new();
    let issue = |vendor: &str, more: &str, name: &str| {
        desk.workshop.key(name);
        let line = format!(
            "credential issue --key root.pem --ledger root.ledger --for {name}.cose --role service --subject {name} \
             --vendor {vendor} {more} --holder h --kept k --out {name}.cwt"
        );
        json_of(&desk.workshop, &line)
    };
    silent(&issue("anchorage.example", "--class demo-node", "one-more"));
    unfamiliar(&issue("anchorage.example", "--class demo-nodes", "two-more"), "class", &[CLASS_ID]);
    let run = issue("anchorage.exampel", "", "three-more");
    assert_eq!(run.object()["unfamiliar"][0]["what"], "vendor");
    silent(&issue("anchorage.example", "", "four-more"));
    let revoke = "revoke --key root.pem --ledger root.ledger --none-published --out more.cwt --vendor anchorage.example";
    let minimum = json_of(&desk.workshop, &format!("{revoke} --minimum demo-nide=2"));
    assert_eq!(minimum.object()["unfamiliar"][0]["what"], "class", "{minimum:?}");
    silent(&json_of(&desk.workshop, &format!("{revoke} --minimum demo-node=2 --force")));
}

/// The hint contains these words, and the code is this one; nothing was changed.
fn hinted(workshop: &Workshop, line: &str, variable: Option<&str>, (code, hint): (&str, &str)) {
    let before = workshop.snapshot();
    let line = format!("--json {line}");
    let mut command = workshop.command(&split(&line));
    variable.map(|variable| command.env(variable, "passphrase"));
    let run = finish(command);
    assert_eq!(run.refusal().0, code, "{line}: {run:?}");
    let said = run.object()["error"]["hint"].as_str().unwrap().to_owned();
    assert!(said.contains(hint), "{line}: {said}");
    assert_eq!(workshop.snapshot(), before);
}

/// The file of the environment opens the old key: to pass it again, as the other hint says, changes nothing.
#[test]
fn a_new_passphrase_has_an_option_of_its_own() {
    let workshop = Workshop::new();
    workshop.ok(&split("key generate --passphrase-file passphrase --weak-passphrase --out root.pem"));
    let new = ("passphrase-needed", "--new-passphrase-file");
    let environment = Some("ANCHORAGE_PASSPHRASE_FILE");
    hinted(&workshop, "key passphrase root.pem --out new.pem", environment, new);
    hinted(&workshop, "key backup root.pem --copy copy.pem --no-ledger", environment, new);
    std::fs::copy(workshop.path("root.pem"), workshop.path("copy.pem")).unwrap();
    hinted(&workshop, "key recover --copy copy.pem --out again.pem", environment, new);
    std::fs::create_dir(workshop.path("pages")).unwrap();
    workshop.ok(&split(
        "key backup root.pem --shares 2 --threshold 2 --out-dir pages --no-ledger --passphrase-file passphrase",
    ));
    let shares = "key recover --share pages/share-1-of-2.txt --share pages/share-2-of-2.txt --out again.pem";
    hinted(&workshop, shares, environment, new);
    hinted(&workshop, shares, None, new);
    // Where a key is opened, the environment is the answer.
    hinted(&workshop, "key public root.pem", None, ("passphrase-needed", "ANCHORAGE_PASSPHRASE_FILE"));
}

#[test]
fn the_key_of_a_ledger_is_in_no_list_of_its_own() {
    let desk = Desk::new();
    let own = ("ledger-own-key", "succession");
    let kid = desk.ok("key public root.pem --out r.cose")["kid"].as_str().unwrap().to_owned();
    let name = desk.ok("ledger show root.ledger")["name"].as_str().unwrap_or("root").to_owned();
    for name in [name, kid] {
        let revoke =
            format!("revoke {name} --key root.pem --ledger root.ledger --none-published --out more.cwt");
        hinted(&desk.workshop, &revoke, None, own);
        let rotate = format!(
            "rotate {name} --key root.pem --ledger root.ledger --for ci.cose --subject x --out-dir n"
        );
        hinted(&desk.workshop, &rotate, None, own);
    }
    let nobody = "revoke nobody --key root.pem --ledger root.ledger --none-published --out more.cwt";
    hinted(&desk.workshop, nobody, None, ("ledger-no-such-key", "ledger show"));
}

#[test]
fn only_the_credential_of_an_issuing_key_issues() {
    let workshop = factory();
    workshop.key("release");
    workshop.credential("root", "release", &["--no-ledger"]);
    let role = ("role-mismatch", "--role identity");
    let batch = BATCH.replace("--issuing line.cwt", "--issuing release.cwt");
    hinted(&workshop, &batch, None, role);
    workshop.ok(&split(BATCH));
    let head = device_lists::Head::new(
        "2026-11-27T10:00:00Z".to_owned(),
        trust::sha256(&workshop.read("batch/devices.csv")),
    );
    workshop.write("batch/line.jsonl", &device_lists::line_of(&head).unwrap());
    workshop.write("token", b"0123456789abcdef0123456789abcdef\n");
    // Before anything is sent: nobody listens there.
    let register = "register batch --issuing release.cwt --server http://127.0.0.1:9 --token-file token";
    hinted(&workshop, register, None, role);
}

/// A file of its name would be hidden, or one of a program's own.
#[test]
fn tool86_no_serial_begins_with_a_full_stop() {
    let workshop = factory();
    for serial in [".lock", ".anchorage-1", "...", ".A-1"] {
        let one = format!("provision --serial {serial} --vendor anchorage.example --class c --out b.block");
        assert_eq!(workshop.refused(&split(&one)), ("usage".into(), 2), "{serial}");
        workshop.write("devices.csv", format!("serial\n{serial}\n").as_bytes());
        let many = "provision --devices devices.csv --vendor anchorage.example --class c --out-dir b";
        assert_eq!(workshop.refused(&split(many)), ("devices-file".into(), 5), "{serial}");
    }
}
