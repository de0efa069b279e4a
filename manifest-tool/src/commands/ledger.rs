//! `ledger`: the record of what a key signed (docs/ledger.md).

mod compare;
mod export;
mod finish;
mod import;
mod init;
mod note;
pub mod show;

pub(crate) use show::{EntryView, KeyView, entries, keys};

use std::path::{Path, PathBuf};

use clap::Subcommand;
use ledger::{Event, Ledger, Stored};

use crate::describe::kid;
use crate::error::Error;
use crate::output::{Output, Report};
use crate::recording::ledger_folder;

/// The record of what a key signed
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Begin the ledger of a key, with the records that it signed before
    Init(Box<init::Init>),
    /// Show the keys of a ledger: who holds them, and whether they are good
    Show(show::Show),
    /// List the entries of a ledger
    List(show::List),
    /// Verify a ledger, and compare it with another copy
    Verify(compare::Verify),
    /// Compare two copies of a ledger
    Diff(compare::Diff),
    /// Join another copy that went on by itself
    Merge(compare::Merge),
    /// Write the entries as a table, or a record as a file
    Export(export::Export),
    /// Record that somebody else holds a key, or that it is kept elsewhere
    Note(note::Note),
    /// Record the head of another ledger, or the newest list of a server
    Import(import::Import),
    /// Sign what was begun, and the head
    Finish(finish::Finish),
    /// Give up what was begun
    Void(finish::Void),
}

impl Command {
    pub fn run(&self, output: Output) -> Result<(), Error> {
        fn report(output: Output, result: Result<impl Report, Error>) -> Result<(), Error> {
            output.result(&result?)
        }
        match self {
            Self::Init(command) => report(output, command.run()),
            Self::Show(command) => report(output, command.run()),
            Self::List(command) => report(output, command.run()),
            Self::Verify(command) => report(output, command.run()),
            Self::Diff(command) => report(output, command.run()),
            Self::Merge(command) => report(output, command.run()),
            Self::Export(command) => report(output, command.run()),
            Self::Note(command) => report(output, command.run()),
            Self::Import(command) => report(output, command.run()),
            Self::Finish(command) => report(output, command.run()),
            Self::Void(command) => report(output, command.run()),
        }
    }
}

/// Which ledger.
#[derive(clap::Args, Clone, Debug)]
struct FolderArguments {
    /// Ledger [env: ANCHORAGE_LEDGER]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl FolderArguments {
    fn path(&self) -> Result<PathBuf, Error> {
        ledger_folder(self.folder.as_deref())
            .ok_or_else(|| Error::usage("pass the folder of the ledger, or set ANCHORAGE_LEDGER"))
    }

    fn read(&self) -> Result<Ledger, Error> {
        Ok(Ledger::open(&self.path()?)?)
    }
}

/// What an entry is about, in a line.
fn subject(event: &Event) -> String {
    match event {
        Event::Open(open) => format!("{} ({})", open.name, open.kid),
        Event::Credential(entry) => {
            let facts = &entry.facts;
            format!("{} ({}), {}, generation {}", facts.name, facts.kid, facts.role, facts.generation)
        }
        Event::RevocationList(entry) => {
            let reason = entry.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("list {}, {} revoked{reason}", entry.facts.sequence, entry.facts.revoked.len())
        }
        Event::Succession(entry) => {
            let facts = &entry.facts;
            let number = format!("{}.{}", facts.recovery_epoch, facts.succession_sequence);
            format!("{} ({}) is root {number} of {}", facts.name, facts.kid, facts.domain)
        }
        Event::Ceremony(entry) => {
            let purpose = entry.purpose.as_ref().map(|purpose| format!("{purpose}, ")).unwrap_or_default();
            format!("{purpose}transcript of {} lines, {}", entry.facts.lines, entry.facts.transcript)
        }
        Event::Devices(batch) => format!("{} devices", batch.devices),
        Event::Custody(custody) => {
            format!("{} ({}): {} holds it, {}", custody.name, custody.kid, custody.holder, custody.kept)
        }
        Event::Backup(backup) => format!("{}, {}", backup.holders.join(", "), backup.kept),
        Event::BackupCheck(check) => format!("of the backup of entry {}", check.backup),
        Event::Import(ledger::Import::Ledger(head)) => {
            format!("ledger of {}, {} entries", head.kid, head.entries)
        }
        Event::Import(ledger::Import::Published { list_sequence, .. }) => {
            format!("published list {list_sequence}")
        }
        Event::Import(ledger::Import::Succession { record, .. }) => {
            match trust::read_unverified_succession(&record.0) {
                Ok(claims) => format!(
                    "{} ({}) is root {}, named by the recovery root",
                    claims.iss(),
                    kid(claims.key().kid()),
                    claims.number()
                ),
                Err(_) => "a succession".to_owned(),
            }
        }
        Event::Void(void) => format!("entry {}: {}", void.entry, void.reason),
        Event::Merge(merge) => {
            format!(
                "{} entries of another copy after entry {}: {}",
                merge.other.len(),
                merge.common,
                merge.reason
            )
        }
    }
}

/// What is to be known of an entry beside its content.
fn remark(ledger: &Ledger, stored: &Stored) -> Option<&'static str> {
    let number = stored.entry.number;
    if ledger.is_void(number) {
        Some("given up")
    } else if stored.is_unsigned() {
        Some("not signed yet")
    } else if ledger.uncovered().iter().any(|later| later.entry.number == number) {
        Some("not under a signed head yet")
    } else if stored.entry.unwitnessed {
        Some("unwitnessed")
    } else {
        None
    }
}

/// The folder as a file name in words.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
