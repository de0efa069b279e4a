//! `cargo xtask prove`: builds the program `prove` as it is released, and becomes it: its options, its exit code, its
//! answer to Ctrl-C.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;
use crate::workspace::Workspace;

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Options of the program; --help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    process::check(workspace.cargo().args(["build", "--quiet", "--release", "--package", "prove"]))?;
    let program = workspace.target().join("release/prove");
    let mut command = Command::new(&program);
    let error = command
        .args(&arguments.options)
        .env("CARGO_TARGET_DIR", workspace.target())
        .current_dir(workspace.root())
        .exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
