//! The content of a SUIT envelope or manifest for people: names, values and parts, out of the whole decoder
//! ([`super::tree`]), so that one reader says what stands in a file. What that one does not read is shown as plain CBOR.
//! Nothing here is used to decide anything.
//!
//! Long byte strings are cut, with their SHA-256: two envelopes with the same outline are the same.

mod cose;
mod names;
mod values;

use ciborium::Value;

use self::values::{show, show_bytes};
use super::tree::{
    ArgumentTree, CommandTree, EnvelopeTree, IndexTree, Integrated, ManifestTree, Member, MemberKey,
    ParameterTree, Shown, read_shown,
};
use crate::argument::AnyDigest;
use crate::vocabulary::{EnvelopeElement, ManifestElement};

/// Deepest nesting that is shown of what is not read as SUIT.
const MAX_DEPTH: u8 = 16;

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

impl Outline {
    fn new(name: impl Into<String>, value: impl Into<String>, parts: Vec<Self>) -> Self {
        Self { name: name.into(), value: value.into(), parts }
    }

    fn leaf(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(name, value, Vec::new())
    }
}

/// Outlines an envelope (tag 107, or a map without a tag) or a bare manifest (tag 1070). `None`: it is neither.
#[must_use]
pub fn outline(file: &[u8]) -> Option<Outline> {
    match read_shown(file) {
        Ok(Shown::Envelope(tree)) => Some(envelope("SUIT envelope (tag 107)", &tree)),
        Ok(Shown::Untagged(tree)) => Some(envelope("SUIT envelope without its tag", &tree)),
        Ok(Shown::Manifest(tree)) => Some(Outline::new("bare SUIT manifest (tag 1070)", "", manifest(&tree))),
        Err(_) => {
            let value: Value = values::decode(file)?;
            let Value::Tag(tag @ (TAG_ENVELOPE | TAG_MANIFEST), content) = &value else { return None };
            let what = if *tag == TAG_ENVELOPE { "SUIT envelope" } else { "bare SUIT manifest" };
            let name = format!("{what} (tag {tag}), NOT readable as such");
            Some(plain(&name, content, MAX_DEPTH))
        }
    }
}

/// An item of CBOR with what is in it; byte strings that hold CBOR are opened.
fn plain(name: &str, value: &Value, depth: u8) -> Outline {
    let Some(depth) = depth.checked_sub(1) else { return Outline::leaf(name, show(value)) };
    let parts = match value {
        Value::Map(entries) => entries.iter().map(|(key, value)| plain(&show(key), value, depth)).collect(),
        Value::Array(items) => {
            (0..).zip(items).map(|(index, item): (u32, _)| plain(&index.to_string(), item, depth)).collect()
        }
        Value::Tag(tag, content) => vec![plain(&format!("tag {tag}"), content, depth)],
        Value::Bytes(bytes) => match values::decode(bytes) {
            Some(inner @ (Value::Map(_) | Value::Array(_) | Value::Tag(..))) => {
                vec![plain("wrapped", &inner, depth)]
            }
            _ => return Outline::leaf(name, show_bytes(bytes)),
        },
        other => return Outline::leaf(name, show(other)),
    };
    Outline::new(name, "", parts)
}

fn envelope(name: &str, tree: &EnvelopeTree<'_>) -> Outline {
    let parts = tree.members.iter().map(|member| match member.key {
        MemberKey::Element(EnvelopeElement::AuthenticationWrapper) => {
            let blocks = tree.blocks.iter().map(|block| cose::message("signature", block.bytes));
            let parts = [digest("manifest digest", &tree.digest)].into_iter().chain(blocks).collect();
            Outline::new("authentication-wrapper (2)", "", parts)
        }
        MemberKey::Element(EnvelopeElement::Manifest) => {
            Outline::new("manifest (3)", "", manifest(&tree.manifest))
        }
        MemberKey::Element(element) => {
            let name = format!("severed {}", names::envelope(element.number().into()));
            let shown = ManifestElement::from_number(element.number())
                .and_then(|element| content_of(&tree.manifest, element, &name));
            shown.unwrap_or_else(|| Outline::leaf(name, show_bytes(member.value.bytes)))
        }
        MemberKey::Uri(uri) => match tree.integrated(uri) {
            Some(member) => integrated(member),
            None => Outline::leaf(format!("{uri:?}"), show_bytes(member.value.bytes)),
        },
    });
    Outline::new(name, "", parts.collect())
}

