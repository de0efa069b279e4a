//! Bad input of every kind: a typed error, the right exit code, and nothing written.

use manifest_tool::public_key;
use manifest_tool::verification::Verification;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use trust::{Anchor, TrustStoreBuf, UnixTime};

use super::workshop::{CLASS, VENDOR, Workshop, firmware, split};

fn anchor(workshop: &Workshop) -> Anchor {
    Anchor::root(public_key::open(&workshop.path("root.cose")).unwrap())
}

/// What `verify` calls.
fn verify(envelope: &[u8], anchor: Anchor) -> Result<(), suit_manifest::Error> {
    let verification = Verification {
        trusted: &TrustStoreBuf::new([anchor]),
        now: UnixTime(1_800_000_000),
        device: None,
        sequence_floor: 0,
    };
    verification.of(envelope).map(drop)
}

/// Authentication wrapper, manifest, and what frames them: no bit of a signed envelope can be flipped.
#[test]
fn every_flipped_bit_is_refused() {
    let workshop = Workshop::with_release();
    let (good, anchor) = (workshop.read("signed.suit"), anchor(&workshop));
    assert_eq!(verify(&good, anchor), Ok(()));
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&bytes, anchor).is_err(), "bit {bit}");
    }
    // A sample through the program itself.
    for bit in (0..good.len() * 8).step_by(131) {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        workshop.write("flipped.suit", &bytes);
        let (code, exit) = workshop.refused(&["verify", "flipped.suit", "--anchor", "root.cose"]);
        assert!(matches!(exit, 4..=6), "bit {bit}: {code} {exit}");
    }
}

#[test]
fn every_truncation_is_refused() {
    let workshop = Workshop::with_release();
    let (good, anchor) = (workshop.read("signed.suit"), anchor(&workshop));
    for len in 0..good.len() {
        assert!(verify(&good[..len], anchor).is_err(), "{len}");
    }
    assert!(verify(&[&good[..], &[0]].concat(), anchor).is_err());
    workshop.write("cut.suit", &good[..good.len() - 1]);
    for arguments in [
        &["verify", "cut.suit", "--anchor", "root.cose"][..],
        &["inspect", "cut.suit"],
        &["sign", "cut.suit", "--key", "release.pem", "--credential", "release.cwt", "--out", "no.suit"],
        &[
            "publish",
            "cut.suit",
            "--image",
            "image.bin",
            "--server",
            "http://127.0.0.1:9",
            "--token-file",
            "passphrase",
        ],
    ] {
        assert_eq!(workshop.refused(arguments), ("manifest-malformed".into(), 5), "{arguments:?}");
    }
}

#[test]
fn an_envelope_or_image_beyond_its_limit_is_refused() {
    let workshop = Workshop::with_release();
    workshop.write("long.suit", &vec![0; 64 * 1024 + 1]);
    // An envelope with images in it may be longer.
    let refusal = workshop.refused(&["verify", "long.suit", "--anchor", "root.cose"]);
    assert_eq!(refusal, ("envelope-too-large".into(), 5));
    for command in [&["inspect", "/dev/zero"][..], &["verify", "/dev/zero", "--anchor", "root.cose"]] {
        assert_eq!(workshop.refused(command), ("file-too-long".into(), 5));
    }
}

