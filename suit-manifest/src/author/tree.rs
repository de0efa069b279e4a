//! The whole of an envelope as named types, whatever of it a device offers: for tools that show, compare and lint
//! envelopes. draft-ietf-suit-manifest-37, suit-trust-domains-12, suit-update-management-16.
//!
//! What the CDDL of these documents allows is read; what it does not is refused, at its byte. No signature is verified,
//! and a command or parameter that no document names is kept as custom. Digests of severed members are compared.

mod commands;

use trust::cbor::{Major, Span};

use self::commands::read_sequence;
pub use self::commands::{ArgumentTree, CommandTree, IndexTree};
pub use crate::entries::{Identifier, ParameterTree};

use crate::argument::{AnyDigest, Version};
use crate::entries::read_identifier;
use crate::envelope::{ENVELOPE_TAG, MANIFEST_TAG};
use crate::error::{Error, ErrorKind};
use crate::limits::{
    MAX_COMPONENTS_READ, MAX_DEPENDENCIES, MAX_DEPENDENCY_DEPTH, MAX_ENVELOPE_LEN, MAX_INTEGRATED_LEN,
    MAX_NESTING,
};
use crate::source::Source;
use crate::span::{Wrapped, uri};
use crate::text::{self, TextEntry};
use crate::vocabulary::{CommonElement, EnvelopeElement, ManifestElement};

/// An envelope.
#[derive(Clone, Debug)]
pub struct EnvelopeTree<'a> {
    /// The digest of the manifest, which the blocks authenticate.
    pub digest: AnyDigest<'a>,
    /// The digest as it stands in its bstr: the payload of the blocks (section 8.3).
    pub payload: Span<'a>,
    /// The authentication blocks, each a COSE message as it stands.
    pub blocks: Vec<Span<'a>>,
    /// The manifest.
    pub manifest: ManifestTree<'a>,
    /// Integrated payloads and dependencies, in the order of the file.
    pub integrated: Vec<Integrated<'a>>,
    /// All members as they stand, in the order of the file.
    pub members: Vec<EnvelopeMember<'a>>,
}

/// A member of an envelope, as it stands.
#[derive(Clone, Copy, Debug)]
pub struct EnvelopeMember<'a> {
    /// Which one it is.
    pub key: MemberKey<'a>,
    /// Its value, head included.
    pub value: Span<'a>,
}

/// Key of a member of an envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemberKey<'a> {
    /// An element that the documents number.
    Element(EnvelopeElement),
    /// An integrated payload or dependency.
    Uri(&'a str),
}

/// A member with a text key: a payload, or the envelope of a dependency (section 7.5; suit-trust-domains section 8.1.1).
#[derive(Clone, Debug)]
pub struct Integrated<'a> {
    /// Its key, the URI by which the manifest fetches it.
    pub uri: &'a str,
    /// Its bytes.
    pub content: Span<'a>,
    /// What it is, if it begins as an envelope does. An encrypted payload may begin so by chance.
    pub envelope: Option<Result<Box<EnvelopeTree<'a>>, Error>>,
}

/// A manifest.
#[derive(Clone, Debug)]
pub struct ManifestTree<'a> {
    /// suit-manifest-sequence-number
    pub sequence_number: u64,
    /// suit-common: dependencies
    pub dependencies: Vec<Dependency<'a>>,
    /// suit-common: components, in the order of their indices
    pub components: Vec<Identifier<'a>>,
    /// suit-common: the shared sequence
    pub shared: Option<Vec<CommandTree<'a>>>,
    /// suit-reference-uri
    pub reference_uri: Option<&'a str>,
    /// suit-manifest-component-id
    pub component_id: Option<Identifier<'a>>,
    /// suit-set-version
    pub set_version: Option<Version<'a>>,
    /// The command sequences, in the order of their keys.
    pub sections: Vec<(ManifestElement, Member<'a, Vec<CommandTree<'a>>>)>,
    /// suit-text, as it stands: [`crate::Text`] reads it.
    pub text: Option<Member<'a, Span<'a>>>,
    /// suit-coswid, as it stands.
    pub coswid: Option<Member<'a, Span<'a>>>,
}

