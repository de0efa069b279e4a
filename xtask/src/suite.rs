//! `cargo xtask test`: everything that must hold before a change lands, in one command; CI runs just this.
//!
//! Cheap steps come first. All host builds take the same packages, so that cargo builds nothing twice.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::board;
use crate::process;
use crate::tools::{self, DENY, QEMU_ARM, QEMU_X86, SystemTool};
use crate::workspace::{
    BOARD_PACKAGES, DEVICE_CRATES, DEVICE_PROFILE, DEVICE_TARGET, STATIC_TARGET, Workspace,
};
use crate::{size, tidy};

/// Prefix of the tests that run a whole pipeline; each has a step of its own.
const ENTIRE: &str = "entire_";
/// Reaching the advisory database takes no longer, or is in vain.
const ADVISORY_LIMIT: Duration = Duration::from_secs(120);
/// How cargo-deny says that it has no database.
const NO_DATABASE: &str = "failed to fetch advisory database";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Runs only this step; may be given several times
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Lists the steps
    #[arg(long)]
    list: bool,
}

/// How a step ended that did not fail.
enum Outcome {
    Done,
    /// Could not be checked here; says why.
    NotChecked(String),
}

type Action = fn(&Workspace) -> Result<Outcome>;

/// The steps, in order.
const STEPS: [(&str, &str, Action); 13] = [
    ("tools", "what the other steps need is on the machine", provide_tools),
    ("fmt", "formatting", format),
    ("tidy", "rules of the code base", check_rules),
    ("device", "device crates alone, and boards, for the Cortex-M4", build_device),
    ("clippy", "lints, host and device", lint),
    ("test", "every crate's tests", test),
    ("size", "flash and RAM of the loader", check_size),
    ("deny", "licences, bans, sources", deny),
    ("advisories", "known vulnerabilities", advisories),
    ("readme", "the README's tour as it stands", tour),
    ("demo-sim", "the whole pipeline on the simulated device", demo_sim),
    ("demo-qemu", "the whole pipeline on the Cortex-M4 in QEMU", demo_qemu),
    ("vm", "updates through the Linux CAN stack", vm),
];

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    if arguments.list {
        for (name, what, _) in STEPS {
            println!("{name:11} {what}");
        }
        return Ok(());
    }
    for name in &arguments.only {
        ensure!(STEPS.iter().any(|(step, ..)| step == name), "there is no step `{name}`; see --list");
    }
    let started = Instant::now();
    let mut lines = Vec::new();
    for (name, what, action) in STEPS {
        if !arguments.only.is_empty() && !arguments.only.iter().any(|only| only == name) {
            continue;
        }
        println!("\n== {name}: {what}");
        let began = Instant::now();
        let outcome = action(workspace).with_context(|| format!("step `{name}` failed"))?;
        let seconds = began.elapsed().as_secs_f64();
        lines.push(match outcome {
            Outcome::Done => format!("{seconds:8.1} s  {name}"),
            Outcome::NotChecked(why) => format!("{seconds:8.1} s  {name}: NOT CHECKED, {why}"),
        });
    }
    println!("\n{}\n{:8.1} s  in all", lines.join("\n"), started.elapsed().as_secs_f64());
    Ok(())
}

fn provide_tools(workspace: &Workspace) -> Result<Outcome> {
    let strip = SystemTool { program: "strip", package: "binutils" };
    let git = SystemTool { program: "git", package: "git" };
    tools::provide_system_tools(&[QEMU_ARM, QEMU_X86, tools::DPKG_DEB, strip, git])?;
    tools::BINUTILS.provide(workspace)?;
    tools::provide_rust_target(workspace, STATIC_TARGET)?;
    Ok(Outcome::Done)
}

fn format(workspace: &Workspace) -> Result<Outcome> {
    process::check(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Done)
}

fn check_rules(workspace: &Workspace) -> Result<Outcome> {
    tidy::run(workspace)?;
    Ok(Outcome::Done)
}

/// Arguments of every device build. Each package is built alone: together, cargo would unify their features,
/// and one crate's heap would hide in another's.
fn device_builds() -> Vec<Vec<&'static str>> {
    let library =
        |package| vec!["--package", package, "--profile", DEVICE_PROFILE, "--target", DEVICE_TARGET];
    let mut builds: Vec<_> = DEVICE_CRATES.into_iter().map(library).collect();
    // Without the feature a loader must have its anchor compiled in, or it does not build.
    if let Some(bootloader) = builds.last_mut() {
        bootloader.extend(["--features", "provisioned-anchor"]);
    }
    builds.extend(BOARD_PACKAGES.map(board::selection));
    builds
}

fn build_device(workspace: &Workspace) -> Result<Outcome> {
    for build in device_builds() {
        process::check(workspace.cargo().arg("build").args(build))?;
    }
    Ok(Outcome::Done)
}

fn lint(workspace: &Workspace) -> Result<Outcome> {
    let mut host = workspace.cargo();
    host.arg("clippy").args(Workspace::host_selection()).args(["--all-targets", "--", "--deny", "warnings"]);
    process::check(&mut host)?;
    for build in device_builds() {
        process::check(workspace.cargo().arg("clippy").args(build).args(["--", "--deny", "warnings"]))?;
    }
    Ok(Outcome::Done)
}

fn cargo_test(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo();
    command.arg("test").args(Workspace::host_selection());
    command
}

fn test(workspace: &Workspace) -> Result<Outcome> {
    process::check(cargo_test(workspace).args(["--", "--skip", ENTIRE]))?;
    Ok(Outcome::Done)
}

/// One test target of the system tests, with its whole-pipeline tests.
fn system_test(workspace: &Workspace, target: &str) -> Result<Outcome> {
    process::check(cargo_test(workspace).args(["--test", target, "--", "--nocapture", ENTIRE]))?;
    Ok(Outcome::Done)
}

fn tour(workspace: &Workspace) -> Result<Outcome> {
    system_test(workspace, "readme")
}

fn demo_sim(workspace: &Workspace) -> Result<Outcome> {
    system_test(workspace, "demo")
}

fn demo_qemu(workspace: &Workspace) -> Result<Outcome> {
    system_test(workspace, "pipeline")
}

fn vm(workspace: &Workspace) -> Result<Outcome> {
    system_test(workspace, "vm")
}

fn check_size(workspace: &Workspace) -> Result<Outcome> {
    size::run(workspace, &size::Arguments { json: false, elf: None })?;
    Ok(Outcome::Done)
}

fn deny(workspace: &Workspace) -> Result<Outcome> {
    let path = DENY.provide(workspace)?;
    let mut command = workspace.cargo();
    command.args(["deny", "check", "bans", "licenses", "sources"]).env("PATH", path);
    process::check(&mut command)?;
    Ok(Outcome::Done)
}

/// The advisory database lies on the network; where that is closed, the summary says that nobody looked.
fn advisories(workspace: &Workspace) -> Result<Outcome> {
    let path = DENY.provide(workspace)?;
    let mut command = workspace.cargo();
    command.args(["deny", "check", "advisories"]).env("PATH", path);
    let finished = process::finish(&mut command, ADVISORY_LIMIT)?;
    if finished.status.success() {
        println!("no advisory names a dependency");
        return Ok(Outcome::Done);
    }
    if finished.stderr.contains(NO_DATABASE) {
        println!("NOT CHECKED: the advisory database cannot be reached from here");
        return Ok(Outcome::NotChecked("the advisory database cannot be reached from here".to_owned()));
    }
    eprint!("{}", finished.stderr);
    bail!("cargo deny check advisories ended with {}", finished.status)
}
