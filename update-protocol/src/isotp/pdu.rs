//! The four kinds of frames, read and written (ISO 15765-2:2016, 9.2 to 9.6). The
//! standard has malformed frames ignored.

use super::Config;
use super::StMin;
use crate::can::{Frame, Id, MAX_CLASSIC_LEN};

/// The longest message with a 12-bit length.
pub(super) const MAX_SHORT_LEN: u32 = 0xFFF;

/// The flow status of a flow control: a nibble.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FlowStatus(pub(super) u8);

impl FlowStatus {
    pub(super) const CONTINUE: Self = Self(0);
    pub(super) const WAIT: Self = Self(1);
    pub(super) const OVERFLOW: Self = Self(2);
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
                let (status, st_min) = (FlowStatus(low), StMin::from_byte(st_min));
                Some(Self::FlowControl { status, block_size, st_min })
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

/// The first bytes of a frame of a message.
#[derive(Clone, Copy)]
pub(super) enum Head {
    /// The whole message of that length in one frame.
    Single(usize),
    /// The beginning of a message of that length.
    First(usize),
    /// The consecutive frame of that number.
    Consecutive(u8),
}

/// A frame of a message that begins or goes on with `rest`, and how many bytes of it went along.
pub(super) fn segment(id: Id, config: &Config, head: Head, rest: &[u8]) -> (Frame, usize) {
    let mut bytes = [0; 6];
    let [first, second, long @ ..] = &mut bytes;
    let head_len = match head {
        Head::Single(len) => {
            let [len, ..] = len.to_le_bytes();
            if len <= 7 {
                *first = len;
                1
            } else {
                *second = len;
                2
            }
        }
        Head::First(len) => {
            // A message is shorter than 4 GiB (`Link::send`).
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            let [_, _, high, low] = len.to_be_bytes();
            *first = 0x10;
            if len <= MAX_SHORT_LEN {
                *first |= high;
                *second = low;
                2
            } else {
                *long = len.to_be_bytes();
                6
            }
        }
        Head::Consecutive(number) => {
            *first = 0x20 | (number & 0x0F);
            1
        }
    };
    let head = bytes.get(..head_len).unwrap_or_default();
    let taken = rest.len().min(config.tx_dl.saturating_sub(head.len()));
    (padded(id, config, head, rest), taken)
}

pub(super) fn flow_control(id: Id, config: &Config, status: FlowStatus) -> Frame {
    let head = [0x30 | status.0, config.block_size, config.st_min.to_byte()];
    padded(id, config, &head, &[])
}

fn padded(id: Id, config: &Config, head: &[u8], rest: &[u8]) -> Frame {
    let shortest = if config.padding.is_some() { MAX_CLASSIC_LEN } else { 0 };
    let padding = config.padding.unwrap_or(super::PADDING);
    Frame::padded((id, config.kind()), (shortest, config.tx_dl), padding, head, rest)
}
