//! `prove`: every fault of the flash model at every operation of a device's life. `cargo xtask prove` runs it.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use prove::bench::Geometry;
use prove::case::{Case, Kind};
use prove::engine::{Selection, Summary, run};
use prove::life::Step;
use prove::{geometries, qemu};

/// Exit code of a run that was interrupted.
const INTERRUPTED: u8 = 130;

#[derive(Parser)]
#[command(name = "prove", about = "Try every fault of the flash at every operation of a device's life")]
struct Arguments {
    /// Choose the bits and the second cuts [default: 1]
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true)]
    seed: u64,
    /// Try this kind of fault only (repeatable)
    #[arg(long, value_name = "KIND")]
    kind: Vec<Kind>,
    /// Try this step of a device's life only (repeatable)
    #[arg(long, value_name = "STEP")]
    step: Vec<Step>,
    /// Try this geometry only (repeatable)
    #[arg(long, value_name = "NAME")]
    geometry: Vec<String>,
    /// Cover every operation once with a kind that the seed chooses; in geometries with many operations some of them
    #[arg(long)]
    brief: bool,
    /// Try every N-th case only [default: 1]
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true)]
    every: usize,
    /// Print the name of each case in which nothing ran, as it may be
    #[arg(long, conflicts_with = "json")]
    excused: bool,
    /// Run one case and print its trace
    #[arg(long, value_name = "CASE", conflicts_with_all = ["kind", "step", "geometry", "brief", "every", "excused"])]
    replay: Option<Case>,
    /// Update the Cortex-M4 board in QEMU N times, with resets and power cuts at random instants
    #[arg(long, value_name = "N", conflicts_with_all = ["kind", "step", "geometry", "brief", "every", "excused", "replay"])]
    qemu: Option<u32>,
    /// List geometries and kinds
    #[arg(long)]
    list: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A case that panics is reported as one line.
    std::panic::set_hook(Box::new(|_| {}));
    match perform(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("prove: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.list {
        println!("geometries: {}", geometries::ALL.map(|(name, _)| name).join(" "));
        println!("steps: {}", Step::ALL.map(Step::name).join(" "));
        println!("kinds: {}", Kind::ALL.map(Kind::name).join(" "));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(case) = &arguments.replay {
        return replay(case, arguments.json);
    }
    for name in &arguments.geometry {
        geometry(name)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_interrupt(&stop)?;
    if let Some(rounds) = arguments.qemu {
        return in_qemu(rounds, arguments, &stop);
    }
    let kinds = if arguments.kind.is_empty() { Kind::ALL.to_vec() } else { arguments.kind.clone() };
    let Arguments { seed, brief, every, excused, .. } = *arguments;
    let steps = if arguments.step.is_empty() { Step::ALL.to_vec() } else { arguments.step.clone() };
    let selection = Selection { kinds, steps, seed, brief, every, names_excused: excused };
    let mut summary = Summary::default();
    for (name, make) in geometries::ALL {
        let is_meant = arguments.geometry.is_empty() || arguments.geometry.iter().any(|meant| meant == name);
        if !is_meant || stop.load(Ordering::Relaxed) {
            continue;
        }
        let (began, before) = (Instant::now(), summary.clone());
        let geometry: Box<dyn Geometry> = make(name);
        run(geometry.as_ref(), &selection, &stop, &mut summary);
        if !arguments.json {
            let (cases, broken) = (summary.cases - before.cases, summary.broken() - before.broken());
            println!("{}", geometry.describe());
            println!("{:18} {cases} cases, {broken} broken, {:.0} s", "", began.elapsed().as_secs_f32());
        }
    }
    report(&summary, arguments.json)?;
    Ok(match (summary.is_good(), summary.interrupted) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(INTERRUPTED),
        (true, false) => ExitCode::SUCCESS,
    })
}

fn in_qemu(rounds: u32, arguments: &Arguments, stop: &AtomicBool) -> Result<ExitCode> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), std::path::PathBuf::from);
    let tell = |round: u32, words: &str| eprintln!("{:5} of {rounds}: {words}", round + 1);
    let summary = qemu::run(rounds, arguments.seed, &std::path::absolute(target)?, stop, tell)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        for failure in &summary.failures {
            println!("FAILED {failure}");
        }
        println!("{summary}");
    }
    Ok(match (summary.failures.is_empty(), summary.interrupted) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(INTERRUPTED),
        (true, false) => ExitCode::SUCCESS,
    })
}

fn report(summary: &Summary, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(summary)?);
        return Ok(());
    }
    for failing in &summary.failures {
        println!("FAILED {}\n  replay: cargo xtask prove --replay {}", failing.what, failing.case);
    }
    if summary.interrupted {
        println!("interrupted: the cases so far");
    }
    println!("{summary}");
    Ok(())
}

fn geometry(name: &str) -> Result<Box<dyn Geometry>> {
    let known = || geometries::ALL.map(|(name, _)| name).join(", ");
    let found = geometries::ALL.into_iter().find(|(known, _)| *known == name);
    let (name, make) =
        found.with_context(|| format!("there is no geometry `{name}`; geometries: {}", known()))?;
    Ok(make(name))
}

fn replay(case: &Case, json: bool) -> Result<ExitCode> {
    let geometry = geometry(&case.geometry)?;
    let verdict = geometry.judge(case, true);
    if json {
        let what = verdict.violation.as_ref().map(|violation| violation.words.as_str());
        let (resets, erases, excused) = (verdict.resets, verdict.erases, verdict.is_excused);
        let object = serde_json::json!({
            "case": case.to_string(), "what": what, "excused": excused, "trace": verdict.trace, "resets": resets,
            "erases": erases,
        });
        println!("{object}");
    } else {
        for line in &verdict.trace {
            println!("{line}");
        }
        let good = if verdict.is_excused { "excused" } else { "good" };
        println!("{case}: {}", verdict.violation.as_ref().map_or(good, |violation| violation.words.as_str()));
    }
    Ok(if verdict.violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The first Ctrl-C ends the run between two cases, with the numbers so far; the second one ends it at once.
fn stop_on_interrupt(stop: &Arc<AtomicBool>) -> Result<()> {
    let stop = Arc::clone(stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let waiting = std::thread::Builder::new().name("interrupt".into()).spawn(move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if stop.swap(true, Ordering::Relaxed) {
                    std::process::exit(INTERRUPTED.into());
                }
            }
        });
    });
    ensure!(waiting.is_ok(), "no thread for Ctrl-C");
    Ok(())
}
