//! Files with a public key, anchors among them: a COSE_Key, a SubjectPublicKeyInfo in PEM or DER, or a public key of
//! OpenSSH (docs/records.md, Public key and anchor).

use std::path::Path;

use base64ct::{Base64, Encoding as _};
use pkcs8::der::Decode as _;
use pkcs8::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::pem::{Pem, PemError};
use super::private_key::is_private_key;
use super::read::{ReadError, contains, read, without_mark};
use crate::{Error, PublicKey};

/// Longest key file that is read, bytes.
pub const MAX_KEY_FILE_LEN: u64 = 16 * 1024;
/// id-Ed25519 (RFC 8410 section 3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Every PEM has it; a COSE_Key does not.
const PEM_MARK: &[u8] = b"-----BEGIN ";
/// The map of three members with which a COSE_Key of ours begins.
const COSE_KEY_START: u8 = 0xa3;
/// A DER SEQUENCE: no text begins so, since the length of a key is no character of it.
const DER_START: u8 = 0x30;
/// The name of the key type, in the text and in the bytes (RFC 8709 section 4).
const SSH_ED25519: &str = "ssh-ed25519";
/// Other public key types of OpenSSH begin like this.
const SSH_TYPES: [&str; 4] = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];
/// What precedes the 32 bytes in the base64 of OpenSSH.
const SSH_HEAD: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";

/// Forms of keys that are known and not read: a mark with which such a file begins, and its name.
const OTHER_FORMS: [(&[u8], &str); 7] = [
    (b"age1", "an age recipient"),
    (b"AGE-SECRET-KEY-", "an age identity"),
    (b"age-encryption.org/", "an age file"),
    (b"---- BEGIN SSH2", "a public key in the form of SSH2 (RFC 4716)"),
    (b"untrusted comment:", "a minisign or signify key"),
    (b"PuTTY-User-Key-File", "a PuTTY key"),
    (b"{", "JSON, such as a JWK"),
];
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
    /// None of the forms.
    Unknown,
    /// A key in a form that is not read: its name.
    OtherForm(&'static str),
    /// A public key of OpenSSH whose base64 is cut or changed.
    OpenSsh,
    /// More than one public key of OpenSSH.
    Several,
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
            Self::Several => "Leave one key in the file.",
            Self::OtherForm(_) => {
                "Export an Ed25519 key as PEM or as OpenSSH has it, with the program that made it (RFC 4716: \
                 `ssh-keygen -i -f FILE`); keys of age are of another algorithm."
            }
            Self::Pem(PemError::Utf16) => "Save the file as ASCII or UTF-8.",
            Self::Algorithm => "Use an Ed25519 key; `manifest-tool key generate` makes one.",
            Self::Empty
            | Self::Pem(_)
            | Self::Label(_)
            | Self::Unknown
            | Self::OpenSsh
            | Self::Spki
            | Self::Key(_) => {
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
            | Self::OtherForm(_)
            | Self::OpenSsh
            | Self::Several
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
            Self::Unknown => "it is neither a COSE_Key, PEM, DER nor a public key of OpenSSH",
            Self::OtherForm(name) => return write!(f, "it is {name}"),
            Self::OpenSsh => "its OpenSSH key was changed or cut",
            Self::Several => "it contains more than one key",
            Self::Algorithm => "its key is not an Ed25519 key",
            Self::Spki => "its key is not encoded as RFC 8410 specifies",
        })
    }
}

/// Reads a public key from a file, in any of the forms of [`parse_public_key`].
///
/// # Errors
/// [`KeyFileError`]
pub fn open_public_key(path: &Path) -> Result<PublicKey, KeyFileError> {
    parse_public_key(&read(path, MAX_KEY_FILE_LEN).map_err(KeyFileError::Read)?)
}

/// Reads the content of a public key file: a COSE_Key (these 40 bytes and nothing else), a SubjectPublicKeyInfo in PEM
/// or DER (RFC 8410), or the line that OpenSSH writes to `.pub` files. Text may have a byte order mark, CRLF, blank
/// lines; PEM also text around its only block.
///
/// # Errors
/// [`KeyFileError`], but for [`KeyFileError::Read`]
pub fn parse_public_key(file: &[u8]) -> Result<PublicKey, KeyFileError> {
    match file {
        [] => Err(KeyFileError::Empty),
        _ if is_private_key(file) => Err(KeyFileError::PrivateKey),
        [COSE_KEY_START, ..] => PublicKey::from_cose_key(file).map_err(KeyFileError::Key),
        [DER_START, len, ..] if usize::from(*len).saturating_add(2) == file.len() => of_spki(file),
        _ => match Pem::find(file) {
            Ok(pem) => of_pem(&pem),
            // Not text at all, or text of another kind: PEM was never meant.
            Err(PemError::NotText | PemError::Absent) if !contains(file, PEM_MARK) => of_other_text(file),
            Err(error) => Err(KeyFileError::Pem(error)),
        },
    }
}

fn of_other_text(file: &[u8]) -> Result<PublicKey, KeyFileError> {
    if let Some(name) = other_form(file) {
        return Err(KeyFileError::OtherForm(name));
    }
    let text = std::str::from_utf8(without_mark(file)).map_err(|_| KeyFileError::Unknown)?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    match (lines.next(), lines.next()) {
        (Some(line), None) => of_ssh(line),
        (Some(line), Some(_)) if is_ssh(line) => Err(KeyFileError::Several),
        _ => Err(KeyFileError::Unknown),
    }
}

fn is_ssh(line: &str) -> bool {
    SSH_TYPES.iter().any(|start| line.starts_with(start))
}

/// `ssh-ed25519 BASE64 COMMENT`, as sshd(8) describes it, without options.
fn of_ssh(line: &str) -> Result<PublicKey, KeyFileError> {
    let mut words = line.split_ascii_whitespace();
    match words.next() {
        Some(SSH_ED25519) => {}
        Some(other) if is_ssh(other) => return Err(KeyFileError::Algorithm),
        _ => return Err(KeyFileError::Unknown),
    }
    let blob = words.next().and_then(|digits| Base64::decode_vec(digits).ok());
    let key = blob.as_deref().and_then(|blob| blob.strip_prefix(SSH_HEAD)?.try_into().ok());
    PublicKey::from_bytes(key.ok_or(KeyFileError::OpenSsh)?).map_err(KeyFileError::Key)
}

/// The name of a form that is not read.
fn other_form(file: &[u8]) -> Option<&'static str> {
    let start = without_mark(file).trim_ascii_start();
    OTHER_FORMS.iter().find(|(mark, _)| start.starts_with(mark)).map(|(_, name)| *name)
}

/// The line of OpenSSH's `.pub` files, without a line break.
#[must_use]
pub fn to_ssh_line(key: &PublicKey, comment: &str) -> String {
    let digits = Base64::encode_string(&[SSH_HEAD, key.as_bytes()].concat());
    format!("{SSH_ED25519} {digits} {comment}").trim_end().to_owned()
}

fn of_pem(pem: &Pem<'_>) -> Result<PublicKey, KeyFileError> {
    if pem.label() != "PUBLIC KEY" {
        return Err(KeyFileError::Label(pem.label().to_owned()));
    }
    let mut der = Vec::new();
    pem.decode(&mut der).map_err(KeyFileError::Pem)?;
    of_spki(&der)
}

fn of_spki(der: &[u8]) -> Result<PublicKey, KeyFileError> {
    let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyFileError::Spki)?;
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

#[cfg(test)]
mod tests;
