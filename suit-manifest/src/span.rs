//! What the formats of SUIT are made of: wrapped CBOR, URIs.

use trust::cbor::{Reader, Span, Utf8};

use crate::error::ErrorKind;
use crate::limits::MAX_URI_LEN;
use crate::source::Source;

/// A `bstr` that wraps CBOR: what it holds, and the whole item with its head. Digests of wrapped elements are
/// taken over the latter (draft-ietf-suit-manifest-37 sections 8.3 and 8.4.12).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wrapped<'a> {
    pub(crate) content: Span<'a>,
    pub(crate) item: Span<'a>,
}

impl<'a> Wrapped<'a> {
    pub(crate) const EMPTY: Self = Self { content: Span::EMPTY, item: Span::EMPTY };

    #[inline(never)]
    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        let item = Span { base: reader.position(), bytes: reader.peek_item() };
        Self { content: reader.span(), item }
    }
}

/// A URI of at most [`MAX_URI_LEN`] bytes. An empty one is legal and leads nowhere: `unsupported`.
#[inline(never)]
pub(crate) fn uri<'a>(source: &mut Source<'a>, unsupported: ErrorKind) -> Utf8<'a> {
    let start = source.position();
    let uri = source.text();
    match uri.as_bytes().len() {
        0 => source.refuse_as(unsupported, start),
        1..=MAX_URI_LEN => {}
        _ => source.refuse(trust::ErrorKind::TooLong, start),
    }
    uri
}
