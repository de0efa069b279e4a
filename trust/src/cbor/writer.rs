//! Writes deterministically encoded CBOR (RFC 8949 section 4.2.1) into a buffer of a fixed length.

use super::Major;
use super::{NULL, TRUE};
use crate::error::{Error, ErrorKind};

/// A writer over one buffer. What has no room is a fault that stays: from then on nothing is written, and the caller asks
/// once, with [`Writer::finish`]. The caller writes the keys of a map in their order.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    /// Bytes that are written; [`FULL`] after a fault.
    len: usize,
}

/// No buffer is as long.
const FULL: usize = usize::MAX;

impl<'b> Writer<'b> {
    /// Writes from the start of `buffer` on.
    #[must_use]
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// What was written.
    ///
    /// # Errors
    /// [`ErrorKind::TooLong`] when it had no room
    pub fn finish(self) -> Result<&'b [u8], Error> {
        let Self { buffer, len } = self;
        buffer.get(..len).ok_or(Error::new(ErrorKind::TooLong, 0))
    }

    /// An integer.
    pub fn int(&mut self, number: i32) {
        if number < 0 {
            // -1 - argument
            self.head(Major::Negative, (!number).cast_unsigned());
        } else {
            self.head(Major::Unsigned, number.cast_unsigned());
        }
    }

    /// An unsigned integer.
    pub fn uint(&mut self, number: u32) {
        self.head(Major::Unsigned, number);
    }

    /// A byte string.
    pub fn bytes(&mut self, content: &[u8]) {
        self.string(Major::Bytes, content);
    }

    /// A text string.
    pub fn text(&mut self, text: &str) {
        self.string(Major::Text, text.as_bytes());
    }

    /// The head of an array of so many items, which follow.
    pub fn array(&mut self, items: u32) {
        self.head(Major::Array, items);
    }

    /// The head of a map of so many entries, which follow in the order of their encoded keys.
    pub fn map(&mut self, entries: u32) {
        self.head(Major::Map, entries);
    }

    /// A tag number; the tagged item follows.
    pub fn tag(&mut self, tag: u32) {
        self.head(Major::Tag, tag);
    }

    /// `true`
    pub fn yes(&mut self) {
        self.head(Major::Simple, TRUE);
    }

    /// `null`
    pub fn null(&mut self) {
        self.head(Major::Simple, NULL);
    }

    /// One whole item that is encoded already.
    #[inline(never)]
    pub fn item(&mut self, encoded: &[u8]) {
        let start = self.len;
        let end = start.checked_add(encoded.len());
        let place = end.and_then(|end| self.buffer.get_mut(start..end));
        self.len = match (place, end) {
            (Some(place), Some(end)) => {
                place.copy_from_slice(encoded);
                end
            }
            _ => FULL,
        };
    }

    fn string(&mut self, major: Major, content: &[u8]) {
        match u32::try_from(content.len()) {
            Ok(len) => {
                self.head(major, len);
                self.item(content);
            }
            Err(_) => self.len = FULL,
        }
    }

    /// A head in its shortest form.
    #[inline(never)]
    fn head(&mut self, major: Major, argument: u32) {
        let [a, b, c, d] = argument.to_be_bytes();
        let initial = major.initial();
        match argument {
            0..=23 => self.item(&[initial | d]),
            24..=0xff => self.item(&[initial | 24, d]),
            0x100..=0xffff => self.item(&[initial | 25, c, d]),
            _ => self.item(&[initial | 26, a, b, c, d]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::cbor::Reader;

    fn written(write: impl FnOnce(&mut Writer<'_>), room: usize) -> Result<Vec<u8>, Error> {
        let mut buffer = [0xEE; 64];
        let mut writer = Writer::new(&mut buffer[..room]);
        write(&mut writer);
        writer.finish().map(<[u8]>::to_vec)
    }

    /// The examples of RFC 8949, appendix A.
    #[test]
    fn heads_are_in_their_shortest_form() {
        for (number, encoded) in [
            (0, "00"),
            (23, "17"),
            (24, "1818"),
            (255, "18ff"),
            (256, "190100"),
            (1000, "1903e8"),
            (65_535, "19ffff"),
            (65_536, "1a00010000"),
            (1_000_000, "1a000f4240"),
            (-1, "20"),
            (-24, "37"),
            (-25, "3818"),
            (-1000, "3903e7"),
            (i32::MIN, "3a7fffffff"),
        ] {
            assert_eq!(hex::encode(written(|writer| writer.int(number), 64).unwrap()), encoded);
        }
        let all = |writer: &mut Writer<'_>| {
            writer.tag(17);
            writer.array(5);
            writer.map(1);
            writer.uint(u32::MAX);
            writer.yes();
            writer.null();
            writer.text("text");
            writer.bytes(b"byte");
            writer.item(&[0x80]);
        };
        let encoded = written(all, 64).unwrap();
        assert_eq!(hex::encode(&encoded), "d185a11afffffffff5f6647465787444 62797465 80".replace(' ', ""));
        let mut reader = Reader::new(&encoded);
        reader.skip();
        assert_eq!(reader.finish(), Ok(()));
        for room in 0..encoded.len() {
            assert_eq!(written(all, room).unwrap_err().kind, ErrorKind::TooLong, "{room}");
        }
        assert_eq!(written(all, encoded.len()), Ok(encoded));
    }

    proptest! {
        #[test]
        fn the_reader_reads_what_is_written(numbers: Vec<i32>, text: String, bytes: Vec<u8>) {
            let mut buffer = std::vec![0; 64 + 5 * numbers.len() + text.len() + bytes.len()];
            let mut writer = Writer::new(&mut buffer);
            writer.array(u32::try_from(numbers.len()).unwrap());
            numbers.iter().for_each(|number| writer.int(*number));
            writer.text(&text);
            writer.bytes(&bytes);
            let mut reader = Reader::new(writer.finish().unwrap());
            let mut items = reader.array();
            let mut read = Vec::new();
            while items.next(&reader) {
                read.push(i32::try_from(reader.int()).unwrap());
            }
            prop_assert_eq!(read, numbers);
            let read = reader.text();
            prop_assert_eq!(read.as_str(), &*text);
            prop_assert_eq!(reader.bytes(), &*bytes);
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }
}
