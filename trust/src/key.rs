//! Ed25519 public keys as COSE_Key (RFC 9052 section 7, RFC 9053 section 7.2) and their thumbprints (RFC 9679).

mod scalar;

use curve25519_dalek::EdwardsPoint;
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::CompressedEdwardsY;

use self::scalar::{SCALAR_BITS, Scalar};
use crate::cbor::Reader;
use crate::error::{Error, ErrorKind};
use crate::hash::{Sha256, Sha512};
#[cfg(feature = "memo")]
use crate::memo::{self, Answers};

#[cfg(feature = "memo")]
std::thread_local! {
    static POINTS: Answers<[u8; 32], Option<EdwardsPoint>> = Answers::default();
    static NUMBERS: Answers<[u8; 64], Scalar> = Answers::default();
    /// By S, k and the key.
    static COMMITMENTS: Answers<(Scalar, Scalar, [u8; 32]), [u8; 32]> = Answers::default();
}

/// Bytes of a [`Kid`].
pub const KID_LEN: usize = 8;
/// Bytes of an encoded COSE_Key.
pub const COSE_KEY_LEN: usize = 40;

/// `{1: 1, -1: 6, -2: h'<32 bytes>'}` up to the 32 bytes: kty OKP, crv Ed25519, x.
const COSE_KEY_HEAD: [u8; 8] = [0xa3, 0x01, 0x01, 0x20, 0x06, 0x21, 0x58, 0x20];

/// The first 8 bytes of a key's RFC 9679 COSE_Key thumbprint (SHA-256).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct Kid(pub [u8; KID_LEN]);

/// An Ed25519 public key that decoded canonically and is not of small order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublicKey {
    x: [u8; 32],
}

impl PublicKey {
    /// A placeholder; no function returns it.
    pub(crate) const VACANT: Self = Self { x: [0; 32] };

    /// Reads a COSE_Key of exactly the members kty (OKP), crv (Ed25519) and x, in deterministic form.
    ///
    /// # Errors
    /// [`ErrorKind::KeyInvalid`] for every other COSE_Key, an encoding of the point that is not canonical,
    /// and a point that is not on the curve or of small order; [`ErrorKind::TrailingBytes`]; what
    /// [`Reader::item`] refuses.
    pub fn from_cose_key(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let key = Self::read(&mut reader);
        reader.finish()?;
        Ok(key)
    }

    /// Takes the 32 bytes of RFC 8032 section 5.1.2.
    ///
    /// # Errors
    /// [`ErrorKind::KeyInvalid`] when they are not the canonical encoding of a point, or the point is of
    /// small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        Self::of(bytes).ok_or(Error::new(ErrorKind::KeyInvalid, 0))
    }

    /// Name of the key in headers and revocation lists.
    #[must_use]
    pub fn kid(&self) -> Kid {
        let [a, b, c, d, e, f, g, h, ..] = sha256(&self.to_cose_key());
        Kid([a, b, c, d, e, f, g, h])
    }

    /// The COSE_Key, in deterministic form.
    #[must_use]
    pub fn to_cose_key(&self) -> [u8; COSE_KEY_LEN] {
        let mut out = [0; COSE_KEY_LEN];
        for (to, from) in out.iter_mut().zip(COSE_KEY_HEAD.iter().chain(&self.x)) {
            *to = *from;
        }
        out
    }

    /// The 32 bytes of RFC 8032 section 5.1.2.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.x
    }

    /// Reads a COSE_Key in the middle of something else.
    #[inline(never)]
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let start = reader.position();
        let item = reader.item();
        // One encoding only: the head is compared as bytes.
        let x = item.strip_prefix(&COSE_KEY_HEAD).and_then(|x| x.try_into().ok());
        x.and_then(Self::of).unwrap_or_else(|| {
            reader.refuse(ErrorKind::KeyInvalid, start);
            Self::VACANT
        })
    }

    fn of(x: &[u8; 32]) -> Option<Self> {
        (is_canonical(x) && is_usable_point(x)).then_some(Self { x: *x })
    }

    /// Ed25519 with the rules of ed25519-dalek's `verify_strict` (RFC 8032 section 5.1.7, without the cofactor): S below
    /// L, no small-order R or key, R compared as bytes.
    ///
    /// The message comes in pieces, so that no caller needs a buffer for the whole of it. `position` is the offset of
    /// the signature.
    pub(crate) fn verify<'a>(
        &self,
        message: &[&[u8]],
        signature: &'a [u8; 64],
        position: u32,
        commitment: &mut Commitment<'a>,
    ) -> Result<(), Error> {
        let found = self.commit(message, signature, commitment);
        let is_equal = found.is_some() && commitment.computed == *commitment.received;
        #[cfg(feature = "fault-injection")]
        let is_equal = is_equal || found.is_some() && crate::fault::skips_signatures();
        if is_equal { Ok(()) } else { Err(Error::new(ErrorKind::SignatureInvalid, position)) }
    }

    fn commit<'a>(
        &self,
        message: &[&[u8]],
        signature: &'a [u8; 64],
        place: &mut Commitment<'a>,
    ) -> Option<()> {
        let (r, s) = signature.split_first_chunk::<32>()?;
        let s = Scalar::from_canonical_bytes(s.first_chunk()?)?;
        // The reader of the key refused small order already: the other sign of x makes it the negative of the point.
        let mut negative = self.x;
        if let Some(high) = negative.last_mut() {
            *high ^= 0x80;
        }
        let key = decompress(&negative)?;
        if !is_usable_point(r) {
            return None;
        }
        place.received = r;
        let k = challenge(r, &self.x, message);
        #[cfg(not(feature = "memo"))]
        let computed = commitment(&s, &k, &key);
        #[cfg(feature = "memo")]
        let computed = memo::once(&COMMITMENTS, (s, k, self.x), || commitment(&s, &k, &key));
        place.computed = computed;
        Some(())
    }
}

