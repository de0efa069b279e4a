//! Keys wherever they are kept: files, the environment, tokens, agents, programs. Whatever holds a key, [`open`] gives a
//! [`Signer`], and `trust::author::signature` verifies each of its signatures.

mod exec;
mod fault;
mod location;
mod pin;
mod pkcs11;
mod ssh_agent;
mod uri;

pub use exec::ProgramFault;
pub use fault::HolderError;
pub use location::{AgentKey, LocationFault, Place, ProgramKey};
pub(crate) use pin::PIN_FILE_VARIABLE;
pub use pin::PinSource;
pub use pkcs11::{Exposure, TokenFault, TriesLeft};
pub(crate) use pkcs11::{custody as token_custody, details as token_details};
pub use ssh_agent::AgentFault;
pub(crate) use ssh_agent::fingerprint as ssh_fingerprint;
pub use uri::TokenUri;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use trust::PublicKey;
use trust::author::Signer;
use trust::blocks::{BlockSigner, VerifyingKey};
use trust::host::{KeyFileError, MAX_KEY_FILE_LEN, parse_public_key, printable};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::files::read_secret;
use crate::passphrase::PassphraseSource;
use crate::{memory, private_key, public_key};

/// What opens keys.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// Of encrypted keys in files and in the environment.
    pub passphrase: PassphraseSource,
    /// Of tokens.
    pub pin: PinSource,
}

/// Where a key is kept, as the command line said it. It is parsed late, and not by the parser of the command line, whose
/// messages repeat what was given: there may be a PIN in it.
#[derive(Clone, Debug)]
pub struct Location {
    given: OsString,
}

impl From<OsString> for Location {
    fn from(given: OsString) -> Self {
        Self { given }
    }
}

impl Location {
    pub fn place(&self) -> Result<Place, Error> {
        Place::parse(&self.given).map_err(|fault| Error::Holder(HolderError::Location(fault)))
    }

    /// For a message, once [`Location::place`] has found no PIN in it.
    pub fn name(&self) -> String {
        printable(&self.given.to_string_lossy())
    }

    /// Opens the private key.
    pub fn open(&self, secrets: &Secrets) -> Result<Box<dyn Signer>, Error> {
        let name = self.name();
        Ok(match self.place()? {
            Place::File(path) => Box::new(private_key::open(&path, &secrets.passphrase)?),
            Place::Environment(variable) => Box::new(private_key::parse_value(
                Path::new(&name),
                &value_of(&variable)?,
                &secrets.passphrase,
            )?),
            Place::Token(uri) => Box::new(pkcs11::TokenSigner::open(&name, &uri, &secrets.pin)?),
            Place::Agent(key) => Box::new(ssh_agent::AgentSigner::open(&name, &key)?),
            Place::Program(key) => Box::new(exec::ProgramSigner::open(&key)?),
        })
    }

    /// Opens a private key that signs blocks for devices of others: of Ed25519, or in a file of P-256.
    pub fn open_block_signer(&self, secrets: &Secrets) -> Result<BlockSigner, Error> {
        match self.place()? {
            Place::File(path) => private_key::open_block_signer(&path, &secrets.passphrase),
            Place::Environment(variable) => {
                let value = value_of(&variable)?;
                private_key::parse_block_signer(Path::new(&self.name()), &value, &secrets.passphrase)
            }
            Place::Token(_) | Place::Agent(_) | Place::Program(_) => {
                self.open(secrets).map(BlockSigner::Ed25519)
            }
        }
    }

