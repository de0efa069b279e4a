//! Files are read up to a limit, so that a wrong path does not fill the memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Why a file could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// The system refused.
    Io(io::Error),
    /// The file is longer than the limit, in bytes.
    TooLong(u64),
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::TooLong(_) => None,
        }
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::TooLong(limit) => write!(f, "the file is longer than {limit} bytes"),
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// [`ReadError`]
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    open_limited(path, limit, &mut bytes)?;
    Ok(bytes)
}

/// Appends a whole file of at most `limit` bytes to `bytes`.
///
/// # Errors
/// [`ReadError`]; `bytes` may hold a part of the file then.
pub fn open_limited(path: &Path, limit: u64, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
    read_limited(File::open(path)?, limit, bytes)
}

/// The content of a text file without the UTF-8 byte order mark that editors of Windows write.
#[must_use]
pub fn without_mark(file: &[u8]) -> &[u8] {
    file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file)
}

/// Appends everything that `reader` gives to `bytes`, at most `limit` bytes.
///
/// # Errors
/// [`ReadError`]; `bytes` may hold a part then.
pub fn read_limited(reader: impl Read, limit: u64, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
    // One byte more tells a file of the limit from a longer one.
    let count = reader.take(limit.saturating_add(1)).read_to_end(bytes)?;
    if count as u64 > limit { Err(ReadError::TooLong(limit)) } else { Ok(()) }
}
