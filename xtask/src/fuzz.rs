//! `cargo xtask fuzz`: the targets of `fuzz/` under libFuzzer, with the pinned toolchain. The coverage that libFuzzer needs
//! comes from compiler flags that are stable; no sanitizer is involved, since our code is safe Rust.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::process;
use crate::tools::{self, GXX};
use crate::workspace::Workspace;

/// Flags of cargo-fuzz for coverage, and the checks of a development build.
const RUSTFLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "-Ccodegen-units=1",
];
/// Longest input, bytes: an envelope with everything around it.
const MAX_INPUT_LEN: usize = 8192;
/// An input that takes longer is a finding, seconds.
const MAX_SECONDS: u32 = 10;
/// Memory above this is a finding, MiB.
const MAX_MEMORY: u32 = 1024;
/// Inputs that `--keep` adds to the tree are no longer than this, bytes.
const MAX_KEPT_LEN: u64 = 2048;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Targets to run [default: all]
    targets: Vec<String>,
    /// Time for each target, seconds
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Seed of the random numbers [default: another one at each run]
    #[arg(long)]
    seed: Option<u32>,
    /// Keep the inputs that reach more code in fuzz/corpus, for the tests to replay
    #[arg(long)]
    keep: bool,
    /// List the targets
    #[arg(long)]
    list: bool,
}

impl Arguments {
    /// What `cargo xtask test` runs. One seed, so that two runs on one tree try the same inputs in the same order.
    pub(crate) fn brief() -> Self {
        Self { targets: Vec::new(), seconds: 10, seed: Some(1), keep: false, list: false }
    }
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let _lock = workspace.lock("fuzz")?;
    // With a seed, a run does not begin with what another one found.
    let found = match arguments.seed {
        Some(_) => workspace.fresh_directory("fuzz/seeded")?,
        None => workspace.directory("fuzz/corpus")?,
    };
    let all = write_seeds(workspace, &found)?;
    if arguments.list {
        println!("{}", all.join("\n"));
        return Ok(());
    }
    for name in &arguments.targets {
        ensure!(all.contains(name), "unknown target `{name}`; see --list");
    }
    let chosen = if arguments.targets.is_empty() { &all } else { &arguments.targets };
    tools::provide_system_tools(&[GXX])?;
    let program = build(workspace)?;
    let artifacts = workspace.directory("fuzz/artifacts")?;
    let kept = workspace.root().join("fuzz/corpus");
    let mut failed = Vec::new();
    for name in chosen {
        println!("\n== {name}, {} s", arguments.seconds);
        let (found, kept) = (found.join(name), kept.join(name));
        std::fs::create_dir_all(&kept)?;
        let mut fuzzer = Command::new(&program);
        fuzzer.env("FUZZ_TARGET", name).arg(&found).arg(&kept);
        fuzzer.arg(format!("-max_total_time={}", arguments.seconds));
        fuzzer.args([
            format!("-max_len={MAX_INPUT_LEN}"),
            format!("-timeout={MAX_SECONDS}"),
            format!("-rss_limit_mb={MAX_MEMORY}"),
            format!("-artifact_prefix={}/{name}-", artifacts.display()),
            "-print_final_stats=1".to_owned(),
            "-verbosity=0".to_owned(),
        ]);
        fuzzer.args(arguments.seed.map(|seed| format!("-seed={seed}")));
        let status = fuzzer.status().context("cannot start the fuzzer")?;
        if !status.success() {
            failed.push(name.as_str());
            print_inputs(&artifacts, name)?;
        } else if arguments.keep {
            keep(&program, name, &found, &kept)?;
        }
    }
    if !failed.is_empty() {
        bail!(
            "targets failed: {}. Their inputs are in {}; copy one to fuzz/corpus/TARGET and `cargo test -p fuzz-targets` \
             replays it",
            failed.join(", "),
            artifacts.display()
        );
    }
    println!("\nno target failed: {}", chosen.join(", "));
    Ok(())
}

/// Prints the inputs that `name` failed on, in this run or an earlier one, as hexadecimal: who has this log, has the finding.
fn print_inputs(artifacts: &Path, name: &str) -> Result<()> {
    for entry in std::fs::read_dir(artifacts)? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if file.starts_with(&format!("{name}-")) {
            println!("{file}: {}", hex::encode(std::fs::read(&path)?));
        }
    }
    Ok(())
}

/// Writes the seeds below `corpus`; returns the names of the targets.
fn write_seeds(workspace: &Workspace, corpus: &Path) -> Result<Vec<String>> {
    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--package", "fuzz-targets", "--bin", "fuzz-seeds", "--"]).arg(corpus);
    let names = String::from_utf8(process::output(&mut command)?)?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// The fuzzer, in a target directory of its own: nothing else is compiled with these flags.
fn build(workspace: &Workspace) -> Result<std::path::PathBuf> {
    let host = host()?;
    let target = workspace.directory("fuzz")?;
    let mut command = workspace.cargo();
    command.args(["build", "--release", "--package", "fuzz-targets", "--bin", "fuzz"]);
    command.args(["--features", "libfuzzer", "--target", &host, "--target-dir"]).arg(&target);
    command.env("RUSTFLAGS", RUSTFLAGS.join(" ")).env("CARGO_PROFILE_RELEASE_LTO", "off");
    process::check(&mut command)?;
    Ok(target.join(host).join("release/fuzz"))
}

/// The target triple of this machine: named, cargo does not instrument build scripts.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = String::from_utf8(process::output(Command::new(rustc).arg("-vV"))?)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

/// Adds to `kept` the smallest inputs of `found` that reach code which no kept one reaches. Takes none away.
fn keep(program: &Path, name: &str, found: &Path, kept: &Path) -> Result<()> {
    let merged = tempfile::tempdir()?;
    for entry in std::fs::read_dir(kept)? {
        let entry = entry?;
        std::fs::copy(entry.path(), merged.path().join(entry.file_name()))?;
    }
    let mut command = Command::new(program);
    command.env("FUZZ_TARGET", name).args(["-set_cover_merge=1", &format!("-max_len={MAX_INPUT_LEN}")]);
    process::check(command.arg(merged.path()).arg(found))?;
    let added = add_short(merged.path(), kept)?;
    println!("{added} more inputs are kept in {}", kept.display());
    Ok(())
}

/// Copies the files of `merged` that `kept` lacks and that are short enough; returns how many.
fn add_short(merged: &Path, kept: &Path) -> Result<usize> {
    let mut added = 0;
    for entry in std::fs::read_dir(merged)? {
        let entry = entry?;
        let to = kept.join(entry.file_name());
        if entry.metadata()?.len() <= MAX_KEPT_LEN && !to.exists() {
            std::fs::copy(entry.path(), to)?;
            added += 1;
        }
    }
    Ok(added)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_input_stays_and_a_long_one_is_not_added() {
        let (merged, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let long = vec![0; usize::try_from(MAX_KEPT_LEN).unwrap() + 1];
        for (name, content) in [("finding", &long), ("new", &vec![1]), ("new-long", &long)] {
            std::fs::write(merged.path().join(name), content).unwrap();
        }
        std::fs::write(kept.path().join("finding"), &long).unwrap();
        assert_eq!(add_short(merged.path(), kept.path()).unwrap(), 1);
        assert!(kept.path().join("finding").exists() && kept.path().join("new").exists());
        assert!(!kept.path().join("new-long").exists());
    }
}
