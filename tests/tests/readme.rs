//! README.md says only what works: its tour is run as it stands, and every other command of its is a task that
//! `cargo xtask` has.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use system_tests::xtask;

/// Leads the block that is run as it stands.
const TOUR: &str = "cargo xtask image";
/// The block that builds the tour's programs; the test has built them already, and knows where they are.
const BUILD: &str = "cargo build\nexport PATH=\"$PWD/target/debug:$PATH\"\n";
/// Tasks that other tests and steps of `cargo xtask test` run, or that are it.
const TASKS: [&str; 8] = ["bench", "demo", "image", "qemu", "size", "test", "tidy", "vm"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The shell blocks of the README.
fn blocks() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join("README.md"))?;
    let blocks: Vec<_> = text
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block.to_owned()))
        .collect();
    ensure!(!blocks.is_empty(), "README.md has no shell blocks");
    Ok(blocks)
}

#[test]
fn every_command_is_a_task_or_part_of_the_tour() -> Result<()> {
    let mut tours = 0;
    for block in blocks()? {
        if block == BUILD {
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

/// Ends everything that a script left running.
struct ProcessGroup(u32);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // Nothing is left when the script went to its end.
        let group = format!("-{}", self.0);
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    }
}

#[test]
fn entire_tour_of_the_readme() -> Result<()> {
    let blocks = blocks()?;
    let tour = blocks.iter().find(|block| block.starts_with(TOUR)).context("README.md has no tour")?;
    let programs = xtask::build_programs()?;
    let state = root().join("target/tour");
    if state.exists() {
        std::fs::remove_dir_all(&state)?;
    }
    let scratch = tempfile::tempdir()?;
    let passphrase = scratch.path().join("passphrase");
    std::fs::write(&passphrase, "correct horse battery staple\n")?;
    std::fs::set_permissions(&passphrase, std::fs::Permissions::from_mode(0o600))?;
    // A bus of its own, so that other tests' devices do not answer.
    let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();

    let mut script = Command::new("bash");
    script.args(["-euo", "pipefail", "-c", tour]).current_dir(root()).process_group(0);
    script.env("PATH", search_path(&programs)?).env("ANCHORAGE_PASSPHRASE_FILE", &passphrase);
    script.env("ANCHORAGE_BUS", format!("udp-multicast:239.74.163.2:{port}"));
    script.env("ANCHORAGE_DATA_DIR", scratch.path().join("technician"));
    script.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let script = script.spawn().context("cannot start bash")?;
    let _group = ProcessGroup(script.id());
    let output = script.wait_with_output()?;
    let stdout = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        bail!("the tour ended with {}:\n{stdout}", output.status);
    }
    for expected in ["TOUR-1", "1.0.0", "2.0.0", "confirmed"] {
        ensure!(stdout.contains(expected), "the tour never said {expected}:\n{stdout}");
    }
    // Two ways from an ELF to an image: cargo objcopy, and manifest-tool by itself.
    let objcopy = std::fs::read(state.join("2.0.0/qemu-mps2-an386-app.bin"))?;
    ensure!(
        objcopy == std::fs::read(state.join("2.bin"))?,
        "manifest-tool and objcopy made different images"
    );
    Ok(())
}

fn search_path(first: &Path) -> Result<std::ffi::OsString> {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all: Vec<PathBuf> = std::iter::once(first.to_owned()).chain(std::env::split_paths(&rest)).collect();
    Ok(std::env::join_paths(all)?)
}
