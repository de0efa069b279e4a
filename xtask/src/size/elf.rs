//! What an ELF takes of a device: from its sections (exact) and its symbols (who it was).

use anyhow::{Context, Result};
use object::elf::{SHF_ALLOC, SHF_WRITE, SHT_NOBITS};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionIndex};

/// The linker script of cortex-m-rt calls the top of the stack so.
const STACK_TOP: &str = "_stack_start";
/// And the lowest address a stack may reach so.
const STACK_BOTTOM: &str = "_stack_end";

/// A symbol and its size in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Symbol {
    /// As the linker knows it.
    pub(super) name: String,
    pub(super) bytes: u64,
}

/// Sizes of a linked image.
pub(super) struct Image {
    /// Bytes that are programmed into flash: code, constants, initial values.
    pub(super) flash: u64,
    /// Bytes of static RAM.
    pub(super) ram: u64,
    /// Bytes that the linker script reserves for the stack.
    pub(super) stack: u64,
    pub(super) flash_symbols: Vec<Symbol>,
    pub(super) ram_symbols: Vec<Symbol>,
}

/// Which memory a section is in.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    flash: bool,
    ram: bool,
}

impl Image {
    /// Reads an ELF file.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let file = object::File::parse(bytes).context("the loader is not an ELF file")?;
        let mut image =
            Self { flash: 0, ram: 0, stack: 0, flash_symbols: Vec::new(), ram_symbols: Vec::new() };
        for section in file.sections() {
            let place = place(&section);
            if place.flash {
                image.flash += section.size();
            }
            if place.ram {
                image.ram += section.size();
            }
        }
        for symbol in file.symbols().filter(|symbol| symbol.size() > 0) {
            let Some(place) = symbol.section_index().and_then(|index| place_of(&file, index)) else {
                continue;
            };
            let Ok(name) = symbol.name() else { continue };
            let entry = Symbol { name: name.to_owned(), bytes: symbol.size() };
            if place.ram {
                image.ram_symbols.push(entry.clone());
            }
            if place.flash {
                image.flash_symbols.push(entry);
            }
        }
        let address =
            |name| file.symbols().find(|symbol| symbol.name() == Ok(name)).map(|symbol| symbol.address());
        image.stack = stack_len(address(STACK_TOP), address(STACK_BOTTOM))?;
        Ok(image)
    }
}

/// Distance between the stack's symbols. Without it the largest part of the RAM would be left out silently.
fn stack_len(top: Option<u64>, bottom: Option<u64>) -> Result<u64> {
    let top = top.with_context(|| format!("the ELF has no symbol {STACK_TOP}"))?;
    let bottom = bottom.with_context(|| format!("the ELF has no symbol {STACK_BOTTOM}"))?;
    let len = top.checked_sub(bottom).filter(|len| *len > 0);
    len.with_context(|| format!("{STACK_TOP} ({top:#x}) is not above {STACK_BOTTOM} ({bottom:#x})"))
}

fn place_of(file: &object::File<'_>, index: SectionIndex) -> Option<Place> {
    file.section_by_index(index).ok().map(|section| place(&section))
}

fn place<'data>(section: &impl ObjectSection<'data>) -> Place {
    let SectionFlags::Elf { sh_type, sh_flags } = section.flags() else {
        return Place { flash: false, ram: false };
    };
    let allocated = sh_flags.contains(SHF_ALLOC);
    let empty = sh_type == SHT_NOBITS;
    // Initial values lie in flash and are copied to RAM.
    Place { flash: allocated && !empty, ram: allocated && (sh_flags.contains(SHF_WRITE) || empty) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_cannot_be_measured_is_an_error() {
        assert!(matches!(stack_len(Some(0x2000_4600), Some(0x2000_0000)), Ok(0x4600)));
        for (top, bottom) in
            [(None, None), (Some(0x4600), None), (None, Some(0)), (Some(0), Some(0x4600)), (Some(8), Some(8))]
        {
            assert!(stack_len(top, bottom).is_err(), "{top:?} {bottom:?}");
        }
    }
}
