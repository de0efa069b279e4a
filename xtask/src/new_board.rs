//! `cargo xtask new-board NAME`: the packages of a board whose drivers are left to write (docs/porting.md). They compile; at
//! run time the loader stops at the first driver that is missing and says what is left.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::process;
use crate::workspace::{DEVICE_TARGET, Workspace};

#[cfg(test)]
mod tests;

/// Where boards are.
const BOARDS: &str = "bootloader/boards";
/// A longer name makes lines that no editor likes.
const NAME_MAX: usize = 40;
/// Names that cargo refuses for a package, or that Rust has for itself.
const RESERVED: [&str; 10] =
    ["alloc", "build", "core", "crate", "deps", "examples", "self", "std", "super", "test"];
/// The line of the workspace's manifest before which the new members stand.
const MEMBER_AFTER: &str = "    \"bootloader/boards/sim\",\n";
/// The cores that the shared code of boards is for.
const TARGETS: [&str; 4] =
    [DEVICE_TARGET, "thumbv7em-none-eabi", "thumbv7m-none-eabi", "thumbv8m.main-none-eabi"];

/// The packages of a board, without its name.
const PACKAGES: [&str; 3] = ["BOARD-layout", "BOARD", "BOARD-app"];
/// Their files: package, path, text.
const FILES: [(&str, &str, &str); 14] = [
    ("BOARD-layout", "Cargo.toml", include_str!("new_board/skeleton/layout.toml.txt")),
    ("BOARD-layout", "src/lib.rs", include_str!("new_board/skeleton/layout.rs.txt")),
    ("BOARD", "Cargo.toml", include_str!("new_board/skeleton/board.toml.txt")),
    ("BOARD", "build.rs", include_str!("new_board/skeleton/build.rs.txt")),
    ("BOARD", "src/lib.rs", include_str!("new_board/skeleton/lib.rs.txt")),
    ("BOARD", "src/main.rs", include_str!("new_board/skeleton/main.rs.txt")),
    ("BOARD", "src/machine.rs", include_str!("new_board/skeleton/machine.rs.txt")),
    ("BOARD", "src/board.rs", include_str!("new_board/skeleton/board.rs.txt")),
    ("BOARD", "src/flash.rs", include_str!("new_board/skeleton/flash.rs.txt")),
    ("BOARD", "src/left.rs", LEFT),
    ("BOARD-app", "Cargo.toml", include_str!("new_board/skeleton/app.toml.txt")),
    ("BOARD-app", "build.rs", include_str!("new_board/skeleton/app_build.rs.txt")),
    ("BOARD-app", "src/main.rs", include_str!("new_board/skeleton/app_main.rs.txt")),
    ("BOARD-app", "src/left.rs", LEFT),
];

/// What is left to do, in either program: the mechanism, and below the entries of each.
const LEFT: &str = include_str!("new_board/skeleton/left.rs.txt");
/// The entries of a package, and how the compiler treats one that nothing names.
fn entries(package: &str) -> (&'static str, &'static str) {
    match package {
        "BOARD-app" => (include_str!("new_board/skeleton/left_app.txt"), "#[deny(dead_code)]"),
        // The application takes no notice of what only the loader needs.
        _ => (
            include_str!("new_board/skeleton/left_board.txt"),
            "#[cfg_attr(feature = \"loader\", deny(dead_code))]\n        #[cfg_attr(not(feature = \"loader\"), allow(dead_code))]",
        ),
    }
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the board: lower-case letters, digits and hyphens
    name: String,
    /// Target of rustc for its core
    #[arg(long, default_value = DEVICE_TARGET, value_parser = TARGETS)]
    target: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let Arguments { name, target, json } = arguments;
    check_form(name)?;
    check_is_free(workspace, name)?;
    let manifest = workspace.root().join("Cargo.toml");
    let before =
        std::fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let after = with_members(&before, name)?;

    let folders = packages(name).map(|package| format!("{BOARDS}/{package}"));
    let lock = workspace.root().join("Cargo.lock");
    let locked = std::fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let made = write(workspace.root(), name, target).and_then(|()| {
        std::fs::write(&manifest, after).with_context(|| format!("cannot write {}", manifest.display()))?;
        complete(workspace, name)
    });
    if let Err(error) = made {
        // As it was: a half of a board would keep cargo from doing anything.
        let _ = std::fs::write(&manifest, before);
        let _ = std::fs::write(&lock, locked);
        for folder in &folders {
            let _ = std::fs::remove_dir_all(workspace.root().join(folder));
        }
        return Err(error.context(format!("{name} was not made; nothing has changed")));
    }
    let build = format!("cargo xtask image --board {name}");
    if *json {
        println!("{}", json!({ "board": name, "target": target, "folders": folders, "build": build }));
        return Ok(());
    }
    println!("made {}", folders.join(", "));
    println!("build it with: {build}");
    println!(
        "left to do: {BOARDS}/{name}/src/left.rs lists it, and that of {name}-app; docs/porting.md leads through it"
    );
    Ok(())
}

