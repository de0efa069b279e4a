//! The choices of a link: frame format, padding, and the pace that it asks of a sender.

use super::PADDING;
use crate::can::{Kind, MAX_CLASSIC_LEN, MAX_FD_LEN, fd_len};

/// The separation time of consecutive frames, as its byte on the wire (ISO 15765-2, 9.6.5.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StMin(u8);

impl StMin {
    /// The longest there is; also what a reserved value means.
    pub const MAX: Self = Self(0x7F);

    /// `ms` above 127 is 127.
    #[must_use]
    pub const fn from_millis(ms: u8) -> Self {
        if ms > 0x7F { Self::MAX } else { Self(ms) }
    }

    /// The byte of a flow control; reserved values (`80..=F0`, `FA..=FF`) count as 127 ms.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            0x00..=0x7F | 0xF1..=0xF9 => Self(byte),
            _ => Self::MAX,
        }
    }

    /// The byte of a flow control.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.0
    }

    /// The time between two consecutive frames.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        match self.0 {
            steps @ 0xF1..=0xF9 => (steps as u64).saturating_sub(0xF0).saturating_mul(100),
            ms => (ms as u64).saturating_mul(1000),
        }
    }
}

/// How a link sends, and what it asks of those who send to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    pub(crate) tx_dl: usize,
    pub(crate) fd: bool,
    pub(crate) brs: bool,
    pub(crate) padding: Option<u8>,
    pub(crate) block_size: u8,
    pub(crate) st_min: StMin,
}

impl Config {
    /// Classic CAN: 8-byte frames, padded with [`PADDING`], no further flow control, no separation time.
    #[must_use]
    pub const fn classic() -> Self {
        Self {
            tx_dl: MAX_CLASSIC_LEN,
            fd: false,
            brs: false,
            padding: Some(PADDING),
            block_size: 0,
            st_min: StMin(0),
        }
    }

    /// CAN FD: frames of up to 64 bytes; `brs` switches the bit rate for the data.
    #[must_use]
    pub const fn fd(brs: bool) -> Self {
        Self { tx_dl: MAX_FD_LEN, fd: true, brs, ..Self::classic() }
    }

    /// TX_DL: the length of a full CAN FD frame. `None` unless it is 8, 12, 16, 20, 24, 32, 48 or 64; a
    /// classic link has 8 only.
    #[must_use]
    pub fn with_tx_dl(self, tx_dl: usize) -> Option<Self> {
        let possible = if self.fd {
            tx_dl >= MAX_CLASSIC_LEN && fd_len(tx_dl) == Some(tx_dl)
        } else {
            tx_dl == MAX_CLASSIC_LEN
        };
        possible.then_some(Self { tx_dl, ..self })
    }

    /// BS: consecutive frames between two flow controls of ours; 0: no further flow control. Whoever receives
    /// on a bus that can drop frames under load (sockets, a small FIFO) bounds a burst with it.
    #[must_use]
    pub const fn with_block_size(self, block_size: u8) -> Self {
        Self { block_size, ..self }
    }

    /// STmin that we ask of a sender.
    #[must_use]
    pub const fn with_st_min(self, st_min: StMin) -> Self {
        Self { st_min, ..self }
    }

    /// The byte that fills frames up to 8 bytes; `None` sends short frames. Longer FD frames are always filled.
    #[must_use]
    pub const fn with_padding(self, padding: Option<u8>) -> Self {
        Self { padding, ..self }
    }

    pub(super) const fn kind(&self) -> Kind {
        if self.fd { Kind::Fd { brs: self.brs } } else { Kind::Data }
    }

    /// CAN FD?
    #[must_use]
    pub const fn is_fd(&self) -> bool {
        self.fd
    }

    /// How many frames a message of `len` bytes takes.
    #[must_use]
    pub fn frames_for(&self, len: usize) -> usize {
        if len <= self.max_single_frame_len() {
            return 1;
        }
        let head = if len <= 0xFFF { 2 } else { 6 };
        let rest = len.saturating_sub(self.tx_dl.saturating_sub(head));
        rest.div_ceil(self.tx_dl.saturating_sub(1).max(1)).saturating_add(1)
    }

    /// The longest message that fits one frame.
    #[must_use]
    pub const fn max_single_frame_len(&self) -> usize {
        if self.tx_dl > MAX_CLASSIC_LEN { self.tx_dl.saturating_sub(2) } else { 7 }
    }
}
