//! The device under demonstration: the Cortex-M4 board in QEMU, or the simulated one. Both run the same loader.

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use emulator::Board;
use emulator::parent_death;

use crate::board;
use crate::process::Guard;

/// Name of the simulated device in reports.
const SIM: &str = "sim";
/// The simulated device's flash.
const FLASH_FILE: &str = "sim.flash";

/// A device that has power, and can lose it.
pub(crate) enum Device {
    Board(Box<Board>),
    Sim { process: Guard, program: PathBuf, directory: PathBuf, bus: String },
}

impl Device {
    /// Starts the board; factory-fresh, since its flash is new.
    pub(crate) fn board(loader: &Path, directory: &Path) -> Result<Self> {
        Ok(Self::Board(Box::new(Board::power_on(loader, &directory.join("board.flash"))?)))
    }

    /// Starts the simulated device on a bus of its own; factory-fresh, since its flash file is new.
    pub(crate) fn sim(programs: &Path, directory: &Path) -> Result<Self> {
        Self::sim_with(programs, directory, "")
    }

    /// The same on a bus with options, as after `?` in its address.
    pub(crate) fn sim_with(programs: &Path, directory: &Path, options: &str) -> Result<Self> {
        let bus = unused_bus(options)?;
        let program = programs.join(SIM);
        let process = start_sim(&program, directory, &bus)?;
        Ok(Self::Sim { process, program, directory: directory.to_owned(), bus })
    }
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Board(_) => board::LOADER,
            Self::Sim { .. } => SIM,
        }
    }

    pub(crate) fn description(&self) -> &'static str {
        match self {
            Self::Board(_) => "qemu-mps2: the loader binary on a Cortex-M4 in QEMU, slcan on its UART",
            Self::Sim { .. } => {
                "sim: the loader library in a process, its flash a file, CAN over UDP multicast"
            }
        }
    }

    /// For `updater-host --bus`, in the demonstration's directory.
    pub(crate) fn bus_address(&self) -> String {
        match self {
            Self::Board(board) => board.bus(),
            Self::Sim { bus, .. } => bus.clone(),
        }
    }

    /// Takes the power away at this instant, and gives it back.
    pub(crate) fn power_cut(&mut self) -> Result<()> {
        match self {
            Self::Board(board) => {
                board.cut_power();
                board.restore_power()
            }
            Self::Sim { process, program, directory, bus } => {
                process.kill()?;
                *process = start_sim(program, directory, bus)?;
                Ok(())
            }
        }
    }
}

/// A simulated bus that nobody is on, with options as after `?` in its address.
pub(super) fn unused_bus(options: &str) -> Result<String> {
    let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
    Ok(format!("udp-multicast:239.74.163.2:{port}{options}"))
}

/// Starts the process and waits for the line that says it is up.
fn start_sim(program: &Path, directory: &Path, bus: &str) -> Result<Guard> {
    let log = std::fs::File::options().create(true).append(true).open(directory.join("sim.log"))?;
    let mut command = parent_death::command(program);
    command.current_dir(directory).args(["--flash", FLASH_FILE, "--bus", bus]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut process = Guard::spawn(&mut command)?;
    let stdout = process.0.stdout.take().context("stdout is piped")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    ensure!(!line.is_empty(), "sim exited at once; see sim.log");
    Ok(process)
}
