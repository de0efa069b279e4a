//! Slips that would be noticed too late: an input that is replaced, a revoked key that is certified, a device that is made twice,
//! a name that is not what it looks like.

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

/// A long batch shows how far it is, to people only.
#[test]
fn a_batch_shows_how_far_it_is() {
    let workshop = factory();
    let mut terminal = Terminal::run(&workshop, "", &split(BATCH));
    terminal.wait_for("signing");
    terminal.wait_for("writing");
    terminal.wait_for("devices.csv");
    let again = BATCH.replace("--out-dir batch", "--out-dir again --again");
    let run = workshop.run(&split(&again));
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

/// A line for whose devices the root's ledger is at hand.
fn line_and_root() -> Desk {
    let desk = Desk::new();
    for name in ["line", "one", "next"] {
        desk.workshop.key(name);
    }
    desk.issue("root", "line", "--role identity");
    desk.issue("root", "ci", "--role release");
    desk.ok("ledger init line.ledger --key line.pem --purpose issuing --name line --domain-anchor root.cose --holder Eve --kept line");
    desk
}

const PROVISION: &str = "provision --serial A-1 --vendor anchorage.example --class demo-node --issuing line-root.cwt --key line.pem \
    --ledger line.ledger --out a.block --credential-out a.cwt";

/// One key, one role: no device is made with the key of a root, a release key, an issuing key, whichever ledger knows it.
#[test]
fn tool72_no_device_gets_a_key_of_another_role() {
    let desk = line_and_root();
    desk.workshop.key("line-2");
    desk.issue("root", "line-2", "--role identity");
    let with = |key: &str, more: &str| format!("{PROVISION} --device-key {key}.cose {more}");
    for (key, more, role) in [
        // The ledger of the line knows the first root of its domain.
        ("root", "", "root"),
        ("line-2", "--known root.ledger", "identity"),
        ("root", "--known root.ledger", "root"),
        ("ci", "--known root.ledger", "release"),
        ("ci", "--known ci-root.cwt", "release"),
        ("root", "--known ci-root.cwt", "root"),
        ("recovery", "--known recovery.ledger", "recovery root"),
    ] {
        let line = with(key, more);
        assert_eq!(desk.refused(&line), ("key-has-role".into(), 4), "{line}");
        let shown = desk.workshop.run(&split(&line)).stderr;
        assert!(shown.contains(&format!("in the role {role}")) && shown.contains("A-1"), "{shown}");
    }
    // Without a ledger, what devices trust is known.
    let bare = with("recovery", "--anchor root.cose --recovery-anchor recovery.cose");
    assert_eq!(desk.refused(&bare), ("credential-for-anchor".into(), 6));
    // A batch with an anchor is remembered: its recovery root is no device afterwards.
    desk.ok(&with("one", "--anchor root.cose --recovery-anchor recovery.cose"));
    let next = |serial: &str, key: &str, more: &str| {
        format!("{PROVISION} --device-key {key}.cose {more} --force").replace("A-1", serial)
    };
    assert_eq!(desk.refused(&next("A-2", "recovery", "")), ("key-has-role".into(), 4));
    // The devices of another line: their serials and keys are taken.
    desk.ok("ledger init line-2.ledger --key line-2.pem --purpose issuing --name line-2 --domain-anchor root.cose --holder Eve --kept b");
    let second = |serial: &str, key: &str, more: &str| {
        next(serial, key, more)
            .replace("line.ledger", "line-2.ledger")
            .replace("line-root", "line-2-root")
            .replace("line.pem", "line-2.pem")
            + " --known line.ledger"
    };
    assert_eq!(desk.refused(&second("a-1", "next", "")), ("device-known".into(), 4));
    assert_eq!(desk.refused(&second("A-9", "one", "")), ("device-known".into(), 4));
    desk.ok(&second("A-9", "next", ""));
}

/// The same where keys are certified: what the key is to the ledger, or to another one that is given.
#[test]
fn tool72_no_key_is_certified_for_a_second_role() {
    let desk = line_and_root();
    desk.ok(&format!("{PROVISION} --device-key one.cose --anchor root.cose --recovery-anchor recovery.cose"));
    let issue = |key: &str, more: &str| {
        format!(
            "credential issue --key root.pem --ledger root.ledger --for {key}.cose --subject x --role service --vendor \
             anchorage.example --out x.cwt {more}"
        )
    };
    for (key, known) in [("one", "line.ledger"), ("recovery", "line.ledger"), ("recovery", "recovery.ledger")]
    {
        let line = issue(key, &format!("--known {known}"));
        assert_eq!(desk.refused(&line), ("key-has-role".into(), 4), "{line}");
    }
    // A root that was named, in the ledger itself.
    let request = "succession request --key second.pem --name second --by-recovery --history root.ledger --history \
                   recovery.ledger --out second.request";
    desk.ok(request);
    desk.ok("succession grant second.request --key recovery.pem --ledger recovery.ledger --retires root.ledger --yes --out s");
    desk.go_on("root", "second");
    let later =
        issue("recovery", "").replace("root.pem", "second.pem").replace("root.ledger", "second.ledger");
    assert_eq!(desk.refused(&later), ("key-has-role".into(), 4));
    // Nor is a device's key, or a certified one, the next root.
    desk.ok("ledger init third.ledger --key third.pem --purpose issuing --name third --domain-anchor root.cose --holder A --kept b");
    let next = "succession request --key one.pem --name next --history second.ledger --history line.ledger --out x.request";
    assert_eq!(desk.refused(next), ("key-has-role".into(), 4));
}

/// A root given as a recovery root, or another key as either: devices that take nothing.
#[test]
fn tool74_no_device_trusts_a_key_as_what_it_is_not() {
    let desk = line_and_root();
    let provision = |anchors: &str, more: &str| {
        format!(
            "provision --serial B-1 --vendor anchorage.example --class demo-node --out b.block {anchors} {more}"
        )
    };
    for (anchors, ledger) in [
        ("--anchor recovery.cose --recovery-anchor root.cose", "--ledger root.ledger"),
        ("--anchor recovery.cose --recovery-anchor root.cose", "--no-ledger --known recovery.ledger"),
        ("--anchor ci.cose --recovery-anchor recovery.cose", "--ledger root.ledger"),
        ("--anchor root.cose --recovery-anchor ci.cose", "--ledger root.ledger"),
        ("--anchor root.cose --anchor recovery.cose", "--no-ledger --known recovery.ledger"),
        ("--anchor line.cose", "--no-ledger --known root.ledger"),
    ] {
        let line = provision(anchors, ledger);
        assert_eq!(desk.refused(&line), ("key-has-role".into(), 4), "{line}");
        // Whoever asks no ledger makes them; who looks at them finds them.
        desk.ok(&provision(anchors, "--no-ledger --force"));
        let found =
            desk.workshop.run(&split("--json doctor root.ledger recovery.ledger --block b.block")).object();
        let codes: Vec<&str> = found["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|found| found["code"].as_str().unwrap())
            .collect();
        assert!(codes.contains(&"anchor-wrong"), "{line}: {codes:?}");
        std::fs::remove_file(desk.workshop.path("b.block")).unwrap();
    }
    desk.ok(&provision("--anchor root.cose --recovery-anchor recovery.cose", "--ledger root.ledger"));
    let found = desk.workshop.run(&split("--json doctor root.ledger recovery.ledger --block b.block")).stdout;
    assert!(!found.contains("anchor-wrong"), "{found}");
    // What a device reports.
    let kid = desk.ok("key public ci.cose")["kid"].clone();
    let devices =
        json!({"devices": [{"serial": "s9", "anchors": [kid], "release_kid": null, "retired": null}]});
    desk.workshop.write("devices", devices.to_string().as_bytes());
    let found =
        desk.workshop.run(&split("--json doctor root.ledger recovery.ledger --devices devices")).stdout;
    assert!(found.contains("anchor-wrong"), "{found}");
}

/// The recovery root is no next root: every verifier refuses that, and the ledger would be closed for good.
#[test]
fn tool74_no_recovery_root_becomes_the_root() {
    let desk = line_and_root();
    desk.ok("provision --serial B-1 --vendor anchorage.example --class demo-node --out b.block --anchor root.cose \
             --recovery-anchor recovery.cose --ledger root.ledger");
    let request = "succession request --key recovery.pem --name next --history root.ledger --out x.request";
    assert_eq!(desk.refused(request), ("key-has-role".into(), 4));
}

/// What lines and roots did without asking one another is found when their ledgers lie side by side.
#[test]
fn doctor_finds_keys_and_devices_that_are_two() {
    let desk = line_and_root();
    desk.workshop.key("line-2");
    desk.issue("root", "line-2", "--role identity");
    desk.ok("ledger init line-2.ledger --key line-2.pem --purpose issuing --name line-2 --domain-anchor root.cose --holder Eve --kept b");
    let make = |line: &str, serial: &str, key: &str| {
        desk.ok(&format!("{PROVISION} --device-key {key}.cose --force")
            .replace("line.ledger", &format!("{line}.ledger"))
            .replace("line-root", &format!("{line}-root"))
            .replace("line.pem", &format!("{line}.pem"))
            .replace("A-1", serial));
    };
    let found = |ledgers: &str| {
        let shown = desk.workshop.run(&split(&format!("--json doctor {ledgers}"))).object();
        let found = shown["findings"].as_array().unwrap().clone();
        let is_new = |code: &str| {
            ["key-in-two-roles", "serial-alike", "device-key-twice", "serial-twice"].contains(&code)
        };
        let found = found.iter().filter(|one| is_new(one["code"].as_str().unwrap()));
        found
            .map(|one| format!("{}: {}", one["code"].as_str().unwrap(), one["message"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let all = "root.ledger recovery.ledger line.ledger line-2.ledger";
    make("line", "A-1", "one");
    make("line-2", "B-1", "next");
    assert_eq!(found(all), Vec::<String>::new());
    // The release key, which the line does not know, is a device.
    make("line", "A-2", "ci");
    assert_eq!(found("root.ledger"), Vec::<String>::new());
    let two = found(all);
    assert!(two.len() == 1 && two[0].starts_with("key-in-two-roles"), "{two:?}");
    assert!(
        two[0].contains("release ci (root.ledger)") && two[0].contains("device A-2 (line.ledger)"),
        "{two:?}"
    );
    // A serial in another case, a serial of both, a key under two serials.
    for name in ["p", "q"] {
        desk.workshop.key(name);
    }
    make("line-2", "a-1", "p");
    let alike = found("line.ledger line-2.ledger");
    assert!(
        alike.len() == 1 && alike[0] == "serial-alike: serials differ in case alone: A-1, a-1",
        "{alike:?}"
    );
    make("line", "B-1", "q");
    make("line-2", "C-1", "one");
    let codes: Vec<String> = found("line.ledger line-2.ledger");
    assert!(
        codes.iter().any(|one| one == "serial-twice: two lines made devices with one serial: B-1"),
        "{codes:?}"
    );
    assert!(
        codes
            .iter()
            .any(|one| one == "device-key-twice: devices have one key under several serials: A-1, C-1"),
        "{codes:?}"
    );
    assert_eq!(codes.len(), 3, "{codes:?}");
    // The same device, made again by the other line, is one.
    make("line-2", "A-2", "ci");
    assert_eq!(found("line.ledger line-2.ledger"), codes);
    // A report says the same.
    let report = desk.ok("custody report line.ledger line-2.ledger");
    assert!(report["findings"].as_array().unwrap().iter().any(|one| one["code"] == "serial-alike"));
    // What a block says counts too.
    desk.ok("provision --serial c-1 --vendor anchorage.example --class demo-node --out c.block");
    assert!(found("line-2.ledger --block c.block").iter().any(|one| one.ends_with("C-1, c-1")));
}

/// What devices keep needs no end; a recovery root of another domain is none of this one; classes without a release are told.
#[test]
fn doctor_holds_each_ledger_against_what_belongs_to_it() {
    let desk = line_and_root();
    desk.issue("root", "third", "--role release --class other --holder Bob --kept ci");
    desk.workshop.write("firmware.bin", &super::workshop::firmware());
    desk.ok("create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 2 --version 1 --out u.suit --image-out i");
    desk.ok("sign u.suit --key third.pem --credential third-root.cwt --out r.suit");
    desk.ok("ledger init thief.ledger --key thief.pem --name t --purpose recovery-root --domain-anchor second.cose --holder T --kept cave");
    let found = |line: &str| {
        let shown = desk.workshop.run(&split(&format!("--json doctor {line}"))).object();
        let found = shown["findings"].as_array().unwrap().clone();
        found
            .iter()
            .map(|one| format!("{}: {}", one["code"].as_str().unwrap(), one["message"]))
            .collect::<Vec<_>>()
    };
    let has = |found: &[String], code: &str| found.iter().any(|one| one.starts_with(code));
    let own = found("root.ledger recovery.ledger");
    assert!(!has(&own, "credential-endless") && !has(&own, "recovery-root-missing"), "{own:?}");
    assert!(has(&found("root.ledger thief.ledger"), "recovery-root-missing"));
    assert!(!has(&own, "credential-broad"), "{own:?}");
    let broad = found("root.ledger recovery.ledger --release r.suit");
    assert!(broad.iter().any(|one| one.contains("of which no release was given")), "{broad:?}");
}
