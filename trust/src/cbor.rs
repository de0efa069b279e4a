//! Strict reading of deterministically encoded CBOR (RFC 8949 section 4.2.1).
//!
//! Refused: indefinite lengths, integers and lengths that are not in their shortest form, unsorted or duplicate
//! map keys, floats, trailing bytes ([`Reader::finish`]). Every item is borrowed from the input.
//!
//! One function, `Reader::next_head`, reads every head: a device has no room for a reader of all of CBOR
//! (docs/decisions/0007).
//!
//! # Errors of a head
//! Every item begins with a head. Whatever reads one returns, at the offset of the item, [`ErrorKind::Truncated`]
//! when the bytes end within the head, [`ErrorKind::NotCanonical`] when its argument is indefinite or not in its
//! shortest form, and [`ErrorKind::UnexpectedType`] when it is the head of another type.

mod utf8;

use crate::error::{Error, ErrorKind};

pub use utf8::Utf8;

/// Deepest nesting of arrays, maps and tags that [`Reader::skip`] walks. Our own formats need 4.
pub const MAX_DEPTH: u8 = 8;

/// The major type of an item, RFC 8949 section 3.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Major {
    /// 0
    Unsigned,
    /// 1
    Negative,
    /// 2
    Bytes,
    /// 3
    Text,
    /// 4
    Array,
    /// 5
    Map,
    /// 6
    Tag,
    /// 7: false, true, null; anything else of it is refused when it is read
    Simple,
}

impl Major {
    /// The upper three bits of an initial byte.
    const fn of(initial: u8) -> Self {
        match initial >> 5 {
            0 => Self::Unsigned,
            1 => Self::Negative,
            2 => Self::Bytes,
            3 => Self::Text,
            4 => Self::Array,
            5 => Self::Map,
            6 => Self::Tag,
            _ => Self::Simple,
        }
    }
}

// Simple values, RFC 8949 section 3.3.
const FALSE: u64 = 20;
const TRUE: u64 = 21;
const NULL: u64 = 22;

/// A strict reader over one byte slice. Positions in errors are relative to the outermost input.
#[derive(Clone, Debug)]
pub struct Reader<'b> {
    rest: &'b [u8],
    /// Offset in the outermost input at which `rest` ends. Positions wrap, beyond what any of our limits lets in.
    end: u32,
}

impl<'b> Reader<'b> {
    /// Reads `bytes`.
    #[must_use]
    pub fn new(bytes: &'b [u8]) -> Self {
        Self::nested(bytes, 0)
    }

    /// Reads `bytes`, which lie at offset `base` of the outermost input.
    #[must_use]
    pub fn nested(bytes: &'b [u8], base: u32) -> Self {
        Self { rest: bytes, end: base.wrapping_add(offset_of(bytes.len())) }
    }

