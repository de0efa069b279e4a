//! Everything that people and scripts see. Data goes to stdout, words for people to stderr; with `--json` stdout carries one
//! object a line, the last of which is the result or the error (docs/errors.md, docs/updater-host.md).

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;

use crate::error::{DeviceRefusal, Error};
use crate::plan::seconds_for_people;
use crate::text::printable;

/// Shortest interval between two progress events.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Interval of the events of a wait, for scripts.
const WAIT_EVENT_INTERVAL: Duration = Duration::from_secs(1);
/// Interval of the lines of a wait, for logs.
const WAIT_LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Below so many columns a progress line has no bar.
const BAR_COLUMNS: u16 = 64;

/// A try that failed, and what follows.
#[derive(Debug)]
pub(crate) struct Retry {
    /// What happened, for people.
    pub(crate) what: String,
    /// The same in the words of the protocol.
    pub(crate) detail: String,
    /// What the device has already.
    pub(crate) has: String,
    /// Until the next try.
    pub(crate) pause: Duration,
    /// Until the command gives up.
    pub(crate) left: Duration,
}

/// A wait that people and scripts see.
#[derive(Debug)]
struct Wait {
    phase: &'static str,
    /// On a terminal.
    spinner: Option<ProgressBar>,
    last_told: Instant,
}

/// The progress bar that is drawn now. Who writes beside it lets it make room.
type SharedBar = Arc<Mutex<Option<ProgressBar>>>;

fn drawn(bar: &SharedBar) -> MutexGuard<'_, Option<ProgressBar>> {
    bar.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a command prints to.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    verbose: bool,
    wait: RefCell<Option<Wait>>,
    bar: SharedBar,
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

    /// Whether a device was changed: then the exit code is that of the change, even if the result cannot be printed.
    fn is_change(&self) -> bool {
        false
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
        detail: &'a str,
        pause_ms: u128,
        patience_ms: u128,
    },
    Waiting {
        step: &'a str,
        seconds_left: u64,
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
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nrc: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
}

/// Tells of a wait for a server: its name, and the time after which it ends at the latest.
#[cfg(feature = "http")]
#[derive(Clone)]
pub(crate) struct ServerWait(Arc<TellOfServer>);

#[cfg(feature = "http")]
type TellOfServer = dyn Fn(&str, Duration) + Send + Sync;

