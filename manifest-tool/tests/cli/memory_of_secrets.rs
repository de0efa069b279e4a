//! What others see of the process while it has secrets: read from `/proc` while it waits.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::{Uid, mkfifo};

use super::workshop::{Workshop, split};

/// An unprivileged user.
const NOBODY: u32 = 65534;

/// A process that ends with the test.
struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Waiting {
    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap()
    }

    fn status(&self, name: &str) -> String {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().to_owned()
    }

    /// Until it waits in `until`.
    fn when(&self, until: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !until(self) {
            assert!(began.elapsed() < Duration::from_secs(60), "{}", self.proc("status"));
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether this user may lock all memory: root in a container often may not.
fn may_lock() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max locked memory")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() >> 14 & 1 == 1 || limit.contains("unlimited")
}

/// A program that is asked to sign, and waits; so does this tool.
fn waits_for_a_program(workshop: &Workshop, prefix: &[&str]) -> Waiting {
    workshop.program("signer", b"#!/bin/sh\ntouch started\nexec sleep 60\n");
    let folder = workshop.path("");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let line =
        "sign unsigned.suit --credential release.cwt --out new.suit --key exec:./signer?public=release.cose";
    let tool = workshop.command(&split(line));
    // Another user may not reach the folder where it was built.
    workshop.program("tool", &fs::read(tool.get_program()).unwrap());
    let program = [prefix, &["./tool"]].concat();
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).args(tool.get_args()).current_dir(&folder).stdin(Stdio::null());
    let process = Waiting(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    process.when(|_| folder.join("started").exists());
    process
}

#[test]
fn a_process_with_secrets_leaves_no_core_dump() {
    let workshop = Workshop::with_release();
    let process = waits_for_a_program(&workshop, &[]);
    let limits = process.proc("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let values: Vec<&str> = core["Max core file size".len()..].split_whitespace().collect();
    assert_eq!(values[..2], ["0", "0"], "{core}");
}

/// The system gives the files in `/proc` of a process that is not dumpable to root: nobody else reads its memory.
#[test]
fn nobody_of_the_same_user_reads_the_memory_of_the_process() {
    let workshop = Workshop::with_release();
    let (uid, gid) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
    let prefix = ["setpriv", &uid, &gid, "--clear-groups"];
    // Root owns its own processes in any case: the test needs another user.
    let process = waits_for_a_program(&workshop, if Uid::effective().is_root() { &prefix } else { &[] });
    let owner = process.status("Uid");
    assert!(!owner.starts_with('0'), "{owner}");
    let memory = fs::metadata(format!("/proc/{}/mem", process.0.id())).unwrap();
    assert_eq!(memory.uid(), 0, "{owner}");
}

/// While it waits for a passphrase: the memory that will hold it is locked before it comes.
#[test]
fn memory_is_locked_before_the_first_secret_where_the_system_permits_it() {
    let workshop = Workshop::new();
    workshop.ok(&split("key generate --out key.pem --passphrase-file passphrase"));
    let (pipe, process) = (workshop.path("pipe"), {
        mkfifo(&workshop.path("pipe"), Mode::S_IRWXU).unwrap();
        let mut command = workshop.command(&split("key public key.pem --passphrase-file pipe"));
        Waiting(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    });
    // Opening the pipe to write waits for the process to open it to read.
    let passphrase = fs::File::options().write(true).open(pipe).unwrap();
    assert_eq!(process.status("VmLck") != "0 kB", may_lock(), "{}", process.status("VmLck"));
    drop(passphrase);
}
