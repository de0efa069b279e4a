//! `cargo xtask test`: everything that must hold before a change lands, in one command; CI runs just this.
//!
//! Cheap steps come first. All host builds take the same packages, so that cargo builds nothing twice.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use emulator::{Program, Programs};

use crate::board;
use crate::process::{self, Finished};
use crate::tools::{self, DENY};
use crate::workspace::{
    Board, Build, DEVICE_CRATES, DEVICE_PROFILE, DEVICE_TARGET, DEVICE_TARGETS, Workspace,
};
use crate::{bench, fuzz, prove, size, tidy, vm};

mod lanes;

use lanes::Suite;

/// A test that runs a whole pipeline, in a step of its own.
struct Pipeline {
    /// Test target of the system tests.
    target: &'static str,
    test: &'static str,
}

const TOUR: Pipeline = Pipeline { target: "readme", test: "entire_tour_of_the_readme" };
const DEMO_SIM: Pipeline = Pipeline { target: "demo", test: "entire_pipeline_on_the_simulated_device" };
const DEMO_QEMU: Pipeline = Pipeline { target: "pipeline", test: "entire_pipeline_on_the_cortex_m4" };
const VM: Pipeline = Pipeline { target: "vm", test: "entire_updates_through_socketcan" };
const SKIP: Pipeline =
    Pipeline { target: "skip", test: "t14_no_skipped_instruction_boots_anything_forged_or_lowers_a_floor" };
const SKIP_CONTROL: Pipeline =
    Pipeline { target: "skip", test: "t14_without_the_second_comparison_a_skipped_instruction_boots" };
/// Every other test runs in the step `test`.
const PIPELINES: [&Pipeline; 6] = [&TOUR, &DEMO_SIM, &DEMO_QEMU, &VM, &SKIP, &SKIP_CONTROL];
/// Tells the system tests where the programs are that are built already.
const PROGRAMS: &str = "XTASK_PROGRAMS";
/// How many tests the test harness runs at once.
const THREADS: &str = "RUST_TEST_THREADS";
/// Reaching the advisory database takes no longer, or is in vain.
const ADVISORY_LIMIT: Duration = Duration::from_secs(120);
/// How cargo-deny says that it has no database.
const NO_DATABASE: &str = "failed to fetch advisory database";
const OUT_OF_REACH: &str = "the advisory database cannot be reached from here";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only this step (repeatable)
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Run the long steps too
    #[arg(long, conflicts_with = "only")]
    long: bool,
    /// List the steps
    #[arg(long)]
    list: bool,
}

/// Steps that `--long` adds: with them the suite would not end within the hour on two cores.
const LONG: [&str; 4] = ["prove", "skip", "vm-static", "fuzz"];

impl Arguments {
    fn takes(&self, step: &str) -> bool {
        if self.only.is_empty() {
            self.long || !LONG.contains(&step)
        } else {
            self.only.iter().any(|only| only == step)
        }
    }
}

/// How a step ended that did not fail.
enum Outcome {
    Done,
    /// Could not be checked here; says why.
    NotChecked(String),
}

type Action = fn(&Workspace) -> Result<Outcome>;

