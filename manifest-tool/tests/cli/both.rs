//! Releases of firmware and a table in one, from `create` to what a device with its provisioning block says.

use serde_json::{Value, json};
use suit_manifest::author::integrate;

use super::encrypt::recipients;
use super::personalize::desk;
use super::workshop::{Workshop, split};

const LIMITS: &[u8] = b"max_pressure = 80\n";
const CREATE: &str = "create --image firmware.bin --image-out f.bin --table limits --vendor anchorage.example \
                      --class demo-node --sequence 7 --version 7 --out u.suit";
const SIGN: &str = "sign u.suit --key release.pem --credential release.cwt --out both.suit";

fn workshop() -> Workshop {
    let workshop = Workshop::with_release();
    workshop.write("limits", LIMITS);
    workshop
}

#[test]
fn firmware_and_a_table_are_created_signed_verified_and_shown() {
    let workshop = workshop();
    let created = workshop.ok(&split(CREATE));
    assert_eq!((&created["target"], &created["table_file"]), (&json!("both"), &json!("limits")));
    assert_eq!(created["table"]["size"], LIMITS.len());
    let words = workshop.run(&split(&format!("{CREATE} --force"))).stdout;
    assert!(words.contains("installs") && words.contains("firmware and a table"), "{words}");
    workshop.ok(&split(SIGN));
    let verify = "verify both.suit --anchor root.cose --vendor anchorage.example --class demo-node";
    let verified = workshop.ok(&split(&format!("{verify} --image f.bin --table limits")));
    assert_eq!((&verified["image_verified"], &verified["table_verified"]), (&json!(true), &json!(true)));
    assert_eq!(verified["target"], "both");
    let verified = workshop.ok(&split(verify));
    assert_eq!((&verified["image_verified"], &verified["table_verified"]), (&json!(false), &json!(false)));
    let words = workshop.run(&split(verify)).stdout;
    assert!(words.contains("table matches") && words.contains("no --table was given"), "{words}");
    workshop.write("other", b"max_pressure = 90\n");
    let refused = workshop.refused(&split(&format!("{verify} --table other")));
    assert_eq!(refused.0, "image-digest-mismatch");
    // Each in its own option.
    assert_ne!(workshop.run(&split(&format!("{verify} --image limits"))).exit, 0);
    let refused = workshop.refused(&split("verify signed.suit --anchor root.cose --table limits"));
    assert_eq!(refused.0, "usage");
    let shown = workshop.ok(&["inspect", "both.suit"]);
    assert_eq!((&shown["table"]["size"], &shown["target"]), (&json!(LIMITS.len()), &json!("both")));
    let words = workshop.run(&["inspect", "both.suit"]).stdout;
    assert!(
        words.contains("firmware and a table") && words.contains("\ntable ") && words.contains("\nimage "),
        "{words}"
    );
    assert_eq!(workshop.ok(&split("lint both.suit --image limits"))["findings"], json!([]));
    // No credential stands beside the signature: it is what devices of ours run.
    let alone = "sign u.suit --key release.pem --no-credential --out alone.suit";
    assert_eq!(workshop.refused(&split(alone)).0, "release-ours");
}

