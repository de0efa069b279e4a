//! `doctor`: what an auditor would find; exits with 6 when there is something. `today`: what is due.

use std::path::{Path, PathBuf};

use ledger::{Ledger, Relation, compare};
use serde::Serialize;
use trust::host::read_unverified_revocation;

use crate::commands::location;
use crate::custody::evidence::{Evidence, EvidenceArguments};
use crate::custody::findings::{
    Finding, check_command, closed, expiring, of_evidence, of_ledger, stale, unreadable,
};
use crate::custody::kept::{of_key, of_program};
use crate::custody::{DAY, backups, folder, roles};
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};
use crate::keys::{Location, PinSource};
use crate::output::{Report, table};
use crate::recording::{check_published, ledger_folder};
use crate::time::{Time, display, now};

/// Exit code when something was found: what somebody decided is not kept.
const FOUND: u8 = 6;
/// How long before a check of a backup is due, days.
const CHECK_NOTICE: u64 = 30 * DAY;

/// Find what an auditor would find in ledgers, keys, devices and programs
#[derive(clap::Args, Clone, Debug)]
pub struct Doctor {
    /// Ledgers, that of the recovery root too [env: ANCHORAGE_LEDGER]
    #[arg(value_name = "DIR")]
    ledgers: Vec<PathBuf>,
    /// Private key, wherever it is kept; an encrypted one is not opened (repeatable)
    #[arg(long = "key", value_name = "KEY", value_parser = location())]
    keys: Vec<Location>,
    /// File whose first line is the PIN of the keys in tokens, to look at their private halves [env: ANCHORAGE_PIN_FILE]
    #[arg(long, value_name = "FILE", requires = "keys")]
    pin_file: Option<PathBuf>,
    /// Loader or application (ELF, Intel HEX, S-records, binary) in which to look for the development anchor (repeatable)
    #[arg(long = "program", value_name = "FILE")]
    programs: Vec<PathBuf>,
    /// Newest published list of the first ledger's key, which the ledger must have
    #[arg(long, value_name = "FILE", requires = "ledgers")]
    published: Option<PathBuf>,
    #[command(flatten)]
    evidence: EvidenceArguments,
    /// Time at which to judge [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<Time>,
}

#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// What was looked at.
    looked_at: Vec<String>,
    findings: Vec<Finding>,
    exit: u8,
}

impl Doctor {
    pub fn run(&self) -> Result<Diagnosis, Error> {
        let now = now(self.now)?;
        let mut paths = self.ledgers.clone();
        if paths.is_empty() {
            paths.extend(ledger_folder(None));
        }
        let evidence = self.evidence.read()?;
        if paths.is_empty() && self.keys.is_empty() && self.programs.is_empty() && evidence.is_empty() {
            return Err(Error::usage("pass a ledger, a key, a program, releases, devices or blocks"));
        }
        let mut findings = Vec::new();
        let mut ledgers = Vec::new();
        let mut looked_at: Vec<String> = Vec::new();
        for path in &paths {
            looked_at.push(format!("ledger {}", path.display()));
            match Ledger::open(path) {
                Ok(ledger) => {
                    if let Some((closed, last)) = closed(&ledger).zip(looked_at.last_mut()) {
                        *last = format!("{last} ({closed})");
                    }
                    match ledgers.iter_mut().find(|other: &&mut Ledger| other.key() == ledger.key()) {
                        None => ledgers.push(ledger),
                        Some(other) => {
                            findings.extend(difference(other, &ledger));
                            // The newer copy answers for both.
                            if compare(other, &ledger).relation == Relation::Ahead {
                                *other = ledger;
                            }
                        }
                    }
                }
                Err(error @ ledger::Error::Damaged { .. }) => findings.push(unreadable(path, &error)),
                Err(error) => return Err(error.into()),
            }
        }
        for ledger in &ledgers {
            findings.extend(of_ledger(ledger, &ledgers, &evidence, now));
            findings.extend(expiring(ledger, now));
        }
        findings.extend(roles::of_all(&ledgers, &evidence));
        if let (Some(path), Some(ledger)) = (&self.published, ledgers.first()) {
            let list = read(path, MAX_RECORD_FILE_LEN)?;
            match check_published(ledger, path, &list) {
                Ok(()) => findings.extend(unpublished(ledger, path, &list)?),
                Err(Error::Published { source, .. }) => findings.push(stale(path, &source)),
                Err(error) => return Err(error),
            }
        }
        let pin = PinSource::new(self.pin_file.clone());
        for key in &self.keys {
            let kept = of_key(key, &pin)?;
            let unseen = kept.unseen.map(|unseen| format!(" ({unseen})")).unwrap_or_default();
            looked_at.push(format!("key {}{unseen}", key.name()));
            findings.extend(kept.findings);
        }
        for path in &self.programs {
            looked_at.push(format!("program {}", path.display()));
            findings.extend(of_program(path)?);
        }
        looked_at.extend(evidence.looked_at());
        findings.extend(of_evidence(&evidence));
        let exit = if findings.is_empty() { 0 } else { FOUND };
        Ok(Diagnosis { looked_at, findings, exit })
    }
}

/// A list that the ledger has and nobody else: what it revokes is good for everybody.
fn unpublished(ledger: &Ledger, path: &Path, list: &[u8]) -> Result<Option<Finding>, Error> {
    let published =
        read_unverified_revocation(list).map_err(|error| Error::refused_record(path, error))?.sequence();
    let newest = ledger.newest_list().map_or(0, |list| list.sequence());
    Ok((published < newest).then(|| {
        let message = format!(
            "list {newest} of {} is not published: {} is list {published}",
            ledger.opened().name,
            crate::custody::quoted(&path.display().to_string())
        );
        Finding::new(
            "list-unpublished",
            message,
            "Publish it (manifest-tool publish --revocations), or pass the list that is.",
        )
    }))
}

