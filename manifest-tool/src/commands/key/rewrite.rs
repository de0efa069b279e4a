//! `key passphrase`, `key import` and `key convert`: a private key in another file, under another passphrase, or in
//! another form. The old file stays.

use std::path::PathBuf;

use super::{Generated, Protection};
use crate::commands::PassphraseArguments;
use crate::error::Error;
use crate::passphrase::PassphraseSource;
use crate::private_key::{self, Form};

/// From which file, to which.
#[derive(clap::Args, Clone, Debug)]
struct Rewriting {
    /// Private key (PKCS#8 PEM or DER, OpenSSH); it stays as it is
    #[arg(value_name = "KEY")]
    key: PathBuf,
    /// Private key to write (mode 0600); must not exist
    #[arg(long, value_name = "NEW")]
    out: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    /// File whose first line is the new passphrase [default: prompt]
    #[arg(long, value_name = "FILE", conflicts_with = "no_passphrase")]
    new_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    protection: Protection,
}

impl Rewriting {
    fn run(&self, form: Form) -> Result<Generated, Error> {
        let old = self.passphrase.source();
        let new = PassphraseSource::of_new(self.new_passphrase_file.clone());
        let protection = self.protection.with(&new);
        let derivation = self.protection.derivation.unwrap_or_default();
        let key = private_key::rewrite((&self.key, &old), (&self.out, form), protection, derivation)?;
        Ok(Generated::in_file(&self.out, protection.is_some(), &key))
    }
}

/// Write a private key to another file under a new passphrase
#[derive(clap::Args, Clone, Debug)]
pub struct Passphrase {
    #[command(flatten)]
    rewriting: Rewriting,
}

impl Passphrase {
    pub fn run(&self) -> Result<Generated, Error> {
        self.rewriting.run(Form::Pkcs8)
    }
}

/// Write a private key of another program (PKCS#8 DER, OpenSSH) to a PKCS#8 PEM file
#[derive(clap::Args, Clone, Debug)]
pub struct Import {
    #[command(flatten)]
    rewriting: Rewriting,
}

impl Import {
    pub fn run(&self) -> Result<Generated, Error> {
        self.rewriting.run(Form::Pkcs8)
    }
}

/// Write a private key in the form of another program
#[derive(clap::Args, Clone, Debug)]
pub struct Convert {
    #[command(flatten)]
    rewriting: Rewriting,
    /// Form of the file to write
    #[arg(long, value_enum)]
    to: Form,
}

impl Convert {
    pub fn run(&self) -> Result<Generated, Error> {
        if self.to == Form::Openssh && self.rewriting.protection.derivation.is_some() {
            return Err(Error::usage("--derivation is for PKCS#8; OpenSSH has one derivation, bcrypt"));
        }
        self.rewriting.run(self.to)
    }
}
