//! COSE_Encrypt with detached ciphertext (RFC 9052 section 5.1): the encryption-info of a manifest,
//! draft-ietf-suit-firmware-encryption-26. For many recipients, of which a device looks for itself.
//!
//! Contents are A128GCM and A128CTR. Recipients are A128KW; others, ECDH-ES+A128KW among them, are read and passed over:
//! they are for somebody else.

#[cfg(feature = "author")]
pub(crate) mod fast;

use crate::aes::{BLOCK_LEN, Key128};
use crate::cbor::{List, Reader, Span};
use crate::cose::{Headers, TAG_ENCRYPT, byte_string_head, expect_structure};
use crate::error::{Error, ErrorKind};
use crate::gcm::{Ctr, GCM_IV_LEN, Gcm, MAX_STREAM_LEN, TAG_LEN};
use crate::key_wrap::{WRAPPED_KEY_LEN, unwrap};

/// Longest encryption-info, bytes: it has to fit into an envelope.
pub const MAX_ENCRYPTION_INFO_LEN: usize = 4096;
/// Most recipients of one ciphertext.
pub const MAX_RECIPIENTS: u32 = 64;

/// A128GCM, RFC 9053 section 4.1.
pub(crate) const ALG_A128GCM: i32 = 1;
/// A128CTR, RFC 9459 section 4.
pub(crate) const ALG_A128CTR: i32 = -65534;
/// A128KW, RFC 9053 section 6.2.1.
pub(crate) const ALG_A128KW: i32 = -3;

/// How the content is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContentAlgorithm {
    /// AES-128 in Galois/counter mode, with a tag of 16 bytes behind the ciphertext.
    A128Gcm,
    /// AES-128 in counter mode, which authenticates nothing: the digest of the plaintext does.
    A128Ctr,
}

impl ContentAlgorithm {
    /// Bytes of the tag behind a ciphertext, which is as long as its plaintext.
    #[must_use]
    pub const fn tag_len(self) -> usize {
        match self {
            Self::A128Gcm => TAG_LEN,
            Self::A128Ctr => 0,
        }
    }
}

/// The algorithm with its IV.
#[derive(Clone, Copy, Debug)]
enum Content<'a> {
    Gcm(&'a [u8; GCM_IV_LEN]),
    Ctr(&'a [u8; BLOCK_LEN]),
}

/// An encryption-info that is well-formed. Nothing authenticates it but the manifest that it comes from.
#[derive(Clone, Copy, Debug)]
pub struct EncryptionInfo<'a> {
    content: Content<'a>,
    protected: &'a [u8],
    recipients: List<'a>,
}

