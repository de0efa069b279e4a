//! Runs cases on every core, with progress; stops between two cases when it is told to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::bench::Geometry;
use crate::case::{Case, Kind};
use crate::judge::{Promise, Verdict};
use crate::life::Step;

/// Failing cases that are named; the others are counted.
const NAMED: usize = 20;

/// The numbers of a run.
#[derive(Clone, Default, Debug, Serialize)]
pub struct Summary {
    pub cases: u64,
    pub bricks: u64,
    pub floor_violations: u64,
    pub double_programs: u64,
    pub tables: u64,
    /// Other broken promises.
    pub others: u64,
    /// Cases in which nothing ran, as it may be: slot A takes no image, or the only copy of one was lost.
    pub excused: u64,
    /// Most resets until an image ran, after faults that pass.
    pub worst_resets: u32,
    /// Most erases of one sector in one step with a fault that passes.
    pub worst_erases: u32,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    pub failures: Vec<Failing>,
}

/// A case that broke a promise.
#[derive(Clone, Debug, Serialize)]
pub struct Failing {
    pub case: String,
    pub what: String,
}

impl Summary {
    pub fn is_good(&self) -> bool {
        self.broken() == 0
    }

    pub fn broken(&self) -> u64 {
        self.bricks + self.floor_violations + self.double_programs + self.tables + self.others
    }

    fn add(&mut self, case: &Case, verdict: Verdict) {
        self.cases += 1;
        self.excused += u64::from(verdict.is_excused);
        self.worst_resets = self.worst_resets.max(verdict.resets);
        self.worst_erases = self.worst_erases.max(verdict.erases);
        let Some(violation) = verdict.violation else { return };
        match violation.promise {
            Promise::Brick => self.bricks += 1,
            Promise::Floor => self.floor_violations += 1,
            Promise::DoubleProgram => self.double_programs += 1,
            Promise::Table => self.tables += 1,
            Promise::Other => self.others += 1,
        }
        if self.failures.len() < NAMED {
            self.failures.push(Failing { case: case.to_string(), what: violation.words });
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            cases,
            bricks,
            floor_violations,
            double_programs,
            tables,
            others,
            excused,
            worst_resets,
            worst_erases,
            ..
        } = self;
        write!(
            f,
            "cases={cases} bricks={bricks} floor_violations={floor_violations} double_programs={double_programs} \
             tables={tables} others={others} excused={excused} worst_resets={worst_resets} worst_erases={worst_erases}"
        )
    }
}

/// Which cases to run.
#[derive(Clone, Debug)]
pub struct Selection {
    pub kinds: Vec<Kind>,
    pub steps: Vec<Step>,
    pub seed: u64,
    /// One case for each operation, of a kind that the seed chooses.
    pub brief: bool,
    /// Every how many cases one is run.
    pub every: usize,
    /// Each excused case is named.
    pub names_excused: bool,
}

/// Runs the cases of one geometry and adds them to the summary.
pub fn run(geometry: &dyn Geometry, selection: &Selection, stop: &AtomicBool, summary: &mut Summary) {
    let mut cases = Vec::new();
    for &step in &selection.steps {
        if selection.brief {
            cases.extend(geometry.brief(step, &selection.kinds, selection.seed));
            continue;
        }
        for &kind in &selection.kinds {
            cases.extend(geometry.cases(step, kind, selection.seed));
        }
    }
    let cases: Vec<_> = cases.into_iter().step_by(selection.every.max(1)).collect();
    let bar = progress(geometry.name(), cases.len());
    let next = AtomicUsize::new(0);
    let found = Mutex::new(std::mem::take(summary));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    let verdict = geometry.judge(case, false);
                    if let Some(violation) = &verdict.violation {
                        bar.suspend(|| eprintln!("{case}: {}", violation.words));
                    }
                    if verdict.is_excused && selection.names_excused {
                        bar.suspend(|| println!("excused: {case}"));
                    }
                    found.lock().expect("no thread panics with it").add(case, verdict);
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    *summary = found.into_inner().expect("no thread panics with it");
    summary.interrupted |= stop.load(Ordering::Relaxed);
}

/// A bar on a terminal; elsewhere nothing.
fn progress(name: &str, len: usize) -> ProgressBar {
    let bar = ProgressBar::new(len as u64).with_message(name.to_owned());
    let style = "{msg:18} {wide_bar} {pos}/{len} {per_sec} {eta}";
    bar.set_style(ProgressStyle::with_template(style).expect("a template"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
