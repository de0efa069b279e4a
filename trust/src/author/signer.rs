//! Holders of private keys: a trait, so that a hardware token can replace a file, and a key in memory.

use ed25519_dalek::{Signer as _, SigningKey};

use crate::key::Commitment;
use crate::{Error, PublicKey};

/// Length of a signature, bytes (RFC 8032 section 5.1.6).
pub const SIGNATURE_LEN: usize = 64;
/// Longest message that is signed, bytes. Tokens and key services take no more for pure Ed25519, which needs the whole
/// message at once.
pub const MAX_SIGNED_LEN: usize = 4096;

/// Something that signs with Ed25519.
pub trait Signer {
    /// The public half.
    fn public_key(&self) -> PublicKey;
    /// Ed25519 (RFC 8032, pure) over `message`. Only [`signature`] calls it, which judges the answer.
    ///
    /// # Errors
    /// When the holder of the key fails or refuses.
    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], SignError>;
}

/// Has `message` signed. The key may lie in a token, an agent or another program: what comes back is verified under
/// the public key of the signer before anything is made of it.
///
/// # Errors
/// [`SignError`]
pub fn signature(signer: &dyn Signer, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], SignError> {
    if message.len() > MAX_SIGNED_LEN {
        return Err(SignError::TooLong(message.len()));
    }
    let signature = signer.sign(message)?;
    check_signature(&signer.public_key(), message, &signature)?;
    Ok(signature)
}

/// Verifies a signature that came from outside.
///
/// # Errors
/// [`SignError::Foreign`] when it does not hold.
pub fn check_signature(
    key: &PublicKey,
    message: &[u8],
    signature: &[u8; SIGNATURE_LEN],
) -> Result<(), SignError> {
    key.verify(&[message], signature, 0, &mut { Commitment::VACANT }).map_err(|_| SignError::Foreign)
}

/// Why there is no signature.
#[derive(Debug)]
pub enum SignError {
    /// The message is longer than [`MAX_SIGNED_LEN`]: its length, bytes.
    TooLong(usize),
    /// What the signer returned does not hold under its public key.
    Foreign,
    /// The key store failed, or refused, for this reason.
    Holder(Box<dyn std::error::Error + Send + Sync>),
}

impl SignError {
    /// The key store failed, or refused, for this reason.
    pub fn new(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Holder(Box::new(source))
    }

    pub(super) fn entropy(source: getrandom::Error) -> Self {
        Self::new(source)
    }
}

impl std::fmt::Display for SignError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong(len) => {
                write!(f, "{len} bytes were to be signed; at most {MAX_SIGNED_LEN} bytes are")
            }
            Self::Foreign => f.write_str("the signature that came back is not one of this key"),
            Self::Holder(source) => source.fmt(f),
        }
    }
}

impl std::error::Error for SignError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Holder(source) => Some(source.as_ref()),
            Self::TooLong(_) | Self::Foreign => None,
        }
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

    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], SignError> {
        Ok(self.key.sign(message).to_bytes())
    }
}

impl std::fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The private half is never written anywhere.
        f.debug_struct("SoftwareKey").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_SIGNED_LEN, SIGNATURE_LEN, SignError, Signer, SoftwareKey, signature};
    use crate::PublicKey;

    /// A holder whose public key, or whose answer, is another key's.
    struct Confused {
        public: SoftwareKey,
        private: SoftwareKey,
    }

    impl Signer for Confused {
        fn public_key(&self) -> PublicKey {
            self.public.public_key()
        }

        fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], SignError> {
            self.private.sign(message)
        }
    }

    fn key(seed: u8) -> SoftwareKey {
        SoftwareKey::from_seed(&[seed; 32]).unwrap()
    }

    #[test]
    fn a_signature_of_another_key_is_not_used() {
        let confused = Confused { public: key(1), private: key(2) };
        assert!(matches!(signature(&confused, b"message"), Err(SignError::Foreign)));
        assert!(signature(&key(1), b"message").is_ok());
    }

    #[test]
    fn more_than_a_token_takes_is_not_signed() {
        assert!(signature(&key(1), &[0; MAX_SIGNED_LEN]).is_ok());
        let error = signature(&key(1), &[0; MAX_SIGNED_LEN + 1]).unwrap_err();
        assert!(matches!(error, SignError::TooLong(4097)), "{error}");
    }
}
