//! A task that is a program of its own: cargo xtask builds it and becomes it, with its options, its exit code and its
//! answer to Ctrl-C.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::workspace::Workspace;

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Options of the program; --help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<String>,
}

impl Options {
    /// Runs `program` with these options in place of this process; returns only when it does not start.
    pub(crate) fn run(&self, workspace: &Workspace, mut program: Command) -> Result<()> {
        program.args(&self.options).env("CARGO_TARGET_DIR", workspace.target()).current_dir(workspace.root());
        let error = program.exec();
        Err(error).with_context(|| format!("cannot start {}", program.get_program().display()))
    }
}
