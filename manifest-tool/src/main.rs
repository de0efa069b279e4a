//! The command line of manifest-tool.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    manifest_tool::memory::protect();
    trust::host::report_size_limit();
    ExitCode::from(manifest_tool::cli::main(std::env::args_os()))
}
