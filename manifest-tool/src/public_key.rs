//! Public key files: COSE_Key (`.cose`, docs/records.md), SPKI in PEM or DER (RFC 8410), OpenSSH.

use std::path::Path;

use ed25519_dalek::pkcs8::PublicKeyBytes;
use ed25519_dalek::pkcs8::spki::EncodePublicKey as _;
use pkcs8::{Document, LineEnding};
use trust::PublicKey;
use trust::blocks::VerifyingKey;
use trust::host::{MAX_KEY_FILE_LEN, parse_public_key};

use crate::error::Error;
use crate::files::read;

/// Reads a public key, of either form. A private key is not taken for one.
pub fn open(path: &Path) -> Result<PublicKey, Error> {
    decode(path, &read(path, MAX_KEY_FILE_LEN)?)
}

/// Reads the content of a public key file.
pub fn decode(path: &Path, bytes: &[u8]) -> Result<PublicKey, Error> {
    parse_public_key(bytes).map_err(|error| Error::public_key(path, error))
}

/// SubjectPublicKeyInfo (RFC 5480) of a key on P-256, up to its point.
const SPKI_P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// SubjectPublicKeyInfo of a key of either curve.
pub fn to_spki(key: &VerifyingKey) -> Result<Document, Error> {
    let der = match of_ed25519(key) {
        Some(key) => to_spki_der(&key)?,
        None => [&SPKI_P256[..], &key.point()].concat(),
    };
    Document::try_from(der).map_err(|error| Error::KeyOperation { doing: "encoded", source: Box::new(error) })
}

/// The key, if it is one of Ed25519.
pub fn of_ed25519(key: &VerifyingKey) -> Option<PublicKey> {
    PublicKey::from_bytes(key.point().first_chunk().filter(|point| point.len() == key.point().len())?).ok()
}

pub fn to_spki_der(key: &PublicKey) -> Result<Vec<u8>, Error> {
    PublicKeyBytes(*key.as_bytes())
        .to_public_key_der()
        .map(|document| document.as_bytes().to_vec())
        .map_err(|error| Error::KeyOperation { doing: "encoded", source: Box::new(error) })
}

pub fn to_spki_pem(key: &PublicKey) -> Result<String, Error> {
    PublicKeyBytes(*key.as_bytes())
        .to_public_key_pem(LineEnding::LF)
        .map_err(|error| Error::KeyOperation { doing: "encoded", source: Box::new(error) })
}