/// The packages of a board.
fn packages(name: &str) -> [String; 3] {
    PACKAGES.map(|package| package.replace("BOARD", name))
}

/// A name that is good for a package, a folder and a module.
fn check_form(name: &str) -> Result<()> {
    ensure!(!name.is_empty(), "the name of the board is empty");
    ensure!(name.len() <= NAME_MAX, "`{name}` has {} characters; use at most {NAME_MAX}", name.len());
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    ensure!(
        name.starts_with(|first: char| first.is_ascii_lowercase()) && name.split('-').all(is_word),
        "`{name}` is no name for a board; use lower-case letters, digits and single hyphens, and begin with a letter"
    );
    for end in ["-layout", "-app", "-support"] {
        ensure!(!name.ends_with(end), "`{name}` ends with `{end}`, which is the name of a part of a board");
    }
    ensure!(
        !RESERVED.contains(&name),
        "`{name}` is a name that cargo or Rust has for itself; use another one"
    );
    Ok(())
}

/// No folder and no package has a name that the board needs.
fn check_is_free(workspace: &Workspace, name: &str) -> Result<()> {
    let lock = workspace.root().join("Cargo.lock");
    let lock = std::fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    for package in packages(name) {
        let folder = workspace.root().join(BOARDS).join(&package);
        ensure!(!folder.exists(), "{BOARDS}/{package} exists already; use another name");
        let line = format!("name = \"{package}\"");
        ensure!(
            !lock.lines().any(|other| other == line),
            "a package `{package}` exists already (Cargo.lock); use another name"
        );
    }
    Ok(())
}

/// The manifest of the workspace with the packages of the board.
fn with_members(manifest: &str, name: &str) -> Result<String> {
    let Some((before, after)) = manifest.split_once(MEMBER_AFTER) else {
        bail!("Cargo.toml has no member {} to put the board before", MEMBER_AFTER.trim());
    };
    let members = packages(name).map(|package| format!("    \"{BOARDS}/{package}\",\n"));
    Ok(format!("{before}{}{MEMBER_AFTER}{after}", members.concat()))
}

fn write(root: &Path, name: &str, target: &str) -> Result<()> {
    for (package, path, text) in FILES {
        let (entries, dead) = entries(package);
        let fill = |text: &str| {
            text.replace("ENTRIES", entries)
                .replace("DEAD", dead)
                .replace("PROGRAM", package)
                .replace("BOARD", name)
                .replace("MODULE", &name.replace('-', "_"))
                .replace("TARGET", target)
        };
        let file = root.join(BOARDS).join(fill(package)).join(path);
        let folder = file.parent().context("a file is in a folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        std::fs::write(&file, fill(text)).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The lock file has the packages, and their lines are as long as rustfmt makes them.
fn complete(workspace: &Workspace, name: &str) -> Result<()> {
    let metadata = ["metadata", "--format-version", "1", "--quiet"];
    process::output(workspace.cargo().args(metadata))?;
    let packages = packages(name);
    process::check(workspace.cargo().arg("fmt").args(packages.iter().flat_map(|name| ["--package", name])))
}
