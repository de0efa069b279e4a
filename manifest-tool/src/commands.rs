//! The commands, a file each. Every one reads what it needs, refuses or makes, writes, and returns its report.

pub mod create;
pub mod credential;
pub mod inspect;
pub mod key;
pub mod provision;
pub mod publish;
pub mod revoke;
pub mod sign;
pub mod verify;

use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, must_differ, read};
use crate::passphrase::PassphraseSource;
use crate::{private_key, public_key};
use std::path::{Path, PathBuf};
use trust::author::SoftwareKey;
use trust::{PublicKey, RevocationList};

/// The private key that signs.
#[derive(clap::Args, Clone, Debug)]
pub struct SigningKeyArguments {
    /// Private key (PKCS#8 PEM) that signs
    #[arg(long, value_name = "KEY.pem")]
    key: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

impl SigningKeyArguments {
    fn open(&self) -> Result<SoftwareKey, Error> {
        private_key::open(&self.key, &self.passphrase.source())
    }

    /// Fails when an output is one of the command's inputs: the key, the passphrase file, or what else there is.
    fn must_differ_from(&self, output: &Path, inputs: &[&Path]) -> Result<(), Error> {
        must_differ(output, &[&self.key])?;
        self.passphrase.must_differ_from(output)?;
        must_differ(output, inputs)
    }
}

/// Where the passphrase of a private key comes from.
#[derive(clap::Args, Clone, Debug)]
pub struct PassphraseArguments {
    /// File whose first line is the passphrase [env: ANCHORAGE_PASSPHRASE_FILE]; without one, a terminal is asked
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArguments {
    fn source(&self) -> PassphraseSource {
        PassphraseSource::choose(self.passphrase_file.clone())
    }

    /// Fails when an output is the passphrase file, whoever named it.
    fn must_differ_from(&self, output: &Path) -> Result<(), Error> {
        must_differ(output, self.source().file().as_slice())
    }
}

/// Reads anchors; the same one twice is one.
fn read_anchors(paths: &[PathBuf]) -> Result<Vec<PublicKey>, Error> {
    let mut anchors = Vec::new();
    for path in paths {
        let anchor = public_key::open(path)?;
        if !anchors.contains(&anchor) {
            anchors.push(anchor);
        }
    }
    Ok(anchors)
}

/// Reads the files of records; what they say is not looked at.
fn read_records(paths: &[PathBuf]) -> Result<Vec<(&Path, Vec<u8>)>, Error> {
    paths.iter().map(|path| Ok((path.as_path(), read(path, MAX_RECORD_FILE_LEN)?))).collect()
}

/// Verifies revocation lists.
fn verify_lists<'l>(
    files: &'l [(&Path, Vec<u8>)],
    anchors: &[PublicKey],
) -> Result<Vec<RevocationList<'l>>, Error> {
    let verify = |(path, bytes): &'l (&Path, Vec<u8>)| {
        RevocationList::verify(bytes, anchors).map_err(|error| Error::refused_record(path, error))
    };
    files.iter().map(verify).collect()
}
