//! Which image does a manifest install? One walk over its sections answers, for tool, server, host and device.
//!
//! [`Walk::install`] runs the update procedure and then the invocation procedure of draft-ietf-suit-manifest-37
//! section 6.1: payload-fetch, install, validate, invoke. It stops once, at the first fetch, and goes on when the
//! image is there. [`Walk::boot`] runs validate and invoke alone, over an image that was installed before.
//!
//! The answer depends on the manifest and on who the device is, never on the bytes that an earlier install left in
//! the component (docs/decisions/0015):
//! - Until the manifest has fetched an image its component holds none, and image-match fails. The draft's idiom for
//!   an interrupted update, try-each of `[image-match]` and `[fetch, image-match]` (section 6.3), therefore fetches.
//! - A further fetch of the same image is complete at once: the component holds what was asked for.
//! - A fetch of another image, a second component, an image without digest or size, a validate that does not match
//!   the image and an invoke of anything else are [`ErrorKind::ImageReference`].

use crate::digest::Digest;
use crate::envelope::Authenticated;
use crate::error::{Error, ErrorKind};
use crate::manifest::{ComponentId, Manifest, Section};
use crate::processor::{Fetch, Platform, PlatformError, Processor, Step};

/// An image that a manifest fetches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Image<'a> {
    /// Index of the component that holds it.
    pub component: u32,
    /// Where it is fetched from.
    pub uri: &'a str,
    /// Its digest.
    pub digest: Digest<'a>,
    /// Its bytes, above zero.
    pub size: u64,
}

/// Where a [`Walk`] stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Walked<'a> {
    /// The image is to be fetched; when the component holds it, run on.
    Fetch(Image<'a>),
    /// The manifest validated the image and invokes it.
    Invoke,
}

/// What the component holds.
#[derive(Clone, Copy, Debug)]
struct Held<'a> {
    component: u32,
    size: u64,
    /// `None` at boot, when nothing but the manifest's own validate says it.
    digest: Option<Digest<'a>>,
}

/// The walk over the sections of one manifest. It suspends where image bytes are needed, like the [`Processor`] that
/// it runs.
#[derive(Debug)]
pub struct Walk<'m, 'a> {
    manifest: &'m Manifest<'a>,
    /// What `processor` runs.
    section: Section,
    processor: Processor<'a>,
    held: Option<Held<'a>>,
    /// An error stays.
    failed: Option<Error>,
}

impl<'m, 'a> Walk<'m, 'a> {
    /// The walk of an update, from payload-fetch to invoke.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::MemberSevered`] when payload-fetch has been severed away.
    pub fn install(authenticated: &'m Authenticated<'a>) -> Result<Self, Error> {
        Self::over(authenticated.manifest())
    }

    /// The walk of a boot, over the `size` bytes that component 0 holds.
    ///
    /// # Errors
    ///
    /// None today: sections that a boot runs cannot be severed away.
    pub fn boot(authenticated: &'m Authenticated<'a>, size: u64) -> Result<Self, Error> {
        let held = Held { component: 0, size, digest: None };
        Self::at(authenticated.manifest(), Section::Validate, Some(held))
    }

    pub(crate) fn over(manifest: &'m Manifest<'a>) -> Result<Self, Error> {
        Self::at(manifest, Section::PayloadFetch, None)
    }

    fn at(manifest: &'m Manifest<'a>, section: Section, held: Option<Held<'a>>) -> Result<Self, Error> {
        let processor = Processor::over(manifest, section)?;
        Ok(Self { manifest, section, processor, held, failed: None })
    }

    /// Runs on to the fetch of the image, or to the end.
    ///
    /// # Errors
    ///
    /// What the [`Processor`] refuses, and [`ErrorKind::ImageReference`]. After an error, the same error again.
    pub fn run(&mut self, platform: &mut dyn Platform) -> Result<Walked<'a>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let walked = self.advance(platform);
        self.failed = walked.err();
        walked
    }

    fn advance(&mut self, platform: &mut dyn Platform) -> Result<Walked<'a>, Error> {
        let refused = Error::new(ErrorKind::ImageReference, self.manifest.sequence_number_position());
        loop {
            let step = self.processor.run(&mut Gate { platform, held: self.held })?;
            match (self.section, step, self.held) {
                (Section::PayloadFetch | Section::Install, Step::Fetch(fetch), held) => {
                    let image = image_of(&fetch).ok_or(refused)?;
                    let asked =
                        Held { component: image.component, size: image.size, digest: Some(image.digest) };
                    match held {
                        None => {
                            self.held = Some(asked);
                            return Ok(Walked::Fetch(image));
                        }
                        Some(held) if held.is(&asked) => {}
                        Some(_) => return Err(refused),
                    }
                }
                (Section::PayloadFetch, Step::Done, _) => self.enter(Section::Install)?,
                (Section::Install, Step::Done, Some(_)) => self.enter(Section::Validate)?,
                (Section::Validate, Step::Done, Some(held))
                    if self.processor.image_matched(held.component) =>
                {
                    self.enter(Section::Invoke)?;
                }
                (Section::Invoke, Step::Invoke { component }, Some(held)) if component == held.component => {
                    return Ok(Walked::Invoke);
                }
                _ => return Err(refused),
            }
        }
    }

    fn enter(&mut self, section: Section) -> Result<(), Error> {
        self.section = section;
        self.processor.restart(self.manifest, section)
    }
}

impl Held<'_> {
    fn is(&self, other: &Held<'_>) -> bool {
        self.component == other.component && self.size == other.size && self.digest == other.digest
    }
}

fn image_of<'a>(fetch: &Fetch<'a>) -> Option<Image<'a>> {
    let size = fetch.image_size.filter(|&size| size > 0)?;
    Some(Image { component: fetch.component, uri: fetch.uri, digest: fetch.digest?, size })
}

/// The platform, of which a component holds the walk's image or nothing.
struct Gate<'p, 'a> {
    platform: &'p mut dyn Platform,
    held: Option<Held<'a>>,
}

impl Platform for Gate<'_, '_> {
    fn vendor_matches(&mut self, component: u32, id: &[u8; 16]) -> bool {
        self.platform.vendor_matches(component, id)
    }

    fn class_matches(&mut self, component: u32, id: &[u8; 16]) -> bool {
        self.platform.class_matches(component, id)
    }

    fn device_matches(&mut self, component: u32, id: &[u8; 16]) -> bool {
        self.platform.device_matches(component, id)
    }

    fn component_slot(&mut self, component: u32) -> Option<u64> {
        self.platform.component_slot(component)
    }

    fn image_matches(
        &mut self,
        component: u32,
        digest: &Digest<'_>,
        size: u64,
    ) -> Result<bool, PlatformError> {
        let is_held = self.held.is_some_and(|held| {
            held.component == component && held.size == size && held.digest.is_none_or(|held| held == *digest)
        });
        if is_held { self.platform.image_matches(component, digest, size) } else { Ok(false) }
    }

    fn supports(&self, component_id: &ComponentId<'_>) -> bool {
        self.platform.supports(component_id)
    }
}
