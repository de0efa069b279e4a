//! Signing in two steps, for a key that no program of ours may reach: the bytes to be signed go out as a file, with a text
//! that says what they are; `attach` takes the signature (docs/keys.md, decision 0071).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ledger::Ledger;
use serde::Serialize;
use trust::PublicKey;
use trust::author::{MAX_SIGNED_LEN, RecordKind, SIGNATURE_LEN, SignError, Signer, Unsigned};
use trust::host::{Existing, printable};

use crate::commands::SigningKeyArguments;
use crate::custody::{folder, quoted};
use crate::error::Error;
use crate::files::{check_outputs, write_all};
use crate::output::table;

/// What is put behind the name of the bytes for the text about them.
const TEXT_SUFFIX: &str = ".txt";
/// What an SSH agent puts before the 64 bytes (RFC 8709 section 6).
const SSH_PREFIX: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x40";
/// Longest file of a signature that is read: hex or base64 with blanks around it.
pub const MAX_SIGNATURE_FILE_LEN: u64 = 1024;

/// `--tbs-out`
#[derive(clap::Args, Clone, Debug)]
pub struct TwoStepArguments {
    /// Write the bytes to be signed instead, and FILE.txt, which says what they are; --key is the public key then
    #[arg(long, value_name = "FILE")]
    tbs_out: Option<PathBuf>,
}

impl TwoStepArguments {
    pub fn is_given(&self) -> bool {
        self.tbs_out.is_some()
    }

    /// The files that are written in place of the record.
    pub fn outputs(&self) -> Vec<PathBuf> {
        self.tbs_out.iter().flat_map(|bytes| [bytes.clone(), text_path(bytes)]).collect()
    }

    /// The given key signs later; only if the option is given.
    pub fn later(&self, key: PublicKey) -> Result<Hand, Error> {
        let path = self.tbs_out.clone().ok_or(Error::Internal("nobody signs later"))?;
        Ok(Hand::Later(Later { key, path }))
    }

    /// Opens the key that signs now, or only its public half.
    pub fn open(&self, key: &SigningKeyArguments) -> Result<Hand, Error> {
        match &self.tbs_out {
            None => Ok(Hand::Now(key.open()?)),
            Some(path) => Ok(Hand::Later(Later { key: key.public_key()?, path: path.clone() })),
        }
    }
}

/// Who signs.
pub enum Hand {
    /// A key that this program reaches.
    Now(Box<dyn Signer>),
    /// Somebody else, later.
    Later(Later),
}

impl Hand {
    pub fn public_key(&self) -> PublicKey {
        match self {
            Self::Now(signer) => signer.public_key(),
            Self::Later(later) => later.key,
        }
    }

    /// Fails when what is to be signed cannot be written, before anything is recorded.
    pub fn check(&self, existing: Existing) -> Result<(), Error> {
        match self {
            Self::Now(_) => Ok(()),
            Self::Later(later) => later.check(existing),
        }
    }
}

/// A signature that somebody else is going to make.
#[derive(Clone, Debug)]
pub struct Later {
    key: PublicKey,
    path: PathBuf,
}

/// What was written for it.
#[derive(Clone, Debug, Serialize)]
pub struct ToBeSigned {
    tbs: PathBuf,
    text: PathBuf,
    kid: String,
    len: usize,
    sha256: String,
}

impl Later {
    /// Fails when the files cannot be written, before anything is recorded.
    pub fn check(&self, existing: Existing) -> Result<(), Error> {
        check_outputs(&[(&self.path, None), (&text_path(&self.path), None)], existing)
    }

    /// Writes a record's bytes to be signed; `ledger`: where it was begun; `rows`: what it says.
    pub fn write_record(
        &self,
        unsigned: &Unsigned,
        ledger: Option<&Ledger>,
        rows: &[(&str, String)],
        existing: Existing,
    ) -> Result<ToBeSigned, Error> {
        // Without a ledger nothing else says whose signature it has to be.
        let place =
            ledger.map_or("--signer PUBLIC".to_owned(), |ledger| format!("--ledger {}", folder(ledger)));
        let options = match unsigned.kind() {
            RecordKind::LedgerHead => place,
            _ => format!("{place} --out FILE"),
        };
        self.write((kind_name(unsigned.kind()), &options), &unsigned.to_be_signed(), rows, existing)
    }

    /// Writes a release's bytes to be signed; `rows`: what it says.
    pub fn write_release(
        &self,
        (envelope, credential): (&Path, &Path),
        message: &[u8],
        rows: &[(&str, String)],
        existing: Existing,
    ) -> Result<ToBeSigned, Error> {
        let [envelope, credential] = [envelope, credential].map(|path| quoted(&path.to_string_lossy()));
        let options = format!("--envelope {envelope} --credential {credential} --out FILE");
        self.write(("release", &options), message, rows, existing)
    }

