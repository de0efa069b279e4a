//! Why a token gives no signature: what PKCS#11 (version 3.1) returns, in words.

use std::path::PathBuf;

use cryptoki::context::Function;
use cryptoki::error::{Error as ModuleError, RvError};

use crate::passphrase::MAX_PASSPHRASE_LEN;

/// Names the module when the URI does not.
pub(super) const MODULE_VARIABLE: &str = "ANCHORAGE_PKCS11_MODULE";

/// What the token says about the PINs that are left; it gives no number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TriesLeft {
    NotSaid,
    /// A wrong PIN was entered since the last right one.
    Fewer,
    /// The next wrong PIN locks it.
    One,
}

impl std::fmt::Display for TriesLeft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotSaid => "the token does not say how many tries are left",
            Self::Fewer => "more wrong PINs lock the token",
            Self::One => "the next wrong PIN locks the token",
        })
    }
}

/// Which property of a key in a token does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exposure {
    NotSensitive,
    Extractable,
    NotPrivate,
    /// It would be gone with the session.
    NotInToken,
    /// The value itself came out.
    Readable,
}

impl std::fmt::Display for Exposure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotSensitive => "is not sensitive",
            Self::Extractable => "is extractable",
            Self::NotPrivate => "is usable without the PIN",
            Self::NotInToken => "is not stored in the token",
            Self::Readable => "can be read",
        })
    }
}

/// Why a token gives no signature.
#[derive(Debug, thiserror::Error)]
pub enum TokenFault {
    #[error("neither the URI nor {MODULE_VARIABLE} names the PKCS#11 module")]
    NoModule,
    #[error("no PKCS#11 module {0:?} is in the folders where modules lie")]
    ModuleNotFound(String),
    #[error("the PKCS#11 module {} cannot be used: {cause}", path.display())]
    Module { path: PathBuf, cause: String },
    #[error("no token matches; the module has {0}")]
    TokenAbsent(String),
    #[error("several tokens match: {0}")]
    TokensSeveral(String),
    /// There is no terminal to ask on.
    #[error("a PIN is required, and there is no terminal to prompt on")]
    PinNeeded,
    #[error("the PIN is not 1 to {MAX_PASSPHRASE_LEN} bytes of text")]
    PinUnusable,
    #[error("the PIN is wrong; {0}")]
    PinWrong(TriesLeft),
    #[error("the PIN is locked")]
    PinLocked,
    /// Never set, expired, or still that of the factory.
    #[error("the token wants another PIN to be set first")]
    PinToBeSet,
    #[error("the token has no such Ed25519 key; it has {0}")]
    KeyAbsent(String),
    #[error("{0} private keys match")]
    KeysSeveral(usize),
    #[error("the key is not an Ed25519 key")]
    OtherType,
    #[error("the token has the private key without its public half")]
    PublicAbsent,
    /// The public key objects of the pair differ.
    #[error("the token has different public halves of this key")]
    PublicSeveral,
    #[error("CKA_EC_POINT of the public key is no point of Ed25519")]
    Point,
    #[error("the token already has a key of this label or id")]
    KeyExists,
    #[error("the URI gives neither a label (object=) nor an id for the new key")]
    Nameless,
    #[error("the token refuses to make an Ed25519 key: {0}")]
    NotMade(RvError),
    #[error("the new key {0}, and was deleted")]
    Exposed(Exposure),
    #[error("the new pair does not sign, and was deleted")]
    NewKeyForeign,
    #[error("the token is gone ({0})")]
    Removed(RvError),
    /// Some call failed otherwise.
    #[error("the token failed: {}", said(.0))]
    Failed(ModuleError),
    /// Of a length that no signature has.
    #[error("the token returned {0} bytes as a signature")]
    SignatureLen(usize),
}

/// In the words of the standard: `CKR_...` of which function.
fn said(error: &ModuleError) -> String {
    match error {
        ModuleError::Pkcs11(value, function) => format!("{function} returned {value:?}"),
        other => other.to_string(),
    }
}

impl TokenFault {
    /// What a call returned, where no closer word is known.
    pub(super) fn of(error: ModuleError) -> Self {
        match error {
            ModuleError::Pkcs11(value, _) if is_removal(value) => Self::Removed(value),
            ModuleError::Pkcs11(RvError::KeyTypeInconsistent, Function::SignInit) => Self::OtherType,
            ModuleError::Pkcs11(RvError::PinLocked, _) => Self::PinLocked,
            ModuleError::Pkcs11(RvError::PinExpired, _) => Self::PinToBeSet,
            other => Self::Failed(other),
        }
    }

