//! Flash of the C library in an application that calls all of it, for each kind of Cortex-M (docs/applications.md).

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use device_linker::llvm_tool;
use emulator::Programs;
use object::elf::{SHF_ALLOC, SHF_WRITE, SHT_NOBITS};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags};
use serde::Serialize;

use super::panics;
use crate::process;
use crate::tools;
use crate::workspace::{DEVICE_TARGETS, Workspace};

/// Flash of the whole library, bytes (docs/decisions/0056); this and the next are only ever lowered.
pub(super) const BUDGET: u64 = 6 * 1024;
/// Flash of what [`LEAST`] needs of it.
const LEAST_BUDGET: u64 = 4 * 1024;
/// The same for a core that has the instructions of ARMv6-M only.
const SMALL_CORE: (&str, u64) = ("thumbv6m-none-eabi", LEAST_BUDGET + 256);
const HEADER: &str = "anchorage-app/include/anchorage_app.h";

/// All functions but the two that read the provisioning block: an application confirms itself, says that it is alive, knows
/// what runs, and goes to the loader.
const LEAST: [&str; 5] = [
    "anchorage_app_open",
    "anchorage_app_confirm",
    "anchorage_app_alive",
    "anchorage_app_state",
    "anchorage_app_request_loader",
];

/// The library for one target.
#[derive(Serialize)]
pub(super) struct Size {
    target: &'static str,
    /// With all of its functions.
    flash: u64,
    /// With those of [`LEAST`].
    least: u64,
    ram: u64,
    /// Functions that panic or format.
    unwanted: Vec<String>,
    /// Functions that the C compiler and its library do not have.
    missing: Vec<String>,
}

/// Builds and measures it for every target.
pub(super) fn measure(workspace: &Workspace) -> Result<Vec<Size>> {
    let programs = Programs::new(workspace.target())?;
    let header = workspace.root().join(HEADER);
    let header = std::fs::read_to_string(&header).with_context(|| format!("no {}", header.display()))?;
    let functions = functions(&header);
    ensure!(!functions.is_empty(), "the header declares no function");
    let linker = llvm_tool(workspace.root(), "rust-lld")?;
    let sizes = DEVICE_TARGETS.iter().map(|target| {
        tools::provide_rust_target(workspace, target)?;
        let archive = programs.c_library(Some(target), false)?;
        let measure = |functions: &[String], name: &str| {
            let linked = archive.with_extension(name);
            link(&linker, &archive, functions, &linked)?;
            read(target, &std::fs::read(&linked)?)
        };
        let least = measure(&LEAST.map(str::to_owned), "least.elf")?.flash;
        Ok(Size { least, ..measure(&functions, "elf")? })
    });
    sizes.collect()
}

/// The functions that a header declares: `anchorage_result anchorage_app_...(`.
fn functions(header: &str) -> Vec<String> {
    let declared = header.lines().filter_map(|line| line.strip_prefix("anchorage_result "));
    declared.filter_map(|line| Some(line.split_once('(')?.0.to_owned())).collect()
}

/// Links what these functions need, as an application would that calls each of them.
fn link(linker: &Path, archive: &Path, functions: &[String], to: &Path) -> Result<()> {
    let mut linker = Command::new(linker);
    linker.args([
        "-flavor",
        "gnu",
        "--gc-sections",
        "--icf=all",
        "--nmagic",
        "--unresolved-symbols=ignore-all",
    ]);
    linker.arg(format!("--entry={}", functions[0]));
    linker.args(functions.iter().map(|function| format!("--undefined={function}")));
    process::check(linker.arg(archive).arg("-o").arg(to))
}

fn read(target: &'static str, elf: &[u8]) -> Result<Size> {
    let file = object::File::parse(elf)?;
    let mut size = Size { target, flash: 0, least: 0, ram: 0, unwanted: Vec::new(), missing: Vec::new() };
    for section in file.sections() {
        let SectionFlags::Elf { sh_type, sh_flags } = section.flags() else { continue };
        if sh_flags.contains(SHF_ALLOC) {
            let is_empty = sh_type == SHT_NOBITS;
            size.flash += if is_empty { 0 } else { section.size() };
            size.ram += if is_empty || sh_flags.contains(SHF_WRITE) { section.size() } else { 0 };
        }
    }
    for symbol in file.symbols() {
        let name = symbol.name()?;
        let path = format!("{:#}", rustc_demangle::demangle(name));
        if panics::is_forbidden(&path) {
            size.unwanted.push(path);
        } else if symbol.is_undefined() && !name.is_empty() && !is_of_the_c_compiler(name) {
            size.missing.push(path);
        }
    }
    ensure!(size.flash > 0, "nothing of the library was linked for {target}");
    Ok(size)
}

