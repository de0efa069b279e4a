//! Where things are and how they are built: one place that knows cargo's profiles, targets and paths.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;

/// The target of the device crates and boards.
pub(crate) const DEVICE_TARGET: &str = "thumbv7em-none-eabihf";
/// Profile of the Cortex-M images (root Cargo.toml).
pub(crate) const DEVICE_PROFILE: &str = "device";
/// Programs that run in the virtual machine are linked for this target: they need no library there.
pub(crate) const STATIC_TARGET: &str = "x86_64-unknown-linux-musl";
/// The crates that run on a device; each must build alone for [`DEVICE_TARGET`].
pub(crate) const DEVICE_CRATES: [&str; 6] =
    ["trust", "firmware-image", "suit-manifest", "update-protocol", "anchorage-app", "bootloader"];
/// Packages that exist for [`DEVICE_TARGET`] only.
pub(crate) const BOARD_PACKAGES: [&str; 4] = ["qemu-mps2", "qemu-mps2-app", "stm32f407", "stm32f407-app"];
/// What the demonstration runs on this machine.
pub(crate) const HOST_PROGRAMS: [&str; 4] = ["manifest-tool", "update-server", "updater-host", "sim"];

/// The workspace on disk.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Asks cargo for the workspace around this package, or around the working directory.
    pub(crate) fn locate() -> Result<Self> {
        Self::around(Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into())))
    }

    /// The workspace around a directory.
    pub(crate) fn around(directory: &Path) -> Result<Self> {
        let mut command = cargo();
        command.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(directory);
        let metadata: Value = serde_json::from_slice(&process::output(&mut command)?)?;
        let path = |key: &str| -> Result<PathBuf> {
            Ok(metadata[key].as_str().with_context(|| format!("cargo metadata has no {key}"))?.into())
        };
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")? })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// cargo's target directory (`CARGO_TARGET_DIR` is honoured); our own state lives beside cargo's in it.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// `cargo` in the root of the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root);
        command
    }

    /// Removes a directory below `target/` and makes it again, empty.
    pub(crate) fn fresh_directory(&self, name: &str) -> Result<PathBuf> {
        let directory = self.target.join(name);
        match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot clear {}", directory.display()));
            }
            _ => {}
        }
        self.directory(name)
    }

    /// Keeps a second process out of `target/<name>` until the file is dropped; waits when there is one.
    pub(crate) fn lock(&self, name: &str) -> Result<std::fs::File> {
        let path = self.directory("")?.join(format!("{name}.lock"));
        let lock = std::fs::File::create(&path)?;
        lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(lock)
    }

    /// A directory below `target/`, made when missing.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf> {
        let directory = self.target.join(name);
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        Ok(directory)
    }

    /// `cargo metadata` of the members, without their dependencies' own.
    pub(crate) fn metadata(&self) -> Result<Value> {
        let mut command = self.cargo();
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        Ok(serde_json::from_slice(&process::output(&mut command)?)?)
    }

    /// `--workspace` without the boards: the selection every host build uses, so that nothing is built twice
    /// because cargo unified features over another set of packages.
    pub(crate) fn host_selection() -> Vec<String> {
        let mut arguments = vec!["--workspace".to_owned()];
        for package in BOARD_PACKAGES {
            arguments.extend(["--exclude".to_owned(), package.to_owned()]);
        }
        arguments
    }

    /// The directory of the programs that run on this machine: the given one, or where they are built to.
    pub(crate) fn host_programs(&self, given: Option<&Path>) -> Result<PathBuf> {
        if let Some(directory) = given {
            return Ok(std::path::absolute(directory)?);
        }
        self.build_host_programs(HOST_PROGRAMS.iter().flat_map(|package| ["--package", package]))
    }

    /// The same programs as they are released.
    pub(crate) fn release_programs(&self) -> Result<PathBuf> {
        let packages = HOST_PROGRAMS.iter().flat_map(|package| ["--package", package]);
        process::check(self.cargo().args(["build", "--quiet", "--release"]).args(packages))?;
        Ok(self.target.join("release"))
    }

    /// The same programs out of what `cargo test` of [`host_selection`](Self::host_selection) compiles: `target` is
    /// one of its test targets, for without one cargo leaves out the features that the tests ask for, and nearly
    /// sixty crates would be compiled a second time.
    pub(crate) fn build_tested_programs(&self, target: &str) -> Result<PathBuf> {
        let selection = Self::host_selection();
        let programs = HOST_PROGRAMS.iter().flat_map(|program| ["--bin", program]);
        let selection = selection.iter().map(String::as_str).chain(programs).chain(["--test", target]);
        self.build_host_programs(selection)
    }

    fn build_host_programs<'a>(&self, selection: impl IntoIterator<Item = &'a str>) -> Result<PathBuf> {
        process::check(self.cargo().args(["build", "--quiet"]).args(selection))?;
        let directory = self.target.join("debug");
        for program in HOST_PROGRAMS {
            ensure!(directory.join(program).is_file(), "cargo did not build {program}");
        }
        Ok(directory)
    }

    /// Builds the programs of the virtual machine, statically linked, and returns their paths.
    pub(crate) fn build_static_programs(&self) -> Result<Vec<(&'static str, PathBuf)>> {
        let mut command = self.cargo();
        // No HTTP in the virtual machine: there is no network, and TLS would bring C code into the build.
        command.args(["build", "--quiet", "--target", STATIC_TARGET, "--no-default-features"]);
        command.args(["--package", "updater-host", "--package", "sim"]);
        process::check(&mut command)?;
        let directory = self.target.join(STATIC_TARGET).join("debug");
        Ok(["updater-host", "sim"].map(|program| (program, directory.join(program))).to_vec())
    }

    /// An integration test as a static program, for the virtual machine.
    pub(crate) fn build_static_test(&self, package: &str, test: &str) -> Result<PathBuf> {
        let mut command = self.cargo();
        command.args(["test", "--quiet", "--no-run", "--target", STATIC_TARGET, "--message-format", "json"]);
        command.args(["--package", package, "--features", "interfaces", "--test", test]);
        let messages = process::output(&mut command)?;
        let messages = String::from_utf8(messages)?;
        let artifacts =
            messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        artifacts
            .filter(|artifact| artifact["target"]["name"] == test)
            .find_map(|artifact| Some(PathBuf::from(artifact["executable"].as_str()?)))
            .with_context(|| format!("cargo does not say where the test {test} of {package} is"))
    }
}

/// The cargo that runs us, or the one in PATH.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}
