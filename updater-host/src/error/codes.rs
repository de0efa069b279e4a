//! The code and the exit code of each error (docs/errors.md, docs/updater-host.md).

use suit_manifest::reason::Reason;
use trust::host::ReadError;

use super::Error;

impl Error {
    /// Stable name of what happened. A refusal has the slug of its reason.
    #[must_use]
    pub(crate) fn code(&self) -> String {
        match self {
            Self::NothingToInstall => "nothing-to-install",
            Self::ImageMissing => "image-missing",
            Self::AnchorMissing => "anchor-missing",
            Self::NotInBundle { .. } => "not-in-bundle",
            Self::NoTable { .. } => Reason::ComponentUnsupported.slug(),
            Self::NoFirmware { .. } => Reason::NothingBootable.slug(),
            Self::HalfWaits { .. } => Reason::PartMissing.slug(),
            Self::ConfirmationNeeded => "confirmation-needed",
            Self::Declined => "declined",
            Self::SeveralDevices(_) => "several-devices",
            #[cfg(feature = "http")]
            Self::ServerUrl(_) => "server-url",
            Self::Read { source: ReadError::TooLong(_), .. } => "file-too-long",
            Self::FileEmpty(_) => "file-empty",
            Self::Read { source: ReadError::Io(_), .. } => "file-read",
            #[cfg(feature = "http")]
            Self::Write { .. } => "file-write",
            Self::LineWrite { .. } => "file-write",
            Self::Output(_) => "output",
            #[cfg(feature = "http")]
            Self::SharedFolder { .. } => "shared-folder",
            #[cfg(feature = "http")]
            Self::NoDataDirectory => "no-data-directory",
            Self::Bus { .. } => "bus-failed",
            Self::NoDevice { .. } => "no-device",
            Self::AddressClash { .. } => "node-address-clash",
            Self::AnotherTester { .. } => "another-tester",
            Self::ProvisionConflict(conflict) => conflict.code(),
            Self::Report(fault) => fault.code(),
            Self::Line(fault) => fault.code(),
            Self::SerialNotFound { .. } => "serial-not-found",
            Self::DeviceSilent { .. } => "device-silent",
            Self::DeviceLost { .. } => "device-lost",
            Self::Interrupted(_) => "interrupted",
            #[cfg(feature = "http")]
            Self::TokenFile { .. } => "token-invalid",
            #[cfg(feature = "http")]
            Self::Authorities(_) => "ca-invalid",
            Self::AnchorFile { .. } => Reason::KeyInvalid.slug(),
            Self::Refused { reason, .. } => reason.slug(),
            Self::DeviceRefused(refusal) => match refusal.reason() {
                Some(reason) => reason.slug(),
                None if refusal.reason_code != 0 => {
                    return format!("reason-{:04x}", refusal.reason_code);
                }
                None => return format!("nrc-{:02x}", refusal.nrc.0),
            },
            Self::Root(fault) => fault.code(),
            Self::DeviceAnswer(_) => "device-answer",
            Self::DeviceChanged { .. } => "device-changed",
            Self::SlotChanged { .. } => "slot-changed",
            Self::NothingRuns { reason_code } if *reason_code == Reason::ApplicationSilent.code() => {
                Reason::ApplicationSilent.slug()
            }
            Self::NothingRuns { .. } => Reason::NothingBootable.slug(),
            Self::NoIdentity { .. } => "no-identity",
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
            #[cfg(feature = "http")]
            Self::NotOffered { .. } => "release-not-offered",
            #[cfg(feature = "http")]
            Self::DownloadBusy => "download-busy",
        }
        .to_owned()
    }

    /// Exit code of the program (docs/errors.md).
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NothingToInstall
            | Self::ImageMissing
            | Self::AnchorMissing
            | Self::NotInBundle { .. }
            | Self::ConfirmationNeeded
            | Self::Declined
            | Self::SeveralDevices(_) => 2,
            Self::Line(fault) => fault.exit_code(),
            Self::Report(fault) => fault.exit_code(),
            Self::Read { source: ReadError::Io(_), .. }
            | Self::LineWrite { .. }
            | Self::Output(_)
            | Self::Bus { .. }
            | Self::NoDevice { .. }
            | Self::SerialNotFound { .. }
            | Self::DeviceSilent { .. }
            | Self::DeviceLost { .. }
            | Self::Interrupted(_) => 3,
            Self::AnchorFile { .. } => Reason::KeyInvalid.exit_code(),
            Self::NoTable { .. } => Reason::ComponentUnsupported.exit_code(),
            Self::NoFirmware { .. } => Reason::NothingBootable.exit_code(),
            Self::HalfWaits { .. } => Reason::PartMissing.exit_code(),
            Self::Read { source: ReadError::TooLong(_), .. } | Self::FileEmpty(_) => 5,
            // The table gives reasons that only devices have the code of a remote refusal; here it is ours.
            Self::Refused { reason, .. } if reason.exit_code() == 7 => 5,
            Self::Refused { reason, .. } => reason.exit_code(),
            Self::DeviceRefused(_)
            | Self::Root(_)
            | Self::DeviceAnswer(_)
            | Self::DeviceChanged { .. }
            | Self::SlotChanged { .. }
            | Self::AddressClash { .. }
            | Self::AnotherTester { .. }
            | Self::ProvisionConflict(_)
            | Self::NothingRuns { .. }
            | Self::NoIdentity { .. } => 7,
            #[cfg(feature = "http")]
            Self::ServerUrl(_) => 2,
            #[cfg(feature = "http")]
            Self::Write { .. }
            | Self::SharedFolder { .. }
            | Self::NoDataDirectory
            | Self::DownloadBusy
            | Self::ServerUnreachable { .. }
            | Self::HttpClient(_) => 3,
            #[cfg(feature = "http")]
            Self::TokenFile { .. } | Self::Authorities(_) => 4,
            #[cfg(feature = "http")]
            Self::ServerRefused { .. }
            | Self::ServerAnswer(_)
            | Self::NoRelease { .. }
            | Self::NotOffered { .. } => 7,
        }
    }

    /// Whether it only says that the server cannot be reached now; what was fetched before may do.
    #[cfg(feature = "http")]
    #[must_use]
    pub(crate) fn is_offline(&self) -> bool {
        matches!(self, Self::ServerUnreachable { .. } | Self::ServerRefused { status: 502..=504, .. })
    }
}
