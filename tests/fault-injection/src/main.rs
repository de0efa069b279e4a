//! Skips each instruction of the built loader once, in an emulated Cortex-M4, from the reset to the jump, and judges
//! what the device does: nothing forged may run, now or after any reset, and no floor may fall. docs/attacks.md, T14;
//! `cargo xtask skip` builds the loader and starts this.
#![forbid(unsafe_code)]

mod cases;
mod cost;
mod judge;
mod loader;
mod plan;
mod report;
mod subject;
mod suit_cost;
mod workers;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use crate::cases::{CASES, Case, Strategy};
use crate::judge::Judge;
use crate::loader::Loader;
use crate::plan::Plan;
use crate::report::Report;
use crate::workers::Workers;

/// Skip each instruction of the loader once, from the reset to the jump
#[derive(Parser)]
pub(crate) struct Arguments {
    /// The loader, an ELF for the emulated board
    #[arg(long)]
    loader: PathBuf,
    /// An ELF of the same code with line tables, for the source lines in the report
    #[arg(long)]
    lines: Option<PathBuf>,
    /// The loader of images that run in place, for the cases that attack it
    #[arg(long, value_name = "LOADER")]
    in_place: Option<PathBuf>,
    /// An ELF of its code with line tables
    #[arg(long, value_name = "LINES")]
    in_place_lines: Option<PathBuf>,
    /// The loader that believes the device's own key, for the cases that attack it
    #[arg(long, value_name = "LOADER")]
    own_key: Option<PathBuf>,
    /// An ELF of its code with line tables
    #[arg(long, value_name = "LINES")]
    own_key_lines: Option<PathBuf>,
    /// The same with a table and one file, for the cases that attack it
    #[arg(long, value_name = "LOADER")]
    tabled: Option<PathBuf>,
    /// An ELF of its code with line tables
    #[arg(long, value_name = "LINES")]
    tabled_lines: Option<PathBuf>,
    /// A Python interpreter that has unicorn
    #[arg(long)]
    python: PathBuf,
    /// Attack this case only (repeatable) [default: all]
    #[arg(long = "case", value_name = "NAME")]
    cases: Vec<String>,
    /// List the cases
    #[arg(long)]
    list: bool,
    /// Skip this instruction only: its address in hex, and the number of its execution (repeatable)
    #[arg(long, value_name = "ADDRESS[:NUMBER]")]
    at: Vec<plan::Place>,
    /// Attack only functions whose name contains this (repeatable)
    #[arg(long = "in", value_name = "FUNCTION")]
    functions: Vec<String>,
    /// Attack only the code that decides, each instruction at its first execution
    #[arg(long)]
    brief: bool,
    /// Attack nothing: count the instructions of the boot of a confirmed device, from the reset to the jump
    #[arg(long, conflicts_with_all = ["cases", "at", "functions", "brief", "without_evidence"])]
    cost: bool,
    /// Attack nothing: count the instructions of an envelope and of a decryption, beside those that nobody can leave away
    #[arg(long, requires = "own_key", conflicts_with_all = ["cost", "cases", "at", "functions", "brief", "without_evidence"])]
    suit_cost: bool,
    /// Take the comparison before the jump out of the loader: a control that must find forged boots
    #[arg(long)]
    without_evidence: bool,
    /// Attacks at once [default: one for each core]
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fault-injection: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether no attack succeeded.
fn run(arguments: &Arguments) -> Result<bool> {
    if arguments.list {
        for Case { name, about, .. } in &CASES {
            println!("{name:20} {about}");
        }
        return Ok(true);
    }
    for name in &arguments.cases {
        ensure!(CASES.iter().any(|case| case.name == name), "there is no case `{name}`; see --list");
    }
    if arguments.cost {
        let loader = Loader::read(&arguments.loader, None)?;
        cost::measure(&loader, &Workers::new(arguments, &loader)?, arguments.json)?;
        return Ok(true);
    }
    if arguments.suit_cost {
        let loader = Loader::read(&arguments.loader, None)?;
        let own_key = arguments.own_key.as_deref().context("--suit-cost needs --own-key LOADER")?;
        let own_key = Loader::read(own_key, None)?;
        let (workers, own_workers) = (Workers::new(arguments, &loader)?, Workers::new(arguments, &own_key)?);
        suit_cost::measure((&loader, &workers), (&own_key, &own_workers), arguments.json)?;
        return Ok(true);
    }
    let mut reports = Vec::new();
    for strategy in [Strategy::Swap, Strategy::InPlace, Strategy::OwnKey, Strategy::Tabled] {
        let is_meant =
            |name: &str| arguments.cases.is_empty() || arguments.cases.iter().any(|case| case == name);
        let cases: Vec<_> =
            CASES.iter().filter(|case| case.strategy == strategy && is_meant(case.name)).collect();
        if cases.is_empty() {
            continue;
        }
        let (path, lines) = match strategy {
            Strategy::Swap => (Some(&arguments.loader), &arguments.lines),
            Strategy::InPlace => (arguments.in_place.as_ref(), &arguments.in_place_lines),
            Strategy::OwnKey => (arguments.own_key.as_ref(), &arguments.own_key_lines),
            Strategy::Tabled => (arguments.tabled.as_ref(), &arguments.tabled_lines),
        };
        let path = path.context("these cases need --in-place LOADER, --own-key LOADER or --tabled LOADER")?;
        let loader = Loader::read(path, lines.as_deref())?;
        attack(&cases, &loader, arguments, &mut reports)?;
    }
    report::finish(&reports, arguments.json)
}

/// Attacks a loader in each of these cases.
fn attack(cases: &[&Case], loader: &Loader, arguments: &Arguments, reports: &mut Vec<Report>) -> Result<()> {
    let workers = Workers::new(arguments, loader)?;
    for case in cases {
        let prepared = case.prepare()?;
        let since = case.since.map(|name| loader.find(name)).transpose()?;
        let trace = workers.trace(&prepared.subject, since)?;
        let plan = Plan::new(&trace, loader, arguments)?;
        let mut report = Report::new(case.name, &plan, arguments);
        let mut judge = Judge::new(&prepared, workers.folder())?;
        workers.attack(case.name, &prepared.subject, &plan, |attack| {
            report.add(attack, judge.judge(attack)?, loader);
            Ok(())
        })?;
        if !arguments.json {
            report.print();
        }
        reports.push(report);
    }
    Ok(())
}
