//! `ledger verify`, `ledger diff` and `ledger merge`: one copy, and two.

use std::path::PathBuf;

use ledger::{Ledger, Relation, Writer, compare};
use serde::Serialize;

use super::{FolderArguments, shown, subject};
use crate::commands::SigningKeyArguments;
use crate::custody::made_in_both_copies;
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};
use crate::output::{Report, table};
use crate::public_key;
use crate::recording::{EntryArguments, check_published, close};

/// Verify a ledger, and compare it with another copy
#[derive(clap::Args, Clone, Debug)]
pub struct Verify {
    #[command(flatten)]
    ledger: FolderArguments,
    /// Public key whose ledger it must be
    #[arg(long, value_name = "ANCHOR")]
    anchor: Option<PathBuf>,
    /// Newest published list of the key, which the ledger must have
    #[arg(long, value_name = "FILE")]
    published: Option<PathBuf>,
    /// Entries that it had when somebody wrote down how many; it must have them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    at_least: Option<u64>,
    /// Digest of its last entry that was written down, or the first 16 of its digits or more; it must have that entry
    #[arg(long, value_name = "HEX", value_parser = digest)]
    digest: Option<String>,
}

/// The first bytes of a digest in hex, at least 8, in lower case.
fn digest(text: &str) -> Result<String, String> {
    let is_hex = (16..=64).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hex {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("16 to 64 hexadecimal digits are required".to_owned())
    }
}

#[derive(Debug, Serialize)]
pub struct Verified {
    ledger: String,
    kid: String,
    /// Whether the key was compared with one from elsewhere.
    anchored: bool,
    entries: usize,
    uncovered: usize,
    begun: Option<u64>,
    /// SHA-256 of the last entry: two copies with the same one are the same.
    digest: String,
}

impl Verify {
    pub fn run(&self) -> Result<Verified, Error> {
        let ledger = self.ledger.read()?;
        if let Some(path) = &self.anchor {
            let anchor = public_key::open(path)?;
            if anchor != *ledger.key() {
                return Err(ledger::Error::OtherKey {
                    path: ledger.folder().to_owned(),
                    ledger: ledger::Hex(ledger.key().kid().0),
                    key: ledger::Hex(anchor.kid().0),
                }
                .into());
            }
        }
        if let Some(path) = &self.published {
            check_published(&ledger, path, &read(path, MAX_RECORD_FILE_LEN)?)?;
        }
        ledger.check_written(self.at_least, self.digest.as_deref())?;
        Ok(Verified {
            ledger: shown(ledger.folder()),
            kid: ledger.opened().kid.to_string(),
            anchored: self.anchor.is_some(),
            entries: ledger.entries().len(),
            uncovered: ledger.uncovered().len(),
            begun: ledger.begun().map(|stored| stored.entry.number),
            digest: ledger.entries().last().map(|last| hex::encode(last.digest)).unwrap_or_default(),
        })
    }
}

impl Report for Verified {
    fn lines(&self) -> String {
        let covered = match self.uncovered {
            0 => "yes".to_owned(),
            count => format!("NO: the last {count} entries are not, until the key signs again"),
        };
        let anchored = if self.anchored { "" } else { "; NOT compared with an anchor" };
        let mut rows = vec![
            ("ledger", self.ledger.clone()),
            ("key", format!("{}{anchored}", self.kid)),
            ("entries", format!("{}, all in order", self.entries)),
            ("under a signed head", covered),
            ("last entry", self.digest.clone()),
        ];
        rows.extend(self.begun.map(|entry| ("begun", format!("entry {entry} waits for its signature"))));
        table(&rows)
    }
}

/// Compare two copies of a ledger
#[derive(clap::Args, Clone, Debug)]
pub struct Diff {
    /// Ledger
    #[arg(value_name = "DIR")]
    one: PathBuf,
    /// Another copy
    #[arg(value_name = "OTHER")]
    other: PathBuf,
}

#[derive(Debug, Serialize)]
pub struct Compared {
    one: String,
    other: String,
    /// Of the other one to the first.
    relation: Relation,
    /// Number of the last entry that both have.
    common: u64,
    only_in_one: Vec<String>,
    only_in_other: Vec<String>,
    /// First entry whose record one of them lacks.
    record_missing: Option<u64>,
    exit: u8,
}

