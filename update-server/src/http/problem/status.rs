//! Under which status a reason of docs/errors.md leaves the server.

use axum::http::StatusCode;
use suit_manifest::Reason;

/// The status of a reason, in one place: 400 for bytes that are not in their format, 413 for too many of them, 409
/// where what is stored already forbids it, 422 for what was understood and is refused.
pub(super) fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::RecordMalformed
        | Reason::ManifestMalformed
        | Reason::DigestLength
        | Reason::TextMalformed => StatusCode::BAD_REQUEST,
        Reason::EnvelopeTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::RevocationSequence
        | Reason::RevocationForked
        | Reason::RevocationDropsEntry
        | Reason::SuccessionOrder
        | Reason::SuccessionOld
        | Reason::SuccessionForked => StatusCode::CONFLICT,
        Reason::AlgorithmUnsupported
        | Reason::CoseUnsupported
        | Reason::ManifestBare
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
        | Reason::KeyInvalid
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
        | Reason::RevocationNamesAnchor
        | Reason::EnvelopeMemberUnknown
        | Reason::EnvelopeMemberUnauthenticated
        | Reason::IntegratedPayloadUnsupported
        | Reason::SignatureMissing
        | Reason::SignatureMultiple
        | Reason::DigestAlgorithmUnsupported
        | Reason::ManifestDigestMismatch
        | Reason::MemberDigestMismatch
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
        | Reason::ScopeVendor
        | Reason::ScopeClass
        | Reason::ScopeDevice
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
        | Reason::ScopeActions
        | Reason::NotProvisioned
        | Reason::AlreadyProvisioned
        | Reason::ProvisioningMalformed
        | Reason::ProvisioningAnchors
        | Reason::ProvisioningDeviceKeys
        | Reason::ProvisioningPolicy
        | Reason::ProvisioningIdentityCredential
        | Reason::AnchorCompiledIn
        | Reason::NoEnvelope
        | Reason::ImageTooLarge
        | Reason::ImageIncomplete
        | Reason::ImageOverrun
        | Reason::FlashFailed
        | Reason::JournalCorrupt
        | Reason::RevocationMalformed
        | Reason::AnchorSetMalformed
        | Reason::SwapFailed
        | Reason::VectorTableInvalid
        | Reason::NothingBootable
        | Reason::ApplicationSilent
        | Reason::RunsAlready
        | Reason::InstallDelayed
        | Reason::ImageNotForSlot
        | Reason::TrialNotConfirmed
        | Reason::HeadInvalid
        | Reason::PartMissing
        | Reason::InstallAbandoned
        | Reason::ObjectUnknown => StatusCode::UNPROCESSABLE_ENTITY,
    }
}
