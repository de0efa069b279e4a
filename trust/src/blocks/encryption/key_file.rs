//! Files with keys to agree with: public ones as SubjectPublicKeyInfo (RFC 5480, RFC 8410) or COSE_Key, private ones as PKCS#8
//! (RFC 5958) or COSE_Key.

use coset::iana::{self, EnumI64 as _};
use coset::{CborSerializable as _, CoseKey, KeyType, Label, RegisteredLabel, RegisteredLabelWithPrivate};
use pkcs8::der::Decode as _;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef, SubjectPublicKeyInfoRef};
use zeroize::{Zeroize as _, Zeroizing};

use super::agreement::{AgreementKey, AgreementSecret, COORDINATE_LEN, EC2_P256, OKP_X25519, Point};
use crate::host::{Pem, is_private_key};

/// id-ecPublicKey and secp256r1 (RFC 5480 section 2.1.1), id-X25519 (RFC 8410 section 3).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ID_X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");
/// Maps of up to 23 members (RFC 8949 section 3.1): no COSE_Key has more.
const MAPS: std::ops::RangeInclusive<u8> = 0xa1..=0xb7;
const DER_START: u8 = 0x30;
/// A private key of RFC 8410 section 7: an OCTET STRING of 32 bytes.
const CURVE_PRIVATE_KEY: &[u8] = &[0x04, 0x20];
/// An ECPrivateKey of RFC 5915 as far as its private key, of 32 bytes: version 1, then that.
const EC_PRIVATE_KEY: &[u8] = &[0x02, 0x01, 0x01, 0x04, 0x20];

/// Why a file holds no key to agree with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AgreementKeyError {
    /// A private key, where a public one is wanted.
    Private,
    /// A public key, where a private one is wanted.
    Public,
    /// A private key under a passphrase.
    Encrypted,
    /// No key at all, or its encoding is none of these.
    Form,
    /// A key of another algorithm, or for another one.
    Algorithm,
    /// A key on another curve.
    Curve,
    /// No point of the curve, or not the one of the private key.
    Point,
    /// `key_ops` do not permit to derive keys.
    Operations,
}

impl AgreementKeyError {
    /// An imperative sentence for the reader.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Private => {
                "Give the public half (`openssl pkey -in KEY -pubout`), and keep the private key off this machine."
            }
            Self::Public => "Give the private key of the one who is to read.",
            Self::Encrypted => {
                "Take the passphrase off for the run (`openssl pkey -in KEY -out PLAIN`), and wipe the copy."
            }
            Self::Algorithm | Self::Curve => {
                "Give a key to agree with: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`, or X25519."
            }
            Self::Form | Self::Point => {
                "Export the key again: as PEM (`openssl pkey -in KEY`, its public half with `-pubout`), or as COSE_Key."
            }
            Self::Operations => "Give the key that derives keys: its key_ops are those of another use.",
        }
    }
}

impl std::error::Error for AgreementKeyError {}

impl std::fmt::Display for AgreementKeyError {
    /// One sentence about "it", without a full stop.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Private => "it is a private key",
            Self::Public => "it is a public key",
            Self::Encrypted => "its key is encrypted",
            Self::Form => "it holds no key as RFC 5480, RFC 8410 or RFC 9052 specify",
            Self::Algorithm => "its key is for another algorithm than ECDH-ES + A128KW",
            Self::Curve => "its key is neither of P-256 nor of X25519",
            Self::Point => "its key is no point of the curve, or not that of its private half",
            Self::Operations => "its key_ops do not permit to derive keys",
        })
    }
}

