//! What the technician can do about each error.

use suit_manifest::reason::Reason;
use trust::host::ReadError;

use super::reasons::{NO_IDENTITY, OTHER_HOST, half_hint, nothing_runs_hint, reason_hint};
use super::{Error, Moment, Subject, words};

const OTHER_TOOLS: &str = "Disconnect other tools from the bus and run the command again. If it fails again, call the manufacturer.";

const OTHER_SIGNER: &str = "Check that the file comes from the manufacturer of this device. If it does, call the manufacturer and name the code.";

impl Error {
    /// What to do about it.
    #[must_use]
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NothingToInstall => "Pass --server, --bundle, or --release and --image.",
            Self::ImageMissing => "Pass the image of the release with --image.",
            Self::AnchorMissing => "Pass the anchor of the manufacturer with --anchor.",
            Self::NoTable { .. } => {
                "Check that it is the right device: updater-host info shows whether a device has a table."
            }
            Self::NoFirmware { .. } => "Install a release of firmware first; then run this update again.",
            Self::HalfWaits { waits, .. } => half_hint(*waits),
            Self::NotInBundle { .. } => {
                "Check that it is the right folder and the right device, or ask the manufacturer for a release for this device."
            }
            Self::ConfirmationNeeded => "Pass --yes.",
            Self::Declined => "Run the command again when you want it.",
            // They have no serial yet.
            Self::SeveralDevices(devices) if devices.iter().all(|device| device.mode == "factory") => {
                "Choose one with --node, or connect only one of them."
            }
            Self::SeveralDevices(_) => "Choose one with --node or --serial.",
            #[cfg(feature = "http")]
            Self::ServerUrl(_) => "Use the form http://host:port or https://host, without user and password.",
            Self::Read { source: ReadError::TooLong(_), .. } | Self::FileEmpty(_) => {
                "Check that it is the right file."
            }
            Self::Read { source: ReadError::Io(_), .. } => "Check the path and the permissions of the file.",
            #[cfg(feature = "http")]
            Self::Write { .. } => {
                "Check the permissions of the folder and the free space. Another folder for downloads: --data-dir."
            }
            Self::LineWrite { .. } => {
                "Check the permissions of the folder of --from and the free space, then run the command again: the line goes on \
                 where it stopped."
            }
            Self::Output(_) => "Check where the output goes.",
            #[cfg(feature = "http")]
            Self::SharedFolder { .. } => {
                "Pass a folder of your own with --data-dir, or take the right to write from others (chmod go-w). An update goes without a \
                 folder too: --no-cache."
            }
            #[cfg(feature = "http")]
            Self::NoDataDirectory => "Pass --data-dir. An update goes without a folder too: --no-cache.",
            Self::Bus { address, source } => return words::bus_hint(address, source),
            Self::SerialNotFound { found, .. } if !found.is_empty() => {
                "Check the serial, or choose one of the devices that answered."
            }
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
                "Run updater-host scan to list the devices. If yours is missing, check its power and its cable."
            }
            Self::DeviceSilent { .. } => {
                "Check the power of the device and the cable to the bus. Run updater-host scan to list the devices."
            }
            Self::AddressClash { .. } => {
                "Disconnect all devices with this node address but one, and run the command again."
            }
            Self::AnotherTester { .. } => {
                "End the other program, or wait until it has finished, and run the command again: it resumes."
            }
            Self::ProvisionConflict(conflict) => conflict.hint(),
            Self::Report(fault) => fault.hint(),
            Self::Line(fault) => fault.hint(),
            Self::DeviceLost { .. } => {
                "Check power and cable, and run the same command again: it resumes where it stopped."
            }
            Self::Interrupted(Moment::Restart | Moment::Command) => {
                "Run updater-host info to see what the device runs."
            }
            Self::Interrupted(Moment::BetweenHalves) => {
                "Run it again to bring the firmware. If it does not go through any more, run updater-host abandon --table to drop the \
                 table."
            }
            Self::Interrupted(_) => "Run it again to resume.",
            #[cfg(feature = "http")]
            Self::TokenFile { .. } => "Put the token of the server into the file, on a line of its own.",
            #[cfg(feature = "http")]
            Self::Authorities(_) => "Ask the operator of the server for the certificate of its authority, in PEM.",
            Self::AnchorFile { fault, .. } => fault.hint(),
            Self::Refused { subject: Subject::ProvisioningBlock, reason: Reason::ProvisioningMalformed, .. } => {
                "Check that the file is the block that was made for this device, or get it again from the manufacturer."
            }
            Self::Refused { subject: Subject::SlotImage { .. }, reason: Reason::ImageDigestMismatch, .. } => {
                "Pass both images of the release with --image."
            }
            Self::Refused { subject: Subject::Report, reason, .. } if *reason != Reason::ReportNonce => OTHER_TOOLS,
            Self::Refused { reason, .. } => reason_hint(*reason),
            Self::DeviceRefused(refusal) => match refusal.reason() {
                // What the device goes by is in it, and no option of a command.
                Some(Reason::AnchorUnknown | Reason::SignatureInvalid | Reason::KeyMismatch)
                    if matches!(refusal.subject, Subject::RevocationList(_) | Subject::SuccessionChain(_)) =>
                {
                    OTHER_SIGNER
                }
                Some(reason) => reason_hint(reason),
                None if refusal.reason_code != 0 => OTHER_HOST,
                None => words::nrc_hint(refusal.nrc),
            },
            Self::Root(fault) => fault.hint(),
            Self::DeviceAnswer(error) if error.is_of_a_newer_loader() => OTHER_HOST,
            Self::DeviceAnswer(_) => OTHER_TOOLS,
            Self::DeviceChanged { .. } => "Connect only one device with this node address.",
            Self::SlotChanged { .. } => {
                "Run the update again; with --release, pass both images of the release with --image."
            }
            Self::NoIdentity { .. } => NO_IDENTITY,
            Self::NothingRuns { reason_code } => nothing_runs_hint(*reason_code),
            #[cfg(feature = "http")]
            Self::ServerUnreachable { .. } => {
                "Check the network. A release that was fetched earlier installs without the server."
            }
            #[cfg(feature = "http")]
            Self::HttpClient(_) => "Check the certificates of this computer, and --ca.",
            #[cfg(feature = "http")]
            Self::ServerRefused { status: 401 | 403, .. } => "Check --token-file.",
            #[cfg(feature = "http")]
            Self::ServerRefused { code: None, .. } => {
                "Check that --server names an update-server; if it does, ask its operator to check the log."
            }
            #[cfg(feature = "http")]
            Self::ServerRefused { .. } => "Ask the operator of the server to check its log.",
            #[cfg(feature = "http")]
            Self::ServerAnswer(_) => "Check that --server names an update-server of this version.",
            #[cfg(feature = "http")]
            Self::NotOffered { .. } => "Ask the manufacturer for a new release for this device.",
            #[cfg(feature = "http")]
            Self::DownloadBusy => "End the other updater-host, and run the command again.",
            #[cfg(feature = "http")]
            Self::NoRelease { has_both: true, .. } => {
                "The server has a release of firmware and a table in one: run the update without --target to get it. Else ask the \
                 manufacturer for a release of this target alone."
            }
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
