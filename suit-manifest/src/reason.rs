//! One table of every reason for which anything is refused, for all programs and the device.
//!
//! A code is stable and travels in the device's state record; a slug is what people and JSON see. docs/errors.md
//! holds the same table, a test keeps both equal and another one freezes the codes: they are only added to.
//! Texts are reached by functions that a device never calls, so that the linker drops them there.

use crate::error::{Condition, Error, ErrorKind};

macro_rules! reasons {
    ($($code:literal $variant:ident $slug:literal $report:literal $exit:literal $message:literal $hint:literal;)*) => {
        /// Why something was refused. The value is the stable code: `01xx` trust, `02xx` manifest, `03xx` device.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Reason {
            $(#[doc = $message] $variant = $code,)*
        }

        impl Reason {
            /// Every reason, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The reason with this code, or `None` for 0 and for codes of a newer version.
            pub const fn from_code(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Stable name: lower case, words joined by `-`.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug,)* }
            }

            /// What happened, one sentence.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }

            /// What to do about it, one sentence.
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint,)* }
            }

            /// Reason of a SUIT report (draft-ietf-suit-report, SUIT_Report_Reasons), 1 to 12.
            pub const fn suit_report(self) -> u8 {
                match self { $(Self::$variant => $report,)* }
            }

            /// Exit code of a program that ends for this reason (docs/errors.md).
            pub const fn exit_code(self) -> u8 {
                match self { $(Self::$variant => $exit,)* }
            }
        }
    };
}

