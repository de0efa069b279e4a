//! Keys that are certified again under another root, and release keys that are replaced. `verify` runs what devices run.

use serde_json::{Value, json};

use super::succession::Desk;
use super::workshop::{firmware, split};

/// A desk with a release key and two signed releases of it, sequence numbers 2 and 3, and a folder for what is made.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release --holder Bob --kept ci");
    desk.workshop.write("firmware.bin", &firmware());
    release(&desk, 2);
    release(&desk, 3);
    for folder in ["out", "more"] {
        std::fs::create_dir(desk.workshop.path(folder)).unwrap();
    }
    desk
}

/// `r{sequence}.suit`, signed by ci.
fn release(desk: &Desk, sequence: u64) {
    create(desk, sequence);
    desk.ok(&format!("sign u{sequence}.suit --key ci.pem --credential ci-root.cwt --out r{sequence}.suit"));
}

fn create(desk: &Desk, sequence: u64) {
    desk.ok(&format!(
        "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence {sequence} --version 1 --out \
         u{sequence}.suit --image-out image.bin --force"
    ));
}

fn out_of(made: &Value) -> String {
    made["credentials"][0]["out"].as_str().unwrap().to_owned()
}

#[test]
fn releases_on_offer_live_on_under_the_next_root() {
    let desk = desk();
    desk.issue("root", "service", "--role service");
    desk.issue("root", "thief", "--role service");
    desk.ok("revoke thief --key root.pem --ledger root.ledger --none-published --out root.list");
    desk.succeed("root", "second");
    desk.go_on("root", "second");
    let renew = "credential renew --key second.pem --ledger second.ledger --out-dir out";
    // Nobody said yes; a key that was taken back; one that nobody knows; a release of a stranger.
    assert_eq!(desk.refused(&format!("{renew} ci")), ("confirmation-needed".into(), 2));
    assert_eq!(desk.refused(&format!("{renew} thief --yes")), ("key-revoked".into(), 6));
    assert_eq!(desk.refused(&format!("{renew} nobody --yes")), ("ledger-no-such-key".into(), 2));
    assert_eq!(desk.refused(&format!("{renew} --envelope u2.suit --yes")), ("signature-missing".into(), 5));
    let old = "credential renew --key root.pem --ledger root.ledger --out-dir out ci --yes";
    assert_eq!(desk.refused(old), ("ledger-closed".into(), 5));
    assert_eq!(
        desk.refused(&format!("{renew} ci --expires 2020-01-31T00:00:00Z --yes")),
        ("usage".into(), 2)
    );
    let none = "credential renew --key second.pem --no-ledger --out-dir out ci --yes";
    assert_eq!(desk.refused(none), ("usage".into(), 2));

    let made = desk.ok(&format!("{renew} --envelope r2.suit --envelope r3.suit --yes"));
    assert_eq!(
        (made["credentials"].as_array().unwrap().len(), &made["envelopes"][1]["sequence"]),
        (1, &json!(3))
    );
    let (before, after) = (
        desk.ok("credential inspect ci-root.cwt"),
        desk.ok(&format!("credential inspect {}", out_of(&made))),
    );
    for same in ["subject", "kid", "role", "vendor", "classes", "generation", "sequence_ceiling"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    for name in ["r2", "r3"] {
        let of_old = format!("verify {name}.suit --anchor second.cose");
        assert_eq!(desk.refused(&of_old), ("anchor-unknown".into(), 5));
        let digest =
            desk.ok(&format!("verify out/{name}.suit --anchor second.cose"))["manifest_digest"].clone();
        assert_eq!(digest, desk.ok(&format!("verify {name}.suit --anchor root.cose"))["manifest_digest"]);
    }
    desk.ok("revoke --lowest-generation service=1 --key second.pem --ledger second.ledger --none-published --out l1");
    // What is left of the keys: the service key, and neither the renewed one nor the revoked one.
    let rest = desk.ok(&format!("{renew} --all --yes"));
    assert_eq!(
        (rest["credentials"].as_array().unwrap().len(), &rest["credentials"][0]["subject"]),
        (1, &json!("service"))
    );
    assert_eq!(desk.refused(&format!("{renew} --all --yes")), ("usage".into(), 2));
    let shown = desk.ok("ledger show second.ledger");
    assert_eq!((&shown["keys"][0]["holder"], &shown["uncovered"]), (&json!("Bob"), &json!(0)));
    // A later renewal, under the same root.
    let again = desk.ok("credential renew ci --key second.pem --ledger second.ledger --out-dir more --yes");
    assert_ne!(again["credentials"][0]["cti"], made["credentials"][0]["cti"]);
    desk.ok("revoke --lowest-generation release=1 --key second.pem --ledger second.ledger --published l1 --out l2");
    assert_eq!(
        desk.refused(&format!("{renew} ci --yes")),
        ("key-revoked".into(), 6),
        "its generation was taken back"
    );
}

/// The thief signs up to the ceiling of the stolen key, and devices take it. The next key signs above.
#[test]
fn a_stolen_release_key_that_used_up_its_ceiling_is_replaced() {
    let desk = desk();
    let ceiling = 0xFFFF_FFFFu64;
    create(&desk, ceiling + 1);
    release(&desk, ceiling);
    let stolen = format!("sign u{}.suit --key ci.pem --credential ci-root.cwt --out no.suit", ceiling + 1);
    assert_eq!(desk.refused(&stolen), ("sequence-above-ceiling".into(), 6));
    let rotate = "rotate ci --key root.pem --ledger root.ledger --release-key third.pem --subject ci-2 --holder Eve --kept hsm \
                  --out-dir out --envelope r2.suit --envelope r3.suit --list-out root.list";
    assert_eq!(
        desk.refused(&format!("{rotate} --yes")),
        ("usage".into(), 2),
        "what is published has to be said"
    );
    let rotate = format!("{rotate} --none-published");
    assert_eq!(desk.refused(&rotate), ("confirmation-needed".into(), 2));
    let made = desk.ok(&format!("{rotate} --yes"));
    assert_eq!(
        (&made["sequence_above"], &made["releases"][0]["fate"]),
        (&json!(ceiling), &json!("signed-again"))
    );
    let credential = &made["credentials"][0];
    assert_eq!(credential["sequence_ceiling"], ceiling + (1 << 20));
    assert_eq!((&credential["generation"], &credential["subject"]), (&json!(1), &json!("ci-2")));
    assert_eq!(made["list"]["revoked"][0]["id"], made["replaced_kid"]);
    // Devices that know the list refuse the old signature and take the new one.
    let verify = |release: &str, more: &str| {
        format!("verify {release}.suit --anchor root.cose --revocations root.list {more}")
    };
    assert_eq!(desk.refused(&verify("r2", "")), ("key-revoked".into(), 6));
    assert_eq!(desk.ok(&verify("out/r2", ""))["sequence"], 2);
    // A device that took the thief's last number takes the next release, which the new key may sign.
    let next =
        format!("sign u{}.suit --key third.pem --credential {} --out next.suit", ceiling + 1, out_of(&made));
    desk.ok(&next);
    let floor = format!("--sequence-floor {ceiling}");
    assert_eq!(desk.refused(&verify("out/r3", &floor)), ("sequence-rollback".into(), 6));
    assert_eq!(desk.ok(&verify("next", &floor))["sequence"], ceiling + 1);
    let shown = desk.ok("ledger show root.ledger");
    assert_eq!(
        (&shown["keys"][0]["status"], &shown["keys"][1]["holder"]),
        (&json!("revoked"), &json!("Eve"))
    );
    let again = "rotate ci --key root.pem --ledger root.ledger --for thief.cose --subject x --out-dir more --list-out no --yes \
                 --published root.list";
    assert_eq!(desk.refused(again), ("usage".into(), 2), "it is revoked already");
    // After a revocation of its own it can still be rotated.
    desk.ok(
        "rotate ci --key root.pem --ledger root.ledger --for second.cose --subject ci-3 --out-dir more --yes",
    );
}

#[test]
fn a_rotation_says_what_becomes_of_each_release() {
    let desk = desk();
    let fates = |line: &str| {
        let made = desk.ok(line);
        let fates = made["releases"].as_array().unwrap().iter().map(|release| release["fate"].clone());
        fates.collect::<Vec<_>>()
    };
    let rotate =
        "rotate ci --key root.pem --ledger root.ledger --for third.cose --subject ci-2 --out-dir out";
    assert_eq!(fates(&format!("{rotate} --envelope r2.suit --yes")), ["stays-valid"]);
    let of_new =
        out_of(&desk.ok("credential renew ci-2 --key root.pem --ledger root.ledger --out-dir more --yes"));
    desk.ok(&format!("sign u3.suit --key third.pem --credential {of_new} --out new.suit"));
    let revoking = "rotate ci --key root.pem --ledger root.ledger --for second.cose --subject ci-3 --out-dir more --envelope \
                    r2.suit --envelope new.suit --list-out list --none-published --yes";
    assert_eq!(fates(revoking), ["has-to-be-signed-again", "unaffected"]);

    // Each is refused, and nothing changes.
    let rotate =
        |rest: &str| format!("rotate {rest} --key root.pem --ledger root.ledger --out-dir out --yes");
    desk.issue("root", "service", "--role service");
    for (line, code) in [
        ("ci --for ci.cose --subject x", "usage"),
        ("ci --for root.cose --subject x", "credential-for-anchor"),
        ("ci --for service.cose --subject x", "key-has-role"),
        ("ci --for thief.cose --subject ci", "ledger-name-taken"),
        ("service --for thief.cose --subject x", "usage"),
        ("nobody --for thief.cose --subject x", "ledger-no-such-key"),
        ("ci-2 --for thief.cose --subject x --none-published", "usage"),
        ("ci-2 --for thief.cose --subject x --envelope u2.suit", "signature-missing"),
        ("ci-2 --release-key thief.pem --for ci.cose --envelope r2.suit --subject x", "usage"),
        ("ci-2 --for thief.cose --subject x --expires 2020-01-31T00:00:00Z", "usage"),
    ] {
        assert_eq!(desk.refused(&rotate(line)).0, code, "{line}");
    }
    let recovery = "rotate ci --key recovery.pem --ledger recovery.ledger --for thief.cose --subject x --out-dir out --yes";
    assert_eq!(desk.refused(recovery), ("anchor-rights".into(), 6));
    // No number is left above the highest.
    let top = "credential issue --key root.pem --ledger root.ledger --for thief.cose --subject top --role release --vendor \
               anchorage.example --ceiling 9223372036854775807 --allow-large-step --out top.cwt";
    desk.ok(top);
    desk.workshop.key("last");
    assert_eq!(desk.refused(&rotate("top --for last.cose --subject y")), ("usage".into(), 2));
    let run = desk.workshop.run(&split(
        "rotate top --for last.cose --subject y --key root.pem --ledger root.ledger --out-dir out",
    ));
    assert!(run.stderr.contains("every sequence number"), "{run:?}");
}
