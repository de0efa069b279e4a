//! A piece of the envelope with its offset, so that every error has a position.

use trust::cbor::{Reader, Utf8};

use crate::error::{Error, ErrorKind};
use crate::limits::MAX_URI_LEN;

/// Received bytes at offset `base` of the envelope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) base: u32,
}

impl<'a> Span<'a> {
    pub(crate) fn reader(self) -> Reader<'a> {
        Reader::nested(self.bytes, self.base)
    }

    pub(crate) fn sha256(self) -> [u8; 32] {
        trust::sha256(self.bytes)
    }
}

/// A `bstr` that wraps CBOR: what it holds, and the whole item with its head. Digests of wrapped elements are
/// taken over the latter (draft-ietf-suit-manifest-37 sections 8.3 and 8.4.12).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wrapped<'a> {
    pub(crate) content: Span<'a>,
    pub(crate) item: Span<'a>,
}

impl<'a> Wrapped<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let base = reader.position();
        let bytes = reader.clone().item()?;
        Ok(Self { content: embedded(reader)?, item: Span { bytes, base } })
    }
}

/// The content of a byte string.
pub(crate) fn embedded<'a>(reader: &mut Reader<'a>) -> Result<Span<'a>, Error> {
    let bytes = reader.bytes()?;
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    Ok(Span { bytes, base: reader.position().saturating_sub(len) })
}

/// A URI of at most [`MAX_URI_LEN`] bytes. An empty one is legal and leads nowhere: `unsupported`.
pub(crate) fn uri<'a>(reader: &mut Reader<'a>, unsupported: ErrorKind) -> Result<Utf8<'a>, Error> {
    let start = reader.position();
    let uri = reader.text()?;
    match uri.as_bytes().len() {
        0 => Err(Error::new(unsupported, start)),
        1..=MAX_URI_LEN => Ok(uri),
        _ => Err(Error::malformed(trust::ErrorKind::TooLong, start)),
    }
}

/// The head of an array of 1 to `max` items.
pub(crate) fn array_up_to(reader: &mut Reader<'_>, max: u64) -> Result<u32, Error> {
    let start = reader.position();
    let len = reader.array()?;
    match u32::try_from(len) {
        Ok(0) => Err(Error::malformed(trust::ErrorKind::OutOfRange, start)),
        Ok(items) if len <= max => Ok(items),
        _ => Err(Error::malformed(trust::ErrorKind::TooMany, start)),
    }
}
