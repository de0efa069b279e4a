//! What a refusal or warning says names the cause, and what it asks for is taken.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::identity::factory;
use super::personalize::{PERSONALIZE, desk};
use super::workshop::{Run, Workshop, firmware, split};

/// Message and hint of a refusal with this code; no file was changed.
fn said(workshop: &Workshop, arguments: &[&str], code: &str) -> String {
    let before = workshop.snapshot();
    let run = workshop.run(&[&["--json"], arguments].concat());
    assert_eq!(run.refusal().0, code, "{arguments:?}: {run:?}");
    assert_eq!(workshop.snapshot(), before, "{arguments:?}");
    let error = &run.object()["error"];
    format!("{} {}", error["message"].as_str().unwrap(), error["hint"].as_str().unwrap())
}

/// Each command line is refused with this code, in these words and without those.
fn table(workshop: &Workshop, rows: &[(&str, &str, &[&str], &[&str])]) {
    for (line, code, words, others) in rows {
        let said = said(workshop, &split(line), code);
        assert!(words.iter().all(|word| said.contains(word)), "{line}: {said}");
        assert!(others.iter().all(|other| !said.contains(other)), "{line}: {said}");
    }
}

fn warned(workshop: &Workshop, line: &str) -> Run {
    let run = workshop.run(&split(line));
    assert_eq!(run.exit, 0, "{line}: {run:?}");
    run
}

/// An ELF executable of one segment, loaded where its vectors lead.
fn elf(content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap();
    let halves = |halves: &[u16]| halves.iter().flat_map(|half| half.to_le_bytes()).collect::<Vec<u8>>();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let ident = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let (header, sizes) = (words(&[1, 0, 52, 0, 0]), halves(&[52, 32, 1, 40, 0, 0]));
    let segment = words(&[1, 84, 0x0800_0000, 0x0800_0000, len, len, 5, 4]);
    [ident, halves(&[2, 40]), header, sizes, segment, content.to_vec()].concat()
}

#[test]
fn what_is_no_image_is_named() {
    let workshop = Workshop::new();
    let good = elf(&firmware());
    let with = |at: usize, byte: u8| {
        let mut changed = good.clone();
        changed[at] = byte;
        changed
    };
    for (name, content) in [
        ("good.elf", &good),
        ("big.elf", &with(5, 2)),
        ("riscv.elf", &with(18, 243)),
        ("empty.bin", &Vec::new()),
        ("empty.hex", &b":00000001FF\n".to_vec()),
        ("r.csv", &b"serial,update\nA-1,00112233445566778899aabbccddeeff\n".to_vec()),
    ] {
        workshop.write(name, content);
    }
    std::fs::set_permissions(workshop.path("r.csv"), PermissionsExt::from_mode(0o600)).unwrap();
    let create = |image: &str, more: &str| {
        format!(
            "create --image {image} --vendor anchorage.example --class node --sequence 1 --version 1 --out u.suit \
             --image-out i.bin {more}"
        )
    };
    let rows: &[(String, &str, &[&str], &[&str])] = &[
        (
            create("good.elf", "--range 0x09000000..0x09010000"),
            "image-unusable",
            &["lies in --range"],
            &["format"],
        ),
        (create("empty.bin", "--image-format bin"), "image-unusable", &["it is empty"], &["--image-format"]),
        (
            create("empty.hex", "--image-format hex"),
            "image-unusable",
            &["check --image-format"],
            &["name its"],
        ),
        (create("empty.hex", ""), "image-unusable", &["name its format"], &[]),
        (
            "encrypt --info-out e.cbor --image empty.bin --recipients r.csv --ciphertext-out c.bin"
                .to_owned(),
            "image-unusable",
            &["it is empty"],
            &["--image-format"],
        ),
        (create("good.elf", "--base 0x07ffff00"), "image-not-firmware", &["--base"], &["linked firmware"]),
        (create("big.elf", ""), "image-not-firmware", &["big-endian"], &["fixed addresses"]),
        (create("riscv.elf", ""), "image-not-firmware", &["another processor", "243"], &["vector"]),
        (create("riscv.elf", "--image-format elf"), "image-not-firmware", &["another processor"], &[]),
    ];
    let rows: Vec<_> =
        rows.iter().map(|(line, code, words, not)| (line.as_str(), *code, *words, *not)).collect();
    table(&workshop, &rows);
    workshop.ok(&split(&create("riscv.elf", "--image-format elf --allow-non-firmware")));
    workshop.ok(&split(&create("good.elf", "--force")));
}

