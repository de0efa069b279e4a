//! `custody`: what owners and auditors ask about keys.

mod report;
mod what_if;

use clap::Subcommand;

use crate::error::Error;
use crate::output::Output;

/// Answer what owners and auditors ask about keys
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Report what keys signed, who holds them, what ends soon, and which devices trust them
    Report(report::Custody),
    /// Show what revoking a key stops, or what to do when a key is lost
    WhatIf(what_if::WhatIf),
}

impl Command {
    pub fn run(&self, output: Output) -> Result<(), Error> {
        match self {
            Self::Report(command) => output.result(&command.run()?),
            Self::WhatIf(command) => output.result(&command.run()?),
        }
    }
}
