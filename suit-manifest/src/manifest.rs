//! SUIT_Manifest and SUIT_Common, draft-ietf-suit-manifest-37 sections 8.4, 8.4.5 and 8.4.12.
//!
//! A [`Manifest`] was checked as a whole: every member, every sequence in it and in the envelope, and the digest of
//! every severed member that is present.

use core::marker::PhantomData;

use trust::cbor::{Major, Span, Utf8, bit};

use crate::component::{ComponentId, Components, Target};
use crate::digest::Digest;
use crate::envelope::{EnvelopeOf, Severable};
use crate::error::{Error, ErrorKind};
use crate::profile::{Installs, Loader, Profile};
use crate::source::Source;
use crate::span::{Wrapped, uri};
use crate::structure::{Bounds, SequenceCheck};
use crate::text::Text;
use crate::vocabulary::{CommonElement, ManifestElement};

const VERSION: i32 = ManifestElement::VERSION;
const SEQUENCE_NUMBER: i32 = ManifestElement::SEQUENCE_NUMBER;
const COMMON: i32 = ManifestElement::COMMON;
const REFERENCE_URI: i32 = ManifestElement::REFERENCE_URI;
pub(crate) const VALIDATE: i32 = ManifestElement::VALIDATE;
pub(crate) const INVOKE: i32 = ManifestElement::INVOKE;
pub(crate) const PAYLOAD_FETCH: i32 = ManifestElement::PAYLOAD_FETCH;
pub(crate) const INSTALL: i32 = ManifestElement::INSTALL;
pub(crate) const TEXT: i32 = ManifestElement::TEXT;

const COMMON_COMPONENTS: i32 = CommonElement::COMPONENTS;
const COMMON_SHARED_SEQUENCE: i32 = CommonElement::SHARED_SEQUENCE;

/// The command sequences that can be run. draft-ietf-suit-manifest-37 section 8.4.6.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Section {
    /// suit-payload-fetch (16): obtains a payload ahead of its installation.
    PayloadFetch,
    /// suit-install (20): installs, here by streaming.
    Install,
    /// suit-validate (7): is what was installed right?
    Validate,
    /// suit-invoke (9): starts it.
    Invoke,
    /// suit-load (8): prepares what is invoked.
    Load,
    /// suit-dependency-resolution (15): obtains the manifests that this one depends on.
    DependencyResolution,
    /// suit-candidate-verification (18): is everything there and right, before it is installed?
    CandidateVerification,
    /// suit-uninstall (24): removes what was installed.
    Uninstall,
}

impl Section {
    /// Those that a loader does not offer.
    pub(crate) const MORE: [Self; 4] =
        [Self::Load, Self::DependencyResolution, Self::CandidateVerification, Self::Uninstall];

    /// Its element of the manifest.
    #[must_use]
    pub const fn element(self) -> ManifestElement {
        match self {
            Self::PayloadFetch => ManifestElement::PayloadFetch,
            Self::Install => ManifestElement::Install,
            Self::Validate => ManifestElement::Validate,
            Self::Invoke => ManifestElement::Invoke,
            Self::Load => ManifestElement::Load,
            Self::DependencyResolution => ManifestElement::DependencyResolution,
            Self::CandidateVerification => ManifestElement::CandidateVerification,
            Self::Uninstall => ManifestElement::Uninstall,
        }
    }
}

/// A member that may have been severed (section 8.6).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Member<'a> {
    /// The manifest does not have it.
    #[default]
    Absent,
    /// It is there.
    Here(Span<'a>),
    /// It has been severed away.
    Severed,
}

impl<'a> Member<'a> {
    pub(crate) fn here(self) -> Option<Span<'a>> {
        match self {
            Self::Here(content) => Some(content),
            Self::Absent | Self::Severed => None,
        }
    }
}

/// The manifest of an authenticated envelope, as a loader reads it.
pub type Manifest<'a> = ManifestOf<'a, Loader>;

