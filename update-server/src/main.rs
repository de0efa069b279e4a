//! `update-server`: see the library and docs/server-operation.md.
#![forbid(unsafe_code)]

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;
use trust::host::parse_or_exit;
use update_server::config::{Cli, Command, Config, ServeArgs};
use update_server::log::Log;
use update_server::server::{Server, StartError};

fn main() -> ExitCode {
    trust::host::report_size_limit();
    let cli: Cli = parse_or_exit();
    let Command::Serve(args) = cli.command;
    let filter = match EnvFilter::try_new(&args.log) {
        Ok(filter) => filter,
        Err(error) => {
            tell(&format!("error: --log: {error}"));
            return ExitCode::from(2);
        }
    };
    let log = match Log::start(filter, io::stderr().is_terminal()) {
        Ok(log) => log,
        Err(error) => {
            tell(&format!("error: cannot start the log: {error}"));
            return ExitCode::from(3);
        }
    };
    let served = serve(args);
    drop(log);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: {error}"));
            if let Some(hint) = error.hint() {
                tell(&format!("hint: {hint}"));
            }
            error.exit_code()
        }
    }
}

/// A line for the operator. The exit code says it too, so that a stderr that takes nothing is no reason to panic.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn serve(args: ServeArgs) -> Result<(), StartError> {
    let config = Config::read(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async { Server::open(config).await?.run().await });
    // Requests that were cut off end here, whatever they wait for.
    runtime.shutdown_background();
    served
}
