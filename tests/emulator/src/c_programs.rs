//! The C library and the C application of the board, built by cargo and by GCC for Arm.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::Programs;

/// The package of the library, and its archive.
const LIBRARY: &str = "anchorage-app";
const ARCHIVE: &str = "libanchorage_app.a";

impl Programs {
    /// The C library (an archive) for a target of rustc, or for this machine.
    ///
    /// For a target it has our own code only: what a compiler brings itself (memcpy, division) is left to the C compiler
    /// that links it.
    pub fn c_library(&self, target: Option<&str>) -> Result<PathBuf> {
        let _lock = self.lock()?;
        let mut arguments =
            vec!["rustc", "--quiet", "--package", LIBRARY, "--lib", "--crate-type", "staticlib"];
        match target {
            Some(target) => {
                arguments.extend(["--features", "static-library", "--target", target, "--profile", "device"]);
            }
            // The panic handler of std.
            None => arguments.extend(["--features", "static-library,host"]),
        }
        self.cargo(&arguments, &[])?;
        let built = match target {
            Some(target) => self.target_dir.join(target).join("device"),
            None => self.target_dir.join("debug"),
        };
        let folder = self.target_dir.join("boards").join(target.unwrap_or("host"));
        std::fs::create_dir_all(&folder)?;
        let archive = folder.join(ARCHIVE);
        let unfinished = archive.with_extension("unfinished");
        std::fs::copy(built.join(ARCHIVE), &unfinished)?;
        if target.is_some() {
            leave_own_objects(&unfinished)?;
        }
        std::fs::rename(&unfinished, &archive)?;
        Ok(archive)
    }
}

/// Removes the objects of other crates: link-time optimisation has taken what we need out of them.
fn leave_own_objects(archive: &Path) -> Result<()> {
    let ar = llvm_tool("llvm-ar")?;
    let listed = output(Command::new(&ar).arg("t").arg(archive))?;
    let own = LIBRARY.replace('-', "_");
    let others: Vec<_> = listed.lines().filter(|object| !object.starts_with(&own)).collect();
    ensure!(others.len() < listed.lines().count(), "{} has no object of {own}", archive.display());
    output(Command::new(ar).arg("d").arg(archive).args(others)).map(drop)
}

/// A program of the toolchain's component llvm-tools.
pub fn llvm_tool(name: &str) -> Result<PathBuf> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(crate::root()).args(["--print", "target-libdir"]);
    let tool = Path::new(output(&mut rustc)?.trim()).with_file_name("bin").join(name);
    ensure!(tool.is_file(), "{} is missing: rustup component add llvm-tools", tool.display());
    Ok(tool)
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{error}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
