//! The structure of any SUIT envelope or manifest, as far as it can be read: for people who look at files of others.
//! Nothing is checked, and nothing here is used to decide anything; [`super::inspect`] and the verifiers do that.

mod names;

use ciborium::Value;

use crate::limits::MAX_DEPENDENCY_DEPTH;

/// Deepest nesting of byte strings that are opened.
const MAX_DEPTH: u8 = 16;
/// Bytes of a byte string that are shown.
const MAX_SHOWN: usize = 64;

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

    fn leaf(name: impl Into<String>, value: &Value) -> Self {
        Self::new(name, show(value), Vec::new())
    }

    fn unreadable(name: impl Into<String>, bytes: &[u8]) -> Self {
        Self::new(name, format!("not readable as CBOR: {}", show_bytes(bytes)), Vec::new())
    }
}

/// Outlines an envelope (tag 107, or a map without a tag) or a bare manifest (tag 1070). `None`: it is neither.
#[must_use]
pub fn outline(file: &[u8]) -> Option<Outline> {
    outline_at(file, MAX_DEPENDENCY_DEPTH)
}

fn outline_at(file: &[u8], depth: usize) -> Option<Outline> {
    match decode(file)? {
        Value::Tag(TAG_ENVELOPE, content) => Some(envelope("SUIT envelope (tag 107)", &content, depth)),
        Value::Tag(TAG_MANIFEST, content) => Some(manifest("bare SUIT manifest (tag 1070)", &content)),
        // Wrapper and manifest, both wrapped: old tools write envelopes without their tag.
        content @ Value::Map(_)
            if holds(&content, 2, Value::is_array) && holds(&content, 3, Value::is_map) =>
        {
            Some(envelope("SUIT envelope without its tag", &content, depth))
        }
        _ => None,
    }
}

/// Whether member `wanted` of a map wraps an item of a kind.
fn holds(map: &Value, wanted: i128, is_kind: fn(&Value) -> bool) -> bool {
    let entries = map.as_map().map(Vec::as_slice).unwrap_or_default();
    let member = entries.iter().find(|(key, _)| integer(key) == Some(wanted));
    member.and_then(|(_, value)| decode(value.as_bytes()?)).is_some_and(|value| is_kind(&value))
}

/// One whole item.
fn decode(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    let value = ciborium::from_reader(&mut rest).ok()?;
    rest.is_empty().then_some(value)
}

fn integer(value: &Value) -> Option<i128> {
    value.as_integer().map(Into::into)
}

fn envelope(name: &str, content: &Value, depth: usize) -> Outline {
    let Some(entries) = content.as_map() else { return Outline::leaf(name, content) };
    let member = |(key, value): &(Value, Value)| match (integer(key), value) {
        (Some(2), Value::Bytes(bytes)) => wrapped("authentication-wrapper (2)", bytes, authentication),
        (Some(3), Value::Bytes(bytes)) => wrapped("manifest (3)", bytes, manifest),
        (Some(number), Value::Bytes(bytes)) => {
            let name = format!("severed {}", names::envelope(number));
            wrapped(&name, bytes, |name, value| element(name, number, value))
        }
        (None, Value::Bytes(bytes)) => {
            // A dependency is an envelope itself (suit-trust-domains section 8.1.1).
            let parts = depth.checked_sub(1).and_then(|depth| outline_at(bytes, depth));
            let value = format!("{} bytes, integrated", bytes.len());
            Outline::new(show(key), value, parts.into_iter().collect())
        }
        _ => Outline::leaf(show(key), value),
    };
    Outline::new(name, "", entries.iter().map(member).collect())
}

/// The content of a byte string, read by `read`.
fn wrapped(name: &str, bytes: &[u8], read: impl FnOnce(&str, &Value) -> Outline) -> Outline {
    decode(bytes).map_or_else(|| Outline::unreadable(name, bytes), |value| read(name, &value))
}

fn authentication(name: &str, value: &Value) -> Outline {
    let Some(items) = value.as_array() else { return Outline::leaf(name, value) };
    let part = |(index, item): (usize, &Value)| match item {
        Value::Bytes(bytes) if index == 0 => wrapped("manifest digest", bytes, digest),
        Value::Bytes(bytes) => wrapped("signature", bytes, cose),
        _ => Outline::leaf("signature", item),
    };
    Outline::new(name, "", items.iter().enumerate().map(part).collect())
}

