//! Versions in words and in numbers, draft-ietf-suit-update-management-16 section 4.4.1: a pre-release is a negative
//! number (alpha -3, beta -2, rc -1).

const PRE_RELEASES: [(&str, i64); 3] = [("alpha", -3), ("beta", -2), ("rc", -1)];

/// The numbers of a version text such as `1.2.0`, `v1.2-rc.3` or `2.0.0+build`; `None` of any other text.
pub(super) fn numbers(text: &str) -> Option<Vec<i64>> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    // Semantic versioning: the build counts for nothing.
    let text = text.split_once('+').map_or(text, |(version, _)| version);
    let (release, pre) = text.split_once('-').map_or((text, None), |(release, pre)| (release, Some(pre)));
    let mut numbers = release.split('.').map(number).collect::<Option<Vec<_>>>()?;
    if let Some(pre) = pre {
        let (name, rest) = pre.split_once('.').map_or((pre, None), |(name, rest)| (name, Some(rest)));
        numbers.push(PRE_RELEASES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?.1);
        if let Some(rest) = rest {
            numbers.extend(rest.split('.').map(number).collect::<Option<Vec<_>>>()?);
        }
    }
    Some(numbers)
}

/// Digits, without a sign.
fn number(digits: &str) -> Option<i64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// Whether two versions are one: numbers that one lacks count as 0.
pub(super) fn equal(one: &[i64], other: &[i64]) -> bool {
    let number = |version: &[i64], index| version.get(index).copied().unwrap_or(0);
    (0..one.len().max(other.len())).all(|index| number(one, index) == number(other, index))
}

/// A version in words.
pub(super) fn words(numbers: &[i64]) -> String {
    let mut words = String::new();
    for number in numbers {
        let pre = PRE_RELEASES.iter().find(|(_, known)| known == number);
        let separator = if words.is_empty() {
            ""
        } else if pre.is_some() {
            "-"
        } else {
            "."
        };
        words.push_str(separator);
        words.push_str(&pre.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned()));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{equal, numbers, words};

    #[test]
    fn versions_in_words_and_numbers() {
        for (text, expected) in [
            ("1", &[1][..]),
            ("2.0.0", &[2, 0, 0]),
            ("v1.2-rc.3", &[1, 2, -1, 3]),
            ("1.2.3-Beta", &[1, 2, 3, -2]),
            ("0.9-alpha.1.2+build-7", &[0, 9, -3, 1, 2]),
        ] {
            assert_eq!(numbers(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "v",
            "1.",
            "1..2",
            "release",
            "1.x",
            "1-preview",
            "1.2-rc.x",
            "-1",
            "+1",
            "9223372036854775808",
        ] {
            assert_eq!(numbers(text), None, "{text}");
        }
        assert_eq!(words(&[1, 2, -1, 3]), "1.2-rc.3");
        assert!(equal(&[1, 2], &[1, 2, 0]) && equal(&[], &[0]));
        assert!(!equal(&[1, 2], &[1, 2, 1]) && !equal(&[1, 2], &[1, 2, -1]));
    }
}
