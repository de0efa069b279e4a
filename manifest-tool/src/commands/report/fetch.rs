//! `report fetch`: what a device said to whoever stood beside it comes from the server to the desk of who made it.

use std::path::PathBuf;

use serde::Serialize;
use suit_manifest::report::show_report;
use trust::UnixTime;
use trust::host::Serial;

use crate::describe::kid;
use crate::error::Error;
use crate::files::{existing, holds, make_folder, write};
use crate::identifiers::device_serial;
use crate::output::{Output, Report, progress_bar, table};
use crate::server::{ServerPlace, StoredReport};
use crate::time;

/// Digits of the digest in the name of a file.
const NAME_LEN: usize = 16;

/// Fetch the reports of a device from a server, without verifying them
#[derive(clap::Args, Clone, Debug)]
pub struct Fetch {
    #[command(flatten)]
    server: ServerPlace,
    /// Serial of the device
    #[arg(long, value_name = "SERIAL", value_parser = device_serial)]
    serial: Serial,
    /// Folder for the reports, one file each; those that are there already stay
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
}

#[derive(Debug, Serialize)]
pub struct Fetched {
    serial: String,
    out_dir: PathBuf,
    /// Files that were not there before.
    new: usize,
    /// The last received first.
    reports: Vec<FetchedReport>,
}

/// A report, of which nothing is verified.
#[derive(Debug, Serialize)]
struct FetchedReport {
    file: PathBuf,
    verified: bool,
    /// Seconds since 1970, as the server says.
    received_at: u64,
    /// `None` of what does not read, and so for all that follows.
    outcome: Option<&'static str>,
    summary: Option<String>,
    device_key: Option<String>,
    nonce: Option<String>,
    manifest_digest: Option<String>,
    /// Another device of which a report names the same key, as the server says: one of the two was not said by that device.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_also_of: Option<String>,
}

impl Fetch {
    pub fn run(&self, output: Output) -> Result<Fetched, Error> {
        self.server.run(output, async |server| {
            let stored = server.reports(&self.serial).await?;
            let bar = progress_bar(stored.len() as u64, "  reports {bar:30} {pos}/{len} {eta}", output);
            let (mut new, mut reports) = (0, Vec::new());
            for report in bar.wrap_iter(stored.iter()) {
                let bytes = server.report(&self.serial, &report.digest).await?;
                let digits = report.digest.get(..NAME_LEN).unwrap_or(&report.digest);
                let file = self.out_dir.join(format!("{digits}.report"));
                if !holds(&file, &bytes)? {
                    make_folder(&self.out_dir)?;
                    write(&file, &bytes, existing(false))?;
                    new += 1;
                }
                if let Some(other) = &report.key_also_of {
                    output.warn(&format!(
                        "{} names the key of a report of {other} as well: one of the two was not said by that device",
                        file.display()
                    ));
                }
                reports.push(FetchedReport::of(file, report, &bytes));
            }
            let (serial, out_dir) = (self.serial.as_str().to_owned(), self.out_dir.clone());
            Ok(Fetched { serial, out_dir, new, reports })
        })
    }
}

impl FetchedReport {
    /// What the bytes say of themselves.
    fn of(file: PathBuf, stored: &StoredReport, bytes: &[u8]) -> Self {
        let read = show_report(bytes).ok();
        let report = read.as_ref().map(|(_, report)| report);
        Self {
            file,
            verified: false,
            received_at: stored.received_at,
            outcome: report.map(|report| report.outcome().name()),
            summary: report.map(|report| report.summary()),
            device_key: read.as_ref().and_then(|(named, _)| named.map(kid)),
            nonce: report.and_then(|report| report.nonce).map(hex::encode),
            manifest_digest: report.and_then(|report| report.manifest_digest()).map(hex::encode),
            key_also_of: stored.key_also_of.clone(),
        }
    }
}

impl Report for Fetched {
    fn lines(&self) -> String {
        let Self { serial, out_dir, new, reports } = self;
        let mut rows = vec![
            ("device", serial.clone()),
            ("reports", format!("{} in {}, {new} of them new", reports.len(), out_dir.display())),
        ];
        for FetchedReport { file, received_at, summary, nonce, .. } in reports {
            let summary = summary.as_deref().unwrap_or("it does not read as a report");
            let nonce = nonce.as_deref().unwrap_or("none");
            let received_at = time::display(UnixTime(*received_at));
            rows.push(("", format!("{} of {received_at}, nonce {nonce}: {summary}", file.display())));
        }
        rows.push((
            "verified",
            "NO: manifest-tool report verify FILE, with the key of the device".to_owned(),
        ));
        table(&rows)
    }
}
