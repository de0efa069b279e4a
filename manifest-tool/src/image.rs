//! Makes the image, the bytes of a slot, from a linker's output: ELF, Intel HEX, Motorola S-records or a plain binary.
//! Each piece lies at its load address; gaps are filled with FF (erased flash).

mod elf;
mod intel_hex;
mod pieces;
mod s_record;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use trust::encryption::ContentAlgorithm;
use trust::host::contains;

use crate::kind::Kind;
use pieces::{Lines, Pieces};

/// Longest input file, bytes.
pub const MAX_INPUT_LEN: u64 = 256 * 1024 * 1024;
/// Longest image, bytes.
pub const MAX_IMAGE_LEN: u64 = 64 * 1024 * 1024;
/// Longest payload of a release, bytes: an image, or an encrypted one with its tag.
pub const MAX_PAYLOAD_LEN: u64 = MAX_IMAGE_LEN + ContentAlgorithm::A128Gcm.tag_len() as u64;
/// Longest gap between two pieces that is filled, bytes. A longer one means that a piece belongs elsewhere: initial
/// values of RAM, option bytes.
pub const MAX_GAP_LEN: u64 = 1024 * 1024;
/// How an ELF file begins.
const ELF_MAGIC: &[u8] = b"\x7fELF";
/// Value of erased flash.
const ERASED: u8 = 0xff;

/// Form of the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// ELF executable: its loaded sections by physical address
    Elf,
    /// Intel HEX
    Hex,
    /// Motorola S-records
    Srec,
    /// The image itself
    Bin,
}

impl Format {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Elf => "ELF",
            Self::Hex => "Intel HEX",
            Self::Srec => "S-records",
            Self::Bin => "plain binary",
        }
    }
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
    /// Bytes of the input that lie outside of [`Options::range`].
    pub left_out: u64,
    /// Bytes before and between its pieces, which are FF.
    pub filled: u64,
}

/// Why there is no image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImageError {
    /// No byte to load.
    #[error("it contains nothing to load")]
    Empty,
    /// The same, where the command line names its format.
    #[error("it contains nothing to load")]
    EmptyOfFormat,
    /// An image that is taken as it is.
    #[error("it is empty, and an image has at least one byte")]
    EmptyImage,
    /// Pieces, and all of them outside of `--range`.
    #[error("none of its {0} bytes lies in --range")]
    OutsideRange(u64),
    /// First byte to last byte is more than the limit.
    #[error("the image would have {len} bytes, and the limit is {limit}")]
    TooLong {
        /// Bytes of the image, or of as much of it as was read.
        len: u64,
        /// Size of the slot, or [`MAX_IMAGE_LEN`].
        limit: u64,
    },
    /// Two pieces lie far apart.
    #[error("nothing lies between {from:#010x} and {to:#010x}, a gap of {} bytes", to - from)]
    Gap {
        /// End of the lower piece.
        from: u64,
        /// Start of the upper piece.
        to: u64,
    },
    /// Two pieces have an address in common.
    #[error("two pieces overlap at {0:#x}")]
    Overlap(u64),
    /// A piece lies before `--base`.
    #[error("a piece at {0:#x} lies below the base")]
    BelowBase(u64),
    /// A piece reaches beyond what can be addressed.
    #[error("a piece reaches beyond the end of the address space")]
    Address,
    /// `--base` or `--range` with an input that has no addresses.
    #[error("a plain binary has no addresses")]
    NoAddresses,
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
    /// An ELF file of another type than executable.
    #[error("the ELF file is not an executable with fixed addresses")]
    NotExecutable,
    /// No vector table that leads into the image: text, an archive, firmware for another processor.
    #[error("it does not begin with the vector table of a Cortex-M image")]
    NotFirmware,
    /// The same, where `--base` says where the image begins.
    #[error("at the address of --base it does not have the vector table of a Cortex-M image")]
    NotFirmwareAtBase,
    /// Most significant byte first, which none of our devices runs.
    #[error("the ELF file is big-endian, and Cortex-M devices are little-endian")]
    BigEndian,
    /// Firmware for another processor, by its number (`e_machine`).
    #[error("the ELF file is for another processor than Arm (e_machine {0}, not 40)")]
    OtherMachine(u16),
    /// A table has no addresses, and this format has them.
    #[error("it is {}, whose bytes have addresses, and a table is installed as it is", .0.name())]
    NotTable(Format),
    /// The same, where the command line calls it so.
    #[error("a table is installed as it is, and --image-format calls it {}", .0.name())]
    NotFormatOfTable(Format),
    /// A table without a byte.
    #[error("it is empty, and a table has at least one byte")]
    EmptyTable,
    /// A table that is longer than the slot.
    #[error("the table has {len} bytes, and the limit is {limit}")]
    TableTooLong {
        /// Bytes of the table.
        len: u64,
        /// Size of the slot, or [`MAX_IMAGE_LEN`].
        limit: u64,
        /// It comes beside an image.
        is_beside: bool,
    },
    /// An image is public.
    #[error("it is {0}")]
    Secret(Kind),
    /// A loaded segment begins with the ELF header itself, and there are no sections to tell it apart.
    #[error("a loaded segment holds the ELF header")]
    HeaderInSegment,
}

