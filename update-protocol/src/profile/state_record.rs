//! What a device says about itself: data identifier `FD00`, version 1, 112 bytes, big-endian.

use core::fmt;

/// Length of the encoded record, bytes.
pub const STATE_RECORD_LEN: usize = 112;

/// The program that answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Mode {
    /// The loader of an unprovisioned device.
    Factory = 0,
    /// The loader.
    Loader = 1,
    /// The application.
    Application = 2,
}

/// The state of the image that the device would boot, or has booted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ImageState {
    /// Nothing bootable.
    None = 0,
    /// A confirmed image.
    Confirmed = 1,
    /// An image on trial.
    Trial = 2,
    /// Installed, waits for the reset.
    Pending = 3,
    /// The last image is being put back.
    Reverting = 4,
}

/// The bits of the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// The last trial was reverted.
    pub reverted: bool,
    /// An install can be resumed.
    pub resumable: bool,
    /// The anchor is compiled in.
    pub anchor_compiled_in: bool,
    /// The loader listens for a while before it hands over to the application.
    pub listening: bool,
    /// The device takes the image for component-slot 1 next; else the one for slot 0, which most devices always take.
    pub second_slot: bool,
}

impl Flags {
    /// The byte of the record.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.reverted as u8
            | (self.resumable as u8) << 1
            | (self.anchor_compiled_in as u8) << 2
            | (self.listening as u8) << 3
            | (self.second_slot as u8) << 4
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        if byte & !0x1F != 0 {
            return None;
        }
        Some(Self {
            reverted: byte & 1 != 0,
            resumable: byte & 2 != 0,
            anchor_compiled_in: byte & 4 != 0,
            listening: byte & 8 != 0,
            second_slot: byte & 16 != 0,
        })
    }
}

/// The state of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateRecord {
    /// The program that answers.
    pub mode: Mode,
    /// What is booted or would be.
    pub image: ImageState,
    /// The bits.
    pub flags: Flags,
    /// No manifest below this sequence number is accepted.
    pub sequence_floor: u64,
    /// Sequence number of the active image; 0: none.
    pub active_sequence: u64,
    /// list-sequence of the stored revocation list; 0: none.
    pub revocation_sequence: u64,
    /// Image bytes of the install in progress that are committed to flash.
    pub resume_offset: u32,
    /// Image size of the install in progress, bytes.
    pub image_size: u32,
    /// Manifest digest of the install in progress or pending; zeros: none.
    pub manifest_digest: [u8; 32],
    /// Code of the last refusal or revert (docs/errors.md); 0: none.
    pub reason: u16,
    /// Byte offset that belongs to the reason, else 0.
    pub reason_position: u32,
    /// Longest UDS request the device takes, bytes.
    pub max_request_len: u16,
    /// Longest image, bytes.
    pub slot_capacity: u32,
    /// Manifest digest of the active image; zeros: none.
    pub active_digest: [u8; 32],
}

/// Why bytes are not a state record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateRecordError {
    /// Not [`STATE_RECORD_LEN`] bytes.
    Length(usize),
    /// Another version than 1.
    Version(u8),
    /// No such mode.
    Mode(u8),
    /// No such image state.
    Image(u8),
    /// A bit that version 1 does not have.
    Flags(u8),
}

impl fmt::Display for StateRecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(len) => write!(f, "a state record has {STATE_RECORD_LEN} bytes, not {len}"),
            Self::Version(version) => write!(f, "the state record has the unknown version {version}"),
            Self::Mode(mode) => write!(f, "the state record has the unknown mode {mode}"),
            Self::Image(image) => write!(f, "the state record has the unknown image state {image}"),
            Self::Flags(flags) => write!(f, "the state record has unknown flags ({flags:02X})"),
        }
    }
}

impl core::error::Error for StateRecordError {}

impl StateRecord {
    /// The version of the record.
    pub const VERSION: u8 = 1;

