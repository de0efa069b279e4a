//! PINs of tokens: from a file or a prompt; never an argument, never printed.

use std::path::{Path, PathBuf};

use trust::host::printable;
use zeroize::Zeroizing;

use super::fault::HolderError;
use super::pkcs11::TokenFault;
use crate::error::Error;
use crate::passphrase::{MAX_PASSPHRASE_LEN, first_line, prompt};

/// Names a file whose first line is the PIN, when neither `--pin-file` nor the URI does.
pub(crate) const PIN_FILE_VARIABLE: &str = "ANCHORAGE_PIN_FILE";

/// Where the PIN comes from, but for what a URI says.
#[derive(Clone, Debug, Default)]
pub struct PinSource {
    /// `--pin-file`
    argument: Option<PathBuf>,
}

impl PinSource {
    pub fn new(argument: Option<PathBuf>) -> Self {
        Self { argument }
    }

    /// The file of the argument, else that of the URI, else that of the environment.
    pub(super) fn file(&self, of_uri: Option<&Path>) -> Option<PathBuf> {
        let variable = || std::env::var_os(PIN_FILE_VARIABLE).filter(|value| !value.is_empty());
        let given = self.argument.as_deref().or(of_uri).map(Path::to_owned);
        given.or_else(|| variable().map(PathBuf::from))
    }

    /// The PIN of the token that a message calls `key`.
    pub(super) fn pin(&self, of_uri: Option<&Path>, key: &str) -> Result<Zeroizing<String>, Error> {
        let failed = |fault| Error::Holder(HolderError::Token { key: key.to_owned(), fault });
        let pin = match self.file(of_uri) {
            Some(path) => first_line(&path),
            None => prompt(format!("PIN for {}: ", printable(key))),
        };
        let pin = pin.map_err(|error| match error {
            Error::PassphraseNeeded => failed(TokenFault::PinNeeded),
            Error::PassphraseUnusable(_) => failed(TokenFault::PinUnusable),
            other => other,
        })?;
        if (1..=MAX_PASSPHRASE_LEN).contains(&pin.len()) {
            Ok(pin)
        } else {
            Err(failed(TokenFault::PinUnusable))
        }
    }
}
