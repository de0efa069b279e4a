//! `cargo xtask image`: the loader and the demo application as ELF and as flat images (objcopy of cargo-binutils).

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use emulator::Behaviour;
use serde_json::json;

use crate::board;
use crate::process;
use crate::tools;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Version that the application reports
    #[arg(long, default_value = "1.0.0")]
    version: String,
    /// Build an application that never confirms itself, so that its trial is reverted
    #[arg(long)]
    never_confirms: bool,
    /// Output folder [default: target/image]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let directory = match &arguments.out {
        Some(directory) => directory.clone(),
        None => workspace.directory("image")?,
    };
    std::fs::create_dir_all(&directory)?;
    let behaviour = if arguments.never_confirms { Behaviour::NeverConfirms } else { Behaviour::Confirms };
    let loader = board::build_loader(workspace)?;
    let application = board::build_application(workspace, &arguments.version, behaviour, None)?;
    let objcopy = tools::BINUTILS.provide(workspace)?;
    let mut written = Vec::new();
    for (name, elf) in [(board::LOADER, loader), (board::APPLICATION, application)] {
        std::fs::copy(&elf, directory.join(format!("{name}.elf")))
            .with_context(|| format!("cannot copy {}", elf.display()))?;
        let image = std::path::absolute(directory.join(format!("{name}.bin")))?;
        // Gaps read as erased flash, as in the images that manifest-tool makes of an ELF.
        let mut command = Command::new(&objcopy);
        command.args(["-O", "binary", "--gap-fill", "0xff"]).arg(&elf).arg(&image);
        process::check(&mut command)?;
        written.push(image);
    }
    if arguments.json {
        println!("{}", json!({ "images": written }));
    } else {
        for image in &written {
            println!("{}", image.display());
        }
    }
    Ok(())
}
