//! COSE_Mac0 (RFC 9052 section 6.2) over a detached payload, HMAC 256/256: what is authenticated with a key that the device
//! has as well.

use crate::cbor::Reader;
use crate::cose::{Headers, TAG_MAC0, byte_string_head, expect_structure};
use crate::error::{Error, ErrorKind};
use crate::hmac::{MAC_LEN, is_hmac_sha256};

/// HMAC 256/256, RFC 9053 section 3.1.
pub(crate) const ALG_HMAC_256: i32 = 5;
/// Longest COSE_Mac0, bytes: without a payload it has fewer.
pub const MAX_MAC0_LEN: usize = 128;
/// Longest detached payload, bytes. A manifest's digest has 36.
const MAX_PAYLOAD_LEN: usize = crate::MAX_DETACHED_PAYLOAD_LEN;

/// MAC_structure up to the protected header (RFC 9052 section 6.3).
pub(crate) const MAC_STRUCTURE: &[u8] = b"\x84\x64MAC0";

/// Verifies `17([{1: 5, ? 4: kid}, {? 4: kid}, nil, tag])` over `payload`.
///
/// # Errors
/// [`ErrorKind::TooLong`]; [`ErrorKind::CoseUnsupported`] for another structure; [`ErrorKind::AlgorithmUnsupported`];
/// [`ErrorKind::CriticalHeader`], [`ErrorKind::HeaderUnknown`] and [`ErrorKind::HeaderMissing`];
/// [`ErrorKind::DeviceKeyUnknown`] when it names another key than `kid`; [`ErrorKind::MacInvalid`]; the kind that names the
/// fault of what is malformed.
#[inline(never)]
pub fn verify_mac0(mac0: &[u8], payload: &[u8], kid: &[u8], key: &[u8; 32]) -> Result<(), Error> {
    if mac0.len() > MAX_MAC0_LEN || payload.len() > MAX_PAYLOAD_LEN {
        return Err(Error::new(ErrorKind::TooLong, 0));
    }
    let reader = &mut Reader::new(mac0);
    expect_structure(reader, TAG_MAC0);
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
    let position = reader.position();
    let tag = reader.byte_array::<MAC_LEN>();
    reader.finish()?;
    if headers.has(Headers::KID) && headers.kid != kid {
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
    if is_hmac_sha256(key, &message, tag) { Ok(()) } else { Err(Error::new(ErrorKind::MacInvalid, position)) }
}

#[cfg(test)]
mod tests;
