//! Everything that can stop the host, by cause. Codes, hints and words are in modules of their own (docs/errors.md,
//! docs/updater-host.md).

mod answer;
mod codes;
mod hints;
mod line;
mod moment;
mod provision;
mod reasons;
mod report;
mod roots;
mod words;

pub(crate) use answer::DeviceAnswerError;
#[cfg(feature = "http")]
pub(crate) use answer::ServerAnswerError;
pub(crate) use line::LineFault;
pub(crate) use moment::Moment;
pub(crate) use provision::ProvisionConflict;
pub(crate) use reasons::{NO_IDENTITY, reason_hint, state_hint, table_hint};
pub(crate) use report::ReportFault;
pub(crate) use roots::RootFault;
pub(crate) use words::{nrc_words, slot_name};

use std::path::{Path, PathBuf};

use suit_manifest::reason::Reason;
use trust::SuccessionNumber;
#[cfg(feature = "http")]
use trust::host::TokenFileError;
use trust::host::{AnchorFault, AnchorsError, KeyFileError, ReadError};
use update_protocol::profile::Component;
use update_protocol::uds::Nrc;

use crate::device::{DeviceSummary, OtherUnit, beside, target_of};
use crate::text::{printable, shown};
use words::{because, bus_failure, clause, device_refusal, instead, list, said_of, units};

/// What is refused, in the words of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Envelope,
    Image,
    /// The image for one of the two slots, of a release that has one for each.
    SlotImage {
        second_slot: bool,
    },
    /// A configuration table, in the place of an image.
    Table,
    /// A revocation list, with its source.
    RevocationList(String),
    /// A succession or several, with their source.
    Succession(String),
    /// What brings a device to the root with this number.
    SuccessionChain(SuccessionNumber),
    ProvisioningBlock,
    /// What a device says of its last attempt.
    Report,
    /// An object as a whole: what the device was doing.
    Step(&'static str),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Envelope => f.write_str("the release's envelope"),
            Self::Image => f.write_str("the release's image"),
            Self::SlotImage { second_slot } => {
                write!(f, "the release's image for the {} slot", slot_name(*second_slot))
            }
            Self::Table => f.write_str("the release's table"),
            Self::RevocationList(source) => write!(f, "the revocation list {}", printable(source)),
            Self::Succession(source) => write!(f, "the succession {}", printable(source)),
            Self::SuccessionChain(number) => write!(f, "the succession chain to root {number}"),
            Self::ProvisioningBlock => f.write_str("the provisioning block"),
            Self::Report => f.write_str("the report of the device"),
            Self::Step(step) => f.write_str(step),
        }
    }
}

/// A refusal by the device: the negative answer, and the reason it gave in its state record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceRefusal {
    pub(crate) subject: Subject,
    pub(crate) nrc: Nrc,
    /// Reason code of the state record; 0 when the device gave none.
    pub(crate) reason_code: u16,
    /// Byte offset that belongs to the reason.
    pub(crate) position: u32,
}

impl DeviceRefusal {
    /// The reason, when it is one that this version knows.
    #[must_use]
    pub(crate) fn reason(&self) -> Option<Reason> {
        Reason::from_code(self.reason_code)
    }
}