/// The manifest of an authenticated envelope.
#[derive(Clone, Debug)]
pub struct ManifestOf<'a, P: Profile> {
    sequence_number: u64,
    sequence_number_position: u32,
    reference_uri: Option<Utf8<'a>>,
    components: Components<'a>,
    shared: Span<'a>,
    validate: Option<Span<'a>>,
    invoke: Option<Span<'a>>,
    severable: Severable<Member<'a>>,
    more: P::Elements<'a>,
}

impl<P: Installs> ManifestOf<'_, P> {
    /// What it installs, or would: by its first component. One that [installs both](Self::installs_both) has the firmware
    /// there.
    #[must_use]
    pub fn target(&self) -> Target {
        match self.components.at(0) {
            Some(ComponentId::TABLE) if P::TAKES_DATA => Target::Table,
            _ => Target::Firmware,
        }
    }

    /// Whether it installs firmware and a table.
    #[must_use]
    pub fn installs_both(&self) -> bool {
        P::TAKES_DATA && self.components.are_both()
    }
}

impl<'a, P: Profile> ManifestOf<'a, P> {
    /// Monotonic counter against rollback.
    #[must_use]
    pub fn sequence_number(&self) -> u64 {
        self.sequence_number
    }

    /// Section 6.1: refuses a sequence number below `floor`; an equal one is allowed.
    ///
    /// # Errors
    /// [`ErrorKind::SequenceRollback`], at the sequence number.
    pub fn check_sequence(&self, floor: u64) -> Result<(), Error> {
        let is_below = self.sequence_number < floor;
        #[cfg(feature = "fault-injection")]
        let is_below = is_below && !crate::fault::skips_sequence();
        if is_below {
            return Err(Error::new(ErrorKind::SequenceRollback, self.sequence_number_position));
        }
        Ok(())
    }

    pub(crate) fn sequence_number_position(&self) -> u32 {
        self.sequence_number_position
    }