fn digest(name: &str, value: &Value) -> Outline {
    match value.as_array().map(Vec::as_slice) {
        Some([algorithm, Value::Bytes(bytes)]) => {
            let algorithm = integer(algorithm).map_or_else(|| show(algorithm), names::digest);
            Outline::new(name, format!("{algorithm} {}", hex(bytes)), Vec::new())
        }
        _ => Outline::leaf(name, value),
    }
}

fn cose(_: &str, value: &Value) -> Outline {
    let (name, content) = match value {
        Value::Tag(tag, content) => (names::cose(*tag), content.as_ref()),
        untagged => ("COSE without a tag".to_owned(), untagged),
    };
    let Some(items) = content.as_array() else { return Outline::leaf(name, content) };
    let mut parts = Vec::new();
    if let Some(Value::Bytes(protected)) = items.first() {
        match decode(protected) {
            Some(Value::Map(entries)) => parts.extend(entries.iter().map(|entry| header("protected", entry))),
            Some(other) => parts.push(Outline::leaf("protected", &other)),
            // RFC 9052 section 3: no headers are an empty string.
            None if protected.is_empty() => {}
            None => parts.push(Outline::unreadable("protected", protected)),
        }
    }
    if let Some(Value::Map(entries)) = items.get(1) {
        parts.extend(entries.iter().map(|entry| header("unprotected", entry)));
    }
    parts.extend(items.iter().skip(2).filter(|item| !item.is_null()).map(|item| match item {
        Value::Bytes(bytes) => Outline::new("bytes", show_bytes(bytes), Vec::new()),
        // Recipients, or the signatures of several signers: messages without a tag.
        Value::Array(messages) => {
            let part = |message: &Value| Outline { name: "message".to_owned(), ..cose("", message) };
            Outline::new("messages", "", messages.iter().map(part).collect())
        }
        other => Outline::leaf("item", other),
    }));
    Outline::new(name, "", parts)
}

fn header(place: &str, (key, value): &(Value, Value)) -> Outline {
    let name = integer(key).map_or_else(|| show(key), names::header);
    let name = format!("{place} {name}");
    match (integer(key), integer(value)) {
        (Some(1), Some(algorithm)) => Outline::new(name, names::algorithm(algorithm), Vec::new()),
        _ => Outline::leaf(name, value),
    }
}

fn manifest(name: &str, value: &Value) -> Outline {
    let Some(entries) = value.as_map() else { return Outline::leaf(name, value) };
    let part = |(key, value): &(Value, Value)| match integer(key) {
        Some(number) => element(&names::manifest(number), number, value),
        None => Outline::leaf(show(key), value),
    };
    Outline::new(name, "", entries.iter().map(part).collect())
}

/// Element `number` of a manifest, in place or severed; an array in the place of a severable one is its digest.
fn element(name: &str, number: i128, value: &Value) -> Outline {
    let is_sequence = names::is_sequence(number);
    // SUIT_Digest is an algorithm and a byte string; a sequence has numbers first and second, or text.
    let is_digest = |items: &[Value]| matches!(items, [Value::Integer(_), Value::Bytes(_)]);
    match (number, value) {
        (3, Value::Bytes(bytes)) => wrapped(name, bytes, common),
        (14 | 23, Value::Array(items)) if is_digest(items) => digest(&format!("{name}, severed"), value),
        (23, Value::Bytes(bytes)) => wrapped(name, bytes, text),
        (23, Value::Map(_)) => text(name, value),
        (5, Value::Array(_)) => Outline::new(name, identifier(value), Vec::new()),
        (6, Value::Bytes(bytes)) => {
            wrapped(name, bytes, |name, value| Outline::new(name, version(value), Vec::new()))
        }
        (_, Value::Array(items)) if is_sequence && is_digest(items) => {
            digest(&format!("{name}, severed"), value)
        }
        (_, Value::Bytes(bytes)) if is_sequence => {
            wrapped(name, bytes, |name, value| sequence(name, value, MAX_DEPTH))
        }
        (_, Value::Array(_)) if is_sequence => sequence(name, value, MAX_DEPTH),
        _ => Outline::leaf(name, value),
    }
}