    /// The bytes that are left.
    #[must_use]
    pub fn rest(&self) -> &'b [u8] {
        self.rest
    }

    /// Offset of the next item in the outermost input.
    #[must_use]
    pub fn position(&self) -> u32 {
        self.end.wrapping_sub(offset_of(self.rest.len()))
    }

    /// An error of `kind` at the present position.
    #[must_use]
    pub fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.position())
    }

    /// True when nothing is left.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Succeeds when nothing is left.
    ///
    /// # Errors
    /// [`ErrorKind::TrailingBytes`] at the first byte that is left.
    pub fn finish(&self) -> Result<(), Error> {
        if self.is_at_end() { Ok(()) } else { Err(self.error(ErrorKind::TrailingBytes)) }
    }

    /// Major type of the next item, without consuming it.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] when nothing is left.
    pub fn peek(&self) -> Result<Major, Error> {
        self.rest.first().map(|initial| Major::of(*initial)).ok_or(self.error(ErrorKind::Truncated))
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// [Of a head](self#errors-of-a-head).
    pub fn uint(&mut self) -> Result<u64, Error> {
        self.head(Major::Unsigned)
    }

    /// An integer, negative or not.
    ///
    /// # Errors
    /// [Of a head](self#errors-of-a-head); [`ErrorKind::OutOfRange`] when it does not fit an `i64`.
    pub fn int(&mut self) -> Result<i64, Error> {
        let start = self.position();
        let (major, argument) = self.next_head()?;
        let value = i64::try_from(argument).map_err(|_| ErrorKind::OutOfRange);
        match major {
            Major::Unsigned => value,
            // -1 - argument
            Major::Negative => value.map(|value| !value),
            _ => Err(ErrorKind::UnexpectedType),
        }
        .map_err(|kind| Error::new(kind, start))
    }

    /// An integer that names something: a map key, a command. No format of ours has one that does not fit an
    /// `i32`, so that such a name is as unknown as `i32::MAX`, which it is read as.
    ///
    /// # Errors
    /// Those of [`Reader::int`].
    pub fn label(&mut self) -> Result<i32, Error> {
        self.int().map(|label| i32::try_from(label).unwrap_or(i32::MAX))
    }

    /// A byte string.
    ///
    /// # Errors
    /// [Of a head](self#errors-of-a-head); [`ErrorKind::Truncated`] when fewer bytes are left than the head
    /// announces.
    pub fn bytes(&mut self) -> Result<&'b [u8], Error> {
        self.content(Major::Bytes)
    }

    /// A byte string of exactly `N` bytes.
    ///
    /// # Errors
    /// Those of [`Reader::bytes`]; [`ErrorKind::UnexpectedType`] for another length.
    pub fn byte_array<const N: usize>(&mut self) -> Result<&'b [u8; N], Error> {
        let start = self.position();
        self.bytes()?.try_into().map_err(|_| Error::new(ErrorKind::UnexpectedType, start))
    }

    /// A byte string, as a reader over its content (`bstr .cbor`).
    ///
    /// # Errors
    /// Those of [`Reader::bytes`]. Its content is not looked at yet.
    pub fn embedded(&mut self) -> Result<Reader<'b>, Error> {
        let content = self.bytes()?;
        // The content has just been read: it ends where this reader stands.
        Ok(Reader { rest: content, end: self.position() })
    }

    /// A text string.
    ///
    /// # Errors
    /// Those of [`Reader::bytes`]; [`ErrorKind::InvalidText`] when it is not UTF-8.
    pub fn text(&mut self) -> Result<Utf8<'b>, Error> {
        let start = self.position();
        Utf8::of(self.content(Major::Text)?).ok_or(Error::new(ErrorKind::InvalidText, start))
    }

    /// A text string of 1 to `max_len` bytes.
    ///
    /// # Errors
    /// Those of [`Reader::text`]; [`ErrorKind::OutOfRange`] for another length.
    pub fn name(&mut self, max_len: usize) -> Result<Utf8<'b>, Error> {
        let start = self.position();
        let text = self.text()?;
        match text.as_bytes().len() {
            1.. if text.as_bytes().len() <= max_len => Ok(text),
            _ => Err(Error::new(ErrorKind::OutOfRange, start)),
        }
    }

    /// The head of an array: its number of items, which the caller reads next.
    ///
    /// # Errors
    /// [Of a head](self#errors-of-a-head).
    pub fn array(&mut self) -> Result<u64, Error> {
        self.head(Major::Array)
    }

    /// The head of an array that has exactly `len` items.
    ///
    /// # Errors
    /// [Of a head](self#errors-of-a-head); [`ErrorKind::UnexpectedType`] for another number of items.
    pub fn array_of(&mut self, len: u64) -> Result<(), Error> {
        let start = self.position();
        if self.array()? == len { Ok(()) } else { Err(Error::new(ErrorKind::UnexpectedType, start)) }
    }

    /// The head of a map; its entries are walked with the cursor.
    ///
    /// # Errors
    /// [Of a head](self#errors-of-a-head).
    pub fn map(&mut self) -> Result<MapCursor<'b>, Error> {
        Ok(MapCursor { remaining: self.head(Major::Map)?, previous: &[] })
    }

    /// A tag number; the tagged item follows.
    ///
    /// # Errors
    /// [Of a head](self#errors-of-a-head).
    pub fn tag(&mut self) -> Result<u64, Error> {
        self.head(Major::Tag)
    }

    /// Exactly this tag number.
    ///
    /// # Errors
    /// [Of a head](self#errors-of-a-head); [`ErrorKind::UnexpectedType`] for another tag.
    pub fn expect_tag(&mut self, tag: u64) -> Result<(), Error> {
        let start = self.position();
        if self.tag()? == tag { Ok(()) } else { Err(Error::new(ErrorKind::UnexpectedType, start)) }
    }

    /// `null`.
    ///
    /// # Errors
    /// [Of a head](self#errors-of-a-head); [`ErrorKind::UnexpectedType`] for another simple value.
    pub fn null(&mut self) -> Result<(), Error> {
        let start = self.position();
        if self.simple()? == NULL { Ok(()) } else { Err(Error::new(ErrorKind::UnexpectedType, start)) }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// [Of a head](self#errors-of-a-head); [`ErrorKind::UnexpectedType`] for another simple value.
    pub fn bool(&mut self) -> Result<bool, Error> {
        let start = self.position();
        match self.simple()? {
            FALSE => Ok(false),
            TRUE => Ok(true),
            _ => Err(Error::new(ErrorKind::UnexpectedType, start)),
        }
    }

    /// Walks over one whole item with the same strictness.
    ///
    /// # Errors
    /// Those of reading the item and the items inside it; [`ErrorKind::TooDeep`] when they lie
    /// deeper than [`MAX_DEPTH`].
    pub fn skip(&mut self) -> Result<(), Error> {
        self.skip_nested(MAX_DEPTH)
    }

    /// One whole item, checked like [`Reader::skip`]: its encoded bytes.
    ///
    /// # Errors
    /// Those of [`Reader::skip`].
    pub fn item(&mut self) -> Result<&'b [u8], Error> {
        self.item_nested(MAX_DEPTH)
    }

    fn item_nested(&mut self, depth: u8) -> Result<&'b [u8], Error> {
        let before = self.rest;
        self.skip_nested(depth)?;
        let len = before.len().saturating_sub(self.rest.len());
        Ok(before.get(..len).unwrap_or_default())
    }

    fn skip_nested(&mut self, depth: u8) -> Result<(), Error> {
        let inner = depth.checked_sub(1).ok_or(self.error(ErrorKind::TooDeep))?;
        let items = match self.peek()? {
            Major::Unsigned | Major::Negative => self.next_head().map(|_| 0)?,
            Major::Bytes => self.bytes().map(|_| 0)?,
            Major::Text => self.text().map(|_| 0)?,
            Major::Simple => self.simple().map(|_| 0)?,
            Major::Tag => self.tag().map(|_| 1)?,
            Major::Array => self.array()?,
            Major::Map => {
                let mut entries = self.map()?;
                while entries.next_item(self, inner)?.is_some() {
                    self.skip_nested(inner)?;
                }
                0
            }
        };
        for _ in 0..items {
            self.skip_nested(inner)?;
        }
        Ok(())
    }

    /// `false`, `true` or `null`; what else there is of major type 7 is refused.
    fn simple(&mut self) -> Result<u64, Error> {
        let start = self.position();
        match self.head(Major::Simple)? {
            value @ FALSE..=NULL => Ok(value),
            _ => Err(Error::new(ErrorKind::UnexpectedType, start)),
        }
    }

    /// The content of a byte or text string.
    fn content(&mut self, major: Major) -> Result<&'b [u8], Error> {
        let start = self.position();
        let len = usize::try_from(self.head(major)?).ok();
        let split = len.and_then(|len| self.rest.split_at_checked(len));
        let (content, rest) = split.ok_or(Error::new(ErrorKind::Truncated, start))?;
        self.rest = rest;
        Ok(content)
    }

    /// The argument of a head of this type.
    #[inline(never)]
    fn head(&mut self, major: Major) -> Result<u64, Error> {
        let start = self.position();
        match self.next_head()? {
            (found, argument) if found == major => Ok(argument),
            _ => Err(Error::new(ErrorKind::UnexpectedType, start)),
        }
    }

    /// One head: the initial byte and its argument, which must be in its shortest form and definite.
    #[inline(never)]
    pub(crate) fn next_head(&mut self) -> Result<(Major, u64), Error> {
        let truncated = self.error(ErrorKind::Truncated);
        let not_canonical = self.error(ErrorKind::NotCanonical);
        let (initial, rest) = self.rest.split_first().ok_or(truncated)?;
        let information = initial & 0x1f;
        // Bytes of the argument, and the least value that needs as many.
        let (len, least) = match information {
            0..=23 => (0, 0),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            _ => return Err(not_canonical),
        };
        let (bytes, rest) = rest.split_at_checked(len).ok_or(truncated)?;
        let argument = match bytes {
            [] => u64::from(information),
            _ => bytes.iter().fold(0, |argument, byte| (argument << 8) | u64::from(*byte)),
        };
        if argument < least {
            return Err(not_canonical);
        }
        self.rest = rest;
        Ok((Major::of(*initial), argument))
    }
}

