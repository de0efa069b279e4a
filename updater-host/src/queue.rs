//! Reports that could not be delivered, kept on disk in order until the next contact with their server.
//!
//! One file a report; the token is never in it. A report that the server refuses for what it says is dropped with a
//! warning, every other one is kept: the server refuses the sender, it cannot take the report now, or the answer is
//! not that of an update-server.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use trust::host::ReadError;

use crate::cache::{remove, try_lock, write_whole};
use crate::commands::report::Fate;
use crate::error::Error;
use crate::output::Output;
use crate::server::Server;
use crate::server::wire::{DeviceBody, EventBody, SaidBody};

/// Most reports that are kept; the oldest go first.
const MAX_QUEUED: usize = 1000;
/// So many devices in a row whose reports something else than an update-server refuses: so it will do with the rest.
const MAX_SET_ASIDE_IN_A_ROW: usize = 3;
/// Longest report that is read back, bytes.
const MAX_REPORT_LEN: u64 = 16 * 1024;

/// One thing to tell the server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Report {
    /// Registers the device, or says what it runs.
    Device(DeviceBody),
    /// Something that happened to it.
    Event(EventBody),
    /// What it said under its own key.
    Said(SaidBody),
}

#[derive(Debug, Serialize, Deserialize)]
struct Queued {
    server: String,
    serial: String,
    report: Report,
}

/// The reports of one folder.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    folder: PathBuf,
    keeping: Keeping,
    /// What this run dropped because the server does not take it.
    dropped: Arc<Mutex<Vec<PathBuf>>>,
}

/// How long a queue keeps what it cannot deliver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keeping {
    /// Until the next contact with the server.
    Lasting,
    /// Its folder ends with this run.
    ThisRun,
}

/// What became of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Delivery {
    Done,
    /// The server takes it neither now nor later.
    Refused,
    /// Something on the way refuses the reports of this device, or has no way for them.
    SetAside,
    /// Nothing more can be delivered now.
    Later,
}

impl Queue {
    /// A queue in this folder, which is made when a report is kept.
    #[must_use]
    pub(crate) fn new(folder: PathBuf, keeping: Keeping) -> Self {
        Self { folder, keeping, dropped: Arc::default() }
    }

    /// What becomes of reports that are not delivered, for a message.
    pub(crate) fn fate(&self) -> &'static str {
        match self.keeping {
            Keeping::Lasting => "reports are kept for the next run",
            Keeping::ThisRun => "reports are lost when this run ends",
        }
    }

    /// Keeps reports for `server` until [`Queue::deliver`]; nothing is sent, so this takes no time. Nothing of it stops
    /// an update: what goes wrong is a warning.
    pub(crate) fn keep(
        &self,
        server: &Server,
        serial: &str,
        reports: Vec<Report>,
        output: &Output,
    ) -> Vec<PathBuf> {
        let mut kept = Vec::new();
        for report in reports {
            let queued = Queued { server: server.name(), serial: serial.to_owned(), report };
            match self.write(&queued) {
                Ok(path) => kept.push(path),
                Err(error) => output.warn(&error.code(), &format!("a report is lost: {error}")),
            }
        }
        kept
    }

    /// What became of a report that was kept at this path.
    pub(crate) fn fate_of(&self, path: &Path) -> Fate {
        let dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        match self.keeping {
            _ if dropped.iter().any(|refused| refused == path) => Fate::Refused,
            _ if !path.exists() => Fate::Delivered,
            Keeping::Lasting => Fate::Waiting,
            Keeping::ThisRun => Fate::Lost,
        }
    }

    /// Delivers what waits for `server`, oldest first, until it is empty or the server does not take more.
    pub(crate) async fn deliver(&self, server: &Server, output: &Output) {
        if let Err(error) = self.try_deliver(server, output).await {
            output.warn(&error.code(), &format!("{}: {error}", self.fate()));
        }
    }

    /// Says how many reports end with this run, if any do.
    pub(crate) fn tell_lost(&self, output: &Output) {
        let lost = match self.keeping {
            Keeping::Lasting => 0,
            Keeping::ThisRun => self.waiting().map_or(0, |waiting| waiting.len()),
        };
        if lost > 0 {
            let what = if lost == 1 { "1 report is".to_owned() } else { format!("{lost} reports are") };
            output.warn(
                "report-lost",
                &format!(
                    "{what} lost: the server took {} in this run",
                    if lost == 1 { "it not" } else { "none of them" }
                ),
            );
        }
    }

    async fn try_deliver(&self, server: &Server, output: &Output) -> Result<(), Error> {
        if !server.can_report() || self.waiting()?.is_empty() {
            return Ok(());
        }
        // Another program that delivers already would send the same; what it has sent is not listed any more.
        let Some(_lock) = try_lock(&self.folder.join("lock"))? else { return Ok(()) };
        // The order counts within a device; what is wrong with one must not hold up the others.
        let mut set_aside = Vec::new();
        let mut in_a_row = 0;
        for path in self.waiting()? {
            let queued = match read_report(&path) {
                Ok(Some(queued)) => queued,
                Ok(None) => {
                    let words = format!("dropped {}: it is not a report", path.display());
                    output.warn("report-malformed", &words);
                    remove(&path)?;
                    continue;
                }
                // One that was the oldest of too many goes without the lock.
                Err(Error::Read { source: ReadError::Io(source), .. })
                    if source.kind() == ErrorKind::NotFound =>
                {
                    continue;
                }
                Err(error) => {
                    output.warn(&error.code(), &error.to_string());
                    continue;
                }
            };
            if queued.server != server.name() || set_aside.contains(&queued.serial) {
                continue;
            }
            match deliver_one(server, &queued, self, output).await? {
                Delivery::Done => {
                    in_a_row = 0;
                    remove(&path)?;
                }
                Delivery::Refused => {
                    in_a_row = 0;
                    self.dropped.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
                    remove(&path)?;
                }
                // A server of an earlier version has no way for it; what else there is of the device goes on.
                Delivery::SetAside if matches!(queued.report, Report::Said(_)) => {}
                Delivery::SetAside => {
                    set_aside.push(queued.serial);
                    in_a_row += 1;
                    if in_a_row == MAX_SET_ASIDE_IN_A_ROW {
                        return Ok(());
                    }
                }
                Delivery::Later => return Ok(()),
            }
        }
        Ok(())
    }

    fn write(&self, queued: &Queued) -> Result<PathBuf, Error> {
        let waiting = self.waiting()?;
        for oldest in waiting.iter().take((waiting.len() + 1).saturating_sub(MAX_QUEUED)) {
            remove(oldest)?;
        }
        // Names sort by time; the counter keeps those of one instant apart and in order.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let bytes = serde_json::to_vec(queued).map_err(|error| Error::Output(error.into()))?;
        let last = waiting.last().and_then(|path| number_of(path)).map_or(0, |last| last + 1);
        let number = now.max(last);
        let path = self.folder.join(format!("{number:024}-{}.json", std::process::id()));
        write_whole(&path, &bytes)?;
        Ok(path)
    }

    /// Paths of what waits, oldest first.
    fn waiting(&self) -> Result<Vec<PathBuf>, Error> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::read(&self.folder, error)),
        };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            // A folder of that name is nobody's report.
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        paths.sort();
        Ok(paths)
    }
}

