//! slcan: CAN frames as lines of ASCII on a serial line (Lawicel CAN232, CAN FD as canable and python-can write it).
//!
//! `t1232DEAD\r` is a frame with an 11-bit identifier, `T` with 29 bits, `r`/`R` remote, `d`/`D` CAN FD, `b`/`B` CAN
//! FD with bit rate switch. Both an adapter's and a program's end of the line: [`Decoder`] passes frames on and
//! steps over everything else (commands, acknowledgements, noise), so two nodes may also be joined directly.

use crate::can::{Frame, Id, Kind, len_of_dlc};

/// Longest line of a frame: kind, 8 digits, DLC, 64 bytes in hex, carriage return.
pub const MAX_LINE_LEN: usize = 1 + 8 + 1 + 128 + 1;
/// Digits of a timestamp some adapters append to a frame.
const TIMESTAMP_DIGITS: usize = 4;
const END: u8 = b'\r';
/// The answer of an adapter to a command that it refuses; it also ends a line.
const BELL: u8 = 0x07;

/// Writes a frame as a line, carriage return included, and returns that part of `line`.
#[must_use]
pub fn encode<'l>(frame: &Frame, line: &'l mut [u8; MAX_LINE_LEN]) -> &'l [u8] {
    let kind = match (frame.is_fd(), frame.brs(), frame.is_remote()) {
        (true, true, _) => b'b',
        (true, false, _) => b'd',
        (false, _, true) => b'r',
        (false, _, false) => b't',
    };
    let (kind, digits) = if frame.id().is_extended() { (kind.to_ascii_uppercase(), 8) } else { (kind, 3) };
    let mut text = Text { line, len: 0 };
    text.push(kind);
    text.push_hex(frame.id().raw(), digits);
    text.push_hex(frame.dlc().into(), 1);
    for &byte in frame.data() {
        text.push_hex(byte.into(), 2);
    }
    text.push(END);
    let Text { line, len } = text;
    line.get(..len).unwrap_or_default()
}

/// A line that is being written; [`MAX_LINE_LEN`] bytes hold every frame.
struct Text<'l> {
    line: &'l mut [u8; MAX_LINE_LEN],
    len: usize,
}

impl Text<'_> {
    fn push(&mut self, byte: u8) {
        if let Some(to) = self.line.get_mut(self.len) {
            *to = byte;
            self.len = self.len.saturating_add(1);
        }
    }

    #[inline(never)]
    fn push_hex(&mut self, number: u32, digits: u32) {
        for digit in (0..digits).rev() {
            let [digit, ..] = (number.wrapping_shr(digit.wrapping_mul(4)) & 0x0F).to_le_bytes();
            self.push(if digit < 10 { b'0' | digit } else { digit.wrapping_add(b'A' - 10) });
        }
    }
}

/// A line of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// A frame.
    Frame(Frame),
    /// An adapter accepted a command or a frame.
    Accepted,
    /// An adapter refused one.
    Refused,
}

/// Finds frames in a stream of bytes. Holds one line; a longer one is stepped over to its end.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// The end of a line is not stored, so what fills this is one byte longer than any frame: cut, it stays none.
    line: [u8; MAX_LINE_LEN + TIMESTAMP_DIGITS],
    len: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// At the beginning of a line.
    #[must_use]
    pub const fn new() -> Self {
        Self { line: [0; MAX_LINE_LEN + TIMESTAMP_DIGITS], len: 0 }
    }

    /// One byte of the stream; a frame when it ends the line of one.
    pub fn push(&mut self, byte: u8) -> Option<Frame> {
        match self.push_line(byte) {
            Some(Line::Frame(frame)) => Some(frame),
            Some(Line::Accepted | Line::Refused) | None => None,
        }
    }

    /// One byte of the stream; what it ends, if that is a frame or an answer. For who writes to an adapter.
    pub fn push_line(&mut self, byte: u8) -> Option<Line> {
        if byte != END && byte != BELL && byte != b'\n' {
            if let Some(to) = self.line.get_mut(self.len) {
                *to = byte;
                self.len = self.len.saturating_add(1);
            }
            return None;
        }
        let line = self.line.get(..self.len).unwrap_or_default();
        let ended = match (byte, line) {
            (BELL, _) => Some(Line::Refused),
            (END, [] | b"z" | b"Z") => Some(Line::Accepted),
            (END, line) => parse(line).map(Line::Frame),
            _ => None,
        };
        self.len = 0;
        ended
    }
}

/// A line without its end; `None` for everything that is not a frame.
#[inline(never)]
fn parse(line: &[u8]) -> Option<Frame> {
    let (&kind, mut rest) = line.split_first()?;
    let id = if kind.is_ascii_uppercase() {
        Id::Extended(take_hex(&mut rest, 8)?)
    } else {
        Id::Standard(u16::try_from(take_hex(&mut rest, 3)?).ok()?)
    };
    let kind = match kind.to_ascii_lowercase() {
        b't' => Kind::Data,
        b'r' => Kind::Remote,
        b'd' => Kind::Fd { brs: false },
        b'b' => Kind::Fd { brs: true },
        _ => return None,
    };
    let len = len_of_dlc(u8::try_from(take_hex(&mut rest, 1)?).ok()?)?;
    let mut frame = Frame::blank(id, kind, len).ok()?;
    if kind != Kind::Remote {
        for byte in frame.data_mut() {
            [*byte, ..] = take_hex(&mut rest, 2)?.to_le_bytes();
        }
    }
    let is_end = rest.is_empty() || (rest.len() == TIMESTAMP_DIGITS && take_hex(&mut rest, 4).is_some());
    is_end.then_some(frame)
}

/// Takes that many digits from the front, at most 8.
#[inline(never)]
fn take_hex(rest: &mut &[u8], digits: usize) -> Option<u32> {
    let (number, behind) = rest.split_at_checked(digits)?;
    *rest = behind;
    number
        .iter()
        .try_fold(0_u32, |number, &digit| Some(number.wrapping_shl(4) | u32::from(hex_value(digit)?)))
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a' - 10)),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A' - 10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