impl ImageError {
    /// What to do about it, one sentence.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Empty | Self::Line { .. } | Self::Unfinished | Self::Elf(_) => {
                "Build the file again, or name its format with --image-format."
            }
            Self::EmptyOfFormat => "Build the file again, or check --image-format.",
            Self::EmptyImage => "Build the file again, and check that you passed the right one.",
            Self::OutsideRange(_) => {
                "Check --range: it has to contain the addresses at which the image is linked; both ends are addresses."
            }
            Self::TooLong { .. } => "Shorten it, or check the linker script and --slot-size.",
            Self::Gap { .. } => {
                "Name the flash of the application with --range START..END; pieces outside of it are left out."
            }
            Self::Overlap(_) | Self::Address => "Check the linker script.",
            Self::BelowBase(_) => "Pass the address at which the image begins, or omit --base.",
            Self::NoAddresses => "Omit --base and --range.",
            Self::NotExecutable => "Link the executable without position independence.",
            Self::NotFirmware => {
                "Pass the linked firmware; `create` takes data that is not code with --image-format bin --allow-non-firmware."
            }
            Self::NotFirmwareAtBase => {
                "Pass the address of the vector table as --base, or omit --base: the image begins at its lowest address then."
            }
            Self::BigEndian => "Build it for the little-endian processor of the device.",
            Self::OtherMachine(_) => {
                "Pass the firmware that was linked for the device; `create` takes code of other processors with --image-format elf \
                 --allow-non-firmware."
            }
            Self::NotTable(_) => {
                "Convert it to a plain binary (objcopy -O binary), or pass --image-format bin to install these very bytes."
            }
            Self::NotFormatOfTable(_) => "Omit --image-format, or pass --image-format bin.",
            Self::EmptyTable => "Check that the file was written, and that you passed the right one.",
            Self::TableTooLong { is_beside: true, .. } => {
                "Shorten it, or check the size of its slot: --table-slot-size."
            }
            Self::TableTooLong { is_beside: false, .. } => {
                "Shorten it, or check the size of its slot: --slot-size."
            }
            Self::Secret(_) => "Pass a file that everybody may read.",
            Self::HeaderInSegment => {
                "Keep the section headers when you strip the file, or link with -nmagic."
            }
        }
    }
}

/// How an input becomes an image.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Form of the input; by default the content decides.
    pub format: Option<Format>,
    /// Address of the first byte; by default the lowest that is loaded.
    pub base: Option<u64>,
    /// Addresses to take; everything outside is left out.
    pub range: Option<Range<u64>>,
    /// Longest image that the slot of the device takes, bytes.
    pub slot_size: Option<u64>,
    /// Take an image without a vector table, if `format` names its format.
    pub any_content: bool,
}

