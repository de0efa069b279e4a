//! Child processes that must not outlive their parent: devices, servers, emulators.
//!
//! `Drop` does not run when the parent is killed. The kernel then ends the child (Linux, prctl(2),
//! `PR_SET_PDEATHSIG`): setpriv of util-linux asks for that and becomes the program, under the same process id.

use std::ffi::OsStr;
use std::process::Command;

/// The words before the signal, the program and its arguments.
const SETPRIV: [&str; 2] = ["setpriv", "--pdeathsig"];

/// A program that is killed (SIGKILL) when the thread that spawned it has ended, for whatever reason.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    signalled("KILL", program)
}

/// A program that gets `signal`, a name without SIG, when the thread that spawned it has ended.
pub fn signalled(signal: &str, program: impl AsRef<OsStr>) -> Command {
    if !cfg!(target_os = "linux") {
        return Command::new(program);
    }
    let [setpriv, option] = SETPRIV;
    let mut command = Command::new(setpriv);
    command.args([option, signal, "--"]).arg(program);
    command
}

/// A command line as a person would type it: without setpriv.
#[must_use]
pub fn spoken(command: &Command) -> String {
    let program = std::iter::once(command.get_program());
    let words: Vec<_> = program.chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    match words.as_slice() {
        // The signal and the two dashes come first.
        [setpriv, option, _, _, rest @ ..] if [setpriv, option] == SETPRIV => rest.join(" "),
        words => words.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_child_dies_with_the_thread_that_started_it() {
        let start = || {
            let mut shell = command("sh");
            let mut child = shell.args(["-c", "echo up; exec sleep 60"]).stdout(Stdio::piped()).spawn()?;
            // Setpriv has done its work when the program speaks.
            let read = child.stdout.take().map(|mut stdout| stdout.read_exact(&mut [0; 3]));
            read.transpose()?;
            std::io::Result::Ok(child)
        };
        let child = std::thread::spawn(start).join().expect("the thread ends");
        let status = child.expect("it started").wait().expect("it ends");
        assert_eq!(status.signal(), Some(9));
    }

    #[test]
    fn it_is_told_as_a_person_would_type_it() {
        assert_eq!(spoken(command("sim").args(["--bus", "a"])), "sim --bus a");
        assert_eq!(spoken(Command::new("sim").args(["--bus", "a"])), "sim --bus a");
    }
}
