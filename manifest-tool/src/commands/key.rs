//! The commands about keys: `key generate`, `key public`, and those of the files below.

pub(crate) mod backup;
mod info;
mod master;
mod recover;
mod rewrite;

pub use backup::Backup;
pub use info::Info;
pub use master::Master;
pub use recover::{BackupCheck, Recover};
pub use rewrite::{Convert, Import, Passphrase};

use std::path::{Path, PathBuf};

use pkcs8::{Document, LineEnding};
use serde::Serialize;
use trust::PublicKey;
use trust::author::{Signer as _, SoftwareKey};
use trust::blocks::VerifyingKey;
use trust::host::{parse_public_key, to_ssh_line};

use super::{PassphraseArguments, SecretArguments};
use crate::error::Error;
use crate::files::{existing, write};
use crate::keys::{Location, PinSource};
use crate::output::{Report, table};
use crate::passphrase::{PassphraseSource, Purpose};
use crate::private_key::Derivation;
use crate::{describe, private_key, public_key};

/// How a new key file is protected.
#[derive(clap::Args, Clone, Debug)]
pub struct Protection {
    /// Derivation of the encryption key from the passphrase [default: scrypt]
    #[arg(long, value_enum, conflicts_with = "no_passphrase")]
    derivation: Option<Derivation>,
    /// Accept a weak passphrase; for tests only
    #[arg(long, conflicts_with = "no_passphrase")]
    weak_passphrase: bool,
    /// Leave the key unencrypted
    #[arg(long)]
    no_passphrase: bool,
}

impl Protection {
    /// Encrypted, in the default way.
    pub(crate) fn encrypted(weak_passphrase: bool) -> Self {
        Self { derivation: None, weak_passphrase, no_passphrase: false }
    }

    /// What protects the key with the passphrase of `source`.
    pub(crate) fn with<'s>(&self, source: &'s PassphraseSource) -> Option<(&'s PassphraseSource, Purpose)> {
        let purpose = if self.weak_passphrase { Purpose::ProtectForTests } else { Purpose::Protect };
        (!self.no_passphrase).then_some((source, purpose))
    }

    pub(crate) fn derivation(&self) -> Derivation {
        self.derivation.unwrap_or_default()
    }
}

/// Make an Ed25519 key, in a file or in a token
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("place").required(true))]
pub struct Generate {
    /// Private key to write (PKCS#8 PEM, mode 0600); must not exist
    #[arg(long, value_name = "KEY.pem", group = "place")]
    out: Option<PathBuf>,
    /// Token to make the key in, with the label (object=) or id of the key, which must be free
    #[arg(long, value_name = "pkcs11:URI", value_parser = super::location(), group = "place",
          conflicts_with_all = ["passphrase_file", "no_passphrase", "weak_passphrase", "derivation"])]
    key: Option<Location>,
    /// File whose first line is the PIN of the token [env: ANCHORAGE_PIN_FILE] [default: prompt]
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    pin_file: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    #[command(flatten)]
    protection: Protection,
}

#[derive(Debug, Serialize)]
pub struct Generated {
    private_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<bool>,
    kid: String,
    public_key: String,
}

impl Generated {
    fn in_file(path: &Path, encrypted: bool, key: &SoftwareKey) -> Self {
        Self { encrypted: Some(encrypted), ..Self::in_token(path.display().to_string(), &key.public_key()) }
    }

    fn in_token(name: String, key: &PublicKey) -> Self {
        Self {
            private_key: name,
            encrypted: None,
            kid: describe::kid(key.kid()),
            public_key: hex::encode(key.as_bytes()),
        }
    }
}

impl Generate {
    pub fn run(&self) -> Result<Generated, Error> {
        match (&self.key, &self.out) {
            (Some(location), _) => {
                let key = location.generate(&PinSource::new(self.pin_file.clone()))?;
                Ok(Generated::in_token(location.name(), &key))
            }
            (None, Some(out)) => self.in_file(out),
            (None, None) => Err(Error::usage("--out or --key is required")),
        }
    }

    fn in_file(&self, out: &Path) -> Result<Generated, Error> {
        if self.protection.no_passphrase && self.passphrase.is_given() {
            return Err(Error::usage("--no-passphrase conflicts with --passphrase-file"));
        }
        let source = self.passphrase.source();
        let protection = self.protection.with(&source);
        let key = private_key::generate(out, protection, self.protection.derivation())?;
        Ok(Generated::in_file(out, protection.is_some(), &key))
    }
}