/// Makes an image. A plain binary becomes one as it is, without a copy if it is given away.
///
/// # Errors
/// [`ImageError`] says what is wrong with the input, or with the options for it.
pub fn make<'i>(input: impl Into<Cow<'i, [u8]>>, options: &Options) -> Result<Image, ImageError> {
    let input = input.into();
    let any_content = options.any_content && options.format.is_some();
    if !any_content && options.format.unwrap_or_else(|| detect(&input)) == Format::Elf {
        elf::must_be_of_device(&input)?;
    }
    let image = extract(input, options)?;
    match options.base {
        _ if any_content || is_firmware(&image) => Ok(image),
        Some(_) => Err(ImageError::NotFirmwareAtBase),
        None => Err(ImageError::NotFirmware),
    }
}

/// Makes a table: the bytes of a file as they are, unless they are in a format with addresses and nobody said that they are
/// meant. `slot_size`: the longest that the slot of the device takes.
///
/// # Errors
/// [`ImageError`]
pub fn table(
    input: Vec<u8>,
    format: Option<Format>,
    slot_size: Option<u64>,
    is_beside: bool,
) -> Result<Image, ImageError> {
    match (format, detect(&input)) {
        (Some(Format::Bin), _) | (None, Format::Bin) => {}
        (Some(named), found) if named != found => return Err(ImageError::NotFormatOfTable(named)),
        (_, found) => return Err(ImageError::NotTable(found)),
    }
    let options = Options { format: Some(Format::Bin), slot_size, ..Options::default() };
    extract(Cow::Owned(input), &options).map_err(|error| match error {
        ImageError::EmptyImage => ImageError::EmptyTable,
        ImageError::TooLong { len, limit } => ImageError::TableTooLong { len, limit, is_beside },
        other => other,
    })
}

/// Whether a program has these bytes in one piece, wherever its pieces are loaded: a loader has option bytes far from its
/// flash.
///
/// # Errors
/// [`ImageError`] when the input is no program.
pub fn program_has(input: &[u8], words: &[u8]) -> Result<bool, ImageError> {
    let mut pieces = match detect(input) {
        Format::Elf => elf::pieces(input)?,
        Format::Hex => intel_hex::pieces(Lines::of(input))?,
        Format::Srec => s_record::pieces(Lines::of(input))?,
        Format::Bin => {
            let image = plain(input.into(), &Options::default())?;
            if !is_firmware(&image) {
                return Err(ImageError::NotFirmware);
            }
            return Ok(contains(input, words));
        }
    };
    pieces.0.retain(|piece| !piece.bytes.is_empty());
    pieces.0.sort_by_key(|piece| piece.address);
    let mut joined = Pieces::default();
    // A program is no longer than its file; one whose pieces name the same bytes again and again would fill the memory.
    let (mut end, mut len) = (0, 0_u64);
    for piece in &pieces.0 {
        if piece.address < end {
            return Err(ImageError::Overlap(piece.address));
        }
        let piece_len = piece.bytes.len() as u64;
        end = piece.address.checked_add(piece_len).ok_or(ImageError::Address)?;
        len += piece_len;
        if len > input.len() as u64 {
            return Err(ImageError::TooLong { len, limit: input.len() as u64 });
        }
        joined.push(piece.address, &piece.bytes);
    }
    if joined.0.is_empty() {
        return Err(ImageError::Empty);
    }
    Ok(joined.0.iter().any(|piece| contains(&piece.bytes, words)))
}

