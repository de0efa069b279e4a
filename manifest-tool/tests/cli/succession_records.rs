//! The files of a succession as `inspect` shows them, and a grant that is cut off anywhere.

use std::process::Command;

use serde_json::json;

use super::cuts::kill_everywhere;
use super::succession::Desk;
use super::terminal::Terminal;
use super::workshop::split;

#[test]
fn what_a_succession_is_made_of_is_shown() {
    let desk = Desk::new();
    desk.succeed("root", "second");
    desk.go_on("root", "second");
    desk.chain("second");
    let kid = |name: &str| desk.ok(&format!("inspect {name}.cose"))["kid"].clone();
    let shown = desk.ok("inspect second.request");
    assert_eq!((&shown["kind"], &shown["kid"]), (&json!("succession-request"), &kid("second")));
    let shown = desk.ok("inspect second.succession");
    assert_eq!((&shown["kind"], &shown["granted_by"]), (&json!("succession"), &kid("root")));
    let shown = desk.ok("inspect second.chain");
    assert_eq!(
        (&shown["kind"], &shown["successions"][0]["number"]),
        (&json!("succession-chain"), &json!("0.1"))
    );
    assert_eq!(shown["list"]["list_sequence"], 1);
    let shown = desk.ok("inspect second.ledger/head.json");
    assert_eq!((&shown["kind"], &shown["signer_kid"]), (&json!("ledger-head"), &kid("second")));
    for name in ["second.request", "second.succession", "second.chain", "second.ledger/head.json"] {
        assert!(desk.workshop.run(&["inspect", name]).stdout.contains("NOT verified"), "{name}");
    }
    // A chain is no list, and the message says what it is.
    let run = desk.workshop.run(&split("verify second.chain --anchor root.cose"));
    assert!(run.stderr.contains("succession chain"), "{run:?}");
}

/// What was typed ahead is no answer; a no signs nothing.
#[test]
fn a_person_reads_what_a_grant_does_and_answers() {
    let desk = Desk::new();
    desk.ok("succession request --key second.pem --name second --history root.ledger --out second.request");
    let line = "succession grant second.request --key root.pem --ledger root.ledger --out second.succession";
    for (answer, code) in [("n", Some(2)), ("", Some(2)), ("y", Some(0))] {
        let before = desk.workshop.snapshot();
        let mut terminal = Terminal::run(&desk.workshop, "y\ny\n", &split(line));
        terminal.wait_for("Sign this succession? [y/N] ");
        terminal.enter(answer);
        let (exit, shown) = terminal.end();
        assert_eq!(exit, code, "{shown}");
        assert!(shown.contains("its thumbprint") && shown.contains("closes the ledger"), "{shown}");
        if code != Some(0) {
            assert!(shown.contains("[declined]"), "{shown}");
            assert_eq!(desk.workshop.snapshot(), before);
        }
    }
    assert!(desk.workshop.path("second.succession").exists());
}

/// SIGKILL at each system call that writes: the ledgers read afterwards, the succession is signed once or not at all, and
/// the same command goes on.
#[test]
fn a_kill_at_any_write_of_a_grant_goes_on() {
    let desk = Desk::new();
    desk.ok(
        "succession request --key second.pem --name second --by-recovery --history root.ledger --history recovery.ledger \
         --out second.request",
    );
    let line = format!("{} --yes", Desk::rescue_line("root", "second"));
    let killed = kill_everywhere(&desk.workshop, &line, |what| {
        desk.ok("ledger verify root.ledger --anchor root.cose");
        let verified = desk.ok("ledger verify recovery.ledger --anchor recovery.cose");
        if !verified["begun"].is_null() {
            assert_eq!(
                desk.workshop.run(&[&["--json"], &split(&line)[..]].concat()).refusal().0,
                "ledger-begun"
            );
            desk.ok("ledger finish recovery.ledger --key recovery.pem");
        }
        let made = desk.ok(&line);
        assert_eq!(made["resumed"] == true, verified["entries"] == 2, "{what}: {made}");
        let verified = desk.ok("ledger verify recovery.ledger --anchor recovery.cose");
        assert_eq!((&verified["entries"], &verified["uncovered"]), (&json!(2), &json!(0)), "{what}");
        assert_eq!(
            desk.ok("ledger verify root.ledger --anchor root.cose")["entries"],
            2,
            "closed once: {what}"
        );
        assert_eq!(
            desk.workshop.read("second.succession"),
            desk.workshop.read("recovery.ledger/000002-succession.cwt"),
            "{what}"
        );
    });
    assert!(killed > 12, "{killed}");
}

