//! `key recover` and `key backup-check`: a backup is made a key again, and proved to be the one that is meant. The check
//! writes no key.

use std::path::PathBuf;

use ledger::{BackupKind, Event, Hex, Ledger};
use serde::Serialize;
use trust::PublicKey;
use trust::author::{Signer as _, SoftwareKey};
use zeroize::Zeroizing;

use super::Protection;
use super::backup::form_name;
use crate::commands::PassphraseArguments;
use crate::describe::kid;
use crate::error::Error;
use crate::files::{must_be_absent, read_secret};
use crate::output::{Report, table, warning};
use crate::passphrase::{PassphraseSource, prompt};
use crate::recording::LedgerArguments;
use crate::shares::page::{MAX_PAGE_LEN, WORDS_A_LINE};
use crate::shares::{SHARE_WORDS, Share, ShareFault, check_together, combine, of_file};
use crate::time::IssueTime;
use crate::wordlist::index_of;
use crate::{private_key, public_key};

/// How often a typed share is asked for when its checksum does not hold.
const TRIES: usize = 3;

type Seed = Zeroizing<[u8; 32]>;

/// Which backup.
#[derive(clap::Args, Clone, Debug)]
#[group(id = "from", required = true, multiple = false)]
struct Source {
    /// Share: its page, or a file with its words or with the text of its QR code (repeatable)
    #[arg(long = "share", value_name = "FILE")]
    shares: Vec<PathBuf>,
    /// Type the words of the shares; four letters of each are enough
    #[arg(long = "type")]
    typed: bool,
    /// Encrypted copy
    #[arg(long, value_name = "FILE")]
    copy: Option<PathBuf>,
}

impl Source {
    /// The key, and the shares of which it was made, if it was.
    ///
    /// `is_proof`: a page has to be good for whoever types its words, too.
    fn open(
        &self,
        passphrase: &PassphraseArguments,
        is_proof: bool,
    ) -> Result<(Seed, SoftwareKey, Vec<Share>), Error> {
        if passphrase.is_given() && self.copy.is_none() {
            return Err(Error::usage("--passphrase-file is for --copy"));
        }
        if let Some(copy) = &self.copy {
            let (seed, key) = private_key::open_seed(copy, &passphrase.source())?;
            return Ok((seed, key, Vec::new()));
        }
        let (shares, names) = if self.typed { typed()? } else { self.files(is_proof)? };
        check_together(&shares).map_err(|(place, fault)| Error::Share {
            name: names.get(place).cloned().unwrap_or_default(),
            fault,
        })?;
        let (seed, key) = combine(&shares).map_err(Error::Shares)?;
        Ok((seed, key, shares))
    }

    fn files(&self, is_proof: bool) -> Result<(Vec<Share>, Vec<String>), Error> {
        let read = |path: &PathBuf| {
            let page = read_secret(path, MAX_PAGE_LEN)?;
            let share = Share::parse(&page).map_err(|fault| of_file(path, fault))?;
            match share.check_words(&page) {
                Err(fault) if is_proof => return Err(of_file(path, fault)),
                Err(fault) => warning(&format!("{}: {fault}", path.display())),
                Ok(()) => {}
            }
            Ok((share, path.display().to_string()))
        };
        self.shares.iter().map(read).collect()
    }
}

/// Shares at the terminal, a line of the page at a time, until there are enough.
fn typed() -> Result<(Vec<Share>, Vec<String>), Error> {
    let (mut shares, mut names) = (Vec::new(), Vec::new());
    let mut wanted = 1;
    while shares.len() < wanted {
        let name = format!("share {} of those that you type", shares.len() + 1);
        let share = typed_share(&name)?;
        wanted = share.threshold().into();
        shares.push(share);
        names.push(name);
    }
    Ok((shares, names))
}

fn typed_share(name: &str) -> Result<Share, Error> {
    let mut last = ShareFault::Text;
    for _ in 0..TRIES {
        let mut lines = Vec::new();
        for first in (1..=SHARE_WORDS).step_by(WORDS_A_LINE) {
            lines.push(typed_line(name, first)?);
        }
        let words: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
        match Share::from_words(&words) {
            Ok(share) => return Ok(share),
            Err(fault) => warning(&format!("{name}: {fault}; type it again")),
        }
        last = ShareFault::Checksum;
    }
    Err(Error::Share { name: name.to_owned(), fault: last })
}

/// One line of the page. A word that is not in the list is found at once.
fn typed_line(name: &str, first: usize) -> Result<Zeroizing<String>, Error> {
    loop {
        let line = prompt(format!("Words {first} to {} of {name}: ", first + WORDS_A_LINE - 1))?;
        let words = line.split_whitespace();
        if words.clone().count() == 0 {
            return Err(Error::Share { name: name.to_owned(), fault: ShareFault::Words(first - 1) });
        }
        match words.clone().position(|word| index_of(word).is_none()) {
            Some(place) => {
                warning(&format!("word {} is not in the list of words; type this line again", first + place));
            }
            None if words.count() == WORDS_A_LINE => return Ok(line),
            None => warning(&format!("a line has {WORDS_A_LINE} words; type it again")),
        }
    }
}

/// The key that was made again is the one that is meant.
fn check_key(found: &PublicKey, wanted: &PublicKey) -> Result<(), Error> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::BackupOfAnotherKey { found: kid(found.kid()), wanted: kid(wanted.kid()) })
}

