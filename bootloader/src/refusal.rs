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

/// The one table from reason to NRC (docs/can-protocol.md, Downloads).
#[must_use]
pub const fn nrc(reason: Reason) -> Nrc {
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
        // The object is not taken, for every other reason: named here, they cost 120 bytes. The test names them.
        _ => Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new reason is decided here or above.
    #[test]
    fn every_reason_has_the_nrc_that_was_decided_for_it() {
        use Reason::*;
        let not_taken = [
            RecordMalformed,
            CoseUnsupported,
            SignatureMultiple,
            AlgorithmUnsupported,
            ManifestLimit,
            EnvelopeMemberUnsupported,
            ContentMismatch,
            UseBeforePassed,
            ImageMatches,
            BatteryLow,
            UpdateUnauthorized,
            VersionMismatch,
            NotADependency,
            DependencyIntegrity,
            EncryptionUnsupported,
            HeaderUnsupported,
            RecordType,
            RevocationNamesAnchor,
            RevocationSequence,
            ManifestMalformed,
            IntegratedPayloadUnsupported,
            DigestAlgorithmUnsupported,
            DigestLength,
            MemberSevered,
            ManifestVersion,
            ManifestElementUnsupported,
            ComponentCount,
            ComponentUnsupported,
            ComponentIndex,
            CommandUnknown,
            CommandNotShared,
            ParameterUnsupported,
            ParameterMissing,
            SoftFailureMisplaced,
            StrictOrder,
            NestingTooDeep,
            StepLimit,
            IdentityUnchecked,
            SequenceRollback,
            SequenceBelowMinimum,
            VendorMismatch,
            ClassMismatch,
            DeviceMismatch,
            ImageDigestMismatch,
            SlotMismatch,
            Aborted,
            ConditionUnknown,
            ImageReference,
            TextMalformed,
            ProvisioningMalformed,
            ProvisioningDeviceKeys,
            ProvisioningPolicy,
            ProvisioningIdentityCredential,
            SuccessionOrder,
            SuccessionOld,
            SuccessionForked,
            RevocationForked,
            RevocationDropsEntry,
            AnchorCompiledIn,
            ImageTooLarge,
            VectorTableInvalid,
            ImageNotForSlot,
            HeadInvalid,
            InstallAbandoned,
        ];
        let others: Vec<Reason> = Reason::ALL
            .iter()
            .copied()
            .filter(|&reason| nrc(reason) == Nrc::UPLOAD_DOWNLOAD_NOT_ACCEPTED)
            .collect();
        for reason in &others {
            assert!(not_taken.contains(reason), "{reason:?} has no NRC of its own, and nobody decided that");
        }
        assert_eq!(others.len(), not_taken.len());
    }
}
