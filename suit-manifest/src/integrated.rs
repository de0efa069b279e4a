//! The head of an envelope with an integrated payload (draft-ietf-suit-manifest-37 section 5.5): all that stands before the
//! payload, for a receiver whose memory holds no more than that.
//!
//! Deterministic CBOR puts a text key behind every number, so that the payload is the last member, and the file ends with it.
//! Without this member the envelope is the one that its author signed: the signature is over the manifest, which names the
//! payload by its key, its digest and its size.

use trust::cbor::{Major, Reader, Span, Utf8};

use crate::envelope::ENVELOPE_TAG;
use crate::error::{Error, ErrorKind};
use crate::source::Source;

/// Where the head of the envelope's map stands, behind the tag.
const MAP_AT: usize = 2;

/// Where the integrated payload of an envelope begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Integrated {
    /// Bytes before its key.
    pub key_at: usize,
    /// Bytes before the payload itself.
    pub content_at: usize,
    /// Bytes of the payload.
    pub len: u64,
}

impl Integrated {
    /// Looks for the payload in the first bytes of an envelope; `None`: more of them have to come. Nothing is verified.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`]; [`ErrorKind::IntegratedPayloadUnsupported`] when it is not the last member, or one of
    /// several; [`ErrorKind::ImageReference`] when there is none.
    #[inline(never)]
    pub fn find(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let source = &mut Source::of(Span { bytes, base: 0 });
        let found = Self::read(source, bytes.len());
        match source.check() {
            Ok(()) => Ok(Some(found)),
            Err(Error { kind: ErrorKind::Malformed(trust::ErrorKind::Truncated), .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(source: &mut Source<'_>, available: usize) -> Self {
        if source.tag() != ENVELOPE_TAG {
            source.refuse(trust::ErrorKind::UnexpectedType, 0);
        }
        let mut entries = source.map();
        if before(source, available) != MAP_AT.saturating_add(1) {
            // More than 23 members: there are not so many that are known.
            source.refuse_as(ErrorKind::EnvelopeMemberUnknown, 0);
        }
        while entries.next(source) {
            let (position, key_at) = (source.position(), before(source, available));
            if source.peek() != Major::Text {
                source.label();
                source.bytes();
                continue;
            }
            source.text();
            if entries.remaining() != 0 {
                source.refuse_as(ErrorKind::IntegratedPayloadUnsupported, position);
            }
            let len = source.bytes_head();
            return Self { key_at, content_at: before(source, available), len };
        }
        let end = source.position();
        source.refuse_as(ErrorKind::ImageReference, end);
        Self { key_at: 0, content_at: 0, len: 0 }
    }

    /// Turns the first bytes of the envelope into those of the one without the payload: all before [`Self::key_at`].
    pub fn take_out(bytes: &mut [u8]) {
        // One member less: their number stands in this byte.
        if let Some(map) = bytes.get_mut(MAP_AT) {
            *map = map.wrapping_sub(1);
        }
    }

    /// The key, of the same bytes.
    #[must_use]
    pub fn uri<'a>(&self, bytes: &'a [u8]) -> Utf8<'a> {
        Reader::new(bytes.get(self.key_at..self.content_at).unwrap_or_default()).text()
    }
}

/// Bytes that were read.
fn before(source: &Source<'_>, available: usize) -> usize {
    available.saturating_sub(source.rest().len())
}
