//! Reading the files a person names: every one has a limit, so that a wrong path does not fill the memory.

use std::path::Path;

#[cfg(feature = "http")]
use trust::host::{MAX_KEY_FILE_LEN, without_mark};

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

/// Reads a bearer token: one line of visible ASCII. Its value never appears in a message.
///
/// # Errors
/// As [`read`], and [`Error::TokenFile`].
#[cfg(feature = "http")]
pub(crate) fn read_token(path: &Path) -> Result<String, Error> {
    let unusable = || Error::TokenFile(path.to_owned());
    let file = read(path, MAX_KEY_FILE_LEN)?;
    let text = std::str::from_utf8(without_mark(&file)).map_err(|_| unusable())?;
    let token = text.trim();
    let usable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if usable { Ok(token.to_owned()) } else { Err(unusable()) }
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
    fn a_token_is_one_visible_line() {
        assert_eq!(read_token(file(b"  abc123\n").path()).unwrap(), "abc123");
        assert_eq!(read_token(file(b"\xef\xbb\xbfabc123\r\n").path()).unwrap(), "abc123");
        for bad in [&b"two words"[..], b"\n", b"a\nb", b"\xff", b"a\x00b"] {
            let error = read_token(file(bad).path()).unwrap_err();
            assert!(matches!(error, Error::TokenFile(_)), "{bad:?}");
            assert_eq!(error.exit_code(), 4);
        }
    }
}