    /// A device in factory state that has nothing.
    #[must_use]
    pub const fn factory(max_request_len: u16, slot_capacity: u32) -> Self {
        Self {
            mode: Mode::Factory,
            image: ImageState::None,
            flags: Flags {
                reverted: false,
                resumable: false,
                anchor_compiled_in: false,
                listening: false,
                second_slot: false,
            },
            sequence_floor: 0,
            active_sequence: 0,
            revocation_sequence: 0,
            resume_offset: 0,
            image_size: 0,
            manifest_digest: [0; 32],
            reason: 0,
            reason_position: 0,
            max_request_len,
            slot_capacity,
            active_digest: [0; 32],
        }
    }

    /// The bytes of the record.
    #[must_use]
    pub fn encode(&self) -> [u8; STATE_RECORD_LEN] {
        let mut bytes = [0; STATE_RECORD_LEN];
        let mut rest = &mut bytes[..];
        put(&mut rest, [Self::VERSION, self.mode as u8, self.image as u8, self.flags.to_byte()]);
        put(&mut rest, self.sequence_floor.to_be_bytes());
        put(&mut rest, self.active_sequence.to_be_bytes());
        put(&mut rest, self.revocation_sequence.to_be_bytes());
        put(&mut rest, self.resume_offset.to_be_bytes());
        put(&mut rest, self.image_size.to_be_bytes());
        put(&mut rest, self.manifest_digest);
        put(&mut rest, self.reason.to_be_bytes());
        put(&mut rest, self.reason_position.to_be_bytes());
        put(&mut rest, self.max_request_len.to_be_bytes());
        put(&mut rest, self.slot_capacity.to_be_bytes());
        put(&mut rest, self.active_digest);
        bytes
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`StateRecordError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, StateRecordError> {
        let length = StateRecordError::Length(bytes.len());
        if bytes.len() != STATE_RECORD_LEN {
            return Err(length);
        }
        let mut rest = bytes;
        let [version, mode, image, flags] = take(&mut rest).ok_or(length)?;
        if version != Self::VERSION {
            return Err(StateRecordError::Version(version));
        }
        Ok(Self {
            mode: match mode {
                0 => Mode::Factory,
                1 => Mode::Loader,
                2 => Mode::Application,
                other => return Err(StateRecordError::Mode(other)),
            },
            image: match image {
                0 => ImageState::None,
                1 => ImageState::Confirmed,
                2 => ImageState::Trial,
                3 => ImageState::Pending,
                4 => ImageState::Reverting,
                other => return Err(StateRecordError::Image(other)),
            },
            flags: Flags::from_byte(flags).ok_or(StateRecordError::Flags(flags))?,
            sequence_floor: u64::from_be_bytes(take(&mut rest).ok_or(length)?),
            active_sequence: u64::from_be_bytes(take(&mut rest).ok_or(length)?),
            revocation_sequence: u64::from_be_bytes(take(&mut rest).ok_or(length)?),
            resume_offset: u32::from_be_bytes(take(&mut rest).ok_or(length)?),
            image_size: u32::from_be_bytes(take(&mut rest).ok_or(length)?),
            manifest_digest: take(&mut rest).ok_or(length)?,
            reason: u16::from_be_bytes(take(&mut rest).ok_or(length)?),
            reason_position: u32::from_be_bytes(take(&mut rest).ok_or(length)?),
            max_request_len: u16::from_be_bytes(take(&mut rest).ok_or(length)?),
            slot_capacity: u32::from_be_bytes(take(&mut rest).ok_or(length)?),
            active_digest: take(&mut rest).ok_or(length)?,
        })
    }
}

/// Writes a field to the front of `rest`. The fields add up to the record; a test of literal bytes holds that.
fn put<const N: usize>(rest: &mut &mut [u8], field: [u8; N]) {
    if let Some((to, remaining)) = core::mem::take(rest).split_first_chunk_mut::<N>() {
        *to = field;
        *rest = remaining;
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (field, remaining) = rest.split_first_chunk::<N>()?;
    *rest = remaining;
    Some(*field)
}
