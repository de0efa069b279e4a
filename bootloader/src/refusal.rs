//! Refusals of the loader: a reason of docs/errors.md with the offset of its byte, and the NRC that reports it.

use suit_manifest::Reason;
use update_protocol::uds::Nrc;

use crate::flash::FlashError;
use crate::journal::JournalError;

/// A refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Byte offset in the object that was refused, else 0.
    pub position: u32,
}

impl Refusal {
    /// A refusal of the whole object.
    #[must_use]
    pub const fn of(reason: Reason) -> Self {
        Self { reason, position: 0 }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::of(reason)
    }
}

impl From<suit_manifest::Error> for Refusal {
    fn from(error: suit_manifest::Error) -> Self {
        Self { reason: error.reason(), position: error.position }
    }
}

impl From<trust::Error> for Refusal {
    fn from(error: trust::Error) -> Self {
        Self { reason: Reason::from(error), position: error.position }
    }
}

impl From<FlashError> for Refusal {
    fn from(_: FlashError) -> Self {
        Self::of(Reason::FlashFailed)
    }
}

impl From<JournalError> for Refusal {
    #[inline(never)]
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Flash(error) => Self::from(error),
            // Callers record only events that the state allows; any other is a fault of the journal.
            JournalError::Illegal(_) => Self::of(Reason::JournalCorrupt),
        }
    }
}

/// The NRC of a reason.
#[must_use]
pub fn nrc(reason: Reason) -> Nrc {
    // Each reason has a place: `NRCS` would not compile otherwise.
    Nrc(NRCS.get(place(reason)).copied().unwrap_or_default())
}

/// A reason's place among [`NRCS`]: `01xx`, `02xx` and `03xx` are rows of 64.
const fn place(reason: Reason) -> usize {
    let code = reason.code() as usize;
    (code >> 8).wrapping_sub(1) << 6 | code & 63
}

/// To the place of the greatest code.
const PLACES: usize = match Reason::ALL.last() {
    Some(last) => place(*last).wrapping_add(1),
    None => 0,
};

/// What [`decided`] says, worked out at compile time: 157 bytes, where a `match` takes some 220 on a device.
#[expect(clippy::indexing_slicing, reason = "an index out of range does not compile")]
const NRCS: [u8; PLACES] = {
    let mut table = [0; PLACES];
    let mut rest = Reason::ALL;
    while let [reason, others @ ..] = rest {
        assert!(reason.code() & 0xff < 64, "a row is full");
        table[place(*reason)] = decided(*reason).0;
        rest = others;
    }
    table
};

/// The one table from reason to NRC (docs/can-protocol.md, Downloads).
const fn decided(reason: Reason) -> Nrc {
    match reason {
        Reason::NotProvisioned
        | Reason::AlreadyProvisioned
        | Reason::NoEnvelope
        | Reason::TrialNotConfirmed
        | Reason::RevocationMalformed
        | Reason::AnchorSetMalformed
        | Reason::NothingBootable
        | Reason::ApplicationSilent
        | Reason::RunsAlready => Nrc::CONDITIONS_NOT_CORRECT,
        Reason::ImageIncomplete => Nrc::REQUEST_SEQUENCE_ERROR,
        Reason::ObjectUnknown | Reason::EnvelopeTooLarge => Nrc::REQUEST_OUT_OF_RANGE,
        Reason::KeyInvalid
        | Reason::AnchorUnknown
        | Reason::AnchorRights
        | Reason::SignatureInvalid
        | Reason::KeyMismatch
        | Reason::RoleMismatch
        | Reason::CredentialRevoked
        | Reason::KeyRevoked
        | Reason::GenerationRevoked
        | Reason::CredentialForAnchor
        | Reason::SuccessionRights
        | Reason::SuccessionKey
        | Reason::ScopeIssuer
        | Reason::KeyUnwrap
        | Reason::ContentTag
        | Reason::DeviceKeyUnknown
        | Reason::MacInvalid
        | Reason::ReportNonce
        | Reason::SequenceAboveCeiling
        | Reason::CredentialExpired
        | Reason::CredentialNotYetValid
        | Reason::ManifestBare
        | Reason::SignatureMissing
        | Reason::ManifestDigestMismatch
        | Reason::MemberDigestMismatch
        | Reason::EnvelopeMemberUnknown
        | Reason::EnvelopeMemberUnauthenticated
        | Reason::ScopeVendor
        | Reason::ScopeClass
        | Reason::ScopeDevice
        | Reason::ScopeActions => Nrc::SECURITY_ACCESS_DENIED,
        Reason::InstallDelayed => Nrc::REQUIRED_TIME_DELAY_NOT_EXPIRED,
        Reason::ImageOverrun => Nrc::TRANSFER_DATA_SUSPENDED,
        Reason::FlashFailed | Reason::JournalCorrupt | Reason::SwapFailed => Nrc::GENERAL_PROGRAMMING_FAILURE,
        Reason::RecordMalformed
        | Reason::CoseUnsupported
        | Reason::SignatureMultiple
        | Reason::AlgorithmUnsupported
        | Reason::ManifestLimit
        | Reason::EnvelopeMemberUnsupported
        | Reason::ContentMismatch
        | Reason::UseBeforePassed
        | Reason::ImageMatches
        | Reason::BatteryLow
        | Reason::UpdateUnauthorized
        | Reason::VersionMismatch
        | Reason::NotADependency
        | Reason::DependencyIntegrity
        | Reason::EncryptionUnsupported
        | Reason::HeaderUnsupported
        | Reason::RecordType
        | Reason::RevocationNamesAnchor
        | Reason::RevocationSequence
        | Reason::ManifestMalformed
        | Reason::IntegratedPayloadUnsupported
        | Reason::DigestAlgorithmUnsupported
        | Reason::DigestLength
        | Reason::MemberSevered
        | Reason::ManifestVersion
        | Reason::ManifestElementUnsupported
        | Reason::ComponentCount
        | Reason::ComponentUnsupported
        | Reason::ComponentIndex
        | Reason::CommandUnknown
        | Reason::CommandNotShared
        | Reason::ParameterUnsupported
        | Reason::ParameterMissing
        | Reason::SoftFailureMisplaced
        | Reason::StrictOrder
        | Reason::NestingTooDeep
        | Reason::StepLimit
        | Reason::IdentityUnchecked
        | Reason::SequenceRollback
        | Reason::SequenceBelowMinimum
        | Reason::VendorMismatch
        | Reason::ClassMismatch
        | Reason::DeviceMismatch
        | Reason::ImageDigestMismatch
        | Reason::SlotMismatch
        | Reason::Aborted
        | Reason::ConditionUnknown
        | Reason::ImageReference
        | Reason::TextMalformed
        | Reason::ProvisioningMalformed
        | Reason::ProvisioningAnchors
        | Reason::ProvisioningDeviceKeys
        | Reason::ProvisioningPolicy
        | Reason::ProvisioningIdentityCredential
        | Reason::SuccessionOrder
        | Reason::SuccessionOld
        | Reason::SuccessionForked
        | Reason::RevocationForked
        | Reason::RevocationDropsEntry
        | Reason::AnchorCompiledIn
        | Reason::ImageTooLarge
        | Reason::VectorTableInvalid
        | Reason::ImageNotForSlot
        | Reason::HeadInvalid
        | Reason::PartMissing
        | Reason::InstallAbandoned => Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED,
    }
}
