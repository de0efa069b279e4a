//! The commands, one file each. Each reads its inputs, refuses or makes its result, writes it, and returns a report.

pub mod attach;
pub mod ceremony;
pub mod compose;
pub mod create;
pub mod credential;
pub mod custody;
pub mod diff;
pub mod doctor;
pub mod encrypt;
pub mod extract;
pub mod inspect;
pub mod integrate;
pub mod key;
pub mod ledger;
pub mod lint;
mod list;
pub mod personalize;
pub mod provision;
pub mod publish;
pub mod recertify;
pub mod register;
pub mod report;
pub mod revoke;
pub mod rotate;
pub mod setup;
pub mod sever;
pub mod sign;
pub mod succession;
pub mod verify;
pub mod withdraw;

use std::path::{Path, PathBuf};

use clap::builder::{NonEmptyStringValueParser, OsStringValueParser, PossibleValuesParser, TypedValueParser};
use trust::author::Signer;
use trust::blocks::BlockSigner;
use trust::{Anchor, CredentialClaims, MAX_NAME_LEN, PublicKey, Role, TrustStoreBuf};

use crate::error::Error;
use crate::files::must_differ;
use crate::keys::{Location, PinSource, Place, Secrets};
use crate::output::Output;
use crate::passphrase::PassphraseSource;
use crate::public_key;
use crate::time::now;

/// The private key that signs.
#[derive(clap::Args, Clone, Debug)]
pub struct SigningKeyArguments {
    /// Private key that signs: FILE, -, env:NAME, pkcs11:URI, ssh-agent:NAME or exec:PROGRAM?public=FILE
    #[arg(long, value_name = "KEY", value_parser = location())]
    key: Location,
    #[command(flatten)]
    secrets: SecretArguments,
}

impl SigningKeyArguments {
    /// Opens the key, wherever it is kept.
    pub(crate) fn open(&self) -> Result<Box<dyn Signer>, Error> {
        self.key.open(&self.secrets.of(&self.key)?)
    }

    /// Opens a key that signs blocks for devices of others.
    pub(crate) fn open_block_signer(&self) -> Result<BlockSigner, Error> {
        self.key.open_block_signer(&self.secrets.of(&self.key)?)
    }

    /// Its public half: the place may hold nothing else.
    pub(crate) fn public_key(&self) -> Result<PublicKey, Error> {
        self.key.public_key(&self.secrets.of(&self.key)?)
    }

    /// The file of the key, if it is one.
    fn file(&self) -> Option<PathBuf> {
        match self.key.place() {
            Ok(Place::File(path)) => Some(path),
            _ => None,
        }
    }

    /// Fails when an output is also an input: a file of the key, of its passphrase or PIN, or one of `inputs`.
    fn must_differ_from(&self, output: &Path, inputs: &[&Path]) -> Result<(), Error> {
        self.secrets.must_differ_from(output, &self.key)?;
        must_differ(output, inputs)
    }
}

/// The private release key that signs releases, beside the root's.
#[derive(clap::Args, Clone, Debug)]
pub struct ReleaseKeyArguments {
    /// New private release key, which signs the releases again: as --key
    #[arg(long, value_name = "KEY", value_parser = location(), requires = "envelopes")]
    release_key: Option<Location>,
    /// File whose first line is the passphrase of --release-key
    #[arg(long, value_name = "FILE", requires = "release_key")]
    release_passphrase_file: Option<PathBuf>,
    /// File whose first line is the PIN of the token of --release-key
    #[arg(long, value_name = "FILE", requires = "release_key")]
    release_pin_file: Option<PathBuf>,
}

impl ReleaseKeyArguments {
    /// Opens the key, if it is given.
    fn open(&self) -> Result<Option<Box<dyn Signer>>, Error> {
        let Some(key) = &self.release_key else { return Ok(None) };
        key.open(&self.secrets().of(key)?).map(Some)
    }

    fn must_differ_from(&self, output: &Path) -> Result<(), Error> {
        self.release_key.as_ref().map_or(Ok(()), |key| self.secrets().must_differ_from(output, key))
    }

    fn secrets(&self) -> SecretArguments {
        let passphrase = PassphraseArguments { passphrase_file: self.release_passphrase_file.clone() };
        SecretArguments { passphrase, pin_file: self.release_pin_file.clone() }
    }
}

/// The private key that signs, of a command that does not always sign.
#[derive(clap::Args, Clone, Debug)]
pub struct OptionalKeyArguments {
    /// Private key that signs: FILE, -, env:NAME, pkcs11:URI, ssh-agent:NAME or exec:PROGRAM?public=FILE
    #[arg(long, value_name = "KEY", value_parser = location())]
    key: Option<Location>,
    #[command(flatten)]
    secrets: SecretArguments,
}

