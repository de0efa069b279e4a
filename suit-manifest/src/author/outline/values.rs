//! Values of parameters, and plain CBOR, in words.

use ciborium::Value;

use super::super::items::float;
use super::super::tree::ParameterTree;
use super::room::Room;
use super::{Outline, as_cbor, cose, digest, names};
use crate::argument::{ParameterValue, VendorId, VersionMatch, WaitEvent};

/// Bytes of a byte string that are shown.
const MAX_SHOWN: usize = 64;
/// Bytes of a text that are shown: those of the longest release notes (docs/manifest-tool.md).
const MAX_TEXT_SHOWN: usize = 4096;
/// Bytes of the words about a rest.
const MAX_REST: usize = 128;

pub(super) fn parameter(room: &Room, parameter: &ParameterTree<'_>) -> Outline {
    let name = names::parameter(parameter.key.into());
    let value = match &parameter.value {
        ParameterValue::VendorId(VendorId::Uuid(id))
        | ParameterValue::ClassId(id)
        | ParameterValue::DeviceId(id) => uuid(id),
        ParameterValue::VendorId(VendorId::Pen(number)) => format!("112({})", hex(number)),
        ParameterValue::ImageDigest(image) => return digest(room, name, image),
        ParameterValue::UseBefore(number)
        | ParameterValue::ComponentSlot(number)
        | ParameterValue::ImageSize(number)
        | ParameterValue::SourceComponent(number)
        | ParameterValue::MinimumBattery(number) => number.to_string(),
        ParameterValue::UpdatePriority(number) => number.to_string(),
        ParameterValue::StrictOrder(value) | ParameterValue::SoftFailure(value) => value.to_string(),
        ParameterValue::Content(bytes)
        | ParameterValue::InvokeArgs(bytes)
        | ParameterValue::FetchArguments(bytes) => show_bytes(bytes),
        ParameterValue::EncryptionInfo(info) => {
            return room.element(name, "", vec![cose::message(room, "COSE", info.bytes)]);
        }
        ParameterValue::Uri(uri) => format!("{:?}", uri.as_str()),
        ParameterValue::Version(wanted) => version_match(wanted),
        ParameterValue::WaitInfo(info) => {
            return room.element(name, "", room.list(info.events(), |event| wait_event(room, event)));
        }
        ParameterValue::ComponentMetadata(metadata) => {
            return metadata_entries(room, name, metadata.encoded());
        }
        ParameterValue::Custom(value) => return as_cbor(room, name, value.bytes),
    };
    room.leaf(name, value)
}

fn wait_event(room: &Room, event: WaitEvent<'_>) -> Outline {
    let (key, value) = match event {
        WaitEvent::Authorization(number) => (1, number.to_string()),
        WaitEvent::Power(number) => (2, number.to_string()),
        WaitEvent::Network(number) => (3, number.to_string()),
        WaitEvent::OtherDeviceVersion { device, versions } => {
            let versions: Vec<_> = versions.iter().map(|wanted| version_match(&wanted)).collect();
            (4, format!("device {}: {}", hex(device), versions.join(", ")))
        }
        WaitEvent::Time(number) => (5, number.to_string()),
        WaitEvent::TimeOfDay(number) => (6, number.to_string()),
        WaitEvent::DayOfWeek(number) => (7, number.to_string()),
        WaitEvent::TimeOfDayUtc(number) => (8, number.to_string()),
        WaitEvent::DayOfWeekUtc(number) => (9, number.to_string()),
    };
    room.leaf(names::wait_event(key), value)
}

/// SUIT_Component_Metadata, which the whole decoder has read for its form.
fn metadata_entries(room: &Room, name: String, encoded: &[u8]) -> Outline {
    let Some(Value::Map(entries)) = decode(encoded) else { return as_cbor(room, name, encoded) };
    let entry = |(key, value): &(Value, Value)| {
        let key = integer(key).map_or_else(|| show(key), names::metadata);
        room.leaf(key, show(value))
    };
    room.element(name, "", room.list(&entries, entry))
}

fn version_match(wanted: &VersionMatch<'_>) -> String {
    let comparison = names::comparison(wanted.comparison.number().into());
    format!("{comparison} {}", version(wanted.version.numbers()))
}

/// A version: its numbers, with dots. Pre-releases are negative (suit-update-management section 4.4.1).
pub(super) fn version(numbers: impl Iterator<Item = i64>) -> String {
    let number = |number: i64| match number {
        -1 => "rc".to_owned(),
        -2 => "beta".to_owned(),
        -3 => "alpha".to_owned(),
        _ => number.to_string(),
    };
    numbers.map(number).collect::<Vec<_>>().join(".")
}

/// One whole item.
pub(super) fn decode(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    let value = ciborium::from_reader(&mut rest).ok()?;
    rest.is_empty().then_some(value)
}

pub(super) fn integer(value: &Value) -> Option<i128> {
    value.as_integer().map(Into::into)
}

/// A value in the notation of RFC 8949 section 8, which tells types apart; long strings are cut.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Integer(number) => i128::from(*number).to_string(),
        Value::Bytes(bytes) => byte_string(bytes),
        Value::Float(number) => float(*number),
        Value::Text(text) => show_text(text),
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

/// Bytes in hex, where their name says that they are bytes; of a long string the first ones, its length and its SHA-256.
pub(super) fn show_bytes(bytes: &[u8]) -> String {
    let (start, rest) = start_of(bytes);
    format!("{}{rest}", hex(start))
}

/// The same where nothing says so.
pub(super) fn byte_string(bytes: &[u8]) -> String {
    let (start, rest) = start_of(bytes);
    format!("h'{}'{rest}", hex(start))
}

fn start_of(bytes: &[u8]) -> (&[u8], String) {
    match bytes.get(..MAX_SHOWN) {
        Some(start) if bytes.len() > MAX_SHOWN => (start, rest_of(bytes)),
        _ => (bytes, String::new()),
    }
}

/// What stands behind the first bytes.
fn rest_of(bytes: &[u8]) -> String {
    format!("... ({} bytes, SHA-256 {})", bytes.len(), sha256(bytes))
}

/// A text in quotation marks; of a long one the start, its length and its SHA-256.
pub(super) fn show_text(text: &str) -> String {
    match text.len() > MAX_TEXT_SHOWN {
        true => format!("{:?}{}", start_of_text(text, MAX_TEXT_SHOWN), rest_of(text.as_bytes())),
        false => format!("{text:?}"),
    }
}

/// What is shown, but no more than `len` bytes of it, and the words in the place of the rest. What was cut so stays as it
/// is.
pub(super) fn cut(shown: String, len: usize) -> String {
    match shown.len() > len.saturating_add(MAX_REST) {
        true => format!("{}{}", start_of_text(&shown, len), rest_of(shown.as_bytes())),
        false => shown,
    }
}

fn start_of_text(text: &str, len: usize) -> &str {
    text.get(..text.floor_char_boundary(len)).unwrap_or_default()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&trust::sha256(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn uuid(bytes: &[u8; 16]) -> String {
    let text = hex(bytes);
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}
