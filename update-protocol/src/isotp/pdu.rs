//! The four kinds of frames, read and written (ISO 15765-2:2016, 9.2 to 9.6). The
//! standard has malformed frames ignored.

use super::Config;
use super::StMin;
use crate::can::{Frame, Id, MAX_CLASSIC_LEN, MAX_FD_LEN, fd_len};

/// The longest message with a 12-bit length.
pub(super) const MAX_SHORT_LEN: u32 = 0xFFF;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FlowStatus {
    Continue,
    Wait,
    Overflow,
    Reserved(u8),
}

impl FlowStatus {
    const fn nibble(self) -> u8 {
        match self {
            Self::Continue => 0,
            Self::Wait => 1,
            Self::Overflow => 2,
            Self::Reserved(nibble) => nibble,
        }
    }
}

/// A frame that means something; payloads are cut to what the header announces where it announces it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pdu<'f> {
    Single(&'f [u8]),
    First { len: u32, payload: &'f [u8], frame_len: usize },
    Consecutive { number: u8, payload: &'f [u8], frame_len: usize },
    FlowControl { status: FlowStatus, block_size: u8, st_min: StMin },
}

impl<'f> Pdu<'f> {
    pub(super) fn parse(frame: &'f Frame) -> Option<Self> {
        // A remote request with our identifier has no data, whatever length it announces: it is no PDU.
        let data = frame.data();
        let (&first, rest) = data.split_first()?;
        let low = first & 0x0F;
        match first >> 4 {
            0 => Self::parse_single(data.len(), low, rest),
            1 => Self::parse_first(data.len(), low, rest),
            2 => Some(Self::Consecutive { number: low, payload: rest, frame_len: data.len() }),
            3 => {
                let (&[block_size, st_min], _) = rest.split_first_chunk::<2>()?;
                let status = match low {
                    0 => FlowStatus::Continue,
                    1 => FlowStatus::Wait,
                    2 => FlowStatus::Overflow,
                    reserved => FlowStatus::Reserved(reserved),
                };
                Some(Self::FlowControl { status, block_size, st_min: StMin::from_byte(st_min) })
            }
            _ => None,
        }
    }

    fn parse_single(frame_len: usize, low: u8, rest: &'f [u8]) -> Option<Self> {
        let (len, payload) = if frame_len <= MAX_CLASSIC_LEN {
            (low, rest)
        } else if low == 0 {
            let (&len, payload) = rest.split_first()?;
            (len, payload)
        } else {
            return None;
        };
        // SF_DL 0 means no message; SF_DL beyond the frame would read past its end.
        if len == 0 { None } else { payload.get(..usize::from(len)).map(Self::Single) }
    }

    fn parse_first(frame_len: usize, low: u8, rest: &'f [u8]) -> Option<Self> {
        // RX_DL is at least 8: a shorter first frame does not exist.
        if frame_len < MAX_CLASSIC_LEN {
            return None;
        }
        let (&len_low, payload) = rest.split_first()?;
        let short = u32::from(low) << 8 | u32::from(len_low);
        let (len, payload) = if short != 0 {
            (short, payload)
        } else {
            let (len, payload) = payload.split_first_chunk::<4>()?;
            let len = u32::from_be_bytes(*len);
            if len <= MAX_SHORT_LEN {
                return None;
            }
            (len, payload)
        };
        // FF_DLmin: what would have fitted a single frame of this length is no first frame.
        let fits_single = if frame_len > MAX_CLASSIC_LEN { frame_len.saturating_sub(2) } else { 7 };
        if usize::try_from(len).is_ok_and(|len| len <= fits_single) {
            return None;
        }
        Some(Self::First { len, payload, frame_len })
    }
}

/// A frame in the making: header, payload, padding to what the configuration and CAN FD demand.
pub(super) struct Builder {
    data: [u8; MAX_FD_LEN],
    len: usize,
}

impl Builder {
    const fn new() -> Self {
        Self { data: [0; MAX_FD_LEN], len: 0 }
    }

    /// Appends as much of `bytes` as the frame of `frame_len` takes and says how much that was.
    fn append(&mut self, bytes: &[u8], frame_len: usize) -> usize {
        let room = frame_len.min(MAX_FD_LEN).saturating_sub(self.len);
        let taken = bytes.len().min(room);
        let end = self.len.saturating_add(taken);
        if let (Some(to), Some(from)) = (self.data.get_mut(self.len..end), bytes.get(..taken)) {
            to.copy_from_slice(from);
            self.len = end;
        }
        taken
    }

    fn finish(mut self, id: Id, config: &Config) -> Option<Frame> {
        let padded = if self.len > MAX_CLASSIC_LEN {
            fd_len(self.len)?
        } else if config.padding.is_some() {
            MAX_CLASSIC_LEN
        } else {
            self.len
        };
        self.data.get_mut(self.len..padded)?.fill(config.padding.unwrap_or(super::PADDING));
        let data = self.data.get(..padded)?;
        // Identifiers were checked by `Addressing` and lengths just now, so this is always a frame.
        if config.fd { Frame::new_fd(id, data, config.brs) } else { Frame::new(id, data) }.ok()
    }
}

pub(super) fn single(id: Id, config: &Config, message: &[u8]) -> Option<Frame> {
    let mut builder = Builder::new();
    let len = u8::try_from(message.len()).ok()?;
    if len <= 7 {
        builder.append(&[len], config.tx_dl);
    } else {
        builder.append(&[0, len], config.tx_dl);
    }
    builder.append(message, config.tx_dl);
    builder.finish(id, config)
}

/// The first frame of `message`, and how many bytes of it went along.
pub(super) fn first(id: Id, config: &Config, message: &[u8]) -> Option<(Frame, usize)> {
    let mut builder = Builder::new();
    let len = u32::try_from(message.len()).ok()?;
    let [a, b, c, d] = len.to_be_bytes();
    if len <= MAX_SHORT_LEN {
        builder.append(&[0x10 | c, d], config.tx_dl);
    } else {
        builder.append(&[0x10, 0, a, b, c, d], config.tx_dl);
    }
    let taken = builder.append(message, config.tx_dl);
    Some((builder.finish(id, config)?, taken))
}

/// The next consecutive frame of `rest`, and how many bytes of it went along.
pub(super) fn consecutive(id: Id, config: &Config, number: u8, rest: &[u8]) -> Option<(Frame, usize)> {
    let mut builder = Builder::new();
    builder.append(&[0x20 | (number & 0x0F)], config.tx_dl);
    let taken = builder.append(rest, config.tx_dl);
    Some((builder.finish(id, config)?, taken))
}

pub(super) fn flow_control(id: Id, config: &Config, status: FlowStatus) -> Option<Frame> {
    let mut builder = Builder::new();
    builder.append(&[0x30 | status.nibble(), config.block_size, config.st_min.to_byte()], config.tx_dl);
    builder.finish(id, config)
}
