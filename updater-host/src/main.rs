//! updater-host: see [`updater_host::run`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(unix)]
    trust::host::report_size_limit();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime could not be started: {error}");
            return ExitCode::from(1);
        }
    };
    let code = runtime.block_on(updater_host::run(std::env::args_os().collect()));
    // A question that waits for the terminal must not keep the program.
    runtime.shutdown_background();
    ExitCode::from(code)
}
