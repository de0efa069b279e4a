//! Refusals: a small `Copy` error of a kind and the byte at which the reader stood.

/// A refusal. `position` is an offset into the bytes that were handed to the verifying function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error {
    /// The kind of fault.
    pub kind: ErrorKind,
    /// Byte offset into the outermost input at which it was found.
    pub position: u32,
}

impl Error {
    /// An error of `kind` found at byte `position`.
    #[must_use]
    pub const fn new(kind: ErrorKind, position: u32) -> Self {
        Self { kind, position }
    }
}

/// Every reason for which this crate refuses something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ErrorKind {
    // CBOR
    /// The input ends inside an item.
    Truncated,
    /// Another CBOR type, tag, array length or byte-string length stands where the format has a fixed one.
    UnexpectedType,
    /// A length or integer is not in its shortest form, or a length is indefinite (RFC 8949 section 4.2.1).
    NotCanonical,
    /// Map keys are not strictly ascending in their encoded form: unsorted or duplicate.
    KeyOrder,
    /// Bytes follow the item.
    TrailingBytes,
    /// A text string is not UTF-8.
    InvalidText,
    /// Nesting is deeper than [`crate::cbor::MAX_DEPTH`].
    TooDeep,
    /// A value lies outside the range that the format gives it.
    OutOfRange,

    // Records
    /// The record, or what is signed, is longer than its limit.
    TooLong,
    /// A list has more entries than its limit.
    TooMany,
    /// A map holds a key that the format does not name.
    UnknownKey,
    /// A map lacks a key that the format requires.
    MissingKey,
    /// A list names the same thing twice.
    Repeated,

    // COSE
    /// Another structure of COSE than the one that is expected, or without its tag.
    CoseUnsupported,
    /// `alg` is not the one that is expected.
    AlgorithmUnsupported,
    /// A `crit` header: nothing that could be named in it is understood.
    CriticalHeader,
    /// A header that may not stand where it stands, or is not known.
    HeaderUnknown,
    /// A header that must be there is not.
    HeaderMissing,
    /// `typ` names another kind of record.
    RecordType,

    // Keys and signatures
    /// The key is not a canonical Ed25519 point, or is of small order.
    KeyInvalid,
    /// The signer of a record is not a configured anchor.
    AnchorUnknown,
    /// The anchor lacks the right that this needs.
    AnchorRights,
    /// An Ed25519 signature does not hold.
    SignatureInvalid,
    /// The signature names another key than the record that came with it.
    KeyMismatch,

    // Secrets
    /// A wrapped key does not unwrap with this key: another one wrapped it, or it was changed.
    KeyUnwrap,
    /// The tag of encrypted content does not hold.
    ContentTag,
    /// It names a key that is not at hand.
    DeviceKeyUnknown,
    /// A MAC does not hold.
    MacInvalid,

    // Limits of the credential
    /// The credential has another role than the one that is needed.
    RoleMismatch,
    /// The credential is on a revocation list.
    CredentialRevoked,
    /// The credential's key is on a revocation list.
    KeyRevoked,
    /// The credential's generation is below the lowest of its role.
    GenerationRevoked,
    /// The credential certifies a key that is an anchor of the verifier.
    CredentialForAnchor,
    /// The credential under an issuing key certifies more than that key may, or not one device.
    ScopeIssuer,
    /// The credential's time is over.
    CredentialExpired,
    /// The credential's time has not begun.
    CredentialNotYetValid,

    // Revocation lists
    /// A revocation list names the key of an anchor of its domain.
    RevokesAnchor,
    /// A revocation list is not newer than the one that is held.
    RevocationSequence,
    /// A newer revocation list lacks an entry, a lowest generation or a minimum of the one that is held.
    RevocationDropsEntry,
    /// Two different revocation lists of a domain have the same list-sequence.
    RevocationForked,

    // Successions
    /// The numbers of a succession do not follow those before it, or it is for another domain.
    SuccessionOrder,
    /// A succession is not newer than the root that is held.
    SuccessionOld,
    /// Two successions of a domain with the same numbers name different roots.
    SuccessionForked,
    /// A succession gives its root more rights than it may, or too few.
    SuccessionRights,
    /// A succession names a key that is an anchor, or was a root before.
    SuccessionKey,

    // Provisioning blocks
    /// Key 6, anchors: the reader trusts the device's own key alone.
    AnchorsUnsupported,
    /// Key 8, device keys: the reader lacks the feature.
    DeviceKeysUnsupported,
    /// Key 9, policy: the reader lacks the feature.
    PolicyUnsupported,
    /// Key 10, identity credential: the reader lacks the feature.
    IdentityCredentialUnsupported,
}

