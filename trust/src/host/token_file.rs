//! The file with bearer tokens (RFC 6750 section 2.1): one token a line, after the word `report` where it permits
//! reports only; empty lines and lines that begin with `#` do not count. The server takes any of its tokens; a client
//! sends the first that permits what it does.

use std::fmt;

use super::without_mark;

/// Longest token file, bytes.
pub const MAX_TOKEN_FILE_LEN: u64 = 16 << 10;
const MIN_TOKEN_LEN: usize = 16;
const MAX_TOKENS: usize = 16;
/// The word before a token that permits reports only.
const REPORT: &[u8] = b"report";

/// What a token permits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenPermission {
    /// To register devices and report their events: for technicians.
    Report,
    /// Everything that writes: for publishers.
    Write,
}

/// Why a file holds no usable token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenFileError {
    /// A line is too short, or has other characters than a bearer token. Lines count from 1.
    Malformed {
        /// Counted from 1.
        line: usize,
    },
    /// A line permits another thing to a token than an earlier line does. Lines count from 1.
    Contradicts {
        /// Counted from 1.
        line: usize,
    },
    /// No line counts.
    Empty,
    /// More than are needed to change over.
    TooMany,
    /// For a program that writes: no token permits it.
    ReportOnly,
}

impl std::error::Error for TokenFileError {}

impl fmt::Display for TokenFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { line } => {
                write!(
                    f,
                    "line {line} is neither a token nor `report TOKEN`: a token has at least {MIN_TOKEN_LEN} characters of A-Z a-z 0-9 - . _ ~ + / ="
                )
            }
            Self::Contradicts { line } => write!(
                f,
                "line {line} holds the token of an earlier line, once with `report` and once without: remove one of them"
            ),
            Self::Empty => f.write_str("it holds no token; for one, run: openssl rand -hex 32"),
            Self::TooMany => write!(f, "it holds more than {MAX_TOKENS} tokens"),
            Self::ReportOnly => f.write_str("its tokens permit reports only"),
        }
    }
}

/// The tokens of a file and what each permits, in its order: 1 to 16.
///
/// # Errors
/// [`TokenFileError`]; no message quotes what the file holds.
pub fn read_tokens(file: &[u8]) -> Result<Vec<(&str, TokenPermission)>, TokenFileError> {
    let mut tokens = Vec::new();
    for (number, line) in (1..).zip(without_mark(file).split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let (line, permission) = match line.strip_prefix(REPORT) {
            Some(rest) if rest.starts_with(b" ") || rest.starts_with(b"\t") => {
                (rest.trim_ascii_start(), TokenPermission::Report)
            }
            _ => (line, TokenPermission::Write),
        };
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
        let token = str::from_utf8(line).ok().filter(|_| line.iter().all(allowed));
        let token = token.filter(|token| token.len() >= MIN_TOKEN_LEN);
        let token = token.ok_or(TokenFileError::Malformed { line: number })?;
        if tokens.iter().any(|(other, permitted)| *other == token && *permitted != permission) {
            return Err(TokenFileError::Contradicts { line: number });
        }
        tokens.push((token, permission));
    }
    match tokens.len() {
        0 => Err(TokenFileError::Empty),
        1..=MAX_TOKENS => Ok(tokens),
        _ => Err(TokenFileError::TooMany),
    }
}

/// The first token that permits writing.
///
/// # Errors
/// As [`read_tokens`], and [`TokenFileError::ReportOnly`].
pub fn read_write_token(file: &[u8]) -> Result<&str, TokenFileError> {
    let tokens = read_tokens(file)?;
    let permitted = tokens.into_iter().find(|(_, permission)| *permission == TokenPermission::Write);
    permitted.map(|(token, _)| token).ok_or(TokenFileError::ReportOnly)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_a_line_and_comments() {
        let file =
            b"\xef\xbb\xbf# old\r\n0123456789abcdef\r\n\n  fedcba9876543210==  \nreport  technician-123456\n";
        let tokens = [
            ("0123456789abcdef", TokenPermission::Write),
            ("fedcba9876543210==", TokenPermission::Write),
            ("technician-123456", TokenPermission::Report),
        ];
        assert_eq!(read_tokens(file), Ok(tokens.to_vec()));
    }

    #[test]
    fn other_lines_are_refused_by_their_number() {
        assert_eq!(read_tokens(b"# nothing\n"), Err(TokenFileError::Empty));
        assert_eq!(read_tokens(b""), Err(TokenFileError::Empty));
        let second = Err(TokenFileError::Malformed { line: 2 });
        for line in [
            &b"short"[..],
            b"two words in a line",
            b"write 0123456789abcdef",
            b"report short",
            b"report",
            b"0123456789abcde\x00",
            b"0123456789abcde\xff",
        ] {
            assert_eq!(read_tokens(&[b"0123456789abcdef\n", line].concat()), second, "{line:?}");
        }
        assert_eq!(read_tokens(&b"0123456789abcdef\n".repeat(16)).map(|tokens| tokens.len()), Ok(16));
        // Whoever adds `report` to take a permission away has not taken it away.
        let both = b"report 0123456789abcdef\n# old\n0123456789abcdef\n";
        assert_eq!(read_tokens(both), Err(TokenFileError::Contradicts { line: 3 }));
        assert_eq!(read_tokens(&b"0123456789abcdef\n".repeat(17)), Err(TokenFileError::TooMany));
    }
}
