//! Everything that can stop the host, by whose fault it is, with the code, hint and exit code that people and
//! scripts see (docs/errors.md, docs/updater-host.md).

mod answer;
mod words;

pub(crate) use answer::DeviceAnswerError;
#[cfg(feature = "http")]
pub(crate) use answer::ServerAnswerError;
pub(crate) use words::{nrc_words, reason_hint};

use std::path::{Path, PathBuf};

use suit_manifest::reason::Reason;
use trust::host::{KeyFileError, ReadError};
use update_protocol::uds::Nrc;

use crate::device::{DeviceSummary, OtherUnit, reason_slug};
use crate::text::printable;

/// What a file is read or written for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileAction {
    /// Reading.
    Read,
    /// Writing, moving, locking.
    #[cfg(feature = "http")]
    Write,
}

impl FileAction {
    fn participle(self) -> &'static str {
        match self {
            Self::Read => "read",
            #[cfg(feature = "http")]
            Self::Write => "written",
        }
    }
}

/// What is refused, in the words of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The envelope of the release.
    Envelope,
    /// The image of the release.
    Image,
    /// A revocation list, with its source.
    RevocationList(String),
    /// The provisioning block.
    ProvisioningBlock,
    /// An object as a whole: what the device was doing.
    Step(&'static str),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Envelope => f.write_str("the release's envelope"),
            Self::Image => f.write_str("the release's image"),
            Self::RevocationList(source) => write!(f, "the revocation list {source}"),
            Self::ProvisioningBlock => f.write_str("the provisioning block"),
            Self::Step(step) => f.write_str(step),
        }
    }
}

