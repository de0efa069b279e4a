//! COSE messages (RFC 9052) for people, whatever their algorithms and headers.

use ciborium::Value;

use super::values::{decode, integer, show, show_bytes};
use super::{Outline, names};

/// A message as it stands; `name` names what is not CBOR.
pub(super) fn message(name: &str, bytes: &[u8]) -> Outline {
    match decode(bytes) {
        Some(value) => of(&value),
        None => Outline::new(name, format!("not readable as CBOR: {}", show_bytes(bytes)), Vec::new()),
    }
}

fn of(value: &Value) -> Outline {
    let (name, content) = match value {
        Value::Tag(tag, content) => (names::cose(*tag), content.as_ref()),
        untagged => ("COSE without a tag".to_owned(), untagged),
    };
    let leaf = |name: &str, value: String| Outline::new(name, value, Vec::new());
    let Some(items) = content.as_array() else { return leaf(&name, show(content)) };
    let mut parts = Vec::new();
    match items.first() {
        Some(Value::Bytes(protected)) => match decode(protected) {
            Some(Value::Map(entries)) if !entries.is_empty() => {
                parts.extend(entries.iter().map(|entry| header("protected", entry)));
            }
            Some(other) => parts.push(leaf("protected", show(&other))),
            // RFC 9052 section 3: no headers are an empty string.
            None if protected.is_empty() => {}
            None => parts.push(leaf("protected", format!("not readable as CBOR: {}", show_bytes(protected)))),
        },
        Some(other) => parts.push(leaf("protected", show(other))),
        None => {}
    }
    match items.get(1) {
        Some(Value::Map(entries)) => parts.extend(entries.iter().map(|entry| header("unprotected", entry))),
        Some(other) => parts.push(leaf("unprotected", show(other))),
        None => {}
    }
    parts.extend(items.iter().skip(2).map(|item| match item {
        Value::Null => leaf("payload", "detached".to_owned()),
        Value::Bytes(bytes) => leaf("bytes", show_bytes(bytes)),
        // Recipients, or the signatures of several signers: messages without a tag.
        Value::Array(messages) => {
            let part = |message: &Value| match message {
                Value::Tag(..) => of(message),
                untagged => Outline { name: "message".to_owned(), ..of(untagged) },
            };
            Outline::new("messages", "", messages.iter().map(part).collect())
        }
        other => leaf("item", show(other)),
    }));
    Outline::new(name, "", parts)
}

fn header(place: &str, (key, value): &(Value, Value)) -> Outline {
    let name = integer(key).map_or_else(|| show(key), names::header);
    let name = format!("{place} {name}");
    let value = match (integer(key), integer(value)) {
        (Some(1), Some(algorithm)) => names::algorithm(algorithm),
        _ => show(value),
    };
    Outline::new(name, value, Vec::new())
}
