//! `succession`: the root of a domain is replaced by a new key (docs/records.md, Succession).

mod chain;
mod grant;
mod history;
mod preview;
mod request;

use clap::Subcommand;

use crate::error::Error;
use crate::output::{Output, Report};

/// Replace the root of a domain
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Ask to be the next root of a domain, with the new root's key
    Request(Box<request::Request>),
    /// Grant a request with the key of the present root, or of the recovery root
    Grant(Box<grant::Grant>),
    /// Make the succession chain that devices take
    Chain(chain::Chain),
}

impl Command {
    pub fn run(&self, output: Output) -> Result<(), Error> {
        fn report(output: Output, result: Result<impl Report, Error>) -> Result<(), Error> {
            output.result(&result?)
        }
        match self {
            Self::Request(command) => report(output, command.run()),
            Self::Grant(command) => report(output, command.run(output)),
            Self::Chain(command) => report(output, command.run()),
        }
    }
}
