//! Makes what [`HostEncryption`] reads.

use aes_kw::{KeyInit as _, KwAes128};
use ciborium::Value;
use coset::{
    CoseEncrypt, CoseEncryptBuilder, CoseRecipient, CoseRecipientBuilder, Header, HeaderBuilder,
    RegisteredLabelWithPrivate, TaggedCborSerializable as _, iana,
};
use zeroize::Zeroizing;

use super::agreement::{Agreement, AgreementKey, AgreementSecret, Point, key_encryption_key};
use super::content::{ContentKey, HostAlgorithm, encrypt_chacha, registered};
use super::{HostEncryption, WRAP_LEN, Way};
use crate::aes::{BLOCK_LEN, Key128};
use crate::author::{AuthorError, Encrypted, Recipient};
use crate::cbor::Span;
use crate::encryption::{ALG_A128CTR, EncryptionInfo, fast};
use crate::error::{Error, ErrorKind};
use crate::gcm::MAX_STREAM_LEN;

/// `<< {1: -29} >>`, which the key is derived from as well.
const PROTECTED: &[u8] = b"\xa1\x01\x38\x1c";

/// Encrypts with a fresh content key and IV, for devices with their update keys and for whoever has the private half of a public
/// key; each of the latter gets an ephemeral key of its own. Reads the result back.
///
/// # Errors
/// [`AuthorError::Refused`] with [`ErrorKind::TooMany`] or [`ErrorKind::OutOfRange`] for a number of recipients that is
/// refused, with [`ErrorKind::TooLong`] for a content that is too long, with [`ErrorKind::KeyInvalid`] for a public key of
/// small order; [`AuthorError::Encoding`] when the system has no random numbers.
pub fn seal(
    algorithm: HostAlgorithm,
    plaintext: &[u8],
    devices: &[Recipient],
    public: &[AgreementKey],
) -> Result<Encrypted, AuthorError> {
    if u32::try_from(plaintext.len()).map_or(true, |len| len > MAX_STREAM_LEN) {
        return Err(Error::new(ErrorKind::TooLong, 0).into());
    }
    let mut key = ContentKey(Zeroizing::new(vec![0; algorithm.key_len()]));
    let mut iv = [0; BLOCK_LEN];
    getrandom::fill(&mut key.0).and_then(|()| getrandom::fill(&mut iv)).map_err(|_| AuthorError::Encoding)?;
    let own_iv = iv.get(..algorithm.iv_len()).ok_or(AuthorError::Encoding)?;
    let (protected, unprotected) = match registered(algorithm) {
        Some(name) => {
            (HeaderBuilder::new().algorithm(name).build(), HeaderBuilder::new().iv(own_iv.to_vec()).build())
        }
        // coset 0.4 does not know its name, and nothing is protected.
        None => {
            let alg = Some(RegisteredLabelWithPrivate::PrivateUse(ALG_A128CTR.into()));
            (Header::default(), Header { alg, iv: own_iv.to_vec(), ..Header::default() })
        }
    };
    let mut recipients = Vec::new();
    for Recipient { kid, key: own } in devices {
        let header = HeaderBuilder::new().algorithm(iana::Algorithm::A128KW).key_id(kid.clone()).build();
        recipients.push(CoseRecipientBuilder::new().unprotected(header).ciphertext(wrap(own, &key)?).build());
    }
    let mut agreed = Vec::new();
    for to in public {
        let (recipient, with) = agree(to, &key)?;
        recipients.push(recipient);
        agreed.push(with);
    }
    let encrypt = CoseEncryptBuilder::new().protected(protected).unprotected(unprotected).build();
    let encrypt = CoseEncrypt { recipients, ..encrypt };
    let info = encrypt.to_tagged_vec().map_err(|_| AuthorError::Encoding)?;
    // What a reader would refuse does not leave.
    let read = HostEncryption::read(Span { bytes: &info, base: 0 })?;
    let associated = super::super::structure("Encrypt", &[read.protected, &[]]);
    let ciphertext = match (algorithm.on_devices(), key.of_128_bits()) {
        (Some(algorithm), Some(key)) => fast::encrypt(algorithm, &key, &iv, &associated, plaintext),
        _ => encrypt_chacha(&key, own_iv, &associated, plaintext),
    };
    let ciphertext = ciphertext.ok_or(AuthorError::Encoding)?;
    let is_read =
        is_read_by_each(&read, &key, &agreed)? && {
            match (algorithm.on_devices(), key.of_128_bits()) {
                (Some(_), Some(key)) => EncryptionInfo::read(Span { bytes: &info, base: 0 })?
                    .is_ciphertext_of(&key, &ciphertext, plaintext),
                _ => read.open(&key, &ciphertext)? == plaintext,
            }
        };
    if is_read { Ok(Encrypted { info, ciphertext }) } else { Err(AuthorError::Encoding) }
}

fn wrap(key: &Key128, content_key: &ContentKey) -> Result<Vec<u8>, AuthorError> {
    let mut wrapped = vec![0; content_key.as_bytes().len().saturating_add(WRAP_LEN)];
    KwAes128::new(key.as_bytes().into())
        .wrap_key(content_key.as_bytes(), &mut wrapped)
        .map_err(|_| AuthorError::Encoding)?;
    Ok(wrapped)
}

/// What wraps the content key for a public key.
struct Agreed {
    key: Key128,
    ephemeral: Point,
}

/// A recipient for a public key.
fn agree(to: &AgreementKey, content_key: &ContentKey) -> Result<(CoseRecipient, Agreed), AuthorError> {
    let ephemeral = AgreementSecret::fresh_for(to).ok_or(AuthorError::Encoding)?;
    let shared = ephemeral.agree(to.point()).ok_or(Error::new(ErrorKind::KeyInvalid, 0))?;
    let point = ephemeral.public().point().clone();
    let cose_key = point.cose_key();
    let agreement = Agreement { ephemeral: point.clone(), position: 0, protected: PROTECTED, salt: &[] };
    let key = key_encryption_key(&shared, &agreement);
    let cose_key: Value = ciborium::from_reader(cose_key.as_slice()).map_err(|_| AuthorError::Encoding)?;
    let header = HeaderBuilder::new()
        .key_id(to.kid())
        .value(iana::EnumI64::to_i64(&iana::HeaderAlgorithmParameter::EphemeralKey), cose_key)
        .build();
    let recipient = CoseRecipientBuilder::new()
        .protected(HeaderBuilder::new().algorithm(iana::Algorithm::ECDH_ES_A128KW).build())
        .unprotected(header)
        .ciphertext(wrap(&key, content_key)?)
        .build();
    Ok((recipient, Agreed { key, ephemeral: point }))
}

/// Whether each recipient that agrees on a key gets the content key out of what was written: with the key that both sides have,
/// and over the protected bytes as they were read.
fn is_read_by_each(
    read: &HostEncryption<'_>,
    content_key: &ContentKey,
    agreed: &[Agreed],
) -> Result<bool, Error> {
    let mut written = agreed.iter();
    for recipient in &read.recipients {
        let Way::Agreement(agreement) = &recipient.way else { continue };
        let (Some(written), Ok(agreement)) = (written.next(), agreement) else { return Ok(false) };
        let is_same = agreement.ephemeral.cose_key() == written.ephemeral.cose_key()
            && agreement.protected == PROTECTED
            && agreement.salt.is_empty();
        if !is_same || recipient.unwrap(&written.key)? != *content_key {
            return Ok(false);
        }
    }
    Ok(written.next().is_none())
}
