//! The program killed at each system call that writes.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::workshop::{Workshop, split};

/// Calls that change what is on the disk, or make it last.
const CALLS: [&str; 10] =
    ["write", "fsync", "renameat", "renameat2", "rename", "linkat", "link", "unlink", "mkdir", "ftruncate"];

/// Runs the program under strace; whether it succeeded.
pub(super) fn strace(workshop: &Workshop, line: &str, options: &[&str]) -> bool {
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

/// How often one run makes each of these calls; strace counts each kind by itself.
pub(super) fn count_calls(
    workshop: &Workshop,
    line: &str,
    calls: &[&'static str],
) -> Vec<(&'static str, usize)> {
    let trace = format!("trace={}", calls.join(","));
    assert!(strace(workshop, line, &["-o", "trace", "-e", &trace]), "{line}");
    let trace = String::from_utf8_lossy(&workshop.read("trace")).into_owned();
    let count = |call: &str| trace.lines().filter(|line| line.contains(&format!(" {call}("))).count();
    calls.iter().map(|call| (*call, count(call))).filter(|(_, count)| *count > 0).collect()
}

/// Puts everything back to what it was.
pub(super) fn restore(workshop: &Workshop, state: &[(PathBuf, Vec<u8>)]) {
    for entry in std::fs::read_dir(workshop.path("")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
    }
    for (path, content) in state {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

/// Kills `line` by SIGKILL at each call that it makes, always from the present state, and has `check` look at what is left
/// and go on. How often it was killed.
pub(super) fn kill_everywhere(workshop: &Workshop, line: &str, mut check: impl FnMut(&str)) -> usize {
    let state = workshop.snapshot();
    let calls = count_calls(workshop, line, &CALLS);
    let mut kills = 0;
    for (call, count) in calls {
        for when in 1..=count {
            restore(workshop, &state);
            let (trace, inject) =
                (format!("trace={call}"), format!("inject={call}:signal=SIGKILL:when={when}"));
            let what = format!("{line}: {call} {when} of {count}");
            assert!(!strace(workshop, line, &["-o", "/dev/null", "-e", &trace, "-e", &inject]), "{what}");
            kills += 1;
            check(&what);
        }
    }
    restore(workshop, &state);
    kills
}