// code, variant, slug, SUIT report reason, exit code, message, hint
reasons! {
    0x0101 RecordMalformed "record-malformed" 1 5
        "A signed record is not in the form that docs/records.md gives it."
        "Take the file again from where it was made; the position says where reading stopped.";
    0x0102 AlgorithmUnsupported "algorithm-unsupported" 3 5
        "A signature uses another algorithm than Ed25519 (-19)."
        "Sign again with an Ed25519 key.";
    0x0103 HeaderUnsupported "header-unsupported" 2 5
        "A COSE header is missing, unknown, critical, or stands in the wrong place."
        "Sign again with manifest-tool.";
    0x0104 RecordType "record-type" 4 5
        "The record is of another kind than the one that is needed here."
        "Give the file that is asked for: credential and revocation list are different records.";
    0x0105 KeyInvalid "key-invalid" 4 4
        "A public key is not a usable Ed25519 key."
        "Make a new key with manifest-tool key generate.";
    0x0106 AnchorUnknown "anchor-unknown" 4 5
        "The signer is not an anchor that is trusted here."
        "Check that the right root signed it, or give that root's public key as an anchor.";
    0x0107 SignatureInvalid "signature-invalid" 4 5
        "A signature does not hold: the data was changed or signed with another key."
        "Take the file again from where it was made, or sign it again.";
    0x0108 KeyMismatch "key-mismatch" 4 5
        "The signature names another key than the credential that came with it."
        "Sign with the key for which the credential was issued.";
    0x0109 RoleMismatch "role-mismatch" 4 6
        "The credential has another role than this needs."
        "Use a credential of the right role; a manifest needs a release credential.";
    0x010a CredentialRevoked "credential-revoked" 4 6
        "The credential has been revoked."
        "Sign with a release key whose credential is valid.";
    0x010b KeyRevoked "key-revoked" 4 6
        "The key has been revoked."
        "Sign with another release key and its credential.";
    0x010c CredentialExpired "credential-expired" 4 6
        "The credential has expired."
        "Have a new credential issued, and check the clock.";
    0x010d CredentialNotYetValid "credential-not-yet-valid" 4 6
        "The credential is not valid yet."
        "Wait until its time begins, and check the clock.";
    0x010e RevocationNamesAnchor "revocation-names-anchor" 4 6
        "The revocation list names an anchor's own key, which a list cannot revoke."
        "Leave that kid out; an anchor is replaced, not revoked.";
    0x010f RevocationSequence "revocation-sequence" 4 6
        "The revocation list is not newer than the one that is held."
        "Sign a list with a higher list-sequence.";
    0x0110 AnchorRights "anchor-rights" 4 6
        "The anchor that signed lacks the right that this needs."
        "Use a root that may certify this role, or sign revocation lists.";
    0x0111 RevocationForked "revocation-forked" 4 6
        "Another revocation list of this domain has the same list-sequence."
        "Unite both lists: manifest-tool revoke --previous A --previous B.";

    0x0201 ManifestMalformed "manifest-malformed" 1 5
        "The envelope or manifest is not in the form that SUIT gives it."
        "Take the file again from where it was made; the position says where reading stopped.";
    0x0202 EnvelopeTooLarge "envelope-too-large" 1 5
        "The envelope is longer than the limit."
        "Shorten the texts, or sever them away before sending.";
    0x0203 EnvelopeMemberUnknown "envelope-member-unknown" 4 5
        "The envelope holds a member that is not known, so that nothing authenticates it."
        "Remove the member.";
    0x0204 EnvelopeMemberUnauthenticated "envelope-member-unauthenticated" 4 5
        "The envelope contains a severed member without a digest in the manifest."
        "Remove the member; each member needs a signed digest.";
    0x0205 IntegratedPayloadUnsupported "integrated-payload-unsupported" 9 5
        "The envelope carries an integrated payload, which is not supported."
        "Publish the image beside the envelope.";
    0x0206 SignatureMissing "signature-missing" 4 5
        "The manifest is not signed."
        "Sign it with manifest-tool sign.";
    0x0207 SignatureMultiple "signature-multiple" 2 5
        "The authentication wrapper holds more than one signature."
        "Sign again; sign replaces the signature.";
    0x0208 DigestAlgorithmUnsupported "digest-algorithm-unsupported" 3 5
        "A digest uses another algorithm than SHA-256."
        "Create the manifest with SHA-256 digests.";
    0x0209 DigestLength "digest-length" 1 5
        "A digest has another length than its algorithm gives."
        "Create the manifest again.";
    0x020a ManifestDigestMismatch "manifest-digest-mismatch" 4 5
        "The manifest is not the one that was signed: its digest differs."
        "Take the file again from where it was made.";
    0x020b MemberDigestMismatch "member-digest-mismatch" 4 5
        "A severed member of the envelope is not the one that was signed: its digest differs."
        "Take the file again from where it was made.";
    0x020c MemberSevered "member-severed" 9 5
        "A command sequence that is needed has been severed away."
        "Use the full envelope.";
    0x020d ManifestVersion "manifest-version" 1 5
        "The manifest has another version than 1."
        "Create it with a tool of this version.";
    0x020e ManifestElementUnsupported "manifest-element-unsupported" 5 5
        "The manifest holds an element that is not supported."
        "See docs/suit-support.md for what is.";
    0x020f ComponentCount "component-count" 6 5
        "The manifest names no component, the same one twice, or more than the limit."
        "Split the manifest.";
    0x0210 ComponentUnsupported "component-unsupported" 6 5
        "The manifest names a component that the device does not have."
        "Check that the update is for this kind of device; its component is [\"app\"].";
    0x0211 ComponentIndex "component-index" 1 5
        "A set-component-index is out of range, or is missing where it must stand."
        "Correct the command sequence.";
    0x0212 CommandUnknown "command-unknown" 5 5
        "A command is not supported."
        "See docs/suit-support.md for what is.";
    0x0213 CommandNotShared "command-not-shared" 5 5
        "The shared sequence holds a command that may not stand there."
        "Move the command to the section that needs it.";
    0x0214 ParameterUnsupported "parameter-unsupported" 8 5
        "A parameter is not supported."
        "See docs/suit-support.md for what is.";
    0x0215 ParameterMissing "parameter-missing" 11 5
        "A command needs a parameter that has not been set."
        "Set the parameter before the command.";
    0x0216 SoftFailureMisplaced "soft-failure-misplaced" 8 5
        "soft-failure is set outside of try-each and run-sequence."
        "Correct the command sequence.";
    0x0217 StrictOrder "strict-order" 5 5
        "A sequence that may run out of order changes the component index."
        "Correct the command sequence.";
    0x0218 NestingTooDeep "nesting-too-deep" 5 5
        "Command sequences are nested more deeply than the limit."
        "Simplify the command sequences.";
    0x0219 StepLimit "step-limit" 11 5
        "The command sequences take more steps than the limit."
        "Simplify the command sequences.";
    0x021a IdentityUnchecked "identity-unchecked" 7 5
        "The shared sequence does not check vendor and class."
        "Put the vendor and class conditions into the shared sequence.";
    0x021b ScopeVendor "scope-vendor" 7 6
        "The manifest speaks of a vendor that is outside of the credential's scope."
        "Sign with a credential of that vendor.";
    0x021c ScopeClass "scope-class" 7 6
        "The manifest speaks of a device class that is outside of the credential's scope."
        "Sign with a credential for that class.";
    0x021d ScopeDevice "scope-device" 7 6
        "The credential is limited to single devices, which a manifest cannot honour."
        "Sign with a release credential without serials.";
    0x021e SequenceRollback "sequence-rollback" 4 6
        "The sequence number is below the one that is accepted: an older release."
        "Publish the release again with a higher sequence number.";
    0x021f SequenceBelowMinimum "sequence-below-minimum" 4 6
        "The sequence number is below the minimum that the revocation list sets for this class."
        "Use a newer release.";
    0x0220 VendorMismatch "vendor-mismatch" 10 5
        "The update is for another vendor's devices."
        "Choose the update for this device.";
    0x0221 ClassMismatch "class-mismatch" 10 5
        "The update is for another class of devices."
        "Choose the update for this device.";
    0x0222 DeviceMismatch "device-mismatch" 10 5
        "The update is for another single device."
        "Choose the update for this device.";
    0x0223 ImageDigestMismatch "image-digest-mismatch" 10 5
        "The image is not the one that the manifest names: its digest or size differs."
        "Take the image again from where it was made.";
    0x0224 SlotMismatch "slot-mismatch" 10 5
        "The update is for another slot."
        "Choose the update for this device.";
    0x0225 Aborted "aborted" 10 5
        "The manifest itself asks to abort here."
        "The device is in a state for which this update was not made.";
    0x0226 ConditionUnknown "condition-unknown" 5 5
        "A condition is not supported, and what is not known fails."
        "See docs/suit-support.md for what is.";
    0x0227 ImageReference "image-reference" 11 5
        "The manifest does not install, validate and invoke exactly one image."
        "Create the manifest with manifest-tool create.";
    0x0228 TextMalformed "text-malformed" 1 5
        "The text of the manifest is not in the form that SUIT gives it."
        "Create the manifest again.";
    0x0229 ScopeActions "scope-actions" 7 6
        "The credential is limited to certain actions, which a manifest cannot honour."
        "Sign with a release credential without actions.";

    0x0301 NotProvisioned "not-provisioned" 11 7
        "The device has not been provisioned."
        "Send it its provisioning block first.";
    0x0302 AlreadyProvisioned "already-provisioned" 11 7
        "The device has been provisioned already."
        "A provisioning block is written once only; use the device as it is.";
    0x0303 ProvisioningMalformed "provisioning-malformed" 1 7
        "The provisioning block is not in the form that docs/records.md gives it."
        "Make it again with manifest-tool provision.";
    0x0304 AnchorCompiledIn "anchor-compiled-in" 4 7
        "The loader has its anchor compiled in and takes none from a provisioning block."
        "Make the provisioning block without --anchor.";
    0x0305 NoEnvelope "no-envelope" 11 7
        "There is no accepted envelope for this image."
        "Send the envelope first.";
    0x0306 ImageTooLarge "image-too-large" 11 7
        "The image does not fit into the device's slot."
        "Make the image smaller, or check that it is for this device.";
    0x0307 ImageIncomplete "image-incomplete" 11 7
        "The transfer ended before the whole image was there."
        "Start the update again; it resumes where it stopped.";
    0x0308 ImageOverrun "image-overrun" 11 7
        "More bytes came than were announced."
        "Start the update again.";
    0x0309 FlashFailed "flash-failed" 11 7
        "The device's flash did not take or give the data."
        "Try again; if it happens again, the device is broken.";
    0x030a JournalCorrupt "journal-corrupt" 11 7
        "The device's journal cannot be read."
        "Install again; if it happens again, the device is broken.";
    0x030b RevocationMalformed "revocation-malformed" 1 7
        "The stored revocation list cannot be read or does not verify."
        "Send the newest revocation list again.";
    0x030c SwapFailed "swap-failed" 11 7
        "The new image could not be swapped in."
        "Start the update again.";
    0x030d VectorTableInvalid "vector-table-invalid" 11 7
        "The image does not begin with a usable vector table."
        "Check that the image was linked for this device.";
    0x030e NothingBootable "nothing-bootable" 11 7
        "There is no image that can be booted."
        "Install an application.";
    0x030f TrialNotConfirmed "trial-not-confirmed" 11 7
        "The new image did not confirm itself, and the device went back to the old one."
        "Find out why the new application did not come up.";
    0x0310 WatchdogReset "watchdog-reset" 11 7
        "The watchdog reset the device during the trial, and it went back to the old image."
        "Find out why the new application hangs.";
    0x0311 HeadInvalid "head-invalid" 4 7
        "The envelope that is stored with an image is missing or no longer verifies."
        "Install again.";
    0x0312 InstallAbandoned "install-abandoned" 11 7
        "The install was abandoned on request."
        "Start the update again when it is wanted.";
    0x0313 ObjectUnknown "object-unknown" 11 7
        "The download names an object, offset or size that the device does not have."
        "Use an updater-host of this version.";
    0x0314 ManifestChanged "manifest-changed" 11 7
        "An install of another manifest is in progress."
        "Abandon that install, or finish it.";
    0x0315 ProvisioningDeviceKeys "provisioning-device-keys" 11 7
        "The block holds device keys (key 8), which the loader does not support."
        "Use a loader that supports them, or leave them out.";
    0x0316 ProvisioningPolicy "provisioning-policy" 11 7
        "The block holds a policy (key 9), which the loader does not support."
        "Use a loader that supports it, or leave it out.";
    0x0317 ProvisioningIdentityCredential "provisioning-identity-credential" 11 7
        "The block holds an identity credential (key 10), which the loader does not support."
        "Use a loader that supports it, or leave it out.";
}

