//! A release on its way to a device: its bytes, and what the host's own checks found in them.
//!
//! The checks are the device's: the same code authenticates the envelope and runs its command sequences, so what passes
//! here is refused by a device only for what only the device knows.

use crate::device::Device;
use crate::error::{Error, Subject};
use crate::text::printable;
use crate::trusted::now;
use sha2::{Digest as _, Sha256};
use suit_manifest::author::sever_text;
use suit_manifest::reason::Reason;
use suit_manifest::{Authenticated, DeviceIdentity, Envelope, MAX_ENVELOPE_HEAD_LEN, image_reference_for};
use trust::{Kid, TrustStore, TrustStoreBuf};
use update_protocol::profile::Mode;

/// What an authenticated envelope says, for the plan and for what comes after the transfer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    /// SHA-256 over the bstr-wrapped manifest: the name of the release.
    pub(crate) manifest_digest: [u8; 32],
    /// Sequence number.
    pub(crate) sequence: u64,
    /// Version in the text, harmless for a terminal; only a name.
    pub(crate) version: Option<String>,
    /// SHA-256 of the image.
    pub(crate) image_digest: [u8; 32],
    /// Bytes of the image.
    pub(crate) image_size: u64,
    /// The anchor that the release goes back to.
    pub(crate) anchor: Kid,
}

/// What is sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Release {
    /// The envelope.
    pub(crate) envelope: Vec<u8>,
    /// The image.
    pub(crate) image: Vec<u8>,
    /// What the envelope says; `None` only when the host's checks were skipped and it does not even authenticate.
    pub(crate) facts: Option<Facts>,
}

/// Checks an envelope for a device: form, signature, revocation, time, sequence number, vendor, class, device, size.
///
/// # Errors
/// [`Error::Refused`]
pub(crate) fn check_envelope(
    envelope: &[u8],
    trusted: &TrustStoreBuf,
    device: &Device,
) -> Result<Facts, Error> {
    if device.state.mode == Mode::Factory {
        return Err(refused(Subject::Envelope, Reason::NotProvisioned));
    }
    let parsed = Envelope::parse(envelope).map_err(manifest_error)?;
    let authenticated = trusted.with(Some(now()), |store| authenticate(&parsed, store))?;
    authenticated.check_sequence(device.state.sequence_floor).map_err(manifest_error)?;
    let facts = facts(&authenticated, &device.identity)?;
    if facts.image_size > u64::from(device.state.slot_capacity) {
        return Err(refused(Subject::Image, Reason::ImageTooLarge));
    }
    Ok(facts)
}

/// The envelope as a device takes it: where it is too long, without its text, which is for people and is severed away
/// without touching the signature (draft-ietf-suit-manifest-37 section 5.4).
///
/// # Errors
/// [`Error::Refused`] when it is too long without its text as well
pub(crate) fn for_device(envelope: &[u8]) -> Result<Vec<u8>, Error> {
    if envelope.len() <= MAX_ENVELOPE_HEAD_LEN {
        return Ok(envelope.to_vec());
    }
    match sever_text(envelope) {
        Ok(severed) if severed.len() <= MAX_ENVELOPE_HEAD_LEN => Ok(severed),
        _ => Err(refused(Subject::Envelope, Reason::EnvelopeTooLarge)),
    }
}

/// Checks that an image is the one an envelope names.
///
/// # Errors
/// [`Error::Refused`]
pub(crate) fn check_image(facts: &Facts, image: &[u8]) -> Result<(), Error> {
    if image.len() as u64 == facts.image_size && Sha256::digest(image)[..] == facts.image_digest[..] {
        Ok(())
    } else {
        Err(refused(Subject::Image, Reason::ImageDigestMismatch))
    }
}

fn authenticate<'a>(parsed: &Envelope<'a>, store: &TrustStore<'_>) -> Result<Authenticated<'a>, Error> {
    parsed.authenticate(store).map_err(manifest_error)
}

fn facts(authenticated: &Authenticated<'_>, identity: &DeviceIdentity) -> Result<Facts, Error> {
    let reference = image_reference_for(authenticated, identity).map_err(manifest_error)?;
    let manifest = authenticated.manifest();
    Ok(Facts {
        manifest_digest: *authenticated.digest(),
        sequence: manifest.sequence_number(),
        version: manifest.version_text().map(printable),
        image_digest: reference.digest,
        image_size: reference.size,
        anchor: authenticated.authority().credential().issuer_kid(),
    })
}

fn manifest_error(error: suit_manifest::Error) -> Error {
    Error::Refused { subject: Subject::Envelope, reason: error.reason(), position: error.position }
}

fn refused(subject: Subject, reason: Reason) -> Error {
    Error::Refused { subject, reason, position: 0 }
}

#[cfg(test)]
mod tests;
