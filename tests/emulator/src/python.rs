//! Environments of Python below `target/tools`: tools of the tests that are no part of a product.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// The emulator of skipped instructions and of chips (GPL-2.0), only ever in a process of its own. Its wheel brings the
/// library along.
pub const UNICORN: &str = "unicorn==2.1.3";

/// The interpreter of the environment `name` that has these packages; made once for each target directory of cargo.
///
/// # Errors
/// Python has no venv, or the package index is out of reach.
pub fn environment(target: &Path, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let tools = target.join("tools");
    std::fs::create_dir_all(&tools).with_context(|| format!("cannot create {}", tools.display()))?;
    // Tests run beside each other: one makes it.
    let lock = File::create(tools.join(format!("{name}.lock")))?;
    lock.lock()?;
    let environment = tools.join(name);
    let interpreter = environment.join("bin/python");
    let complete = environment.join("complete");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&complete).is_ok_and(|installed| installed == wanted) {
        return Ok(interpreter);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    run(Command::new(&interpreter).args(["-m", "pip", "install", "--quiet"]).args(packages))?;
    std::fs::write(complete, wanted)?;
    Ok(interpreter)
}

fn run(command: &mut Command) -> Result<()> {
    let words = crate::parent_death::spoken(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| {
        format!("cannot start `{words}`; it needs python3 with venv (apt-get install python3-venv)")
    })?;
    ensure!(
        output.status.success(),
        "`{words}` ended with {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
