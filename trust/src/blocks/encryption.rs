//! Encrypted contents as hosts know them (draft-ietf-suit-firmware-encryption-26, RFC 9052 section 5): everything that devices
//! read ([`crate::encryption`]), recipients with ECDH-ES + A128KW (-29), and contents of ChaCha20/Poly1305 (24).
//!
//! A device has neither a key pair for it nor room for the code. What of a release devices read, [`crate::encryption`] decides.

mod agreement;
mod content;
mod key_file;
mod seal;

use aes_kw::{KeyInit as _, KwAes128};
use zeroize::Zeroizing;

use self::agreement::{Agreement, key_encryption_key};
pub use self::agreement::{AgreementKey, AgreementSecret};
pub use self::content::{ContentKey, HostAlgorithm};
pub use self::key_file::AgreementKeyError;
pub use self::seal::seal;
use super::headers::{Headers, Layer};
use super::key::Named;
use super::{Algorithm, expect_detached};
use crate::aes::{BLOCK_LEN, Key128};
use crate::cbor::{Major, Reader, Span};
use crate::cose::{TAG_ENCRYPT, expect_structure};
use crate::encryption::{ALG_A128CTR, ALG_A128GCM, ALG_A128KW, MAX_ENCRYPTION_INFO_LEN, MAX_RECIPIENTS};
use crate::error::{Error, ErrorKind};
use crate::gcm::GCM_IV_LEN;

/// ECDH-ES + A128KW, RFC 9053 section 6.4.1.
const ALG_ECDH_ES_A128KW: i64 = -29;
/// ChaCha20/Poly1305, RFC 9053 section 4.3.
const ALG_CHACHA20_POLY1305: i64 = 24;
/// IV, RFC 9052 section 3.1.
const HEADER_IV: i32 = 5;
/// Bytes that A128KW adds to a key (RFC 3394 section 2.2.1).
const WRAP_LEN: usize = 8;

/// An encryption-info that is well-formed. Nothing authenticates it but the manifest that it comes from.
#[derive(Debug)]
pub struct HostEncryption<'a> {
    algorithm: HostAlgorithm,
    protected: &'a [u8],
    iv: &'a [u8],
    recipients: Vec<HostRecipient<'a>>,
    /// Where they begin.
    at: u32,
}

/// One who may read.
#[derive(Debug)]
pub struct HostRecipient<'a> {
    /// By which it gets the content key.
    pub algorithm: Option<Algorithm<'a>>,
    /// Name of its key, if there is one.
    pub kid: Option<&'a [u8]>,
    way: Way<'a>,
    wrapped: Span<'a>,
}

/// How a recipient gets the content key.
#[derive(Debug)]
enum Way<'a> {
    /// With a key that it has (A128KW).
    KeyWrap,
    /// With a key that it agrees on, or why it cannot.
    Agreement(Result<Agreement<'a>, Error>),
    /// Of somebody else.
    Other,
}

