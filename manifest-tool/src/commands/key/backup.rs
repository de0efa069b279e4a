//! `key backup`: an encrypted copy of a private key, or shares of it; the ledger keeps who has them.

use std::path::PathBuf;

use ledger::{BackupKind, Event, Hex};
use serde::Serialize;
use trust::author::Signer as _;

use super::Protection;
use crate::commands::{PassphraseArguments, location, name};
use crate::describe::kid;
use crate::error::Error;
use crate::files::{make_folder, must_be_absent, write_secret};
use crate::keys::{Location, Place};
use crate::output::{Report, table, warning};
use crate::passphrase::PassphraseSource;
use crate::private_key;
use crate::recording::{LedgerArguments, Recorder};
use crate::shares::page;
use crate::shares::{MAX_SHARES, MIN_THRESHOLD, Share, split};
use crate::time::{IssueTime, display};

/// Make an encrypted copy of a private key, or shares of it
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("form").required(true))]
pub struct Backup {
    /// Private key in a file; it stays as it is
    #[arg(value_name = "KEY", value_parser = location())]
    key: Location,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    /// Encrypted copy to write, under a passphrase of its own (mode 0600); must not exist
    #[arg(long, value_name = "NEW", group = "form")]
    copy: Option<PathBuf>,
    /// File whose first line is the passphrase of the copy [default: prompt]
    #[arg(long, value_name = "FILE", requires = "copy", conflicts_with = "shares")]
    new_passphrase_file: Option<PathBuf>,
    /// Accept a weak passphrase for the copy; for tests only
    #[arg(long, requires = "copy", conflicts_with = "shares")]
    weak_passphrase: bool,
    /// Number of shares to make, at most 16
    #[arg(long, value_name = "N", group = "form", requires = "threshold", requires = "out_dir",
          value_parser = clap::value_parser!(u8).range(i64::from(MIN_THRESHOLD)..=i64::from(MAX_SHARES)))]
    shares: Option<u8>,
    /// Number of shares that make the key again, at least 2
    #[arg(long, value_name = "M", requires = "shares", conflicts_with = "copy",
          value_parser = clap::value_parser!(u8).range(i64::from(MIN_THRESHOLD)..=i64::from(MAX_SHARES)))]
    threshold: Option<u8>,
    /// Folder for the pages of the shares (HTML to print, and text; mode 0600); none may exist
    #[arg(long, value_name = "DIR", requires = "shares", conflicts_with = "copy")]
    out_dir: Option<PathBuf>,
    /// Name of the key on the pages [default: that of the ledger]
    #[arg(long, requires = "shares", conflicts_with = "copy", value_parser = name())]
    name: Option<String>,
    /// Who keeps the copy, or a share; once a share (repeatable)
    #[arg(long = "holder", value_name = "PERSON", value_parser = name())]
    holders: Vec<String>,
    /// Where the backup is kept, in words, for the ledger
    #[arg(long, value_name = "TEXT")]
    kept: Option<String>,
    #[command(flatten)]
    ledger: LedgerArguments,
    #[command(flatten)]
    time: IssueTime,
}

#[derive(Debug, Serialize)]
pub struct BackedUp {
    kid: String,
    form: BackupKind,
    files: Vec<PathBuf>,
    holders: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_entry: Option<u64>,
}

impl Backup {
    pub fn run(&self) -> Result<BackedUp, Error> {
        let Place::File(key_path) = self.key.place()? else {
            return Err(Error::usage(
                "only a key in a file is copied; back up a token with the means of its maker, as a second token",
            ));
        };
        let mut form = self.form()?;
        let mut recorder = self.ledger.open(Some(&key_path), &[("--kept", self.kept.is_some())])?;
        self.check_holders(form, &recorder)?;
        let now = recorder.time(self.time, None)?;
        let outputs = self.outputs();
        outputs.iter().try_for_each(|path| must_be_absent(path))?;

        let (seed, key) = private_key::open_seed(&key_path, &self.passphrase.source())?;
        recorder.check(&key.public_key())?;
        self.out_dir.as_deref().map_or(Ok(()), make_folder)?;
        match &self.copy {
            Some(copy) => {
                let protection = Protection::encrypted(self.weak_passphrase);
                let source = PassphraseSource::of_new(self.new_passphrase_file.clone());
                private_key::restore(
                    copy,
                    &seed,
                    protection.with(&source),
                    private_key::Derivation::default(),
                )?;
            }
            None => {
                let (threshold, count) =
                    (self.threshold.unwrap_or_default(), self.shares.unwrap_or_default());
                let shares = split(&seed, &key.public_key(), threshold, count)?;
                self.write_pages(&shares, &recorder, display(now))?;
                if let BackupKind::Shares { split, .. } = &mut form {
                    *split = shares.first().map(|share| Hex(share.split()));
                }
            }
        }
        let mut ledger_entry = None;
        if recorder.ledger().is_some() {
            let backup = ledger::Backup {
                form,
                holders: self.holders.clone(),
                kept: self.kept.clone().unwrap_or_default(),
            };
            recorder.note(Event::Backup(backup), now)?;
            ledger_entry = recorder.close(now, &key)?;
        } else {
            self.ledger.warn_without(&recorder, "backup");
        }
        Ok(BackedUp {
            kid: kid(key.public_key().kid()),
            form,
            files: outputs,
            holders: self.holders.clone(),
            ledger_entry,
        })
    }

