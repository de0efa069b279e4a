//! Devices: their blocks, their credentials under an issuing key, the batch in the ledger, and the X.509 mirrors.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::cuts::kill_everywhere;
use super::workshop::{Workshop, split};

const ISSUE: &str = "credential issue --key root.pem --vendor anchorage.example --issuer root --no-ledger";
pub(super) const BATCH: &str = "provision --devices devices.csv --vendor anchorage.example --class demo-node --anchor root.cose \
    --recovery-anchor recovery.cose --issuing line.cwt --key line.pem --ledger line-ledger --out-dir batch";
const NOW: &str = "--now 2026-11-25T10:00:00Z";

/// A root, its recovery root, a production line with a ledger, and three devices, two of which have keys.
pub(super) fn factory() -> Workshop {
    let workshop = Workshop::new();
    for name in ["root", "recovery", "line", "one", "two", "thief"] {
        workshop.key(name);
    }
    workshop.ok(&split(&format!(
        "{ISSUE} --for line.cose --role identity --subject line-1 --out line.cwt {NOW}"
    )));
    workshop.ok(&[
        &split(
            "ledger init line-ledger --key line.pem --purpose issuing --holder Eve --kept line --name line-1",
        )[..],
        &split("--vendor anchorage.example --domain-anchor root.cose --now 2026-11-25T10:00:00Z"),
    ]
    .concat());
    workshop.write(
        "devices.csv",
        b"serial,node,public_key\nA-0001,16,one.cose\nA-0002,0x11,two.cose\nB/0003,18,\n",
    );
    workshop
}

/// What is in the ledger of the line.
fn ledger_files(workshop: &Workshop) -> Vec<(PathBuf, Vec<u8>)> {
    let of_ledger = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "line-ledger");
    workshop.snapshot().into_iter().filter(|(path, _)| of_ledger(path)).collect()
}

