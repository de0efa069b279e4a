//! `cargo xtask image`: programs of a board as ELF and as flat images (objcopy of cargo-binutils).

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use emulator::{Behaviour, Programs};
use serde_json::json;

use crate::board;
use crate::process;
use crate::tools;
use crate::workspace::{Board, Build, Workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Version that the application reports
    #[arg(long, default_value = "1.0.0")]
    version: String,
    /// Build an application that never confirms itself, so that its trial is reverted
    #[arg(long)]
    never_confirms: bool,
    /// Build this package in place of the emulated board's loader and application: one with `[package.metadata.board]`
    #[arg(long, value_name = "PACKAGE", conflicts_with = "never_confirms")]
    board: Option<String>,
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
    let programs = match &arguments.board {
        None => emulated(workspace, arguments)?,
        Some(package) => packaged(workspace, arguments, package)?,
    };
    let objcopy = tools::BINUTILS.provide(workspace)?;
    let mut written = Vec::new();
    for (name, elf) in programs {
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

/// Names and ELF files of the emulated board's programs.
fn emulated(workspace: &Workspace, arguments: &Arguments) -> Result<Vec<(String, PathBuf)>> {
    let behaviour = if arguments.never_confirms { Behaviour::NeverConfirms } else { Behaviour::Confirms };
    let loader = board::build_loader(workspace)?;
    let application = board::build_application(workspace, &arguments.version, behaviour, None)?;
    Ok(vec![(board::LOADER.to_owned(), loader), (board::APPLICATION.to_owned(), application)])
}

/// The same of a package, which is built for its first machine.
fn packaged(workspace: &Workspace, arguments: &Arguments, package: &str) -> Result<Vec<(String, PathBuf)>> {
    let boards = workspace.boards();
    let Some(Board { builds, .. }) = boards.iter().find(|board| board.package == package) else {
        let known: Vec<_> = boards.iter().map(|board| board.package.as_str()).collect();
        bail!("no package {package} has [package.metadata.board]; these have: {}", known.join(", "));
    };
    let Build { target, features } = builds.first().context("a board has a build")?;
    tools::provide_rust_target(workspace, target)?;
    let variables = [("APP_VERSION", arguments.version.clone())];
    let programs = Programs::new(workspace.target())?.of(workspace.root());
    let program = programs.program(package, target, features, &variables)?;
    Ok(vec![(package.to_owned(), program)])
}
