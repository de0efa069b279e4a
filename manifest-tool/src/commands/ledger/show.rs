//! `ledger show` and `ledger list`.

use ledger::{Ledger, Status};
use serde::Serialize;

use super::{FolderArguments, remark, shown, subject};
use crate::error::Error;
use crate::output::{Report, table};
use crate::time::{Time, now};

/// Show the keys of a ledger: who holds them, and whether they are good
#[derive(clap::Args, Clone, Debug)]
pub struct Show {
    #[command(flatten)]
    ledger: FolderArguments,
    /// Time at which keys are judged [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<Time>,
}

/// A key that the ledger's key certified.
#[derive(Debug, Serialize)]
pub(crate) struct KeyView {
    pub(crate) name: String,
    pub(crate) kid: String,
    pub(crate) role: String,
    pub(crate) status: &'static str,
    generation: u64,
    pub(crate) sequence_ceiling: Option<u64>,
    /// RFC 3339.
    pub(crate) expires: Option<String>,
    pub(crate) holder: Option<String>,
    pub(crate) kept: Option<String>,
    /// Numbers of the entries of its credentials.
    entries: Vec<u64>,
}

#[derive(Debug, Serialize)]
pub struct Shown {
    ledger: String,
    name: String,
    kid: String,
    purpose: ledger::Purpose,
    vendor: Option<String>,
    holder: Option<String>,
    kept: Option<String>,
    entries: usize,
    /// Entries after the signed head.
    uncovered: usize,
    /// Number of the entry that waits for its signature.
    begun: Option<u64>,
    list_sequence: Option<u64>,
    /// The root that followed: its word counts, and this ledger is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<SuccessorView>,
    keys: Vec<KeyView>,
}

/// The root that followed the one of a ledger.
#[derive(Debug, Serialize)]
pub struct SuccessorView {
    name: String,
    kid: String,
    number: String,
}

impl SuccessorView {
    pub fn of(successor: &ledger::Successor<'_>) -> Self {
        Self {
            name: successor.facts.name.clone(),
            kid: successor.facts.kid.to_string(),
            number: successor.facts.number().to_string(),
        }
    }
}

/// How a key stands, in a word.
fn word(status: Status) -> &'static str {
    match status {
        Status::Good => "good",
        Status::NotYet => "not yet",
        Status::Expired => "expired",
        Status::Revoked => "revoked",
    }
}

pub(crate) fn keys(ledger: &Ledger, now: trust::UnixTime) -> Vec<KeyView> {
    let view = |key: ledger::KeyState<'_>| KeyView {
        name: key.name.to_owned(),
        kid: key.kid.to_string(),
        role: key.role.to_owned(),
        status: word(key.status),
        generation: key.generation(),
        sequence_ceiling: key.ceiling(),
        expires: key.expires().map(|end| end.to_string()),
        holder: key.holder.map(str::to_owned),
        kept: key.kept.map(str::to_owned),
        entries: key.credentials.iter().map(|(number, _)| *number).collect(),
    };
    ledger.keys(now).into_iter().map(view).collect()
}

impl Show {
    pub fn run(&self) -> Result<Shown, Error> {
        let ledger = self.ledger.read()?;
        let open = ledger.opened();
        let (holder, kept) = ledger.custody(open.kid);
        Ok(Shown {
            ledger: shown(ledger.folder()),
            name: open.name.clone(),
            kid: open.kid.to_string(),
            purpose: open.purpose,
            vendor: open.vendor.clone(),
            holder: holder.map(str::to_owned),
            kept: kept.map(str::to_owned),
            entries: ledger.entries().len(),
            uncovered: ledger.uncovered().len(),
            begun: ledger.begun().map(|stored| stored.entry.number),
            list_sequence: ledger.newest_list().map(|list| list.sequence()),
            successor: ledger.successor().map(|successor| SuccessorView::of(&successor)),
            keys: keys(&ledger, now(self.now)?),
        })
    }
}

impl Report for Shown {
    fn lines(&self) -> String {
        let held = |holder: &Option<String>, kept: &Option<String>| match (holder, kept) {
            (Some(holder), Some(kept)) => format!("{holder}: {kept}"),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => "not recorded".to_owned(),
        };
        let mut rows = vec![
            ("key", format!("{} ({})", self.name, self.kid)),
            ("held by", held(&self.holder, &self.kept)),
            ("entries", format!("{}, {} of them not under a signed head", self.entries, self.uncovered)),
            ("newest list", self.list_sequence.map_or("none".to_owned(), |sequence| sequence.to_string())),
        ];
        rows.extend(self.begun.map(|entry| {
            ("begun", format!("entry {entry} waits for its signature: ledger finish or ledger void"))
        }));
        rows.extend(self.successor.as_ref().map(|SuccessorView { name, kid, number }| {
            (
                "closed",
                format!("{name} ({kid}) has been the root since succession {number}: nothing below counts"),
            )
        }));
        for key in &self.keys {
            let end = key.expires.as_ref().map_or("no expiry".to_owned(), |end| format!("until {end}"));
            let holder = held(&key.holder, &key.kept);
            rows.push((
                "certified",
                format!("{} ({}), {}: {}, {end}; {holder}", key.name, key.kid, key.role, key.status),
            ));
        }
        table(&rows)
    }
}

/// List the entries of a ledger
#[derive(clap::Args, Clone, Debug)]
pub struct List {
    #[command(flatten)]
    ledger: FolderArguments,
}

#[derive(Debug, Serialize)]
pub struct Listed {
    entries: Vec<EntryView>,
}

#[derive(Debug, Serialize)]
pub(crate) struct EntryView {
    pub(crate) number: u64,
    pub(crate) time: String,
    pub(crate) kind: &'static str,
    pub(crate) subject: String,
    pub(crate) by: Option<String>,
    pub(crate) remark: Option<&'static str>,
    pub(crate) digest: String,
}

pub(crate) fn entries(ledger: &Ledger) -> Vec<EntryView> {
    let view = |stored: &ledger::Stored| EntryView {
        number: stored.entry.number,
        time: stored.entry.time.to_string(),
        kind: stored.entry.event.kind(),
        subject: subject(&stored.entry.event),
        by: stored.entry.by.clone(),
        remark: remark(ledger, stored),
        digest: hex::encode(stored.digest),
    };
    ledger.entries().iter().map(view).collect()
}

impl List {
    pub fn run(&self) -> Result<Listed, Error> {
        Ok(Listed { entries: entries(&self.ledger.read()?) })
    }
}

impl Report for Listed {
    fn lines(&self) -> String {
        let line = |entry: &EntryView| {
            let by = entry.by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
            let remark = entry.remark.map(|remark| format!(" [{remark}]")).unwrap_or_default();
            let text =
                format!("{:>4}  {}  {}: {}{by}{remark}", entry.number, entry.time, entry.kind, entry.subject);
            trust::host::printable(&text)
        };
        self.entries.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}
