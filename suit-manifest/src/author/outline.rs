//! The content of a SUIT envelope or manifest for people: names, values and parts, out of the whole decoder
//! ([`super::tree`]), so that one reader says what stands in a file. What that one does not read is shown as plain CBOR.
//! Nothing here is used to decide anything.
//!
//! Long values are cut, with their SHA-256, and what has no room is left out, with the SHA-256 of the file: two envelopes
//! with the same outline say the same.

mod cose;
mod names;
mod plain;
mod report;
mod room;
mod values;

use ciborium_ll::Header;

use self::plain::plain;
use self::room::Room;
use self::values::{show_bytes, show_text};
use super::items::Items;
use super::tree::{
    ArgumentTree, CommandTree, EnvelopeTree, Identifier, IndexTree, Integrated, ManifestTree, Member,
    MemberKey, ParameterTree, Shown, read_shown,
};
use crate::argument::{AnyDigest, DigestAlgorithm};
use crate::vocabulary::{EnvelopeElement, ManifestElement};

const TAG_ENVELOPE: u64 = 107;
const TAG_MANIFEST: u64 = 1070;

/// An element: its name, its value where it has one, and what it consists of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outline {
    /// Name in the draft, with the number that stands in the file.
    pub name: String,
    /// Value, as text; empty for what only has parts.
    pub value: String,
    /// Parts, in the order of the file.
    pub parts: Vec<Outline>,
}

/// Outlines an envelope (tag 107, or a map without a tag) or a bare manifest (tag 1070), as far as the limits of an outline
/// reach ([`crate::limits`]). `None`: it is neither.
#[must_use]
pub fn outline(file: &[u8]) -> Option<Outline> {
    let room = &Room::new();
    let outline = match read_shown(file) {
        Ok(Shown::Envelope(tree)) => envelope(room, "SUIT envelope (tag 107)", &tree),
        Ok(Shown::Untagged(tree)) => envelope(room, "SUIT envelope without its tag", &tree),
        Ok(Shown::Manifest(tree)) => room.element("bare SUIT manifest (tag 1070)", "", manifest(room, &tree)),
        Err(_) => {
            let mut items = Items::of(file);
            let Header::Tag(tag @ (TAG_ENVELOPE | TAG_MANIFEST)) = items.head()?.0 else { return None };
            let what = if tag == TAG_ENVELOPE { "SUIT envelope" } else { "bare SUIT manifest" };
            plain(room, format!("{what} (tag {tag}), NOT readable as such"), items.left())?
        }
    };
    Some(room.whole(file, outline))
}

/// Name and number of an algorithm of COSE.
#[must_use]
pub fn algorithm_name(number: i64) -> String {
    names::algorithm(number.into())
}

/// Name and number of the algorithm of a digest.
#[must_use]
pub fn digest_name(algorithm: DigestAlgorithm) -> String {
    names::digest(algorithm.number().into())
}

/// Name and tag of a structure of COSE.
#[must_use]
pub fn structure_name(tag: u64) -> String {
    names::cose(tag)
}

fn envelope(room: &Room, name: &str, tree: &EnvelopeTree<'_>) -> Outline {
    // Both lists are in the order of the file.
    let mut integrated_members = tree.integrated.iter();
    let parts = room.list(&tree.members, |member| match member.key {
        MemberKey::Element(EnvelopeElement::AuthenticationWrapper) => {
            let mut parts = vec![digest(room, "manifest digest", &tree.digest)];
            parts.extend(room.list(&tree.blocks, |block| cose::message(room, "signature", block.bytes)));
            room.element("authentication-wrapper (2)", "", parts)
        }
        MemberKey::Element(EnvelopeElement::Manifest) => {
            room.element("manifest (3)", "", manifest(room, &tree.manifest))
        }
        MemberKey::Element(element) => {
            let name = format!("severed {}", names::envelope(element.number().into()));
            let shown = ManifestElement::from_number(element.number())
                .and_then(|element| content_of(room, &tree.manifest, element, &name));
            shown.unwrap_or_else(|| room.leaf(name, show_bytes(member.value.bytes)))
        }
        MemberKey::Uri(uri) => match integrated_members.next() {
            Some(member) => integrated(room, member),
            None => room.leaf(format!("{uri:?}"), show_bytes(member.value.bytes)),
        },
    });
    room.element(name, "", parts)
}

