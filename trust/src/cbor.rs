//! Strict reading of deterministically encoded CBOR (RFC 8949 section 4.2.1), on top of minicbor.
//!
//! Refused: indefinite lengths, integers and lengths that are not in their shortest form, unsorted or duplicate
//! map keys, floats, trailing bytes ([`Reader::finish`]). Every item is borrowed from the input.

use crate::error::{Error, ErrorKind};
use minicbor::decode::{Decoder, Error as DecodeError};

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

/// A strict reader over one byte slice. Positions in errors are relative to the outermost input.
#[derive(Clone, Debug)]
pub struct Reader<'b> {
    decoder: Decoder<'b>,
    base: u32,
}

impl<'b> Reader<'b> {
    /// Reads `bytes`.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self::nested(bytes, 0)
    }

    /// Reads `bytes`, which lie at offset `base` of the outermost input.
    pub fn nested(bytes: &'b [u8], base: u32) -> Self {
        Self { decoder: Decoder::new(bytes), base }
    }

    /// All the bytes that this reader reads, consumed or not.
    pub fn input(&self) -> &'b [u8] {
        self.decoder.input()
    }

    /// Offset of the next item in the outermost input.
    pub fn position(&self) -> u32 {
        self.base.saturating_add(u32::try_from(self.decoder.position()).unwrap_or(u32::MAX))
    }

    /// An error of `kind` at the present position.
    pub fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.position())
    }

    /// True when nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// Succeeds when nothing is left.
    pub fn finish(&self) -> Result<(), Error> {
        if self.is_at_end() { Ok(()) } else { Err(self.error(ErrorKind::TrailingBytes)) }
    }

    /// Major type of the next item, without consuming it.
    pub fn peek(&self) -> Result<Major, Error> {
        let initial = self.rest().first().ok_or(self.error(ErrorKind::Truncated))?;
        Ok(match initial >> 5 {
            0 => Major::Unsigned,
            1 => Major::Negative,
            2 => Major::Bytes,
            3 => Major::Text,
            4 => Major::Array,
            5 => Major::Map,
            6 => Major::Tag,
            _ => Major::Simple,
        })
    }

    /// An unsigned integer.
    pub fn uint(&mut self) -> Result<u64, Error> {
        self.read(Decoder::u64)
    }

    /// An integer, negative or not.
    pub fn int(&mut self) -> Result<i64, Error> {
        self.read(Decoder::i64)
    }

    /// A byte string.
    pub fn bytes(&mut self) -> Result<&'b [u8], Error> {
        self.read(Decoder::bytes)
    }

    /// A byte string of exactly `N` bytes.
    pub fn byte_array<const N: usize>(&mut self) -> Result<&'b [u8; N], Error> {
        let start = self.position();
        self.bytes()?.try_into().map_err(|_| Error::new(ErrorKind::UnexpectedType, start))
    }

    /// A byte string, as a reader over its content (`bstr .cbor`).
    pub fn embedded(&mut self) -> Result<Reader<'b>, Error> {
        let content = self.bytes()?;
        let len = u32::try_from(content.len()).unwrap_or(u32::MAX);
        Ok(Reader::nested(content, self.position().saturating_sub(len)))
    }

    /// A text string.
    pub fn text(&mut self) -> Result<&'b str, Error> {
        self.read(Decoder::str)
    }

    /// A text string of 1 to `max_len` bytes.
    pub fn name(&mut self, max_len: usize) -> Result<&'b str, Error> {
        let start = self.position();
        let text = self.text()?;
        if text.is_empty() || text.len() > max_len {
            return Err(Error::new(ErrorKind::OutOfRange, start));
        }
        Ok(text)
    }

    /// The head of an array: its number of items, which the caller reads next.
    pub fn array(&mut self) -> Result<u64, Error> {
        let start = self.position();
        self.read(Decoder::array)?.ok_or(Error::new(ErrorKind::NotCanonical, start))
    }

    /// The head of an array that has exactly `len` items.
    pub fn array_of(&mut self, len: u64) -> Result<(), Error> {
        let start = self.position();
        if self.array()? == len { Ok(()) } else { Err(Error::new(ErrorKind::UnexpectedType, start)) }
    }

    /// The head of a map; its entries are walked with the cursor.
    pub fn map(&mut self) -> Result<MapCursor<'b>, Error> {
        let start = self.position();
        let remaining = self.read(Decoder::map)?.ok_or(Error::new(ErrorKind::NotCanonical, start))?;
        Ok(MapCursor { remaining, previous: &[] })
    }

    /// A tag number; the tagged item follows.
    pub fn tag(&mut self) -> Result<u64, Error> {
        self.read(Decoder::tag).map(|tag| tag.as_u64())
    }

    /// Exactly this tag number.
    pub fn expect_tag(&mut self, tag: u64) -> Result<(), Error> {
        let start = self.position();
        if self.tag()? == tag { Ok(()) } else { Err(Error::new(ErrorKind::UnexpectedType, start)) }
    }

    /// `null`.
    pub fn null(&mut self) -> Result<(), Error> {
        self.read(Decoder::null)
    }

    /// `true` or `false`.
    pub fn bool(&mut self) -> Result<bool, Error> {
        self.read(Decoder::bool)
    }

    /// Walks over one whole item with the same strictness.
    pub fn skip(&mut self) -> Result<(), Error> {
        self.skip_nested(MAX_DEPTH)
    }

    /// One whole item, checked like [`Reader::skip`]: its encoded bytes.
    pub fn item(&mut self) -> Result<&'b [u8], Error> {
        let before = self.rest();
        self.skip()?;
        let len = before.len().saturating_sub(self.rest().len());
        Ok(before.get(..len).unwrap_or_default())
    }

    fn skip_nested(&mut self, depth: u8) -> Result<(), Error> {
        let inner = depth.checked_sub(1).ok_or(self.error(ErrorKind::TooDeep))?;
        match self.peek()? {
            Major::Unsigned => self.uint().map(drop),
            // Not `int`: a negative integer may lie below what an i64 holds.
            Major::Negative => self.read(Decoder::int).map(drop),
            Major::Bytes => self.bytes().map(drop),
            Major::Text => self.text().map(drop),
            Major::Array => {
                for _ in 0..self.array()? {
                    self.skip_nested(inner)?;
                }
                Ok(())
            }
            Major::Map => {
                let mut entries = self.map()?;
                while entries.next_item(self, inner)?.is_some() {
                    self.skip_nested(inner)?;
                }
                Ok(())
            }
            Major::Tag => {
                self.tag()?;
                self.skip_nested(inner)
            }
            Major::Simple if self.rest().first() == Some(&0xf6) => self.null(),
            Major::Simple => self.bool().map(drop),
        }
    }

    fn rest(&self) -> &'b [u8] {
        self.decoder.input().get(self.decoder.position()..).unwrap_or_default()
    }

    /// Reads one head or item.
    fn read<T>(&mut self, decode: fn(&mut Decoder<'b>) -> Result<T, DecodeError>) -> Result<T, Error> {
        let start = self.position();
        let major = self.check_head()?;
        decode(&mut self.decoder).map_err(|error| refusal(&error, major, start))
    }

    /// RFC 8949 section 4.2.1: the head of the next item is there, and is in its shortest form.
    #[inline(never)] // once in the loader, not once for each type that is read
    fn check_head(&self) -> Result<Major, Error> {
        let major = self.peek()?;
        let shortest = match self.rest() {
            [] => return Err(self.error(ErrorKind::Truncated)),
            [initial, argument @ ..] => match (initial & 0x1f, argument) {
                (0..=23, _) => true,
                (24, [value, ..]) => *value >= 24,
                (25, [high, ..]) => *high != 0,
                (26, [a, b, ..]) => (a | b) != 0,
                (27, [a, b, c, d, ..]) => (a | b | c | d) != 0,
                (24..=27, _) => return Err(self.error(ErrorKind::Truncated)),
                _ => false,
            },
        };
        if shortest { Ok(major) } else { Err(self.error(ErrorKind::NotCanonical)) }
    }
}

