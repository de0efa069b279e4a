//! Slips that would be noticed too late: an input that is replaced, a revoked key that is certified, a device that is made twice,
//! a name that is not what it looks like, a credential that permits more than before.

use serde_json::{Value, json};

use super::identity::{BATCH, factory};
use super::succession::Desk;
use super::terminal::Terminal;
use super::workshop::{Workshop, split};

fn entries(workshop: &Workshop) -> u64 {
    workshop.ok(&split("ledger verify line-ledger"))["entries"].as_u64().unwrap()
}

#[test]
fn tool65_a_batch_replaces_none_of_its_inputs() {
    let workshop = factory();
    let copy = |from: &str, to: &str| workshop.write(to, &workshop.read(from));
    let here = format!("{} --force", BATCH.replace("--out-dir batch", "--out-dir ."));
    assert_eq!(workshop.refused(&split(&here)), ("same-file".into(), 2), "devices.csv");
    copy("devices.csv", "list");
    let other = here.replace("--devices devices.csv", "--devices list");
    copy("line.cwt", "A-0001.cwt");
    let issuing = other.replace("--issuing line.cwt", "--issuing A-0001.cwt");
    assert_eq!(workshop.refused(&split(&issuing)), ("same-file".into(), 2), "the issuing credential");
    copy("line.pem", "A-0002.cwt");
    let key = other.replace("--key line.pem", "--key A-0002.cwt");
    assert_eq!(workshop.refused(&split(&key)), ("same-file".into(), 2), "the issuing key");
    std::fs::create_dir(workshop.path("sub")).unwrap();
    copy("one.cose", "A-0001.block");
    workshop.write("list", b"serial,public_key\nA-0001,sub/../A-0001.block\n");
    assert_eq!(workshop.refused(&split(&other)), ("same-file".into(), 2), "the key of a device");
    // The newest published list, in the place of which the new one would be written.
    workshop.ok(&split("ledger init desk --key root.pem --name root --holder Ada --kept safe"));
    let revoke = "--key root.pem --ledger desk --none-published --out list.cwt";
    workshop.ok(&split(&format!("revoke --nothing-new {revoke}")));
    let issue = "credential issue --key root.pem --ledger desk --for one.cose --role service --vendor anchorage.example \
                 --subject one --force";
    workshop.ok(&split(&format!("{issue} --out old.cwt")));
    let issue = format!("{issue} --out new.cwt --replaces old.cwt --list-out list.cwt --published list.cwt");
    assert_eq!(workshop.refused(&split(&issue)), ("same-file".into(), 2));
}

/// Nor does a report or an export replace what it is made of.
#[test]
fn tool65_a_report_replaces_no_entry_and_no_evidence() {
    let workshop = factory();
    workshop.ok(&split(BATCH));
    for line in [
        "ledger export line-ledger --csv line-ledger/head.json --force",
        "ledger export line-ledger --entry 2 --out line-ledger/000002-devices.jsonl --force",
        "custody report line-ledger --html line-ledger/head.json --force",
    ] {
        assert_eq!(workshop.refused(&split(line)), ("inside-ledger".into(), 2), "{line}");
    }
    let evidence = "custody report line-ledger --block batch/A-0001.block --html batch/A-0001.block --force";
    assert_eq!(workshop.refused(&split(evidence)), ("same-file".into(), 2));
}

#[test]
fn tool66_no_device_gets_a_credential_for_a_revoked_key() {
    let workshop = factory();
    let kid = workshop.ok(&split("key public two.cose"))["kid"].clone();
    workshop.ok(&split(&format!(
        "revoke --kid {} --role device --generation 0 --key root.pem --issuer root --first --no-ledger --out list.cwt",
        kid.as_str().unwrap()
    )));
    assert_eq!(
        workshop.refused(&split(&format!("{BATCH} --revocations list.cwt"))),
        ("key-revoked".into(), 6)
    );
    assert_eq!(entries(&workshop), 1);
    workshop.write("devices.csv", b"serial,public_key\nA-0001,one.cose\n");
    workshop.ok(&split(&format!("{BATCH} --revocations list.cwt")));
}

#[test]
fn tool67_a_device_that_two_copies_made_is_found() {
    let workshop = factory();
    let folder = |name: &str| workshop.path(name);
    let status =
        std::process::Command::new("cp").arg("-r").args([folder("line-ledger"), folder("other")]).status();
    assert!(status.unwrap().success());
    workshop.ok(&split(BATCH));
    workshop.write("devices.csv", b"serial,public_key\nA-0002,two.cose\nA-0003,thief.cose\n");
    workshop
        .ok(&split(&BATCH.replace("--ledger line-ledger --out-dir batch", "--ledger other --out-dir more")));
    let codes = || {
        let shown = workshop.run(&split("--json doctor line-ledger")).object();
        let findings = shown["findings"].as_array().unwrap().clone();
        let known = findings.iter().find(|finding| finding["code"] == "device-in-both-copies").cloned();
        known.map(|finding| finding["message"].to_string())
    };
    assert_eq!(codes(), None);
    let merged = workshop.ok(&split("ledger merge line-ledger other --key line.pem --reason two-sticks"));
    assert_eq!(merged["devices_in_both"], json!(["A-0002"]));
    assert!(codes().is_some_and(|message| message.contains("A-0002")));
}

