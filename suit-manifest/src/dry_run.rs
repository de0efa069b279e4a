//! The walk without image bytes: finds the image that a manifest installs, and the devices that it is for.
//!
//! Tool, server and host run it before they sign, offer or send anything, the device before it writes anything.

use trust::encryption::EncryptionInfo;

#[cfg(any(test, feature = "host"))]
use crate::component::Target;
use crate::component::{ComponentId, Wanted};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::ManifestOf;
use crate::processor::{Platform, PlatformError};
use crate::profile::{Decrypted, Installs};
use crate::reason::Reason;
use crate::walk::Walk;

/// The image that a manifest fetches: a firmware image, or a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageReference<'a> {
    /// Where it is fetched from.
    pub uri: &'a str,
    /// SHA-256 of what is fetched.
    pub digest: [u8; 32],
    /// Bytes of what is fetched.
    pub size: u64,
    /// What is installed, if it is not what is fetched: that is encrypted then.
    pub decrypted: Option<Decrypted<'a>>,
    /// Vendor id that was checked.
    pub vendor: [u8; 16],
    /// Class id that was checked.
    pub class: [u8; 16],
    /// Device id that was checked, when the release is for a single device.
    pub device: Option<[u8; 16]>,
}

impl ImageReference<'_> {
    /// SHA-256 of what is installed.
    #[must_use]
    pub fn installed_digest(&self) -> [u8; 32] {
        self.decrypted.map_or(self.digest, |decrypted| *decrypted.digest.sha256())
    }

    /// Bytes of what is installed.
    #[must_use]
    pub fn installed_size(&self) -> u64 {
        self.decrypted.map_or(self.size, |decrypted| decrypted.size)
    }

    /// Fails where nobody with a key of a device can decrypt it: such a recipient has A128KW, and a name.
    fn check_recipients(&self) -> Result<(), Error> {
        let Some(decrypted) = &self.decrypted else { return Ok(()) };
        let mut kids = EncryptionInfo::read(decrypted.info)?.kids();
        if kids.any(|kid| !kid.is_empty()) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Platform(Reason::DeviceKeyUnknown), decrypted.info.base))
    }
}

/// The identity that a device reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceIdentity {
    /// Vendor id.
    pub vendor: [u8; 16],
    /// Class id.
    pub class: [u8; 16],
    /// Device id.
    pub device: [u8; 16],
}

/// The image for any device that the manifest is for, and for component-slot 0, which most devices have only. For hosts
/// and servers: the text for people has to be readable too. `wanted`: what is to be installed; who takes anything gives the
/// manifest's own [`ManifestOf::target`], and gets nothing of a release that [installs both](ManifestOf::installs_both).
///
/// # Errors
///
/// Those of a [`crate::Walk`] on any device; [`crate::ErrorKind::ComponentUnsupported`] for another target;
/// [`crate::ErrorKind::TextMalformed`].
pub fn image_reference<'a, P: Installs>(
    manifest: &ManifestOf<'a, P>,
    wanted: impl Into<Wanted>,
) -> Result<ImageReference<'a>, Error> {
    image_for_any(manifest, wanted.into(), 0)
}

/// The image for component-slot 1, if the manifest has one of its own: devices that run images where they lie take it
/// when they write their second slot.
///
/// # Errors
///
/// Those of [`image_reference`]. A manifest that fails for slot 1 only has no image for it, however it says so: a try-each
/// that no alternative fits, a nil alternative, an abort. A device that writes slot 1 refuses it, and so does its host,
/// which asks [`image_reference_for`] that slot.
pub fn second_image_reference<'a, P: Installs>(
    manifest: &ManifestOf<'a, P>,
    wanted: impl Into<Wanted>,
) -> Result<Option<ImageReference<'a>>, Error> {
    let wanted = wanted.into();
    let first = image_for_any(manifest, wanted, 0)?;
    match image_for_any(manifest, wanted, 1) {
        // The same image may be encrypted twice.
        Ok(second) if second.installed_digest() == first.installed_digest() => Ok(None),
        Ok(second) => Ok(Some(second)),
        Err(_) => Ok(None),
    }
}

/// Everything that a release installs on devices of its class.
#[cfg(any(test, feature = "host"))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReleaseImages<'a> {
    /// The firmware, for component-slot 0; of a release of a table, that.
    pub first: ImageReference<'a>,
    /// The firmware for component-slot 1, if it has an image of its own.
    pub second: Option<ImageReference<'a>>,
    /// The table that comes with firmware.
    pub table: Option<ImageReference<'a>>,
}

#[cfg(any(test, feature = "host"))]
impl<'a> ReleaseImages<'a> {
    /// In this order.
    pub fn iter(&self) -> impl Iterator<Item = &ImageReference<'a>> {
        core::iter::once(&self.first).chain(&self.second).chain(&self.table)
    }
}

/// Everything that a manifest installs, whatever that is.
///
/// # Errors
/// Those of [`image_reference`] and [`second_image_reference`].
#[cfg(any(test, feature = "host"))]
pub fn release_images<'a, P: Installs>(manifest: &ManifestOf<'a, P>) -> Result<ReleaseImages<'a>, Error> {
    let both = manifest.installs_both();
    let wanted = if both { Target::Firmware.of_any() } else { manifest.target().into() };
    Ok(ReleaseImages {
        first: image_reference(manifest, wanted)?,
        second: second_image_reference(manifest, wanted)?,
        table: both.then(|| image_reference(manifest, Target::Table.of_any())).transpose()?,
    })
}

