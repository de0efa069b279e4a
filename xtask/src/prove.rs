//! `cargo xtask prove`: the program `prove`, as it is released.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::program::Options;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    options.run(workspace, program(workspace)?)
}

/// A fault at each operation, as the step `prove` of the suite has it.
pub(crate) fn run_brief(workspace: &Workspace) -> Result<()> {
    process::check(program(workspace)?.arg("--brief"))?;
    Ok(())
}

fn program(workspace: &Workspace) -> Result<Command> {
    process::check(workspace.cargo().args(["build", "--quiet", "--release", "--package", "prove"]))?;
    Ok(Command::new(workspace.target().join("release/prove")))
}
