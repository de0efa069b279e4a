//! Diagnostic notation, RFC 8949 section 8 (EDN), so exact that it leads back to the very bytes: for people who compare,
//! and tools that make files of it.
//!
//! A byte string that holds one map, array or tagged item is opened, `<<...>>` (RFC 8610 appendix G.3): the notation
//! means the bytes within, so that this needs no knowledge of the format, and is right whatever the bytes are for.
//! Encodings other than the deterministic one would need encoding indicators; a file with one has no notation here.

use std::fmt::Write as _;

use ciborium::Value;

use super::encode;

/// Byte strings inside each other that are opened.
const MAX_OPENED: u8 = 16;
/// Items inside each other within one of them.
const MAX_NESTING: usize = 64;
const INDENT: &str = "  ";

/// The notation of a file that is one item of CBOR; `None` for any other file, for one that is not in deterministic
/// encoding, and for one that is nested more than 64 deep.
#[must_use]
pub fn diagnostic_notation(file: &[u8]) -> Option<String> {
    let mut out = String::new();
    item(&mut out, &exact(file)?, 0, MAX_OPENED);
    Some(out)
}

/// The one item that these bytes are, if it encodes to them again.
fn exact(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    let value: Value = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_NESTING).ok()?;
    (rest.is_empty() && encode(&value).is_ok_and(|again| again == bytes)).then_some(value)
}

fn item(out: &mut String, value: &Value, depth: usize, opened_left: u8) {
    match value {
        Value::Integer(number) => push(out, format_args!("{}", i128::from(*number))),
        Value::Bool(value) => push(out, format_args!("{value}")),
        Value::Float(number) => float(out, *number),
        Value::Text(text) => quoted(out, text),
        Value::Bytes(bytes) => byte_string(out, bytes, depth, opened_left),
        Value::Tag(tag, content) => {
            push(out, format_args!("{tag}("));
            item(out, content, depth, opened_left);
            out.push(')');
        }
        Value::Array(items) => list(out, ['[', ']'], items, depth, |out, one| {
            item(out, one, depth.saturating_add(1), opened_left);
        }),
        Value::Map(entries) => list(out, ['{', '}'], entries, depth, |out, (key, value)| {
            item(out, key, depth.saturating_add(1), opened_left);
            out.push_str(": ");
            item(out, value, depth.saturating_add(1), opened_left);
        }),
        // ciborium has no other kinds; null is what is left.
        _ => out.push_str("null"),
    }
}

/// Short lists of numbers stand on one line, everything else has a line for each.
fn list<T>(
    out: &mut String,
    [open, close]: [char; 2],
    items: &[T],
    depth: usize,
    each: impl Fn(&mut String, &T),
) {
    out.push(open);
    for (index, one) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        line(out, depth.saturating_add(1));
        each(out, one);
    }
    if !items.is_empty() {
        line(out, depth);
    }
    out.push(close);
}

fn byte_string(out: &mut String, bytes: &[u8], depth: usize, opened_left: u8) {
    let inner = opened_left.checked_sub(1).and_then(|left| Some((exact(bytes)?, left)));
    match inner {
        Some((inner @ (Value::Map(_) | Value::Array(_) | Value::Tag(..)), left)) => {
            out.push_str("<<");
            item(out, &inner, depth, left);
            out.push_str(">>");
        }
        _ => {
            out.push_str("h'");
            bytes.iter().for_each(|byte| push(out, format_args!("{byte:02x}")));
            out.push('\'');
        }
    }
}

fn float(out: &mut String, number: f64) {
    if number.is_nan() {
        out.push_str("NaN");
    } else if number.is_infinite() {
        out.push_str(if number < 0.0 { "-Infinity" } else { "Infinity" });
    } else {
        // With a point or an exponent, which tells it from an integer.
        push(out, format_args!("{number:?}"));
    }
}

/// As in JSON (RFC 8259 section 7); what a terminal would not show as it is has a number.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            '\n' => out.push_str("\\n"),
            shown if shown.is_ascii_graphic() || shown == ' ' || shown.is_alphanumeric() => out.push(shown),
            hidden => {
                for unit in hidden.encode_utf16(&mut [0; 2]) {
                    push(out, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    (0..depth).for_each(|_| out.push_str(INDENT));
}

fn push(out: &mut String, what: std::fmt::Arguments<'_>) {
    // A string takes everything.
    let _taken = out.write_fmt(what);
}
