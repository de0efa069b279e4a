//! The commands, one file each. Each reads its inputs, refuses or makes its result, writes it, and returns a report.

pub mod create;
pub mod credential;
pub mod inspect;
pub mod key;
mod list;
pub mod provision;
pub mod publish;
pub mod recertify;
pub mod revoke;
pub mod sign;
pub mod verify;
pub mod withdraw;

use std::path::{Path, PathBuf};

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use trust::author::Signer;
use trust::{Anchor, CredentialClaims, MAX_NAME_LEN, Role, TrustStoreBuf};

use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, must_differ, read};
use crate::output::Output;
use crate::passphrase::PassphraseSource;
use crate::time::now;
use crate::{private_key, public_key};

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
    /// Opens the key, wherever it is kept.
    fn open(&self) -> Result<Box<dyn Signer>, Error> {
        Ok(Box::new(private_key::open(&self.key, &self.passphrase.source())?))
    }

    /// Fails when an output is also an input: the key, the passphrase file, or one of `inputs`.
    fn must_differ_from(&self, output: &Path, inputs: &[&Path]) -> Result<(), Error> {
        must_differ(output, &[&self.key])?;
        self.passphrase.must_differ_from(output)?;
        must_differ(output, inputs)
    }
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

    /// Fails when an output is the passphrase file, named on the command line or in the environment.
    fn must_differ_from(&self, output: &Path) -> Result<(), Error> {
        must_differ(output, self.source().file().as_slice())
    }
}

/// The names of [`Role`].
fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::name))
        .try_map(|name| Role::from_name(&name).ok_or("this role has no name"))
}

/// Name of an issuer or holder.
fn name() -> impl TypedValueParser<Value = String> {
    NonEmptyStringValueParser::new().try_map(|name| {
        if name.len() <= MAX_NAME_LEN {
            Ok(name)
        } else {
            Err(format!("a name is 1 to {MAX_NAME_LEN} bytes"))
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

/// Reads revocation lists and adds them to a trust store.
fn add_lists(trusted: &mut TrustStoreBuf, paths: &[PathBuf]) -> Result<(), Error> {
    for path in paths {
        let bytes = read(path, MAX_RECORD_FILE_LEN)?;
        trusted.add_list(bytes).map_err(|error| Error::refused_record(path, error))?;
    }
    Ok(())
}
