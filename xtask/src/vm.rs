//! `cargo xtask vm`: updates through the Linux CAN stack, on machines whose own kernel has none.
//!
//! Debian's kernel boots under emulation with a small initramfs. In it, updater-host updates the simulated
//! device over vcan (classic, and FD with a driver that echoes), and the Cortex-M4 board over slcan0: a SocketCAN interface on a serial
//! line that leads to the UART of the board's own QEMU. The tests of can-bus that need interfaces run there. The guest only runs and reports; the judging is here.

mod archive;
mod judge;
mod kernel;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use emulator::parent_death;
use emulator::{Behaviour, Board};
use serde_json::json;

use crate::authoring::{Release, Workshop};
use crate::board;
use crate::process::{self, Guard};
use crate::tools;
use crate::workspace::{STATIC_TARGET, Workspace};
use archive::Archive;
use kernel::System;

/// Memory of the guest, MiB; its root file system lies in it.
const MEMORY_MIB: &str = "512";
/// The programs that update and are updated in the guest.
const PROGRAMS: [&str; 2] = ["updater-host", "sim"];
/// The tests of can-bus that need interfaces, as a program of the guest.
const TESTS: &str = "vcan-tests";
/// The guest powers off by itself long before this.
const LIMIT: Duration = Duration::from_secs(900);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Take the programs from this directory instead of building them
    #[arg(long, value_name = "DIR")]
    pub(crate) programs: Option<PathBuf>,
    /// Run the programs that need no library, and whose updater-host has no HTTP
    #[arg(long = "static")]
    pub(crate) is_static: bool,
    /// Print one JSON object as the last line
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    tools::QEMU_X86.require()?;
    tools::QEMU_ARM.require()?;
    let _lock = workspace.lock("vm")?;
    let started = Instant::now();
    let system = System::provide(workspace)?;
    let directory = workspace.fresh_directory("vm/run")?;
    let programs = workspace.host_programs(arguments.programs.as_deref())?;
    let releases = author(workspace, &programs, &directory)?;
    let from = if arguments.is_static {
        tools::provide_rust_target(workspace, STATIC_TARGET)?;
        workspace.build_static_programs(&PROGRAMS)?
    } else {
        programs
    };
    let mut guest_programs = PROGRAMS.map(|program| (program, from.join(program))).to_vec();
    guest_programs.push((TESTS, workspace.build_unselected_test("vcan")?));
    let initramfs = initramfs(&system, &directory, &guest_programs)?;
    std::fs::write(directory.join("initramfs"), initramfs)?;
    let loader = board::build_loader(workspace)?;
    eprintln!("built in {:.1} s; booting Linux {}", started.elapsed().as_secs_f64(), system.release()?);

    let booted = Instant::now();
    let board = Board::power_on(&loader, &directory.join("board.flash"))?;
    let reports = boot(&system, &directory, &board)?;
    let cases = judge::judge(&reports, &releases)
        .with_context(|| format!("the guest's console is in {}", directory.join("console.log").display()))?;
    for case in &cases {
        println!("{case}");
    }
    println!("Linux {} ran and powered off in {:.1} s", system.release()?, booted.elapsed().as_secs_f64());
    if arguments.json {
        println!("{}", json!({ "kernel": system.release()?, "cases": cases }));
    }
    Ok(())
}

/// Keys, the provisioning block and two signed releases, made by the project's own tools.
fn author(workspace: &Workspace, programs: &Path, directory: &Path) -> Result<[Release; 2]> {
    let workshop = Workshop::open(programs, directory)?;
    let authority = workshop.authority("root", "release")?;
    workshop.provisioning_block(&authority, "device.cbor")?;
    let make = |version| -> Result<Release> {
        let elf = board::build_application(workspace, version, Behaviour::Confirms, None)?;
        workshop.release(&authority, version, &elf)
    };
    Ok([make("1.0.0")?, make("2.0.0")?])
}

/// The guest's root file system.
fn initramfs(system: &System, directory: &Path, programs: &[(&str, PathBuf)]) -> Result<Vec<u8>> {
    let mut archive = Archive::new();
    for name in
        ["bin", "dev", "lib", "lib/x86_64-linux-gnu", "lib64", "modules", "proc", "release", "run", "sys"]
    {
        archive.directory(name)?;
    }
    archive.program("init", include_bytes!("vm/init.sh"))?;
    for name in kernel::PROGRAMS {
        archive.program(&format!("bin/{name}"), &std::fs::read(system.file(name))?)?;
    }
    // Where the loader of a dynamically linked program looks for its libraries.
    let loader = kernel::DYNAMIC_LOADER;
    archive.program(&format!("lib64/{loader}"), &std::fs::read(system.file(loader))?)?;
    for name in kernel::LIBRARIES {
        archive.program(&format!("lib/x86_64-linux-gnu/{name}"), &std::fs::read(system.file(name))?)?;
    }
    for module in kernel::MODULES {
        archive.file(&format!("modules/{module}.ko"), &std::fs::read(system.module(module))?)?;
    }
    for (name, program) in programs {
        archive.program(&format!("bin/{name}"), &stripped(program, directory)?)?;
    }
    for name in ["device.cbor", "root.cose", "1.0.0.suit", "1.0.0.bin", "2.0.0.suit", "2.0.0.bin"] {
        let bytes = std::fs::read(directory.join(name)).with_context(|| format!("{name} was not created"))?;
        archive.file(&format!("release/{name}"), &bytes)?;
    }
    archive.finish()
}

/// The program without debugging information, which would be most of the initramfs.
fn stripped(program: &Path, directory: &Path) -> Result<Vec<u8>> {
    let name = program.file_name().context("a program has a name")?;
    let to = directory.join(name);
    process::check(Command::new("strip").arg("--strip-debug").arg("-o").arg(&to).arg(program))?;
    Ok(std::fs::read(to)?)
}

/// Boots the guest and collects its reports until it powers off.
fn boot(system: &System, directory: &Path, board: &Board) -> Result<Vec<judge::Report>> {
    let mut command = parent_death::command(tools::QEMU_X86.program);
    command.current_dir(directory).args(["-accel", "tcg", "-m", MEMORY_MIB, "-nodefaults", "-no-reboot"]);
    command.args(["-display", "none"]);
    command.arg("-kernel").arg(std::path::absolute(system.kernel())?);
    command.args(["-initrd", "initramfs", "-append", "console=ttyS0 panic=-1 quiet"]);
    command.args(["-serial", "file:console.log"]);
    command.arg("-chardev").arg(format!("socket,id=board,path={}", board.can_socket().display()));
    command.args(["-serial", "chardev:board", "-serial", "stdio"]);
    let log = std::fs::File::create(directory.join("qemu-x86.log"))?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut guest = Guard::spawn(&mut command)?;
    let stdout = guest.0.stdout.take().context("stdout is piped")?;
    let reader = std::thread::spawn(move || read_reports(stdout));
    let status = guest.wait(LIMIT).context("the guest")?;
    ensure!(status.success(), "QEMU ended with {status}");
    match reader.join() {
        Ok(reports) => reports,
        Err(_) => bail!("reading the guest's reports failed"),
    }
}

fn read_reports(stdout: impl std::io::Read) -> Result<Vec<judge::Report>> {
    let mut reports = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        let line = line.trim();
        if !line.is_empty() {
            let report = serde_json::from_str(line).with_context(|| format!("not a report: {line}"))?;
            reports.push(report);
        }
    }
    Ok(reports)
}
