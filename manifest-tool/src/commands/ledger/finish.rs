//! `ledger finish` and `ledger void`: what was begun is signed, or given up.

use std::path::PathBuf;

use indicatif::ProgressBar;
use ledger::Writer;
use serde::Serialize;

use super::{FolderArguments, subject};
use crate::commands::SigningKeyArguments;
use crate::error::Error;
use crate::files::{check_outputs, existing, write};
use crate::kind::Kind;
use crate::output::{Report, table};
use crate::recording::{EntryArguments, close_by, finish_devices, last_time};
use crate::time::IssueTime;
use crate::two_steps::{Hand, ToBeSigned, TwoStepArguments};

/// Sign what was begun, and the head
#[derive(clap::Args, Clone, Debug)]
pub struct Finish {
    #[command(flatten)]
    ledger: FolderArguments,
    #[command(flatten)]
    key: SigningKeyArguments,
    /// File for the record
    #[arg(long, value_name = "FILE", conflicts_with = "tbs_out")]
    out: Option<PathBuf>,
    #[command(flatten)]
    two_steps: TwoStepArguments,
    /// Replace the file of --out or --tbs-out
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    time: IssueTime,
}

#[derive(Debug, Serialize)]
pub struct Finished {
    /// The entry that was begun, if one was.
    entry: Option<u64>,
    subject: Option<String>,
    out: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_be_signed: Option<ToBeSigned>,
    /// Entries under the signed head.
    covered: u64,
}

impl Finish {
    pub fn run(&self) -> Result<Finished, Error> {
        let mut writer = Writer::open(&self.ledger.path()?)?;
        let now = self.time.after(last_time(writer.ledger()))?;
        let begun = writer.ledger().begun().map(|stored| subject(&stored.entry.event));
        if self.out.is_some() && begun.is_none() {
            return Err(ledger::Error::NothingBegun.into());
        }
        let replacing = existing(self.force);
        if self.force && self.out.is_none() && !self.two_steps.is_given() {
            return Err(Error::usage("--force requires --out or --tbs-out"));
        }
        let kind = writer.begun().ok().map(|(_, unsigned)| Kind::from(unsigned.kind()));
        let to_be_signed = self.two_steps.outputs();
        let outputs = self.out.iter().map(|out| (out, kind));
        let outputs = outputs.chain(to_be_signed.iter().map(|out| (out, None)));
        for (out, kind) in outputs {
            self.key.must_differ_from(out, &[])?;
            check_outputs(&[(out, kind)], replacing)?;
        }
        let hand = self.two_steps.open(&self.key)?;
        writer.check_key(&hand.public_key())?;
        let mut entry = None;
        let mut to_be_signed = None;
        let is_batch = writer.begun_devices().is_ok();
        match (&hand, begun.is_some()) {
            (Hand::Now(signer), true) if is_batch => {
                entry = Some(finish_devices(&mut writer, signer.as_ref(), &ProgressBar::hidden())?.0);
            }
            (Hand::Later(_), true) if is_batch => {
                return Err(Error::usage("--tbs-out takes one record; a batch of devices has one for each"));
            }
            (Hand::Now(signer), true) => {
                let (number, unsigned) = writer.begun()?;
                let made = |error| Error::author("the record", None, error);
                let record = unsigned.sign(signer.as_ref()).map_err(made)?;
                writer.finish(&record)?;
                entry = Some(number);
            }
            (Hand::Later(later), true) => {
                let (number, unsigned) = writer.begun()?;
                let rows = [("entry of the ledger", number.to_string())];
                let rows = rows.into_iter().chain(begun.clone().map(|begun| ("about", begun)));
                to_be_signed = Some(later.write_record(
                    &unsigned,
                    Some(writer.ledger()),
                    &rows.collect::<Vec<_>>(),
                    replacing,
                )?);
            }
            (_, false) => {}
        }
        if to_be_signed.is_none() {
            to_be_signed = close_by(&mut writer, now, &hand, replacing)?;
        }
        let record = entry.and_then(|number| writer.ledger().entry(number)?.record.clone());
        if let (Some(out), Some(record)) = (&self.out, &record) {
            write(out, record, replacing)?;
        }
        Ok(Finished {
            entry,
            subject: begun,
            out: self.out.clone(),
            to_be_signed,
            covered: writer.ledger().head().map_or(0, |signed| signed.head.entries),
        })
    }
}

impl Report for Finished {
    fn lines(&self) -> String {
        let signed = match (self.entry, &self.subject) {
            (Some(entry), Some(subject)) => format!("entry {entry}: {subject}"),
            (None, Some(subject)) => format!("nothing yet; to be signed: {subject}"),
            _ => "nothing was begun".to_owned(),
        };
        let mut rows = vec![("signed", signed), ("head covers", format!("{} entries", self.covered))];
        match (&self.out, self.entry) {
            (Some(out), _) => rows.push(("record", out.display().to_string())),
            (None, Some(entry)) => {
                let export =
                    format!("in the ledger: manifest-tool ledger export DIR --entry {entry} --out FILE");
                rows.push(("record", export));
            }
            (None, None) => {}
        }
        rows.extend(self.to_be_signed.iter().flat_map(ToBeSigned::rows));
        table(&rows)
    }
}

/// Give up what was begun
#[derive(clap::Args, Clone, Debug)]
pub struct Void {
    #[command(flatten)]
    ledger: FolderArguments,
    #[command(flatten)]
    entry: EntryArguments,
}

#[derive(Debug, Serialize)]
pub struct Voided {
    entry: u64,
    given_up: String,
}

impl Void {
    pub fn run(&self) -> Result<Voided, Error> {
        let mut writer = Writer::open(&self.ledger.path()?)?;
        let begun = writer.ledger().begun().ok_or(ledger::Error::NothingBegun)?;
        let given_up = format!("entry {}: {}", begun.entry.number, subject(&begun.entry.event));
        let context = self.entry.context(&[writer.ledger()])?;
        let entry = writer.void(self.entry.reason(), &context)?;
        Ok(Voided { entry, given_up })
    }
}

impl Report for Voided {
    fn lines(&self) -> String {
        table(&[("given up", self.given_up.clone()), ("entry of the ledger", self.entry.to_string())])
    }
}
