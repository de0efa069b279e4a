//! CBOR that is not read as SUIT, as it stands: each item is read once, and no more of them than there is room for.

use ciborium_ll::{Header, simple};

use super::super::items::{Items, float, negative};
use super::Outline;
use super::room::Room;
use super::values::{byte_string, decode, sha256, show, show_text};
use crate::limits::MAX_ENVELOPE_LEN;

/// Deepest nesting that is shown.
const MAX_DEPTH: u8 = 16;
/// Deepest nesting of what is shown in one line.
const MAX_NESTING: usize = 256;
/// Bytes of CBOR that are shown in one line.
const MAX_LINE: usize = 1024;
/// Ends a list that has no length (RFC 8949 section 3.2.1).
const BREAK: u8 = 0xff;

/// Bytes that are one item; `None` of others.
pub(super) fn plain(room: &Room, name: impl Into<String>, bytes: &[u8]) -> Option<Outline> {
    whole(room, name.into(), bytes, MAX_DEPTH)
}

fn whole(room: &Room, name: String, bytes: &[u8], depth: u8) -> Option<Outline> {
    let items = &mut Items::of(bytes);
    let shown = item(room, name, items, depth)?;
    // Without room nothing is read to its end.
    (items.left().is_empty() || room.is_full()).then_some(shown)
}

/// The next item with what is in it; byte strings that hold CBOR are opened.
fn item(room: &Room, name: String, items: &mut Items<'_>, depth: u8) -> Option<Outline> {
    let Some(depth) = depth.checked_sub(1) else { return Some(room.leaf(name, line(room, items)?)) };
    let (header, _) = items.head()?;
    let value = match header {
        Header::Positive(number) => number.to_string(),
        Header::Negative(number) => negative(number).to_string(),
        Header::Float(number) => float(number),
        Header::Simple(value) => simple_value(value),
        Header::Text(len) => show_text(&items.text(len)?),
        Header::Bytes(len) => {
            let bytes = items.bytes(len)?;
            match opened(room, &bytes, depth) {
                Some(inner) => return Some(room.element(name, "", vec![inner])),
                None => byte_string(&bytes),
            }
        }
        Header::Array(len) => {
            let parts = list(room, items, len, |items, index| item(room, index.to_string(), items, depth))?;
            return Some(room.element(name, counted("array", len), parts));
        }
        Header::Map(len) => {
            let parts = list(room, items, len, |items, _| {
                let key = line(room, items)?;
                item(room, key, items, depth)
            })?;
            return Some(room.element(name, counted("map", len), parts));
        }
        Header::Tag(tag) => {
            let content =
                list(room, items, Some(1), |items, _| item(room, format!("tag {tag}"), items, depth))?;
            return Some(room.element(name, "", content));
        }
        Header::Break => return None,
    };
    Some(room.leaf(name, value))
}

/// What a list is, which tells an array from a map with numbers as keys.
fn counted(list: &str, len: Option<usize>) -> String {
    len.map_or_else(|| list.to_owned(), |len| format!("{list} of {len}"))
}

/// RFC 8949 section 3.3
fn simple_value(value: u8) -> String {
    match value {
        simple::FALSE => "false".to_owned(),
        simple::TRUE => "true".to_owned(),
        simple::NULL => "null".to_owned(),
        simple::UNDEFINED => "undefined".to_owned(),
        other => format!("simple({other})"),
    }
}

fn list<'a>(
    room: &Room,
    items: &mut Items<'a>,
    len: Option<usize>,
    mut each: impl FnMut(&mut Items<'a>, usize) -> Option<Outline>,
) -> Option<Vec<Outline>> {
    let mut parts = Vec::new();
    for index in 0..len.unwrap_or(usize::MAX) {
        if len.is_none() && items.left().first() == Some(&BREAK) {
            items.head()?;
            break;
        }
        let part = if room.is_full() { None } else { each(items, index) };
        match part {
            Some(part) => parts.push(part),
            // Nothing was left to look at it with.
            None if room.is_full() => {
                parts.push(room.left_out(len.map(|len| len.saturating_sub(index))));
                break;
            }
            None => return None,
        }
    }
    Some(parts)
}

/// A byte string that holds one map, array or tagged item; none of SUIT that is longer than an envelope without images.
fn opened(room: &Room, bytes: &[u8], depth: u8) -> Option<Outline> {
    let is_list = matches!(Items::of(bytes).head()?.0, Header::Map(_) | Header::Array(_) | Header::Tag(_));
    match is_list && bytes.len() <= MAX_ENVELOPE_LEN {
        true => whole(room, "wrapped".to_owned(), bytes, depth),
        false => None,
    }
}

/// The next item in one line.
fn line(room: &Room, items: &mut Items<'_>) -> Option<String> {
    let before = items.left();
    skip(room, items)?;
    let bytes = before.get(..before.len().saturating_sub(items.left().len()))?;
    match bytes.len() <= MAX_LINE {
        true => decode(bytes).as_ref().map(show),
        false => Some(format!("CBOR of {} bytes, SHA-256 {}", bytes.len(), sha256(bytes))),
    }
}

/// Steps over an item.
fn skip(room: &Room, items: &mut Items<'_>) -> Option<()> {
    // Of each list that is open: the items that it still has, if it has a length.
    let mut open = vec![Some(1usize)];
    while let Some(left) = open.last_mut() {
        let is_over = match left {
            Some(left) => *left == 0,
            None => items.left().first() == Some(&BREAK),
        };
        if is_over {
            if left.is_none() {
                items.head()?;
            }
            open.pop();
            continue;
        }
        *left = left.map(|left| left.saturating_sub(1));
        if !room.take_item() || open.len() > MAX_NESTING {
            return None;
        }
        match items.head()?.0 {
            Header::Array(len) => open.push(len),
            Header::Map(len) => open.push(len.map(|len| len.saturating_mul(2))),
            Header::Tag(_) => open.push(Some(1)),
            Header::Bytes(len) => drop(items.bytes(len)?),
            Header::Text(len) => drop(items.text(len)?),
            Header::Positive(_) | Header::Negative(_) | Header::Float(_) | Header::Simple(_) => {}
            Header::Break => return None,
        }
    }
    Some(())
}