    pub(in crate::keys) const fn code(&self) -> &'static str {
        match self {
            Self::NoModule | Self::ModuleNotFound(_) | Self::Module { .. } => "token-module",
            Self::TokenAbsent(_) => "token-absent",
            Self::TokensSeveral(_) => "token-ambiguous",
            Self::PinNeeded => "pin-needed",
            Self::PinUnusable => "pin-unusable",
            Self::PinWrong(_) => "pin-wrong",
            Self::PinLocked => "pin-locked",
            Self::PinToBeSet => "pin-to-be-set",
            Self::KeyAbsent(_) => "key-absent",
            Self::KeysSeveral(_) => "key-ambiguous",
            Self::OtherType | Self::Point => "key-other-type",
            Self::PublicAbsent | Self::PublicSeveral => "key-half-missing",
            Self::KeyExists => "key-exists",
            Self::Nameless => "key-location",
            Self::NotMade(_) => "token-no-ed",
            Self::Exposed(_) | Self::NewKeyForeign => "key-exposed",
            Self::Removed(_) => "token-removed",
            Self::Failed(_) | Self::SignatureLen(_) => "token-failed",
        }
    }

    pub(in crate::keys) const fn hint(&self) -> &'static str {
        match self {
            Self::NoModule | Self::ModuleNotFound(_) => {
                "Set ANCHORAGE_PKCS11_MODULE, or add ?module-path=FILE to the URI: the library that came with the token."
            }
            Self::Module { .. } => "Check the path, the installation of the module and its configuration.",
            Self::TokenAbsent(_) => "Insert the token, or correct token=, serial= or slot-id= of the URI.",
            Self::TokensSeveral(_) => "Name one token by token=, serial= or slot-id=.",
            Self::PinNeeded => {
                "Pass --pin-file, set ANCHORAGE_PIN_FILE, add pin-source=file:FILE, or run the command in a terminal."
            }
            Self::PinUnusable => "Use one line of UTF-8 text.",
            Self::PinWrong(TriesLeft::One) => "Look the PIN up before you try again.",
            Self::PinWrong(_) => "Check the PIN, and which token it is for.",
            Self::PinLocked => "Unlock it with the tool of the token's maker (SO-PIN, PUK).",
            Self::PinToBeSet => "Set a user PIN with the tool of the token's maker.",
            Self::KeyAbsent(_) => {
                "Correct object= or id= of the URI; `manifest-tool key generate --key URI` makes a key."
            }
            Self::KeysSeveral(_) => "Name one key by id=.",
            Self::OtherType | Self::Point => {
                "Use an Ed25519 key; `manifest-tool key generate --key URI` makes one."
            }
            Self::PublicAbsent | Self::PublicSeveral => {
                "Store the public key once, under the id and label of the private one, with the tool of the token's maker."
            }
            Self::KeyExists => "Choose another label and id; a key is never replaced.",
            Self::Nameless => "Add object=LABEL to the URI.",
            Self::NotMade(_) => "Use a token that has CKM_EC_EDWARDS_KEY_PAIR_GEN with Ed25519.",
            Self::Exposed(_) | Self::NewKeyForeign => "Use another token or module for this key.",
            Self::Removed(_) => "Insert the token again and repeat the command.",
            Self::Failed(_) | Self::SignatureLen(_) => {
                "Repeat the command; if it fails again, see the log of the module."
            }
        }
    }

    pub(in crate::keys) const fn exit_code(&self) -> u8 {
        match self {
            Self::KeyExists | Self::Nameless => 2,
            Self::NoModule
            | Self::ModuleNotFound(_)
            | Self::Module { .. }
            | Self::Removed(_)
            | Self::Failed(_)
            | Self::SignatureLen(_) => 3,
            Self::TokenAbsent(_)
            | Self::TokensSeveral(_)
            | Self::PinNeeded
            | Self::PinUnusable
            | Self::PinWrong(_)
            | Self::PinLocked
            | Self::PinToBeSet
            | Self::KeyAbsent(_)
            | Self::KeysSeveral(_)
            | Self::OtherType
            | Self::PublicAbsent
            | Self::PublicSeveral
            | Self::Point
            | Self::NotMade(_)
            | Self::Exposed(_)
            | Self::NewKeyForeign => 4,
        }
    }
}

/// What modules return when a token was pulled out, or its session went with it.
const fn is_removal(value: RvError) -> bool {
    matches!(
        value,
        RvError::DeviceRemoved
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::SessionHandleInvalid
            | RvError::SessionClosed
            | RvError::SlotIdInvalid
    )
}
