//! Files with a public key of either curve: those of [`parse_public_key`], P-256 in a SubjectPublicKeyInfo (RFC 5480), and
//! COSE_Keys as other tools write them (RFC 9052 section 7).

use coset::iana::{self, EnumI64 as _};
use coset::{CborSerializable as _, CoseKey, KeyType, Label, RegisteredLabel, RegisteredLabelWithPrivate};
use pkcs8::der::Decode as _;
use pkcs8::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::VerifyingKey;
use crate::PublicKey;
use crate::host::{KeyFileError, Pem, is_private_key, parse_public_key};

/// id-ecPublicKey and secp256r1, RFC 5480 section 2.1.1.
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// Maps of up to 23 members (RFC 8949 section 3.1): no COSE_Key has more.
const MAPS: std::ops::RangeInclusive<u8> = 0xa1..=0xb7;
const DER_START: u8 = 0x30;
/// Bytes of a coordinate: leading zeros stay (RFC 9053 section 7.1.1).
const COORDINATE_LEN: usize = 32;

/// Why a file holds no public key with which a signature can be verified.
#[derive(Debug)]
pub enum VerifyingKeyError {
    /// What [`parse_public_key`] says of it.
    File(KeyFileError),
    /// A key of another algorithm.
    Algorithm,
    /// A key on another curve.
    Curve,
    /// Its encoding is not that of RFC 5480 or of a COSE_Key.
    Form,
    /// No point of the curve, or one that no key is.
    Point,
    /// `key_ops` do not permit to verify.
    Operations,
}

impl VerifyingKeyError {
    /// An imperative sentence for the reader.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::File(KeyFileError::PrivateKey) => {
                "Give the public half (`openssl pkey -in KEY -pubout`), and keep the private key off this machine."
            }
            Self::File(error) => error.hint(),
            Self::Algorithm | Self::Curve => "Give the key that signed: one of Ed25519 or P-256.",
            Self::Form | Self::Point => "Export the key again: as PEM, or as COSE_Key.",
            Self::Operations => "Give the key that verifies: its key_ops are those of another use.",
        }
    }
}

impl std::error::Error for VerifyingKeyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(error) => Some(error),
            Self::Algorithm | Self::Curve | Self::Form | Self::Point | Self::Operations => None,
        }
    }
}

impl std::fmt::Display for VerifyingKeyError {
    /// One sentence about "it", without a full stop.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File(error) => return error.fmt(f),
            Self::Algorithm => "its key is neither of Ed25519 nor of P-256",
            Self::Curve => "its key is on another curve than P-256",
            Self::Form => "its key is not encoded as RFC 5480 or RFC 9052 specify",
            Self::Point => "its key is no point of the curve",
            Self::Operations => "its key_ops do not permit to verify",
        })
    }
}

impl VerifyingKey {
    /// Reads the content of a public key file.
    ///
    /// # Errors
    /// [`VerifyingKeyError`]
    pub fn parse(file: &[u8]) -> Result<Self, VerifyingKeyError> {
        if is_private_key(file) {
            return Err(VerifyingKeyError::File(KeyFileError::PrivateKey));
        }
        if file.first().is_some_and(|first| MAPS.contains(first)) {
            return of_cose_key(file);
        }
        if let Some(key) = spki(file).and_then(|der| of_elliptic_curve(&der)) {
            return key;
        }
        match parse_public_key(file) {
            Ok(key) => Ok(key.into()),
            Err(KeyFileError::Algorithm) => Err(VerifyingKeyError::Algorithm),
            Err(error) => Err(VerifyingKeyError::File(error)),
        }
    }
}

/// A SubjectPublicKeyInfo, out of DER or PEM.
fn spki(file: &[u8]) -> Option<Vec<u8>> {
    if file.first() == Some(&DER_START) {
        return Some(file.to_vec());
    }
    let pem = Pem::find(file).ok().filter(|pem| pem.label() == "PUBLIC KEY")?;
    let mut der = Vec::new();
    pem.decode(&mut der).ok()?;
    Some(der)
}

