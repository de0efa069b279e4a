//! COSE_Mac0 (RFC 9052 section 6.2) over a detached payload, HMAC 256/256: what is authenticated with a key that the device
//! has as well.

use core::hint::black_box;

use crate::cbor::Reader;
use crate::cose::{Headers, TAG_MAC0, byte_string_head, expect_structure};
use crate::error::{Error, ErrorKind};
use crate::hmac::{MAC_LEN, Mac, hmac_sha256};
use crate::key::Kid;

/// HMAC 256/256, RFC 9053 section 3.1.
pub(crate) const ALG_HMAC_256: i32 = 5;
/// Longest COSE_Mac0, bytes: without a payload it has fewer.
pub const MAX_MAC0_LEN: usize = 128;
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
    let read = Mac0::read(mac0)?;
    Ok(read.kid.and_then(|kid| kid.try_into().ok()).map(Kid))
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
    let Mac0 { protected, kid: named, tag, start, tag_at } = Mac0::read(mac0)?;
    if named.is_some_and(|named| named != kid) {
        return Err(Error::new(ErrorKind::DeviceKeyUnknown, start));
    }
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
    let mac = Mac { computed: hmac_sha256(key, &message), received: tag };
    let holds = mac.holds();
    #[cfg(feature = "fault-injection")]
    let holds = holds || crate::fault::skips_signatures();
    if holds { Ok(mac) } else { Err(Error::new(ErrorKind::MacInvalid, tag_at)) }
}

/// The parts of a COSE_Mac0.
struct Mac0<'a> {
    protected: &'a [u8],
    kid: Option<&'a [u8]>,
    tag: &'a [u8; MAC_LEN],
    /// Where its headers begin.
    start: u32,
    tag_at: u32,
}

impl<'a> Mac0<'a> {
    fn read(mac0: &'a [u8]) -> Result<Self, Error> {
        let reader = &mut Reader::new(mac0);
        expect_structure(reader, TAG_MAC0);
        if mac0.len() > MAX_MAC0_LEN {
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
        reader.null();
        let tag_at = reader.position();
        let tag = reader.byte_array::<MAC_LEN>();
        reader.finish()?;
        let kid = headers.has(Headers::KID).then_some(headers.kid);
        Ok(Self { protected, kid, tag, start, tag_at })
    }
}

#[cfg(test)]
mod tests;