impl Report for Generated {
    fn lines(&self) -> String {
        table(&[
            ("private key", self.private_key.clone()),
            match self.encrypted {
                Some(encrypted) => ("encrypted", if encrypted { "yes" } else { "NO" }.to_owned()),
                None => ("kept", "in the token: sensitive, not extractable; it signed once".to_owned()),
            },
            ("kid", self.kid.clone()),
        ])
    }
}

/// Form of a public key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum PublicFormat {
    /// COSE_Key (docs/records.md), the form of anchors.
    Cose,
    /// SubjectPublicKeyInfo PEM (RFC 8410).
    Spki,
    /// SubjectPublicKeyInfo DER.
    SpkiDer,
    /// The line of OpenSSH's .pub files.
    Openssh,
    /// Its bytes in hex, of P-256 those of the point; shown only
    Hex,
}

/// Write or show the public half of a key
#[derive(clap::Args, Clone, Debug)]
pub struct Public {
    /// Private key, wherever it is kept, or a public key to convert (COSE_Key, SPKI PEM or DER, OpenSSH); a file may have one of P-256
    #[arg(value_name = "KEY", value_parser = super::location())]
    key: Location,
    /// Form of the output
    #[arg(long, value_enum, default_value = "cose")]
    format: PublicFormat,
    /// File to write [default: only show the key]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file of --out; a private key is never replaced
    #[arg(long, requires = "out")]
    force: bool,
    #[command(flatten)]
    secrets: SecretArguments,
}

#[derive(Debug, Serialize)]
pub struct PublicReport {
    kid: String,
    curve: &'static str,
    public_key: String,
    cose_key: String,
    out: Option<PathBuf>,
    #[serde(skip)]
    shown: String,
}

impl Public {
    pub fn run(&self) -> Result<PublicReport, Error> {
        if self.format == PublicFormat::Hex && self.out.is_some() {
            return Err(Error::usage("--out requires another format; hex is only shown"));
        }
        let key = self.key.verifying_key(&self.secrets.of(&self.key)?)?;
        let of_ed25519 = public_key::of_ed25519(&key);
        let content = match self.format {
            PublicFormat::Cose => key.cose_key().to_vec(),
            PublicFormat::Spki => pem_of(&public_key::to_spki(&key)?)?.into_bytes(),
            PublicFormat::SpkiDer => public_key::to_spki(&key)?.into_vec(),
            PublicFormat::Openssh => {
                let key =
                    of_ed25519.ok_or_else(|| Error::usage("--format openssh is for keys of Ed25519"))?;
                format!("{}\n", to_ssh_line(&key, "")).into_bytes()
            }
            PublicFormat::Hex => format!("{}\n", hex::encode(key.point())).into_bytes(),
        };
        if let Some(out) = &self.out {
            // By the reader of device, server and host, or by that of partners.
            let is_read = match of_ed25519 {
                Some(key) => parse_public_key(&content).is_ok_and(|read| read == key),
                None => VerifyingKey::parse(&content).is_ok_and(|read| read.thumbprint() == key.thumbprint()),
            };
            if !is_read {
                return Err(Error::Internal("the public key file cannot be read back"));
            }
            self.secrets.must_differ_from(out, &self.key)?;
            write(out, &content, existing(self.force))?;
        }
        let shown = match self.format {
            PublicFormat::Cose | PublicFormat::SpkiDer => hex::encode(&content),
            PublicFormat::Spki | PublicFormat::Openssh | PublicFormat::Hex => {
                String::from_utf8_lossy(&content).trim_end().to_owned()
            }
        };
        Ok(PublicReport {
            kid: describe::kid(key.kid()),
            curve: key.curve_name(),
            public_key: hex::encode(key.point()),
            cose_key: hex::encode(key.cose_key()),
            out: self.out.clone(),
            shown,
        })
    }
}

fn pem_of(spki: &Document) -> Result<String, Error> {
    spki.to_pem("PUBLIC KEY", LineEnding::LF)
        .map_err(|error| Error::KeyOperation { doing: "encoded", source: Box::new(error) })
}

impl Report for PublicReport {
    fn lines(&self) -> String {
        match &self.out {
            Some(out) => table(&[("public key", out.display().to_string()), ("kid", self.kid.clone())]),
            // SPKI has line breaks of its own.
            None => format!("kid  {}\n{}", self.kid, self.shown),
        }
    }
}
