//! `create`: an image, or a table, and the unsigned envelope that describes it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::ArgGroup;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use suit_manifest::Target;
use suit_manifest::author::{SlotImage, UpdateDescription, image_uri, inspect};
use trust::host::{Serial, VersionText};

use crate::bundle::{Bundle, INTEGRATED_URIS, TABLE_PLACE};
use crate::describe::ManifestView;
use crate::error::Error;
use crate::files::{OverwriteArguments, is_standard, must_differ, read, write_all};
use crate::identifiers::{Class, Vendor, description_text, device_id, version_text};
use crate::image::{self, Format, Image, MAX_INPUT_LEN};
use crate::output::{Report, table};
use crate::step::StepArguments;

/// Make an unsigned envelope and its image, of firmware, of a table or of both
#[derive(clap::Args, Clone, Debug)]
#[command(group = ArgGroup::new("content").args(["image", "table"]).required(true).multiple(true))]
pub struct Create {
    /// Firmware file: ELF, Intel HEX, S-records or binary
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Configuration table: a file whose bytes devices keep as they are; with --image, the two are tried together
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Format of the firmware file, or of a table alone [default: detected from its content]
    #[arg(long, value_enum, value_name = "FORMAT")]
    image_format: Option<Format>,
    /// Load address of the first byte, such as 0x21011000 [default: lowest loaded address]
    #[arg(long, value_name = "ADDRESS", value_parser = address, requires = "image")]
    base: Option<u64>,
    /// Include only these addresses, such as 0x08020000..0x08060000 (END is excluded)
    #[arg(long, value_name = "START..END", value_parser = range, requires = "image")]
    range: Option<Range<u64>>,
    /// Refuse an image, or a table alone, longer than this slot: bytes, or with suffix K or M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    slot_size: Option<u64>,
    /// Refuse a table that comes with an image and is longer than this slot
    #[arg(long, value_name = "SIZE", value_parser = size, requires_all = ["image", "table"])]
    table_slot_size: Option<u64>,
    /// The same firmware, linked for the second slot of devices that run images in place
    #[arg(long, value_name = "FILE", requires = "image", conflicts_with_all = ["base", "range"])]
    second_image: Option<PathBuf>,
    /// Vendor of the devices: UUID or domain
    #[arg(long)]
    vendor: Vendor,
    /// Class of the devices: UUID or name
    #[arg(long)]
    class: Class,
    /// Serial of the only device to update [default: all devices of the class]
    #[arg(long)]
    serial: Option<Serial>,
    /// Sequence number; a device refuses a lower one than it has confirmed
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    sequence: u64,
    /// Envelope of the previous release; the sequence number must be higher
    #[arg(long, value_name = "R.suit")]
    previous_release: Option<PathBuf>,
    /// Human-readable version, such as 2.0.0
    #[arg(long, value_parser = version_text)]
    version: VersionText,
    /// Description of the update, 1 to 4096 bytes in lines of visible characters
    #[arg(long, value_parser = description_text)]
    description: Option<String>,
    /// Fetch the image from the envelope itself ("#image"): `integrate` puts it in after signing
    #[arg(long)]
    integrated: bool,
    /// Unsigned envelope to write
    #[arg(long, value_name = "U.suit")]
    out: PathBuf,
    /// Image to write, as the device stores it; a binary is its own image, as a table is its own file, and needs none
    #[arg(long, value_name = "I.bin", requires = "image")]
    image_out: Option<PathBuf>,
    /// Image for the second slot to write
    #[arg(long, value_name = "I2.bin", requires = "second_image")]
    second_image_out: Option<PathBuf>,
    /// Accept an image without a vector table
    #[arg(long, requires_all = ["image_format", "image"])]
    allow_non_firmware: bool,
    /// Accept a sequence number that is more than 1048576 above that of --previous-release
    #[arg(long, requires = "previous_release")]
    allow_large_step: bool,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

/// What an envelope is made for.
struct Content {
    target: Target,
    image: Image,
    /// Where the image is going to be, or is already.
    image_file: PathBuf,
    /// Of firmware that is linked for each slot, and where it is.
    second: Option<(Image, PathBuf)>,
    /// The table that comes with firmware.
    table: Option<Image>,
}

#[derive(Debug, Serialize)]
pub struct Created {
    envelope: PathBuf,
    image_file: PathBuf,
    image_format: Format,
    image_address: Option<u64>,
    /// Bytes of the firmware file outside of `--range`.
    image_left_out: u64,
    /// Bytes between its pieces, which are FF in the image.
    image_filled: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_image_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_image_address: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table_file: Option<PathBuf>,
    #[serde(flatten)]
    manifest: ManifestView,
}

impl Create {
    pub fn run(&self) -> Result<Created, Error> {
        for output in [&self.out].into_iter().chain(&self.image_out).chain(&self.second_image_out) {
            for input in [&self.image, &self.table, &self.second_image, &self.previous_release] {
                must_differ(output, input.as_deref().as_slice())?;
            }
        }
        let Content { target, image, image_file, second, table } = self.content()?;
        self.check_previous(target)?;
        let vendor = self.vendor.id();
        let image_digest: [u8; 32] = Sha256::digest(&image.bytes).into();
        let update = UpdateDescription {
            target,
            vendor: vendor.into_bytes(),
            class: self.class.id(vendor).into_bytes(),
            device: self.serial.as_ref().map(|serial| device_id(serial, vendor).into_bytes()),
            sequence: self.sequence,
            version: self.version.as_str().to_owned(),
            image_digest,
            image_size: image.bytes.len() as u64,
            uri: self.uri(0, &image_digest),
            encryption: None,
            second_slot: second.as_ref().map(|(image, _)| self.slot_image(1, image)),
            table: table.as_ref().map(|table| self.slot_image(TABLE_PLACE, table)),
            vendor_domain: self.vendor.domain().map(str::to_owned),
            model: self.class.name().map(str::to_owned),
            description: self.description.clone(),
        };
        let envelope = suit_manifest::author::create(&update)
            .map_err(|error| Error::Author { what: "the manifest", source: Box::new(error) })?;
        let manifest = inspect(&envelope)
            .and_then(|inspection| ManifestView::of_inspection(&inspection))
            .map_err(|_| Error::Internal("the created envelope cannot be read back"))?;
        let mut files: Vec<(&Path, &[u8])> = Vec::new();
        files.extend(self.image_out.as_deref().map(|path| (path, image.bytes.as_slice())));
        if let Some((path, (second, _))) = self.second_image_out.as_deref().zip(second.as_ref()) {
            files.push((path, &second.bytes));
        }
        files.push((&self.out, &envelope));
        write_all(&files, self.overwrite.existing())?;
        Ok(Created {
            envelope: self.out.clone(),
            image_file,
            image_format: image.format,
            image_address: image.address,
            image_left_out: image.left_out,
            image_filled: image.filled,
            second_image_address: second.as_ref().and_then(|(image, _)| image.address),
            second_image_file: second.map(|(_, path)| path),
            table_file: self.table.clone().filter(|_| table.is_some()),
            manifest,
        })
    }
}

impl Create {
    fn content(&self) -> Result<Content, Error> {
        let of_table = |path: &PathBuf, format, slot_size| {
            let bytes = read(path, MAX_INPUT_LEN)?;
            if is_standard(path) || !path.is_file() {
                let path = path.display();
                let message =
                    format!("the table of {path} is in no file, and create writes none; save it first");
                return Err(Error::usage(message));
            }
            image::table(bytes, format, slot_size, self.image.is_some())
                .map_err(|source| Error::Image { path: path.clone(), source })
        };
        let Some(path) = &self.image else {
            let path =
                self.table.as_ref().ok_or(Error::Internal("neither an image nor a table was given"))?;
            let image = of_table(path, self.image_format, self.slot_size)?;
            return Ok(Content {
                target: Target::Table,
                image,
                image_file: path.clone(),
                second: None,
                table: None,
            });
        };
        let (image, image_file) = self.make(path, self.image_out.as_ref(), "--image-out")?;
        let second = self.second_image.as_ref();
        let second = second
            .map(|path| self.make(path, self.second_image_out.as_ref(), "--second-image-out"))
            .transpose()?;
        if let Some((second, _)) = &second {
            check_apart(&image, second)?;
        }
        // The format is that of the firmware file: that the table is one of its bytes is said by hand, with a release of its own.
        let table = self.table.as_ref().map(|path| of_table(path, None, self.table_slot_size)).transpose()?;
        Ok(Content { target: Target::Firmware, image, image_file, second, table })
    }

