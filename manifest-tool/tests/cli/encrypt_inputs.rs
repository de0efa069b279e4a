//! `encrypt` and what it is given: releases, images, keys and lists that are not what they have to be.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use device_lists::{Row, write_list};
use serde_json::Value;

use super::encrypt::{ENCRYPT, KEYS, KIDS, MASTER, desk, secret};
use super::workshop::{Workshop, finish, split};

/// Code and message of a refusal, which repeats no key; nothing is written.
fn refused(workshop: &Workshop, line: &str) -> (String, String) {
    let before = workshop.snapshot();
    let run = workshop.run(&[&["--json"], &split(line)[..]].concat());
    let (code, _) = run.refusal();
    assert_eq!(workshop.snapshot(), before, "{line}");
    let shown = format!("{}{}", run.stdout, run.stderr);
    for key in KEYS.into_iter().chain([&MASTER[..32], &MASTER[32..]]) {
        assert!(!shown.contains(&key[..12]), "{line}: {shown}");
    }
    (code, run.object()["error"]["message"].as_str().unwrap().to_owned())
}

fn code(workshop: &Workshop, line: &str) -> String {
    refused(workshop, line).0
}

#[test]
fn sym21_only_an_unsigned_plain_release_of_create_is_encrypted() {
    let workshop = desk();
    let with = format!("{ENCRYPT} --recipients recipients.csv");
    let of = |envelope: &str| with.replace("unsigned.suit", envelope);
    assert_eq!(code(&workshop, &of("signed.suit")), "release-signed");
    workshop.ok(&split(&with));
    let again =
        "encrypt e.suit --image image.enc --recipients recipients.csv --out f.suit --ciphertext-out f.enc";
    assert_eq!(code(&workshop, again), "release-encrypted");
    std::fs::remove_file(workshop.path("e.suit")).unwrap();
    std::fs::remove_file(workshop.path("image.enc")).unwrap();
    // Without its text it is another one, whose text would be lost.
    workshop.ok(&split("sever unsigned.suit --out severed.suit"));
    assert_eq!(code(&workshop, &of("severed.suit")), "release-foreign");
    assert_eq!(code(&workshop, &of("firmware.bin")), "manifest-malformed");
    assert_eq!(code(&workshop, &of("release.cwt")), "manifest-malformed");
}

/// A release of another tool may say more than create does: none of it is dropped silently.
#[test]
fn sym21_a_release_with_more_than_create_writes_is_refused() {
    use suit_manifest::author::{Command, Sequences, UpdateDescription, compose, image_uri};
    let workshop = desk();
    let digest = trust::sha256(&workshop.read("image.bin"));
    let update = UpdateDescription {
        vendor: [1; 16],
        class: [2; 16],
        sequence: 1,
        version: "1".to_owned(),
        image_digest: digest,
        image_size: workshop.read("image.bin").len() as u64,
        uri: image_uri(&digest),
        ..UpdateDescription::default()
    };
    let mut sequences = Sequences::of(&update);
    let line = format!("{ENCRYPT} --recipients recipients.csv").replace("unsigned.suit", "other.suit");
    workshop.write("other.suit", &compose(&update, &sequences).unwrap());
    workshop.ok(&split(&line));
    sequences.shared.push(Command::CheckVendor);
    workshop.write("other.suit", &compose(&update, &sequences).unwrap());
    assert_eq!(code(&workshop, &format!("{line} --force")), "release-foreign");
}

#[test]
fn sym21_only_the_image_of_the_manifest_is_encrypted() {
    let workshop = desk();
    let with = format!("{ENCRYPT} --recipients recipients.csv");
    let mut image = workshop.read("image.bin");
    image[100] ^= 1;
    workshop.write("other.bin", &image);
    image.pop();
    workshop.write("short.bin", &image);
    for other in ["other.bin", "short.bin"] {
        let line = with.replace("--image image.bin", &format!("--image {other}"));
        assert_eq!(code(&workshop, &line), "image-digest-mismatch", "{other}");
    }
    let second = "--second-image other.bin --second-ciphertext-out image2.enc";
    let (code_of, message) = refused(&workshop, &format!("{with} {second}"));
    assert!(code_of == "usage" && message.contains("omit --second-image"), "{message}");
    workshop.two_slots();
    let (code_of, message) = refused(&workshop, &with);
    assert!(code_of == "usage" && message.contains("pass --second-image"), "{message}");
    assert_eq!(code(&workshop, &format!("{with} {second}")), "image-digest-mismatch");
}

