//! What a report says, in a word and in a line.

use super::{RecordTree, ReportResult, ReportTree};
use crate::entries::numbered;
use crate::reason::Reason;
use crate::report::{NO_SECTION, Progress, SHARED_SECTION};
use crate::vocabulary::{ManifestElement, ReportReason};

/// What became of the attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportOutcome {
    /// The image runs and has confirmed itself.
    Success,
    /// The attempt goes on; nothing refused it so far.
    NotOver,
    /// Something refused it, or took its image back.
    Refused,
}

impl ReportOutcome {
    /// Stable name, for scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::NotOver => "not-over",
            Self::Refused => "refused",
        }
    }
}

impl<'a> ReportTree<'a> {
    /// Digest of the manifest that the report is about; `None`: none authenticated, for which a device of this project has
    /// zeros.
    #[must_use]
    pub fn manifest_digest(&self) -> Option<&'a [u8]> {
        Some(self.digest.bytes()).filter(|digest| digest.iter().any(|byte| *byte != 0))
    }

    /// What became of the attempt.
    #[must_use]
    pub fn outcome(&self) -> ReportOutcome {
        match &self.result {
            ReportResult::Success => ReportOutcome::Success,
            ReportResult::Other { .. } if self.progress().is_some() => ReportOutcome::NotOver,
            ReportResult::Other { .. } => ReportOutcome::Refused,
        }
    }

    /// What became of the attempt, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let ReportResult::Other { code, record, reason } = &self.result else {
            return "success: the image runs and has confirmed itself".to_owned();
        };
        if let Some(progress) = self.progress() {
            return format!("not over: {}", progress.message());
        }
        let reason = numbered(self.report_reason().map(ReportReason::name), (*reason).into());
        match self.reason() {
            Some(own) => format!("{}: {} ({reason}; {})", own.slug(), own.message(), record.place()),
            None => format!("{reason}, code {code}; {}", record.place()),
        }
    }

    /// Why the attempt was refused, if the code is one of this project (docs/errors.md).
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self.result {
            ReportResult::Other { code, .. } => u16::try_from(code).ok().and_then(Reason::from_code),
            ReportResult::Success => None,
        }
    }

    /// How far an attempt has come that is not over.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        let ReportResult::Other { code, reason, .. } = self.result else { return None };
        let is_this =
            |progress: &Progress| i64::from(progress.code()) == code && progress.reason().number() == reason;
        Progress::ALL.into_iter().find(is_this)
    }

    /// The reason of the draft; `None` for success, and for a later one.
    #[must_use]
    pub fn report_reason(&self) -> Option<ReportReason> {
        match self.result {
            ReportResult::Other { reason, .. } => ReportReason::from_number(reason),
            ReportResult::Success => None,
        }
    }
}

impl RecordTree<'_> {
    /// Name of the command sequence, with its number.
    #[must_use]
    pub fn section_name(&self) -> String {
        match i32::try_from(self.section) {
            Ok(NO_SECTION) => "no command sequence (0)".to_owned(),
            Ok(SHARED_SECTION) => "the shared sequence (3)".to_owned(),
            _ => {
                let known = ManifestElement::from_number(self.section);
                numbered(known.map(ManifestElement::name), self.section.into())
            }
        }
    }

    /// Where in the manifest, in words.
    #[must_use]
    pub fn place(&self) -> String {
        let Self { manifest_id, section, offset, component, .. } = self;
        let manifest = match &manifest_id[..] {
            [] => String::new(),
            way => format!(" of dependency {way:?}"),
        };
        match i32::try_from(*section) {
            Ok(NO_SECTION) => format!("at byte {offset} of what was refused"),
            _ => format!("in {}{manifest} at byte {offset}, component {component}", self.section_name()),
        }
    }
}
