//! `cargo xtask` as a person calls it, and the object it prints last.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use emulator::parent_death;
use serde_json::Value;

/// Names the directory of programs that `cargo xtask test` has built.
const PROGRAMS: &str = "XTASK_PROGRAMS";

/// A task, with its arguments, from the root of the workspace.
#[must_use]
pub fn command(arguments: &[&str]) -> Command {
    // cargo becomes the task, under the same process id.
    let mut command = parent_death::command(env!("CARGO"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command.args(["run", "--quiet", "--package", "xtask", "--"]).args(arguments).stdin(Stdio::null());
    command
}

/// Runs a task with `--json` and returns the last line of its stdout. Its words go to our stderr.
///
/// # Errors
/// When the task cannot be started, fails, or prints no object.
pub fn run(arguments: &[&str]) -> Result<Value> {
    run_with(arguments, &[])
}

/// The same with these variables.
///
/// # Errors
/// As [`run`].
pub fn run_with(arguments: &[&str], environment: &[(&str, OsString)]) -> Result<Value> {
    let mut command = command(arguments);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let output = command.arg("--json").stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    let stdout = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "cargo xtask {} failed: {stdout}", arguments.join(" "));
    let last = stdout.lines().last().context("cargo xtask printed nothing")?;
    serde_json::from_str(last).with_context(|| format!("no JSON: {last}"))
}

/// Builds the programs that run on this machine, unless `cargo xtask test` has; returns the directory they are in.
///
/// # Errors
/// When cargo fails or does not say where they are.
pub fn build_programs() -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os(PROGRAMS) {
        return Ok(directory.into());
    }
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).args(["build", "--quiet"]);
    for package in ["manifest-tool", "update-server", "updater-host", "sim"] {
        command.args(["--package", package]);
    }
    command.args(["--message-format", "json"]);
    let output =
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo build failed");
    let messages = String::from_utf8(output.stdout)?;
    let executable = messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    let executable = executable.context("cargo build made no program")?;
    Ok(executable.parent().context("a program lies in a directory")?.to_owned())
}
