//! Members of an envelope that come and go without touching the signature: severed ones are left away
//! (draft-ietf-suit-manifest-37 section 8.6), payloads are integrated and taken out (sections 5.5 and 7.5). And
//! signatures that come and go without touching the rest.
//!
//! Manifest and every member that stays keep their bytes. The whole decoder reads what it is given, and what
//! comes out.

use std::borrow::Cow;

use ciborium::Value;

use super::tree::{EnvelopeTree, MemberKey};
use super::{AuthorError, bytes, encode};
use crate::envelope::ENVELOPE_TAG;
use crate::vocabulary::EnvelopeElement;

/// Major types of CBOR (RFC 8949 section 3.1), in the place that they have in a head.
const MAJOR_BYTES: u8 = 2 << 5;
const MAJOR_MAP: u8 = 5 << 5;
const MAJOR_TAG: u8 = 6 << 5;

/// The envelope without these members. Those that may not be severed stay, and so do those that it does not have.
///
/// # Errors
/// [`AuthorError::Refused`] when [`EnvelopeTree::read`] refuses it.
pub fn sever(envelope: &[u8], which: &[EnvelopeElement]) -> Result<Vec<u8>, AuthorError> {
    let is_severed = |element: EnvelopeElement| which.contains(&element) && element.is_severable();
    change(envelope, |key| !matches!(key, MemberKey::Element(element) if is_severed(element)), &[])
}

/// The envelope with these payloads under their URIs. Whether the manifest names them is the caller's business.
///
/// # Errors
/// [`AuthorError::Refused`] when [`EnvelopeTree::read`] refuses the envelope, or the result: a URI stands in it twice,
/// or it is too long.
pub fn integrate(envelope: &[u8], payloads: &[(&str, &[u8])]) -> Result<Vec<u8>, AuthorError> {
    change(envelope, |_| true, payloads)
}

/// The envelope without the integrated members of these URIs; without all of them, if none is given.
///
/// # Errors
/// [`AuthorError::Refused`] when [`EnvelopeTree::read`] refuses it.
pub fn take_out(envelope: &[u8], uris: &[&str]) -> Result<Vec<u8>, AuthorError> {
    let goes = |uri: &str| uris.is_empty() || uris.contains(&uri);
    change(envelope, |key| !matches!(key, MemberKey::Uri(uri) if goes(uri)), &[])
}

/// An envelope without what is integrated in it, and that: the images.
#[derive(Clone, Debug)]
pub struct TakenApart<'a> {
    /// As devices and servers take it.
    pub envelope: Cow<'a, [u8]>,
    /// The integrated members, each with its URI.
    pub payloads: Vec<(&'a str, &'a [u8])>,
}

/// Takes everything integrated out of an envelope (section 5.5). Whether it is what the manifest names, its digest says. A file
/// that cannot be taken apart is left as it is: whoever reads it next says what is wrong with it.
#[must_use]
pub fn take_apart(file: &[u8]) -> TakenApart<'_> {
    let apart = || {
        let payloads = EnvelopeTree::read(file).ok()?.integrated;
        let payloads: Vec<_> = payloads.iter().map(|member| (member.uri, member.content.bytes)).collect();
        if payloads.is_empty() { None } else { Some((take_out(file, &[]).ok()?, payloads)) }
    };
    match apart() {
        Some((envelope, payloads)) => TakenApart { envelope: Cow::Owned(envelope), payloads },
        None => TakenApart { envelope: Cow::Borrowed(file), payloads: Vec::new() },
    }
}

/// The envelope with one more signature (section 8.3), by a key that its readers know: without a credential. `adds`:
/// the blocks that are there are kept. `sign` makes a COSE_Sign1 over a payload. Any envelope that [`EnvelopeTree::read`] takes is signed, whoever can run it.
///
/// # Errors
/// [`AuthorError::Refused`] when [`EnvelopeTree::read`] refuses the envelope, or the result; [`AuthorError::Signature`]
pub fn sign_alone(
    envelope: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, trust::author::AuthorError>,
    adds: bool,
) -> Result<Vec<u8>, AuthorError> {
    let before = EnvelopeTree::read(envelope)?;
    let made = sign(before.payload.bytes).map_err(AuthorError::Signature)?;
    let kept = before.blocks.iter().filter(|_| adds).map(|block| block.bytes);
    let blocks: Vec<&[u8]> = kept.chain([made.as_slice()]).collect();
    let wrapper = wrapper(&before, &blocks)?;
    let mut members = Vec::new();
    for member in &before.members {
        let value = match member.key {
            MemberKey::Element(EnvelopeElement::AuthenticationWrapper) => wrapper.as_slice(),
            _ => member.value.bytes,
        };
        members.push((key(member.key)?, Vec::new(), value));
    }
    let out = assemble(members)?;
    let after = EnvelopeTree::read(&out)?;
    if after.digest != before.digest || !after.blocks.iter().map(|block| block.bytes).eq(blocks) {
        return Err(AuthorError::Encoding);
    }
    Ok(out)
}