fn integrated(room: &Room, member: &Integrated<'_>) -> Outline {
    // A dependency is an envelope itself (suit-trust-domains section 8.1.1).
    let parts = match &member.envelope {
        Some(Ok(tree)) => vec![envelope(room, "SUIT envelope (tag 107)", tree)],
        Some(Err(_)) | None => Vec::new(),
    };
    let content = member.content.bytes;
    let value = format!("{} bytes, integrated, SHA-256 {}", content.len(), values::sha256(content));
    room.element(format!("{:?}", member.uri), value, parts)
}

fn digest(room: &Room, name: impl Into<String>, digest: &AnyDigest<'_>) -> Outline {
    let algorithm = digest_name(digest.algorithm());
    room.leaf(name, format!("{algorithm} {}", values::hex(digest.bytes())))
}

/// The elements of a manifest, in the order of the file.
fn manifest(room: &Room, tree: &ManifestTree<'_>) -> Vec<Outline> {
    use ManifestElement as Element;
    let named = |element: Element| names::manifest(element.number().into());
    let mut parts = vec![
        (Element::Version, room.leaf(named(Element::Version), "1")),
        (
            Element::SequenceNumber,
            room.leaf(named(Element::SequenceNumber), tree.sequence_number.to_string()),
        ),
        (Element::Common, room.element(named(Element::Common), "", common(room, tree))),
    ];
    let reference = tree.reference_uri.map(|uri| (Element::ReferenceUri, format!("{uri:?}")));
    let id = tree.component_id.as_ref().map(|id| (Element::ComponentId, identifier_words(id)));
    let version = tree.set_version.map(|version| (Element::SetVersion, values::version(version.numbers())));
    for (element, value) in [reference, id, version].into_iter().flatten() {
        parts.push((element, room.leaf(named(element), value)));
    }
    let severable = [
        (Element::Text, tree.text.as_ref().map(severed_digest)),
        (Element::Coswid, tree.coswid.as_ref().map(severed_digest)),
    ];
    let severable = severable.into_iter().filter_map(|(element, member)| Some((element, member?)));
    let sections = tree.sections.iter().map(|(element, member)| (*element, severed_digest(member)));
    for (element, severed) in severable.chain(sections) {
        let name = named(element);
        let shown = match severed {
            Some(severed) => digest(room, format!("{name}, severed"), severed),
            None => content_of(room, tree, element, &name).unwrap_or_else(|| room.leaf(name, "")),
        };
        parts.push((element, shown));
    }
    parts.sort_by_key(|(element, _)| element.number());
    parts.into_iter().map(|(_, part)| part).collect()
}

fn severed_digest<'m, 'a, T>(member: &'m Member<'a, T>) -> Option<&'m AnyDigest<'a>> {
    match member {
        Member::Here(_) => None,
        Member::Severed(digest, _) => Some(digest),
    }
}

/// The content of an element that may be severed, wherever it stands.
fn content_of(room: &Room, tree: &ManifestTree<'_>, element: ManifestElement, name: &str) -> Option<Outline> {
    Some(match element {
        ManifestElement::Text => {
            let content = tree.text.as_ref()?.content()?;
            match texts(room, tree) {
                Some(parts) => room.element(name, "", parts),
                None => as_cbor(room, name, content.bytes),
            }
        }
        ManifestElement::Coswid => as_cbor(room, name, tree.coswid.as_ref()?.content()?.bytes),
        sequence => room.element(name, "", commands(room, tree.section(sequence)?)),
    })
}

fn as_cbor(room: &Room, name: impl Into<String>, bytes: &[u8]) -> Outline {
    let name = name.into();
    plain(room, name.as_str(), bytes)
        .unwrap_or_else(|| room.leaf(name, format!("not readable as CBOR: {}", show_bytes(bytes))))
}

fn common(room: &Room, tree: &ManifestTree<'_>) -> Vec<Outline> {
    let mut parts = Vec::new();
    if !tree.dependencies.is_empty() {
        // suit-trust-domains section 5.2.2: an index, and the prefix if there is one.
        let dependencies = room.list(&tree.dependencies, |dependency| {
            let prefix =
                dependency.prefix.as_ref().map(|prefix| format!("prefix {}", identifier_words(prefix)));
            room.leaf(format!("dependency in component {}", dependency.index), prefix.unwrap_or_default())
        });
        parts.push(room.element("dependencies (1)", "", dependencies));
    }
    if !tree.components.is_empty() {
        let component = |(index, id): (usize, &Identifier<'_>)| {
            room.leaf(format!("component {index}"), identifier_words(id))
        };
        let components = room.list(tree.components.iter().enumerate(), component);
        parts.push(room.element("components (2)", "", components));
    }
    if let Some(shared) = &tree.shared {
        parts.push(room.element("shared-sequence (4)", "", commands(room, shared)));
    }
    parts
}

