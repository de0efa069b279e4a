//! How a profile extends decoder and processor. [`Loader`] extends nothing: every function here is never called for it,
//! or does nothing.

use core::fmt::Debug;

use trust::cbor::Span;

use super::{Loader, Profile};
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
}

/// What a profile adds.
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
    fn member<'a>(members: &mut Self::Members<'a>, key: i32, source: &mut Source<'a>) -> bool;
    /// Takes a member with a text key, whose key is next; false leaves it unsupported.
    fn integrated<'a>(members: &mut Self::Members<'a>, source: &mut Source<'a>) -> bool;
    /// Takes an element of the manifest; false leaves it unsupported.
    fn element<'a>(
        elements: &mut Self::Elements<'a>,
        members: &Self::Members<'a>,
        key: i32,
        source: &mut Source<'a>,
    ) -> bool;
    /// Takes an element of suit-common; false leaves it unsupported.
    fn common<'a>(elements: &mut Self::Elements<'a>, key: i32, source: &mut Source<'a>) -> bool;
    /// A member of the envelope for which the manifest has no digest: where it lies.
    fn stray(elements: &Self::Elements<'_>, members: &Self::Members<'_>) -> Option<u32>;
    /// The commands of a section beyond those of [`Loader`].
    ///
    /// # Errors
    /// [`ErrorKind::MemberSevered`]
    fn section<'a>(elements: &Self::Elements<'a>, section: Section) -> Result<Option<Span<'a>>, Error>;
    /// Whether the manifest has this section, severed or not.
    fn has_section(elements: &Self::Elements<'_>, section: Section) -> bool;
    /// Checks the form of the argument of a command beyond those of [`Loader`].
    fn check_argument(check: &SequenceCheck<'_, Self>, code: i32, source: &mut Source<'_>)
    where
        Self: Profile;
    /// Reads a parameter that [`Loader`] does not offer.
    fn parameter<'a>(
        parameters: &mut ParametersOf<'a, Self>,
        key: i32,
        source: &mut Source<'a>,
    ) -> Parameter<'a>
    where
        Self: Profile;
    /// Whether the image-digest ahead is of an algorithm that [`Loader`] does not offer.
    fn is_other_digest(source: &Source<'_>) -> bool;
    /// A parameter was set in the form of [`Loader`]: another form of it counts no more.
    fn replaced(more: &mut Self::Parameters<'_>, key: i32);
    /// Runs a command beyond those of [`Loader`].
    fn run<'a>(
        processor: &mut ProcessorOf<'a, Self>,
        issued: Issued,
        source: &mut Source<'a>,
        platform: &mut Self::Platform<'_>,
    ) -> Option<Option<Step<'a>>>
    where
        Self: Profile;
    /// Whether a condition of [`Loader`] holds where its parameter has a form that [`Loader`] does not offer; `None`
    /// where it has not.
    fn other_condition(
        processor: &mut ProcessorOf<'_, Self>,
        issued: Issued,
        platform: &mut Self::Platform<'_>,
    ) -> Option<Option<bool>>
    where
        Self: Profile;
    /// A condition has been answered.
    fn ended(
        processor: &mut ProcessorOf<'_, Self>,
        issued: Issued,
        held: bool,
        platform: &mut Self::Platform<'_>,
    ) where
        Self: Profile;
    /// The processor begins with a section of a manifest.
    fn begins(state: &mut Self::State, elements: &Self::Elements<'_>, section: Section);
    /// A step is handed out that writes the component, from `from` where another one is read.
    fn writes(processor: &mut ProcessorOf<'_, Self>, issued: Issued, from: Option<u32>) -> Option<()>
    where
        Self: Profile;
    /// A step is handed out that writes nothing.
    fn hands_out(processor: &mut ProcessorOf<'_, Self>, issued: Issued)
    where
        Self: Profile;
    /// The step that was handed out last has been served.
    fn resumes(processor: &mut ProcessorOf<'_, Self>, platform: &mut Self::Platform<'_>)
    where
        Self: Profile;
}

impl Extension for Loader {
    type Members<'a> = ();
    type Elements<'a> = ();
    type Parameters<'a> = ();
    type State = ();
    type Platform<'p> = dyn Platform + 'p;

    fn member<'a>((): &mut (), _key: i32, _source: &mut Source<'a>) -> bool {
        false
    }

    fn integrated<'a>((): &mut (), _source: &mut Source<'a>) -> bool {
        false
    }

    fn element<'a>((): &mut (), (): &(), _key: i32, _source: &mut Source<'a>) -> bool {
        false
    }

    fn common<'a>((): &mut (), _key: i32, _source: &mut Source<'a>) -> bool {
        false
    }

    fn stray((): &(), (): &()) -> Option<u32> {
        None
    }

    fn section<'a>((): &(), _section: Section) -> Result<Option<Span<'a>>, Error> {
        Ok(None)
    }

    fn has_section((): &(), _section: Section) -> bool {
        false
    }

    fn check_argument(_check: &SequenceCheck<'_, Self>, _code: i32, source: &mut Source<'_>) {
        // It aborts when it is reached (section 6.4); until then only its shape counts.
        source.skip();
    }

    fn parameter<'a>(
        _parameters: &mut ParametersOf<'a, Self>,
        key: i32,
        source: &mut Source<'a>,
    ) -> Parameter<'a> {
        source.skip();
        match key {
            ParameterKey::ENCRYPTION_INFO => Parameter::EncryptionInfo,
            _ => Parameter::Unsupported,
        }
    }

    fn is_other_digest(_source: &Source<'_>) -> bool {
        false
    }

    fn replaced((): &mut (), _key: i32) {}

    fn run<'a>(
        processor: &mut ProcessorOf<'a, Self>,
        issued: Issued,
        _source: &mut Source<'a>,
        _platform: &mut Self::Platform<'_>,
    ) -> Option<Option<Step<'a>>> {
        processor.refuse(ErrorKind::CommandUnknown, issued.position)?;
        None
    }

    fn other_condition(
        _processor: &mut ProcessorOf<'_, Self>,
        _issued: Issued,
        _platform: &mut Self::Platform<'_>,
    ) -> Option<Option<bool>> {
        Some(None)
    }

    fn ended(_: &mut ProcessorOf<'_, Self>, _: Issued, _: bool, _: &mut Self::Platform<'_>) {}

    fn begins((): &mut (), (): &(), _section: Section) {}

    fn writes(_: &mut ProcessorOf<'_, Self>, _: Issued, _: Option<u32>) -> Option<()> {
        Some(())
    }

    fn hands_out(_: &mut ProcessorOf<'_, Self>, _: Issued) {}

    fn resumes(_: &mut ProcessorOf<'_, Self>, _: &mut Self::Platform<'_>) {}
}
