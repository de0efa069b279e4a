//! What people and scripts see. Data goes to stdout, words for people to stderr; with `--json` stdout carries one
//! object a line, the last of which is the result or the error (docs/errors.md, docs/updater-host.md).

use crate::error::{DeviceRefusal, Error};
use crate::text::printable;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// At most so often a progress event is printed.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Where a command prints to.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    bar: RefCell<Option<ProgressBar>>,
    last_event: Cell<Option<Instant>>,
}

/// What a progress bar is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transfer {
    /// The image comes from the server.
    #[cfg(feature = "http")]
    FromServer,
    /// The image goes to the device.
    ToDevice,
}

impl Transfer {
    fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "http")]
            Self::FromServer => "download",
            Self::ToDevice => "image",
        }
    }
}

/// A result: how it looks as an object, for people, and which exit code it ends with.
pub(crate) trait Report: Serialize {
    /// Lines for people, without a final line break.
    fn lines(&self) -> String;

    /// Exit code; 0 unless the device ended up in another state than was asked for.
    fn exit_code(&self) -> u8 {
        0
    }
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Progress {
        bytes: u64,
        total: u64,
    },
    #[cfg(feature = "http")]
    Download {
        bytes: u64,
        total: u64,
    },
    Step {
        step: &'a str,
    },
    Warning {
        code: &'a str,
        message: &'a str,
    },
    Retry {
        message: &'a str,
        pause_ms: u128,
    },
}

#[derive(Serialize)]
struct Failure {
    error: FailureDetail,
    exit: u8,
}

#[derive(Serialize)]
struct FailureDetail {
    code: String,
    message: String,
    hint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nrc: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
}

impl Output {
    /// For people, or with `json` for scripts.
    #[must_use]
    pub(crate) fn new(json: bool) -> Self {
        Self { json, bar: RefCell::new(None), last_event: Cell::new(None) }
    }

    /// A line for people; nothing for scripts.
    pub(crate) fn say(&self, line: &str) {
        if !self.json {
            self.words(line);
        }
    }

    /// A step of a command that has several.
    pub(crate) fn step(&self, step: &str) {
        self.say(&format!("  {step}"));
        self.event(&Event::Step { step });
    }

    /// Something a person should know, which does not stop the command.
    pub(crate) fn warn(&self, code: &str, message: &str) {
        self.words(&format!("warning: {}", printable(message)));
        self.event(&Event::Warning { code, message });
    }

    /// Something went wrong and is tried again.
    pub(crate) fn retry(&self, message: &str, pause: Duration) {
        self.say(&format!("  {}; trying again.", printable(message)));
        self.event(&Event::Retry { message, pause_ms: pause.as_millis() });
    }

    /// An object a line on stdout, with `--json` only. That nobody reads it must not stop an update.
    pub(crate) fn event(&self, event: &impl Serialize) {
        if self.json
            && let Ok(line) = serde_json::to_string(event)
        {
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    /// Begins a progress bar on the terminal, if there is one; `bytes` of `total` are done.
    pub(crate) fn progress_begin(&self, transfer: Transfer, bytes: u64, total: u64) {
        let target = if self.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let style =
            "  {prefix} [{bar:32}] {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(transfer.name());
        bar.set_position(bytes);
        // What an earlier run did must not count for the rate.
        bar.reset_eta();
        *self.bar.borrow_mut() = Some(bar);
        self.last_event.set(None);
        self.progress(transfer, bytes, total);
    }

    /// Moves the bar; an event at most every 100 ms, and one for the end.
    pub(crate) fn progress(&self, transfer: Transfer, bytes: u64, total: u64) {
        if let Some(bar) = self.bar.borrow().as_ref() {
            bar.set_position(bytes);
        }
        let due = self.last_event.get().is_none_or(|last| last.elapsed() >= PROGRESS_INTERVAL);
        if due || bytes == total {
            self.last_event.set(Some(Instant::now()));
            self.event(&match transfer {
                #[cfg(feature = "http")]
                Transfer::FromServer => Event::Download { bytes, total },
                Transfer::ToDevice => Event::Progress { bytes, total },
            });
        }
    }

    /// Takes the bar away.
    pub(crate) fn progress_end(&self) {
        if let Some(bar) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }

    /// Asks for a yes. `Ok(false)` is a no.
    ///
    /// # Errors
    /// [`Error::ConfirmationNeeded`] when there is no terminal, or scripts read.
    pub(crate) async fn confirm(&self, question: &str) -> Result<bool, Error> {
        if self.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(Error::ConfirmationNeeded);
        }
        let mut stderr = std::io::stderr();
        write!(stderr, "{question} [y/N] ")
            .and_then(|()| stderr.flush())
            .map_err(|_| Error::ConfirmationNeeded)?;
        // On a thread of its own, so that Ctrl-C is heard.
        let read = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            std::io::stdin().read_line(&mut answer).map(|_| answer)
        });
        match read.await {
            Ok(Ok(answer)) => Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes")),
            _ => Err(Error::ConfirmationNeeded),
        }
    }

    /// Prints the result or the error and gives the exit code.
    pub(crate) fn finish<R: Report>(&self, result: Result<R, Error>) -> u8 {
        self.progress_end();
        let printed = result.and_then(|report| {
            self.print(&report)?;
            Ok(report.exit_code())
        });
        printed.unwrap_or_else(|error| self.fail(&error))
    }

    fn print<R: Report>(&self, report: &R) -> Result<(), Error> {
        let text = if self.json {
            serde_json::to_string(report).map_err(|error| Error::Output(error.into()))?
        } else {
            report.lines()
        };
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(Error::Output)
    }

    fn fail(&self, error: &Error) -> u8 {
        let exit = error.exit_code();
        if self.json {
            let failure = Failure { error: FailureDetail::of(error), exit };
            if let Ok(line) = serde_json::to_string(&failure) {
                let _ = writeln!(std::io::stdout(), "{line}");
            }
        } else {
            self.words(&format!("error: {error} [{}]", error.code()));
            self.words(&format!("hint: {}", error.hint()));
        }
        exit
    }

    /// Words for people, above the progress bar if there is one. A closed stderr is no reason to stop.
    fn words(&self, line: &str) {
        let write = || {
            let _ = writeln!(std::io::stderr(), "{line}");
        };
        match self.bar.borrow().as_ref() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl FailureDetail {
    fn of(error: &Error) -> Self {
        let (code, message, hint) = (error.code(), error.to_string(), error.hint());
        let mut detail = Self { code, message, hint, refused_by: None, nrc: None, position: None };
        if let Error::Refused { position, .. } = error {
            (detail.refused_by, detail.position) = (Some("host"), Some(*position));
        }
        if let Error::DeviceRefused(DeviceRefusal { nrc, position, .. }) = error {
            (detail.refused_by, detail.nrc, detail.position) = (Some("device"), Some(nrc.0), Some(*position));
        }
        #[cfg(feature = "http")]
        if let Error::ServerRefused { .. } = error {
            detail.refused_by = Some("server");
        }
        detail
    }
}

/// Ends the program for an error that came before there was an output, such as a wrong option.
#[must_use]
pub(crate) fn usage_failure(json: bool, message: &str) -> u8 {
    if json {
        let failure = Failure {
            error: FailureDetail {
                code: "usage".to_owned(),
                message: message.to_owned(),
                hint: "updater-host --help tells how it is called.".to_owned(),
                refused_by: None,
                nrc: None,
                position: None,
            },
            exit: 2,
        };
        if let Ok(line) = serde_json::to_string(&failure) {
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
    2
}