/// A refusal by the device: the negative answer, and the reason it gave in its state record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceRefusal {
    /// What was refused.
    pub(crate) subject: Subject,
    /// The negative response code.
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
    /// Nobody could be asked.
    #[error("confirmation required, but there is no terminal")]
    ConfirmationNeeded,
    /// The person said no.
    #[error("nothing was changed: the update was not confirmed")]
    Declined,
    /// More than one device and none chosen.
    #[error("{} devices answer and none was chosen:{}", .0.len(), list(.0))]
    SeveralDevices(Vec<DeviceSummary>),
    /// Not an HTTP URL.
    #[cfg(feature = "http")]
    #[error("{0:?} is not the URL of a server")]
    ServerUrl(String),
    /// A file that is too long to be what it is taken for.
    #[error("{} is longer than {limit} bytes", path.display())]
    FileTooLong {
        /// The file.
        path: PathBuf,
        /// What would have been read, bytes.
        limit: u64,
    },
    /// A file that is empty.
    #[error("{} is empty", .0.display())]
    FileEmpty(PathBuf),

    // Environment.
    /// A file could not be read or written.
    #[error("{} could not be {}: {source}", path.display(), action.participle())]
    File {
        /// What was tried.
        action: FileAction,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Standard output is gone.
    #[error("the result could not be printed: {0}")]
    Output(std::io::Error),
    /// No home directory to keep downloads in.
    #[cfg(feature = "http")]
    #[error("there is no place to keep downloads")]
    NoDataDirectory,
    /// The bus could not be opened or used.
    #[error("{}", bus_failure(address, source))]
    Bus {
        /// The bus.
        address: String,
        /// What went wrong.
        source: can_bus::BusError,
    },
    /// Nobody answered.
    #[error("no device of ours answered on {bus}{}", units(.others))]
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
    /// What `provision` found in its way.
    #[error("nothing was written: {0}")]
    ProvisionConflict(ProvisionConflict),
    /// No device with this serial.
    #[error("no device with the serial {serial} answered on {bus}")]
    SerialNotFound {
        /// The serial that was asked for.
        serial: String,
        bus: BusName,
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
    #[error("the device was lost after {committed} of {total} bytes: {last}. It keeps what it has")]
    DeviceLost {
        /// Image bytes that the device has committed.
        committed: u32,
        /// Image size, bytes.
        total: u32,
        /// What went wrong last.
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
        /// The server.
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
    #[error("{} holds no usable token", .0.display())]
    TokenFile(PathBuf),
    /// A file without a certificate.
    #[cfg(feature = "http")]
    #[error("{} contains no certificate in PEM", .0.display())]
    Authorities(PathBuf),
    /// A file that is not an anchor.
    #[error("{} is not an anchor: {source}", path.display())]
    AnchorFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: KeyFileError,
    },

    // Refused here.
    /// The host's own check refused.
    #[error("{subject} is refused: {}{}", lower(.reason.message()), clause(.facts.as_deref()))]
    Refused {
        /// What was refused.
        subject: Subject,
        /// Why.
        reason: Reason,
        /// Byte offset that belongs to the reason.
        position: u32,
        /// The two values that do not fit: the release's and the device's.
        facts: Option<String>,
    },

    // Refused or spoilt by the other end.
    /// The device refused.
    #[error("{}", device_refusal(.0))]
    DeviceRefused(DeviceRefusal),
    /// The device answers, but not with what the protocol says.
    #[error("the device's answer makes no sense: {0}")]
    DeviceAnswer(DeviceAnswerError),
    /// Another device than the one the update began with.
    #[error("another device answers now: {found} instead of {expected}")]
    DeviceChanged {
        /// Serial of the device that the update is for.
        expected: String,
        /// Serial of the one that answers.
        found: String,
    },
    /// After the reset the device runs nothing.
    #[error("the device came back without an application that can run{}", because(*.reason_code))]
    NothingRuns {
        /// Reason code of its state record.
        reason_code: u16,
    },
    /// The server said no.
    #[cfg(feature = "http")]
    #[error("the server refused ({status}): {detail}")]
    ServerRefused {
        /// HTTP status.
        status: u16,
        /// Slug of the problem, if it has one.
        code: Option<String>,
        /// What the server says.
        detail: String,
    },
    /// The server's answer is not what docs/server-api.md says.
    #[cfg(feature = "http")]
    #[error("the server's answer makes no sense: {0}")]
    ServerAnswer(ServerAnswerError),
    /// There is nothing for this kind of device.
    #[cfg(feature = "http")]
    #[error("the server has no release for vendor {vendor} and class {class}")]
    NoRelease {
        /// Vendor id.
        vendor: uuid::Uuid,
        /// Class id.
        class: uuid::Uuid,
    },
}

/// When a person stopped the host, and what that means for the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// Nothing has been sent.
    BeforeTransfer,
    /// In the middle of the image.
    Transfer {
        /// Image bytes that the device has taken.
        taken: u32,
        /// Image size, bytes.
        total: u32,
    },
    /// The image is installed; the device goes on by itself.
    Restart,
    /// In a command that gives a device one thing.
    Command,
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BeforeTransfer => f.write_str("before anything was sent"),
            Self::Transfer { taken, total } => {
                write!(
                    f,
                    "after {taken} of {total} bytes; the device keeps what it runs and what it has taken"
                )
            }
            Self::Command => f.write_str("before it was known whether the device did it"),
            Self::Restart => f.write_str("while the device starts the new image; it goes on by itself"),
        }
    }
}

impl Error {
    /// A file that cannot be used as an anchor, or cannot be read.
    pub(crate) fn anchor_file(path: &Path, source: KeyFileError) -> Self {
        match source {
            KeyFileError::Read(error) => Self::file_read(path, error),
            source => Self::AnchorFile { path: path.to_owned(), source },
        }
    }

    /// A file that cannot be read.
    pub(crate) fn file_read(path: &Path, error: ReadError) -> Self {
        match error {
            ReadError::Io(source) => Self::file(FileAction::Read, path, source),
            ReadError::TooLong(limit) => Self::FileTooLong { path: path.to_owned(), limit },
        }
    }

    /// A file error.
    pub(crate) fn file(action: FileAction, path: &Path, source: std::io::Error) -> Self {
        Self::File { action, path: path.to_owned(), source }
    }

