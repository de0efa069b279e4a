//! Output for people and scripts. Results go to stdout, messages to stderr; with `--json` the last line of stdout is one
//! object, the result or the error (docs/errors.md).

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use trust::host::printable;

use crate::blocks::AuthenticationView;
use crate::error::{Error, RefusedRow};
use crate::server::Imported;
use crate::written::Written;

/// Most refused rows of a list that people see.
const MAX_ROWS_SHOWN: usize = 20;

/// A result: an object for scripts, lines for people.
pub trait Report: Serialize {
    /// Lines for people, without a final line break.
    fn lines(&self) -> String;

    /// The exit code of the program: another one than 0 when the result itself is bad news.
    fn exit(&self) -> u8 {
        0
    }
}

/// Whether a file went to standard output.
static DATA_ON_STDOUT: AtomicBool = AtomicBool::new(false);

/// Where a command prints to.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: FailureDetail<'a>,
    exit: u8,
    /// What this run wrote into a ledger before.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<Written>,
    /// What a server did with the parts of a list before the one that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    registered: Option<&'a Imported>,
}

#[derive(Serialize)]
struct FailureDetail<'a> {
    code: &'a str,
    message: String,
    hint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
    /// The section of a specification that asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rows: &'a [RefusedRow],
    /// Of an envelope whose blocks do not hold.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    blocks: &'a [AuthenticationView],
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

    pub fn result(self, report: &impl Report) -> Result<(), Error> {
        let text = if self.json {
            serde_json::to_string(report).map_err(|_| Error::Internal("the result has no JSON form"))?
        } else {
            report.lines()
        };
        if DATA_ON_STDOUT.load(Ordering::Relaxed) {
            words(&text);
        } else {
            written(writeln!(std::io::stdout().lock(), "{text}"))?;
        }
        match report.exit() {
            0 => Ok(()),
            exit => Err(Error::Reported(exit)),
        }
    }

    /// A line for people on stderr; nothing for scripts.
    pub fn say(self, line: &str) {
        if !self.json {
            words(line);
        }
    }

    pub fn warn(self, message: &str) {
        warning(message);
    }

    /// The error; returns the exit code.
    pub fn failure(self, error: &Error) -> u8 {
        let exit = error.exit_code();
        let message = printable(&error.to_string());
        let (written, registered) = (Written::by_this_run(), error.registered());
        if self.json {
            let (code, hint, position) = (error.code(), error.hint(), error.position());
            let (rows, blocks) = (error.rows(), error.blocks());
            let detail = FailureDetail { code, message, hint, position, rule: error.rule(), rows, blocks };
            if let Ok(text) = serde_json::to_string(&Failure { error: detail, exit, written, registered }) {
                let printed = writeln!(std::io::stdout().lock(), "{text}");
                if printed.is_err() {
                    words(&text);
                }
            }
        } else {
            let rows: String = row_lines(error.rows()).iter().map(|row| format!("\n  {row}")).collect();
            let blocks: Vec<_> = error.blocks().iter().flat_map(AuthenticationView::rows).collect();
            let blocks: String = table(&blocks).lines().map(|line| format!("\n  {line}")).collect();
            let written =
                written.map(|written| format!("\n  {}", printable(&written.sentence()))).unwrap_or_default();
            let registered = registered.map(|done| table(&done.rows())).unwrap_or_default();
            let registered: String = registered.lines().map(|line| format!("\n  {line}")).collect();
            words(&format!(
                "error: {message} [{}]{rows}{blocks}\n  {}{registered}{written}",
                error.code(),
                error.hint()
            ));
        }
        exit
    }
}

/// The rows of a list that a server refused, for people: the first ones.
pub(crate) fn row_lines(rows: &[RefusedRow]) -> Vec<String> {
    let mut lines: Vec<String> = rows.iter().take(MAX_ROWS_SHOWN).map(RefusedRow::to_string).collect();
    match rows.len().saturating_sub(MAX_ROWS_SHOWN) {
        0 => {}
        more => lines.push(format!("and {more} more, which --json lists")),
    }
    lines
}

/// A warning, from code without an [`Output`].
pub(crate) fn warning(message: &str) {
    words(&format!("warning: {}", printable(message)));
}

/// Writes an output named `-` to standard output; the report then goes to standard error.
pub(crate) fn write_data(content: &[u8]) -> Result<(), Error> {
    DATA_ON_STDOUT.store(true, Ordering::Relaxed);
    written(std::io::stdout().lock().write_all(content))
}

/// A reader that closes the pipe (`| head -1`) is not an error: the command has done its work.
fn written(result: std::io::Result<()>) -> Result<(), Error> {
    match result.and_then(|()| std::io::stdout().flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

fn words(text: &str) {
    // The reader may be gone.
    let _ignored = writeln!(std::io::stderr().lock(), "{text}");
}

/// Aligned lines of names and values.
pub(crate) fn table(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<String> =
        rows.iter().map(|(name, value)| format!("{name:<width$}  {}", printable(value))).collect();
    lines.join("\n")
}

/// How far a long work is, on stderr. On anything but a terminal indicatif draws nothing by itself.
pub(crate) fn progress_bar(len: u64, template: &str, output: Output) -> ProgressBar {
    let target = if output.is_json() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(len), target);
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
