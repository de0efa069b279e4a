//! update-server as a child, and publishing to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use emulator::parent_death;

use crate::authoring::{Release, Workshop};
use crate::process::Guard;

/// Whoever has the token may publish.
pub(crate) const TOKEN_FILE: &str = "token";
/// What the server's line on stdout begins with.
const UP: &str = "listening on ";
/// The server has nothing left to do when it is told to stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);
pub(crate) struct Server {
    process: Guard,
    url: String,
}

impl Server {
    /// Starts the server on a free port, with these variables in its environment.
    pub(crate) fn start(
        programs: &Path,
        directory: &Path,
        anchor: &str,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let mut random = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut file = std::fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(directory.join(TOKEN_FILE))?;
        writeln!(file, "{token}")?;

        let log = std::fs::File::create(directory.join("update-server.log"))?;
        let mut command = parent_death::command(programs.join("update-server"));
        command.current_dir(directory).envs(environment.iter().copied()).args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data",
            "server",
        ]);
        command.args(["--anchor", anchor, "--token-file", TOKEN_FILE]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut process = Guard::spawn(&mut command)?;
        let stdout = process.0.stdout.take().context("stdout is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let url =
            line.trim().strip_prefix(UP).context("update-server did not start; see update-server.log")?;
        Ok(Self { url: url.to_owned(), process })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Publishes a release, and a revocation list before it.
    pub(crate) fn publish(
        &self,
        workshop: &Workshop<'_>,
        release: &Release,
        revocations: Option<&str>,
    ) -> Result<()> {
        let mut arguments =
            vec!["publish", &release.envelope, "--image", &release.image, "--server", &self.url];
        arguments.extend(["--token-file", TOKEN_FILE]);
        if let Some(list) = revocations {
            arguments.extend(["--revocations", list]);
        }
        workshop.manifest_tool(&arguments)?;
        Ok(())
    }

    /// Tells the server to stop; it must end by itself and in order.
    pub(crate) fn stop(mut self) -> Result<()> {
        let status = self.process.terminate(STOP_LIMIT).context("update-server")?;
        ensure!(status.success(), "update-server ended with {status}");
        Ok(())
    }
}
