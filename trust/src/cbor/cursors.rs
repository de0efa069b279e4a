//! What walks over the content of an array or of a map.

use super::{MAX_DEPTH, Reader};
use crate::error::ErrorKind;

/// Counts the items of an array.
#[derive(Clone, Copy, Debug)]
pub struct Items {
    remaining: u32,
}

impl Items {
    pub(super) const fn of(remaining: u32) -> Self {
        Self { remaining }
    }

    /// Number of items that are left.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        self.remaining
    }

    /// True when there is a next item, which the caller reads; false after a fault.
    pub fn next(&mut self, reader: &Reader<'_>) -> bool {
        let counted = self.remaining.checked_sub(1);
        self.remaining = counted.unwrap_or(0);
        counted.is_some() && reader.fault.is_none()
    }
}

/// Walks the entries of a map and sees to it that the encoded keys strictly ascend.
#[derive(Clone, Debug)]
pub struct MapCursor<'b> {
    remaining: u32,
    previous: &'b [u8],
}

impl<'b> MapCursor<'b> {
    pub(super) const fn of(remaining: u32) -> Self {
        Self { remaining, previous: &[] }
    }

    /// Number of entries that are left.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        self.remaining
    }

    /// The next key as a [`Reader::label`], or `None` at the end of the map and after a fault. The caller reads the
    /// value next.
    ///
    /// # Faults
    /// Those of [`MapCursor::next`]; those of [`Reader::label`] when the key is not an integer.
    #[inline(never)]
    pub fn next_label(&mut self, reader: &mut Reader<'b>) -> Option<i32> {
        if !self.next(reader) {
            return None;
        }
        let label = reader.label();
        reader.fault.is_none().then_some(label)
    }

    /// True when there is a next entry: the reader stands before its key, whatever its type. False at the end of the
    /// map and after a fault. The caller reads key and value next.
    ///
    /// # Faults
    /// Those of [`Reader::skip`]; [`ErrorKind::KeyOrder`] when the key does not sort after the one before it.
    pub fn next(&mut self, reader: &mut Reader<'b>) -> bool {
        self.next_nested(reader, MAX_DEPTH)
    }

    #[inline(never)]
    pub(super) fn next_nested(&mut self, reader: &mut Reader<'b>, depth: u8) -> bool {
        let Some(remaining) = self.remaining.checked_sub(1) else { return false };
        self.remaining = remaining;
        let start = reader.position();
        let key = reader.peek_item_nested(depth);
        if key <= self.previous {
            reader.refuse(ErrorKind::KeyOrder, start);
        }
        self.previous = key;
        reader.fault.is_none()
    }
}

/// An array whose items have each been read once, and can be read again.
#[derive(Clone, Copy, Debug)]
pub struct List<'b> {
    /// From the first item on.
    rest: &'b [u8],
    position: u32,
    items: Items,
}

impl<'b> List<'b> {
    /// No items.
    pub(crate) const EMPTY: Self = Self { rest: &[], position: 0, items: Items { remaining: 0 } };

    /// Consumes an array of `min..=max` items, each of which `item` reads.
    ///
    /// # Faults
    /// Those of [`Reader::array_within`]; those of `item`.
    #[inline(never)]
    pub fn read(reader: &mut Reader<'b>, min: u32, max: u32, item: fn(&mut Reader<'b>)) -> Self {
        let items = reader.array_within(min, max);
        let list = Self { rest: reader.rest, position: reader.position(), items };
        let mut left = items;
        while left.next(reader) {
            item(reader);
        }
        list
    }

    /// The items once more: before the first of them.
    #[must_use]
    pub fn items(&self) -> (Reader<'b>, Items) {
        (Reader::nested(self.rest, self.position), self.items)
    }

    /// The items once more.
    pub fn iter<T>(&self, item: fn(&mut Reader<'b>) -> T) -> impl Iterator<Item = T> + use<'b, T> {
        let (mut reader, mut items) = self.items();
        core::iter::from_fn(move || items.next(&reader).then(|| item(&mut reader)))
    }

    /// Of a list of byte strings, or of texts: whether this is one of them.
    #[must_use]
    #[inline(never)]
    pub fn contains(&self, content: &[u8]) -> bool {
        let (mut reader, mut items) = self.items();
        while items.next(&reader) {
            let start = reader.position();
            let (_, len) = reader.next_head();
            if reader.take(len, start) == content {
                return true;
            }
        }
        false
    }

    /// Of two such lists: whether every item of `other` is in this one.
    #[must_use]
    pub fn contains_all(&self, other: &List<'_>) -> bool {
        let (mut reader, mut items) = other.items();
        while items.next(&reader) {
            if !self.contains(reader.bytes()) {
                return false;
            }
        }
        true
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.items.remaining
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the first item lies.
    #[must_use]
    pub fn position(&self) -> u32 {
        self.position
    }
}