impl<'a> EncryptionInfo<'a> {
    /// Reads `96([protected, unprotected, nil, [+ recipient]])`.
    ///
    /// # Errors
    /// [`ErrorKind::TooLong`]; [`ErrorKind::CoseUnsupported`] for another structure of COSE, an attached ciphertext, and
    /// recipients within one with A128KW; [`ErrorKind::AlgorithmUnsupported`] for another content than A128GCM and A128CTR;
    /// [`ErrorKind::CriticalHeader`], [`ErrorKind::HeaderUnknown`], [`ErrorKind::HeaderMissing`];
    /// [`ErrorKind::TooMany`] recipients; the kind that names the fault of what is malformed.
    #[inline(never)]
    pub fn read(info: Span<'a>) -> Result<Self, Error> {
        if info.bytes.len() > MAX_ENCRYPTION_INFO_LEN {
            return Err(Error::new(ErrorKind::TooLong, info.base));
        }
        let reader = &mut info.reader();
        expect_structure(reader, TAG_ENCRYPT);
        reader.array_of(4);
        let start = reader.position();
        let mut headers = Headers::NONE;
        let protected = headers.read_protected(reader, Headers::ALGORITHM);
        let is_protected = headers.has(Headers::ALGORITHM);
        headers.read(reader, Headers::ALGORITHM | Headers::IV);
        let iv = headers.iv.bytes;
        let content = match headers.algorithm {
            _ if !headers.has(Headers::ALGORITHM) || !headers.has(Headers::IV) => {
                Err(ErrorKind::HeaderMissing)
            }
            // RFC 9052 section 5.3: what an AEAD is used with is protected. Section "Content Encryption" of the draft,
            // RFC 9459 section 4: nothing is protected for what is no AEAD.
            ALG_A128GCM if !is_protected => Err(ErrorKind::HeaderUnknown),
            ALG_A128CTR if !protected.is_empty() => Err(ErrorKind::HeaderUnknown),
            ALG_A128GCM => iv.try_into().map(Content::Gcm).map_err(|_| ErrorKind::OutOfRange),
            ALG_A128CTR => iv.try_into().map(Content::Ctr).map_err(|_| ErrorKind::OutOfRange),
            _ => Err(ErrorKind::AlgorithmUnsupported),
        };
        if let Err(kind) = content {
            reader.refuse(kind, start);
        }
        expect_detached(reader);
        let recipients = List::read(reader, 1, MAX_RECIPIENTS, |reader| {
            Recipient::read(reader);
        });
        reader.finish()?;
        let content = content.map_err(|kind| Error::new(kind, start))?;
        Ok(Self { content, protected, recipients })
    }

    /// How the content is encrypted.
    #[must_use]
    pub const fn algorithm(&self) -> ContentAlgorithm {
        match self.content {
            Content::Gcm(_) => ContentAlgorithm::A128Gcm,
            Content::Ctr(_) => ContentAlgorithm::A128Ctr,
        }
    }

    /// The kids of the recipients with A128KW; an empty one where there is none.
    pub fn kids(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.recipients.iter(Recipient::read).filter(Recipient::is_key_wrap).map(|recipient| recipient.kid)
    }

    /// The content key, for the recipient with `key`: with A128KW and this kid. A recipient without one is for nobody.
    ///
    /// # Errors
    /// [`ErrorKind::DeviceKeyUnknown`] when no recipient has this kid; [`ErrorKind::KeyUnwrap`] when one has, and its key
    /// does not unwrap.
    #[inline(never)]
    pub fn content_key(&self, kid: &[u8], key: &Key128) -> Result<Key128, Error> {
        let mut refusal = Error::new(ErrorKind::DeviceKeyUnknown, self.recipients.position());
        for recipient in self.recipients.iter(Recipient::read) {
            if !recipient.is_key_wrap() || recipient.kid.is_empty() || recipient.kid != kid {
                continue;
            }
            let Ok(wrapped) = recipient.wrapped.bytes.try_into() else { continue };
            match unwrap(key, wrapped) {
                Ok(content_key) => return Ok(content_key),
                Err(error) => refusal = Error::new(error.kind, recipient.wrapped.base),
            }
        }
        Err(refusal)
    }

    /// What decrypts the content.
    #[must_use]
    #[inline(never)]
    pub fn decryption(&self, content_key: &Key128) -> Decryption {
        match self.content {
            Content::Ctr(iv) => Decryption::Ctr(Ctr::new(content_key, iv)),
            Content::Gcm(iv) => {
                let mut head = [0; 3];
                // Enc_structure, RFC 9052 section 5.3.
                let associated = [
                    b"\x83\x67Encrypt".as_slice(),
                    byte_string_head(self.protected, &mut head),
                    self.protected,
                    b"\x40",
                ];
                Decryption::Gcm(Gcm::new(content_key, iv, &associated))
            }
        }
    }
}

/// The ciphertext is `nil`: it comes by itself. One that is inside is legal, and unsupported.
fn expect_detached(reader: &mut Reader<'_>) {
    let start = reader.position();
    if reader.peek() == crate::cbor::Major::Bytes {
        reader.refuse(ErrorKind::CoseUnsupported, start);
    }
    reader.null();
}

