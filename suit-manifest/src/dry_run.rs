//! A run of the processor without a device: which image would a manifest install, on which kind of device?
//!
//! Hosts and servers ask it before anything is offered or sent; it is the interpreter of the device.

use crate::digest::Digest;
use crate::envelope::Authenticated;
use crate::error::{Error, ErrorKind};
use crate::manifest::{ComponentId, Manifest, Section};
use crate::processor::{Fetch, Platform, PlatformError, Processor, Step};

/// The image that a manifest installs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageReference<'a> {
    /// Where it is fetched from.
    pub uri: &'a str,
    /// SHA-256 of the image.
    pub digest: [u8; 32],
    /// Bytes of the image.
    pub size: u64,
    /// Vendor id that was checked.
    pub vendor: [u8; 16],
    /// Class id that was checked.
    pub class: [u8; 16],
    /// Device id that was checked, when the release is for a single device.
    pub device: Option<[u8; 16]>,
}

/// Who a device says it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceIdentity {
    /// Vendor id.
    pub vendor: [u8; 16],
    /// Class id.
    pub class: [u8; 16],
    /// Device id.
    pub device: [u8; 16],
}

/// The image for whichever device the manifest is made for, which there has to be.
pub fn image_reference<'a>(authenticated: &Authenticated<'a>) -> Result<ImageReference<'a>, Error> {
    dry_run_for_any(authenticated.manifest())
}

/// The image for this device, or the condition that refuses it.
pub fn image_reference_for<'a>(
    authenticated: &Authenticated<'a>,
    identity: &DeviceIdentity,
) -> Result<ImageReference<'a>, Error> {
    dry_run(authenticated.manifest(), Some(*identity))
}

/// The first run has no identity, and every identity condition holds: it finds the device. Conditions that
/// contradict each other hold then as well, so that what it says is what the second run says, as that device.
pub(crate) fn dry_run_for_any<'a>(manifest: &Manifest<'a>) -> Result<ImageReference<'a>, Error> {
    let found = dry_run(manifest, None)?;
    let (vendor, class, device) = (found.vendor, found.class, found.device.unwrap_or_default());
    dry_run(manifest, Some(DeviceIdentity { vendor, class, device }))
}

/// Fetches and installs, validates, invokes. A release that does not do all of it, for one and the same image,
/// would be refused by the loader or not boot.
fn dry_run<'a>(
    manifest: &Manifest<'a>,
    identity: Option<DeviceIdentity>,
) -> Result<ImageReference<'a>, Error> {
    // People are shown the text: it must be readable where it is there.
    manifest.text()?;
    let refused = Error::new(ErrorKind::ImageReference, manifest.sequence_number_position());
    let mut platform = DryRun { identity, vendor: None, class: None, device: None, fetched: None };
    let mut fetched: Option<Fetch<'a>> = None;
    for section in [Section::PayloadFetch, Section::Install] {
        let mut processor = Processor::over(manifest, section)?;
        loop {
            match processor.run(&mut platform)? {
                Step::Fetch(fetch) if fetched.is_none() => {
                    let digest = fetch.digest.ok_or(refused)?;
                    let size = fetch.image_size.filter(|&size| size > 0).ok_or(refused)?;
                    platform.fetched = Some((fetch.component, *digest.sha256(), size));
                    fetched = Some(fetch);
                }
                Step::Fetch(_) | Step::Invoke { .. } => return Err(refused),
                Step::Done => break,
            }
        }
    }
    let fetch = fetched.ok_or(refused)?;
    let mut validate = Processor::over(manifest, Section::Validate)?;
    if validate.run(&mut platform)? != Step::Done || !validate.image_matched(fetch.component) {
        return Err(refused);
    }
    let mut invoke = Processor::over(manifest, Section::Invoke)?;
    if invoke.run(&mut platform)? != (Step::Invoke { component: fetch.component }) {
        return Err(refused);
    }
    let (_, digest, size) = platform.fetched.ok_or(refused)?;
    Ok(ImageReference {
        uri: fetch.uri,
        digest,
        size,
        vendor: platform.vendor.ok_or(refused)?,
        class: platform.class.ok_or(refused)?,
        device: platform.device,
    })
}

struct DryRun {
    identity: Option<DeviceIdentity>,
    vendor: Option<[u8; 16]>,
    class: Option<[u8; 16]>,
    device: Option<[u8; 16]>,
    /// Component, digest and size of what has been fetched: the only image that there is.
    fetched: Option<(u32, [u8; 32], u64)>,
}

/// Holds when the identity is not known or the same, and notes what was asked.
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

    /// As on a device: images are linked for one slot, wherever they lie before they are swapped in.
    fn component_slot(&mut self, _component: u32) -> Option<u64> {
        Some(0)
    }

    fn image_matches(
        &mut self,
        component: u32,
        digest: &Digest<'_>,
        size: u64,
    ) -> Result<bool, PlatformError> {
        Ok(self.fetched == Some((component, *digest.sha256(), size)))
    }

    fn supports(&self, component_id: &ComponentId<'_>) -> bool {
        *component_id == ComponentId::APP
    }
}
