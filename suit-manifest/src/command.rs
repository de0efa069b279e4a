//! Command codes, draft-ietf-suit-manifest-37 section 11.4, and what the registered extensions call conditions.

use crate::error::Condition;

/// Bits of a reporting policy, section 8.4.7.
const REPORTING_POLICY_MAX: u64 = 0b1111;

/// A command, without its argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    Condition(Condition),
    SetComponentIndex,
    TryEach,
    OverrideParameters,
    Fetch,
    Invoke,
    RunSequence,
    Unknown,
}

impl Command {
    pub(crate) const SET_COMPONENT_INDEX: i32 = 12;

    pub(crate) fn from_code(code: i32) -> Self {
        match code {
            1 => Self::Condition(Condition::Vendor),
            2 => Self::Condition(Condition::Class),
            3 => Self::Condition(Condition::ImageMatch),
            5 => Self::Condition(Condition::ComponentSlot),
            14 => Self::Condition(Condition::Abort),
            24 => Self::Condition(Condition::Device),
            // check-content (6); use-before (4), image-not-match (25), minimum-battery (26), update-authorized (27),
            // version (28) of suit-update-management; dependency-integrity (7), is-dependency (8) of
            // suit-multiple-trust-domains. Section 8.4.9: an unknown condition reports a failure.
            4 | 6 | 7 | 8 | 25..=28 => Self::Condition(Condition::Unknown),
            Self::SET_COMPONENT_INDEX => Self::SetComponentIndex,
            15 => Self::TryEach,
            20 => Self::OverrideParameters,
            21 => Self::Fetch,
            23 => Self::Invoke,
            32 => Self::RunSequence,
            _ => Self::Unknown,
        }
    }

    /// Section 8.4.5 and SUIT_Shared_Sequence in the CDDL: conditions, and what only sets parameters.
    pub(crate) fn may_be_shared(self) -> bool {
        match self {
            Self::Condition(_)
            | Self::SetComponentIndex
            | Self::TryEach
            | Self::OverrideParameters
            | Self::RunSequence => true,
            Self::Fetch | Self::Invoke | Self::Unknown => false,
        }
    }
}

/// Reads a SUIT_Rep_Policy. Nothing is reported by this crate; the bits are checked and passed over.
pub(crate) fn read_reporting_policy(source: &mut crate::source::Source<'_>) {
    source.uint_within(0, REPORTING_POLICY_MAX);
}
