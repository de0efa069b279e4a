//! The ledger of a root, as its commands keep it.

use std::process::Command;

use serde_json::{Value, json};

use super::cuts::kill_everywhere;
use super::workshop::{Workshop, split};

const ISSUE: &str = "credential issue --key root.pem --vendor anchorage.example --class demo-node";

/// A root with a ledger beside it.
fn desk() -> Workshop {
    let workshop = Workshop::new();
    for name in ["root", "ci", "second"] {
        workshop.key(name);
    }
    workshop.ok(&[
        &split("ledger init ledger --key root.pem --vendor anchorage.example --by Ada --holder Ada")[..],
        &["--name", "root 2026", "--kept", "stick 1, in the safe"],
    ]
    .concat());
    workshop
}

fn issue(workshop: &Workshop, name: &str, more: &str) -> Value {
    let files = format!("--for {name}.cose --out {name}.cwt --subject {name}");
    workshop.ok(&[split(ISSUE), split(&files), split(more)].concat())
}

pub(super) fn kinds(workshop: &Workshop, ledger: &str) -> Vec<String> {
    let listed = workshop.ok(&["ledger", "list", ledger]);
    let entries = listed["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_the_root_signs_is_recorded_and_revoked_by_name() {
    let workshop = desk();
    let issued = issue(&workshop, "ci", "--role release --holder Bob --kept token-7");
    assert_eq!((&issued["ledger_entry"], &issued["issuer"]), (&json!(2), &json!("root 2026")));
    assert!(issued["expires"].as_u64() > issued["issued_at"].as_u64(), "an end is proposed");
    let without_end = issue(&workshop, "second", "--role service --no-expiry");
    assert_eq!(without_end["expires"], Value::Null);
    let shown = workshop.ok(&["ledger", "show", "ledger"]);
    assert_eq!((&shown["uncovered"], &shown["keys"][0]["holder"]), (&json!(0), &json!("Bob")));
    assert_eq!(shown["keys"][0]["status"], "good");

    // By name, with no word of generation, role or previous list.
    let revoke = split("revoke ci --key root.pem --out list.cwt --reason stolen");
    assert_eq!(workshop.refused(&revoke), ("usage".into(), 2), "what is published has to be said");
    let revoked = workshop.ok(&[&revoke[..], &["--none-published"]].concat());
    assert_eq!((&revoked["list_sequence"], &revoked["ledger_entry"]), (&json!(1), &json!(4)));
    assert_eq!(workshop.ok(&["ledger", "show", "ledger"])["keys"][0]["status"], "revoked");
    let nobody = split("revoke nobody --key root.pem --out no.cwt --published list.cwt");
    assert_eq!(workshop.refused(&nobody), ("ledger-no-such-key".into(), 2));
    let again = split("revoke second --key root.pem --out list2.cwt --published list.cwt");
    assert_eq!(workshop.ok(&again)["list_sequence"], 2);
    // The third key may sign above what the thief of the first could use up.
    workshop.key("third");
    let third = issue(&workshop, "third", "--role release");
    assert_eq!(third["sequence_ceiling"], json!(0xFFFF_FFFFu64 + (1 << 20)));
    assert_eq!(
        kinds(&workshop, "ledger"),
        ["open", "credential", "credential", "revocation-list", "revocation-list", "credential"]
    );
    let verified = workshop.ok(&split("ledger verify ledger --anchor root.cose --published list2.cwt"));
    assert_eq!((&verified["uncovered"], &verified["begun"]), (&json!(0), &Value::Null));
}

#[test]
fn a_name_is_one_key_and_a_ledger_one_root() {
    let workshop = desk();
    issue(&workshop, "ci", "--role release");
    let taken = format!("{ISSUE} --for second.cose --out no.cwt --subject ci --role release");
    assert_eq!(workshop.refused(&split(&taken)), ("ledger-name-taken".into(), 2));
    let role = format!("{ISSUE} --for ci.cose --out no.cwt --subject other --role service");
    assert_eq!(workshop.refused(&split(&role)), ("key-has-role".into(), 4));
    let other = "credential issue --key second.pem --vendor anchorage.example --for ci.cose --out no.cwt --subject x \
                 --role release --issuer s --ledger ledger";
    assert_eq!(workshop.refused(&split(other)), ("ledger-other-key".into(), 4));
    let none = format!("{ISSUE} --for ci.cose --out ci.cwt --subject x --role release");
    assert_eq!(workshop.refused(&split(&none)), ("file-exists".into(), 2), "before anything is recorded");
    assert_eq!(kinds(&workshop, "ledger"), ["open", "credential"]);
}

#[test]
fn old_records_are_adopted_unwitnessed() {
    let workshop = Workshop::with_release();
    let first = "revoke --key root.pem --issuer root --first --key-of release.cwt --out one.list";
    workshop.ok(&split(first));
    workshop.ok(&split(
        "revoke --key root.pem --issuer root --previous one.list --lowest-generation service=1 --out two.list",
    ));
    let init = |adopt: &'static str| {
        let line = "ledger init ledger --key root.pem --name root --holder Ada --kept safe --adopt";
        [split(line), split(adopt)].concat()
    };
    let made = workshop.ok(&init("two.list release.cwt one.list"));
    assert_eq!((&made["entries"], &made["adopted"]), (&json!(4), &json!(3)));
    let listed = workshop.ok(&["ledger", "list", "ledger"]);
    assert_eq!(listed["entries"][1]["remark"], "unwitnessed");
    assert_eq!(kinds(&workshop, "ledger")[2..], ["revocation-list", "revocation-list"]);
    assert_eq!(workshop.ok(&["ledger", "show", "ledger"])["keys"][0]["status"], "revoked");
    assert_eq!(workshop.refused(&init("release.cwt")), ("ledger-exists".into(), 2));
    workshop.key("other");
    let foreign = "ledger init l2 --key other.pem --name other --holder A --kept k --adopt release.cwt";
    assert_eq!(
        workshop.run(&[&["--json"], &split(foreign)[..]].concat()).refusal(),
        ("key-mismatch".into(), 5)
    );
}