fn lines_of(findings: &[Finding]) -> String {
    let blocks = findings.iter().map(|finding| {
        let due = finding.due.as_ref().map(|due| format!(" (due {due})")).unwrap_or_default();
        trust::host::printable(&format!("{}: {}{due}", finding.code, finding.message))
            + "\n  "
            + &trust::host::printable(&finding.hint)
    });
    blocks.collect::<Vec<_>>().join("\n")
}

impl Report for Diagnosis {
    fn lines(&self) -> String {
        let looked = self.looked_at.join(", ");
        let count = match self.findings.len() {
            0 => "nothing".to_owned(),
            count => count.to_string(),
        };
        let head = table(&[("looked at", looked), ("found", count)]);
        if self.findings.is_empty() { head } else { format!("{head}\n\n{}", lines_of(&self.findings)) }
    }

    fn exit(&self) -> u8 {
        self.exit
    }
}

/// Show what is due: checks of backups, credentials that end, copies of ledgers
#[derive(clap::Args, Clone, Debug)]
pub struct Today {
    /// Ledgers [env: ANCHORAGE_LEDGER]
    #[arg(value_name = "DIR")]
    ledgers: Vec<PathBuf>,
    /// Another copy of one of the ledgers, such as that of the office (repeatable)
    #[arg(long = "copy", value_name = "DIR")]
    copies: Vec<PathBuf>,
    /// Time at which to judge [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<Time>,
}

#[derive(Debug, Serialize)]
pub struct Due {
    now: String,
    due: Vec<Finding>,
    /// Without another copy, nothing is known about copies.
    copies_compared: bool,
}

impl Today {
    pub fn run(&self) -> Result<Due, Error> {
        let now = now(self.now)?;
        let mut paths = self.ledgers.clone();
        if paths.is_empty() {
            paths.extend(ledger_folder(None));
        }
        if paths.is_empty() {
            return Err(Error::usage("pass the folder of a ledger, or set ANCHORAGE_LEDGER"));
        }
        let ledgers = paths.iter().map(|path| Ledger::open(path)).collect::<Result<Vec<_>, _>>()?;
        let mut due = Vec::new();
        for ledger in &ledgers {
            let of_today =
                ["ledger-begun", "ledger-uncovered", "lists-apart", "backup-missing", "backup-unchecked"];
            let found = of_ledger(ledger, &ledgers, &Evidence::default(), now);
            due.extend(found.into_iter().filter(|finding| of_today.contains(&finding.code)));
            due.extend(Self::soon(ledger, now));
            due.extend(expiring(ledger, now));
        }
        for path in &self.copies {
            due.extend(copy(&ledgers, path)?);
        }
        Ok(Due { now: display(now), due, copies_compared: !self.copies.is_empty() })
    }

    /// A check that is good for a few more days.
    fn soon(ledger: &Ledger, now: trust::UnixTime) -> Option<Finding> {
        if ledger.successor().is_some() {
            return None;
        }
        let backups = backups(ledger);
        let newest = backups.iter().max_by_key(|backup| backup.good_until())?;
        let end = newest.good_until().filter(|end| now < *end && end.0 - now.0 <= CHECK_NOTICE)?;
        let message =
            format!("the check of the backup of {} counts for a few more days", ledger.opened().name);
        Some(Finding::new("backup-check-due", message, check_command(ledger, newest)).due(end))
    }
}

/// Whether a copy is as new as the ledger.
fn copy(ledgers: &[Ledger], path: &Path) -> Result<Option<Finding>, Error> {
    let other = Ledger::open(path)?;
    let ledger = ledgers.iter().find(|ledger| ledger.key() == other.key());
    let ledger = ledger
        .ok_or_else(|| Error::usage(format!("{} is not a copy of one of these ledgers", path.display())))?;
    Ok(difference(ledger, &other))
}

/// What two copies of a ledger lack of each other.
fn difference(ledger: &Ledger, other: &Ledger) -> Option<Finding> {
    let [one, two] = [ledger, other].map(folder);
    let finding = |code, message, hint: String| Some(Finding::new(code, message, hint));
    match compare(ledger, other).relation {
        Relation::Same => None,
        Relation::Behind => finding(
            "copy-behind",
            format!("the copy {two} lacks the last entries"),
            format!("cp -r {one}/. {two}"),
        ),
        Relation::Ahead => finding(
            "ledger-behind",
            format!("{one} lacks entries that the copy {two} has"),
            format!("cp -r {two}/. {one}"),
        ),
        Relation::Forked | Relation::OtherKey => finding(
            "ledger-forked",
            format!("{one} and the copy {two} both went on"),
            format!("manifest-tool ledger merge {one} {two} --key KEY --reason TEXT"),
        ),
    }
}

impl Report for Due {
    fn lines(&self) -> String {
        let copies =
            if self.copies_compared { "" } else { "; copies of ledgers were not compared (--copy DIR)" };
        let count = match self.due.len() {
            0 => format!("nothing{copies}"),
            count => format!("{count}{copies}"),
        };
        let head = table(&[("today", self.now.clone()), ("due", count)]);
        if self.due.is_empty() { head } else { format!("{head}\n\n{}", lines_of(&self.due)) }
    }
}
