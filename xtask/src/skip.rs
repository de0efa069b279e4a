//! `cargo xtask skip`: each instruction of the loader skipped once, in an emulator. The program that does it is
//! `tests/fault-injection`; this builds the loader, with line tables once more, and the interpreter that it needs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use emulator::{Loader, Program, Programs, python};

use crate::board;
use crate::process;
use crate::program::Options;
use crate::tools;
use crate::workspace::{Build, Workspace};

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut command = command(workspace)?;
    let in_place = Programs::new(workspace.target())?.in_place().loader()?;
    command.arg("--lines").arg(build_lines(workspace, "")?);
    command.arg("--in-place").arg(in_place).arg("--in-place-lines").arg(build_lines(workspace, ",in-place")?);
    let own_key = Programs::new(workspace.target())?.with(Loader::Symmetric).loader()?;
    command.arg("--own-key").arg(own_key);
    command.arg("--own-key-lines").arg(build_lines(workspace, ",decrypting,own-key")?);
    let tabled = Programs::new(workspace.target())?.with(Loader::Tabled).loader()?;
    command.arg("--tabled").arg(tabled);
    command.arg("--tabled-lines").arg(build_lines(workspace, ",decrypting,own-key,table,one-file")?);
    options.run(workspace, command)
}

/// Counts the instructions of a boot, and prints them.
pub(crate) fn count_boot(workspace: &Workspace, json: bool) -> Result<()> {
    let mut command = command(workspace)?;
    command.arg("--cost").args(json.then_some("--json"));
    process::check(command.current_dir(workspace.root()))
}

/// Instructions of an envelope and of a decryption on a device, as `fault-injection --suit-cost` counts them: JSON.
pub(crate) fn count_suit(workspace: &Workspace) -> Result<Vec<u8>> {
    let mut command = command(workspace)?;
    let own_key = Programs::new(workspace.target())?.with(Loader::Symmetric).loader()?;
    process::output(
        command.arg("--suit-cost").arg("--own-key").arg(own_key).arg("--json").current_dir(workspace.root()),
    )
}

/// The program with what it needs, for the loader as it is now.
fn command(workspace: &Workspace) -> Result<Command> {
    tools::PYTHON.require()?;
    let python = python::environment(workspace.target(), "unicorn", &[python::UNICORN])?;
    let loader = board::build_loader(workspace)?;
    process::check(workspace.cargo().args(["build", "--quiet", "--package", "fault-injection"]))?;
    let mut command = Command::new(workspace.target().join("debug/fault-injection"));
    command.arg("--loader").arg(loader).arg("--python").arg(python);
    Ok(command)
}

/// A loader with line tables: its functions are those of the loader, in another order maybe.
fn build_lines(workspace: &Workspace, more: &str) -> Result<PathBuf> {
    let Build { target, features } = board::gated();
    let features = features + more;
    let variables = [("CARGO_PROFILE_DEVICE_DEBUG", "line-tables-only".to_owned())];
    let program =
        Program { package: board::LOADER, target: &target, features: &features, variables: &variables };
    Programs::new(workspace.directory("lines")?)?.program(&program)
}
