//! PEM (RFC 7468) as people keep it: with a byte order mark, CRLF, blank lines, and text around the block.

use base64ct::{Base64, Encoding as _};

use super::read::{is_utf16, without_mark};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Why a text is not one PEM block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PemError {
    /// There is no `-----BEGIN ` in it.
    Absent,
    /// UTF-16, as some editors and shells of Windows write it.
    Utf16,
    /// Not UTF-8.
    NotText,
    /// The line that ends the block is missing, or names something else.
    Unfinished,
    /// The block has header lines: the form that OpenSSL encrypted keys in before PKCS#8.
    Headers,
    /// The content is not base64.
    Base64,
    /// More than one block.
    Several,
}

impl PemError {
    /// One sentence about "it", without a full stop.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Absent => "it is not PEM",
            Self::Utf16 => "it is UTF-16 text; PEM is ASCII",
            Self::NotText => "it contains bytes that are not text",
            Self::Unfinished => "its last line is missing or names another block",
            Self::Headers => "it is encrypted in the old form of OpenSSL, not as PKCS#8",
            Self::Base64 => "its content is not base64: it was changed or cut",
            Self::Several => "it contains more than one PEM block",
        }
    }
}

/// One block, borrowed from the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pem<'a> {
    label: &'a str,
    body: &'a str,
}

impl<'a> Pem<'a> {
    /// Finds the only block in a file.
    ///
    /// # Errors
    /// [`PemError`]; the content is looked at by [`Pem::decode`] only.
    pub fn find(file: &'a [u8]) -> Result<Self, PemError> {
        let blocks = Self::find_all(file)?;
        match blocks[..] {
            [block] => Ok(block),
            [] => Err(PemError::Absent),
            _ => Err(PemError::Several),
        }
    }

    /// Finds all blocks in a file, with whatever text lies before, between and after them.
    ///
    /// # Errors
    /// [`PemError`], but for [`PemError::Absent`] and [`PemError::Several`].
    pub fn find_all(file: &'a [u8]) -> Result<Vec<Self>, PemError> {
        if is_utf16(file) {
            return Err(PemError::Utf16);
        }
        let mut text = std::str::from_utf8(without_mark(file)).map_err(|_| PemError::NotText)?;
        let mut blocks = Vec::new();
        while let Some((_, rest)) = text.split_once(BEGIN) {
            let (label, rest) = rest.split_once(DASHES).ok_or(PemError::Unfinished)?;
            let (body, rest) = rest.split_once(END).ok_or(PemError::Unfinished)?;
            let (end, rest) = rest.split_once(DASHES).ok_or(PemError::Unfinished)?;
            if label != end || label.contains(['\n', '\r']) {
                return Err(PemError::Unfinished);
            }
            blocks.push(Self { label, body });
            text = rest;
        }
        Ok(blocks)
    }

    /// What stands after BEGIN and END, such as `PUBLIC KEY`.
    #[must_use]
    pub fn label(&self) -> &'a str {
        self.label
    }

    /// True for every kind of private key: `PRIVATE KEY`, `ENCRYPTED PRIVATE KEY`, `EC PRIVATE KEY`, ... (RFC 7468
    /// sections 10 and 11).
    #[must_use]
    pub fn is_private_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }

    /// Appends the content to `bytes`, which grows at most once.
    ///
    /// # Errors
    /// [`PemError::Headers`], [`PemError::Base64`]
    pub fn decode(&self, bytes: &mut Vec<u8>) -> Result<(), PemError> {
        if self.body.contains(':') {
            return Err(PemError::Headers);
        }
        let mut digits = Scratch(Vec::with_capacity(self.body.len()));
        digits.0.extend(self.body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
        let start = bytes.len();
        // Four digits make three bytes: more room than is needed.
        bytes.resize(start.saturating_add(digits.0.len()), 0);
        let room = bytes.get_mut(start..).ok_or(PemError::Base64)?;
        let len = Base64::decode(&digits.0, room).map_err(|_| PemError::Base64)?.len();
        bytes.truncate(start.saturating_add(len));
        Ok(())
    }
}

/// Base64 of what may be a private key: wiped.
struct Scratch(Vec<u8>);

impl Drop for Scratch {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}