/// What minicbor refused, in an item of type `major` at `position`.
#[inline(never)]
fn refusal(error: &DecodeError, major: Major, position: u32) -> Error {
    let kind = if error.is_end_of_input() {
        ErrorKind::Truncated
    } else if error.is_type_mismatch() {
        ErrorKind::UnexpectedType
    } else if major == Major::Text {
        ErrorKind::InvalidText
    } else {
        ErrorKind::OutOfRange
    };
    Error::new(kind, position)
}

/// Walks the entries of a map and sees to it that the encoded keys strictly ascend.
#[derive(Clone, Debug)]
pub struct MapCursor<'b> {
    remaining: u64,
    previous: &'b [u8],
}

impl<'b> MapCursor<'b> {
    /// Number of entries that are left.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The next key as an integer, or `None` at the end of the map. The caller reads the value next.
    pub fn next_int(&mut self, reader: &mut Reader<'b>) -> Result<Option<i64>, Error> {
        let start = reader.position();
        match self.next_raw(reader)? {
            Some(key) => Reader::nested(key, start).int().map(Some),
            None => Ok(None),
        }
    }

    /// The next key in its encoded form, whatever its type, or `None` at the end of the map.
    pub fn next_raw(&mut self, reader: &mut Reader<'b>) -> Result<Option<&'b [u8]>, Error> {
        self.next_item(reader, MAX_DEPTH)
    }

    fn next_item(&mut self, reader: &mut Reader<'b>, depth: u8) -> Result<Option<&'b [u8]>, Error> {
        let Some(remaining) = self.remaining.checked_sub(1) else { return Ok(None) };
        self.remaining = remaining;
        let start = reader.position();
        let before = reader.rest();
        reader.skip_nested(depth)?;
        let len = before.len().saturating_sub(reader.rest().len());
        let key = before.get(..len).unwrap_or_default();
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
    remaining: u64,
}

impl<'b> List<'b> {
    /// Consumes an array of `min..=max` items, each of which `item` must accept.
    pub fn read<T>(
        reader: &mut Reader<'b>,
        min: u64,
        max: u64,
        item: fn(&mut Reader<'b>) -> Result<T, Error>,
    ) -> Result<Self, Error> {
        let start = reader.position();
        let remaining = reader.array()?;
        if remaining < min {
            return Err(Error::new(ErrorKind::OutOfRange, start));
        }
        if remaining > max {
            return Err(Error::new(ErrorKind::TooMany, start));
        }
        let list = Self { reader: reader.clone(), remaining };
        for _ in 0..remaining {
            item(reader)?;
        }
        Ok(list)
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
    pub fn position(&self) -> u32 {
        self.reader.position()
    }
}

#[cfg(test)]
mod tests;