/// Who knows only the key gets an answer for each half: neither stands in for the other.
#[test]
fn keys_alone_judge_each_half_of_both() {
    let workshop = workshop();
    workshop.ok(&split(CREATE));
    workshop.ok(&split(SIGN));
    let verify = "verify both.suit --public-key release.cose";
    let verified = workshop.ok(&split(&format!("{verify} --image f.bin --table limits")));
    assert_eq!((&verified["image_verified"], &verified["table_verified"]), (&json!(true), &json!(true)));
    assert_eq!(verified["not_checked"], json!(["credential", "scope", "revocation", "device"]));
    for (given, not_checked) in [("--image f.bin", "table"), ("--table limits", "image")] {
        let half = workshop.ok(&split(&format!("{verify} {given}")));
        assert_eq!(half["image_verified"], given.starts_with("--image"), "{half}");
        assert_eq!(half["table_verified"], given.starts_with("--table"), "{half}");
        assert_eq!(half["not_checked"].as_array().unwrap().last(), Some(&json!(not_checked)));
        let words = workshop.run(&split(&format!("{verify} {given}"))).stdout;
        assert!(words.contains(&format!("not compared: no --{not_checked} was given")), "{words}");
    }
    workshop.write("other", b"max_pressure = 90\n");
    for given in
        ["--image limits", "--table f.bin", "--image f.bin --table other", "--image other --table limits"]
    {
        let line = format!("{verify} {given}");
        assert_eq!(workshop.refused(&split(&line)), ("image-digest-mismatch".into(), 5), "{given}");
        let words = workshop.run(&split(&line)).stderr;
        assert!(words.contains("is not what this manifest names") && words.contains("--table"), "{words}");
    }
    // In the envelope each is compared with its own digest too, and beside a file.
    workshop.ok(&split(&format!("{CREATE} --integrated --force")));
    workshop.ok(&split(&format!("{SIGN} --force")));
    let other = b"max_pressure = 90\n".as_slice();
    for (table, given, passes) in [
        (LIMITS, "", true),
        (LIMITS, " --table limits", true),
        (other, "", false),
        (other, " --table limits", false),
    ] {
        let members = [("#image", &workshop.read("f.bin")[..]), ("#table", table)];
        workshop.write("one.suit", &integrate(&workshop.read("both.suit"), &members).unwrap());
        let line = format!("verify one.suit --public-key release.cose{given}");
        let run = workshop.run(&split(&format!("{line} --json")));
        assert_eq!(run.exit == 0, passes, "{line}: {run:?}");
        if passes {
            let members = ["image_verified", "table_verified"].map(|member| run.object()[member].clone());
            assert_eq!(members, [json!(true), json!(true)], "{line}");
        }
    }
    // A release of one of both has no second half.
    for release in ["signed.suit --image image.bin", "signed.suit"] {
        let line = format!("verify {release} --public-key release.cose --table limits");
        assert_eq!(workshop.refused(&split(&line)), ("usage".into(), 2), "{release}");
    }
}

/// A release of both is above those of each that came before.
#[test]
fn the_number_of_a_release_of_both_is_above_both() {
    let workshop = workshop();
    workshop.ok(&split(CREATE));
    workshop.ok(&split(SIGN));
    // With what is integrated in it, too.
    workshop.ok(&split(&format!("{CREATE} --integrated").replace("--out u.suit", "--out i.suit")));
    workshop.ok(&split("integrate i.suit --image f.bin --out one.suit"));
    for previous in ["both.suit", "u.suit", "one.suit"] {
        let next = |sequence| {
            CREATE.replace(
                "--sequence 7",
                &format!("--force --sequence {sequence} --previous-release {previous}"),
            )
        };
        let of_both = next(7).replace("--out u.suit", "--out n.suit");
        assert_eq!(workshop.refused(&split(&of_both)).0, "usage");
        workshop.ok(&split(&next(8).replace("--out u.suit", "--out n.suit")));
    }
    let table = "create --table limits --vendor anchorage.example --class demo-node --version 7 --out t.suit \
                 --previous-release both.suit --sequence";
    assert_eq!(workshop.refused(&split(&format!("{table} 7"))).0, "usage");
    workshop.ok(&split(&format!("{table} 8")));
}

#[test]
fn each_has_a_slot_and_a_place_in_the_envelope() {
    let workshop = workshop();
    let small = format!("{CREATE} --slot-size 64K --table-slot-size 4");
    let refused = workshop.run(&[&["--json"], &split(&small)[..]].concat()).object();
    assert_eq!(refused["error"]["code"], "image-unusable");
    assert!(refused["error"]["message"].as_str().unwrap().contains("limits"), "{refused}");
    assert!(refused["error"]["hint"].as_str().unwrap().contains("--table-slot-size"), "{refused}");
    workshop.ok(&split(&format!("{CREATE} --integrated --slot-size 64K --table-slot-size 4K")));
    workshop.ok(&split(SIGN));
    workshop.ok(&split("integrate both.suit --image f.bin --image limits --out one.suit"));
    let verified = workshop.ok(&split("verify one.suit --anchor root.cose"));
    assert_eq!((&verified["image_verified"], &verified["table_verified"]), (&json!(true), &json!(true)));
    // Slot and range are those of the firmware: the table has no reset vector.
    let range = "--range 0x08000000..0x08002000";
    let found = workshop.run(&split(&format!("--json lint one.suit {range}"))).object()["findings"].clone();
    let codes: Vec<_> = found.as_array().unwrap().iter().map(|finding| finding["code"].clone()).collect();
    assert_eq!(codes, ["integrated", "integrated"], "{found}");
    // What is for a table alone is not for both, and the reverse.
    assert_eq!(
        workshop.refused(&split(&CREATE.replace("--image firmware.bin --image-out f.bin", "--base 0"))).0,
        "usage"
    );
    let alone = CREATE.replace("--image firmware.bin --image-out f.bin", "--table-slot-size 4K");
    assert_eq!(workshop.refused(&split(&alone)).0, "usage");
}