/// A release for one device, and keys of another: nobody could install it.
#[test]
fn sym21_a_release_for_one_device_is_encrypted_for_it_alone() {
    let workshop = desk();
    workshop.ok(&split(
        "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence 2 --version 2 --out unsigned.suit \
         --image-out image.bin --force --serial A-1",
    ));
    let (code, message) = refused(&workshop, &format!("{ENCRYPT} --recipients recipients.csv"));
    assert!(code == "usage" && message.contains("A-2 is another one"), "{message}");
    workshop.ok(&split(&format!("{ENCRYPT} --master master.key --line one --serial A-1")));
}

#[test]
fn sym22_a_file_with_symmetric_keys_that_others_can_read_is_refused() {
    let workshop = desk();
    let lines = [
        ("recipients.csv", format!("{ENCRYPT} --recipients recipients.csv --force")),
        ("master.key", format!("{ENCRYPT} --master master.key --line one --serial A-1 --force")),
    ];
    for (file, line) in &lines {
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644] {
            std::fs::set_permissions(workshop.path(file), std::fs::Permissions::from_mode(mode)).unwrap();
            let (code, message) = refused(&workshop, line);
            assert!(code == "secret-readable" && message.contains(file), "{mode:o}: {message}");
        }
        for mode in [0o600, 0o400] {
            std::fs::set_permissions(workshop.path(file), std::fs::Permissions::from_mode(mode)).unwrap();
            workshop.ok(&split(line));
        }
    }
}

#[test]
fn a_master_key_comes_from_a_file_a_variable_or_standard_input_and_is_one() {
    let workshop = desk();
    let line = |master: &str| format!("--json {ENCRYPT} --line one --serial A-1 --force --master {master}");
    let run = |master: &str, stdin: Option<&str>| {
        let mut command = workshop.command(&split(&line(master)));
        command.env("MASTER", MASTER);
        if let Some(stdin) = stdin {
            secret(&workshop, "stdin", stdin);
            command.stdin(Stdio::from(std::fs::File::open(workshop.path("stdin")).unwrap()));
        }
        finish(command)
    };
    for (master, stdin) in
        [("master.key", None), ("file:master.key", None), ("env:MASTER", None), ("-", Some(MASTER))]
    {
        let made = run(master, stdin);
        assert_eq!(
            (made.exit, &made.object()["recipients"][0]["key_check"]),
            (0, &Value::from("update=d448591124")),
            "{master}"
        );
    }
    assert_eq!(run("env:NONE", None).refusal(), ("key-variable".into(), 4));
    for other in ["pkcs11:object=x", "ssh-agent:x", "exec:./x?public=y"] {
        assert_eq!(run(other, None).refusal(), ("usage".into(), 2), "{other}");
    }
    assert_eq!(run("absent", None).refusal(), ("file-read".into(), 3));
    for (content, says) in [
        (String::new(), "0 hexadecimal digits"),
        (MASTER[..31].to_owned(), "31 hexadecimal digits"),
        (MASTER[..48].to_owned(), "48 hexadecimal digits"),
        (format!("{MASTER}00"), "66 hexadecimal digits"),
        (format!("{}x", &MASTER[..31]), "not hexadecimal digits alone"),
        ("0".repeat(32), "zero"),
    ] {
        secret(&workshop, "other.key", &content);
        let line = format!("{ENCRYPT} --line one --serial A-1 --force --master other.key");
        let (code, message) = refused(&workshop, &line);
        assert!(code == "master-key-invalid" && message.contains(says), "{message}");
    }
    // 16 bytes are one too.
    secret(&workshop, "other.key", &MASTER[..32]);
    assert_eq!(run("other.key", None).exit, 0);
}