fn kinds(workshop: &Workshop) -> Vec<String> {
    let listed = workshop.ok(&["ledger", "list", "line-ledger"]);
    let entries = listed["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

/// A maker has a ledger for each line, and the root's: a device is in one of them.
#[test]
fn tool81_a_device_of_another_ledger_is_not_made_here() {
    let workshop = factory();
    workshop.write("first.csv", b"serial,node\nA-0001,16\n");
    workshop.ok(&split(
        "ledger init root-ledger --key root.pem --name root --vendor anchorage.example --holder Ada --kept safe \
         --now 2026-11-25T10:00:00Z",
    ));
    workshop.ok(&split(
        "provision --devices first.csv --vendor anchorage.example --class demo-node --anchor root.cose --ledger root-ledger \
         --out-dir first",
    ));
    let before = workshop.snapshot();
    let run = workshop.run(&[&["--json"], &split(&format!("{BATCH} --known root-ledger"))[..]].concat());
    assert_eq!(run.refusal(), ("device-known".into(), 4));
    let message = run.stdout.clone();
    assert!(message.contains("A-0001") && message.contains("the ledger of root "), "{message}");
    assert_eq!(workshop.snapshot(), before);

    // A copy of the ledger does as well; and whoever means it may.
    assert_eq!(workshop.refused(&split(&format!("{BATCH} --known nowhere"))).0, "file-read");
    workshop.ok(&split(&format!("{BATCH} --known root-ledger --again")));
}

#[test]
fn a_batch_is_made_recorded_and_never_made_twice() {
    let workshop = factory();
    let made = workshop.ok(&split(BATCH));
    assert_eq!((&made["ledger_entry"], &made["went_on"]), (&json!(2), &json!(false)));
    let devices = made["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 3);
    assert_eq!((&devices[0]["serial"], &devices[1]["node_address"]), (&json!("A-0001"), &json!(17)));
    assert_eq!(devices[2]["kid"], Value::Null);
    assert_eq!(kinds(&workshop), ["open", "devices"]);
    let list = String::from_utf8(workshop.read("batch/devices.csv")).unwrap();
    assert!(list.starts_with(
        "serial,node_address,vendor,class,device,block,block_sha256,credential,kid,key_check\n"
    ));
    assert!(list.contains("B/0003,18,") && list.contains("B%2F0003.block"), "{list}");
    let block = workshop.ok(&["inspect", "batch/A-0002.block"]);
    assert_eq!((&block["serial"], &block["node_address"]), (&json!("A-0002"), &json!(17)));

    // Verified through the issuing key, under the root; a list takes it back.
    let inspect = "credential inspect batch/A-0001.cwt --anchor root.cose --issuing line.cwt";
    let shown = workshop.ok(&split(inspect));
    assert_eq!(
        (&shown["verified"], &shown["role"], &shown["subject"]),
        (&json!(true), &json!("device"), &json!("A-0001"))
    );
    assert_eq!((&shown["generation"], &shown["issuing_key"]), (&Value::Null, &shown["issuer_kid"]));
    assert_eq!(
        workshop.refused(&split("credential inspect batch/A-0001.cwt --anchor root.cose")),
        ("usage".into(), 2)
    );
    let foreign = "credential inspect batch/A-0001.cwt --anchor thief.cose --issuing line.cwt";
    assert_eq!(workshop.refused(&split(foreign)).0, "anchor-unknown");
    let kid = shown["kid"].as_str().unwrap();
    let revoke = format!(
        "revoke --key root.pem --issuer root --first --kid {kid} --role device --generation 0 --out list.cwt --no-ledger"
    );
    workshop.ok(&split(&revoke));
    assert_eq!(workshop.refused(&split(&format!("{inspect} --revocations list.cwt"))).0, "key-revoked");

    // The same again goes on with what is there and changes nothing.
    let before = ledger_files(&workshop);
    let again = workshop.ok(&split(BATCH));
    assert_eq!((&again["went_on"], &again["ledger_entry"]), (&json!(true), &json!(2)));
    assert_eq!(kinds(&workshop), ["open", "devices"]);
    let after = ledger_files(&workshop);
    let entries = |files: &[(PathBuf, Vec<u8>)]| {
        files.iter().filter(|(path, _)| !path.ends_with("head.json")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(entries(&before), entries(&after));
    // Another batch with one of its devices is refused, and nothing is written.
    for (line, code) in [
        ("serial,node,public_key\nA-0001,20,\nA-0009,21,thief.cose\n", "device-known"),
        ("serial,node,public_key\na-0001,21,thief.cose\n", "device-known"),
        ("serial,node,public_key\nA-0009,21,one.cose\n", "device-known"),
    ] {
        workshop.write("devices.csv", line.as_bytes());
        let other = BATCH.replace("--out-dir batch", "--out-dir other");
        assert_eq!(workshop.refused(&split(&other)), (code.into(), 4), "{line}");
        assert!(!workshop.path("other").exists());
        assert_eq!(ledger_files(&workshop), after);
    }
    workshop.write("devices.csv", b"serial,public_key\na-0001,thief.cose\n");
    let other = format!("{} --again", BATCH.replace("--out-dir batch", "--out-dir other"));
    assert_eq!(workshop.refused(&split(&other)).0, "device-known", "in another case it is another device");
    workshop.write("devices.csv", b"serial,public_key\nA-0001,one.cose\n");
    let made =
        workshop.ok(&split(&format!("{} --again", BATCH.replace("--out-dir batch", "--out-dir other"))));
    assert_eq!((&made["ledger_entry"], &made["went_on"]), (&json!(3), &json!(false)));
}

#[test]
fn a_file_of_devices_is_refused_line_by_line() {
    let workshop = factory();
    let before = ledger_files(&workshop);
    for (file, code, says) in [
        ("", "devices-file", "no device"),
        ("serial\n", "devices-file", "no device"),
        ("serial,colour\nA,red\n", "devices-file", "line 1 of devices.csv: unknown field `colour`"),
        ("serial;node\nA;1\n", "devices-file", "line 1"),
        // Blank lines count; nothing that begins with # is passed over.
        ("serial,node\n\nA,16\n\nB,240\n", "devices-file", "line 5"),
        ("serial,node\r\n\r\nA,16\r\nB\r\n", "devices-file", "line 4"),
        ("serial,node\n# a spare one\nA,240\n", "devices-file", "line 2"),
        ("serial\n#A\n#A\n", "device-twice", "line 2"),
        ("node\n1\n", "devices-file", "serial"),
        ("serial,node\nA\n", "devices-file", "line 2"),
        ("serial\nunprovisioned\n", "devices-file", "unprovisioned"),
        ("serial\nA\n\u{fc}\n", "devices-file", "line 3"),
        ("serial,node\nA,240\n", "devices-file", "239"),
        ("serial,node\nA,0\n", "devices-file", "239"),
        ("serial,sequence_floor\nA,4611686018427387905\n", "devices-file", "sequence floor"),
        ("serial,sequence_floor\nA,-1\n", "devices-file", "sequence floor"),
        ("serial\nA\nB\nA\n", "device-twice", "line 2"),
        ("serial\na-1\nA-1\n", "device-twice", "serial"),
        ("serial,node\nA,16\nB,0x10\n", "device-twice", "node address"),
        ("serial,public_key\nA,one.cose\nB,one.cose\n", "device-twice", "public key"),
    ] {
        workshop.write("devices.csv", file.as_bytes());
        let run = workshop.run(&[&["--json"], &split(BATCH)[..]].concat());
        assert_eq!(run.refusal(), (code.into(), 5), "{file:?}: {run:?}");
        assert!(run.object()["error"]["message"].as_str().unwrap().contains(says), "{file:?}: {run:?}");
    }
    for (file, code) in [
        ("serial,public_key\nA,root.cose\n", "credential-for-anchor"),
        ("serial,public_key\nA,line.cose\n", "credential-for-anchor"),
        ("serial,public_key\nA,absent.cose\n", "file-read"),
        ("serial,public_key\nA,root.pem\n", "key-invalid"),
        ("serial,sequence_floor\nA,1048577\n", "step-too-large"),
        ("serial\nA\n", "usage"),
    ] {
        workshop.write("devices.csv", file.as_bytes());
        assert_eq!(workshop.refused(&split(BATCH)).0, code, "{file:?}");
    }
    assert!(!workshop.path("batch").exists());
    assert_eq!(ledger_files(&workshop), before);
}

#[test]
fn only_a_good_issuing_key_makes_devices() {
    let workshop = factory();
    let with = |from: &str, to: &str| BATCH.replace(from, to);
    let before = ledger_files(&workshop);
    workshop.ok(&split(&format!(
        "{ISSUE} --for line.cose --role identity --subject line-1 --class other --out narrow.cwt {NOW}"
    )));
    workshop.ok(&split(&format!(
        "{ISSUE} --for thief.cose --role identity --subject thief --out thief.cwt {NOW}"
    )));
    workshop
        .ok(&split(&format!("{ISSUE} --for two.cose --role service --subject two --out service.cwt {NOW}")));
    workshop.ok(&split(
        "revoke --key root.pem --issuer root --first --key-of line.cwt --out list.cwt --no-ledger",
    ));
    for (line, code) in [
        (with("--issuing line.cwt", "--issuing narrow.cwt"), "scope-issuer"),
        (with("--issuing line.cwt", "--issuing thief.cwt"), "key-mismatch"),
        (with("--issuing line.cwt", "--issuing service.cwt"), "role-mismatch"),
        (with("--anchor root.cose --recovery-anchor recovery.cose", "--anchor thief.cose"), "anchor-unknown"),
        (format!("{BATCH} --revocations list.cwt"), "key-revoked"),
        (with("--key line.pem", "--key thief.pem"), "key-mismatch"),
        (with("--key line.pem", ""), "usage"),
        (with("--recovery-anchor recovery.cose", "--recovery-anchor root.cose"), "usage"),
        (with("--anchor root.cose", ""), "usage"),
    ] {
        assert_eq!(workshop.refused(&split(&line)).0, code, "{line}");
    }
    // The ledger of another key.
    workshop.ok(&split("ledger init root-ledger --key root.pem --name root --holder Ada --kept safe"));
    let other = with("--ledger line-ledger", "--ledger root-ledger");
    assert_eq!(workshop.refused(&split(&other)).0, "ledger-other-key");
    assert_eq!(ledger_files(&workshop), before);
    assert!(!workshop.path("batch/A-0001.cwt").exists());
}

#[test]
fn one_device_is_certified_too() {
    let workshop = factory();
    let one = "provision --serial C-0001 --vendor anchorage.example --class demo-node --anchor root.cose \
        --device-key one.cose --issuing line.cwt --key line.pem --no-ledger --out c.block --credential-out c.cwt";
    let made = workshop.ok(&split(one));
    assert_eq!(
        (&made["serial"], &made["kid"]),
        (&json!("C-0001"), &workshop.ok(&["key", "public", "one.pem"])["kid"])
    );
    workshop.ok(&split("credential inspect c.cwt --anchor root.cose --issuing line.cwt"));
    assert_eq!(workshop.refused(&split(one)), ("file-exists".into(), 2), "a new credential is another one");
    workshop.ok(&split(&format!("{one} --force")));
}

fn openssl(workshop: &Workshop, line: &str) -> (bool, String) {
    let output = Command::new("openssl").args(split(line)).current_dir(workshop.path(".")).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn openssl_verifies_the_mirrors() {
    let workshop = factory();
    workshop.ok(&split(BATCH));
    let make = "credential certificate --force";
    workshop.ok(&split(&format!(
        "{make} --root root-2026 --not-before 2026-11-25T00:00:00Z --key root.pem --out root.crt"
    )));
    let line = format!("{make} line.cwt --key root.pem --issuer-certificate root.crt --out line.crt");
    workshop.ok(&split(&line));
    let device = format!("{make} batch/A-0001.cwt --key line.pem --issuer-certificate line.crt");
    workshop.ok(&split(&format!("{device} --out device.crt")));
    workshop.ok(&split(&format!("{device} --der --out device.der")));
    let verify = "verify -x509_strict -check_ss_sig -attime 1800000000 -CAfile root.crt";
    for (arguments, holds) in [
        ("root.crt", true),
        ("line.crt", true),
        ("-untrusted line.crt device.crt", true),
        ("device.crt", false),
        ("-CAfile line.crt device.crt", false),
    ] {
        let (result, says) = openssl(&workshop, &format!("{verify} {arguments}"));
        assert_eq!(result, holds, "{arguments}: {says}");
    }
    let (_, text) = openssl(
        &workshop,
        "x509 -in device.crt -noout -subject -issuer -serial -dates -ext basicConstraints,keyUsage",
    );
    let cti =
        workshop.ok(&["credential", "inspect", "batch/A-0001.cwt"])["cti"].as_str().unwrap().to_uppercase();
    for part in ["A-0001", "line-1", "9999", "CA:FALSE", "Digital Signature", &cti[..]] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (_, text) = openssl(&workshop, "x509 -in line.crt -noout -ext basicConstraints,keyUsage");
    assert!(text.contains("CA:TRUE, pathlen:0") && text.contains("Certificate Sign"), "{text}");
    // It comes from the credential alone, so it is the same each time.
    let first = workshop.read("device.crt");
    workshop.ok(&split(&format!("{device} --out device.crt")));
    assert_eq!(workshop.read("device.crt"), first);

    // Only what this key certified, under its own certificate, and only for issuing keys and devices.
    workshop
        .ok(&split(&format!("{ISSUE} --for two.cose --role service --subject two --out service.cwt {NOW}")));
    workshop
        .ok(&split(&format!("{ISSUE} --for two.cose --role device --subject two --out direct.cwt {NOW}")));
    let mut broken = workshop.read("root.crt");
    let at = broken.len() - 60;
    broken[at] = if broken[at] == b'A' { b'B' } else { b'A' };
    workshop.write("broken.crt", &broken);
    for (line, code) in [
        (
            format!("{make} line.cwt --key thief.pem --issuer-certificate root.crt --out no.crt"),
            "key-mismatch",
        ),
        (
            format!("{make} line.cwt --key root.pem --issuer-certificate line.crt --out no.crt"),
            "certificate-other-issuer",
        ),
        (
            format!("{make} line.cwt --key root.pem --issuer-certificate broken.crt --out no.crt"),
            "certificate-invalid",
        ),
        (
            format!("{make} line.cwt --key root.pem --issuer-certificate line.cwt --out no.crt"),
            "certificate-invalid",
        ),
        (
            format!("{make} service.cwt --key root.pem --issuer-certificate root.crt --out no.crt"),
            "certificate-role",
        ),
        // A device without an issuing key would stand where an issuing key stands.
        (
            format!("{make} direct.cwt --key root.pem --issuer-certificate root.crt --out no.crt"),
            "certificate-role",
        ),
    ] {
        let exit = if code == "key-mismatch" { 5 } else { 4 };
        assert_eq!(workshop.refused(&split(&line)), (code.into(), exit), "{line}");
    }
    assert!(!workshop.path("no.crt").exists());
}

/// What of a batch is there: the same command makes the rest, and the ledger has each device once.
#[test]
fn a_batch_goes_on_after_a_kill_at_each_write() {
    let workshop = factory();
    let mut went_on = 0;
    let killed = kill_everywhere(&workshop, BATCH, |what| {
        workshop.ok(&split("ledger verify line-ledger --anchor line.cose"));
        let made = workshop.ok(&split(BATCH));
        went_on += u32::from(made["went_on"] == true);
        assert_eq!(kinds(&workshop), ["open", "devices"], "{what}");
        let verified = workshop.ok(&split("ledger verify line-ledger --anchor line.cose"));
        assert_eq!((&verified["begun"], &verified["entries"]), (&Value::Null, &json!(2)), "{what}");
        for name in ["A-0001", "A-0002"] {
            let inspect =
                format!("credential inspect batch/{name}.cwt --anchor root.cose --issuing line.cwt");
            workshop.ok(&split(&inspect));
        }
        assert!(
            workshop.path("batch/devices.csv").exists() && workshop.path("batch/B%2F0003.block").exists()
        );
    });
    assert!(killed > 15 && went_on > 5, "{killed}, {went_on}");
}

/// Each line and each credential of a batch is under the digest of its entry, or verified.
#[test]
fn a_changed_batch_is_found() {
    let workshop = factory();
    workshop.ok(&split(BATCH));
    let verify = split("ledger verify line-ledger --anchor line.cose");
    workshop.ok(&verify);
    for name in ["line-ledger/000002-devices.jsonl", "line-ledger/000002-devices.cwt"] {
        let good = workshop.read(name);
        for at in (0..good.len()).step_by(7) {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            workshop.write(name, &bytes);
            assert_eq!(workshop.refused(&verify), ("ledger-damaged".into(), 5), "{name}, byte {at}");
        }
        workshop.write(name, &good[..good.len() - 1]);
        assert_eq!(workshop.refused(&verify).0, "ledger-damaged", "{name}");
        workshop.write(name, &[&good[..], &good[good.len() - 1..]].concat());
        assert_eq!(workshop.refused(&verify).0, "ledger-damaged", "{name}");
        std::fs::remove_file(workshop.path(name)).unwrap();
        if name.ends_with("cwt") {
            // As a cut leaves it: the same key signs the same bytes again.
            assert_eq!(workshop.ok(&verify)["begun"], 2);
            workshop.ok(&split("ledger finish line-ledger --key line.pem"));
            assert_eq!(workshop.read(name), good);
        } else {
            assert_eq!(workshop.refused(&verify).0, "ledger-file");
        }
        workshop.write(name, &good);
    }
    workshop.ok(&verify);
}
