//! Why a key that is kept outside of this program does not sign.

use trust::host::KeyFileError;

use super::exec::ProgramFault;
use super::location::LocationFault;
use super::pkcs11::TokenFault;
use super::ssh_agent::AgentFault;

/// Why a key cannot be used where it is kept.
#[derive(Debug, thiserror::Error)]
pub enum HolderError {
    /// `--key` says no place. The value is not repeated: a PIN may stand in it.
    #[error("the location of the key is invalid: {0}")]
    Location(LocationFault),
    #[error("the environment variable {0} is not set")]
    VariableAbsent(String),
    #[error("{key}: {fault}")]
    Token { key: String, fault: TokenFault },
    #[error("{key}: {fault}")]
    Agent { key: String, fault: AgentFault },
    #[error("the program {program}: {fault}")]
    Program { program: String, fault: ProgramFault },
    /// The public key of a place is no usable Ed25519 key.
    #[error("{key}: its public key is unusable: {source}")]
    Public { key: String, source: KeyFileError },
}

impl HolderError {
    /// Stable name (docs/manifest-tool.md).
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Location(_) => "key-location",
            Self::VariableAbsent(_) => "key-variable",
            Self::Token { fault, .. } => fault.code(),
            Self::Agent { fault, .. } => fault.code(),
            Self::Program { fault, .. } => fault.code(),
            Self::Public { .. } => "key-invalid",
        }
    }

    /// An imperative sentence for the maker.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Location(fault) => fault.hint(),
            Self::VariableAbsent(_) => {
                "Set the variable to the key: PEM of a private key, hexadecimal digits of a master key."
            }
            Self::Token { fault, .. } => fault.hint(),
            Self::Agent { fault, .. } => fault.hint(),
            Self::Program { fault, .. } => fault.hint(),
            Self::Public { source, .. } => source.hint(),
        }
    }

    /// Exit code of the program, docs/errors.md.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Location(_) => 2,
            Self::VariableAbsent(_) | Self::Public { .. } => 4,
            Self::Token { fault, .. } => fault.exit_code(),
            Self::Agent { fault, .. } => fault.exit_code(),
            Self::Program { fault, .. } => fault.exit_code(),
        }
    }
}
