//! What the loader pays for its features, and what its crates take on each kind of Cortex-M.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use emulator::{Program, Programs};
use object::read::archive::ArchiveFile;
use object::{Object as _, ObjectSection as _, SectionKind};
use qemu_mps2_layout::AN386;
use serde::Serialize;

use super::elf;
use crate::board;
use crate::process;
use crate::tools;
use crate::workspace::{Build, DEVICE_PROFILE, DEVICE_TARGETS, Workspace};

/// Its public half stands for an anchor that is compiled in.
const ANCHOR: &str = "keys/development-anchor.cose";
/// The crates of a device that are not a board's.
const CRATES: [&str; 5] = ["trust", "firmware-image", "suit-manifest", "update-protocol", "bootloader"];

/// All prices.
#[derive(Serialize)]
pub(super) struct Prices {
    features: Vec<Feature>,
    crates: Vec<Crates>,
}

/// A cargo feature of the loader.
#[derive(Serialize)]
struct Feature {
    name: &'static str,
    flash: u64,
    /// Flash of the loader without it.
    without: u64,
    /// How it is built without it.
    instead: &'static str,
}

/// The crates for one target.
#[derive(Serialize)]
struct Crates {
    target: &'static str,
    /// Code and constants of each crate, as its own library: before linking, and without what is generic over a board's
    /// drivers.
    flash: Vec<(&'static str, u64)>,
}

/// Builds and measures.
pub(super) fn measure(workspace: &Workspace) -> Result<Prices> {
    Ok(Prices {
        features: vec![provisioned_anchor(workspace)?],
        crates: DEVICE_TARGETS
            .iter()
            .map(|target| {
                tools::provide_rust_target(workspace, target)?;
                crates(workspace, target)
            })
            .collect::<Result<_>>()?,
    })
}

/// The anchors in the provisioning block, or one that is compiled in.
fn provisioned_anchor(workspace: &Workspace) -> Result<Feature> {
    let with = board::gated();
    let without = Build { features: format!("{},dev-anchor", AN386.name), ..with.clone() };
    Ok(Feature {
        name: "provisioned-anchor",
        flash: flash(workspace, &with, None)?,
        without: flash(workspace, &without, Some(ANCHOR))?,
        instead: "ANCHOR compiled in",
    })
}

fn flash(workspace: &Workspace, build: &Build, anchor: Option<&str>) -> Result<u64> {
    let anchor = anchor.map(|path| workspace.root().join("bootloader").join(path));
    let anchor = anchor.unwrap_or_default().into_os_string().into_string();
    let anchor = anchor.ok().context("a path that is not UTF-8")?;
    let programs = Programs::new(workspace.directory("prices")?)?;
    let Build { target, features } = build;
    let variables = &[("ANCHOR", anchor)];
    let path = programs.program(&Program { package: board::LOADER, target, features, variables })?;
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(elf::Image::read(&bytes)?.flash)
}

/// Builds the libraries of the crates, which an optimising linker has not seen yet.
fn crates(workspace: &Workspace, target: &'static str) -> Result<Crates> {
    let directory = workspace.directory("prices")?;
    let mut command = workspace.cargo();
    command.args(["build", "--quiet", "--package", "bootloader", "--features", "provisioned-anchor"]);
    command.args(["--profile", DEVICE_PROFILE, "--target", target, "--target-dir"]).arg(&directory);
    process::check(command.env("CARGO_PROFILE_DEVICE_LTO", "off"))?;
    let libraries = directory.join(target).join(DEVICE_PROFILE).join("deps");
    let flash = CRATES
        .map(|name| {
            let bytes = library_flash(&newest_library(&libraries, &name.replace('-', "_"))?)?;
            Ok((name, bytes))
        })
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    ensure!(flash.iter().any(|(_, bytes)| *bytes > 0), "the libraries for {target} hold no code");
    Ok(Crates { target, flash })
}

/// Cargo keeps those of earlier builds beside it.
fn newest_library(directory: &Path, name: &str) -> Result<PathBuf> {
    let mut newest = None;
    for entry in fs::read_dir(directory).with_context(|| format!("no {}", directory.display()))? {
        let entry = entry?;
        let file = entry.file_name();
        let is_it = file.to_str().is_some_and(|file| {
            file.strip_prefix("lib")
                .and_then(|file| file.strip_suffix(".rlib"))
                .is_some_and(|file| file.rsplit_once('-').is_some_and(|(crate_name, _)| crate_name == name))
        });
        if is_it {
            newest = newest.max(Some((entry.metadata()?.modified()?, entry.path())));
        }
    }
    Ok(newest.with_context(|| format!("{} holds no library {name}", directory.display()))?.1)
}

/// Code and constants in a library.
fn library_flash(path: &Path) -> Result<u64> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let archive = ArchiveFile::parse(&*bytes)?;
    let mut sum = 0;
    for member in archive.members() {
        // The other member describes the crate to the compiler.
        let Ok(file) = object::File::parse(member?.data(&*bytes)?) else { continue };
        let kept = file.sections().filter(|section| {
            matches!(
                section.kind(),
                SectionKind::Text | SectionKind::ReadOnlyData | SectionKind::ReadOnlyString
            )
        });
        sum += kept
            .filter(|section| section.name().is_ok_and(|name| !name.starts_with(".ARM.")))
            .map(|section| section.size())
            .sum::<u64>();
    }
    Ok(sum)
}

pub(super) fn print(prices: &Prices) {
    println!("\nfeatures of the loader");
    for Feature { name, flash, without, instead } in &prices.features {
        println!("{flash:>7}  with {name}; {without} without it ({instead})");
    }
    println!(
        "\nlibraries of the crates, before linking, without code that is generic over the drivers of a board"
    );
    for Crates { target, flash } in &prices.crates {
        let parts: Vec<String> = flash.iter().map(|(name, bytes)| format!("{name} {bytes}")).collect();
        let sum: u64 = flash.iter().map(|(_, bytes)| bytes).sum();
        println!("{sum:>7}  {target}: {}", parts.join(", "));
    }
}
