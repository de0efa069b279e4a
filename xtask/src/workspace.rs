//! Where things are and how they are built: one place that knows cargo's profiles, targets and paths.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::process;

/// The target of the Cortex-M4F, on which the loader is gated.
pub(crate) const DEVICE_TARGET: &str = "thumbv7em-none-eabihf";
/// The targets that device crates and C library are built for: Cortex-M0, M3, M4 and M7, M33.
pub(crate) const DEVICE_TARGETS: [&str; 4] =
    ["thumbv6m-none-eabi", "thumbv7m-none-eabi", DEVICE_TARGET, "thumbv8m.main-none-eabi"];
/// Profile of the Cortex-M images (root Cargo.toml).
pub(crate) const DEVICE_PROFILE: &str = "device";
/// Programs for this target need no library where they run.
pub(crate) const STATIC_TARGET: &str = "x86_64-unknown-linux-musl";
/// The crates that run on a device; each must build alone for each of [`DEVICE_TARGETS`].
pub(crate) const DEVICE_CRATES: [&str; 6] =
    ["trust", "firmware-image", "suit-manifest", "update-protocol", "anchorage-app", "bootloader"];
/// What the demonstration runs on this machine.
pub(crate) const HOST_PROGRAMS: [&str; 4] = ["manifest-tool", "update-server", "updater-host", "sim"];

/// The workspace on disk.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    boards: Vec<Board>,
}

/// A program of a board: a package that exists for its machine only, and says so in `[package.metadata.board]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Board {
    pub(crate) package: String,
    pub(crate) builds: Vec<Build>,
    /// Its build script links it for the slot in APP_SLOT.
    pub(crate) has_slots: bool,
}

/// One of the ways in which it is built.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Build {
    pub(crate) target: String,
    /// With commas between them.
    pub(crate) features: String,
}

/// The boards among the packages of `cargo metadata`.
fn boards(metadata: &Value) -> Result<Vec<Board>> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let boards = packages.iter().filter(|package| !package["metadata"]["board"].is_null()).map(|package| {
        let name = package["name"].as_str().context("a package without a name")?;
        let builds = Vec::deserialize(&package["metadata"]["board"]["builds"])
            .with_context(|| format!("`builds` in [package.metadata.board] of {name}"))?;
        ensure!(!builds.is_empty(), "[package.metadata.board] of {name} has no builds");
        let has_slots = package["metadata"]["board"]["slots"].as_bool().unwrap_or(false);
        Ok(Board { package: name.to_owned(), builds, has_slots })
    });
    boards.collect()
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
        let boards = boards(&metadata)?;
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")?, boards })
    }

    /// The same with another target directory.
    #[cfg(test)]
    pub(crate) fn built_into(self, target: &Path) -> Self {
        Self { target: target.to_owned(), ..self }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The programs that exist for a machine only.
    pub(crate) fn boards(&self) -> &[Board] {
        &self.boards
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
    pub(crate) fn host_selection(&self) -> Vec<String> {
        let mut arguments = vec!["--workspace".to_owned()];
        for Board { package, .. } in &self.boards {
            arguments.extend(["--exclude".to_owned(), package.clone()]);
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
        self.build_release(&HOST_PROGRAMS)
    }

    /// The directory of one of them, as it is released.
    pub(crate) fn release_program(&self, program: &str) -> Result<PathBuf> {
        self.build_release(&[program])
    }

    fn build_release(&self, programs: &[&str]) -> Result<PathBuf> {
        let packages = programs.iter().flat_map(|package| ["--package", package]);
        process::check(self.cargo().args(["build", "--quiet", "--release"]).args(packages))?;
        Ok(self.target.join("release"))
    }

    /// The same programs out of what `cargo test` of [`host_selection`](Self::host_selection) compiles: `target` is
    /// one of its test targets, for without one cargo leaves out the features that the tests ask for, and nearly
    /// sixty crates would be compiled a second time.
    pub(crate) fn build_tested_programs(&self, target: &str) -> Result<PathBuf> {
        let selection = self.host_selection();
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

    /// Builds these programs without HTTP, which would bring C code in, and statically linked; the directory in which
    /// they are.
    pub(crate) fn build_static_programs(&self, programs: &[&str]) -> Result<PathBuf> {
        let packages = programs.iter().flat_map(|program| ["--package", program]);
        let build = ["build", "--quiet", "--target", STATIC_TARGET, "--no-default-features"];
        process::check(self.cargo().args(build).args(packages))?;
        Ok(self.target.join(STATIC_TARGET).join("debug"))
    }

    /// Builds a test target that runs elsewhere (`test = false`), out of what [`host_selection`](Self::host_selection)
    /// compiles, and returns its program.
    pub(crate) fn build_unselected_test(&self, test: &str) -> Result<PathBuf> {
        let mut command = self.cargo();
        command.args(["test", "--quiet", "--no-run", "--message-format", "json", "--test", test]);
        let messages = String::from_utf8(process::output(command.args(self.host_selection()))?)?;
        let artifacts =
            messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        artifacts
            .filter(|artifact| artifact["target"]["name"] == test)
            .find_map(|artifact| Some(PathBuf::from(artifact["executable"].as_str()?)))
            .with_context(|| format!("cargo does not say where the test {test} is"))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_board_says_how_it_is_built() {
        let package =
            |board: Value| json!({"packages": [{"name": "a", "metadata": {"board": board}}, {"name": "b"}]});
        let build = Build { target: "t".to_owned(), features: "x,y".to_owned() };
        let found = boards(&package(json!({"builds": [{"target": "t", "features": "x,y"}]}))).unwrap();
        assert_eq!(found, [Board { package: "a".to_owned(), builds: vec![build], has_slots: false }]);
        for wrong in [json!({}), json!({"builds": []}), json!({"builds": [{"target": "t"}]})] {
            assert!(boards(&package(wrong.clone())).is_err(), "{wrong}");
        }
    }
}
