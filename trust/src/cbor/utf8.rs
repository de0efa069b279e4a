//! Text of a record. A loader has no use for `str`, and no room for the library's validation: 0.6 KB with its table
//! (docs/decisions/0031).

/// Bytes that are UTF-8 (RFC 3629).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Utf8<'b>(&'b [u8]);

impl<'b> Utf8<'b> {
    /// The empty text.
    pub const EMPTY: Self = Self(&[]);

    /// `None` unless `bytes` are UTF-8.
    #[must_use]
    pub fn of(bytes: &'b [u8]) -> Option<Self> {
        is_utf8(bytes).then_some(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'b [u8] {
        self.0
    }

    /// The text. A loader compares and forwards bytes instead.
    #[must_use]
    pub fn as_str(self) -> &'b str {
        core::str::from_utf8(self.0).unwrap_or_default()
    }
}

fn is_utf8(text: &[u8]) -> bool {
    let mut bytes = text.iter();
    while let Some(first) = bytes.next() {
        // Bytes that follow, and the least code point that needs as many.
        let (following, least) = match first.leading_ones() {
            0 => continue,
            2 => (1, 0x80),
            3 => (2, 0x800),
            4 => (3, 0x1_0000),
            _ => return false,
        };
        let mut code = u32::from(*first) & (0x3f >> following);
        for _ in 0..following {
            match bytes.next() {
                Some(next) if next & 0xc0 == 0x80 => code = code << 6 | u32::from(next & 0x3f),
                _ => return false,
            }
        }
        // Not in its shortest form, a surrogate, or above the last code point.
        if code < least || char::from_u32(code).is_none() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{Utf8, is_utf8};

    #[test]
    fn text_is_what_the_standard_library_takes_for_utf8() {
        // Every character of one to three bytes, and everything that looks like one.
        for first in 0..=0xffu8 {
            assert_eq!(is_utf8(&[first]), core::str::from_utf8(&[first]).is_ok());
            for second in 0..=0xffu8 {
                let two = [first, second];
                assert_eq!(is_utf8(&two), core::str::from_utf8(&two).is_ok(), "{two:x?}");
                for third in [0, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc3, 0xe2, 0xff] {
                    let three = [first, second, third];
                    assert_eq!(is_utf8(&three), core::str::from_utf8(&three).is_ok(), "{three:x?}");
                    for fourth in [0, 0x7f, 0x80, 0xbf, 0xc0] {
                        let four = [first, second, third, fourth];
                        assert_eq!(is_utf8(&four), core::str::from_utf8(&four).is_ok(), "{four:x?}");
                    }
                }
            }
        }
        assert_eq!(Utf8::of("Größe 𝄞".as_bytes()).unwrap().as_str(), "Größe 𝄞");
    }
}
