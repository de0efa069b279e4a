//! A shell script out of a document, run as it stands; nothing that it started is left when it has ended.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::parent_death;

/// Leads each script: however it ends, it ends what it left in the background, and waits for that.
const CLEAN_UP: &str =
    "trap 's=$?; trap - EXIT TERM; kill $(jobs -p) 2>/dev/null || :; wait; exit $s' EXIT TERM\n";
const POLL: Duration = Duration::from_millis(20);

/// The shell blocks of a document in Markdown, in their order.
#[must_use]
pub fn blocks(document: &str) -> Vec<&str> {
    let rests = document.split("```sh\n").skip(1);
    rests.filter_map(|rest| rest.split_once("```").map(|(block, _)| block)).collect()
}

/// A script for bash, which ends at the first command that fails.
pub struct Script<'a> {
    pub text: &'a str,
    /// Where it begins.
    pub directory: &'a Path,
    pub environment: &'a [(&'a str, OsString)],
    /// After this it is killed.
    pub limit: Duration,
    /// Where its errors go.
    pub stderr: Stdio,
}

/// Ends everything that a script left running all the same.
struct ProcessGroup(u32);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // Nothing is left when the script went to its end.
        let group = format!("-{}", self.0);
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    }
}

impl Script<'_> {
    /// Runs it, and hands over each line of its stdout as soon as it is whole. Returns how it ended; `None` if it
    /// took too long and was killed. Nothing of it runs any more then.
    ///
    /// # Errors
    /// When bash cannot be started or its output cannot be read.
    pub fn run(self, mut said: impl FnMut(&str)) -> Result<Option<ExitStatus>> {
        // A file: the end of a pipe would be seen only when all who write to it have ended, in the background too.
        let output = tempfile::NamedTempFile::new()?;
        let mut spoken = File::open(output.path())?;
        let mut bash = parent_death::signalled("TERM", "bash");
        bash.args(["-euo", "pipefail", "-c", &format!("{CLEAN_UP}{}", self.text)]);
        bash.current_dir(self.directory).process_group(0);
        bash.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // Appended: the script's own processes write to it too.
        let stdout = File::options().append(true).open(output.path())?;
        bash.stdin(Stdio::null()).stdout(stdout).stderr(self.stderr);
        let mut bash = bash.spawn().context("cannot start bash")?;
        let group = ProcessGroup(bash.id());
        let deadline = Instant::now() + self.limit;
        let mut unfinished = Vec::new();
        let status = loop {
            let status = bash.try_wait()?;
            hand_over(&mut spoken, &mut unfinished, &mut said)?;
            if status.is_some() || Instant::now() >= deadline {
                break status;
            }
            std::thread::sleep(POLL);
        };
        drop(group);
        bash.wait()?;
        hand_over(&mut spoken, &mut unfinished, &mut said)?;
        if !unfinished.is_empty() {
            said(&String::from_utf8_lossy(&unfinished));
        }
        Ok(status)
    }
}

/// Hands over the lines that are whole, and keeps the rest.
fn hand_over(spoken: &mut File, unfinished: &mut Vec<u8>, said: &mut impl FnMut(&str)) -> Result<()> {
    spoken.read_to_end(unfinished)?;
    while let Some(end) = unfinished.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = unfinished.drain(..=end).collect();
        said(String::from_utf8_lossy(&line).trim_end_matches('\n'));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn run(text: &str, limit: Duration) -> Result<(Option<ExitStatus>, Vec<String>)> {
        let mut lines = Vec::new();
        let script =
            Script { text, directory: Path::new("/"), environment: &[], limit, stderr: Stdio::inherit() };
        let status = script.run(|line| lines.push(line.to_owned()))?;
        Ok((status, lines))
    }

    #[test]
    fn a_script_that_fails_ends_with_what_it_started() -> Result<()> {
        let (status, lines) = run("sleep 1000 & echo $!\nfalse\necho never\n", LIMIT)?;
        ensure!(status.and_then(|status| status.code()) == Some(1), "it ended with {status:?}");
        let [id] = lines.as_slice() else { anyhow::bail!("it said {lines:?}") };
        ensure!(!Path::new("/proc").join(id).exists(), "process {id} is still there");
        Ok(())
    }

    #[test]
    fn a_script_that_takes_too_long_is_killed() -> Result<()> {
        let (status, _) = run("sleep 1000\n", Duration::from_millis(10))?;
        ensure!(status.is_none(), "it ended with {status:?}");
        Ok(())
    }

    #[test]
    fn blocks_are_those_of_the_shell_and_lines_are_whole() -> Result<()> {
        let document = "text\n```sh\nprintf 'one\\ntwo'\n```\n```text\nno\n```\n```sh\necho\n```\n";
        ensure!(blocks(document) == ["printf 'one\\ntwo'\n", "echo\n"], "{:?}", blocks(document));
        let (_, lines) = run(blocks(document)[0], LIMIT)?;
        ensure!(lines == ["one", "two"], "{lines:?}");
        Ok(())
    }
}
