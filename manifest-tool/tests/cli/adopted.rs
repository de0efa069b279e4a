//! Ledgers that begin with old records, and sticks that are joined on a full disk.

use std::process::Command;

use serde_json::json;

use super::ledger::kinds;
use super::workshop::{Workshop, finish, split};

const INIT: &str = "ledger init ledger --key root.pem --name root --holder Ada --kept safe --adopt";

/// Keys that were certified before there was a ledger, under names that it would refuse today: they are in it, and are
/// certified again.
#[test]
fn names_of_old_records_do_not_stop_a_ledger_that_begins() {
    let workshop = Workshop::new();
    for name in ["root", "one", "two"] {
        workshop.key(name);
    }
    for (key, subject) in [("one", "CI"), ("two", "ci")] {
        workshop.ok(&split(&format!(
            "credential issue --key root.pem --vendor anchorage.example --issuer root --no-ledger --for {key}.cose --role service \
             --subject {subject} --out {key}.cwt"
        )));
    }
    workshop.ok(&split(&format!("{INIT} one.cwt two.cwt")));
    for (name, times) in [("CI", 1), ("ci", 2)] {
        let renew = format!("credential renew {name} --key root.pem --out-dir out{times} --yes");
        workshop.ok(&split(&renew));
    }
    assert_eq!(kinds(&workshop, "ledger").len(), 5);
}

/// Two sticks certified a "ci" each, and were joined: a name that means either stops whoever revokes or renews by it.
#[test]
fn two_keys_of_one_name_are_told_apart_by_their_kids() {
    let workshop = Workshop::new();
    for name in ["root", "one", "two", "three"] {
        workshop.key(name);
    }
    let ok = |line: &str| workshop.ok(&split(line));
    ok(&format!("{} --vendor anchorage.example", INIT.trim_end_matches(" --adopt")));
    let copied =
        Command::new("cp").arg("-r").arg(workshop.path("ledger")).arg(workshop.path("office")).status();
    assert!(copied.unwrap().success());
    for (ledger, key) in [("ledger", "one"), ("office", "two")] {
        ok(&format!(
            "credential issue --key root.pem --vendor anchorage.example --ledger {ledger} --for {key}.cose --role release \
             --class demo-node --subject ci --out {key}.cwt"
        ));
    }
    ok("ledger merge ledger office --key root.pem --reason sticks");
    let before = workshop.snapshot();
    let rotate = |key: &str| {
        format!(
            "rotate {key} --key root.pem --for three.cose --subject ci-2 --out-dir rotated --list-out l --none-published --yes"
        )
    };
    for line in [
        "revoke ci --key root.pem --none-published --out list".to_owned(),
        "credential renew ci --key root.pem --out-dir out --yes".to_owned(),
        "custody what-if ledger --revoke ci".to_owned(),
        rotate("ci"),
    ] {
        assert_eq!(workshop.refused(&split(&line)), ("ledger-name-of-two".into(), 2), "{line}");
    }
    assert!(workshop.snapshot() == before);
    let kid = |name: &str| ok(&format!("key public {name}.pem"))["kid"].as_str().unwrap().to_owned();
    ok(&format!("credential renew {} --key root.pem --out-dir out1 --yes", kid("one")));
    ok(&format!("credential renew {} --key root.pem --out-dir out2 --yes", kid("two")));
    ok(&rotate(&kid("two")));
}

/// Two lists of which none continues the other: with one of them the same command begins the ledger.
#[test]
fn a_record_that_is_refused_leaves_no_half_a_ledger() {
    let workshop = Workshop::with_release();
    let first = "revoke --key root.pem --issuer root --first";
    workshop.ok(&split(&format!("{first} --key-of release.cwt --out one.list")));
    workshop.ok(&split(&format!("{first} --lowest-generation service=1 --out two.list")));
    let refused =
        workshop.run(&[&["--json"], &split(&format!("{INIT} release.cwt one.list two.list"))[..]].concat());
    assert_eq!(refused.object()["error"]["code"], "revocation-forked", "{}", refused.stdout);
    assert!(!ledger::is_ledger(&workshop.path("ledger")));
    let made = workshop.ok(&split(&format!("{INIT} release.cwt one.list")));
    assert_eq!(made["adopted"], json!(2));
}

/// A merge that fails leaves no folder of a copy, which a later entry of its number would be taken to have joined.
#[test]
fn a_merge_on_a_full_disk_leaves_nothing() {
    let workshop = Workshop::with_release();
    workshop.ok(&split(INIT.trim_end_matches(" --adopt")));
    let copied =
        Command::new("cp").arg("-r").arg(workshop.path("ledger")).arg(workshop.path("office")).status();
    assert!(copied.unwrap().success());
    for (ledger, holder) in [("ledger", "Bob"), ("office", "Eve"), ("office", "Bob")] {
        let line = format!("ledger note --ledger {ledger} root --holder {holder} --kept safe --reason moved");
        workshop.ok(&split(&line));
    }
    let before = workshop.snapshot();
    let merge = split("--json ledger merge ledger office --key root.pem --reason sticks");
    let mut failed = 0;
    for when in 1_u32..40 {
        let mut command = Command::new("strace");
        command.current_dir(workshop.path("")).args(["-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e"]);
        command.arg(format!("inject=fsync:error=ENOSPC:when={when}"));
        command.arg(env!("CARGO_BIN_EXE_manifest-tool")).args(&merge);
        let run = finish(command);
        if run.exit == 0 || kinds(&workshop, "ledger").len() > 2 {
            break;
        }
        failed += 1;
        assert_eq!(run.object()["error"]["code"], "ledger-file", "{when}: {}", run.stdout);
        assert!(workshop.snapshot() == before, "{when}: {}", run.stdout);
        assert!(!workshop.path("ledger/000003-merge").exists(), "{when}");
    }
    assert!(failed > 1, "{failed}");
}
