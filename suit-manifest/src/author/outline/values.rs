//! Values of parameters, and plain CBOR, in words.

use ciborium::Value;

use super::super::tree::ParameterTree;
use super::{Outline, as_cbor, cose, digest, names};
use crate::argument::{ParameterValue, VendorId, VersionMatch, WaitEvent};

/// Bytes of a byte string that are shown.
const MAX_SHOWN: usize = 64;

pub(super) fn parameter(parameter: &ParameterTree<'_>) -> Outline {
    let name = names::parameter(parameter.key.into());
    let value = match &parameter.value {
        ParameterValue::VendorId(VendorId::Uuid(id))
        | ParameterValue::ClassId(id)
        | ParameterValue::DeviceId(id) => uuid(id),
        ParameterValue::VendorId(VendorId::Pen(number)) => format!("112({})", hex(number)),
        ParameterValue::ImageDigest(image) => return digest(name, image),
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
            return Outline::new(name, "", vec![cose::message("COSE", info.bytes)]);
        }
        ParameterValue::Uri(uri) => format!("{:?}", uri.as_str()),
        ParameterValue::Version(wanted) => version_match(wanted),
        ParameterValue::WaitInfo(info) => {
            return Outline::new(name, "", info.events().map(wait_event).collect());
        }
        ParameterValue::ComponentMetadata(metadata) => return metadata_entries(name, metadata.encoded()),
        ParameterValue::Custom(value) => return as_cbor(&name, value.bytes),
    };
    Outline::new(name, value, Vec::new())
}

fn wait_event(event: WaitEvent<'_>) -> Outline {
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
    Outline::new(names::wait_event(key), value, Vec::new())
}

/// SUIT_Component_Metadata, which the whole decoder has read for its form.
fn metadata_entries(name: String, encoded: &[u8]) -> Outline {
    let Some(Value::Map(entries)) = decode(encoded) else { return as_cbor(&name, encoded) };
    let entry = |(key, value): &(Value, Value)| {
        let key = integer(key).map_or_else(|| show(key), names::metadata);
        Outline::new(key, show(value), Vec::new())
    };
    Outline::new(name, "", entries.iter().map(entry).collect())
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

/// A value in the notation of RFC 8949 section 8, long byte strings cut.
pub(super) fn show(value: &Value) -> String {
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

/// Bytes in hex; of a long string the first ones, its length and its SHA-256.
pub(super) fn show_bytes(bytes: &[u8]) -> String {
    match bytes.get(..MAX_SHOWN) {
        Some(start) if bytes.len() > MAX_SHOWN => {
            format!("{}... ({} bytes, SHA-256 {})", hex(start), bytes.len(), sha256(bytes))
        }
        _ => hex(bytes),
    }
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
