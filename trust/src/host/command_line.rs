//! Command lines: environment variables that stand for options, and mistakes in words that a terminal may show (feature
//! `command-line`).

use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;

use clap::builder::{Resettable, StyledStr};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Error, FromArgMatches};

use super::printable;

/// Exit code of a wrong command line (docs/errors.md).
const USAGE: u8 = 2;

/// Parses a command line (the first argument is the program's name). An empty variable counts as unset, and a
/// variable whose option is given does not count at all, whatever it holds.
///
/// # Errors
/// That of clap, which also stands for `--help` and `--version`. What it quotes is made harmless for a terminal.
pub fn parse_command_line<C: CommandFactory + FromArgMatches>(arguments: Vec<OsString>) -> Result<C, Error> {
    let mut command = with_environment(C::command(), &arguments);
    let mut matches = command.try_get_matches_from_mut(arguments).map_err(harmless)?;
    C::from_arg_matches_mut(&mut matches).map_err(|error| harmless(error.format(&mut command)))
}

/// [`parse_command_line`] of this process, which ends where there is nothing to run.
#[must_use]
pub fn parse_or_exit<C: CommandFactory + FromArgMatches>() -> C {
    let arguments = std::env::args_os().collect();
    parse_command_line(arguments).unwrap_or_else(|error| std::process::exit(report_usage(&error).into()))
}

/// Prints help and version to stdout, a mistake to stderr; returns the exit code. A stream that takes nothing is no
/// matter of ours.
#[must_use]
pub fn report_usage(error: &Error) -> u8 {
    if !error.use_stderr() {
        let _ignored = error.print();
        return 0;
    }
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    if printable(&source) == source {
        // With clap's colours.
        let _ignored = error.print();
    } else {
        let message = usage_message(error);
        let _ignored = writeln!(std::io::stderr(), "error: {message}\n\nFor more information, try '--help'.");
    }
    USAGE
}

/// A wrong command line in one line, from the paragraph that clap prints for people: without `error:`, the usage and
/// the tip. Missing arguments stand on lines of their own there.
#[must_use]
pub fn usage_message(error: &Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a subcommand is missing".to_owned();
    }
    let rendered = error.to_string();
    let lines = rendered.lines().map(str::trim).filter(|line| !line.is_empty());
    let said =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    printable(said.collect::<Vec<_>>().join(" ").trim_start_matches("error: "))
}

/// Escapes what an error quotes of the command line and the environment: a terminal would obey it.
fn harmless(mut error: Error) -> Error {
    let styled = |text: &StyledStr| StyledStr::from(printable(&text.to_string()));
    let quoted: Vec<(ContextKind, ContextValue)> = error
        .context()
        .filter_map(|(kind, value)| {
            let value = match value {
                ContextValue::String(text) => ContextValue::String(printable(text)),
                ContextValue::Strings(texts) => {
                    ContextValue::Strings(texts.iter().map(|text| printable(text)).collect())
                }
                ContextValue::StyledStrs(texts) => {
                    ContextValue::StyledStrs(texts.iter().map(styled).collect())
                }
                // The usage has lines, and quotes nothing.
                _ => return None,
            };
            Some((kind, value))
        })
        .collect();
    for (kind, value) in quoted {
        error.insert(kind, value);
    }
    error
}

fn with_environment(command: clap::Command, arguments: &[OsString]) -> clap::Command {
    let command = command.mut_args(|option| {
        let Some(variable) = option.get_env() else { return option };
        let is_empty = std::env::var_os(variable).is_some_and(|value| value.is_empty());
        let is_given = option.get_long().is_some_and(|long| names_option(arguments, long));
        if is_empty || is_given { option.env(Resettable::<clap::builder::OsStr>::Reset) } else { option }
    });
    command.mut_subcommands(|subcommand| with_environment(subcommand, arguments))
}

