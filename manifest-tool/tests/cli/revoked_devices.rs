//! Devices are revoked by their serials, and no list brings them back.

use serde_json::{Value, json};

use super::identity;
use super::workshop::{Workshop, split};

/// A root with its ledger, an issuing key of generation 3 with a ledger, and two devices with keys and one without.
fn factory() -> Workshop {
    let workshop = Workshop::new();
    for name in ["root", "line", "one", "two", "other"] {
        workshop.key(name);
    }
    workshop.ok(&split(
        "ledger init ledger --key root.pem --name root --vendor anchorage.example --holder Ada --kept safe",
    ));
    certify(&workshop, "line", 3);
    certify(&workshop, "line", 2);
    workshop.ok(&split(
        "ledger init line-ledger --key line.pem --purpose issuing --holder Eve --kept line --name line-1 --vendor \
         anchorage.example --domain-anchor root.cose",
    ));
    workshop.write(
        "devices.csv",
        b"serial,node,public_key\nA-0001,16,one.cose\nA-0002,17,two.cose\nB-0003,18,\n",
    );
    workshop.ok(&split(
        "provision --devices devices.csv --vendor anchorage.example --class demo-node --anchor root.cose --issuing line.cwt \
         --key line.pem --ledger line-ledger --out-dir batch",
    ));
    workshop
}

fn certify(workshop: &Workshop, name: &str, generation: u64) {
    workshop.ok(&split(&format!(
        "credential issue --key root.pem --vendor anchorage.example --for {name}.cose --role identity --subject {name} \
         --generation {generation} --out {name}.cwt --force"
    )));
}

const REVOKE: &str = "revoke --key root.pem --none-published --out list.cwt";
/// The list that was published before.
const GO_ON: &str = "revoke --key root.pem --published list.cwt --out next.cwt";

fn run(workshop: &Workshop, line: &str) -> Value {
    workshop.ok(&split(line))
}

fn refused(workshop: &Workshop, line: &str) -> (String, i32) {
    workshop.refused(&split(line))
}

#[test]
fn a_device_is_revoked_by_its_serial() {
    let workshop = factory();
    let revoked = run(&workshop, &format!("{REVOKE} --serial A-0001 --devices line-ledger"));
    let kid = run(&workshop, "key public one.cose")["kid"].clone();
    let entry = &revoked["revoked"][0];
    assert_eq!(
        (&entry["id"], &entry["role"], &entry["generation"]),
        (&kid, &json!("device"), &json!(3)),
        "{revoked}"
    );
    let inspect = |name: &str| {
        format!(
            "credential inspect batch/{name}.cwt --anchor root.cose --issuing line.cwt --revocations list.cwt"
        )
    };
    assert_eq!(refused(&workshop, &inspect("A-0001")), ("key-revoked".into(), 6));
    run(&workshop, &inspect("A-0002"));
}

#[test]
fn a_serial_that_names_no_key_is_refused() {
    let workshop = factory();
    for (more, code, exit) in [
        ("--serial A-0001", "usage", 2),
        ("--serial A-0009 --devices line-ledger", "no-such-device", 4),
        ("--serial B-0003 --devices line-ledger", "no-such-device", 4),
        ("--serial A-0001 --devices ledger", "no-such-device", 4),
        ("--serial A-0001 --devices nowhere", "ledger-absent", 2),
    ] {
        assert_eq!(refused(&workshop, &format!("{REVOKE} {more}")), (code.into(), exit), "{more}");
    }
    let alone = "revoke --key root.pem --issuer root --first --no-ledger --out list.cwt --serial A-0001 --devices line-ledger";
    assert_eq!(refused(&workshop, alone), ("usage".into(), 2));
    // Another root did not certify the line.
    workshop.ok(&split("ledger init other-ledger --key other.pem --name other --vendor anchorage.example --holder A --kept b"));
    let other = "revoke --key other.pem --ledger other-ledger --none-published --out list.cwt --serial A-0001 --devices line-ledger";
    assert_eq!(refused(&workshop, other), ("no-such-device".into(), 4));
}

#[test]
fn tool63_a_lowest_generation_brings_no_device_back_unseen() {
    let workshop = factory();
    run(&workshop, &format!("{REVOKE} --serial A-0001 --devices line-ledger"));
    // The entry has generation 3: it stays below 4 only.
    run(&workshop, &format!("{GO_ON} --lowest-generation device=3 --devices line-ledger"));
    let raise = "revoke --key root.pem --published next.cwt --out third.cwt --lowest-generation device=4";
    assert_eq!(refused(&workshop, raise), ("devices-return".into(), 6), "whose line is not known");
    let known = format!("{raise} --devices line-ledger");
    let run_of = workshop.run(&[&["--json"], &split(&known)[..]].concat());
    assert!(run_of.object()["error"]["message"].as_str().unwrap().contains("A-0001"), "{run_of:?}");
    // The entry of the issuing key would leave the list, too.
    let both = format!("{known} line --lowest-generation identity=4");
    assert_eq!(refused(&workshop, &both), ("devices-return".into(), 6));
    // With its issuing key revoked for good, or on purpose.
    let copy = workshop.path("copy");
    let cloned = std::process::Command::new("cp").arg("-r").arg(workshop.path("ledger")).arg(copy).status();
    assert!(cloned.unwrap().success());
    run(&workshop, &format!("{known} --allow-return-of-devices"));
    run(&workshop, &format!("{known} line --ledger copy --force"));
}

