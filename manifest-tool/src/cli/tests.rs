//! Every option of every command has an effect in each command line that is accepted.

use std::collections::BTreeSet;

use clap::CommandFactory as _;

use super::*;
use options::{COMMANDS, Options, SERVER};

mod options;

fn is_accepted(options: &Options, more: &[&str]) -> bool {
    let needs_server =
        ["publish", "register", "withdraw", "retire"].iter().any(|name| options.shortest.starts_with(name));
    let server = if needs_server { SERVER } else { "" };
    let words = [&["manifest-tool", options.shortest, server], more].concat();
    // An option that only repeats one of the shortest line is given once.
    let line = words.join(" ");
    parse_command_line::<CommandLine>(line.split_whitespace().map(OsString::from).collect()).is_ok()
}

/// `--force` without an output, a permission for nothing: who gives it believes that it does something.
#[test]
fn no_option_is_accepted_without_effect() {
    for options in COMMANDS.into_iter().flatten() {
        let line = options.shortest;
        assert!(is_accepted(options, &[]), "{line}");
        for option in options.alone {
            assert!(is_accepted(options, &[option]), "{line} {option}");
        }
        for (option, with) in options.needs {
            assert!(!is_accepted(options, &[option]), "{line} {option}");
            assert!(is_accepted(options, &[option, with]), "{line} {option} {with}");
        }
        for (option, beside) in options.excludes {
            let beside = if line.contains(beside) { "" } else { beside };
            assert!(!is_accepted(options, &[option, beside]), "{line} {option} {beside}");
        }
    }
}

#[test]
fn every_option_is_judged() {
    let mut judged = BTreeSet::new();
    for options in COMMANDS.into_iter().flatten() {
        let command = options.shortest.split(" -").next().unwrap();
        let command: Vec<&str> = command.split(' ').collect();
        let depth = if ["key", "credential", "ledger", "succession", "custody", "ceremony", "report"]
            .contains(&command[0])
        {
            2
        } else {
            1
        };
        let name = command[..depth].join(" ");
        let pairs = options.needs.iter().chain(options.excludes).map(|(option, _)| option);
        let server = SERVER.split("  ");
        let texts = options.alone.iter().chain(pairs).copied().chain([options.shortest]).chain(server);
        for word in texts.flat_map(str::split_whitespace).filter(|word| word.starts_with("--")) {
            judged.insert(format!("{name} {word}"));
        }
    }
    let mut pending = vec![(String::new(), CommandLine::command())];
    while let Some((path, command)) = pending.pop() {
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name()).trim_start().to_owned();
            pending.push((path, sub.clone()));
        }
        if command.has_subcommands() {
            continue;
        }
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(judged.contains(&format!("{path} --{option}")), "{path} --{option} is not in the table");
        }
    }
}
