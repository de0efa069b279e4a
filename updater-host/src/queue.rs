//! Reports that could not be delivered, kept on disk in order until the next contact with their server.
//!
//! One file a report; the token is never in it. A report that the server refuses for what it says is dropped with a
//! warning, every other one is kept: the sender is refused (401, 403), the server cannot
//! take it now, or the answer is not that of an update-server.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use trust::host::ReadError;

use crate::cache::{remove, try_lock, write_whole};
use crate::error::Error;
use crate::output::Output;
use crate::server::Server;
use crate::server::wire::{DeviceBody, EventBody};

/// Most reports that are kept; the oldest go first.
const MAX_QUEUED: usize = 1000;
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
    /// The server knows no way for the reports of this device.
    SetAside,
    Later,
}

impl Queue {
    /// A queue in this folder, which is made when a report is kept.
    #[must_use]
    pub(crate) fn new(folder: PathBuf, keeping: Keeping) -> Self {
        Self { folder, keeping }
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
    pub(crate) fn keep(&self, server: &Server, serial: &str, reports: Vec<Report>, output: &Output) {
        for report in reports {
            let queued = Queued { server: server.name(), serial: serial.to_owned(), report };
            if let Err(error) = self.write(&queued) {
                output.warn(&error.code(), &format!("a report is lost: {error}"));
            }
        }
    }

    /// Delivers what waits for `server`, oldest first, until it is empty or the server does not take more.
    pub(crate) async fn deliver(&self, server: &Server, output: &Output) {
        if let Err(error) = self.try_deliver(server, output).await {
            output.warn(&error.code(), &format!("{}: {error}", self.fate()));
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
                Delivery::Done => remove(&path)?,
                Delivery::SetAside => set_aside.push(queued.serial),
                Delivery::Later => return Ok(()),
            }
        }
        Ok(())
    }

    fn write(&self, queued: &Queued) -> Result<(), Error> {
        let waiting = self.waiting()?;
        for oldest in waiting.iter().take((waiting.len() + 1).saturating_sub(MAX_QUEUED)) {
            remove(oldest)?;
        }
        // Names sort by time; the counter keeps those of one instant apart and in order.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let bytes = serde_json::to_vec(queued).map_err(|error| Error::Output(error.into()))?;
        let last = waiting.last().and_then(|path| number_of(path)).map_or(0, |last| last + 1);
        let number = now.max(last);
        write_whole(&self.folder.join(format!("{number:024}-{}.json", std::process::id())), &bytes)
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

/// `Later` when the server cannot take anything now. An answer that is not update-server's is an error: so would be the
/// next one.
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
    };
    match sent {
        Ok(()) => Ok(Delivery::Done),
        Err(Error::ServerUnreachable { .. }) => {
            match queue.keeping {
                Keeping::Lasting => {
                    output.say(&format!("  The server cannot be reached; {}.", queue.fate()));
                }
                Keeping::ThisRun => {
                    output.warn("report-lost", &format!("the server cannot be reached; {}", queue.fate()));
                }
            }
            Ok(Delivery::Later)
        }
        Err(Error::ServerRefused { status: 408 | 429 | 500.., .. }) => Ok(Delivery::Later),
        // Anything that is not a judgement of update-server on this report may be another server's answer.
        Err(error @ Error::ServerRefused { status: 401 | 403, .. }) => Err(error),
        Err(error @ Error::ServerRefused { .. }) if judges_a_report(&error) => {
            output.warn(&error.code(), &format!("dropped a report on {}: {error}", queued.serial));
            Ok(Delivery::Done)
        }
        Err(error @ Error::ServerRefused { code: Some(_), .. }) => {
            let words =
                format!("reports on {} wait, and those on other devices go on: {error}", queued.serial);
            output.warn(&error.code(), &words);
            Ok(Delivery::SetAside)
        }
        Err(error) => Err(error),
    }
}

/// Whether the refusal has a code of docs/server-api.md that says something of the report.
fn judges_a_report(error: &Error) -> bool {
    let Error::ServerRefused { code: Some(code), .. } = error else { return false };
    !matches!(code.as_str(), "not-found" | "method-not-allowed")
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
