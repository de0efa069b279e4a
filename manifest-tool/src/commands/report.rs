//! `report`: what a device says of its last attempt to install, a SUIT report in its container
//! (draft-ietf-suit-report-18; docs/can-protocol.md, Reports).

mod fetch;

use std::path::PathBuf;

use clap::ArgGroup;
use serde::Serialize;
use suit_manifest::Reason;
use suit_manifest::argument::DigestAlgorithm;
use suit_manifest::author::inspect;
use suit_manifest::report::{
    MAX_REPORT_NONCE_LEN, MIN_REPORT_NONCE_LEN, ReportError, ReportOutcome, ReportResult, ReportTree,
    open_report, show_report,
};
use trust::Kid;
use trust::device_keys::Purpose;
use trust::host::Serial;
use zeroize::Zeroizing;

use self::fetch::Fetch;
use super::inspect::OutlineView;
use crate::describe::kid as kid_text;
use crate::error::Error;
use crate::files::{MAX_ENVELOPE_FILE_LEN, read};
use crate::identifiers::device_serial;
use crate::master_key::MasterArguments;
use crate::output::{Output, Report as Printed, table};
use crate::provisioned::ProvisionedDevice;
use crate::recipients::wanted;

/// Longest file of a report, bytes: those of devices of others too.
pub(crate) const MAX_REPORT_FILE_LEN: u64 = 64 * 1024;

/// Report of a device
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Show a report without verifying it
    Show(Show),
    /// Verify a report with the authentication key of its device
    Verify(Box<Verify>),
    /// Fetch the reports of a device from a server, without verifying them
    Fetch(Fetch),
}

/// Show a report without verifying it
#[derive(clap::Args, Clone, Debug)]
pub struct Show {
    /// Report, as updater-host wrote it
    #[arg(value_name = "FILE.report")]
    report: PathBuf,
    #[command(flatten)]
    release: ReleaseArguments,
}

/// Verify a report with the authentication key of its device
#[derive(clap::Args, Clone, Debug)]
#[command(group = ArgGroup::new("key").args(["block", "master"]).required(true))]
pub struct Verify {
    /// Report, as updater-host wrote it
    #[arg(value_name = "FILE.report")]
    report: PathBuf,
    /// Provisioning block of the device
    #[arg(long, value_name = "FILE", conflicts_with_all = ["line", "derivation", "revision", "serial", "devices"])]
    block: Option<PathBuf>,
    #[command(flatten)]
    master: MasterArguments,
    /// Serial of the device
    #[arg(long, value_name = "SERIAL", value_parser = device_serial, requires = "master", required_unless_present = "block")]
    serial: Option<Serial>,
    /// List of the batch of the device (devices.csv), to compare its key-check value
    #[arg(long, value_name = "FILE", requires = "master")]
    devices: Option<PathBuf>,
    /// Nonce of the question, in hexadecimal digits: a report with another one, or none, is refused
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,
    #[command(flatten)]
    release: ReleaseArguments,
}

/// The release that a report may be about.
#[derive(clap::Args, Clone, Debug)]
struct ReleaseArguments {
    /// Envelope of the release: `show` says whether the report is about it, `verify` refuses one about another
    #[arg(long, value_name = "R.suit")]
    release: Option<PathBuf>,
}

#[derive(Clone, Debug)]
struct Nonce(Vec<u8>);

fn nonce(text: &str) -> Result<Nonce, String> {
    let bytes = hex::decode(text).map_err(|error| error.to_string())?;
    if (MIN_REPORT_NONCE_LEN..=MAX_REPORT_NONCE_LEN).contains(&bytes.len()) {
        Ok(Nonce(bytes))
    } else {
        Err(format!("a nonce has {MIN_REPORT_NONCE_LEN} to {MAX_REPORT_NONCE_LEN} bytes"))
    }
}

#[derive(Debug, Serialize)]
pub struct Reported {
    verified: bool,
    /// kid of the key that the container names; of the key, if it is verified.
    device_key: Option<String>,
    nonce: Option<String>,
    /// Whether the nonce is that of the question.
    fresh: bool,
    /// Of the manifest; `None` if none authenticated.
    manifest_digest: Option<String>,
    outcome: &'static str,
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Refusal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<ReleaseView>,
    /// The whole of it.
    contents: OutlineView,
}

/// Why nothing came of it, and where.
#[derive(Debug, Serialize)]
struct Refusal {
    /// Of docs/errors.md, if the device is of this project.
    reason: Option<&'static str>,
    result_code: i64,
    /// Number of SUIT_Report_Reasons.
    suit_reason: i64,
    section: i64,
    offset: u64,
    component: u64,
}

/// The release at hand.
#[derive(Debug, Serialize)]
struct ReleaseView {
    envelope: PathBuf,
    /// Whether the report is about it.
    is_meant: bool,
    sequence: u64,
    version: Option<String>,
}

impl Show {
    pub fn run(&self, output: Output) -> Result<Reported, Error> {
        let file = read(&self.report, MAX_REPORT_FILE_LEN)?;
        let refused = |error| Error::refused_report(&self.report, error);
        let (kid, report) = show_report(&file).map_err(refused)?;
        output.warn("nothing was verified: whoever had the file may have written it");
        Reported { verified: false, ..Reported::of(&report, kid.as_ref()) }.beside(&report, &self.release)
    }
}