/// Where `FILE` stands, garbage goes; what else is needed is good.
const COMMANDS: [&[&str]; 18] = [
    &["verify", "FILE", "--anchor", "root.cose"],
    &["verify", "signed.suit", "--anchor", "FILE"],
    &["verify", "signed.suit", "--anchor", "root.cose", "--revocations", "FILE"],
    &["verify", "signed.suit", "--anchor", "root.cose", "--image", "FILE"],
    &["inspect", "FILE"],
    &["credential", "inspect", "FILE"],
    &["credential", "inspect", "release.cwt", "--anchor", "FILE"],
    &[
        "credential",
        "issue",
        "--key",
        "FILE",
        "--for",
        "release.cose",
        "--role",
        "release",
        "--vendor",
        VENDOR,
        "--issuer",
        "i",
        "--subject",
        "s",
        "--out",
        "no",
    ],
    &[
        "credential",
        "issue",
        "--key",
        "root.pem",
        "--for",
        "FILE",
        "--role",
        "release",
        "--vendor",
        VENDOR,
        "--issuer",
        "i",
        "--subject",
        "s",
        "--out",
        "no",
    ],
    &["sign", "FILE", "--key", "release.pem", "--credential", "release.cwt", "--out", "no"],
    &["sign", "unsigned.suit", "--key", "FILE", "--credential", "release.cwt", "--out", "no"],
    &["sign", "unsigned.suit", "--key", "release.pem", "--credential", "FILE", "--out", "no"],
    &[
        "revoke",
        "--key",
        "root.pem",
        "--issuer",
        "i",
        "--previous",
        "FILE",
        "--kid",
        "0102030405060708",
        "--role",
        "release",
        "--generation",
        "0",
        "--out",
        "no",
    ],
    &["revoke", "--first", "--key", "root.pem", "--issuer", "i", "--credential", "FILE", "--out", "no"],
    &["provision", "--serial", "A", "--vendor", VENDOR, "--class", CLASS, "--anchor", "FILE", "--out", "no"],
    &["key", "public", "FILE", "--out", "no"],
    &[
        "publish",
        "signed.suit",
        "--image",
        "FILE",
        "--server",
        "http://127.0.0.1:9",
        "--token-file",
        "passphrase",
    ],
    &["publish", "--revocations", "FILE", "--server", "http://127.0.0.1:9", "--token-file", "passphrase"],
];

fn refuse_everywhere(workshop: &Workshop, content: &[u8]) {
    workshop.write("garbage", content);
    for command in COMMANDS {
        let arguments: Vec<&str> =
            command.iter().map(|argument| if *argument == "FILE" { "garbage" } else { argument }).collect();
        let (code, exit) = workshop.refused(&arguments);
        assert!(matches!(exit, 4..=6), "{arguments:?}: {code} {exit}");
    }
}

#[test]
fn garbage_is_refused_by_every_command() {
    let workshop = Workshop::with_release();
    for content in
        [&b""[..], b"\0", b"-----BEGIN PRIVATE KEY-----\n", b"\xd8\x6b\xa2\x02", &[0xff; 3000], &[0x9b; 300]]
    {
        refuse_everywhere(&workshop, content);
    }
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 8, failure_persistence: None, ..Default::default() });
    let random = proptest::collection::vec(any::<u8>(), 1..2000);
    runner
        .run(&random, |content| {
            refuse_everywhere(&workshop, &content);
            Ok(())
        })
        .unwrap();
}

/// A good file in the place of another one.
#[test]
fn a_file_of_another_kind_is_named() {
    let workshop = Workshop::with_release();
    let sign =
        |credential| format!("sign unsigned.suit --key release.pem --credential {credential} --out no");
    let verify = |envelope| format!("verify {envelope} --anchor root.cose");
    for (line, kind) in [
        (sign("root.pem"), "a private key"),
        (sign("release.cose"), "a public key"),
        (sign("unsigned.suit"), "an envelope"),
        (verify("release.cwt"), "a credential"),
        ("verify signed.suit --anchor root.cose --revocations signed.suit".to_owned(), "an envelope"),
        ("verify signed.suit --anchor root.cose --revocations release.cwt".to_owned(), "a credential"),
    ] {
        let run = workshop.run(&line.split(' ').chain(["--json"]).collect::<Vec<_>>());
        let error = &run.object()["error"];
        let message = error["message"].as_str().unwrap();
        assert!(message.ends_with(&format!(" The file is {kind}.")), "{line}: {message}");
        assert_eq!(error["hint"], "Pass the file that this argument asks for.");
        assert_eq!(run.exit, 5, "{line}");
    }
    // The very kind that was asked for, and damaged: nothing to add.
    let damaged = std::fs::read(workshop.path("signed.suit")).unwrap();
    workshop.write("damaged.suit", &damaged[..damaged.len() - 1]);
    let run = workshop.run(&["verify", "damaged.suit", "--anchor", "root.cose", "--json"]);
    assert!(!run.object()["error"]["message"].as_str().unwrap().contains("The file is"));
}