impl OptionalKeyArguments {
    /// The key, if one is given.
    fn given(&self) -> Result<Option<SigningKeyArguments>, Error> {
        let secrets = self.secrets.clone();
        match &self.key {
            Some(key) => Ok(Some(SigningKeyArguments { key: key.clone(), secrets })),
            None if secrets.passphrase.is_given() || secrets.pin_file.is_some() => {
                Err(Error::usage("--passphrase-file and --pin-file require --key"))
            }
            None => Ok(None),
        }
    }
}

/// What opens a key, wherever it is kept.
#[derive(clap::Args, Clone, Debug)]
pub struct SecretArguments {
    #[command(flatten)]
    passphrase: PassphraseArguments,
    /// File whose first line is the PIN of the token [env: ANCHORAGE_PIN_FILE] [default: prompt]
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
}

impl SecretArguments {
    /// Fails when an option is for keys that are kept elsewhere: it would have no effect.
    fn of(&self, key: &Location) -> Result<Secrets, Error> {
        let (has_passphrase, has_pin) = match key.place()? {
            Place::File(_) | Place::Environment(_) => (true, false),
            Place::Token(_) => (false, true),
            Place::Agent(_) | Place::Program(_) => (false, false),
        };
        if self.passphrase.is_given() && !has_passphrase {
            return Err(Error::usage("--passphrase-file is for keys in files and in the environment"));
        }
        if self.pin_file.is_some() && !has_pin {
            return Err(Error::usage("--pin-file is for keys in tokens (pkcs11:...)"));
        }
        Ok(Secrets { passphrase: self.passphrase.source(), pin: PinSource::new(self.pin_file.clone()) })
    }

    /// Fails when an output is a file of the key, or of what opens it.
    fn must_differ_from(&self, output: &Path, key: &Location) -> Result<(), Error> {
        let paths = key.paths(&self.of(key)?)?;
        must_differ(output, &paths.iter().map(PathBuf::as_path).collect::<Vec<_>>())
    }
}

/// Where a key is kept. Parsed later: the messages of this parser would repeat a PIN.
pub(crate) fn location() -> impl TypedValueParser<Value = Location> {
    OsStringValueParser::new().map(Location::from)
}

/// Where the passphrase of a private key comes from.
#[derive(clap::Args, Clone, Debug)]
pub struct PassphraseArguments {
    /// File whose first line is the passphrase [env: ANCHORAGE_PASSPHRASE_FILE] [default: prompt]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArguments {
    fn is_given(&self) -> bool {
        self.passphrase_file.is_some()
    }

    fn source(&self) -> PassphraseSource {
        PassphraseSource::choose(self.passphrase_file.clone())
    }
}

/// The names of [`Role`].
fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::name))
        .try_map(|name| Role::from_name(&name).ok_or("this role has no name"))
}

/// Name of an issuer, a holder or a line.
pub(crate) fn name() -> impl TypedValueParser<Value = String> {
    NonEmptyStringValueParser::new().try_map(|name| {
        if trust::host::is_line(&name, MAX_NAME_LEN) {
            Ok(name)
        } else {
            Err(format!(
                "a name is 1 to {MAX_NAME_LEN} bytes, without blanks at its ends and invisible characters"
            ))
        }
    })
}

/// The values of an option, each once.
fn distinct<T, K: PartialEq>(given: &[T], key: impl Fn(&T) -> K) -> Vec<&T> {
    let mut kept: Vec<&T> = Vec::new();
    for value in given {
        if kept.iter().all(|other| key(other) != key(value)) {
            kept.push(value);
        }
    }
    kept
}

/// Fails when an option is given more often than the format allows.
fn at_most(option: &str, given: usize, most: u64) -> Result<(), Error> {
    if given as u64 <= most {
        return Ok(());
    }
    Err(Error::usage(format!("{option} is given {given} times, and at most {most} are allowed")))
}

/// Warns of a credential that is not valid now: it may become valid, so it is not an error.
fn warn_of_time(output: Output, claims: &CredentialClaims<'_>) -> Result<(), Error> {
    let now = now(None)?;
    if claims.expires().is_some_and(|end| now >= end) {
        output.warn("the credential has expired: servers and hosts refuse this release");
    }
    if claims.not_before().is_some_and(|begin| now < begin) {
        output.warn("the credential is not valid yet: servers and hosts refuse this release until it is");
    }
    Ok(())
}

/// Reads anchor files: each is the root of its own domain. The same key given twice counts once.
fn read_anchors(paths: &[PathBuf]) -> Result<TrustStoreBuf, Error> {
    let anchors = paths.iter().map(|path| public_key::open(path).map(Anchor::root));
    Ok(TrustStoreBuf::new(anchors.collect::<Result<Vec<_>, _>>()?))
}
