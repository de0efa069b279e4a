//! A release on its way to a device: its bytes, and what the host's own checks found in them.
//!
//! The checks are the device's: the same code authenticates the envelope and runs its command sequences, so what passes
//! here is refused by a device only for what only the device knows.

use sha2::{Digest as _, Sha256};
use suit_manifest::author::{inspect, sever_text};
use suit_manifest::host::{Authenticated, Envelope, Manifest};
use suit_manifest::reason::Reason;
use suit_manifest::{MAX_ENVELOPE_HEAD_LEN, Wanted, image_reference_for, release_images};
use trust::host::clock_warning;
use trust::{Kid, TrustStore, TrustStoreBuf};
use update_protocol::profile::{Component, Mode, StateRecord};

use crate::device::{Device, component_of, target_of};
use crate::error::{Error, Subject};
use crate::text::printable;
use crate::trusted::now;

/// What an authenticated envelope says, for the plan and for what comes after the transfer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    /// SHA-256 over the bstr-wrapped manifest: the name of the release.
    pub(crate) manifest_digest: [u8; 32],
    pub(crate) sequence: u64,
    /// Version in the text, harmless for a terminal; only a name.
    pub(crate) version: Option<String>,
    /// The image for the slot that the device writes, as it is fetched.
    pub(crate) image: NamedImage,
    /// Its bytes once it is installed: an encrypted image may be longer.
    pub(crate) installed_size: u64,
    /// Whether that slot is component-slot 1.
    pub(crate) second_slot: bool,
    /// The image for the other slot, if the manifest names another one there.
    pub(crate) other_image: Option<OtherImage>,
    /// On whose word it is installed.
    pub(crate) authority: Authority,
    /// What of the device it installs.
    pub(crate) component: Component,
}

/// On whose word a release is installed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Authority {
    /// It is signed, and everything was verified here.
    Credential {
        /// The key that signed the release.
        release_key: Kid,
        /// The anchor that the release goes back to.
        anchor: Kid,
        /// What is wrong with the clock by which the credential is valid.
        clock_warning: Option<&'static str>,
    },
    /// A key authenticates it that only the device and its maker have: nobody else can verify it.
    DeviceKey,
}

impl Facts {
    /// The anchor that a signed release goes back to.
    pub(crate) fn anchor(&self) -> Option<Kid> {
        match self.authority {
            Authority::Credential { anchor, .. } => Some(anchor),
            Authority::DeviceKey => None,
        }
    }

    /// The key that signed it.
    #[cfg(feature = "http")]
    pub(crate) fn release_key(&self) -> Option<Kid> {
        match self.authority {
            Authority::Credential { release_key, .. } => Some(release_key),
            Authority::DeviceKey => None,
        }
    }
}

/// An image as a manifest names it: SHA-256 and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NamedImage {
    pub(crate) digest: [u8; 32],
    pub(crate) size: u64,
}

/// The image for the other slot: as it is fetched, and its bytes once it is installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OtherImage {
    pub(crate) named: NamedImage,
    pub(crate) installed_size: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Release {
    pub(crate) envelope: Vec<u8>,
    /// The image for the slot that the device writes.
    pub(crate) image: Vec<u8>,
    /// The image for the other slot, if there is another one and it is here.
    pub(crate) other_image: Option<Vec<u8>>,
    /// What the envelope says; `None` only when the host's checks were skipped and it does not even authenticate.
    pub(crate) facts: Option<Facts>,
    /// The table that comes with firmware: the same envelope, and the table as its image.
    pub(crate) table: Option<Box<Self>>,
}

impl Release {
    /// Takes the image for the slot that the device writes now. A programming session ends a trial, and with the image
    /// before it the other slot is written. Returns whether the image changed.
    ///
    /// # Errors
    /// [`Error::SlotChanged`] when that image is not here, [`Error::Refused`] when it does not fit
    pub(crate) fn follow_slot(&mut self, state: &StateRecord) -> Result<bool, Error> {
        let Some(facts) = &mut self.facts else { return Ok(false) };
        let second_slot = state.flags.second_slot;
        let Some(other) = facts.other_image.filter(|_| facts.second_slot != second_slot) else {
            return Ok(false);
        };
        let Some(image) = self.other_image.take() else { return Err(Error::SlotChanged { second_slot }) };
        check_size(facts.component, other.installed_size, state.slot_capacity)?;
        self.other_image = Some(std::mem::replace(&mut self.image, image));
        facts.other_image = Some(OtherImage { named: facts.image, installed_size: facts.installed_size });
        (facts.image, facts.installed_size) = (other.named, other.installed_size);
        facts.second_slot = second_slot;
        Ok(true)
    }

