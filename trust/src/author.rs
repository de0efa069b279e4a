//! Making credentials, revocation lists and signatures (std): for tools, never for a device.
//!
//! Records are encoded with coset and ciborium, and read back by the verifying code of this crate before they are
//! returned.

use ciborium::value::Value;
use coset::{AsCborValue as _, CborSerializable as _, CoseSign1Builder, Header, HeaderBuilder, iana};

use crate::chain::{read_chained, verify_chained};
use crate::cose::{HEADER_KCWT, HEADER_TYP, TAG_SIGN1};
use crate::credential::{CNF_COSE_KEY, TYP_CREDENTIAL};
use crate::key::Commitment;
use crate::record::{
    CLAIM_CEILING, CLAIM_CNF, CLAIM_CTI, CLAIM_EXP, CLAIM_GENERATION, CLAIM_IAT, CLAIM_ISS, CLAIM_NBF,
    CLAIM_ROLE, CLAIM_SCOPE, CLAIM_SUB,
};
use crate::scope::{SCOPE_ACTIONS, SCOPE_CLASSES, SCOPE_SERIALS, SCOPE_VENDOR};
use crate::{
    Anchor, Credential, CredentialClaims, DEFAULT_SEQUENCE_CEILING, Error, ErrorKind, PublicKey, Role,
    TranscriptEnd, TrustStore, UnixTime,
};

mod device;
mod device_keys;
mod encryption;
mod ledger_head;
mod provisioning;
mod revocation;
mod signer;
mod succession;
mod transcript;
mod unsigned;

pub use crate::credential::read_unverified_credential;
pub use device::{DeviceCredentialRequest, issue_device_credential, prepare_device_credential};
pub use device_keys::{Derivation, DerivedKey, DeviceKeyRequest, KEY_CHECK_LEN, MasterKey};
pub use encryption::{Encrypted, Recipient, encrypt, encrypt_with, mac0, wrap_again};
pub use ledger_head::prepare_ledger_head;
pub use provisioning::ProvisioningRequest;
pub use revocation::{Minimum, RevocationRequest, prepare_revocation, sign_revocation};
pub use signer::{MAX_SIGNED_LEN, SIGNATURE_LEN, SignError, Signer, SoftwareKey, check_signature, signature};
pub use succession::{
    SuccessionRequest, grant_succession, prepare_succession, prepare_succession_request, request_succession,
};
pub use transcript::prepare_transcript_end;
pub use unsigned::{RecordKind, Unsigned};

/// Why something could not be made.
#[derive(Debug)]
pub enum AuthorError {
    /// A reader would refuse the result, with this error.
    Refused(Error),
    /// The credential's time would end before it begins.
    NeverValid,
    /// The signer would not, or could not, sign.
    Signer(SignError),
    /// The credential does not certify the key of this signer.
    NotTheSignersCredential,
    /// CBOR could not be written.
    Encoding,
}

impl std::error::Error for AuthorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(error) => Some(error),
            Self::Signer(error) => Some(error),
            Self::NeverValid | Self::NotTheSignersCredential | Self::Encoding => None,
        }
    }
}

impl std::fmt::Display for AuthorError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Refused(error) => return write!(f, "the result would be refused: {error}"),
            Self::Signer(error) => return write!(f, "the key did not sign: {error}"),
            Self::NeverValid => "the credential would expire before it becomes valid",
            Self::NotTheSignersCredential => "the credential certifies another key than the one that signs",
            Self::Encoding => "CBOR could not be written",
        })
    }
}

impl From<Error> for AuthorError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<SignError> for AuthorError {
    fn from(error: SignError) -> Self {
        Self::Signer(error)
    }
}

/// Scope to certify; empty lists and `None` mean any.
#[derive(Clone, Debug)]
pub struct ScopeRequest {
    /// Vendor id, a UUID.
    pub vendor: [u8; 16],
    /// Class ids, UUIDs.
    pub classes: Vec<[u8; 16]>,
    /// Serials.
    pub serials: Vec<String>,
    /// Bit set of actions.
    pub actions: Option<u64>,
}

/// The content of a credential to issue.
#[derive(Clone, Debug)]
pub struct CredentialRequest {
    /// Name of the issuer, 1 to 64 bytes.
    pub iss: String,
    /// Name of the holder, 1 to 64 bytes.
    pub sub: String,
    /// The key to certify.
    pub key: PublicKey,
    /// The role to certify.
    pub role: Role,
    /// The devices for which it is certified.
    pub scope: ScopeRequest,
    /// When the credential is issued.
    pub issued_at: UnixTime,
    /// First second at which it is good.
    pub not_before: Option<UnixTime>,
    /// First second at which it is no longer good.
    pub expires: Option<UnixTime>,
    /// Identifier of the credential, 16 random bytes: [`random_cti`].
    pub cti: [u8; 16],
    /// Generation, at most [`MAX_GENERATION`](crate::MAX_GENERATION).
    pub generation: u64,
    /// Highest manifest sequence number that the key may sign; for a release key, where `None` means
    /// [`DEFAULT_SEQUENCE_CEILING`], and for no other.
    pub sequence_ceiling: Option<u64>,
}

