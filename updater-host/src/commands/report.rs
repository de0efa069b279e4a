//! `report`: asks one device what became of its last attempt to install, and keeps the answer for who can verify it.
//!
//! There is no key here: the answer is read, and matched with the question.

use std::path::Path;

use serde::Serialize;
use suit_manifest::reason::Reason;
use suit_manifest::report::{ReportOutcome, ReportResult, ReportTree, show_report};
use trust::Kid;
use trust::host::{Existing, Readers, write_whole};
use update_protocol::profile::{ImageState, Mode};
use update_protocol::uds::Nrc;

use super::{back_with_a_result, enter, reach};
use crate::cli::{AskReport, Cli};
use crate::connection::{Connection, Trouble};
use crate::device::Device;
use crate::error::{Error, Moment, ReportFault, Subject};
use crate::interrupt::Interrupt;
use crate::output::{Output, Report};
#[cfg(feature = "http")]
use crate::reporting::Reporting;
use crate::scan::READING;
use crate::session::Session;
use crate::text::printable;

/// Bytes of a nonce that is drawn here.
const NONCE_LEN: usize = 16;

/// What is being done when a device gives no report.
const ASKING: &str = "a report";

/// Result of `report`.
#[derive(Debug, Serialize)]
pub(crate) struct Reported {
    result: &'static str,
    serial: String,
    node: u8,
    nonce: String,
    /// Never: this program has no key.
    verified: bool,
    /// kid of the key that the container names.
    device_key: Option<String>,
    /// Of the manifest that it is about; `None` if none authenticated.
    manifest_digest: Option<String>,
    outcome: &'static str,
    summary: String,
    /// `None` unless the outcome is a refusal.
    refusal: Option<Refusal>,
    /// Where it is kept.
    file: Option<String>,
    /// What became of it on its way to the server; `None` without one.
    delivery: Option<Fate>,
}

/// What became of a report on its way to a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(not(feature = "http"), allow(dead_code))] // it is of a server
pub(crate) enum Fate {
    /// The server has it.
    Delivered,
    /// It is kept for the next contact.
    Waiting,
    /// The server does not take it: it was dropped.
    Refused,
    /// It ends with this run.
    Lost,
}

impl Fate {
    /// For people; `None` where a warning has said it.
    const fn words(self) -> Option<&'static str> {
        match self {
            Self::Delivered => Some("The server has it. The manufacturer fetches and verifies it"),
            Self::Waiting => {
                Some("It waits here for the next contact with the server. The manufacturer verifies it")
            }
            Self::Refused | Self::Lost => None,
        }
    }
}

/// What a device said, with the nonce of the question.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(not(feature = "http"), allow(dead_code))] // it is for a server
pub(crate) struct Said {
    pub(crate) nonce: Vec<u8>,
    pub(crate) container: Vec<u8>,
}

/// Why nothing came of the attempt, and where.
#[derive(Debug, Serialize)]
struct Refusal {
    /// Of docs/errors.md.
    reason: Option<&'static str>,
    result_code: i64,
    /// Number of SUIT_Report_Reasons.
    suit_reason: i64,
    section: i64,
    offset: u64,
    component: u64,
}

