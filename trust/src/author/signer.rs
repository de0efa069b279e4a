//! Holders of private keys: a trait, so that a hardware token can replace a file, and a key in memory.

use ed25519_dalek::{Signer as _, SigningKey};

use crate::{Error, PublicKey};

/// Something that signs with Ed25519.
pub trait Signer {
    /// The public half.
    fn public_key(&self) -> PublicKey;
    /// Ed25519 (RFC 8032, pure) over `message`.
    ///
    /// # Errors
    /// When the holder of the key fails or refuses.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;
}

/// Why the signer returned no signature.
#[derive(Debug)]
pub struct SignError {
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl SignError {
    /// The key store failed, or refused, for this reason.
    pub fn new(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { source: Box::new(source) }
    }

    pub(super) fn entropy(source: getrandom::Error) -> Self {
        Self::new(source)
    }
}

impl std::fmt::Display for SignError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.source)
    }
}

impl std::error::Error for SignError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.source.as_ref())
    }
}

/// A private key in this process's memory, wiped when it is dropped.
pub struct SoftwareKey {
    key: SigningKey,
    public: PublicKey,
}

impl SoftwareKey {
    /// A new key from the operating system's randomness.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn generate() -> Result<Self, SignError> {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(SignError::entropy)?;
        Self::from_seed(&seed).map_err(SignError::new)
    }

    /// The key of this RFC 8032 seed.
    ///
    /// # Errors
    /// [`ErrorKind::KeyInvalid`](crate::ErrorKind::KeyInvalid) when its public key is of small order.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, Error> {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey::from_bytes(key.verifying_key().as_bytes())?;
        Ok(Self { key, public })
    }
}

impl Signer for SoftwareKey {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.key.sign(message).to_bytes())
    }
}

impl std::fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The private half is never written anywhere.
        f.debug_struct("SoftwareKey").field("public", &self.public).finish_non_exhaustive()
    }
}
