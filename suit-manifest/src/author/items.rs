//! CBOR (RFC 8949) head by head: nothing is built of a file, so that one that is hostile costs its own bytes and no more.
//! Whoever walks over items has limits of his own for their number and depth.

use std::borrow::Cow;

use ciborium_ll::{Decoder, Encoder, Header};

/// Bytes of the longest head.
const MAX_HEAD_LEN: usize = 9;

/// The items that are left of a slice.
#[derive(Clone, Copy)]
pub(super) struct Items<'a> {
    left: &'a [u8],
}

impl<'a> Items<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub(super) fn left(&self) -> &'a [u8] {
        self.left
    }

    /// The next head, and the bytes that it consists of.
    pub(super) fn head(&mut self) -> Option<(Header, &'a [u8])> {
        let mut decoder = Decoder::from(self.left);
        let header = decoder.pull().ok()?;
        let (head, left) = self.left.split_at_checked(decoder.offset())?;
        self.left = left;
        Some((header, head))
    }

    /// This many bytes: the content of a string whose head was read.
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (content, left) = self.left.split_at_checked(len)?;
        self.left = left;
        Some(content)
    }

    /// The content of a byte string whose head was read; one without a length comes in pieces (section 3.2.3).
    pub(super) fn bytes(&mut self, len: Option<usize>) -> Option<Cow<'a, [u8]>> {
        let Some(len) = len else {
            let piece = |header| match header {
                Header::Bytes(len) => len,
                _ => None,
            };
            return self.pieces(piece, |_| true).map(Cow::Owned);
        };
        self.take(len).map(Cow::Borrowed)
    }

    /// The same of a text string.
    pub(super) fn text(&mut self, len: Option<usize>) -> Option<Cow<'a, str>> {
        let Some(len) = len else {
            let piece = |header| match header {
                Header::Text(len) => len,
                _ => None,
            };
            let whole = self.pieces(piece, |piece| std::str::from_utf8(piece).is_ok())?;
            return String::from_utf8(whole).ok().map(Cow::Owned);
        };
        std::str::from_utf8(self.take(len)?).ok().map(Cow::Borrowed)
    }

    fn pieces(
        &mut self,
        len_of: impl Fn(Header) -> Option<usize>,
        is_sound: impl Fn(&[u8]) -> bool,
    ) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            let (header, _) = self.head()?;
            if header == Header::Break {
                return Some(whole);
            }
            let piece = self.take(len_of(header)?)?;
            if !is_sound(piece) {
                return None;
            }
            whole.extend_from_slice(piece);
        }
    }
}

/// Whether these bytes are the one head that deterministic CBOR (section 4.2.1) has for what they say.
pub(super) fn is_deterministic(header: Header, head: &[u8]) -> bool {
    let mut again = Vec::with_capacity(MAX_HEAD_LEN);
    let is_encoded = Encoder::from(&mut again).push(header).is_ok();
    match header {
        Header::Break
        | Header::Bytes(None)
        | Header::Text(None)
        | Header::Array(None)
        | Header::Map(None) => false,
        // There are many that are no number; one has a notation.
        Header::Float(number) if number.is_nan() => head == [0xf9, 0x7e, 0x00],
        _ => is_encoded && again == head,
    }
}

/// A float as section 8 has it: with a point or an exponent, which tells it from an integer.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number < 0.0 { "-Infinity" } else { "Infinity" }.to_owned()
    } else {
        format!("{number:?}")
    }
}

/// A number below 0, of which the head has -1 - n.
pub(super) fn negative(argument: u64) -> i128 {
    !i128::from(argument)
}
