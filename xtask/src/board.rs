//! The Cortex-M board: how its loader and its demo application are built.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::workspace::{DEVICE_PROFILE, DEVICE_TARGET, Workspace};

/// Package of the loader; also the name the device goes by in reports.
pub(crate) const LOADER: &str = "qemu-mps2-an386";
/// Package of the demo application.
pub(crate) const APPLICATION: &str = "qemu-mps2-an386-app";

/// One build of the demo application: what is compiled into it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApplicationBuild<'a> {
    pub(crate) version: &'a str,
    /// Whether it confirms itself after a trial boot.
    pub(crate) confirms: bool,
}

impl ApplicationBuild<'_> {
    /// The environment that the application's build script reads.
    pub(crate) fn environment(self) -> [(&'static str, String); 2] {
        let confirm = if self.confirms { "self" } else { "never" };
        [("APP_VERSION", self.version.to_owned()), ("APP_CONFIRM", confirm.to_owned())]
    }
}

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
    process::check(workspace.cargo().args(["build", "--quiet"]).args(selection(LOADER)))?;
    let elf = elf_path(workspace, LOADER);
    ensure!(elf.is_file(), "cargo built no {}", elf.display());
    Ok(elf)
}

/// Builds the demo application and copies its ELF to `to`: the next build overwrites cargo's.
pub(crate) fn build_application(
    workspace: &Workspace,
    build: ApplicationBuild<'_>,
    to: &std::path::Path,
) -> Result<()> {
    let mut command = workspace.cargo();
    command.args(["build", "--quiet"]).args(selection(APPLICATION)).envs(build.environment());
    process::check(&mut command)?;
    let elf = elf_path(workspace, APPLICATION);
    std::fs::copy(&elf, to).with_context(|| format!("cannot copy {}", elf.display()))?;
    Ok(())
}