/// An entry of suit-dependencies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dependency<'a> {
    /// The component that holds the envelope of the dependency. Published examples name one behind the components.
    pub index: u64,
    /// suit-dependency-prefix
    pub prefix: Option<Identifier<'a>>,
}

/// An element that can be severed.
#[derive(Clone, Debug)]
pub enum Member<'a, T> {
    /// It stands in the manifest.
    Here(T),
    /// The manifest has its digest, and the envelope, if it was not left away, the element.
    Severed(AnyDigest<'a>, Option<T>),
}

impl<T> Member<'_, T> {
    /// The element, if it is there.
    pub fn content(&self) -> Option<&T> {
        match self {
            Self::Here(content) => Some(content),
            Self::Severed(_, content) => content.as_ref(),
        }
    }
}

/// Whether a digest that does not hold is an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Digests {
    Compared,
    /// Whoever looks at a file sees it, and is told of its fault by [`EnvelopeTree::read`].
    Shown,
}

/// What a file holds, whatever its digests say.
pub(super) enum Shown<'a> {
    Envelope(Box<EnvelopeTree<'a>>),
    /// Old tools write envelopes without their tag.
    Untagged(Box<EnvelopeTree<'a>>),
    /// Tag 1070
    Manifest(Box<ManifestTree<'a>>),
}

/// Reads a file to show it: no digest is compared, the tag may lack, and a manifest without an envelope is read too.
pub(super) fn read_shown(file: &[u8]) -> Result<Shown<'_>, Error> {
    if file.len() > MAX_ENVELOPE_LEN.saturating_add(MAX_INTEGRATED_LEN) {
        return Err(Error::new(ErrorKind::EnvelopeTooLarge, 0));
    }
    let file = Span { bytes: file, base: 0 };
    let source = &mut Source::of(file);
    let left = &mut Left::of_file();
    if source.peek() == Major::Map {
        let tree = EnvelopeTree::read_members(file, left, Digests::Shown)?;
        return Ok(Shown::Untagged(Box::new(tree)));
    }
    match source.tag() {
        MANIFEST_TAG if file.bytes.len() <= MAX_ENVELOPE_LEN => {
            source.check()?;
            let tree = ManifestTree::read(source.left(), &[], Digests::Shown)?;
            Ok(Shown::Manifest(Box::new(tree)))
        }
        _ => {
            let tree = EnvelopeTree::read_at(file, left, Digests::Shown)?;
            Ok(Shown::Envelope(Box::new(tree)))
        }
    }
}

impl<'a> EnvelopeTree<'a> {
    /// Reads an envelope, with tag 107.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for what the CDDL does not allow; [`ErrorKind::EnvelopeMemberUnknown`],
    /// [`ErrorKind::ManifestElementUnsupported`], [`ErrorKind::ParameterUnsupported`] for elements that no document names;
    /// [`ErrorKind::EnvelopeMemberUnauthenticated`], [`ErrorKind::MemberDigestMismatch`] and
    /// [`ErrorKind::ManifestDigestMismatch`]; [`ErrorKind::DigestLength`], [`ErrorKind::DigestAlgorithmUnsupported`];
    /// [`ErrorKind::EnvelopeTooLarge`], [`ErrorKind::NestingTooDeep`] and, for the other limits of [`crate::limits`],
    /// [`ErrorKind::Malformed`] with `TooLong` or `TooMany`.
    pub fn read(envelope: &'a [u8]) -> Result<Self, Error> {
        if envelope.len() > MAX_ENVELOPE_LEN.saturating_add(MAX_INTEGRATED_LEN) {
            return Err(Error::new(ErrorKind::EnvelopeTooLarge, 0));
        }
        Self::read_at(Span { bytes: envelope, base: 0 }, &mut Left::of_file(), Digests::Compared)
    }

    fn read_at(envelope: Span<'a>, left: &mut Left, digests: Digests) -> Result<Self, Error> {
        let source = &mut Source::of(envelope);
        match source.tag() {
            ENVELOPE_TAG => {}
            MANIFEST_TAG => source.refuse_as(ErrorKind::ManifestBare, envelope.base),
            _ => source.refuse(trust::ErrorKind::UnexpectedType, envelope.base),
        }
        source.check()?;
        Self::read_members(source.left(), left, digests)
    }

    /// Behind the tag.
    fn read_members(envelope: Span<'a>, left: &mut Left, digests: Digests) -> Result<Self, Error> {
        let source = &mut Source::of(envelope);
        let mut authentication = None;
        let mut manifest = None;
        let mut severed: Vec<(ManifestElement, Wrapped<'a>)> = Vec::new();
        let mut texts: Vec<(&'a str, Span<'a>)> = Vec::new();
        let mut integrated_len = 0usize;
        let mut members = Vec::new();
        let mut entries = source.map();
        loop {
            let position = source.position();
            if !entries.next(source) {
                break;
            }
            if source.peek() == Major::Text {
                let key = source.text().as_str();
                let value = Span { base: source.position(), bytes: source.peek_item() };
                members.push(EnvelopeMember { key: MemberKey::Uri(key), value });
                let content = source.span();
                texts.push((key, content));
                integrated_len = integrated_len.saturating_add(content.bytes.len());
                // A member costs more memory than the few bytes that it may have.
                if len_between(envelope.base, source.position()).saturating_sub(integrated_len)
                    > MAX_ENVELOPE_LEN
                {
                    source.refuse_as(ErrorKind::EnvelopeTooLarge, position);
                }
                continue;
            }
            let element = EnvelopeElement::from_number(source.label().into());
            if let Some(element) = element {
                let value = Span { base: source.position(), bytes: source.peek_item() };
                members.push(EnvelopeMember { key: MemberKey::Element(element), value });
            }
            match element {
                Some(EnvelopeElement::AuthenticationWrapper) => authentication = Some(source.span()),
                Some(EnvelopeElement::Manifest) => manifest = Some(Wrapped::read(source)),
                // Severed members have the number that they have in the manifest (section 8.4.12).
                Some(element) => match ManifestElement::from_number(element.number()) {
                    Some(element) => severed.push((element, Wrapped::read(source))),
                    None => source.refuse_as(ErrorKind::EnvelopeMemberUnknown, position),
                },
                None => source.refuse_as(ErrorKind::EnvelopeMemberUnknown, position),
            }
        }
        source.finish()?;
        if envelope.bytes.len().saturating_sub(integrated_len) > MAX_ENVELOPE_LEN {
            return Err(Error::new(ErrorKind::EnvelopeTooLarge, envelope.base));
        }
        let (Some(authentication), Some(manifest)) = (authentication, manifest) else {
            let end = source.position();
            return Err(Error::new(ErrorKind::Malformed(trust::ErrorKind::MissingKey), end));
        };
        let (digest, payload, blocks) = read_authentication(authentication)?;
        // Section 8.3: over the whole bstr.
        if digests == Digests::Compared && !digest.is_of(manifest.item.bytes) {
            return Err(Error::new(ErrorKind::ManifestDigestMismatch, manifest.item.base));
        }
        let manifest = ManifestTree::read(manifest.content, &severed, digests)?;
        let mut integrated = Vec::with_capacity(texts.len());
        for (uri, content) in texts {
            let envelope = match content.bytes {
                [0xd8, 0x6b, ..] => {
                    left.enter(content.base)?;
                    let read = Self::read_at(content, left, digests).map(Box::new);
                    left.leave();
                    Some(read)
                }
                _ => None,
            };
            if let Some(Err(error)) = &envelope
                && error.kind == ErrorKind::NestingTooDeep
            {
                return Err(*error);
            }
            integrated.push(Integrated { uri, content, envelope });
        }
        Ok(Self { digest, payload, blocks, manifest, integrated, members })
    }

    /// What is wrong with an integrated member, or one inside it, that begins as an envelope does and is none.
    #[must_use]
    pub fn fault_inside(&self) -> Option<Error> {
        self.integrated.iter().find_map(|member| match member.envelope.as_ref()? {
            Ok(envelope) => envelope.fault_inside(),
            Err(error) => Some(*error),
        })
    }

    /// The integrated member with this URI.
    #[must_use]
    pub fn integrated(&self, uri: &str) -> Option<&Integrated<'a>> {
        self.integrated.iter().find(|member| member.uri == uri)
    }
}

/// Bytes from one position to another.
fn len_between(start: u32, end: u32) -> usize {
    usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX)
}

