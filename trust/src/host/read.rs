//! Files are read up to a limit, so that a wrong path does not fill the memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

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

/// Reads a file of a folder, of at most `limit` bytes: as [`read`], but nothing else than a file. A pipe in its place would
/// be waited for.
///
/// # Errors
/// [`ReadError`]
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    read_opened(&open_file(path)?, limit, &mut bytes)?;
    Ok(bytes)
}

/// Opens a file of a folder to read it, and nothing else than a file.
///
/// # Errors
/// What the system said, or what lies in its place.
pub fn open_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits());
    }
    let file = options.open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() {
        let why = format!("it is {}, not a file", super::kind_of(kind));
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(file)
}

/// Appends a whole file of at most `limit` bytes to `bytes`.
///
/// # Errors
/// [`ReadError`]; `bytes` may hold a part of the file then.
pub fn open_limited(path: &Path, limit: u64, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
    read_opened(&File::open(path)?, limit, bytes)
}

/// What is no file, such as a pipe, has no length.
fn read_opened(file: &File, limit: u64, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
    let len = file.metadata().ok().filter(std::fs::Metadata::is_file).map_or(0, |metadata| metadata.len());
    read_of_len(file, len, limit, bytes)
}

/// Reads what had `len` bytes when it was opened. One that is shorter by then is being written anew, and half of a file is none;
/// a log that grows is whole.
fn read_of_len(reader: impl Read, len: u64, limit: u64, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
    // Memory at once, since to grow in steps is to copy; and a byte more, at which the end is found.
    bytes.reserve(usize::try_from(len.min(limit)).unwrap_or_default().saturating_add(1));
    let before = bytes.len();
    read_limited(reader, limit, bytes)?;
    if (bytes.len().saturating_sub(before) as u64) < len {
        return Err(io::Error::other("another program writes it: it got shorter while it was read").into());
    }
    Ok(())
}

/// Whether these bytes stand somewhere in a file.
#[must_use]
pub fn contains(file: &[u8], bytes: &[u8]) -> bool {
    memchr::memmem::find(file, bytes).is_some()
}

/// The content of a text file without the UTF-8 byte order mark that editors of Windows write.
#[must_use]
pub fn without_mark(file: &[u8]) -> &[u8] {
    file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file)
}

/// A byte order of UTF-16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// So many bytes of a file tell whether it is UTF-16.
pub(super) const ORDER_LEN: usize = 32;

/// The byte order of a text in UTF-16, as some editors and shells of Windows write it: by its mark, or, without one,
/// by the zeros between the characters of ASCII.
pub(super) fn utf16_order(file: &[u8]) -> Option<ByteOrder> {
    let is_text = |byte: u8| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r');
    match file {
        [0xff, 0xfe, ..] => Some(ByteOrder::Little),
        [0xfe, 0xff, ..] => Some(ByteOrder::Big),
        [_, _, _, _, ..] => {
            let start = || file.as_chunks().0.iter().take(ORDER_LEN / 2);
            let little = start().all(|pair| matches!(*pair, [low, 0] if is_text(low)));
            let big = start().all(|pair| matches!(*pair, [0, low] if is_text(low)));
            little.then_some(ByteOrder::Little).or(big.then_some(ByteOrder::Big))
        }
        _ => None,
    }
}

/// Whether a file is a text in UTF-16, with or without a byte order mark.
pub(super) fn is_utf16(file: &[u8]) -> bool {
    utf16_order(file).is_some()
}

/// A text in UTF-16 as UTF-8; `None` for every other file. It may be a private key, so it is wiped.
pub(super) fn from_utf16(file: &[u8]) -> Option<Zeroizing<String>> {
    let order = utf16_order(file)?;
    let units = file.as_chunks().0.iter().map(|pair| match order {
        ByteOrder::Little => u16::from_le_bytes(*pair),
        ByteOrder::Big => u16::from_be_bytes(*pair),
    });
    // A character of UTF-16 takes at most three bytes of UTF-8 for its two: the text is never copied unwiped.
    let mut text = Zeroizing::new(String::with_capacity(file.len().saturating_mul(2)));
    text.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    Some(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_gets_shorter_is_not_read_in_half() {
        let read = |content: &[u8], len, limit| {
            let mut bytes = b"before".to_vec();
            read_of_len(content, len, limit, &mut bytes).map(|()| bytes)
        };
        assert_eq!(read(b"whole", 5, 9).unwrap(), b"beforewhole");
        assert_eq!(read(b"whole, and grown", 5, 99).unwrap(), b"beforewhole, and grown");
        assert!(
            matches!(read(b"half", 5, 9), Err(ReadError::Io(error)) if error.to_string().contains("shorter"))
        );
        assert!(matches!(read(b"too long", 5, 7), Err(ReadError::TooLong(7))));
        // A pipe says no length.
        assert_eq!(read(b"piped", 0, 9).unwrap(), b"beforepiped");
    }
}
