//! updater-host, driven as a technician would.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use emulator::parent_death;
use serde_json::Value;

use super::COMMAND_LIMIT;
use super::server::{Server, TOKEN_FILE};
use super::text;
use crate::authoring::{Release, last_object};
use crate::process::{self, Finished, Guard};

/// What a refusal must leave as it was, of what `info` tells.
const STATE: [&str; 7] =
    ["version", "sequence", "sequence_floor", "image", "manifest_digest", "mode", "revocation_sequence"];

/// A host on the bus.
pub(crate) struct Technician<'a> {
    programs: &'a Path,
    directory: &'a Path,
    bus: String,
}

/// A refusal, as updater-host reports it.
pub(crate) struct Refusal {
    /// Slug of the reason.
    pub(crate) reason: String,
}

impl<'a> Technician<'a> {
    pub(crate) fn new(programs: &'a Path, directory: &'a Path, bus: String) -> Self {
        Self { programs, directory, bus }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = parent_death::command(self.programs.join("updater-host"));
        command.current_dir(self.directory).args(["--json", "--bus", &self.bus, "--data-dir", "technician"]);
        command.args(arguments);
        command
    }

    fn finish(&self, arguments: &[&str]) -> Result<Finished> {
        process::finish(&mut self.command(arguments), COMMAND_LIMIT)
    }

    /// Runs a command that must succeed; returns its last object.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Value> {
        let finished = self.finish(arguments)?;
        ensure!(
            finished.status.success(),
            "`updater-host {}` ended with {}\n{}{}",
            arguments.join(" "),
            finished.status,
            finished.stdout,
            finished.stderr
        );
        last_object(&finished.stdout)
    }

    /// Installs a release from files; whatever it ends with is returned.
    pub(crate) fn install(&self, release: &Release, anchor: &str) -> Result<Value> {
        let mut arguments = vec!["update", "--release", &release.envelope, "--image", &release.image];
        arguments.extend(["--anchor", anchor, "--yes"]);
        last_object(&self.finish(&arguments)?.stdout)
    }

    /// Updates from the server; whatever it ends with is returned.
    pub(crate) fn update_from(&self, server: &Server, anchor: &str, more: &[&str]) -> Result<Value> {
        let mut arguments = from_server(server, anchor);
        arguments.extend(more);
        let finished = self.finish(&arguments)?;
        last_object(&finished.stdout).with_context(|| finished.stderr.clone())
    }

    /// Begins an update from the server and breaks it off once half of the image is over: `cut` takes the
    /// device's power, and the host ends with it. Returns how many bytes the device had taken.
    pub(crate) fn update_until_half(
        &self,
        server: &Server,
        anchor: &str,
        cut: impl FnOnce() -> Result<()>,
    ) -> Result<u64> {
        let mut command = self.command(&from_server(server, anchor));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Guard::spawn(&mut command)?;
        let stdout = process.0.stdout.take().context("stdout is piped")?;
        for line in BufReader::new(stdout).lines() {
            let event: Value = serde_json::from_str(&line?)?;
            let (done, total) = (event["bytes"].as_u64(), event["total"].as_u64());
            if let (true, Some(done), Some(total)) = (event["event"] == "progress", done, total)
                && (total / 2..total).contains(&done)
            {
                cut()?;
                process.kill()?;
                return Ok(done);
            }
        }
        bail!("the update ended before the power cut")
    }

    /// What the device says of itself, as far as a refusal must not change it.
    pub(crate) fn state(&self) -> Result<Value> {
        let info = self.run(&["info"])?;
        let mut state = serde_json::Map::new();
        for key in STATE {
            let value = info.get(key).with_context(|| format!("info has no {key}: {info}"))?;
            state.insert(key.to_owned(), value.clone());
        }
        Ok(Value::Object(state))
    }

    /// Sends what the device must refuse, with the host's own checks off; anything but a refusal by the device
    /// is an error.
    pub(crate) fn refused(&self, envelope: &str, image: &str) -> Result<Refusal> {
        let finished = self.finish(&[
            "update",
            "--release",
            envelope,
            "--image",
            image,
            "--yes",
            "--dangerous-skip-host-checks",
        ])?;
        if finished.status.success() {
            bail!("the device took {envelope} with {image}: {}", finished.stdout);
        }
        let answer = last_object(&finished.stdout).with_context(|| finished.stderr.clone())?;
        let error = &answer["error"];
        ensure!(
            error["refused_by"] == "device",
            "{envelope} was refused by another program than the device: {answer}"
        );
        Ok(Refusal { reason: text(&error["code"])? })
    }
}

fn from_server<'a>(server: &'a Server, anchor: &'a str) -> Vec<&'a str> {
    vec!["update", "--server", server.url(), "--anchor", anchor, "--token-file", TOKEN_FILE, "--yes"]
}

/// A result in words.
pub(crate) fn sentence(result: &Value) -> Result<String> {
    let version = |value: &Value| value["version"].as_str().unwrap_or("nothing").to_owned();
    Ok(format!(
        "{} -> {}, {}; {} bytes sent",
        version(&result["before"]),
        version(&result["after"]),
        text(&result["result"])?,
        result["bytes_sent"]
    ))
}
