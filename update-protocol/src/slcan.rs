//! slcan: CAN frames as lines of ASCII on a serial line (Lawicel CAN232, CAN FD as canable and python-can write it).
//!
//! `t1232DEAD\r` is a frame with an 11-bit identifier, `T` with 29 bits, `r`/`R` remote, `d`/`D` CAN FD, `b`/`B` CAN
//! FD with bit rate switch. Both an adapter's and a program's end of the line: [`Decoder`] passes frames on and
//! steps over everything else (commands, acknowledgements, noise), so two nodes may also be joined directly.

use crate::can::{Frame, Id, len_of_dlc};

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
    let raw = frame.id().raw();
    let head = core::iter::once(kind)
        .chain((0..digits).rev().map(|digit: u32| hex_digit(raw.wrapping_shr(digit.wrapping_mul(4)))))
        .chain(core::iter::once(hex_digit(u32::from(frame.dlc()))));
    let data =
        frame.data().iter().flat_map(|&byte| [hex_digit(u32::from(byte >> 4)), hex_digit(u32::from(byte))]);
    let mut len: usize = 0;
    for (to, from) in line.iter_mut().zip(head.chain(data).chain(core::iter::once(END))) {
        *to = from;
        len = len.saturating_add(1);
    }
    line.get(..len).unwrap_or_default()
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
fn parse(line: &[u8]) -> Option<Frame> {
    let (&kind, rest) = line.split_first()?;
    let extended = kind.is_ascii_uppercase();
    let (id, rest) = rest.split_at_checked(if extended { 8 } else { 3 })?;
    let id =
        id.iter().try_fold(0_u32, |id, &digit| Some(id.wrapping_shl(4) | u32::from(hex_value(digit)?)))?;
    let id = if extended { Id::Extended(id) } else { Id::Standard(u16::try_from(id).ok()?) };
    let (&dlc, rest) = rest.split_first()?;
    let dlc = hex_value(dlc)?;
    let len = len_of_dlc(dlc)?;
    let kind = kind.to_ascii_lowercase();
    if kind == b'r' {
        return if is_end(rest) { Frame::new_remote(id, len).ok() } else { None };
    }
    let (digits, rest) = rest.split_at_checked(len.saturating_mul(2))?;
    if !is_end(rest) {
        return None;
    }
    let mut data = [0; crate::can::MAX_FD_LEN];
    for (to, &[high, low]) in data.iter_mut().zip(digits.as_chunks::<2>().0) {
        *to = hex_value(high)? << 4 | hex_value(low)?;
    }
    let data = data.get(..len)?;
    match kind {
        b't' => Frame::new(id, data).ok(),
        b'd' => Frame::new_fd(id, data, false).ok(),
        b'b' => Frame::new_fd(id, data, true).ok(),
        _ => None,
    }
}

fn is_end(rest: &[u8]) -> bool {
    rest.is_empty()
        || (rest.len() == TIMESTAMP_DIGITS && rest.iter().all(|&digit| hex_value(digit).is_some()))
}

fn hex_digit(nibble: u32) -> u8 {
    char::from_digit(nibble & 0x0F, 16).map_or(b'0', |digit| digit.to_ascii_uppercase() as u8)
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
