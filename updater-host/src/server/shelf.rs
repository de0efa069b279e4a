//! What a server offers by itself: the `target` of docs/server-api.md.

use update_protocol::profile::Component;

/// A release is on one of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shelf {
    Firmware,
    Table,
    /// Firmware and a table in one release.
    Both,
}

impl Shelf {
    /// Its name in a question.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::Table => "table",
            Self::Both => "both",
        }
    }

    /// What a release on it installs, for people.
    #[must_use]
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::Table => "table",
            Self::Both => "firmware and a table",
        }
    }

    /// To what a device is turned that gets a release of it: the firmware speaks for both.
    #[must_use]
    pub(crate) const fn component(self) -> Component {
        match self {
            Self::Firmware | Self::Both => Component::Firmware,
            Self::Table => Component::Table,
        }
    }
}
