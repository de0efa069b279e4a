//! SUIT_Manifest and SUIT_Common, draft-ietf-suit-manifest-37 sections 8.4, 8.4.5 and 8.4.12.
//!
//! A [`Manifest`] was checked as a whole: every member, every sequence in it and in the envelope, and the digest of
//! every severed member that is present.

use trust::cbor::{Major, Reader, Utf8};
use trust::{CredentialClaims, RevocationList};

use crate::digest::Digest;
use crate::envelope::{Envelope, Severed};
use crate::error::{Error, ErrorKind};
use crate::limits::{MAX_COMPONENT_SEGMENT_LEN, MAX_COMPONENT_SEGMENTS, MAX_COMPONENTS};
use crate::span::{Span, Wrapped, array_up_to, embedded, uri};
use crate::structure::{Bounds, SequenceCheck};
use crate::text::Text;

const VERSION: i32 = 1;
const SEQUENCE_NUMBER: i32 = 2;
const COMMON: i32 = 3;
const REFERENCE_URI: i32 = 4;
pub(crate) const VALIDATE: i32 = 7;
pub(crate) const INVOKE: i32 = 9;
pub(crate) const PAYLOAD_FETCH: i32 = 16;
pub(crate) const INSTALL: i32 = 20;
pub(crate) const TEXT: i32 = 23;

const COMMON_COMPONENTS: i32 = 2;
const COMMON_SHARED_SEQUENCE: i32 = 4;

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
}

/// A member that may have been severed (section 8.6).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Member<'a> {
    Absent,
    Here(Span<'a>),
    Severed,
}

impl<'a> Member<'a> {
    fn here(self) -> Option<Span<'a>> {
        match self {
            Self::Here(content) => Some(content),
            Self::Absent | Self::Severed => None,
        }
    }
}

/// The manifest of an authenticated envelope.
#[derive(Clone, Debug)]
pub struct Manifest<'a> {
    sequence_number: u64,
    sequence_number_position: u32,
    reference_uri: Option<Utf8<'a>>,
    components: Components<'a>,
    shared: Span<'a>,
    validate: Option<Span<'a>>,
    invoke: Option<Span<'a>>,
    payload_fetch: Member<'a>,
    install: Member<'a>,
    text: Member<'a>,
}

