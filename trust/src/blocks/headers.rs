//! The header maps of a block (RFC 9052 section 3), and its structure (section 2).

use crate::cbor::{Major, Reader, Span};
use crate::cose::{
    HEADER_ALG, HEADER_CRIT, HEADER_KID, TAG_ENCRYPT, TAG_ENCRYPT0, TAG_MAC, TAG_MAC0, TAG_SIGN, TAG_SIGN1,
};
use crate::error::ErrorKind;

/// A map of no entries, which stands for no protected headers as an empty string does.
const EMPTY_MAP: &[u8] = &[0xa0];

/// A structure of COSE, by its tag (RFC 9052 section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CoseStructure {
    /// 16
    Encrypt0,
    /// 17
    Mac0,
    /// 18
    Sign1,
    /// 96
    Encrypt,
    /// 97
    Mac,
    /// 98
    Sign,
    /// One of them, and nothing says which.
    Untagged,
}

impl CoseStructure {
    /// The structure with this tag.
    #[must_use]
    pub const fn of_tag(tag: u64) -> Option<Self> {
        Some(match tag {
            TAG_ENCRYPT0 => Self::Encrypt0,
            TAG_MAC0 => Self::Mac0,
            TAG_SIGN1 => Self::Sign1,
            TAG_ENCRYPT => Self::Encrypt,
            TAG_MAC => Self::Mac,
            TAG_SIGN => Self::Sign,
            _ => return None,
        })
    }

    /// Its tag.
    #[must_use]
    pub const fn tag(self) -> Option<u64> {
        Some(match self {
            Self::Encrypt0 => TAG_ENCRYPT0,
            Self::Mac0 => TAG_MAC0,
            Self::Sign1 => TAG_SIGN1,
            Self::Encrypt => TAG_ENCRYPT,
            Self::Mac => TAG_MAC,
            Self::Sign => TAG_SIGN,
            Self::Untagged => return None,
        })
    }
}

/// A value of `alg` (RFC 9052 section 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm<'a> {
    /// As registered.
    Number(i64),
    /// A name is as legal, and none is known.
    Name(&'a str),
}

impl Algorithm<'_> {
    /// Its number, if it has one.
    #[must_use]
    pub const fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Name(_) => None,
        }
    }
}

/// Where `alg` may stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Layer {
    /// Of a signature or MAC: in the protected map, where it is authenticated.
    Content,
    /// Of an encrypted content: in either, and which one it is depends on the algorithm (section 5.3).
    Encrypted,
    /// Around the signatures of a COSE_Sign: nowhere, each of them has its own (section 4.1).
    Body,
    /// Of a recipient: both of its algorithms here protect nothing (sections 8.5.1 and 8.5.2).
    Recipient,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Protected,
    Unprotected,
}

/// The headers of one layer, out of both of its maps.
pub(super) struct Headers<'a> {
    /// The protected map as it was received; empty without an entry, as the structures to verify have it (section 4.4).
    pub(super) protected: &'a [u8],
    /// Whether there were bytes for a protected map, be it one without an entry.
    pub(super) has_protected: bool,
    pub(super) is_algorithm_protected: bool,
    pub(super) algorithm: Option<Algorithm<'a>>,
    pub(super) kid: Option<&'a [u8]>,
    /// What else there is, by its label.
    others: Vec<(i32, Span<'a>)>,
}

impl<'a> Headers<'a> {
    pub(super) fn read(reader: &mut Reader<'a>, layer: Layer) -> Self {
        let mut headers = Self {
            protected: &[],
            has_protected: false,
            is_algorithm_protected: false,
            algorithm: None,
            kid: None,
            others: Vec::new(),
        };
        let mut labels = Vec::new();
        let start = reader.position();
        let after = reader.enter();
        let protected = reader.rest();
        // Section 3: an empty string and an empty map in one are both to be read.
        if !reader.is_at_end() {
            headers.read_map(reader, layer, Place::Protected, &mut labels);
        }
        reader.leave(&after);
        headers.has_protected = !protected.is_empty();
        headers.protected = if protected == EMPTY_MAP { &[] } else { protected };
        headers.read_map(reader, layer, Place::Unprotected, &mut labels);
        if headers.algorithm.is_none() && layer != Layer::Body {
            reader.refuse(ErrorKind::HeaderMissing, start);
        }
        headers
    }

    /// The item of another header, out of either map.
    pub(super) fn other(&self, label: i32) -> Option<Span<'a>> {
        self.others.iter().find(|(known, _)| *known == label).map(|(_, item)| *item)
    }

    fn read_map(&mut self, reader: &mut Reader<'a>, layer: Layer, place: Place, labels: &mut Vec<&'a [u8]>) {
        // Within a map, keys ascend: none is there twice.
        let mut entries = reader.map();
        loop {
            let start = reader.position();
            if !entries.next(reader) {
                return;
            }
            let key = reader.peek_item();
            // Section 3: applications check that no label stands in both maps.
            if labels.contains(&key) {
                reader.refuse(ErrorKind::HeaderUnknown, start);
            }
            labels.push(key);
            let label = match reader.peek() {
                Major::Text => {
                    reader.text();
                    i32::MAX
                }
                _ => reader.label(),
            };
            match label {
                HEADER_ALG => {
                    let is_in_place = match layer {
                        // An algorithm that nobody authenticates says nothing (RFC 9052 section 3.1).
                        Layer::Content => place == Place::Protected,
                        Layer::Body => false,
                        Layer::Encrypted | Layer::Recipient => true,
                    };
                    if !is_in_place {
                        reader.refuse(ErrorKind::HeaderUnknown, start);
                    }
                    self.is_algorithm_protected = place == Place::Protected;
                    self.algorithm = Some(match reader.peek() {
                        Major::Text => Algorithm::Name(reader.text().as_str()),
                        _ => Algorithm::Number(reader.int()),
                    });
                }
                // Section 3.1: nothing that needs to be named in it is understood.
                HEADER_CRIT => reader.refuse(ErrorKind::CriticalHeader, start),
                HEADER_KID => self.kid = Some(reader.bytes()),
                // What is not critical may be passed over.
                _ => {
                    let base = reader.position();
                    self.others.push((label, Span { bytes: reader.item(), base }));
                }
            }
        }
    }
}
