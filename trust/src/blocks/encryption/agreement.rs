//! ECDH-ES + A128KW (RFC 9053 section 6.4): keys of P-256 and X25519, and the key that both sides derive of what they agree on.

use curve25519_dalek::montgomery::MontgomeryPoint;
use hkdf::Hkdf;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::super::headers::Headers;
use super::super::key::Named;
use super::super::structure_item;
use crate::aes::Key128;
use crate::cbor::{Major, Span};
use crate::error::{Error, ErrorKind};
use crate::key::{KID_LEN, Kid, sha256};

/// "ephemeral key" and "salt" of a recipient (RFC 9053 sections 6.3.1 and 5.1).
const HEADER_EPHEMERAL_KEY: i32 = -1;
const HEADER_SALT: i32 = -20;
/// Identity, nonce and other of both parties (RFC 9053 section 5.2), which section "Context Information Structure" of the draft
/// leaves empty.
const HEADERS_OF_PARTIES: std::ops::RangeInclusive<i32> = -26..=-21;
/// kty, crv, x, y and d of a COSE_Key (RFC 9053 section 7).
const KTY: i32 = 1;
const CRV: i32 = -1;
const X: i32 = -2;
const Y: i32 = -3;
const D: i32 = -4;
/// EC2 with P-256, OKP with X25519 (RFC 9053 sections 7.1 and 7.2).
pub(super) const EC2_P256: (i64, i64) = (2, 1);
pub(super) const OKP_X25519: (i64, i64) = (1, 4);
/// Bytes of a coordinate, of a private key, and of what is agreed on.
pub(super) const COORDINATE_LEN: usize = 32;
/// SuppPubInfo.other: the protocol (section "Context Information Structure" of the draft).
const PROTOCOL: &[u8] = b"SUIT Payload Encryption";

/// A point of either curve.
#[derive(Clone, Debug)]
pub(super) enum Point {
    P256(Box<p256::PublicKey>),
    X25519([u8; COORDINATE_LEN]),
}

impl Point {
    /// A point of P-256 in the form of SEC 1 section 2.3.3. `None`: it is none, or the neutral one.
    pub(super) fn of_p256(point: &[u8]) -> Option<Self> {
        p256::PublicKey::from_sec1_bytes(point).ok().map(|point| Self::P256(Box::new(point)))
    }

    /// A u-coordinate of X25519. `None`: its point is of small order, so that nothing is agreed on (RFC 7748 section 6.1).
    pub(super) fn of_x25519(point: &[u8; COORDINATE_LEN]) -> Option<Self> {
        // Each clamped number is a multiple of the cofactor, and makes 0 of those points alone.
        let product = MontgomeryPoint(*point).mul_clamped([1; COORDINATE_LEN]);
        (product.as_bytes() != &[0; COORDINATE_LEN]).then_some(Self::X25519(*point))
    }

    /// The COSE_Key of the members that it has to have, in deterministic form.
    pub(super) fn cose_key(&self) -> Vec<u8> {
        match self {
            // {1: 2, -1: 1, -2: x, -3: y}
            Self::P256(point) => {
                let point = point.to_sec1_point(false);
                let (x, y) = point.as_bytes().get(1..).unwrap_or_default().split_at(COORDINATE_LEN);
                [b"\xa4\x01\x02\x20\x01\x21\x58\x20".as_slice(), x, b"\x22\x58\x20", y].concat()
            }
            // {1: 1, -1: 4, -2: x}
            Self::X25519(point) => [b"\xa3\x01\x01\x20\x04\x21\x58\x20".as_slice(), point].concat(),
        }
    }
}

/// A public key to agree with: of P-256, a point of its curve other than the neutral one, or of X25519.
#[derive(Clone, Debug)]
pub struct AgreementKey {
    point: Point,
    thumbprint: [u8; 32],
    /// `kid` of a COSE_Key (RFC 9052 section 7.1).
    name: Option<Vec<u8>>,
}

impl AgreementKey {
    pub(super) fn of(point: Point, name: Option<Vec<u8>>) -> Self {
        Self { thumbprint: sha256(&point.cose_key()), point, name }
    }

