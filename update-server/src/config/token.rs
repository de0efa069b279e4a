//! The tokens that permit writing: read from a file that others cannot read, kept as digests, compared in constant
//! time (RFC 6750 for their form).

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use trust::host::{ReadError, read_limited, without_mark};

const MIN_TOKEN_LEN: usize = 16;
const MAX_TOKENS: usize = 16;
const MAX_FILE_LEN: u64 = 16 << 10;
const OTHERS: u32 = 0o007;

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A secret that everybody may read or replace is none.
    #[error("everybody on this machine can read or change it (mode {mode:04o}); run: chmod 600 {path}")]
    WorldAccessible {
        /// Its permission bits.
        mode: u32,
        /// The file, for the command to run.
        path: String,
    },
    #[error("line {line} is not a token: at least {MIN_TOKEN_LEN} characters of A-Z a-z 0-9 - . _ ~ + / =")]
    Malformed {
        /// Counted from 1.
        line: usize,
    },
    #[error("it holds no token; for one, run: openssl rand -hex 32")]
    Empty,
    /// More than are needed to change over.
    #[error("it holds more than {MAX_TOKENS} tokens, or is longer than {MAX_FILE_LEN} bytes")]
    TooMany,
}

/// The tokens, any of which permits writing. Several are there so that one can be changed without a gap.
#[derive(Clone)]
pub struct Tokens {
    digests: Vec<[u8; 32]>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.digests.len())
    }
}

impl Tokens {
    /// Reads a token file: one token a line; empty lines and lines that begin with `#` do not count.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let mut file = File::open(path)?;
        // Of the file that was opened, not of what the path may name a moment later.
        let mode = file.metadata()?.mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(TokenError::WorldAccessible { mode, path: path.display().to_string() });
        }
        let mut bytes = Vec::new();
        read_limited(&mut file, MAX_FILE_LEN, &mut bytes).map_err(|error| match error {
            ReadError::Io(error) => TokenError::Io(error),
            ReadError::TooLong(_) => TokenError::TooMany,
        })?;
        let text = std::str::from_utf8(without_mark(&bytes)).map_err(io::Error::other)?;
        Self::parse(text)
    }

    fn parse(text: &str) -> Result<Self, TokenError> {
        let mut digests = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let token = line.trim();
            if token.is_empty() || token.starts_with('#') {
                continue;
            }
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
            if token.len() < MIN_TOKEN_LEN || !token.bytes().all(allowed) {
                return Err(TokenError::Malformed { line: index + 1 });
            }
            digests.push(Sha256::digest(token).into());
        }
        match digests.len() {
            0 => Err(TokenError::Empty),
            1..=MAX_TOKENS => Ok(Self { digests }),
            _ => Err(TokenError::TooMany),
        }
    }

    /// Whether `token` is one of them. Takes the same time whichever it is, and however much of it is right.
    pub fn permit(&self, token: &[u8]) -> bool {
        let offered: [u8; 32] = Sha256::digest(token).into();
        let none = Choice::from(0);
        self.digests.iter().fold(none, |found, digest| found | digest.ct_eq(&offered)).into()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn any_of_the_tokens_permits_and_nothing_else_does() {
        let tokens = Tokens::parse("# old\n0123456789abcdef\n\n  fedcba9876543210  \n").unwrap();
        assert!(tokens.permit(b"0123456789abcdef"));
        assert!(tokens.permit(b"fedcba9876543210"));
        for wrong in ["", "# old", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF"] {
            assert!(!tokens.permit(wrong.as_bytes()), "{wrong}");
        }
        assert_eq!(format!("{tokens:?}"), "Tokens(2)", "no token in a log");
    }

    #[test]
    fn bad_token_files_are_refused() {
        assert!(matches!(Tokens::parse("# nothing\n"), Err(TokenError::Empty)));
        assert!(matches!(Tokens::parse("\nshort"), Err(TokenError::Malformed { line: 2 })));
        assert!(matches!(Tokens::parse("two words in a line"), Err(TokenError::Malformed { line: 1 })));
        assert!(matches!(Tokens::parse(&"0123456789abcdef\n".repeat(17)), Err(TokenError::TooMany)));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "0123456789abcdef").unwrap();
        for (mode, fine) in [(0o600, true), (0o640, true), (0o644, false), (0o602, false)] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Tokens::read(file.path()).is_ok(), fine, "{mode:o}");
        }
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(file.path(), "a".repeat(20 << 10)).unwrap();
        assert!(matches!(Tokens::read(file.path()), Err(TokenError::TooMany)));
    }
}
