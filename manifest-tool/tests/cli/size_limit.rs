//! Under a limit on the size of files a command ends with an error, and leaves nothing behind.

use std::process::Command;

use super::workshop::{Workshop, finish, split};

/// The command in a shell whose files have at most 4 blocks.
fn limited(workshop: &Workshop, line: &str) -> Command {
    let mut shell = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_manifest-tool");
    shell.args(["-c", "ulimit -f 4; exec \"$0\" --json \"$@\"", program]).args(split(line));
    shell.current_dir(workshop.path(""));
    shell
}

#[test]
fn tool89_a_file_above_the_limit_is_an_error_and_leaves_nothing() {
    let workshop = Workshop::with_release();
    workshop.write("large.bin", &[&super::workshop::firmware()[..], &[7; 20_000]].concat());
    workshop.ok(&split("key master --out master.key"));
    workshop.ok(&split(
        "create --image large.bin --vendor anchorage.example --class demo-node --sequence 9 --version 9 --out large.suit",
    ));
    let before = workshop.snapshot();
    for line in [
        "encrypt large.suit --image large.bin --master master.key --line one --serial A-0001 --out e.suit \
         --ciphertext-out e.enc",
        "create --image large.bin --vendor anchorage.example --class demo-node --sequence 9 --version 9 --out i.suit \
         --image-out i.bin",
    ] {
        let run = finish(limited(&workshop, line));
        assert_eq!(run.refusal(), ("file-write".into(), 3), "{run:?}");
        let error = run.object()["error"].clone();
        assert!(error["hint"].as_str().unwrap().contains("ulimit -f"), "{error}");
        assert_eq!(workshop.snapshot(), before, "{line}");
    }
    // A program that is started has the signal as ever.
    workshop.program("signer", b"#!/bin/sh\ngrep '^SigBlk' /proc/self/status > blocked\nexit 1\n");
    let line =
        "sign unsigned.suit --key exec:./signer?public=release.cose --credential release.cwt --out s.suit";
    assert_ne!(workshop.run(&split(line)).exit, 0);
    let blocked = String::from_utf8(workshop.read("blocked")).unwrap();
    let mask = u64::from_str_radix(blocked.trim_start_matches("SigBlk:").trim(), 16).unwrap();
    assert_eq!(mask >> 24 & 1, 0, "{blocked}");
}
