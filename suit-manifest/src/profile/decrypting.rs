//! What [`Decrypting`] adds to a loader: copy with encryption-info, out of a component that was fetched
//! (draft-ietf-suit-firmware-encryption section 4.2).

use trust::cbor::{Span, Uint};

use super::extension::mask;
use super::{Decrypting, Extension, FreeOrder, Installs as _, Issued};
use crate::command::read_reporting_policy;
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::manifest::Section;
use crate::parameter::{Parameter, ParametersOf};
use crate::processor::{Platform, ProcessorOf, Step};
use crate::source::Source;
use crate::structure::SequenceCheck;
use crate::vocabulary::{CommandCode, ParameterKey};

/// Parameters of a component.
#[derive(Clone, Copy, Default, Debug)]
pub struct Parameters<'a> {
    /// encryption-info, a tagged COSE_Encrypt.
    pub(super) encryption_info: Option<Span<'a>>,
    source_component: Option<Uint>,
}

/// What a walk goes for, and what a free order has.
#[derive(Clone, Copy, Default, Debug)]
pub struct Focus {
    order: FreeOrder,
    /// The components of what another walk goes for, as bits.
    pub(super) foreign: u8,
    /// The component that is installed; `None`: no walk runs the processor.
    pub(super) own: Option<u32>,
}

impl Extension for Decrypting {
    type Members<'a> = ();
    type Elements<'a> = ();
    type Parameters<'a> = Parameters<'a>;
    type State = Focus;
    type Platform<'p> = dyn Platform + 'p;

    fn check_argument(_check: &SequenceCheck<'_, Self>, code: i32, source: &mut Source<'_>) {
        match code {
            CommandCode::COPY => drop(read_reporting_policy(source)),
            _ => source.skip(),
        }
    }

    fn parameter<'a>(
        parameters: &mut ParametersOf<'a, Self>,
        key: i32,
        source: &mut Source<'a>,
    ) -> Parameter<'a> {
        match key {
            ParameterKey::ENCRYPTION_INFO => parameters.more.encryption_info = Some(source.span()),
            ParameterKey::SOURCE_COMPONENT => {
                parameters.more.source_component = Some(Uint::of(source.uint()));
            }
            _ => {
                source.skip();
                return Parameter::Unsupported;
            }
        }
        Parameter::Other
    }

    /// copy is all that it offers beyond a loader.
    fn run<'a>(
        processor: &mut ProcessorOf<'a, Self>,
        issued: Issued,
        source: &mut Source<'a>,
        _platform: &mut Self::Platform<'_>,
    ) -> Option<Option<Step<'a>>> {
        read_reporting_policy(source);
        processor.check(source)?;
        let component = issued.component;
        let named = processor.parameters(component)?.more.source_component;
        let from = processor.source_of(named.map(Uint::get), issued.position)?;
        Self::writes(processor, issued, Some(from))?;
        processor.set_image_held(component, false);
        processor.complete()?;
        Some(Some(Step::Copy { component, source: from }))
    }

    fn begins(state: &mut Focus, (): &(), _section: Section) {
        state.order = FreeOrder::default();
    }

    fn is_foreign(state: &Focus, component: u32) -> bool {
        Self::TAKES_DATA && state.foreign & mask(component) != 0
    }

    fn is_elsewhere(
        processor: &ProcessorOf<'_, Self>,
        component: u32,
        digest: &Digest<'_>,
        size: u64,
    ) -> bool {
        let is_gone = if Self::TAKES_DATA {
            processor.state.own.is_some_and(|own| own != component)
        } else {
            // There is the application, and a loader runs no processor but in a walk.
            component != 0
        };
        Self::is_foreign(&processor.state, component)
            || is_gone && processor.contents().may_match(component, digest, size)
    }

    fn writes(processor: &mut ProcessorOf<'_, Self>, issued: Issued, from: Option<u32>) -> Option<()> {
        if processor.state.order.takes(&issued, from) {
            return Some(());
        }
        processor.refuse(ErrorKind::StrictOrder, issued.position)
    }
}