/// The next root certifies the issuing keys again: what was revoked under them stays revoked, and the batches of the root
/// before are in the copy of its ledger.
#[test]
fn revoked_devices_and_batches_go_on_under_the_next_root() {
    let workshop = identity::factory();
    workshop.key("next");
    workshop.ok(&split("ledger init desk --key root.pem --name root --holder Ada --kept safe"));
    workshop.write("plain.csv", b"serial\nP-1\nP-2\n");
    workshop.ok(&split(
        "provision --devices plain.csv --vendor anchorage.example --class demo-node --anchor root.cose --ledger desk \
         --out-dir plain",
    ));
    workshop.ok(&split(identity::BATCH));
    let kid = workshop.ok(&["credential", "inspect", "batch/A-0001.cwt"])["kid"].clone();
    let kid = kid.as_str().unwrap();
    workshop.ok(&split(&format!(
        "revoke --kid {kid} --role device --generation 0 --key root.pem --ledger desk --none-published --out list.cwt"
    )));
    workshop.ok(&split("succession request --key next.pem --name next --history desk --out next.request"));
    let grant =
        "succession grant next.request --key root.pem --ledger desk --reason old --out next.succession";
    let shown = workshop.run(&split(grant));
    assert!(
        shown.stderr.contains("first list revokes") && shown.stderr.contains(&format!("{kid} (device)")),
        "{shown:?}"
    );
    let granted = workshop.ok(&split(&format!("{grant} --yes")));
    assert_eq!(granted["revoked_devices"], json!([{ "role": "device", "generation": 0, "id": kid }]));
    workshop.ok(&split(
        "ledger init next-desk --key next.pem --name next --continues desk --holder Ada --kept safe",
    ));
    workshop.ok(&split("ledger verify next-desk --anchor next.cose"));
    // Whoever names a third root sees them, though the second one has no list yet.
    workshop.key("third");
    workshop.ok(&split(
        "succession request --key third.pem --name third --history next-desk --out third.request",
    ));
    let grant = "succession grant third.request --key next.pem --ledger next-desk --reason old --out third.succession";
    let shown = workshop.run(&split(grant));
    assert!(shown.stderr.contains("first list revokes") && shown.stderr.contains(kid), "{shown:?}");
    workshop.ok(&split(
        "revoke --nothing-new --key next.pem --ledger next-desk --none-published --out first.cwt",
    ));
    workshop.ok(&split(
        "credential issue --key next.pem --ledger next-desk --for line.cose --role identity --subject line-1 --vendor \
         anchorage.example --out line2.cwt",
    ));
    let inspect = "credential inspect batch/A-0001.cwt --anchor next.cose --issuing line2.cwt";
    workshop.ok(&split(inspect));
    assert_eq!(workshop.refused(&split(&format!("{inspect} --revocations first.cwt"))).0, "key-revoked");
    assert!(found(&workshop, "next-desk").is_empty());

    // A first list that was made without the ledger.
    workshop
        .ok(&split("revoke --nothing-new --key next.pem --issuer next --first --no-ledger --out bare.cwt"));
    workshop.ok(&split(
        "ledger init bare-desk --key next.pem --name next --continues desk --holder Ada --kept safe --adopt bare.cwt",
    ));
    workshop.ok(&split(&format!("{inspect} --revocations bare.cwt")));
    let hints = found(&workshop, "bare-desk");
    assert!(
        hints.len() == 1 && hints[0].contains(&format!("--kid {kid} --role device --generation 0")),
        "{hints:?}"
    );
    workshop.ok(&split(&format!(
        "revoke --kid {kid} --role device --generation 0 --key next.pem --ledger bare-desk --published bare.cwt --out mended.cwt"
    )));
    assert!(found(&workshop, "bare-desk").is_empty());
}

/// What revoking an issuing key stops: each device with a credential under it.
#[test]
fn revoking_an_issuing_key_stops_its_devices() {
    let workshop = factory();
    for name in ["line-1", "line"] {
        let answer = run(&workshop, &format!("custody what-if ledger line-ledger --revoke {name}"));
        assert_eq!(answer["stops"]["credentials"], json!([2, 3]), "{answer}");
        assert_eq!(answer["stops"]["devices"], json!(["A-0001", "A-0002"]));
        assert_eq!(answer["unknown"], json!([]));
        assert!(answer["steps"].to_string().contains("manifest-tool revoke line "), "{answer}");
    }
    let without = run(&workshop, "custody what-if ledger --revoke line");
    assert!(without["unknown"].to_string().contains("ledger of the issuing key"), "{without}");
    let alone = "custody what-if line-ledger --revoke line-1";
    assert_eq!(refused(&workshop, alone), ("usage".into(), 2));
}

/// What mends each finding of revoked devices that are good again.
fn found(workshop: &Workshop, ledger: &str) -> Vec<String> {
    let shown = workshop.run(&["--json", "doctor", ledger]).object();
    let findings = shown["findings"].as_array().unwrap().clone();
    let of_code = findings.into_iter().filter(|finding| finding["code"] == "revoked-device-good");
    of_code.map(|finding| finding["hint"].as_str().unwrap().to_owned()).collect()
}
