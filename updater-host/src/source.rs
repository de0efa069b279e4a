//! Where a release comes from: files, or the update-server with its cache.

use std::path::{Path, PathBuf};

use suit_manifest::author::{TakenApart, take_apart};
use suit_manifest::limits::{MAX_ENVELOPE_LEN, MAX_INTEGRATED_LEN};
use suit_manifest::reason::Reason;
use trust::TrustStoreBuf;
use trust::host::ReadError;
use update_protocol::profile::Component;

use crate::device::Device;
use crate::error::{Error, Subject};
use crate::files::{self, MAX_IMAGE_LEN};
use crate::output::Output;
use crate::plan::ReleaseName;
use crate::release::{
    Facts, NamedImage, Release, check_envelope, check_half, check_image, component_in, for_device,
    installs_both,
};

#[cfg(feature = "http")]
mod online;

#[cfg(feature = "http")]
pub(crate) use online::{Heard, Online, Question, fetch_records, fetched_records, keep_successions};

/// What there is for a device.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each run of the program")]
pub(crate) enum Offer {
    /// Something to install.
    Release(Release),
    /// The newest release of the server is older than what the device accepts. `words` say which, and who said so.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    Older { newest: ReleaseName, words: String },
}

/// Whether the host sends a release that its own checks refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HostChecks {
    /// It is refused.
    Enforced,
    /// `--dangerous-skip-host-checks`: the host warns and sends it.
    Skipped,
}

impl HostChecks {
    /// Passes a check's outcome on, or only tells of a refusal.
    pub(crate) fn apply<T>(self, outcome: Result<T, Error>, output: &Output) -> Result<Option<T>, Error> {
        match (outcome, self) {
            (Ok(value), _) => Ok(Some(value)),
            (
                Err(
                    error @ (Error::Refused { .. }
                    | Error::NoTable { .. }
                    | Error::NoFirmware { .. }
                    | Error::AnchorMissing),
                ),
                Self::Skipped,
            ) => {
                output.warn(&error.code(), &format!("skipped: {error}"));
                Ok(None)
            }
            (Err(error), _) => Err(error),
        }
    }
}

/// Reads a release from files and checks all of it, for what of the device it installs: the device is turned to that. Of several
/// images it is the one that the manifest has for this device.
///
/// # Errors
/// [`Error::NoTable`], [`Error::NoFirmware`], [`Error::Refused`], and those of [`files::read`]
pub(crate) fn from_files(
    envelope: &Path,
    images: &[PathBuf],
    trusted: &TrustStoreBuf,
    device: &mut Device,
    checks: HostChecks,
    output: &Output,
) -> Result<Release, Error> {
    let file = files::read(envelope, (MAX_ENVELOPE_LEN + MAX_INTEGRATED_LEN) as u64)?;
    let TakenApart { envelope, payloads } = take_apart(&file);
    let integrated = payloads.iter().map(|(_, image)| Ok(image.to_vec()));
    let given = images.iter().map(|path| files::read(path, MAX_IMAGE_LEN));
    let images = integrated.chain(given).collect::<Result<Vec<_>, _>>()?;
    let (facts, table) = judged(&envelope, trusted, device, checks, output)?;
    let is_meant = |image: &Vec<u8>| facts.as_ref().is_some_and(|facts| check_image(facts, image).is_ok());
    let chosen = images.iter().position(is_meant).unwrap_or(0);
    let image = images.get(chosen).ok_or(Error::ImageMissing)?.clone();
    let other = facts.as_ref().and_then(|facts| facts.other_image).map(|other| other.named);
    let named_table = table.facts().map(|facts| facts.image);
    if let Some(facts) = &facts {
        checks.apply(check_image(facts, &image), output)?;
        let is_of_it = |image: &Vec<u8>| {
            is_meant(image) || [other, named_table].into_iter().flatten().any(|named| named.is(image))
        };
        if let strangers @ 1.. = images.iter().filter(|image| !is_of_it(image)).count() {
            let words = format!("the release does not name {strangers} of the images, which are passed over");
            output.warn("image-unused", &words);
        }
    }
    let find = |named: NamedImage| images.iter().find(|image| named.is(image)).cloned();
    let table = match table {
        Half::Table(facts) => {
            let named = facts.as_ref().and_then(|facts| find(facts.image));
            // Whoever skips the checks sends the files as they stand: the table is the one that is not the firmware.
            let other = || images.iter().enumerate().find(|(place, _)| *place != chosen);
            let found = match (named, checks) {
                (None, HostChecks::Skipped) => other().map(|(_, image)| image.clone()),
                (named, _) => named,
            };
            checks.apply(found.ok_or_else(table_missing), output)?.map(|table| (facts, table))
        }
        Half::None => None,
    };
    let envelope = sendable(envelope.into_owned(), checks, output)?;
    let table = table.map(|(facts, table)| half(&envelope, facts.map(|facts| *facts), table));
    Ok(Release { envelope, image, other_image: other.and_then(find), facts, table })
}

