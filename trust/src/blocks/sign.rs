//! COSE_Sign1 and COSE_Sign (RFC 9052 section 4) over a detached payload.

use super::headers::Layer;
use super::key::{Curve, Named};
use super::{Headers, Keys, MAX_BLOCK_PARTS, Outcome, Part, expect_detached, structure};
use crate::cbor::{Reader, Span};
use crate::cose::ALG_ED25519;
use crate::error::{Error, ErrorKind};

/// RFC 9053 section 2.1: on whichever curve the key is.
const ALG_ES256: i64 = -7;
/// EdDSA, RFC 9053 section 2.2: on whichever curve the key is; deprecated by RFC 9864 section 5.
pub const ALG_EDDSA: i64 = -8;
/// ES256 on P-256, RFC 9864 section 2.1.
const ALG_ESP256: i64 = -9;
const ALG_ED25519_64: i64 = ALG_ED25519 as i64;

/// `[protected, unprotected, nil, signature]`
pub(super) fn one<'a>(
    reader: &mut Reader<'a>,
    payload: &[u8],
    keys: &Keys<'_>,
) -> Result<Vec<Part<'a>>, Error> {
    reader.array_of(4);
    let headers = Headers::read(reader, Layer::Content);
    expect_detached(reader);
    let signature = reader.span();
    reader.finish()?;
    // Section 4.4
    let message = structure("Signature1", &[headers.protected, &[], payload]);
    Ok(vec![judged(&headers, signature, &message, keys)])
}

/// `[protected, unprotected, nil, [+ [protected, unprotected, signature]]]`
pub(super) fn several<'a>(
    reader: &mut Reader<'a>,
    payload: &[u8],
    keys: &Keys<'_>,
) -> Result<Vec<Part<'a>>, Error> {
    reader.array_of(4);
    let body = Headers::read(reader, Layer::Body);
    expect_detached(reader);
    let mut signers = Vec::new();
    let mut items = reader.array_within(1, MAX_BLOCK_PARTS);
    while items.next(reader) {
        reader.array_of(3);
        let headers = Headers::read(reader, Layer::Content);
        signers.push((headers, reader.span()));
    }
    reader.finish()?;
    let part = |(headers, signature): &(Headers<'a>, Span<'a>)| {
        // Section 4.4
        let message = structure("Signature", &[body.protected, headers.protected, &[], payload]);
        judged(headers, *signature, &message, keys)
    };
    Ok(signers.iter().map(part).collect())
}

fn judged<'a>(headers: &Headers<'a>, signature: Span<'a>, message: &[u8], keys: &Keys<'_>) -> Part<'a> {
    let outcome = outcome(headers, signature, message, keys);
    Part { algorithm: headers.algorithm, key_algorithm: None, kid: headers.kid, outcome }
}

fn outcome(headers: &Headers<'_>, signature: Span<'_>, message: &[u8], keys: &Keys<'_>) -> Outcome {
    let Some(algorithm) = headers.algorithm.and_then(super::Algorithm::number) else {
        return Outcome::Unsupported;
    };
    let curve = match algorithm {
        ALG_ED25519_64 => Curve::Ed25519,
        ALG_EDDSA if keys.allow_eddsa => Curve::Ed25519,
        ALG_ES256 | ALG_ESP256 => Curve::P256,
        _ => return Outcome::Unsupported,
    };
    // RFC 8032 section 5.1.6; RFC 9053 section 2.1: r and s, of 32 bytes each.
    let Ok(bytes) = signature.bytes.try_into() else {
        return Outcome::Fails(Error::new(ErrorKind::UnexpectedType, signature.base));
    };
    let mut is_meant = false;
    for key in keys.public.iter().filter(|key| key.curve() == curve && key.permits(algorithm)) {
        let named = key.named_by(headers.kid);
        if named != Named::No && key.verifies(message, bytes) {
            return Outcome::Holds(key.kid());
        }
        is_meant |= named == Named::Yes;
    }
    match is_meant {
        true => Outcome::Fails(Error::new(ErrorKind::SignatureInvalid, signature.base)),
        false => Outcome::NoKey,
    }
}
