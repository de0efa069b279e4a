//! Keys that are not in a file: the environment, standard input, programs.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::workshop::{Run, Workshop, finish, split};

const SIGN: &str = "--json sign unsigned.suit --credential release.cwt --out new.suit --key";

/// A program of the workshop that is run without a shell of ours.
fn program(workshop: &Workshop, name: &str, text: &str) {
    workshop.program(name, text.as_bytes());
}

fn sign(workshop: &Workshop, key: &str) -> Run {
    workshop.run(&[&split(SIGN)[..], &[key]].concat())
}

/// Fails, and nothing changes; what people read.
fn refused(workshop: &Workshop, key: &str, code: &str, exit: i32) -> String {
    let before = workshop.snapshot();
    let run = sign(workshop, key);
    assert_eq!(run.refusal(), (code.to_owned(), exit), "{key}: {run:?}");
    assert_eq!(workshop.snapshot(), before, "{key}");
    run.object()["error"]["message"].as_str().unwrap().to_owned()
}

/// What `sign` made with the key in a file.
fn signed(workshop: &Workshop) -> bool {
    let new = workshop.read("new.suit") == workshop.read("signed.suit");
    std::fs::remove_file(workshop.path("new.suit")).unwrap();
    new
}

#[test]
fn a_key_comes_from_the_environment_or_from_standard_input() {
    let workshop = Workshop::with_release();
    let pem = workshop.read("release.pem");
    let mut command = workshop.command(&[&split(SIGN)[..], &["env:RELEASE_KEY"]].concat());
    command.env("RELEASE_KEY", std::str::from_utf8(&pem).unwrap());
    assert_eq!(finish(command).exit, 0);
    assert!(signed(&workshop));

    let mut command = workshop.command(&[&split(SIGN)[..], &["-"]].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&pem).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(signed(&workshop));

    let message = refused(&workshop, "env:NO_SUCH_KEY", "key-variable", 4);
    assert!(message.contains("NO_SUCH_KEY is not set"), "{message}");
    let mut command = workshop.command(&[&split(SIGN)[..], &["env:RELEASE_KEY"]].concat());
    command.env("RELEASE_KEY", "not a key");
    assert_eq!(finish(command).refusal(), ("private-key-invalid".into(), 4));
}

#[test]
fn the_public_half_comes_from_wherever_the_key_is() {
    let workshop = Workshop::with_release();
    let kid = workshop.ok(&["key", "public", "release.pem"])["kid"].clone();
    let mut command = workshop.command(&["--json", "key", "public", "env:RELEASE_KEY"]);
    command.env("RELEASE_KEY", String::from_utf8(workshop.read("release.pem")).unwrap());
    assert_eq!(finish(command).object()["kid"], kid);
    for key in ["file:release.pem", "file:release.cose", "exec:absent?public=release.cose"] {
        assert_eq!(workshop.ok(&["key", "public", key])["kid"], kid, "{key}");
    }
    // No place is also an output.
    let out = ["key", "public", "exec:absent?public=release.cose", "--force", "--out", "release.cose"];
    assert_eq!(workshop.refused(&out), ("same-file".into(), 2));
}

#[test]
fn a_location_that_says_no_place_is_refused() {
    let workshop = Workshop::with_release();
    let message = refused(&workshop, "pkcs11:colour=red", "key-location", 2);
    assert!(message.contains("colour"), "{message}");
    // A PIN is shown by every message that repeats what was given.
    let run = sign(&workshop, "pkcs11:token=a?pin-value=271828");
    assert_eq!(run.refusal(), ("key-location".into(), 2));
    assert!(!run.stdout.contains("271828") && !run.stderr.contains("271828"), "{run:?}");
    assert!(run.object()["error"]["hint"].as_str().unwrap().contains("change the PIN"), "{run:?}");
}

/// Any program can hold the key: here one that asks OpenSSL.
#[test]
fn a_program_signs() {
    let workshop = Workshop::with_release();
    let line =
        "#!/bin/sh\ncat > message && openssl pkeyutl -sign -rawin -inkey \"$1\" -in message && rm message\n";
    program(&workshop, "sign it", line);
    let key = "exec:./sign%20it?argument=release.pem&public=release.cose";
    let run = sign(&workshop, key);
    assert_eq!(run.exit, 0, "{run:?}");
    assert!(signed(&workshop));
    // One program may hold several keys; a signature of another one is not used.
    let other = key.replace("release.pem", "root.pem");
    refused(&workshop, &other, "signature-foreign", 4);
}

#[test]
fn a_program_that_does_not_sign_is_named() {
    let workshop = Workshop::with_release();
    let cases = [
        ("echo no luck >&2; exit 3", "signer-failed", 4, "exit status: 3"),
        ("kill -9 $$", "signer-failed", 4, "signal: 9"),
        ("true", "signer-answer", 4, "it wrote 0 bytes"),
        ("head -c 63 /dev/zero", "signer-answer", 4, "it wrote 63 bytes"),
        ("head -c 65 /dev/zero", "signer-answer", 4, "more than the 64 bytes"),
        ("exec cat /dev/zero", "signer-answer", 4, "more than the 64 bytes"),
        ("head -c 64 /dev/zero", "signature-foreign", 4, "does not verify"),
    ];
    for (body, code, exit, words) in cases {
        program(&workshop, "signer", &format!("#!/bin/sh\n{body}\n"));
        let message = refused(&workshop, "exec:./signer?public=release.cose", code, exit);
        assert!(message.contains(words), "{body}: {message}");
    }
    let run = {
        program(&workshop, "signer", "#!/bin/sh\necho no luck >&2; exit 3\n");
        sign(&workshop, "exec:./signer?public=release.cose")
    };
    assert!(run.stderr.contains("no luck"), "what the program says is passed on: {run:?}");
    refused(&workshop, "exec:./absent?public=release.cose", "signer-not-started", 3);
    refused(&workshop, "exec:./signer?public=absent.cose", "file-read", 3);
}

/// It may hang, or leave a child that keeps the pipe.
#[test]
fn a_program_has_a_time_limit_and_does_not_outlive_it() {
    let workshop = Workshop::with_release();
    for body in ["echo $$ > pid; exec sleep 30", "echo $$ > pid; sleep 30 2>&- & exit 0"] {
        program(&workshop, "signer", &format!("#!/bin/sh\n{body}\n"));
        let began = Instant::now();
        let run = sign(&workshop, "exec:./signer?public=release.cose&timeout=1");
        assert_eq!(run.refusal(), ("signer-timeout".into(), 3), "{body}: {run:?}");
        assert!(began.elapsed() < Duration::from_secs(60), "{body}");
        let pid = String::from_utf8(workshop.read("pid")).unwrap();
        let is_there = std::path::Path::new("/proc").join(pid.trim()).exists();
        assert!(!is_there, "{body}: the program {pid} is still there");
    }
    assert!(!workshop.path("new.suit").exists());
}

/// No shell: what looks like a command is a file name.
#[test]
fn no_shell_reads_the_name_of_a_program() {
    let workshop = Workshop::with_release();
    refused(&workshop, "exec:touch owned;true?public=release.cose", "signer-not-started", 3);
    refused(&workshop, "exec:$(touch owned)?public=release.cose", "signer-not-started", 3);
    assert!(!workshop.path("owned").exists());
}
