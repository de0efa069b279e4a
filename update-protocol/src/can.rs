//! CAN and CAN FD frames as values (ISO 11898-1).
//!
//! A [`Frame`] can only be built with an identifier in range and a length the bus can carry.

use core::fmt;

/// Data bytes of the longest classic frame.
pub const MAX_CLASSIC_LEN: usize = 8;
/// Data bytes of the longest CAN FD frame.
pub const MAX_FD_LEN: usize = 64;

/// The data lengths a DLC can say, by DLC.
const LEN_OF_DLC: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64];

/// A CAN identifier. A [`Frame`] never holds one that is out of range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Id {
    /// 11 bit.
    Standard(u16),
    /// 29 bit.
    Extended(u32),
}

impl Id {
    /// Largest 11-bit identifier.
    pub const MAX_STANDARD: u16 = 0x7FF;
    /// Largest 29-bit identifier.
    pub const MAX_EXTENDED: u32 = 0x1FFF_FFFF;

    /// Whether the number fits its width.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        match self {
            Self::Standard(id) => id <= Self::MAX_STANDARD,
            Self::Extended(id) => id <= Self::MAX_EXTENDED,
        }
    }

    /// The number without its width.
    #[must_use]
    pub const fn raw(self) -> u32 {
        match self {
            Self::Standard(id) => id as u32,
            Self::Extended(id) => id,
        }
    }

    /// 29 bit?
    #[must_use]
    pub const fn is_extended(self) -> bool {
        matches!(self, Self::Extended(_))
    }
}

/// Three hex digits for 11 bit, eight for 29 bit, as every CAN tool writes them.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard(id) => write!(f, "{id:03X}"),
            Self::Extended(id) => write!(f, "{id:08X}"),
        }
    }
}

/// What cannot be a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// The identifier does not fit 11 or 29 bits.
    IdOutOfRange,
    /// No DLC says this data length.
    Length,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IdOutOfRange => "the CAN identifier is out of range",
            Self::Length => "no CAN frame has this data length",
        })
    }
}

impl core::error::Error for FrameError {}

/// The format of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Data,
    Remote,
    Fd { brs: bool },
}

/// One classic, remote or FD frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    id: Id,
    kind: Kind,
    len: u8,
    data: [u8; MAX_FD_LEN],
}

impl Frame {
    /// A classic data frame of at most 8 bytes.
    ///
    /// # Errors
    /// [`FrameError`] for an identifier out of range or more than 8 bytes.
    pub fn new(id: Id, data: &[u8]) -> Result<Self, FrameError> {
        Self::build(id, Kind::Data, data)
    }

    /// A CAN FD frame, `brs`: data phase at the higher bit rate.
    ///
    /// # Errors
    /// [`FrameError`] for an identifier out of range or a length that is not 0..=8, 12, 16, 20, 24, 32, 48, 64.
    pub fn new_fd(id: Id, data: &[u8], brs: bool) -> Result<Self, FrameError> {
        Self::build(id, Kind::Fd { brs }, data)
    }

    /// A remote request: a length and no data.
    ///
    /// # Errors
    /// [`FrameError`] for an identifier out of range or a length above 8.
    pub fn new_remote(id: Id, len: usize) -> Result<Self, FrameError> {
        Self::blank(id, Kind::Remote, len)
    }

    fn build(id: Id, kind: Kind, data: &[u8]) -> Result<Self, FrameError> {
        let mut frame = Self::blank(id, kind, data.len())?;
        // Both are as long; copying slices would link a panic into a loader that builds frames.
        for (to, from) in frame.data_mut().iter_mut().zip(data) {
            *to = *from;
        }
        Ok(frame)
    }

    /// A frame of that many zeros.
    pub(crate) fn blank(id: Id, kind: Kind, len: usize) -> Result<Self, FrameError> {
        if !id.is_valid() {
            return Err(FrameError::IdOutOfRange);
        }
        let fits = match kind {
            Kind::Data | Kind::Remote => len <= MAX_CLASSIC_LEN,
            Kind::Fd { .. } => fd_len(len) == Some(len),
        };
        match u8::try_from(len) {
            Ok(len) if fits => Ok(Self { id, kind, len, data: [0; MAX_FD_LEN] }),
            _ => Err(FrameError::Length),
        }
    }

