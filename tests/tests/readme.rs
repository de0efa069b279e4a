//! README.md says only what works: its tour is run as it stands, and every other command of its is a task that
//! `cargo xtask` has. Its Rust is a part of a documentation test.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use emulator::script::{self, Script};
use system_tests::{addresses, xtask};

/// Leads the block that is run as it stands.
const TOUR: &str = "cargo xtask image";
/// The block that builds the tour's programs; the test has built them already, and knows where they are.
const BUILD: &str = "cargo build\nexport PATH=\"$PWD/target/debug:$PATH\"\n";
/// Where the tour's server listens; in the test, at a port that is free.
const SERVER: &str = "127.0.0.1:18080";
/// Far above what the tour takes when it compiles the device's programs first.
const TOUR_LIMIT: Duration = Duration::from_secs(1800);
/// Tasks that other tests and steps of `cargo xtask test` run, or that are it.
const TASKS: [&str; 13] = [
    "bench",
    "c-library",
    "demo",
    "fuzz",
    "image",
    "new-board",
    "prove",
    "qemu",
    "size",
    "skip",
    "test",
    "tidy",
    "vm",
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The shell blocks of the README.
fn blocks() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join("README.md"))?;
    let blocks: Vec<_> = script::blocks(&text).into_iter().map(str::to_owned).collect();
    ensure!(!blocks.is_empty(), "README.md has no shell blocks");
    Ok(blocks)
}

#[test]
fn every_command_is_a_task_or_part_of_the_tour() -> Result<()> {
    let mut tours = 0;
    let all = blocks()?;
    let tour = all.iter().find(|block| block.starts_with(TOUR)).context("README.md has no tour")?;
    for block in &all {
        // What the tour runs as well may be shown by itself.
        if block == BUILD || block != tour && tour.contains(block.as_str()) {
            continue;
        }
        if block.starts_with(TOUR) {
            tours += 1;
            continue;
        }
        for line in block.lines().filter(|line| !line.trim().is_empty()) {
            let command = line.split('#').next().unwrap_or_default().trim();
            let task = command.strip_prefix("cargo xtask ").with_context(|| format!("no task: {line}"))?;
            let name = task.split(' ').next().unwrap_or_default();
            ensure!(TASKS.contains(&name), "README.md shows a task that is not tested: {line}");
        }
    }
    ensure!(tours == 1, "README.md has {tours} tours");
    Ok(())
}

#[test]
fn its_rust_is_part_of_a_documentation_test() -> Result<()> {
    let text = std::fs::read_to_string(root().join("README.md"))?;
    let example = std::fs::read_to_string(root().join("bootloader/src/application.rs"))?;
    let (_, rest) = text.split_once("```rust\n").context("README.md shows no Rust")?;
    let (block, _) = rest.split_once("```").context("a block has no end")?;
    let documented: String = block.lines().map(|line| format!("//! {line}\n")).collect();
    ensure!(example.contains(&documented), "bootloader/src/application.rs has another example");
    Ok(())
}

#[test]
fn the_tasks_are_those_that_there_are() -> Result<()> {
    let help = xtask::command(&["help"]).output()?;
    let help = String::from_utf8(help.stdout)?;
    let (_, commands) = help.split_once("Commands:\n").context("the help lists no commands")?;
    let there: BTreeSet<_> = commands
        .lines()
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    ensure!(there == TASKS.into_iter().collect(), "`cargo xtask help` lists {there:?}");
    Ok(())
}

#[test]
fn entire_tour_of_the_readme() -> Result<()> {
    let blocks = blocks()?;
    let tour = blocks.iter().find(|block| block.starts_with(TOUR)).context("README.md has no tour")?;
    ensure!(tour.contains(SERVER), "the tour has no server on {SERVER}");
    let tour = tour.replace(SERVER, &addresses::server()?);
    let programs = xtask::build_programs()?;
    let state = root().join("target/tour");
    if state.exists() {
        std::fs::remove_dir_all(&state)?;
    }
    let scratch = tempfile::tempdir()?;
    let passphrase = scratch.path().join("passphrase");
    std::fs::write(&passphrase, "correct horse battery staple\n")?;
    std::fs::set_permissions(&passphrase, std::fs::Permissions::from_mode(0o600))?;
    let environment = [
        ("PATH", search_path(&programs)?),
        ("ANCHORAGE_PASSPHRASE_FILE", passphrase.into()),
        // A bus of its own, so that other tests' devices do not answer.
        ("ANCHORAGE_BUS", addresses::bus()?.into()),
        ("ANCHORAGE_DATA_DIR", scratch.path().join("technician").into()),
    ];
    let mut stdout = String::new();
    let tour = Script {
        text: &tour,
        directory: root(),
        environment: &environment,
        limit: TOUR_LIMIT,
        stderr: Stdio::inherit(),
    };
    let status = tour.run(|line| stdout.extend([line, "\n"]))?;
    match status {
        None => bail!("the tour had not ended after {TOUR_LIMIT:?}:\n{stdout}"),
        Some(status) => ensure!(status.success(), "the tour ended with {status}:\n{stdout}"),
    }
    for expected in ["TOUR-1", "1.0.0", "2.0.0", "confirmed"] {
        ensure!(stdout.contains(expected), "the tour never said {expected}:\n{stdout}");
    }
    // Two ways from an ELF to an image: objcopy, and manifest-tool by itself.
    let objcopy = std::fs::read(state.join("2.0.0/qemu-mps2-app.bin"))?;
    ensure!(
        objcopy == std::fs::read(state.join("2.bin"))?,
        "manifest-tool and objcopy made different images"
    );
    Ok(())
}

fn search_path(first: &Path) -> Result<OsString> {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all: Vec<PathBuf> = std::iter::once(first.to_owned()).chain(std::env::split_paths(&rest)).collect();
    Ok(std::env::join_paths(all)?)
}
