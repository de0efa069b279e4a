//! `cargo xtask qemu`: the Cortex-M board to play with.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use emulator::Board;

use crate::board;
use crate::tools;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// File with the contents of the flash; a missing file is a new chip [default: target/qemu.flash]
    #[arg(long)]
    flash: Option<PathBuf>,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    tools::QEMU_ARM.require()?;
    let flash = match &arguments.flash {
        Some(flash) => std::path::absolute(flash)?,
        None => workspace.target().join("qemu.flash"),
    };
    let loader = board::build_loader(workspace)?;
    let board = Board::power_on(&loader, &flash)?;
    println!("the board is on, its flash is {}", flash.display());
    println!("talk to it with: updater-host --bus {} scan", board.bus());
    println!("press Ctrl-C to cut its power");
    loop {
        // Ctrl-C ends QEMU together with us.
        std::thread::sleep(Duration::from_secs(3600));
    }
}