    /// Digest of the manifest, as far as it is known.
    pub(crate) fn digest(&self) -> Option<[u8; 32]> {
        self.facts.as_ref().map(|facts| facts.manifest_digest)
    }

    /// Whether the manifest names an image for each slot.
    pub(crate) fn depends_on_slot(&self) -> bool {
        self.facts.as_ref().is_some_and(|facts| facts.other_image.is_some())
    }
}

/// Checks an envelope for a device: form, signature, revocation, time, sequence number, vendor, class, device, size. A release
/// that the device's own key authenticates is checked but for that, where no anchor is trusted.
///
/// # Errors
/// [`Error::Refused`], also of a release of firmware and a table; [`Error::AnchorMissing`] for a signed release
pub(crate) fn check_envelope(
    envelope: &[u8],
    trusted: &TrustStoreBuf,
    device: &Device,
) -> Result<Facts, Error> {
    check_part(envelope, trusted, device, target_of(device.component).into())
}

/// The same of one half of a release of firmware and a table: that to which the device is turned.
///
/// # Errors
/// Those of [`check_envelope`]
pub(crate) fn check_half(envelope: &[u8], trusted: &TrustStoreBuf, device: &Device) -> Result<Facts, Error> {
    check_part(envelope, trusted, device, target_of(device.component).of_any())
}

fn check_part(
    envelope: &[u8],
    trusted: &TrustStoreBuf,
    device: &Device,
    wanted: Wanted,
) -> Result<Facts, Error> {
    if device.state.mode == Mode::Factory {
        return Err(refused(Subject::Envelope, Reason::NotProvisioned));
    }
    let parsed = Envelope::parse(envelope).map_err(manifest_error)?;
    let facts = match (trusted.anchors().is_empty(), parsed.has_mac()) {
        (true, true) => {
            let unproven = inspect(envelope).map_err(manifest_error)?;
            unproven.device_key().map_err(manifest_error)?;
            facts(unproven.manifest(), *unproven.digest(), Authority::DeviceKey, (device, wanted))?
        }
        (true, false) if parsed.has_block() => return Err(Error::AnchorMissing),
        (true, false) => return Err(refused(Subject::Envelope, Reason::SignatureMissing)),
        (false, _) => {
            let authenticated = trusted.with(Some(now()), |store| authenticate(&parsed, store))?;
            let credential = authenticated.authority().credential();
            let authority = Authority::Credential {
                release_key: credential.key().kid(),
                anchor: credential.issuer_kid(),
                clock_warning: clock_warning(credential, now()),
            };
            facts(authenticated.manifest(), *authenticated.digest(), authority, (device, wanted))?
        }
    };
    check_size(facts.component, facts.installed_size, device.state.slot_capacity)?;
    Ok(facts)
}

/// What an envelope that nobody has verified installs: that is what it is checked for afterwards.
pub(crate) fn component_in(envelope: &[u8]) -> Component {
    inspect(envelope).map_or(Component::Firmware, |read| component_of(read.manifest().target()))
}

/// Whether an envelope that nobody has verified installs firmware and a table.
pub(crate) fn installs_both(envelope: &[u8]) -> bool {
    inspect(envelope).is_ok_and(|read| read.manifest().installs_both())
}

/// What is installed, in an error.
pub(crate) fn image_of(component: Component) -> Subject {
    match component {
        Component::Firmware => Subject::Image,
        Component::Table => Subject::Table,
    }
}

