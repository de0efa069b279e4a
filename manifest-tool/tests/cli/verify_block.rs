//! `verify --block`: a release judged as the device with a provisioning block judges it.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use suit_manifest::author::{Encryption, UpdateDescription, authenticate, create, image_uri};
use trust::author::{Recipient, encrypt};
use trust::encryption::ContentAlgorithm;
use trust::provisioning::ProvisioningBlock;

use super::encrypt::{ENCRYPT, MASTER, secret};
use super::personalize::{PERSONALIZE, desk};
use super::provision_both_keys::PLAIN;
use super::workshop::{Workshop, split};

const VERIFY: &str = "verify out/A-0001.suit --block batch/A-0001.block";

fn code(workshop: &Workshop, line: &str) -> String {
    workshop.refused(&split(line)).0
}

/// The one encrypted image.
fn image(workshop: &Workshop) -> String {
    let mut names = std::fs::read_dir(workshop.path("out")).unwrap().map(|entry| entry.unwrap().file_name());
    let name = names.find(|name| name.to_string_lossy().ends_with(".enc")).unwrap();
    format!("out/{}", name.to_string_lossy())
}

#[test]
fn a_device_with_its_own_key_verifies_its_envelope_and_its_image() {
    let workshop = desk();
    let made = workshop.ok(&split(PERSONALIZE));
    assert_eq!(made["made"], 3);
    let with_image = format!("{VERIFY} --image {}", image(&workshop));
    let verified = workshop.ok(&split(&with_image));
    let facts = ["verified", "image_verified", "image_decrypted", "sequence"].map(|name| &verified[name]);
    assert_eq!(facts, [&json!(true), &json!(true), &json!(true), &json!(2)]);
    assert_eq!(
        (&verified["authentication_key"], &verified["credential"]),
        (&json!("0db5d2ece6f0730c"), &Value::Null)
    );
    let words = workshop.run(&split(&with_image)).stdout;
    assert!(
        words.contains("the device's own key 0db5d2ece6f0730c") && words.contains("image decrypts"),
        "{words}"
    );
    let block = workshop.read("batch/A-0001.block");
    let (_, keys) = ProvisioningBlock::parse_own_key(&block).unwrap();
    for key in [&keys.update().unwrap().1.as_bytes()[..], keys.authentication().unwrap().1] {
        let digits = hex::encode(key);
        assert!(!words.contains(&digits) && !verified.to_string().contains(&digits));
    }
    let without = workshop.ok(&split(VERIFY));
    assert_eq!((&without["image_verified"], &without["image_decrypted"]), (&json!(false), &Value::Null));
}

#[test]
fn sym29_verify_refuses_the_envelope_of_another_device() {
    let workshop = desk();
    workshop.ok(&split(PERSONALIZE));
    let other = VERIFY.replace("batch/A-0001", "batch/A-0002");
    assert_eq!(workshop.refused(&split(&other)), ("device-key-unknown".into(), 5));
    // The MAC is the device's, and the image is for somebody else; or the identity is.
    let (_, keys) = ProvisioningBlock::parse_own_key(&workshop.read("batch/A-0001.block")).unwrap();
    let (kid, key) = keys.authentication().unwrap();
    workshop.ok(&split(&format!("{ENCRYPT} --master master.key --line one --serial A-0002")));
    let envelope = authenticate(&workshop.read("e.suit"), kid, key).unwrap();
    workshop.write("out/A-0001.suit", &envelope);
    assert_eq!(workshop.refused(&split(VERIFY)), ("device-key-unknown".into(), 5));
    workshop.ok(&split(
        "create --image firmware.bin --vendor anchorage.example --class other-node --sequence 2 --version 2 --out unsigned.suit \
         --image-out image.bin --force",
    ));
    workshop.ok(&split(&format!("{ENCRYPT} --master master.key --line one --serial A-0001 --force")));
    workshop.write("out/A-0001.suit", &authenticate(&workshop.read("e.suit"), kid, key).unwrap());
    assert_eq!(workshop.refused(&split(VERIFY)), ("class-mismatch".into(), 5));
}

