//! What people and scripts see. Data goes to stdout, words for people to stderr; with `--json` the last line of
//! stdout is one object, the result or the error (docs/errors.md).

use crate::error::Error;
use serde::Serialize;
use std::io::Write as _;
use trust::host::printable;

/// A result: an object for scripts, lines for people.
pub trait Report: Serialize {
    /// Lines for people, without a final line break.
    fn lines(&self) -> String;
}

/// Where a command prints to.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: FailureDetail<'a>,
    exit: u8,
}

#[derive(Serialize)]
struct FailureDetail<'a> {
    code: &'a str,
    message: String,
    hint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
}

impl Output {
    /// For people, or with `json` for scripts.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether stdout carries an object.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// The result.
    pub fn result(self, report: &impl Report) -> Result<(), Error> {
        let text = if self.json {
            serde_json::to_string(report).map_err(|_| Error::Internal("the result has no JSON form"))?
        } else {
            report.lines()
        };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(Error::Output)
    }

    /// Something a person should know, which does not stop the command.
    pub fn warn(self, message: &str) {
        words(&format!("warning: {}", printable(message)));
    }

    /// The error; returns the exit code.
    pub fn failure(self, error: &Error) -> u8 {
        let exit = error.exit_code();
        let message = printable(&error.to_string());
        if self.json {
            let detail =
                FailureDetail { code: error.code(), message, hint: error.hint(), position: error.position() };
            if let Ok(text) = serde_json::to_string(&Failure { error: detail, exit }) {
                // Nobody may be listening; the exit code still tells.
                let _ignored = writeln!(std::io::stdout().lock(), "{text}");
            }
        } else {
            words(&format!("error: {message} [{}]\n  {}", error.code(), error.hint()));
        }
        exit
    }
}

fn words(text: &str) {
    // Nobody may be listening.
    let _ignored = writeln!(std::io::stderr().lock(), "{text}");
}

/// Lines of names and values, one below the other.
pub(crate) fn table(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<String> =
        rows.iter().map(|(name, value)| format!("{name:<width$}  {}", printable(value))).collect();
    lines.join("\n")
}
