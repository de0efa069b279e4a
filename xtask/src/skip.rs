//! `cargo xtask skip`: each instruction of the loader skipped once, in an emulator. The program that does it is
//! `tests/fault-injection`; this builds the loader, with line tables once more, and the interpreter that it needs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::board;
use crate::process;
use crate::tools;
use crate::workspace::Workspace;

/// The emulator (GPL-2.0): a tool of the tests in a process of its own. Its wheel brings the library along.
const UNICORN: &str = "unicorn==2.1.3";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Attack this case only (repeatable) [default: all]
    #[arg(long = "case", value_name = "NAME")]
    cases: Vec<String>,
    /// List the cases
    #[arg(long)]
    list: bool,
    /// Skip this instruction only: its address in hex, and the number of its execution (repeatable)
    #[arg(long, value_name = "ADDRESS[:NUMBER]")]
    at: Vec<String>,
    /// Attack only functions whose name contains this (repeatable)
    #[arg(long = "in", value_name = "FUNCTION")]
    functions: Vec<String>,
    /// Attack only the code that decides, each instruction at its first execution
    #[arg(long)]
    brief: bool,
    /// Take the comparison before the jump out of the loader: a control that must find forged boots
    #[arg(long)]
    without_evidence: bool,
    /// Attacks at once [default: one for each core]
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let mut command = command(workspace)?;
    for case in &arguments.cases {
        command.args(["--case", case]);
    }
    for function in &arguments.functions {
        command.args(["--in", function]);
    }
    for place in &arguments.at {
        command.args(["--at", place]);
    }
    for (flag, is_given) in [
        ("--list", arguments.list),
        ("--brief", arguments.brief),
        ("--without-evidence", arguments.without_evidence),
        ("--json", arguments.json),
    ] {
        command.args(is_given.then_some(flag));
    }
    if let Some(jobs) = arguments.jobs {
        command.args(["--jobs", &jobs.to_string()]);
    }
    process::check(&mut command)
}

/// The program with what it needs, for the loader as it is now.
fn command(workspace: &Workspace) -> Result<Command> {
    tools::PYTHON.require()?;
    let python = tools::provide_python(workspace, "unicorn", &[UNICORN])?;
    let loader = board::build_loader(workspace)?;
    let lines = build_lines(workspace)?;
    process::check(workspace.cargo().args(["build", "--quiet", "--package", "fault-injection"]))?;
    let mut command = Command::new(workspace.target().join("debug/fault-injection"));
    command.arg("--loader").arg(loader).arg("--lines").arg(lines).arg("--python").arg(python);
    Ok(command)
}

/// The loader with line tables: its functions are those of the loader, in another order maybe.
fn build_lines(workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.directory("lines")?;
    let mut command = workspace.cargo();
    command.args(["build", "--quiet"]).args(board::selection(board::LOADER));
    command.arg("--target-dir").arg(&target).env("CARGO_PROFILE_DEVICE_DEBUG", "line-tables-only");
    process::check(&mut command)?;
    let elf = target
        .join(crate::workspace::DEVICE_TARGET)
        .join(crate::workspace::DEVICE_PROFILE)
        .join(board::LOADER);
    ensure!(elf.is_file(), "cargo did not build {}", elf.display());
    Ok(elf)
}