/// Whether the arguments hold `--LONG` or `--LONG=VALUE`.
#[must_use]
pub fn names_option(arguments: &[OsString], long: &str) -> bool {
    let options = arguments.iter().take_while(|argument| *argument != OsStr::new("--"));
    options.filter_map(|argument| argument.as_encoded_bytes().strip_prefix(b"--")).any(|option| {
        let rest = option.strip_prefix(long.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
    })
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgMatches, Command, value_parser};

    use super::*;

    /// `--number` stands in a variable that holds a text, `--page` in one that is empty.
    struct Line(ArgMatches);

    impl CommandFactory for Line {
        fn command() -> Command {
            let number = Arg::new("number").long("number").env("CARGO_PKG_NAME").global(true);
            let page = Arg::new("page").long("page").env("CARGO_PKG_HOMEPAGE");
            let command = Command::new("program").subcommand(Command::new("go"));
            command
                .arg(number.value_parser(value_parser!(u16)))
                .arg(page.value_parser(value_parser!(u16)).default_value("7"))
        }
        fn command_for_update() -> Command {
            Self::command()
        }
    }

    impl FromArgMatches for Line {
        fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
            Ok(Self(matches.clone()))
        }
        fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
            self.0 = matches.clone();
            Ok(())
        }
    }

    fn parse(arguments: &[&str]) -> Result<Line, Error> {
        parse_command_line(std::iter::once(&"program").chain(arguments).map(OsString::from).collect())
    }

    #[test]
    fn an_empty_variable_is_unset_and_the_command_line_wins() {
        assert_eq!(std::env::var("CARGO_PKG_NAME").as_deref(), Ok("trust"));
        assert_eq!(std::env::var("CARGO_PKG_HOMEPAGE").as_deref(), Ok(""));
        assert!(parse(&["go"]).is_err());
        for line in [&["--number", "5", "go"][..], &["--number=5", "go"], &["go", "--number", "5"]] {
            let Line(matches) = parse(line).unwrap();
            assert_eq!(matches.get_one::<u16>("number"), Some(&5));
            assert_eq!(matches.get_one::<u16>("page"), Some(&7));
        }
        assert!(parse(&["go", "--", "--number"]).is_err());
    }

    #[test]
    fn a_wrong_command_line_is_one_line() {
        let key = Arg::new("key").long("key").required(true).value_name("FILE");
        let command = Command::new("tool").subcommand_required(true).arg_required_else_help(true);
        let command = command.subcommand(Command::new("sign").arg(key));
        let mistake = |arguments: &[&str]| {
            usage_message(&command.clone().try_get_matches_from(arguments).expect_err("a mistake"))
        };
        let missing = "the following required arguments were not provided: --key <FILE>";
        assert_eq!(mistake(&["tool", "sign"]), missing);
        assert_eq!(mistake(&["tool"]), "a subcommand is missing");
    }

    #[test]
    fn what_a_mistake_quotes_is_harmless() {
        fn refuse(text: &str) -> Result<u8, String> {
            Err(format!("{text} is wrong"))
        }
        let number = Arg::new("number").long("number").value_parser(refuse);
        let kind = Arg::new("kind").long("kind").value_parser(["cose", "spki"]);
        let command = Command::new("tool").arg(number).arg(kind).subcommand(Command::new("go"));
        let hostile = "go\u{202e}\x1b[2J\nerror: all is well\r\u{9b}";
        for arguments in [
            vec![hostile.to_owned()],
            vec![format!("--{hostile}")],
            vec![format!("--number={hostile}")],
            vec![format!("--kind={hostile}")],
            vec![format!("--kind=cose{hostile}")],
            vec!["go".to_owned(), hostile.to_owned()],
            vec!["go".to_owned(), "-\u{202e}".to_owned()],
            vec!["go".to_owned(), format!("--kind{hostile}=a")],
        ] {
            let line = std::iter::once("tool".to_owned()).chain(arguments);
            let error = harmless(command.clone().try_get_matches_from(line).expect_err("a mistake"));
            let message = usage_message(&error);
            assert!(message.contains("\\u{202e}"), "{message}");
            assert_eq!(message, printable(&message));
            // Only the parser of the option adds words that are not escaped before they are shown.
            if error.source().is_none() {
                let shown = error.to_string();
                assert!(shown.lines().all(|line| printable(line) == line), "{shown}");
                assert!(!shown.lines().any(|line| line.starts_with("error: all is well")), "{shown}");
            }
        }
    }
}