/// The steps, in order.
const STEPS: [(&str, &str, Action); 18] = [
    ("tools", "installs what the other steps need", provide_tools),
    ("fmt", "formatting", format),
    ("tidy", "rules of the code base", check_rules),
    ("device", "builds each device crate and board for each core", build_device),
    ("clippy", "lints, host and device", lint),
    ("test", "tests of every crate", test),
    ("size", "flash and RAM of the loader", check_size),
    ("deny", "licences, bans, sources", deny),
    ("advisories", "known vulnerabilities", advisories),
    ("readme", "runs the tour of the README", tour),
    ("demo-sim", "the whole pipeline on the simulated device", demo_sim),
    ("demo-qemu", "the whole pipeline on the Cortex-M4 in QEMU", demo_qemu),
    ("prove", "a fault at each flash operation of a device's life", prove_each),
    ("skip", "skips each instruction of the verification, in an emulator", skip),
    ("vm", "updates through the Linux CAN stack", vm),
    ("vm-static", "the same with programs that are linked statically, without HTTP", vm_static),
    ("bench", "benchmarks run; results are not gated", measure),
    ("fuzz", "each fuzz target for ten seconds, from its kept inputs", fuzz_briefly),
];

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    if arguments.list {
        for (name, what, _) in STEPS {
            let long = if LONG.contains(&name) { " (--long)" } else { "" };
            println!("{name:11} {what}{long}");
        }
        return Ok(());
    }
    for name in &arguments.only {
        ensure!(STEPS.iter().any(|(step, ..)| step == name), "there is no step `{name}`; see --list");
    }
    let started = Instant::now();
    let mut lines = Vec::new();
    for (name, what, action) in STEPS {
        if !arguments.takes(name) {
            continue;
        }
        println!("\n== {name}: {what}");
        let began = Instant::now();
        let outcome = action(workspace).with_context(|| format!("step `{name}` failed"))?;
        let seconds = began.elapsed().as_secs_f64();
        let line = match outcome {
            Outcome::Done => format!("{seconds:8.1} s  {name}"),
            Outcome::NotChecked(why) => format!("{seconds:8.1} s  {name}: NOT CHECKED, {why}"),
        };
        println!("{line}");
        lines.push(line);
    }
    println!("\n{}\n{:8.1} s  in all", lines.join("\n"), started.elapsed().as_secs_f64());
    Ok(())
}

fn provide_tools(workspace: &Workspace) -> Result<Outcome> {
    tools::provide_system_tools(&tools::TEST_TOOLS)?;
    tools::BINUTILS.provide(workspace)?;
    for target in DEVICE_TARGETS {
        tools::provide_rust_target(workspace, target)?;
    }
    Ok(Outcome::Done)
}

fn format(workspace: &Workspace) -> Result<Outcome> {
    process::check(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Done)
}

fn check_rules(workspace: &Workspace) -> Result<Outcome> {
    tidy::run(workspace, &tidy::Arguments::default())?;
    Ok(Outcome::Done)
}

/// Arguments of the builds of the device crates for these targets. Each package is built alone: together, cargo would unify
/// their features, and one crate's heap would hide in another's.
fn device_builds(targets: &[&str]) -> Vec<Vec<String>> {
    let mut builds = Vec::new();
    for target in targets {
        for package in DEVICE_CRATES {
            let mut build = vec!["--package", package, "--profile", DEVICE_PROFILE, "--target", target];
            // Without the feature a loader must have its anchor compiled in, or it does not build.
            if package == "bootloader" {
                build.extend(["--features", "provisioned-anchor"]);
            }
            builds.push(build.into_iter().map(str::to_owned).collect());
        }
    }
    builds
}

fn build_device(workspace: &Workspace) -> Result<Outcome> {
    for build in device_builds(&DEVICE_TARGETS) {
        process::check(workspace.cargo().arg("build").args(build))?;
    }
    let programs = Programs::new(workspace.target())?;
    for Board { package, builds, .. } in workspace.boards() {
        for Build { target, features } in builds {
            programs.program(&Program { package, target, features, variables: &[] })?;
        }
    }
    Ok(Outcome::Done)
}

fn lint(workspace: &Workspace) -> Result<Outcome> {
    let mut host = workspace.cargo();
    host.arg("clippy").args(workspace.host_selection()).args(["--all-targets", "--", "--deny", "warnings"]);
    process::check(&mut host)?;
    // updater-host is built without a server too (docs/updater-host.md).
    let offline =
        ["clippy", "--package", "updater-host", "--no-default-features", "--", "--deny", "warnings"];
    process::check(workspace.cargo().args(offline))?;
    // The crates have the same lines for each target; the boards do not.
    let boards = workspace.boards().iter().flat_map(|Board { package, builds, .. }| {
        builds.iter().map(|build| board::selection(package, build))
    });
    for build in device_builds(&[DEVICE_TARGET]).into_iter().chain(boards) {
        process::check(workspace.cargo().arg("clippy").args(build).args(["--", "--deny", "warnings"]))?;
    }
    Ok(Outcome::Done)
}

