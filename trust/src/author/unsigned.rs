//! Records in two steps: what is to be signed, and the record once a signature is there. Between them may lie a ledger's
//! entry, or a key that no program of ours reaches.

use ciborium::value::Value;
use coset::{AsCborValue as _, CborSerializable as _, CoseSign1Builder, Header, SignatureContext};

use super::signer::{MAX_SIGNED_LEN, SIGNATURE_LEN, Signer, check_signature, signature};
use super::{AuthorError, decode, encode, protected};
use crate::cose::{HEADER_TYP, TAG_CWT, TAG_SIGN1};
use crate::credential::TYP_CREDENTIAL;
use crate::ledger_head::TYP_LEDGER_HEAD;
use crate::revocation::TYP_REVOCATION;
use crate::succession::{TYP_SUCCESSION, TYP_SUCCESSION_GRANT};
use crate::transcript::TYP_TRANSCRIPT;
use crate::{Error, ErrorKind, MAX_CREDENTIAL_LEN, MAX_REVOCATION_LIST_LEN, MAX_SUCCESSION_LEN, PublicKey};

/// What kind of record something is, by its `typ` (RFC 9596).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordKind {
    /// A credential.
    Credential,
    /// A revocation list.
    RevocationList,
    /// What a new root asks for.
    SuccessionRequest,
    /// A succession, which the root or the recovery root grants.
    Succession,
    /// The signed head of a ledger.
    LedgerHead,
    /// The signed end of the transcript of a ceremony.
    Transcript,
}

impl RecordKind {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Credential, TYP_CREDENTIAL),
        (Self::RevocationList, TYP_REVOCATION),
        (Self::SuccessionRequest, TYP_SUCCESSION),
        (Self::Succession, TYP_SUCCESSION_GRANT),
        (Self::LedgerHead, TYP_LEDGER_HEAD),
        (Self::Transcript, TYP_TRANSCRIPT),
    ];

    fn of(header: &Header) -> Option<Self> {
        let typ = header.rest.iter().find(|(label, _)| *label == coset::Label::Int(HEADER_TYP.into()));
        let (_, Value::Text(typ)) = typ? else { return None };
        Self::ALL.into_iter().find(|(_, known)| known == typ).map(|(kind, _)| kind)
    }
}

/// What a Sig_structure has beside the protected header and the payload, which stand in the record too: array, context and
/// the empty external_aad, with room for longer heads of strings.
const SIG_STRUCTURE_OVERHEAD: usize = 32;
// Tokens and key services sign each record that a reader takes.
const _: () = assert!(MAX_REVOCATION_LIST_LEN + SIG_STRUCTURE_OVERHEAD < MAX_SIGNED_LEN);
const _: () = assert!(MAX_SUCCESSION_LEN + SIG_STRUCTURE_OVERHEAD < MAX_SIGNED_LEN);
const _: () = assert!(MAX_CREDENTIAL_LEN + SIG_STRUCTURE_OVERHEAD < MAX_SIGNED_LEN);

/// A record whose content is decided and that nobody has signed yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsigned {
    kind: RecordKind,
    signer: PublicKey,
    protected: Vec<u8>,
    payload: Vec<u8>,
}

impl Unsigned {
    pub(super) fn new(typ: &str, claims: &Value, signer: &PublicKey) -> Result<Self, AuthorError> {
        Self::of_payload(typ, encode(claims)?, signer)
    }

    pub(super) fn of_payload(typ: &str, payload: Vec<u8>, signer: &PublicKey) -> Result<Self, AuthorError> {
        let header = protected(signer, Some(typ));
        let kind = RecordKind::of(&header).ok_or(AuthorError::Encoding)?;
        let protected = header.to_vec().map_err(|_| AuthorError::Encoding)?;
        let unsigned = Self { kind, signer: *signer, protected, payload };
        if unsigned.to_be_signed().len() > MAX_SIGNED_LEN {
            return Err(Error::new(ErrorKind::TooLong, 0).into());
        }
        Ok(unsigned)
    }