#[test]
fn somebody_has_to_read_it_and_each_device_once() {
    let workshop = desk();
    let with = |file: &str| format!("{ENCRYPT} --recipients {file}");
    let one = format!("A-1,{},{}\n", KIDS[0], KEYS[0]);
    for (rows, code, says) in [
        (String::new(), "devices-file", "no device"),
        (format!("{one}a-1,{},{}\n", KIDS[1], KEYS[1]), "device-twice", "serial"),
        (format!("{one}A-2,{},{}\n", KIDS[0], KEYS[1]), "device-twice", "kid"),
        (
            format!("{one}A-2,{},{}\n", KIDS[1], KEYS[0]),
            "devices-file",
            "line 3 of r.csv: its key is that of line 2",
        ),
        (format!("A-1,{},{}\n", KIDS[0], &KEYS[0][..30]), "devices-file", "32 hexadecimal digits"),
    ] {
        secret(&workshop, "r.csv", &format!("serial,kid,key\n{rows}"));
        let (found, message) = refused(&workshop, &with("r.csv"));
        assert!(found == code && message.contains(says), "{rows}: {message}");
    }
    let master = format!("{ENCRYPT} --master master.key --line one");
    assert_eq!(code(&workshop, &master), "usage");
    let (found, message) = refused(&workshop, &format!("{master} --serial A-1 --serial A-2 --serial a-1"));
    assert!(found == "usage" && message.contains("a-1 is given twice"), "{message}");
    let (found, message) = refused(&workshop, &format!("{master} --serial unprovisioned"));
    assert!(found == "usage" && message.contains("devices without a block report it"), "{message}");
    assert_eq!(code(&workshop, ENCRYPT), "usage");
    assert_eq!(code(&workshop, &with("absent")), "file-read");
}

/// As many as the envelope of a device holds once it is signed, under the longest credential that is issued.
#[test]
fn sym23_no_more_devices_than_an_envelope_has_room_for() {
    let workshop = desk();
    let name = "n".repeat(64);
    let classes: Vec<String> = (0..7).map(|number| format!("--class other-{number}")).collect();
    workshop.ok(&split(&format!(
        "credential issue --key root.pem --for release.cose --role release --vendor anchorage.example --class demo-node {} \
         --issuer {name} --subject {name} --not-before 2026-01-01T00:00:00Z --expires 2099-01-01T00:00:00Z --generation 256 \
         --ceiling 9223372036854775807 --allow-large-step --no-ledger --out long.cwt",
        classes.join(" ")
    )));
    let serials = |count: usize| (1..=count).map(|n| format!(" --serial S-{n}")).collect::<String>();
    let room = |more: &str| {
        let line =
            |count| format!("{ENCRYPT} --master master.key --line one --force {more}{}", serials(count));
        let (code, message) = refused(&workshop, &line(65));
        assert_eq!(code, "recipients-too-many");
        assert!(message.starts_with("65 devices"), "{message}");
        let fit: usize = message.rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!(code_of(&workshop, &line(fit + 1)), "recipients-too-many", "{fit}");
        workshop.ok(&split(&line(fit)));
        workshop.ok(&split("sign e.suit --key release.pem --credential long.cwt --out r.suit --force"));
        workshop.ok(&split("verify r.suit --anchor root.cose --image image.enc"));
        fit
    };
    assert_eq!(room(""), 64);
    workshop.two_slots();
    let fit = room("--second-image image2.bin --second-ciphertext-out image2.enc");
    assert!((30..40).contains(&fit), "{fit}");
}

fn code_of(workshop: &Workshop, line: &str) -> String {
    code(workshop, line)
}

/// `devices.csv` of a batch, with the key-check values of these devices.
fn list(workshop: &Workshop, devices: &[(&str, &str)]) {
    let release = workshop.ok(&["inspect", "unsigned.suit"]);
    let id = |member: &str| release[member].as_str().unwrap().parse().unwrap();
    let rows: Vec<Row> = devices
        .iter()
        .map(|(serial, key_check)| Row {
            serial: (*serial).to_owned(),
            node_address: 16,
            vendor: id("vendor"),
            class: id("class"),
            device: uuid::Uuid::from_bytes([3; 16]),
            block: format!("{serial}.block"),
            block_sha256: [4; 32],
            credential: String::new(),
            kid: String::new(),
            key_check: (*key_check).to_owned(),
        })
        .collect();
    workshop.write("devices.csv", &write_list(&rows).unwrap());
}

