//! `custody report`: text, JSON, or one page to print.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ledger::{Ledger, Time};
use serde::Serialize;

use crate::commands::key::backup::form_name;
use crate::commands::ledger::show::SuccessorView;
use crate::commands::ledger::{EntryView, KeyView, entries, keys};
use crate::custody::evidence::{Evidence, EvidenceArguments};
use crate::custody::findings::{Finding, closed, expiring, of_evidence, of_ledger};
use crate::custody::roles::of_all;
use crate::custody::{backups, shown_id};
use crate::error::Error;
use crate::files::{existing, must_differ, write};
use crate::html;
use crate::output::Report;
use crate::time::{Time as Given, display, now};

const NO_DEVICES: &str =
    "not known: pass the devices of a server (--devices) or provisioning blocks (--block)";

/// Report what keys signed, who holds them, what ends soon, and which devices trust them
#[derive(clap::Args, Clone, Debug)]
pub struct Custody {
    /// Ledgers, that of the recovery root too
    #[arg(value_name = "DIR", required = true)]
    ledgers: Vec<PathBuf>,
    #[command(flatten)]
    evidence: EvidenceArguments,
    /// Page to write, for printing
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Time at which to judge [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<Given>,
    /// Replace the page
    #[arg(long, requires = "html")]
    force: bool,
}

#[derive(Debug, Serialize)]
struct BackupView {
    entry: u64,
    form: String,
    holders: Vec<String>,
    kept: String,
    made: String,
    checked: Option<String>,
}

#[derive(Debug, Serialize)]
struct LedgerView {
    ledger: String,
    name: String,
    kid: String,
    purpose: ledger::Purpose,
    domain: String,
    holder: Option<String>,
    kept: Option<String>,
    /// SHA-256 of the last entry.
    digest: String,
    /// The root that followed, if the ledger is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<SuccessorView>,
    #[serde(skip)]
    closed: Option<String>,
    /// Names of the roots before, from the first one at hand on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roots_before: Vec<String>,
    uncovered: usize,
    list_sequence: Option<u64>,
    /// Classes and vendors for which a key is certified, by the kid of the key.
    scopes: BTreeMap<String, Vec<String>>,
    keys: Vec<KeyView>,
    backups: Vec<BackupView>,
    entries: Vec<EntryView>,
    /// Serials of the devices that have this key as an anchor; absent: not known.
    devices: Option<Vec<String>>,
    expiring: Vec<Finding>,
}

#[derive(Debug, Serialize)]
pub struct CustodyReport {
    now: String,
    tool: String,
    ledgers: Vec<LedgerView>,
    findings: Vec<Finding>,
    html: Option<PathBuf>,
}

impl Custody {
    pub fn run(&self) -> Result<CustodyReport, Error> {
        let now = now(self.now)?;
        let ledgers = self.ledgers.iter().map(|path| Ledger::open(path)).collect::<Result<Vec<_>, _>>()?;
        let evidence = self.evidence.read()?;
        let mut findings: Vec<Finding> =
            ledgers.iter().flat_map(|ledger| of_ledger(ledger, &ledgers, &evidence, now)).collect();
        findings.extend(of_all(&ledgers, &evidence));
        findings.extend(of_evidence(&evidence));
        let report = CustodyReport {
            now: display(now),
            tool: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            ledgers: ledgers.iter().map(|ledger| view(ledger, &evidence, now)).collect(),
            findings,
            html: self.html.clone(),
        };
        if let Some(path) = &self.html {
            must_differ(path, &self.evidence.files().collect::<Vec<_>>())?;
            write(path, report.page().as_bytes(), existing(self.force))?;
        }
        Ok(report)
    }
}

fn view(ledger: &Ledger, evidence: &Evidence, now: trust::UnixTime) -> LedgerView {
    let open = ledger.opened();
    let (holder, kept) = ledger.custody(open.kid);
    let kid = open.kid.to_string();
    let scopes = ledger.keys(now).iter().map(|key| (key.kid.to_string(), scope(ledger, key))).collect();
    let mut roots_before: Vec<String> = ledger
        .line()
        .skip(1)
        .map(|before| format!("{} ({})", before.opened().name, before.opened().kid))
        .collect();
    roots_before.reverse();
    let of_key = evidence.devices.iter().filter(|device| device.anchors.contains(&kid));
    LedgerView {
        ledger: ledger.folder().display().to_string(),
        name: open.name.clone(),
        purpose: open.purpose,
        domain: open.domain.to_string(),
        holder: holder.map(str::to_owned),
        kept: kept.map(str::to_owned),
        digest: ledger.entries().last().map(|last| hex::encode(last.digest)).unwrap_or_default(),
        successor: ledger.successor().map(|successor| SuccessorView::of(&successor)),
        closed: closed(ledger),
        roots_before,
        uncovered: ledger.uncovered().len(),
        list_sequence: ledger.newest_list().map(|list| list.sequence()),
        scopes,
        keys: keys(ledger, now),
        backups: backups(ledger).iter().map(BackupView::of).collect(),
        entries: entries(ledger),
        devices: evidence.knows_devices.then(|| of_key.map(|device| device.serial.clone()).collect()),
        expiring: expiring(ledger, now),
        kid,
    }
}

fn scope(ledger: &Ledger, key: &ledger::KeyState<'_>) -> Vec<String> {
    let mut scope: Vec<String> = Vec::new();
    for (_, entry) in &key.credentials {
        let facts = &entry.facts;
        if facts.classes.is_empty() {
            scope.push(format!("every class of {}", shown_id(ledger, &facts.vendor)));
        }
        scope.extend(facts.classes.iter().map(|class| shown_id(ledger, class)));
        scope.extend(facts.serials.iter().map(|serial| format!("serial {serial}")));
    }
    scope.sort();
    scope.dedup();
    scope
}

impl BackupView {
    fn of(backup: &crate::custody::BackupState<'_>) -> Self {
        let shown = |time: Time| time.to_string();
        Self {
            entry: backup.entry,
            form: form_name(backup.form),
            holders: backup.holders.to_vec(),
            kept: backup.kept.to_owned(),
            made: shown(backup.made),
            checked: backup.checked.map(shown),
        }
    }
}

/// A part of the report: a title, and a table or a sentence in its place.
struct Section {
    title: String,
    head: &'static [&'static str],
    rows: Vec<Vec<String>>,
    /// When there are no rows.
    empty: &'static str,
}

