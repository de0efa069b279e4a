//! Public key files: COSE_Key (`.cose`, docs/records.md), SPKI in PEM or DER (RFC 8410), OpenSSH.

use std::path::Path;

use ed25519_dalek::pkcs8::PublicKeyBytes;
use ed25519_dalek::pkcs8::spki::EncodePublicKey as _;
use pkcs8::LineEnding;
use trust::PublicKey;
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
