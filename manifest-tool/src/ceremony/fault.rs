//! Why a ceremony does not go on.

use std::path::PathBuf;

use super::bundle::BundleFault;

/// A plan, a transcript, a bundle or an answer that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    #[error("the plan {} cannot be used: {detail}", path.display())]
    Plan { path: PathBuf, detail: String },
    #[error("nobody in the plan {} has the role {role}, which {needed}", path.display())]
    RoleMissing { path: PathBuf, role: &'static str, needed: String },
    #[error("{name} is named as {place}, and no such person is present", place = .place)]
    PersonMissing { name: String, place: String },
    #[error("the plan {} takes {lines} lines, and a page has {limit}", path.display())]
    PlanTooLong { path: PathBuf, lines: usize, limit: usize },
    #[error("{} belongs to a ceremony with another plan", .0.display())]
    OtherPlan(PathBuf),
    #[error("{} belongs to a {found}, and this is a {wanted}", folder.display())]
    OtherMode { folder: PathBuf, found: &'static str, wanted: &'static str },
    #[error("{} is in use by another program", .0.display())]
    InUse(PathBuf),
    #[error("{} holds no ceremony", .0.display())]
    Absent(PathBuf),
    #[error("the transcript {} is damaged at line {line}: {detail}", path.display())]
    Transcript { path: PathBuf, line: u64, detail: String },
    #[error("a new line of the transcript would be older than its last one, of {0}")]
    ClockBack(String),
    #[error("step {step} was not confirmed: {asked} had to be answered, and the answer was wrong")]
    NotConfirmed { step: String, asked: String },
    #[error("step {0} needs an answer, and there is no terminal to ask on")]
    NobodyToAsk(String),
    #[error("{} cannot be used as answers: line {line} is not STEP: ANSWER", path.display())]
    Answers { path: PathBuf, line: usize },
    #[error("{what} has the fingerprint {found}, and the plan expects {wanted}")]
    Fingerprint { what: String, found: String, wanted: String },
    #[error("{} is another bundle than the one that came in before", .0.display())]
    OtherBundle(PathBuf),
    #[error("the plan needs {0}, and no bundle came in with it")]
    NothingCameIn(String),
    #[error("{} cannot be used as a bundle: {fault}", path.display())]
    Bundle { path: PathBuf, fault: BundleFault },
    #[error("{0} was there before the step that makes it")]
    AlreadyThere(PathBuf),
    #[error("step {0} is not done yet")]
    Unfinished(String),
    #[error("the ceremony in {} is sealed", .0.display())]
    Sealed(PathBuf),
    #[error("the ceremony in {} is not sealed", .0.display())]
    NotSealed(PathBuf),
    #[error("{path} is not the file of the transcript: {detail}")]
    File { path: String, detail: &'static str },
    #[error("{} is a rehearsal: nothing of it is real", .0.display())]
    Rehearsal(PathBuf),
    #[error("the ledger of {name} has no room for the ceremony: {detail}")]
    Ledger { name: String, detail: &'static str },
}

impl CeremonyError {
    /// Stable name (docs/manifest-tool.md).
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Plan { .. } => "plan-invalid",
            Self::RoleMissing { .. } => "plan-role-missing",
            Self::PersonMissing { .. } => "plan-person-missing",
            Self::PlanTooLong { .. } => "plan-too-long",
            Self::OtherPlan(_) => "ceremony-other-plan",
            Self::OtherMode { .. } => "ceremony-other-mode",
            Self::InUse(_) => "ceremony-in-use",
            Self::Absent(_) => "ceremony-absent",
            Self::Transcript { .. } => "transcript-damaged",
            Self::ClockBack(_) => "clock",
            Self::NotConfirmed { .. } => "ceremony-not-confirmed",
            Self::NobodyToAsk(_) => "ceremony-unattended",
            Self::Answers { .. } => "answers-invalid",
            Self::Fingerprint { .. } => "fingerprint-mismatch",
            Self::OtherBundle(_) => "ceremony-other-bundle",
            Self::NothingCameIn(_) => "ceremony-input-missing",
            Self::Bundle { .. } => "bundle-invalid",
            Self::AlreadyThere(_) => "file-exists",
            Self::Unfinished(_) => "ceremony-unfinished",
            Self::Sealed(_) => "ceremony-sealed",
            Self::NotSealed(_) => "ceremony-not-sealed",
            Self::File { .. } => "ceremony-file",
            Self::Rehearsal(_) => "ceremony-rehearsal",
            Self::Ledger { .. } => "ceremony-ledger",
        }
    }

    /// An imperative sentence for the maker.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Plan { .. } => "Correct the plan; docs/ceremony.md lists its members.",
            Self::RoleMissing { .. } => "Give the role to a person who is present.",
            Self::PersonMissing { .. } => "Add the person to the plan, with a role; or correct the name.",
            Self::PlanTooLong { .. } => "Split the plan into two ceremonies.",
            Self::OtherPlan(_) => "Go on with the plan of this ceremony, or use a new folder.",
            Self::OtherMode { .. } => "Use another folder for it.",
            Self::InUse(_) => "Wait until the other program has ended.",
            Self::Absent(_) => "Pass the folder of a ceremony, or its bundle.",
            Self::Transcript { .. } => {
                "Find out who changed it. Another copy of the transcript may be whole; a damaged one proves nothing."
            }
            Self::ClockBack(_) => {
                "Set the clock of this machine. If it is right, pass --now with the time of now."
            }
            Self::NotConfirmed { .. } => {
                "Clear up why with everybody in the room; the same command goes on with this step."
            }
            Self::NobodyToAsk(_) => "Run it in a terminal; --answers is for tests and drills.",
            Self::Answers { .. } => {
                "Write STEP: ANSWER in each line; * stands for each step, and for the right answer."
            }
            Self::Fingerprint { .. } => {
                "Stop: this is not the key that was agreed on. Ask its holder for the fingerprint again, by another way."
            }
            Self::OtherBundle(_) => "Pass the same bundle as before, or begin in a new folder.",
            Self::NothingCameIn(_) => "Make the bundle with ceremony pack and pass it as --in.",
            Self::Bundle { .. } => "Make the bundle with ceremony pack, and copy it again.",
            Self::AlreadyThere(_) => "Move it away: a ceremony takes over nothing that it did not make.",
            Self::Unfinished(_) => "Run ceremony run again: it goes on with this step.",
            Self::Sealed(_) => "Begin another ceremony in a new folder.",
            Self::NotSealed(_) => "Run ceremony seal first.",
            Self::File { .. } => "Copy the files of the ceremony again from its bundle.",
            Self::Rehearsal(_) => "Pass --rehearsal to verify a rehearsal.",
            Self::Ledger { .. } => {
                "Finish or give up what the ledger has begun, with ledger finish or ledger void."
            }
        }
    }

    /// Exit code of the program, docs/errors.md.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Plan { .. }
            | Self::RoleMissing { .. }
            | Self::PersonMissing { .. }
            | Self::PlanTooLong { .. }
            | Self::OtherPlan(_)
            | Self::OtherMode { .. }
            | Self::Absent(_)
            | Self::Answers { .. }
            | Self::NothingCameIn(_)
            | Self::AlreadyThere(_)
            | Self::Unfinished(_)
            | Self::Sealed(_)
            | Self::NotSealed(_)
            | Self::Rehearsal(_) => 2,
            Self::InUse(_) | Self::ClockBack(_) => 3,
            Self::NotConfirmed { .. } | Self::NobodyToAsk(_) => 4,
            Self::Transcript { .. }
            | Self::Fingerprint { .. }
            | Self::OtherBundle(_)
            | Self::Bundle { .. }
            | Self::File { .. }
            | Self::Ledger { .. } => 5,
        }
    }
}
