//! `cargo xtask qemu`: a Cortex-M board to play with.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use emulator::{Board, Programs};
use qemu_mps2_layout::{MACHINES, Machine};

use crate::tools;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// File with the contents of the flash; a missing file is a new chip [default: target/qemu-MACHINE.flash]
    #[arg(long)]
    flash: Option<PathBuf>,
    /// Machine to start: an385, an386, an500 or an505
    #[arg(long, default_value = "an386", value_parser = machine)]
    machine: Machine,
}

fn machine(name: &str) -> Result<Machine, String> {
    let found = MACHINES.into_iter().find(|machine| machine.name == name);
    found.ok_or_else(|| {
        format!("unknown machine; use one of: {}", MACHINES.map(|machine| machine.name).join(", "))
    })
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    tools::QEMU_ARM.require()?;
    let flash = match &arguments.flash {
        Some(flash) => std::path::absolute(flash)?,
        None => workspace.target().join(format!("qemu-{}.flash", arguments.machine.name)),
    };
    let machine = arguments.machine;
    tools::provide_rust_target(workspace, machine.target)?;
    let loader = Programs::new(workspace.target())?.on(machine).loader()?;
    let board = Board::power_on_machine(machine, &loader, &flash)?;
    println!("mps2-{} ({}) is on, its flash is {}", machine.name, machine.core, flash.display());
    println!("talk to it with: updater-host --bus {} scan", board.bus());
    println!("press Ctrl-C to cut its power");
    loop {
        // Ctrl-C ends QEMU together with us.
        std::thread::sleep(Duration::from_secs(3600));
    }
}