/// A COSE_recipient, RFC 9052 section 5.1.
struct Recipient<'a> {
    algorithm: i32,
    kid: &'a [u8],
    wrapped: Span<'a>,
}

impl<'a> Recipient<'a> {
    /// Each recipient is well-formed; what else is said of A128KW here binds those alone that have it.
    #[inline(never)]
    fn read(reader: &mut Reader<'a>) -> Self {
        let start = reader.position();
        let own = &mut reader.clone();
        reader.skip();
        let len = own.array().remaining();
        if !(3..=4).contains(&len) {
            reader.refuse(ErrorKind::UnexpectedType, start);
        }
        let mut headers = Headers::NONE;
        headers.read_protected(own, Headers::ALGORITHM);
        let is_protected = headers.has(Headers::ALGORITHM);
        headers.read(own, Headers::ALGORITHM | Headers::KID | Headers::OTHERS);
        let at = own.position();
        let wrapped = own.span();
        if headers.algorithm != ALG_A128KW {
            return Self { algorithm: 0, kid: &[], wrapped: Span::EMPTY };
        }
        // RFC 9053 section 6.2.1: the protected header is empty, and the draft asks for `{}` at most. Each content that
        // is known has a key of 128 bits.
        if is_protected {
            own.refuse(ErrorKind::HeaderUnknown, at);
        } else if len != 3 {
            own.refuse(ErrorKind::CoseUnsupported, at);
        } else if wrapped.bytes.len() != WRAPPED_KEY_LEN {
            own.refuse(ErrorKind::UnexpectedType, at);
        }
        if let Err(error) = own.check() {
            reader.refuse(error.kind, error.position);
        }
        Self { algorithm: headers.algorithm, kid: headers.kid, wrapped }
    }

    fn is_key_wrap(&self) -> bool {
        self.algorithm == ALG_A128KW
    }
}

/// Decrypts a content as it comes, and goes on after a cut.
#[derive(Clone, Debug)]
pub enum Decryption {
    /// With a tag behind it.
    Gcm(Gcm),
    /// Without one.
    Ctr(Ctr),
}

impl Decryption {
    /// Bytes behind the ciphertext, which [`Decryption::verify`] takes.
    #[must_use]
    pub const fn tag_len(&self) -> usize {
        match self {
            Self::Gcm(_) => TAG_LEN,
            Self::Ctr(_) => 0,
        }
    }

    /// Decrypts the next bytes. Nothing is authentic before [`Decryption::verify`].
    pub fn decrypt(&mut self, bytes: &mut [u8]) {
        match self {
            Self::Gcm(gcm) => gcm.decrypt(bytes),
            Self::Ctr(ctr) => ctr.apply(bytes),
        }
    }

    /// After a restart: the plaintext so far, in parts; leaves it encrypted ([`Gcm::derive_again`]).
    pub fn derive_again(&mut self, plaintext: &mut [u8]) {
        match self {
            Self::Gcm(gcm) => gcm.derive_again(plaintext),
            Self::Ctr(ctr) => ctr.apply(plaintext),
        }
    }

    /// The end of the content: its tag, of [`Decryption::tag_len`] bytes.
    ///
    /// # Errors
    /// Those of [`Gcm::verify`], in counter mode too; [`ErrorKind::ContentTag`] for another length.
    pub fn verify(self, tag: &[u8]) -> Result<(), Error> {
        let refused = match (self, tag.try_into()) {
            (Self::Gcm(gcm), Ok(tag)) => return gcm.verify(tag),
            (Self::Ctr(ctr), _) if ctr.position() > MAX_STREAM_LEN => ErrorKind::TooLong,
            (Self::Ctr(_), _) if tag.is_empty() => return Ok(()),
            _ => ErrorKind::ContentTag,
        };
        Err(Error::new(refused, 0))
    }
}

#[cfg(test)]
mod tests;