/// Another line, derivation, revision or master key gives keys that no device has: the list of the batch tells.
#[test]
fn sym24_a_key_that_the_devices_do_not_have_is_found_by_its_check_value() {
    let workshop = desk();
    let line = format!("{ENCRYPT} --master master.key --devices devices.csv --force");
    list(
        &workshop,
        &[("A-1", "update=d448591124"), ("A-2", "authentication=0011 update=1915974f1b"), ("B-1", "")],
    );
    let made = workshop.ok(&split(&format!("{line} --line one --serial A-2 --serial A-1")));
    let serials: Vec<&str> =
        made["recipients"].as_array().unwrap().iter().map(|one| one["serial"].as_str().unwrap()).collect();
    assert_eq!(serials, ["A-1", "A-2"]);
    for other in ["--line two", "--line one --derivation cmac", "--line one --revision 1"] {
        let (code, message) = refused(&workshop, &format!("{line} --serial A-1 {other}"));
        assert!(
            code == "key-check-differs" && message.contains("A-1") && message.contains("d448591124"),
            "{message}"
        );
    }
    secret(&workshop, "other.key", &MASTER[32..]);
    let other = format!("{line} --line one --serial A-2").replace("master.key", "other.key");
    assert_eq!(code(&workshop, &other), "key-check-differs");
    // All of the list, one of which has no key.
    let (code_of, message) = refused(&workshop, &format!("{line} --line one"));
    assert!(code_of == "devices-file" && message.contains("line 4") && message.contains("B-1"), "{message}");
    list(&workshop, &[("A-1", "update=d448591124"), ("A-2", "update=1915974f1b")]);
    assert_eq!(workshop.ok(&split(&format!("{line} --line one")))["recipients"].as_array().unwrap().len(), 2);
    let (code_of, message) = refused(&workshop, &format!("{line} --line one --serial A-3"));
    assert!(code_of == "usage" && message.contains("A-3 is not in devices.csv"), "{message}");
    workshop.write("devices.csv", b"serial\nA-1\n");
    assert_eq!(code(&workshop, &format!("{line} --line one")), "devices-file");
}

/// They cannot be made again, so that nothing replaces them.
#[test]
fn sym25_no_output_replaces_a_file_with_symmetric_keys() {
    let workshop = desk();
    secret(&workshop, "hex", &MASTER[..32].to_uppercase());
    for file in ["master.key", "recipients.csv", "hex"] {
        for force in ["", "--force"] {
            let (code, message) = refused(&workshop, &format!("key public root.pem --out {file} {force}"));
            assert!(code == "file-exists", "{file}: {message}");
        }
        assert_eq!(code(&workshop, &format!("key master --out {file}")), "file-exists");
    }
}

#[test]
fn a_new_master_key_is_its_owners_alone_and_encrypts() {
    let workshop = desk();
    let made = workshop.ok(&split("key master --out new.key"));
    assert_eq!((&made["master_key"], &made["encrypted"]), (&Value::from("new.key"), &Value::from(false)));
    let mode = std::fs::metadata(workshop.path("new.key")).unwrap().permissions().mode() & 0o777;
    let text = String::from_utf8(workshop.read("new.key")).unwrap();
    assert!(mode == 0o600 && text.len() == 65 && text.ends_with('\n'), "{mode:o}");
    assert!(!made.to_string().contains(text.trim_end()));
    workshop.ok(&split("key master --out another.key"));
    assert_ne!(workshop.read("another.key"), workshop.read("new.key"));
    workshop.ok(&split(&format!("{ENCRYPT} --master new.key --line one --serial A-1")));
    assert_eq!(code(&workshop, "key master --out -"), "usage");
    assert_eq!(code(&workshop, "key master --out no/new.key"), "file-write");
    // What it is is said, and nothing of it is shown.
    assert_eq!(code(&workshop, "inspect new.key"), "file-unknown");
}
