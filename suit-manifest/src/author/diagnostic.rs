//! Diagnostic notation, RFC 8949 section 8 (EDN), so exact that it leads back to the very bytes: for people who compare,
//! and tools that make files of it.
//!
//! A byte string that holds one map, array or tagged item is opened, `<<...>>` (RFC 8610 appendix G.3): the notation
//! means the bytes within, so that this needs no knowledge of the format, and is right whatever the bytes are for.
//! Encodings other than the deterministic one would need encoding indicators; a file with one has no notation here.
//!
//! A notation is up to a hundred times as long as its file, where a file nests; so it has a limit, and so has the number
//! of items. Nothing else is built of a file.

use ciborium_ll::{Header, simple};

use super::items::{Items, float, is_deterministic, negative};
use crate::limits::{MAX_NOTATION_ITEMS, MAX_NOTATION_LEN};

/// Byte strings inside each other that are opened.
const MAX_OPENED: u8 = 16;
/// Items inside each other within one of them.
const MAX_NESTING: usize = 64;
const INDENT: &str = "  ";

/// Why a file has no notation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotationError {
    /// It is not one item of CBOR in deterministic encoding, or nested more than 64 deep.
    NotExact,
    /// The notation is longer than [`MAX_NOTATION_LEN`] bytes.
    TooLong,
    /// It has more than [`MAX_NOTATION_ITEMS`] items.
    TooMany,
}

impl std::fmt::Display for NotationError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotExact => write!(f, "it is not CBOR in deterministic encoding, at most 64 levels deep"),
            Self::TooLong => write!(f, "its notation has more than {MAX_NOTATION_LEN} bytes"),
            Self::TooMany => write!(f, "it has more than {MAX_NOTATION_ITEMS} items"),
        }
    }
}

impl std::error::Error for NotationError {}

/// The notation of a file that is one item of CBOR.
///
/// # Errors
/// Each [`NotationError`].
pub fn diagnostic_notation(file: &[u8]) -> Result<String, NotationError> {
    let mut notation = Notation { text: String::new(), items_left: MAX_NOTATION_ITEMS };
    notation.check(file)?;
    notation.item(&mut Items::of(file), 0, MAX_OPENED)?;
    Ok(notation.text)
}

struct Notation {
    text: String,
    items_left: usize,
}

impl Notation {
    /// Whether these bytes are one item, in deterministic encoding.
    fn check(&mut self, bytes: &[u8]) -> Result<(), NotationError> {
        let not_exact = NotationError::NotExact;
        let mut items = Items::of(bytes);
        // Of each list that is open: the items that it still has.
        let mut open = vec![1usize];
        while let Some(left) = open.last_mut() {
            let Some(less) = left.checked_sub(1) else {
                open.pop();
                continue;
            };
            *left = less;
            self.items_left = self.items_left.checked_sub(1).ok_or(NotationError::TooMany)?;
            let (header, _) =
                items.head().filter(|(header, head)| is_deterministic(*header, head)).ok_or(not_exact)?;
            match header {
                Header::Bytes(len) => drop(items.bytes(len).ok_or(not_exact)?),
                Header::Text(len) => drop(items.text(len).ok_or(not_exact)?),
                Header::Array(Some(len)) => open.push(len),
                Header::Map(Some(len)) => open.push(len.checked_mul(2).ok_or(not_exact)?),
                Header::Tag(_) => open.push(1),
                Header::Positive(_) | Header::Negative(_) | Header::Float(_) => {}
                Header::Simple(simple::FALSE | simple::TRUE | simple::NULL) => {}
                Header::Simple(_) | Header::Array(None) | Header::Map(None) | Header::Break => {
                    return Err(not_exact);
                }
            }
            if open.len().saturating_sub(1) > MAX_NESTING {
                return Err(not_exact);
            }
        }
        if items.left().is_empty() { Ok(()) } else { Err(not_exact) }
    }

