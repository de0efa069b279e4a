//! The rule that a refusal applies, for people and tools. No device calls it.

use super::{Condition, Error, ErrorKind};
use crate::vocabulary::{CommandCode, Document, Rule};

impl Error {
    /// The section that asks for the refusal.
    #[must_use]
    pub const fn rule(self) -> Rule {
        self.kind.rule()
    }
}

impl ErrorKind {
    /// The section that asks for the refusal; for what is legal and not offered, the section that says so.
    #[must_use]
    pub const fn rule(self) -> Rule {
        let (document, section) = match self {
            Self::Malformed(kind) => return of_cbor(kind),
            Self::Trust(_) => (Document::Records, "Chain of a manifest"),
            Self::ConditionFailed(condition) => return condition.code_rule(),
            Self::EnvelopeTooLarge
            | Self::EnvelopeMemberUnknown
            | Self::IntegratedPayloadUnsupported
            | Self::ManifestBare => (Document::Manifest, "8.2"),
            Self::EnvelopeMemberUnsupported
            | Self::EnvelopeMemberUnauthenticated
            | Self::MemberDigestMismatch => (Document::Manifest, "8.4.12"),
            Self::SignatureMissing | Self::SignatureMultiple | Self::ManifestDigestMismatch => {
                (Document::Manifest, "8.3")
            }
            Self::DigestAlgorithmUnsupported | Self::DigestLength => (Document::Manifest, "10"),
            Self::MemberSevered => (Document::Manifest, "8.6"),
            Self::ManifestVersion => (Document::Manifest, "8.4.1"),
            Self::ManifestElementUnsupported => (Document::Manifest, "8.4"),
            Self::ComponentCount | Self::IdentityUnchecked => (Document::Manifest, "6.2"),
            Self::ComponentUnsupported | Self::SequenceRollback => (Document::Manifest, "6.1"),
            Self::SequenceBelowMinimum => (Document::Records, "Revocation"),
            Self::SequenceAboveCeiling => (Document::Records, "Sequence ceiling"),
            Self::ScopeVendor | Self::ScopeClass | Self::ScopeDevice | Self::ScopeActions => {
                (Document::Manifest, "9")
            }
            Self::TextMalformed => (Document::Manifest, "8.4.4"),
            Self::ComponentIndex => (Document::Manifest, "8.4.10.1"),
            Self::CommandUnknown => (Document::Manifest, "6.4"),
            Self::CommandNotShared => (Document::Manifest, "8.4.5"),
            Self::ParameterUnsupported | Self::ParameterMissing => (Document::Manifest, "8.4.8"),
            Self::EncryptionUnsupported => (Document::FirmwareEncryption, "4"),
            Self::SoftFailureMisplaced => (Document::Manifest, "8.4.8.15"),
            Self::StrictOrder => (Document::Manifest, "6.7"),
            Self::NestingTooDeep | Self::StepLimit | Self::Platform(_) => (Document::Manifest, "6.4"),
            Self::ImageReference => (Document::Manifest, "6.3"),
        };
        Rule::new(document, section)
    }
}

/// The form of CBOR; otherwise the CDDL, also where a limit is exceeded that it does not have.
const fn of_cbor(kind: trust::ErrorKind) -> Rule {
    use trust::ErrorKind as Kind;
    if matches!(kind, Kind::NotCanonical | Kind::KeyOrder) {
        return Rule::new(Document::Cbor, "4.2.1");
    }
    if matches!(kind, Kind::Truncated | Kind::TrailingBytes | Kind::InvalidText) {
        return Rule::new(Document::Cbor, "5.3.1");
    }
    Rule::new(Document::Manifest, "A")
}

impl Condition {
    const fn code_rule(self) -> Rule {
        match self {
            Self::Vendor => CommandCode::VendorIdentifier.rule(),
            Self::Class => CommandCode::ClassIdentifier.rule(),
            Self::ImageMatch => CommandCode::ImageMatch.rule(),
            Self::ComponentSlot => CommandCode::ComponentSlot.rule(),
            Self::Abort => CommandCode::Abort.rule(),
            Self::Device => CommandCode::DeviceIdentifier.rule(),
            Self::Unknown => Rule::new(Document::Manifest, "8.4.9"),
        }
    }
}
