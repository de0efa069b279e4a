//! Finds panics and formatted text in an ELF. The loader has none: what cannot panic as far as the linker sees cannot
//! panic, and a panic that "cannot happen" costs flash like one that does.

use super::elf::Symbol;

/// Paths of what is linked with a panic or a formatted text only.
const FORBIDDEN: [&str; 3] = ["core::panicking", "core::fmt", "rust_begin_unwind"];

/// The forbidden functions among these.
pub(super) fn of(symbols: &[Symbol]) -> Vec<String> {
    let paths = symbols.iter().map(|symbol| format!("{:#}", rustc_demangle::demangle(&symbol.name)));
    let mut found: Vec<_> = paths.filter(|path| is_forbidden(path)).collect();
    found.sort();
    found.dedup();
    found
}

/// Whether a function panics or formats, by its demangled path.
pub(super) fn is_forbidden(path: &str) -> bool {
    FORBIDDEN.iter().any(|forbidden| path.contains(forbidden))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::super::elf::Image;
    use super::*;
    use crate::workspace::DEVICE_TARGET;

    /// The least program for the device: it takes an item of an array with an index that the compiler does not know.
    fn program(take: &str) -> String {
        format!(
            "#![no_std]
            #![no_main]
            #[panic_handler]
            fn panic(_: &core::panic::PanicInfo<'_>) -> ! {{ loop {{}} }}
            #[unsafe(no_mangle)]
            extern \"C\" fn start(index: usize) -> u8 {{
                let items = core::hint::black_box([1, 2, 3]);
                {take}
            }}"
        )
    }

    fn panics_of(folder: &Path, take: &str) -> Vec<String> {
        let (source, elf) = (folder.join("probe.rs"), folder.join("probe.elf"));
        std::fs::write(&source, program(take)).unwrap();
        let linker = ["--entry=start", "--gc-sections", "--defsym=_stack_start=0x20001000"]
            .into_iter()
            .chain(["--defsym=_stack_end=0x20000000"]);
        let status = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .args(["--edition=2024", "--crate-type=bin", "--target", DEVICE_TARGET])
            .args(["-Copt-level=z", "-Cpanic=abort"])
            .args(linker.map(|argument| format!("-Clink-arg={argument}")))
            .arg("-o")
            .args([&elf, &source])
            .status()
            .unwrap();
        assert!(status.success(), "{take}");
        of(&Image::read(&std::fs::read(&elf).unwrap()).unwrap().flash_symbols)
    }

    #[test]
    fn a_program_with_a_panic_is_found_and_one_without_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(panics_of(folder.path(), "items.get(index).copied().unwrap_or(0)"), Vec::<String>::new());
        let panics = panics_of(folder.path(), "items[index]");
        assert!(panics.iter().any(|path| path.contains("core::panicking")), "{panics:?}");
        let formats = panics_of(
            folder.path(),
            "struct Nowhere;
             impl core::fmt::Write for Nowhere {
                 fn write_str(&mut self, _: &str) -> core::fmt::Result { Ok(()) }
             }
             let written = core::fmt::Write::write_fmt(&mut Nowhere, format_args!(\"{index}\"));
             items.get(usize::from(written.is_ok())).copied().unwrap_or(0)",
        );
        assert!(formats.iter().any(|path| path.contains("core::fmt")), "{formats:?}");
    }
}
