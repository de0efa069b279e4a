//! Signs blocks: with a key of Ed25519, wherever it is kept, or with one of P-256, for devices of others.

use std::boxed::Box;
use std::vec::Vec;

use coset::iana;
use coset::{CoseSign1Builder, HeaderBuilder};
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::DecodePrivateKey as _;

use super::VerifyingKey;
use crate::author::{AuthorError, Signer, sign1_detached, tagged_sign1};

/// A private key of P-256, which signs with ESP256 (-9, RFC 9864): ECDSA and SHA-256, with the nonce of RFC 6979.
#[derive(Debug)]
pub struct P256Key {
    secret: p256::ecdsa::SigningKey,
    public: VerifyingKey,
}

impl P256Key {
    /// Reads PKCS#8 (RFC 5958) in DER, with an ECPrivateKey (RFC 5915) on secp256r1; its memory is wiped when it is dropped.
    /// `None`: it is another key, or its halves belong to different keys.
    #[must_use]
    pub fn from_pkcs8_der(der: &[u8]) -> Option<Self> {
        Self::of(p256::SecretKey::from_pkcs8_der(der).ok()?)
    }

    /// Reads an ECPrivateKey (SEC 1, RFC 5915) in DER.
    #[must_use]
    pub fn from_sec1_der(der: &[u8]) -> Option<Self> {
        Self::of(p256::SecretKey::from_sec1_der(der).ok()?)
    }

    fn of(secret: p256::SecretKey) -> Option<Self> {
        let secret = p256::ecdsa::SigningKey::from(secret);
        let public = VerifyingKey::of_p256(secret.verifying_key().to_sec1_point(false).as_bytes())?;
        Some(Self { secret, public })
    }

    fn sign1_detached(&self, payload: &[u8]) -> Result<Vec<u8>, AuthorError> {
        let kid = self.public.kid().0.to_vec();
        let protected = HeaderBuilder::new().algorithm(iana::Algorithm::ESP256).key_id(kid).build();
        let sign = |message: &[u8]| {
            let signature: p256::ecdsa::Signature =
                self.secret.try_sign(message).map_err(|_| AuthorError::Encoding)?;
            Ok::<_, AuthorError>(signature.to_bytes().to_vec())
        };
        let sign1 = CoseSign1Builder::new()
            .protected(protected)
            .try_create_detached_signature(payload, &[], sign)?
            .build();
        tagged_sign1(sign1)
    }
}

/// The key that signs a block.
pub enum BlockSigner {
    /// Ed25519.
    Ed25519(Box<dyn Signer>),
    /// P-256.
    P256(Box<P256Key>),
}

impl BlockSigner {
    /// The public half.
    #[must_use]
    pub fn public(&self) -> VerifyingKey {
        match self {
            Self::Ed25519(signer) => signer.public_key().into(),
            Self::P256(key) => key.public.clone(),
        }
    }

    /// Whether devices of ours verify its signatures.
    #[must_use]
    pub const fn is_verified_by_devices(&self) -> bool {
        matches!(self, Self::Ed25519(_))
    }

    /// A COSE_Sign1 over a payload that travels elsewhere, for readers that know the key (RFC 9052 section 4.2).
    ///
    /// # Errors
    /// [`AuthorError::Signer`], [`AuthorError::Encoding`]
    pub fn sign1_detached(&self, payload: &[u8]) -> Result<Vec<u8>, AuthorError> {
        match self {
            Self::Ed25519(signer) => sign1_detached(payload, signer.as_ref()),
            Self::P256(key) => key.sign1_detached(payload),
        }
    }
}
