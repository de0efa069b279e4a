//! The processes that emulate: a script for each core, over unicorn, which is a tool and never linked to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use emulator::parent_death;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::json;

use crate::Arguments;
use crate::loader::Loader;
use crate::plan::{Executed, Plan};
use crate::subject::Subject;

const SCRIPT: &str = include_str!("worker.py");
/// `movs r0, #1; bx lr`: a comparison that always holds.
const ALWAYS: &str = "01207047";

/// How a run of the loader ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    /// It jumped out of the loader.
    Image,
    /// It waits for the bus.
    Stays,
    /// It reset itself.
    Reset,
    /// A fault resets the device.
    Fault,
    /// The watchdog resets the device.
    Hang,
}

/// The result of a skipped instruction.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Attack {
    pub(crate) address: u32,
    pub(crate) number: u32,
    pub(crate) end: End,
    pub(crate) pc: u32,
    /// What it left in the mailbox for an image, in hex.
    pub(crate) mailbox: String,
    /// Name of what lies in flash then.
    pub(crate) flash: String,
}

/// A run without attack.
#[derive(Deserialize)]
pub(crate) struct Trace {
    pub(crate) end: End,
    /// Instructions that ran.
    pub(crate) steps: u64,
    /// Each of them by its address.
    pub(crate) executed: Vec<Executed>,
}

/// A function that was called.
#[derive(Deserialize)]
pub(crate) struct Called {
    /// Instructions that ran.
    pub(crate) steps: u64,
    /// What was asked for of the memory after it, in hex.
    pub(crate) memory: String,
}

/// The last line of a process.
#[derive(Deserialize)]
struct Done {
    #[expect(dead_code, reason = "its presence tells the line from the others")]
    controls: u32,
}

/// Starts the processes.
pub(crate) struct Workers {
    python: PathBuf,
    loader: PathBuf,
    patch: Option<String>,
    jobs: usize,
    is_quiet: bool,
    folder: tempfile::TempDir,
}

impl Workers {
    /// For the loader of these arguments.
    pub(crate) fn new(arguments: &Arguments, loader: &Loader) -> Result<Self> {
        let patch = if arguments.without_evidence {
            Some(format!(
                "{:x}={ALWAYS}",
                loader.find("Evidence>::holds").or_else(|_| loader.find("Evidence::holds"))?
            ))
        } else {
            None
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            python: arguments.python.clone(),
            loader: loader.path().to_owned(),
            patch,
            jobs: arguments.jobs.unwrap_or(cores).max(1),
            is_quiet: arguments.json,
            folder: tempfile::Builder::new().prefix("skip").tempdir()?,
        })
    }

    /// Where the memories lie that attacks leave.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self, memory: &Path, task: &str) -> Result<Child> {
        parent_death::command(&self.python)
            .args(["-c", SCRIPT])
            .arg(&self.loader)
            .arg(memory)
            .arg(self.folder())
            .arg(task)
            .args(&self.patch)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", self.python.display()))
    }

    fn memory(&self, subject: &Subject) -> Result<PathBuf> {
        let path = self.folder().join("before");
        std::fs::write(&path, subject.memory())?;
        Ok(path)
    }

    /// Runs the loader once and counts the executions of each instruction.
    ///
    /// `since`: those before the first call of the function there are counted by themselves, too.
    pub(crate) fn trace(&self, subject: &Subject, since: Option<u32>) -> Result<Trace> {
        self.observe(subject, "trace", &serde_json::to_vec(&json!({ "since": since }))?)
    }

    /// The same for a long run, without the order of the instructions.
    pub(crate) fn count(&self, subject: &Subject) -> Result<Trace> {
        self.observe(subject, "count", &[])
    }

    /// Calls a function, in RAM that is zero, and reads from an address so many bytes.
    pub(crate) fn call(&self, address: u32, arguments: &[u32], read: (u32, u32)) -> Result<Called> {
        let memory = self.folder().join("nothing");
        std::fs::write(&memory, [])?;
        let mut child = self.start(&memory, "call")?;
        let what = json!({ "address": address, "arguments": arguments, "read": read });
        child.stdin.take().context("no stdin")?.write_all(&serde_json::to_vec(&what)?)?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut line)?;
        finish(child)?;
        serde_json::from_str(&line).with_context(|| format!("the script said: {line}"))
    }

    fn observe(&self, subject: &Subject, task: &str, input: &[u8]) -> Result<Trace> {
        let mut child = self.start(&self.memory(subject)?, task)?;
        child.stdin.take().context("no stdin")?.write_all(input)?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut line)?;
        finish(child)?;
        serde_json::from_str(&line).with_context(|| format!("the script said: {line}"))
    }

    /// Makes all attacks of a plan, and hands each result on.
    pub(crate) fn attack(
        &self,
        case: &str,
        subject: &Subject,
        plan: &Plan,
        mut each: impl FnMut(&Attack) -> Result<()>,
    ) -> Result<()> {
        let memory = self.memory(subject)?;
        let progress =
            if self.is_quiet { ProgressBar::hidden() } else { ProgressBar::new(plan.attacks.len() as u64) };
        progress.set_style(ProgressStyle::with_template("{msg:18} {bar:30} {pos}/{len} {eta}")?);
        progress.set_message(case.to_owned());
        progress.enable_steady_tick(Duration::from_secs(1));
        // Each gets attacks from all over the run.
        let shares = self.jobs;
        let share =
            |first: usize| plan.attacks.iter().skip(first).step_by(shares).copied().collect::<Vec<_>>();
        let (sender, receiver) = mpsc::channel::<Result<Attack>>();
        std::thread::scope(|scope| {
            for first in 0..shares {
                let (sender, memory, share) = (sender.clone(), &memory, share(first));
                scope.spawn(move || {
                    if let Err(error) = self.share(memory, plan, &share, &sender) {
                        // The receiver ends at the first error.
                        let _ = sender.send(Err(error));
                    }
                });
            }
            drop(sender);
            for attack in receiver {
                let attack = attack?;
                progress.suspend(|| each(&attack))?;
                progress.inc(1);
            }
            Ok(())
        })
    }

    fn share(
        &self,
        memory: &Path,
        plan: &Plan,
        attacks: &[(u32, u32)],
        sender: &mpsc::Sender<Result<Attack>>,
    ) -> Result<()> {
        if attacks.is_empty() {
            return Ok(());
        }
        let mut child = self.start(memory, "attack")?;
        let Plan { executed, joints, .. } = plan;
        let plan = json!({ "executed": executed, "attacks": attacks, "joints": joints });
        let plan = serde_json::to_vec(&plan)?;
        child.stdin.take().context("no stdin")?.write_all(&plan)?;
        let stdout: ChildStdout = child.stdout.take().context("no stdout")?;
        let mut is_done = false;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            match serde_json::from_str::<Attack>(&line) {
                Ok(attack) => {
                    if sender.send(Ok(attack)).is_err() {
                        let _ = child.kill();
                        return Ok(());
                    }
                }
                Err(_) => is_done = serde_json::from_str::<Done>(&line).is_ok(),
            }
        }
        finish(child)?;
        if !is_done {
            bail!("the script did not come to its end");
        }
        Ok(())
    }
}

fn finish(mut child: Child) -> Result<()> {
    let status = child.wait()?;
    if !status.success() {
        bail!("the script that emulates the loader ended with {status}");
    }
    Ok(())
}
