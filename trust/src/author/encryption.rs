//! Encrypts for devices, and authenticates with the keys that they have as well (docs/records.md).

use coset::{
    CoseEncrypt, CoseEncryptBuilder, CoseMac0Builder, CoseRecipient, CoseRecipientBuilder, EncryptionContext,
    Header, HeaderBuilder, ProtectedHeader, RegisteredLabelWithPrivate, TaggedCborSerializable as _, iana,
};
use zeroize::Zeroize as _;

use super::AuthorError;
use crate::aes::{BLOCK_LEN, Key128};
use crate::cbor::Span;
use crate::encryption::{ALG_A128CTR, ContentAlgorithm, EncryptionInfo, fast};
use crate::error::{Error, ErrorKind};
use crate::gcm::{GCM_IV_LEN, MAX_STREAM_LEN};
use crate::hmac::hmac_sha256;
use crate::key_wrap::wrap;
use crate::mac0::{MAX_MAC0_LEN, verify_mac0};

/// One who may read: the key that wraps the content key for it, and the key's name.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// kid of the key.
    pub kid: Vec<u8>,
    /// The key, of that device alone.
    pub key: Key128,
}

/// A content, encrypted under a key of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encrypted {
    /// The COSE_Encrypt: the parameter encryption-info.
    pub info: Vec<u8>,
    /// The ciphertext, with its tag behind it if the algorithm has one.
    pub ciphertext: Vec<u8>,
}

/// Encrypts with a fresh content key and IV.
///
/// # Errors
/// [`AuthorError::Refused`] with [`ErrorKind::TooMany`] or [`ErrorKind::OutOfRange`] for a number of recipients that
/// devices refuse, with [`ErrorKind::TooLong`] for a content above [`MAX_STREAM_LEN`]; [`AuthorError::Encoding`] when
/// the system has no random numbers.
pub fn encrypt(
    algorithm: ContentAlgorithm,
    plaintext: &[u8],
    recipients: &[Recipient],
) -> Result<Encrypted, AuthorError> {
    let (mut key, mut iv) = ([0; 16], [0; BLOCK_LEN]);
    getrandom::fill(&mut key).and_then(|()| getrandom::fill(&mut iv)).map_err(|_| AuthorError::Encoding)?;
    let content_key = Key128::new(key);
    key.zeroize();
    encrypt_with(algorithm, plaintext, recipients, &content_key, &iv)
}

/// Encrypts with this content key and IV, of which A128GCM takes the first 12 bytes. **No pair of them may be used for two
/// contents**: [`encrypt`] sees to that.
///
/// # Errors
/// Those of [`encrypt`].
pub fn encrypt_with(
    algorithm: ContentAlgorithm,
    plaintext: &[u8],
    recipients: &[Recipient],
    content_key: &Key128,
    iv: &[u8; BLOCK_LEN],
) -> Result<Encrypted, AuthorError> {
    let too_long = Error::new(ErrorKind::TooLong, 0);
    if u32::try_from(plaintext.len()).map_or(true, |len| len > MAX_STREAM_LEN) {
        return Err(too_long.into());
    }
    let (protected, unprotected) = match algorithm {
        ContentAlgorithm::A128Gcm => {
            let iv = iv.first_chunk::<GCM_IV_LEN>().ok_or(AuthorError::Encoding)?;
            let protected = HeaderBuilder::new().algorithm(iana::Algorithm::A128GCM).build();
            (protected, HeaderBuilder::new().iv(iv.to_vec()).build())
        }
        ContentAlgorithm::A128Ctr => {
            let header = Header {
                // coset 0.4 does not know its name.
                alg: Some(RegisteredLabelWithPrivate::PrivateUse(ALG_A128CTR.into())),
                iv: iv.to_vec(),
                ..Header::default()
            };
            (Header::default(), header)
        }
    };
    // Counter mode takes none.
    let associated = coset::enc_structure_data(
        EncryptionContext::CoseEncrypt,
        ProtectedHeader { original_data: None, header: protected.clone() },
        &[],
    );
    let ciphertext = fast::encrypt(algorithm, content_key, iv, &associated, plaintext).ok_or(too_long)?;
    let encrypt = CoseEncryptBuilder::new().protected(protected).unprotected(unprotected).build();
    let info = for_recipients(encrypt, content_key, recipients)?;
    Ok(Encrypted { info, ciphertext })
}

/// The encryption-info of the same ciphertext for other recipients, and for none of those that it has. `content_key` is what
/// one of those gets out of it ([`EncryptionInfo::content_key`]).
///
/// # Errors
/// Those of [`encrypt`] about recipients; [`AuthorError::Refused`] for an `info` that devices refuse.
pub fn wrap_again(
    info: &[u8],
    content_key: &Key128,
    recipients: &[Recipient],
) -> Result<Vec<u8>, AuthorError> {
    EncryptionInfo::read(Span { bytes: info, base: 0 })?;
    let encrypt = CoseEncrypt::from_tagged_slice(info).map_err(|_| AuthorError::Encoding)?;
    for_recipients(encrypt, content_key, recipients)
}

/// The encryption-info with these recipients in the place of others.
fn for_recipients(
    encrypt: CoseEncrypt,
    content_key: &Key128,
    recipients: &[Recipient],
) -> Result<Vec<u8>, AuthorError> {
    let recipient = |Recipient { kid, key }: &Recipient| -> CoseRecipient {
        let header = HeaderBuilder::new().algorithm(iana::Algorithm::A128KW).key_id(kid.clone()).build();
        let wrapped = wrap(key, content_key).to_vec();
        CoseRecipientBuilder::new().unprotected(header).ciphertext(wrapped).build()
    };
    let encrypt = CoseEncrypt { recipients: recipients.iter().map(recipient).collect(), ..encrypt };
    let info = encrypt.to_tagged_vec().map_err(|_| AuthorError::Encoding)?;
    // What a device would refuse does not leave.
    EncryptionInfo::read(Span { bytes: &info, base: 0 })?;
    Ok(info)
}

/// Makes a COSE_Mac0 over a detached payload.
///
/// # Errors
/// [`AuthorError::Refused`] with [`ErrorKind::TooLong`] for a payload or kid that devices refuse.
pub fn mac0(payload: &[u8], kid: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, AuthorError> {
    let header = HeaderBuilder::new().algorithm(iana::Algorithm::HMAC_256_256).key_id(kid.to_vec()).build();
    let protected = ProtectedHeader { original_data: None, header: header.clone() };
    let message = coset::mac_structure_data(coset::MacContext::CoseMac0, protected, &[], payload);
    let mut mac0 = CoseMac0Builder::new().protected(header).build();
    mac0.tag = hmac_sha256(key, &[&message]).to_vec();
    let mac0 = mac0.to_tagged_vec().map_err(|_| AuthorError::Encoding)?;
    if mac0.len() > MAX_MAC0_LEN {
        return Err(Error::new(ErrorKind::TooLong, 0).into());
    }
    verify_mac0(&mac0, payload, kid, key)?;
    Ok(mac0)
}
