//! What stops a production line (docs/updater-host.md, Production line).

use std::path::PathBuf;

use crate::text::{printable, shown};

/// Serials in a message.
const SHOWN_SERIALS: usize = 8;

/// Why no device is provisioned from a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum LineFault {
    /// The list of devices cannot be used.
    List { path: PathBuf, line: u64, why: String },
    /// The list is another one than the line began with.
    ListChanged { path: PathBuf },
    /// The block of a device is not the one of the list.
    Block { path: PathBuf, serial: String, why: String },
    /// A line of the log is not one that this program writes.
    Log { path: PathBuf, line: u64, why: String },
    /// Another program works with the log.
    Busy { path: PathBuf },
    /// Every device that answers has its block.
    NoneBlank { serials: Vec<String> },
    /// Nobody knows whether a device has this block.
    Undecided { serial: String },
    /// A device has a serial of the list, and something else than its block says.
    DeviceDiffers { serial: String, why: String },
    /// A serial that cannot be set aside.
    Serial { serial: String, why: &'static str },
    /// No QR code holds the text.
    Label { serial: String },
}

impl LineFault {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::List { .. } => "devices-list",
            Self::ListChanged { .. } => "devices-list-changed",
            Self::Block { .. } => "block-differs",
            Self::Log { .. } => "line-log",
            Self::Busy { .. } => "line-busy",
            Self::NoneBlank { .. } => "no-blank-device",
            Self::Undecided { .. } => "block-undecided",
            Self::DeviceDiffers { .. } => "device-differs",
            Self::Serial { .. } => "serial-not-free",
            Self::Label { .. } => "label",
        }
    }

    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Serial { .. } => 2,
            Self::Busy { .. } | Self::NoneBlank { .. } => 3,
            Self::List { .. }
            | Self::ListChanged { .. }
            | Self::Block { .. }
            | Self::Log { .. }
            | Self::Label { .. } => 5,
            Self::Undecided { .. } | Self::DeviceDiffers { .. } => 7,
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::List { .. } | Self::Block { .. } => {
                "Copy the folder again from where manifest-tool provision made it, and keep line.jsonl."
            }
            Self::ListChanged { .. } => {
                "Put the list back with which this line began. Another batch belongs into a folder of its own."
            }
            Self::Log { .. } => {
                "Restore line.jsonl from its copy. Without it nobody knows which blocks are on devices."
            }
            Self::Busy { .. } => {
                "End the other updater-host, or give each production line a folder of its own."
            }
            Self::NoneBlank { .. } => {
                "Connect the next device: these are done. updater-host scan shows them."
            }
            Self::Undecided { .. } => {
                "Connect the device that was on the line when it stopped. If it is lost, pass --set-aside with this serial: \
                 no device gets it then."
            }
            Self::DeviceDiffers { .. } => {
                "Take the device off the line, and find out from where it has this serial."
            }
            Self::Serial { .. } => "Choose a serial of devices.csv that no device has.",
            Self::Label { .. } => "Make the block again with a shorter serial.",
        }
    }
}

impl std::fmt::Display for LineFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::List { path, line, why } => write!(f, "line {line} of {}: {}", shown(path), printable(why)),
            Self::ListChanged { path } => {
                write!(f, "{} is not the list with which this production line began", shown(path))
            }
            Self::Block { path, serial, why } => {
                write!(f, "{} is not the block of {} in the list: {why}", shown(path), printable(serial))
            }
            Self::Log { path, line, why } => {
                write!(f, "line {line} of {} cannot be used: {}", shown(path), printable(why))
            }
            Self::Busy { path } => write!(f, "another program works with {}", shown(path)),
            Self::NoneBlank { serials } => {
                let named: Vec<_> =
                    serials.iter().take(SHOWN_SERIALS).map(|serial| printable(serial)).collect();
                let more = if serials.len() > SHOWN_SERIALS { ", ..." } else { "" };
                write!(
                    f,
                    "no device in factory state answered; {} with a block did: {}{more}",
                    serials.len(),
                    named.join(", ")
                )
            }
            Self::Undecided { serial } => write!(
                f,
                "the block of {} was sent to a device, and this is not the device that was seen then",
                printable(serial)
            ),
            Self::DeviceDiffers { serial, why } => {
                write!(f, "the device {} is not what its block says: {why}", printable(serial))
            }
            Self::Serial { serial, why } => write!(f, "{} cannot be set aside: {why}", printable(serial)),
            Self::Label { serial } => write!(f, "no label could be made for {}", printable(serial)),
        }
    }
}