    /// An item that was checked.
    fn item(&mut self, items: &mut Items<'_>, depth: usize, opened_left: u8) -> Result<(), NotationError> {
        let not_exact = NotationError::NotExact;
        let inside = depth.saturating_add(1);
        let (header, _) = items.head().ok_or(not_exact)?;
        match header {
            Header::Positive(number) => self.push(&number.to_string()),
            Header::Negative(number) => self.push(&negative(number).to_string()),
            Header::Float(number) => self.push(&float(number)),
            Header::Simple(simple::FALSE) => self.push("false"),
            Header::Simple(simple::TRUE) => self.push("true"),
            Header::Simple(_) | Header::Break => self.push("null"),
            Header::Text(len) => self.quoted(&items.text(len).ok_or(not_exact)?),
            Header::Bytes(len) => self.byte_string(&items.bytes(len).ok_or(not_exact)?, depth, opened_left),
            Header::Tag(tag) => {
                self.push(&format!("{tag}("))?;
                self.item(items, depth, opened_left)?;
                self.push(")")
            }
            Header::Array(len) => self.list(['[', ']'], len.unwrap_or_default(), depth, |notation| {
                notation.item(items, inside, opened_left)
            }),
            Header::Map(len) => self.list(['{', '}'], len.unwrap_or_default(), depth, |notation| {
                notation.item(items, inside, opened_left)?;
                notation.push(": ")?;
                notation.item(items, inside, opened_left)
            }),
        }
    }

    /// A line for each.
    fn list(
        &mut self,
        [open, close]: [char; 2],
        len: usize,
        depth: usize,
        mut each: impl FnMut(&mut Self) -> Result<(), NotationError>,
    ) -> Result<(), NotationError> {
        self.push(open.encode_utf8(&mut [0; 4]))?;
        for index in 0..len {
            if index > 0 {
                self.push(",")?;
            }
            self.line(depth.saturating_add(1))?;
            each(self)?;
        }
        if len > 0 {
            self.line(depth)?;
        }
        self.push(close.encode_utf8(&mut [0; 4]))
    }

    fn byte_string(&mut self, bytes: &[u8], depth: usize, opened_left: u8) -> Result<(), NotationError> {
        let is_list =
            matches!(Items::of(bytes).head(), Some((Header::Map(_) | Header::Array(_) | Header::Tag(_), _)));
        if let Some(left) = opened_left.checked_sub(1).filter(|_| is_list) {
            match self.check(bytes) {
                Ok(()) => {
                    self.push("<<")?;
                    self.item(&mut Items::of(bytes), depth, left)?;
                    return self.push(">>");
                }
                // Then it stands as it is.
                Err(NotationError::NotExact) => {}
                Err(error @ (NotationError::TooLong | NotationError::TooMany)) => return Err(error),
            }
        }
        self.push("h'")?;
        self.has_room(bytes.len().saturating_mul(2))?;
        for byte in bytes {
            for digit in [byte >> 4, byte & 0x0f] {
                self.text.extend(char::from_digit(digit.into(), 16));
            }
        }
        self.push("'")
    }

    /// As in JSON (RFC 8259 section 7); what a terminal would not show as it is has a number.
    fn quoted(&mut self, text: &str) -> Result<(), NotationError> {
        self.push("\"")?;
        for character in text.chars() {
            match character {
                '"' => self.push("\\\"")?,
                '\\' => self.push("\\\\")?,
                '\n' => self.push("\\n")?,
                shown if shown.is_ascii_graphic() || shown == ' ' || shown.is_alphanumeric() => {
                    self.push(shown.encode_utf8(&mut [0; 4]))?;
                }
                hidden => {
                    for unit in hidden.encode_utf16(&mut [0; 2]) {
                        self.push(&format!("\\u{unit:04x}"))?;
                    }
                }
            }
        }
        self.push("\"")
    }

    fn line(&mut self, depth: usize) -> Result<(), NotationError> {
        self.push("\n")?;
        (0..depth).try_for_each(|_| self.push(INDENT))
    }

    fn push(&mut self, what: &str) -> Result<(), NotationError> {
        self.has_room(what.len())?;
        self.text.push_str(what);
        Ok(())
    }

    fn has_room(&self, len: usize) -> Result<(), NotationError> {
        match self.text.len().saturating_add(len) > MAX_NOTATION_LEN {
            true => Err(NotationError::TooLong),
            false => Ok(()),
        }
    }
}
