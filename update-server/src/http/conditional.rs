//! Conditional and partial downloads: one strong ETag, `If-None-Match`, `If-Range` and a single byte range
//! (RFC 9110 sections 13 and 14).

use std::ops::Range;

use axum::http::HeaderMap;
use axum::http::header::{HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE};

/// The part of a representation to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it: 200.
    Whole,
    /// These bytes: 206.
    Part(Range<u64>),
    /// Nothing, since none of the bytes asked for exist: 416.
    Unsatisfiable,
    /// Nothing, since the client has it: 304.
    NotModified,
}

/// Decides in the order of RFC 9110 section 13.2.2; `etag` is strong and quoted, `size` is the whole's.
pub(super) fn select(headers: &HeaderMap, etag: &HeaderValue, size: u64) -> Selection {
    if headers.get_all(IF_NONE_MATCH).iter().any(|value| lists(value.as_bytes(), etag.as_bytes())) {
        return Selection::NotModified;
    }
    // If-Range compares strongly; a date never matches, since no Last-Modified is sent.
    if headers.get(IF_RANGE).is_some_and(|value| value != etag) {
        return Selection::Whole;
    }
    let mut ranges = headers.get_all(RANGE).iter();
    match (ranges.next().and_then(|value| value.to_str().ok()), ranges.next()) {
        (Some(range), None) => parse_range(range, size),
        _ => Selection::Whole,
    }
}

/// Whether `If-None-Match` names the ETag. It compares weakly: a prefix `W/` does not count.
fn lists(value: &[u8], etag: &[u8]) -> bool {
    value.trim_ascii() == b"*"
        || value.split(|b| *b == b',').any(|entry| {
            let entry = entry.trim_ascii();
            entry.strip_prefix(b"W/").unwrap_or(entry) == etag
        })
}

/// RFC 9110 section 14.1.2. Anything but one well-formed byte range is ignored, as section 14.2 allows.
fn parse_range(value: &str, size: u64) -> Selection {
    let Some((unit, range)) = value.split_once('=') else { return Selection::Whole };
    let Some((first, last)) = range.trim().split_once('-') else { return Selection::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Selection::Whole;
    }
    let range = match (first, last) {
        ("", suffix) => match position(suffix) {
            Some(length) => size.saturating_sub(length)..size,
            None => return Selection::Whole,
        },
        (first, "") => match position(first) {
            Some(first) => first..size,
            None => return Selection::Whole,
        },
        (first, last) => match (position(first), position(last)) {
            (Some(first), Some(last)) if first <= last => first..size.min(last.saturating_add(1)),
            _ => return Selection::Whole,
        },
    };
    if range.is_empty() { Selection::Unsatisfiable } else { Selection::Part(range) }
}

/// Digits only. A number too long for 64 bits lies beyond every file as surely as the largest one does.
fn position(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use axum::http::header::HeaderName;

    use super::*;

    const ETAG: HeaderValue = HeaderValue::from_static("\"abc\"");

    fn selected(headers: &[(HeaderName, &'static str)]) -> Selection {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        select(&map, &ETAG, 10)
    }

    #[test]
    fn ranges() {
        for (range, expected) in [
            ("bytes=0-0", Selection::Part(0..1)),
            ("bytes=2-5", Selection::Part(2..6)),
            ("bytes=9-", Selection::Part(9..10)),
            ("bytes=5-9999", Selection::Part(5..10)),
            ("bytes=5-99999999999999999999999", Selection::Part(5..10)),
            ("bytes=0-18446744073709551615", Selection::Part(0..10)),
            ("bytes=-3", Selection::Part(7..10)),
            ("bytes=-10", Selection::Part(0..10)),
            ("bytes=-99999999999999999999999", Selection::Part(0..10)),
            ("Bytes=0-", Selection::Part(0..10)),
            ("bytes=10-", Selection::Unsatisfiable),
            ("bytes=10-12", Selection::Unsatisfiable),
            ("bytes=99999999999999999999999-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=5-2", Selection::Whole),
            ("bytes=0-1,3-4", Selection::Whole),
            ("bytes=-", Selection::Whole),
            ("bytes=a-b", Selection::Whole),
            ("bytes=+1-2", Selection::Whole),
            ("bytes=--1", Selection::Whole),
            ("lines=0-1", Selection::Whole),
            ("0-1", Selection::Whole),
            ("", Selection::Whole),
        ] {
            assert_eq!(selected(&[(RANGE, range)]), expected, "{range}");
        }
        assert_eq!(selected(&[(RANGE, "bytes=0-1"), (RANGE, "bytes=3-4")]), Selection::Whole);
        assert_eq!(select(&HeaderMap::new(), &ETAG, 0), Selection::Whole);
    }

    #[test]
    fn nothing_is_satisfiable_in_an_empty_file() {
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static(range))]);
            assert_eq!(select(&headers, &ETAG, 0), Selection::Unsatisfiable, "{range}");
        }
    }

    #[test]
    fn preconditions() {
        for held in ["\"abc\"", "W/\"abc\"", "*", "\"x\", \"abc\"", "\"x\" ,W/\"abc\""] {
            assert_eq!(
                selected(&[(IF_NONE_MATCH, held), (RANGE, "bytes=0-1")]),
                Selection::NotModified,
                "{held}"
            );
        }
        for held in ["\"abcd\"", "abc", "", "\"x\", \"y\""] {
            assert_eq!(selected(&[(IF_NONE_MATCH, held)]), Selection::Whole, "{held}");
        }
        assert_eq!(selected(&[(IF_RANGE, "\"abc\""), (RANGE, "bytes=0-1")]), Selection::Part(0..2));
        for other in ["\"abd\"", "W/\"abc\"", "Sat, 29 Oct 1994 19:43:31 GMT"] {
            assert_eq!(selected(&[(IF_RANGE, other), (RANGE, "bytes=0-1")]), Selection::Whole, "{other}");
        }
    }
}
