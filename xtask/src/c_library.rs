//! `cargo xtask c-library DIR`: the C library for applications, as one hands it to those who write them.

use std::path::PathBuf;

use anyhow::Result;
use emulator::Programs;
use emulator::c_programs::{CORES, Core};
use serde_json::json;

use crate::tools;
use crate::workspace::{DEVICE_TARGETS, Workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Output folder: new, empty, or of an earlier run
    folder: PathBuf,
    /// Target of rustc (repeatable) [default: those of Cortex-M0, M3, M4F and M33]
    #[arg(long, value_name = "TARGET", value_parser = CORES.map(|core| core.target))]
    target: Vec<String>,
    /// Serve boards without a swap too (their layouts are refused otherwise)
    #[arg(long)]
    remap: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let Arguments { folder, target: targets, remap, json } = arguments;
    let folder = std::path::absolute(folder)?;
    let is_chosen = |core: &Core| match targets.as_slice() {
        [] => DEVICE_TARGETS.contains(&core.target),
        targets => targets.iter().any(|target| target == core.target),
    };
    let cores: Vec<_> = CORES.into_iter().filter(is_chosen).collect();
    for core in &cores {
        tools::provide_rust_target(workspace, core.target)?;
    }
    Programs::new(workspace.target())?.export_c_library(&folder, &cores, *remap)?;
    if *json {
        let targets: Vec<_> = cores.iter().map(|core| core.target).collect();
        println!("{}", json!({ "folder": folder, "targets": targets }));
        return Ok(());
    }
    for Core { target, cores, .. } in &cores {
        println!("{target}: {cores}");
    }
    println!("header, archives and the link line for each: {}", folder.join("README.md").display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, ensure};
    use clap::Parser as _;

    use super::*;

    const GUIDE: &str = include_str!("../../docs/applications.md");

    #[test]
    fn the_command_of_the_guide_writes_the_library() -> Result<()> {
        let line = GUIDE.lines().find_map(|line| line.strip_prefix("cargo xtask c-library "));
        let line = line.context("docs/applications.md has no such command")?;
        ensure!(GUIDE.contains(&format!("The folder `{line}` then has")), "the guide names another folder");
        let parent = tempfile::tempdir()?;
        let folder = parent.path().join(line);
        let words = ["xtask".as_ref(), "c-library".as_ref(), folder.as_os_str()];
        let arguments = crate::Arguments::try_parse_from(words)?;
        crate::perform(&Workspace::locate()?, &arguments.command)?;
        let mut files =
            ["include/anchorage_app.h", "include/anchorage_table.h", "README.md"].map(str::to_owned).to_vec();
        files.extend(DEVICE_TARGETS.map(|target| format!("lib/{target}/libanchorage_app.a")));
        for file in files {
            ensure!(folder.join(&file).is_file(), "no {file}");
        }
        Ok(())
    }

    #[test]
    fn each_core_is_named_in_the_guide() {
        for core in CORES {
            assert!(GUIDE.contains(&format!("`{}`", core.target)), "{}", core.target);
        }
    }

    #[test]
    fn each_core_that_is_measured_can_be_exported() {
        for target in DEVICE_TARGETS {
            assert!(CORES.iter().any(|core| core.target == target), "{target}");
        }
    }
}
