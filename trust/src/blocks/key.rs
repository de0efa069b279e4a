//! Public keys of signers, on both curves.

use p256::ecdsa::signature::Verifier as _;

use crate::key::{Commitment, KID_LEN, Kid, PublicKey, sha256};

/// The curve of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Curve {
    Ed25519,
    P256,
}

#[derive(Clone, Debug)]
pub(super) enum Point {
    Ed25519(PublicKey),
    P256(Box<p256::ecdsa::VerifyingKey>),
}

/// Whether a kid means a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Named {
    Yes,
    /// A kid is what its author likes (RFC 9052 section 3.1), and the key has no name of its own.
    Perhaps,
    No,
}

/// A public key of Ed25519 or P-256, a point of its curve other than the neutral one.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    point: Point,
    /// Of the members that such a key has to have.
    cose_key: Vec<u8>,
    thumbprint: [u8; 32],
    /// `kid` of a COSE_Key (RFC 9052 section 7.1).
    name: Option<Vec<u8>>,
    /// `alg` of a COSE_Key: the only algorithm that it is for.
    algorithm: Option<i64>,
}

impl From<PublicKey> for VerifyingKey {
    fn from(key: PublicKey) -> Self {
        Self::of(Point::Ed25519(key), key.to_cose_key().to_vec())
    }
}

impl VerifyingKey {
    /// A point of P-256 in the form of SEC 1 section 2.3.3, compressed or not. `None`: it is no point of the curve, or the neutral
    /// one (RFC 9053 section 7.1.1 leaves that to be checked).
    pub(super) fn of_p256(point: &[u8]) -> Option<Self> {
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
        let whole = key.to_sec1_point(false);
        let (x, y) = whole.as_bytes().get(1..)?.split_at_checked(32)?;
        // {1: 2, -1: 1, -2: x, -3: y}: what RFC 9679 section 4.2 hashes of an EC2 key.
        let cose_key = [b"\xa4\x01\x02\x20\x01\x21\x58\x20".as_slice(), x, b"\x22\x58\x20", y].concat();
        Some(Self::of(Point::P256(Box::new(key)), cose_key))
    }

    fn of(point: Point, cose_key: Vec<u8>) -> Self {
        Self { point, thumbprint: sha256(&cose_key), cose_key, name: None, algorithm: None }
    }

    /// With what a COSE_Key says of it.
    pub(super) fn with(self, name: Option<Vec<u8>>, algorithm: Option<i64>) -> Self {
        Self { name, algorithm, ..self }
    }

    /// The COSE_Key of the members that it has to have, in deterministic form.
    #[must_use]
    pub fn cose_key(&self) -> &[u8] {
        &self.cose_key
    }

    /// Its point: of Ed25519 the bytes of RFC 8032 section 5.1.2, of P-256 those of SEC 1 section 2.3.3, not compressed.
    #[must_use]
    pub fn point(&self) -> Vec<u8> {
        match &self.point {
            Point::Ed25519(key) => key.as_bytes().to_vec(),
            Point::P256(key) => key.to_sec1_point(false).as_bytes().to_vec(),
        }
    }

    /// SHA-256 of that COSE_Key (RFC 9679).
    #[must_use]
    pub const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// The first bytes of the thumbprint.
    #[must_use]
    pub fn kid(&self) -> Kid {
        Kid(self.thumbprint.first_chunk::<KID_LEN>().copied().unwrap_or_default())
    }

    /// Name of its curve.
    #[must_use]
    pub const fn curve_name(&self) -> &'static str {
        match self.point {
            Point::Ed25519(_) => "Ed25519",
            Point::P256(_) => "P-256",
        }
    }

    pub(super) const fn curve(&self) -> Curve {
        match self.point {
            Point::Ed25519(_) => Curve::Ed25519,
            Point::P256(_) => Curve::P256,
        }
    }

    /// RFC 9052 section 7.1: a key with an algorithm is for that one alone.
    pub(super) fn permits(&self, algorithm: i64) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm)
    }

    pub(super) fn named_by(&self, kid: Option<&[u8]>) -> Named {
        match (kid, &self.name) {
            // Nothing else says whose it is.
            (None, _) => Named::Yes,
            (Some(kid), _) if kid == self.thumbprint || kid == self.kid().0 => Named::Yes,
            (Some(kid), Some(name)) if kid == name => Named::Yes,
            (Some(_), Some(_)) => Named::No,
            (Some(_), None) => Named::Perhaps,
        }
    }

    /// Ed25519 as strictly as a device does; ECDSA with SHA-256 (RFC 9053 section 2.1): r and s are 1 to n - 1. Both s and n - s
    /// verify, as FIPS 186-5 section 6.4.2 has it: COSE asks for no lower one, and no digest is over a block.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        match &self.point {
            Point::Ed25519(key) => {
                key.verify(&[message], signature, 0, &mut Commitment::VACANT.clone()).is_ok()
            }
            Point::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }
}
