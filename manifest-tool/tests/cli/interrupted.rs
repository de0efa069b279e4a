//! `credential renew` and `rotate` that were interrupted go on by running them again: nothing is certified, revoked or signed
//! twice, and what was not written is.

use std::path::Path;

use serde_json::{Value, json};

use super::cuts::{SIGKILL, cut_everywhere};
use super::succession::Desk;
use super::workshop::{finish, firmware, split};

/// A release of `ci` under the root, and a service key.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release --holder Bob --kept ci");
    desk.issue("root", "service", "--role service");
    desk.workshop.write("firmware.bin", &firmware());
    desk.ok("create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 2 --version 1 --out u.suit \
             --image-out image.bin");
    desk.ok("sign u.suit --key ci.pem --credential ci-root.cwt --out r.suit");
    std::fs::create_dir(desk.workshop.path("out")).unwrap();
    desk
}

fn kinds(desk: &Desk, ledger: &str) -> Vec<String> {
    let listed = desk.ok(&format!("ledger list {ledger}"));
    let entries = listed["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

/// Each entry once and under the head, whatever was cut; and how often the second run went on. Each second call of a kind:
/// a run makes some two hundred.
fn kill_and_go_on(desk: &Desk, line: &str, ledger: &str, expected: &[&str], check: impl Fn()) {
    let mut went_on = 0;
    let cuts = cut_everywhere(&desk.workshop, line, (SIGKILL, 2), |what, _| {
        let verified = desk.ok(&format!("ledger verify {ledger}"));
        if kinds(desk, ledger).len() < expected.len() || verified["uncovered"] != 0 {
            let made = desk.ok(line);
            went_on += u32::from(made["went_on"] == true);
        }
        let verified = desk.ok(&format!("ledger verify {ledger}"));
        assert_eq!((&verified["begun"], &verified["uncovered"]), (&json!(null), &json!(0)), "{what}");
        assert_eq!(kinds(desk, ledger), expected, "{what}");
        check();
    });
    assert!(cuts > 8 && went_on > 4, "{cuts} {went_on}");
    desk.ok(line);
}

fn only_file(folder: &Path, name: &str) -> String {
    let files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file.starts_with(name) && !file.starts_with('.'))
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    format!("out/{}", files[0])
}

#[test]
fn tool64_a_renewal_goes_on_after_a_kill_at_each_write() {
    let desk = desk();
    desk.succeed("root", "second");
    desk.go_on("root", "second");
    let renew = "credential renew --all --envelope r.suit --key second.pem --ledger second.ledger --out-dir out --yes";
    kill_and_go_on(&desk, renew, "second.ledger", &["open", "credential", "credential"], || {
        let out = desk.workshop.path("out");
        desk.ok("verify out/r.suit --anchor second.cose");
        for name in ["ci-", "service-"] {
            desk.ok(&format!("credential inspect {} --anchor second.cose", only_file(&out, name)));
        }
    });
    // With nothing left, it is a new renewal.
    assert_eq!(desk.refused(renew), ("file-exists".into(), 2));
    let again = "credential renew ci --key second.pem --ledger second.ledger --out-dir out --yes --force";
    assert_eq!(desk.ok(again)["went_on"], false);
    assert_eq!(kinds(&desk, "second.ledger").len(), 4);
}

#[test]
fn tool64_a_rotation_goes_on_after_a_kill_at_each_write() {
    let desk = desk();
    let rotate = "rotate ci --key root.pem --ledger root.ledger --release-key third.pem --subject ci-2 --holder Eve --kept hsm \
                  --out-dir out --envelope r.suit --list-out root.list --none-published --yes";
    let expected = ["open", "credential", "credential", "credential", "list"];
    let expected = expected.map(|kind| if kind == "list" { "revocation-list" } else { kind });
    kill_and_go_on(&desk, rotate, "root.ledger", &expected, || {
        desk.ok("verify out/r.suit --anchor root.cose --revocations root.list");
        let made = desk.ok(&format!("credential inspect {}", only_file(&desk.workshop.path("out"), "ci-2-")));
        assert_eq!((&made["generation"], &made["subject"]), (&json!(1), &json!("ci-2")));
    });
}

/// Another entry that waits for its signature is not this run's.
#[test]
fn what_somebody_else_began_is_not_gone_on_with() {
    let desk = desk();
    desk.ok(
        "credential issue --key root.cose --ledger root.ledger --for second.cose --subject x --role service --vendor \
         anchorage.example --tbs-out x.tbs",
    );
    let renew = "credential renew ci --key root.pem --ledger root.ledger --out-dir out --yes";
    assert_eq!(desk.refused(renew), ("ledger-begun".into(), 5));
    let rotate =
        "rotate ci --key root.pem --ledger root.ledger --for third.cose --subject y --out-dir out --yes";
    assert_eq!(desk.refused(rotate), ("ledger-begun".into(), 5));
}

/// Only what this very command would make is gone on with, and nothing that was given up.
#[test]
fn tool64_what_was_begun_otherwise_or_given_up_is_not_gone_on_with() {
    let begun = |line: &str, more: &str| {
        let desk = desk();
        desk.ok(&format!("{line} --key root.cose --ledger root.ledger --tbs-out begun.tbs {more}"));
        desk
    };
    let issue = "credential issue --for ci.cose --subject ci --role release --vendor anchorage.example --class demo-node";
    let renew = "credential renew ci --key root.pem --ledger root.ledger --out-dir out --yes";
    let refused = ("ledger-begun".to_owned(), 5);
    assert_eq!(begun(issue, "").ok(renew)["went_on"], true);
    let given_up = begun(issue, "");
    given_up.ok("ledger void root.ledger --reason wrong");
    assert_eq!(given_up.ok(renew)["went_on"], false);
    for more in ["--expires 2097-01-01T00:00:00Z", "--class other"] {
        assert_eq!(begun(issue, more).refused(renew), refused, "{more}");
    }
    let ends = format!("{renew} --expires 2097-01-01T00:00:00Z");
    assert_eq!(begun(issue, "").refused(&ends), refused);
    assert_eq!(begun(issue, "--expires 2097-01-01T00:00:00Z").ok(&ends)["went_on"], true);
}

/// The list of a rotation is made where the credential stands already; another list that waits is not taken for it.
#[test]
fn tool64_another_list_is_not_that_of_a_rotation() {
    let desk = desk();
    let kid = desk.ok("key public ci.cose")["kid"].as_str().unwrap().to_owned();
    let rotate = "rotate ci --key root.pem --ledger root.ledger --for third.cose --subject ci-2 --out-dir out --list-out \
                  root.list --none-published --yes";
    let mut seen = 0;
    cut_everywhere(&desk.workshop, rotate, (SIGKILL, 2), |what, _| {
        let verified = desk.ok("ledger verify root.ledger");
        if kinds(&desk, "root.ledger").len() != 4
            || verified["begun"] != json!(null)
            || verified["uncovered"] == 0
        {
            return;
        }
        seen += 1;
        // Of another key, and of the key in another role.
        for list in ["service".to_owned(), format!("--kid {kid} --role service --generation 0")] {
            let begin = format!(
                "revoke {list} --key root.cose --ledger root.ledger --none-published --tbs-out x.tbs"
            );
            desk.ok(&format!("{begin} --force"));
            assert_eq!(desk.refused(rotate), ("ledger-begun".into(), 5), "{what}: {list}");
            desk.ok("ledger void root.ledger --reason wrong");
        }
    });
    assert!(seen > 0);
}

/// The disk is full somewhere: the error says which entries stand, just when some do, and what to do holds.
#[test]
fn an_error_after_an_entry_says_that_it_stands() {
    let issue = "--json credential issue --key root.pem --ledger root.ledger --for one.cose --role release --vendor \
                 anchorage.example --class demo-node --subject one --holder Bob --out one.cwt";
    let two = "--json credential issue --key root.pem --ledger root.ledger --for ci.cose --role release --vendor \
               anchorage.example --class demo-node --subject ci --holder Bob --out narrow.cwt --replaces ci-root.cwt \
               --list-out list.cwt --none-published";
    for (line, most) in [(issue, 1), (two, 2)] {
        let (mut none, mut begun, mut signed, mut longest) = (0, 0, 0, 0);
        for when in 1_u32.. {
            let desk = Desk::new();
            desk.workshop.key("one");
            desk.issue("root", "ci", "--role release --holder Bob --kept ci");
            let before = kinds(&desk, "root.ledger").len();
            let mut command = std::process::Command::new("strace");
            command.current_dir(desk.workshop.path("")).args(["-qq", "-o", "/dev/null", "-e", "trace=fsync"]);
            let inject = format!("inject=fsync:error=ENOSPC:when={when}");
            command.args(["-e", &inject, env!("CARGO_BIN_EXE_manifest-tool")]).args(split(line));
            let run = finish(command);
            if run.exit == 0 {
                break;
            }
            let error = run.object();
            let numbers: Vec<usize> = (before + 1..=kinds(&desk, "root.ledger").len()).collect();
            let Value::Object(written) = &error["written"] else {
                none += 1;
                assert!(numbers.is_empty(), "{when}: {error}");
                continue;
            };
            assert_eq!((&written["ledger"], &written["entries"]), (&json!("root.ledger"), &json!(numbers)));
            longest = longest.max(numbers.len());
            let last = numbers.last().unwrap();
            // What it tells people to do.
            if written["begun"].is_null() {
                signed += 1;
                desk.ok(&format!("ledger export root.ledger --entry {last} --out record"));
            } else {
                begun += 1;
                assert_eq!(&written["begun"], last);
                desk.ok("ledger finish root.ledger --key root.pem --out record");
            }
        }
        assert!(none > 0 && begun > 0 && signed > 0, "{none} {begun} {signed}");
        assert_eq!(longest, most, "{line}");
    }
}