/// What the limits of a file leave.
struct Left {
    /// Envelopes inside each other.
    depth: usize,
    /// Envelopes at any depth.
    envelopes: u32,
}

impl Left {
    /// In the outermost envelope.
    fn of_file() -> Self {
        Self { depth: MAX_DEPENDENCY_DEPTH.saturating_sub(1), envelopes: MAX_DEPENDENCIES }
    }

    /// Goes into an envelope, which lies there.
    fn enter(&mut self, position: u32) -> Result<(), Error> {
        let too_many = Error::new(ErrorKind::Malformed(trust::ErrorKind::TooMany), position);
        self.envelopes = self.envelopes.checked_sub(1).ok_or(too_many)?;
        self.depth = self.depth.checked_sub(1).ok_or(Error::new(ErrorKind::NestingTooDeep, position))?;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_add(1);
    }
}

/// Section 8.3: the digest, its encoding, and the blocks as they stand.
fn read_authentication(wrapper: Span<'_>) -> Result<(AnyDigest<'_>, Span<'_>, Vec<Span<'_>>), Error> {
    let source = &mut Source::of(wrapper);
    let start = source.position();
    let mut items = source.array();
    if !items.next(source) {
        source.refuse(trust::ErrorKind::MissingKey, start);
    }
    let (payload, digest) = source.embedded(|source| (source.left(), AnyDigest::read(source)));
    let mut blocks = Vec::new();
    while items.next(source) {
        blocks.push(source.span());
    }
    source.finish()?;
    Ok((digest, payload, blocks))
}