impl<'a> Manifest<'a> {
    /// Monotonic counter against rollback.
    #[must_use]
    pub fn sequence_number(&self) -> u64 {
        self.sequence_number
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
            Section::PayloadFetch => !matches!(self.payload_fetch, Member::Absent),
            Section::Install => !matches!(self.install, Member::Absent),
            Section::Validate => self.validate.is_some(),
            Section::Invoke => self.invoke.is_some(),
        }
    }

    /// The text, or `None` when there is none or it has been severed away.
    ///
    /// # Errors
    /// [`ErrorKind::TextMalformed`]; [`ErrorKind::Malformed`] with `TooLong`, `TooMany` or `TooDeep` when the
    /// text exceeds a limit.
    pub fn text(&self) -> Result<Option<Text<'a>>, Error> {
        match self.text {
            Member::Here(text) => Text::read(text, &self.components).map(Some),
            Member::Absent | Member::Severed => Ok(None),
        }
    }

    /// Version of component 0 in the text, in the first language that has it.
    #[must_use]
    pub fn version_text(&self) -> Option<&'a str> {
        self.text().ok().flatten()?.component_text(0, crate::text::ComponentText::ComponentVersion)
    }

    pub(crate) fn shared(&self) -> Span<'a> {
        self.shared
    }

    /// The commands of a section; `None` when the manifest does not have it.
    pub(crate) fn section(&self, section: Section) -> Result<Option<Span<'a>>, Error> {
        let member = match section {
            Section::PayloadFetch => self.payload_fetch,
            Section::Install => self.install,
            Section::Validate => return Ok(self.validate),
            Section::Invoke => return Ok(self.invoke),
        };
        match member {
            Member::Absent => Ok(None),
            Member::Here(sequence) => Ok(Some(sequence)),
            Member::Severed => Err(Error::new(ErrorKind::MemberSevered, self.shared.base)),
        }
    }

    /// Reads and checks the manifest of an envelope whose signature holds, or that is being written.
    pub(crate) fn read(
        envelope: &Envelope<'a>,
        authority: Option<(&CredentialClaims<'_>, Option<&RevocationList<'_>>)>,
    ) -> Result<Self, Error> {
        let manifest = Self::read_members(envelope)?;
        let bounds = authority.map(|(credential, list)| Bounds {
            credential,
            list,
            sequence_number: manifest.sequence_number,
        });
        // Section 6.1 bounds a sequence number from below only; a number that nothing exceeds ends a class of
        // devices.
        if let Some((credential, _)) = authority
            && manifest.sequence_number > credential.sequence_ceiling()
        {
            return Err(Error::new(ErrorKind::SequenceAboveCeiling, manifest.sequence_number_position));
        }
        let several_components = manifest.components.len() > 1;
        let rules = SequenceCheck { shared: false, several_components, bounds };
        SequenceCheck { shared: true, ..rules }.section(manifest.shared)?;
        let check = |section: Option<Span<'_>>| section.map_or(Ok(()), |sequence| rules.section(sequence));
        check(manifest.validate)?;
        check(manifest.invoke)?;
        check(manifest.payload_fetch.here())?;
        check(manifest.install.here())?;
        Ok(manifest)
    }

    #[inline(never)]
    fn read_members(envelope: &Envelope<'a>) -> Result<Self, Error> {
        let mut reader = envelope.manifest().content.reader();
        let mut entries = reader.map()?;
        let mut sequence_number = None;
        let mut sequence_number_position = 0;
        let mut version = None;
        let mut common = None;
        let mut reference_uri = None;
        let (mut validate, mut invoke) = (None, None);
        let (mut payload_fetch, mut install, mut text) = (Member::Absent, Member::Absent, Member::Absent);
        loop {
            let key_position = reader.position();
            let Some(key) = entries.next_label(&mut reader)? else { break };
            let position = reader.position();
            match key {
                // Section 6.1: an unsupported encoding version fails. It is the first key in canonical order.
                VERSION => {
                    version = Some(reader.uint()?);
                    if version != Some(1) {
                        return Err(Error::new(ErrorKind::ManifestVersion, position));
                    }
                }
                SEQUENCE_NUMBER => {
                    sequence_number = Some(reader.uint()?);
                    sequence_number_position = position;
                }
                COMMON => common = Some(Common::read(embedded(&mut reader)?)?),
                REFERENCE_URI => {
                    reference_uri = Some(uri(&mut reader, ErrorKind::ManifestElementUnsupported)?)
                }
                VALIDATE => validate = Some(embedded(&mut reader)?),
                INVOKE => invoke = Some(embedded(&mut reader)?),
                PAYLOAD_FETCH => {
                    payload_fetch = member(&mut reader, envelope.severed(Severed::PayloadFetch))?
                }
                INSTALL => install = member(&mut reader, envelope.severed(Severed::Install))?,
                TEXT => text = member(&mut reader, envelope.severed(Severed::Text))?,
                _ => return Err(Error::new(ErrorKind::ManifestElementUnsupported, key_position)),
            }
        }
        reader.finish()?;
        // T1: a severed member is only as good as the digest that the manifest has for it.
        for (which, member) in
            [(Severed::PayloadFetch, &payload_fetch), (Severed::Install, &install), (Severed::Text, &text)]
        {
            if let (Member::Absent, Some(severed)) = (member, envelope.severed(which)) {
                return Err(Error::new(ErrorKind::EnvelopeMemberUnauthenticated, severed.item.base));
            }
        }
        let (Some(_), Some(sequence_number), Some(common)) = (version, sequence_number, common) else {
            return Err(Error::malformed(trust::ErrorKind::MissingKey, reader.position()));
        };
        let Common { components, shared } = common;
        Ok(Self {
            sequence_number,
            sequence_number_position,
            reference_uri,
            components,
            shared,
            validate,
            invoke,
            payload_fetch,
            install,
            text,
        })
    }
}