/// New root and recovery root are reached by no program of ours: `openssl` signs what `--tbs-out` writes.
#[test]
fn a_succession_is_signed_in_two_steps() {
    let desk = Desk::new();
    let sign = |key: &str, tbs: &str| {
        let status = Command::new("openssl")
            .current_dir(desk.workshop.path(""))
            .args(["pkeyutl", "-sign", "-rawin", "-inkey"])
            .args([&format!("{key}.pem"), "-in", tbs, "-out", &format!("{tbs}.sig")])
            .status();
        assert!(status.unwrap().success());
    };
    let asked = desk.ok(
        "succession request --key second.cose --name second --by-recovery --history root.ledger --history recovery.ledger \
         --tbs-out request.tbs",
    );
    assert_eq!((&asked["number"], &asked["out"]), (&json!("1.0"), &json!(null)));
    sign("thief", "request.tbs");
    let attach =
        "attach --tbs request.tbs --signature request.tbs.sig --signer second.cose --out second.request";
    assert_eq!(desk.refused(attach), ("signature-foreign".into(), 4));
    sign("second", "request.tbs");
    desk.ok(attach);
    let grant = "succession grant second.request --key recovery.cose --ledger recovery.ledger --retires root.ledger --yes \
                 --tbs-out grant.tbs";
    desk.ok(grant);
    let text = String::from_utf8(desk.workshop.read("grant.tbs.txt")).unwrap();
    assert!(text.contains("replaces") && text.contains("the recovery root recovery"), "{text}");
    assert_eq!(desk.refused(grant), ("ledger-begun".into(), 5));
    sign("recovery", "grant.tbs");
    desk.ok(
        "attach --tbs grant.tbs --signature grant.tbs.sig --ledger recovery.ledger --out second.succession --tbs-out head.tbs",
    );
    sign("recovery", "head.tbs");
    desk.ok("attach --tbs head.tbs --signature head.tbs.sig --ledger recovery.ledger");
    // Only now does the recovery root's word stand; the same command closes the ledger of the lost root.
    assert_eq!(desk.ok("ledger list root.ledger")["entries"].as_array().unwrap().len(), 1);
    let last = desk.ok(grant);
    assert_eq!((&last["resumed"], &last["done_before"]), (&json!(true), &json!(false)));
    assert_eq!(desk.ok("ledger list root.ledger")["entries"].as_array().unwrap().len(), 2);
    let again = desk.ok(grant);
    assert_eq!((&again["done_before"], &again["granted"]["entry"]), (&json!(true), &json!(2)));
    assert_eq!(desk.ok("ledger verify recovery.ledger --anchor recovery.cose")["uncovered"], 0);
    desk.go_on("root", "second");
    assert_eq!(desk.chain("second")["successions"], json!(["1.0"]));
}

