//! The technician's end of an update: finds devices on a CAN bus, gets a release, verifies all of it with the device's
//! own code, streams it, and waits until the device confirms it (docs/updater-host.md).
//!
//! `main` only calls [`run`]. Everything from a bus, a server or a file is hostile until it has been verified.
#![forbid(unsafe_code)]

#[cfg(feature = "http")]
mod cache;
mod cli;
mod commands;
mod connection;
mod device;
mod error;
mod files;
mod install;
mod interrupt;
mod output;
mod plan;
#[cfg(feature = "http")]
mod queue;
mod release;
#[cfg(feature = "http")]
mod reporting;
mod restart;
mod scan;
#[cfg(feature = "http")]
mod server;
mod session;
mod source;
mod text;
mod trusted;
mod update;

use std::ffi::OsString;
#[cfg(feature = "http")]
use std::io::Write as _;

use trust::host::{parse_command_line, report_usage, usage_message};

use cli::{Cli, Command};
use error::Moment;
use interrupt::Interrupt;
use output::{Output, usage_failure};

/// Runs the program with its arguments (the first is its name) and returns the exit code.
pub async fn run(arguments: Vec<OsString>) -> u8 {
    let json = arguments.iter().any(|argument| argument == "--json");
    let cli = match parse_command_line::<Cli>(arguments.clone()) {
        Ok(cli) => cli,
        Err(error) => {
            let exit = report_usage(&error);
            return if error.use_stderr() { usage_failure(json, &usage_message(&error)) } else { exit };
        }
    };
    #[cfg(feature = "http")]
    if let Some(mistake) = cli::without_effect(&cli, &arguments) {
        if !json {
            // Nobody may be listening.
            let _ = writeln!(std::io::stderr(), "error: {mistake}");
        }
        return usage_failure(json, &mistake);
    }
    let output = Output::new(cli.json, cli.verbose);
    let interrupt = Interrupt::listen();
    let before = Moment::BeforeTransfer;
    match &cli.command {
        Command::Scan => output.finish(interrupt.or(before, commands::scan(&cli)).await),
        Command::Info(choice) => output.finish(interrupt.or(before, commands::info(&cli, choice)).await),
        Command::Provision(options) => match &options.block {
            Some(block) => {
                let done = commands::provision(&cli, block, options.node, &output, &interrupt);
                output.finish(done.await)
            }
            None => {
                let line = commands::line(&cli, &options.line, options.node, &output, &interrupt);
                output.finish(line.await)
            }
        },
        Command::Revocations(options) => {
            output.finish(commands::revocations(&cli, options, &output, &interrupt).await)
        }
        Command::Abandon(options) => {
            output.finish(commands::abandon(&cli, options, &output, &interrupt).await)
        }
        Command::Reset(choice) => output.finish(commands::restart(&cli, choice, &output, &interrupt).await),
        Command::Report(options) => output.finish(commands::report(&cli, options, &output, &interrupt).await),
        Command::Update(options) => output.finish(update::run(&cli, options, &output, &interrupt).await),
    }
}