    pub(super) const fn point(&self) -> &Point {
        &self.point
    }

    /// SHA-256 of its COSE_Key (RFC 9679).
    #[must_use]
    pub const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// As a recipient names it: the `kid` of its COSE_Key, or the first bytes of its thumbprint.
    #[must_use]
    pub fn kid(&self) -> Vec<u8> {
        self.name.clone().unwrap_or_else(|| self.short().0.to_vec())
    }

    fn short(&self) -> Kid {
        Kid(self.thumbprint.first_chunk::<KID_LEN>().copied().unwrap_or_default())
    }

    /// Name of its curve.
    #[must_use]
    pub const fn curve_name(&self) -> &'static str {
        match self.point {
            Point::P256(_) => "P-256",
            Point::X25519(_) => "X25519",
        }
    }

    pub(super) fn named_by(&self, kid: Option<&[u8]>) -> Named {
        match (kid, &self.name) {
            (None, _) => Named::Yes,
            (Some(kid), _) if kid == self.thumbprint || kid == self.short().0 => Named::Yes,
            (Some(kid), Some(name)) if kid == name => Named::Yes,
            (Some(_), Some(_)) => Named::No,
            (Some(_), None) => Named::Perhaps,
        }
    }
}

enum Scalar {
    P256(Box<p256::SecretKey>),
    X25519(Zeroizing<[u8; COORDINATE_LEN]>),
}

/// A private key to agree with, wiped when it is dropped.
pub struct AgreementSecret {
    scalar: Scalar,
    public: AgreementKey,
}

impl std::fmt::Debug for AgreementSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AgreementSecret({}, ..)", self.public.curve_name())
    }
}

impl AgreementSecret {
    /// `None`: the number is 0, or not below the order of the curve.
    pub(super) fn of_p256(bytes: &[u8; COORDINATE_LEN], name: Option<Vec<u8>>) -> Option<Self> {
        let key = p256::SecretKey::from_slice(bytes).ok()?;
        let public = AgreementKey::of(Point::P256(Box::new(key.public_key())), name);
        Some(Self { scalar: Scalar::P256(Box::new(key)), public })
    }

    pub(super) fn of_x25519(bytes: Zeroizing<[u8; COORDINATE_LEN]>, name: Option<Vec<u8>>) -> Self {
        let point = MontgomeryPoint::mul_base_clamped(*bytes).to_bytes();
        Self { scalar: Scalar::X25519(bytes), public: AgreementKey::of(Point::X25519(point), name) }
    }

    /// A fresh one on the curve of a key: ephemeral. `None`: the system has no random numbers.
    pub(super) fn fresh_for(key: &AgreementKey) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; COORDINATE_LEN]);
        loop {
            getrandom::fill(bytes.as_mut()).ok()?;
            match key.point() {
                Point::X25519(_) => return Some(Self::of_x25519(bytes, None)),
                Point::P256(_) => {
                    // All but one of 2^32 numbers are below the order.
                    if let Some(secret) = Self::of_p256(&bytes, None) {
                        return Some(secret);
                    }
                }
            }
        }
    }

    /// Its public half.
    #[must_use]
    pub const fn public(&self) -> &AgreementKey {
        &self.public
    }

    /// What both sides get: the x-coordinate of the product (RFC 9053 section 6.3.1). `None` for a point of another curve, and for
    /// one of small order, which makes 0 of every key (RFC 7748 section 6.1).
    pub(super) fn agree(&self, point: &Point) -> Option<Zeroizing<[u8; COORDINATE_LEN]>> {
        let mut shared = Zeroizing::new([0; COORDINATE_LEN]);
        match (&self.scalar, point) {
            (Scalar::P256(key), Point::P256(point)) => {
                let product = key.diffie_hellman(point);
                shared.copy_from_slice(product.raw_secret_bytes());
            }
            (Scalar::X25519(key), Point::X25519(point)) => {
                let mut product = MontgomeryPoint(*point).mul_clamped(**key);
                shared.copy_from_slice(product.as_bytes());
                product.zeroize();
            }
            (Scalar::P256(_), Point::X25519(_)) | (Scalar::X25519(_), Point::P256(_)) => return None,
        }
        (!bool::from(shared.ct_eq(&[0; COORDINATE_LEN]))).then_some(shared)
    }
}