impl core::error::Error for Error {}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} (at byte {})", self.kind.message(), self.position)
    }
}

impl ErrorKind {
    /// One sentence without a full stop, for people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Truncated => "the data ends inside an item",
            Self::UnexpectedType => "an item has another type or length than the format asks for",
            Self::NotCanonical => "an item is not in deterministic CBOR",
            Self::KeyOrder => "map keys are unsorted or duplicate",
            Self::TrailingBytes => "bytes follow the end of the record",
            Self::InvalidText => "a text is not UTF-8",
            Self::TooDeep => "the data is nested too deeply",
            Self::OutOfRange => "a value is out of range",
            Self::TooLong => "the record is longer than its limit",
            Self::TooMany => "a list has more entries than its limit",
            Self::UnknownKey => "the record holds something that its format does not name",
            Self::MissingKey => "the record lacks something that its format requires",
            Self::Repeated => "a list names the same thing twice",
            Self::CoseUnsupported => "it is another structure of COSE than the one that is expected",
            Self::AlgorithmUnsupported => "the signature algorithm is not Ed25519",
            Self::CriticalHeader => "a critical header is not understood",
            Self::HeaderUnknown => "a header is not known, or stands in the wrong place",
            Self::HeaderMissing => "a header is missing",
            Self::RecordType => "it is another kind of record",
            Self::KeyInvalid => "the public key is not a usable Ed25519 key",
            Self::AnchorUnknown => "it is not signed by a configured anchor",
            Self::AnchorRights => "the anchor lacks the right that this needs",
            Self::SignatureInvalid => "the signature does not hold",
            Self::KeyMismatch => "the signature names another key than the record that certifies it",
            Self::KeyUnwrap => "the content key does not unwrap with this key",
            Self::ContentTag => "the tag of the encrypted content does not hold",
            Self::DeviceKeyUnknown => "it is made for a key that is not at hand",
            Self::MacInvalid => "the MAC does not hold",
            Self::RoleMismatch => "the credential has another role",
            Self::CredentialRevoked => "the credential is revoked",
            Self::KeyRevoked => "the credential's key is revoked",
            Self::GenerationRevoked => "the credential's generation is revoked",
            Self::CredentialForAnchor => "the credential certifies the key of an anchor",
            Self::ScopeIssuer => "the credential certifies more than its issuing key may, or not one device",
            Self::CredentialExpired => "the credential has expired",
            Self::CredentialNotYetValid => "the credential is not valid yet",
            Self::RevokesAnchor => "the revocation list names an anchor's own key",
            Self::RevocationSequence => "the revocation list is not newer than the one that is held",
            Self::RevocationDropsEntry => "the revocation list drops something that the held one revokes",
            Self::RevocationForked => "another revocation list with the same list-sequence is held",
            Self::SuccessionOrder => "the succession does not follow the one before it",
            Self::SuccessionOld => "the succession is not newer than the root that is held",
            Self::SuccessionForked => "another succession with the same numbers names another root",
            Self::SuccessionRights => "the succession gives the new root more or fewer rights than it may",
            Self::SuccessionKey => "the succession names a key that is an anchor or was a root before",
            Self::AnchorsUnsupported => "anchors (key 6) are not supported",
            Self::DeviceKeysUnsupported => "device keys (key 8) are not supported",
            Self::PolicyUnsupported => "a policy (key 9) is not supported",
            Self::IdentityCredentialUnsupported => "an identity credential (key 10) is not supported",
        }
    }
}