/// # Errors
/// [`Error::Report`], [`Error::Refused`] for an answer that is no report or not to this question, [`Error::Declined`],
/// [`Error::DeviceChanged`], those of [`reach`]
pub(crate) async fn report(
    cli: &Cli,
    options: &AskReport,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Reported, Error> {
    // A device does not leave its application for an answer that has no place.
    let out = options.out.as_deref();
    out.map(check_free).transpose()?;
    #[cfg(feature = "http")]
    let reporting = Reporting::new(cli, options.contact(), output)?;
    let nonce = match &options.nonce {
        Some(nonce) => nonce.0.clone(),
        None => fresh_nonce()?.to_vec(),
    };
    let (mut connection, device) = reach(cli, &options.choice, interrupt).await?;
    device.check_identity()?;
    if let Some(question) = question(&device).filter(|_| !options.yes) {
        let answer = interrupt.or(Moment::BeforeTransfer, output.confirm(&question)).await?;
        if !answer {
            return Err(Error::Declined);
        }
    }
    if device.state.image == ImageState::Trial {
        output.warn("on-trial", "the device has not confirmed its active image; this command reverts it");
    }
    output.step("report");
    enter(&mut connection, device.node).await?;
    let asked = ask(&mut connection, &device, &nonce).await;
    // Whether it hears us does not change the result: its session expires.
    let _ = Session::new(&mut connection, device.node).reset().await;
    let reported = asked.and_then(|container| {
        let reported = Reported::read(&container, &device, &nonce, out)?;
        Ok((reported, container))
    });
    // An error of the question says more than that of a device which does not come back.
    let back = back_with_a_result(&mut connection, device.node, cli, interrupt).await;
    #[cfg_attr(not(feature = "http"), allow(unused_mut, unused_variables))] // nobody to hand it over to
    let (mut reported, container) = reported?;
    // A file that cannot be written does not keep it from the server: the device may have forgotten it by now.
    let kept = out.map(|path| keep(path, &container)).transpose();
    #[cfg(feature = "http")]
    if let Some(reporting) = &reporting {
        reported.delivery = reporting.said(&device, Said { nonce, container }, output, interrupt).await;
        reporting.tell_lost(output);
    }
    kept?;
    back?;
    Ok(reported)
}

/// Keeps the report of a device that has just refused, and is still in its loader. Whether it has one does not change what
/// became of the update: a failure is a warning.
pub(crate) async fn keep_refusal(
    connection: &mut Connection,
    device: &Device,
    path: &Path,
    output: &Output,
) -> Option<Said> {
    let kept = async {
        let nonce = fresh_nonce()?;
        let container = ask(connection, device, &nonce).await?;
        let reported = Reported::read(&container, device, &nonce, Some(path))?;
        Ok::<_, Error>((reported, Said { nonce: nonce.to_vec(), container }))
    };
    match kept.await {
        Ok((Reported { summary, nonce, .. }, said)) => {
            let file = path.display();
            match keep(path, &said.container) {
                Ok(()) => output.warn(
                    "refusal-reported",
                    &format!(
                        "the device reports: {summary} Its maker verifies that: manifest-tool report verify {file} --nonce {nonce} \
                         --block BLOCK"
                    ),
                ),
                Err(error) => output.warn(&error.code(), &format!("the device reports: {summary} But {error}")),
            }
            Some(said)
        }
        Err(error) => {
            output.warn(&error.code(), &format!("no report of the refusal: {error}"));
            None
        }
    }
}

fn fresh_nonce() -> Result<[u8; NONCE_LEN], Error> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|_| Error::Report(ReportFault::Entropy))?;
    Ok(nonce)
}

/// What a question does to the device, for its person to agree to; `None`: nothing that lasts.
fn question(device: &Device) -> Option<String> {
    let serial = &device.serial;
    let question = match (device.state.mode, device.state.image) {
        (_, ImageState::Trial) => format!("{serial} restarts, which reverts its image on trial. Ask it?"),
        (_, ImageState::Pending) => {
            format!("{serial} restarts, which swaps in the image that waits. Ask it?")
        }
        (Mode::Application, _) => {
            format!("{serial} restarts into its loader, and then runs its application again. Ask it?")
        }
        (Mode::Loader | Mode::Factory, _) => return None,
    };
    Some(question)
}

/// The answer of the loader, from the device that was chosen.
async fn ask(connection: &mut Connection, device: &Device, nonce: &[u8]) -> Result<Vec<u8>, Error> {
    let node = device.node;
    let mut session = Session::new(connection, node);
    let serial = session.serial().await;
    let serial = serial.map_err(|trouble| trouble.with(connection, node, READING))?;
    if serial != device.serial {
        let (expected, found) = (device.serial.to_string(), serial.to_string());
        return Err(Error::DeviceChanged { expected, found });
    }
    let serial = serial.to_string();
    match Session::new(connection, node).report(nonce).await {
        Ok(container) => Ok(container),
        // A loader without reports knows no nonce.
        Err(Trouble::Refused(Nrc::REQUEST_OUT_OF_RANGE | Nrc::INCORRECT_LENGTH)) => {
            Err(Error::Report(ReportFault::NotReporting { serial }))
        }
        Err(Trouble::Refused(Nrc::CONDITIONS_NOT_CORRECT)) => {
            Err(Error::Report(ReportFault::Nothing { serial }))
        }
        Err(trouble) => Err(trouble.with(connection, node, ASKING)),
    }
}

