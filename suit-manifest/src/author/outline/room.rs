//! The room that an outline has. A file of 64 MiB can consist of as many elements, which nobody reads: what has no room is
//! left out, with a word about it where it would stand, and one at the end.

use std::cell::Cell;

use super::Outline;
use super::values::{cut, sha256};
use crate::limits::{MAX_NOTATION_ITEMS, MAX_OUTLINE_ELEMENTS, MAX_OUTLINE_LEN};

/// Bytes of a name.
const MAX_NAME_LEN: usize = 256;
/// Bytes of a value.
const MAX_VALUE_LEN: usize = 32 * 1024;
/// Stands where something was left out; no element has this name.
const LEFT_OUT: &str = "...";
/// Stands at the end then.
const NOT_WHOLE: &str = "NOT shown as a whole";

/// What is left of it.
pub(super) struct Room {
    elements: Cell<usize>,
    text: Cell<usize>,
    items: Cell<usize>,
    is_short: Cell<bool>,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            elements: Cell::new(MAX_OUTLINE_ELEMENTS),
            text: Cell::new(MAX_OUTLINE_LEN),
            items: Cell::new(MAX_NOTATION_ITEMS),
            is_short: Cell::new(false),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        [&self.elements, &self.text, &self.items].iter().any(|left| left.get() == 0)
    }

    /// A name, or the start of a long one, as [`Self::element`] has it.
    pub(super) fn name(name: &str) -> String {
        cut(name.to_owned(), MAX_NAME_LEN)
    }

    /// Counts an item of CBOR that has no element of its own; false when it is one too many.
    pub(super) fn take_item(&self) -> bool {
        let left = self.items.get().checked_sub(1);
        self.items.set(left.unwrap_or(0));
        left.is_some()
    }

    /// An element. It has room: what lists elements asks before.
    pub(super) fn element(
        &self,
        name: impl Into<String>,
        value: impl Into<String>,
        parts: Vec<Outline>,
    ) -> Outline {
        let (name, value) = (cut(name.into(), MAX_NAME_LEN), cut(value.into(), MAX_VALUE_LEN));
        self.elements.set(self.elements.get().saturating_sub(1));
        self.text.set(self.text.get().saturating_sub(name.len()).saturating_sub(value.len()));
        Outline { name, value, parts }
    }

    pub(super) fn leaf(&self, name: impl Into<String>, value: impl Into<String>) -> Outline {
        self.element(name, value, Vec::new())
    }

    /// The elements of a list, as far as there is room.
    pub(super) fn list<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        mut show: impl FnMut(T) -> Outline,
    ) -> Vec<Outline> {
        let mut all = all.into_iter();
        let mut parts = Vec::new();
        while !self.is_full() {
            match all.next() {
                Some(one) => parts.push(show(one)),
                None => return parts,
            }
        }
        match all.count() {
            0 => {}
            left => parts.push(self.left_out(Some(left))),
        }
        parts
    }

    /// In the place of elements that have no room, as many as are known.
    pub(super) fn left_out(&self, count: Option<usize>) -> Outline {
        self.is_short.set(true);
        let count = count.map_or_else(|| "more".to_owned(), |count| format!("{count} more"));
        Outline { name: LEFT_OUT.to_owned(), value: format!("{count}, not shown"), parts: Vec::new() }
    }

    /// The outline of a whole file, with a word about what is not in it.
    pub(super) fn whole(&self, file: &[u8], mut outline: Outline) -> Outline {
        if self.is_short.get() {
            let limits = format!(
                "{MAX_OUTLINE_ELEMENTS} elements, {MAX_OUTLINE_LEN} bytes of text or {MAX_NOTATION_ITEMS} items of CBOR"
            );
            let value = format!("the file has more than {limits}; its SHA-256 is {}", sha256(file));
            outline.parts.push(Outline { name: NOT_WHOLE.to_owned(), value, parts: Vec::new() });
        }
        outline
    }
}
