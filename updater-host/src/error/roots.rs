//! What keeps a device from following the successions that this computer knows (docs/records.md, Succession).

use trust::{Domain, SuccessionNumber};

/// Why a device does not get a succession chain, or nothing else of the domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum RootFault {
    /// The device trusts a later root than this computer knows.
    DeviceNewer { domain: Domain, device: SuccessionNumber, here: SuccessionNumber },
    /// The device trusts another root of the same number.
    Contradicts { domain: Domain, number: SuccessionNumber },
    /// A chain ends with a list of its last root, and that one has signed none that is here.
    NoList { domain: Domain, number: SuccessionNumber },
    /// More successions than a device takes at once.
    TooLong { domain: Domain, device: SuccessionNumber },
    /// The device needs its old image as the way back, and so the root before.
    Waits,
}

impl RootFault {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::DeviceNewer { .. } => "device-root-newer",
            Self::Contradicts { .. } => "device-root-differs",
            Self::NoList { .. } => "root-without-list",
            Self::TooLong { .. } => "succession-chain-too-long",
            Self::Waits => "succession-waits",
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::DeviceNewer { .. } => {
                "Get the newest successions: run the update with --server, or pass the file of the manufacturer with \
                 --successions."
            }
            Self::Contradicts { .. } => {
                "Call the manufacturer and name the code: two successions contradict each other, and only the recovery \
                 root ends this."
            }
            Self::NoList { .. } => {
                "Get the first revocation list of the new root: run the update with --server, or pass it with \
                 --revocations. If there is none yet, call the manufacturer."
            }
            Self::TooLong { .. } => {
                "Call the manufacturer and name the code: the recovery root has to name the next root for this device."
            }
            Self::Waits => {
                "Keep the device powered and run the same command again: it goes back to its old image first."
            }
        }
    }
}

fn hex(domain: Domain) -> String {
    hex::encode(domain.0.0)
}

impl std::fmt::Display for RootFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DeviceNewer { domain, device, here } => write!(
                f,
                "the device trusts root {device} of the domain {}, and this computer knows root {here} as the newest",
                hex(*domain)
            ),
            Self::Contradicts { domain, number } => write!(
                f,
                "the device trusts another root {number} of the domain {} than this computer",
                hex(*domain)
            ),
            Self::NoList { domain, number } => write!(
                f,
                "root {number} of the domain {} has no revocation list on this computer: without one the device does \
                 not take it",
                hex(*domain)
            ),
            Self::TooLong { domain, device } => write!(
                f,
                "the successions of the domain {} after root {device} are more than a device takes",
                hex(*domain)
            ),
            Self::Waits => f.write_str(
                "the device has an image on trial or goes back to its old one, and takes no succession before that ends",
            ),
        }
    }
}
