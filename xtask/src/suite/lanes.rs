//! The test targets of the workspace in two lanes that run side by side: one that mostly waits (for timers of a bus,
//! for other programs) and, at a low priority, one that only computes.
//!
//! `cargo test` runs one target after the other, and a target ends with its longest test, while other cores are idle. The
//! low priority keeps the clocks of the waiting lane true.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;

/// Packages whose test targets start no program that keeps time, and have nothing to do but to compute.
const COMPUTING: [&str; 7] =
    ["bootloader", "chips", "fuzz-targets", "ledger", "prove", "suit-manifest", "trust"];
/// Their targets that do start one.
const WAITING: [&str; 1] = ["qemu"];
/// Targets that take a minute and more, the longest first: a lane that begins with them ends evenly.
const LONG: [&str; 6] = ["drills", "operations", "board_smoke", "update_flow", "cli", "stm32f407"];

/// Test targets that one cargo runs, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Job {
    name: String,
    /// Options of `cargo test`.
    selection: Vec<String>,
    computes: bool,
}

impl Job {
    fn of_target(name: &str, computes: bool) -> Self {
        Self { name: name.to_owned(), selection: vec!["--test".to_owned(), name.to_owned()], computes }
    }
}

/// Every test target of the packages of `cargo metadata`, but those of the excluded packages and those that run
/// elsewhere (`test = false`), once: cargo selects targets by name over all packages.
fn jobs(metadata: &Value, excluded: impl Fn(&str) -> bool) -> Result<Vec<Job>> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut jobs: Vec<Job> = Vec::new();
    for package in packages {
        let package_name = package["name"].as_str().context("a package without a name")?;
        if excluded(package_name) {
            continue;
        }
        for target in package["targets"].as_array().context("a package without targets")? {
            let is_test =
                target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "test"));
            let runs = target["test"] == true;
            let name = target["name"].as_str().context("a target without a name")?;
            let computes = COMPUTING.contains(&package_name) && !WAITING.contains(&name);
            match jobs.iter_mut().find(|job| job.name == name) {
                Some(job) => job.computes &= computes,
                None if is_test && runs => jobs.push(Job::of_target(name, computes)),
                None => {}
            }
        }
    }
    let rank = |job: &Job| LONG.iter().position(|long| *long == job.name).unwrap_or(LONG.len());
    jobs.sort_by_key(rank);
    let others: [(&str, &[&str]); 2] =
        [("libraries and programs", &["--lib", "--bins"]), ("examples of documents", &["--doc"])];
    jobs.extend(others.map(|(name, options)| Job {
        name: name.to_owned(),
        selection: options.iter().map(|&option| option.to_owned()).collect(),
        computes: false,
    }));
    Ok(jobs)
}

/// What [`run`] runs.
pub(super) struct Suite<'a> {
    /// `cargo test` of everything, with its environment; target options and the harness's own follow.
    pub(super) cargo_test: &'a (dyn Fn() -> Command + Sync),
    /// Arguments of the test harness.
    pub(super) harness: &'a [&'a str],
    pub(super) metadata: &'a Value,
    pub(super) excluded: &'a dyn Fn(&str) -> bool,
}

/// Runs all test targets, whatever fails among them.
///
/// # Errors
/// Names each job that failed; its output was printed as it ended.
pub(super) fn run(suite: &Suite<'_>) -> Result<()> {
    let Suite { cargo_test, harness, metadata, excluded } = suite;
    // Built once, by one cargo: afterwards nothing waits for another's lock.
    process::check(cargo_test().arg("--no-run"))?;
    let (computing, waiting): (Vec<_>, Vec<_>) =
        jobs(metadata, excluded)?.into_iter().partition(|job| job.computes);
    let lane = |jobs: &[Job], is_niced: bool| -> Result<Vec<String>> {
        let mut failed = Vec::new();
        for job in jobs {
            let mut command = cargo_test();
            command.arg("--no-fail-fast").args(&job.selection).arg("--").args(*harness);
            let mut command = if is_niced { niced(&command) } else { command };
            if !run_job(job, &mut command)? {
                failed.push(job.name.clone());
            }
        }
        Ok(failed)
    };
    let mut failed = thread::scope(|scope| -> Result<Vec<String>> {
        let computing = scope.spawn(|| lane(&computing, true));
        let mut failed = lane(&waiting, false)?;
        failed.extend(computing.join().map_err(|_| anyhow::anyhow!("the computing lane panicked"))??);
        Ok(failed)
    })?;
    failed.sort();
    ensure!(failed.is_empty(), "tests failed in: {}", failed.join(", "));
    Ok(())
}

