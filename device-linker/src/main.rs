//! The linker that device builds name (`-Clinker`): rust-lld, over objects compiled once more.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use device_linker::{bitcode_of, compile, llvm_tool};

fn main() -> Result<ExitCode> {
    let mut objects = 0;
    let arguments = std::env::args_os().skip(1).map(|argument| {
        let argument = argument.into_string().ok().context("a path that is not UTF-8")?;
        let Some(bitcode) = bitcode_of(&argument) else { return Ok(argument) };
        objects += 1;
        let object = PathBuf::from(&argument).with_extension("again.o");
        compile(&bitcode, &object)?;
        object.into_os_string().into_string().ok().context("a path that is not UTF-8")
    });
    let arguments = arguments.collect::<Result<Vec<_>>>()?;
    ensure!(objects == 1, "{objects} objects of rustc, not one: is `lto` \"fat\" in the profile?");
    let mut linker = Command::new(llvm_tool(Path::new("."), "rust-lld")?);
    let status = linker.args(arguments).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
