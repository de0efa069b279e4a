//! How a profile extends decoder and processor. [`Loader`] extends nothing: it has what stands here.

use core::fmt::Debug;

use trust::cbor::Span;

use super::{Loader, Profile};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::Section;
use crate::parameter::{Parameter, ParametersOf};
use crate::processor::{Platform, ProcessorOf, Step};
use crate::source::Source;
use crate::structure::SequenceCheck;
use crate::vocabulary::ParameterKey;

/// A command that is about to run for a component.
#[derive(Clone, Copy, Debug)]
pub struct Issued {
    pub(crate) code: i32,
    pub(crate) component: u32,
    pub(crate) position: u32,
    /// The reporting policy; 0 of a command that has none.
    pub(crate) policy: u8,
    pub(crate) soft_failure: bool,
    pub(crate) strict_order: bool,
    /// The sequence may set the component index anywhere (section 6.7).
    pub(crate) may_select: bool,
    /// The component index is `true`: it runs for each component.
    pub(crate) is_every: bool,
}

/// The components that were written, and read, since the order is free (section 6.7), as bits.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct FreeOrder {
    written: u8,
    read: u8,
}

impl FreeOrder {
    /// Takes note of a command that writes a component, from `from` where another one is read. False: what is written is
    /// read as well, in a sequence whose order is free.
    pub(super) fn takes(&mut self, issued: &Issued, from: Option<u32>) -> bool {
        if issued.strict_order {
            *self = Self::default();
            return true;
        }
        self.written |= mask(issued.component);
        self.read |= from.map_or(0, mask);
        self.written & self.read == 0
    }
}

/// The bit of a component.
pub(super) fn mask(component: u32) -> u8 {
    1u8.checked_shl(component).unwrap_or(0)
}

/// What a profile adds. What stands here is what [`Loader`] has: nothing.
pub trait Extension: Copy + Debug + PartialEq + Eq + Default + 'static {
    /// Members of an envelope beyond those of [`Loader`].
    type Members<'a>: Clone + Debug + Default;
    /// Elements of a manifest beyond those of [`Loader`].
    type Elements<'a>: Clone + Debug + Default;
    /// Parameters of a component beyond those of [`Loader`].
    type Parameters<'a>: Copy + Debug + Default;
    /// What the processor remembers beyond [`Loader`]'s.
    type State: Clone + Debug + Default;
    /// Who answers the questions of the processor.
    type Platform<'p>: Platform + ?Sized;

    /// Takes a member of the envelope; false leaves it unsupported.
    fn member<'a>(_members: &mut Self::Members<'a>, _key: i32, _source: &mut Source<'a>) -> bool {
        false
    }

    /// Takes a member with a text key, whose key is next; false leaves it unsupported.
    fn integrated<'a>(_members: &mut Self::Members<'a>, _source: &mut Source<'a>) -> bool {
        false
    }

    /// Takes an element of the manifest; false leaves it unsupported.
    fn element<'a>(
        _elements: &mut Self::Elements<'a>,
        _members: &Self::Members<'a>,
        _key: i32,
        _source: &mut Source<'a>,
    ) -> bool {
        false
    }

    /// Takes an element of suit-common; false leaves it unsupported.
    fn common<'a>(_elements: &mut Self::Elements<'a>, _key: i32, _source: &mut Source<'a>) -> bool {
        false
    }

    /// A member of the envelope for which the manifest has no digest: where it lies.
    fn stray(_elements: &Self::Elements<'_>, _members: &Self::Members<'_>) -> Option<u32> {
        None
    }

    /// The commands of a section beyond those of [`Loader`].
    ///
    /// # Errors
    /// [`ErrorKind::MemberSevered`]
    fn section<'a>(_elements: &Self::Elements<'a>, _section: Section) -> Result<Option<Span<'a>>, Error> {
        Ok(None)
    }

    /// Whether the manifest has this section, severed or not.
    fn has_section(_elements: &Self::Elements<'_>, _section: Section) -> bool {
        false
    }

    /// Checks the form of the argument of a command beyond those of [`Loader`].
    fn check_argument(_check: &SequenceCheck<'_, Self>, _code: i32, source: &mut Source<'_>)
    where
        Self: Profile,
    {
        // It aborts when it is reached (section 6.4); until then only its shape counts.
        source.skip();
    }

    /// Reads a parameter that [`Loader`] does not offer.
    fn parameter<'a>(
        _parameters: &mut ParametersOf<'a, Self>,
        key: i32,
        source: &mut Source<'a>,
    ) -> Parameter<'a>
    where
        Self: Profile,
    {
        source.skip();
        match key {
            ParameterKey::ENCRYPTION_INFO => Parameter::EncryptionInfo,
            _ => Parameter::Unsupported,
        }
    }

    /// Whether the image-digest ahead is of an algorithm that [`Loader`] does not offer.
    fn is_other_digest(_source: &Source<'_>) -> bool {
        false
    }

    /// A parameter was set in the form of [`Loader`]: another form of it counts no more.
    fn replaced(_more: &mut Self::Parameters<'_>, _key: i32) {}

    /// Runs a command beyond those of [`Loader`], which the profile offers.
    fn run<'a>(
        processor: &mut ProcessorOf<'a, Self>,
        issued: Issued,
        _source: &mut Source<'a>,
        _platform: &mut Self::Platform<'_>,
    ) -> Option<Option<Step<'a>>>
    where
        Self: Profile,
    {
        processor.refuse(ErrorKind::CommandUnknown, issued.position)?;
        None
    }

    /// Whether a condition of [`Loader`] holds where its parameter has a form that [`Loader`] does not offer; `None`
    /// where it has not.
    fn other_condition(
        _processor: &mut ProcessorOf<'_, Self>,
        _issued: Issued,
        _platform: &mut Self::Platform<'_>,
    ) -> Option<Option<bool>>
    where
        Self: Profile,
    {
        Some(None)
    }

    /// A condition has been answered.
    fn ended(_: &mut ProcessorOf<'_, Self>, _: Issued, _held: bool, _: &mut Self::Platform<'_>)
    where
        Self: Profile,
    {
    }

    /// The processor begins with a section of a manifest.
    fn begins(_state: &mut Self::State, _elements: &Self::Elements<'_>, _section: Section) {}

    /// Whether this component is what another walk goes for: here all of it is passed over.
    fn is_foreign(_state: &Self::State, _component: u32) -> bool {
        false
    }

    /// Whether an image-match holds without a look: that of a component that is foreign, or of one in which nothing is left of
    /// what was fetched into it, and that had its digest when the last byte had come.
    fn is_elsewhere(_: &ProcessorOf<'_, Self>, _component: u32, _: &Digest<'_>, _size: u64) -> bool
    where
        Self: Profile,
    {
        false
    }

    /// A step is handed out that writes the component, from `from` where another one is read.
    fn writes(_: &mut ProcessorOf<'_, Self>, _: Issued, _from: Option<u32>) -> Option<()>
    where
        Self: Profile,
    {
        Some(())
    }

    /// A step is handed out that writes nothing.
    fn hands_out(_: &mut ProcessorOf<'_, Self>, _: Issued)
    where
        Self: Profile,
    {
    }

    /// The step that was handed out last has been served.
    fn resumes(_: &mut ProcessorOf<'_, Self>, _: &mut Self::Platform<'_>)
    where
        Self: Profile,
    {
    }
}

impl Extension for Loader {
    type Members<'a> = ();
    type Elements<'a> = ();
    type Parameters<'a> = ();
    type State = ();
    type Platform<'p> = dyn Platform + 'p;
}
