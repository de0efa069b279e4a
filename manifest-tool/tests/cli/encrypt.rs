//! `encrypt`: what it writes is read by each of its devices and by nobody else, as other programs see it too.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use coset::{CoseEncrypt, Header, TaggedCborSerializable as _};
use serde_json::{Value, json};
use suit_manifest::author::inspect;

use super::cuts::{SIGKILL, cut_everywhere};
use super::workshop::{Workshop, split};

pub(super) const ENCRYPT: &str =
    "encrypt unsigned.suit --image image.bin --out e.suit --ciphertext-out image.enc";
pub(super) const MASTER: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub(super) const KEYS: [&str; 3] = [
    "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
    "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf",
    "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf",
];
pub(super) const KIDS: [&str; 3] = ["00000000000000a0", "00000000000000b0", "00000000000000c0"];

/// Writes a file that its owner alone may read.
pub(super) fn secret(workshop: &Workshop, name: &str, content: &str) {
    workshop.write(name, content.as_bytes());
    std::fs::set_permissions(workshop.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// `recipients.csv` with three devices.
pub(super) fn recipients(workshop: &Workshop) {
    let rows: Vec<String> =
        (1..).zip(KIDS).zip(KEYS).map(|((n, kid), key)| format!("A-{n},{kid},{key}\n")).collect();
    secret(workshop, "recipients.csv", &format!("serial,kid,key\n{}", rows.concat()));
}

/// A release, and the files of keys.
pub(super) fn desk() -> Workshop {
    let workshop = Workshop::with_release();
    recipients(&workshop);
    secret(&workshop, "master.key", &format!("{MASTER}\n"));
    workshop
}

fn bytes(digits: &str) -> Vec<u8> {
    hex::decode(digits).unwrap()
}

/// The encryption-info of an image of an envelope: the first, or that for the second slot.
pub(super) fn info(envelope: &[u8], second: bool) -> Vec<u8> {
    let read = inspect(envelope).unwrap();
    let image = if second {
        read.second_image_reference().unwrap().unwrap()
    } else {
        read.image_reference().unwrap()
    };
    image.decrypted.unwrap().info.bytes.to_vec()
}

/// The IV, which no alg protects.
fn iv(header: &Header) -> &[u8] {
    &header.iv
}

/// The content key for whoever has this key (RFC 3394).
pub(super) fn content_key(message: &CoseEncrypt, kid: &str, key: &str) -> Option<[u8; 16]> {
    let wrapped = message.recipients.iter().find(|one| one.unprotected.key_id == bytes(kid))?;
    let mut content_key = [0; 16];
    let kek = aes_kw::KwAes128::new(bytes(key).as_slice().try_into().unwrap());
    kek.unwrap_key(wrapped.ciphertext.as_ref()?, &mut content_key).ok()?;
    Some(content_key)
}

/// With coset, aes-kw and aes-gcm.
pub(super) fn decrypt_gcm(info: &[u8], ciphertext: &[u8], kid: &str, key: &str) -> Option<Vec<u8>> {
    let message = CoseEncrypt::from_tagged_slice(info).unwrap();
    let key = content_key(&message, kid, key)?;
    let associated =
        coset::enc_structure_data(coset::EncryptionContext::CoseEncrypt, message.protected.clone(), &[]);
    let (content, tag) = ciphertext.split_at(ciphertext.len() - 16);
    let mut plaintext = content.to_vec();
    let nonce: [u8; 12] = iv(&message.unprotected).try_into().unwrap();
    Aes128Gcm::new(&key.into())
        .decrypt_inout_detached(
            &nonce.into(),
            &associated,
            plaintext.as_mut_slice().into(),
            tag.try_into().unwrap(),
        )
        .ok()?;
    Some(plaintext)
}

#[test]
fn what_is_encrypted_is_read_by_each_device_through_other_programs() {
    let workshop = desk();
    let made = workshop.ok(&split(&format!("{ENCRYPT} --recipients recipients.csv")));
    let (envelope, ciphertext, image) =
        (workshop.read("e.suit"), workshop.read("image.enc"), workshop.read("image.bin"));
    assert_eq!(ciphertext.len(), image.len() + 16);
    let info = info(&envelope, false);
    for (kid, key) in KIDS.into_iter().zip(KEYS) {
        assert_eq!(decrypt_gcm(&info, &ciphertext, kid, key).as_ref(), Some(&image), "{kid}");
    }
    assert_eq!(decrypt_gcm(&info, &ciphertext, KIDS[0], KEYS[1]), None, "the key of another device");
    assert_eq!(made["algorithm"], "a128gcm");
    let recipients: Vec<&Value> = made["recipients"].as_array().unwrap().iter().collect();
    assert_eq!(
        recipients.iter().map(|one| one["serial"].as_str().unwrap()).collect::<Vec<_>>(),
        ["A-1", "A-2", "A-3"]
    );
    assert_eq!(recipients.iter().map(|one| one["kid"].as_str().unwrap()).collect::<Vec<_>>(), KIDS);
    assert_eq!(made["image"]["decrypted"]["size"], image.len());
    assert_eq!(made["image"]["size"], ciphertext.len());
    // Nothing that is shown or public holds a key.
    let run = workshop.run(&split(&format!("{ENCRYPT} --recipients recipients.csv --force")));
    assert!(run.stdout.contains("A-2, key 00000000000000b0") && run.exit == 0, "{run:?}");
    for key in KEYS {
        assert!(!made.to_string().contains(key) && !run.stdout.contains(key) && !run.stderr.contains(key));
        assert!(!envelope.windows(16).any(|window| window == bytes(key)), "{key}");
    }
}

#[test]
fn counter_mode_is_decrypted_by_openssl() {
    let workshop = desk();
    workshop.ok(&split(&format!("{ENCRYPT} --recipients recipients.csv --algorithm a128ctr")));
    let message = CoseEncrypt::from_tagged_slice(&info(&workshop.read("e.suit"), false)).unwrap();
    assert!(message.protected.is_empty());
    let alg = format!("{:?}", message.unprotected.alg);
    assert!(alg.contains("AesCtr128"), "{alg}");
    let key = content_key(&message, KIDS[2], KEYS[2]).unwrap();
    let iv = hex::encode(iv(&message.unprotected));
    let status = Command::new("openssl")
        .current_dir(workshop.path(""))
        .args(["enc", "-d", "-aes-128-ctr", "-K", &hex::encode(key), "-iv", &iv])
        .args(["-in", "image.enc", "-out", "again.bin"])
        .status();
    assert!(status.unwrap().success());
    assert_eq!(workshop.read("again.bin"), workshop.read("image.bin"));
    assert_eq!(workshop.read("image.enc").len(), workshop.read("image.bin").len());
}

/// No pair of key and IV is there twice, be it for two images or for two runs.
#[test]
fn sym19_each_image_and_each_run_has_a_content_key_of_its_own() {
    let workshop = desk();
    workshop.two_slots();
    let line = "encrypt unsigned.suit --image image.bin --second-image image2.bin --recipients recipients.csv --out e.suit \
                --ciphertext-out image.enc --second-ciphertext-out image2.enc --force";
    let mut seen = Vec::new();
    for _ in 0..2 {
        workshop.ok(&split(line));
        let envelope = workshop.read("e.suit");
        for (second, image, ciphertext) in
            [(false, "image.bin", "image.enc"), (true, "image2.bin", "image2.enc")]
        {
            let info = info(&envelope, second);
            let plaintext = decrypt_gcm(&info, &workshop.read(ciphertext), KIDS[1], KEYS[1]);
            assert_eq!(plaintext, Some(workshop.read(image)));
            let message = CoseEncrypt::from_tagged_slice(&info).unwrap();
            seen.push(content_key(&message, KIDS[1], KEYS[1]).unwrap().to_vec());
            seen.push(iv(&message.unprotected).to_vec());
        }
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((seen.len(), count), (8, 8));
}

/// The rest of the release is what it was, and it is signed, verified and shown as any other.
#[test]
fn an_encrypted_release_is_the_same_update() {
    let workshop = desk();
    for (create, more) in [
        ("--serial A-1 --description x", ""),
        ("--integrated", ""),
        (
            "--second-image second.bin --second-image-out image2.bin",
            "--second-image image2.bin --second-ciphertext-out image2.enc",
        ),
    ] {
        let mut second = workshop.read("firmware.bin");
        second[6] ^= 1;
        workshop.write("second.bin", &second);
        secret(&workshop, "recipients.csv", &format!("serial,kid,key\nA-1,{},{}\n", KIDS[0], KEYS[0]));
        let created = workshop.ok(&split(&format!(
            "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 7 --version 7.1 --out \
             unsigned.suit --image-out image.bin --force {create}"
        )));
        workshop.ok(&split(&format!("{ENCRYPT} --recipients recipients.csv --force {more}")));
        workshop.ok(&split("sign e.suit --key release.pem --credential release.cwt --out r.suit --force"));
        let verified = workshop.ok(&split("verify r.suit --anchor root.cose --image image.enc"));
        let inspected = workshop.ok(&split("inspect r.suit"));
        for same in
            ["sequence", "version", "description", "vendor_domain", "model", "vendor", "class", "device"]
        {
            assert_eq!(inspected[same], created[same], "{same} {create}");
        }
        for image in ["image", "second_image"] {
            let (encrypted, plain) = (&inspected[image], &created[image]);
            assert_eq!(encrypted["decrypted"]["sha256"], plain["sha256"], "{create}");
            assert_eq!(encrypted["decrypted"]["size"], plain["size"], "{create}");
            let uri = encrypted["uri"].as_str().unwrap_or_default();
            let is_own = uri == plain["uri"].as_str().unwrap_or_default();
            assert_eq!(is_own, create == "--integrated" || plain.is_null(), "{uri}");
        }
        assert_eq!(verified["image"]["uri"], inspected["image"]["uri"]);
        // In place of the image, nobody takes the plaintext any more.
        let plain = split("verify r.suit --anchor root.cose --image image.bin");
        assert_eq!(workshop.refused(&plain).0, "image-digest-mismatch");
    }
}

/// What to derive of [`MASTER`]; kid, key and key-check value, which Python made after docs/records.md (hmac, hashlib, and
/// the CMAC of OpenSSL).
const DERIVED: [(&str, &str, &str, &str); 6] = [
    ("--line one --serial A-1", "2fa39019f3487472", "905e8249187e5b319ad22c655a2ecf2e", "d448591124"),
    (
        "--line one --serial A-1 --derivation cmac",
        "2fa39019f3487472",
        "1ebdac8064a7b0a5928e6a6bfaa79c63",
        "4770c1f48a",
    ),
    (
        "--line two --serial A-1 --derivation hkdf",
        "094b8522a4dea8a9",
        "a482f370534e1b68914fc1aedd2eceff",
        "036e94c191",
    ),
    ("--line one --serial A-2", "8aa33540eea77cb5", "e47a879b488b63442370ead9e4b45854", "1915974f1b"),
    (
        "--line one --serial A-1 --revision 1",
        "54859303db77b966",
        "86260ad5a55017bc8c46358e9a49cf15",
        "061e7229b7",
    ),
    (
        "--line one --serial A-1 --revision 65535 --derivation cmac",
        "bcf984c0165f42e5",
        "2cecf17c8abe708a28af6f17ca2a5bbe",
        "ae38b7ca9f",
    ),
];

#[test]
fn the_keys_of_a_line_come_out_of_its_master_key() {
    let workshop = desk();
    let line = format!("{ENCRYPT} --force --master master.key");
    for (more, kid, key, check) in DERIVED {
        let made = workshop.ok(&split(&format!("{line} {more}")));
        let expected = json!({"serial": made["recipients"][0]["serial"], "kid": kid, "key_check": format!("update={check}")});
        assert_eq!(made["recipients"], json!([expected]), "{more}");
        let plaintext =
            decrypt_gcm(&info(&workshop.read("e.suit"), false), &workshop.read("image.enc"), kid, key);
        assert_eq!(plaintext, Some(workshop.read("image.bin")), "{more}");
    }
    let made = workshop.ok(&split(&format!("{line} --line one --serial A-1 --serial A-2 --derivation cmac")));
    assert_eq!((&made["derivation"], made["recipients"].as_array().unwrap().len()), (&json!("cmac"), 2));
}

/// Two outputs: both are there, or none is.
#[test]
fn sym20_an_interrupted_run_leaves_no_envelope_without_its_image() {
    let workshop = desk();
    let line = format!("{ENCRYPT} --recipients recipients.csv");
    let there = |name: &str| workshop.path(name).exists();
    let is_whole = || {
        let info = info(&workshop.read("e.suit"), false);
        decrypt_gcm(&info, &workshop.read("image.enc"), KIDS[0], KEYS[0]) == Some(workshop.read("image.bin"))
    };
    let (mut none, mut both) = (0, 0);
    cut_everywhere(&workshop, &line, ("error=ENOSPC", 1), |what, _| {
        assert_eq!(there("e.suit"), there("image.enc"), "{what}");
        let hidden = std::fs::read_dir(workshop.path("")).unwrap().map(|entry| entry.unwrap().file_name());
        let hidden: Vec<_> = hidden.filter(|name| name.to_string_lossy().starts_with('.')).collect();
        assert!(hidden.is_empty(), "{what}: {hidden:?}");
        if there("e.suit") {
            both += 1;
            assert!(is_whole(), "{what}");
        } else {
            none += 1;
        }
    });
    assert!(none > 3 && both > 0, "{none} {both}");
    // Nobody cleans up after a kill; but the envelope comes last, and what has its name is whole.
    let cuts = cut_everywhere(&workshop, &line, (SIGKILL, 1), |what, _| {
        if there("e.suit") {
            assert!(is_whole(), "{what}");
        }
        workshop.ok(&split(&format!("{line} --force")));
        assert!(is_whole(), "{what}");
    });
    assert!(cuts > 3, "{cuts}");
}

/// Folders that cannot be written, files that are there: nothing is written, and what is there stays.
#[test]
fn sym20_an_output_that_cannot_be_written_leaves_the_other_one_unwritten() {
    let workshop = desk();
    let line = |out: &str, ciphertext: &str| {
        format!(
            "encrypt unsigned.suit --image image.bin --recipients recipients.csv --out {out} --ciphertext-out {ciphertext}"
        )
    };
    std::fs::create_dir(workshop.path("folder")).unwrap();
    for (out, ciphertext, code) in [
        ("no/e.suit", "image.enc", "file-write"),
        ("e.suit", "no/image.enc", "file-write"),
        ("e.suit", "e.suit", "same-file"),
        ("e.suit", "image.bin", "same-file"),
        ("unsigned.suit", "image.enc", "same-file"),
        ("e.suit", "recipients.csv", "same-file"),
        ("signed.suit", "image.enc", "file-exists"),
        ("e.suit", "firmware.bin", "file-exists"),
        ("e.suit", "folder", "file-exists"),
    ] {
        assert_eq!(workshop.refused(&split(&line(out, ciphertext))).0, code, "{out} {ciphertext}");
    }
    for (out, ciphertext, code) in [
        ("e.suit", "release.cwt", "file-exists"),
        ("release.pem", "image.enc", "file-exists"),
        ("master.key", "image.enc", "file-exists"),
    ] {
        assert_eq!(
            workshop.refused(&split(&format!("{} --force", line(out, ciphertext)))).0,
            code,
            "{out} {ciphertext}"
        );
    }
    let to_master = format!("{ENCRYPT} --master master.key --line one --serial A-1 --force")
        .replace("image.enc", "master.key");
    assert_eq!(workshop.refused(&split(&to_master)).0, "same-file");
}