/// A length as an offset in the outermost input.
fn offset_of(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Walks the entries of a map and sees to it that the encoded keys strictly ascend.
#[derive(Clone, Debug)]
pub struct MapCursor<'b> {
    remaining: u64,
    previous: &'b [u8],
}

impl<'b> MapCursor<'b> {
    /// Number of entries that are left.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The next key as an integer, or `None` at the end of the map. The caller reads the value next.
    ///
    /// # Errors
    /// Those of [`MapCursor::next_raw`]; those of [`Reader::int`] when the key is not an integer.
    pub fn next_int(&mut self, reader: &mut Reader<'b>) -> Result<Option<i64>, Error> {
        let start = reader.position();
        match self.next_raw(reader)? {
            Some(key) => Reader::nested(key, start).int().map(Some),
            None => Ok(None),
        }
    }

    /// The next key as a [`Reader::label`], or `None` at the end of the map. The caller reads the value next.
    ///
    /// # Errors
    /// Those of [`MapCursor::next_raw`]; those of [`Reader::label`] when the key is not an integer.
    pub fn next_label(&mut self, reader: &mut Reader<'b>) -> Result<Option<i32>, Error> {
        let start = reader.position();
        match self.next_raw(reader)? {
            Some(key) => Reader::nested(key, start).label().map(Some),
            None => Ok(None),
        }
    }

