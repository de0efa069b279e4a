//! `lint`: what is wrong with an envelope, and what our devices could not run of it.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;
use suit_manifest::author::inspect;
use suit_manifest::author::tree::Integrated;
use suit_manifest::{ImageReference, Target};

use super::create::{range, size};
use crate::bundle::{Bundle, images_of};
use crate::error::Error;
use crate::files::read;
use crate::image::MAX_PAYLOAD_LEN;
use crate::lint::{Code, Finding, findings};
use crate::output::Report;
use crate::verification::match_image;

/// The exit code when something was found.
const FOUND: u8 = 6;
/// Findings that are shown.
const MAX_SHOWN: usize = 1000;

/// Show what is wrong with an envelope, and what our devices could not run of it
#[derive(clap::Args, Clone, Debug)]
pub struct Lint {
    /// Envelope, signed or not
    #[arg(value_name = "FILE")]
    envelope: PathBuf,
    /// Size of the slot: bytes, or with suffix K or M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    slot_size: Option<u64>,
    /// Image of the release [default: those in the envelope]
    #[arg(long, value_name = "I.bin")]
    image: Option<PathBuf>,
    /// Addresses of the slot, such as 0x08020000..0x08060000 (END is excluded)
    #[arg(long, value_name = "START..END", value_parser = range)]
    range: Option<Range<u64>>,
}

#[derive(Debug, Serialize)]
pub struct Linted {
    /// The first [`MAX_SHOWN`] of them.
    findings: Vec<Finding>,
    /// How many more there are.
    left_out: usize,
}

/// An image with its name for people.
type NamedImage<'b> = (PathBuf, Cow<'b, [u8]>);

impl Lint {
    pub fn run(&self) -> Result<Linted, Error> {
        let bundle = Bundle::read(&self.envelope)?;
        let mut found = findings(bundle.bytes(), self.slot_size);
        let release = bundle.release().unwrap_or_default();
        let is_table = inspect(&release).is_ok_and(|read| read.manifest().target() == Target::Table);
        if self.range.is_some() && is_table {
            return Err(Error::usage("--range is for firmware: a table has no addresses"));
        }
        let images = self.images(&bundle)?;
        if let (Some(range), Some([])) = (&self.range, images.as_deref()) {
            let message = format!(
                "--range {:#x}..{:#x} needs --image: the envelope has no image in it",
                range.start, range.end
            );
            return Err(Error::usage(message));
        }
        let reads = inspect(&release).and_then(|read| read.images());
        let is_encrypted = reads.is_ok_and(|images| images.first.decrypted.is_some());
        if self.range.is_some() && is_encrypted {
            let message = "--range looks into the firmware, and this release has it encrypted: pass the envelope that create wrote, \
                           and its image";
            return Err(Error::usage(message));
        }
        // Where devices refuse the manifest, that is a finding already.
        let named = images_of(&release).ok();
        let table = inspect(&release).and_then(|read| Ok(read.images()?.table)).ok().flatten();
        for (name, image) in images.unwrap_or_default() {
            found.extend(named.as_ref().and_then(|named| other(named, &name, &image)));
            // Slot and range are those of the firmware; the bytes of what is sent encrypted are other ones.
            if is_encrypted || table.is_some_and(|table| match_image(&name, &image, &table).is_ok()) {
                continue;
            }
            let slot = self.slot_size.unwrap_or(u64::MAX);
            if image.len() as u64 > slot && !found.iter().any(|finding| finding.code == Code::SlotTooSmall) {
                let message = format!("{} has {} bytes, and the slot {slot}", name.display(), image.len());
                found.push(Finding::new(Code::SlotTooSmall, message));
            }
            found.extend(outside(self.range.as_ref(), &name, &image));
        }
        let left_out = found.len().saturating_sub(MAX_SHOWN);
        found.truncate(MAX_SHOWN);
        Ok(Linted { findings: found, left_out })
    }

    /// The image that was given, or those in the envelope; `None` of a file that is no envelope.
    fn images<'b>(&self, bundle: &'b Bundle<'_>) -> Result<Option<Vec<NamedImage<'b>>>, Error> {
        if let Some(path) = &self.image {
            return Ok(Some(vec![(path.clone(), Cow::Owned(read(path, MAX_PAYLOAD_LEN)?))]));
        }
        let Ok(tree) = bundle.tree() else { return Ok(None) };
        let payloads = tree.integrated.iter().filter(|member| member.envelope.is_none());
        let named =
            |member: &Integrated<'b>| (bundle.name_of(member.uri), Cow::Borrowed(member.content.bytes));
        Ok(Some(payloads.map(named).collect()))
    }
}

/// Whether an image is longer than the range, or begins outside of it: its reset vector leads elsewhere.
fn outside(range: Option<&Range<u64>>, name: &Path, image: &[u8]) -> Option<Finding> {
    let range = range?;
    let len = range.end.saturating_sub(range.start);
    if image.len() as u64 > len {
        let message = format!("{} has {} bytes, and the range {len}", name.display(), image.len());
        return Some(Finding::new(Code::OutsideRange, message));
    }
    let reset = image.get(4..8)?.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))?;
    let message = format!("the reset vector of {} is {reset:#010x}, outside of the range", name.display());
    (!range.contains(&u64::from(reset))).then(|| Finding::new(Code::OutsideRange, message))
}

/// Whether an image is none of those that the manifest names.
fn other(named: &[ImageReference<'_>], name: &Path, image: &[u8]) -> Option<Finding> {
    let is_named = named.iter().any(|named| match_image(name, image, named).is_ok());
    let message = format!("{} is no image and no table of this manifest", name.display());
    (!is_named).then(|| Finding::new(Code::ImageDiffers, message))
}

impl Report for Linted {
    fn lines(&self) -> String {
        match self.findings.as_slice() {
            [] => "nothing was found".to_owned(),
            found => {
                let lines = found.iter().map(|finding| trust::host::printable(&finding.line()));
                let more = (self.left_out > 0).then(|| format!("and {} more findings", self.left_out));
                lines.chain(more).collect::<Vec<_>>().join("\n")
            }
        }
    }

    fn exit(&self) -> u8 {
        if self.findings.is_empty() { 0 } else { FOUND }
    }
}
