//! Reports to the update-server. They never decide whether an update continues.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use update_protocol::profile::{Component, MAX_TEXT_LEN};

use crate::cache::{Cache, DataDirs};
use crate::cli::{Cli, Contact};
use crate::commands::report::{Fate, Said};
use crate::device::{Device, Installed, reason_slug};
use crate::error::Error;
use crate::files;
use crate::install::Refused;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::queue::{Keeping, Queue, Report};
use crate::release::{Facts, Release};
use crate::restart::Outcome;
use crate::server::Server;
use crate::server::wire::{DeviceBody, EventBody, EventKind, EventTarget, SaidBody, TableBody};
use crate::source::Online;
use crate::trusted::now;
use crate::update::Ended;

/// Most anchors that a server takes of a device.
const MAX_ANCHORS: usize = 8;

/// How long a delivery may take; what is over then stays for the next one.
const DELIVERY_LIMIT: Duration = Duration::from_secs(30);

/// The server of an update, with what is kept for it.
#[derive(Debug)]
pub(crate) struct Reporting {
    server: Server,
    cache: Cache,
    queue: Queue,
    /// In place of a data folder that cannot be written or must not be; it ends with this run.
    _temporary: Option<TempDir>,
}

impl Reporting {
    /// `None` when no server was named.
    pub(crate) fn new(
        cli: &Cli,
        contact: Option<Contact<'_>>,
        output: &Output,
    ) -> Result<Option<Self>, Error> {
        let Some(Contact { url, token_file, ca }) = contact else { return Ok(None) };
        let token = token_file.map(files::read_token).transpose()?;
        let server = Server::new(url, token.as_deref(), ca)?.telling(output.server_wait());
        if server.exposes_token() {
            output.warn("token-exposed", "the token is sent unencrypted; use https");
        }
        let lasting = if cli.no_cache { None } else { lasting(cli, output)? };
        let (dirs, keeping, temporary) = match lasting {
            Some(dirs) => (dirs, Keeping::Lasting, None),
            None => {
                let folder = TempDir::new().map_err(|source| Error::write(&std::env::temp_dir(), source))?;
                (DataDirs::new(Some(folder.path()))?, Keeping::ThisRun, Some(folder))
            }
        };
        let (cache, queue) = (Cache::new(dirs.cache), Queue::new(dirs.queue, keeping));
        Ok(Some(Self { server, cache, queue, _temporary: temporary }))
    }

    pub(crate) fn online<'a>(&'a self, output: &'a Output) -> Online<'a> {
        Online { server: &self.server, cache: &self.cache, output }
    }

    /// Sends what waits, as far as the server takes it in good time and the person has the patience.
    pub(crate) async fn deliver(&self, output: &Output, interrupt: &Interrupt) {
        let delivery = self.queue.deliver(&self.server, output);
        tokio::select! {
            biased;
            () = interrupt.requested() => {}
            delivered = tokio::time::timeout(DELIVERY_LIMIT, delivery) => if delivered.is_err() {
                output.warn("server-unreachable", &format!("the server takes too long; {}", self.queue.fate()));
            }
        }
    }

    /// Says how many reports end with this run; to be called at its end.
    pub(crate) fn tell_lost(&self, output: &Output) {
        self.queue.tell_lost(output);
    }

    /// Says what a device runs with which there is nothing to do.
    pub(crate) async fn runs(
        &self,
        device: &Device,
        release: Option<&Release>,
        output: &Output,
        interrupt: &Interrupt,
    ) {
        self.keep(device, vec![registration(device, &device.installed(), release)], output);
        self.deliver(output, interrupt).await;
    }

    /// Registers the device and says that an update begins.
    pub(crate) async fn started(
        &self,
        device: &Device,
        release: &Release,
        output: &Output,
        interrupt: &Interrupt,
    ) {
        let reports = vec![
            registration(device, &device.installed(), Some(release)),
            event(EventKind::Started, release, None),
        ];
        self.keep(device, reports, output);
        self.deliver(output, interrupt).await;
    }