impl AgreementKey {
    /// Reads the content of a file with a public key.
    ///
    /// # Errors
    /// [`AgreementKeyError`]
    pub fn parse(file: &[u8]) -> Result<Self, AgreementKeyError> {
        if is_private_key(file) {
            return Err(AgreementKeyError::Private);
        }
        if file.first().is_some_and(|first| MAPS.contains(first)) {
            let key = OfCoseKey::read(file)?;
            return Ok(Self::of(key.point()?.ok_or(AgreementKeyError::Form)?, key.name));
        }
        let der = der_of(file, "PUBLIC KEY")?;
        let info = SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| AgreementKeyError::Form)?;
        let point = info.subject_public_key.as_bytes().ok_or(AgreementKeyError::Form)?;
        let point = match info.algorithm.oid {
            EC_PUBLIC_KEY if info.algorithm.parameters_oid() != Ok(SECP256R1) => {
                return Err(AgreementKeyError::Curve);
            }
            EC_PUBLIC_KEY => Point::of_p256(point),
            ID_X25519 => point.try_into().ok().and_then(Point::of_x25519),
            _ => return Err(AgreementKeyError::Algorithm),
        };
        Ok(Self::of(point.ok_or(AgreementKeyError::Point)?, None))
    }
}

impl AgreementSecret {
    /// Reads the content of a file with a private key, which is not encrypted.
    ///
    /// # Errors
    /// [`AgreementKeyError`]
    pub fn parse(file: &[u8]) -> Result<Self, AgreementKeyError> {
        if file.first().is_some_and(|first| MAPS.contains(first)) {
            return OfCoseKey::read(file)?.secret();
        }
        if Pem::find(file).is_ok_and(|pem| pem.label() == "ENCRYPTED PRIVATE KEY") {
            return Err(AgreementKeyError::Encrypted);
        }
        if !is_private_key(file) && AgreementKey::parse(file).is_ok() {
            return Err(AgreementKeyError::Public);
        }
        let der = der_of(file, "PRIVATE KEY")?;
        let info = PrivateKeyInfoRef::try_from(der.as_slice()).map_err(|_| AgreementKeyError::Form)?;
        let key = info.private_key.as_bytes();
        let number = |bytes: &[u8]| bytes.first_chunk::<COORDINATE_LEN>().copied().map(Zeroizing::new);
        match info.algorithm.oid {
            EC_PUBLIC_KEY if info.algorithm.parameters_oid() != Ok(SECP256R1) => {
                Err(AgreementKeyError::Curve)
            }
            EC_PUBLIC_KEY => {
                // SEQUENCE, of less than 128 bytes, which may have the public key behind.
                let [DER_START, _, rest @ ..] = key else { return Err(AgreementKeyError::Form) };
                let bytes = rest.strip_prefix(EC_PRIVATE_KEY).and_then(number);
                let bytes = bytes.ok_or(AgreementKeyError::Form)?;
                Self::of_p256(&bytes, None).ok_or(AgreementKeyError::Point)
            }
            ID_X25519 => {
                let bytes = key.strip_prefix(CURVE_PRIVATE_KEY).filter(|bytes| bytes.len() == COORDINATE_LEN);
                let bytes = bytes.and_then(number).ok_or(AgreementKeyError::Form)?;
                Ok(Self::of_x25519(bytes, None))
            }
            _ => Err(AgreementKeyError::Algorithm),
        }
    }
}

/// DER, as it is or out of PEM with this label.
fn der_of(file: &[u8], label: &str) -> Result<Zeroizing<Vec<u8>>, AgreementKeyError> {
    if file.first() == Some(&DER_START) {
        return Ok(Zeroizing::new(file.to_vec()));
    }
    let pem = Pem::find(file).ok().filter(|pem| pem.label() == label).ok_or(AgreementKeyError::Form)?;
    let mut der = Zeroizing::new(Vec::new());
    pem.decode(&mut der).map_err(|_| AgreementKeyError::Form)?;
    Ok(der)
}

/// What a COSE_Key says (RFC 9052 section 7, RFC 9053 section 7).
struct OfCoseKey {
    kind: (i64, i64),
    x: Option<[u8; COORDINATE_LEN]>,
    /// y, or its sign as SEC 1 has it.
    y: Option<Vec<u8>>,
    d: Option<Zeroizing<[u8; COORDINATE_LEN]>>,
    name: Option<Vec<u8>>,
}

