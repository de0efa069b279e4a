//! Reading the files a person names: every one has a limit, so that a wrong path does not fill the memory.

use std::path::Path;

#[cfg(feature = "http")]
use trust::host::{MAX_TOKEN_FILE_LEN, read_tokens};

use crate::error::Error;

/// Longest image that is read, bytes: what the address of an image download can name (docs/can-protocol.md).
pub(crate) const MAX_IMAGE_LEN: u64 = 0x0FFF_FFFF;

/// Reads a file of 1 to `limit` bytes.
///
/// # Errors
/// [`Error::Read`], [`Error::FileEmpty`]
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let bytes = trust::host::read(path, limit).map_err(|error| Error::read(path, error))?;
    if bytes.is_empty() {
        return Err(Error::FileEmpty(path.to_owned()));
    }
    Ok(bytes)
}

/// The same of a file in a folder that a person names: nothing else in its place is read.
///
/// # Errors
/// As [`read`]
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let bytes = trust::host::read_file(path, limit).map_err(|error| Error::read(path, error))?;
    if bytes.is_empty() {
        return Err(Error::FileEmpty(path.to_owned()));
    }
    Ok(bytes)
}

/// Reads a bearer token: the first of a token file, the server's own serves too. Its value never appears in a message.
///
/// # Errors
/// As [`read`], and [`Error::TokenFile`].
#[cfg(feature = "http")]
pub(crate) fn read_token(path: &Path) -> Result<String, Error> {
    let file = read(path, MAX_TOKEN_FILE_LEN)?;
    let unusable = |source| Error::TokenFile { path: path.to_owned(), source };
    let tokens = read_tokens(&file).map_err(unusable)?;
    Ok(tokens.first().map(|(token, _)| (*token).to_owned()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use trust::host::ReadError;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn a_file_has_a_limit_and_is_not_empty() {
        assert_eq!(read(file(b"1234").path(), 4).unwrap(), b"1234");
        assert!(matches!(
            read(file(b"12345").path(), 4),
            Err(Error::Read { source: ReadError::TooLong(4), .. })
        ));
        assert!(matches!(read(file(b"").path(), 4), Err(Error::FileEmpty(_))));
        assert!(matches!(
            read(Path::new("/nowhere/at/all"), 4),
            Err(Error::Read { source: ReadError::Io(_), .. })
        ));
    }

    #[cfg(feature = "http")]
    #[test]
    fn the_first_token_of_the_servers_file_counts() {
        let both = b"# new\n0123456789abcdef\nfedcba9876543210\n";
        assert_eq!(read_token(file(both).path()).unwrap(), "0123456789abcdef");
        for bad in [&b"two words in a line"[..], b"# none\n", b"short", b"0123456789abcdef\xff"] {
            let error = read_token(file(bad).path()).unwrap_err();
            assert_eq!((error.code().as_str(), error.exit_code()), ("token-invalid", 4), "{bad:?}");
        }
    }
}
