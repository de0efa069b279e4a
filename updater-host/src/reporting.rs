//! What the update-server hears of an update. It never decides whether an update goes on.

use crate::believed::now;
use crate::cache::{Cache, DataDirs};
use crate::cli::{Cli, Update};
use crate::device::{Device, Installed};
use crate::error::Error;
use crate::files;
use crate::output::Output;
use crate::queue::{Queue, Report};
use crate::release::Release;
use crate::restart::Outcome;
use crate::server::Server;
use crate::server::wire::{DeviceBody, EventBody, EventKind};
use crate::source::Online;
use crate::update::Ended;
use update_protocol::profile::MAX_TEXT_LEN;

/// The server of an update, with what is kept for it.
#[derive(Debug)]
pub(crate) struct Reporting {
    server: Server,
    cache: Cache,
    queue: Queue,
}

impl Reporting {
    /// `None` when no server was named.
    pub(crate) fn new(cli: &Cli, options: &Update) -> Result<Option<Self>, Error> {
        let Some(url) = &options.server else { return Ok(None) };
        let token = options.token_file.as_deref().map(files::read_token).transpose()?;
        let dirs = DataDirs::new(cli.data_dir.as_deref())?;
        Ok(Some(Self {
            server: Server::new(url, token.as_deref())?,
            cache: Cache::new(dirs.cache),
            queue: Queue::new(dirs.queue),
        }))
    }

    pub(crate) fn online<'a>(&'a self, output: &'a Output) -> Online<'a> {
        Online { server: &self.server, cache: &self.cache, output }
    }

    /// Sends what an earlier run could not.
    pub(crate) async fn deliver(&self, output: &Output) {
        self.queue.deliver(&self.server, output).await;
    }

    /// Registers the device and says that an update begins.
    pub(crate) async fn started(&self, device: &Device, release: &Release, output: &Output) {
        if self.server.exposes_token() {
            output.warn("token-exposed", "the token travels in the clear; use https");
        }
        let reports =
            vec![registration(device, &device.installed()), event(EventKind::Started, release, None)];
        self.keep(device, reports, output);
        self.deliver(output).await;
    }

    /// Says that the device has the image; sent when the update has ended, since the device waits for its reset now.
    pub(crate) fn installed(&self, device: &Device, release: &Release, output: &Output) {
        self.keep(device, vec![event(EventKind::Installed, release, None)], output);
    }

    /// Says how it ended. An update that can be resumed has not ended.
    pub(crate) async fn ended(
        &self,
        device: &Device,
        release: &Release,
        outcome: &Result<Ended, Error>,
        output: &Output,
    ) {
        let reports = match outcome {
            Ok(ended) => {
                let kind = match &ended.outcome {
                    Outcome::Confirmed => Some((EventKind::Confirmed, None)),
                    Outcome::Reverted(reason) => Some((EventKind::Reverted, reason.clone())),
                    Outcome::Trial => None,
                };
                let event = kind.map(|(kind, reason)| event(kind, release, reason));
                std::iter::once(registration(device, &ended.after)).chain(event).collect()
            }
            Err(error @ Error::DeviceRefused(_)) => {
                vec![event(EventKind::Refused, release, Some(error.code()))]
            }
            Err(_) => Vec::new(),
        };
        self.keep(device, reports, output);
        self.deliver(output).await;
    }

    fn keep(&self, device: &Device, reports: Vec<Report>, output: &Output) {
        // A serial that is not text names no device on a server.
        let Some(serial) = device.serial.as_str() else { return };
        if self.server.can_report() {
            self.queue.keep(&self.server, serial, reports, output);
        }
    }
}

fn registration(device: &Device, installed: &Installed) -> Report {
    Report::Device(DeviceBody {
        vendor: device.vendor(),
        class: device.class(),
        version: installed.version.as_deref().and_then(reportable),
        sequence: Some(installed.sequence),
    })
}

fn event(kind: EventKind, release: &Release, reason: Option<String>) -> Report {
    let facts = release.facts.as_ref();
    Report::Event(EventBody {
        kind,
        release: facts.map(|facts| hex::encode(facts.manifest_digest)),
        version: facts.and_then(|facts| facts.version.as_deref()).and_then(reportable),
        sequence: facts.map(|facts| facts.sequence),
        reason,
        at: now().0,
    })
}

/// A version as a server takes it: 1 to 32 printable ASCII characters.
fn reportable(version: &str) -> Option<String> {
    let fits = (1..=MAX_TEXT_LEN).contains(&version.len());
    let printable = version.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    (fits && printable).then(|| version.to_owned())
}