    /// An image beside the first one, in a place of [`INTEGRATED_URIS`].
    fn slot_image(&self, place: usize, image: &Image) -> SlotImage {
        let digest: [u8; 32] = Sha256::digest(&image.bytes).into();
        SlotImage { digest, size: image.bytes.len() as u64, uri: self.uri(place, &digest), encryption: None }
    }

    /// The image of a file, and where it is: in `out`, which `option` names, or in the file itself.
    fn make(&self, path: &Path, out: Option<&PathBuf>, option: &str) -> Result<(Image, PathBuf), Error> {
        let input = read(path, MAX_INPUT_LEN)?;
        let options = image::Options {
            format: self.image_format,
            base: self.base,
            range: self.range.clone(),
            slot_size: self.slot_size,
            any_content: self.allow_non_firmware,
        };
        let image =
            image::make(input, &options).map_err(|source| Error::Image { path: path.to_owned(), source })?;
        let why = match (out, image.format) {
            (Some(out), _) => return Ok((image, out.clone())),
            (None, Format::Bin) if !is_standard(path) && path.is_file() => {
                return Ok((image, path.to_owned()));
            }
            (None, Format::Bin) => "it is in no file".to_owned(),
            (None, format) => format!("it is not the file itself, which is {}", format.name()),
        };
        let path = path.display();
        Err(Error::usage(format!("the image of {path} has to be written, since {why}; pass {option}")))
    }

    /// Where an image is: the URI is signed.
    fn uri(&self, place: usize, digest: &[u8; 32]) -> String {
        let integrated = INTEGRATED_URIS.get(place).filter(|_| self.integrated);
        integrated.map_or_else(|| image_uri(digest), |uri| (*uri).to_owned())
    }

