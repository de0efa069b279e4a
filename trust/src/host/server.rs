//! What the clients of an update-server share: its token file, which addresses are this machine, how slow a line may be.

use std::time::Duration;

use super::without_mark;

/// Fewest characters of a token.
pub const MIN_TOKEN_LEN: usize = 16;
/// Slowest line over which an image is still moved.
const MIN_BYTES_PER_SECOND: u64 = 8 * 1024;
/// For a request with a small body, the server's disk included.
const SMALL_TRANSFER: Duration = Duration::from_secs(60);

/// Why a token file cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenFileError {
    /// A line, counted from 1, is not a token.
    Malformed(usize),
    /// It holds no token.
    Empty,
}

impl std::error::Error for TokenFileError {}

impl std::fmt::Display for TokenFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(line) => write!(
                f,
                "line {line} is not a token: at least {MIN_TOKEN_LEN} characters of A-Z a-z 0-9 - . _ ~ + / ="
            ),
            Self::Empty => f.write_str("it holds no token"),
        }
    }
}

/// The tokens of a file (RFC 6750 for their form): one a line; empty lines and lines that begin with `#` are skipped.
///
/// # Errors
/// [`TokenFileError`]
pub fn read_tokens(file: &[u8]) -> Result<Vec<&str>, TokenFileError> {
    let mut tokens = Vec::new();
    for (index, line) in without_mark(file).split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
        match std::str::from_utf8(line) {
            Ok(token) if token.len() >= MIN_TOKEN_LEN && line.iter().all(allowed) => tokens.push(token),
            _ => return Err(TokenFileError::Malformed(index.saturating_add(1))),
        }
    }
    if tokens.is_empty() { Err(TokenFileError::Empty) } else { Ok(tokens) }
}

/// Whether the host of a URL is this machine: what is sent there needs neither a proxy nor encryption.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The longest time that moving so many bytes to or from a server may take.
#[must_use]
pub const fn transfer_time(bytes: u64) -> Duration {
    SMALL_TRANSFER.saturating_add(Duration::from_secs(bytes / MIN_BYTES_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_has_one_token_a_line() {
        let file = b"\xef\xbb\xbf# old\r\n0123456789abcdef\r\n\n  fedcba9876543210  \n";
        assert_eq!(read_tokens(file), Ok(vec!["0123456789abcdef", "fedcba9876543210"]));
        assert_eq!(read_tokens(b"\n# nothing\n"), Err(TokenFileError::Empty));
        for (bad, line) in
            [(&b"0123456789abcdef\nshort"[..], 2), (b"two words in a line", 1), (b"0123456789abcdef\xff", 1)]
        {
            assert_eq!(read_tokens(bad), Err(TokenFileError::Malformed(line)));
        }
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for host in ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["192.0.2.1", "localhost.example", "", "128.0.0.1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_large_transfer_may_take_longer() {
        assert_eq!(transfer_time(0), Duration::from_secs(60));
        assert_eq!(transfer_time(8 * 1024 * 100), Duration::from_secs(160));
    }
}