/// A component identifier, its byte strings as text where they are printable.
#[must_use]
pub fn identifier_words(segments: &[&[u8]]) -> String {
    let segment = |bytes: &&[u8]| match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && trust::is_printable(text) => format!("{text:?}"),
        _ => values::hex(bytes),
    };
    segments.iter().map(segment).collect::<Vec<_>>().join(" / ")
}

/// The texts by language; `None` where they are not of their form.
fn texts(room: &Room, tree: &ManifestTree<'_>) -> Option<Vec<Outline>> {
    let entries = tree.texts().ok()?;
    let component = |id: &Identifier<'_>| Room::name(&format!("component {}", identifier_words(id)));
    let components: Vec<String> = tree.components.iter().map(component).collect();
    let mut languages: Vec<Outline> = Vec::new();
    let mut language = ("", String::new());
    for (index, entry) in entries.iter().enumerate() {
        if room.is_full() {
            languages.push(room.left_out(Some(entries.len().saturating_sub(index))));
            break;
        }
        if language.0 != entry.language {
            language = (entry.language, Room::name(&show_text(entry.language)));
        }
        let (component, key) = match entry.component {
            None => (None, names::manifest_text(entry.key.into())),
            Some(index) => {
                let component = components.get(usize::try_from(index).ok()?)?;
                (Some(component.as_str()), names::component_text(entry.key.into()))
            }
        };
        let path = [Some(language.1.as_str()), component];
        let leaf = room.leaf(key, show_text(entry.text));
        add(room, &mut languages, path.into_iter().flatten(), leaf);
    }
    Some(languages)
}

/// Adds a leaf below the last part of each name, which is made where it is not the last one.
fn add<'n>(room: &Room, parts: &mut Vec<Outline>, path: impl Iterator<Item = &'n str>, leaf: Outline) {
    let mut parts = parts;
    for name in path {
        if parts.last().is_none_or(|last| last.name != name) {
            parts.push(room.leaf(name, ""));
        }
        let Some(last) = parts.last_mut() else { return };
        parts = &mut last.parts;
    }
    parts.push(leaf);
}

fn commands(room: &Room, commands: &[CommandTree<'_>]) -> Vec<Outline> {
    room.list(commands, |one| command(room, one))
}

fn command(room: &Room, command: &CommandTree<'_>) -> Outline {
    let name = names::command(command.code.into());
    let parts = match &command.argument {
        ArgumentTree::Policy(policy) => return room.leaf(name, policy.to_string()),
        ArgumentTree::Index(IndexTree::One(index)) => return room.leaf(name, index.to_string()),
        ArgumentTree::Index(IndexTree::All) => return room.leaf(name, "true"),
        ArgumentTree::Index(IndexTree::List(indices)) => return room.leaf(name, format!("{indices:?}")),
        ArgumentTree::Custom(argument) => return as_cbor(room, name, argument.bytes),
        ArgumentTree::Parameters(entries) => parameters(room, entries),
        ArgumentTree::ByComponent(components) => {
            let component = |(index, entries): &(u64, Vec<ParameterTree<'_>>)| {
                room.element(format!("component {index}"), "", parameters(room, entries))
            };
            room.list(components, component)
        }
        ArgumentTree::Keys(components) => {
            let component = |(index, keys): &(u64, Vec<i64>)| {
                let keys: Vec<_> = keys.iter().map(|key| names::parameter((*key).into())).collect();
                room.leaf(format!("from component {index}"), keys.join(", "))
            };
            room.list(components, component)
        }
        ArgumentTree::Sequence(inner) => commands(room, inner),
        ArgumentTree::Alternatives(sequences) => {
            let sequence = |(index, sequence): (usize, &Option<Vec<CommandTree<'_>>>)| {
                let name = format!("sequence {index}");
                match sequence {
                    Some(inner) => room.element(name, "", commands(room, inner)),
                    None => room.leaf(name, "null"),
                }
            };
            room.list(sequences.iter().enumerate(), sequence)
        }
    };
    room.element(name, "", parts)
}

fn parameters(room: &Room, parameters: &[ParameterTree<'_>]) -> Vec<Outline> {
    room.list(parameters, |parameter| values::parameter(room, parameter))
}