fn common(name: &str, value: &Value) -> Outline {
    let Some(entries) = value.as_map() else { return Outline::leaf(name, value) };
    let part = |(key, value): &(Value, Value)| match (integer(key), value) {
        (Some(1), Value::Map(entries)) => {
            // suit-trust-domains section 5.2.2: an index, and the prefix if there is one.
            let dependency = |(key, value): &(Value, Value)| {
                let prefix = value.as_map().and_then(|metadata| metadata.first());
                let name = format!("dependency in component {}", show(key));
                match prefix {
                    Some((key, prefix)) if integer(key) == Some(1) => {
                        Outline::new(name, format!("prefix {}", identifier(prefix)), Vec::new())
                    }
                    None => Outline::new(name, "", Vec::new()),
                    Some(_) => Outline::leaf(name, value),
                }
            };
            Outline::new("dependencies (1)", "", entries.iter().map(dependency).collect())
        }
        (Some(2), Value::Array(components)) => {
            let component =
                |(index, id)| Outline::new(format!("component {index}"), identifier(id), Vec::new());
            Outline::new("components (2)", "", components.iter().enumerate().map(component).collect())
        }
        (Some(4), Value::Bytes(bytes)) => {
            wrapped("shared-sequence (4)", bytes, |name, value| sequence(name, value, MAX_DEPTH))
        }
        _ => Outline::leaf(show(key), value),
    };
    Outline::new(name, "", entries.iter().map(part).collect())
}

/// A component identifier, its byte strings as text where they are printable.
fn identifier(value: &Value) -> String {
    let part = |value: &Value| match value {
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.is_empty() && trust::is_printable(text) => format!("{text:?}"),
            _ => hex(bytes),
        },
        other => show(other),
    };
    match value.as_array() {
        Some(parts) => parts.iter().map(part).collect::<Vec<_>>().join(" / "),
        None => show(value),
    }
}

/// A flat array of commands and their arguments.
fn sequence(name: &str, value: &Value, depth: u8) -> Outline {
    let Some(items) = value.as_array() else { return Outline::leaf(name, value) };
    let command = |pair: &[Value]| match pair {
        [code, argument] => match integer(code) {
            Some(number) => self::command(number, argument, depth),
            None => Outline::leaf(show(code), argument),
        },
        rest => Outline::new(
            "a command without its argument",
            rest.iter().map(show).collect::<String>(),
            Vec::new(),
        ),
    };
    Outline::new(name, "", items.chunks(2).map(command).collect())
}

fn command(number: i128, argument: &Value, depth: u8) -> Outline {
    let name = names::command(number);
    let Some(depth) = depth.checked_sub(1) else { return Outline::leaf(name, argument) };
    match (number, argument) {
        (19 | 20, Value::Map(entries)) => Outline::new(name, "", entries.iter().map(parameter).collect()),
        (15, Value::Array(branches)) => {
            let branch = |(index, branch): (usize, &Value)| {
                let name = format!("sequence {index}");
                match branch {
                    Value::Bytes(bytes) => wrapped(&name, bytes, |name, value| sequence(name, value, depth)),
                    other => Outline::leaf(name, other),
                }
            };
            Outline::new(name, "", branches.iter().enumerate().map(branch).collect())
        }
        (34, Value::Map(components)) => {
            let component = |(index, parameters): &(Value, Value)| {
                let parts = parameters.as_map().map(|entries| entries.iter().map(parameter).collect());
                Outline::new(format!("component {}", show(index)), "", parts.unwrap_or_default())
            };
            Outline::new(name, "", components.iter().map(component).collect())
        }
        (35, Value::Map(components)) => {
            let component = |(index, keys): &(Value, Value)| {
                let key = |key: &Value| integer(key).map_or_else(|| show(key), names::parameter);
                let keys = keys.as_array().map(|keys| keys.iter().map(key).collect::<Vec<_>>().join(", "));
                Outline::new(format!("from component {}", show(index)), keys.unwrap_or_default(), Vec::new())
            };
            Outline::new(name, "", components.iter().map(component).collect())
        }
        (32, Value::Bytes(bytes)) => wrapped(&name, bytes, |name, value| sequence(name, value, depth)),
        _ => Outline::leaf(name, argument),
    }
}

