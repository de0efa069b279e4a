//! How it is called: outputs that exist, help, JSON, pipes that close.

use super::workshop::{CLASS, VENDOR, Workshop};
use std::process::Stdio;

#[test]
fn an_output_that_exists_stays() {
    let workshop = Workshop::with_release();
    let create = |version, more: &[&'static str]| {
        let arguments = [
            "create",
            "--image",
            "firmware.bin",
            "--vendor",
            VENDOR,
            "--class",
            CLASS,
            "--sequence",
            "2",
            "--version",
            version,
            "--description",
            "More of everything",
            "--out",
            "unsigned.suit",
            "--image-out",
            "image.bin",
        ];
        [&arguments[..], more].concat()
    };
    workshop.ok(&create("2.0.0", &[]));
    assert_eq!(workshop.refused(&create("2.0.1", &[])), ("file-exists".into(), 2));
    workshop.ok(&create("2.0.1", &["--force"]));
    assert_eq!(workshop.ok(&["inspect", "unsigned.suit"])["version"], "2.0.1");
    // Ed25519 is deterministic: signing the same again is the same file.
    workshop.sign("release", "again.suit");
    workshop.sign("release", "again.suit");
    let both = [
        "create",
        "--image",
        "firmware.bin",
        "--vendor",
        VENDOR,
        "--class",
        CLASS,
        "--sequence",
        "2",
        "--version",
        "2",
        "--out",
        "same",
        "--image-out",
        "same",
    ];
    assert_eq!(workshop.refused(&both), ("same-file".into(), 2));
    let onto_input = [
        "create",
        "--image",
        "firmware.bin",
        "--vendor",
        VENDOR,
        "--class",
        CLASS,
        "--sequence",
        "2",
        "--version",
        "2",
        "--out",
        "u",
        "--image-out",
        "firmware.bin",
        "--force",
    ];
    assert_eq!(workshop.refused(&onto_input), ("same-file".into(), 2));
    let onto_key = [
        "revoke",
        "--key",
        "root.pem",
        "--issuer",
        "i",
        "--kid",
        "0102030405060708",
        "--out",
        "root.pem",
        "--force",
    ];
    assert_eq!(workshop.refused(&onto_key), ("same-file".into(), 2));
    workshop.ok(&[
        "revoke",
        "--key",
        "root.pem",
        "--issuer",
        "i",
        "--kid",
        "0102030405060708",
        "--out",
        "l.cwt",
    ]);
    for arguments in [
        "sign unsigned.suit --key release.pem --credential release.cwt --out unsigned.suit --force",
        "sign unsigned.suit --key release.pem --credential release.cwt --out release.cwt --force",
        "revoke --key root.pem --issuer i --previous l.cwt --kid 0102030405060709 --out l.cwt --force",
        "revoke --key root.pem --issuer i --credential release.cwt --out release.cwt --force",
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        assert_eq!(workshop.refused(&arguments), ("same-file".into(), 2), "{arguments:?}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_io() {
    let workshop = Workshop::with_release();
    let refusal = workshop.refused(&[
        "sign",
        "unsigned.suit",
        "--key",
        "release.pem",
        "--credential",
        "release.cwt",
        "--out",
        "no/such/folder.suit",
    ]);
    assert_eq!(refusal, ("file-write".into(), 3));
}

#[test]
fn wrong_command_lines() {
    let workshop = Workshop::new();
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["verify", "x.suit"],
        &["verify", "x.suit", "--anchor", "a", "--vendor", "v"],
        &["provision", "--serial", "ü", "--vendor", VENDOR, "--class", CLASS, "--out", "b"],
        &["provision", "--serial", "A", "--vendor", "Not A Domain", "--class", CLASS, "--out", "b"],
        &[
            "provision",
            "--serial",
            "A",
            "--vendor",
            VENDOR,
            "--class",
            CLASS,
            "--node-address",
            "240",
            "--out",
            "b",
        ],
        &["credential", "issue", "--role", "king"],
    ] {
        assert_eq!(workshop.run(arguments).exit, 2, "{arguments:?}");
    }
    assert_eq!(workshop.refused(&["frobnicate"]), ("usage".into(), 2));
}

/// Scripts are told what is wrong, too.
#[test]
fn wrong_command_lines_in_json() {
    let workshop = Workshop::new();
    for (arguments, said) in [
        (&["verify", "x.suit"][..], &["--anchor", "not provided"][..]),
        (&["sign"], &["--key", "--credential", "--out", "<U.suit>"]),
        (&["credential", "issue", "--role", "king"], &["'king'", "possible values: release, identity"]),
        (&["key"], &["subcommand"]),
        (&[], &["subcommand"]),
    ] {
        assert_eq!(workshop.refused(arguments), ("usage".into(), 2), "{arguments:?}");
        let run = workshop.run(&[&["--json"], arguments].concat());
        let message = run.object()["error"]["message"].as_str().unwrap().to_owned();
        assert!(said.iter().all(|words| message.contains(words)), "{message}");
        assert!(!message.contains("Usage") && !message.contains("\\n"), "{message}");
        assert_eq!(run.stderr, "");
    }
}

#[test]
fn help_is_no_error() {
    let workshop = Workshop::new();
    for arguments in [&["--help"][..], &["--version"], &["help", "key"], &["publish", "--help"]] {
        let run = workshop.run(arguments);
        assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(!run.stdout.is_empty());
    }
}

#[test]
fn errors_are_words_on_stderr() {
    let workshop = Workshop::new();
    let run = workshop.run(&["inspect", "missing\u{1b}[2J"]);
    assert_eq!((run.exit, run.stdout.as_str()), (3, ""));
    assert!(run.stderr.starts_with("error: missing\\u{1b}[2J could not be read: "), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 2, "what to do is on the second line");
}

#[test]
fn nobody_listening_is_an_error_and_no_panic() {
    let workshop = Workshop::with_release();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = workshop.command(&["inspect", "signed.suit"]);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("[output]") && !stderr.contains("panicked"), "{stderr}");
}