    /// Stable name of what happened. A refusal has the slug of its reason.
    #[must_use]
    pub(crate) fn code(&self) -> String {
        match self {
            Self::NothingToInstall => "nothing-to-install",
            Self::ConfirmationNeeded => "confirmation-needed",
            Self::Declined => "declined",
            Self::SeveralDevices(_) => "several-devices",
            #[cfg(feature = "http")]
            Self::ServerUrl(_) => "server-url",
            Self::FileTooLong { .. } => "file-too-long",
            Self::FileEmpty(_) => "file-empty",
            Self::File { .. } => "file-failed",
            Self::Output(_) => "output-failed",
            #[cfg(feature = "http")]
            Self::NoDataDirectory => "no-data-directory",
            Self::Bus { .. } => "bus-failed",
            Self::NoDevice { .. } => "no-device",
            Self::AddressClash { .. } => "node-address-clash",
            Self::ProvisionConflict(conflict) => conflict.code(),
            Self::SerialNotFound { .. } => "serial-not-found",
            Self::DeviceSilent { .. } => "device-silent",
            Self::DeviceLost { .. } => "device-lost",
            Self::Interrupted(_) => "interrupted",
            #[cfg(feature = "http")]
            Self::TokenFile(_) => "token-file",
            #[cfg(feature = "http")]
            Self::Authorities(_) => "ca-file",
            Self::AnchorFile { .. } => Reason::KeyInvalid.slug(),
            Self::Refused { reason, .. } => reason.slug(),
            Self::DeviceRefused(refusal) => match refusal.reason() {
                Some(reason) => reason.slug(),
                None if refusal.reason_code != 0 => {
                    return format!("reason-{:04x}", refusal.reason_code);
                }
                None => return format!("nrc-{:02x}", refusal.nrc.0),
            },
            Self::DeviceAnswer(_) => "device-answer",
            Self::DeviceChanged { .. } => "device-changed",
            Self::NothingRuns { .. } => Reason::NothingBootable.slug(),
            #[cfg(feature = "http")]
            Self::ServerUnreachable { .. } => "server-unreachable",
            #[cfg(feature = "http")]
            Self::HttpClient(_) => "http-client",
            #[cfg(feature = "http")]
            Self::ServerRefused { code, .. } => {
                return code.clone().unwrap_or_else(|| "server-refused".to_owned());
            }
            #[cfg(feature = "http")]
            Self::ServerAnswer(_) => "server-answer",
            #[cfg(feature = "http")]
            Self::NoRelease { .. } => "no-release",
        }
        .to_owned()
    }