    /// Address of the full envelope, with the members that were severed from this one.
    #[must_use]
    pub fn reference_uri(&self) -> Option<&'a str> {
        self.reference_uri.map(Utf8::as_str)
    }

    /// The components in the order of their indices; at least one.
    #[must_use]
    pub fn components(&self) -> &Components<'a> {
        &self.components
    }

    /// True when the manifest has this section, severed or not.
    #[must_use]
    pub fn has_section(&self, section: Section) -> bool {
        match section {
            Section::PayloadFetch => !matches!(self.severable.payload_fetch, Member::Absent),
            Section::Install => !matches!(self.severable.install, Member::Absent),
            Section::Validate => self.validate.is_some(),
            Section::Invoke => self.invoke.is_some(),
            more => P::has_section(&self.more, more),
        }
    }

    /// The command sequence that holds this byte of the envelope, by its number in a record of a [report](crate::report), and
    /// which byte of it that is.
    #[must_use]
    pub fn place_of(&self, position: u32) -> Option<(i32, u32)> {
        let Severable { payload_fetch, install, .. } = self.severable;
        let sequences = [
            (crate::report::SHARED_SECTION, Some(self.shared)),
            (VALIDATE, self.validate),
            (INVOKE, self.invoke),
            (PAYLOAD_FETCH, payload_fetch.here()),
            (INSTALL, install.here()),
        ];
        sequences.into_iter().find_map(|(number, sequence)| {
            let Span { bytes, base } = sequence?;
            let offset = position.checked_sub(base)?;
            usize::try_from(offset).is_ok_and(|at| at < bytes.len()).then_some((number, offset))
        })
    }

    /// The text, or `None` when there is none or it has been severed away.
    ///
    /// # Errors
    /// [`ErrorKind::TextMalformed`]; [`ErrorKind::Malformed`] with `TooLong`, `TooMany` or `TooDeep` when the
    /// text exceeds a limit.
    pub fn text(&self) -> Result<Option<Text<'a>>, Error> {
        match self.severable.text {
            Member::Here(text) => Text::read(text, &self.components).map(Some),
            Member::Absent | Member::Severed => Ok(None),
        }
    }

    /// Version of component 0 in the text, in the first language that has it.
    #[must_use]
    pub fn version_text(&self) -> Option<&'a str> {
        self.text().ok().flatten()?.component_text(0, crate::text::ComponentText::ComponentVersion)
    }

    /// What a loader does not offer.
    #[must_use]
    pub fn more(&self) -> &P::Elements<'a> {
        &self.more
    }

    pub(crate) fn shared(&self) -> Span<'a> {
        self.shared
    }

    /// The commands of a section; `None` when the manifest does not have it.
    pub(crate) fn section(&self, section: Section) -> Result<Option<Span<'a>>, Error> {
        let member = match section {
            Section::PayloadFetch => self.severable.payload_fetch,
            Section::Install => self.severable.install,
            Section::Validate => return Ok(self.validate),
            Section::Invoke => return Ok(self.invoke),
            more => return P::section(&self.more, more),
        };
        match member {
            Member::Absent => Ok(None),
            Member::Here(sequence) => Ok(Some(sequence)),
            Member::Severed => Err(Error::new(ErrorKind::MemberSevered, self.shared.base)),
        }
    }

    /// The manifest of an envelope whose signature holds, or that is being written, or passed on; checked as a whole.
    #[cfg(any(test, feature = "author"))]
    pub(crate) fn read(envelope: &EnvelopeOf<'a, P>, bounds: Option<Bounds<'_>>) -> Result<Self, Error> {
        let mut manifest = Self::vacant();
        manifest.read_checked(envelope, bounds)?;
        Ok(manifest)
    }

    /// Of no envelope.
    #[inline(never)]
    pub(crate) fn vacant() -> Self {
        Self {
            sequence_number: 0,
            sequence_number_position: 0,
            reference_uri: None,
            components: Components::NONE,
            shared: Span::EMPTY,
            validate: None,
            invoke: None,
            severable: Severable {
                payload_fetch: Member::Absent,
                install: Member::Absent,
                text: Member::Absent,
            },
            more: P::Elements::default(),
        }
    }

    /// Reads and checks into a vacant one, which counts only if there is no error. In place: it is large.
    pub(crate) fn read_checked(
        &mut self,
        envelope: &EnvelopeOf<'a, P>,
        bounds: Option<Bounds<'_>>,
    ) -> Result<(), Error> {
        self.read_members(envelope)?;
        self.check(bounds)
    }

    #[inline(never)]
    fn check(&self, bounds: Option<Bounds<'_>>) -> Result<(), Error> {
        // Section 6.1 bounds a sequence number from below only; a number that nothing exceeds ends a class of
        // devices.
        if bounds.is_some_and(|bounds| self.sequence_number > bounds.credential.sequence_ceiling()) {
            return Err(Error::new(ErrorKind::SequenceAboveCeiling, self.sequence_number_position));
        }
        let rules = SequenceCheck::<P> {
            profile: PhantomData,
            several_components: self.components.len() > 1,
            sequence_number: self.sequence_number,
            bounds,
        };
        rules.section(Some(self.shared), true)?;
        let Severable { payload_fetch, install, .. } = self.severable;
        for section in [self.validate, self.invoke, payload_fetch.here(), install.here()] {
            rules.section(section, false)?;
        }
        if P::EXTENDS {
            for section in Section::MORE {
                rules.section(P::section(&self.more, section).ok().flatten(), false)?;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn read_members(&mut self, envelope: &EnvelopeOf<'a, P>) -> Result<(), Error> {
        let severed = envelope.severed();
        let source = &mut Source::of(envelope.manifest().content);
        let mut seen = 0;
        let mut entries = source.map();
        loop {
            let key_position = source.position();
            let Some(key) = entries.next_label(source) else { break };
            seen |= bit(key);
            let position = source.position();
            match key {
                // Section 6.1: an unsupported encoding version fails. It is the first key in canonical order.
                VERSION => {
                    if source.uint() != 1 {
                        source.refuse_as(ErrorKind::ManifestVersion, position);
                    }
                }
                SEQUENCE_NUMBER => {
                    self.sequence_number = source.uint();
                    self.sequence_number_position = position;
                }
                COMMON => source.embedded(|source| self.read_common(source)),
                REFERENCE_URI => {
                    self.reference_uri = Some(uri(source, ErrorKind::ManifestElementUnsupported));
                }
                VALIDATE => self.validate = Some(source.span()),
                INVOKE => self.invoke = Some(source.span()),
                key => match (self.severable.member(key), severed.at(key)) {
                    (Some(member), Some(severed)) => *member = read_member(source, severed.as_ref()),
                    _ if P::element(&mut self.more, envelope.more(), key, source) => {}
                    _ => source.refuse_as(ErrorKind::ManifestElementUnsupported, key_position),
                },
            }
        }
        source.expect_end();
        // T1: a severed member is only as good as the digest that the manifest has for it.
        for key in [PAYLOAD_FETCH, INSTALL, TEXT] {
            if let Some(Some(severed)) = severed.at(key)
                && seen & bit(key) == 0
            {
                source.refuse_as(ErrorKind::EnvelopeMemberUnauthenticated, severed.item.base);
            }
        }
        if let Some(stray) = P::stray(&self.more, envelope.more()) {
            source.refuse_as(ErrorKind::EnvelopeMemberUnauthenticated, stray);
        }
        if seen & REQUIRED != REQUIRED {
            let end = source.position();
            source.refuse(trust::ErrorKind::MissingKey, end);
        }
        source.check()
    }

    /// suit-common. Both members are optional in the CDDL, and needed here.
    fn read_common(&mut self, source: &mut Source<'a>) {
        let start = source.position();
        let mut seen = 0;
        let mut entries = source.map();
        loop {
            let position = source.position();
            let Some(key) = entries.next_label(source) else { break };
            seen |= bit(key);
            match key {
                COMMON_COMPONENTS => self.components.read(source),
                COMMON_SHARED_SEQUENCE => self.shared = source.span(),
                _ if P::common(&mut self.more, key, source) => {}
                _ => source.refuse_as(ErrorKind::ManifestElementUnsupported, position),
            }
        }
        if seen & bit(COMMON_COMPONENTS) == 0 {
            source.refuse_as(ErrorKind::ComponentCount, start);
        }
        if seen & bit(COMMON_SHARED_SEQUENCE) == 0 {
            source.refuse_as(ErrorKind::IdentityUnchecked, start);
        }
    }
}

/// The members that every manifest has.
const REQUIRED: u32 = bit(VERSION) | bit(SEQUENCE_NUMBER) | bit(COMMON);

/// Reads a severable member: a bstr, or the digest of what stands in the envelope (section 8.4.12).
#[inline(never)]
pub(crate) fn read_member<'a>(source: &mut Source<'a>, severed: Option<&Wrapped<'a>>) -> Member<'a> {
    if source.peek() != Major::Array {
        // No digest in the manifest covers the envelope's copy.
        let here = source.span();
        if let Some(severed) = severed {
            source.refuse_as(ErrorKind::EnvelopeMemberUnauthenticated, severed.item.base);
        }
        return Member::Here(here);
    }
    let digest = Digest::read(source);
    let Some(severed) = severed else { return Member::Severed };
    // T3. The digest is over the whole bstr, its head included.
    if trust::sha256(severed.item.bytes) != *digest.sha256() {
        source.refuse_as(ErrorKind::MemberDigestMismatch, severed.item.base);
    }
    Member::Here(severed.content)
}
