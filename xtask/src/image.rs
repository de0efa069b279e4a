//! `cargo xtask image`: the loader and the demo application as ELF and as flat images (`cargo objcopy`).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::board;
use crate::emulator::Behaviour;
use crate::process;
use crate::tools;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Version that the application reports
    #[arg(long, default_value = "1.0.0")]
    version: String,
    /// Builds an application that never confirms itself: its trial is reverted
    #[arg(long)]
    never_confirms: bool,
    /// Where the files go (default: `target/image`)
    #[arg(long)]
    out: Option<PathBuf>,
    /// Prints one JSON object
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
    let environment = board::environment(&arguments.version, behaviour);
    let mut written = Vec::new();
    for package in [board::LOADER, board::APPLICATION] {
        written.push(objcopy(workspace, package, &environment, &directory)?);
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

/// Builds a board package, writes `<package>.elf` and `<package>.bin`, returns the latter.
fn objcopy(
    workspace: &Workspace,
    package: &str,
    environment: &[(&str, String)],
    directory: &Path,
) -> Result<PathBuf> {
    let path = tools::BINUTILS.provide(workspace)?;
    let image = std::path::absolute(directory.join(format!("{package}.bin")))?;
    let mut command = workspace.cargo();
    command.arg("objcopy").arg("--quiet").args(board::selection(package));
    // Gaps read as erased flash, as in the images that manifest-tool makes of an ELF.
    command.args(["--", "-O", "binary", "--gap-fill", "0xff"]).arg(&image);
    command.env("PATH", path).envs(environment.iter().map(|(name, value)| (name, value)));
    process::check(&mut command)?;
    let elf = board::elf_path(workspace, package);
    std::fs::copy(&elf, directory.join(format!("{package}.elf")))
        .with_context(|| format!("cannot copy {}", elf.display()))?;
    Ok(image)
}
