//! Command codes, draft-ietf-suit-manifest-37 section 11.4, and what the registered extensions call conditions.

use crate::error::Condition;
use crate::vocabulary::CommandCode;

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
    pub(crate) const SET_COMPONENT_INDEX: i32 = CommandCode::SET_COMPONENT_INDEX;

    // Once: two callers (docs/decisions/0049).
    #[inline(never)]
    pub(crate) fn from_code(code: i32) -> Self {
        match code {
            CommandCode::VENDOR => Self::Condition(Condition::Vendor),
            CommandCode::CLASS => Self::Condition(Condition::Class),
            CommandCode::IMAGE_MATCH => Self::Condition(Condition::ImageMatch),
            CommandCode::COMPONENT_SLOT => Self::Condition(Condition::ComponentSlot),
            CommandCode::ABORT => Self::Condition(Condition::Abort),
            CommandCode::DEVICE => Self::Condition(Condition::Device),
            // Section 8.4.9: a condition that is not offered reports a failure.
            CommandCode::USE_BEFORE
            | CommandCode::CHECK_CONTENT
            | CommandCode::DEPENDENCY_INTEGRITY
            | CommandCode::IS_DEPENDENCY
            | CommandCode::IMAGE_NOT_MATCH..=CommandCode::VERSION => Self::Condition(Condition::Unknown),
            CommandCode::SET_COMPONENT_INDEX => Self::SetComponentIndex,
            CommandCode::TRY_EACH => Self::TryEach,
            CommandCode::OVERRIDE_PARAMETERS => Self::OverrideParameters,
            CommandCode::FETCH => Self::Fetch,
            CommandCode::INVOKE => Self::Invoke,
            CommandCode::RUN_SEQUENCE => Self::RunSequence,
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

/// Reads a SUIT_Rep_Policy. Nothing is reported by this crate; the bits are checked, and handed to a platform that
/// records.
pub(crate) fn read_reporting_policy(source: &mut crate::source::Source<'_>) -> u8 {
    let [bits, ..] = source.uint_within(0, REPORTING_POLICY_MAX).to_le_bytes();
    bits
}