#[test]
fn what_lies_in_the_place_of_an_output_is_named() {
    let workshop = Workshop::with_release();
    std::fs::create_dir(workshop.path("folder")).unwrap();
    symlink("root.cose", workshop.path("link")).unwrap();
    let sign = |out: &str| {
        format!("sign unsigned.suit --key release.pem --credential release.cwt --force --out {out}")
    };
    let not: &[&str] = &["secrets", "another kind"];
    table(
        &workshop,
        &[
            (&sign("folder"), "file-exists", &["a folder", "stays"], not),
            (&sign("link"), "file-exists", &["a link", "leads to"], not),
            (&sign("/dev/full"), "file-exists", &["a device", "stays"], not),
        ],
    );
}

/// What the text for the signer says works, but for the names that nobody knows yet.
#[test]
fn the_line_of_the_second_step_works() {
    let workshop = Workshop::with_release();
    let openssl = |name: &str, key: &str| {
        let line = format!("pkeyutl -sign -rawin -inkey {key}.pem -in {name} -out {name}.sig");
        let mut command = std::process::Command::new("openssl");
        assert!(command.current_dir(workshop.path("")).args(split(&line)).status().unwrap().success());
    };
    let second_step = |tbs: &str, key: &str| {
        openssl(tbs, key);
        let text = String::from_utf8(workshop.read(&format!("{tbs}.txt"))).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("manifest-tool ")).unwrap().to_owned();
        let line = line.replace("SIGNATURE", &format!("{tbs}.sig")).replace("PUBLIC", &format!("{key}.cose"));
        let line = line.replace("FILE", &format!("{tbs}.out"));
        workshop.ok(&split(&line));
    };
    workshop.ok(&split("sign unsigned.suit --key release.cose --credential release.cwt --tbs-out r.tbs"));
    second_step("r.tbs", "release");
    let issue =
        "credential issue --key root.cose --vendor anchorage.example --class demo-node --role release";
    workshop.ok(&split(&format!(
        "{issue} --for release.cose --subject a --issuer root --no-ledger --tbs-out c.tbs"
    )));
    second_step("c.tbs", "root");
    workshop
        .ok(&split("ledger init own --key root.cose --tbs-out h.tbs --name maker --holder Ada --kept safe"));
    second_step("h.tbs", "root");
    workshop.key("ci");
    let recorded = format!("{issue} --for ci.cose --subject ci --holder Bob --ledger own --tbs-out l.tbs");
    workshop.ok(&split(&recorded));
    second_step("l.tbs", "root");
}