/// Two ledgers of one key would each give out numbers and names without the other.
#[test]
fn a_key_has_one_ledger() {
    let workshop = desk();
    let second =
        "ledger init second --key root.pem --vendor anchorage.example --holder Ada --name other --kept k";
    assert_eq!(workshop.refused(&split(second)), ("ledger-exists".into(), 2));
    workshop.ok(&split(&second.replace("root.pem", "second.pem")));
}

/// A stick that lay in a drawer: the published list tells. Two that went on: named, joined, and the next list continues both.
#[test]
fn two_copies_that_went_on_are_joined() {
    let workshop = desk();
    issue(&workshop, "ci", "--role release");
    let copy = |from: &str, to: &str| {
        let status = Command::new("cp").arg("-r").arg(workshop.path(from)).arg(workshop.path(to)).status();
        assert!(status.unwrap().success());
    };
    copy("ledger", "office");
    let diff =
        |one, other| workshop.run(&["--json", "ledger", "diff", one, other]).object()["relation"].clone();
    assert_eq!(diff("ledger", "office"), "same");
    workshop.ok(&split("revoke ci --key root.pem --none-published --out a.cwt"));
    assert_eq!((diff("ledger", "office"), diff("office", "ledger")), (json!("behind"), json!("ahead")));
    let stale = split("revoke ci --key root.pem --ledger office --published a.cwt --out b.cwt");
    assert_eq!(workshop.refused(&stale), ("ledger-stale".into(), 5));
    // Somebody says that none was published: two lists with one number.
    let on = split(
        "revoke --lowest-generation service=1 --key root.pem --ledger office --none-published --out b.cwt",
    );
    workshop.ok(&on);
    assert_eq!(diff("ledger", "office"), "forked");
    let forked = split("revoke ci --key root.pem --ledger office --published a.cwt --out c.cwt");
    assert_eq!(workshop.refused(&forked), ("ledger-forked".into(), 5));

    let merge = split("ledger merge ledger office --key root.pem --reason two-sticks");
    let merged = workshop.ok(&merge);
    assert_eq!((&merged["lists_to_join"], merged["joined"].as_array().unwrap().len()), (&json!(true), 1));
    assert_eq!(workshop.refused(&merge), ("ledger-not-forked".into(), 2), "joined already");
    let next = workshop
        .ok(&split("revoke --lowest-generation device=1 --key root.pem --published b.cwt --out c.cwt"));
    assert_eq!((&next["list_sequence"], next["revoked"].as_array().unwrap().len()), (&json!(2), 1));
    assert_eq!(next["lowest_generations"].as_array().unwrap().len(), 2);
    workshop.ok(&split("ledger verify ledger --anchor root.cose --published c.cwt"));
}

