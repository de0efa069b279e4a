//! `ledger finish` and `ledger void`: what was begun is signed, or given up.

use std::path::PathBuf;

use ledger::Writer;
use serde::Serialize;

use super::{FolderArguments, subject};
use crate::commands::SigningKeyArguments;
use crate::error::Error;
use crate::files::{check_outputs, existing, write};
use crate::output::{Report, table};
use crate::recording::{EntryArguments, close, last_time};
use crate::time::IssueTime;

/// Sign what was begun, and the head
#[derive(clap::Args, Clone, Debug)]
pub struct Finish {
    #[command(flatten)]
    ledger: FolderArguments,
    #[command(flatten)]
    key: SigningKeyArguments,
    /// File for the record
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file of --out
    #[arg(long, requires = "out")]
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
        if let Some(out) = &self.out {
            self.key.must_differ_from(out, &[])?;
            check_outputs(&[out], replacing)?;
        }
        let signer = self.key.open()?;
        writer.check_key(&signer.public_key())?;
        let mut entry = None;
        if begun.is_some() {
            let (number, unsigned) = writer.begun()?;
            let record =
                unsigned.sign(signer.as_ref()).map_err(|error| Error::author("the record", None, error))?;
            writer.finish(&record)?;
            entry = Some(number);
        }
        close(&mut writer, now, signer.as_ref())?;
        let record = entry.and_then(|number| writer.ledger().entry(number)?.record.clone());
        if let (Some(out), Some(record)) = (&self.out, &record) {
            write(out, record, replacing)?;
        }
        Ok(Finished {
            entry,
            subject: begun,
            out: self.out.clone(),
            covered: writer.ledger().entries().len() as u64,
        })
    }
}

impl Report for Finished {
    fn lines(&self) -> String {
        let signed = match (self.entry, &self.subject) {
            (Some(entry), Some(subject)) => format!("entry {entry}: {subject}"),
            _ => "nothing was begun".to_owned(),
        };
        let mut rows = vec![("signed", signed), ("head covers", format!("{} entries", self.covered))];
        rows.extend(self.out.as_ref().map(|out| ("record", out.display().to_string())));
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