/// The same for this device; what is for it alone in slot 1, too.
///
/// # Errors
/// Those of [`image_reference_for`] and [`second_image_reference`].
#[cfg(any(test, feature = "host"))]
pub fn release_images_for<'a, P: Installs>(
    manifest: &ManifestOf<'a, P>,
    identity: &DeviceIdentity,
) -> Result<ReleaseImages<'a>, Error> {
    let ReleaseImages { second, table, .. } = release_images(manifest)?;
    let wanted = if table.is_some() { Target::Firmware.of_any() } else { manifest.target().into() };
    let of_table = |_| image_reference_for(manifest, Target::Table.of_any(), identity, 0);
    Ok(ReleaseImages {
        first: image_reference_for(manifest, wanted, identity, 0)?,
        second,
        table: table.map(of_table).transpose()?,
    })
}

/// The image for this device and the component-slot that it writes next. For hosts: the text for people has to be readable too.
///
/// # Errors
///
/// The condition that refuses the device; [`crate::ErrorKind::ComponentUnsupported`] for another target; those of a
/// [`crate::Walk`]; [`crate::ErrorKind::TextMalformed`]; [`Reason::DeviceKeyUnknown`] for an encrypted image without a
/// recipient that a device may be.
pub fn image_reference_for<'a, P: Installs>(
    manifest: &ManifestOf<'a, P>,
    wanted: impl Into<Wanted>,
    identity: &DeviceIdentity,
    slot: u64,
) -> Result<ImageReference<'a>, Error> {
    manifest.text()?;
    let image = dry_run(manifest, wanted.into(), Some(*identity), slot)?;
    image.check_recipients()?;
    Ok(image)
}

/// The first run has no identity, and every identity condition holds: it finds the device. Contradicting conditions
/// hold then as well, so the second run, as that device, decides.
pub(crate) fn image_for_any<'a, P: Installs>(
    manifest: &ManifestOf<'a, P>,
    wanted: Wanted,
    slot: u64,
) -> Result<ImageReference<'a>, Error> {
    manifest.text()?;
    let found = dry_run(manifest, wanted, None, slot)?;
    let (vendor, class, device) = (found.vendor, found.class, found.device.unwrap_or_default());
    dry_run(manifest, wanted, Some(DeviceIdentity { vendor, class, device }), slot)
}

fn dry_run<'a, P: Installs>(
    manifest: &ManifestOf<'a, P>,
    wanted: Wanted,
    identity: Option<DeviceIdentity>,
    slot: u64,
) -> Result<ImageReference<'a>, Error> {
    let refused = Error::new(ErrorKind::ImageReference, manifest.sequence_number_position());
    let mut platform =
        DryRun { wanted, identity, slot, decrypts: P::DECRYPTS, vendor: None, class: None, device: None };
    let (image, decryption) = Walk::rehearse(manifest, P::goal(wanted.target), &mut platform)?;
    Ok(ImageReference {
        uri: image.uri.as_str(),
        digest: *image.digest.sha256(),
        size: image.size,
        decrypted: P::decrypted(&decryption),
        vendor: platform.vendor.ok_or(refused)?,
        class: platform.class.ok_or(refused)?,
        device: platform.device,
    })
}

struct DryRun {
    /// What is to be installed, and where.
    wanted: Wanted,
    identity: Option<DeviceIdentity>,
    /// The slot that the device writes next, as it numbers it.
    slot: u64,
    /// It has a component for what is encrypted.
    decrypts: bool,
    vendor: Option<[u8; 16]>,
    class: Option<[u8; 16]>,
    device: Option<[u8; 16]>,
}

/// Holds when the identity is unknown or equal, and notes the asked id.
fn identity_matches(own: Option<[u8; 16]>, asked: &[u8; 16], noted: &mut Option<[u8; 16]>) -> bool {
    let held = own.is_none_or(|own| own == *asked);
    if held {
        *noted = Some(*asked);
    }
    held
}

impl Platform for DryRun {
    fn vendor_matches(&mut self, _component: u32, id: &[u8; 16]) -> bool {
        identity_matches(self.identity.map(|identity| identity.vendor), id, &mut self.vendor)
    }

    fn class_matches(&mut self, _component: u32, id: &[u8; 16]) -> bool {
        identity_matches(self.identity.map(|identity| identity.class), id, &mut self.class)
    }

    fn device_matches(&mut self, _component: u32, id: &[u8; 16]) -> bool {
        identity_matches(self.identity.map(|identity| identity.device), id, &mut self.device)
    }

    fn component_slot(&mut self, _component: u32) -> Option<u64> {
        Some(self.slot)
    }

    /// The walk asks for nothing but the image that was fetched.
    fn image_matches(
        &mut self,
        _component: u32,
        _digest: &Digest<'_>,
        _size: u64,
    ) -> Result<bool, PlatformError> {
        Ok(true)
    }

    fn supports(&self, component_id: &ComponentId<'_>) -> bool {
        self.wanted.has(component_id, self.decrypts)
    }
}