/// Whatever either copy revoked is revoked, on devices that have its list; until one list continues both, that is a finding.
#[test]
fn tool75_what_either_copy_revoked_is_revoked() {
    for both_signed in [true, false] {
        let workshop = desk();
        issue(&workshop, "ci", "--role release");
        issue(&workshop, "second", "--role service");
        let status =
            Command::new("cp").arg("-r").arg(workshop.path("ledger")).arg(workshop.path("office")).status();
        assert!(status.unwrap().success());
        let revoke = |name: &str, ledger: &str| {
            workshop.ok(&split(&format!(
                "revoke {name} --key root.pem --ledger {ledger} --none-published --out {name}.list"
            )))
        };
        if both_signed {
            revoke("second", "ledger");
        } else {
            workshop.ok(&split("ledger note second --ledger ledger --holder Bob --kept ci --reason told"));
        }
        revoke("ci", "office");
        let merged = workshop.ok(&split("ledger merge ledger office --key root.pem --reason two-sticks"));
        assert_eq!(merged["lists_to_join"], true);
        let status = || {
            let shown = workshop.ok(&["ledger", "show", "ledger"]);
            [0, 1].map(|key| shown["keys"][key]["status"].as_str().unwrap().to_owned())
        };
        let expected = ["revoked", if both_signed { "revoked" } else { "good" }];
        assert_eq!(status(), expected);
        let codes = |command: &str, member: &str| {
            let found = workshop.run(&["--json", command, "ledger"]).object()[member].clone();
            let found = found.as_array().unwrap().clone();
            found.iter().map(|found| found["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let is_apart = || {
            let [doctor, today] = [codes("doctor", "findings"), codes("today", "due")];
            [doctor, today].map(|codes| codes.contains(&"lists-apart".to_owned()))
        };
        assert_eq!(is_apart(), [true, true]);
        let again = "credential renew ci --key root.pem --ledger ledger --out-dir .";
        assert_ne!(workshop.run(&split(again)).exit, 0);
        workshop.ok(&split("revoke --nothing-new --key root.pem --published ci.list --out united.list"));
        assert_eq!((is_apart(), status()), ([false, false], expected.map(str::to_owned)));
    }
}

/// Between the entry and its record: the next command says so, and it is finished or given up.
#[test]
fn what_was_begun_is_finished_or_given_up() {
    for finish in [true, false] {
        let workshop = desk();
        issue(&workshop, "ci", "--role release");
        std::fs::remove_file(workshop.path("ledger/000002-credential.cwt")).unwrap();
        std::fs::remove_file(workshop.path("ledger/head.json")).unwrap();
        let line = format!("{ISSUE} --for second.cose --out second.cwt --subject second --role service");
        assert_eq!(workshop.refused(&split(&line)), ("ledger-begun".into(), 5));
        if finish {
            let made = workshop.ok(&split("ledger finish ledger --key root.pem --out again.cwt"));
            assert_eq!(made["entry"], 2);
            assert_eq!(workshop.read("again.cwt"), workshop.read("ci.cwt"));
        } else {
            workshop.ok(&split("ledger void ledger --reason power-cut"));
            let nothing = split("ledger void ledger --reason again");
            assert_eq!(workshop.refused(&nothing), ("ledger-nothing-begun".into(), 2));
        }
        workshop.ok(&split(&line));
        let shown = workshop.ok(&["ledger", "show", "ledger"]);
        assert_eq!(shown["keys"].as_array().unwrap().len(), if finish { 2 } else { 1 });
    }
}

#[test]
fn a_key_changes_hands_and_entries_leave_as_files() {
    let workshop = desk();
    issue(&workshop, "ci", "--role release --holder Bob --kept token-7");
    let note = "ledger note ci --ledger ledger --holder Eve --reason Bob-left";
    assert_eq!(workshop.ok(&split(note))["kept"], "token-7");
    let shown = workshop.ok(&["ledger", "show", "ledger"]);
    assert_eq!((&shown["uncovered"], &shown["keys"][0]["holder"]), (&json!(1), &json!("Eve")));
    workshop.ok(&split("ledger finish ledger --key root.pem"));
    workshop.ok(&split("ledger export ledger --csv table.csv"));
    let table = String::from_utf8(workshop.read("table.csv")).unwrap();
    assert!(table.lines().count() == 4 && table.contains("Eve holds it"), "{table}");
    workshop.ok(&split("ledger export ledger --entry 2 --out same.cwt"));
    assert_eq!(workshop.read("same.cwt"), workshop.read("ci.cwt"));
    let none = split("ledger export ledger --entry 3 --out no.cwt");
    assert_eq!(workshop.refused(&none), ("usage".into(), 2));
}

/// SIGKILL at each system call that writes, renames or removes: the ledger reads afterwards, nothing is half certified, and
/// the same work is done again or finished.
#[test]
fn a_kill_at_any_write_leaves_a_ledger_that_goes_on() {
    let workshop = desk();
    let line = format!("{ISSUE} --for ci.cose --out ci.cwt --subject ci --role release");
    let killed = kill_everywhere(&workshop, &line, |what| {
        let verified = workshop.ok(&split("ledger verify ledger --anchor root.cose"));
        let begun = !verified["begun"].is_null();
        let entries = verified["entries"].as_u64().unwrap();
        match (begun, entries) {
            (true, _) => {
                workshop.ok(&split("ledger finish ledger --key root.pem"));
            }
            // Whole, but for the head or the file that was asked for.
            (false, 2) => {
                workshop.ok(&split("ledger finish ledger --key root.pem"));
                workshop.ok(&split("ledger export ledger --entry 2 --out ci.cwt --force"));
            }
            (false, _) => assert_eq!(entries, 1, "{what}"),
        }
    });
    assert!(killed > 8, "{killed}");
}

/// An old copy, and no newer one at hand: what was written on paper tells.
#[test]
fn tool73_a_stale_copy_lacks_what_was_written_down() {
    let desk = super::succession::Desk::new();
    let before = desk.ok("ledger verify root.ledger");
    let old = std::process::Command::new("cp")
        .args(["-r", "root.ledger", "old"])
        .current_dir(desk.workshop.path(""))
        .status();
    assert!(old.unwrap().success());
    desk.issue("root", "ci", "--role release");
    let now = desk.ok("ledger verify root.ledger");
    let (digest, older) = (now["digest"].as_str().unwrap(), before["digest"].as_str().unwrap());
    for (written, finds) in [
        ("--at-least 2".to_owned(), true),
        (format!("--digest {digest}"), true),
        (format!("--digest {}", digest[..16].to_uppercase()), true),
        (format!("--at-least 2 --digest {digest}"), true),
        // What the old copy had is in both.
        ("--at-least 1".to_owned(), false),
        (format!("--at-least 1 --digest {older}"), false),
        (format!("--digest {older}"), false),
    ] {
        desk.ok(&format!("ledger verify root.ledger {written}"));
        let line = format!("ledger verify old {written}");
        if finds {
            assert_eq!(desk.refused(&line), ("ledger-stale".into(), 5), "{line}");
        } else {
            desk.ok(&line);
        }
    }
    // The copy goes on by itself: as many entries, and another history.
    desk.ok("ledger note root --ledger old --holder Bob --kept bank --reason x");
    desk.ok("ledger verify old --at-least 2");
    assert_eq!(desk.refused(&format!("ledger verify old --at-least 2 --digest {digest}")).0, "ledger-stale");
    // A digest belongs to its number.
    let wrong = format!("ledger verify root.ledger --at-least 2 --digest {older}");
    assert_eq!(desk.refused(&wrong), ("ledger-stale".into(), 5));
    for bad in ["--digest 0011", "--digest xx11223344556677", "--at-least 0"] {
        assert_eq!(desk.refused(&format!("ledger verify root.ledger {bad}")), ("usage".into(), 2), "{bad}");
    }
}
