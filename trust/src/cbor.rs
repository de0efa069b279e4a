//! Strict reading of deterministically encoded CBOR (RFC 8949 section 4.2.1), and [writing](Writer) it.
//!
//! Refused: indefinite lengths, integers and lengths that are not in their shortest form, unsorted or duplicate
//! map keys, floats, trailing bytes ([`Reader::finish`]). Every item is borrowed from the input.
//!
//! One function, `Reader::next_head`, reads every head: a device has no room for a reader of all of CBOR
//! (docs/decisions/0007).
//!
//! # A fault stays
//! A [`Reader`] keeps its first [`Error`] and from then on reads nothing: every read returns an empty value (zero, no
//! bytes, no entry). A caller reads a whole record, then asks once, with [`Reader::finish`] or [`Reader::check`]; until
//! one of them succeeds, no value means anything. This is a third of the code of a `Result` for each item
//! (docs/decisions/0031).
//!
//! # Faults of a head
//! Every item begins with a head. Whatever reads one can meet, at the offset of the item, [`ErrorKind::Truncated`]
//! when the bytes end within the head, [`ErrorKind::NotCanonical`] when its argument is indefinite or not in its
//! shortest form, and [`ErrorKind::UnexpectedType`] when it is the head of another type.

mod cursors;
mod head;
mod item;
mod uint;
mod utf8;
mod writer;

use crate::error::{Error, ErrorKind};

pub use cursors::{Items, List, MapCursor};
pub use head::Major;
use head::read_head;
pub use uint::Uint;
pub use utf8::Utf8;
pub use writer::Writer;

/// Deepest nesting of arrays, maps and tags that [`Reader::skip`] walks. Our own formats need 4.
pub const MAX_DEPTH: u8 = 8;

// Simple values, RFC 8949 section 3.3.
const FALSE: u32 = 20;
const TRUE: u32 = 21;
const NULL: u32 = 22;

/// A piece of the outermost input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span<'b> {
    /// The bytes.
    pub bytes: &'b [u8],
    /// Offset of the first of them in the outermost input.
    pub base: u32,
}

impl<'b> Span<'b> {
    /// A placeholder.
    pub const EMPTY: Self = Self { bytes: &[], base: 0 };

    /// A reader over the bytes.
    #[must_use]
    pub fn reader(self) -> Reader<'b> {
        Reader::nested(self.bytes, self.base)
    }
}

/// The bit of a label of 0 to 31, to note which entries of a map have been there; 0 for every other label.
#[must_use]
pub const fn bit(label: i32) -> u32 {
    match 1u32.checked_shl(label.cast_unsigned()) {
        Some(bit) => bit,
        None => 0,
    }
}

