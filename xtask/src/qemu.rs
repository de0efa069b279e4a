//! The Cortex-M4 board in QEMU: its UART is a unix socket that speaks slcan, its reset comes over QMP.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::board;
use crate::process::{self, Guard};
use crate::tools;
use crate::workspace::{self, Workspace};

/// Name of the UART's socket inside the board's directory.
const UART_SOCKET: &str = "uart.sock";
/// Name of the QMP socket.
const QMP_SOCKET: &str = "qmp.sock";
/// QEMU is up well within this.
const START_LIMIT: Duration = Duration::from_secs(20);
/// QMP answers at once or never.
const QMP_LIMIT: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Directory for the sockets (default: `target/qemu`)
    #[arg(long)]
    directory: Option<PathBuf>,
}

/// A running board. The sockets' paths are relative to its directory: a unix socket's path has room for
/// about a hundred bytes, and a checkout may lie deeper than that.
pub(crate) struct Board {
    machine: Guard,
    directory: PathBuf,
}

impl Board {
    /// Starts the loader; flash is erased RAM of the machine and lives as long as QEMU does.
    pub(crate) fn start(loader: &Path, directory: &Path) -> Result<Self> {
        workspace::require_program(tools::QEMU_ARM.program, tools::QEMU_ARM.package)?;
        for socket in [UART_SOCKET, QMP_SOCKET] {
            // Left over from a run that was killed; QEMU would not bind over it.
            if directory.join(socket).exists() {
                std::fs::remove_file(directory.join(socket))?;
            }
        }
        let log = std::fs::File::create(directory.join("qemu.log"))?;
        let mut command = Command::new(tools::QEMU_ARM.program);
        command.current_dir(directory).args(["-machine", "mps2-an386", "-nodefaults", "-display", "none"]);
        command.arg("-serial").arg(format!("unix:{UART_SOCKET},server=on,wait=off"));
        command.arg("-qmp").arg(format!("unix:{QMP_SOCKET},server=on,wait=off"));
        command.arg("-kernel").arg(std::path::absolute(loader)?);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut board = Self { machine: Guard::spawn(&mut command)?, directory: directory.to_owned() };
        process::wait_until("QEMU to open its sockets", START_LIMIT, || {
            if let Some(status) = board.machine.ended()? {
                let log = std::fs::read_to_string(directory.join("qemu.log")).unwrap_or_default();
                bail!("QEMU ended at once with {status}\n{log}");
            }
            Ok(directory.join(UART_SOCKET).exists() && directory.join(QMP_SOCKET).exists())
        })?;
        Ok(board)
    }

    /// The address for `updater-host --bus`, relative to the board's directory.
    pub(crate) fn bus_address() -> String {
        format!("slcan:unix:{UART_SOCKET}")
    }

    /// The UART's socket, relative to the board's directory.
    pub(crate) fn uart_socket() -> &'static str {
        UART_SOCKET
    }

    /// Resets the machine at this instant. RAM survives, and flash, which is RAM here: what a reset or a
    /// power cut interrupts stays as it is.
    pub(crate) fn reset(&self) -> Result<()> {
        let mut monitor = Monitor::connect(&self.directory)?;
        monitor.execute("system_reset", json!({}))?;
        Ok(())
    }
}

/// A QMP connection (QEMU machine protocol: one JSON object a line).
struct Monitor {
    stream: BufReader<UnixStream>,
}

impl Monitor {
    fn connect(directory: &Path) -> Result<Self> {
        let stream = connect_unix(&directory.join(QMP_SOCKET))?;
        stream.set_read_timeout(Some(QMP_LIMIT))?;
        let mut monitor = Self { stream: BufReader::new(stream) };
        let greeting = monitor.read()?;
        ensure!(greeting.get("QMP").is_some(), "no QMP greeting: {greeting}");
        monitor.execute("qmp_capabilities", json!({}))?;
        Ok(monitor)
    }

    fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments }).to_string();
        self.stream.get_mut().write_all(line.as_bytes())?;
        loop {
            let answer = self.read()?;
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                bail!("QEMU refused {command}: {error}");
            }
            // Anything else is an event.
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? > 0, "QEMU closed its monitor");
        serde_json::from_str(&line).with_context(|| format!("no JSON from QEMU: {line}"))
    }
}

/// Connects to a socket whose path may be longer than a socket address takes: by way of its open directory.
fn connect_unix(path: &Path) -> Result<UnixStream> {
    let directory = path.parent().context("a socket lies in a directory")?;
    let name = path.file_name().context("a socket has a name")?;
    let handle = std::fs::File::open(directory)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&handle)));
    UnixStream::connect(short.join(name)).with_context(|| format!("cannot connect to {}", path.display()))
}

/// `cargo xtask qemu`.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let directory = match &arguments.directory {
        Some(directory) => {
            std::fs::create_dir_all(directory)?;
            std::path::absolute(directory)?
        }
        None => workspace.fresh_directory("qemu")?,
    };
    let loader = board::build_loader(workspace)?;
    let mut board = Board::start(&loader, &directory)?;
    println!("the board listens on slcan:unix:{}", directory.join(UART_SOCKET).display());
    println!("reset it with QMP on {}; end with Ctrl-C", directory.join(QMP_SOCKET).display());
    loop {
        if let Some(status) = board.machine.ended()? {
            bail!("QEMU ended with {status}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
