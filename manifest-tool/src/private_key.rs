//! Private key files: Ed25519 in PKCS#8 PEM (RFC 8410), encrypted with PBES2 (RFC 8018; scrypt and AES-256-CBC, in
//! the parameters that OpenSSL opens too) unless the maker says otherwise.

use crate::error::Error;
use crate::files::{must_be_absent, read_secret, write_secret};
use crate::passphrase::{PassphraseSource, Purpose};
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::pkcs5::{self, EncryptionScheme};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, SecretDocument};
use std::path::Path;
use trust::author::{Signer as _, SoftwareKey};
use trust::host::MAX_KEY_FILE_LEN;
use zeroize::{Zeroize as _, Zeroizing};

const PLAIN_LABEL: &str = "PRIVATE KEY";
const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// Memory that deriving the key from a passphrase may take, bytes: a key file names its own cost. That of N = 2^18
/// with r = 8, and 1 MiB for the p lanes.
const MAX_SCRYPT_MEMORY: u64 = 257 * 1024 * 1024;
/// Likewise for its time: scrypt's N * r * p.
const MAX_SCRYPT_WORK: u64 = 1 << 26;
/// Rounds of PBKDF2.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// Makes a key, writes it (0600, never over a file) and opens it again. `None`: not encrypted.
pub fn generate(path: &Path, passphrase: Option<&PassphraseSource>) -> Result<SoftwareKey, Error> {
    must_be_absent(path)?;
    let passphrase = passphrase.map(|source| source.passphrase(Purpose::Protect, path)).transpose()?;
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(|error| operation("generated", error))?;
    let pem = encode(&seed, passphrase.as_deref().map(String::as_str))?;
    let key = decode(path, pem.as_bytes(), || {
        passphrase.clone().ok_or(Error::Internal("a plain key asks for a passphrase"))
    })?;
    write_secret(path, pem.as_bytes())?;
    Ok(key)
}

/// Opens a key file; the passphrase is asked for only when the key is encrypted.
pub fn open(path: &Path, passphrase: &PassphraseSource) -> Result<SoftwareKey, Error> {
    let pem = read_secret(path, MAX_KEY_FILE_LEN)?;
    decode(path, &pem, || passphrase.passphrase(Purpose::Open, path))
}

fn encode(seed: &[u8; 32], passphrase: Option<&str>) -> Result<Zeroizing<String>, Error> {
    // Version 1, without the public half: OpenSSL reads no other.
    let mut pair = KeypairBytes { secret_key: *seed, public_key: None };
    let pem = match passphrase {
        Some(passphrase) => pair.to_pkcs8_encrypted_pem(passphrase, LineEnding::LF),
        None => pair.to_pkcs8_pem(LineEnding::LF),
    };
    pair.secret_key.zeroize();
    pem.map_err(|error| operation("encoded", error))
}

fn decode(
    path: &Path,
    pem: &[u8],
    passphrase: impl FnOnce() -> Result<Zeroizing<String>, Error>,
) -> Result<SoftwareKey, Error> {
    let unusable = |reason| Error::PrivateKey { path: path.to_owned(), reason };
    let text = std::str::from_utf8(pem).map_err(|_| unusable("it is not text"))?;
    let (label, document) = SecretDocument::from_pem(text).map_err(|_| unusable("it is not PEM"))?;
    let mut pair = match label {
        PLAIN_LABEL => KeypairBytes::from_pkcs8_der(document.as_bytes()),
        ENCRYPTED_LABEL => {
            let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
                .map_err(|_| unusable("its encryption is not PBES2 of a known kind"))?;
            if !is_affordable(&encrypted.encryption_algorithm) {
                return Err(unusable("its encryption is not PBES2 within the limits of its cost"));
            }
            let plain = encrypted.decrypt(passphrase()?.as_bytes()).map_err(|error| match error {
                pkcs8::Error::EncryptedPrivateKey(
                    pkcs5::Error::UnsupportedAlgorithm { .. }
                    | pkcs5::Error::AlgorithmParametersInvalid { .. },
                ) => unusable("its encryption is not supported"),
                _ => Error::PassphraseWrong(path.to_owned()),
            })?;
            KeypairBytes::from_pkcs8_der(plain.as_bytes())
        }
        _ => return Err(unusable("it is another kind of PEM file")),
    }
    .map_err(|_| unusable("it holds another kind of key"))?;

    let seed = Zeroizing::new(pair.secret_key);
    pair.secret_key.zeroize();
    let key = SoftwareKey::from_seed(&seed).map_err(|_| unusable("the key is unusable"))?;
    match &pair.public_key {
        Some(public) if public.0 != *key.public_key().as_bytes() => {
            Err(unusable("its public half belongs to another key"))
        }
        _ => Ok(key),
    }
}

/// A hostile file must not make us compute for hours, nor take all memory, nor name numbers that scrypt does not
/// know (RFC 7914 section 2): the library computes with them unchecked.
fn is_affordable(scheme: &EncryptionScheme) -> bool {
    let EncryptionScheme::Pbes2(parameters) = scheme else { return false };
    match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= MAX_PBKDF2_ROUNDS,
        Kdf::Scrypt(scrypt) => {
            let (n, r, p) =
                (scrypt.cost_parameter, u64::from(scrypt.block_size), u64::from(scrypt.parallelization));
            let memory = n.saturating_add(p).saturating_mul(r).saturating_mul(128);
            let work = n.saturating_mul(r).saturating_mul(p);
            n >= 2
                && n.is_power_of_two()
                && r > 0
                && p > 0
                && memory <= MAX_SCRYPT_MEMORY
                && work <= MAX_SCRYPT_WORK
        }
        _ => false,
    }
}

fn operation(doing: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::KeyOperation { doing, source: Box::new(source) }
}

#[cfg(test)]
mod tests;
