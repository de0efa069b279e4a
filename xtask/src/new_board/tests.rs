use std::process::Stdio;

use anyhow::anyhow;
use clap::Parser as _;

use super::*;

/// The board of the guide.
const NAME: &str = "gizmo";

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

/// The workspace without `target` and `.git`, in a folder of their own below `target`: one place, so that cargo compiles the
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

/// The guide. Each of its commands is run here as it is written.
const GUIDE: &str = include_str!("../../../docs/porting.md");

/// The words of each command in the guide.
fn commands() -> Vec<Vec<&'static str>> {
    let blocks = GUIDE.split("```sh\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let spans = GUIDE.split('`').filter(|span| span.starts_with("cargo xtask size "));
    blocks.flat_map(str::lines).chain(spans).map(|line| line.split(' ').collect()).collect()
}

/// Runs a command of the guide in the copy; what it prints, if it is not one of ours.
fn perform(workspace: &Workspace, target: &Path, words: &[&str]) -> Result<String> {
    match words {
        ["cargo", "xtask", arguments @ ..] => {
            let built =
                |word: &&str| word.strip_prefix("target/").map(|path| target.join(path).into_os_string());
            let words = arguments.iter().map(|word| built(word).unwrap_or_else(|| (*word).into()));
            let arguments = crate::Arguments::try_parse_from(std::iter::once("xtask".into()).chain(words))?;
            crate::perform(workspace, &arguments.command).map(|()| String::new())
        }
        ["cargo", arguments @ ..] => {
            let mut cargo = workspace.cargo();
            cargo.args(arguments).args(["--quiet", "--offline", "--target-dir"]).arg(target);
            process::check(&mut cargo).map(|()| String::new())
        }
        [emulator::QEMU, arguments @ ..] => {
            let mut qemu = emulator::parent_death::command(emulator::QEMU);
            for word in arguments {
                let built = word.strip_prefix("target/").map(|path| target.join(path));
                qemu.arg(built.unwrap_or_else(|| word.into()));
            }
            let output = qemu.stdin(Stdio::null()).output()?;
            ensure!(!output.status.success(), "a board without drivers ended well");
            Ok(String::from_utf8(output.stderr)? + &String::from_utf8(output.stdout)?)
        }
        _ => bail!("the guide has a command that this test cannot run: {words:?}"),
    }
}

/// The programs of the board in the copy as the suite lints them.
fn lint(workspace: &Workspace, target: &Path) -> Result<()> {
    for program in [NAME.to_owned(), format!("{NAME}-app")] {
        let board = workspace.boards().iter().find(|board| board.package == program);
        let board = board.with_context(|| format!("the workspace does not know {program}"))?;
        let mut clippy = workspace.cargo();
        clippy.args(["clippy", "--quiet", "--offline", "--target-dir"]).arg(target);
        clippy.args(crate::board::selection(&program, board.builds.first().context("no build")?));
        process::check(clippy.args(["--", "--deny", "warnings"]))?;
    }
    Ok(())
}

#[test]
fn a_new_board_compiles_and_says_what_is_left() -> Result<()> {
    let workspace = Workspace::locate()?;
    let target = workspace.directory("new-board-target")?;
    // Tools are compiled once for all.
    let tools = target.join("tools");
    if !tools.exists() {
        std::os::unix::fs::symlink(workspace.directory("tools")?, tools)?;
    }
    let copy = copy_of_the_workspace()?.built_into(&target);
    let [new_board, build, run_it, application, size] = <[_; 5]>::try_from(commands())
        .map_err(|commands| anyhow!("the guide has other commands: {commands:?}"))?;
    perform(&copy, &target, &new_board)?;
    let copy = Workspace::around(copy.root())?.built_into(&target);
    // A second one of that name changes nothing.
    let manifest = std::fs::read(copy.root().join("Cargo.toml"))?;
    ensure!(perform(&copy, &target, &new_board).is_err(), "the name was taken twice");
    ensure!(std::fs::read(copy.root().join("Cargo.toml"))? == manifest, "the manifest has changed");

    lint(&copy, &target)?;
    perform(&copy, &target, &build)?;
    perform(&copy, &target, &size)?;
    perform(&copy, &target, &application)?;
    let said = perform(&copy, &target, &run_it)?;
    let all = [
        "MemoryMap",
        "Watchdog",
        "Protection",
        "Clock",
        "Can",
        "ResetCause",
        "Flash",
        "UniqueId",
        "Lock",
        "Stop",
    ];
    ensure!(said.contains("gizmo stops. Left to do here:\n  MemoryMap: "), "{said}");
    let (_, list) = said.split_once("All that is left to do:\n").context("no list")?;
    let names: Vec<_> = list.lines().filter_map(|line| Some(line.trim().split_once(':')?.0)).collect();
    ensure!(names == all, "{said}");
    let sections: Vec<_> =
        GUIDE.lines().filter_map(|line| Some(line.strip_prefix("## ")?.split_once(". `")?.1)).collect();
    ensure!(sections == all.map(|name| format!("{name}`")), "the guide has other sections: {sections:?}");

    // The porter does the first thing: the loader stops at the second one.
    let board = copy.root().join(BOARDS).join(NAME).join("src");
    let change = |file: &str, from: &str, to: &str| -> Result<()> {
        let text = std::fs::read_to_string(board.join(file))?;
        ensure!(text.contains(from), "{file} has no {from:?}");
        Ok(std::fs::write(board.join(file), text.replace(from, to))?)
    };
    change("machine.rs", "    left(Left::MemoryMap)\n", "")?;
    let refused = perform(&copy, &target, &build);
    ensure!(refused.is_err(), "an entry that nothing names compiles");
    let entry = std::fs::read_to_string(board.join("left.rs"))?;
    let entry = entry.lines().find(|line| line.trim().starts_with("MemoryMap:")).context("no entry")?;
    change("left.rs", &format!("{entry}\n"), "")?;
    perform(&copy, &target, &build)?;
    // The drivers of the application are the loader's, whatever is left of them.
    perform(&copy, &target, &application)?;
    let said = perform(&copy, &target, &run_it)?;
    ensure!(said.contains("Left to do here:\n  Watchdog: ") && !said.contains("MemoryMap"), "{said}");
    Ok(())
}
