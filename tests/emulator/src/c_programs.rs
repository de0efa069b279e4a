//! The C library and the C application of the board, built by cargo and by GCC for Arm.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anchorage_app::header::Board;
use anyhow::{Context as _, Result, ensure};
use device_linker::{bitcode_of, compile, llvm_tool};
use qemu_mps2_layout::AN386;
use qemu_mps2_layout::linker::application;
use qemu_mps2_support::AN386_LAYOUT;

use crate::programs::{self, FINAL_BITCODE, Programs, place};

/// GCC for Arm (Debian: gcc-arm-none-eabi).
pub const GCC_ARM: &str = "arm-none-eabi-gcc";
/// Bytes of a word of the board's flash.
const FLASH_WORD: u32 = 8;

/// The package of the library, its archive and its header.
const LIBRARY: &str = "anchorage-app";
const ARCHIVE: &str = "libanchorage_app.a";
const HEADERS: [&str; 2] = ["anchorage_app.h", "anchorage_table.h"];

/// A core that the library is built for: the target of rustc, and GCC's options for the same calls and instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Core {
    /// The target.
    pub target: &'static str,
    /// Its cores.
    pub cores: &'static str,
    /// GCC's options.
    pub options: &'static [&'static str],
}

/// All cores.
pub const CORES: [Core; 5] = [
    Core { target: "thumbv6m-none-eabi", cores: "Cortex-M0, M0+", options: &["-mcpu=cortex-m0", "-mthumb"] },
    Core { target: "thumbv7m-none-eabi", cores: "Cortex-M3", options: &["-mcpu=cortex-m3", "-mthumb"] },
    Core {
        target: "thumbv7em-none-eabi",
        cores: "Cortex-M4, M7 without floating-point registers in calls",
        options: &["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"],
    },
    Core {
        target: "thumbv7em-none-eabihf",
        cores: "Cortex-M4F, M7F",
        options: &["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
    },
    Core {
        target: "thumbv8m.main-none-eabi",
        cores: "Cortex-M33 without floating-point registers in calls",
        options: &["-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=soft"],
    },
];

impl Programs {
    /// The C library (an archive) for a target of rustc, or for this machine.
    ///
    /// For a target it has our own code only: what a compiler brings itself (memcpy, division) is left to the C compiler
    /// that links it.
    ///
    /// `remap`: it serves layouts without a swap too.
    pub fn c_library(&self, target: Option<&str>, remap: bool) -> Result<PathBuf> {
        let _lock = self.lock()?;
        // The panic handler of std.
        let mut features = if target.is_some() { "static-library" } else { "static-library,host" }.to_owned();
        if remap {
            features.push_str(",remap");
        }
        let mut arguments = vec!["--package", LIBRARY, "--lib", "--crate-type", "staticlib"];
        arguments.extend(["--features", &features]);
        if let Some(target) = target {
            arguments.extend(["--target", target, "--profile", "device", "--", FINAL_BITCODE]);
        }
        self.cargo("rustc", &arguments, &[])?;
        let built = match target {
            Some(target) => self.target_dir.join(target).join("device"),
            None => self.target_dir.join("debug"),
        };
        let folder = self.target_dir.join("boards").join(target.unwrap_or("host"));
        let folder = if remap { folder.join("remap") } else { folder };
        std::fs::create_dir_all(&folder)?;
        let archive = folder.join(ARCHIVE);
        let unfinished = archive.with_extension("unfinished");
        std::fs::copy(built.join(ARCHIVE), &unfinished)?;
        if target.is_some() {
            compile_own_objects(&unfinished, &built.join("deps"))?;
        }
        std::fs::rename(&unfinished, &archive)?;
        Ok(archive)
    }
}

impl Programs {
    /// Writes the library for these cores into a folder: the header in `include`, an archive in `lib/TARGET` each, and how
    /// to link them in `README.md`.
    ///
    /// `remap`: it serves layouts without a swap too. An earlier export there is replaced; a folder that has other content is refused.
    pub fn export_c_library(&self, folder: &Path, cores: &[Core], remap: bool) -> Result<()> {
        let includes = HEADERS.map(|header| folder.join("include").join(header));
        let is_free = match std::fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        ensure!(
            is_free || includes[0].is_file(),
            "{} is neither an empty folder nor an earlier export; choose another one",
            folder.display()
        );
        let archives = cores.iter().map(|core| Ok((core, self.c_library(Some(core.target), remap)?)));
        for (core, archive) in archives.collect::<Result<Vec<_>>>()? {
            place(&archive, &folder.join("lib").join(core.target).join(ARCHIVE))?;
        }
        for (header, to) in HEADERS.iter().zip(&includes) {
            place(&programs::root().join(LIBRARY).join("include").join(header), to)?;
        }
        std::fs::write(folder.join("README.md"), readme(cores))
            .with_context(|| format!("cannot write {}", folder.display()))
    }
}

/// How an export is linked.
fn readme(cores: &[Core]) -> String {
    let mut text = String::from(
        "# anchorage-app

The application's side of the Anchorage loader, for applications in C (C11, C++17). The functions and their contracts are in
`include/anchorage_app.h`, those for a table in `include/anchorage_table.h` (a library exported with `--remap`). The numbers of a board are in `anchorage_layout.h`, made from the layout of its loader (docs/applications.md).

The library has no heap, no static data and no panic. It needs `memcpy`, `memmove`, `memset`, `memcmp` and their names of Arm's
run-time ABI (`__aeabi_memcpy`, ...), which every C library for Arm has. Link with `--gc-sections`: functions that are not
called take no room.

",
    );
    for core in cores {
        let Core { target, cores, .. } = core;
        let line = link_line(core).join(" ");
        text +=
            &format!("## {cores}\n\n```sh\narm-none-eabi-gcc {line} app.c -o app.elf -lanchorage_app\n```\n");
        text += &format!("The archive: `lib/{target}/{ARCHIVE}`.\n\n");
    }
    text
}

/// GCC's options for an application for a core, in the folder of an export, but for sources, output and libraries.
fn link_line(core: &Core) -> Vec<String> {
    let mut line: Vec<_> = core.options.iter().map(|option| (*option).to_owned()).collect();
    line.extend(["-Iinclude".to_owned(), format!("-Llib/{}", core.target), "-Wl,--gc-sections".to_owned()]);
    line
}

/// The sources of the C application.
const SOURCES: [&str; 5] = ["startup.c", "memory.c", "board.c", "uds.c", "main.c"];
/// Without a C library.
const GCC_OPTIONS: [&str; 13] = [
    "-std=c11",
    "-Os",
    "-ffreestanding",
    "-fno-tree-loop-distribute-patterns",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pedantic",
    "-nostdlib",
    "-Wl,--nmagic,-z,noexecstack",
    "-T",
];

impl Programs {
    /// The application in C for the Cortex-M4F, an ELF; its headers and linker script are generated from the board's layout.
    pub fn c_application(&self, version: &str, confirms: bool) -> Result<PathBuf> {
        let core =
            CORES.iter().find(|core| core.target == AN386.target).context("the library has no such core")?;
        let library = self.target_dir.join("boards/c-library");
        self.export_c_library(&library, &[*core], false)?;
        let generated = self.target_dir.join("boards/c-app");
        std::fs::create_dir_all(&generated)?;
        let board =
            Board { layout: &AN386_LAYOUT, table: None, word: FLASH_WORD, mailbox: AN386.mailbox_start() };
        let program = generated.join(format!("app-{version}-{confirms}.elf"));
        let _lock = self.lock()?;
        std::fs::write(generated.join("anchorage_layout.h"), board.layout_h())?;
        std::fs::write(generated.join("memory.x"), application(&AN386).memory_x())?;
        let sources = programs::root().join("bootloader/boards/qemu-mps2-c-app");
        let mut gcc = Command::new(GCC_ARM);
        gcc.current_dir(&library).args(link_line(core)).args(GCC_OPTIONS).arg(sources.join("application.ld"));
        gcc.arg(format!("-DAPP_VERSION=\"{version}\"")).arg(format!("-DAPP_CONFIRMS={}", u8::from(confirms)));
        for option in ["-I", "-L"] {
            gcc.arg(option).arg(&generated);
        }
        gcc.args(SOURCES.map(|source| sources.join(source))).args(["-lanchorage_app", "-lgcc", "-o"]);
        output(gcc.arg(&program))?;
        Ok(program)
    }
}

/// Removes the objects of other crates: link-time optimisation has taken what we need out of them. Compiles our own ones
/// once more, from the bitcode in `folder`.
fn compile_own_objects(archive: &Path, folder: &Path) -> Result<()> {
    let ar = llvm_tool(&programs::root(), "llvm-ar")?;
    let listed = output(Command::new(&ar).arg("t").arg(archive))?;
    let own = LIBRARY.replace('-', "_");
    let (own, others): (Vec<_>, Vec<_>) = listed.lines().partition(|object| object.starts_with(&own));
    ensure!(!own.is_empty(), "{} has no object of {LIBRARY}", archive.display());
    output(Command::new(&ar).arg("d").arg(archive).args(others))?;
    let again = tempfile::tempdir()?;
    for name in own {
        let object = again.path().join(name);
        let bitcode = bitcode_of(name).with_context(|| format!("{name} is not an object of rustc"))?;
        compile(&folder.join(bitcode), &object)?;
        output(Command::new(&ar).arg("r").arg(archive).arg(object))?;
    }
    Ok(())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{error}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
