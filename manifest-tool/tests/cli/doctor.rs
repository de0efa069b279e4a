//! `doctor`: what an auditor would find in ledgers, keys, programs, devices and releases.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::questions::{LATER, careless, copy, found, issue, recovery_root, with_json};
use super::succession::Desk;
use super::workshop::{finish, split};

#[test]
fn the_doctor_finds_what_an_auditor_would_and_finds_it_mended() {
    let workshop = careless();
    std::fs::set_permissions(workshop.path("root.pem"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        found(&workshop, "ledger --key root.pem"),
        [
            "backup-missing",
            "one-custodian",
            "recovery-root-missing",
            "credential-endless",
            "credential-broad",
            "holder-unknown",
            "key-unencrypted",
            "key-readable",
        ]
    );
    // One after the other is mended.
    workshop.ok(&split(
        "key passphrase root.pem --out safe.pem --new-passphrase-file passphrase --weak-passphrase",
    ));
    assert!(found(&workshop, "--key safe.pem").is_empty());
    workshop.ok(&split("ledger note release --ledger ledger --holder Bob --kept ci --reason told"));
    let left = found(&workshop, "ledger");
    assert!(left.contains(&"ledger-uncovered".to_owned()) && !left.contains(&"holder-unknown".to_owned()));
    let narrow = "--role release --class demo-node --expires 2098-01-01T00:00:00Z --holder Bob --replaces release.new.cwt \
                  --list-out list.cwt --none-published --force";
    workshop.ok(&split(&format!(
        "credential issue --key root.pem --vendor anchorage.example --for release.cose --out narrow.cwt --subject release {narrow}"
    )));
    let left = found(&workshop, "ledger --published list.cwt");
    assert_eq!(left, ["backup-missing", "one-custodian", "recovery-root-missing"]);
    std::fs::create_dir(workshop.path("pages")).unwrap();
    workshop.ok(&split(
        "key backup root.pem --shares 3 --threshold 2 --out-dir pages --kept safes --holder Ada --holder Bob --holder Eve",
    ));
    assert_eq!(found(&workshop, "ledger"), ["backup-unchecked", "recovery-root-missing"]);
    workshop.ok(&split(
        "key backup-check --share pages/share-1-of-3.txt --share pages/share-2-of-3.txt --ledger ledger",
    ));
    workshop.ok(&split("ledger finish ledger --key root.pem"));
    recovery_root(&workshop);
    let left = found(&workshop, "ledger recovery");
    assert_eq!(left, ["backup-missing", "one-custodian"], "of the recovery root");
    // A check counts for a year, and a credential until it ends.
    let left = found(&workshop, &format!("ledger recovery --now {LATER}"));
    assert!(left.contains(&"backup-unchecked".to_owned()) && left.contains(&"credential-expired".to_owned()));
}

/// The credentials of a root that was succeeded count no more: nobody has to renew them.
#[test]
fn a_closed_ledger_asks_for_nothing() {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release --no-expiry");
    desk.issue("root", "service", "--role service --expires 2098-01-01T00:00:00Z");
    let open = found(&desk.workshop, "root.ledger recovery.ledger");
    assert!(
        open.contains(&"credential-endless".to_owned())
            && !open.contains(&"recovery-root-missing".to_owned())
    );
    desk.succeed("root", "second");
    assert_eq!(found(&desk.workshop, "root.ledger"), ["successor-ledger-missing"]);
    assert_eq!(found(&desk.workshop, &format!("root.ledger --now {LATER}")), ["successor-ledger-missing"]);
    let today = desk.ok(&format!("today root.ledger --now {LATER}"));
    assert_eq!(today["due"], json!([]));
}

/// A closed ledger says so with its successor, and asks for the successor's ledger, which answers for the present.
#[test]
fn a_closed_ledger_is_shown_with_its_successor() {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release --holder Bob --kept ci --no-expiry");
    desk.succeed("root", "second");
    let workshop = &desk.workshop;
    assert_eq!(found(workshop, "root.ledger"), ["successor-ledger-missing"]);
    let run = with_json(workshop, "doctor root.ledger");
    let looked_at = run.object()["looked_at"][0].as_str().unwrap().to_owned();
    assert!(looked_at.contains("closed by entry") && looked_at.contains("second ("), "{looked_at}");
    desk.go_on("root", "second");
    // Whatever the closed one lacks, the live root deserves the findings.
    let both = found(workshop, "root.ledger second.ledger recovery.ledger");
    assert!(!both.contains(&"successor-ledger-missing".to_owned()), "{both:?}");
    assert!(!both.contains(&"credential-endless".to_owned()), "{both:?}");
    assert_eq!(both.iter().filter(|code| *code == "backup-missing").count(), 2, "{both:?}");
    assert!(found(workshop, "second.ledger").contains(&"recovery-root-missing".to_owned()));
    assert!(!both.contains(&"recovery-root-missing".to_owned()));
    // A device of the beginning follows the roots, and has no recovery root to follow.
    desk.ok("provision --serial A-1 --vendor anchorage.example --class demo-node --anchor root.cose --out a.block");
    let devices = found(workshop, "second.ledger recovery.ledger --block a.block");
    assert!(devices.contains(&"device-without-recovery".to_owned()), "{devices:?}");

    let report = workshop.ok(&split("custody report root.ledger second.ledger recovery.ledger"));
    let ledgers = report["ledgers"].as_array().unwrap();
    assert_eq!(
        (&ledgers[0]["successor"]["name"], &ledgers[0]["successor"]["number"]),
        (&json!("second"), &json!("0.1"))
    );
    assert_eq!(ledgers[1]["successor"], Value::Null);
    assert!(ledgers[1]["roots_before"][0].as_str().unwrap().starts_with("root ("), "{report}");
    let text = workshop.run(&split("custody report root.ledger second.ledger")).stdout;
    assert!(text.contains("stands | closed by entry") && text.contains("counts no more"), "{text}");
}

#[test]
fn the_doctor_finds_a_ledger_that_cannot_be_relied_on() {
    let workshop = careless();
    copy(&workshop, "ledger", "office");
    workshop.ok(&split("revoke release --key root.pem --none-published --out list.cwt"));
    let stale = found(&workshop, "office --published list.cwt");
    assert!(stale.contains(&"ledger-stale".to_owned()), "{stale:?}");
    std::fs::remove_file(workshop.path("office/000002-credential.cwt")).unwrap();
    std::fs::remove_file(workshop.path("office/head.json")).unwrap();
    let begun = found(&workshop, "office");
    assert!(begun.starts_with(&["ledger-begun".to_owned(), "ledger-uncovered".to_owned()]), "{begun:?}");
    let entry = String::from_utf8(workshop.read("ledger/000002-credential.json")).unwrap();
    workshop.write("ledger/000002-credential.json", entry.replace("release", "relaese").as_bytes());
    assert_eq!(found(&workshop, "ledger"), ["ledger-unverified"]);
    for line in ["doctor", "doctor absent", "doctor --key root.cose", "doctor --devices root.cose", "today"] {
        let run = with_json(&workshop, line);
        assert!([2, 3, 4, 5].contains(&run.exit), "{line}: {run:?}");
    }
}

/// A file of a programmer: the bytes at 08000000, 16 in a record.
fn intel_hex(bytes: &[u8]) -> String {
    let record = |head: &[u8], data: &[u8]| {
        let line = [&[u8::try_from(data.len()).unwrap()], head, data].concat();
        let sum = line.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
        format!(":{}{}\n", hex::encode_upper(line), hex::encode_upper([sum]))
    };
    let mut file = record(&[0, 0, 4], &[0x08, 0x00]);
    for (index, data) in bytes.chunks(16).enumerate() {
        let [.., high, low] = (index * 16).to_be_bytes();
        file += &record(&[high, low, 0], data);
    }
    file + &record(&[0, 0, 1], &[])
}

/// Copies of one ledger are one ledger: nothing is said twice, and what one of them lacks is said.
#[test]
fn the_doctor_compares_copies_of_a_ledger() {
    let workshop = careless();
    copy(&workshop, "ledger", "office");
    let alone = found(&workshop, "ledger");
    assert_eq!(found(&workshop, "ledger ledger office"), alone);
    workshop.ok(&split("ledger note release --ledger ledger --holder Bob --kept ci --reason told"));
    let newest = found(&workshop, "ledger");
    assert!(!newest.contains(&"holder-unknown".to_owned()));
    // Whichever comes first, the newer copy answers, and the older one is a finding.
    for (line, code) in [("ledger office", "copy-behind"), ("office ledger", "ledger-behind")] {
        assert_eq!(found(&workshop, line), [&[code.to_owned()][..], &newest].concat(), "{line}");
    }
    workshop.ok(&split("ledger note release --ledger office --holder Eve --kept ci --reason told"));
    assert_eq!(found(&workshop, "ledger office")[0], "ledger-forked");
}

/// What was revoked and is not published, a release of a revoked key, a copy that is older than the line's ledger.
#[test]
fn the_doctor_finds_what_never_got_out() {
    let workshop = careless();
    workshop.key("line");
    copy(&workshop, "ledger", "office");
    let create = "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 2 --version 1 --out u.suit \
                  --image-out u.bin";
    workshop.ok(&split(create));
    workshop.ok(&split("sign u.suit --key release.pem --credential release.new.cwt --out r.suit"));
    workshop.ok(&split("revoke --nothing-new --key root.pem --none-published --out 1.list"));
    let has = |line: &str, code: &str| found(&workshop, line).contains(&code.to_owned());
    assert!(!has("ledger --published 1.list", "list-unpublished"));
    assert!(!has("ledger --release r.suit", "release-revoked"));
    workshop.ok(&split("revoke release --key root.pem --published 1.list --out 2.list"));
    assert!(has("ledger --published 1.list", "list-unpublished"));
    assert!(!has("ledger --published 2.list", "list-unpublished"));
    assert!(has("ledger --release r.suit", "release-revoked"));

    issue(&workshop, "line", "--role identity");
    workshop.ok(&split(
        "ledger init line.ledger --key line.pem --purpose issuing --name line --domain-anchor root.cose --holder Eve --kept line",
    ));
    assert!(has("office line.ledger", "issuing-key-unknown"));
    assert!(!has("ledger line.ledger", "issuing-key-unknown"));
    assert!(!has("line.ledger", "issuing-key-unknown"));
}

/// Keys that are not files, and what of them cannot be seen.
#[test]
fn the_doctor_looks_at_keys_wherever_they_are() {
    let workshop = careless();
    let pem = String::from_utf8(workshop.read("root.pem")).unwrap();
    let of_variable = |value: &str| {
        let mut command = workshop.command(&["--json", "doctor", "--key", "env:ROOT"]);
        command.env("ROOT", value);
        finish(command)
    };
    assert_eq!(of_variable(&pem).object()["findings"][0]["code"], "key-unencrypted");
    workshop.ok(&split(
        "key passphrase root.pem --out safe.pem --new-passphrase-file passphrase --weak-passphrase",
    ));
    let encrypted = String::from_utf8(workshop.read("safe.pem")).unwrap();
    assert_eq!(of_variable(&encrypted).exit, 0);
    assert_eq!(of_variable("nothing").refusal().0, "private-key-invalid");

    let run = with_json(&workshop, "doctor --key exec:/usr/bin/false?public=root.cose");
    let object = run.object();
    assert_eq!(object["findings"], json!([]), "{run:?}");
    assert!(object["looked_at"][0].as_str().unwrap().contains("does not say"), "{object}");
    workshop.write("dev.cose", &std::fs::read("../bootloader/keys/development-anchor.cose").unwrap());
    assert_eq!(found(&workshop, "--key exec:/usr/bin/false?public=dev.cose"), ["development-anchor"]);
    let absent = with_json(&workshop, "doctor --key exec:/usr/bin/false?public=absent.cose");
    assert_eq!(absent.refusal().0, "file-read");
}

/// The development key as a root, as a release key, and beside a root of one's own.
#[test]
fn the_doctor_finds_what_the_development_key_signed() {
    let workshop = careless();
    let seed = trust::sha256(b"anchorage development anchor");
    let head = hex::decode("302e020100300506032b657004220420").unwrap();
    workshop.write("dev.der", &[&head[..], &seed].concat());
    workshop.ok(&split("key import dev.der --out dev.pem --no-passphrase"));
    workshop.ok(&split("key public dev.pem --out dev.cose"));
    let has = |line: &str, words: &str| {
        let object = with_json(&workshop, &format!("doctor {line}")).object();
        let findings = object["findings"].as_array().unwrap().clone();
        let mut of_key = findings.iter().filter(|finding| finding["code"] == "development-anchor");
        of_key.any(|finding| finding["message"].as_str().unwrap().contains(words))
    };
    workshop.ok(&split(
        "ledger init dev.ledger --key dev.pem --name dev --holder Ada --kept drawer --vendor anchorage.example",
    ));
    assert!(has("dev.ledger", "dev.ledger is that of the development key"));
    assert!(!has("ledger", ""));
    // Releases under it, and releases that it signed.
    let to = |root: &str, subject: &str, out: &str| {
        workshop.ok(&split(&format!(
            "credential issue --key {root}.pem --issuer {root} --no-ledger --for {subject}.cose --subject {subject} --role \
             release --vendor anchorage.example --class demo-node --out {out}.cwt"
        )));
        workshop.ok(&split(&format!(
            "sign unsigned.suit --key {subject}.pem --credential {out}.cwt --out {out}.suit"
        )));
    };
    to("dev", "release", "under");
    to("root", "dev", "by");
    assert!(has("--release under.suit", "releases stand under the development anchor: under.suit"));
    assert!(has("--release by.suit", "releases stand under the development anchor: by.suit"));
    assert!(!has("--release signed.suit", ""));
}

/// A key that was revoked, and a device of another domain, are nothing to be mended here.
#[test]
fn the_doctor_asks_nothing_of_what_is_over_or_elsewhere() {
    let workshop = careless();
    let asked = ["credential-endless", "credential-broad", "holder-unknown"];
    let of_key = |found: &[String]| asked.map(|code| found.iter().filter(|found| *found == code).count());
    assert_eq!(of_key(&found(&workshop, "ledger")), [1, 1, 1]);
    workshop.ok(&split("revoke release --key root.pem --none-published --out list.cwt"));
    assert_eq!(of_key(&found(&workshop, "ledger")), [0, 0, 0]);
    workshop.key("owner");
    let provision = "provision --serial s1 --vendor anchorage.example --class demo-node --anchor";
    for root in ["root", "owner"] {
        workshop.ok(&split(&format!("{provision} {root}.cose --out {root}.block")));
        let found = found(&workshop, &format!("ledger --block {root}.block"));
        assert_eq!(found.contains(&"device-without-recovery".to_owned()), root == "root", "{found:?}");
    }
}

/// The key whose private half is in the source of the loader.
#[test]
fn the_doctor_finds_the_development_anchor() {
    let workshop = careless();
    let anchor = std::fs::read("../bootloader/keys/development-anchor.cose").unwrap();
    workshop.write("dev.cose", &anchor);
    // In the form in which it is flashed, and in that of a programmer's file, across the borders of its records.
    let loader = [&workshop.read("firmware.bin")[..], &[0xff; 4091], &anchor[8..], &[0; 64]].concat();
    workshop.write("loader.bin", &loader);
    workshop.write("loader.hex", intel_hex(&loader).as_bytes());
    for program in ["loader.bin", "loader.hex"] {
        let found = found(&workshop, &format!("--program {program}"));
        assert_eq!(found, ["development-anchor"], "{program}");
    }
    workshop.write("firmware.hex", intel_hex(&workshop.read("firmware.bin")).as_bytes());
    assert!(found(&workshop, "--program firmware.bin --program firmware.hex").is_empty());
    // What is no program was not looked at.
    workshop.write("empty", b"");
    workshop.write("text", b"a text that is no program, and long enough to be one");
    for (file, code) in [
        ("empty", "image-not-firmware"),
        ("text", "image-not-firmware"),
        ("root.cose", "image-not-firmware"),
        ("root.pem", "image-unusable"),
        ("ledger", "file-read"),
    ] {
        let run = with_json(&workshop, &format!("doctor --program {file}"));
        assert_eq!(run.refusal().0, code, "{file}: {run:?}");
    }
    let provision = "provision --serial s1 --vendor anchorage.example --class demo-node --anchor";
    workshop.ok(&split(&format!("{provision} dev.cose --out dev.block")));
    workshop.ok(&split(&format!("{provision} root.cose --out good.block")));
    assert_eq!(found(&workshop, "--block dev.block"), ["development-anchor"]);
    assert!(found(&workshop, "--block good.block").is_empty());
    let left = found(&workshop, "ledger --block good.block");
    assert!(left.contains(&"device-without-recovery".to_owned()), "{left:?}");
    workshop.key("recovery");
    workshop.ok(&split(&format!("{provision} root.cose --recovery-anchor recovery.cose --out safe.block")));
    let left = found(&workshop, "ledger --block safe.block");
    assert!(!left.contains(&"device-without-recovery".to_owned()), "{left:?}");
    let kid = workshop.ok(&["key", "public", "dev.cose"])["kid"].clone();
    let devices =
        json!({"devices": [{"serial": "s9", "anchors": [kid], "release_kid": null, "retired": null}]});
    workshop.write("devices", devices.to_string().as_bytes());
    assert_eq!(found(&workshop, "--devices devices"), ["development-anchor"]);
    workshop.ok(&split(
        "credential issue --key root.pem --vendor anchorage.example --for dev.cose --out dev.cwt --subject dev \
         --role service --class demo-node --holder Bob"
    ));
    assert!(found(&workshop, "ledger").contains(&"development-anchor".to_owned()));
}
