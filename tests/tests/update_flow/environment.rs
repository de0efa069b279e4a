//! How every program is called: an empty variable is unset, the command line wins, and a mistake is shown escaped.

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

/// A script that passes on a file name must not let it write to the terminal.
#[test]
fn a_mistake_is_shown_escaped() {
    let hostile = "--\u{202e}x\x1b]0;title\x07\nerror: nothing is wrong";
    // What no option is, and what a value is not: the second one is quoted by the type of the value.
    let value = "\u{202e}x\x1b]0;title\x07\nerror: nothing is wrong";
    let forging = "x\nerror: nothing is wrong";
    let cases: [(&str, &[&str]); 8] = [
        ("manifest-tool", &[hostile]),
        ("update-server", &[hostile]),
        ("updater-host", &[hostile]),
        ("updater-host", &["--bus", value, "scan"]),
        ("updater-host", &["--bus", forging, "scan"]),
        ("sim", &[hostile]),
        ("sim", &["--flash", "flash", "--bus", value]),
        ("sim", &["--flash", "flash", "--bus", forging]),
    ];
    for (name, arguments) in cases {
        let mut command = Command::new(program(name));
        let ended = command.args(arguments).env("NO_COLOR", "1").output().expect("it ends");
        let stderr = String::from_utf8(ended.stderr).expect("text");
        assert_eq!(ended.status.code(), Some(2), "{name}: {stderr}");
        let is_escaped = arguments.contains(&forging) || stderr.contains("\\u{202e}x\\u{1b}]0;title");
        assert!(is_escaped, "{name}: {stderr}");
        let is_quiet = |character: char| !character.is_control() && character != '\u{202e}';
        assert!(stderr.lines().all(|line| line.chars().all(is_quiet)), "{name}: {stderr:?}");
        assert_eq!(stderr.lines().filter(|line| line.starts_with("error")).count(), 1, "{name}: {stderr}");
    }
}
