//! The tokens that permit writing, or reporting only: read from a file that others cannot read, kept as digests, compared in constant
//! time (RFC 6750 for their form).

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
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
    /// Its mode is that of a device or a folder, and no secret's.
    #[error("it is not a file")]
    NotAFile,
    /// A secret that everybody may read or replace is none.
    #[error("everybody on this machine can read or change it (mode {mode:04o}); run: chmod 600 {path}")]
    WorldAccessible {
        /// Its permission bits.
        mode: u32,
        /// The file, for the command to run.
        path: String,
    },
    #[error(
        "line {line} is neither a token nor `report TOKEN`: a token has at least {MIN_TOKEN_LEN} characters of A-Z a-z 0-9 - . _ ~ + / ="
    )]
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

/// What a token permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// To register devices and report their events: for technicians.
    Report,
    /// Everything that writes: for publishers.
    Write,
}

/// The word before a token that permits reports only.
const REPORT: &str = "report";

/// The tokens. Several are there so that one can be changed without a gap.
#[derive(Clone)]
pub struct Tokens {
    digests: Vec<([u8; 32], Permission)>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.digests.len())
    }
}

impl Tokens {
    /// Reads a token file: one token a line, after the word `report` where it permits reports only; empty lines and lines that begin with `#` do not count.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let mut file = File::open(path)?;
        // Of the file that was opened, not of what the path may name a moment later.
        let metadata = file.metadata()?;
        if !metadata.is_file() && !metadata.file_type().is_fifo() {
            return Err(TokenError::NotAFile);
        }
        let mode = metadata.mode() & 0o7777;
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
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (token, permission) = match line.split_once(char::is_whitespace) {
                Some((REPORT, token)) => (token.trim_start(), Permission::Report),
                _ => (line, Permission::Write),
            };
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
            if token.len() < MIN_TOKEN_LEN || !token.bytes().all(allowed) {
                return Err(TokenError::Malformed { line: index + 1 });
            }
            digests.push((Sha256::digest(token).into(), permission));
        }
        match digests.len() {
            0 => Err(TokenError::Empty),
            1..=MAX_TOKENS => Ok(Self { digests }),
            _ => Err(TokenError::TooMany),
        }
    }

    /// What `token` permits; `None` when it is none of them. Takes the same time whichever it is, and however much
    /// of it is right.
    pub fn permission(&self, token: &[u8]) -> Option<Permission> {
        let offered: [u8; 32] = Sha256::digest(token).into();
        let among = |permission| -> bool {
            let digests = self.digests.iter();
            let found = digests.fold(Choice::from(0), |found, (digest, permitted)| {
                found | (digest.ct_eq(&offered) & Choice::from(u8::from(*permitted == permission)))
            });
            found.into()
        };
        // Both are looked for, whatever is found.
        match (among(Permission::Write), among(Permission::Report)) {
            (true, _) => Some(Permission::Write),
            (false, true) => Some(Permission::Report),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn any_of_the_tokens_permits_and_nothing_else_does() {
        let text = "# old\n0123456789abcdef\n\n  fedcba9876543210  \nreport  technician-123456\n";
        let tokens = Tokens::parse(text).unwrap();
        assert_eq!(tokens.permission(b"0123456789abcdef"), Some(Permission::Write));
        assert_eq!(tokens.permission(b"fedcba9876543210"), Some(Permission::Write));
        assert_eq!(tokens.permission(b"technician-123456"), Some(Permission::Report));
        for wrong in [
            "",
            "# old",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789ABCDEF",
            "report technician-123456",
        ] {
            assert_eq!(tokens.permission(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(format!("{tokens:?}"), "Tokens(3)", "no token in a log");
    }

    #[test]
    fn bad_token_files_are_refused() {
        assert!(matches!(Tokens::parse("# nothing\n"), Err(TokenError::Empty)));
        assert!(matches!(Tokens::parse("\nshort"), Err(TokenError::Malformed { line: 2 })));
        for line in ["two words in a line", "write 0123456789abcdef", "report short", "report"] {
            assert!(matches!(Tokens::parse(line), Err(TokenError::Malformed { line: 1 })), "{line}");
        }
        for path in ["/dev/null", "/"] {
            assert!(matches!(Tokens::read(Path::new(path)), Err(TokenError::NotAFile)), "{path}");
        }
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
