//! Contents that are encrypted, with the libraries of hosts.

use aes_gcm::Aes128Gcm;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use chacha20poly1305::ChaCha20Poly1305;
use coset::iana;
use zeroize::Zeroizing;

use super::HostEncryption;
use crate::aes::{BLOCK_LEN, Key128};
use crate::encryption::ContentAlgorithm;
use crate::error::{Error, ErrorKind};
use crate::gcm::{GCM_IV_LEN, MAX_STREAM_LEN, TAG_LEN};

/// How a content is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostAlgorithm {
    /// [`ContentAlgorithm::A128Gcm`]
    A128Gcm,
    /// [`ContentAlgorithm::A128Ctr`]
    A128Ctr,
    /// ChaCha20 with Poly1305 (RFC 8439), with a key of 256 bits, and a tag of 16 bytes behind the ciphertext. No device of
    /// ours runs it.
    ChaCha20Poly1305,
}

impl From<ContentAlgorithm> for HostAlgorithm {
    fn from(algorithm: ContentAlgorithm) -> Self {
        match algorithm {
            ContentAlgorithm::A128Gcm => Self::A128Gcm,
            ContentAlgorithm::A128Ctr => Self::A128Ctr,
        }
    }
}

impl HostAlgorithm {
    /// As the registry of COSE has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A128Ctr => "A128CTR",
            Self::ChaCha20Poly1305 => "ChaCha20/Poly1305",
        }
    }

    /// Bytes of the content key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::A128Gcm | Self::A128Ctr => 16,
            Self::ChaCha20Poly1305 => 32,
        }
    }

    /// Bytes of the IV.
    #[must_use]
    pub const fn iv_len(self) -> usize {
        match self {
            Self::A128Gcm | Self::ChaCha20Poly1305 => GCM_IV_LEN,
            Self::A128Ctr => BLOCK_LEN,
        }
    }

    /// Bytes behind a ciphertext, which is as long as its plaintext.
    #[must_use]
    pub const fn tag_len(self) -> usize {
        match self {
            Self::A128Gcm | Self::ChaCha20Poly1305 => TAG_LEN,
            Self::A128Ctr => 0,
        }
    }

    /// What devices run of it.
    #[must_use]
    pub const fn on_devices(self) -> Option<ContentAlgorithm> {
        match self {
            Self::A128Gcm => Some(ContentAlgorithm::A128Gcm),
            Self::A128Ctr => Some(ContentAlgorithm::A128Ctr),
            Self::ChaCha20Poly1305 => None,
        }
    }
}

/// A content key, wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct ContentKey(pub(super) Zeroizing<Vec<u8>>);

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentKey(..)")
    }
}

impl ContentKey {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As the algorithms of devices have it.
    pub(super) fn of_128_bits(&self) -> Option<Key128> {
        self.as_bytes().try_into().ok().map(Key128::new)
    }
}

/// ChaCha20/Poly1305 of a content: its ciphertext with its tag.
pub(super) fn encrypt_chacha(
    key: &ContentKey,
    iv: &[u8],
    associated: &[u8],
    plaintext: &[u8],
) -> Option<Vec<u8>> {
    let mut ciphertext = vec![0; plaintext.len().checked_add(TAG_LEN)?];
    let (content, behind) = ciphertext.split_at_mut_checked(plaintext.len())?;
    let both = InOutBuf::new(plaintext, content).ok()?;
    let cipher = ChaCha20Poly1305::new_from_slice(key.as_bytes()).ok()?;
    let tag = cipher.encrypt_inout_detached(iv.try_into().ok()?, associated, both).ok()?;
    behind.copy_from_slice(&tag);
    Some(ciphertext)
}

impl HostEncryption<'_> {
    /// Decrypts a ciphertext, with its tag if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::ContentTag`] for a tag that does not hold, and a key or ciphertext of another length;
    /// [`ErrorKind::TooLong`]. In counter mode, nothing says that it is the content: the digest of the plaintext does.
    pub fn open(&self, key: &ContentKey, ciphertext: &[u8]) -> Result<Vec<u8>, Error> {
        if u32::try_from(ciphertext.len()).map_or(true, |len| len > MAX_STREAM_LEN) {
            return Err(Error::new(ErrorKind::TooLong, 0));
        }
        let len = ciphertext.len().checked_sub(self.algorithm.tag_len());
        let opened = len.and_then(|len| {
            let (content, tag) = ciphertext.split_at_checked(len)?;
            match self.algorithm {
                HostAlgorithm::A128Gcm => self.open_with::<Aes128Gcm>(key, content, tag),
                HostAlgorithm::ChaCha20Poly1305 => self.open_with::<ChaCha20Poly1305>(key, content, tag),
                HostAlgorithm::A128Ctr => {
                    let iv = self.iv.try_into().ok()?;
                    crate::encryption::fast::encrypt(
                        ContentAlgorithm::A128Ctr,
                        &key.of_128_bits()?,
                        iv,
                        &[],
                        content,
                    )
                }
            }
        });
        opened.ok_or(Error::new(ErrorKind::ContentTag, 0))
    }

    fn open_with<A: AeadInOut + KeyInit>(
        &self,
        key: &ContentKey,
        content: &[u8],
        tag: &[u8],
    ) -> Option<Vec<u8>> {
        let mut plaintext = vec![0; content.len()];
        let both = InOutBuf::new(content, &mut plaintext).ok()?;
        let associated = super::super::structure("Encrypt", &[self.protected, &[]]);
        let (iv, tag) = (self.iv.try_into().ok()?, tag.try_into().ok()?);
        A::new_from_slice(key.as_bytes()).ok()?.decrypt_inout_detached(iv, &associated, both, tag).ok()?;
        Some(plaintext)
    }
}

/// `alg` of a content, as coset has it; A128CTR has no name there.
pub(super) const fn registered(algorithm: HostAlgorithm) -> Option<iana::Algorithm> {
    match algorithm {
        HostAlgorithm::A128Gcm => Some(iana::Algorithm::A128GCM),
        HostAlgorithm::ChaCha20Poly1305 => Some(iana::Algorithm::ChaCha20Poly1305),
        HostAlgorithm::A128Ctr => None,
    }
}
