//! Makes the image, the bytes that go into a slot, out of what a linker writes: ELF, Intel HEX, Motorola
//! S-records, or the image itself. Pieces lie by their load address, gaps are filled with FF (erased flash).

mod elf;
mod intel_hex;
mod s_record;
#[cfg(test)]
mod tests;

use trust::host::is_private_key;

/// Longest input file, bytes.
pub const MAX_INPUT_LEN: u64 = 256 * 1024 * 1024;
/// Longest image, bytes.
pub const MAX_IMAGE_LEN: u64 = 64 * 1024 * 1024;
/// What flash reads where nothing was written.
const ERASED: u8 = 0xff;

/// Form of the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// ELF executable: its loaded sections by physical address.
    Elf,
    /// Intel HEX.
    Hex,
    /// Motorola S-records.
    Srec,
    /// The image as it is.
    Bin,
}

/// An image, and what it was made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Its bytes, one at least.
    pub bytes: Vec<u8>,
    /// Form of the input.
    pub format: Format,
    /// Address of its first byte, if the input has addresses.
    pub address: Option<u64>,
}

/// Why there is no image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImageError {
    /// No byte to load.
    #[error("it holds nothing to load")]
    Empty,
    /// First byte to last byte is more than the limit.
    #[error("the image would be longer than {MAX_IMAGE_LEN} bytes")]
    TooLong,
    /// Two pieces have an address in common.
    #[error("two pieces overlap at {0:#x}")]
    Overlap(u64),
    /// A piece lies before `--base`.
    #[error("a piece at {0:#x} lies below the base")]
    BelowBase(u64),
    /// A piece reaches beyond what can be addressed.
    #[error("a piece reaches beyond the end of the address space")]
    Address,
    /// `--base` with an input that has no addresses.
    #[error("a plain binary has no addresses")]
    BaseOfBinary,
    /// Not the text that the format is.
    #[error("it is not text")]
    NotText,
    /// A line that cannot be read.
    #[error("line {line}: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The record that ends the file is missing.
    #[error("it ends without its last record: it was cut off")]
    Unfinished,
    /// An ELF file that cannot be read.
    #[error("the ELF file is damaged: {0}")]
    Elf(&'static str),
    /// An ELF file that is no executable.
    #[error("the ELF file is not an executable with fixed addresses")]
    NotExecutable,
    /// A private key: an image is public.
    #[error("it is a private key")]
    PrivateKey,
    /// A loaded segment begins with the ELF header itself, and there are no sections to tell it apart.
    #[error("a loaded segment holds the ELF header")]
    HeaderInSegment,
}

impl ImageError {
    /// What to do about it, one sentence.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Empty | Self::NotText | Self::Line { .. } | Self::Unfinished | Self::Elf(_) => {
                "Build it again, or say what it is with --image-format."
            }
            Self::TooLong => "Check the linker script: pieces far apart are one image with a gap of FF.",
            Self::Overlap(_) | Self::Address => "Check the linker script.",
            Self::BelowBase(_) => "Give the address at which the image begins, or leave --base away.",
            Self::BaseOfBinary => "Leave --base away.",
            Self::NotExecutable => "Link it, without position independence.",
            Self::PrivateKey => "Give the firmware.",
            Self::HeaderInSegment => "Keep the section headers, or link with -nmagic.",
        }
    }
}

/// Bytes and the address at which they are loaded.
struct Piece<'a> {
    address: u64,
    bytes: std::borrow::Cow<'a, [u8]>,
}

/// Makes an image. `format` `None`: by the content. `base`: address of the first byte, by default the lowest.
pub fn make(input: &[u8], format: Option<Format>, base: Option<u64>) -> Result<Image, ImageError> {
    let format = format.unwrap_or_else(|| detect(input));
    let pieces = match format {
        Format::Elf => elf::pieces(input)?,
        Format::Hex => intel_hex::pieces(text(input)?)?,
        Format::Srec => s_record::pieces(text(input)?)?,
        Format::Bin => {
            return match (base, input) {
                (Some(_), _) => Err(ImageError::BaseOfBinary),
                (None, []) => Err(ImageError::Empty),
                (None, bytes) if is_private_key(bytes) => Err(ImageError::PrivateKey),
                (None, bytes) if bytes.len() as u64 > MAX_IMAGE_LEN => Err(ImageError::TooLong),
                (None, bytes) => Ok(Image { bytes: bytes.to_vec(), format, address: None }),
            };
        }
    };
    let (address, bytes) = assemble(pieces, base)?;
    Ok(Image { bytes, format, address: Some(address) })
}

/// ELF by its magic; the two text formats by their first character, if all of it is text.
fn detect(input: &[u8]) -> Format {
    let is_text = || input.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    match input.trim_ascii_start() {
        _ if input.starts_with(b"\x7fELF") => Format::Elf,
        [b':', ..] if is_text() => Format::Hex,
        [b'S', b'0'..=b'9', ..] if is_text() => Format::Srec,
        _ => Format::Bin,
    }
}

fn text(input: &[u8]) -> Result<&str, ImageError> {
    std::str::from_utf8(input).ok().filter(|text| text.is_ascii()).ok_or(ImageError::NotText)
}

fn assemble(mut pieces: Vec<Piece<'_>>, base: Option<u64>) -> Result<(u64, Vec<u8>), ImageError> {
    pieces.retain(|piece| !piece.bytes.is_empty());
    pieces.sort_by_key(|piece| piece.address);
    let lowest = pieces.first().ok_or(ImageError::Empty)?.address;
    let base = base.unwrap_or(lowest);
    if lowest < base {
        return Err(ImageError::BelowBase(lowest));
    }
    let mut image = Vec::new();
    for piece in pieces {
        let start = piece.address - base;
        let len = piece.bytes.len() as u64;
        let end = start.checked_add(len).ok_or(ImageError::Address)?;
        if piece.address.checked_add(len).is_none() {
            return Err(ImageError::Address);
        }
        if end > MAX_IMAGE_LEN {
            return Err(ImageError::TooLong);
        }
        if start < image.len() as u64 {
            return Err(ImageError::Overlap(piece.address));
        }
        let start = usize::try_from(start).map_err(|_| ImageError::TooLong)?;
        image.resize(start, ERASED);
        image.extend_from_slice(&piece.bytes);
    }
    Ok((base, image))
}
