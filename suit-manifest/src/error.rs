//! Refusals of envelopes, manifests and commands: a small `Copy` error of a kind and a byte offset.

mod rule;

use crate::reason::Reason;

/// A refusal. `position` is the offset of the offending item in the envelope that was given to
/// [`crate::Envelope::parse`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error {
    /// The kind of fault.
    pub kind: ErrorKind,
    /// Byte offset in the envelope.
    pub position: u32,
}

impl Error {
    /// An error of `kind` at byte `position`.
    #[must_use]
    pub const fn new(kind: ErrorKind, position: u32) -> Self {
        Self { kind, position }
    }

    /// A refusal by the trust chain over bytes that lie at offset `base` of the envelope.
    pub(crate) fn trust(error: trust::Error, base: u32) -> Self {
        Self::new(ErrorKind::Trust(error.kind), base.saturating_add(error.position))
    }

    /// The stable reason, with code and slug.
    #[must_use]
    pub fn reason(self) -> Reason {
        Reason::from(self)
    }
}

/// A refusal by the CBOR reader in an envelope or manifest. A refusal by the trust chain is
/// [`ErrorKind::Trust`] instead, and comes out of [`crate::Envelope::authenticate`] only.
impl From<trust::Error> for Error {
    fn from(error: trust::Error) -> Self {
        Self::new(ErrorKind::Malformed(error.kind), error.position)
    }
}

impl core::error::Error for Error {}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} (at byte {})", self.reason().message(), self.position)
    }
}

/// The conditions that can fail. draft-ietf-suit-manifest-37 section 8.4.9.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Condition {
    /// suit-condition-vendor-identifier (1)
    Vendor,
    /// suit-condition-class-identifier (2)
    Class,
    /// suit-condition-image-match (3)
    ImageMatch,
    /// suit-condition-component-slot (5)
    ComponentSlot,
    /// suit-condition-abort (14)
    Abort,
    /// suit-condition-device-identifier (24)
    Device,
    /// A condition of SUIT or of its extensions that is not supported; it always fails.
    Unknown,
}

/// Every reason for which this crate refuses something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ErrorKind {
    // Envelope and authentication: draft-ietf-suit-manifest-37 sections 8.2, 8.3, 10
    /// The bytes are not strict CBOR, or do not match the CDDL of the format.
    Malformed(trust::ErrorKind),
    /// Longer than [`crate::limits::MAX_ENVELOPE_LEN`].
    EnvelopeTooLarge,
    /// A manifest without an envelope (tag 1070): nothing signs it.
    ManifestBare,
    /// A member of the envelope that SUIT's extensions name: coswid (14), dependency-resolution (15),
    /// candidate-verification (18).
    EnvelopeMemberUnsupported,
    /// A member of the envelope that is not known.
    EnvelopeMemberUnknown,
    /// A severed member without a digest in the manifest.
    EnvelopeMemberUnauthenticated,
    /// A member with a text key.
    IntegratedPayloadUnsupported,
    /// The authentication wrapper holds the digest only.
    SignatureMissing,
    /// The authentication wrapper holds more than one signature.
    SignatureMultiple,
    /// A SUIT_Digest with another algorithm than SHA-256 (-16).
    DigestAlgorithmUnsupported,
    /// A SUIT_Digest whose length does not fit its algorithm.
    DigestLength,
    /// The chain anchor, credential, signature does not hold.
    Trust(trust::ErrorKind),
    /// The manifest does not have the digest that is signed.
    ManifestDigestMismatch,
    /// A severed member does not have the digest that the manifest gives.
    MemberDigestMismatch,
    /// A section that is to be run has been severed away.
    MemberSevered,

    // Manifest: sections 8.4, 6.1, 6.2
    /// suit-manifest-version is not 1.
    ManifestVersion,
    /// A member of the manifest or of suit-common that is not supported.
    ManifestElementUnsupported,
    /// No component, a repeated one, or more than [`crate::limits::MAX_COMPONENTS`].
    ComponentCount,
    /// The platform does not have the component.
    ComponentUnsupported,
    /// The sequence number is below the floor.
    SequenceRollback,
    /// The sequence number is below the minimum of a revocation list for a class that the manifest names.
    SequenceBelowMinimum,
    /// The sequence number is above the ceiling of the credential.
    SequenceAboveCeiling,
    /// A vendor outside of the credential's scope.
    ScopeVendor,
    /// A class outside of the credential's scope.
    ScopeClass,
    /// The credential's scope is limited to serials, which a manifest cannot honour.
    ScopeDevice,
    /// The credential's scope is limited to actions, which a manifest cannot honour.
    ScopeActions,
    /// suit-text is not what section 8.4.4 asks for.
    TextMalformed,

    // Command sequences: sections 6.4, 6.5, 6.7, 8.4.6 to 8.4.10
    /// A set-component-index out of range, or missing at the start of a sequence.
    ComponentIndex,
    /// A command that is not supported, or custom.
    CommandUnknown,
    /// A command that the shared sequence may not hold.
    CommandNotShared,
    /// A parameter that is not supported, or custom.
    ParameterUnsupported,
    /// suit-parameter-encryption-info: the image is encrypted.
    EncryptionUnsupported,
    /// A directive lacks a parameter. (A condition that lacks one fails.)
    ParameterMissing,
    /// soft-failure set outside of try-each and run-sequence.
    SoftFailureMisplaced,
    /// A set-component-index where strict-order = false forbids it, or none where it asks for one.
    StrictOrder,
    /// Deeper than [`crate::limits::MAX_NESTING`].
    NestingTooDeep,
    /// More than [`crate::limits::MAX_STEPS`].
    StepLimit,
    /// The shared sequence ended without a vendor and a class condition that held.
    IdentityUnchecked,
    /// A condition failed where no failure is soft.
    ConditionFailed(Condition),
    /// The platform could not answer.
    Platform(Reason),

    // Dry run
    /// Not exactly one image is installed, validated and invoked.
    ImageReference,
}