/// What of a release is brought beside its firmware.
enum Half {
    /// Its table, and what the envelope says of it: nothing that is known, where the checks are skipped.
    Table(Option<Box<Facts>>),
    None,
}

impl Half {
    fn facts(&self) -> Option<&Facts> {
        match self {
            Self::Table(facts) => facts.as_deref(),
            Self::None => None,
        }
    }
}

fn table_missing() -> Error {
    Error::Refused {
        subject: Subject::Table,
        reason: Reason::ImageDigestMismatch,
        position: 0,
        facts: Some("none of the files is the table of this release; pass it as another --image".to_owned()),
    }
}

/// The half of a release that is its table.
fn half(envelope: &[u8], facts: Option<Facts>, image: Vec<u8>) -> Box<Release> {
    Box::new(Release { envelope: envelope.to_vec(), image, other_image: None, facts, table: None })
}

/// What an envelope says, for what of the device it installs: the device is turned to that. Of a release of firmware and a
/// table the device is turned to the firmware, and the second one is what it says of the table. A device without a table is
/// sent none, also where the checks are skipped: it refuses the firmware.
fn judged(
    envelope: &[u8],
    trusted: &TrustStoreBuf,
    device: &mut Device,
    checks: HostChecks,
    output: &Output,
) -> Result<(Option<Facts>, Half), Error> {
    if installs_both(envelope) {
        let table = match checks.apply(device.turn(Component::Table), output)? {
            Some(()) => {
                Half::Table(checks.apply(check_half(envelope, trusted, device), output)?.map(Box::new))
            }
            None => Half::None,
        };
        device.turn(Component::Firmware)?;
        let facts = checks.apply(check_half(envelope, trusted, device), output)?;
        return Ok((facts, table));
    }
    checks.apply(device.turn(component_in(envelope)), output)?;
    checks.apply(device.check_tries(), output)?;
    Ok((checks.apply(check_envelope(envelope, trusted, device), output)?, Half::None))
}

/// Reads the release for this device out of a folder that has one for each of some devices: `SERIAL.suit`, and images by their
/// digests ([`device_lists::file_name`], [`device_lists::ciphertext_name`]).
///
/// # Errors
/// [`Error::NotInBundle`], [`Error::NoTable`], [`Error::NoFirmware`], [`Error::Refused`], and those of [`files::read_file`]
pub(crate) fn from_bundle(
    folder: &Path,
    trusted: &TrustStoreBuf,
    device: &mut Device,
    checks: HostChecks,
    output: &Output,
) -> Result<Release, Error> {
    let serial = device.serial.to_string();
    let file = device_lists::envelope_name(&serial);
    let path = folder.join(&file);
    // A folder that is not there is a slip of its own.
    if !folder.is_dir() {
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, "it is no folder, or not there");
        return Err(Error::Read { path: folder.to_owned(), source: ReadError::Io(source) });
    }
    if !path.exists() {
        return Err(Error::NotInBundle { folder: folder.to_owned(), serial, file });
    }
    let envelope = files::read_file(&path, MAX_ENVELOPE_LEN as u64)?;
    let (facts, table) = judged(&envelope, trusted, device, checks, output)?;
    // Without facts nobody knows which image it is.
    let Some(facts) = facts else { return Err(Error::NothingToInstall) };
    let read = |named: NamedImage| {
        files::read_file(&folder.join(device_lists::ciphertext_name(&named.digest)), MAX_IMAGE_LEN)
    };
    let image = read(facts.image)?;
    checks.apply(check_image(&facts, &image), output)?;
    let other = facts.other_image.map(|other| other.named);
    let other_image = other.and_then(|named| read(named).ok().filter(|image| named.is(image)));
    let envelope = sendable(envelope, checks, output)?;
    let table = match table {
        Half::Table(Some(of_table)) => {
            let table = read(of_table.image)?;
            checks.apply(check_image(&of_table, &table), output)?;
            Some(half(&envelope, Some(*of_table), table))
        }
        // Without facts nobody knows which table it is.
        Half::Table(None) => return Err(Error::NothingToInstall),
        Half::None => None,
    };
    Ok(Release { envelope, image, other_image, facts: Some(facts), table })
}

/// What of an envelope is sent.
fn sendable(envelope: Vec<u8>, checks: HostChecks, output: &Output) -> Result<Vec<u8>, Error> {
    Ok(checks.apply(for_device(&envelope), output)?.unwrap_or(envelope))
}
