//! The tokens that permit writing, or reporting only: read from a file that others cannot read, kept as digests, compared in constant
//! time (RFC 6750 for their form).

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use trust::host::{
    MAX_TOKEN_FILE_LEN, ReadError, TokenFileError, TokenPermission, read_limited, read_tokens,
};

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
    #[error("it is longer than {MAX_TOKEN_FILE_LEN} bytes")]
    TooLong,
    #[error("{0}")]
    Content(#[from] TokenFileError),
}

/// The tokens. Several are there so that one can be changed without a gap.
#[derive(Clone)]
pub struct Tokens {
    digests: Vec<([u8; 32], TokenPermission)>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.digests.len())
    }
}

impl Tokens {
    /// Reads a token file, as [`read_tokens`] describes it.
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
        read_limited(&mut file, MAX_TOKEN_FILE_LEN, &mut bytes).map_err(|error| match error {
            ReadError::Io(error) => TokenError::Io(error),
            ReadError::TooLong(_) => TokenError::TooLong,
        })?;
        Self::parse(&bytes)
    }

    fn parse(file: &[u8]) -> Result<Self, TokenError> {
        let tokens = read_tokens(file)?.into_iter();
        let digests = tokens.map(|(token, permission)| (Sha256::digest(token).into(), permission));
        Ok(Self { digests: digests.collect() })
    }

    /// What `token` permits; `None` when it is none of them. Takes the same time whichever it is, and however much
    /// of it is right.
    pub fn permission(&self, token: &[u8]) -> Option<TokenPermission> {
        let offered: [u8; 32] = Sha256::digest(token).into();
        let among = |permission| -> bool {
            let digests = self.digests.iter();
            let found = digests.fold(Choice::from(0), |found, (digest, permitted)| {
                found | (digest.ct_eq(&offered) & Choice::from(u8::from(*permitted == permission)))
            });
            found.into()
        };
        // Both are looked for, whatever is found.
        match (among(TokenPermission::Write), among(TokenPermission::Report)) {
            (true, _) => Some(TokenPermission::Write),
            (false, true) => Some(TokenPermission::Report),
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
        let tokens = Tokens::parse(text.as_bytes()).unwrap();
        assert_eq!(tokens.permission(b"0123456789abcdef"), Some(TokenPermission::Write));
        assert_eq!(tokens.permission(b"fedcba9876543210"), Some(TokenPermission::Write));
        assert_eq!(tokens.permission(b"technician-123456"), Some(TokenPermission::Report));
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
        let second = TokenError::Content(TokenFileError::Malformed { line: 2 });
        assert_eq!(Tokens::parse(b"\nshort").unwrap_err().to_string(), second.to_string());
        for path in ["/dev/null", "/"] {
            assert!(matches!(Tokens::read(Path::new(path)), Err(TokenError::NotAFile)), "{path}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "0123456789abcdef").unwrap();
        for (mode, fine) in [(0o600, true), (0o640, true), (0o644, false), (0o602, false)] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Tokens::read(file.path()).is_ok(), fine, "{mode:o}");
        }
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(file.path(), "a".repeat(20 << 10)).unwrap();
        assert!(matches!(Tokens::read(file.path()), Err(TokenError::TooLong)));
    }
}