    /// Says which records the device did not take in place of its own; sent when the update has ended.
    pub(crate) fn records_refused(&self, device: &Device, refused: &[Refused], output: &Output) {
        let report = |refused: &Refused| {
            let (kind, reason) = match refused {
                Refused::List(reason) => (EventKind::ListRefused, reason),
                Refused::Succession(reason) => (EventKind::SuccessionRefused, reason),
            };
            Report::Event(EventBody {
                kind,
                release: None,
                target: None,
                release_kid: None,
                version: None,
                sequence: None,
                reason: Some(reason.slug().to_owned()),
                at: now().0,
            })
        };
        self.keep(device, refused.iter().map(report).collect(), output);
    }

    /// Hands over what the device said of a refusal; sent when the update has ended.
    pub(crate) fn refusal_said(&self, device: &Device, said: Said, output: &Output) {
        self.keep(device, vec![said_report(said)], output);
    }

    /// Registers the device and hands over what it said: what became of that. `None` for a serial that no server takes.
    pub(crate) async fn said(
        &self,
        device: &Device,
        said: Said,
        output: &Output,
        interrupt: &Interrupt,
    ) -> Option<Fate> {
        let reports = vec![registration(device, &device.installed(), None), said_report(said)];
        let kept = self.keep(device, reports, output);
        self.deliver(output, interrupt).await;
        kept.last().map(|path| self.queue.fate_of(path))
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
        interrupt: &Interrupt,
    ) {
        let reports = match outcome {
            Ok(ended) => {
                let kind = match ended.outcome {
                    Outcome::Confirmed => Some((EventKind::Confirmed, None)),
                    Outcome::Reverted(reason) => Some((EventKind::Reverted, reason_slug(reason))),
                    Outcome::Trial => None,
                };
                let event = kind.map(|(kind, reason)| event(kind, release, reason));
                std::iter::once(registration(device, &ended.after, Some(release))).chain(event).collect()
            }
            Err(error) if matches!(error, Error::DeviceRefused(_)) => {
                vec![event(EventKind::Refused, release, Some(error.code()))]
            }
            // The device did not judge the release.
            Err(_) => Vec::new(),
        };
        self.keep(device, reports, output);
        self.deliver(output, interrupt).await;
    }

    fn keep(&self, device: &Device, reports: Vec<Report>, output: &Output) -> Vec<PathBuf> {
        match device.serial.as_str() {
            Some(serial) if self.server.can_report() => {
                self.queue.keep(&self.server, serial, reports, output)
            }
            // A serial that is not text names no device on a server.
            Some(_) | None => Vec::new(),
        }
    }
}

