//! How the answers of devices and servers break their protocols (docs/can-protocol.md, docs/server-api.md).

#[cfg(feature = "http")]
use crate::text::printable;

/// How a device's answer breaks the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum DeviceAnswerError {
    /// Another length, service or echo than the request asks for.
    #[error("the answer to service {service:02X} is malformed")]
    Malformed {
        /// The service that was asked for.
        service: u8,
    },
    #[error("{0}")]
    StateRecord(update_protocol::profile::StateRecordError),
    #[error("{0}")]
    AnchorReport(update_protocol::profile::anchors::AnchorReportError),
    /// A message longer than any of the protocol.
    #[error("an answer of {0} bytes is longer than the protocol allows")]
    TooLong(u32),
    #[error("a text of {0} bytes is longer than the format allows")]
    TextTooLong(usize),
    /// The identity does not have its three parts.
    #[error("an identity of {0} bytes instead of 48")]
    IdentityLength(usize),
    /// It wants to resume after the end of the image, or an image of another size.
    #[error("it wants to resume at byte {offset} of {size}")]
    ResumeOffset { offset: u32, size: u32 },
    /// It accepted the envelope and then shows another install.
    #[error("it accepted the envelope and reports another install")]
    OtherInstall,
    /// It is in a programming session and its application answers.
    #[error("its application answers in a programming session")]
    NotTheLoader,
    /// It acknowledges the reset and does not reset.
    #[error("it acknowledged the reset and did not reset")]
    NoReset,
    /// It answered "pending" for longer than the limit.
    #[error("it delayed its answer for too long")]
    PendingForEver,
}

impl DeviceAnswerError {
    /// Whether a value is unknown here, as a newer loader sends it.
    pub(super) fn is_of_a_newer_loader(self) -> bool {
        use update_protocol::profile::StateRecordError as State;
        use update_protocol::profile::anchors::AnchorReportError as Anchors;
        match self {
            Self::StateRecord(error) => !matches!(error, State::Length(_)),
            Self::AnchorReport(error) => matches!(error, Anchors::Version(_)),
            Self::Malformed { .. }
            | Self::TooLong(_)
            | Self::TextTooLong(_)
            | Self::IdentityLength(_)
            | Self::ResumeOffset { .. }
            | Self::OtherInstall
            | Self::NotTheLoader
            | Self::NoReset
            | Self::PendingForEver => false,
        }
    }
}

/// How a server's answer breaks docs/server-api.md.
#[cfg(feature = "http")]
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerAnswerError {
    #[error("it is longer than {0} bytes")]
    TooLong(u64),
    /// A web page, which no update-server has: a portal or another server answers.
    #[error("it is a web page (text/html): another server answers in place of the update-server")]
    WebPage,
    /// Not the JSON of the API. What it quotes of it is made harmless.
    #[error("{}", printable(&.0.to_string()))]
    Json(serde_json::Error),
    /// A digest that is not 64 lowercase hex digits.
    #[error("a digest is malformed")]
    Digest,
    /// A range that was not asked for.
    #[error("it sent another byte range than requested")]
    Range,
    /// A status that the API does not have.
    #[error("status {0}")]
    Status(u16),
    /// The body is not what its name says: it has another digest, or another signer.
    #[error("it sent another {what} than requested")]
    OtherContent { what: &'static str },
}
