//! COSE_Mac0 and COSE_Mac (RFC 9052 section 6) over a detached payload, with keys that a device and its maker have.

use aes_kw::{KeyInit as _, KwAes128};
use zeroize::Zeroizing;

use super::headers::Layer;
use super::{Algorithm, Headers, Keys, MAX_BLOCK_PARTS, Outcome, Part, expect_detached, structure};
use crate::cbor::{Reader, Span};
use crate::device_keys::DeviceKeys;
use crate::encryption::ALG_A128KW;
use crate::error::{Error, ErrorKind};
use crate::hmac::{MAC_LEN, Mac, hmac_sha256};
use crate::key::Kid;
use crate::mac0::ALG_HMAC_256;

/// Direct use of a key, RFC 9053 section 6.1.1.
const DIRECT: i32 = -6;
/// A key of HMAC 256/256 (RFC 9053 section 3.1), wrapped (RFC 3394).
const WRAPPED_MAC_KEY_LEN: usize = 40;

/// `[protected, unprotected, nil, tag]`
pub(super) fn mac0<'a>(
    reader: &mut Reader<'a>,
    payload: &[u8],
    keys: &Keys<'_>,
) -> Result<Vec<Part<'a>>, Error> {
    reader.array_of(4);
    let headers = Headers::read(reader, Layer::Content);
    expect_detached(reader);
    let tag = reader.span();
    reader.finish()?;
    // Section 6.3
    let message = structure("MAC0", &[headers.protected, &[], payload]);
    let outcome = if is(headers.algorithm, ALG_HMAC_256) {
        match direct(headers.kid, keys.device) {
            Some((kid, key)) => compare(tag, &message, &kid, key),
            None => Outcome::NoKey,
        }
    } else {
        Outcome::Unsupported
    };
    Ok(vec![Part { algorithm: headers.algorithm, key_algorithm: None, kid: headers.kid, outcome }])
}

/// `[protected, unprotected, nil, tag, [+ recipient]]`
pub(super) fn mac<'a>(
    reader: &mut Reader<'a>,
    payload: &[u8],
    keys: &Keys<'_>,
) -> Result<Vec<Part<'a>>, Error> {
    reader.array_of(5);
    let headers = Headers::read(reader, Layer::Content);
    expect_detached(reader);
    let tag = reader.span();
    let start = reader.position();
    let mut recipients = Vec::new();
    let mut items = reader.array_within(1, MAX_BLOCK_PARTS);
    while items.next(reader) {
        recipients.push(Recipient::read(reader));
    }
    // Section 8.5.1: a key that is used directly is the one key of the message.
    if recipients.len() > 1 && recipients.iter().any(|recipient| is(recipient.headers.algorithm, DIRECT)) {
        reader.refuse(ErrorKind::TooMany, start);
    }
    reader.finish()?;
    // Section 6.3
    let message = structure("MAC", &[headers.protected, &[], payload]);
    let part = |recipient: &Recipient<'a>| Part {
        algorithm: headers.algorithm,
        key_algorithm: recipient.headers.algorithm,
        kid: recipient.headers.kid,
        outcome: match is(headers.algorithm, ALG_HMAC_256) {
            true => recipient.judge(tag, &message, keys.device),
            false => Outcome::Unsupported,
        },
    };
    Ok(recipients.iter().map(part).collect())
}

fn is(algorithm: Option<Algorithm<'_>>, number: i32) -> bool {
    algorithm == Some(Algorithm::Number(number.into()))
}

/// The device's key of MACs, if the block names it or names none.
fn direct<'k>(kid: Option<&[u8]>, device: Option<&'k DeviceKeys>) -> Option<(Kid, &'k [u8; 32])> {
    let (own, key) = device?.authentication()?;
    kid.is_none_or(|kid| kid == own.0).then_some((*own, key))
}

fn compare(tag: Span<'_>, message: &[u8], kid: &Kid, key: &[u8; 32]) -> Outcome {
    let Ok(received) = <&[u8; MAC_LEN]>::try_from(tag.bytes) else {
        return Outcome::Fails(Error::new(ErrorKind::UnexpectedType, tag.base));
    };
    let mac = Mac { computed: hmac_sha256(key, &[message]), received };
    match mac.holds() {
        true => Outcome::Holds(*kid),
        false => Outcome::Fails(Error::new(ErrorKind::MacInvalid, tag.base)),
    }
}

/// A COSE_recipient (section 5.1).
struct Recipient<'a> {
    headers: Headers<'a>,
    wrapped: Span<'a>,
}

impl<'a> Recipient<'a> {
    fn read(reader: &mut Reader<'a>) -> Self {
        let start = reader.position();
        let len = reader.array().remaining();
        let headers = Headers::read(reader, Layer::Recipient);
        let at = reader.position();
        let wrapped = reader.span();
        let is_direct = is(headers.algorithm, DIRECT);
        let is_known = is_direct || is(headers.algorithm, ALG_A128KW);
        match len {
            3 => {}
            // Recipients of a recipient: of others, for which nobody here has a key.
            4 if !is_known => reader.skip(),
            _ => reader.refuse(ErrorKind::UnexpectedType, start),
        }
        // Sections 8.5.1 and 8.5.2: nothing is protected, and a key that is used directly is not sent.
        if is_known && !headers.protected.is_empty() {
            reader.refuse(ErrorKind::HeaderUnknown, start);
        } else if is_direct && !wrapped.bytes.is_empty() {
            reader.refuse(ErrorKind::UnexpectedType, at);
        }
        Self { headers, wrapped }
    }

    fn judge(&self, tag: Span<'_>, message: &[u8], device: Option<&DeviceKeys>) -> Outcome {
        let is_direct = is(self.headers.algorithm, DIRECT);
        if !is_direct && !is(self.headers.algorithm, ALG_A128KW) {
            return Outcome::Unsupported;
        }
        // As with encrypted content, a recipient without a name is for nobody.
        let Some(kid) = self.headers.kid else { return Outcome::NoKey };
        if is_direct {
            return match direct(Some(kid), device) {
                Some((kid, key)) => compare(tag, message, &kid, key),
                None => Outcome::NoKey,
            };
        }
        let Ok(wrapped) = <&[u8; WRAPPED_MAC_KEY_LEN]>::try_from(self.wrapped.bytes) else {
            return Outcome::Fails(Error::new(ErrorKind::UnexpectedType, self.wrapped.base));
        };
        let update = device.and_then(DeviceKeys::update);
        let Some((own, key)) = update.filter(|(own, _)| kid == own.0) else { return Outcome::NoKey };
        let mut mac_key = Zeroizing::new([0; MAC_LEN]);
        match KwAes128::new(key.as_bytes().into()).unwrap_key(wrapped, mac_key.as_mut()) {
            Ok(_) => compare(tag, message, own, &mac_key),
            Err(_) => Outcome::Fails(Error::new(ErrorKind::KeyUnwrap, self.wrapped.base)),
        }
    }
}