/// `cargo test`, with the programs built out of the same crates.
fn cargo_test(workspace: &Workspace, programs: &Path) -> Command {
    let mut command = workspace.cargo();
    command.arg("test").args(workspace.host_selection()).env(PROGRAMS, programs);
    command
}

fn test(workspace: &Workspace) -> Result<Outcome> {
    let skipped = PIPELINES.iter().flat_map(|pipeline| ["--skip", pipeline.test]);
    let harness: Vec<&str> = std::iter::once("--exact").chain(skipped).collect();
    let programs = workspace.build_tested_programs(TOUR.target)?;
    let rustdoc = rustdoc_with_codes(workspace)?;
    let cargo_test = || {
        let mut command = cargo_test(workspace, &programs);
        command.env("RUSTDOC", &rustdoc);
        if std::env::var_os(THREADS).is_none() {
            command.env(THREADS, test_threads().to_string());
        }
        command
    };
    lanes::run(&Suite {
        cargo_test: &cargo_test,
        harness: &harness,
        metadata: &workspace.metadata()?,
        excluded: &|package| workspace.boards().iter().any(|board| board.package == package),
    })?;
    Ok(Outcome::Done)
}

/// Tests that run at once: the long ones wait for timers of the bus far more than they compute (of 295 s with two
/// threads on two cores, 87 s were spent in a processor; with five, they took 130 s).
fn test_threads() -> usize {
    2 * std::thread::available_parallelism().map_or(1, usize::from)
}