/// An error when the server refuses the sender: it will do so with every report.
async fn deliver_one(
    server: &Server,
    queued: &Queued,
    queue: &Queue,
    output: &Output,
) -> Result<Delivery, Error> {
    if !trust::is_serial(&queued.serial) {
        output.warn(
            "report-malformed",
            &format!("dropped a report on {:?}: it is not a serial", queued.serial),
        );
        return Ok(Delivery::Done);
    }
    let sent = match &queued.report {
        Report::Device(body) => server.put_device(&queued.serial, body).await,
        Report::Event(body) => server.post_event(&queued.serial, body).await,
        Report::Said(body) => server.post_report(&queued.serial, body).await,
    };
    let error = match sent {
        Ok(()) => return Ok(Delivery::Done),
        Err(error) => error,
    };
    match judged(&error) {
        Judgement::Away => {
            output.say(&format!("  The server cannot be reached; {}.", queue.fate()));
            Ok(Delivery::Later)
        }
        Judgement::Busy => Ok(Delivery::Later),
        Judgement::Sender => Err(error),
        Judgement::Report => {
            output.warn(&error.code(), &format!("dropped a report on {}: {error}", queued.serial));
            Ok(Delivery::Refused)
        }
        Judgement::NotItsOwn => {
            let words =
                format!("the reports on {} are not taken now: {error}; {}", queued.serial, queue.fate());
            output.warn(&error.code(), &words);
            Ok(Delivery::SetAside)
        }
    }
}

/// What an answer that takes no report says something of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Judgement {
    /// There was none.
    Away,
    /// The server takes nothing now.
    Busy,
    /// Who sends it.
    Sender,
    /// The report.
    Report,
    /// Nothing of these with certainty: it may come from anything on the way, or from a fault of the server.
    NotItsOwn,
}

/// The codes are those of docs/server-api.md: what has none is no judgement of update-server.
fn judged(error: &Error) -> Judgement {
    let Error::ServerRefused { status, code, .. } = error else {
        let is_away = matches!(error, Error::ServerUnreachable { .. });
        return if is_away { Judgement::Away } else { Judgement::NotItsOwn };
    };
    match (*status, code.as_deref()) {
        (408 | 429 | 502..=504, _) => Judgement::Busy,
        (_, Some("unauthorized" | "report-token")) => Judgement::Sender,
        (_, None | Some("not-found" | "method-not-allowed")) | (500.., _) => Judgement::NotItsOwn,
        (_, Some(_)) => Judgement::Report,
    }
}

fn number_of(path: &Path) -> Option<u128> {
    path.file_stem()?.to_str()?.split('-').next()?.parse().ok()
}

/// `None` for a file that is not a report.
fn read_report(path: &Path) -> Result<Option<Queued>, Error> {
    match crate::files::read(path, MAX_REPORT_LEN) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(Error::Read { source: ReadError::TooLong(_), .. } | Error::FileEmpty(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
