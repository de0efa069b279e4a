//! Making successions: the new root asks, the present root or the recovery root grants.

use super::{AuthorError, Signer, Unsigned, bytes, cose_key, map, text, uint};
use crate::credential::CNF_COSE_KEY;
use crate::record::{
    CLAIM_CNF, CLAIM_DOMAIN, CLAIM_IAT, CLAIM_ISS, CLAIM_RECOVERY_EPOCH, CLAIM_RIGHTS,
    CLAIM_SUCCESSION_SEQUENCE,
};
use crate::succession::{TYP_SUCCESSION, TYP_SUCCESSION_GRANT};
use crate::{
    Domain, Error, ErrorKind, PublicKey, Rights, SuccessionNumber, UnixTime,
    read_unverified_succession_request, verify_succession_request,
};

/// The content of a succession that a new root asks for.
#[derive(Clone, Debug)]
pub struct SuccessionRequest {
    /// Name of the new root, 1 to 64 bytes.
    pub iss: String,
    /// When the succession is issued.
    pub issued_at: UnixTime,
    /// The domain whose root is replaced.
    pub domain: Domain,
    /// The number of the new root: one above that of the present one, by the root or by the recovery root.
    pub number: SuccessionNumber,
    /// The rights of the new root: governance and succession at least.
    pub rights: Rights,
}

/// The request, signed by the new root: what a ceremony carries to the machine of the present or the recovery root.
///
/// # Errors
/// [`AuthorError::Refused`] when a device would refuse it; [`AuthorError::Signer`]
pub fn request_succession(
    request: &SuccessionRequest,
    new_root: &dyn Signer,
) -> Result<Vec<u8>, AuthorError> {
    let signed = prepare_succession_request(request, &new_root.public_key())?.sign(new_root)?;
    verify_succession_request(&signed)?;
    Ok(signed)
}

/// The same for the new root to sign.
///
/// # Errors
/// Those of [`request_succession`], but for the signature
pub fn prepare_succession_request(
    request: &SuccessionRequest,
    new_root: &PublicKey,
) -> Result<Unsigned, AuthorError> {
    let claims = map([
        (CLAIM_ISS, text(&request.iss)),
        (CLAIM_IAT, uint(request.issued_at.0)),
        (CLAIM_CNF, map([(CNF_COSE_KEY, cose_key(new_root)?)])),
        (CLAIM_DOMAIN, bytes(&request.domain.0.0)),
        (CLAIM_SUCCESSION_SEQUENCE, uint(request.number.succession_sequence.into())),
        (CLAIM_RECOVERY_EPOCH, uint(request.number.recovery_epoch.into())),
        (CLAIM_RIGHTS, uint(request.rights.bits().into())),
    ]);
    let unsigned = Unsigned::new(TYP_SUCCESSION, &claims, new_root)?;
    let blank = unsigned.with_blank_signature()?;
    let read = read_unverified_succession_request(&blank)?;
    if !read.rights().include(Rights::OF_ANY_ROOT) {
        return Err(Error::new(ErrorKind::SuccessionRights, 0).into());
    }
    Ok(unsigned)
}

/// The succession: a request, signed by the present root or the recovery root. Whether that one may grant it, a trust
/// store knows: `TrustStoreBuf::add_succession`.
///
/// # Errors
/// [`AuthorError::Refused`] when the request does not verify, or the result is longer than its limit, or the grantor
/// would be its own successor; [`AuthorError::Signer`]
pub fn grant_succession(request: &[u8], grantor: &dyn Signer) -> Result<Vec<u8>, AuthorError> {
    prepare_succession(request, &grantor.public_key())?.sign(grantor)
}

/// The same for a grantor to sign.
///
/// # Errors
/// Those of [`grant_succession`], but for the signature
pub fn prepare_succession(request: &[u8], grantor: &PublicKey) -> Result<Unsigned, AuthorError> {
    let claims = verify_succession_request(request)?;
    if claims.key() == grantor {
        return Err(Error::new(ErrorKind::SuccessionKey, 0).into());
    }
    Unsigned::of_payload(TYP_SUCCESSION_GRANT, request.to_vec(), grantor)
}
