//! COSE_Mac0 (RFC 9052 section 6.2), HMAC 256/256: what is authenticated with a key that the device has as well. Its payload
//! is detached where a maker speaks to the device, and attached where the device reports.

use core::hint::black_box;

use crate::cbor::{Reader, Span, Writer};
use crate::cose::{HEADER_ALG, HEADER_KID, Headers, TAG_MAC0, byte_string_head, expect_structure};
use crate::error::{Error, ErrorKind};
use crate::hmac::{MAC_LEN, Mac, hmac_sha256};
use crate::key::{KID_LEN, Kid};

/// HMAC 256/256, RFC 9053 section 3.1.
pub(crate) const ALG_HMAC_256: i32 = 5;
/// Longest COSE_Mac0, bytes: without a payload it has fewer.
pub const MAX_MAC0_LEN: usize = 128;
/// Longest COSE_Mac0 with its payload, bytes: what a host reads.
pub const MAX_ATTACHED_MAC0_LEN: usize = 16 * 1024;
/// Bytes of a COSE_Mac0 of a device but for its payload: tag, array and headers; heads of payload and tag; the tag.
pub const ATTACHED_MAC0_ROOM: usize = 2 + 1 + PROTECTED_LEN + 1 + 3 + 2 + MAC_LEN;
/// Bytes of the protected headers that a device writes.
const PROTECTED_LEN: usize = 5 + KID_LEN;
/// Longest detached payload, bytes. A manifest's digest has 36.
const MAX_PAYLOAD_LEN: usize = crate::MAX_DETACHED_PAYLOAD_LEN;

/// MAC_structure up to the protected header (RFC 9052 section 6.3).
pub(crate) const MAC_STRUCTURE: &[u8] = b"\x84\x64MAC0";

/// The authority of the key that a device and its maker have, and nobody else: what it authenticates is for this device.
#[derive(Clone, Debug)]
pub struct DeviceAuthority<'a> {
    kid: Kid,
    macs: [Mac<'a>; 2],
}

impl<'a> DeviceAuthority<'a> {
    /// [`verify_mac0`], twice.
    ///
    /// # Errors
    /// Those of [`verify_mac0`]
    pub fn verify(mac0: &'a [u8], payload: &[u8], kid: &Kid, key: &[u8; 32]) -> Result<Self, Error> {
        let first = verify_mac0(mac0, payload, &kid.0, key)?;
        let second = verify_mac0(black_box(mac0), payload, &kid.0, black_box(key))?;
        Ok(Self { kid: *kid, macs: [first, second] })
    }

    /// kid of the key.
    #[must_use]
    pub const fn kid(&self) -> &Kid {
        &self.kid
    }

    /// The MAC, computed twice: for a caller that compares once more.
    #[must_use]
    pub const fn macs(&self) -> &[Mac<'a>; 2] {
        &self.macs
    }
}

/// The kid in a COSE_Mac0, **which nobody has verified**, if it has one of a kid's length.
///
/// # Errors
/// Those of [`verify_mac0`] but [`ErrorKind::DeviceKeyUnknown`] and [`ErrorKind::MacInvalid`]
pub fn claimed_device_key(mac0: &[u8]) -> Result<Option<Kid>, Error> {
    let read = Mac0::read(mac0, Payload::Detached)?;
    Ok(read.kid())
}

/// Verifies `17([{1: 5, ? 4: kid}, {? 4: kid}, nil, tag])` over `payload`.
///
/// # Errors
/// [`ErrorKind::TooLong`]; [`ErrorKind::CoseUnsupported`] for another structure; [`ErrorKind::AlgorithmUnsupported`];
/// [`ErrorKind::CriticalHeader`], [`ErrorKind::HeaderUnknown`] and [`ErrorKind::HeaderMissing`];
/// [`ErrorKind::DeviceKeyUnknown`] when it names another key than `kid`; [`ErrorKind::MacInvalid`]; the kind that names the
/// fault of what is malformed.
#[inline(never)]
pub fn verify_mac0<'a>(mac0: &'a [u8], payload: &[u8], kid: &[u8], key: &[u8; 32]) -> Result<Mac<'a>, Error> {
    if payload.len() > MAX_PAYLOAD_LEN {
        return Err(Error::new(ErrorKind::TooLong, 0));
    }
    let read = Mac0::read(mac0, Payload::Detached)?;
    read.verify(payload, kid, key)
}

/// Verifies `17([{1: 5, ? 4: kid}, {? 4: kid}, payload, tag])`: its payload.
///
/// # Errors
/// Those of [`verify_mac0`]
pub fn verify_attached_mac0<'a>(mac0: &'a [u8], kid: &Kid, key: &[u8; 32]) -> Result<Span<'a>, Error> {
    let read = Mac0::read(mac0, Payload::Attached)?;
    read.verify(read.payload.bytes, &kid.0, key)?;
    Ok(read.payload)
}

