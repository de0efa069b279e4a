//! Authentication blocks of every kind that SUIT has (draft-ietf-suit-manifest-37 section 8.3), under keys that their reader
//! brings along: for hosts. A loader has [`crate::verify_chained_sign1`] and [`crate::verify_mac0`].
//!
//! COSE_Sign1 and COSE_Sign with Ed25519 (-19), ES256 (-7) and ESP256 (-9) on P-256, and EdDSA (-8) where the caller allows
//! it; COSE_Mac0 and COSE_Mac with HMAC 256/256 (5), whose key is one of the device, or is wrapped with one (A128KW).
//!
//! A verdict says nothing of credentials: that a key may sign this release, its reader has to know.
//!
//! [`encryption`] has what hosts read and write of encrypted contents, and devices do not.

pub mod encryption;
mod headers;
mod key;
mod key_file;
mod mac;
mod sign;
mod signer;

use self::headers::Headers;
pub use self::headers::{Algorithm, CoseStructure};
pub use self::key::VerifyingKey;
pub use self::key_file::VerifyingKeyError;
pub use self::sign::ALG_EDDSA;
pub use self::signer::{BlockSigner, P256Key};
use crate::cbor::{Major, Reader, Span};
use crate::cose::byte_string_head;
use crate::device_keys::DeviceKeys;
use crate::error::{Error, ErrorKind};
use crate::key::Kid;

/// Longest block and longest payload that are read, bytes: a block lies in an envelope.
pub const MAX_BLOCK_LEN: usize = u16::MAX as usize;
/// Most signers of a COSE_Sign, and most recipients of a COSE_Mac.
pub const MAX_BLOCK_PARTS: u32 = 64;

/// What blocks are judged with.
#[derive(Clone, Copy, Default, Debug)]
pub struct Keys<'k> {
    /// Keys of signers.
    pub public: &'k [VerifyingKey],
    /// Keys of the device: that of MACs, and the one that unwraps those of MACs.
    pub device: Option<&'k DeviceKeys>,
    /// Whether EdDSA (-8) is taken, which RFC 9864 section 5 deprecates: it does not say on which curve.
    pub allow_eddsa: bool,
}

/// What became of a block, or of one part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It holds under the key of this name: the first bytes of a public key's thumbprint (RFC 9679), the kid of a device's key.
    Holds(Kid),
    /// A key for it is given, and it does not hold; or it is not as COSE or SUIT ask.
    Fails(Error),
    /// Its structure or its algorithm is none of those above.
    Unsupported,
    /// None of the keys is for it.
    NoKey,
}

/// A signer of a COSE_Sign, a recipient of a COSE_Mac, or the one that the other structures have.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Of the signature or MAC.
    pub algorithm: Option<Algorithm<'a>>,
    /// By which a recipient gets the key of a COSE_Mac.
    pub key_algorithm: Option<Algorithm<'a>>,
    /// By which the block names its key. **Nobody has verified it** unless the part holds, and even then only where it is protected.
    pub kid: Option<&'a [u8]>,
    /// What became of it.
    pub outcome: Outcome,
}

/// A block, judged.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    /// `None`: its first item is no structure of COSE.
    pub structure: Option<CoseStructure>,
    /// None of what could not be read.
    pub parts: Vec<Part<'a>>,
    /// Of the whole block.
    pub outcome: Outcome,
}

impl Verdict<'_> {
    /// The keys under which it holds; none unless the whole block does.
    pub fn keys(&self) -> impl Iterator<Item = Kid> {
        let holds = matches!(self.outcome, Outcome::Holds(_));
        self.parts.iter().filter_map(move |part| match part.outcome {
            Outcome::Holds(kid) if holds => Some(kid),
            Outcome::Holds(_) | Outcome::Fails(_) | Outcome::Unsupported | Outcome::NoKey => None,
        })
    }
}

/// Judges a block over its detached payload: the content of the bstr around SUIT_Digest (section 8.3). Errors have positions
/// in the input that `block` lies in.
///
/// - A COSE_Sign1, COSE_Mac0 holds or not as its one part does.
/// - A COSE_Sign holds when a signer's key is given and no signature under a given key fails: RFC 9052 section 4.1 leaves to the
///   application how many of the signers count.
/// - A COSE_Mac holds when one of its recipients leads to a key under which the MAC does.
#[must_use]
pub fn judge<'a>(block: Span<'a>, payload: &[u8], keys: &Keys<'_>) -> Verdict<'a> {
    let reader = &mut block.reader();
    let mut verdict = Verdict { structure: None, parts: Vec::new(), outcome: Outcome::Unsupported };
    if block.bytes.len() > MAX_BLOCK_LEN || payload.len() > MAX_BLOCK_LEN {
        verdict.outcome = Outcome::Fails(Error::new(ErrorKind::TooLong, block.base));
        return verdict;
    }
    // SUIT_Authentication_Block is one of four tagged structures; without the tag it is not known which.
    let structure = match reader.peek() {
        Major::Array => Some(CoseStructure::Untagged),
        _ => CoseStructure::of_tag(reader.tag()),
    };
    verdict.structure = structure.filter(|_| reader.check().is_ok());
    let parts = match verdict.structure {
        Some(CoseStructure::Sign1) => sign::one(reader, payload, keys),
        Some(CoseStructure::Sign) => sign::several(reader, payload, keys),
        Some(CoseStructure::Mac0) => mac::mac0(reader, payload, keys),
        Some(CoseStructure::Mac) => mac::mac(reader, payload, keys),
        Some(CoseStructure::Encrypt0 | CoseStructure::Encrypt | CoseStructure::Untagged) => return verdict,
        None => {
            reader.refuse(ErrorKind::UnexpectedType, block.base);
            reader.check().map(|()| Vec::new())
        }
    };
    match parts {
        Ok(parts) => {
            verdict.outcome = of_all(&parts, verdict.structure == Some(CoseStructure::Mac));
            verdict.parts = parts;
        }
        Err(error) => verdict.outcome = Outcome::Fails(error),
    }
    verdict
}

/// The outcome of a block with these parts, one of which is enough, or each of which has to hold whose key is given.
fn of_all(parts: &[Part<'_>], one_is_enough: bool) -> Outcome {
    let first = |wanted: fn(&Outcome) -> bool| parts.iter().map(|part| part.outcome).find(wanted);
    let held = first(|outcome| matches!(outcome, Outcome::Holds(_)));
    let failed = first(|outcome| matches!(outcome, Outcome::Fails(_)));
    let decides = if one_is_enough { held.or(failed) } else { failed.or(held) };
    let no_key = first(|outcome| matches!(outcome, Outcome::NoKey));
    decides.or(no_key).unwrap_or(Outcome::Unsupported)
}

/// `nil`: the payload is the digest in front of the block (section 8.3), never one that the block brings along.
fn expect_detached(reader: &mut Reader<'_>) {
    reader.null();
}

/// Sig_structure and MAC_structure: `[context, *bstr]` (RFC 9052 sections 4.4 and 6.3), of byte strings that were received.
fn structure(context: &str, strings: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    // Neither list nor context is longer than what one byte of a head says.
    out.push(0x80 | u8::try_from(strings.len()).unwrap_or_default().saturating_add(1));
    out.push(0x60 | u8::try_from(context.len()).unwrap_or_default());
    out.extend_from_slice(context.as_bytes());
    for string in strings {
        structure_item(string, &mut out);
    }
    out
}

/// A byte string of such a structure.
fn structure_item(string: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(byte_string_head(string, &mut [0; 3]));
    out.extend_from_slice(string);
}

#[cfg(test)]
mod tests;
