//! COSE messages (RFC 9052) for people, whatever their algorithms and headers.

use ciborium::Value;

use super::room::Room;
use super::values::{decode, integer, show, show_bytes};
use super::{Outline, names};

/// A message as it stands; `name` names what is not CBOR.
pub(super) fn message(room: &Room, name: &str, bytes: &[u8]) -> Outline {
    match decode(bytes) {
        Some(value) => of(room, &value),
        None => room.leaf(name, format!("not readable as CBOR: {}", show_bytes(bytes))),
    }
}

fn of(room: &Room, value: &Value) -> Outline {
    let (name, content) = match value {
        Value::Tag(tag, content) => (names::cose(*tag), content.as_ref()),
        untagged => ("COSE without a tag".to_owned(), untagged),
    };
    let Some(items) = content.as_array() else { return room.leaf(name, show(content)) };
    let mut parts = Vec::new();
    match items.first() {
        Some(Value::Bytes(protected)) => match decode(protected) {
            Some(Value::Map(entries)) if !entries.is_empty() => {
                parts.extend(room.list(&entries, |entry| header(room, "protected", entry)));
            }
            Some(other) => parts.push(room.leaf("protected", show(&other))),
            // RFC 9052 section 3: no headers are an empty string.
            None if protected.is_empty() => {}
            None => {
                parts
                    .push(room.leaf("protected", format!("not readable as CBOR: {}", show_bytes(protected))));
            }
        },
        Some(other) => parts.push(room.leaf("protected", show(other))),
        None => {}
    }
    match items.get(1) {
        Some(Value::Map(entries)) => {
            parts.extend(room.list(entries, |entry| header(room, "unprotected", entry)));
        }
        Some(other) => parts.push(room.leaf("unprotected", show(other))),
        None => {}
    }
    parts.extend(room.list(items.iter().skip(2), |item| match item {
        Value::Null => room.leaf("payload", "detached"),
        Value::Bytes(bytes) => room.leaf("bytes", show_bytes(bytes)),
        // Recipients, or the signatures of several signers: messages without a tag.
        Value::Array(messages) => {
            let part = |message: &Value| match message {
                Value::Tag(..) => of(room, message),
                untagged => Outline { name: "message".to_owned(), ..of(room, untagged) },
            };
            room.element("messages", "", room.list(messages, part))
        }
        other => room.leaf("item", show(other)),
    }));
    room.element(name, "", parts)
}

fn header(room: &Room, place: &str, (key, value): &(Value, Value)) -> Outline {
    let name = integer(key).map_or_else(|| show(key), names::header);
    let value = match (integer(key), integer(value)) {
        (Some(1), Some(algorithm)) => names::algorithm(algorithm),
        _ => show(value),
    };
    room.leaf(format!("{place} {name}"), value)
}
