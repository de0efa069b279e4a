//! Members of envelopes and elements of manifests that a loader does not offer.

use trust::cbor::Span;

use crate::component::ComponentId;
use crate::manifest::Member;
use crate::profile::extension::mask;
use crate::source::Source;
use crate::span::Wrapped;
use crate::vocabulary::EnvelopeElement;

/// Members of an envelope.
#[derive(Clone, Debug, Default)]
pub struct Members<'a> {
    pub(super) coswid: Option<Wrapped<'a>>,
    pub(super) dependency_resolution: Option<Wrapped<'a>>,
    pub(super) candidate_verification: Option<Wrapped<'a>>,
    /// From the first member with a text key on, and how many there are.
    pub(super) integrated: Option<Span<'a>>,
    pub(super) integrated_count: usize,
}

impl<'a> Members<'a> {
    pub(super) fn at(&self, key: i32) -> Option<&Wrapped<'a>> {
        match key {
            EnvelopeElement::COSWID => self.coswid.as_ref(),
            EnvelopeElement::DEPENDENCY_RESOLUTION => self.dependency_resolution.as_ref(),
            EnvelopeElement::CANDIDATE_VERIFICATION => self.candidate_verification.as_ref(),
            _ => None,
        }
    }

    /// The integrated payloads and dependencies: the URI of each, and its bytes (section 7.5). Nothing authenticates
    /// them: a fetch compares them with the digest that the manifest has for the component.
    pub fn integrated(&self) -> impl Iterator<Item = (&'a str, Span<'a>)> + use<'a> {
        // Text keys sort behind all numbers, so that they stand together, and were read once.
        let mut source = Source::of(self.integrated.unwrap_or(Span::EMPTY));
        let mut left = self.integrated_count;
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            Some((source.text().as_str(), source.span()))
        })
    }

    /// The integrated member that a URI names.
    #[must_use]
    pub fn at_uri(&self, uri: &str) -> Option<Span<'a>> {
        self.integrated().find(|(key, _)| *key == uri).map(|(_, content)| content)
    }
}

/// Elements of a manifest.
#[derive(Clone, Debug, Default)]
pub struct Elements<'a> {
    pub(super) seen: u32,
    pub(super) component_id: Option<ComponentId<'a>>,
    pub(super) load: Option<Span<'a>>,
    pub(super) uninstall: Option<Span<'a>>,
    pub(super) coswid: Member<'a>,
    pub(super) dependency_resolution: Member<'a>,
    pub(super) candidate_verification: Member<'a>,
    pub(super) dependencies: u8,
}

impl<'a> Elements<'a> {
    /// suit-manifest-component-id: where a root manifest is stored.
    #[must_use]
    pub fn component_id(&self) -> Option<ComponentId<'a>> {
        self.component_id
    }

    /// Whether the component is a dependency.
    #[must_use]
    pub fn is_dependency(&self, component: u32) -> bool {
        self.dependencies & mask(component) != 0
    }

    /// suit-coswid, a concise-swid-tag (RFC 9393), if it is there.
    #[must_use]
    pub fn coswid(&self) -> Option<&'a [u8]> {
        self.coswid.here().map(|span| span.bytes)
    }
}
