//! Why there is no report of a device (docs/updater-host.md, Reports of a device).

use std::path::PathBuf;

use crate::text::{printable, shown};

/// Why there is no report.
#[derive(Debug)]
pub(crate) enum ReportFault {
    /// Its loader has no reports, or it has no key for them.
    NotReporting { serial: String },
    /// Nothing was installed on it, and nothing refused.
    Nothing { serial: String },
    /// The file of the report could not be written, or is there already.
    Write { path: PathBuf, source: std::io::Error },
    /// There is no fresh nonce.
    Entropy,
}

impl ReportFault {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NotReporting { .. } => "not-reporting",
            Self::Nothing { .. } => "nothing-to-report",
            Self::Write { .. } => "file-write",
            Self::Entropy => "entropy",
        }
    }

    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NotReporting { .. } | Self::Nothing { .. } => 7,
            Self::Write { .. } | Self::Entropy => 3,
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NotReporting { .. } => {
                "Devices report if their loader was built for it and they have an authentication key. Run updater-host info to \
                 see what this one says of its state."
            }
            Self::Nothing { .. } => "Install a release first: a report is about the last attempt.",
            Self::Write { .. } => {
                "Name a file that is not there yet, and check the permissions of its folder and the free space."
            }
            Self::Entropy => "Pass a nonce of the manufacturer with --nonce.",
        }
    }
}

impl std::fmt::Display for ReportFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotReporting { serial } => write!(f, "{} does not report", printable(serial)),
            Self::Nothing { serial } => {
                write!(f, "{} has nothing to report: no install was attempted", printable(serial))
            }
            Self::Write { path, source } => {
                write!(f, "{} could not be written: ", shown(path))?;
                match source.kind() {
                    std::io::ErrorKind::AlreadyExists => f.write_str("it is there already"),
                    std::io::ErrorKind::NotFound => f.write_str("its folder is not there"),
                    _ => write!(f, "{source}"),
                }
            }
            Self::Entropy => f.write_str("the operating system gives no fresh nonce"),
        }
    }
}
