//! `update-server`: see the library and docs/server-operation.md.
#![forbid(unsafe_code)]

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;
use update_server::config::{Cli, Command, Config, ServeArgs};
use update_server::server::{Server, StartError};

fn main() -> ExitCode {
    let Command::Serve(args) = Cli::parse().command;
    let filter = match EnvFilter::try_new(&args.log) {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("error: --log: {error}");
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
            error.exit_code()
        }
    }
}

fn serve(args: ServeArgs) -> Result<(), StartError> {
    let config = Config::read(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async { Server::open(config).await?.run().await });
    // Requests that were cut off end here, whatever they wait for.
    runtime.shutdown_background();
    served
}
