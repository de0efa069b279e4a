//! How the clients of an update-server reach it, and how far they believe it (docs/server-api.md): its URL, the
//! authorities that certify it, the token, and refusals (RFC 9457).
//!
//! An answer comes from whatever answers at that address: a portal, a proxy, another server. Nothing here decides
//! anything; each client holds an answer against what it asked for.
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

mod answer;
mod waiting;

use std::fmt;

use reqwest::header::HeaderValue;
use reqwest::{Certificate, Client, ClientBuilder, Url, redirect};
use trust::host::without_mark;
use zeroize::Zeroizing;

pub use answer::{Refusal, cause, has_etag, is_refusal, is_web_page};
pub use trust::host::transfer_time;
pub use waiting::{waited_for, waited_for_once_sent, waiting_for};

/// Longest file of certificates, bytes: that of a whole system has a quarter of it.
pub const MAX_CA_FILE_LEN: u64 = 1024 * 1024;
/// Longest JSON answer that is read, bytes.
pub const MAX_JSON_LEN: u64 = 64 * 1024;

/// Why a text is not the URL of a server. It does not quote the text, which may contain a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UrlError {
    /// Not a URL at all.
    Syntax,
    /// Another scheme than http or https, or no host.
    Scheme,
    /// A user name or a password: it would be sent beside the token, and shown.
    User,
    /// A query or a fragment: paths are added to the URL.
    Query,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "it is not a URL",
            Self::Scheme => "it does not begin with http:// or https:// and a host",
            Self::User => "it contains a user name or a password",
            Self::Query => "it contains a query or a fragment",
        })
    }
}

impl std::error::Error for UrlError {}

/// The URL of a server.
///
/// # Errors
/// [`UrlError`]
pub fn parse_url(text: &str) -> Result<Url, UrlError> {
    let url = Url::parse(text).map_err(|_| UrlError::Syntax)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        Err(UrlError::Scheme)
    } else if !url.username().is_empty() || url.password().is_some() {
        Err(UrlError::User)
    } else if url.query().is_some() || url.fragment().is_some() {
        Err(UrlError::Query)
    } else {
        Ok(url)
    }
}

/// A path below the URL of a server. Each segment is percent-encoded, so that a serial cannot leave its place.
#[must_use]
pub fn url_of(server: &Url, segments: &[&str]) -> Url {
    let mut url = server.clone();
    // A URL with a host has a path.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// Whether the server is this machine: what is sent there needs neither a proxy nor encryption.
#[must_use]
pub fn is_local(server: &Url) -> bool {
    server.host_str().is_some_and(is_loopback)
}

/// Whether a token would travel unencrypted to another machine.
#[must_use]
pub fn exposes_token(server: &Url) -> bool {
    server.scheme() == "http" && !is_local(server)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The certificates of a PEM file, at least one; `None` when there is none, or one that cannot be read.
#[must_use]
pub fn authorities(file: &[u8]) -> Option<Vec<Certificate>> {
    Certificate::from_pem_bundle(without_mark(file)).ok().filter(|certificates| !certificates.is_empty())
}

/// A client for one server: no redirects, no proxy to this machine, and the given authorities instead of the system's.
pub fn client(server: &Url, authorities: Option<Vec<Certificate>>) -> ClientBuilder {
    // Installed explicitly: which cryptography speaks TLS is not left to features. A second call is one too many.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    // The interface has no redirects, and a token is for the server that was named.
    let mut builder = Client::builder().redirect(redirect::Policy::none()).tcp_nodelay(true);
    if is_local(server) {
        builder = builder.no_proxy();
    }
    if let Some(authorities) = authorities {
        builder = builder.tls_certs_only(authorities);
    }
    builder
}

/// `Authorization` with a token (RFC 6750 section 2.1), which no log shows. `None` for a text that no header holds.
#[must_use]
pub fn bearer(token: &str) -> Option<HeaderValue> {
    let value = Zeroizing::new([b"Bearer ", token.as_bytes()].concat());
    let mut value = HeaderValue::from_bytes(&value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_server() {
        for good in ["http://localhost:8080", "https://updates.example.com/base/"] {
            assert!(parse_url(good).is_ok(), "{good}");
        }
        for (bad, error) in [
            ("updates.example.com", UrlError::Syntax),
            ("", UrlError::Syntax),
            ("ftp://example.com", UrlError::Scheme),
            ("file:///etc/passwd", UrlError::Scheme),
            ("https://me@example.com", UrlError::User),
            ("https://:secret@example.com", UrlError::User),
            ("https://example.com/?a", UrlError::Query),
            ("https://example.com/#a", UrlError::Query),
        ] {
            assert_eq!(parse_url(bad), Err(error), "{bad}");
        }
    }

    #[test]
    fn a_path_stays_below_the_url() {
        for base in ["http://h/base", "http://h/base/"] {
            let url = url_of(&parse_url(base).unwrap(), &["v1", "devices", "../a b?#"]);
            assert_eq!(url.as_str(), "http://h/base/v1/devices/..%2Fa%20b%3F%23");
        }
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for host in ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"] {
            let url = parse_url(&format!("http://{host}:1")).unwrap();
            assert!(is_local(&url) && !exposes_token(&url), "{host}");
        }
        for host in ["192.0.2.1", "localhost.example", "128.0.0.1"] {
            let url = parse_url(&format!("http://{host}:1")).unwrap();
            assert!(!is_local(&url) && exposes_token(&url), "{host}");
            assert!(!exposes_token(&parse_url(&format!("https://{host}")).unwrap()), "{host}");
        }
    }

    #[test]
    fn a_token_is_one_header() {
        assert!(bearer("0123456789abcdef").unwrap().is_sensitive());
        assert_eq!(bearer("two\nlines"), None);
    }

    #[test]
    fn a_file_without_certificate_names_no_authority() {
        for bad in [&b""[..], b"words", b"-----BEGIN CERTIFICATE-----\nAAAA\n"] {
            assert!(authorities(bad).is_none(), "{bad:?}");
        }
    }
}
