//! What an answer says about itself: a refusal, a page for people, the content that it stands for.

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap};
use serde::Deserialize;
use trust::host::printable_cut;

/// Longest part of a server's words that is shown, characters.
const MAX_WORDS_LEN: usize = 300;
/// Longest code.
const MAX_CODE_LEN: usize = 64;

/// A refusal in the words of the server, made harmless for a terminal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Refusal {
    /// Slug of docs/errors.md, if the server gave one.
    pub code: Option<String>,
    /// What went wrong.
    pub words: Option<String>,
    /// What the server says to do about it.
    pub hint: Option<String>,
}

/// `application/problem+json` (RFC 9457), as far as it is read.
#[derive(Default, Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    code: Option<String>,
    hint: Option<String>,
}

impl Refusal {
    /// Reads the body of a refusal; anything but a problem object says nothing.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let Problem { title, detail, code, hint } = serde_json::from_slice(body).unwrap_or_default();
        let shown = |words: String| {
            Some(printable_cut(words.trim(), MAX_WORDS_LEN)).filter(|words| !words.is_empty())
        };
        Self {
            code: code.filter(|code| is_slug(code)),
            words: detail.and_then(shown).or(title.and_then(shown)),
            hint: hint.and_then(shown),
        }
    }
}

/// A slug of docs/errors.md, and not something else that would stand in our output.
fn is_slug(text: &str) -> bool {
    (1..=MAX_CODE_LEN).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Whether a status says no. Of the others, only 2xx says yes: the interface has no redirects.
#[must_use]
pub fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// Why a request failed, without the URL. The cause at the bottom says most: "connection refused" instead of "error
/// sending request".
#[must_use]
pub fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    words_of(&cause.to_string())
}

/// A cause in words for those who do not know the library that said it.
fn words_of(cause: &str) -> String {
    if cause.contains("InvalidContentType") {
        "the server does not speak TLS on this port; check the scheme and the port of the URL".to_owned()
    } else {
        printable_cut(cause.trim(), MAX_WORDS_LEN)
    }
}

/// Whether an answer is a page for people: a portal answers everything with its own.
#[must_use]
pub fn is_web_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("text/html")
}

/// Whether an answer stands for the content with this digest (SHA-256, hex), which is the strong `ETag` of images.
#[must_use]
pub fn has_etag(headers: &HeaderMap, sha256: &str) -> bool {
    let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok());
    tag.and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"')) == Some(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_and_made_harmless() {
        let body =
            br#"{"title": "t", "detail": "d\u001b[2J", "code": "release-unknown", "hint": " ask\u202e "}"#;
        let refusal = Refusal::read(body);
        assert_eq!(refusal.code.as_deref(), Some("release-unknown"));
        assert_eq!(refusal.words.as_deref(), Some("d\\u{1b}[2J"));
        assert_eq!(refusal.hint.as_deref(), Some("ask\\u{202e}"));
        assert_eq!(Refusal::read(br#"{"title": "t", "hint": " "}"#).words.as_deref(), Some("t"));
        for nothing in [&b""[..], b"<html>", b"{}", b"[]", br#"{"code": "Not A Slug", "detail": ""}"#] {
            assert_eq!(Refusal::read(nothing), Refusal::default(), "{nothing:?}");
        }
        let long = format!(r#"{{"detail": "{}", "code": "{}"}}"#, "a".repeat(400), "a".repeat(65));
        let long = Refusal::read(long.as_bytes());
        assert_eq!((long.code, long.words.map(|words| words.len())), (None, Some(303)));
    }

    #[test]
    fn a_cause_is_in_words() {
        let of_rustls = "received corrupt message of type InvalidContentType";
        assert!(words_of(of_rustls).contains("does not speak TLS"));
        assert_eq!(words_of("connection refused\u{1b}"), "connection refused\\u{1b}");
    }

    #[test]
    fn an_etag_is_the_whole_digest() {
        let headers = |tag: &str| HeaderMap::from_iter([(ETAG, tag.parse().unwrap())]);
        assert!(has_etag(&headers("\"00ff\""), "00ff"));
        for other in ["00ff", "W/\"00ff\"", "\"00fe\"", "\"00ff", "\"\"", "\""] {
            assert!(!has_etag(&headers(other), "00ff"), "{other}");
        }
        assert!(!has_etag(&HeaderMap::new(), "00ff"));
    }

    #[test]
    fn a_portal_is_told_from_a_server() {
        let headers = |kind: &str| HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]);
        assert!(is_web_page(&headers("Text/HTML; charset=utf-8")));
        assert!(!is_web_page(&headers("application/json")) && !is_web_page(&HeaderMap::new()));
        assert!(is_refusal(StatusCode::NOT_FOUND) && is_refusal(StatusCode::BAD_GATEWAY));
        assert!(!is_refusal(StatusCode::FOUND) && !is_refusal(StatusCode::CREATED));
    }
}