fn check_size(component: Component, size: u64, capacity: u32) -> Result<(), Error> {
    if size <= u64::from(capacity) {
        return Ok(());
    }
    let facts = format!("it has {size} bytes, the device has room for {capacity}");
    let (subject, reason) = (image_of(component), Reason::ImageTooLarge);
    Err(Error::Refused { subject, reason, position: 0, facts: Some(facts) })
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

/// Checks that an image is the one an envelope names for the slot that the device writes.
///
/// # Errors
/// [`Error::Refused`]
pub(crate) fn check_image(facts: &Facts, image: &[u8]) -> Result<(), Error> {
    if facts.image.is(image) {
        return Ok(());
    }
    let subject = match facts.other_image {
        Some(_) => Subject::SlotImage { second_slot: facts.second_slot },
        None => image_of(facts.component),
    };
    Err(refused(subject, Reason::ImageDigestMismatch))
}

impl NamedImage {
    /// Whether these bytes are that image.
    pub(crate) fn is(&self, image: &[u8]) -> bool {
        image.len() as u64 == self.size && Sha256::digest(image)[..] == self.digest[..]
    }
}

fn authenticate<'a>(parsed: &Envelope<'a>, store: &TrustStore<'_>) -> Result<Authenticated<'a>, Error> {
    parsed.authenticate(store).map_err(manifest_error)
}

/// A refusal with the two values that do not fit together.
fn with_facts(error: suit_manifest::Error, manifest: &Manifest<'_>, device: &Device) -> Error {
    let uuid = |bytes: [u8; 16]| uuid::Uuid::from_bytes(bytes);
    let made_for = || release_images(manifest).map(|images| images.first).ok();
    let state = &device.state;
    let reason = error.reason();
    let facts = if reason == Reason::SequenceRollback {
        let name = |version: Option<String>, sequence: u64| match version {
            Some(version) => format!("{version}, sequence number {sequence}"),
            None => format!("sequence number {sequence}"),
        };
        let release = name(manifest.version_text().map(printable), manifest.sequence_number());
        let runs = name(device.installed().version, state.active_sequence);
        let verb = match device.component {
            Component::Firmware => "runs",
            Component::Table => "has the table of",
        };
        Some(format!(
            "the release is {release}; the device {verb} {runs}, and takes nothing below {}",
            state.sequence_floor
        ))
    } else if reason == Reason::VendorMismatch {
        made_for().map(|made| {
            format!(
                "the release is for vendor {}, the device is of vendor {}",
                uuid(made.vendor),
                device.vendor()
            )
        })
    } else if reason == Reason::ClassMismatch {
        made_for().map(|made| {
            format!(
                "the release is for class {}, the device is of class {}",
                uuid(made.class),
                device.class()
            )
        })
    } else if reason == Reason::DeviceMismatch {
        made_for().and_then(|made| made.device).map(|made| {
            let own = uuid(device.identity.device);
            format!("the release is for the device {}, this one is {own} ({})", uuid(made), device.serial)
        })
    } else {
        None
    };
    Error::Refused { subject: Subject::Envelope, reason, position: error.position, facts }
}

fn facts(
    manifest: &Manifest<'_>,
    manifest_digest: [u8; 32],
    authority: Authority,
    (device, wanted): (&Device, Wanted),
) -> Result<Facts, Error> {
    let compared = |error: suit_manifest::Error| with_facts(error, manifest, device);
    // The numbers of the other one are not compared.
    let has_it = manifest.installs_both() || component_of(manifest.target()) == device.component;
    if !has_it || manifest.installs_both() != wanted.beside_the_other {
        return Err(refused(Subject::Envelope, Reason::ComponentUnsupported));
    }
    manifest.check_sequence(device.state.sequence_floor).map_err(compared)?;
    let second_slot = device.state.flags.second_slot;
    let named = |slot: bool| {
        image_reference_for(manifest, wanted, &device.identity, u64::from(slot)).map(|image| OtherImage {
            named: NamedImage { digest: image.digest, size: image.size },
            installed_size: image.installed_size(),
        })
    };
    let image = named(second_slot).map_err(compared)?;
    Ok(Facts {
        manifest_digest,
        sequence: manifest.sequence_number(),
        version: manifest.version_text().map(printable),
        image: image.named,
        installed_size: image.installed_size,
        second_slot,
        other_image: named(!second_slot).ok().filter(|other| other.named.digest != image.named.digest),
        authority,
        component: device.component,
    })
}

fn manifest_error(error: suit_manifest::Error) -> Error {
    Error::Refused {
        subject: Subject::Envelope,
        reason: error.reason(),
        position: error.position,
        facts: None,
    }
}

fn refused(subject: Subject, reason: Reason) -> Error {
    Error::Refused { subject, reason, position: 0, facts: None }
}

#[cfg(test)]
pub(crate) mod tests;
