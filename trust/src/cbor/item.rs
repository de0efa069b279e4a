//! Items that are walked over as a whole.

use super::{FALSE, Items, MAX_DEPTH, Major, MapCursor, NULL, Reader};
use crate::error::ErrorKind;

impl<'b> Reader<'b> {
    /// Walks over one whole item with the same strictness.
    ///
    /// # Faults
    /// Those of reading the item and the items inside it; [`ErrorKind::TooDeep`] when they lie
    /// deeper than [`MAX_DEPTH`].
    pub fn skip(&mut self) {
        self.skip_nested(MAX_DEPTH);
    }

    /// One whole item, checked like [`Reader::skip`]: its encoded bytes.
    ///
    /// # Faults
    /// Those of [`Reader::skip`].
    #[inline(never)]
    pub fn item(&mut self) -> &'b [u8] {
        let before = self.rest;
        self.skip();
        self.read_of(before)
    }

    /// [`Reader::item`], and this reader stands before it again.
    ///
    /// # Faults
    /// Those of [`Reader::skip`].
    pub fn peek_item(&mut self) -> &'b [u8] {
        self.peek_item_nested(MAX_DEPTH)
    }

    #[inline(never)]
    pub(super) fn peek_item_nested(&mut self, depth: u8) -> &'b [u8] {
        let before = self.rest;
        self.skip_nested(depth);
        let item = self.read_of(before);
        if self.fault.is_none() {
            self.rest = before;
        }
        item
    }

    /// What of `before` has been read since then.
    fn read_of(&self, before: &'b [u8]) -> &'b [u8] {
        before.get(..before.len().wrapping_sub(self.rest.len())).unwrap_or_default()
    }

    #[inline(never)]
    fn skip_nested(&mut self, depth: u8) {
        let start = self.position();
        let Some(inner) = depth.checked_sub(1) else { return self.refuse(ErrorKind::TooDeep, start) };
        let (major, argument) = self.next_head();
        match major {
            Major::Unsigned | Major::Negative => {}
            Major::Bytes => drop(self.take(argument, start)),
            Major::Text => drop(self.text_of(argument, start)),
            Major::Tag => self.skip_nested(inner),
            Major::Array => {
                let mut items = Items::of(self.count(argument, start));
                while items.next(self) {
                    self.skip_nested(inner);
                }
            }
            Major::Map => {
                let mut entries = MapCursor::of(self.count(argument, start));
                while entries.next_nested(self, inner) {
                    self.skip_nested(inner);
                    self.skip_nested(inner);
                }
            }
            // `false`, `true` or `null`; what else there is of major type 7 is refused.
            Major::Simple if (FALSE.into()..=NULL.into()).contains(&argument) => {}
            Major::Simple => self.refuse(ErrorKind::UnexpectedType, start),
        }
    }
}