/// What a recipient says of the agreement.
#[derive(Clone, Debug)]
pub(super) struct Agreement<'a> {
    pub(super) ephemeral: Point,
    /// Where the ephemeral key begins.
    pub(super) position: u32,
    pub(super) protected: &'a [u8],
    pub(super) salt: &'a [u8],
}

impl<'a> Agreement<'a> {
    pub(super) fn of(headers: &Headers<'a>, at: u32) -> Result<Self, Error> {
        if HEADERS_OF_PARTIES.into_iter().any(|label| headers.other(label).is_some()) {
            return Err(Error::new(ErrorKind::HeaderUnknown, at));
        }
        let salt = match headers.other(HEADER_SALT) {
            Some(salt) => {
                let reader = &mut salt.reader();
                let bytes = reader.bytes();
                reader.finish()?;
                bytes
            }
            None => &[],
        };
        let ephemeral =
            headers.other(HEADER_EPHEMERAL_KEY).ok_or(Error::new(ErrorKind::HeaderMissing, at))?;
        let (position, protected) = (ephemeral.base, headers.protected);
        Ok(Self { ephemeral: point_of(ephemeral)?, position, protected, salt })
    }
}

/// A COSE_Key in a header: a public one, of either curve.
fn point_of(key: Span<'_>) -> Result<Point, Error> {
    let refused = |kind| Error::new(kind, key.base);
    let reader = &mut key.reader();
    let (mut kty, mut crv, mut x, mut y) = (None, None, None, None);
    let mut entries = reader.map();
    while let Some(label) = entries.next_label(reader) {
        match label {
            KTY => kty = Some(reader.int()),
            CRV => crv = Some(reader.int()),
            X => x = Some(reader.bytes()),
            // RFC 9053 section 7.1.1: y, or its sign.
            Y if reader.peek() == Major::Bytes => y = Some([reader.bytes()].concat()),
            Y => y = Some(vec![2 | u8::from(reader.bool())]),
            // The private half of a key that is used once.
            D => return Err(refused(ErrorKind::KeyInvalid)),
            _ => reader.skip(),
        }
    }
    reader.finish()?;
    let kind = kty.zip(crv).ok_or(refused(ErrorKind::MissingKey))?;
    let x: &[u8; COORDINATE_LEN] = x.and_then(|x| x.try_into().ok()).ok_or(refused(ErrorKind::KeyInvalid))?;
    let point = match (kind, y) {
        (OKP_X25519, None) => Some(Point::X25519(*x)),
        (EC2_P256, Some(y)) if y.len() == COORDINATE_LEN => {
            Point::of_p256(&[&[4], x.as_slice(), &y].concat())
        }
        (EC2_P256, Some(sign)) if sign.len() == 1 => Point::of_p256(&[&sign, x.as_slice()].concat()),
        _ => None,
    };
    point.ok_or(refused(ErrorKind::KeyInvalid))
}

/// The key that wraps the content key: HKDF-SHA-256 over the context (RFC 9053 sections 5.1, 5.2 and 6.4.1, and "Context Information
/// Structure" of the draft).
pub(super) fn key_encryption_key(shared: &[u8; COORDINATE_LEN], agreement: &Agreement<'_>) -> Key128 {
    // [A128KW, [nil, nil, nil], [nil, nil, nil], [128, protected, other]]
    let mut context = b"\x84\x22\x83\xf6\xf6\xf6\x83\xf6\xf6\xf6\x83\x18\x80".to_vec();
    structure_item(agreement.protected, &mut context);
    structure_item(PROTOCOL, &mut context);
    let mut key = Zeroizing::new([0; 16]);
    // 16 bytes are fewer than HKDF has.
    let _expanded = Hkdf::<sha2::Sha256>::new(Some(agreement.salt), shared).expand(&context, key.as_mut());
    Key128::new(*key)
}
