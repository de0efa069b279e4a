//! What opens and protects the keys of a ceremony: each custodian has a passphrase of their own.

use std::path::PathBuf;

use super::plan::Plan;
use crate::error::Error;
use crate::keys::{PinSource, Secrets};
use crate::passphrase::PassphraseSource;

/// Passphrases, as the command line gives them.
#[derive(clap::Args, Clone, Debug)]
pub struct PassphraseFiles {
    /// File whose first line is the passphrase of the key NAME of the plan, or of each key (repeatable) [default: prompt]
    #[arg(long = "passphrase-file", value_name = "[NAME=]FILE")]
    passphrase_files: Vec<String>,
}

/// Passphrases and PINs.
#[derive(clap::Args, Clone, Debug)]
pub struct KeySecrets {
    #[command(flatten)]
    passphrases: PassphraseFiles,
    /// File whose first line is the PIN of the token [env: ANCHORAGE_PIN_FILE] [default: prompt]
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
}

impl From<PassphraseFiles> for KeySecrets {
    fn from(passphrases: PassphraseFiles) -> Self {
        Self { passphrases, pin_file: None }
    }
}

impl KeySecrets {
    /// The file that is given for a key by its name, and whether the name is one.
    fn named<'a>(&'a self, name: &str) -> Option<&'a str> {
        self.passphrases.passphrase_files.iter().find_map(|given| given.strip_prefix(name)?.strip_prefix('='))
    }

    /// Files that are given by the name of a key, of which the plan has to have it; the other one is for all keys.
    pub(super) fn check(&self, plan: &Plan) -> Result<(), Error> {
        let roots = plan.roots().map(|root| &root.key);
        let names: Vec<&str> = roots
            .chain(plan.keys.iter().map(|certified| &certified.key))
            .map(|key| key.name.as_str())
            .collect();
        let is_named = |given: &str| names.iter().any(|name| given.starts_with(&format!("{name}=")));
        let plain = self.passphrases.passphrase_files.iter().filter(|given| !is_named(given));
        let plain: Vec<&String> = plain.collect();
        match plain[..] {
            [] => Ok(()),
            [path] if !path.contains('=') => Ok(()),
            [path] => {
                Err(Error::usage(format!("--passphrase-file {path}: the plan has no key of this name")))
            }
            _ => Err(Error::usage("--passphrase-file without the name of a key is given twice")),
        }
    }

    fn source(&self, name: &str) -> PassphraseSource {
        let of_all = self.passphrases.passphrase_files.iter().find(|given| !given.contains('='));
        let file = self.named(name).or(of_all.map(String::as_str));
        PassphraseSource::choose(file.map(PathBuf::from))
    }

    pub(super) fn of(&self, name: &str) -> Secrets {
        Secrets { passphrase: self.source(name), pin: PinSource::new(self.pin_file.clone()) }
    }
}
