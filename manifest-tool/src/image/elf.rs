//! ELF: the content of loadable segments by physical address, as a programmer or `objcopy -O binary` places it.

use super::{ImageError, Piece};
use object::elf::{ET_EXEC, FileHeader32, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader as _};
use object::{Endianness, FileKind};
use std::borrow::Cow;

pub(super) fn pieces(input: &[u8]) -> Result<Vec<Piece<'_>>, ImageError> {
    match FileKind::parse(input) {
        Ok(FileKind::Elf32) => segments::<FileHeader32<Endianness>>(input),
        Ok(FileKind::Elf64) => segments::<FileHeader64<Endianness>>(input),
        _ => Err(ImageError::Elf("it is of no known class")),
    }
}

fn segments<Header: FileHeader<Endian = Endianness>>(input: &[u8]) -> Result<Vec<Piece<'_>>, ImageError> {
    let header = Header::parse(input).map_err(|_| ImageError::Elf("its header"))?;
    let endian = header.endian().map_err(|_| ImageError::Elf("its byte order"))?;
    if header.e_type(endian) != ET_EXEC {
        return Err(ImageError::NotExecutable);
    }
    let segments =
        header.program_headers(endian, input).map_err(|_| ImageError::Elf("its program headers"))?;
    let mut pieces = Vec::new();
    for segment in segments {
        let len: u64 = segment.p_filesz(endian).into();
        if segment.p_type(endian) != PT_LOAD || len == 0 {
            continue;
        }
        if Into::<u64>::into(segment.p_offset(endian)) == 0 {
            return Err(ImageError::HeaderInSegment);
        }
        let bytes = segment.data(endian, input).map_err(|()| ImageError::Elf("a segment"))?;
        pieces.push(Piece { address: segment.p_paddr(endian).into(), bytes: Cow::Borrowed(bytes) });
    }
    Ok(pieces)
}
