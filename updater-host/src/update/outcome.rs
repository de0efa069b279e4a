//! How an update ended, for people and scripts.

use serde::Serialize;
use suit_manifest::Target;
use suit_manifest::reason::Reason;

use crate::device::{Device, Installed, reason_slug, target_of};
use crate::error::reason_hint;
use crate::output::{Output, Report};
use crate::plan::ReleaseName;

/// Exit code when the device ended up without the release confirmed (docs/errors.md: remote refused).
const EXIT_NOT_CONFIRMED: u8 = 7;

const STILL_ON_TRIAL: &str = "Run the same command again to wait longer. Without a confirmation the next reset ends the \
    trial; call the manufacturer if it stays away.";

/// How an update ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum UpdateResult {
    /// The new image runs and has confirmed itself.
    Confirmed,
    /// The new image runs and has not confirmed itself.
    Trial,
    /// The device went back to what it ran before.
    Reverted,
    /// The device runs the release already.
    UpToDate,
    /// The newest release of the server is older than what the device runs.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    NothingNewer,
}

/// Result of `update`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct UpdateReport {
    result: UpdateResult,
    /// What was updated: `firmware` or `table`.
    target: &'static str,
    serial: String,
    node: u8,
    before: Installed,
    after: Installed,
    /// What was offered.
    release: ReleaseName,
    pub(super) resumed_from: u32,
    pub(super) bytes_sent: u64,
    pub(super) seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    /// The release installs a table too, which shares its end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) with_table: bool,
    /// Which release is no newer, for people.
    #[serde(skip)]
    pub(super) no_newer: Option<String>,
    /// How the update of the table ended that followed this one of the firmware, or of both.
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<Box<Self>>,
}

/// The same before the end of the program.
#[derive(Serialize)]
struct Updated<'a> {
    event: &'static str,
    #[serde(flatten)]
    report: &'a UpdateReport,
}

impl Report for UpdateReport {
    fn lines(&self) -> String {
        // What came before it was told.
        self.table.as_ref().map_or_else(|| self.own_lines(), |table| table.lines())
    }

    fn is_change(&self) -> bool {
        true
    }

    fn exit_code(&self) -> u8 {
        let of_table = self.table.as_ref().map_or(0, |table| table.exit_code());
        if self.is_settled() { of_table } else { EXIT_NOT_CONFIRMED }
    }
}

impl UpdateReport {
    /// Whether the device has something confirmed, and is left alone.
    pub(super) fn is_settled(&self) -> bool {
        match self.result {
            UpdateResult::Confirmed | UpdateResult::UpToDate | UpdateResult::NothingNewer => true,
            UpdateResult::Trial | UpdateResult::Reverted => false,
        }
    }

    /// Whether there was nothing to install.
    pub(super) fn is_untouched(&self) -> bool {
        matches!(self.result, UpdateResult::UpToDate | UpdateResult::NothingNewer)
    }

    /// The same, with the update of the table that came after it.
    pub(super) fn followed_by(mut self, table: Self) -> Self {
        self.table = Some(Box::new(table));
        self
    }

    /// Tells how it ended, where another update follows.
    pub(super) fn tell(&self, output: &Output) {
        output.say(&self.own_lines());
        output.event(&Updated { event: "updated", report: self });
    }

    fn own_lines(&self) -> String {
        let name = |installed: &Installed| match (&installed.version, installed.sequence) {
            (Some(version), sequence) => format!("{version} (sequence number {sequence})"),
            (None, 0) => "nothing".to_owned(),
            (None, sequence) => format!("sequence number {sequence}"),
        };
        let own = name(&self.after);
        let (serial, after) =
            (&self.serial, if self.with_table { format!("{own}, table and firmware,") } else { own });
        let reason = self.reason.as_deref().unwrap_or("no reason given");
        let no_newer = self.no_newer.as_deref().unwrap_or("there is nothing newer");
        if self.target == Target::Table.name() {
            return self.lines_of_table(name);
        }
        match self.result {
            UpdateResult::Confirmed => {
                format!("{serial} runs {after} and has confirmed it, in {:.1} s.", self.seconds)
            }
            UpdateResult::UpToDate => format!("{serial} runs {after} already."),
            UpdateResult::NothingNewer => format!("{serial} runs {after}; {no_newer}."),
            UpdateResult::Trial => {
                // A run that only went on waiting found the trial itself.
                let next = match self.before.sequence == self.after.sequence {
                    true => "The next reset brings the image before it back.".to_owned(),
                    false if self.before.sequence == 0 => {
                        "No image was there before it: the next reset ends it, and the device then waits for one.".to_owned()
                    }
                    false => format!("The next reset brings {} back.", name(&self.before)),
                };
                format!("{serial} runs {after} on trial and has not confirmed it. {next}")
            }
            UpdateResult::Reverted => format!("{serial} reverted to {after}: {reason}."),
        }
    }

    fn lines_of_table(&self, name: impl Fn(&Installed) -> String) -> String {
        let (serial, after) = (&self.serial, name(&self.after));
        let no_newer = self.no_newer.as_deref().unwrap_or("there is nothing newer");
        match self.result {
            UpdateResult::Confirmed => {
                format!("{serial} uses the table {after} and has confirmed it, in {:.1} s.", self.seconds)
            }
            UpdateResult::UpToDate => format!("{serial} has the table {after} already."),
            UpdateResult::NothingNewer => format!("{serial} has the table {after}; {no_newer}."),
            UpdateResult::Trial => {
                let next = match (self.before.sequence == self.after.sequence, self.before.sequence) {
                    (true, _) => "The next reset brings the table before it back.".to_owned(),
                    (false, 0) => "The next reset ends that; no table was there before it.".to_owned(),
                    (false, _) => format!("The next reset brings {} back.", name(&self.before)),
                };
                format!("{serial} uses the table {after} on trial and has not confirmed it. {next}")
            }
            UpdateResult::Reverted => {
                let reason = self.reason.as_deref().unwrap_or("no reason given");
                format!("{serial} reverted to the table {after}: {reason}.")
            }
        }
    }
}

pub(super) fn report(
    device: &Device,
    release: ReleaseName,
    result: UpdateResult,
    after: Installed,
    reason_code: Option<u16>,
) -> UpdateReport {
    let known = reason_code.and_then(Reason::from_code);
    let hint = match result {
        UpdateResult::Confirmed | UpdateResult::UpToDate | UpdateResult::NothingNewer => None,
        UpdateResult::Trial => Some(STILL_ON_TRIAL),
        UpdateResult::Reverted => Some(reason_hint(known.unwrap_or(Reason::TrialNotConfirmed))),
    };
    UpdateReport {
        result,
        target: target_of(device.component).name(),
        serial: device.serial.to_string(),
        node: device.node,
        before: device.installed(),
        after,
        release,
        resumed_from: 0,
        bytes_sent: 0,
        seconds: 0.0,
        reason: reason_code.and_then(reason_slug),
        hint,
        with_table: false,
        no_newer: None,
        table: None,
    }
}