    /// Exit code of the program (docs/errors.md).
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NothingToInstall | Self::ConfirmationNeeded | Self::Declined | Self::SeveralDevices(_) => 2,
            Self::File { .. }
            | Self::Output(_)
            | Self::Bus { .. }
            | Self::NoDevice { .. }
            | Self::SerialNotFound { .. }
            | Self::DeviceSilent { .. }
            | Self::DeviceLost { .. }
            | Self::Interrupted(_) => 3,
            Self::AnchorFile { .. } => Reason::KeyInvalid.exit_code(),
            Self::FileTooLong { .. } | Self::FileEmpty(_) => 5,
            // The table gives reasons that only devices have the code of a remote refusal; here it is ours.
            Self::Refused { reason, .. } if reason.exit_code() == 7 => 5,
            Self::Refused { reason, .. } => reason.exit_code(),
            Self::DeviceRefused(_)
            | Self::DeviceAnswer(_)
            | Self::DeviceChanged { .. }
            | Self::AddressClash { .. }
            | Self::ProvisionConflict(_)
            | Self::NothingRuns { .. } => 7,
            #[cfg(feature = "http")]
            Self::ServerUrl(_) => 2,
            #[cfg(feature = "http")]
            Self::NoDataDirectory | Self::ServerUnreachable { .. } | Self::HttpClient(_) => 3,
            #[cfg(feature = "http")]
            Self::TokenFile(_) | Self::Authorities(_) => 4,
            #[cfg(feature = "http")]
            Self::ServerRefused { .. } | Self::ServerAnswer(_) | Self::NoRelease { .. } => 7,
        }
    }

    /// Whether it only says that the server cannot be reached now; what was fetched before may do.
    #[cfg(feature = "http")]
    #[must_use]
    pub(crate) fn is_offline(&self) -> bool {
        matches!(self, Self::ServerUnreachable { .. } | Self::ServerRefused { status: 502..=504, .. })
    }

    /// What to do about it.
    #[must_use]
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NothingToInstall => "Pass --server, or --release and --image.",
            Self::ConfirmationNeeded => "Pass --yes.",
            Self::Declined => "Run the command again when you want the update.",
            Self::SeveralDevices(_) => "Choose one with --node or --serial.",
            #[cfg(feature = "http")]
            Self::ServerUrl(_) => "Give it as http://host:port or https://host.",
            Self::FileTooLong { .. } | Self::FileEmpty(_) => "Check that it is the right file.",
            Self::File { .. } => "Check the path, the permissions and the free space.",
            Self::Output(_) => "Check where the output goes.",
            #[cfg(feature = "http")]
            Self::NoDataDirectory => "Pass --data-dir.",
            Self::Bus { address, source } => return words::bus_hint(address, source),
            Self::NoDevice { bus, .. } | Self::SerialNotFound { bus, .. } | Self::DeviceSilent { bus, .. }
                if bus.is_default =>
            {
                "Pass --bus with your adapter, for example --bus socketcan:can0 or --bus slcan:/dev/ttyACM0."
            }
            Self::NoDevice { others, .. } if !others.is_empty() => {
                "Ask the manufacturer of the unit whether this program can update it. If your device is missing, \
                 check its power, its cable and the bit rate."
            }
            Self::NoDevice { .. } => "Check the power of the device, the cable to the bus and the bit rate.",
            Self::SerialNotFound { .. } => {
                "updater-host scan lists the devices. If yours is missing, check its power and its cable."
            }
            Self::DeviceSilent { .. } => {
                "Check the power of the device and the cable to the bus; updater-host scan lists the devices."
            }
            Self::AddressClash { .. } => {
                "Disconnect all devices with this node address but one, and run the command again."
            }
            Self::ProvisionConflict(conflict) => conflict.hint(),
            Self::DeviceLost { .. } => {
                "Check power and cable, and run the same command again: it resumes where it stopped."
            }
            Self::Interrupted(Moment::Restart | Moment::Command) => {
                "updater-host info shows what the device runs."
            }
            Self::Interrupted(_) => "Run it again to resume.",
            #[cfg(feature = "http")]
            Self::TokenFile(_) => "Put the server's token into the file, on one line.",
            #[cfg(feature = "http")]
            Self::Authorities(_) => "Ask the operator of the server for the certificate of its authority, in PEM.",
            Self::AnchorFile { source, .. } => source.hint(),
            Self::Refused { reason, .. } => reason_hint(*reason),
            Self::DeviceRefused(refusal) => match refusal.reason() {
                Some(reason) => reason_hint(reason),
                None => words::nrc_hint(refusal.nrc),
            },
            Self::DeviceAnswer(_) => {
                "Disconnect other tools from the bus and run the command again. If it fails again, call the \
                 manufacturer."
            }
            Self::DeviceChanged { .. } => "Connect one device with this node address only.",
            Self::NothingRuns { .. } => "Run the update again; the loader of the device takes it.",
            #[cfg(feature = "http")]
            Self::ServerUnreachable { .. } => {
                "Check the network; a release that was fetched before installs without the server."
            }
            #[cfg(feature = "http")]
            Self::HttpClient(_) => "Check the certificates of this computer, and --ca.",
            #[cfg(feature = "http")]
            Self::ServerRefused { status: 401 | 403, .. } => "Check --token-file.",
            #[cfg(feature = "http")]
            Self::ServerRefused { .. } => "Ask the operator of the server; its log says more.",
            #[cfg(feature = "http")]
            Self::ServerAnswer(_) => "Check that --server names an update-server of this version.",
            #[cfg(feature = "http")]
            Self::NoRelease { .. } => {
                "Check that --server is the right one, and ask the manufacturer for a release for this device."
            }
        }
        .to_owned()
    }

    /// What failed in the words of the protocol: for `-v`, and for the manufacturer's support.
    #[must_use]
    pub(crate) fn detail(&self) -> Option<String> {
        if let Self::DeviceSilent { detail, .. } | Self::DeviceLost { detail, .. } = self {
            return Some(detail.clone());
        }
        if let Self::DeviceRefused(refusal) = self { Some(refusal.nrc.to_string()) } else { None }
    }
}

