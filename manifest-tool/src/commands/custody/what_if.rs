//! `custody what-if`: what revoking a key stops, and what has to be done when a key is lost.

use std::path::PathBuf;

use ledger::{BackupKind, KeyState, Ledger, Purpose, Status};
use serde::Serialize;
use trust::Role;

use crate::custody::evidence::{Evidence, EvidenceArguments};
use crate::custody::{backups, folder, quoted, shown_id};
use crate::error::Error;
use crate::output::{Report, table};
use crate::time::{Time, now};

/// Show what revoking a key stops, or what to do when a key is lost
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("question").required(true))]
pub struct WhatIf {
    /// Ledgers, that of the recovery root too
    #[arg(value_name = "DIR", required = true)]
    ledgers: Vec<PathBuf>,
    /// Key that is revoked, by its name or kid in a ledger
    #[arg(long, value_name = "NAME", group = "question")]
    revoke: Option<String>,
    /// Key that is lost, by its name or kid in a ledger; it may be that of a ledger
    #[arg(long, value_name = "NAME", group = "question")]
    lost: Option<String>,
    #[command(flatten)]
    evidence: EvidenceArguments,
    /// Time at which to judge [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<Time>,
}

#[derive(Debug, Serialize)]
pub struct Answer {
    question: String,
    name: String,
    kid: String,
    /// `root` and such for the key of a ledger.
    role: String,
    /// What stops; absent for a lost key, which stops nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    stops: Option<Stops>,
    /// Steps, with the command of each where there is one.
    steps: Vec<String>,
    /// What the answer does not know.
    unknown: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Stops {
    /// Numbers of the entries of the credentials that end.
    credentials: Vec<u64>,
    releases: Vec<String>,
    /// Serials of the devices that run something that the key signed: they go on, and take no other release of it. Of an
    /// issuing key, those that it certified: their identities are refused.
    devices: Vec<String>,
    people: Vec<String>,
    /// Classes for which no other good key of the role is left.
    left_without: Vec<String>,
}

impl WhatIf {
    pub fn run(&self) -> Result<Answer, Error> {
        let now = now(self.now)?;
        let ledgers = self.ledgers.iter().map(|path| Ledger::open(path)).collect::<Result<Vec<_>, _>>()?;
        let evidence = self.evidence.read()?;
        let name = self.revoke.as_ref().or(self.lost.as_ref()).ok_or(Error::Internal("no question"))?;
        let of_ledger = ledgers
            .iter()
            .find(|ledger| ledger.opened().name == *name || ledger.opened().kid.to_string() == *name);
        if let Some(ledger) = of_ledger {
            if self.revoke.is_some() && ledger.opened().purpose == Purpose::Issuing {
                return revoked_issuing(ledger, &ledgers, &evidence, now);
            }
            if self.revoke.is_some() {
                return Err(Error::usage(format!(
                    "{name} is the key of a ledger: no list revokes it; a succession replaces it (--lost)"
                )));
            }
            return Ok(lost_ledger_key(ledger, &ledgers));
        }
        let mut missing = Error::usage("no ledger was given");
        for ledger in &ledgers {
            match ledger.key_named(name, now) {
                Ok(key) if self.revoke.is_some() => {
                    return Ok(revoked(ledger, &key, &ledgers, &evidence, now));
                }
                Ok(key) => return Ok(lost_key(ledger, &key)),
                Err(error @ ledger::Error::NoSuchKey(_)) => missing = error.into(),
                Err(error) => return Err(error.into()),
            }
        }
        Err(missing)
    }
}

fn answer(question: String, key: &KeyState<'_>) -> Answer {
    Answer {
        question,
        name: key.name.to_owned(),
        kid: key.kid.to_string(),
        role: key.role.to_owned(),
        stops: None,
        steps: Vec::new(),
        unknown: Vec::new(),
    }
}

fn revoke_command(ledger: &Ledger, key: &KeyState<'_>, reason: &str) -> String {
    format!(
        "manifest-tool revoke {} --key KEY --ledger {} --published LIST --reason {} --out LIST, then manifest-tool publish \
         --revocations LIST",
        quoted(key.name),
        folder(ledger),
        quoted(reason)
    )
}

fn issue_command(ledger: &Ledger, key: &KeyState<'_>) -> String {
    let classes = key.credentials.iter().flat_map(|(_, entry)| &entry.facts.classes);
    let classes = classes.map(|class| format!(" --class {class}")).collect::<std::collections::BTreeSet<_>>();
    let vendor = key.credentials.first().map(|(_, entry)| entry.facts.vendor.as_str()).unwrap_or("VENDOR");
    format!(
        "manifest-tool credential issue --key KEY --ledger {} --for PUBLIC --role {} --vendor {vendor}{} --subject NAME \
         --holder PERSON --kept TEXT --out FILE",
        folder(ledger),
        key.role,
        classes.into_iter().collect::<String>()
    )
}

fn revoked(
    ledger: &Ledger,
    key: &KeyState<'_>,
    all: &[Ledger],
    evidence: &Evidence,
    now: trust::UnixTime,
) -> Answer {
    let kid = key.kid.to_string();
    let is_release = Role::from_name(key.role) == Some(Role::Release);
    let releases = evidence.releases.iter().filter(|release| is_release && release.release_kid == kid);
    let releases = releases.map(|release| {
        format!("{} (sequence {}, {})", release.name, release.sequence, shown_id(ledger, &release.class))
    });
    let serials = key.credentials.iter().flat_map(|(_, entry)| &entry.facts.serials).cloned();
    let running = evidence.devices.iter().filter(|device| device.release_kids.contains(&kid));
    let mut devices: Vec<String> = running.map(|device| device.serial.clone()).collect();
    if !is_release {
        devices.extend(serials);
    }
    let is_line = |line: &&Ledger| line.opened().purpose == Purpose::Issuing && line.opened().kid == key.kid;
    let line = all.iter().find(is_line);
    let under = line.iter().flat_map(|line| line.devices()).filter(|(_, _, device)| device.kid.is_some());
    devices.extend(under.map(|(_, _, device)| device.serial.clone()));
    devices.sort();
    devices.dedup();
    let mut answer = answer(format!("what revoking {} stops", key.name), key);
    let left_without = left_without(ledger, key, now);
    answer.steps.push(revoke_command(ledger, key, "TEXT"));
    if is_release {
        answer.steps.insert(
            0,
            format!(
                "before that, let another key take over, and sign again what stays on offer: manifest-tool rotate {} --key KEY \
                 --ledger {} --for PUBLIC --subject NAME --out-dir DIR, then manifest-tool publish",
                quoted(key.name),
                folder(ledger)
            ),
        );
        if evidence.releases.is_empty() {
            answer.unknown.push("which releases it signed: pass their envelopes (--release)");
        }
    }
    if Role::from_name(key.role) == Some(Role::Identity) {
        if line.is_none() {
            answer.unknown.push("which devices it certified: pass the ledger of the issuing key");
        }
    } else if !evidence.knows_devices {
        answer.unknown.push("which devices run what it signed: pass the devices of a server (--devices)");
    }
    answer.stops = Some(Stops {
        credentials: key.credentials.iter().map(|(number, _)| *number).collect(),
        releases: releases.collect(),
        devices,
        people: key.holder.into_iter().map(str::to_owned).collect(),
        left_without,
    });
    answer
}

/// An issuing key is revoked by the root that certified it.
fn revoked_issuing(
    line: &Ledger,
    all: &[Ledger],
    evidence: &Evidence,
    now: trust::UnixTime,
) -> Result<Answer, Error> {
    let (name, kid) = (&line.opened().name, line.opened().kid);
    let found = all.iter().find_map(|root| Some((root, root.key_named(&kid.to_string(), now).ok()?)));
    let (root, key) = found.ok_or_else(|| {
        Error::usage(format!("no given ledger certified {name} ({kid}): pass the ledger of its root too"))
    })?;
    Ok(revoked(root, &key, all, evidence, now))
}

/// What no other key of the role can do.
fn left_without(ledger: &Ledger, key: &KeyState<'_>, now: trust::UnixTime) -> Vec<String> {
    let others = ledger.keys(now);
    let others: Vec<_> = others
        .iter()
        .filter(|other| other.kid != key.kid && other.role == key.role && other.status == Status::Good)
        .flat_map(|other| other.unrevoked().map(|entry| &entry.facts))
        .collect();
    let mut left: Vec<String> = Vec::new();
    for (_, entry) in &key.credentials {
        let vendor = &entry.facts.vendor;
        if entry.facts.classes.is_empty() {
            if !others.iter().any(|facts| facts.vendor == *vendor && facts.classes.is_empty()) {
                left.push(format!("every class of {}", shown_id(ledger, vendor)));
            }
            continue;
        }
        for class in &entry.facts.classes {
            let can = others.iter().any(|facts| {
                facts.vendor == *vendor && (facts.classes.is_empty() || facts.classes.contains(class))
            });
            if !can {
                left.push(shown_id(ledger, class));
            }
        }
    }
    left.sort();
    left.dedup();
    left
}

fn lost_key(ledger: &Ledger, key: &KeyState<'_>) -> Answer {
    let mut answer = answer(format!("what to do when {} is lost", key.name), key);
    answer.steps.push(format!(
        "make a new key where it is used: manifest-tool key generate, key public; {} holds the lost one",
        key.holder.unwrap_or("nobody that the ledger knows")
    ));
    answer.steps.push(issue_command(ledger, key));
    answer.steps.push(format!(
        "revoke the lost key, unless it is certainly destroyed: {}",
        revoke_command(ledger, key, "lost")
    ));
    if Role::from_name(key.role) == Some(Role::Release) {
        answer.steps.push(
            "releases that it signed stay good until it is revoked; then sign those on offer with the new key and publish them"
                .to_owned(),
        );
    }
    answer
}

fn lost_ledger_key(ledger: &Ledger, all: &[Ledger]) -> Answer {
    let open = ledger.opened();
    let public = "PUBLIC";
    let mut steps: Vec<String> = backups(ledger)
        .iter()
        .rev()
        .map(|backup| {
            let (what, from) = match backup.form {
                BackupKind::Copy => ("--copy FILE".to_owned(), "the copy".to_owned()),
                BackupKind::Shares { threshold, .. } => ("--type".to_owned(), format!("{threshold} of the shares")),
            };
            format!(
                "make it again from {from} ({}; {}): manifest-tool key recover {what} --public {public} --out KEY.pem",
                backup.holders.join(", "),
                backup.kept
            )
        })
        .collect();
    if steps.is_empty() {
        steps.push("the ledger knows no backup of it: ask each holder for a copy or shares".to_owned());
    }
    let recovery = all.iter().find(|other| {
        other.opened().purpose == Purpose::RecoveryRoot && other.opened().domain == open.domain
    });
    match open.purpose {
        Purpose::RecoveryRoot => steps.push(
            "without a backup, no device can be given another recovery root: give one to devices that are made from now on"
                .to_owned(),
        ),
        Purpose::Issuing => steps.push(
            "without a backup, make a new issuing key, have the root certify it, and revoke the old one".to_owned(),
        ),
        Purpose::Root | Purpose::OwnerRoot => match recovery {
            Some(recovery) => steps.push(format!(
                "without a backup, or if it was stolen: make a new root, and let the recovery root {} ({}) name it by a \
                 succession (manifest-tool succession); then certify each key again, and publish succession and list",
                recovery.opened().name,
                recovery.custody(recovery.opened().kid).0.unwrap_or("holder not recorded")
            )),
            None => steps.push(
                "without a backup and without a recovery root, devices take no new credential and no list any more: they \
                 have to be provisioned anew"
                    .to_owned(),
            ),
        },
    }
    Answer {
        question: format!("what to do when {} is lost", open.name),
        name: open.name.clone(),
        kid: open.kid.to_string(),
        role: purpose(open.purpose).to_owned(),
        stops: None,
        steps,
        unknown: Vec::new(),
    }
}

fn credentials(entries: &[u64]) -> String {
    let numbers: Vec<String> = entries.iter().map(u64::to_string).collect();
    format!("of the entries {}", numbers.join(", "))
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Root => "root",
        Purpose::OwnerRoot => "root of an owner",
        Purpose::RecoveryRoot => "recovery root",
        Purpose::Issuing => "issuing key",
    }
}

impl Report for Answer {
    fn lines(&self) -> String {
        let mut rows = vec![
            ("question", self.question.clone()),
            ("key", format!("{} ({}), {}", self.name, self.kid, self.role)),
        ];
        if let Some(stops) = &self.stops {
            let listed = |names: &[String]| {
                if names.is_empty() { "none that is known".to_owned() } else { names.join(", ") }
            };
            rows.push(("credentials that end", credentials(&stops.credentials)));
            rows.push(("releases that stop", listed(&stops.releases)));
            rows.push(("devices", listed(&stops.devices)));
            rows.push(("people who can sign no more", listed(&stops.people)));
            let left = if stops.left_without.is_empty() {
                "nothing".to_owned()
            } else {
                stops.left_without.join(", ")
            };
            rows.push(("left without a key", left));
        }
        rows.extend(self.unknown.iter().map(|unknown| ("not known", (*unknown).to_owned())));
        rows.extend(self.steps.iter().map(|step| ("to be done", step.clone())));
        table(&rows)
    }
}