/// Make a private key again, from shares or an encrypted copy
#[derive(clap::Args, Clone, Debug)]
pub struct Recover {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    /// Public key that it must be; shares name eight bytes of its digest themselves
    #[arg(long, value_name = "PUBLIC")]
    public: Option<PathBuf>,
    /// Private key to write (PKCS#8 PEM, mode 0600); must not exist
    #[arg(long, value_name = "KEY.pem")]
    out: PathBuf,
    /// File whose first line is the new passphrase [default: prompt]
    #[arg(long, value_name = "FILE", conflicts_with = "no_passphrase")]
    new_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    protection: Protection,
}

#[derive(Debug, Serialize)]
pub struct Recovered {
    private_key: PathBuf,
    kid: String,
    public_key: String,
    encrypted: bool,
    /// Whether the public key was compared with one from elsewhere.
    compared: bool,
}

impl Recover {
    pub fn run(&self) -> Result<Recovered, Error> {
        must_be_absent(&self.out)?;
        let wanted = self.public.as_deref().map(public_key::open).transpose()?;
        let (seed, key, _) = self.source.open(&self.passphrase, false)?;
        let public = key.public_key();
        if let Some(wanted) = &wanted {
            check_key(&public, wanted)?;
        }
        let new = PassphraseSource::of_new(self.new_passphrase_file.clone());
        let protection = self.protection.with(&new);
        private_key::restore(&self.out, &seed, protection, self.protection.derivation.unwrap_or_default())?;
        Ok(Recovered {
            private_key: self.out.clone(),
            kid: kid(public.kid()),
            public_key: hex::encode(public.as_bytes()),
            encrypted: protection.is_some(),
            compared: wanted.is_some(),
        })
    }
}

impl Report for Recovered {
    fn lines(&self) -> String {
        let compared = if self.compared { "" } else { "; NOT compared with a public key (--public)" };
        table(&[
            ("private key", self.private_key.display().to_string()),
            ("encrypted", if self.encrypted { "yes" } else { "NO" }.to_owned()),
            ("kid", format!("{}{compared}", self.kid)),
        ])
    }
}

/// Prove that a backup holds a key, without writing the key
#[derive(clap::Args, Clone, Debug)]
pub struct BackupCheck {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    /// Public key that it must be [default: that of the ledger]
    #[arg(long, value_name = "PUBLIC")]
    public: Option<PathBuf>,
    #[command(flatten)]
    ledger: LedgerArguments,
    /// Entry of the backup in the ledger [default: the newest of this form]
    #[arg(long, value_name = "N")]
    entry: Option<u64>,
    #[command(flatten)]
    time: IssueTime,
}

#[derive(Debug, Serialize)]
pub struct Checked {
    kid: String,
    /// Entry of the backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_entry: Option<u64>,
}

impl BackupCheck {
    pub fn run(&self) -> Result<Checked, Error> {
        let mut recorder = self.ledger.open(None, &[("--entry", self.entry.is_some())])?;
        let wanted = match (&self.public, recorder.ledger()) {
            (Some(path), _) => public_key::open(path)?,
            (None, Some(ledger)) => *ledger.key(),
            (None, None) => return Err(Error::usage("--public is required without a ledger")),
        };
        recorder.check(&wanted)?;
        let now = recorder.time(self.time, None)?;
        let (_, key, shares) = self.source.open(&self.passphrase, true)?;
        check_key(&key.public_key(), &wanted)?;
        let kid = kid(wanted.kid());
        let Some(ledger) = recorder.ledger() else {
            self.ledger.warn_without(&recorder, "check of a backup");
            return Ok(Checked { kid, backup: None, ledger_entry: None });
        };
        let backup = self.backup(ledger, shares.first())?;
        let entry = recorder.note(Event::BackupCheck(ledger::BackupCheck { backup }), now)?;
        Ok(Checked { kid, backup: Some(backup), ledger_entry: Some(entry) })
    }

    /// The entry of the backup that was checked.
    fn backup(&self, ledger: &Ledger, share: Option<&Share>) -> Result<u64, Error> {
        let is_of_form = |form: BackupKind| match (form, share) {
            (BackupKind::Copy, None) => true,
            (BackupKind::Shares { threshold, split, .. }, Some(share)) => {
                threshold == share.threshold() && split.is_none_or(|split| split.0 == share.split())
            }
            _ => false,
        };
        let mut found = ledger.entries().iter().rev().filter_map(|stored| match &stored.entry.event {
            Event::Backup(backup) if is_of_form(backup.form) => Some(stored.entry.number),
            _ => None,
        });
        let found = match self.entry {
            Some(entry) => found.find(|number| *number == entry),
            None => found.next(),
        };
        found.ok_or_else(|| {
            let form = match share {
                None => form_name(BackupKind::Copy),
                Some(share) => {
                    let split = hex::encode(share.split());
                    format!("shares of the split {split}, of which {} make the key", share.threshold())
                }
            };
            Error::usage(format!(
                "the ledger of {} has no entry of such a backup ({form}): key backup writes one",
                Hex(ledger.key().kid().0)
            ))
        })
    }
}

impl Report for Checked {
    fn lines(&self) -> String {
        let mut rows = vec![("backup holds", self.kid.clone()), ("written", "nothing".to_owned())];
        if let (Some(backup), Some(entry)) = (self.backup, self.ledger_entry) {
            rows.pop();
            rows.push(("backup of entry", backup.to_string()));
            rows.push(("entry of the ledger", format!("{entry}, which the key signs at its next use")));
        }
        table(&rows)
    }
}
