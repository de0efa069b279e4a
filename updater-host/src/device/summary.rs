//! A device and its table as one line each.

use serde::Serialize;
use suit_manifest::reason::Reason;
use update_protocol::profile::{Component, StateRecord};
use uuid::Uuid;

use super::{Waits, active_digest, beside, image_name, install_digest, reason_slug, target_of};

/// The line of a device in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct DeviceSummary {
    /// Node address.
    pub(crate) node: u8,
    /// Serial, harmless for a terminal.
    pub(crate) serial: String,
    pub(crate) vendor: Uuid,
    pub(crate) class: Uuid,
    /// `factory`, `loader` or `application`.
    pub(crate) mode: &'static str,
    /// `none`, `confirmed`, `trial`, `pending` or `reverting`.
    pub(crate) image: &'static str,
    /// For what an installed image waits.
    #[serde(skip)]
    pub(crate) waits: Option<Waits>,
    /// Whether its last update was reverted.
    pub(crate) reverted: bool,
    /// Whether an interrupted install can be resumed.
    pub(crate) resumable: bool,
    /// Whether its loader listens for a while before it runs the application.
    pub(crate) listening: bool,
    /// Why it does, if the application dies.
    pub(crate) silence: Option<Silence>,
    /// Whether it was provisioned and cannot read its identity any more.
    pub(crate) lost_identity: bool,
    /// Version of the application, when it answers.
    pub(crate) version: Option<String>,
    /// Sequence number of the active image; 0: none.
    pub(crate) sequence: u64,
    /// Its table, if it has one.
    pub(crate) table: Option<TableSummary>,
}

/// The table of a device in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct TableSummary {
    /// `none`, `confirmed`, `trial`, `pending` or `reverting`.
    pub(crate) image: &'static str,
    /// For what an installed table waits.
    #[serde(skip)]
    waits: Option<Waits>,
    /// Sequence number of the active table; 0: none.
    pub(crate) sequence: u64,
    /// Whether the last one was reverted.
    pub(crate) reverted: bool,
    /// Whether an interrupted install can be resumed.
    pub(crate) resumable: bool,
    sequence_floor: u64,
    /// Digest of the manifest of the active table.
    active_digest: Option<String>,
    resume_offset: u32,
    image_size: u32,
    manifest_digest: Option<String>,
    reason: Option<String>,
    reason_position: u32,
    slot_capacity: u32,
}

impl TableSummary {
    pub(super) fn of(state: &StateRecord, waits: Option<Waits>) -> Self {
        Self {
            image: image_name(state.image),
            waits,
            sequence: state.active_sequence,
            reverted: state.flags.reverted,
            resumable: state.flags.resumable,
            sequence_floor: state.sequence_floor,
            active_digest: active_digest(state).map(hex::encode),
            resume_offset: state.resume_offset,
            image_size: state.image_size,
            manifest_digest: install_digest(state),
            reason: reason_slug(state.reason),
            reason_position: state.reason_position,
            slot_capacity: state.slot_capacity,
        }
    }

    pub(super) fn lines(&self, line: &mut impl FnMut(&str, &dyn std::fmt::Display)) {
        line("table", self);
        if let Some(digest) = &self.active_digest {
            line("table release", digest);
        }
        line("table floor", &self.sequence_floor);
        if let Some(digest) = &self.manifest_digest {
            line("table install", digest);
            line("table installed", &came(self.image, self.resume_offset, self.image_size));
        }
        if let Some(reason) = &self.reason {
            line("table refusal", reason);
        }
        line("table slot", &format_args!("{} bytes", self.slot_capacity));
    }
}

/// How much of an install has come: what waits for a reset is whole, and resumes nowhere.
pub(super) fn came(image: &str, resume_offset: u32, size: u32) -> String {
    if image == "pending" { format!("all {size} bytes") } else { format!("{resume_offset} of {size} bytes") }
}

/// What starts that which waits on a component, in the words of a list.
fn awaited(component: Component, waits: Option<Waits>) -> String {
    let half = target_of(beside(component)).name();
    match waits {
        None | Some(Waits::Reset) => "a reset".to_owned(),
        Some(Waits::Half) => format!("the {half} of its release (see info)"),
        Some(Waits::Either) => format!("a reset, or for the {half} of its release (see info)"),
    }
}

/// An application that was reset time and again without a sign of life.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Silence {
    /// How often.
    pub(crate) resets: u8,
    /// The cause of the last reset: `power`, `brown-out`, `pin`, `software`, `watchdog` or `unknown`.
    pub(crate) last_reset: &'static str,
}

impl Silence {
    pub(super) fn of(state: &StateRecord) -> Option<Self> {
        if Reason::from_code(state.reason) != Some(Reason::ApplicationSilent) {
            return None;
        }
        let [_, _, cause, resets] = state.reason_position.to_be_bytes();
        let last_reset = match cause {
            1 => "power",
            2 => "brown-out",
            3 => "pin",
            4 => "software",
            5 => "watchdog",
            _ => "unknown",
        };
        Some(Self { resets, last_reset })
    }
}

impl std::fmt::Display for Silence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resets, last_reset } = self;
        write!(f, "{resets} resets without a sign of life, the last by {last_reset}")
    }
}

impl std::fmt::Display for DeviceSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let version = self.version.as_deref().unwrap_or("-");
        write!(f, "node 0x{:02X}  {:32}  {:11}  {version}", self.node, self.serial, self.mode)?;
        match self.image {
            "trial" => f.write_str("  on trial: not confirmed; the next reset reverts it"),
            "pending" => {
                write!(f, "  an installed image waits for {}", awaited(Component::Firmware, self.waits))
            }
            "reverting" => f.write_str("  is reverting to its old image"),
            _ if self.lost_identity => {
                f.write_str("  DAMAGED: it does not know its identity any more (see info)")
            }
            _ if self.silence.is_some() => {
                f.write_str("  its application dies; install one that works (see info)")
            }
            "none" if self.mode == "loader" => f.write_str("  nothing to run: no valid image (see info)"),
            _ if self.reverted => f.write_str("  reverted after a failed update (see info)"),
            _ if self.resumable => f.write_str("  an interrupted install can be resumed"),
            _ => Ok(()),
        }?;
        match &self.table {
            None => Ok(()),
            Some(table) => write!(f, "  {table}"),
        }
    }
}

impl std::fmt::Display for TableSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_lost = self.reason.as_deref() == Some(Reason::JournalCorrupt.slug());
        match self.sequence {
            0 if is_lost => f.write_str("table LOST: its journal is damaged (see info)")?,
            0 => f.write_str("no table yet")?,
            sequence => write!(f, "table {sequence}")?,
        }
        match self.image {
            "none" if self.sequence != 0 => f.write_str(" DAMAGED (see info)"),
            "trial" => f.write_str(" on trial"),
            "pending" => {
                let which = if self.sequence == 0 { "one" } else { "another one" };
                write!(f, ", and {which} waits for {}", awaited(Component::Table, self.waits))
            }
            "reverting" => f.write_str(", is reverting"),
            _ if self.reverted => f.write_str(", back after a failed one"),
            _ if self.resumable => f.write_str(", an interrupted install can be resumed"),
            _ => Ok(()),
        }
    }
}
