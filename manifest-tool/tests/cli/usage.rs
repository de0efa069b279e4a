//! How it is called: outputs that exist, help, JSON, pipes that close.

use std::process::Stdio;

use super::workshop::{CLASS, VENDOR, Workshop, split};

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
    let both = split(
        "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence \
         2 --version 2 --out same --image-out same",
    );
    assert_eq!(workshop.refused(&both), ("same-file".into(), 2));
    let onto_input = split(
        "create --image firmware.bin --vendor anchorage.example --class demo-node --sequence \
         2 --version 2 --out u --image-out firmware.bin --force",
    );
    assert_eq!(workshop.refused(&onto_input), ("same-file".into(), 2));
    let onto_key = split(
        "revoke --first --key root.pem --issuer i --kid 0102030405060708 --role release \
         --generation 0 --out root.pem --force",
    );
    assert_eq!(workshop.refused(&onto_key), ("same-file".into(), 2));
    workshop.ok(&split(
        "revoke --first --key root.pem --issuer i --kid 0102030405060708 --role release \
         --generation 0 --out l.cwt",
    ));
    for arguments in [
        "sign unsigned.suit --key release.pem --credential release.cwt --out unsigned.suit --force",
        "sign unsigned.suit --key release.pem --credential release.cwt --out release.cwt --force",
        "revoke --key root.pem --issuer i --previous l.cwt --kid 0102030405060709 --role release --generation 0 --out l.cwt --force",
        "revoke --key root.pem --issuer i --credential release.cwt --out release.cwt --force",
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        assert_eq!(workshop.refused(&arguments), ("same-file".into(), 2), "{arguments:?}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_io() {
    let workshop = Workshop::with_release();
    let refusal = workshop.refused(&split(
        "sign unsigned.suit --key release.pem --credential release.cwt --out \
         no/such/folder.suit",
    ));
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

/// A reader that has seen enough is not a failure: the exit code is the command's, in words and in JSON.
#[test]
fn a_closed_pipe_changes_no_exit_code() {
    let workshop = Workshop::with_release();
    let closed = |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = workshop.command(arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for json in [&[][..], &["--json"]] {
        let run = |arguments: &[&str]| closed(&[json, arguments].concat());
        assert_eq!(run(&["inspect", "signed.suit"]), (Some(0), String::new()));
        assert_eq!(run(&["key", "public", "root.pem", "--out", "again.cose"]), (Some(0), String::new()));
        assert_eq!(workshop.read("again.cose"), workshop.read("root.cose"));
        assert_eq!(run(&["--help"]).0, Some(0));
        assert_eq!(run(&["inspect", "missing.suit"]).0, Some(3));
        assert_eq!(run(&["inspect", "root.pem"]).0, workshop.run(&["inspect", "root.pem"]).exit.into());
    }
}

/// A full disk below standard output is a failure: what was asked for is not there.
#[test]
fn a_result_that_cannot_be_printed_is_an_error() {
    let workshop = Workshop::with_release();
    for (arguments, code) in
        [(&["inspect", "signed.suit"][..], "[output]"), (&["--json", "inspect", "signed.suit"], "\"output\"")]
    {
        let full = std::fs::File::create("/dev/full").unwrap();
        let child = workshop.command(arguments).stdout(full).stderr(Stdio::piped()).spawn();
        let output = child.unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains(code) && !stderr.contains("panicked"), "{stderr}");
    }
}

/// `command < input` with `-`, or `<(command)`: read once, whole.
#[test]
fn pipes_are_files() {
    let workshop = Workshop::with_release();
    let piped = |arguments: &[&str], file: &str| {
        let mut command = workshop.command(arguments);
        command.stdin(std::fs::File::open(workshop.path(file)).unwrap());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap().wait_with_output().unwrap()
    };
    let kid = workshop.ok(&["key", "public", "root.cose"])["kid"].as_str().unwrap().to_owned();
    for (name, file) in [("-", "root.pem"), ("/dev/stdin", "root.pem"), ("-", "root.cose")] {
        let output = piped(&["key", "public", name], file);
        assert!(String::from_utf8(output.stdout).unwrap().contains(&kid), "{name} {file}");
    }
    assert_eq!(piped(&["inspect", "-"], "signed.suit").status.code(), Some(0));
    // The file goes to standard output as it is, the report to standard error.
    let output = piped(&["key", "public", "-", "--out", "-"], "root.pem");
    assert_eq!((output.status.code(), output.stdout), (Some(0), workshop.read("root.cose")));
    assert!(String::from_utf8(output.stderr).unwrap().contains(&kid));
    // There is one standard input and one standard output, and no private key on either.
    let twice = ["--json", "verify", "-", "--anchor", "-"];
    let output = piped(&twice, "root.cose");
    assert!(String::from_utf8(output.stdout).unwrap().contains("\"same-file\""));
    let key = ["key", "generate", "--no-passphrase", "--out", "-"];
    assert_eq!(workshop.refused(&key), ("usage".into(), 2));
}

/// `--force` would replace the only copy of a release, a list or a credential.
#[test]
fn an_output_is_never_an_input() {
    let workshop = Workshop::with_release();
    workshop.ok(&split("revoke --key root.pem --issuer root --first --key-of release.cwt --out 1.list"));
    std::fs::copy(workshop.path("signed.suit"), workshop.path("second.suit")).unwrap();
    let create = format!(
        "create --image firmware.bin --vendor {VENDOR} --class {CLASS} --sequence 3 --version 3 \
         --previous-release signed.suit"
    );
    let issue = format!(
        "credential issue --key root.pem --for release.cose --role release --vendor {VENDOR} --issuer i \
         --subject s --known release.cwt --replaces release.cwt --previous 1.list"
    );
    let revoke = "revoke --key root.pem --issuer i --previous 1.list --credential release.cwt";
    let provision = format!("provision --serial A --vendor {VENDOR} --class {CLASS} --anchor root.cose");
    let recertify = "recertify signed.suit second.suit --credential release.cwt";
    let sign = "sign unsigned.suit --key release.pem --credential release.cwt";
    for (command, other, outputs, inputs) in [
        (&*create, "--image-out new", "--out", "firmware.bin signed.suit"),
        (&create, "--out new", "--image-out", "firmware.bin signed.suit"),
        (&issue, "--list-out new", "--out", "root.pem release.cose release.cwt 1.list"),
        (&issue, "--out new", "--list-out", "root.pem release.cose release.cwt 1.list"),
        (revoke, "", "--out", "root.pem 1.list release.cwt"),
        (revoke, "--known second.cwt --minimum *=1 --vendor anchorage.example", "--out", "second.cwt"),
        (&provision, "", "--out", "root.cose"),
        (sign, "", "--out", "unsigned.suit release.pem release.cwt"),
        (recertify, "", "--out-dir", "."),
        ("recertify signed.suit --credential release.cwt", "", "--out", "signed.suit release.cwt"),
        ("key public release.cose", "", "--out", "release.cose"),
    ] {
        for input in split(inputs) {
            let line = format!("{command} {other} {outputs} {input} --force");
            assert_eq!(workshop.refused(&split(&line)), ("same-file".into(), 2), "{line}");
        }
    }
}

/// The message names the option and its range, not a byte of a file that was never made.
#[test]
fn a_value_out_of_range_names_its_option() {
    let workshop = Workshop::with_release();
    let long = "x".repeat(65);
    let issue =
        "credential issue --key root.pem --for release.cose --role release --vendor v.example --out no";
    let named = format!("{issue} --issuer i --subject s");
    let revoke = "revoke --key root.pem --first --out no";
    let kids = (0..33).map(|number| format!("--kid {number:016x} ")).collect::<String>();
    let classes = (0..9).map(|number| format!("--class c{number} ")).collect::<String>();
    let minimums = (0..17).map(|number| format!("--minimum class-{number}=1 ")).collect::<String>();
    for (line, option, range) in [
        (format!("{issue} --subject s --issuer={long}"), "--issuer", "64 bytes"),
        (format!("{issue} --subject s --issuer="), "--issuer", "value"),
        (format!("{issue} --issuer i --subject={long}"), "--subject", "64 bytes"),
        (format!("{named} --ceiling 0"), "--ceiling", "1..=9223372036854775807"),
        (format!("{named} --ceiling 9223372036854775808"), "--ceiling", "1..=9223372036854775807"),
        (format!("{named} --generation 65536"), "--generation", "0..=65535"),
        (format!("{named} {classes}"), "--class", "at most 8"),
        (
            format!("{} {}", named.replace("release --v", "service --v"), classes.replace("class", "serial")),
            "--serial",
            "at most 8",
        ),
        (
            format!("{named} --not-before 2100-01-02T00:00:00Z --expires 2100-01-01T00:00:00Z"),
            "--not-before",
            "--expires",
        ),
        (
            format!("{revoke} --issuer i --sequence 0 --key-of release.cwt"),
            "--sequence",
            "1..=2305843009213693952",
        ),
        (format!("{revoke} --issuer={long} --key-of release.cwt"), "--issuer", "64 bytes"),
        (
            format!("{revoke} --issuer i --vendor v.example --minimum *=4611686018427387905"),
            "--minimum",
            "1 to 4611686018427387904",
        ),
        (
            format!("{revoke} --issuer i --role release --generation 0 {kids}"),
            "--lowest-generation",
            "at most 32",
        ),
        (format!("{revoke} --issuer i --vendor v.example {minimums}"), "--minimum", "at most 16"),
    ] {
        let run = workshop.run(&[&["--json"], &split(&line)[..]].concat());
        assert_eq!(run.refusal(), ("usage".into(), 2), "{line}");
        let message = run.object()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(option) && message.contains(range), "{line}: {message}");
    }
}
