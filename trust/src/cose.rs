//! COSE_Sign1 (RFC 9052 section 4.2) in the two forms that our records have, Ed25519 (-19, RFC 9864) only.
//!
//! [`Sign1`] takes a COSE_Sign1 apart; then its signature is verified with a key, over the received bytes.

mod headers;

pub(crate) use self::headers::Headers;
use crate::cbor::{Major, MapCursor, Reader, Span, bit};
use crate::error::{Error, ErrorKind};
use crate::key::{Commitment, KID_LEN, Kid, PublicKey};

/// COSE_Sign1, RFC 9052 section 2.
pub(crate) const TAG_SIGN1: u64 = 18;
// The other structures of COSE, RFC 9052 section 2.
pub(crate) const TAG_ENCRYPT0: u64 = 16;
pub(crate) const TAG_MAC0: u64 = 17;
pub(crate) const TAG_ENCRYPT: u64 = 96;
pub(crate) const TAG_MAC: u64 = 97;
pub(crate) const TAG_SIGN: u64 = 98;
/// CWT, RFC 8392 section 6.
pub(crate) const TAG_CWT: u32 = 61;
/// Ed25519, RFC 9864.
pub(crate) const ALG_ED25519: i32 = -19;
pub(crate) const HEADER_ALG: i32 = 1;
pub(crate) const HEADER_CRIT: i32 = 2;
pub(crate) const HEADER_KID: i32 = 4;
/// CWT chain of the signing key, RFC 9528 section 10.9.
pub(crate) const HEADER_KCWT: i32 = 13;
/// RFC 9596.
pub(crate) const HEADER_TYP: i32 = 16;

/// The parts of a COSE_Sign1, read strictly; nothing is verified yet.
pub(crate) struct Sign1<'a> {
    protected: &'a [u8],
    pub(crate) kid: Kid,
    /// `kcwt` of the unprotected header: the embedded CWT; empty in a record.
    pub(crate) kcwt: Span<'a>,
    /// Content of the payload; empty when detached (nil).
    pub(crate) payload: Span<'a>,
    signature: &'a [u8; 64],
    signature_position: u32,
}

/// The form to read.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// Embedded payload, empty unprotected header, this `typ`.
    Record(&'static str),
    /// Payload nil, `kcwt` alone in the unprotected header, no `typ`.
    Chained,
}

impl<'a> Sign1<'a> {
    /// Reads `18([protected, unprotected, payload, signature])`.
    #[inline(never)]
    pub(crate) fn read(reader: &mut Reader<'a>, form: Form) -> Result<Self, Error> {
        expect_structure(reader, TAG_SIGN1);
        reader.array_of(4);
        let (protected, kid) = reader.embedded(|reader| (reader.rest(), read_protected(reader, form)));

        let start = reader.position();
        let mut unprotected = reader.map();
        let mut kcwt = Span::EMPTY;
        while let Some(label) = next_header(&mut unprotected, reader) {
            // RFC 9052 section 3.1: alg and crit have no say here; nothing but kcwt does.
            if label != HEADER_KCWT || !matches!(form, Form::Chained) {
                reader.refuse(ErrorKind::HeaderUnknown, start);
            }
            let base = reader.position();
            kcwt = Span { bytes: reader.item(), base };
        }
        let payload = match form {
            Form::Record(_) => reader.span(),
            Form::Chained => {
                reader.null();
                Span::EMPTY
            }
        };
        let signature_position = reader.position();
        let signature = reader.byte_array();
        reader.expect_end();
        if matches!(form, Form::Chained) && kcwt.bytes.is_empty() {
            reader.refuse(ErrorKind::HeaderMissing, signature_position);
        }
        reader.check()?;
        Ok(Self { protected, kid, kcwt, payload, signature, signature_position })
    }

