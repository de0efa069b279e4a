//! `cargo xtask image`: programs of a board as ELF and as flat images (objcopy of cargo-binutils).

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use emulator::{Behaviour, Program, Programs};
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
    /// Features of the package, in place of those of its first build
    #[arg(long, requires = "board")]
    features: Option<String>,
    /// Link an application for this slot of a board that does not swap: 0 or 1
    #[arg(long, requires = "board", value_parser = clap::value_parser!(u8).range(0..=1))]
    slot: Option<u8>,
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
    let Some(Board { builds, has_slots, .. }) = boards.iter().find(|board| board.package == package) else {
        let known: Vec<_> = boards.iter().map(|board| board.package.as_str()).collect();
        bail!("no package {package} has [package.metadata.board]; these have: {}", known.join(", "));
    };
    let Build { target, features } = builds.first().context("a board has a build")?;
    tools::provide_rust_target(workspace, target)?;
    let features = arguments.features.as_ref().unwrap_or(features);
    let mut variables = vec![("APP_VERSION", arguments.version.clone())];
    let mut name = package.to_owned();
    if let Some(slot) = arguments.slot {
        ensure!(
            *has_slots,
            "{package} is not linked for a slot: its build script has to take APP_SLOT, and its \
             [package.metadata.board] to say slots = true"
        );
        variables.push(("APP_SLOT", slot.to_string()));
        name = format!("{name}-slot-{slot}");
    }
    let programs = Programs::new(workspace.target())?.of(workspace.root());
    let program = Program { package, target, features, variables: &variables };
    Ok(vec![(name, programs.program(&program)?)])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Parser as _;

    use super::*;

    const GUIDE: &str = include_str!("../../docs/boards.md");

    #[test]
    fn the_commands_of_the_guide_build_what_they_name() -> Result<()> {
        let workspace = Workspace::locate()?;
        let out = tempfile::tempdir()?;
        let commands: BTreeSet<_> =
            GUIDE.split(['`', '\n']).filter_map(|text| text.strip_prefix("cargo xtask image ")).collect();
        assert!(commands.len() >= 3, "{commands:?}");
        for command in commands {
            let words = ["xtask", "image"].into_iter().chain(command.split_whitespace());
            let words = words.map(std::ffi::OsString::from).chain(["--out".into(), out.path().into()]);
            crate::perform(&workspace, &crate::Arguments::try_parse_from(words)?.command)?;
        }
        for name in ["stm32f407.elf", "stm32g474.bin", "qemu-mps2-app-slot-1.elf"] {
            assert!(out.path().join(name).is_file(), "{name}");
        }
        Ok(())
    }

    #[test]
    fn a_package_that_is_no_board_is_refused_with_those_that_are() {
        let words = ["xtask", "image", "--board", "trust"];
        let arguments = crate::Arguments::try_parse_from(words).unwrap();
        let error =
            crate::perform(&Workspace::locate().unwrap(), &arguments.command).unwrap_err().to_string();
        assert!(error.contains("trust") && error.contains("stm32g474"), "{error}");
    }
}
