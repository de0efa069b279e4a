//! Files with a public key, anchors among them: a COSE_Key, or a SubjectPublicKeyInfo in PEM (docs/records.md,
//! Public key and anchor).

use std::path::Path;

use pkcs8::der::Decode as _;
use pkcs8::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::pem::{Pem, PemError};
use super::private_key::is_private_key;
use super::read::{ReadError, read};
use crate::{Anchor, Error, PublicKey, TrustStoreBuf};

/// Longest key file that is read, bytes.
pub const MAX_KEY_FILE_LEN: u64 = 16 * 1024;
/// id-Ed25519 (RFC 8410 section 3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Every PEM has it; a COSE_Key does not.
const PEM_MARK: &[u8] = b"-----BEGIN ";
/// The map of three members with which a COSE_Key of ours begins.
const COSE_KEY_START: u8 = 0xa3;
/// Why a file is not a public key.
#[derive(Debug)]
pub enum KeyFileError {
    /// The file could not be read.
    Read(ReadError),
    /// No byte in it.
    Empty,
    /// It is, or contains, a private key.
    PrivateKey,
    /// PEM that cannot be read.
    Pem(PemError),
    /// PEM of something else than a public key: its label.
    Label(String),
    /// Neither PEM nor a COSE_Key.
    Unknown,
    /// The key in the PEM is not an Ed25519 key.
    Algorithm,
    /// The key in the PEM is not encoded as RFC 8410 says.
    Spki,
    /// A COSE_Key, or a point, that is refused.
    Key(Error),
}

impl KeyFileError {
    /// An imperative sentence for the reader.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Read(_) => "Check the path and its permissions.",
            Self::PrivateKey => {
                "Give the public half (`manifest-tool key public KEY --out FILE`), and keep the private key off \
                 this machine unless it signs here."
            }
            Self::Pem(PemError::Several) => "Leave one PUBLIC KEY block in the file.",
            Self::Pem(PemError::Utf16) => "Save the file as ASCII or UTF-8.",
            Self::Algorithm => "Use an Ed25519 key; `manifest-tool key generate` makes one.",
            Self::Empty | Self::Pem(_) | Self::Label(_) | Self::Unknown | Self::Spki | Self::Key(_) => {
                "Give an Ed25519 public key as COSE_Key or PEM; `manifest-tool key public KEY --out FILE` writes it."
            }
        }
    }
}

impl std::error::Error for KeyFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            Self::Key(error) => Some(error),
            Self::Empty
            | Self::PrivateKey
            | Self::Pem(_)
            | Self::Label(_)
            | Self::Unknown
            | Self::Algorithm
            | Self::Spki => None,
        }
    }
}

impl std::fmt::Display for KeyFileError {
    /// One sentence about "it", without a full stop.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read(error) => return error.fmt(f),
            Self::Label(label) => {
                return write!(f, "it is a PEM file of {:?}", super::printable_cut(label, 40));
            }
            Self::Key(error) => error.kind.message(),
            Self::Pem(error) => error.message(),
            Self::Empty => "it is empty",
            Self::PrivateKey => "it contains a private key",
            Self::Unknown => "it is neither a COSE_Key nor PEM",
            Self::Algorithm => "its key is not an Ed25519 key",
            Self::Spki => "its key is not encoded as RFC 8410 specifies",
        })
    }
}

/// Reads a public key from a file, of either form.
///
/// # Errors
/// [`KeyFileError`]
pub fn open_public_key(path: &Path) -> Result<PublicKey, KeyFileError> {
    parse_public_key(&read(path, MAX_KEY_FILE_LEN).map_err(KeyFileError::Read)?)
}

/// Reads anchors from files: the key in each is the root of a domain of its own. A key that is in several of them
/// counts once.
///
/// # Errors
/// The file that cannot be used, and why.
pub fn open_anchors<'p>(
    paths: impl IntoIterator<Item = &'p Path>,
) -> Result<TrustStoreBuf, (&'p Path, KeyFileError)> {
    let open = |path| open_public_key(path).map(Anchor::root).map_err(|error| (path, error));
    Ok(TrustStoreBuf::new(paths.into_iter().map(open).collect::<Result<Vec<_>, _>>()?))
}

/// Reads the content of a public key file, of either form. PEM may have a byte order mark, CRLF, blank lines, and
/// text around its only block; a COSE_Key is these 40 bytes and nothing else.
///
/// # Errors
/// [`KeyFileError`], but for [`KeyFileError::Read`]
pub fn parse_public_key(file: &[u8]) -> Result<PublicKey, KeyFileError> {
    match file {
        [] => Err(KeyFileError::Empty),
        _ if is_private_key(file) => Err(KeyFileError::PrivateKey),
        [COSE_KEY_START, ..] => PublicKey::from_cose_key(file).map_err(KeyFileError::Key),
        _ => match Pem::find(file) {
            Ok(pem) => of_pem(&pem),
            // Not text at all: PEM was never meant.
            Err(PemError::NotText | PemError::Absent) if !contains(file, PEM_MARK) => {
                Err(KeyFileError::Unknown)
            }
            Err(error) => Err(KeyFileError::Pem(error)),
        },
    }
}

fn of_pem(pem: &Pem<'_>) -> Result<PublicKey, KeyFileError> {
    if pem.label() != "PUBLIC KEY" {
        return Err(KeyFileError::Label(pem.label().to_owned()));
    }
    let mut der = Vec::new();
    pem.decode(&mut der).map_err(KeyFileError::Pem)?;
    let info = SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| KeyFileError::Spki)?;
    if info.algorithm.oid != ED25519 {
        return Err(KeyFileError::Algorithm);
    }
    let key = info.subject_public_key.as_bytes().and_then(|bytes| bytes.try_into().ok());
    match key {
        Some(key) if info.algorithm.parameters.is_none() => {
            PublicKey::from_bytes(key).map_err(KeyFileError::Key)
        }
        _ => Err(KeyFileError::Spki),
    }
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

#[cfg(test)]
mod tests;
