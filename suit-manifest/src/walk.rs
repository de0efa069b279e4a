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
//! - A table is data: its walk ends after validate, and a manifest of a table that has an invoke is refused, as is one of
//!   firmware that has none.
//! - A manifest of firmware and a table is walked twice, once for each. What is for the other one is passed over, and an
//!   image-match of it holds: what is there is compared by its own walk (docs/decisions/0108).
//! - Where a profile decrypts, a copy makes another image of the one that was fetched, in another component, and nothing
//!   is left where it was: a device decrypts while it receives (docs/decisions/0096).

use trust::cbor::Utf8;

use crate::component::Target;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::{ManifestOf, Section};
use crate::processor::{Contents, Fetch, Platform, ProcessorOf, Step};
use crate::profile::{Installs, Loader};

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
    /// The manifest validated the image, and invokes it if it is firmware.
    Complete,
}

/// The walk over the sections of one manifest. It suspends where image bytes are needed, like the [`Processor`] that
/// it runs.
///
/// [`Processor`]: crate::Processor
#[derive(Debug)]
pub struct Walk<'m, 'a, P: Installs = Loader> {
    manifest: &'m ManifestOf<'a, P>,
    /// The section that `processor` runs.
    section: Section,
    processor: ProcessorOf<'a, P>,
    decryption: P::Decryption<'a>,
    goal: P::Goal,
}

impl<'m, 'a, P: Installs> Walk<'m, 'a, P> {
    /// The walk of an update, from payload-fetch to invoke.
    #[must_use]
    pub fn install(manifest: &'m ManifestOf<'a, P>, goal: P::Goal) -> Self {
        Self::over(manifest, Section::PayloadFetch, goal, Contents::Empty)
    }

    /// The walk of a boot, over the `size` bytes that are installed.
    #[must_use]
    pub fn boot(manifest: &'m ManifestOf<'a, P>, goal: P::Goal, size: u64) -> Self {
        let contents = Contents::Image { component: 0, size, digest: None };
        Self::over(manifest, Section::Validate, goal, contents)
    }

    /// The image that the manifest fetches, found without its bytes, and what it makes of it: the platform answers every
    /// image-match with yes, and is asked about that image only. A device asks it before it writes anything.
    ///
    /// # Errors
    ///
    /// Those of [`Walk::run`].
    #[inline(never)]
    pub fn rehearse(
        manifest: &'m ManifestOf<'a, P>,
        goal: P::Goal,
        platform: &mut dyn Platform,
    ) -> Result<(Image<'a>, P::Decryption<'a>), Error> {
        let mut walk = Self::install(manifest, goal);
        let Walked::Fetch(image) = walk.run(platform)? else {
            return Err(Error::new(ErrorKind::ImageReference, manifest.sequence_number_position()));
        };
        walk.run(platform)?;
        Ok((image, walk.decryption))
    }

    /// The component for which the last command of a [rehearsal](Walk::rehearse) ran, refused or not: for a report.
    #[inline(never)]
    pub fn refused_for(manifest: &'m ManifestOf<'a, P>, goal: P::Goal, platform: &mut dyn Platform) -> u32 {
        let mut walk = Self::install(manifest, goal);
        // To the fetch, and to the end.
        let _ = walk.run(platform).and_then(|_| walk.run(platform));
        walk.processor.component()
    }

    #[inline(never)]
    fn over(
        manifest: &'m ManifestOf<'a, P>,
        section: Section,
        goal: P::Goal,
        contents: Contents<'a>,
    ) -> Self {
        let mut processor = ProcessorOf::over(manifest, section, contents);
        if P::TAKES_DATA {
            match (P::aim(&mut processor.state, manifest.components(), goal), contents) {
                (Some(component), Contents::Image { size, digest, .. }) => {
                    processor.set_contents(Contents::Image { component, size, digest });
                }
                (Some(_), Contents::Empty | Contents::Unknown) => {}
                (None, _) => {
                    processor.abort(Error::new(ErrorKind::ComponentUnsupported, manifest.shared().base));
                }
            }
        }
        Self { manifest, section, processor, decryption: P::Decryption::default(), goal }
    }

    /// Runs on to the fetch of the image, or to the end.
    ///
    /// # Errors
    ///
    /// Those of [`ProcessorOf::run`] and [`Installs::copy`]; [`ErrorKind::MemberSevered`] when a section has been severed away;
    /// [`ErrorKind::ImageReference`]. After an error, the same error again.
    pub fn run(&mut self, platform: &mut dyn Platform) -> Result<Walked<'a>, Error> {
        loop {
            let step = self.processor.run(P::platform(platform))?;
            if P::DECRYPTS
                && matches!(self.section, Section::PayloadFetch | Section::Install)
                && let Step::Copy { component, source } = step
            {
                if P::is_foreign(&self.processor.state, component) {
                    continue;
                }
                match P::copy(&mut self.processor, component, source) {
                    Ok(Some(decryption)) => self.decryption = decryption,
                    Ok(None) => break,
                    Err(error) => return Err(self.processor.abort(error)),
                }
                continue;
            }
            let next = match (self.section, step) {
                (Section::PayloadFetch | Section::Install, Step::Fetch(fetch)) => {
                    if P::is_foreign(&self.processor.state, fetch.component) {
                        continue;
                    }
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
                (Section::Validate, Step::Done) if self.processor.contents_matched() => {
                    if P::target(self.goal) == Target::Firmware {
                        Section::Invoke
                    } else if self.holds_table()
                        && self.manifest.has_section(Section::Invoke) == self.manifest.installs_both()
                    {
                        return Ok(Walked::Complete);
                    } else {
                        break;
                    }
                }
                (Section::Invoke, Step::Invoke { component })
                    if self.processor.holds_image(component)
                        && (!P::DECRYPTS || self.is_application(component)) =>
                {
                    return Ok(Walked::Complete);
                }
                _ => break,
            };
            self.section = next;
            self.processor.restart(self.manifest, next);
        }
        let refused = Error::new(ErrorKind::ImageReference, self.manifest.sequence_number_position());
        Err(self.processor.abort(refused))
    }

    /// Whether the table is where it is installed, and not where it came: it is the first component, but for a manifest that
    /// installs both.
    fn holds_table(&self) -> bool {
        let Contents::Image { component, .. } = self.processor.contents() else { return false };
        let has_place = component == 0 || self.manifest.installs_both();
        has_place && self.manifest.components().at(component) == Some(Target::Table.component())
    }

    /// Whether this component is what runs. A loader has one component; where it has two, it is the first one, which is the
    /// one that a boot goes by.
    fn is_application(&self, component: u32) -> bool {
        component == 0 && self.manifest.components().at(0) == Some(Target::Firmware.component())
    }
}

fn image_of<'a>(fetch: &Fetch<'a>) -> Option<Image<'a>> {
    let size = fetch.image_size.filter(|&size| size > 0)?;
    Some(Image { component: fetch.component, uri: fetch.uri, digest: fetch.digest?, size })
}
