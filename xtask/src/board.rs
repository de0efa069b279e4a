//! The Cortex-M board: which packages its programs are, and how cargo is asked for them.

use std::path::PathBuf;

use anyhow::Result;
use emulator::{Application, Behaviour, Programs};

use crate::workspace::{DEVICE_PROFILE, DEVICE_TARGET, Workspace};

/// Package of the loader; also the name the device goes by in reports.
pub(crate) const LOADER: &str = "qemu-mps2";
/// Package of the demo application.
pub(crate) const APPLICATION: &str = "qemu-mps2-app";

/// The cargo arguments that choose a board package with the features of the demonstration.
pub(crate) fn selection(package: &str) -> Vec<&str> {
    let mut arguments = vec!["--package", package, "--profile", DEVICE_PROFILE, "--target", DEVICE_TARGET];
    if package == LOADER || package == "stm32f407" {
        // A loader for the production line: its anchors arrive with the provisioning block.
        arguments.extend(["--features", "provisioned-anchor"]);
    }
    arguments
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
