//! Other programs as children: run to an end, with a deadline, and never left behind.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a child is asked whether it has ended.
const POLL: Duration = Duration::from_millis(10);

/// What a program left behind when it ended.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) use emulator::parent_death::spoken as describe;

/// Runs a command with our own stdout and stderr; fails unless it exits with 0.
pub(crate) fn check(command: &mut Command) -> Result<()> {
    let words = describe(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{words}`"))?;
    if !status.success() {
        bail!("`{words}` ended with {status}");
    }
    Ok(())
}

/// Runs a command and returns its stdout; fails, with its stderr, unless it exits with 0.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let words = describe(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{words}`"))?;
    if !output.status.success() {
        bail!("`{words}` ended with {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

/// Runs a command to its end whatever its exit code is; fails when it is not there or takes too long.
pub(crate) fn finish(command: &mut Command, limit: Duration) -> Result<Finished> {
    let finished = finish_within(command, limit)?;
    finished.with_context(|| format!("`{}` still runs after {} s", describe(command), limit.as_secs()))
}

/// Runs a command to its end whatever its exit code is; `None` when it took too long and was killed.
pub(crate) fn finish_within(command: &mut Command, limit: Duration) -> Result<Option<Finished>> {
    let words = describe(command);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{words}`"))?;
    let mut child = Guard(child);
    let stdout = drain(child.0.stdout.take());
    let stderr = drain(child.0.stderr.take());
    let Some(status) = child.wait_within(limit).with_context(|| format!("`{words}`"))? else {
        return Ok(None);
    };
    Ok(Some(Finished { status, stdout: collect(stdout), stderr: collect(stderr) }))
}

type Drain = Option<thread::JoinHandle<Vec<u8>>>;

fn drain(pipe: Option<impl Read + Send + 'static>) -> Drain {
    pipe.map(|mut pipe| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // A pipe that breaks has said all it will say.
            let _ = pipe.read_to_end(&mut bytes);
            bytes
        })
    })
}

fn collect(drain: Drain) -> String {
    let bytes = drain.and_then(|handle| handle.join().ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A child that is killed when its owner lets go of it. One that must end with us even if we are killed is started
/// by [`parent_death::command`](emulator::parent_death::command).
pub(crate) struct Guard(pub(crate) Child);

impl Guard {
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let words = describe(command);
        Ok(Self(command.spawn().with_context(|| format!("cannot start `{words}`"))?))
    }

    /// Waits for the end; one that takes longer than `limit` is an error.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.wait_within(limit)?.with_context(|| format!("still running after {} s", limit.as_secs()))
    }

    /// Waits for the end, at most `limit`.
    fn wait_within(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.0.try_wait()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
    }

    /// SIGTERM, and the end that follows within `limit`.
    pub(crate) fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        check(Command::new("kill").arg("-TERM").arg(self.0.id().to_string()))?;
        self.wait(limit)
    }

    /// SIGKILL: for a device process this is the power cut.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended before us; there is nobody left to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_takes_too_long_has_not_finished() {
        let limit = Duration::from_millis(10);
        let finished = finish_within(Command::new("sleep").arg("60"), limit).expect("it started");
        assert!(finished.is_none());
        assert!(finish(Command::new("sleep").arg("60"), limit).is_err());
        let finished = finish_within(Command::new("sh").args(["-c", "exit 3"]), Duration::from_secs(60));
        let code = finished.expect("it started").and_then(|finished| finished.status.code());
        assert_eq!(code, Some(3));
    }
}