/// The payload of a COSE_Mac0 and the kid that it has, if that has a kid's length. **Nobody has verified them.**
///
/// # Errors
/// Those of [`claimed_device_key`]
pub fn read_attached_mac0(mac0: &[u8]) -> Result<(Option<Kid>, Span<'_>), Error> {
    let read = Mac0::read(mac0, Payload::Attached)?;
    Ok((read.kid(), read.payload))
}

/// Writes `17([{1: 5, 4: kid}, {}, payload, tag])`, for a device. The payload is a map: what a maker authenticates with the same
/// key is a SUIT_Digest, which is an array, so that neither passes for the other.
#[inline(never)]
pub fn write_attached_mac0(writer: &mut Writer<'_>, payload: &[u8], kid: &Kid, key: &[u8; 32]) {
    let mut protected = [0; PROTECTED_LEN];
    let mut headers = Writer::new(&mut protected);
    headers.map(2);
    headers.int(HEADER_ALG);
    headers.int(ALG_HMAC_256);
    headers.int(HEADER_KID);
    headers.bytes(&kid.0);
    let tag = tag_of(&protected, payload, key);
    let [structure, ..] = TAG_MAC0.to_le_bytes();
    writer.tag(structure.into());
    writer.array(4);
    writer.bytes(&protected);
    writer.map(0);
    writer.bytes(payload);
    writer.bytes(&tag);
}

/// MAC_structure (RFC 9052 section 6.3) under the key.
fn tag_of(protected: &[u8], payload: &[u8], key: &[u8; 32]) -> [u8; MAC_LEN] {
    let mut heads = [[0; 3]; 2];
    let [protected_head, payload_head] = &mut heads;
    let message = [
        MAC_STRUCTURE,
        byte_string_head(protected, protected_head),
        protected,
        b"\x40",
        byte_string_head(payload, payload_head),
        payload,
    ];
    hmac_sha256(key, &message)
}

/// What stands in the place of the payload.
#[derive(Clone, Copy)]
enum Payload {
    Detached,
    Attached,
}

/// The parts of a COSE_Mac0.
struct Mac0<'a> {
    protected: &'a [u8],
    kid: Option<&'a [u8]>,
    /// Empty when it is detached.
    payload: Span<'a>,
    tag: &'a [u8; MAC_LEN],
    /// Where its headers begin.
    start: u32,
    tag_at: u32,
}

impl<'a> Mac0<'a> {
    fn read(mac0: &'a [u8], payload: Payload) -> Result<Self, Error> {
        let reader = &mut Reader::new(mac0);
        expect_structure(reader, TAG_MAC0);
        let longest = match payload {
            Payload::Detached => MAX_MAC0_LEN,
            Payload::Attached => MAX_ATTACHED_MAC0_LEN,
        };
        if mac0.len() > longest {
            reader.refuse(ErrorKind::TooLong, 0);
        }
        reader.array_of(4);
        let start = reader.position();
        let mut headers = Headers::NONE;
        // RFC 9052 section 3: alg is where the MAC protects it.
        let protected = headers.read_protected(reader, Headers::ALGORITHM | Headers::KID);
        headers.read(reader, Headers::KID);
        if !headers.has(Headers::ALGORITHM) {
            reader.refuse(ErrorKind::HeaderMissing, start);
        } else if headers.algorithm != ALG_HMAC_256 {
            reader.refuse(ErrorKind::AlgorithmUnsupported, start);
        }
        let payload = match payload {
            Payload::Detached => {
                reader.null();
                Span::EMPTY
            }
            Payload::Attached => reader.span(),
        };
        let tag_at = reader.position();
        let tag = reader.byte_array::<MAC_LEN>();
        reader.finish()?;
        let kid = headers.has(Headers::KID).then_some(headers.kid);
        Ok(Self { protected, kid, payload, tag, start, tag_at })
    }

    /// The kid, if it has the length of one.
    fn kid(&self) -> Option<Kid> {
        self.kid.and_then(|kid| kid.try_into().ok()).map(Kid)
    }

    fn verify(&self, payload: &[u8], kid: &[u8], key: &[u8; 32]) -> Result<Mac<'a>, Error> {
        if self.kid.is_some_and(|named| named != kid) {
            return Err(Error::new(ErrorKind::DeviceKeyUnknown, self.start));
        }
        let mac = Mac { computed: tag_of(self.protected, payload, key), received: self.tag };
        let holds = mac.holds();
        #[cfg(feature = "fault-injection")]
        let holds = holds || crate::fault::skips_signatures();
        if holds { Ok(mac) } else { Err(Error::new(ErrorKind::MacInvalid, self.tag_at)) }
    }
}

#[cfg(test)]
mod tests;
