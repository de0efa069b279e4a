use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;

/// A machine with flash and RAM where the skeleton has them.
const QEMU_MACHINE: &str = "netduinoplus2";
const NAME: &str = "gizmo-2";

#[test]
fn a_bad_name_is_refused() {
    for name in
        ["", "Gizmo", "2gizmo", "gizmo_2", "gizmo--2", "-gizmo", "gizmo-", "../gizmo", "gizmo 2", "gízmo"]
    {
        assert!(check_form(name).is_err(), "{name}");
    }
    for name in ["core", "test", "gizmo-layout", "gizmo-app", "g".repeat(NAME_MAX + 1).as_str()] {
        assert!(check_form(name).is_err(), "{name}");
    }
    for name in ["gizmo", "g", "stm32h743-nucleo", NAME] {
        check_form(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn a_name_that_exists_is_refused() {
    let workspace = Workspace::locate().unwrap();
    // A board, a folder of one, a product, a crate of others.
    for name in ["stm32f407", "qemu-mps2", "bootloader", "cortex-m", "serde"] {
        let error = check_is_free(&workspace, name).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
    }
    check_is_free(&workspace, NAME).unwrap();
}

#[test]
fn a_manifest_without_the_known_member_is_refused() {
    assert!(with_members("[workspace]\nmembers = []\n", NAME).is_err());
}

/// The tracked files of the workspace, in a folder of their own below `target`: one place, so that cargo compiles the
/// dependencies once.
fn copy_of_the_workspace() -> Result<Workspace> {
    let workspace = Workspace::locate()?;
    let copy = workspace.fresh_directory("new-board")?;
    copy_folder(workspace.root(), &copy)?;
    Workspace::around(&copy)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            if !["target", ".git"].iter().any(|name| entry.file_name() == *name) {
                std::fs::create_dir_all(&copy)?;
                copy_folder(&path, &copy)?;
            }
        } else {
            std::fs::copy(&path, &copy)?;
        }
    }
    Ok(())
}

/// Cargo on the board of the copy, with the warnings of a build as errors.
fn cargo(workspace: &Workspace, target: &Path, command: &str) -> Command {
    let mut cargo = workspace.cargo();
    cargo.args([command, "--quiet", "--offline", "--package", NAME, "--profile", "device"]);
    cargo.args(["--target", DEVICE_TARGET, "--features", "provisioned-anchor", "--target-dir"]).arg(target);
    if command == "clippy" {
        cargo.args(["--", "--deny", "warnings"]);
    }
    cargo
}

/// What the program says to a debugger.
fn run_in_qemu(elf: &Path) -> Result<String> {
    let mut qemu = emulator::parent_death::command(emulator::QEMU);
    qemu.args(["-machine", QEMU_MACHINE, "-display", "none", "-nodefaults", "-monitor", "none"]);
    qemu.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(elf);
    let output = qemu.stdin(Stdio::null()).output()?;
    ensure!(!output.status.success(), "a board without drivers ended well");
    Ok(String::from_utf8(output.stderr)? + &String::from_utf8(output.stdout)?)
}

#[test]
fn a_new_board_compiles_and_says_what_is_left() -> Result<()> {
    let target = Workspace::locate()?.directory("new-board-target")?;
    let copy = copy_of_the_workspace()?;
    let arguments = Arguments { name: NAME.to_owned(), target: DEVICE_TARGET.to_owned(), json: false };
    run(&copy, &arguments)?;
    let copy = Workspace::around(copy.root())?;
    ensure!(copy.boards().iter().any(|board| board.package == NAME), "the workspace does not know it");
    // A second one of that name changes nothing.
    let manifest = std::fs::read(copy.root().join("Cargo.toml"))?;
    ensure!(run(&copy, &arguments).is_err(), "the name was taken twice");
    ensure!(std::fs::read(copy.root().join("Cargo.toml"))? == manifest, "the manifest has changed");

    process::check(&mut cargo(&copy, &target, "clippy"))?;
    process::check(&mut cargo(&copy, &target, "build"))?;
    let elf: PathBuf = target.join(DEVICE_TARGET).join("device").join(NAME);
    let said = run_in_qemu(&elf)?;
    let all =
        ["MemoryMap", "Watchdog", "Protection", "Clock", "Can", "ResetCause", "UniqueId", "Flash", "Lock"];
    ensure!(said.contains("gizmo-2 stops. Left to do here:\n  MemoryMap: "), "{said}");
    let (_, list) = said.split_once("All that is left to do:\n").context("no list")?;
    let names: Vec<_> = list.lines().filter_map(|line| Some(line.trim().split_once(':')?.0)).collect();
    ensure!(names == all, "{said}");

    // The porter does the first thing: the loader stops at the second one.
    let board = copy.root().join(BOARDS).join(NAME).join("src");
    let change = |file: &str, from: &str, to: &str| -> Result<()> {
        let text = std::fs::read_to_string(board.join(file))?;
        ensure!(text.contains(from), "{file} has no {from:?}");
        Ok(std::fs::write(board.join(file), text.replace(from, to))?)
    };
    change("machine.rs", "    left(Left::MemoryMap)\n", "")?;
    let refused = cargo(&copy, &target, "build").output()?;
    let error = String::from_utf8(refused.stderr)?;
    ensure!(!refused.status.success() && error.contains("`MemoryMap` is never constructed"), "{error}");
    let entry = std::fs::read_to_string(board.join("left.rs"))?;
    let entry = entry.lines().find(|line| line.trim().starts_with("MemoryMap:")).context("no entry")?;
    change("left.rs", &format!("{entry}\n"), "")?;
    process::check(&mut cargo(&copy, &target, "build"))?;
    let said = run_in_qemu(&elf)?;
    ensure!(said.contains("Left to do here:\n  Watchdog: ") && !said.contains("MemoryMap"), "{said}");
    Ok(())
}
