//! The same of a file that comes in parts and is too long to keep.

use super::super::read::{ByteOrder, ORDER_LEN, utf16_order};
use super::{LABEL_END, has_label, is_control};

/// Looks for a private key in PEM in a text that comes in parts, of whatever length, in the character sets of
/// [`is_private_key`](super::is_private_key). Firmware with a PEM parser in it is not text.
#[derive(Debug, Default)]
pub struct PrivateKeyWatch {
    /// The first bytes, until they are enough to tell the character set.
    start: Vec<u8>,
    text: Option<Text>,
}

/// A text whose character set is known.
#[derive(Debug)]
struct Text {
    order: Option<ByteOrder>,
    /// The first byte of a character of UTF-16 whose second one is still to come.
    half: Option<u8>,
    tail: Vec<u8>,
    is_binary: bool,
    has_label: bool,
}

impl PrivateKeyWatch {
    /// Takes the next part.
    pub fn take(&mut self, part: &[u8]) {
        match &mut self.text {
            Some(text) => text.take(part),
            None => {
                self.start.extend_from_slice(part);
                if self.start.len() >= ORDER_LEN {
                    let mut text = Text::begin(&self.start);
                    text.take(&std::mem::take(&mut self.start));
                    self.text = Some(text);
                }
            }
        }
    }

    /// Whether what came is a text with a private key in it.
    #[must_use]
    pub fn found(&self) -> bool {
        match &self.text {
            Some(text) => text.found(),
            None => {
                let mut text = Text::begin(&self.start);
                text.take(&self.start);
                text.found()
            }
        }
    }
}

impl Text {
    fn begin(start: &[u8]) -> Self {
        Self { order: utf16_order(start), half: None, tail: Vec::new(), is_binary: false, has_label: false }
    }

    fn take(&mut self, part: &[u8]) {
        if self.is_binary {
            return;
        }
        let before = self.tail.len();
        match self.order {
            None => self.tail.extend_from_slice(part),
            Some(order) => {
                for byte in part {
                    match self.half.take() {
                        None => self.half = Some(*byte),
                        Some(first) => {
                            let pair = [first, *byte];
                            let unit = match order {
                                ByteOrder::Little => u16::from_le_bytes(pair),
                                ByteOrder::Big => u16::from_be_bytes(pair),
                            };
                            // Only ASCII matters here; whatever else it is, it is no control character.
                            self.tail.push(u8::try_from(unit).unwrap_or(b'?'));
                        }
                    }
                }
            }
        }
        self.is_binary |= self.tail.iter().skip(before).any(|byte| is_control(*byte));
        self.has_label |= has_label(&self.tail);
        let overlap = self.tail.len().saturating_sub(LABEL_END.len());
        self.tail.drain(..overlap);
    }

    fn found(&self) -> bool {
        self.has_label && !self.is_binary
    }
}

#[cfg(test)]
mod tests {
    use super::PrivateKeyWatch;

    const PEM: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGbMFcG...";

    fn found(parts: &[&[u8]]) -> bool {
        let mut watch = PrivateKeyWatch::default();
        parts.iter().for_each(|part| watch.take(part));
        watch.found()
    }

    #[test]
    fn a_key_in_a_long_text_is_found_and_firmware_with_a_pem_parser_is_not() {
        let comment = "# a comment\n".repeat(10_000);
        assert!(found(&[comment.as_bytes(), PEM]));
        assert!(found(&[comment.as_bytes(), &PEM[..25], &PEM[25..], comment.as_bytes()]));
        assert!(found(&[b"--PRIVATE KEY-----"]), "a short one");
        assert!(!found(&[]) && !found(&[b"text"]));
        assert!(!found(&[comment.as_bytes(), b"-----BEGIN PUBLIC KEY-----"]));
        assert!(!found(&[&[0x00, 0x20, 0x01, 0x20], PEM]) && !found(&[PEM, &[0]]));
    }

    #[test]
    fn a_key_in_a_long_text_in_utf_16_is_found_with_and_without_a_mark() {
        for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let wide = |text: &str| text.encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>();
            for mark in ["", "\u{feff}"] {
                let comment =
                    wide(&format!("{mark}# a comment, and a remark on it\r\n{}", "# é ก\r\n".repeat(20_000)));
                let key = wide(std::str::from_utf8(PEM).unwrap());
                assert!(found(&[&comment, &key]), "{mark:?}");
                // In parts of an odd length, the first too short to tell what it is.
                let whole = [&comment[..], &key].concat();
                assert!(found(&whole.chunks(7).collect::<Vec<_>>()), "{mark:?}");
                assert!(!found(&[&comment]) && !found(&[&whole, &[0, 0]]), "{mark:?}");
            }
        }
    }
}
