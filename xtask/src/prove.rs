//! `cargo xtask prove`: the program `prove`, as it is released.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::program::Options;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    process::check(workspace.cargo().args(["build", "--quiet", "--release", "--package", "prove"]))?;
    options.run(workspace, Command::new(workspace.target().join("release/prove")))
}