/// The image without a look at its content.
fn extract(input: Cow<'_, [u8]>, options: &Options) -> Result<Image, ImageError> {
    let format = options.format.unwrap_or_else(|| detect(&input));
    let image = match format {
        Format::Elf => assemble(elf::pieces(&input)?, format, options),
        Format::Hex => assemble(intel_hex::pieces(Lines::of(&input))?, format, options),
        Format::Srec => assemble(s_record::pieces(Lines::of(&input))?, format, options),
        Format::Bin => plain(input, options),
    }?;
    let limit = options.slot_size.unwrap_or(MAX_IMAGE_LEN).min(MAX_IMAGE_LEN);
    match image.bytes.len() as u64 {
        0 => Err(ImageError::EmptyImage),
        len if len > limit => Err(ImageError::TooLong { len, limit }),
        _ => Ok(image),
    }
}

/// The loader demands the same, and the memory of its own board beside it.
fn is_firmware(image: &Image) -> bool {
    match image.address.map(u32::try_from) {
        None => firmware_image::is_plausible(&image.bytes, None),
        Some(Ok(address)) => firmware_image::is_plausible(&image.bytes, Some(address)),
        Some(Err(_)) => false,
    }
}

fn plain(input: Cow<'_, [u8]>, options: &Options) -> Result<Image, ImageError> {
    if options.base.is_some() || options.range.is_some() {
        return Err(ImageError::NoAddresses);
    }
    if let Some(kind) = Kind::secret_in(&input) {
        return Err(ImageError::Secret(kind));
    }
    Ok(Image { bytes: input.into_owned(), format: Format::Bin, address: None, left_out: 0, filled: 0 })
}

/// ELF by its magic, the text formats by their first record, everything else as a plain binary.
fn detect(input: &[u8]) -> Format {
    if input.starts_with(ELF_MAGIC) {
        return Format::Elf;
    }
    match Lines::of(input).next() {
        Some(Ok((_, line))) if line.starts_with(':') => Format::Hex,
        Some(Ok((_, line))) if matches!(line.as_bytes(), [b'S', b'0'..=b'9', ..]) => Format::Srec,
        _ => Format::Bin,
    }
}

/// Lays the pieces out by address.
fn assemble(pieces: Pieces<'_>, format: Format, options: &Options) -> Result<Image, ImageError> {
    let mut pieces = pieces.0;
    let mut left_out = 0;
    pieces.retain(|piece| !piece.bytes.is_empty());
    if pieces.is_empty() {
        return Err(if options.format.is_some() { ImageError::EmptyOfFormat } else { ImageError::Empty });
    }
    if let Some(range) = &options.range {
        for piece in &mut pieces {
            left_out += piece.crop(range);
        }
    }
    pieces.retain(|piece| !piece.bytes.is_empty());
    pieces.sort_by_key(|piece| piece.address);
    let lowest = pieces.first().ok_or(ImageError::OutsideRange(left_out))?.address;
    let base = options.base.unwrap_or(lowest);
    if lowest < base {
        return Err(ImageError::BelowBase(lowest));
    }
    // First the layout, then the memory for it.
    let mut end = base;
    for piece in &pieces {
        if piece.address < end {
            return Err(ImageError::Overlap(piece.address));
        }
        if options.range.is_none() && piece.address - end > MAX_GAP_LEN {
            return Err(ImageError::Gap { from: end, to: piece.address });
        }
        end = piece.address.checked_add(piece.bytes.len() as u64).ok_or(ImageError::Address)?;
        let len = end - base;
        if len > MAX_IMAGE_LEN {
            return Err(ImageError::TooLong { len, limit: MAX_IMAGE_LEN });
        }
    }
    let mut bytes = Vec::with_capacity(offset(end - base)?);
    let filled = end - base - pieces.iter().map(|piece| piece.bytes.len() as u64).sum::<u64>();
    for piece in pieces {
        bytes.resize(offset(piece.address - base)?, ERASED);
        bytes.extend_from_slice(&piece.bytes);
    }
    Ok(Image { bytes, format, address: Some(base), left_out, filled })
}

/// An offset that [`MAX_IMAGE_LEN`] bounds.
fn offset(offset: u64) -> Result<usize, ImageError> {
    usize::try_from(offset).map_err(|_| ImageError::Address)
}