impl<'a> ManifestTree<'a> {
    fn read(
        manifest: Span<'a>,
        severed: &[(ManifestElement, Wrapped<'a>)],
        digests: Digests,
    ) -> Result<Self, Error> {
        let source = &mut Source::of(manifest);
        let mut tree = Self {
            sequence_number: 0,
            dependencies: Vec::new(),
            components: Vec::new(),
            shared: None,
            reference_uri: None,
            component_id: None,
            set_version: None,
            sections: Vec::new(),
            text: None,
            coswid: None,
        };
        let mut seen = Vec::new();
        let mut entries = source.map();
        loop {
            let key_position = source.position();
            let Some(key) = entries.next_label(source) else { break };
            let position = source.position();
            let Some(element) = ManifestElement::from_number(key.into()) else {
                source.refuse_as(ErrorKind::ManifestElementUnsupported, key_position);
                break;
            };
            seen.push(element);
            let outside = severed.iter().find(|(known, _)| *known == element).map(|(_, wrapped)| wrapped);
            match element {
                ManifestElement::Version => {
                    if source.uint() != 1 {
                        source.refuse_as(ErrorKind::ManifestVersion, position);
                    }
                }
                ManifestElement::SequenceNumber => tree.sequence_number = source.uint(),
                ManifestElement::Common => source.embedded(|source| tree.read_common(source)),
                ManifestElement::ReferenceUri => {
                    let uri = uri(source, ErrorKind::ManifestElementUnsupported);
                    tree.reference_uri = Some(uri.as_str());
                }
                ManifestElement::ComponentId => tree.component_id = Some(read_identifier(source)),
                ManifestElement::SetVersion => {
                    tree.set_version = Some(source.embedded(Version::read));
                }
                ManifestElement::Text => tree.text = Some(read_member(source, outside, digests)),
                ManifestElement::Coswid => tree.coswid = Some(read_member(source, outside, digests)),
                sequence => {
                    // Section 8.6: what a device needs to start is not severable.
                    let member = match sequence.is_severable() {
                        true => read_member(source, outside, digests),
                        false => Member::Here(source.span()),
                    };
                    if source.check().is_ok() {
                        let read = |span| read_sequence(span, false, MAX_NESTING);
                        tree.sections.push((
                            sequence,
                            match member {
                                Member::Here(span) => Member::Here(read(span)?),
                                Member::Severed(digest, span) => {
                                    Member::Severed(digest, span.map(read).transpose()?)
                                }
                            },
                        ));
                    }
                }
            }
        }
        source.finish()?;
        // T1: a severed member is only as good as the digest that the manifest has for it.
        if let Some((_, stray)) = severed.iter().find(|(element, _)| !seen.contains(element)) {
            return Err(Error::new(ErrorKind::EnvelopeMemberUnauthenticated, stray.item.base));
        }
        let required = [ManifestElement::Version, ManifestElement::SequenceNumber, ManifestElement::Common];
        if required.iter().any(|element| !seen.contains(element)) {
            let end = source.position();
            return Err(Error::new(ErrorKind::Malformed(trust::ErrorKind::MissingKey), end));
        }
        Ok(tree)
    }

    /// suit-common: each member is optional.
    fn read_common(&mut self, source: &mut Source<'a>) {
        let mut entries = source.map();
        loop {
            let position = source.position();
            let Some(key) = entries.next_label(source) else { break };
            match CommonElement::from_number(key.into()) {
                Some(CommonElement::Dependencies) => self.read_dependencies(source),
                Some(CommonElement::Components) => {
                    let mut items = source.array_within(1, MAX_COMPONENTS_READ);
                    while items.next(source) {
                        self.components.push(read_identifier(source));
                    }
                }
                Some(CommonElement::SharedSequence) => {
                    let span = source.span();
                    if source.check().is_ok() {
                        match read_sequence(span, true, MAX_NESTING) {
                            Ok(shared) => self.shared = Some(shared),
                            Err(Error { kind, position }) => source.refuse_as(kind, position),
                        }
                    }
                }
                None => source.refuse_as(ErrorKind::ManifestElementUnsupported, position),
            }
        }
    }

    /// suit-trust-domains section 5.2.2
    fn read_dependencies(&mut self, source: &mut Source<'a>) {
        /// suit-dependency-prefix
        const PREFIX: i32 = 1;
        let start = source.position();
        let mut entries = source.map();
        match entries.remaining() {
            0 => source.refuse(trust::ErrorKind::OutOfRange, start),
            1..=MAX_COMPONENTS_READ => {}
            _ => source.refuse(trust::ErrorKind::TooMany, start),
        }
        while entries.next(source) {
            let mut dependency = Dependency { index: source.uint(), prefix: None };
            let mut metadata = source.map();
            loop {
                let position = source.position();
                let Some(key) = metadata.next_label(source) else { break };
                match key {
                    PREFIX => dependency.prefix = Some(read_identifier(source)),
                    _ => source.refuse_as(ErrorKind::ManifestElementUnsupported, position),
                }
            }
            self.dependencies.push(dependency);
        }
    }

    /// The texts for people, in the order of the encoding; none where there is no text.
    ///
    /// # Errors
    /// [`ErrorKind::TextMalformed`] for what section 8.4.4 does not allow.
    pub fn texts(&self) -> Result<Vec<TextEntry<'a>>, Error> {
        let mut texts = Vec::new();
        if let Some(span) = self.text.as_ref().and_then(Member::content) {
            let mut component = |source: &mut Source<'a>| {
                let identifier = read_identifier(source);
                self.components.iter().position(|known| *known == identifier)
            };
            text::walk(*span, &mut component, &mut |entry| texts.push(entry)).map_err(text::malformed)?;
        }
        Ok(texts)
    }

    /// The commands of a section, if it is there.
    #[must_use]
    pub fn section(&self, element: ManifestElement) -> Option<&[CommandTree<'a>]> {
        let (_, member) = self.sections.iter().find(|(known, _)| *known == element)?;
        member.content().map(Vec::as_slice)
    }
}

/// A bstr, or the digest of what stands in the envelope (section 8.4.12).
fn read_member<'a>(
    source: &mut Source<'a>,
    outside: Option<&Wrapped<'a>>,
    digests: Digests,
) -> Member<'a, Span<'a>> {
    if source.peek() != Major::Array {
        let here = source.span();
        if let Some(outside) = outside {
            source.refuse_as(ErrorKind::EnvelopeMemberUnauthenticated, outside.item.base);
        }
        return Member::Here(here);
    }
    let digest = AnyDigest::read(source);
    if let Some(outside) = outside
        && digests == Digests::Compared
        && !digest.is_of(outside.item.bytes)
    {
        source.refuse_as(ErrorKind::MemberDigestMismatch, outside.item.base);
    }
    Member::Severed(digest, outside.map(|outside| outside.content))
}