    /// Writes the bytes and the text about them; `options`: what `attach` needs beside them.
    fn write(
        &self,
        (what, options): (&str, &str),
        message: &[u8],
        rows: &[(&str, String)],
        existing: Existing,
    ) -> Result<ToBeSigned, Error> {
        if message.len() > MAX_SIGNED_LEN {
            return Err(Error::of_signer(SignError::TooLong(message.len())));
        }
        let made = ToBeSigned {
            tbs: self.path.clone(),
            text: text_path(&self.path),
            kid: crate::describe::kid(self.key.kid()),
            len: message.len(),
            sha256: hex::encode(trust::sha256(message)),
        };
        let text = made.words((what, options), &self.key, rows);
        write_all(&[(&made.tbs, message), (&made.text, text.as_bytes())], existing)?;
        Ok(made)
    }
}

impl ToBeSigned {
    /// What the person reads who has to sign.
    fn words(&self, (what, options): (&str, &str), key: &PublicKey, rows: &[(&str, String)]) -> String {
        let name = self.tbs.file_name().unwrap_or_default().to_string_lossy();
        let head = table(&[
            ("to be signed", what.to_owned()),
            ("file", name.to_string()),
            ("length", format!("{} bytes", self.len)),
            ("SHA-256", self.sha256.clone()),
            ("signing key", format!("{} (Ed25519, {})", self.kid, hex::encode(key.as_bytes()))),
        ]);
        let tbs = printable(&quoted(&self.tbs.to_string_lossy()));
        let options = printable(options);
        format!(
            "{head}\n\nWhat it says:\n{}\n\nSign the bytes of the file as they are, with Ed25519 (RFC 8032, pure): no hash \
             of them, no text around them.\nCompare the SHA-256 first. Then, where the file was made:\nmanifest-tool attach \
             --tbs {tbs} --signature SIGNATURE {options}\n",
            table(rows)
        )
    }

    pub fn rows(&self) -> Vec<(&'static str, String)> {
        vec![
            ("to be signed", self.tbs.display().to_string()),
            ("what it is, in words", self.text.display().to_string()),
            ("by the key", self.kid.clone()),
            ("SHA-256", self.sha256.clone()),
        ]
    }
}

fn text_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(TEXT_SUFFIX);
    PathBuf::from(name)
}

/// A record's kind in words.
pub fn kind_name(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Credential => "credential",
        RecordKind::RevocationList => "revocation list",
        RecordKind::SuccessionRequest => "succession request",
        RecordKind::Succession => "succession",
        RecordKind::LedgerHead => "head of a ledger",
        RecordKind::Transcript => "end of a transcript",
    }
}

/// A signature that came as a file: 64 bytes as they are, in hex or base64 (RFC 4648 section 4), or the blob of an SSH
/// agent.
pub fn parse_signature(file: &[u8]) -> Option<[u8; SIGNATURE_LEN]> {
    use base64ct::{Base64, Encoding as _};

    let strip = |bytes: &[u8]| bytes.strip_prefix(SSH_PREFIX).unwrap_or(bytes).try_into().ok();
    if let Some(signature) = strip(file) {
        return Some(signature);
    }
    let text: String =
        std::str::from_utf8(file).ok()?.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    let bytes = hex::decode(&text).or_else(|_| Base64::decode_vec(&text).map_err(drop)).ok()?;
    strip(&bytes)
}

/// The signature of a message that somebody else signed: for the code that signs.
pub struct Attached {
    pub key: PublicKey,
    pub signature: [u8; SIGNATURE_LEN],
}

impl Signer for Attached {
    fn public_key(&self) -> PublicKey {
        self.key
    }

    /// Whether it is one of the message is for `trust::author::signature` to judge.
    fn sign(&self, _message: &[u8]) -> Result<[u8; SIGNATURE_LEN], SignError> {
        Ok(self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::{SSH_PREFIX, parse_signature};

    #[test]
    fn a_signature_has_four_forms() {
        let signature: [u8; 64] = std::array::from_fn(|index| u8::try_from(index).unwrap_or(0));
        let of_agent = [SSH_PREFIX, &signature[..]].concat();
        let hex = hex::encode(signature).to_uppercase();
        let base64 = <base64ct::Base64 as base64ct::Encoding>::encode_string(&signature);
        let lines = format!("{}\r\n{}\n", &base64[..40], &base64[40..]);
        for form in [&signature[..], &of_agent, hex.as_bytes(), base64.as_bytes(), lines.as_bytes()] {
            assert_eq!(parse_signature(form), Some(signature), "{form:?}");
        }
        for bad in [&b""[..], &signature[1..], &[0; 65], &of_agent[1..], &hex.as_bytes()[2..], b"not one"] {
            assert_eq!(parse_signature(bad), None, "{bad:?}");
        }
    }
}