impl Verify {
    pub fn run(&self, output: Output) -> Result<Reported, Error> {
        let file = read(&self.report, MAX_REPORT_FILE_LEN)?;
        let (kid, key) = self.key()?;
        let nonce = self.nonce.as_ref().map(|nonce| nonce.0.as_slice());
        let report = open_report(&file, &kid, &key, nonce).map_err(|error| match error {
            ReportError::Refused(error) if is_of_key(error.reason()) => Error::ReportKey {
                path: self.report.clone(),
                reason: error.reason(),
                position: error.position,
                is_derived: self.block.is_none(),
            },
            ReportError::Refused(error) => Error::refused_report(&self.report, error),
            ReportError::Nonce => Error::refused(&self.report, error.reason(), 0),
        })?;
        if nonce.is_none() {
            output.warn("the report may be an old one: --nonce says which question it has to answer");
        }
        let fresh = nonce.is_some();
        let reported = Reported { verified: true, fresh, ..Reported::of(&report, Some(&kid)) }
            .beside(&report, &self.release)?;
        match &reported.release {
            Some(release) if !release.is_meant => Err(Error::OtherRelease {
                report: self.report.clone(),
                envelope: release.envelope.clone(),
                manifest: reported.manifest_digest,
            }),
            _ => Ok(reported),
        }
    }

    /// The authentication key of the device.
    fn key(&self) -> Result<(Kid, Zeroizing<[u8; 32]>), Error> {
        if let Some(block) = &self.block {
            let device = ProvisionedDevice::open(block)?;
            let (kid, key) = device.keys().authentication().ok_or_else(|| {
                Error::usage(format!("the block {} has no authentication key", block.display()))
            })?;
            return Ok((*kid, Zeroizing::new(*key)));
        }
        let keys = self.master.open()?.ok_or(Error::Internal("no master key was asked for"))?;
        let serials = self.serial.as_slice();
        let device = wanted(serials, self.devices.as_deref())?;
        let device = device.first().ok_or(Error::Internal("no device was asked for"))?;
        let derived = device.key(&keys, Purpose::Authentication)?;
        let key = derived.bytes.as_slice().try_into().map(Zeroizing::new);
        Ok((derived.kid, key.map_err(|_| Error::Internal("an authentication key has another length"))?))
    }
}

/// Whether another key at hand may be why.
fn is_of_key(reason: Reason) -> bool {
    [Reason::DeviceKeyUnknown, Reason::MacInvalid].contains(&reason)
}

impl Reported {
    fn of(report: &ReportTree<'_>, kid: Option<&Kid>) -> Self {
        let refusal = match &report.result {
            ReportResult::Other { code, record, reason } if report.outcome() == ReportOutcome::Refused => {
                Some(Refusal {
                    reason: report.reason().map(|reason| reason.slug()),
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
            verified: false,
            device_key: kid.map(|kid| kid_text(*kid)),
            nonce: report.nonce.map(hex::encode),
            fresh: false,
            manifest_digest: report.manifest_digest().map(hex::encode),
            outcome: report.outcome().name(),
            summary: report.summary(),
            refusal,
            release: None,
            contents: report.outline().into(),
        }
    }

    /// Says whether it is about the release at hand.
    fn beside(mut self, report: &ReportTree<'_>, arguments: &ReleaseArguments) -> Result<Self, Error> {
        let Some(path) = &arguments.release else { return Ok(self) };
        let envelope = read(path, MAX_ENVELOPE_FILE_LEN)?;
        let inspection = inspect(&envelope).map_err(|error| Error::refused_manifest(path, error))?;
        let is_meant = report.digest.algorithm() == DigestAlgorithm::Sha256
            && report.digest.bytes() == inspection.digest().as_slice();
        let manifest = inspection.manifest();
        self.release = Some(ReleaseView {
            envelope: path.clone(),
            is_meant,
            sequence: manifest.sequence_number(),
            version: manifest.version_text().map(str::to_owned),
        });
        Ok(self)
    }
}

impl Printed for Reported {
    fn lines(&self) -> String {
        let none = || "none".to_owned();
        let mut rows = vec![
            ("verified", if self.verified { "yes" } else { "NO" }.to_owned()),
            ("device key", self.device_key.clone().unwrap_or_else(none)),
            ("nonce", self.nonce.clone().unwrap_or_else(none)),
            (
                "manifest",
                self.manifest_digest.clone().unwrap_or_else(|| "none that authenticated".to_owned()),
            ),
            ("result", self.summary.clone()),
        ];
        if let Some(release) = &self.release {
            let ReleaseView { envelope, is_meant, sequence, version } = release;
            let name = envelope.display();
            rows.push((
                "release",
                if *is_meant {
                    format!("{name}: {}, sequence {sequence}", version.as_deref().unwrap_or("no version"))
                } else {
                    format!("the report is NOT about {name}")
                },
            ));
        }
        let mut lines = vec![table(&rows)];
        self.contents.rows(0, &mut lines);
        lines.join("\n")
    }
}