    /// The public half, with as few secrets as the place asks for. A file may hold a public key.
    pub fn public_key(&self, secrets: &Secrets) -> Result<PublicKey, Error> {
        let name = self.name();
        match self.place()? {
            // Read once: it may be a pipe.
            Place::File(path) => match read_secret(&path, MAX_KEY_FILE_LEN)? {
                file if matches!(parse_public_key(&file), Err(KeyFileError::PrivateKey)) => {
                    Ok(private_key::parse(&path, &file, &secrets.passphrase)?.public_key())
                }
                file => public_key::decode(&path, &file),
            },
            Place::Environment(variable) => {
                let value = value_of(&variable)?;
                let path = Path::new(&name);
                match parse_public_key(&value) {
                    Err(KeyFileError::PrivateKey) => {
                        Ok(private_key::parse_value(path, &value, &secrets.passphrase)?.public_key())
                    }
                    key => key.map_err(|error| Error::public_key(path, error)),
                }
            }
            Place::Token(uri) => pkcs11::public_key(&name, &uri, &secrets.pin),
            Place::Agent(key) => Ok(ssh_agent::AgentSigner::open(&name, &key)?.public_key()),
            Place::Program(key) => public_key::open(&key.public),
        }
    }

    /// The same of a key that verifies blocks: of Ed25519, or in a file of P-256.
    pub fn verifying_key(&self, secrets: &Secrets) -> Result<VerifyingKey, Error> {
        let name = self.name();
        let passphrase = &secrets.passphrase;
        match self.place()? {
            Place::File(path) => {
                let file = read_secret(&path, MAX_KEY_FILE_LEN)?;
                match verifying_key_of(&path, &file)? {
                    Some(key) => Ok(key),
                    None => Ok(private_key::open_read_block_signer(&path, &file, passphrase)?.public()),
                }
            }
            Place::Environment(variable) => {
                let value = value_of(&variable)?;
                let path = Path::new(&name);
                match verifying_key_of(path, &value)? {
                    Some(key) => Ok(key),
                    None => Ok(private_key::parse_block_signer(path, &value, passphrase)?.public()),
                }
            }
            Place::Token(_) | Place::Agent(_) | Place::Program(_) => self.public_key(secrets).map(Into::into),
        }
    }

    /// Makes a key in the token that the URI names.
    pub fn generate(&self, pin: &PinSource) -> Result<PublicKey, Error> {
        match self.place()? {
            Place::Token(uri) => pkcs11::generate(&self.name(), &uri, pin),
            Place::File(_) | Place::Environment(_) | Place::Agent(_) | Place::Program(_) => {
                Err(Error::usage("--key of key generate names a token (pkcs11:...); --out names a file"))
            }
        }
    }

    /// The files that the location names, and that of the PIN.
    pub fn paths(&self, secrets: &Secrets) -> Result<Vec<PathBuf>, Error> {
        let place = self.place()?;
        let mut paths: Vec<PathBuf> = place.paths().into_iter().map(Path::to_owned).collect();
        paths.extend(secrets.passphrase.file().map(Path::to_owned));
        if let Place::Token(uri) = &place {
            paths.extend(secrets.pin.file(uri.pin_source.as_deref()));
        }
        Ok(paths)
    }
}

/// The public key in a file; `None` of a private one.
fn verifying_key_of(path: &Path, file: &[u8]) -> Result<Option<VerifyingKey>, Error> {
    match (parse_public_key(file), VerifyingKey::parse(file)) {
        (Ok(key), _) => Ok(Some(key.into())),
        (Err(KeyFileError::PrivateKey), _) => Ok(None),
        (Err(_), Ok(key)) => Ok(Some(key)),
        (Err(error), Err(_)) => Err(Error::public_key(path, error)),
    }
}

/// The PEM in a variable.
pub(crate) fn value_of(variable: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    use std::os::unix::ffi::OsStringExt as _;

    memory::lock();
    let value = std::env::var_os(variable).map(|value| Zeroizing::new(value.into_vec()));
    value.ok_or_else(|| Error::Holder(HolderError::VariableAbsent(variable.to_owned())))
}

/// The public key of a holder that is not a file.
fn usable(key: &str, point: &[u8; 32]) -> Result<PublicKey, Error> {
    PublicKey::from_bytes(point).map_err(|error| {
        Error::Holder(HolderError::Public { key: key.to_owned(), source: KeyFileError::Key(error) })
    })
}