impl OfCoseKey {
    fn read(file: &[u8]) -> Result<Self, AgreementKeyError> {
        let mut key = CoseKey::from_slice(file).map_err(|_| AgreementKeyError::Form)?;
        let value = |label: i64| {
            let found = key.params.iter().find(|(known, _)| *known == Label::Int(label));
            found.map(|(_, value)| value)
        };
        let coordinate = |label: i64| {
            value(label)
                .map(|value| {
                    let bytes = value.as_bytes().and_then(|bytes| bytes.as_slice().try_into().ok());
                    bytes.ok_or(AgreementKeyError::Form)
                })
                .transpose()
        };
        let kty = match key.kty {
            KeyType::Assigned(kty @ (iana::KeyType::OKP | iana::KeyType::EC2)) => kty.to_i64(),
            _ => return Err(AgreementKeyError::Algorithm),
        };
        let crv = value(iana::Ec2KeyParameter::Crv.to_i64()).and_then(ciborium::Value::as_integer);
        let crv = crv.and_then(|crv| i64::try_from(i128::from(crv)).ok()).ok_or(AgreementKeyError::Form)?;
        if ![EC2_P256, OKP_X25519].contains(&(kty, crv)) {
            return Err(AgreementKeyError::Curve);
        }
        // RFC 9052 section 7.1
        let wanted = RegisteredLabelWithPrivate::Assigned(iana::Algorithm::ECDH_ES_A128KW);
        if key.alg.as_ref().is_some_and(|own| *own != wanted) {
            return Err(AgreementKeyError::Algorithm);
        }
        let derives = [iana::KeyOperation::DeriveKey, iana::KeyOperation::DeriveBits];
        let derives = derives.map(RegisteredLabel::Assigned);
        if !key.key_ops.is_empty() && !derives.iter().any(|one| key.key_ops.contains(one)) {
            return Err(AgreementKeyError::Operations);
        }
        let x = coordinate(iana::Ec2KeyParameter::X.to_i64())?;
        let d = coordinate(iana::Ec2KeyParameter::D.to_i64())?.map(Zeroizing::new);
        let label = iana::Ec2KeyParameter::Y.to_i64();
        let y = match value(label) {
            None => None,
            Some(ciborium::Value::Bool(is_odd)) => Some(vec![2 | u8::from(*is_odd)]),
            Some(_) => coordinate(label)?.map(|y: [u8; COORDINATE_LEN]| y.to_vec()),
        };
        let name = (!key.key_id.is_empty()).then(|| key.key_id.clone());
        for (_, value) in &mut key.params {
            if let ciborium::Value::Bytes(bytes) = value {
                bytes.zeroize();
            }
        }
        Ok(Self { kind: (kty, crv), x, y, d, name })
    }

    /// Its point, if it has one.
    fn point(&self) -> Result<Option<Point>, AgreementKeyError> {
        let Some(x) = &self.x else { return Ok(None) };
        let point = match (self.kind, &self.y) {
            (OKP_X25519, None) => Point::of_x25519(x),
            (EC2_P256, Some(y)) if y.len() == COORDINATE_LEN => {
                Point::of_p256(&[&[4], x.as_slice(), y].concat())
            }
            (EC2_P256, Some(sign)) => Point::of_p256(&[sign, x.as_slice()].concat()),
            _ => return Err(AgreementKeyError::Form),
        };
        point.ok_or(AgreementKeyError::Point).map(Some)
    }

    fn secret(self) -> Result<AgreementSecret, AgreementKeyError> {
        let point = self.point()?;
        let d = self.d.ok_or(AgreementKeyError::Public)?;
        let secret = match self.kind {
            OKP_X25519 => Some(AgreementSecret::of_x25519(d, self.name)),
            _ => AgreementSecret::of_p256(&d, self.name),
        };
        let secret = secret.ok_or(AgreementKeyError::Point)?;
        match point {
            Some(point) if point.cose_key() != secret.public().point().cose_key() => {
                Err(AgreementKeyError::Point)
            }
            _ => Ok(secret),
        }
    }
}
