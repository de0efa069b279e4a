//! Lines of JSON between this process and the emulator.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use update_protocol::can::{Frame, Id};

/// A frame as the script has it.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct Wire {
    id: u32,
    ext: bool,
    fd: bool,
    brs: bool,
    data: String,
}

impl From<&Frame> for Wire {
    fn from(frame: &Frame) -> Self {
        let id = frame.id();
        Self {
            id: id.raw(),
            ext: id.is_extended(),
            fd: frame.is_fd(),
            brs: frame.brs(),
            data: hex::encode(frame.data()),
        }
    }
}

impl Wire {
    pub(crate) fn frame(&self) -> Result<Frame> {
        let id = match u16::try_from(self.id) {
            _ if self.ext => Id::Extended(self.id),
            Ok(id) => Id::Standard(id),
            Err(_) => bail!("a standard identifier of {:#x}", self.id),
        };
        let data = hex::decode(&self.data)?;
        let frame = if self.fd { Frame::new_fd(id, &data, self.brs) } else { Frame::new(id, &data) };
        Ok(frame?)
    }
}

/// Which program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    /// That of the ELF.
    Loader,
    /// Another one.
    Application,
}

/// How the chip is after it ran.
#[derive(Clone, Deserialize, Debug)]
pub struct Ran {
    /// Its time.
    pub now_us: u64,
    pub(crate) frames: Vec<Wire>,
    /// Causes of the resets since power came.
    pub resets: Vec<String>,
    /// What runs now.
    pub runs: Program,
    /// Whether its core sleeps.
    pub asleep: bool,
    /// When the chip itself does something again, if its core sleeps.
    pub wake_us: Option<u64>,
    /// Writes to flash and to the registers of its controller since the chip was new.
    pub operations: u64,
    /// Whether the power has gone, as [`Chip::cut_at`](crate::Chip::cut_at) wanted.
    #[serde(default)]
    pub cut: bool,
    /// Whether the loader's own flash is hidden from what runs.
    pub hidden: bool,
    /// Frames for which the CAN controller had no room.
    pub lost_frames: u64,
    /// The last fault that the core has taken, in words.
    pub fault: Option<String>,
}
