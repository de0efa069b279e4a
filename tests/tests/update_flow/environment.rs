//! The environment rule of every program: an empty variable is unset, and the command line wins.

use std::process::Command;

use crate::bench::{Bench, Running, UpdateServer, program};

/// `start` gives a command that starts without `option`, whose variable this is.
fn an_empty_variable_is_unset_and_the_command_line_wins(
    start: impl Fn() -> Command,
    variable: &str,
    option: [&str; 2],
) {
    for value in ["", "nonsense:"] {
        drop(Running::start(start().args(option).env(variable, value)));
        drop(Running::start(start().arg(option.join("=")).env(variable, value)));
    }
    drop(Running::start(start().env(variable, "")));
    let ended = start().env(variable, "nonsense:").output().expect("it ends");
    assert!(!ended.status.success() && ended.stdout.is_empty(), "{variable} counts");
}

#[test]
fn of_the_simulator() {
    let bench = Bench::new();
    let start = || {
        let mut command = Command::new(program("sim"));
        command.arg("--flash").arg(bench.path("flash"));
        command
    };
    an_empty_variable_is_unset_and_the_command_line_wins(start, "ANCHORAGE_BUS", ["--bus", &bench.bus]);
}

#[test]
fn of_update_server() {
    let bench = Bench::new();
    let start = || UpdateServer::command(&bench, 0);
    for (variable, option) in [
        ("ANCHORAGE_SERVER_MAX_IMAGE_BYTES", ["--max-image-bytes", "1048576"]),
        ("ANCHORAGE_SERVER_CONNECTIONS_PER_ADDRESS", ["--connections-per-address", "4"]),
        ("ANCHORAGE_SERVER_SHUTDOWN_SECONDS", ["--shutdown-seconds", "1"]),
    ] {
        an_empty_variable_is_unset_and_the_command_line_wins(start, variable, option);
    }
}
