//! The Cortex-M board: which packages its programs are, and how cargo is asked for them.

use std::path::PathBuf;

use anyhow::Result;

use crate::emulator::{Application, Behaviour, Programs};
use crate::workspace::{DEVICE_PROFILE, DEVICE_TARGET, Workspace};

/// Package of the loader; also the name the device goes by in reports.
pub(crate) const LOADER: &str = "qemu-mps2-an386";
/// Package of the demo application.
pub(crate) const APPLICATION: &str = "qemu-mps2-an386-app";

/// The cargo arguments that choose a board package with the features of the demonstration.
pub(crate) fn selection(package: &str) -> Vec<&str> {
    let mut arguments = vec!["--package", package, "--profile", DEVICE_PROFILE, "--target", DEVICE_TARGET];
    if package == LOADER {
        // A loader for the production line: its anchors arrive with the provisioning block.
        arguments.extend(["--features", "provisioned-anchor"]);
    }
    arguments
}

/// Where cargo puts the ELF of a board package.
pub(crate) fn elf_path(workspace: &Workspace, package: &str) -> PathBuf {
    workspace.target().join(DEVICE_TARGET).join(DEVICE_PROFILE).join(package)
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

/// The environment from which the application's build script reads what it becomes.
pub(crate) fn environment(version: &str, behaviour: Behaviour) -> [(&'static str, String); 2] {
    let confirm = match behaviour {
        Behaviour::Confirms => "self",
        Behaviour::NeverConfirms => "never",
        Behaviour::Hangs => "hang",
    };
    [("APP_VERSION", version.to_owned()), ("APP_CONFIRM", confirm.to_owned())]
}