/// The same command at a low priority.
fn niced(command: &Command) -> Command {
    let mut niced = Command::new("nice");
    niced.args(["-n", "10"]).arg(command.get_program()).args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        niced.current_dir(directory);
    }
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => niced.env(key, value),
            None => niced.env_remove(key),
        };
    }
    niced
}

/// Runs a job to its end and prints what it said, in one piece; whether it succeeded.
fn run_job(job: &Job, command: &mut Command) -> Result<bool> {
    let words = process::describe(command);
    let mut said = tempfile::tempfile()?;
    let began = Instant::now();
    let streams = (Stdio::from(said.try_clone()?), Stdio::from(said.try_clone()?));
    let status = command
        .stdin(Stdio::null())
        .stdout(streams.0)
        .stderr(streams.1)
        .status()
        .with_context(|| format!("cannot start `{words}`"))?;
    print(job, &mut said, began)?;
    if !status.success() {
        println!("{}: `{words}` ended with {status}", job.name);
    }
    Ok(status.success())
}

fn print(job: &Job, said: &mut File, began: Instant) -> Result<()> {
    let mut bytes = Vec::new();
    said.rewind()?;
    said.read_to_end(&mut bytes)?;
    print!("\n-- {} ({:.1} s)\n{}", job.name, began.elapsed().as_secs_f64(), String::from_utf8_lossy(&bytes));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workspace::Workspace;

    fn target(name: &str, kind: &str) -> Value {
        json!({"name": name, "kind": [kind], "test": true})
    }

    #[test]
    fn each_test_target_runs_once_and_in_its_lane() {
        let metadata = json!({"packages": [
            {"name": "trust", "targets": [target("trust", "lib"), target("records", "test")]},
            {"name": "prove", "targets": [target("operations", "test"), target("qemu", "test")]},
            {"name": "sim", "targets": [target("records", "test")]},
            {"name": "a-board", "targets": [target("not_here", "test")]},
            {"name": "can-bus", "targets": [
                {"name": "vcan", "kind": ["test"], "test": false}]},
        ]});
        let found = jobs(&metadata, |package| package == "a-board").unwrap();
        let lanes: Vec<_> = found.iter().map(|job| (job.name.as_str(), job.computes)).collect();
        // A name that a waiting package has too waits.
        let expected = [
            ("operations", true),
            ("records", false),
            ("qemu", false),
            ("libraries and programs", false),
            ("examples of documents", false),
        ];
        assert_eq!(lanes, expected);
    }

    /// What the lists above name is there.
    #[test]
    fn the_workspace_has_the_targets_that_are_named_here() -> Result<()> {
        let workspace = Workspace::locate()?;
        let metadata = workspace.metadata()?;
        let found = jobs(&metadata, |_| false)?;
        for name in LONG.into_iter().chain(WAITING) {
            assert!(found.iter().any(|job| job.name == name), "{name}");
        }
        let packages = metadata["packages"].as_array().context("no packages")?;
        for name in COMPUTING {
            assert!(packages.iter().any(|package| package["name"] == name), "{name}");
        }
        Ok(())
    }

    #[test]
    fn a_job_that_fails_is_told_from_one_that_does_not() -> Result<()> {
        let job = Job::of_target("none", false);
        let mut command = Command::new("sh");
        command.args(["-c", "exit $CODE"]).env("CODE", "0");
        assert!(run_job(&job, &mut niced(&command))?);
        command.env("CODE", "3");
        assert!(!run_job(&job, &mut niced(&command))?);
        assert!(run_job(&job, &mut Command::new("there-is-no-such-program")).is_err());
        Ok(())
    }
}