/// A root that is lost signs no head any more: nothing is to be done about the entry that closed its ledger.
#[test]
fn the_ledger_of_a_lost_root_asks_for_no_signature() {
    let desk = Desk::new();
    desk.rescue("root", "second");
    assert_eq!(desk.ok("ledger verify root.ledger")["uncovered"], 1);
    let shown = desk.workshop.run(&split("--json doctor root.ledger")).object();
    let codes: Vec<&Value> =
        shown["findings"].as_array().unwrap().iter().map(|found| &found["code"]).collect();
    assert_eq!(codes, ["successor-ledger-missing"]);
}

/// Blanks at the ends, control characters, and characters that are invisible or turn the direction of reading.
#[test]
fn tool68_names_look_like_what_they_are() {
    let desk = Desk::new();
    let ledger = "--key root.pem --ledger root.ledger";
    let commands = [
        (
            "credential issue --for ci.cose --role service --vendor anchorage.example --out x.cwt",
            "--subject",
            "usage",
        ),
        (
            "credential issue --for ci.cose --role service --vendor anchorage.example --out x.cwt --subject ci",
            "--issuer",
            "usage",
        ),
        (
            "credential issue --for ci.cose --role service --vendor anchorage.example --out x.cwt --subject ci",
            "--holder",
            "ledger-text",
        ),
        (
            "credential issue --for ci.cose --role service --vendor anchorage.example --out x.cwt --subject ci",
            "--kept",
            "ledger-text",
        ),
        ("revoke --nothing-new --none-published --out x.cwt", "--reason", "ledger-text"),
    ];
    for odd in ["a\u{202e}b", " a", "a ", "a\u{200b}", "a\tb", "", "\u{a0}a"] {
        for (command, option, code) in commands {
            let line = [&split(command)[..], &split(ledger), &[option, odd]].concat();
            assert_eq!(desk.workshop.refused(&line), (code.into(), 2), "{option} {odd:?}");
        }
        let init = split("ledger init new --key second.pem --holder Ada --kept safe --name");
        assert_eq!(desk.workshop.refused(&[&init[..], &[odd]].concat()).0, "usage", "{odd:?}");
        let request = split("succession request --key second.pem --history root.ledger --out x --name");
        assert_eq!(desk.workshop.refused(&[&request[..], &[odd]].concat()).0, "usage", "{odd:?}");
        let serial = split("provision --vendor anchorage.example --class demo-node --out x.block --serial");
        assert_eq!(desk.workshop.refused(&[&serial[..], &[odd]].concat()).0, "usage", "{odd:?}");
    }
}

#[test]
fn a_credential_that_permits_more_says_so() {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release --ceiling 1000");
    let again = "credential issue --key root.pem --ledger root.ledger --for ci.cose --role release --subject ci --vendor \
                 anchorage.example --force --out ci.cwt";
    let same = desk.ok(&format!("{again} --class demo-node --ceiling 1000"));
    assert_eq!(same["widened"], Value::Null);
    let more = desk.ok(&format!("{again} --class demo-node --class other --ceiling 2000"));
    let more: Vec<&str> =
        more["widened"].as_array().unwrap().iter().map(|what| what.as_str().unwrap()).collect();
    assert!(more[0].starts_with("class ") && more[1] == "sequence numbers up to 2000, not 1000", "{more:?}");
    let run = desk.workshop.run(&split(&format!("{again} --ceiling 2000")));
    assert!(
        run.exit == 0 && run.stderr.contains("permits more") && run.stderr.contains("every class"),
        "{run:?}"
    );
}

/// A long batch shows how far it is, to people only.
#[test]
fn a_batch_shows_how_far_it_is() {
    let workshop = factory();
    let mut terminal = Terminal::run(&workshop, "", &split(BATCH));
    terminal.wait_for("signing");
    terminal.wait_for("writing");
    terminal.wait_for("devices.csv");
    let run = workshop.run(&split(&format!("{BATCH} --again --force")));
    assert!(run.exit == 0 && !run.stderr.contains("signing"), "{run:?}");
}

/// Whatever a command makes: not in the folder of a ledger, `--force` or not, and before anything is signed.
#[test]
fn tool71_no_command_writes_into_a_ledger() {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release");
    desk.workshop.write("firmware.bin", &super::workshop::firmware());
    let root = "--key root.pem --ledger root.ledger";
    let lines = [
        format!("credential issue {root} --for service.cose --subject service --role service --vendor a.example --out"),
        format!("revoke ci {root} --none-published --out"),
        "succession request --key second.pem --name second --history root.ledger --out".to_owned(),
        "key public root.pem --out".to_owned(),
        "ledger export root.ledger --csv".to_owned(),
        "ledger export root.ledger --entry 2 --out".to_owned(),
        "custody report root.ledger --html".to_owned(),
        "create --image firmware.bin --vendor a.example --class c --sequence 1 --version 1 --image-out image --out".to_owned(),
        "provision --serial A --vendor a.example --class c --out".to_owned(),
    ];
    for line in &lines {
        for file in ["000002-credential.json", "000002-credential.cwt", "head.json", "000003-x.json", "x"] {
            for force in ["", "--force"] {
                let line = format!("{line} root.ledger/{file} {force}");
                assert_eq!(desk.refused(&line), ("inside-ledger".into(), 2), "{line}");
            }
        }
    }
    let folder = "provision --devices devices.csv --vendor a.example --class c --out-dir root.ledger/line";
    desk.workshop.write("devices.csv", b"serial\nA\n");
    assert_eq!(desk.refused(folder), ("inside-ledger".into(), 2));
    let secret = "key generate --no-passphrase --out root.ledger/key.pem";
    assert_eq!(desk.refused(secret), ("inside-ledger".into(), 2));
    desk.ok("ledger verify root.ledger --anchor root.cose");
}