/// R of a signature, as it was computed and as it was received: a signature holds when the two are equal. For a caller
/// that compares once more.
#[derive(Clone, Copy, Debug)]
pub struct Commitment<'a> {
    /// S times B minus k times A, encoded (RFC 8032 section 5.1.7).
    pub computed: [u8; 32],
    /// The first half of the signature.
    pub received: &'a [u8; 32],
}

impl Commitment<'_> {
    /// Of no signature: it does not hold.
    pub(crate) const VACANT: Self = Self { computed: [0; 32], received: &[0xFF; 32] };
}

/// k of RFC 8032 section 5.1.7: SHA-512(R || A || message), modulo L.
#[inline(never)] // its frame must not add to that of the multiplication
fn challenge(r: &[u8; 32], key: &[u8; 32], message: &[&[u8]]) -> Scalar {
    let mut hash = Sha512::new();
    for part in [&r[..], key].iter().chain(message) {
        hash.update(part);
    }
    let hash = hash.finish();
    #[cfg(feature = "memo")]
    let reduced = memo::once(&NUMBERS, hash, || Scalar::from_wide_bytes(&hash));
    #[cfg(not(feature = "memo"))]
    let reduced = Scalar::from_wide_bytes(&hash);
    reduced
}

/// Bits of a window of a scalar: three, because eight times a point is the one multiple that the library doubles to.
const WINDOW_BITS: u32 = 3;
/// Numbers that a window holds, but for 0.
const MULTIPLES: usize = (1 << WINDOW_BITS) - 1;

/// A point times 1 to 7.
type Multiples = [EdwardsPoint; MULTIPLES];

/// `[S]B + [k]A`, encoded: the R that a signature must have, if `key` is -A. Its time depends on the numbers, and all of
/// them are public (docs/decisions/0023).
#[inline(never)]
#[allow(clippy::arithmetic_side_effects, reason = "of points, which form a group")]
fn commitment(s: &Scalar, k: &Scalar, key: &EdwardsPoint) -> [u8; 32] {
    let mut sum = identity();
    // One array, for the stack: an array of arrays is made beside itself.
    let mut tables = [sum; 2 * MULTIPLES];
    let factors = [(s, &ED25519_BASEPOINT_POINT), (k, key)];
    for (multiples, (_, point)) in tables.as_chunks_mut().0.iter_mut().zip(&factors) {
        fill(multiples, point);
    }
    let mut bit = SCALAR_BITS;
    while let Some(lower) = bit.checked_sub(WINDOW_BITS) {
        bit = lower;
        sum = sum.mul_by_cofactor();
        for (multiples, (scalar, _)) in tables.as_chunks::<MULTIPLES>().0.iter().zip(&factors) {
            // Nothing is added for 0.
            if let Some(multiple) = multiples.get(scalar.window(bit).wrapping_sub(1)) {
                sum += multiple;
            }
        }
    }
    sum.compress().to_bytes()
}

#[inline(never)]
fn identity() -> EdwardsPoint {
    EdwardsPoint::default()
}

/// In place: tables are large.
#[inline(never)]
#[allow(clippy::arithmetic_side_effects, reason = "of points, which form a group")]
fn fill(multiples: &mut Multiples, point: &EdwardsPoint) {
    let mut sum = identity();
    for multiple in multiples {
        sum += point;
        *multiple = sum;
    }
}

/// A point of the curve, not of small order.
#[inline(never)] // its frame must not add to that of the verification
fn is_usable_point(bytes: &[u8; 32]) -> bool {
    decompress(bytes).is_some_and(|point| !point.is_small_order())
}

#[inline(never)]
fn decompress(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    let point = CompressedEdwardsY(*bytes);
    #[cfg(feature = "memo")]
    let point = memo::once(&POINTS, *bytes, || point.decompress());
    #[cfg(not(feature = "memo"))]
    let point = point.decompress();
    point
}

/// SHA-256 of bytes that are all there.
#[inline(never)]
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::of(bytes)
}

/// RFC 8032 section 5.1.3: y must lie below p = 2^255 - 19 (little-endian, the top bit is the sign of x).
///
/// The other non-canonical encodings, x = 0 with the sign bit set, are points of small order.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    *low < 0xed || middle.iter().any(|byte| *byte != 0xff) || (high & 0x7f) != 0x7f
}

#[cfg(test)]
mod tests;
