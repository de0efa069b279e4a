//! The C library and the C application of the board, built by cargo and by GCC for Arm.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anchorage_app::header::Board;
use anyhow::{Context as _, Result, ensure};
use qemu_mps2_layout::AN386;
use qemu_mps2_layout::linker::application;
use qemu_mps2_support::AN386_LAYOUT;

use crate::Programs;

/// GCC for Arm (Debian: gcc-arm-none-eabi).
pub const GCC_ARM: &str = "arm-none-eabi-gcc";
/// Bytes of a word of the board's flash.
const FLASH_WORD: u32 = 8;

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

/// The sources of the C application.
const SOURCES: [&str; 5] = ["startup.c", "memory.c", "board.c", "uds.c", "main.c"];
/// A Cortex-M4 with a floating-point unit, as the library's target has it; no C library.
const GCC_OPTIONS: [&str; 17] = [
    "-std=c11",
    "-Os",
    "-mcpu=cortex-m4",
    "-mthumb",
    "-mfloat-abi=hard",
    "-mfpu=fpv4-sp-d16",
    "-ffreestanding",
    "-fno-tree-loop-distribute-patterns",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pedantic",
    "-nostdlib",
    "-Wl,--gc-sections,--nmagic,-z,noexecstack",
    "-T",
];

impl Programs {
    /// The application in C for the Cortex-M4F, an ELF; its headers and linker script are generated from the board's layout.
    pub fn c_application(&self, version: &str, confirms: bool) -> Result<PathBuf> {
        let library = self.c_library(Some(AN386.target))?;
        let generated = self.target_dir.join("boards/c-app");
        std::fs::create_dir_all(&generated)?;
        let board = Board { layout: &AN386_LAYOUT, word: FLASH_WORD, mailbox: AN386.mailbox_start() };
        let program = generated.join(format!("app-{version}-{confirms}.elf"));
        let _lock = self.lock()?;
        std::fs::write(generated.join("anchorage_layout.h"), board.layout_h())?;
        std::fs::write(generated.join("memory.x"), application(&AN386).memory_x())?;
        let sources = crate::root().join("bootloader/boards/qemu-mps2-c-app");
        let mut gcc = Command::new(GCC_ARM);
        gcc.args(GCC_OPTIONS).arg(sources.join("application.ld"));
        gcc.arg(format!("-DAPP_VERSION=\"{version}\"")).arg(format!("-DAPP_CONFIRMS={}", u8::from(confirms)));
        gcc.arg("-I").arg(crate::root().join(LIBRARY).join("include"));
        for option in ["-I", "-L"] {
            gcc.arg(option).arg(&generated);
        }
        gcc.args(SOURCES.map(|source| sources.join(source))).arg(library).args(["-lgcc", "-o"]);
        output(gcc.arg(&program))?;
        Ok(program)
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