impl Reason {
    /// The stable code.
    pub const fn code(self) -> u16 {
        self as u16
    }
}

impl From<Condition> for Reason {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Vendor => Self::VendorMismatch,
            Condition::Class => Self::ClassMismatch,
            Condition::Device => Self::DeviceMismatch,
            Condition::ImageMatch => Self::ImageDigestMismatch,
            Condition::ComponentSlot => Self::SlotMismatch,
            Condition::Abort => Self::Aborted,
            Condition::Unknown => Self::ConditionUnknown,
        }
    }
}

impl From<Error> for Reason {
    fn from(error: Error) -> Self {
        match error.kind {
            ErrorKind::Trust(kind) => Self::from(kind),
            ErrorKind::ConditionFailed(condition) => Self::from(condition),
            ErrorKind::Platform(reason) => reason,
            ErrorKind::Malformed(_) => Self::ManifestMalformed,
            ErrorKind::EnvelopeTooLarge => Self::EnvelopeTooLarge,
            ErrorKind::EnvelopeMemberUnknown => Self::EnvelopeMemberUnknown,
            ErrorKind::EnvelopeMemberUnauthenticated => Self::EnvelopeMemberUnauthenticated,
            ErrorKind::IntegratedPayloadUnsupported => Self::IntegratedPayloadUnsupported,
            ErrorKind::SignatureMissing => Self::SignatureMissing,
            ErrorKind::SignatureMultiple => Self::SignatureMultiple,
            ErrorKind::DigestAlgorithmUnsupported => Self::DigestAlgorithmUnsupported,
            ErrorKind::DigestLength => Self::DigestLength,
            ErrorKind::ManifestDigestMismatch => Self::ManifestDigestMismatch,
            ErrorKind::MemberDigestMismatch => Self::MemberDigestMismatch,
            ErrorKind::MemberSevered => Self::MemberSevered,
            ErrorKind::ManifestVersion => Self::ManifestVersion,
            ErrorKind::ManifestElementUnsupported => Self::ManifestElementUnsupported,
            ErrorKind::ComponentCount => Self::ComponentCount,
            ErrorKind::ComponentUnsupported => Self::ComponentUnsupported,
            ErrorKind::ComponentIndex => Self::ComponentIndex,
            ErrorKind::CommandUnknown => Self::CommandUnknown,
            ErrorKind::CommandNotShared => Self::CommandNotShared,
            ErrorKind::ParameterUnsupported => Self::ParameterUnsupported,
            ErrorKind::ParameterMissing => Self::ParameterMissing,
            ErrorKind::SoftFailureMisplaced => Self::SoftFailureMisplaced,
            ErrorKind::StrictOrder => Self::StrictOrder,
            ErrorKind::NestingTooDeep => Self::NestingTooDeep,
            ErrorKind::StepLimit => Self::StepLimit,
            ErrorKind::IdentityUnchecked => Self::IdentityUnchecked,
            ErrorKind::ScopeVendor => Self::ScopeVendor,
            ErrorKind::ScopeClass => Self::ScopeClass,
            ErrorKind::ScopeDevice => Self::ScopeDevice,
            ErrorKind::ScopeActions => Self::ScopeActions,
            ErrorKind::SequenceRollback => Self::SequenceRollback,
            ErrorKind::SequenceBelowMinimum => Self::SequenceBelowMinimum,
            ErrorKind::ImageReference => Self::ImageReference,
            ErrorKind::TextMalformed => Self::TextMalformed,
        }
    }
}