fn integrated(member: &Integrated<'_>) -> Outline {
    // A dependency is an envelope itself (suit-trust-domains section 8.1.1).
    let parts = match &member.envelope {
        Some(Ok(tree)) => vec![envelope("SUIT envelope (tag 107)", tree)],
        Some(Err(_)) | None => Vec::new(),
    };
    let content = member.content.bytes;
    let value = format!("{} bytes, integrated, SHA-256 {}", content.len(), values::sha256(content));
    Outline::new(format!("{:?}", member.uri), value, parts)
}

fn digest(name: impl Into<String>, digest: &AnyDigest<'_>) -> Outline {
    let algorithm = names::digest(digest.algorithm().number().into());
    Outline::leaf(name, format!("{algorithm} {}", values::hex(digest.bytes())))
}

/// The elements of a manifest, in the order of the file.
fn manifest(tree: &ManifestTree<'_>) -> Vec<Outline> {
    use ManifestElement as Element;
    let named = |element: Element| names::manifest(element.number().into());
    let mut parts = vec![
        (Element::Version, Outline::leaf(named(Element::Version), "1")),
        (
            Element::SequenceNumber,
            Outline::leaf(named(Element::SequenceNumber), tree.sequence_number.to_string()),
        ),
        (Element::Common, Outline::new(named(Element::Common), "", common(tree))),
    ];
    let reference = tree.reference_uri.map(|uri| (Element::ReferenceUri, format!("{uri:?}")));
    let id = tree.component_id.as_ref().map(|id| (Element::ComponentId, identifier(id)));
    let version = tree.set_version.map(|version| (Element::SetVersion, values::version(version.numbers())));
    for (element, value) in [reference, id, version].into_iter().flatten() {
        parts.push((element, Outline::leaf(named(element), value)));
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
            Some(severed) => digest(format!("{name}, severed"), severed),
            None => content_of(tree, element, &name).unwrap_or_else(|| Outline::leaf(name, "")),
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
fn content_of(tree: &ManifestTree<'_>, element: ManifestElement, name: &str) -> Option<Outline> {
    Some(match element {
        ManifestElement::Text => {
            let content = tree.text.as_ref()?.content()?;
            match texts(tree) {
                Some(parts) => Outline::new(name, "", parts),
                None => as_cbor(name, content.bytes),
            }
        }
        ManifestElement::Coswid => as_cbor(name, tree.coswid.as_ref()?.content()?.bytes),
        sequence => Outline::new(name, "", commands(tree.section(sequence)?)),
    })
}

fn as_cbor(name: &str, bytes: &[u8]) -> Outline {
    match values::decode(bytes) {
        Some(value) => plain(name, &value, MAX_DEPTH),
        None => Outline::leaf(name, format!("not readable as CBOR: {}", show_bytes(bytes))),
    }
}

fn common(tree: &ManifestTree<'_>) -> Vec<Outline> {
    let mut parts = Vec::new();
    if !tree.dependencies.is_empty() {
        // suit-trust-domains section 5.2.2: an index, and the prefix if there is one.
        let dependencies = tree.dependencies.iter().map(|dependency| {
            let prefix = dependency.prefix.as_ref().map(|prefix| format!("prefix {}", identifier(prefix)));
            Outline::leaf(format!("dependency in component {}", dependency.index), prefix.unwrap_or_default())
        });
        parts.push(Outline::new("dependencies (1)", "", dependencies.collect()));
    }
    if !tree.components.is_empty() {
        let components = tree.components.iter().enumerate();
        let components =
            components.map(|(index, id)| Outline::leaf(format!("component {index}"), identifier(id)));
        parts.push(Outline::new("components (2)", "", components.collect()));
    }
    if let Some(shared) = &tree.shared {
        parts.push(Outline::new("shared-sequence (4)", "", commands(shared)));
    }
    parts
}

/// A component identifier, its byte strings as text where they are printable.
fn identifier(segments: &[&[u8]]) -> String {
    let segment = |bytes: &&[u8]| match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && trust::is_printable(text) => format!("{text:?}"),
        _ => values::hex(bytes),
    };
    segments.iter().map(segment).collect::<Vec<_>>().join(" / ")
}

/// The texts by language; `None` where they are not of their form.
fn texts(tree: &ManifestTree<'_>) -> Option<Vec<Outline>> {
    let mut languages: Vec<Outline> = Vec::new();
    for entry in tree.texts().ok()? {
        let mut path = vec![format!("{:?}", entry.language)];
        let key = match entry.component {
            None => names::manifest_text(entry.key.into()),
            Some(index) => {
                let id = tree.components.get(usize::try_from(index).ok()?)?;
                path.push(format!("component {}", identifier(id)));
                names::component_text(entry.key.into())
            }
        };
        add(&mut languages, &path, Outline::leaf(key, format!("{:?}", entry.text)));
    }
    Some(languages)
}

/// Adds a leaf below the last part of each name, which is made where it is not the last one.
fn add(parts: &mut Vec<Outline>, path: &[String], leaf: Outline) {
    let Some((name, rest)) = path.split_first() else { return parts.push(leaf) };
    if parts.last().is_none_or(|last| last.name != *name) {
        parts.push(Outline::new(name, "", Vec::new()));
    }
    if let Some(last) = parts.last_mut() {
        add(&mut last.parts, rest, leaf);
    }
}

fn commands(commands: &[CommandTree<'_>]) -> Vec<Outline> {
    commands.iter().map(command).collect()
}

fn command(command: &CommandTree<'_>) -> Outline {
    let name = names::command(command.code.into());
    match &command.argument {
        ArgumentTree::Policy(policy) => Outline::leaf(name, policy.to_string()),
        ArgumentTree::Index(IndexTree::One(index)) => Outline::leaf(name, index.to_string()),
        ArgumentTree::Index(IndexTree::All) => Outline::leaf(name, "true"),
        ArgumentTree::Index(IndexTree::List(indices)) => Outline::leaf(name, format!("{indices:?}")),
        ArgumentTree::Parameters(entries) => Outline::new(name, "", parameters(entries)),
        ArgumentTree::ByComponent(components) => {
            let component = |(index, entries): &(u64, Vec<ParameterTree<'_>>)| {
                Outline::new(format!("component {index}"), "", parameters(entries))
            };
            Outline::new(name, "", components.iter().map(component).collect())
        }
        ArgumentTree::Keys(components) => {
            let component = |(index, keys): &(u64, Vec<i64>)| {
                let keys: Vec<_> = keys.iter().map(|key| names::parameter((*key).into())).collect();
                Outline::leaf(format!("from component {index}"), keys.join(", "))
            };
            Outline::new(name, "", components.iter().map(component).collect())
        }
        ArgumentTree::Sequence(inner) => Outline::new(name, "", commands(inner)),
        ArgumentTree::Alternatives(sequences) => {
            let sequence = |(index, sequence): (usize, &Option<Vec<CommandTree<'_>>>)| {
                let name = format!("sequence {index}");
                match sequence {
                    Some(inner) => Outline::new(name, "", commands(inner)),
                    None => Outline::leaf(name, "null"),
                }
            };
            Outline::new(name, "", sequences.iter().enumerate().map(sequence).collect())
        }
        ArgumentTree::Custom(argument) => as_cbor(&name, argument.bytes),
    }
}

fn parameters(parameters: &[ParameterTree<'_>]) -> Vec<Outline> {
    parameters.iter().map(values::parameter).collect()
}
