//! Profiles whose manifests install one image: what a [`Walk`](crate::Walk) does beyond the processor.

use core::fmt::Debug;

use trust::cbor::{Span, Uint};
use trust::encryption::EncryptionInfo;

use super::decrypting::Focus;
use super::extension::mask;
use super::{Decrypting, Loader, Profile};
use crate::component::{Components, Target};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::processor::{Contents, Platform, ProcessorOf};

/// What an image is that comes encrypted: the image that is installed, and how to get it out of what is fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decrypted<'a> {
    /// Digest of the image.
    pub digest: Digest<'a>,
    /// Its bytes, above zero.
    pub size: u64,
    /// encryption-info, which reads as [`EncryptionInfo`].
    pub info: Span<'a>,
}

/// A profile whose manifests install one image.
pub trait Installs: Profile {
    /// Whether images may come encrypted.
    const DECRYPTS: bool;
    /// Whether what is installed may be data, which is not invoked: a [table](crate::Target::Table).
    const TAKES_DATA: bool;
    /// What a walk remembers of a copy that decrypts.
    type Decryption<'a>: Copy + Debug + Default;
    /// What a walk goes for: a [`Target`], where there is more than one.
    type Goal: Copy + Debug;

    /// The goal of who wants this.
    fn goal(target: Target) -> Self::Goal;

    /// What is wanted.
    fn target(goal: Self::Goal) -> Target;

    /// A walk for this goal begins: the component that it installs. `None`: the manifest does not install that.
    fn aim(state: &mut Self::State, components: &Components<'_>, goal: Self::Goal) -> Option<u32>;

    /// The platform, as the profile asks it.
    fn platform<'r, 'p>(platform: &'r mut (dyn Platform + 'p)) -> &'r mut Self::Platform<'p>;

    /// A copy is to be served: what it does to the image that was fetched. `None`: it is not one that decrypts it.
    ///
    /// # Errors
    /// [`ErrorKind::EncryptionUnsupported`] and [`ErrorKind::Malformed`] for an encryption-info that cannot be used
    fn copy<'a>(
        processor: &mut ProcessorOf<'a, Self>,
        component: u32,
        source: u32,
    ) -> Result<Option<Self::Decryption<'a>>, Error>;

    /// The image that is installed, where another one is fetched.
    fn decrypted<'a>(decryption: &Self::Decryption<'a>) -> Option<Decrypted<'a>>;
}

impl Installs for Loader {
    const DECRYPTS: bool = false;
    const TAKES_DATA: bool = false;
    type Decryption<'a> = ();
    type Goal = ();

    fn goal(_target: Target) {}

    fn target((): ()) -> Target {
        Target::Firmware
    }

    fn aim((): &mut (), _components: &Components<'_>, (): ()) -> Option<u32> {
        Some(0)
    }

    fn platform<'r, 'p>(platform: &'r mut (dyn Platform + 'p)) -> &'r mut Self::Platform<'p> {
        platform
    }

    fn copy<'a>(
        _processor: &mut ProcessorOf<'a, Self>,
        _component: u32,
        _source: u32,
    ) -> Result<Option<()>, Error> {
        Ok(None)
    }

    fn decrypted<'a>((): &()) -> Option<Decrypted<'a>> {
        None
    }
}

impl Installs for Decrypting {
    const DECRYPTS: bool = true;
    const TAKES_DATA: bool = cfg!(any(test, feature = "table"));
    type Decryption<'a> = Option<Decrypted<'a>>;
    type Goal = Target;

    fn goal(target: Target) -> Target {
        target
    }

    fn target(goal: Target) -> Target {
        goal
    }

    #[inline(never)]
    fn aim(state: &mut Focus, components: &Components<'_>, goal: Target) -> Option<u32> {
        (state.own, state.foreign) = (Some(0), 0);
        for (index, id) in (0..).zip(components.iter()) {
            if !goal.has(&id, true) {
                state.foreign |= mask(index);
            } else if id == goal.component() && components.are_both() {
                state.own = Some(index);
            }
        }
        state.own.filter(|_| state.foreign == 0 || components.are_both())
    }

    fn platform<'r, 'p>(platform: &'r mut (dyn Platform + 'p)) -> &'r mut Self::Platform<'p> {
        platform
    }

    fn copy<'a>(
        processor: &mut ProcessorOf<'a, Self>,
        component: u32,
        source: u32,
    ) -> Result<Option<Self::Decryption<'a>>, Error> {
        let Some(parameters) = processor.parameters_at(component) else { return Ok(None) };
        let size = parameters.image_size.map(Uint::get).filter(|&size| size > 0);
        let (Some(digest), Some(size)) = (parameters.image_digest, size) else { return Ok(None) };
        let Some(info) = parameters.more.encryption_info else { return Ok(None) };
        let Contents::Image { component: held, size: fetched, .. } = processor.contents() else {
            return Ok(None);
        };
        let read = EncryptionInfo::read(info).map_err(refused)?;
        let behind = fetched.checked_sub(size);
        // What was fetched is decrypted once, into another component, and is as long as the image and its tag.
        if held != source || component == source || behind != Some(read.algorithm().tag_len() as u64) {
            return Ok(None);
        }
        processor.set_contents(Contents::Image { component, size, digest: Some(digest) });
        Ok(Some(Some(Decrypted { digest, size, info })))
    }

    fn decrypted<'a>(decryption: &Self::Decryption<'a>) -> Option<Decrypted<'a>> {
        *decryption
    }
}

/// An encryption-info that is legal and that nobody here can use is unsupported; any other is malformed.
#[inline(never)]
fn refused(error: trust::Error) -> Error {
    use trust::ErrorKind as Kind;
    let kind = match error.kind {
        Kind::CoseUnsupported
        | Kind::AlgorithmUnsupported
        | Kind::CriticalHeader
        | Kind::HeaderUnknown
        | Kind::HeaderMissing => ErrorKind::EncryptionUnsupported,
        kind => ErrorKind::Malformed(kind),
    };
    Error::new(kind, error.position)
}