    /// Reads the Sig_structure of a record (RFC 9052 section 4.4), as [`Unsigned::to_be_signed`] wrote it for `signer`.
    ///
    /// # Errors
    /// [`AuthorError::Refused`] with [`ErrorKind::TooLong`]; with [`ErrorKind::RecordType`] when it is of no record
    /// that this version knows; with [`ErrorKind::KeyMismatch`] when it names another signer;
    /// [`AuthorError::Encoding`] when it is no Sig_structure in deterministic form.
    pub fn from_to_be_signed(bytes: &[u8], signer: &PublicKey) -> Result<Self, AuthorError> {
        if bytes.len() > MAX_SIGNED_LEN {
            return Err(Error::new(ErrorKind::TooLong, 0).into());
        }
        let Value::Array(parts) = decode(bytes)? else { return Err(AuthorError::Encoding) };
        let Ok([_, Value::Bytes(protected), _, Value::Bytes(payload)]) = <[Value; 4]>::try_from(parts) else {
            return Err(AuthorError::Encoding);
        };
        let header = Header::from_slice(&protected).map_err(|_| AuthorError::Encoding)?;
        let kind = RecordKind::of(&header).ok_or(Error::new(ErrorKind::RecordType, 0))?;
        if header.key_id != signer.kid().0 {
            return Err(Error::new(ErrorKind::KeyMismatch, 0).into());
        }
        let read = Self { kind, signer: *signer, protected, payload };
        if read.to_be_signed() == bytes { Ok(read) } else { Err(AuthorError::Encoding) }
    }

    /// Takes the signature off a record that `signer` signed.
    ///
    /// # Errors
    /// Those of [`Unsigned::from_to_be_signed`]; [`AuthorError::Refused`] with [`ErrorKind::SignatureInvalid`];
    /// [`AuthorError::Encoding`] when it is no record in deterministic form
    pub fn from_record(record: &[u8], signer: &PublicKey) -> Result<Self, AuthorError> {
        let Value::Tag(_, inner) = decode(record)? else { return Err(AuthorError::Encoding) };
        let Value::Tag(_, sign1) = *inner else { return Err(AuthorError::Encoding) };
        let sign1 = coset::CoseSign1::from_cbor_value(*sign1).map_err(|_| AuthorError::Encoding)?;
        let message = sign1.tbs_data(&[]);
        let unsigned = Self::from_to_be_signed(&message, signer)?;
        let signature = sign1.signature.first_chunk().ok_or(AuthorError::Encoding)?;
        if unsigned.attach(signature)? == record { Ok(unsigned) } else { Err(AuthorError::Encoding) }
    }

    /// What kind of record it is.
    #[must_use]
    pub fn kind(&self) -> RecordKind {
        self.kind
    }

    /// The key that has to sign it.
    #[must_use]
    pub fn signer(&self) -> &PublicKey {
        &self.signer
    }

    /// Its claims, or what it certifies.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The Sig_structure, whose signature makes the record: at most [`MAX_SIGNED_LEN`] bytes.
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        let header =
            coset::ProtectedHeader { original_data: Some(self.protected.clone()), header: Header::default() };
        coset::sig_structure_data(SignatureContext::CoseSign1, header, None, &[], &self.payload)
    }

    /// The record with a signature, which is verified first.
    ///
    /// # Errors
    /// [`AuthorError::Signer`] when it does not hold; [`AuthorError::Encoding`]
    pub fn attach(&self, signature: &[u8; SIGNATURE_LEN]) -> Result<Vec<u8>, AuthorError> {
        check_signature(&self.signer, &self.to_be_signed(), signature)?;
        self.assemble(signature)
    }

    /// Has it signed.
    ///
    /// # Errors
    /// [`AuthorError::Refused`] with [`ErrorKind::KeyMismatch`] when the signer has another key; those of
    /// [`Unsigned::attach`]; [`AuthorError::Signer`]
    pub fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, AuthorError> {
        if signer.public_key() != self.signer {
            return Err(Error::new(ErrorKind::KeyMismatch, 0).into());
        }
        self.assemble(&signature(signer, &self.to_be_signed())?)
    }

    /// The record with zeros in the place of the signature: to read its claims. No verifier takes it.
    ///
    /// # Errors
    /// [`AuthorError::Encoding`]
    pub fn with_blank_signature(&self) -> Result<Vec<u8>, AuthorError> {
        self.assemble(&[0; SIGNATURE_LEN])
    }

    fn assemble(&self, signature: &[u8; SIGNATURE_LEN]) -> Result<Vec<u8>, AuthorError> {
        let mut sign1 =
            CoseSign1Builder::new().payload(self.payload.clone()).signature(signature.to_vec()).build();
        sign1.protected.original_data = Some(self.protected.clone());
        let sign1 = sign1.to_cbor_value().map_err(|_| AuthorError::Encoding)?;
        encode(&Value::Tag(TAG_CWT.into(), Box::new(Value::Tag(TAG_SIGN1, Box::new(sign1)))))
    }
}