    /// A frame of `head` and as much of `rest` as `longest` bytes hold. `padding` fills it to
    /// `shortest` bytes and to the next length of CAN FD. The identifier is one of an [`Addressing`], which are valid.
    ///
    /// [`Addressing`]: crate::isotp::Addressing
    #[inline(never)]
    pub(crate) fn padded(
        (id, kind): (Id, Kind),
        (shortest, longest): (usize, usize),
        padding: u8,
        head: &[u8],
        rest: &[u8],
    ) -> Self {
        let mut frame = Self { id, kind, len: 0, data: [0; MAX_FD_LEN] };
        let mut content = head.iter().chain(rest);
        let mut used: usize = 0;
        while used < longest.min(MAX_FD_LEN)
            && let (Some(byte), Some(to)) = (content.next(), frame.data.get_mut(used))
        {
            *to = *byte;
            used = used.saturating_add(1);
        }
        frame.len = LEN_OF_DLC.into_iter().find(|&len| usize::from(len) >= used.max(shortest)).unwrap_or(0);
        frame.data_mut().get_mut(used..).unwrap_or_default().fill(padding);
        frame
    }

    /// The data bytes, to be written.
    pub(crate) fn data_mut(&mut self) -> &mut [u8] {
        self.data.get_mut(..usize::from(self.len)).unwrap_or_default()
    }

    /// The identifier.
    #[must_use]
    pub const fn id(&self) -> Id {
        self.id
    }

    /// The data bytes; none for a remote frame.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        match self.kind {
            Kind::Remote => &[],
            Kind::Data | Kind::Fd { .. } => self.data.get(..usize::from(self.len)).unwrap_or(&[]),
        }
    }

    /// The length the frame announces; for a remote frame the length it asks for.
    #[must_use]
    pub const fn announced_len(&self) -> usize {
        self.len as usize
    }

    /// The data length code, 0..=15.
    #[must_use]
    pub fn dlc(&self) -> u8 {
        dlc_of_len(usize::from(self.len))
    }

    /// CAN FD?
    #[must_use]
    pub const fn is_fd(&self) -> bool {
        matches!(self.kind, Kind::Fd { .. })
    }

    /// Bit rate switch; only ever set on an FD frame.
    #[must_use]
    pub const fn brs(&self) -> bool {
        matches!(self.kind, Kind::Fd { brs: true })
    }

    /// Remote request?
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        matches!(self.kind, Kind::Remote)
    }
}

/// `18DA10F1 [3] 02 3E 00`, FD frames with `##` as candump writes them.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} [{}]", self.id, if self.is_fd() { "##" } else { "" }, self.len)?;
        if self.is_remote() {
            return f.write_str(" remote");
        }
        self.data().iter().try_for_each(|byte| write!(f, " {byte:02X}"))
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({self})")
    }
}

/// The shortest CAN FD data length that holds `len` bytes; `None` above 64.
#[must_use]
pub fn fd_len(len: usize) -> Option<usize> {
    LEN_OF_DLC.iter().map(|&of_dlc| usize::from(of_dlc)).find(|&of_dlc| of_dlc >= len)
}

/// The data length of an FD frame with this DLC; `None` above 15. Up to 8 it is the classic length too.
#[must_use]
pub fn len_of_dlc(dlc: u8) -> Option<usize> {
    LEN_OF_DLC.get(usize::from(dlc)).map(|&len| usize::from(len))
}

fn dlc_of_len(len: usize) -> u8 {
    let shorter = LEN_OF_DLC.iter().filter(|&&of_dlc| usize::from(of_dlc) < len).count();
    u8::try_from(shorter).unwrap_or(15)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn lengths_that_no_dlc_says_are_no_frames() {
        let id = Id::Standard(0x123);
        assert_eq!(Frame::new(id, &[0; 9]), Err(FrameError::Length));
        assert_eq!(Frame::new_fd(id, &[0; 9], false), Err(FrameError::Length));
        assert_eq!(Frame::new_fd(id, &[0; 65], false), Err(FrameError::Length));
        assert_eq!(Frame::new_remote(id, 9), Err(FrameError::Length));
        for dlc in 0..16 {
            let len = len_of_dlc(dlc).unwrap();
            assert_eq!(Frame::new_fd(id, &[7; 64][..len], true).unwrap().dlc(), dlc);
        }
        assert_eq!(len_of_dlc(16), None);
    }

    #[test]
    fn identifiers_out_of_range_are_no_frames() {
        assert_eq!(Frame::new(Id::Standard(0x800), &[]), Err(FrameError::IdOutOfRange));
        assert_eq!(Frame::new_fd(Id::Extended(0x2000_0000), &[], false), Err(FrameError::IdOutOfRange));
        assert_eq!(Frame::new_remote(Id::Extended(u32::MAX), 0), Err(FrameError::IdOutOfRange));
    }

    #[test]
    fn a_remote_frame_has_a_length_and_no_data() {
        let frame = Frame::new_remote(Id::Extended(0x18DA_10F1), 8).unwrap();
        assert!(frame.is_remote() && frame.data().is_empty() && frame.dlc() == 8);
        assert_eq!(frame.to_string(), "18DA10F1 [8] remote");
    }
}
