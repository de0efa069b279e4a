//! ELF: the content of loaded sections by physical address, where a flash programmer writes it.
//!
//! Segments give the address (the physical address is where data lies in flash, before it is copied to RAM). Sections
//! give the content: linkers put the ELF header itself, and padding, into segments too.

use object::elf::{ET_EXEC, FileHeader32, FileHeader64, PT_LOAD, SHF_ALLOC, SHT_NOBITS};
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _};
use object::{Endianness, FileKind};

use super::{ImageError, Pieces};

/// Where a header says the byte order, 2 being the most significant byte first, and the processor, in the same place in
/// both sizes of ELF.
const BYTE_ORDER_AT: usize = 5;
const BIG_ENDIAN: u8 = 2;
const MACHINE_AT: std::ops::Range<usize> = 18..20;
/// 32-bit Arm.
const EM_ARM: u16 = 40;

/// Fails for code that no Cortex-M runs. What is no ELF file, or a damaged one, is for [`pieces`] to refuse.
pub(super) fn must_be_of_device(input: &[u8]) -> Result<(), ImageError> {
    if !input.starts_with(super::ELF_MAGIC) {
        return Ok(());
    }
    if input.get(BYTE_ORDER_AT) == Some(&BIG_ENDIAN) {
        return Err(ImageError::BigEndian);
    }
    match input.get(MACHINE_AT).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes) {
        Some(machine) if machine != EM_ARM => Err(ImageError::OtherMachine(machine)),
        _ => Ok(()),
    }
}

/// A loaded segment: where it lies in the file, and where in memory.
struct Segment {
    offset: u64,
    len: u64,
    address: u64,
}

pub(super) fn pieces(input: &[u8]) -> Result<Pieces<'_>, ImageError> {
    match FileKind::parse(input) {
        Ok(FileKind::Elf32) => read::<FileHeader32<Endianness>>(input),
        Ok(FileKind::Elf64) => read::<FileHeader64<Endianness>>(input),
        _ => Err(ImageError::Elf("it is neither 32-bit nor 64-bit")),
    }
}

fn read<Header: FileHeader<Endian = Endianness>>(input: &[u8]) -> Result<Pieces<'_>, ImageError> {
    let header = Header::parse(input).map_err(|_| ImageError::Elf("its header"))?;
    let endian = header.endian().map_err(|_| ImageError::Elf("its byte order"))?;
    if header.e_type(endian) != ET_EXEC {
        return Err(ImageError::NotExecutable);
    }
    let segments: Vec<Segment> = header
        .program_headers(endian, input)
        .map_err(|_| ImageError::Elf("its program headers"))?
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_LOAD)
        .map(|segment| Segment {
            offset: segment.p_offset(endian).into(),
            len: segment.p_filesz(endian).into(),
            address: segment.p_paddr(endian).into(),
        })
        .collect();

    let sections =
        header.section_headers(endian, input).map_err(|_| ImageError::Elf("its section headers"))?;
    if sections.is_empty() {
        return of_segments(&segments, input);
    }
    let mut pieces = Pieces::default();
    for section in sections {
        if section.sh_flags(endian).0 & SHF_ALLOC.0 == 0 || section.sh_type(endian) == SHT_NOBITS {
            continue;
        }
        let bytes = section.data(endian, input).map_err(|_| ImageError::Elf("a section"))?;
        if bytes.is_empty() {
            continue;
        }
        let offset: u64 = section.sh_offset(endian).into();
        let address = segments.iter().find_map(|segment| segment.address_of(offset, bytes.len() as u64));
        let address = address.ok_or(ImageError::Elf("a section lies in no loaded segment"))?;
        pieces.borrow(address, bytes);
    }
    Ok(pieces)
}

impl Segment {
    /// Load address of a part of the file that lies in this segment.
    fn address_of(&self, offset: u64, len: u64) -> Option<u64> {
        let inside = offset.checked_sub(self.offset)?;
        if inside.checked_add(len)? > self.len {
            return None;
        }
        self.address.checked_add(inside)
    }
}

/// Without section headers (they can be stripped) whole segments are loaded.
fn of_segments<'i>(segments: &[Segment], input: &'i [u8]) -> Result<Pieces<'i>, ImageError> {
    let mut pieces = Pieces::default();
    for segment in segments.iter().filter(|segment| segment.len > 0) {
        if segment.offset == 0 {
            return Err(ImageError::HeaderInSegment);
        }
        let bounds = usize::try_from(segment.offset).ok().zip(usize::try_from(segment.len).ok());
        let bytes = bounds.and_then(|(start, len)| input.get(start..start.checked_add(len)?));
        let bytes = bytes.ok_or(ImageError::Elf("a segment"))?;
        pieces.borrow(segment.address, bytes);
    }
    Ok(pieces)
}