/// What of an envelope decides what its manifest does: digest, manifest and command sequences, without a block and without
/// what may come and go beside them. It is signed by nobody.
///
/// # Errors
/// [`AuthorError::Refused`] when [`EnvelopeTree::read`] refuses the envelope.
pub fn bare(envelope: &[u8]) -> Result<Vec<u8>, AuthorError> {
    let before = EnvelopeTree::read(envelope)?;
    let wrapper = wrapper(&before, &[])?;
    let mut members = Vec::new();
    for member in &before.members {
        let value = match member.key {
            MemberKey::Element(EnvelopeElement::AuthenticationWrapper) => wrapper.as_slice(),
            MemberKey::Element(
                EnvelopeElement::Manifest | EnvelopeElement::PayloadFetch | EnvelopeElement::Install,
            ) => member.value.bytes,
            _ => continue,
        };
        members.push((key(member.key)?, Vec::new(), value));
    }
    assemble(members)
}

/// The value of an authentication wrapper (section 8.3): the digest of the manifest, and these blocks.
fn wrapper(envelope: &EnvelopeTree<'_>, blocks: &[&[u8]]) -> Result<Vec<u8>, AuthorError> {
    let parts = [envelope.payload.bytes].into_iter().chain(blocks.iter().copied()).map(bytes).collect();
    encode(&bytes(&encode(&Value::Array(parts))?))
}

fn change(
    envelope: &[u8],
    stays: impl Fn(MemberKey<'_>) -> bool,
    payloads: &[(&str, &[u8])],
) -> Result<Vec<u8>, AuthorError> {
    let before = EnvelopeTree::read(envelope)?;
    let mut members = Vec::new();
    for member in before.members.iter().filter(|member| stays(member.key)) {
        members.push((key(member.key)?, Vec::new(), member.value.bytes));
    }
    for (uri, payload) in payloads {
        members.push((key(MemberKey::Uri(uri))?, head(MAJOR_BYTES, payload.len())?, payload));
    }
    let out = assemble(members)?;
    let after = EnvelopeTree::read(&out)?;
    let blocks =
        |tree: &EnvelopeTree<'_>| tree.blocks.iter().map(|block| block.bytes.to_vec()).collect::<Vec<_>>();
    // The manifest is the one with this digest: the decoder has compared it.
    if after.digest != before.digest || blocks(&after) != blocks(&before) {
        return Err(AuthorError::Encoding);
    }
    Ok(out)
}

/// An envelope of its members: each with its key, the head of its value if that has none yet, and the value.
fn assemble(mut members: Vec<(Vec<u8>, Vec<u8>, &[u8])>) -> Result<Vec<u8>, AuthorError> {
    // RFC 8949 section 4.2.1: by the bytes of the keys.
    members.sort_by(|(one, ..), (other, ..)| one.cmp(other));

    let tag = head(MAJOR_TAG, usize::try_from(ENVELOPE_TAG).map_err(|_| AuthorError::Encoding)?)?;
    let mut out = [tag, head(MAJOR_MAP, members.len())?].concat();
    for (key, head, value) in members {
        out.extend_from_slice(&key);
        out.extend_from_slice(&head);
        out.extend_from_slice(value);
    }
    Ok(out)
}

fn key(key: MemberKey<'_>) -> Result<Vec<u8>, AuthorError> {
    encode(&match key {
        MemberKey::Element(element) => Value::from(element.number()),
        MemberKey::Uri(uri) => Value::Text(uri.to_owned()),
    })
}

/// The head of an item: that of a number, with another major type. So a payload is copied once only.
fn head(major: u8, argument: usize) -> Result<Vec<u8>, AuthorError> {
    let mut head = encode(&Value::from(argument as u64))?;
    if let Some(first) = head.first_mut() {
        *first |= major;
    }
    Ok(head)
}