/// A rustdoc that compares the error codes of `compile_fail` tests. The stable one does so with `RUSTC_BOOTSTRAP` only;
/// cargo itself must not have it, since crates that look at it would be built again.
fn rustdoc_with_codes(workspace: &Workspace) -> Result<PathBuf> {
    let script = workspace.directory("tools")?.join("rustdoc-with-codes");
    std::fs::write(&script, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n")
        .and_then(|()| std::fs::set_permissions(&script, Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {}", script.display()))?;
    Ok(script)
}

/// Runs a pipeline's test, and fails when there is none of that name.
fn run_pipeline(workspace: &Workspace, pipeline: &Pipeline) -> Result<Outcome> {
    let Pipeline { target, test } = pipeline;
    let select = |command: &mut Command| {
        command.args(["--test", target, "--", "--exact", test]);
    };
    let programs = workspace.build_tested_programs(TOUR.target)?;
    let mut list = cargo_test(workspace, &programs);
    select(&mut list);
    let listing = String::from_utf8(process::output(list.arg("--list").stderr(Stdio::inherit()))?)?;
    ensure!(lists(&listing, test), "tests/tests/{target}.rs has no test `{test}`:\n{listing}");
    let mut run = cargo_test(workspace, &programs);
    select(&mut run);
    process::check(run.arg("--nocapture"))?;
    Ok(Outcome::Done)
}

/// Whether what `--list` printed has the test.
fn lists(listing: &str, test: &str) -> bool {
    listing.lines().any(|line| line.strip_suffix(": test") == Some(test))
}

fn tour(workspace: &Workspace) -> Result<Outcome> {
    run_pipeline(workspace, &TOUR)
}

fn demo_sim(workspace: &Workspace) -> Result<Outcome> {
    run_pipeline(workspace, &DEMO_SIM)
}

fn demo_qemu(workspace: &Workspace) -> Result<Outcome> {
    run_pipeline(workspace, &DEMO_QEMU)
}

fn vm(workspace: &Workspace) -> Result<Outcome> {
    run_pipeline(workspace, &VM)
}

fn vm_static(workspace: &Workspace) -> Result<Outcome> {
    let programs = workspace.build_tested_programs(TOUR.target)?;
    vm::run(workspace, &vm::Arguments { programs: Some(programs), is_static: true, json: false })?;
    Ok(Outcome::Done)
}

fn prove_each(workspace: &Workspace) -> Result<Outcome> {
    prove::run_brief(workspace)?;
    Ok(Outcome::Done)
}

fn skip(workspace: &Workspace) -> Result<Outcome> {
    run_pipeline(workspace, &SKIP)?;
    run_pipeline(workspace, &SKIP_CONTROL)
}

fn measure(workspace: &Workspace) -> Result<Outcome> {
    let programs = workspace.build_tested_programs(TOUR.target)?;
    let arguments = bench::Arguments {
        what: None,
        programs: Some(programs),
        paced: false,
        server: false,
        baseline: None,
        json: false,
    };
    bench::run(workspace, &arguments)?;
    Ok(Outcome::Done)
}

fn fuzz_briefly(workspace: &Workspace) -> Result<Outcome> {
    fuzz::run(workspace, &fuzz::Arguments::brief())?;
    Ok(Outcome::Done)
}

fn check_size(workspace: &Workspace) -> Result<Outcome> {
    size::run(workspace, &size::Arguments { json: false, elf: None, prices: false })?;
    Ok(Outcome::Done)
}

fn deny(workspace: &Workspace) -> Result<Outcome> {
    let mut command = Command::new(DENY.provide(workspace)?);
    command.current_dir(workspace.root()).args(["check", "bans", "licenses", "sources"]);
    process::check(&mut command)?;
    Ok(Outcome::Done)
}

/// The advisory database lies on the network; where that is closed, the summary says that nobody looked.
fn advisories(workspace: &Workspace) -> Result<Outcome> {
    let mut command = Command::new(DENY.provide(workspace)?);
    command.current_dir(workspace.root()).args(["check", "advisories"]);
    judge_advisories(process::finish_within(&mut command, ADVISORY_LIMIT)?)
}

/// A network that is closed refuses at once or says nothing at all.
fn judge_advisories(finished: Option<Finished>) -> Result<Outcome> {
    match finished {
        Some(Finished { status, .. }) if status.success() => {
            println!("no advisory names a dependency");
            Ok(Outcome::Done)
        }
        Some(Finished { status, stderr, .. }) if !stderr.contains(NO_DATABASE) => {
            eprint!("{stderr}");
            bail!("cargo deny check advisories ended with {status}")
        }
        _ => {
            println!("NOT CHECKED: {OUT_OF_REACH}");
            Ok(Outcome::NotChecked(OUT_OF_REACH.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn the_long_steps_run_when_they_are_asked_for() {
        let arguments = |only: &[&str], long| Arguments {
            only: only.iter().map(|step| (*step).to_owned()).collect(),
            long,
            list: false,
        };
        let taken = |arguments: &Arguments| STEPS.iter().filter(|(step, ..)| arguments.takes(step)).count();
        assert_eq!(taken(&arguments(&[], false)), STEPS.len() - LONG.len());
        assert_eq!(taken(&arguments(&[], true)), STEPS.len());
        for step in LONG {
            assert!(arguments(&[step], false).takes(step) && !arguments(&["test"], false).takes(step));
            assert!(STEPS.iter().any(|(name, ..)| *name == step), "{step}");
        }
    }

    #[test]
    fn the_rustdoc_of_the_tests_is_a_program() -> Result<()> {
        let mut rustdoc = Command::new(rustdoc_with_codes(&Workspace::locate()?)?);
        let version = process::output(rustdoc.arg("--version"))?;
        assert!(version.starts_with(b"rustdoc "));
        Ok(())
    }

    #[test]
    fn only_the_test_itself_is_listed() {
        let listing = "entire_tour: test\nothers: test\n\n2 tests, 0 benchmarks\n";
        assert!(lists(listing, "entire_tour"));
        assert!(!lists(listing, "entire"));
        assert!(!lists("0 tests, 0 benchmarks\n", "entire_tour"));
    }

    fn ended(code: i32, stderr: &str) -> Result<Outcome> {
        let status = ExitStatus::from_raw(code << 8);
        judge_advisories(Some(Finished { status, stdout: String::new(), stderr: stderr.to_owned() }))
    }

    #[test]
    fn a_database_out_of_reach_is_told_from_an_advisory() {
        assert!(matches!(ended(0, ""), Ok(Outcome::Done)));
        assert!(matches!(judge_advisories(None), Ok(Outcome::NotChecked(_))));
        assert!(matches!(ended(1, &format!("error: {NO_DATABASE}\n")), Ok(Outcome::NotChecked(_))));
        assert!(ended(1, "error[vulnerability]").is_err());
    }
}