/// The bus that was asked, in messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BusName {
    pub(crate) address: String,
    /// Nobody named it: it is the simulator's.
    pub(crate) is_default: bool,
}

impl std::fmt::Display for BusName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)?;
        if self.is_default {
            f.write_str(", the simulator's bus (--bus was not given)")?;
        }
        Ok(())
    }
}

/// Why a provisioning block is not written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ProvisionConflict {
    /// More than one device without an identity: all of them would become the same one.
    SeveralFactoryDevices(usize),
    NodeInUse {
        node: u8,
        serial: String,
    },
    SerialInUse {
        node: u8,
        serial: String,
    },
}

impl ProvisionConflict {
    fn code(&self) -> &'static str {
        match self {
            Self::SeveralFactoryDevices(_) => "several-factory-devices",
            Self::NodeInUse { .. } => "node-address-in-use",
            Self::SerialInUse { .. } => "serial-in-use",
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::SeveralFactoryDevices(_) => "Connect one new device only, and run the command again.",
            Self::NodeInUse { .. } => {
                "Disconnect the other device, or ask for a provisioning block with a free node address."
            }
            Self::SerialInUse { .. } => {
                "Check which block belongs to which device: each serial is for one device."
            }
        }
    }
}

impl std::fmt::Display for ProvisionConflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SeveralFactoryDevices(count) => {
                write!(
                    f,
                    "{count} devices answer at the node address of the new device, and each would get this identity"
                )
            }
            Self::NodeInUse { node, serial } => {
                write!(f, "node address 0x{node:02X} of the block is in use by {serial}")
            }
            Self::SerialInUse { node, serial } => {
                write!(
                    f,
                    "the serial {serial} of the block is in use by the device at node address 0x{node:02X}"
                )
            }
        }
    }
}

/// One line a device, for the message.
fn list(devices: &[DeviceSummary]) -> String {
    devices.iter().map(|device| format!("\n  {device}")).collect()
}

/// One line a unit, for the message.
fn units(others: &[OtherUnit]) -> String {
    let lines: String = others.iter().map(|unit| format!("\n  {unit}")).collect();
    if lines.is_empty() { lines } else { format!("; these units did:{lines}") }
}

fn clause(facts: Option<&str>) -> String {
    facts.map(|facts| format!(" ({})", printable(facts))).unwrap_or_default()
}

fn bus_failure(address: &str, source: &can_bus::BusError) -> String {
    // This one names the bus itself.
    if matches!(source, can_bus::BusError::Open { .. }) {
        return source.to_string();
    }
    format!("the bus {address} failed: {source}")
}

fn device_refusal(refusal: &DeviceRefusal) -> String {
    let because = match refusal.reason() {
        Some(reason) => lower(reason.message()),
        None => words::nrc_words(refusal.nrc),
    };
    format!("the device refused {}: {because}", refusal.subject)
}

/// The slug of a reason code that is not 0, for the end of a message.
fn because(reason_code: u16) -> String {
    reason_slug(reason_code).map(|slug| format!(": {slug}")).unwrap_or_default()
}

/// A sentence of the table inside of another one.
fn lower(sentence: &str) -> String {
    let mut chars = sentence.trim_end_matches('.').chars();
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    printable(&first.into_iter().chain(chars).collect::<String>())
}

#[cfg(test)]
mod tests;
