//! Keys to agree with, of those who read an image without being a device of ours: public ones, and the private one of a reader.

use std::path::{Path, PathBuf};

use trust::blocks::encryption::{AgreementKey, AgreementKeyError, AgreementSecret};
use trust::host::MAX_KEY_FILE_LEN;

use crate::error::Error;
use crate::files::{must_be_private, read, read_secret};

/// A public key, and where it came from.
pub(crate) struct PublicKeyFile {
    pub(crate) path: PathBuf,
    pub(crate) key: AgreementKey,
}

/// Reads public keys, no two of which are the same.
pub(crate) fn open_public_keys(paths: &[PathBuf]) -> Result<Vec<PublicKeyFile>, Error> {
    let mut keys: Vec<PublicKeyFile> = Vec::new();
    for path in paths {
        let key = AgreementKey::parse(&read(path, MAX_KEY_FILE_LEN)?)
            .map_err(|source| Error::AgreementKey { path: path.clone(), source })?;
        if let Some(same) = keys.iter().find(|other| other.key.thumbprint() == key.thumbprint()) {
            let message = format!("{} and {} are the same key", same.path.display(), path.display());
            return Err(Error::usage(message));
        }
        keys.push(PublicKeyFile { path: path.clone(), key });
    }
    Ok(keys)
}

/// Reads a private key that its owner alone can read. A public key may be read by all: that it is one comes first.
pub(crate) fn open_private_key(path: &Path) -> Result<AgreementSecret, Error> {
    let secret = AgreementSecret::parse(&read_secret(path, MAX_KEY_FILE_LEN)?);
    if !matches!(secret, Err(AgreementKeyError::Public)) {
        must_be_private(path)?;
    }
    secret.map_err(|source| Error::AgreementKey { path: path.to_owned(), source })
}