#[test]
fn what_is_no_private_key_is_named() {
    let workshop = Workshop::with_release();
    workshop.write("firmware.bin", &firmware());
    workshop.write("line.pub", b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== maker\n");
    let mut keygen = std::process::Command::new("ssh-keygen");
    let keygen = keygen.current_dir(workshop.path("")).args(split("-q -t ecdsa -C maker -f ecdsa -N x"));
    assert!(keygen.status().unwrap().success());
    let import = |file: &str| format!("key import {file} --no-passphrase --out new.pem");
    table(
        &workshop,
        &[
            (
                &import("root.cose"),
                "private-key-invalid",
                &["a public key", "of this pair"],
                &["key generate"],
            ),
            (&import("line.pub"), "private-key-invalid", &["a public key"], &["key generate"]),
            (&import("firmware.bin"), "private-key-invalid", &["private key", "other programs"], &[]),
            (&import("ecdsa"), "private-key-invalid", &["another algorithm"], &["key import KEY"]),
            (
                "sign unsigned.suit --key ecdsa --credential release.cwt --out s.suit",
                "private-key-invalid",
                &["another algorithm"],
                &["key import KEY"],
            ),
        ],
    );
}

#[test]
fn files_in_the_place_of_a_master_key_a_block_or_a_report_are_named() {
    let workshop = desk();
    let swapped = "personalize unsigned.suit --image image.bin --master batch/devices.csv --devices master.key --line one \
                   --out-dir out";
    let verify = |block: &str| format!("verify unsigned.suit --block {block}");
    let report = |file: &str| format!("report verify {file} --block batch/A-0001.block");
    let list: &[&str] = &["the list of a batch"];
    table(
        &workshop,
        &[
            (swapped, "master-key-invalid", list, &["make the keys anew"]),
            (&verify("batch/devices.csv"), "provisioning-malformed", list, &[]),
            (&verify("master.key"), "provisioning-malformed", &["a master key"], &[]),
            ("report show unsigned.suit", "record-malformed", &["an envelope"], &[]),
            (&report("batch/devices.csv"), "record-malformed", list, &[]),
        ],
    );
    // Of a master key it matters who reads it.
    std::fs::set_permissions(workshop.path("master.key"), PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(workshop.refused(&split(PERSONALIZE)).0, "secret-readable");
}

#[test]
fn a_folder_for_personal_envelopes_is_made_late_and_holds_no_blocks() {
    let workshop = desk();
    let create = "create --image firmware.bin --vendor anchorage.example --class other --sequence 2 --version 2 --force";
    workshop.ok(&split(&format!("{create} --out other.suit --image-out image.bin")));
    workshop.refused(&split(&PERSONALIZE.replace("unsigned.suit", "other.suit")));
    assert!(!workshop.path("out").exists());
    let foreign = format!("{PERSONALIZE} --algorithm chacha20-poly1305");
    assert_eq!(workshop.refused(&split(&foreign)), ("usage".into(), 2));
    assert!(!workshop.run(&split("personalize --help")).stdout.contains("chacha20"));
    let warning = "has blocks with the keys of devices";
    assert!(!warned(&workshop, PERSONALIZE).stderr.contains(warning));
    let beside = PERSONALIZE.replace("--out-dir out", "--out-dir batch");
    assert!(warned(&workshop, &beside).stderr.contains(warning));
    let high = "create --image firmware.bin --vendor anchorage.example --class demo-node --version 2 --force";
    workshop.ok(&split(&format!("{high} --sequence 9007199254740991 --out high.suit --image-out image.bin")));
    let high = PERSONALIZE.replace("unsigned.suit", "high.suit");
    let ceiling = said(&workshop, &split(&high), "sequence-above-ceiling");
    assert!(ceiling.contains("or the format") && ceiling.contains("where a credential"), "{ceiling}");
}

#[test]
fn recertify_makes_its_folder() {
    let workshop = Workshop::with_release();
    workshop.credential("root", "release", &["--no-ledger", "--force"]);
    workshop.ok(&split("recertify signed.suit --credential release.cwt --out-dir again/and-more"));
    assert!(workshop.path("again/and-more/signed.suit").exists());
}

#[test]
fn what_was_done_without_a_ledger_is_named() {
    let workshop = Workshop::with_release();
    workshop.write("passphrase", b"five words that nobody guesses\n");
    let backup = "key backup root.pem --copy copy.pem --new-passphrase-file passphrase";
    let run = warned(&workshop, backup);
    assert!(run.stderr.contains("records this backup") && !run.stderr.contains("signature"), "{run:?}");
    let check = "key backup-check --copy copy.pem --public root.cose --passphrase-file passphrase";
    let run = warned(&workshop, check);
    assert!(run.stderr.contains("records this check of a backup"), "{run:?}");
}

/// Each of these would make another identity, or another name, that looks like the one that is meant.
#[test]
fn tool68_vendors_classes_versions_and_descriptions_look_like_what_they_are() {
    let workshop = factory();
    workshop.write("firmware.bin", &firmware());
    let right =
        [("--vendor", "a.example"), ("--class", "node"), ("--version", "1"), ("--description", "a\n\n b")];
    let create = |changed: &str, value: &str| {
        let mut line =
            split("create --image firmware.bin --sequence 1 --out u.suit --image-out i.bin --force");
        for (option, right) in right {
            line.extend([option, if option == changed { value } else { right }]);
        }
        workshop.run(&[&["--json"], &line.iter().map(|word| &**word).collect::<Vec<_>>()[..]].concat())
    };
    assert_eq!(create("", "").exit, 0);
    let wrong: [(&str, &[&str]); 4] = [
        ("--vendor", &["example.com.", ".example.com", "example..com"]),
        ("--class", &[" node", "node ", "no\u{202e}de", "\u{a0}", "no\u{200b}de"]),
        ("--version", &["   ", " 1", "1 "]),
        ("--description", &["a\u{202e}b", "a\x1b[2Jb", "a\nb\u{7}", "a\u{200b}"]),
    ];
    for (option, values) in wrong {
        for value in values {
            assert_eq!(create(option, value).refusal(), ("usage".into(), 2), "{option} {value:?}");
        }
    }
    // The one home of the rule: a list of devices.
    workshop.write("devices.csv", "serial,class\nA-1,no\u{202e}de\n".as_bytes());
    let many = "provision --devices devices.csv --vendor anchorage.example --out-dir b --no-ledger";
    assert_eq!(workshop.refused(&split(many)).0, "devices-file");
}