/// 16 random bytes from the operating system, for a credential's `cti`.
///
/// # Errors
/// When the operating system has no randomness.
pub fn random_cti() -> Result<[u8; 16], SignError> {
    let mut cti = [0; 16];
    getrandom::fill(&mut cti).map_err(SignError::entropy)?;
    Ok(cti)
}

/// Issues a credential, signed by `root`.
///
/// # Errors
/// [`AuthorError::NeverValid`] when the credential would expire before it becomes valid;
/// [`AuthorError::Signer`]; [`AuthorError::Refused`] when a device would refuse the result, for instance for
/// a key that is the root's own.
pub fn issue_credential(request: &CredentialRequest, root: &dyn Signer) -> Result<Vec<u8>, AuthorError> {
    let cwt = prepare_credential(request, &root.public_key())?.sign(root)?;
    Credential::verify(&cwt, &TrustStore::new(&[Anchor::root(root.public_key())]), request.role)?;
    Ok(cwt)
}

/// A credential for `root` to sign.
///
/// # Errors
/// [`AuthorError::NeverValid`]; [`AuthorError::Refused`] when a device would refuse it, whatever its signature
pub fn prepare_credential(request: &CredentialRequest, root: &PublicKey) -> Result<Unsigned, AuthorError> {
    if let (Some(begin), Some(end)) = (request.not_before, request.expires)
        && begin >= end
    {
        return Err(AuthorError::NeverValid);
    }
    let mut claims = vec![(CLAIM_ISS, text(&request.iss)), (CLAIM_SUB, text(&request.sub))];
    claims.extend(request.expires.map(|time| (CLAIM_EXP, uint(time.0))));
    claims.extend(request.not_before.map(|time| (CLAIM_NBF, uint(time.0))));
    claims.extend([
        (CLAIM_IAT, uint(request.issued_at.0)),
        (CLAIM_CTI, bytes(&request.cti)),
        (CLAIM_CNF, map([(CNF_COSE_KEY, cose_key(&request.key)?)])),
        (CLAIM_ROLE, uint(request.role.code().into())),
        (CLAIM_SCOPE, scope(&request.scope)),
        (CLAIM_GENERATION, uint(request.generation)),
    ]);
    let default = (request.role == Role::Release).then_some(DEFAULT_SEQUENCE_CEILING);
    claims.extend(request.sequence_ceiling.or(default).map(|ceiling| (CLAIM_CEILING, uint(ceiling))));
    let unsigned = Unsigned::new(TYP_CREDENTIAL, &map(claims), root)?;
    read_unverified_credential(&unsigned.with_blank_signature()?)?;
    if request.key == *root {
        return Err(Error::new(ErrorKind::CredentialForAnchor, 0).into());
    }
    Ok(unsigned)
}

/// Signs a payload that travels elsewhere; the signer's credential travels in the signature's `kcwt` header.
///
/// # Errors
/// [`AuthorError::NotTheSignersCredential`]; [`AuthorError::Signer`]; [`AuthorError::Refused`] when the
/// credential does not read, or the result is longer than its limit; [`AuthorError::Encoding`] when the credential
/// would not stand in the result as it was given.
pub fn sign1_detached_chained(
    payload: &[u8],
    signer: &dyn Signer,
    credential: &[u8],
) -> Result<Vec<u8>, AuthorError> {
    let claims = read_unverified_credential(credential)?;
    if *claims.key() != signer.public_key() {
        return Err(AuthorError::NotTheSignersCredential);
    }
    let kcwt = decode(credential)?;
    let headers = HeaderBuilder::new().value(HEADER_KCWT.into(), kcwt).build();
    let out = sign1_with(payload, signer, headers)?;
    verify_made(&out, payload, credential, &claims)?;
    Ok(out)
}

/// Signs a payload that travels elsewhere, for readers that know the key: no credential travels with it, so no device of
/// ours takes it.
///
/// # Errors
/// [`AuthorError::Signer`], [`AuthorError::Encoding`]
pub fn sign1_detached(payload: &[u8], signer: &dyn Signer) -> Result<Vec<u8>, AuthorError> {
    sign1_with(payload, signer, Header::default())
}

fn sign1_with(payload: &[u8], signer: &dyn Signer, unprotected: Header) -> Result<Vec<u8>, AuthorError> {
    let sign1 = CoseSign1Builder::new()
        .protected(protected(&signer.public_key(), None))
        .unprotected(unprotected)
        .try_create_detached_signature(payload, &[], |message| signature(signer, message).map(Vec::from))?
        .build();
    tagged_sign1(sign1)
}

