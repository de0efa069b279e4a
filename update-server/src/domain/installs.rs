//! What a release installs.

use std::str::FromStr;

use suit_manifest::Target;

use super::Malformed;

/// The targets of a release, of an update, or of what is said of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Installs {
    Firmware,
    Table,
    /// Firmware and a table, which a device tries and confirms together.
    Both,
}

impl Installs {
    const ALL: [Self; 3] = [Self::Firmware, Self::Table, Self::Both];

    /// The name in the interface and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::Table => "table",
            Self::Both => "both",
        }
    }

    /// What that is, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::Table => "a table",
            Self::Both => "firmware and a table",
        }
    }

    /// Each of them.
    pub const fn targets(self) -> &'static [Target] {
        match self {
            Self::Firmware => &[Target::Firmware],
            Self::Table => &[Target::Table],
            Self::Both => &[Target::Firmware, Target::Table],
        }
    }

    /// Whether what installs this installs all of the other.
    pub fn covers(self, other: Self) -> bool {
        self == Self::Both || self == other
    }
}

impl From<Target> for Installs {
    fn from(target: Target) -> Self {
        match target {
            Target::Firmware => Self::Firmware,
            Target::Table => Self::Table,
        }
    }
}

impl FromStr for Installs {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let found = Self::ALL.into_iter().find(|installs| installs.name() == text);
        found.ok_or(Malformed { expected: "a target is firmware, table or both" })
    }
}
