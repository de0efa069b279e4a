//! What the program says when it cannot start.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A program that starts after all never ends by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// Exit code and stderr of the program with this flash file and bus.
fn refused(flash: &Path, bus: &str) -> (Option<i32>, String) {
    let mut sim = Command::new(env!("CARGO_BIN_EXE_sim"));
    sim.arg("--flash").arg(flash).args(["--bus", bus]).env("RUST_BACKTRACE", "1");
    let mut child = sim.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().expect("the program's state").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("the program ends");
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("the program's words");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn a_file_or_bus_that_cannot_be_used_is_said_in_one_line() {
    let folder = tempfile::tempdir().expect("folder");
    let notes = folder.path().join("notes.txt");
    std::fs::write(&notes, "dear diary").expect("file");
    let (code, said) = refused(&notes, "udp-multicast");
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.starts_with("error: cannot use ") && said.contains("notes.txt"), "{said}");
    assert_eq!(std::fs::read(&notes).expect("file"), b"dear diary");

    let (code, said) = refused(&folder.path().join("flash"), "slcan:unix:/nowhere/adapter");
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("/nowhere/adapter"), "{said}");
}