/// The data folder, if something can be kept there: an update needs nothing of it.
fn lasting(cli: &Cli, output: &Output) -> Result<Option<DataDirs>, Error> {
    let dirs = DataDirs::new(cli.data_dir.as_deref())?;
    match dirs.check_writable() {
        Ok(()) => Ok(Some(dirs)),
        Err(error @ Error::Write { .. }) => {
            let words = format!("{error}; downloads, lists and unsent reports are kept for this run only");
            output.warn(&error.code(), &words);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What a device runs, and its table. `installed` is what it has of that to which it is turned; `release` says more of what it
/// is the release of.
fn registration(device: &Device, installed: &Installed, release: Option<&Release>) -> Report {
    let facts = release.and_then(|release| release.facts.as_ref());
    let is_own =
        |installed: &Installed| facts.filter(|facts| installed.digest == Some(facts.manifest_digest));
    let key_of =
        |installed: &Installed| is_own(installed).and_then(Facts::release_key).map(|kid| hex::encode(kid.0));
    let of = |component| {
        if component == device.component { Some(installed.clone()) } else { device.beside(component) }
    };
    let firmware = of(Component::Firmware);
    let table = of(Component::Table).map(|table| TableBody {
        // Nobody but its release has a name for it.
        version: is_own(&table).and_then(|facts| facts.version.as_deref()).and_then(reportable),
        sequence: table.sequence,
        manifest_digest: table.digest.map(hex::encode),
        release_kid: key_of(&table),
    });
    let mut anchors = Vec::new();
    for anchor in device.trust.iter().flat_map(|trust| &trust.anchors) {
        let kid = hex::encode(anchor.kid);
        if !anchors.contains(&kid) {
            anchors.push(kid);
        }
    }
    let anchors = Some(anchors).filter(|anchors| (1..=MAX_ANCHORS).contains(&anchors.len()));
    Report::Device(DeviceBody {
        vendor: device.vendor(),
        class: device.class(),
        version: firmware.as_ref().and_then(|runs| runs.version.as_deref()).and_then(reportable),
        sequence: firmware.as_ref().map(|runs| runs.sequence),
        manifest_digest: firmware.as_ref().and_then(|runs| runs.digest).map(hex::encode),
        release_kid: firmware.as_ref().and_then(key_of),
        table,
        anchors,
        at: Some(now().0),
    })
}

fn said_report(Said { nonce, container }: Said) -> Report {
    let (nonce, report) = (hex::encode(nonce), hex::encode(container));
    Report::Said(SaidBody { nonce, report, at: now().0 })
}

fn event(kind: EventKind, release: &Release, reason: Option<String>) -> Report {
    let facts = release.facts.as_ref();
    Report::Event(EventBody {
        kind,
        release: facts.map(|facts| hex::encode(facts.manifest_digest)),
        target: target_of_event(release),
        release_kid: facts
            .filter(|_| kind == EventKind::Confirmed)
            .and_then(Facts::release_key)
            .map(|kid| hex::encode(kid.0)),
        version: facts.and_then(|facts| facts.version.as_deref()).and_then(reportable),
        sequence: facts.map(|facts| facts.sequence),
        reason,
        at: now().0,
    })
}

/// What an update installs; `None`: firmware.
fn target_of_event(release: &Release) -> Option<EventTarget> {
    match release.facts.as_ref().map(|facts| facts.component) {
        _ if release.table.is_some() => Some(EventTarget::Both),
        Some(Component::Table) => Some(EventTarget::Table),
        Some(Component::Firmware) | None => None,
    }
}

/// A version as a server takes it: 1 to 32 printable ASCII characters.
fn reportable(version: &str) -> Option<String> {
    let fits = (1..=MAX_TEXT_LEN).contains(&version.len());
    let printable = version.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    (fits && printable).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Command;

    #[test]
    fn a_data_folder_that_cannot_be_written_stops_no_update() {
        let folder = tempfile::tempdir().unwrap();
        // As on a full disk or one that is mounted to be read only: root may write to every folder.
        std::fs::write(folder.path().join("queue"), b"a file").unwrap();
        let data = folder.path().to_str().unwrap();
        let line = ["updater-host", "--data-dir", data, "update", "--server", "http://h", "--anchor", "root"];
        let cli = Cli::try_parse_from(line).unwrap();
        let Command::Update(options) = &cli.command else { panic!("{cli:?}") };
        let reporting = Reporting::new(&cli, options.contact(), &Output::new(true, false)).unwrap().unwrap();
        reporting.cache.keep_envelope(b"envelope").unwrap();
        assert!(!folder.path().join("cache/envelopes").exists());
    }

    /// Whatever lies in the data folder, and whosever it is.
    #[test]
    fn without_cache_the_data_folder_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let data = folder.path().to_str().unwrap();
        let line = [
            "updater-host",
            "--data-dir",
            data,
            "--no-cache",
            "update",
            "--server",
            "http://h",
            "--anchor",
            "r",
        ];
        let cli = Cli::try_parse_from(line).unwrap();
        let Command::Update(options) = &cli.command else { panic!("{cli:?}") };
        assert!(Cache::of(&cli).unwrap().is_none());
        let reporting = Reporting::new(&cli, options.contact(), &Output::new(true, false)).unwrap().unwrap();
        reporting.cache.keep_envelope(b"envelope").unwrap();
        assert_eq!(reporting.queue.fate(), "reports are lost when this run ends");
        let temporary = reporting._temporary.as_ref().unwrap().path().to_owned();
        drop(reporting);
        assert!(!temporary.exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
