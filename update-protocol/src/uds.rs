//! UDS (ISO 14229-1:2020), the services of an update: `10` `11` `22` `31` `34` `36` `37` `3E`.
//!
//! [`server`] is the device's end, [`client`] the tester's; both are sans-IO and work on whole messages.

pub mod client;
mod nrc;
pub mod server;

pub use nrc::Nrc;

/// P2server: how soon a server answers.
pub const P2_MS: u16 = 50;
/// P2*server: how soon it answers again after NRC 78.
pub const P2_STAR_MS: u16 = 5000;
/// S3server: a session without a request for this long ends.
pub const S3_SERVER_MS: u16 = 5000;
/// S3client: how often a client keeps a session alive.
pub const S3_CLIENT_MS: u16 = 2000;
/// The identifier that a negative answer begins with.
pub const NEGATIVE_RESPONSE: u8 = 0x7F;
/// Added to the service identifier in a positive answer.
pub const POSITIVE_OFFSET: u8 = 0x40;
/// The bit of a sub-function that asks for no positive answer.
pub const SUPPRESS_POSITIVE: u8 = 0x80;
/// How many data identifiers one request may ask for.
pub const MAX_IDENTIFIERS: usize = 8;

/// Service identifiers.
pub mod sid {
    /// DiagnosticSessionControl.
    pub const SESSION: u8 = 0x10;
    /// ECUReset.
    pub const RESET: u8 = 0x11;
    /// ReadDataByIdentifier.
    pub const READ: u8 = 0x22;
    /// RoutineControl.
    pub const ROUTINE: u8 = 0x31;
    /// RequestDownload.
    pub const DOWNLOAD: u8 = 0x34;
    /// TransferData.
    pub const TRANSFER: u8 = 0x36;
    /// RequestTransferExit.
    pub const TRANSFER_EXIT: u8 = 0x37;
    /// TesterPresent.
    pub const TESTER_PRESENT: u8 = 0x3E;
}

/// A diagnostic session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Session {
    /// The one that is active after a reset.
    Default = 1,
    /// The one that takes downloads and routines.
    Programming = 2,
    /// Extended diagnostics; nothing of ours needs it.
    Extended = 3,
}

impl Session {
    /// The session of a sub-function byte without its suppress bit.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Default),
            2 => Some(Self::Programming),
            3 => Some(Self::Extended),
            _ => None,
        }
    }
}