fn or<'a>(text: &'a Option<String>, other: &'a str) -> String {
    text.as_deref().unwrap_or(other).to_owned()
}

impl LedgerView {
    fn sections(&self) -> Vec<Section> {
        let of = |title: &str| format!("{}: {title}", self.name);
        let keys = self.keys.iter().map(|key| {
            vec![
                format!("{} ({})", key.name, key.kid),
                key.role.clone(),
                // What a root certified that was succeeded counts no more.
                if self.closed.is_some() { "counts no more".to_owned() } else { key.status.to_owned() },
                self.scopes.get(&key.kid).map(|scope| scope.join(", ")).unwrap_or_default(),
                or(&key.expires, "no end"),
                key.sequence_ceiling.map(|ceiling| ceiling.to_string()).unwrap_or_default(),
                format!("{}; {}", or(&key.holder, "not recorded"), or(&key.kept, "not recorded")),
            ]
        });
        let backups = self.backups.iter().map(|backup| {
            vec![
                backup.form.clone(),
                backup.holders.join(", "),
                backup.kept.clone(),
                backup.made.clone(),
                or(&backup.checked, "never"),
            ]
        });
        let signed = self.entries.iter().map(|entry| {
            vec![
                entry.number.to_string(),
                entry.time.clone(),
                entry.kind.to_owned(),
                entry.subject.clone(),
                or(&entry.by, ""),
                entry.remark.unwrap_or_default().to_owned(),
            ]
        });
        let devices = self.devices.iter().flatten().map(|serial| vec![serial.clone()]);
        let key = [
            ("kid", self.kid.clone()),
            ("stands", or(&self.closed, "open")),
            (
                "roots before",
                if self.roots_before.is_empty() { "none".to_owned() } else { self.roots_before.join(", ") },
            ),
            ("held by", format!("{}; {}", or(&self.holder, "not recorded"), or(&self.kept, "not recorded"))),
            ("domain", self.domain.clone()),
            ("last entry", format!("{}, SHA-256 {}", self.entries.len(), self.digest)),
            ("newest list", self.list_sequence.map_or("none".to_owned(), |number| number.to_string())),
        ];
        let part = |title: &str, head, rows: Vec<Vec<String>>, empty| Section {
            title: of(title),
            head,
            rows,
            empty,
        };
        vec![
            part("the key", &[], key.map(|(name, value)| vec![name.to_owned(), value]).to_vec(), ""),
            part(
                "who holds which key",
                &["key", "role", "stands", "for", "until", "ceiling", "holder; kept"],
                keys.collect(),
                "It certified no key.",
            ),
            part(
                "credentials that end within 90 days",
                &["what", "what to do"],
                self.expiring.iter().map(|due| vec![due.message.clone(), due.hint.clone()]).collect(),
                "None.",
            ),
            part(
                "backups",
                &["form", "with", "kept", "made", "checked"],
                backups.collect(),
                "None is recorded.",
            ),
            part(
                "devices that trust it",
                &["serial"],
                devices.collect(),
                if self.devices.is_some() { "None of those that were given." } else { NO_DEVICES },
            ),
            part(
                "what it signed and what was recorded",
                &["entry", "time", "kind", "about", "by", "remark"],
                signed.collect(),
                "Nothing.",
            ),
        ]
    }
}