impl From<trust::Error> for Reason {
    fn from(error: trust::Error) -> Self {
        Self::from(error.kind)
    }
}

impl Reason {
    /// Why a provisioning block is refused: by the name of a feature that it asks for, else for its form.
    pub fn of_provisioning(kind: trust::ErrorKind) -> Self {
        let reason = Self::from(kind);
        let is_named = matches!(
            reason,
            Self::ProvisioningDeviceKeys | Self::ProvisioningPolicy | Self::ProvisioningIdentityCredential
        );
        if is_named { reason } else { Self::ProvisioningMalformed }
    }
}

impl From<trust::ErrorKind> for Reason {
    fn from(kind: trust::ErrorKind) -> Self {
        use trust::ErrorKind as Kind;
        match kind {
            Kind::AlgorithmUnsupported => Self::AlgorithmUnsupported,
            Kind::CriticalHeader | Kind::HeaderUnknown | Kind::HeaderMissing => Self::HeaderUnsupported,
            Kind::RecordType => Self::RecordType,
            Kind::KeyInvalid => Self::KeyInvalid,
            Kind::AnchorUnknown => Self::AnchorUnknown,
            Kind::SignatureInvalid => Self::SignatureInvalid,
            Kind::KeyMismatch => Self::KeyMismatch,
            Kind::RoleMismatch => Self::RoleMismatch,
            Kind::CredentialRevoked => Self::CredentialRevoked,
            Kind::KeyRevoked => Self::KeyRevoked,
            Kind::CredentialExpired => Self::CredentialExpired,
            Kind::CredentialNotYetValid => Self::CredentialNotYetValid,
            Kind::RevokesAnchor => Self::RevocationNamesAnchor,
            Kind::RevocationSequence => Self::RevocationSequence,
            Kind::AnchorRights => Self::AnchorRights,
            Kind::RevocationForked => Self::RevocationForked,
            Kind::DeviceKeysUnsupported => Self::ProvisioningDeviceKeys,
            Kind::PolicyUnsupported => Self::ProvisioningPolicy,
            Kind::IdentityCredentialUnsupported => Self::ProvisioningIdentityCredential,
            Kind::Truncated
            | Kind::UnexpectedType
            | Kind::NotCanonical
            | Kind::KeyOrder
            | Kind::TrailingBytes
            | Kind::InvalidText
            | Kind::TooDeep
            | Kind::OutOfRange
            | Kind::TooLong
            | Kind::TooMany
            | Kind::UnknownKey
            | Kind::MissingKey
            | Kind::Repeated => Self::RecordMalformed,
        }
    }
}

#[cfg(test)]
mod tests;