#[cfg(feature = "http")]
impl ServerWait {
    pub(crate) fn new(tell: impl Fn(&str, Duration) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn tell(&self, server: &str, left: Duration) {
        (self.0)(server, left);
    }

    fn for_scripts(_server: &str, left: Duration) {
        let event = Event::Waiting { step: "server", seconds_left: left.as_secs() };
        if let Ok(line) = serde_json::to_string(&event) {
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    /// A line above the bar, if there is one.
    fn for_people(bar: &SharedBar, server: &str) {
        let write = || {
            let _ = writeln!(std::io::stderr(), "  {}", server_client::waiting_for(server));
        };
        match drawn(bar).as_ref() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

#[cfg(feature = "http")]
impl std::fmt::Debug for ServerWait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerWait")
    }
}

impl Output {
    /// For people, or with `json` for scripts.
    #[must_use]
    pub(crate) fn new(json: bool, verbose: bool) -> Self {
        let (wait, bar, last_event) = (RefCell::new(None), SharedBar::default(), Cell::new(None));
        Self { json, verbose, wait, bar, last_event }
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
        self.words(&format!("warning: {} [{code}]", printable(message)));
        self.event(&Event::Warning { code, message });
    }

    /// Contact with the device was lost, and is sought again.
    pub(crate) fn retry(&self, retry: &Retry) {
        let Retry { what, detail, has, pause, left } = retry;
        let is_first = self.wait.borrow().is_none();
        if is_first {
            self.say(&format!("  Contact with the device was lost: {}. {has}", printable(what)));
            self.say("  Check its power and the cable to the bus. The update continues when the device answers again.");
        }
        if self.verbose {
            self.say(&format!("    {}", printable(detail)));
        }
        let (pause_ms, patience_ms) = (pause.as_millis(), left.as_millis());
        self.event(&Event::Retry { message: what, detail, pause_ms, patience_ms });
        self.waiting("reconnect", "Waiting for the device", *left);
    }

    /// The command waits: a countdown on a terminal, a line now and then in a log, an event a second for scripts.
    pub(crate) fn waiting(&self, phase: &'static str, words: &str, left: Duration) {
        let seconds_left = left.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX);
        let time_left = seconds_for_people(seconds_left);
        let mut wait = self.wait.borrow_mut();
        let is_new = wait.as_ref().is_none_or(|wait| wait.phase != phase);
        if is_new {
            let on_terminal = !self.json && std::io::stderr().is_terminal();
            let spinner =
                on_terminal.then(|| countdown(ProgressDrawTarget::stderr(), words, Instant::now() + left));
            *wait = Some(Wait { phase, spinner, last_told: Instant::now() });
        }
        let Some(wait) = wait.as_mut() else { return };
        if self.json {
            if is_new || wait.last_told.elapsed() >= WAIT_EVENT_INTERVAL {
                wait.last_told = Instant::now();
                self.event(&Event::Waiting { step: phase, seconds_left });
            }
        } else if wait.spinner.is_none() && (is_new || wait.last_told.elapsed() >= WAIT_LINE_INTERVAL) {
            wait.last_told = Instant::now();
            let _ = writeln!(std::io::stderr(), "  {words}; this program waits {time_left} more.");
        }
    }

    /// How a wait for a server is told.
    #[cfg(feature = "http")]
    pub(crate) fn server_wait(&self) -> ServerWait {
        let bar = self.bar.clone();
        match self.json {
            true => ServerWait::new(ServerWait::for_scripts),
            false => ServerWait::new(move |server, _| ServerWait::for_people(&bar, server)),
        }
    }

    /// The wait is over.
    pub(crate) fn wait_end(&self) {
        if let Some(Wait { spinner: Some(spinner), .. }) = self.wait.borrow_mut().take() {
            spinner.finish_and_clear();
        }
    }

    /// Prints one object per line on stdout, with `--json` only. A closed stdout must not stop an update.
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
        self.wait_end();
        let (_, columns) = console::Term::stderr().size();
        let bar = progress_bar(target, total, columns);
        bar.set_prefix(transfer.name());
        bar.set_position(bytes);
        // What an earlier run did must not count for the rate.
        bar.reset_eta();
        *drawn(&self.bar) = Some(bar);
        self.last_event.set(None);
        self.progress(transfer, bytes, total);
    }

    /// Moves the bar; an event at most every 100 ms, and one for the end.
    pub(crate) fn progress(&self, transfer: Transfer, bytes: u64, total: u64) {
        if let Some(bar) = drawn(&self.bar).as_ref() {
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

    pub(crate) fn progress_end(&self) {
        if let Some(bar) = drawn(&self.bar).take() {
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
        discard_type_ahead();
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
        self.wait_end();
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
        match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
            // The reader has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) if report.is_change() => {
                self.words(&format!(
                    "warning: the command is done, but its result could not be printed: {error}"
                ));
                Ok(())
            }
            printed => printed.map_err(Error::Output),
        }
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
            if let Some(detail) = error.detail().filter(|_| self.verbose) {
                self.words(&format!("detail: {}", printable(&detail)));
            }
        }
        exit
    }

    /// Words for people, above the progress bar if there is one. A closed stderr is no reason to stop.
    fn words(&self, line: &str) {
        let write = || {
            let _ = writeln!(std::io::stderr(), "{line}");
        };
        let (bar, wait) = (drawn(&self.bar), self.wait.borrow());
        match bar.as_ref().or_else(|| wait.as_ref()?.spinner.as_ref()) {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

/// Without this, a line of a pasted block, or a key that was pressed too early, is the answer.
fn discard_type_ahead() {
    #[cfg(unix)]
    {
        use nix::sys::termios::{FlushArg, tcflush};
        // A question that keeps type-ahead is still a question.
        let _ignored = tcflush(std::io::stdin(), FlushArg::TCIFLUSH);
    }
}

/// A progress line that fits into so many columns.
fn progress_bar(target: ProgressDrawTarget, total: u64, columns: u16) -> ProgressBar {
    let template = if columns >= BAR_COLUMNS {
        "  {prefix:8} [{wide_bar}] {percent:>3} %  {bytes_per_sec:>12}  {eta:>4} left"
    } else {
        "  {prefix} {percent:>3} % {eta} left"
    };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// A line that counts down to `until` by itself.
fn countdown(target: ProgressDrawTarget, words: &str, until: Instant) -> ProgressBar {
    let spinner = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template("  {spinner} {left}  {wide_msg}") {
        let left = move |_: &ProgressState, line: &mut dyn std::fmt::Write| {
            let seconds = until.saturating_duration_since(Instant::now()).as_millis().div_ceil(1000);
            // Writing to a String does not fail.
            let _ = write!(line, "{seconds:>3} s left");
        };
        spinner.set_style(style.with_key("left", left));
    }
    spinner.set_message(words.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(250));
    spinner
}

impl FailureDetail {
    fn of(error: &Error) -> Self {
        let (code, message, hint) = (error.code(), error.to_string(), error.hint());
        let detail = error.detail();
        let mut detail = Self { code, message, hint, detail, refused_by: None, nrc: None, position: None };
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
                hint: "Run updater-host --help.".to_owned(),
                detail: None,
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

#[cfg(test)]
mod tests;
