//! The program interrupted at each system call that writes: killed, or told that the disk is full.

use std::fs::Permissions;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::workshop::{Workshop, split};

/// Calls that change what is on the disk, or make it last. Opening is none: what it makes is empty until the first write.
const CALLS: [&str; 10] =
    ["write", "fsync", "renameat", "renameat2", "rename", "linkat", "link", "unlink", "mkdir", "ftruncate"];
pub(super) const SIGKILL: &str = "signal=SIGKILL";

/// Runs the program under strace; whether it succeeded.
fn strace(workshop: &Workshop, line: &str, options: &[&str]) -> bool {
    let status = Command::new("strace")
        .current_dir(workshop.path(""))
        .args(["-f", "-qq"])
        .args(options)
        .arg(env!("CARGO_BIN_EXE_manifest-tool"))
        .args(split(line))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.expect("strace is installed by the test command").success()
}

/// How often one run makes each of these calls. strace counts each kind by itself, so a fault at the tenth call of several
/// kinds together would meet only what is the tenth of its own kind.
fn count_calls(workshop: &Workshop, line: &str) -> Vec<(&'static str, usize)> {
    let trace = format!("trace={}", CALLS.join(","));
    assert!(strace(workshop, line, &["-o", "trace", "-e", &trace]), "{line}");
    let trace = String::from_utf8_lossy(&workshop.read("trace")).into_owned();
    let count = |call: &str| trace.lines().filter(|line| line.contains(&format!(" {call}("))).count();
    CALLS.iter().map(|call| (*call, count(call))).filter(|(_, count)| *count > 0).collect()
}

/// Everything in a folder, empty folders too, and who may read it.
struct State {
    folders: Vec<PathBuf>,
    files: Vec<(PathBuf, Vec<u8>, Permissions)>,
}

impl State {
    fn of(workshop: &Workshop) -> Self {
        let mut folders = Vec::new();
        walk(&workshop.path(""), &mut folders);
        let files = workshop.snapshot().into_iter().map(|(path, content)| {
            let permissions = std::fs::metadata(&path).unwrap().permissions();
            (path, content, permissions)
        });
        Self { folders, files: files.collect() }
    }

    /// Puts everything back to what it was.
    fn restore(&self, workshop: &Workshop) {
        for entry in std::fs::read_dir(workshop.path("")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
        }
        for folder in &self.folders {
            std::fs::create_dir_all(folder).unwrap();
        }
        for (path, content, permissions) in &self.files {
            std::fs::write(path, content).unwrap();
            std::fs::set_permissions(path, permissions.clone()).unwrap();
        }
    }
}

fn walk(folder: &Path, folders: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, folders);
            folders.push(path);
        }
    }
}

/// Has each `step`th call of a kind in `line` end in `fault`, always from the present state, and has `check` look at what is
/// left and go on. It is told where, and whether the program succeeded all the same. How often it did not.
pub(super) fn cut_everywhere(
    workshop: &Workshop,
    line: &str,
    (fault, step): (&str, usize),
    mut check: impl FnMut(&str, bool),
) -> usize {
    let state = State::of(workshop);
    let calls = count_calls(workshop, line);
    let mut cuts = 0;
    // Whoever is killed before `fsync` leaves what he leaves at the next call.
    for (call, count) in calls.into_iter().filter(|(call, _)| *call != "fsync" || fault != SIGKILL) {
        for when in (1..=count).step_by(step) {
            state.restore(workshop);
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{fault}:when={when}"));
            let what = format!("{line}: {call} {when} of {count}: {fault}");
            let done = strace(workshop, line, &["-o", "/dev/null", "-e", &trace, "-e", &inject]);
            // What is said to people is a write too, and may fail.
            assert!(!done || call == "write" && fault != SIGKILL, "{what}");
            cuts += usize::from(!done);
            check(&what, done);
        }
    }
    state.restore(workshop);
    cuts
}

/// [`cut_everywhere`] by SIGKILL, at each call.
pub(super) fn kill_everywhere(workshop: &Workshop, line: &str, mut check: impl FnMut(&str)) -> usize {
    cut_everywhere(workshop, line, (SIGKILL, 1), |what, _| check(what))
}