/// Reads a severable member: a bstr, or the digest of what stands in the envelope (section 8.4.12).
fn member<'a>(reader: &mut Reader<'a>, severed: Option<Wrapped<'a>>) -> Result<Member<'a>, Error> {
    if reader.peek()? != Major::Array {
        let here = embedded(reader)?;
        return match severed {
            None => Ok(Member::Here(here)),
            // No digest in the manifest covers the envelope's copy.
            Some(severed) => Err(Error::new(ErrorKind::EnvelopeMemberUnauthenticated, severed.item.base)),
        };
    }
    let digest = Digest::read(reader)?;
    match severed {
        None => Ok(Member::Severed),
        // T3. The digest is over the whole bstr, its head included.
        Some(severed) if severed.item.sha256() == *digest.sha256() => Ok(Member::Here(severed.content)),
        Some(severed) => Err(Error::new(ErrorKind::MemberDigestMismatch, severed.item.base)),
    }
}

struct Common<'a> {
    components: Components<'a>,
    shared: Span<'a>,
}

impl<'a> Common<'a> {
    #[inline(never)]
    fn read(span: Span<'a>) -> Result<Self, Error> {
        let mut reader = span.reader();
        let mut entries = reader.map()?;
        let (mut components, mut shared) = (None, None);
        loop {
            let position = reader.position();
            match entries.next_label(&mut reader)? {
                Some(COMMON_COMPONENTS) => components = Some(Components::read(&mut reader)?),
                Some(COMMON_SHARED_SEQUENCE) => shared = Some(embedded(&mut reader)?),
                Some(_) => return Err(Error::new(ErrorKind::ManifestElementUnsupported, position)),
                None => break,
            }
        }
        reader.finish()?;
        // Both are optional in the CDDL, and needed here.
        let components = components.ok_or(Error::new(ErrorKind::ComponentCount, span.base))?;
        let shared = shared.ok_or(Error::new(ErrorKind::IdentityUnchecked, span.base))?;
        Ok(Self { components, shared })
    }
}

/// The component identifiers of a manifest (section 8.4.5), 1 to [`MAX_COMPONENTS`].
#[derive(Clone, Copy, Debug)]
pub struct Components<'a> {
    ids: [Option<ComponentId<'a>>; MAX_COMPONENTS],
}

impl<'a> Components<'a> {
    /// Number of components, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Never: a manifest without a component is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The component with this index.
    #[must_use]
    pub fn at(&self, index: u32) -> Option<ComponentId<'a>> {
        self.ids.get(usize::try_from(index).ok()?).copied().flatten()
    }

    /// In the order of their indices.
    pub fn iter(&self) -> impl Iterator<Item = ComponentId<'a>> + use<'a> {
        self.ids.into_iter().flatten()
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let refused = Error::new(ErrorKind::ComponentCount, reader.position());
        let count = usize::try_from(reader.array()?).unwrap_or(usize::MAX);
        if count == 0 {
            return Err(refused);
        }
        let mut components = Self { ids: [None; MAX_COMPONENTS] };
        for index in 0..count {
            let id = ComponentId::read(reader)?;
            if components.iter().any(|known| known == id) {
                return Err(refused);
            }
            // Section 6.2: not more components than the target has storage for.
            *components.ids.get_mut(index).ok_or(refused)? = Some(id);
        }
        Ok(components)
    }
}

/// A component identifier, a list of byte strings (section 8.4.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ComponentId<'a> {
    /// In canonical CBOR, so that equal identifiers are equal bytes.
    encoded: &'a [u8],
}

impl<'a> ComponentId<'a> {
    /// The application, `["app"]`: the one component of this project's devices.
    pub const APP: ComponentId<'static> = ComponentId { encoded: &[0x81, 0x43, b'a', b'p', b'p'] };

    /// The identifier in canonical CBOR.
    #[must_use]
    pub fn encoded(&self) -> &'a [u8] {
        self.encoded
    }

    /// The byte strings.
    pub fn segments(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = Reader::new(self.encoded);
        let count = reader.array().unwrap_or(0);
        (0..count).map_while(move |_| reader.bytes().ok())
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let encoded = reader.clone().item()?;
        if encoded == [0x80] {
            // `[* bstr]`: legal, and no component that there is.
            return Err(Error::new(ErrorKind::ComponentUnsupported, reader.position()));
        }
        for _ in 0..array_up_to(reader, MAX_COMPONENT_SEGMENTS)? {
            let position = reader.position();
            if reader.bytes()?.len() > MAX_COMPONENT_SEGMENT_LEN {
                return Err(Error::malformed(trust::ErrorKind::TooLong, position));
            }
        }
        Ok(Self { encoded })
    }
}