/// A strict reader over one byte slice that [keeps its first fault](self#a-fault-stays). Positions in errors are
/// relative to the outermost input.
#[derive(Clone, Debug)]
pub struct Reader<'b> {
    /// Empty after a fault.
    rest: &'b [u8],
    /// Offset in the outermost input at which `rest` ends. Positions wrap, beyond what any of our limits lets in.
    end: u32,
    fault: Option<Error>,
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
        Self { rest: bytes, end: base.wrapping_add(offset_of(bytes.len())), fault: None }
    }

    /// The bytes that are left.
    #[must_use]
    pub fn rest(&self) -> &'b [u8] {
        self.rest
    }

    /// The bytes that are left, and where they lie.
    #[must_use]
    pub fn left(&self) -> Span<'b> {
        Span { bytes: self.rest, base: self.position() }
    }

    /// Offset of the next item in the outermost input.
    #[must_use]
    pub fn position(&self) -> u32 {
        self.end.wrapping_sub(offset_of(self.rest.len()))
    }

    /// True when nothing is left, and after a fault.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Refuses what was read: a fault of `kind` at `position`, unless there is one already.
    #[inline(never)]
    pub fn refuse(&mut self, kind: ErrorKind, position: u32) {
        if self.fault.is_none() {
            self.fault = Some(Error::new(kind, position));
        }
        self.rest = &[];
    }

    /// Succeeds when there was no fault.
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&self) -> Result<(), Error> {
        self.fault.map_or(Ok(()), Err)
    }

    /// Nothing may be left: [`ErrorKind::TrailingBytes`] at the first byte that is.
    pub fn expect_end(&mut self) {
        if !self.is_at_end() {
            self.refuse(ErrorKind::TrailingBytes, self.position());
        }
    }

    /// Succeeds when there was no fault and nothing is left.
    ///
    /// # Errors
    /// The first fault; that of [`Reader::expect_end`].
    #[inline(never)]
    pub fn finish(&mut self) -> Result<(), Error> {
        self.expect_end();
        self.check()
    }

    /// Major type of the next item, without consuming it; [`Major::Simple`] after a fault.
    ///
    /// # Faults
    /// [`ErrorKind::Truncated`] when nothing is left.
    #[inline(never)]
    pub fn peek(&mut self) -> Major {
        match self.rest.first() {
            Some(initial) => Major::of(*initial),
            None => {
                self.refuse(ErrorKind::Truncated, self.position());
                Major::Simple
            }
        }
    }

    /// An unsigned integer.
    ///
    /// # Faults
    /// [Of a head](self#faults-of-a-head).
    pub fn uint(&mut self) -> u64 {
        self.head(Major::Unsigned)
    }

    /// An unsigned integer of `min..=max`.
    ///
    /// # Faults
    /// Those of [`Reader::uint`]; [`ErrorKind::OutOfRange`].
    #[inline(never)]
    pub fn uint_within(&mut self, min: u32, max: u64) -> u64 {
        let start = self.position();
        let value = self.uint();
        if value < u64::from(min) || value > max {
            self.refuse(ErrorKind::OutOfRange, start);
            return 0;
        }
        value
    }

    /// An integer, negative or not.
    ///
    /// # Faults
    /// [Of a head](self#faults-of-a-head); [`ErrorKind::OutOfRange`] when it does not fit an `i64`.
    pub fn int(&mut self) -> i64 {
        let start = self.position();
        let (major, argument) = self.next_head();
        let kind = match (major, i64::try_from(argument)) {
            (Major::Unsigned, Ok(value)) => return value,
            // -1 - argument
            (Major::Negative, Ok(value)) => return !value,
            (Major::Unsigned | Major::Negative, Err(_)) => ErrorKind::OutOfRange,
            _ => ErrorKind::UnexpectedType,
        };
        self.refuse(kind, start);
        0
    }

    /// An integer that names something: a map key, a command. No format of ours has one that does not fit an
    /// `i32`, so that such a name is as unknown as `i32::MAX`, which it is read as. So is one that has a fault.
    ///
    /// # Faults
    /// Those of [`Reader::int`].
    #[inline(never)]
    pub fn label(&mut self) -> i32 {
        let label = self.int();
        if self.fault.is_some() { i32::MAX } else { i32::try_from(label).unwrap_or(i32::MAX) }
    }

    /// A byte string.
    ///
    /// # Faults
    /// [Of a head](self#faults-of-a-head); [`ErrorKind::Truncated`] when fewer bytes are left than the head
    /// announces.
    #[inline(never)]
    pub fn bytes(&mut self) -> &'b [u8] {
        let start = self.position();
        let len = self.head(Major::Bytes);
        self.take(len, start)
    }

    /// The head of a byte string: its length. Its content comes next.
    ///
    /// # Faults
    /// [Of a head](self#faults-of-a-head).
    pub fn bytes_head(&mut self) -> u64 {
        self.head(Major::Bytes)
    }

    /// A byte string of exactly `N` bytes; zeros after a fault.
    ///
    /// # Faults
    /// Those of [`Reader::bytes`]; [`ErrorKind::UnexpectedType`] for another length.
    pub fn byte_array<const N: usize>(&mut self) -> &'b [u8; N] {
        let start = self.position();
        self.bytes().try_into().unwrap_or_else(|_| {
            self.refuse(ErrorKind::UnexpectedType, start);
            const { &[0; N] }
        })
    }

    /// The content of a byte string, and where it lies. Nothing of it is read.
    ///
    /// # Faults
    /// Those of [`Reader::bytes`].
    #[inline(never)]
    pub fn span(&mut self) -> Span<'b> {
        let bytes = self.bytes();
        // The content has just been read: it ends where this reader stands.
        Span { bytes, base: self.position().wrapping_sub(offset_of(bytes.len())) }
    }

    /// A byte string, as a reader over its content (`bstr .cbor`). `read` reads all of it.
    ///
    /// # Faults
    /// Those of [`Reader::bytes`]; those of `read`; [`ErrorKind::TrailingBytes`] when it leaves something.
    pub fn embedded<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let after = self.enter();
        let value = read(self);
        self.leave(&after);
        value
    }

    /// Goes into a byte string, whose content is then read to its end: what follows it.
    ///
    /// # Faults
    /// Those of [`Reader::bytes`].
    #[inline(never)]
    #[must_use]
    pub fn enter(&mut self) -> Self {
        let content = self.bytes();
        let after = self.clone();
        // The content has just been read: it ends where this reader stands.
        self.end = self.position();
        self.rest = content;
        after
    }

    /// Leaves the byte string that [`Reader::enter`] went into.
    ///
    /// # Faults
    /// [`ErrorKind::TrailingBytes`] when something of it is left.
    #[inline(never)]
    pub fn leave(&mut self, after: &Self) {
        self.expect_end();
        if self.fault.is_none() {
            *self = after.clone();
        }
    }

    /// A text string.
    ///
    /// # Faults
    /// Those of [`Reader::bytes`]; [`ErrorKind::InvalidText`] when it is not UTF-8.
    pub fn text(&mut self) -> Utf8<'b> {
        let start = self.position();
        let len = self.head(Major::Text);
        self.text_of(len, start)
    }

    /// A text string of 1 to `max_len` bytes.
    ///
    /// # Faults
    /// Those of [`Reader::text`]; [`ErrorKind::OutOfRange`] for another length.
    #[inline(never)]
    pub fn name(&mut self, max_len: usize) -> Utf8<'b> {
        let start = self.position();
        let text = self.text();
        if !(1..=max_len).contains(&text.as_bytes().len()) {
            self.refuse(ErrorKind::OutOfRange, start);
            return Utf8::EMPTY;
        }
        text
    }

    /// The head of an array; its items are counted with the cursor.
    ///
    /// # Faults
    /// [Of a head](self#faults-of-a-head); [`ErrorKind::Truncated`] when the head announces more items than bytes are left.
    pub fn array(&mut self) -> Items {
        let start = self.position();
        let len = self.head(Major::Array);
        Items::of(self.count(len, start))
    }

    /// The head of an array of `min..=max` items.
    ///
    /// # Faults
    /// Those of [`Reader::array`]; [`ErrorKind::OutOfRange`] for fewer items, [`ErrorKind::TooMany`] for more.
    #[inline(never)]
    pub fn array_within(&mut self, min: u32, max: u32) -> Items {
        let start = self.position();
        let items = self.array();
        let kind = match items.remaining() {
            few if few < min => ErrorKind::OutOfRange,
            many if many > max => ErrorKind::TooMany,
            _ => return items,
        };
        self.refuse(kind, start);
        Items::of(0)
    }

    /// The head of an array that has exactly `len` items.
    ///
    /// # Faults
    /// [Of a head](self#faults-of-a-head); [`ErrorKind::UnexpectedType`] for another number of items.
    pub fn array_of(&mut self, len: u32) {
        self.expect(Major::Array, len);
    }

    /// The head of a map; its entries are walked with the cursor.
    ///
    /// # Faults
    /// [Of a head](self#faults-of-a-head); [`ErrorKind::Truncated`] when the head announces more entries than bytes are left.
    pub fn map(&mut self) -> MapCursor<'b> {
        let start = self.position();
        let len = self.head(Major::Map);
        MapCursor::of(self.count(len, start))
    }

    /// A tag number; the tagged item follows.
    ///
    /// # Faults
    /// [Of a head](self#faults-of-a-head).
    pub fn tag(&mut self) -> u64 {
        self.head(Major::Tag)
    }

    /// Exactly this tag number.
    ///
    /// # Faults
    /// [Of a head](self#faults-of-a-head); [`ErrorKind::UnexpectedType`] for another tag.
    pub fn expect_tag(&mut self, tag: u32) {
        self.expect(Major::Tag, tag);
    }

    /// `null`.
    ///
    /// # Faults
    /// [Of a head](self#faults-of-a-head); [`ErrorKind::UnexpectedType`] for another simple value.
    pub fn null(&mut self) {
        self.expect(Major::Simple, NULL);
    }

    /// `true` or `false`.
    ///
    /// # Faults
    /// [Of a head](self#faults-of-a-head); [`ErrorKind::UnexpectedType`] for another simple value.
    pub fn bool(&mut self) -> bool {
        let start = self.position();
        let value = self.head(Major::Simple);
        if value != u64::from(FALSE) && value != u64::from(TRUE) {
            self.refuse(ErrorKind::UnexpectedType, start);
        }
        value == u64::from(TRUE)
    }

    /// The content of a byte or text string whose head lies at `start`.
    fn take(&mut self, len: u64, start: u32) -> &'b [u8] {
        let split = usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len));
        let Some((content, rest)) = split else {
            self.refuse(ErrorKind::Truncated, start);
            return &[];
        };
        self.rest = rest;
        content
    }

    #[inline(never)]
    fn text_of(&mut self, len: u64, start: u32) -> Utf8<'b> {
        Utf8::of(self.take(len, start)).unwrap_or_else(|| {
            self.refuse(ErrorKind::InvalidText, start);
            Utf8::EMPTY
        })
    }

    /// A head of this type and this argument.
    #[inline(never)]
    fn expect(&mut self, major: Major, argument: u32) {
        let start = self.position();
        if self.head(major) != u64::from(argument) {
            self.refuse(ErrorKind::UnexpectedType, start);
        }
    }

    /// A number of items, announced by a head at `start`. Each takes a byte or more: as many as there are bytes left can be
    /// true, and bounds every loop over them.
    #[inline(never)]
    fn count(&mut self, announced: u64, start: u32) -> u32 {
        match u32::try_from(announced) {
            Ok(count) if usize::try_from(count).is_ok_and(|count| count <= self.rest.len()) => count,
            _ => {
                self.refuse(ErrorKind::Truncated, start);
                0
            }
        }
    }

    /// The argument of a head of this type.
    #[inline(never)]
    fn head(&mut self, major: Major) -> u64 {
        let start = self.position();
        let (found, argument) = self.next_head();
        if found != major {
            self.refuse(ErrorKind::UnexpectedType, start);
            return 0;
        }
        argument
    }

    /// One head: the initial byte and its argument, which must be in its shortest form and definite.
    #[inline(never)]
    fn next_head(&mut self) -> (Major, u64) {
        let start = self.position();
        let refused = match read_head(self.rest) {
            Ok((head, rest)) => {
                self.rest = rest;
                return head;
            }
            Err(kind) => kind,
        };
        self.refuse(refused, start);
        (Major::Unsigned, 0)
    }
}

/// A length as an offset in the outermost input.
fn offset_of(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