#[test]
fn files_are_not_confused() {
    let workshop = Workshop::with_release();
    for (arguments, code, exit) in [
        (&["verify", "release.cwt", "--anchor", "root.cose"][..], "manifest-malformed", 5),
        (&["credential", "inspect", "signed.suit"], "record-malformed", 5),
        (
            &["sign", "unsigned.suit", "--key", "release.cose", "--credential", "release.cwt", "--out", "no"],
            "private-key-invalid",
            4,
        ),
        (
            &["verify", "signed.suit", "--anchor", "root.cose", "--revocations", "release.cwt"],
            "record-type",
            5,
        ),
        (
            &[
                "credential",
                "issue",
                "--key",
                "root.pem",
                "--for",
                "release.pem",
                "--role",
                "release",
                "--vendor",
                VENDOR,
                "--issuer",
                "i",
                "--subject",
                "s",
                "--out",
                "no",
            ],
            "key-invalid",
            4,
        ),
    ] {
        assert_eq!(workshop.refused(arguments), (code.into(), exit), "{arguments:?}");
    }
}

#[test]
fn damaged_firmware_is_refused() {
    let workshop = Workshop::new();
    for (name, content) in [
        ("cut.elf", &b"\x7fELF\x01\x01\x01"[..]),
        ("bad.hex", b":0410000074657874D9\n"),
        ("bad.srec", b"S107100074657874FF\n"),
        ("empty.bin", b""),
    ] {
        workshop.write(name, content);
        let refusal = workshop.refused(&[
            "create",
            "--image",
            name,
            "--vendor",
            VENDOR,
            "--class",
            CLASS,
            "--sequence",
            "1",
            "--version",
            "1",
            "--out",
            "u.suit",
            "--image-out",
            "i.bin",
        ]);
        assert_eq!(refusal, ("image-unusable".into(), 5), "{name}");
    }
}

#[test]
fn what_is_not_firmware_makes_no_image_unless_it_is_meant() {
    let workshop = Workshop::new();
    workshop.write("README.md", b"# Anchorage\n\nFirmware updates for devices on a CAN bus.\n");
    let line = "create --image README.md --vendor anchorage.example --class demo-node --sequence 1 --version 1 \
                --out u.suit --image-out i.bin";
    let with =
        |more: &'static [&'static str]| line.split(' ').chain(more.iter().copied()).collect::<Vec<_>>();
    for more in [&[][..], &["--image-format", "bin"], &["--image-format", "bin", "--force"]] {
        assert_eq!(workshop.refused(&with(more)), ("image-not-firmware".into(), 5), "{more:?}");
    }
    assert_eq!(workshop.refused(&with(&["--allow-non-firmware"])), ("usage".into(), 2));
    assert!(!workshop.path("i.bin").exists());
    let made = workshop.ok(&with(&["--image-format", "bin", "--allow-non-firmware"]));
    assert_eq!(made["image_format"], "bin");
}

/// An image is public: it is sent to a server and written readable for all.
#[test]
fn a_private_key_makes_no_image() {
    let workshop = Workshop::new();
    workshop.key("root");
    let pem = workshop.read("root.pem");
    // As PowerShell writes it, and with a comment in Latin-1.
    let text = String::from_utf8(pem.clone()).unwrap();
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let files =
        [("root.pem", pem.clone()), ("utf16.pem", utf16), ("latin1.pem", [b"# cl\xe9\n", &pem[..]].concat())];
    for (name, file) in files {
        workshop.write(name, &file);
        for how in ["", " --image-format bin --allow-non-firmware --force"] {
            let refusal = workshop.refused(&split(&format!(
                "create --image {name} --vendor anchorage.example --class demo-node --sequence 1 \
                 --version 1 --out u.suit --image-out i.bin{how}"
            )));
            assert_eq!(refusal, ("image-unusable".into(), 5), "{name}{how}");
        }
    }
}

#[test]
fn a_description_out_of_range_is_refused() {
    let workshop = Workshop::new();
    workshop.write("fw.bin", &firmware());
    let create = |sequence: &str, version: &str| {
        workshop.refused(&[
            "create",
            "--image",
            "fw.bin",
            "--vendor",
            VENDOR,
            "--class",
            CLASS,
            "--sequence",
            sequence,
            "--version",
            version,
            "--out",
            "u.suit",
            "--image-out",
            "i.bin",
        ])
    };
    assert_eq!(create("0", "1"), ("usage".into(), 2));
    assert_eq!(create("1", ""), ("usage".into(), 2));
    assert_eq!(create("1", &"1".repeat(33)), ("usage".into(), 2));
    assert_eq!(create("18446744073709551616", "1"), ("usage".into(), 2));
}