/// `None` of a key of another kind.
fn of_elliptic_curve(der: &[u8]) -> Option<Result<VerifyingKey, VerifyingKeyError>> {
    let info = SubjectPublicKeyInfoRef::from_der(der).ok()?;
    if info.algorithm.oid != EC_PUBLIC_KEY {
        return None;
    }
    // RFC 5480 section 2.1.1: a named curve, no other form.
    let curve = info.algorithm.parameters_oid();
    let point = info.subject_public_key.as_bytes();
    Some(match (curve, point) {
        (Ok(SECP256R1), Some(point)) => VerifyingKey::of_p256(point).ok_or(VerifyingKeyError::Point),
        (Ok(SECP256R1), None) => Err(VerifyingKeyError::Form),
        _ => Err(VerifyingKeyError::Curve),
    })
}

fn of_cose_key(file: &[u8]) -> Result<VerifyingKey, VerifyingKeyError> {
    let key = CoseKey::from_slice(file).map_err(|_| VerifyingKeyError::Form)?;
    let parameter = |label: i64| {
        let found = key.params.iter().find(|(known, _)| *known == Label::Int(label));
        found.map(|(_, value)| value)
    };
    let coordinate = |label: i64| {
        let bytes: &[u8] = parameter(label)?.as_bytes()?;
        <&[u8; COORDINATE_LEN]>::try_from(bytes).ok()
    };
    let curve = parameter(iana::Ec2KeyParameter::Crv.to_i64()).and_then(ciborium::Value::as_integer);
    let curve = curve.map(i128::from).ok_or(VerifyingKeyError::Form)?;
    // RFC 9053 section 7: d has the same label for both types.
    if parameter(iana::Ec2KeyParameter::D.to_i64()).is_some() {
        return Err(VerifyingKeyError::File(KeyFileError::PrivateKey));
    }
    // RFC 9052 section 7.1
    let verify = RegisteredLabel::Assigned(iana::KeyOperation::Verify);
    if !key.key_ops.is_empty() && !key.key_ops.contains(&verify) {
        return Err(VerifyingKeyError::Operations);
    }
    let x = coordinate(iana::Ec2KeyParameter::X.to_i64()).ok_or(VerifyingKeyError::Form)?;
    let read = match key.kty {
        KeyType::Assigned(iana::KeyType::OKP)
            if curve == i128::from(iana::EllipticCurve::Ed25519.to_i64()) =>
        {
            PublicKey::from_bytes(x).map(VerifyingKey::from).map_err(|_| VerifyingKeyError::Point)?
        }
        KeyType::Assigned(iana::KeyType::EC2) if curve == i128::from(iana::EllipticCurve::P_256.to_i64()) => {
            let y = iana::Ec2KeyParameter::Y.to_i64();
            // RFC 9053 section 7.1.1: y, or its sign.
            let point = match (parameter(y), coordinate(y)) {
                (_, Some(y)) => [&[4], x.as_slice(), y].concat(),
                (Some(ciborium::Value::Bool(is_odd)), None) => {
                    [&[2 | u8::from(*is_odd)], x.as_slice()].concat()
                }
                _ => return Err(VerifyingKeyError::Form),
            };
            VerifyingKey::of_p256(&point).ok_or(VerifyingKeyError::Point)?
        }
        KeyType::Assigned(iana::KeyType::OKP | iana::KeyType::EC2) => return Err(VerifyingKeyError::Curve),
        _ => return Err(VerifyingKeyError::Algorithm),
    };
    let algorithm = match &key.alg {
        None => None,
        Some(RegisteredLabelWithPrivate::Assigned(algorithm)) => Some(algorithm.to_i64()),
        // No algorithm of ours has such a number or a name.
        Some(RegisteredLabelWithPrivate::PrivateUse(_) | RegisteredLabelWithPrivate::Text(_)) => {
            return Err(VerifyingKeyError::Algorithm);
        }
    };
    let name = (!key.key_id.is_empty()).then_some(key.key_id);
    Ok(read.with(name, algorithm))
}