impl<'a> HostEncryption<'a> {
    /// Reads `96([protected, unprotected, nil, [+ recipient]])`.
    ///
    /// # Errors
    /// Those of [`crate::encryption::EncryptionInfo::read`], for the same. What is wrong with the key of an agreement, only its
    /// recipient is told.
    pub fn read(info: Span<'a>) -> Result<Self, Error> {
        if info.bytes.len() > MAX_ENCRYPTION_INFO_LEN {
            return Err(Error::new(ErrorKind::TooLong, info.base));
        }
        let reader = &mut info.reader();
        expect_structure(reader, TAG_ENCRYPT);
        reader.array_of(4);
        let start = reader.position();
        let headers = Headers::read(reader, Layer::Encrypted);
        let algorithm = match headers.algorithm.and_then(Algorithm::number) {
            Some(number) if number == i64::from(ALG_A128GCM) => Ok(HostAlgorithm::A128Gcm),
            Some(number) if number == i64::from(ALG_A128CTR) => Ok(HostAlgorithm::A128Ctr),
            Some(ALG_CHACHA20_POLY1305) => Ok(HostAlgorithm::ChaCha20Poly1305),
            _ => Err(Error::new(ErrorKind::AlgorithmUnsupported, start)),
        };
        let iv = headers.other(HEADER_IV);
        let at = if reader.peek() == Major::Bytes { Some(reader.position()) } else { None };
        if let Some(at) = at {
            // A ciphertext that is inside is legal, and unsupported.
            reader.refuse(ErrorKind::CoseUnsupported, at);
        }
        expect_detached(reader);
        let at = reader.position();
        let mut recipients = Vec::new();
        let mut items = reader.array_within(1, MAX_RECIPIENTS);
        while items.next(reader) {
            recipients.push(HostRecipient::read(reader));
        }
        reader.finish()?;
        let algorithm = algorithm?;
        let refused = |kind| Err(Error::new(kind, start));
        // RFC 9052 section 5.3: what an AEAD is used with is protected. RFC 9459 section 4, the draft's section "Content
        // Encryption": nothing is protected for what is no AEAD.
        match algorithm {
            HostAlgorithm::A128Ctr if headers.has_protected => return refused(ErrorKind::HeaderUnknown),
            HostAlgorithm::A128Gcm | HostAlgorithm::ChaCha20Poly1305 if !headers.is_algorithm_protected => {
                return refused(ErrorKind::HeaderUnknown);
            }
            _ => {}
        }
        let Some(iv) = iv else { return refused(ErrorKind::HeaderMissing) };
        let iv = iv.reader().bytes();
        if iv.len() != algorithm.iv_len() {
            return refused(ErrorKind::OutOfRange);
        }
        for recipient in &recipients {
            recipient.must_be_for(algorithm)?;
        }
        Ok(Self { algorithm, protected: headers.protected, iv, recipients, at })
    }

    /// How the content is encrypted.
    #[must_use]
    pub const fn algorithm(&self) -> HostAlgorithm {
        self.algorithm
    }

    /// Those who may read.
    #[must_use]
    pub fn recipients(&self) -> &[HostRecipient<'a>] {
        &self.recipients
    }