impl CustodyReport {
    fn sections(&self) -> Vec<Section> {
        let mut sections: Vec<Section> = self.ledgers.iter().flat_map(LedgerView::sections).collect();
        let rows = self
            .findings
            .iter()
            .map(|found| vec![found.code.to_owned(), found.message.clone(), found.hint.clone()]);
        sections.push(Section {
            title: "What an auditor would find".to_owned(),
            head: &["code", "what", "what to do"],
            rows: rows.collect(),
            empty: "Nothing.",
        });
        sections
    }

    fn page(&self) -> String {
        let mut body = format!(
            "<p>Made at {} with {}. The ledgers were verified. Nothing on this page is secret.</p>\n",
            html::escape(&self.now),
            html::escape(&self.tool)
        );
        for section in self.sections() {
            body.push_str(&format!("<h2>{}</h2>\n", html::escape(&section.title)));
            if section.rows.is_empty() {
                body.push_str(&format!("<p>{}</p>\n", html::escape(section.empty)));
                continue;
            }
            let head: Vec<String> = section.head.iter().map(|cell| (*cell).to_owned()).collect();
            let has_head = !head.is_empty();
            let rows: Vec<Vec<String>> = has_head.then_some(head).into_iter().chain(section.rows).collect();
            body.push_str(&html::table(&rows, has_head));
        }
        let names: Vec<&str> = self.ledgers.iter().map(|ledger| ledger.name.as_str()).collect();
        html::document(&format!("Custody of {}", names.join(", ")), &body)
    }
}

impl Report for CustodyReport {
    fn lines(&self) -> String {
        let mut text = format!("Custody report, {}\n", self.now);
        for section in self.sections() {
            text.push_str(&format!("\n{}\n", section.title));
            if section.rows.is_empty() {
                text.push_str(&format!("  {}\n", section.empty));
            }
            for row in section.rows {
                let cells: Vec<String> = row.into_iter().filter(|cell| !cell.is_empty()).collect();
                text.push_str(&format!("  {}\n", cells.join(" | ")));
            }
        }
        let text: Vec<String> = text.trim_end().lines().map(trust::host::printable).collect();
        text.join("\n")
    }
}