    /// A sequence number rises, never far, and within one vendor and class; tables of a class have numbers of their own.
    fn check_previous(&self, target: Target) -> Result<(), Error> {
        let Some(path) = &self.previous_release else { return Ok(()) };
        let bundle = Bundle::read(path)?;
        let envelope = bundle.taken_apart().envelope;
        let refused = |error| Error::refused_manifest(path, error);
        let previous = inspect(&envelope).map_err(refused)?;
        let image = previous.images().map_err(refused)?.first;
        let vendor = self.vendor.id();
        if (image.vendor, image.class) != (vendor.into_bytes(), self.class.id(vendor).into_bytes()) {
            return Err(Error::usage(format!("{} is for another vendor or class", path.display())));
        }
        let installed = previous.manifest().target();
        let is_of_both =
            previous.manifest().installs_both() || (self.image.is_some() && self.table.is_some());
        if installed != target && !is_of_both {
            let (path, target, installed) = (path.display(), target.name(), installed.name());
            let message = format!(
                "{path} is a release of {installed}, this one is of {target}: each has sequence numbers of its own"
            );
            return Err(Error::usage(message));
        }
        let from = previous.manifest().sequence_number();
        if self.sequence <= from {
            let message =
                format!("--sequence {} is not above {from}, that of {}", self.sequence, path.display());
            return Err(Error::usage(message));
        }
        StepArguments::of(self.allow_large_step).check("sequence number", from, self.sequence)
    }
}

impl Report for Created {
    fn lines(&self) -> String {
        let mut rows = vec![("envelope", format!("{} (unsigned)", self.envelope.display()))];
        let file = self.image_file.display().to_string();
        match self.manifest.target() {
            Target::Firmware => {
                rows.extend([("image file", file), ("made from", self.image_format.name().to_owned())]);
            }
            Target::Table => rows.push(("table file", file)),
        }
        rows.extend(self.image_address.map(|address| ("linked at", format!("{address:#010x}"))));
        rows.extend(
            self.second_image_file.as_ref().map(|path| ("second image file", path.display().to_string())),
        );
        rows.extend(
            self.second_image_address.map(|address| ("second linked at", format!("{address:#010x}"))),
        );
        rows.extend(self.table_file.as_ref().map(|path| ("table file", path.display().to_string())));
        if self.image_left_out > 0 {
            rows.push(("left out", format!("{} bytes outside of --range", self.image_left_out)));
        }
        if self.image_filled > 0 {
            rows.push(("filled", format!("{} bytes between its pieces, with FF", self.image_filled)));
        }
        rows.extend(self.manifest.rows());
        table(&rows)
    }
}

/// Two images are for two slots: they share no address. A plain binary has none; two of them only differ.
fn check_apart(first: &Image, second: &Image) -> Result<(), Error> {
    let addresses =
        |image: &Image| image.address.map(|start| start..start.saturating_add(image.bytes.len() as u64));
    let message = match (addresses(first), addresses(second)) {
        (Some(first), Some(second)) if first.start < second.end && second.start < first.end => format!(
            "--image ({:#010x}..{:#010x}) and --second-image ({:#010x}..{:#010x}) overlap; link the second one for the \
             second slot",
            first.start, first.end, second.start, second.end
        ),
        _ if first.bytes == second.bytes => {
            "--image and --second-image are equal; link the second one for the second slot".to_owned()
        }
        _ => return Ok(()),
    };
    Err(Error::usage(message))
}

/// Decimal, or hexadecimal with `0x`.
fn address(text: &str) -> Result<u64, std::num::ParseIntError> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(&digits.replace('_', ""), 16),
        None => text.parse(),
    }
}

/// `START..END`
pub(super) fn range(text: &str) -> Result<Range<u64>, String> {
    let (start, end) = text.split_once("..").ok_or("write it as START..END")?;
    let bound = |text: &str| address(text).map_err(|error| format!("{text:?}: {error}"));
    let range = bound(start)?..bound(end)?;
    if range.is_empty() { Err("END lies above START".to_owned()) } else { Ok(range) }
}

/// Bytes, or kibibytes with K, or mebibytes with M.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.as_bytes() {
        [.., b'k' | b'K'] => (&text[..text.len() - 1], 1024),
        [.., b'm' | b'M'] => (&text[..text.len() - 1], 1024 * 1024),
        _ => (text, 1),
    };
    let number = address(digits).map_err(|error| error.to_string())?;
    number.checked_mul(unit).filter(|size| *size > 0).ok_or_else(|| "out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_ranges_and_sizes_of_the_command_line() {
        assert_eq!(range("0x0802_0000..0x8060000"), Ok(0x0802_0000..0x0806_0000));
        for wrong in ["0x10", "0x20..0x10", "5..5", "..", "a..b"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
        assert_eq!((size("4096"), size("512K"), size("0x1m")), (Ok(4096), Ok(512 * 1024), Ok(1024 * 1024)));
        for wrong in ["", "K", "0", "1G", "18446744073709551615K"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