    /// The next key in its encoded form, whatever its type, or `None` at the end of the map.
    ///
    /// # Errors
    /// Those of [`Reader::skip`]; [`ErrorKind::KeyOrder`] when the key does not sort after the one before it.
    pub fn next_raw(&mut self, reader: &mut Reader<'b>) -> Result<Option<&'b [u8]>, Error> {
        self.next_item(reader, MAX_DEPTH)
    }

    fn next_item(&mut self, reader: &mut Reader<'b>, depth: u8) -> Result<Option<&'b [u8]>, Error> {
        let Some(remaining) = self.remaining.checked_sub(1) else { return Ok(None) };
        self.remaining = remaining;
        let start = reader.position();
        let key = reader.item_nested(depth)?;
        if key <= self.previous {
            return Err(Error::new(ErrorKind::KeyOrder, start));
        }
        self.previous = key;
        Ok(Some(key))
    }
}

/// An array whose items have each been read once, and can be read again.
#[derive(Clone, Debug)]
pub struct List<'b> {
    reader: Reader<'b>,
    remaining: u32,
}

impl<'b> List<'b> {
    /// No items.
    pub(crate) const EMPTY: Self = Self { reader: Reader { rest: &[], end: 0 }, remaining: 0 };

    /// Consumes an array of `min..=max` items, each of which `item` must accept.
    ///
    /// # Errors
    /// [Of a head](self#errors-of-a-head); [`ErrorKind::OutOfRange`] for fewer than `min` items,
    /// [`ErrorKind::TooMany`] for more than `max`; what `item` refuses.
    pub fn read<T>(
        reader: &mut Reader<'b>,
        min: u64,
        max: u64,
        item: fn(&mut Reader<'b>) -> Result<T, Error>,
    ) -> Result<Self, Error> {
        let list = Self::head(reader, min, max)?;
        for _ in 0..list.remaining {
            item(reader)?;
        }
        Ok(list)
    }

    fn head(reader: &mut Reader<'b>, min: u64, max: u64) -> Result<Self, Error> {
        let start = reader.position();
        let len = reader.array()?;
        if len < min {
            return Err(Error::new(ErrorKind::OutOfRange, start));
        }
        match u32::try_from(len) {
            Ok(remaining) if len <= max => Ok(Self { reader: reader.clone(), remaining }),
            _ => Err(Error::new(ErrorKind::TooMany, start)),
        }
    }

    /// The items once more.
    pub fn iter<T>(
        &self,
        item: fn(&mut Reader<'b>) -> Result<T, Error>,
    ) -> impl Iterator<Item = T> + use<'b, T> {
        let Self { mut reader, mut remaining } = self.clone();
        core::iter::from_fn(move || {
            remaining = remaining.checked_sub(1)?;
            item(&mut reader).ok()
        })
    }

    /// Where the first item lies.
    #[must_use]
    pub fn position(&self) -> u32 {
        self.reader.position()
    }
}

#[cfg(test)]
mod tests;