    /// The content key, for whoever has this private key: a recipient that names its public half, or one that names no key.
    ///
    /// # Errors
    /// [`ErrorKind::DeviceKeyUnknown`]: nothing is for it. Of a recipient that names it: [`ErrorKind::KeyInvalid`] for an
    /// ephemeral key that is no usable point of the curve of this one, [`ErrorKind::HeaderMissing`],
    /// [`ErrorKind::HeaderUnknown`] and others for what its headers lack or say, [`ErrorKind::KeyUnwrap`] when its key does
    /// not unwrap.
    pub fn content_key(&self, secret: &AgreementSecret) -> Result<ContentKey, Error> {
        let mut refusal = Error::new(ErrorKind::DeviceKeyUnknown, self.at);
        for recipient in &self.recipients {
            let Way::Agreement(agreement) = &recipient.way else { continue };
            let named = secret.public().named_by(recipient.kid);
            if named == Named::No {
                continue;
            }
            let opened = agreement.as_ref().map_err(|error| *error).and_then(|agreement| {
                let shared = secret.agree(&agreement.ephemeral);
                let shared = shared.ok_or(Error::new(ErrorKind::KeyInvalid, agreement.position))?;
                recipient.unwrap(&key_encryption_key(&shared, agreement))
            });
            match opened {
                Ok(key) => return Ok(key),
                Err(error) if named == Named::Yes => refusal = error,
                // It may well be for another key of that name.
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    /// The content key, for the device with this update key ([`crate::encryption::EncryptionInfo::content_key`]).
    ///
    /// # Errors
    /// As there.
    pub fn content_key_of_device(&self, kid: &[u8], key: &Key128) -> Result<ContentKey, Error> {
        let mut refusal = Error::new(ErrorKind::DeviceKeyUnknown, self.at);
        for recipient in self.recipients.iter().filter(|one| matches!(one.way, Way::KeyWrap)) {
            if kid.is_empty() || recipient.kid != Some(kid) {
                continue;
            }
            match recipient.unwrap(key) {
                Ok(content_key) => return Ok(content_key),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }
}

impl<'a> HostRecipient<'a> {
    /// As on devices, what is wrong with a recipient of a kind that is not known is its own matter.
    fn read(reader: &mut Reader<'a>) -> Self {
        let own = &mut reader.clone();
        let start = reader.position();
        let item = reader.item();
        let (mut algorithm, mut kid, mut wrapped, mut way) = (None, None, Span::EMPTY, Way::Other);
        let len = own.array().remaining();
        if !(3..=4).contains(&len) {
            reader.refuse(ErrorKind::UnexpectedType, start);
            return Self { algorithm, kid, way, wrapped };
        }
        let headers = Headers::read(own, Layer::Recipient);
        let at = own.position();
        let content = own.span();
        // Recipients of a recipient are of others.
        let is_plain =
            len == 3 && own.check().is_ok() && item.len() == own.position().abs_diff(start) as usize;
        let fault = own.check().err();
        match headers.algorithm.and_then(Algorithm::number) {
            // As on devices, one that protects what it has no use for is of a kind that is not known.
            Some(number)
                if number == i64::from(ALG_A128KW)
                    && (headers.is_algorithm_protected || headers.protected.is_empty()) =>
            {
                // RFC 9053 section 6.2.1: alg is not protected; an empty map is a form of nothing, as on devices.
                if let Some(error) = fault {
                    reader.refuse(error.kind, error.position);
                } else if headers.is_algorithm_protected {
                    reader.refuse(ErrorKind::HeaderUnknown, at);
                } else if !is_plain {
                    reader.refuse(ErrorKind::CoseUnsupported, at);
                }
                (algorithm, kid, wrapped, way) = (headers.algorithm, headers.kid, content, Way::KeyWrap);
            }
            Some(ALG_ECDH_ES_A128KW) => {
                let agreement = match fault {
                    Some(error) => Err(error),
                    // Nobody would protect it: it is a part of what the key is derived from.
                    None if !headers.is_algorithm_protected => Err(Error::new(ErrorKind::HeaderUnknown, at)),
                    None if !is_plain => Err(Error::new(ErrorKind::CoseUnsupported, at)),
                    None => Agreement::of(&headers, at),
                };
                (algorithm, kid, wrapped) = (headers.algorithm, headers.kid, content);
                way = Way::Agreement(agreement);
            }
            // Whose headers do not read says nothing.
            _ if fault.is_none() => (algorithm, kid) = (headers.algorithm, headers.kid),
            _ => {}
        }
        Self { algorithm, kid, way, wrapped }
    }

    /// A wrapped key is as long as the content asks for.
    fn must_be_for(&self, algorithm: HostAlgorithm) -> Result<(), Error> {
        let len = algorithm.key_len().saturating_add(WRAP_LEN);
        match self.way {
            Way::KeyWrap if self.wrapped.bytes.len() != len => {
                Err(Error::new(ErrorKind::UnexpectedType, self.wrapped.base))
            }
            _ => Ok(()),
        }
    }

    /// Whether a device of ours may be it: A128KW.
    #[must_use]
    pub const fn is_for_devices(&self) -> bool {
        matches!(self.way, Way::KeyWrap)
    }

    fn unwrap(&self, key: &Key128) -> Result<ContentKey, Error> {
        let refused = |_| Error::new(ErrorKind::KeyUnwrap, self.wrapped.base);
        let mut unwrapped = Zeroizing::new(vec![0; self.wrapped.bytes.len().saturating_sub(WRAP_LEN)]);
        KwAes128::new(key.as_bytes().into())
            .unwrap_key(self.wrapped.bytes, &mut unwrapped)
            .map_err(refused)?;
        Ok(ContentKey(unwrapped))
    }
}

const _: () =
    assert!(HostAlgorithm::A128Gcm.iv_len() == GCM_IV_LEN && HostAlgorithm::A128Ctr.iv_len() == BLOCK_LEN);

#[cfg(test)]
mod tests;
