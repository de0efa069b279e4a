//! One more pass over a device program between rustc's link-time optimisation and the linker (docs/decisions/0052).
//!
//! The Arm targets of rustc keep a frame pointer in each function, and no stable option takes it back. The final bitcode,
//! which `-Csave-temps` leaves beside the object, says so in an attribute: here it loses the attribute, is optimised for
//! size once more, and is compiled again, all by the tools of the very toolchain (component llvm-tools).
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Ending of an object that rustc hands to the linker, and of its final bitcode.
const OBJECT: &str = ".rcgu.o";
const BITCODE: &str = ".rcgu.bc";
/// The attribute as `llvm-dis` writes it.
const FRAME_POINTER: &str = " \"frame-pointer\"=\"all\"";

/// As in .cargo/config.toml, for the passes that `opt` has.
const OPTIMISER: [&str; 5] = [
    "-passes=default<Oz>",
    "-inline-threshold=8",
    "-max-speculation-depth=1",
    "-bonus-inst-threshold=0",
    "-jump-threading-across-loop-headers",
];
/// As rustc sets up its code generator, then as in .cargo/config.toml, then what is smaller without frame pointers.
const COMPILER: [&str; 14] = [
    "-O2",
    "-filetype=obj",
    "-relocation-model=static",
    "-function-sections",
    "-data-sections",
    "-trap-unreachable",
    "-no-trap-after-noreturn",
    "-apply-ext-tsp-for-size",
    "-arm-promote-constant",
    "-tail-merge-size=2",
    "-disable-machine-licm",
    "-split-spill-mode=size",
    "-sink-insts-to-avoid-spills",
    "-disable-post-ra",
];

/// A program of the toolchain's component llvm-tools, for the toolchain of `directory`.
///
/// # Errors
/// The toolchain does not have it, or has no rustc.
pub fn llvm_tool(directory: &Path, name: &str) -> Result<PathBuf> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(directory).args(["--print", "target-libdir"]);
    let libraries = String::from_utf8(run(&mut rustc, &[])?)?;
    let tool = Path::new(libraries.trim()).with_file_name("bin").join(name);
    ensure!(tool.is_file(), "{} is missing: rustup component add llvm-tools", tool.display());
    Ok(tool)
}

/// Where rustc left the bitcode of an object; `None` if the path is not that of an object of rustc.
#[must_use]
pub fn bitcode_of(object: &str) -> Option<PathBuf> {
    object.strip_suffix(OBJECT).map(|stem| PathBuf::from(format!("{stem}{BITCODE}")))
}

/// Compiles the final bitcode of a crate once more, into `object`.
///
/// # Errors
/// rustc left no bitcode, or none with frame pointers; a tool failed; the disk is full.
pub fn compile(bitcode: &Path, object: &Path) -> Result<()> {
    ensure!(bitcode.is_file(), "{} is missing: rustc has to run with -Csave-temps", bitcode.display());
    let tool = |name| llvm_tool(Path::new("."), name).map(Command::new);
    let text = run(tool("llvm-dis")?.arg(bitcode).args(["-o", "-"]), &[])?;
    let text = without_frame_pointers(std::str::from_utf8(&text)?)?;
    let optimised = run(tool("opt")?.args(OPTIMISER).args(["-o", "-"]), text.as_bytes())?;
    // A program that the linker reads at the same time never sees half an object.
    let unfinished = object.with_extension("unfinished");
    run(tool("llc")?.args(COMPILER).arg("-o").arg(&unfinished), &optimised)?;
    std::fs::rename(&unfinished, object).with_context(|| format!("cannot write {}", object.display()))
}

/// Takes the attribute from every set of attributes.
fn without_frame_pointers(text: &str) -> Result<String> {
    ensure!(text.contains(FRAME_POINTER), "the bitcode asks for no frame pointers: is it of another rustc?");
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        match line.strip_prefix("attributes ") {
            Some(_) => out.push_str(&line.replace(FRAME_POINTER, "")),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    Ok(out)
}

/// Standard output of a command that reads `input`.
fn run(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write as _;
    let failed = || format!("cannot run {command:?}");
    let failed = failed();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| failed.clone())?;
    let mut stdin = child.stdin.take().context("a pipe was asked for")?;
    let output = std::thread::scope(|scope| {
        // A command that fails before it has read everything closes the pipe: its own words count.
        scope.spawn(move || stdin.write_all(input).ok());
        child.wait_with_output()
    });
    let output = output.with_context(|| failed.clone())?;
    ensure!(
        output.status.success(),
        "{failed}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_attributes_change() {
        let text = "@a = \"frame-pointer\"=\"all\"\nattributes #0 = { minsize \"frame-pointer\"=\"all\" nounwind }\n";
        let expected = "@a = \"frame-pointer\"=\"all\"\nattributes #0 = { minsize nounwind }\n";
        assert_eq!(without_frame_pointers(text).unwrap(), expected);
    }

    #[test]
    fn bitcode_without_the_attribute_is_refused() {
        assert!(without_frame_pointers("attributes #0 = { minsize }").is_err());
    }

    #[test]
    fn bitcode_lies_beside_its_object() {
        assert_eq!(bitcode_of("a/b.rcgu.o"), Some("a/b.rcgu.bc".into()));
        assert_eq!(bitcode_of("a/libb.rlib"), None);
    }

    #[test]
    fn an_object_without_bitcode_says_what_to_do() {
        let folder = std::env::temp_dir();
        let error = compile(&folder.join("none.rcgu.bc"), &folder.join("none.o")).unwrap_err().to_string();
        assert!(error.contains("-Csave-temps"), "{error}");
    }
}
