//! What of SUIT a processor offers, as a type: the small profile of a loader, and the whole for hosts.
//!
//! Decoder and processor are generic over [`Profile`], so that both are one source and what both offer they decide
//! alike (docs/decisions/0089). A cargo feature could not do that: features are united in a build of hosts, and the
//! simulated loader would then offer what the one on a Cortex-M does not. What a profile does not offer is a branch over
//! a constant, and goes away when a device is compiled.

mod decrypting;
mod extension;
mod installs;
mod whole;

use crate::vocabulary::{CommandCode, CommonElement, EnvelopeElement, ManifestElement, ParameterKey};
pub(crate) use extension::{Extension, FreeOrder, Issued};
pub use installs::{Decrypted, Installs};
pub use whole::{Properties, Record, WholePlatform};

/// A set of numbers below 64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// These.
    #[must_use]
    pub const fn of(numbers: &[i32]) -> Self {
        let mut set = 0u64;
        let mut rest = numbers;
        while let Some((number, others)) = rest.split_first() {
            if let Some(bit) = 1u64.checked_shl(number.cast_unsigned()) {
                set |= bit;
            }
            rest = others;
        }
        Self(set)
    }

    /// And these.
    #[must_use]
    pub const fn with(self, numbers: &[i32]) -> Self {
        Self(self.0 | Self::of(numbers).0)
    }

    /// Whether it holds this number.
    #[must_use]
    pub const fn has(self, number: i32) -> bool {
        match 1u64.checked_shl(number.cast_unsigned()) {
            Some(bit) => self.0 & bit != 0,
            None => false,
        }
    }
}

/// What is offered: the numbers of [`crate::vocabulary`]. What is not offered is unsupported, never skipped.
#[allow(private_bounds)] // sealed: how a profile extends the processor is this crate's business
pub trait Profile: Extension {
    /// Commands that run.
    const COMMANDS: Numbers;
    /// Parameters that can be set.
    const PARAMETERS: Numbers;
    /// Elements of a manifest.
    const MANIFEST: Numbers;
    /// Elements of suit-common.
    const COMMON: Numbers;
    /// Elements of an envelope.
    const ENVELOPE: Numbers;
    /// Whether members with a text key are taken.
    const INTEGRATED: bool;
    /// Whether it offers more than [`Loader`]: without it nothing of an extension is compiled.
    const EXTENDS: bool;
}

/// The profile of a device's loader: section 8.5 and what a release of this project uses. SHA-256 only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Loader;

impl Profile for Loader {
    const COMMANDS: Numbers = Numbers::of(&[
        CommandCode::VENDOR,
        CommandCode::CLASS,
        CommandCode::IMAGE_MATCH,
        CommandCode::COMPONENT_SLOT,
        CommandCode::SET_COMPONENT_INDEX,
        CommandCode::ABORT,
        CommandCode::TRY_EACH,
        CommandCode::OVERRIDE_PARAMETERS,
        CommandCode::FETCH,
        CommandCode::INVOKE,
        CommandCode::DEVICE,
        CommandCode::RUN_SEQUENCE,
    ]);
    const PARAMETERS: Numbers = Numbers::of(&[
        ParameterKey::VENDOR_ID,
        ParameterKey::CLASS_ID,
        ParameterKey::IMAGE_DIGEST,
        ParameterKey::COMPONENT_SLOT,
        ParameterKey::STRICT_ORDER,
        ParameterKey::SOFT_FAILURE,
        ParameterKey::IMAGE_SIZE,
        ParameterKey::URI,
        ParameterKey::DEVICE_ID,
    ]);
    const MANIFEST: Numbers = Numbers::of(&[
        ManifestElement::VERSION,
        ManifestElement::SEQUENCE_NUMBER,
        ManifestElement::COMMON,
        ManifestElement::REFERENCE_URI,
        ManifestElement::VALIDATE,
        ManifestElement::INVOKE,
        ManifestElement::PAYLOAD_FETCH,
        ManifestElement::INSTALL,
        ManifestElement::TEXT,
    ]);
    const COMMON: Numbers = Numbers::of(&[CommonElement::COMPONENTS, CommonElement::SHARED_SEQUENCE]);
    const ENVELOPE: Numbers = Numbers::of(&[
        EnvelopeElement::AUTHENTICATION_WRAPPER,
        EnvelopeElement::MANIFEST,
        EnvelopeElement::PAYLOAD_FETCH,
        EnvelopeElement::INSTALL,
        EnvelopeElement::TEXT,
    ]);
    const INTEGRATED: bool = false;
    const EXTENDS: bool = false;
}

/// The profile of a loader that decrypts what it receives: [`Loader`], and the copy of draft-ietf-suit-firmware-encryption
/// section 4.2, out of a component that was fetched into one that is installed (docs/decisions/0096).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Decrypting;

impl Profile for Decrypting {
    const COMMANDS: Numbers = Loader::COMMANDS.with(&[CommandCode::COPY]);
    const PARAMETERS: Numbers =
        Loader::PARAMETERS.with(&[ParameterKey::ENCRYPTION_INFO, ParameterKey::SOURCE_COMPONENT]);
    const MANIFEST: Numbers = Loader::MANIFEST;
    const COMMON: Numbers = Loader::COMMON;
    const ENVELOPE: Numbers = Loader::ENVELOPE;
    const INTEGRATED: bool = Loader::INTEGRATED;
    const EXTENDS: bool = true;
}

/// Everything that suit-manifest-37, suit-trust-domains-12 and suit-update-management-16 name, as far as its platform
/// answers; encryption-info is handed to the platform.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Whole;

impl Profile for Whole {
    const COMMANDS: Numbers = Numbers::of(CommandCode::NUMBERS);
    const PARAMETERS: Numbers = Numbers::of(ParameterKey::NUMBERS);
    const MANIFEST: Numbers = Numbers::of(ManifestElement::NUMBERS);
    const COMMON: Numbers = Numbers::of(CommonElement::NUMBERS);
    const ENVELOPE: Numbers = Numbers::of(EnvelopeElement::NUMBERS);
    const INTEGRATED: bool = true;
    const EXTENDS: bool = true;
}