#[test]
fn sym30_verify_refuses_a_mac_of_another_key_and_a_changed_one() {
    let workshop = desk();
    workshop.ok(&split(PERSONALIZE));
    let whole = workshop.read("out/A-0001.suit");
    // The tag of the MAC, and the name of its key before it.
    let kid = whole.windows(8).position(|window| window == hex::decode("0db5d2ece6f0730c").unwrap()).unwrap();
    let tag = kid + 8 + 4;
    for (at, expected) in (tag..tag + 32).map(|at| (at, "mac-invalid")).chain([(kid, "device-key-unknown")]) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        workshop.write("changed.suit", &changed);
        let line = VERIFY.replace("out/A-0001.suit", "changed.suit");
        assert_eq!(workshop.refused(&split(&line)), (expected.into(), 5), "{at}");
    }
    // Somebody who knows the name of the key, and not the key.
    let unsigned = workshop.read("unsigned.suit");
    let kid = trust::Kid(hex::decode("0db5d2ece6f0730c").unwrap().try_into().unwrap());
    workshop.write("forged.suit", &authenticate(&unsigned, &kid, &[7; 32]).unwrap());
    assert_eq!(code(&workshop, "verify forged.suit --block batch/A-0001.block"), "mac-invalid");
    assert_eq!(code(&workshop, "verify unsigned.suit --block batch/A-0001.block"), "signature-missing");
}

/// Each of tag, digest of the ciphertext and digest of the image decides.
#[test]
fn sym30_verify_compares_tag_and_digests_of_an_image() {
    let workshop = desk();
    workshop.ok(&split(PERSONALIZE));
    let image = image(&workshop);
    let mut changed = workshop.read(&image);
    changed[5] ^= 1;
    workshop.write("changed.enc", &changed);
    for other in ["changed.enc", "image.bin"] {
        let line = format!("{VERIFY} --image {other}");
        assert_eq!(workshop.refused(&split(&line)), ("image-digest-mismatch".into(), 5), "{other}");
    }
    // Of a maker whose manifests say something else than its images are.
    let (block, keys) = ProvisioningBlock::parse_own_key(&workshop.read("batch/A-0001.block")).unwrap();
    let (kid, update_key) = keys.update().unwrap();
    let recipient = Recipient { kid: kid.0.to_vec(), key: update_key };
    let plaintext = b"an image that is whole";
    let release = |image_digest: [u8; 32], ciphertext: &[u8], info: Vec<u8>| {
        let encryption =
            Encryption { info, digest: trust::sha256(ciphertext), size: ciphertext.len() as u64 };
        let update = UpdateDescription {
            vendor: block.identity.vendor,
            class: block.identity.class,
            sequence: 5,
            version: "5".to_owned(),
            image_digest,
            image_size: plaintext.len() as u64,
            uri: image_uri(&encryption.digest),
            encryption: Some(encryption),
            ..UpdateDescription::default()
        };
        let (kid, key) = keys.authentication().unwrap();
        workshop.write("r.suit", &authenticate(&create(&update).unwrap(), kid, key).unwrap());
        workshop.write("r.enc", ciphertext);
        workshop.run(&split("--json verify r.suit --block batch/A-0001.block --image r.enc")).object()
    };
    for algorithm in [ContentAlgorithm::A128Gcm, ContentAlgorithm::A128Ctr] {
        let made = encrypt(algorithm, plaintext, std::slice::from_ref(&recipient)).unwrap();
        let digest = trust::sha256(plaintext);
        let good = release(digest, &made.ciphertext, made.info.clone());
        assert_eq!(good["image_decrypted"], true, "{good}");
        let other = release([9; 32], &made.ciphertext, made.info.clone());
        assert_eq!(other["error"]["code"], "image-digest-mismatch", "{algorithm:?}");
        let mut changed = made.ciphertext.clone();
        changed[3] ^= 1;
        let code =
            if algorithm == ContentAlgorithm::A128Gcm { "content-tag" } else { "image-digest-mismatch" };
        assert_eq!(release(digest, &changed, made.info.clone())["error"]["code"], code);
    }
}

