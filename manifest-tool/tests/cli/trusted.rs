//! What was signed under a later root is judged from the first root on.

use super::succession::Desk;
use super::workshop::{firmware, split};

/// The root named `second`; a release is signed by `ci` with a credential of each root.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release");
    desk.ok("revoke --nothing-new --key root.pem --ledger root.ledger --none-published --out root.list");
    desk.succeed("root", "second");
    desk.go_on("root", "second");
    desk.issue("second", "ci", "--role release");
    desk.chain("second");
    desk.workshop.write("firmware.bin", &firmware());
    desk.ok("create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 2 --version 2 --out \
             unsigned.suit --image-out image.bin");
    for root in ["root", "second"] {
        desk.ok(&format!("sign unsigned.suit --key ci.pem --credential ci-{root}.cwt --out {root}.suit"));
    }
    desk
}

const ANCHOR: &str = "--anchor root.cose";

#[test]
fn tool62_a_release_is_judged_from_the_first_root_on() {
    let desk = desk();
    desk.ok("verify root.suit --anchor root.cose --revocations root.list");
    assert_eq!(desk.refused("verify second.suit --anchor root.cose"), ("anchor-unknown".into(), 5));
    for records in ["--succession second.succession", "--succession second.chain --revocations root.list"] {
        desk.ok(&format!("verify second.suit {ANCHOR} {records}"));
        desk.ok(&format!("credential inspect ci-second.cwt {ANCHOR} {records}"));
        // The root that was succeeded certifies nothing any more.
        let old = desk.refused(&format!("verify root.suit {ANCHOR} {records}"));
        assert_eq!(old, ("anchor-rights".into(), 6));
        let old = desk.refused(&format!("credential inspect ci-root.cwt {ANCHOR} {records}"));
        assert_eq!(old, ("anchor-rights".into(), 6));
        let sign = |root: &str, out: &str| {
            format!(
                "sign unsigned.suit --key ci.pem --credential ci-{root}.cwt --out {out} {ANCHOR} {records}"
            )
        };
        assert_eq!(desk.refused(&sign("root", "no.suit")), ("anchor-rights".into(), 6));
        desk.ok(&format!("{} --force", sign("second", "signed.suit")));
        let recertify = |root: &str, out: &str| {
            format!("recertify root.suit --credential ci-{root}.cwt --out {out} {ANCHOR} {records}")
        };
        assert_eq!(desk.refused(&recertify("root", "no.suit")), ("anchor-rights".into(), 6));
        desk.ok(&format!("{} --force", recertify("second", "renewed.suit")));
        assert_eq!(desk.workshop.read("renewed.suit"), desk.workshop.read("second.suit"));
    }
    // An output that is an input.
    let onto = "sign unsigned.suit --key ci.pem --credential ci-second.cwt --out second.chain --force --anchor root.cose \
                --succession second.chain";
    assert_eq!(desk.refused(onto).1, 2);
}

#[test]
fn a_list_counts_while_its_signer_is_the_root() {
    let desk = desk();
    let verify =
        "verify second.suit --anchor root.cose --succession second.succession --revocations root.list";
    let run = desk.workshop.run(&split(verify));
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{run:?}");
    // The list that a chain brings counts like any other one.
    desk.ok("revoke ci --key second.pem --ledger second.ledger --published second.list --out revoked.list");
    desk.ok("succession chain --history second.ledger --out revoked.chain");
    let verify = "verify second.suit --anchor root.cose --succession revoked.chain";
    assert_eq!(desk.refused(verify), ("key-revoked".into(), 6));
}

#[test]
fn what_the_recovery_root_says_needs_its_key() {
    let desk = desk();
    desk.rescue("second", "third");
    desk.go_on("second", "third");
    desk.issue("third", "ci", "--role release");
    desk.ok("recertify second.suit --credential ci-third.cwt --out third.suit");
    let verify =
        "verify third.suit --anchor root.cose --succession second.succession --succession third.succession";
    assert_eq!(desk.refused(verify), ("anchor-unknown".into(), 5));
    desk.ok(&format!("{verify} --recovery-anchor recovery.cose"));
    // In any order, and without what the recovery root passes over.
    let verify =
        "verify third.suit --anchor root.cose --recovery-anchor recovery.cose --succession third.succession";
    desk.ok(verify);
    desk.ok(&format!("{verify} --succession second.succession"));
}

#[test]
fn what_is_no_record_is_refused_by_its_name() {
    let desk = desk();
    let verify = |records: &str| desk.refused(&format!("verify second.suit --anchor root.cose {records}"));
    assert_eq!(verify("--succession root.list").1, 5);
    assert_eq!(verify("--succession root.cose").1, 5);
    assert_eq!(verify("--revocations second.succession").1, 5);
    assert_eq!(verify("--recovery-anchor root.cose").1, 2);
    assert_eq!(verify("--recovery-anchor 0011223344556677=recovery.cose").1, 2);
    // Records need an anchor under which they count.
    let lonely = "credential inspect ci-second.cwt --succession second.succession";
    assert_eq!(desk.refused(lonely), ("usage".into(), 2));
    assert_eq!(desk.refused("verify second.suit"), ("usage".into(), 2));
    // Another domain's succession leads nowhere.
    desk.ok("ledger init thief.ledger --key thief.pem --name thief --vendor anchorage.example --holder T --kept cave");
    desk.ok("succession request --key third.pem --name third --history thief.ledger --out x.request");
    desk.ok("succession grant x.request --key thief.pem --ledger thief.ledger --reason age --yes --out x.succession");
    let run = desk.workshop.run(&split(
        "--json verify second.suit --anchor root.cose --succession second.succession --succession x.succession",
    ));
    assert_eq!(run.refusal(), ("anchor-unknown".into(), 5));
    assert!(run.object()["error"]["message"].as_str().unwrap().contains("x.succession"), "{run:?}");
}

/// Each record is verified under the root of its time, whatever order they are named in; one that does not hold is refused.
#[test]
fn tool62_records_count_in_their_order_and_none_is_passed_over() {
    let desk = desk();
    let mut list = desk.workshop.read("root.list");
    *list.last_mut().unwrap() ^= 1;
    desk.workshop.write("forged.list", &list);
    let verify = "verify second.suit --anchor root.cose --succession second.succession --revocations";
    desk.ok(&format!("{verify} root.list"));
    assert_eq!(desk.refused(&format!("{verify} forged.list")), ("signature-invalid".into(), 5));
    desk.succeed("second", "third");
    desk.go_on("second", "third");
    desk.issue("third", "ci", "--role release");
    desk.ok("recertify second.suit --credential ci-third.cwt --out third.suit");
    // Two more, of which one is left out: what comes after the gap is named.
    for (root, next) in [("third", "thief"), ("thief", "service")] {
        desk.succeed(root, next);
        desk.go_on(root, next);
    }
    for order in [["second", "third"], ["third", "second"]] {
        let records = order.map(|root| format!("--succession {root}.succession")).join(" ");
        desk.ok(&format!("verify third.suit {ANCHOR} {records} --revocations root.list"));
        let lost = format!("--json verify third.suit {ANCHOR} {records} --succession service.succession");
        let run = desk.workshop.run(&split(&lost));
        assert_eq!(run.refusal(), ("succession-order".into(), 6));
        assert!(run.object()["error"]["message"].as_str().unwrap().contains("service.succession"), "{run:?}");
    }
}