fn parameter((key, value): &(Value, Value)) -> Outline {
    let name = integer(key).map_or_else(|| show(key), names::parameter);
    match (integer(key), value) {
        (Some(1 | 2 | 24), Value::Bytes(bytes)) if bytes.len() == 16 => {
            Outline::new(name, uuid(bytes), Vec::new())
        }
        (Some(3), Value::Bytes(bytes)) => wrapped(&name, bytes, digest),
        (Some(19), Value::Bytes(bytes)) => {
            wrapped(&name, bytes, |name, value| Outline::new(name, "", vec![cose("", value)]))
        }
        (Some(28), Value::Bytes(bytes)) => {
            wrapped(&name, bytes, |name, value| Outline::new(name, version_match(value), Vec::new()))
        }
        (Some(29), Value::Bytes(bytes)) => {
            wrapped(&name, bytes, |name, value| entries(name, value, names::wait_event))
        }
        (Some(30), Value::Bytes(bytes)) => {
            wrapped(&name, bytes, |name, value| entries(name, value, names::metadata))
        }
        _ => Outline::leaf(name, value),
    }
}

/// A map whose keys have names.
fn entries(name: &str, value: &Value, key_name: fn(i128) -> String) -> Outline {
    let Some(entries) = value.as_map() else { return Outline::leaf(name, value) };
    let entry = |(key, value): &(Value, Value)| {
        Outline::leaf(integer(key).map_or_else(|| show(key), key_name), value)
    };
    Outline::new(name, "", entries.iter().map(entry).collect())
}

/// A version: its numbers, with dots. Pre-releases are negative (suit-update-management section 4.4.1).
fn version(value: &Value) -> String {
    let number = |value: &Value| match integer(value) {
        Some(-1) => "rc".to_owned(),
        Some(-2) => "beta".to_owned(),
        Some(-3) => "alpha".to_owned(),
        _ => show(value),
    };
    match value.as_array() {
        Some(numbers) => numbers.iter().map(number).collect::<Vec<_>>().join("."),
        None => show(value),
    }
}

fn version_match(value: &Value) -> String {
    match value.as_array().map(Vec::as_slice) {
        Some([comparison, wanted]) => {
            let name = integer(comparison).map_or_else(|| show(comparison), names::comparison);
            format!("{name} {}", version(wanted))
        }
        _ => show(value),
    }
}

fn text(name: &str, value: &Value) -> Outline {
    let Some(languages) = value.as_map() else { return Outline::leaf(name, value) };
    let entry = |(key, value): &(Value, Value), name: fn(i128) -> String| {
        Outline::leaf(integer(key).map_or_else(|| show(key), name), value)
    };
    let of_language = |(key, value): &(Value, Value)| match (key, value) {
        (Value::Array(_), Value::Map(entries)) => {
            let parts = entries.iter().map(|part| entry(part, names::component_text)).collect();
            Outline::new(format!("component {}", identifier(key)), "", parts)
        }
        _ => entry(&(key.clone(), value.clone()), names::manifest_text),
    };
    let language = |(key, value): &(Value, Value)| match value.as_map() {
        Some(entries) => Outline::new(show(key), "", entries.iter().map(of_language).collect()),
        None => Outline::leaf(show(key), value),
    };
    Outline::new(name, "", languages.iter().map(language).collect())
}

/// A value in the notation of RFC 8949 section 8, long byte strings cut.
fn show(value: &Value) -> String {
    match value {
        Value::Integer(number) => i128::from(*number).to_string(),
        Value::Bytes(bytes) => show_bytes(bytes),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Bool(value) => value.to_string(),
        Value::Null => "null".to_owned(),
        Value::Tag(tag, content) => format!("{tag}({})", show(content)),
        Value::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entry = |(key, value): &(Value, Value)| format!("{}: {}", show(key), show(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        _ => "a value of another kind".to_owned(),
    }
}

fn show_bytes(bytes: &[u8]) -> String {
    match bytes.get(..MAX_SHOWN) {
        Some(start) if bytes.len() > MAX_SHOWN => format!("{}... ({} bytes)", hex(start), bytes.len()),
        _ => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn uuid(bytes: &[u8]) -> String {
    let text = hex(bytes);
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}
