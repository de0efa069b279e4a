//! The walk over the sections of a manifest. Tool, server, host and device use it to find the image that it installs.
//!
//! [`Walk::install`] runs the update procedure and then the invocation procedure of draft-ietf-suit-manifest-37
//! section 6.1: payload-fetch, install, validate, invoke. It stops once, at the first fetch, and goes on when the
//! image is there. [`Walk::boot`] runs validate and invoke alone, over an image that was installed before.
//!
//! The answer depends on the manifest and the identity of the device, never on the bytes that an earlier install left
//! in the component (docs/decisions/0015):
//! - Until the manifest has fetched an image its component holds none, and image-match fails. The draft's idiom for
//!   an interrupted update, try-each of `[image-match]` and `[fetch, image-match]` (section 6.3), therefore fetches.
//! - A further fetch of the same image is complete at once: the component holds what was asked for.
//! - A fetch of another image, a second component, an image without digest or size, a validate that does not match
//!   the image and an invoke of anything else are [`ErrorKind::ImageReference`].

use trust::cbor::Utf8;

use crate::digest::Digest;
use crate::envelope::Authenticated;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Manifest, Section};
use crate::processor::{Contents, Fetch, Platform, Processor, Step};

/// An image that a manifest fetches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Image<'a> {
    /// Index of the component that holds it.
    pub component: u32,
    /// Where it is fetched from.
    pub uri: Utf8<'a>,
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

/// The walk over the sections of one manifest. It suspends where image bytes are needed, like the [`Processor`] that
/// it runs.
#[derive(Debug)]
pub struct Walk<'m, 'a> {
    manifest: &'m Manifest<'a>,
    /// The section that `processor` runs.
    section: Section,
    processor: Processor<'a>,
}

impl<'m, 'a> Walk<'m, 'a> {
    /// The walk of an update, from payload-fetch to invoke.
    #[must_use]
    pub fn install(authenticated: &'m Authenticated<'a>) -> Self {
        Self::over(authenticated.manifest(), Section::PayloadFetch, Contents::Empty)
    }

    /// The walk of a boot, over the `size` bytes that component 0 holds.
    #[must_use]
    pub fn boot(authenticated: &'m Authenticated<'a>, size: u64) -> Self {
        let contents = Contents::Image { component: 0, size, digest: None };
        Self::over(authenticated.manifest(), Section::Validate, contents)
    }

    /// The image that the manifest installs, found without its bytes: the platform answers every image-match with
    /// yes, and is asked about that image only. A device asks it before it writes anything.
    ///
    /// # Errors
    ///
    /// Those of [`Walk::run`].
    pub fn rehearse(
        authenticated: &Authenticated<'a>,
        platform: &mut dyn Platform,
    ) -> Result<Image<'a>, Error> {
        rehearse(authenticated.manifest(), platform)
    }

    #[inline(never)]
    fn over(manifest: &'m Manifest<'a>, section: Section, contents: Contents<'a>) -> Self {
        Self { manifest, section, processor: Processor::over(manifest, section, contents) }
    }

    /// Runs on to the fetch of the image, or to the end.
    ///
    /// # Errors
    ///
    /// Those of [`Processor::run`]; [`ErrorKind::MemberSevered`] when a section has been severed away;
    /// [`ErrorKind::ImageReference`]. After an error, the same error again.
    pub fn run(&mut self, platform: &mut dyn Platform) -> Result<Walked<'a>, Error> {
        loop {
            let step = self.processor.run(platform)?;
            let next = match (self.section, step) {
                (Section::PayloadFetch | Section::Install, Step::Fetch(fetch)) => {
                    let Some(image) = image_of(&fetch) else { break };
                    let Image { component, size, digest, .. } = image;
                    let asked = Contents::Image { component, size, digest: Some(digest) };
                    let contents = self.processor.contents();
                    if contents == asked {
                        continue;
                    }
                    if contents != Contents::Empty {
                        break;
                    }
                    self.processor.set_contents(asked);
                    return Ok(Walked::Fetch(image));
                }
                (Section::PayloadFetch, Step::Done) => Section::Install,
                (Section::Install, Step::Done) if self.processor.contents() != Contents::Empty => {
                    Section::Validate
                }
                (Section::Validate, Step::Done) if self.processor.contents_matched() => Section::Invoke,
                (Section::Invoke, Step::Invoke { component }) if self.processor.holds_image(component) => {
                    return Ok(Walked::Invoke);
                }
                _ => break,
            };
            self.section = next;
            self.processor.restart(self.manifest, next);
        }
        let refused = Error::new(ErrorKind::ImageReference, self.manifest.sequence_number_position());
        Err(self.processor.abort(refused))
    }
}

/// [`Walk::rehearse`], also of a manifest that is being written.
#[inline(never)]
pub(crate) fn rehearse<'a>(manifest: &Manifest<'a>, platform: &mut dyn Platform) -> Result<Image<'a>, Error> {
    let mut walk = Walk::over(manifest, Section::PayloadFetch, Contents::Empty);
    let Walked::Fetch(image) = walk.run(platform)? else {
        return Err(Error::new(ErrorKind::ImageReference, manifest.sequence_number_position()));
    };
    walk.run(platform)?;
    Ok(image)
}

fn image_of<'a>(fetch: &Fetch<'a>) -> Option<Image<'a>> {
    let size = fetch.image_size.filter(|&size| size > 0)?;
    Some(Image { component: fetch.component, uri: fetch.uri, digest: fetch.digest?, size })
}