impl Reported {
    /// Reads a report, and matches it with its question.
    fn read(container: &[u8], device: &Device, nonce: &[u8], out: Option<&Path>) -> Result<Self, Error> {
        let refused =
            |reason, position, facts| Error::Refused { subject: Subject::Report, reason, position, facts };
        let (kid, report) =
            show_report(container).map_err(|error| refused(error.reason(), error.position, None))?;
        if report.nonce != Some(nonce) {
            let found = report.nonce.map_or_else(|| "none".to_owned(), hex::encode);
            let facts = format!("the question has the nonce {}, the answer {found}", hex::encode(nonce));
            return Err(refused(Reason::ReportNonce, 0, Some(facts)));
        }
        Ok(Self::of(&report, kid, device, nonce, out))
    }

    fn of(
        report: &ReportTree<'_>,
        kid: Option<Kid>,
        device: &Device,
        nonce: &[u8],
        out: Option<&Path>,
    ) -> Self {
        let refusal = match &report.result {
            ReportResult::Other { code, record, reason } if report.outcome() == ReportOutcome::Refused => {
                Some(Refusal {
                    reason: report.reason().map(Reason::slug),
                    result_code: *code,
                    suit_reason: *reason,
                    section: record.section,
                    offset: record.offset,
                    component: record.component,
                })
            }
            ReportResult::Success | ReportResult::Other { .. } => None,
        };
        Self {
            result: "reported",
            serial: device.serial.to_string(),
            node: device.node,
            nonce: hex::encode(nonce),
            verified: false,
            device_key: kid.map(|kid| hex::encode(kid.0)),
            manifest_digest: report.manifest_digest().map(hex::encode),
            outcome: report.outcome().name(),
            summary: report.summary(),
            refusal,
            file: out.map(|path| path.display().to_string()),
            delivery: None,
        }
    }
}

impl Report for Reported {
    fn lines(&self) -> String {
        let Self { serial, nonce, summary, .. } = self;
        let manifest = self.manifest_digest.as_deref().unwrap_or("none that authenticated");
        let key = self.device_key.as_deref().unwrap_or("none named");
        let handed_over = self.delivery.and_then(Fate::words);
        let kept = handed_over.unwrap_or(match &self.file {
            Some(_) => "The manufacturer verifies it",
            None => "It was not kept; with --out the manufacturer verifies it",
        });
        let file = self.file.as_deref().map_or_else(|| "FILE.report".to_owned(), printable);
        format!(
            "{serial} reports: {}\n  manifest    {manifest}\n  nonce       {nonce}\n  device key  {key}\n\
             NOT VERIFIED: only who has the key of the device can tell whether it said this. {kept}:\n  \
             manifest-tool report verify {file} --nonce {nonce} --block BLOCK",
            printable(summary)
        )
    }

    fn is_change(&self) -> bool {
        self.file.is_some() || self.delivery.and_then(Fate::words).is_some()
    }
}

/// # Errors
/// [`ReportFault::Write`] for a file that is there, and for a folder that is not
pub(crate) fn check_free(path: &Path) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match path.symlink_metadata() {
        Ok(_) => Err(not_written(path, std::io::ErrorKind::AlreadyExists.into())),
        Err(_) if folder.is_some_and(|folder| !folder.is_dir()) => {
            Err(not_written(path, std::io::ErrorKind::NotFound.into()))
        }
        Err(_) => Ok(()),
    }
}

/// Whole or not at all, and over nothing.
fn keep(path: &Path, container: &[u8]) -> Result<(), Error> {
    write_whole(path, container, Readers::Everybody, Existing::Keep).map_err(|error| not_written(path, error))
}

fn not_written(path: &Path, source: std::io::Error) -> Error {
    Error::Report(ReportFault::Write { path: path.to_owned(), source })
}
