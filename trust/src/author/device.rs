//! Making the credential of a device, under an issuing key that a root certified.

use super::{
    AuthorError, CNF_COSE_KEY, ScopeRequest, Signer, TYP_CREDENTIAL, Unsigned, bytes, cose_key, map,
    read_unverified_credential, scope, text, uint,
};
use crate::record::{
    CLAIM_CNF, CLAIM_CTI, CLAIM_EXP, CLAIM_IAT, CLAIM_ISS, CLAIM_ISSUING_KEY, CLAIM_ROLE, CLAIM_SCOPE,
    CLAIM_SUB,
};
use crate::{Error, ErrorKind, PublicKey, Role, UnixTime};

/// The content of a device's credential.
#[derive(Clone, Debug)]
pub struct DeviceCredentialRequest {
    /// Name of the issuer, 1 to 64 bytes.
    pub iss: String,
    /// Name of the device, 1 to 64 bytes.
    pub sub: String,
    /// The key of the device.
    pub key: PublicKey,
    /// Vendor id, a UUID.
    pub vendor: [u8; 16],
    /// Class id, a UUID.
    pub class: [u8; 16],
    /// Serial.
    pub serial: String,
    /// When the credential is issued.
    pub issued_at: UnixTime,
    /// First second at which it is no longer good.
    pub expires: Option<UnixTime>,
    /// Identifier of the credential, 16 random bytes: [`random_cti`](super::random_cti).
    pub cti: [u8; 16],
}

/// Issues the credential of a device, signed by an issuing key whose credential is `issuing`.
///
/// # Errors
/// Those of [`prepare_device_credential`]; [`AuthorError::Signer`]
pub fn issue_device_credential(
    request: &DeviceCredentialRequest,
    issuing: &[u8],
    issuing_key: &dyn Signer,
) -> Result<Vec<u8>, AuthorError> {
    if *read_unverified_credential(issuing)?.key() != issuing_key.public_key() {
        return Err(AuthorError::NotTheSignersCredential);
    }
    prepare_device_credential(request, issuing)?.sign(issuing_key)
}

/// The credential of a device for an issuing key to sign, whose credential is `issuing`. That one is **not verified**.
///
/// # Errors
/// [`AuthorError::NeverValid`] when it would have expired when it is issued; [`AuthorError::Refused`] when a verifier
/// would refuse it, whatever its signature: with [`ErrorKind::RoleMismatch`] when `issuing` is no issuing key's, with
/// [`ErrorKind::ScopeIssuer`] when the device is outside of its scope
pub fn prepare_device_credential(
    request: &DeviceCredentialRequest,
    issuing: &[u8],
) -> Result<Unsigned, AuthorError> {
    if request.expires.is_some_and(|end| end <= request.issued_at) {
        return Err(AuthorError::NeverValid);
    }
    let issuing = read_unverified_credential(issuing)?;
    let one = ScopeRequest {
        vendor: request.vendor,
        classes: vec![request.class],
        serials: vec![request.serial.clone()],
        actions: issuing.scope().actions(),
    };
    let mut claims = vec![(CLAIM_ISS, text(&request.iss)), (CLAIM_SUB, text(&request.sub))];
    claims.extend(request.expires.map(|time| (CLAIM_EXP, uint(time.0))));
    claims.extend([
        (CLAIM_IAT, uint(request.issued_at.0)),
        (CLAIM_CTI, bytes(&request.cti)),
        (CLAIM_CNF, map([(CNF_COSE_KEY, cose_key(&request.key)?)])),
        (CLAIM_ROLE, uint(Role::Device.code().into())),
        (CLAIM_SCOPE, scope(&one)),
        (CLAIM_ISSUING_KEY, bytes(&issuing.key().kid().0)),
    ]);
    let unsigned = Unsigned::new(TYP_CREDENTIAL, &map(claims), issuing.key())?;
    read_unverified_credential(&unsigned.with_blank_signature()?)?.check_issued(&issuing)?;
    if request.key == *issuing.key() {
        return Err(Error::new(ErrorKind::CredentialForAnchor, 0).into());
    }
    Ok(unsigned)
}
