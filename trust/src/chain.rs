//! Chain of a signed payload: anchor -> credential (`kcwt`) -> detached signature (docs/records.md).

use crate::TrustStore;
use crate::cbor::{Reader, Span};
use crate::cose::{Form, Sign1};
use crate::credential::TYP_CREDENTIAL;
use crate::credential::{Credential, CredentialClaims};
use crate::error::{Error, ErrorKind};
use crate::key::{Commitment, Kid};
use crate::record::{MAX_CREDENTIAL_LEN, Record};
use crate::scope::{Role, Scope};

/// Longest chained COSE_Sign1: the credential, and about 100 bytes around it.
pub const MAX_CHAINED_SIGN1_LEN: usize = MAX_CREDENTIAL_LEN + 128;
/// Longest detached payload, bytes. A manifest's digest has 36.
pub const MAX_DETACHED_PAYLOAD_LEN: usize = 256;

/// The authority under which one payload was signed: the chain from an anchor holds, role and revocation were
/// checked.
#[derive(Clone, Debug)]
pub struct Authority<'a> {
    credential: Credential<'a>,
    commitment: Commitment<'a>,
}

impl<'a> Authority<'a> {
    /// R of the two signatures: of the credential, and over the payload.
    #[must_use]
    pub fn commitments(&self) -> [&Commitment<'a>; 2] {
        [self.credential.commitment(), &self.commitment]
    }

    /// The credential of the key that signed.
    #[must_use]
    pub fn credential(&self) -> &Credential<'a> {
        &self.credential
    }

    /// The vendor, classes, serials and actions that the signer may name.
    #[must_use]
    pub fn scope(&self) -> &Scope<'a> {
        self.credential.scope()
    }
}

/// Takes a COSE_Sign1 with detached payload apart; its `kcwt` is there.
#[inline(never)]
pub(crate) fn read_chained<'a>(bytes: &'a [u8], payload: &[u8]) -> Result<Sign1<'a>, Error> {
    if bytes.len() > MAX_CHAINED_SIGN1_LEN || payload.len() > MAX_DETACHED_PAYLOAD_LEN {
        return Err(Error::new(ErrorKind::TooLong, 0));
    }
    Sign1::read(&mut Reader::new(bytes), Form::Chained)
}

/// The signature over a detached payload holds under the key that `claims` certify.
pub(crate) fn verify_chained<'a>(
    sign1: &Sign1<'a>,
    payload: &[u8],
    claims: &CredentialClaims<'_>,
    commitment: &mut Commitment<'a>,
) -> Result<(), Error> {
    if claims.key().kid() != sign1.kid {
        return Err(sign1.error(ErrorKind::KeyMismatch));
    }
    sign1.verify(payload, claims.key(), commitment)
}

/// kid of the anchor that the signer's credential names as its issuer, **not verified**: to find the revocation list
/// that [`verify_chained_sign1`] needs.
///
/// # Errors
/// [`ErrorKind::TooLong`]; [`ErrorKind::HeaderMissing`] without a `kcwt`; the kind that names the fault when
/// signature or credential is malformed or unsupported.
pub fn claimed_issuer(sign1: &[u8]) -> Result<Kid, Error> {
    let Span { bytes, base } = read_chained(sign1, &[])?.kcwt;
    Record::open(bytes, base, TYP_CREDENTIAL, MAX_CREDENTIAL_LEN).map(|record| record.issuer_kid())
}

/// kid of the key that a signature names as its own, **not verified**.
///
/// # Errors
/// Those of [`claimed_issuer`] that are of the signature.
pub fn claimed_signer(sign1: &[u8]) -> Result<Kid, Error> {
    read_chained(sign1, &[]).map(|sign1| sign1.kid)
}

/// Verifies a COSE_Sign1 (tag 18) over `detached_payload` whose `kcwt` header is the signer's credential.
///
/// In this order: structure, anchor, the credential's signature, role, revocation, time, kid, signature.
///
/// # Errors
/// [`ErrorKind::TooLong`] when signature or payload exceeds its limit; [`ErrorKind::HeaderMissing`] without a
/// `kcwt`; the kind that names the fault of a malformed or unsupported signature; those of [`Credential::verify`];
/// [`ErrorKind::KeyMismatch`] when `kid` names another key than the credential certifies;
/// [`ErrorKind::SignatureInvalid`].
#[inline(never)]
pub fn verify_chained_sign1<'a>(
    sign1: &'a [u8],
    detached_payload: &[u8],
    store: &TrustStore<'_>,
    role: Role,
) -> Result<Authority<'a>, Error> {
    let mut authority = Authority { credential: Credential::vacant(), commitment: Commitment::VACANT };
    authority.fill(sign1, detached_payload, store, role)?;
    Ok(authority)
}

impl<'a> Authority<'a> {
    /// In place: it is large, and below lies the deepest stack of a device.
    fn fill(
        &mut self,
        sign1: &'a [u8],
        detached_payload: &[u8],
        store: &TrustStore<'_>,
        role: Role,
    ) -> Result<(), Error> {
        let read = read_chained(sign1, detached_payload);
        let sign1 = read.as_ref().map_err(|&error| error)?;
        self.credential.fill(sign1.kcwt.bytes, sign1.kcwt.base, store, role)?;
        verify_chained(sign1, detached_payload, &self.credential, &mut self.commitment)
    }
}
