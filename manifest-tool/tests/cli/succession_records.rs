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
    assert_eq!(desk.ok(grant)["resumed"], true);
    assert_eq!(desk.ok("ledger list root.ledger")["entries"].as_array().unwrap().len(), 2);
    assert_eq!(desk.ok("ledger verify recovery.ledger --anchor recovery.cose")["uncovered"], 0);
    desk.go_on("root", "second");
    assert_eq!(desk.chain("second")["successions"], json!(["1.0"]));
}
