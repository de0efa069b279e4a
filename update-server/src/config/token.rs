//! The tokens that permit writing, or reporting only: read from a file that others cannot read, kept as digests, compared in constant
//! time (RFC 6750 for their form).

use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use trust::host::{
    MAX_TOKEN_FILE_LEN, OtherOwner, ReadError, TokenFileError, TokenPermission, kind_of, read_limited,
    read_tokens, refuse_other_owner,
};

const OTHERS: u32 = 0o007;
const GROUP_WRITES: u32 = 0o020;
/// The user who may do everything anyway: services get their secrets from it.
const ROOT: u32 = 0;

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Its mode is that of a device or a folder, and no secret's.
    #[error("it is {kind}, not a file")]
    NotAFile {
        /// What it is, with its article.
        kind: &'static str,
    },
    /// A secret that everybody may read or replace is none.
    #[error("everybody on this machine can read or change it (mode {mode:04o}); run: chmod 600 {path}")]
    WorldAccessible {
        /// Its permission bits.
        mode: u32,
        /// The file, for the command to run.
        path: String,
    },
    /// Its group may read a secret, but not replace it.
    #[error("its group can change it (mode {mode:04o}); run: chmod g-w {path}")]
    GroupWritable {
        /// Its permission bits.
        mode: u32,
        /// The file, for the command to run.
        path: String,
    },
    /// That user can replace it.
    #[error("{source}; run: chown {} {path}", .source.own)]
    OtherOwner {
        source: OtherOwner,
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
        if path.metadata()?.file_type().is_fifo() {
            tracing::info!(path = %path.display(), "reading the tokens from a pipe, once a process writes to it");
        }
        let mut file = File::open(path)?;
        // Of the file that was opened, not of what the path may name a moment later.
        refuse_shared(path, &file.metadata()?)?;
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

/// Refuses a file that others can read or replace, and what is neither a file nor a pipe.
fn refuse_shared(path: &Path, metadata: &Metadata) -> Result<(), TokenError> {
    let kind = metadata.file_type();
    if !kind.is_file() && !kind.is_fifo() {
        return Err(TokenError::NotAFile { kind: kind_of(kind) });
    }
    let path = || path.display().to_string();
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(TokenError::WorldAccessible { mode, path: path() });
    }
    if mode & GROUP_WRITES != 0 {
        return Err(TokenError::GroupWritable { mode, path: path() });
    }
    match refuse_other_owner(metadata) {
        Err(source) if metadata.uid() != ROOT => Err(TokenError::OtherOwner { source, path: path() }),
        Ok(()) | Err(_) => Ok(()),
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
        for (path, expected) in [("/dev/null", "a device"), ("/", "a folder")] {
            let refused = Tokens::read(Path::new(path));
            assert!(matches!(refused, Err(TokenError::NotAFile { kind }) if kind == expected), "{path}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "0123456789abcdef").unwrap();
        for (mode, fine) in [(0o600, true), (0o640, true), (0o644, false), (0o602, false), (0o620, false)] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Tokens::read(file.path()).is_ok(), fine, "{mode:o}");
        }
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(file.path(), "a".repeat(20 << 10)).unwrap();
        assert!(matches!(Tokens::read(file.path()), Err(TokenError::TooLong)));
    }

    #[test]
    fn a_token_file_of_another_user_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "0123456789abcdef").unwrap();
        Tokens::read(file.path()).unwrap();
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(file.path(), Some(12345), None).unwrap();
            let refused = Tokens::read(file.path()).unwrap_err().to_string();
            assert!(refused.contains("uid 12345") && refused.contains("chown 0 "), "{refused}");
        } else {
            // Files of root are fine; one of somebody else can only be looked at.
            let error = refuse_shared(Path::new("x"), &fs::metadata("/proc/1/status").unwrap());
            assert!(matches!(error, Err(TokenError::WorldAccessible { .. })), "{error:?}");
        }
    }
}