/// Exit code when two copies differ, in whichever way.
const DIFFERENT: u8 = 6;

fn only(ledger: &Ledger, common: u64) -> Vec<String> {
    let after = ledger.entries().iter().filter(|stored| stored.entry.number > common);
    after
        .map(|stored| {
            let kind = stored.entry.event.kind();
            format!("entry {}, {kind}: {}", stored.entry.number, subject(&stored.entry.event))
        })
        .collect()
}

impl Compared {
    fn of(one: &Ledger, other: &Ledger) -> Self {
        let found = compare(one, other);
        let is_same = found.relation == Relation::Same && found.unsigned_on_one_side.is_none();
        Self {
            exit: if is_same { 0 } else { DIFFERENT },
            one: shown(one.folder()),
            other: shown(other.folder()),
            relation: found.relation,
            common: found.common,
            only_in_one: only(one, found.common),
            only_in_other: only(other, found.common),
            record_missing: found.unsigned_on_one_side,
        }
    }
}

impl Diff {
    pub fn run(&self) -> Result<Compared, Error> {
        Ok(Compared::of(&Ledger::open(&self.one)?, &Ledger::open(&self.other)?))
    }
}

impl Report for Compared {
    /// 6 when they differ.
    fn exit(&self) -> u8 {
        self.exit
    }

    fn lines(&self) -> String {
        let Self { one, other, .. } = self;
        let verdict = match self.relation {
            Relation::Same => "both have the same entries".to_owned(),
            Relation::Behind => format!("{other} is an older copy: replace it by {one}"),
            Relation::Ahead => format!("{one} is an older copy: replace it by {other}"),
            Relation::Forked => {
                format!("both went on after entry {}: join them with ledger merge {one} {other}", self.common)
            }
            Relation::OtherKey => "they are ledgers of two keys".to_owned(),
        };
        let mut rows = vec![("verdict", verdict), ("common entries", self.common.to_string())];
        rows.extend(self.only_in_one.iter().map(|entry| ("only in the first", entry.clone())));
        rows.extend(self.only_in_other.iter().map(|entry| ("only in the second", entry.clone())));
        rows.extend(
            self.record_missing
                .map(|entry| ("record", format!("entry {entry} has its record in one of them only"))),
        );
        table(&rows)
    }
}

/// Join another copy that went on by itself
#[derive(clap::Args, Clone, Debug)]
pub struct Merge {
    /// Ledger that goes on
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Copy whose entries are joined to it; it is not changed, and must not be used again
    #[arg(value_name = "OTHER")]
    other: PathBuf,
    #[command(flatten)]
    key: SigningKeyArguments,
    #[command(flatten)]
    entry: EntryArguments,
}

#[derive(Debug, Serialize)]
pub struct Merged {
    entry: u64,
    joined: Vec<String>,
    /// Whether a copy signed a list that the other lacks: the next list continues both.
    lists_to_join: bool,
    /// Serials of devices that both copies made.
    devices_in_both: Vec<String>,
}

impl Merge {
    pub fn run(&self) -> Result<Merged, Error> {
        let other = Ledger::open(&self.other)?;
        let mut writer = Writer::open(&self.folder)?;
        let context = self.entry.context(&[&other, writer.ledger()])?;
        let found = compare(writer.ledger(), &other);
        let signer = self.key.open()?;
        writer.check_key(&signer.public_key())?;
        let entry = writer.merge(&other, self.entry.reason(), &context)?;
        close(&mut writer, context.now, signer.as_ref())?;
        Ok(Merged {
            entry,
            joined: only(&other, found.common),
            lists_to_join: writer.ledger().has_lists_apart(),
            devices_in_both: made_in_both_copies(writer.ledger()).into_iter().map(str::to_owned).collect(),
        })
    }
}

impl Report for Merged {
    fn lines(&self) -> String {
        let mut rows = vec![("entry of the ledger", self.entry.to_string())];
        rows.extend(self.joined.iter().map(|entry| ("joined", entry.clone())));
        if self.lists_to_join {
            let next = "the other copy signed a list: sign one that continues both with manifest-tool revoke, and publish it";
            rows.push(("to be done", next.to_owned()));
        }
        if !self.devices_in_both.is_empty() {
            let both = format!("find the devices that both copies made: {}", self.devices_in_both.join(", "));
            rows.push(("to be done", both));
        }
        table(&rows)
    }
}