/// With a signature for some devices, and for each with its own key.
#[test]
fn both_are_encrypted() {
    let workshop = workshop();
    recipients(&workshop);
    workshop.ok(&split(CREATE));
    let encrypt =
        "encrypt u.suit --image f.bin --recipients recipients.csv --out e.suit --ciphertext-out f.enc";
    assert_eq!(workshop.refused(&split(encrypt)).0, "usage");
    let encrypted = workshop.ok(&split(&format!("{encrypt} --table limits --table-ciphertext-out t.enc")));
    assert_eq!(encrypted["table"]["decrypted"]["size"], LIMITS.len());
    workshop.ok(&split("sign e.suit --key release.pem --credential release.cwt --out r.suit"));
    let verify = "verify r.suit --anchor root.cose --image f.enc --table";
    assert_eq!(workshop.ok(&split(&format!("{verify} t.enc")))["table_verified"], true);
    assert_ne!(workshop.run(&split(&format!("{verify} limits"))).exit, 0);
    let of_one = "encrypt unsigned.suit --image image.bin --recipients recipients.csv --out e2.suit \
                  --ciphertext-out i.enc --table limits --table-ciphertext-out t2.enc";
    assert_eq!(workshop.refused(&split(of_one)).0, "usage");

    let workshop = desk();
    workshop.write("limits", LIMITS);
    workshop.ok(&split(&CREATE.replace("--sequence 7", "--force --sequence 7")));
    let personalize = super::personalize::PERSONALIZE
        .replace("personalize unsigned.suit", "personalize u.suit")
        .replace("--image image.bin", "--image f.bin --table limits");
    let made = workshop.ok(&split(&personalize));
    let files = made["ciphertext_files"].as_array().unwrap();
    let [image, table] = files.as_slice() else { panic!("{made}") };
    let verify = format!(
        "verify out/A-0001.suit --block batch/A-0001.block --image {} --table {}",
        image.as_str().unwrap(),
        table.as_str().unwrap()
    );
    let verified = workshop.ok(&split(&verify));
    assert_eq!((&verified["image_decrypted"], &verified["table_verified"]), (&json!(true), &json!(true)));
    // Again, it finds everything there.
    assert_eq!(workshop.ok(&split(&personalize))["made"], 0);
}

/// An envelope of one device, and one that is signed, hold both ciphertexts.
#[test]
fn encrypted_halves_are_integrated() {
    let workshop = desk();
    workshop.write("limits", LIMITS);
    workshop.ok(&split(&format!("{CREATE} --integrated --force")));
    let personalize = super::personalize::PERSONALIZE
        .replace("personalize unsigned.suit", "personalize u.suit")
        .replace("--image image.bin", "--image f.bin --table limits");
    let made = workshop.ok(&split(&personalize));
    let files: Vec<&str> =
        made["ciphertext_files"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
    let [image, table] = files.as_slice() else { panic!("{made}") };
    let integrate =
        |release| format!("integrate {release} --image {table} --image {image} --out one.suit --force");
    workshop.ok(&split(&integrate("out/A-0001.suit")));
    let verified = workshop.ok(&split("verify one.suit --block batch/A-0001.block"));
    for member in ["image_verified", "table_verified", "image_decrypted"] {
        assert_eq!(verified[member], true, "{verified}");
    }
    // Keys alone compare what is encrypted too.
    let verified = workshop.ok(&split("verify one.suit --keys-of batch/A-0001.block"));
    let members = ["image_verified", "table_verified"].map(|member| &verified[member]);
    assert_eq!(members, [&json!(true), &json!(true)]);
}