/// A name is that of one key for good: a root that had it, in whatever case, gives it to no other one. Nothing is written,
/// neither by the request nor by a grant of what another tool asked for.
#[test]
fn tool69_a_new_root_gets_no_name_of_another_key() {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release");
    let request = |name: &str, more: &str| {
        format!(
            "succession request --key second.pem --name {name} --history root.ledger {more} --out second.request"
        )
    };
    for (name, more, held) in [
        ("root", "", "root"),
        ("Root", "", "root"),
        ("CI", "", "ci"),
        ("recovery", "--history recovery.ledger", "recovery"),
        ("root", "--by-recovery --recovery-anchor recovery.cose", "root"),
    ] {
        let line = request(name, more);
        assert_eq!(desk.refused(&line), ("ledger-name-taken".into(), 2), "{line}");
        let shown = desk.workshop.run(&split(&line)).stderr;
        assert!(shown.contains(&format!("{held:?} is the key")), "{shown}");
    }
    // Without the ledger the request cannot know; the grant does, that of the recovery root too.
    let blind = "succession request --key second.pem --name ROOT --anchor root.cose --recovery-anchor recovery.cose --out";
    desk.ok(&format!("{blind} planned.request"));
    desk.ok(&format!("{blind} lost.request --by-recovery"));
    let planned =
        "succession grant planned.request --key root.pem --ledger root.ledger --yes --out second.succession";
    let lost = "succession grant lost.request --key recovery.pem --ledger recovery.ledger --retires root.ledger --yes \
                --out second.succession";
    for line in [planned, lost] {
        assert_eq!(desk.refused(line), ("ledger-name-taken".into(), 2), "{line}");
    }
    // The root signs on.
    desk.issue("root", "service", "--role service");
    // The name of a root that was named is taken, also where only its succession is at hand.
    desk.succeed("root", "second");
    let next = "succession request --key third.pem --name Second --anchor root.cose --succession second.succession --out no.request";
    assert_eq!(desk.refused(next), ("ledger-name-taken".into(), 2));
}

/// Whoever runs a grant again learns that it is done, and where.
#[test]
fn a_grant_that_is_done_says_so() {
    let desk = Desk::new();
    let first = desk.succeed("root", "second");
    assert_eq!((&first["resumed"], &first["done_before"]), (&json!(false), &json!(false)));
    let line = "succession grant second.request --key root.pem --ledger root.ledger --reason age --yes --out second.succession";
    let before = desk.workshop.snapshot();
    let again = desk.ok(&format!("{line} --now 2040-01-01T00:00:00Z"));
    assert_eq!((&again["resumed"], &again["done_before"]), (&json!(true), &json!(true)));
    assert_eq!((&again["granted"]["entry"], &again["out"]), (&json!(2), &json!("second.succession")));
    assert_eq!(desk.workshop.snapshot(), before, "not even another head");
    let shown = desk.workshop.run(&split(line)).stdout;
    assert!(shown.contains("granted before") && shown.contains("nothing was left to do"), "{shown}");
    assert!(shown.contains("second.succession") && !shown.contains("interrupted"), "{shown}");
    // A file that is gone is written again, and that is said too.
    std::fs::remove_file(desk.workshop.path("second.succession")).unwrap();
    let again = desk.ok(line);
    assert_eq!((&again["resumed"], &again["done_before"]), (&json!(true), &json!(false)));
    assert_eq!(
        desk.workshop.read("second.succession"),
        desk.workshop.read("root.ledger/000002-succession.cwt")
    );
}

/// Granted on another stick, which was joined since: the same command goes on with that, and says when it was.
#[test]
fn a_grant_of_a_joined_copy_is_gone_on_with() {
    let desk = Desk::new();
    let path = |name: &str| desk.workshop.path(name);
    let copied = Command::new("cp").arg("-r").arg(path("root.ledger")).arg(path("office")).status();
    assert!(copied.unwrap().success());
    for holder in ["Bob", "Eve", "Ada"] {
        desk.ok(&format!("ledger note root --ledger office --holder {holder} --kept safe --reason moved"));
    }
    desk.ok("succession request --key second.pem --name second --history office --out second.request");
    let grant = |ledger: &str| {
        format!(
            "succession grant second.request --key root.pem --ledger {ledger} --yes --out second.succession"
        )
    };
    desk.ok(&grant("office"));
    let time = desk.ok("ledger list office")["entries"][4]["time"].clone();
    desk.ok("ledger note root --ledger root.ledger --holder Zoe --kept safe --reason moved");
    desk.ok("ledger merge root.ledger office --key root.pem --reason sticks");
    let again = desk.ok(&grant("root.ledger"));
    assert_eq!((&again["resumed"], &again["done_before"]), (&json!(true), &json!(true)), "{again}");
    assert_eq!(again["granted"], json!({"entry": 5, "time": time}));
}