/// Why a command ended without doing what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    // How it was called.
    /// Neither a server nor files.
    #[error("there is nothing to install")]
    NothingToInstall,
    /// No image was given, and the envelope has none.
    #[error("there is no image: none was given, and none is in the envelope")]
    ImageMissing,
    /// No anchor was given to verify it under.
    #[error("the release is signed, and no anchor was given to verify it under")]
    AnchorMissing,
    /// A folder of releases for single devices.
    #[error("{} has no release for {serial}: {} is not there", shown(folder), printable(file))]
    NotInBundle { folder: PathBuf, serial: String, file: String },
    /// A release or a command for what the device does not have.
    #[error("{serial} has no configuration table")]
    NoTable { serial: String },
    /// A table for a device on which nothing runs.
    #[error("{serial} has no firmware that runs, and firmware is what tries a table")]
    NoFirmware { serial: String },
    /// What waits is not started by a reset.
    #[error(
        "{serial} was reset, and its {} still waits: it is half of a release of firmware and a table, and the {} of that release \
         is not there", target_of(*waits).name(), target_of(beside(*waits)).name()
    )]
    HalfWaits { serial: String, waits: Component },
    /// There is no terminal to ask on.
    #[error("confirmation required, but there is no terminal")]
    ConfirmationNeeded,
    /// The answer to the question was no.
    #[error("it was declined; nothing was changed")]
    Declined,
    /// More than one device and none chosen.
    #[error("{} devices answered and none was chosen:{}", .0.len(), list(.0))]
    SeveralDevices(Vec<DeviceSummary>),
    #[cfg(feature = "http")]
    #[error("--server is not the URL of a server: {0}")]
    ServerUrl(server_client::UrlError),
    #[error("{} is empty", shown(.0))]
    FileEmpty(PathBuf),

    // Environment.
    #[error("{} could not be read: {source}", shown(path))]
    Read { path: PathBuf, source: ReadError },
    /// A file of the data folder could not be written, moved, locked or deleted.
    #[cfg(feature = "http")]
    #[error("{} could not be written: {source}", shown(path))]
    Write { path: PathBuf, source: std::io::Error },
    /// A file of a production line could not be, which stands in the folder that was named.
    #[error("{} could not be written: {source}", shown(path))]
    LineWrite { path: PathBuf, source: std::io::Error },
    /// Standard output is gone.
    #[error("the result could not be printed: {0}")]
    Output(std::io::Error),
    #[cfg(feature = "http")]
    #[error("{} is not safe as a data folder: {fault}", shown(path))]
    SharedFolder {
        path: PathBuf,
        /// Who else can change what is in it.
        fault: String,
    },
    /// No home directory to keep downloads in.
    #[cfg(feature = "http")]
    #[error("there is no folder for downloads: this user has no home directory")]
    NoDataDirectory,
    /// The bus could not be opened or used.
    #[error("{}", bus_failure(address, source))]
    Bus { address: String, source: can_bus::BusError },
    #[error("no supported device answered on {bus}{}", units(.others))]
    NoDevice {
        bus: BusName,
        /// Units that answered, but not as our devices do.
        others: Vec<OtherUnit>,
    },
    /// Several devices share a node address.
    #[error("more than one device uses node address 0x{node:02X}: {evidence}")]
    AddressClash {
        node: u8,
        /// What showed it.
        evidence: String,
    },
    /// Another tester works on the same device, so that nobody knows whom an answer was for.
    #[error("another tester with this one's address F1 is at work on the bus: {evidence}")]
    AnotherTester {
        /// What showed it.
        evidence: String,
    },
    /// What `provision` found in its way.
    #[error("nothing was written: {0}")]
    ProvisionConflict(ProvisionConflict),
    /// Why there is no report.
    #[error("{0}")]
    Report(ReportFault),
    /// What stops a production line.
    #[error("{0}")]
    Line(LineFault),
    /// No device with this serial.
    #[error("no device with the serial {} answered on {bus}{}", printable(serial), instead(.found))]
    SerialNotFound {
        /// The serial that was asked for.
        serial: String,
        bus: BusName,
        /// The devices that did answer.
        found: Vec<DeviceSummary>,
    },
    /// The device at this address does not answer.
    #[error("the device at node address 0x{node:02X} on {bus} does not answer ({during})")]
    DeviceSilent {
        node: u8,
        bus: BusName,
        /// What was being done.
        during: &'static str,
        /// What failed, in the words of the protocol.
        detail: String,
    },
    /// The device was lost and did not come back in time.
    #[error(
        "contact with the device was lost after {committed} of {total} bytes: {last}. The device keeps what it has written of them"
    )]
    DeviceLost {
        /// Image bytes that the device has committed.
        committed: u32,
        total: u32,
        last: String,
        /// The same in the words of the protocol.
        detail: String,
    },
    /// Stopped by the person.
    #[error("interrupted {0}")]
    Interrupted(Moment),
    /// The server does not answer.
    #[cfg(feature = "http")]
    #[error("the server {url} cannot be reached: {detail}")]
    ServerUnreachable {
        url: String,
        /// The chain of causes.
        detail: String,
    },
    /// TLS or the client could not be set up.
    #[cfg(feature = "http")]
    #[error("the HTTP client could not be set up: {0}")]
    HttpClient(reqwest::Error),

    // Keys and credentials.
    /// A token file without a usable token.
    #[cfg(feature = "http")]
    #[error("{} cannot be used as a token file: {source}", shown(path))]
    TokenFile { path: PathBuf, source: TokenFileError },
    /// A file without a certificate.
    #[cfg(feature = "http")]
    #[error("{} contains no certificate in PEM", shown(.0))]
    Authorities(PathBuf),
    /// A file that is not an anchor, or not one here.
    #[error("{} cannot be used as an anchor: {fault}", shown(path))]
    AnchorFile { path: PathBuf, fault: AnchorFault },

    // Refused here.
    /// The host's own check refused.
    #[error("the host refused {subject}: {}{}", said_of(subject, *reason), clause(.facts.as_deref()))]
    Refused {
        subject: Subject,
        reason: Reason,
        /// Byte offset that belongs to the reason.
        position: u32,
        /// The two values that do not fit: the release's and the device's.
        facts: Option<String>,
    },

    // Refused or spoilt by the other end.
    /// The device and this computer stand at different roots, and nothing helps here.
    #[error("{0}")]
    Root(RootFault),
    #[error("{}", device_refusal(.0))]
    DeviceRefused(DeviceRefusal),
    /// The device answers, but not with what the protocol says.
    #[error("the device sent an invalid answer: {0}")]
    DeviceAnswer(DeviceAnswerError),
    /// Another device than the one the update began with.
    #[error("another device answers now: {found} instead of {expected}")]
    DeviceChanged {
        /// Serial of the device that the update is for.
        expected: String,
        /// Serial of the one that answers.
        found: String,
    },
    /// The device writes another slot than the one that the image was chosen for, and that slot's image is not here.
    #[error("the device takes the image for the {} slot now, and that one was not given", slot_name(*second_slot))]
    SlotChanged {
        /// The slot that it writes now.
        second_slot: bool,
    },
    /// After the reset the device runs nothing.
    #[error("after the reset the device has no application that can run{}", because(*.reason_code))]
    NothingRuns {
        /// Reason code of its state record.
        reason_code: u16,
    },
    /// Its loader cannot read its provisioning block or its journal.
    #[error("the device at node address 0x{node:02X} does not know its identity any more{}", because(*.reason_code))]
    NoIdentity {
        node: u8,
        /// Reason code of its state record.
        reason_code: u16,
    },
    /// The server said no.
    #[cfg(feature = "http")]
    #[error("the server refused ({status}): {detail}")]
    ServerRefused {
        status: u16,
        /// Slug of the problem, if it has one.
        code: Option<String>,
        detail: String,
    },
    /// The server's answer is not what docs/server-api.md says.
    #[cfg(feature = "http")]
    #[error("the server sent an invalid answer: {0}")]
    ServerAnswer(ServerAnswerError),
    /// There is nothing for this kind of device.
    #[cfg(feature = "http")]
    #[error("the server has no release of {} for vendor {vendor} and class {class}", .shelf.words())]
    NoRelease {
        vendor: uuid::Uuid,
        class: uuid::Uuid,
        shelf: crate::server::Shelf,
        /// There is one of firmware and a table in one, which was not asked for.
        has_both: bool,
    },
    /// There are releases for this kind of device, and none that may be installed now.
    #[cfg(feature = "http")]
    #[error("the server offers none of its releases for this device: {detail}")]
    NotOffered { detail: String },
    /// Another program holds the lock of a download.
    #[cfg(feature = "http")]
    #[error("another program is still downloading the same image")]
    DownloadBusy,
}

impl Error {
    /// A file that cannot be used as an anchor, or cannot be read.
    pub(crate) fn anchor_file(AnchorsError { path, fault }: AnchorsError) -> Self {
        match fault {
            AnchorFault::File(KeyFileError::Read(error)) => Self::read(&path, error),
            fault => Self::AnchorFile { path, fault },
        }
    }

    pub(crate) fn read(path: &Path, source: impl Into<ReadError>) -> Self {
        Self::Read { path: path.to_owned(), source: source.into() }
    }

    #[cfg(feature = "http")]
    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }

    pub(crate) fn line_write(path: &Path, source: std::io::Error) -> Self {
        Self::LineWrite { path: path.to_owned(), source }
    }
}

/// The bus that was asked, in messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BusName {
    pub(crate) address: String,
    /// `--bus` was not given: it is the simulator's.
    pub(crate) is_default: bool,
}

impl std::fmt::Display for BusName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&printable(&self.address))?;
        if self.is_default {
            f.write_str(", the simulator's bus (--bus was not given)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