/// Sequence floor and kind of authentication are those of the block.
#[test]
fn a_block_says_what_else_its_device_refuses() {
    let workshop = desk();
    workshop.ok(&split(PERSONALIZE));
    assert_eq!(code(&workshop, &format!("{VERIFY} --sequence-floor 3")), "sequence-rollback");
    let floor = PLAIN.replace("--out-dir batch", "--out-dir floor --sequence-floor 3");
    workshop.ok(&split(&floor));
    let line = VERIFY.replace("batch/", "floor/");
    assert_eq!(workshop.refused(&split(&line)), ("sequence-rollback".into(), 6));
    assert_eq!(workshop.refused(&split(&format!("{line} --sequence-floor 1"))).0, "sequence-rollback");
    assert_eq!(code(&workshop, &format!("{VERIFY} --now 2030-01-31T00:00:00Z")), "usage");
    // A block that others have read.
    let block = workshop.path("batch/A-0001.block");
    std::fs::set_permissions(&block, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(workshop.refused(&split(VERIFY)), ("secret-readable".into(), 4));
    assert_eq!(code(&workshop, "verify out/A-0001.suit --block out/A-0001.suit"), "provisioning-malformed");
    // Its loader knows an anchor, and the block does not say which.
    workshop.ok(&split(
        "provision --serial A-0001 --vendor anchorage.example --class demo-node --no-ledger --out bare.block",
    ));
    assert_eq!(code(&workshop, &VERIFY.replace("batch/A-0001.block", "bare.block")), "usage");
}

/// Devices with anchors, and an update key beside them.
#[test]
fn a_signed_release_is_judged_under_the_anchors_of_the_block() {
    let workshop = Workshop::with_release();
    secret(&workshop, "master.key", MASTER);
    let provision = "provision --vendor anchorage.example --class demo-node --anchor root.cose --no-ledger --master master.key --line one";
    for (serial, more) in [("A-0001", ""), ("A-0002", "--keys update,authentication")] {
        workshop.ok(&split(&format!("{provision} --serial {serial} --out {serial}.block {more}")));
    }
    let encrypt = format!("{ENCRYPT} --master master.key --line one --serial A-0001 --serial A-0002");
    workshop.ok(&split(&encrypt));
    workshop.credential("root", "release", &["--expires", "2099-01-01T00:00:00Z", "--force"]);
    workshop.ok(&split("sign e.suit --key release.pem --credential release.cwt --out r.suit"));
    for serial in ["A-0001", "A-0002"] {
        let line = format!("verify r.suit --block {serial}.block --image image.enc");
        let verified = workshop.ok(&split(&line));
        assert_eq!(
            (&verified["image_decrypted"], &verified["credential"]["subject"]),
            (&json!(true), &json!("release"))
        );
        assert!(workshop.run(&split(&line)).stdout.contains("certified by"));
    }
    // Releases that are not encrypted are taken as well.
    let plain = workshop.ok(&split("verify signed.suit --block A-0001.block --image image.bin"));
    assert_eq!((&plain["image_verified"], &plain["image_decrypted"]), (&json!(true), &Value::Null));
    let other = provision.replace("root.cose", "release.cose");
    workshop.ok(&split(&format!("{other} --serial A-0001 --out other.block")));
    assert_eq!(code(&workshop, "verify r.suit --block other.block"), "anchor-unknown");
    workshop.ok(&split(&format!("{provision} --serial A-0003 --out third.block")));
    assert_eq!(code(&workshop, "verify r.suit --block third.block"), "device-key-unknown");
    let late = "verify r.suit --block A-0001.block --now 2100-01-01T00:00:00Z";
    assert_eq!(code(&workshop, late), "credential-expired");
    // A MAC in the place of the signature.
    workshop.ok(&split(
        "provision --serial A-0002 --vendor anchorage.example --class demo-node --no-ledger --master master.key --line one \
         --keys update,authentication --out own.block",
    ));
    assert_eq!(code(&workshop, "verify r.suit --block own.block"), "cose-unsupported");
    workshop.ok(&split(
        "personalize unsigned.suit --image image.bin --master master.key --line one --serial A-0002 --out-dir out",
    ));
    workshop.ok(&split("verify out/A-0002.suit --block own.block"));
    assert_eq!(code(&workshop, "verify out/A-0002.suit --block A-0002.block"), "cose-unsupported");
}
