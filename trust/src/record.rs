//! The form that credentials, revocation lists and successions share: a CWT (RFC 8392), `61(18([..]))`.

use crate::anchor::{Anchor, Rights, signer};
use crate::cbor::{self, Reader, Span};
use crate::cose::{Form, Sign1, TAG_CWT};
use crate::error::{Error, ErrorKind};
use crate::key::{Commitment, Kid, PublicKey};

/// Longest credential, bytes (docs/records.md).
pub const MAX_CREDENTIAL_LEN: usize = 1024;
/// Longest `iss` or `sub`, bytes.
pub const MAX_NAME_LEN: usize = 64;

// Registered claims (RFC 8392 section 3.1, RFC 8747 section 3.1) and our private ones.
pub(crate) const CLAIM_ISS: i32 = 1;
pub(crate) const CLAIM_SUB: i32 = 2;
pub(crate) const CLAIM_EXP: i32 = 4;
pub(crate) const CLAIM_NBF: i32 = 5;
pub(crate) const CLAIM_IAT: i32 = 6;
pub(crate) const CLAIM_CTI: i32 = 7;
pub(crate) const CLAIM_CNF: i32 = 8;
pub(crate) const CLAIM_ROLE: i32 = -70001;
pub(crate) const CLAIM_SCOPE: i32 = -70002;
pub(crate) const CLAIM_LIST_SEQUENCE: i32 = -70003;
pub(crate) const CLAIM_REVOKED: i32 = -70004;
pub(crate) const CLAIM_MINIMUM_SEQUENCE: i32 = -70005;
pub(crate) const CLAIM_GENERATION: i32 = -70006;
pub(crate) const CLAIM_CEILING: i32 = -70007;
pub(crate) const CLAIM_LOWEST_GENERATIONS: i32 = -70008;
pub(crate) const CLAIM_DOMAIN: i32 = -70009;
pub(crate) const CLAIM_SUCCESSION_SEQUENCE: i32 = -70010;
pub(crate) const CLAIM_RECOVERY_EPOCH: i32 = -70011;
pub(crate) const CLAIM_RIGHTS: i32 = -70012;
#[cfg(feature = "host")]
pub(crate) const CLAIM_ISSUING_KEY: i32 = -70013;
#[cfg(feature = "host")]
pub(crate) const CLAIM_LEDGER: i32 = -70016;
#[cfg(feature = "host")]
pub(crate) const CLAIM_TRANSCRIPT: i32 = -70017;

/// The bit of a claim, to note which of them have been there.
pub(crate) const fn bit(claim: i32) -> u32 {
    // Registered claims take the lower half, our own the upper one.
    cbor::bit(if claim < 0 { CLAIM_ROLE.wrapping_sub(claim).wrapping_add(16) } else { claim })
}

/// True for a claim that a reader ignores when it is unknown; every other unknown claim is refused.
pub(crate) const fn is_ignorable(claim: i32) -> bool {
    matches!(claim, -70199..=-70100)
}

/// A record whose outer structure was read; its claims were not.
pub(crate) struct Record<'a> {
    sign1: Sign1<'a>,
}

impl<'a> Record<'a> {
    /// Reads the structure of `cwt`, which lies at offset `base` of the outermost input, as a record of `typ` of at
    /// most `max_len` bytes.
    pub(crate) fn open(cwt: &'a [u8], base: u32, typ: &'static str, max_len: usize) -> Result<Self, Error> {
        if cwt.len() > max_len {
            return Err(Error::new(ErrorKind::TooLong, base));
        }
        let mut reader = Reader::nested(cwt, base);
        reader.expect_tag(TAG_CWT);
        Sign1::read(&mut reader, Form::Record(typ)).map(|sign1| Self { sign1 })
    }

    /// kid of the signer, as the record has it.
    pub(crate) fn issuer_kid(&self) -> Kid {
        self.sign1.kid
    }

    /// The signer is one of `anchors`, has one of the `needed` rights, and its signature holds: that anchor. The
    /// signature's R goes to `commitment`.
    pub(crate) fn verify<'k>(
        &self,
        anchors: &'k [Anchor],
        needed: Rights,
        commitment: &mut Commitment<'a>,
    ) -> Result<&'k Anchor, Error> {
        let anchor = signer(anchors, self.sign1.kid);
        let anchor = anchor.ok_or(self.error(ErrorKind::AnchorUnknown))?;
        if !anchor.rights().include_any(needed) {
            return Err(self.error(ErrorKind::AnchorRights));
        }
        self.verify_by(anchor.key(), commitment)?;
        Ok(anchor)
    }

    /// The signature holds under this key. Its R goes to `commitment`.
    pub(crate) fn verify_by(&self, key: &PublicKey, commitment: &mut Commitment<'a>) -> Result<(), Error> {
        self.sign1.verify(self.sign1.payload.bytes, key, commitment)
    }

    /// An error of `kind` at the signature.
    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        self.sign1.error(kind)
    }

    /// What was signed.
    pub(crate) fn payload(&self) -> Span<'a> {
        self.sign1.payload
    }

    /// The claims, still encoded.
    pub(crate) fn claims(&self) -> Reader<'a> {
        self.sign1.payload.reader()
    }
}
