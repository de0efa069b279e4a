//! Parts of an image on the way in: bytes with their addresses, and the lines of the text formats.

use std::borrow::Cow;
use std::ops::Range;

use super::ImageError;

/// Byte order mark of UTF-8, which Windows programs write.
const BOM: &[u8] = b"\xef\xbb\xbf";
/// First characters of a line that is a comment.
const COMMENTS: [&[u8]; 3] = [b";", b"#", b"//"];

/// Bytes and the address at which they are loaded.
pub(super) struct Piece<'a> {
    pub(super) address: u64,
    pub(super) bytes: Cow<'a, [u8]>,
}

impl Piece<'_> {
    /// Leaves out the bytes outside of the range; returns how many.
    pub(super) fn crop(&mut self, range: &Range<u64>) -> u64 {
        let len = self.bytes.len() as u64;
        let inside = |address: u64| address.saturating_sub(self.address).min(len);
        let (start, end) = (inside(range.start), inside(range.end));
        // Both are at most the length, which is a usize.
        let bounds = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let kept = bounds.and_then(|(start, end)| self.bytes.get(start..end)).unwrap_or_default().to_vec();
        let left_out = len - kept.len() as u64;
        self.address = self.address.saturating_add(start);
        self.bytes = Cow::Owned(kept);
        left_out
    }
}

/// Pieces in the order of the input.
#[derive(Default)]
pub(super) struct Pieces<'a>(pub(super) Vec<Piece<'a>>);

impl<'a> Pieces<'a> {
    /// Adds bytes, to the piece before if they follow on: a record of a text format has 16 bytes.
    pub(super) fn push(&mut self, address: u64, bytes: &[u8]) {
        match self.0.last_mut() {
            Some(last) if last.address.checked_add(last.bytes.len() as u64) == Some(address) => {
                last.bytes.to_mut().extend_from_slice(bytes);
            }
            _ => self.0.push(Piece { address, bytes: Cow::Owned(bytes.to_vec()) }),
        }
    }

    /// Adds a part of the input as it stands.
    pub(super) fn borrow(&mut self, address: u64, bytes: &'a [u8]) {
        self.0.push(Piece { address, bytes: Cow::Borrowed(bytes) });
    }
}

/// The records of a text format with their line numbers, from 1. A byte order mark, empty lines and comments are
/// passed over.
pub(super) struct Lines<'a> {
    rest: Option<&'a [u8]>,
    number: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn of(input: &'a [u8]) -> Self {
        Self { rest: Some(input.strip_prefix(BOM).unwrap_or(input)), number: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<(usize, &'a str), ImageError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.rest?;
            let (line, rest) = match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => (rest.get(..end)?, rest.get(end + 1..)),
                None => (rest, None),
            };
            self.rest = rest;
            self.number += 1;
            let line = line.trim_ascii();
            if line.is_empty() || COMMENTS.iter().any(|comment| line.starts_with(comment)) {
                continue;
            }
            let text = std::str::from_utf8(line).ok().filter(|text| {
                text.bytes().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'))
            });
            let not_text = ImageError::Line { line: self.number, reason: "it is not text" };
            return Some(text.map(|text| (self.number, text)).ok_or(not_text));
        }
    }
}
