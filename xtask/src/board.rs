//! The Cortex-M board: which packages its programs are, and how cargo is asked for them.

use std::path::PathBuf;

use anyhow::Result;
use emulator::{Application, Behaviour, Programs};
use qemu_mps2_layout::AN386;

use crate::workspace::{Build, DEVICE_PROFILE, Workspace};

/// Package of the loader.
pub(crate) const LOADER: &str = "qemu-mps2";
/// Package of the demo application.
pub(crate) const APPLICATION: &str = "qemu-mps2-app";

/// The cargo arguments for one build of a board package.
pub(crate) fn selection(package: &str, build: &Build) -> Vec<String> {
    let Build { target, features } = build;
    let words =
        ["--package", package, "--profile", DEVICE_PROFILE, "--target", target, "--features", features];
    words.map(str::to_owned).into()
}

/// How the loader with the budget is built.
pub(crate) fn gated() -> Build {
    Build { target: AN386.target.to_owned(), features: format!("{},provisioned-anchor", AN386.name) }
}

/// Builds the loader and returns its ELF.
pub(crate) fn build_loader(workspace: &Workspace) -> Result<PathBuf> {
    Programs::new(workspace.target())?.loader()
}

/// Builds a demo application and returns its ELF.
pub(crate) fn build_application(
    workspace: &Workspace,
    version: &str,
    behaviour: Behaviour,
    ballast_len: Option<u32>,
) -> Result<PathBuf> {
    let application = Application { version: version.to_owned(), behaviour, ballast_len };
    Programs::new(workspace.target())?.application(&application)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use emulator::Loader;
    use qemu_mps2_layout::{MACHINES, Machine};

    use super::*;

    #[test]
    fn the_emulated_board_is_built_for_each_machine() {
        let workspace = Workspace::locate().unwrap();
        for (package, more) in [(LOADER, ",provisioned-anchor"), (APPLICATION, "")] {
            let board = workspace.boards().iter().find(|board| board.package == package).unwrap();
            let builds: BTreeSet<_> =
                board.builds.iter().map(|build| (build.target.clone(), build.features.clone())).collect();
            let build = |machine: &Machine, more: &str| {
                (machine.target.to_owned(), format!("{}{more}", machine.name))
            };
            let mut meant: BTreeSet<_> = MACHINES.iter().map(|machine| build(machine, more)).collect();
            meant.insert(build(&AN386, &format!("{more},in-place")));
            if package == LOADER {
                meant.extend(Loader::ALL.map(|loader| build(&AN386, &format!(",{}", loader.features()))));
            } else {
                meant.insert(build(&AN386, ",table"));
            }
            assert_eq!(builds, meant, "{package}");
        }
        let loader = workspace.boards().iter().find(|board| board.package == LOADER).unwrap();
        assert!(loader.builds.contains(&gated()));
    }
}
