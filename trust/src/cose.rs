//! COSE_Sign1 (RFC 9052 section 4.2) in the two forms that our records have, Ed25519 (-19, RFC 9864) only.
//!
//! [`Sign1`] takes a COSE_Sign1 apart; then its signature is verified with a key, over the received bytes.

use crate::cbor::{Major, MapCursor, Reader};
use crate::error::{Error, ErrorKind};
use crate::key::{Commitment, Kid, PublicKey};

/// COSE_Sign1, RFC 9052 section 2.
pub(crate) const TAG_SIGN1: u64 = 18;
// The other structures of COSE, RFC 9052 section 2.
const TAG_ENCRYPT0: u64 = 16;
const TAG_MAC0: u64 = 17;
const TAG_ENCRYPT: u64 = 96;
const TAG_MAC: u64 = 97;
const TAG_SIGN: u64 = 98;
/// CWT, RFC 8392 section 6.
pub(crate) const TAG_CWT: u64 = 61;
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
    /// `kcwt` of the unprotected header: the embedded CWT, and the offset at which it lies.
    pub(crate) kcwt: Option<(&'a [u8], u32)>,
    /// Content of the payload and the offset at which it lies; empty when detached (nil).
    pub(crate) payload: (&'a [u8], u32),
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
    pub(crate) fn read(reader: &mut Reader<'a>, form: Form) -> Result<Self, Error> {
        expect_sign1(reader)?;
        reader.array_of(4)?;

        let (protected, position) = content(reader)?;
        let kid = read_protected(Reader::nested(protected, position), form)?;

        let start = reader.position();
        let mut unprotected = reader.map()?;
        let mut kcwt = None;
        while let Some(label) = next_header(&mut unprotected, reader)? {
            // RFC 9052 section 3.1: alg and crit have no say here; nothing but kcwt does.
            if label != HEADER_KCWT || !matches!(form, Form::Chained) {
                return Err(Error::new(ErrorKind::HeaderUnknown, start));
            }
            let position = reader.position();
            kcwt = Some((reader.item()?, position));
        }
        let payload = match form {
            Form::Record(_) => content(reader)?,
            Form::Chained => {
                reader.null()?;
                (&[][..], reader.position())
            }
        };
        let signature_position = reader.position();
        let signature = reader.byte_array()?;
        reader.finish()?;
        Ok(Self { protected, kid, kcwt, payload, signature, signature_position })
    }

    /// Verifies the signature over `payload` with `key`.
    ///
    /// The signature is over `["Signature1", protected, h'', payload]` (RFC 9052 section 4.4) with the received byte
    /// strings.
    pub(crate) fn verify(&self, payload: &[u8], key: &PublicKey) -> Result<Commitment<'a>, Error> {
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
        key.verify(&message, self.signature, self.signature_position)
    }

    /// An error of `kind` at the start of the signature.
    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.signature_position)
    }
}

/// The head of a byte string in its shortest form. Records and payloads are far shorter than 64 KiB.
fn byte_string_head<'h>(content: &[u8], buffer: &'h mut [u8; 3]) -> &'h [u8] {
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let (head, len) = match (high, low) {
        (0, 0..=23) => ([0x40 | low, 0, 0], 1),
        (0, _) => ([0x58, low, 0], 2),
        _ => ([0x59, high, low], 3),
    };
    *buffer = head;
    buffer.get(..len).unwrap_or_default()
}

/// A byte string's content and the offset at which it lies.
fn content<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], u32), Error> {
    let embedded = reader.embedded()?;
    Ok((embedded.rest(), embedded.position()))
}

/// COSE_Sign1_Tagged. Another structure of COSE, and an untagged one, are unsupported, not malformed.
fn expect_sign1(reader: &mut Reader<'_>) -> Result<(), Error> {
    let start = reader.position();
    let kind = match reader.peek()? {
        Major::Array => ErrorKind::CoseUnsupported,
        _ => match reader.tag()? {
            TAG_SIGN1 => return Ok(()),
            TAG_ENCRYPT0 | TAG_MAC0 | TAG_ENCRYPT | TAG_MAC | TAG_SIGN => ErrorKind::CoseUnsupported,
            _ => ErrorKind::UnexpectedType,
        },
    };
    Err(Error::new(kind, start))
}

/// The next header's label. A text is a legal one (RFC 9052 section 3), and none that is known here.
fn next_header<'a>(entries: &mut MapCursor<'a>, reader: &mut Reader<'a>) -> Result<Option<i32>, Error> {
    let start = reader.position();
    let Some(key) = entries.next_raw(reader)? else { return Ok(None) };
    let mut key = Reader::nested(key, start);
    if key.peek()? == Major::Text {
        return Err(Error::new(ErrorKind::HeaderUnknown, start));
    }
    key.label().map(Some)
}

/// Exactly `{1: -19, 4: kid}`, and `16: typ` in a record.
fn read_protected(mut reader: Reader<'_>, form: Form) -> Result<Kid, Error> {
    if reader.is_at_end() {
        // RFC 9052 section 3: an empty byte string stands for an empty map.
        return Err(reader.error(ErrorKind::HeaderMissing));
    }
    let (mut alg, mut kid, mut typ) = (false, None, false);
    let mut entries = reader.map()?;
    while let Some(label) = next_header(&mut entries, &mut reader)? {
        let start = reader.position();
        match (label, form) {
            (HEADER_ALG, _) => {
                // A name is as legal as a number, RFC 9052 section 3.1.
                if reader.peek()? == Major::Text || reader.label()? != ALG_ED25519 {
                    return Err(Error::new(ErrorKind::AlgorithmUnsupported, start));
                }
                alg = true;
            }
            (HEADER_CRIT, _) => return Err(Error::new(ErrorKind::CriticalHeader, start)),
            (HEADER_KID, _) => {
                // A kid of another length is legal, and of no key of ours.
                let bytes = reader.bytes()?.try_into();
                kid = Some(Kid(bytes.map_err(|_| Error::new(ErrorKind::HeaderUnknown, start))?));
            }
            (HEADER_TYP, Form::Record(expected)) => {
                if reader.text()?.as_bytes() != expected.as_bytes() {
                    return Err(Error::new(ErrorKind::RecordType, start));
                }
                typ = true;
            }
            _ => return Err(Error::new(ErrorKind::HeaderUnknown, start)),
        }
    }
    reader.finish()?;
    match kid {
        Some(kid) if alg && typ == matches!(form, Form::Record(_)) => Ok(kid),
        _ => Err(reader.error(ErrorKind::HeaderMissing)),
    }
}
