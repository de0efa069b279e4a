//! The result of a case, for people and as JSON.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::Arguments;
use crate::judge::{Finding, Verdict};
use crate::loader::Loader;
use crate::plan::Plan;
use crate::workers::{Attack, End};

/// An attack that succeeded, or that was asked for.
#[derive(Serialize)]
struct Line {
    /// For `--at`.
    place: String,
    instruction: String,
    end: String,
    findings: Vec<Finding>,
}

/// The result of one case.
#[derive(Serialize)]
pub(crate) struct Report {
    case: &'static str,
    instructions: usize,
    skips: usize,
    /// Attacks that ended so.
    ends: BTreeMap<String, usize>,
    boots: usize,
    floors_fallen: usize,
    /// Attacks after which nothing runs any more: a loss, and no success.
    lost: usize,
    /// Why, and after which skips, for `--at`.
    losses: BTreeMap<String, Vec<String>>,
    successes: Vec<Line>,
    /// Each success is printed when it is found.
    #[serde(skip)]
    prints: bool,
    /// And every other attack.
    #[serde(skip)]
    shows_all: bool,
}

impl Report {
    /// Before any attack.
    pub(crate) fn new(case: &'static str, plan: &Plan, arguments: &Arguments) -> Self {
        let mut addresses: Vec<_> = plan.attacks.iter().map(|(address, _)| address).collect();
        addresses.dedup();
        Self {
            case,
            instructions: addresses.len(),
            skips: 0,
            ends: BTreeMap::new(),
            boots: 0,
            floors_fallen: 0,
            lost: 0,
            losses: BTreeMap::new(),
            successes: Vec::new(),
            prints: !arguments.json,
            shows_all: !arguments.json && !arguments.at.is_empty(),
        }
    }

    /// Counts an attack.
    pub(crate) fn add(&mut self, attack: &Attack, verdict: Verdict, loader: &Loader) {
        self.skips += 1;
        let end = word(attack.end);
        *self.ends.entry(end.clone()).or_default() += 1;
        let Verdict { findings, lost } = verdict;
        if let Some(loss) = lost {
            self.lost += 1;
            self.losses.entry(loss).or_default().push(place(attack));
        }
        let has = |wanted: &[Finding]| usize::from(findings.iter().any(|finding| wanted.contains(finding)));
        self.boots +=
            has(&[Finding::Boots, Finding::BootsLater, Finding::HandsOver, Finding::HandsOverLater]);
        self.floors_fallen += has(&[Finding::FloorFell, Finding::RevocationFell, Finding::ProvisioningLost]);
        if findings.is_empty() && !self.shows_all {
            return;
        }
        let is_success = !findings.is_empty();
        let line = Line {
            place: place(attack),
            instruction: loader.describe(attack.address),
            end: format!("{end} at {:#x}", attack.pc),
            findings,
        };
        if self.prints {
            line.print();
        }
        if is_success {
            self.successes.push(line);
        }
    }

    /// The sum, for people.
    pub(crate) fn print(&self) {
        let Self { case, instructions, skips, boots, floors_fallen, lost, losses, .. } = self;
        println!(
            "{case:18} instructions={instructions} skips={skips} boots={boots} floors_fallen={floors_fallen} lost={lost}"
        );
        for (loss, places) in losses {
            println!("{:18} lost {} times, as after {}: {loss}", "", places.len(), places[0]);
        }
    }
}

impl Line {
    fn print(&self) {
        let Self { place, instruction, end, findings } = self;
        let findings: Vec<_> = findings.iter().map(|finding| format!("{finding:?}")).collect();
        println!("{place:12} {instruction} -> {end} {}", findings.join(" "));
    }
}

fn place(attack: &Attack) -> String {
    format!("{:#x}:{}", attack.address, attack.number)
}

fn word(end: End) -> String {
    format!("{end:?}").to_lowercase()
}

/// Prints the sum; whether no attack succeeded.
pub(crate) fn finish(reports: &[Report], json: bool) -> Result<bool> {
    let sum = |of: fn(&Report) -> usize| reports.iter().map(of).sum::<usize>();
    let (boots, floors_fallen) = (sum(|report| report.boots), sum(|report| report.floors_fallen));
    if json {
        println!(
            "{}",
            serde_json::json!({
                "skips": sum(|report| report.skips), "boots": boots, "floors_fallen": floors_fallen, "cases": reports,
            })
        );
    } else {
        println!("skips={} boots={boots} floors_fallen={floors_fallen}", sum(|report| report.skips));
    }
    Ok(boots == 0 && floors_fallen == 0)
}
