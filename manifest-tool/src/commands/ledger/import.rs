//! `ledger import`: what somebody else reports. The head of the ledger of a key that this one certified, or the newest list
//! of a server; neither is proved to be the newest there is.

use std::path::PathBuf;

use ledger::{Continues, Event, Hex, Ledger, Writer};
use serde::Serialize;
use trust::host::read_unverified_revocation;

use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};
use crate::output::{Report, table};
use crate::recording::{ByArguments, check_published, last_time, ledger_folder};
use crate::time::IssueTime;

/// Record the head of another ledger, or the newest list of a server
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Import {
    /// Ledger [env: ANCHORAGE_LEDGER]
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
    /// Ledger of a key that the ledger's key certified; its signed head is recorded
    #[arg(value_name = "OTHER", group = "what")]
    other: Option<PathBuf>,
    /// Newest list of this root on the server
    #[arg(long, value_name = "FILE", group = "what")]
    published: Option<PathBuf>,
    #[command(flatten)]
    by: ByArguments,
    #[command(flatten)]
    time: IssueTime,
}

#[derive(Debug, Serialize)]
pub struct Imported {
    entry: u64,
    reported: String,
}

impl Import {
    pub fn run(&self) -> Result<Imported, Error> {
        let folder = ledger_folder(self.ledger.as_deref())
            .ok_or_else(|| Error::usage("pass --ledger, or set ANCHORAGE_LEDGER"))?;
        let mut writer = Writer::open(&folder)?;
        let now = self.time.after(last_time(writer.ledger()))?;
        let (import, reported) = match (&self.other, &self.published) {
            (Some(other), _) => head(writer.ledger(), &Ledger::open(other)?)?,
            (None, Some(path)) => {
                let list = read(path, MAX_RECORD_FILE_LEN)?;
                check_published(writer.ledger(), path, &list)?;
                let claims =
                    read_unverified_revocation(&list).map_err(|error| Error::refused_record(path, error))?;
                let list_sequence = claims.sequence();
                let digest = Hex(trust::sha256(&list));
                let import = ledger::Import::Published { list_sequence, digest };
                (import, format!("published list {list_sequence}"))
            }
            (None, None) => return Err(Error::Internal("nothing to import")),
        };
        let entry = writer.append(Event::Import(import), &self.by.context(now))?;
        Ok(Imported { entry, reported })
    }
}

/// The signed head of a ledger, which goes on from the head that was reported before.
fn head(ledger: &Ledger, other: &Ledger) -> Result<(ledger::Import, String), Error> {
    let opened = other.opened();
    let is_certified = ledger.credentials().any(|(_, entry)| entry.facts.kid == opened.kid);
    if !is_certified {
        return Err(ledger::Error::NoSuchKey(opened.kid.to_string()).into());
    }
    let signed = other.head().ok_or_else(|| {
        Error::usage(format!(
            "the ledger {} has no signed head: its key signs one with ledger finish",
            other.folder().display()
        ))
    })?;
    let new = Continues { kid: opened.kid, entries: signed.head.entries, digest: Hex(signed.head.digest) };
    let before = ledger.entries().iter().rev().find_map(|stored| match &stored.entry.event {
        Event::Import(ledger::Import::Ledger(head)) if head.kid == new.kid => Some(head),
        _ => None,
    });
    if let Some(before) = before {
        if new.entries < before.entries {
            return Err(ledger::Error::OldHead { entries: new.entries, covered: before.entries }.into());
        }
        let still = other.entry(before.entries).is_some_and(|stored| Hex(stored.digest) == before.digest);
        if !still {
            return Err(ledger::Error::OtherHistory {
                path: other.folder().to_owned(),
                entry: before.entries,
            }
            .into());
        }
    }
    let reported = format!("ledger of {} ({}), {} entries", opened.name, new.kid, new.entries);
    Ok((ledger::Import::Ledger(new), reported))
}

impl Report for Imported {
    fn lines(&self) -> String {
        table(&[
            ("reported", self.reported.clone()),
            ("entry of the ledger", format!("{}, which the key signs at its next use", self.entry)),
        ])
    }
}
