//! Public key files: COSE_Key (`.cose`, docs/records.md) or SPKI PEM (RFC 8410).

use crate::error::Error;
use crate::files::{MAX_KEY_FILE_LEN, read};
use ed25519_dalek::pkcs8::spki::EncodePublicKey as _;
use ed25519_dalek::pkcs8::{DecodePublicKey as _, PublicKeyBytes};
use pkcs8::LineEnding;
use std::path::Path;
use trust::PublicKey;

/// What every PEM begins with.
const PEM_MARK: &[u8] = b"-----BEGIN ";

/// Reads a public key, of either form. A private key is not taken for one.
pub fn open(path: &Path) -> Result<PublicKey, Error> {
    decode(path, &read(path, MAX_KEY_FILE_LEN)?)
}

/// Reads the content of a public key file.
pub fn decode(path: &Path, bytes: &[u8]) -> Result<PublicKey, Error> {
    let unusable = |reason| Error::PublicKey { path: path.to_owned(), reason };
    if !bytes.trim_ascii_start().starts_with(PEM_MARK) {
        return PublicKey::from_cose_key(bytes).map_err(|error| unusable(error.kind.message()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| unusable("it is not text"))?;
    let key = PublicKeyBytes::from_public_key_pem(text)
        .map_err(|_| unusable("the PEM holds something else than an Ed25519 public key"))?;
    PublicKey::from_bytes(&key.0).map_err(|error| unusable(error.kind.message()))
}

/// The SPKI PEM of a key.
pub fn to_spki_pem(key: &PublicKey) -> Result<String, Error> {
    PublicKeyBytes(*key.as_bytes())
        .to_public_key_pem(LineEnding::LF)
        .map_err(|error| Error::KeyOperation { doing: "encoded", source: Box::new(error) })
}