    fn form(&self) -> Result<BackupKind, Error> {
        match (self.shares, self.threshold) {
            (Some(shares), Some(threshold)) if threshold > shares => Err(Error::usage(format!(
                "--threshold {threshold} is above --shares {shares}: the key could never be made again"
            ))),
            (Some(shares), Some(threshold)) => Ok(BackupKind::Shares { threshold, shares, split: None }),
            _ => Ok(BackupKind::Copy),
        }
    }

    /// Each backup that a ledger records is with somebody; shares that one person has are no shares.
    fn check_holders(&self, form: BackupKind, recorder: &Recorder) -> Result<(), Error> {
        let (wanted, threshold) = match form {
            BackupKind::Copy => (1, 2),
            BackupKind::Shares { threshold, shares, .. } => (usize::from(shares), usize::from(threshold)),
        };
        let given = self.holders.len();
        if given != wanted && (given > 0 || recorder.ledger().is_some()) {
            return Err(Error::usage(format!("--holder is given {given} times, and {wanted} are needed")));
        }
        if recorder.ledger().is_some() && self.kept.is_none() {
            return Err(Error::usage("--kept is required with a ledger"));
        }
        for holder in &self.holders {
            if self.holders.iter().filter(|other| *other == holder).count() >= threshold {
                warning(&format!("{holder} gets enough shares to make the key alone"));
                break;
            }
        }
        Ok(())
    }

    fn outputs(&self) -> Vec<PathBuf> {
        let pages = self
            .out_dir
            .iter()
            .flat_map(|folder| page::files(folder, self.shares.unwrap_or_default().into()));
        self.copy.iter().cloned().chain(pages).collect()
    }

    fn write_pages(&self, shares: &[Share], recorder: &Recorder, made: String) -> Result<(), Error> {
        let name = self.name.as_deref().or(recorder.ledger().map(|ledger| ledger.opened().name.as_str()));
        let holders: Vec<Option<&str>> = self
            .holders
            .iter()
            .map(|holder| Some(holder.as_str()))
            .chain(std::iter::repeat(None))
            .take(shares.len())
            .collect();
        let pages = page::all(shares, name.unwrap_or("private key"), &holders, &made)?;
        let outputs = self.outputs();
        outputs.iter().zip(&pages).try_for_each(|(path, page)| write_secret(path, page.as_bytes()))
    }
}

/// A form of backup in words.
pub(crate) fn form_name(form: BackupKind) -> String {
    match form {
        BackupKind::Copy => "encrypted copy".to_owned(),
        BackupKind::Shares { threshold, shares, .. } => {
            format!("{shares} shares, of which {threshold} make the key")
        }
    }
}

impl Report for BackedUp {
    fn lines(&self) -> String {
        let mut rows = vec![("backup of", self.kid.clone()), ("form", form_name(self.form))];
        rows.extend(self.files.iter().map(|file| ("written", file.display().to_string())));
        rows.extend(self.holders.iter().map(|holder| ("kept by", holder.clone())));
        rows.extend(self.ledger_entry.map(|entry| ("entry of the ledger", entry.to_string())));
        let next = match self.form {
            BackupKind::Copy => "key backup-check --copy proves it, once a year",
            BackupKind::Shares { .. } => {
                "print each page, hand it over, and delete the files; key backup-check proves them, once a year"
            }
        };
        rows.push(("to be done", next.to_owned()));
        table(&rows)
    }
}