/// A COSE_Sign1 with its tag.
pub(crate) fn tagged_sign1(sign1: coset::CoseSign1) -> Result<Vec<u8>, AuthorError> {
    encode(&Value::Tag(TAG_SIGN1, Box::new(sign1.to_cbor_value().map_err(|_| AuthorError::Encoding)?)))
}

/// What the key of `credential` signs for a payload that travels elsewhere: the Sig_structure (RFC 9052 section 4.4) of
/// [`sign1_detached_chained`], for a key that no program of ours reaches.
///
/// # Errors
/// [`AuthorError::Refused`] when the credential does not read; [`AuthorError::Encoding`]
pub fn detached_to_be_signed(payload: &[u8], credential: &[u8]) -> Result<Vec<u8>, AuthorError> {
    let key = *read_unverified_credential(credential)?.key();
    let sign1 = CoseSign1Builder::new().protected(protected(&key, None)).build();
    Ok(sign1.tbs_detached_data(payload, &[]))
}

/// The credential stands in the signature as it was given, and the signature holds under its key.
fn verify_made(
    sign1: &[u8],
    payload: &[u8],
    credential: &[u8],
    claims: &CredentialClaims<'_>,
) -> Result<(), AuthorError> {
    let made = read_chained(sign1, payload)?;
    if made.kcwt.bytes != credential {
        return Err(AuthorError::Encoding);
    }
    verify_chained(&made, payload, claims, &mut { Commitment::VACANT })?;
    Ok(())
}

/// Exchanges the credential in a COSE_Sign1 that [`sign1_detached_chained`] made: the signature stays, since it does
/// not cover the credential.
///
/// # Errors
/// [`AuthorError::NotTheSignersCredential`] when the new credential certifies another key;
/// [`AuthorError::Refused`] when the result does not verify
pub fn exchange_credential(sign1: &[u8], payload: &[u8], credential: &[u8]) -> Result<Vec<u8>, AuthorError> {
    let claims = read_unverified_credential(credential)?;
    let old = read_chained(sign1, payload)?;
    if *read_unverified_credential(old.kcwt.bytes)?.key() != *claims.key() {
        return Err(AuthorError::NotTheSignersCredential);
    }
    let Value::Tag(TAG_SIGN1, parts) = decode(sign1)? else { return Err(AuthorError::Encoding) };
    let Value::Array(mut parts) = *parts else { return Err(AuthorError::Encoding) };
    *parts.get_mut(1).ok_or(AuthorError::Encoding)? = map([(HEADER_KCWT, decode(credential)?)]);
    let out = encode(&Value::Tag(TAG_SIGN1, Box::new(Value::Array(parts))))?;
    verify_made(&out, payload, credential, &claims)?;
    Ok(out)
}

/// What the end of a transcript says, without checking its signature.
///
/// # Errors
/// The fault of the record or its claims.
pub fn read_unverified_transcript_end(cwt: &[u8]) -> Result<TranscriptEnd, Error> {
    TranscriptEnd::read(cwt)
}

fn protected(signer: &PublicKey, typ: Option<&str>) -> Header {
    let header = HeaderBuilder::new().algorithm(iana::Algorithm::Ed25519).key_id(signer.kid().0.to_vec());
    match typ {
        Some(typ) => header.value(HEADER_TYP.into(), text(typ)).build(),
        None => header.build(),
    }
}

fn cose_key(key: &PublicKey) -> Result<Value, AuthorError> {
    let key = coset::CoseKey::from_slice(&key.to_cose_key()).map_err(|_| AuthorError::Encoding)?;
    key.to_cbor_value().map_err(|_| AuthorError::Encoding)
}

fn scope(scope: &ScopeRequest) -> Value {
    let mut entries = vec![(SCOPE_VENDOR, bytes(&scope.vendor))];
    if !scope.classes.is_empty() {
        entries.push((SCOPE_CLASSES, Value::Array(scope.classes.iter().map(|class| bytes(class)).collect())));
    }
    if !scope.serials.is_empty() {
        entries
            .push((SCOPE_SERIALS, Value::Array(scope.serials.iter().map(|serial| text(serial)).collect())));
    }
    entries.extend(scope.actions.map(|actions| (SCOPE_ACTIONS, uint(actions))));
    map(entries)
}

fn encode(value: &Value) -> Result<Vec<u8>, AuthorError> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).map_err(|_| AuthorError::Encoding)?;
    Ok(out)
}

fn decode(bytes: &[u8]) -> Result<Value, AuthorError> {
    ciborium::from_reader(bytes).map_err(|_| AuthorError::Encoding)
}

fn map(entries: impl IntoIterator<Item = (i32, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn uint(number: u64) -> Value {
    Value::from(number)
}