    /// Verifies the signature over `payload` with `key`.
    ///
    /// The signature is over `["Signature1", protected, h'', payload]` (RFC 9052 section 4.4) with the received byte
    /// strings.
    pub(crate) fn verify(
        &self,
        payload: &[u8],
        key: &PublicKey,
        commitment: &mut Commitment<'a>,
    ) -> Result<(), Error> {
        let mut heads = [[0; 3]; 2];
        let [protected_head, payload_head] = &mut heads;
        let message = [
            b"\x84\x6aSignature1",
            byte_string_head(self.protected, protected_head),
            self.protected,
            b"\x40",
            byte_string_head(payload, payload_head),
            payload,
        ];
        key.verify(&message, self.signature, self.signature_position, commitment)
    }

    /// An error of `kind` at the start of the signature.
    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.signature_position)
    }
}

/// The head of a byte string in its shortest form. Records and payloads are far shorter than 64 KiB.
pub(crate) fn byte_string_head<'h>(content: &[u8], buffer: &'h mut [u8; 3]) -> &'h [u8] {
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let (head, len) = match (high, low) {
        (0, 0..=23) => ([0x40 | low, 0, 0], 1),
        (0, _) => ([0x58, low, 0], 2),
        _ => ([0x59, high, low], 3),
    };
    *buffer = head;
    buffer.get(..len).unwrap_or_default()
}

/// The structure with this tag. Another structure of COSE, and an untagged one, are unsupported, not malformed.
pub(crate) fn expect_structure(reader: &mut Reader<'_>, tag: u64) {
    let start = reader.position();
    let kind = match reader.peek() {
        Major::Array => ErrorKind::CoseUnsupported,
        _ => match reader.tag() {
            found if found == tag => return,
            TAG_SIGN1 | TAG_ENCRYPT0 | TAG_MAC0 | TAG_ENCRYPT | TAG_MAC | TAG_SIGN => {
                ErrorKind::CoseUnsupported
            }
            _ => ErrorKind::UnexpectedType,
        },
    };
    reader.refuse(kind, start);
}

/// The next header's label. A text is a legal one (RFC 9052 section 3), and none that is known here.
#[inline(never)]
fn next_header<'a>(entries: &mut MapCursor<'a>, reader: &mut Reader<'a>) -> Option<i32> {
    let start = reader.position();
    if !entries.next(reader) {
        return None;
    }
    if reader.peek() == Major::Text {
        reader.refuse(ErrorKind::HeaderUnknown, start);
    }
    Some(reader.label())
}

/// Exactly `{1: -19, 4: kid}`, and `16: typ` in a record.
#[inline(never)]
fn read_protected(reader: &mut Reader<'_>, form: Form) -> Kid {
    if reader.is_at_end() {
        // RFC 9052 section 3: an empty byte string stands for an empty map.
        reader.refuse(ErrorKind::HeaderMissing, reader.position());
    }
    let mut kid = Kid([0; KID_LEN]);
    let mut seen = 0;
    let mut entries = reader.map();
    while let Some(label) = next_header(&mut entries, reader) {
        seen |= bit(label);
        let start = reader.position();
        let (holds, refusal) = match (label, form) {
            // A name is as legal as a number, RFC 9052 section 3.1.
            (HEADER_ALG, _) => (
                reader.peek() != Major::Text && reader.label() == ALG_ED25519,
                ErrorKind::AlgorithmUnsupported,
            ),
            (HEADER_CRIT, _) => (false, ErrorKind::CriticalHeader),
            // A kid of another length is legal, and of no key of ours.
            (HEADER_KID, _) => {
                let read = reader.bytes().try_into();
                kid = read.map_or(kid, Kid);
                (read.is_ok(), ErrorKind::HeaderUnknown)
            }
            (HEADER_TYP, Form::Record(expected)) => {
                (reader.text().as_bytes() == expected.as_bytes(), ErrorKind::RecordType)
            }
            _ => (false, ErrorKind::HeaderUnknown),
        };
        if !holds {
            reader.refuse(refusal, start);
        }
    }
    let typ = match form {
        Form::Record(_) => bit(HEADER_TYP),
        Form::Chained => 0,
    };
    if seen != bit(HEADER_ALG) | bit(HEADER_KID) | typ {
        reader.refuse(ErrorKind::HeaderMissing, reader.position());
    }
    kid
}