/// Memory functions, which every C compiler for Arm expects of its library, and the arithmetic that a core without it has
/// from the compiler (Run-time ABI for the Arm Architecture, 4.2 and 4.3).
fn is_of_the_c_compiler(name: &str) -> bool {
    let bare = name.strip_prefix("__aeabi_").unwrap_or(name).trim_end_matches(['4', '8']);
    let memory = ["memcpy", "memmove", "memset", "memclr", "memcmp"];
    memory.contains(&bare) || ["__aeabi_uidiv", "__aeabi_uidivmod", "__aeabi_lmul"].contains(&name)
}

/// Fails for a library that is too large, has static data, or links what it must not.
pub(super) fn gate(sizes: &[Size]) -> Result<()> {
    for Size { target, flash, least, ram, unwanted, missing } in sizes {
        if *flash > BUDGET {
            bail!("the C library takes {flash} bytes of flash for {target}, the budget is {BUDGET}");
        }
        let budget = if *target == SMALL_CORE.0 { SMALL_CORE.1 } else { LEAST_BUDGET };
        if *least > budget {
            bail!(
                "an application that does not read its identity takes {least} bytes of the C library for {target}, the budget is {budget}"
            );
        }
        ensure!(*ram == 0, "the C library has {ram} bytes of static data for {target}");
        ensure!(unwanted.is_empty(), "the C library links {} for {target}", unwanted.join(", "));
        ensure!(missing.is_empty(), "the C library needs {} for {target}", missing.join(", "));
    }
    Ok(())
}

pub(super) fn print(sizes: &[Size]) {
    println!("\nC library, at most {BUDGET} bytes of flash; then with {} only", LEAST.join(", "));
    for Size { target, flash, least, .. } in sizes {
        println!("{flash:>7}  {least:>6}  {target}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(flash: u64) -> Size {
        Size {
            target: "thumbv7m-none-eabi",
            flash,
            least: flash,
            ram: 0,
            unwanted: Vec::new(),
            missing: Vec::new(),
        }
    }

    #[test]
    fn the_gate_closes_for_one_byte_a_panic_static_data_and_a_missing_function() {
        assert!(gate(&[Size { least: LEAST_BUDGET, ..size(BUDGET) }]).is_ok());
        assert!(gate(&[size(1), Size { least: 1, ..size(BUDGET + 1) }]).is_err());
        assert!(gate(&[size(1), size(LEAST_BUDGET + 1)]).is_err());
        assert!(gate(&[Size { ram: 4, ..size(1) }]).is_err());
        assert!(gate(&[Size { unwanted: vec!["core::panicking::panic".to_owned()], ..size(1) }]).is_err());
        assert!(gate(&[Size { missing: vec!["__aeabi_dadd".to_owned()], ..size(1) }]).is_err());
    }

    #[test]
    fn the_functions_are_those_of_the_header() {
        let root = Workspace::locate().unwrap().root().to_owned();
        let header = std::fs::read_to_string(root.join(HEADER)).unwrap();
        let found = functions(&header);
        assert_eq!(found.len(), header.matches("\nanchorage_result anchorage_app_").count());
        assert!(found.iter().any(|function| function == "anchorage_app_confirm"));
    }

    #[test]
    fn memory_functions_are_the_c_compilers() {
        for name in
            ["memcpy", "__aeabi_memcpy", "__aeabi_memcpy8", "__aeabi_memclr4", "memcmp", "__aeabi_uidivmod"]
        {
            assert!(is_of_the_c_compiler(name), "{name}");
        }
        for name in ["__aeabi_dadd", "uidiv", "rust_eh_personality", "malloc"] {
            assert!(!is_of_the_c_compiler(name), "{name}");
        }
    }
}
