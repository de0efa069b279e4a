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

            /// One sentence on what happened.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }

            /// One sentence on what to do.
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
        "The signed record is malformed."
        "Re-export the file from its source; parsing stopped at the reported offset.";
    0x0102 AlgorithmUnsupported "algorithm-unsupported" 3 5
        "The signature algorithm is unsupported; only Ed25519 (-19) is."
        "Sign with an Ed25519 key.";
    0x0103 HeaderUnsupported "header-unsupported" 2 5
        "A COSE header is missing, unknown, critical or misplaced."
        "Sign again with manifest-tool.";
    0x0104 RecordType "record-type" 4 5
        "The record has the wrong type."
        "Pass the requested type: a credential and a revocation list are different records.";
    0x0105 KeyInvalid "key-invalid" 4 4
        "The public key is not a usable Ed25519 key."
        "Generate a key with manifest-tool key generate.";
    0x0106 AnchorUnknown "anchor-unknown" 4 5
        "The signer is not a trusted anchor."
        "Check that the right root signed it, or pass that root's public key as an anchor.";
    0x0107 SignatureInvalid "signature-invalid" 4 5
        "The signature is invalid: the data was changed, or another key signed it."
        "Re-export the file from its source, or sign it again.";
    0x0108 KeyMismatch "key-mismatch" 4 5
        "The signature names another key than its credential or succession."
        "Sign with the key that the record certifies.";
    0x0109 RoleMismatch "role-mismatch" 4 6
        "The credential has the wrong role."
        "Use a credential with the required role; a manifest requires a release credential.";
    0x010a CredentialRevoked "credential-revoked" 4 6
        "The credential is revoked."
        "Sign with a release key whose credential is valid.";
    0x010b KeyRevoked "key-revoked" 4 6
        "The key is revoked."
        "Sign with another release key and its credential.";
    0x010c CredentialExpired "credential-expired" 4 6
        "The credential has expired."
        "Issue a new credential, and check the clock.";
    0x010d CredentialNotYetValid "credential-not-yet-valid" 4 6
        "The credential is not valid yet."
        "Wait until it becomes valid, and check the clock.";
    0x010e RevocationNamesAnchor "revocation-names-anchor" 4 6
        "The revocation list names an anchor's own key; a list cannot revoke an anchor."
        "Remove that kid; replace an anchor instead of revoking it.";
    0x010f RevocationSequence "revocation-sequence" 4 6
        "The revocation list is not newer than the stored one."
        "Sign a list that continues the stored one: manifest-tool revoke --previous FILE.";
    0x0110 AnchorRights "anchor-rights" 4 6
        "The anchor that signed lacks the required right."
        "Sign with a root that may certify this role or sign revocation lists.";
    0x0111 RevocationForked "revocation-forked" 4 6
        "Another revocation list of this domain has the same list-sequence."
        "Unite both lists: manifest-tool revoke --previous A --previous B.";
    0x0112 RevocationDropsEntry "revocation-drops-entry" 4 6
        "The revocation list drops an entry, generation or minimum of the stored one."
        "Continue the newest list: manifest-tool revoke --previous FILE.";
    0x0113 GenerationRevoked "generation-revoked" 4 6
        "The credential's generation is revoked."
        "Sign with a release key whose credential has a newer generation.";
    0x0114 CredentialForAnchor "credential-for-anchor" 4 6
        "The credential certifies the key of an anchor."
        "Certify a separate key; an anchor cannot also hold a role.";
    0x0117 CoseUnsupported "cose-unsupported" 2 5
        "It is not authenticated as it has to be: by a signature, or by a MAC."
        "Use manifest-tool sign, or personalize for devices that believe their own key.";
    0x0118 SuccessionOrder "succession-order" 4 6
        "The succession does not follow the one before it, or is for another domain."
        "Send the whole succession chain, in its order.";
    0x0119 SuccessionOld "succession-old" 4 6
        "The succession is not newer than the root that is held."
        "Nothing is to be done if the newest root is held; else use the newest succession chain.";
    0x011a SuccessionForked "succession-forked" 4 6
        "Another succession with the same numbers names another root."
        "End the fork with a succession signed by the recovery root.";
    0x011b SuccessionRights "succession-rights" 4 6
        "The new root gets more rights than it may have, or too few."
        "Ask for governance and succession, and for no right that the replaced root lacks.";
    0x011c SuccessionKey "succession-key" 4 6
        "The succession names a key that is an anchor or was a root before."
        "Generate a new key for the new root.";
    0x011d ScopeIssuer "scope-issuer" 4 6
        "The device credential certifies more than its issuing key may, or not one device."
        "Issue it for one serial and one class within the scope of the issuing key.";
    0x011e KeyUnwrap "key-unwrap" 4 5
        "The content key does not unwrap: it is for another device, or was changed."
        "Encrypt for this device, or check which key it was given.";
    0x011f ContentTag "content-tag" 11 5
        "The tag of the encrypted content does not hold: the content was changed."
        "Export the file from its source, or encrypt it again.";
    0x0120 DeviceKeyUnknown "device-key-unknown" 4 5
        "It is made for a key that is not at hand: another device's, or an older one."
        "Make it for this device's present key.";
    0x0121 MacInvalid "mac-invalid" 4 5
        "The MAC does not hold: the data was changed, or another key made it."
        "Export the file from its source, or make it again.";
    0x0122 ReportNonce "report-nonce" 4 5
        "The report does not answer this question: its nonce is another one."
        "Ask the device again; an old answer may have been played.";

    0x0201 ManifestMalformed "manifest-malformed" 1 5
        "The envelope or manifest is malformed."
        "Re-export the file from its source; parsing stopped at the reported offset.";
    0x0202 EnvelopeTooLarge "envelope-too-large" 1 5
        "The envelope exceeds the size limit."
        "Shorten the texts, or sever them before sending.";
    0x0203 EnvelopeMemberUnknown "envelope-member-unknown" 4 5
        "The envelope contains an unknown, unauthenticated member."
        "Remove the member.";
    0x0204 EnvelopeMemberUnauthenticated "envelope-member-unauthenticated" 4 5
        "The envelope contains a severed member without a digest in the manifest."
        "Remove the member; each member needs a signed digest.";
    0x0205 IntegratedPayloadUnsupported "integrated-payload-unsupported" 9 5
        "The envelope contains an integrated payload, which is unsupported."
        "Take it out with manifest-tool extract.";
    0x0206 SignatureMissing "signature-missing" 4 5
        "The manifest is not signed."
        "Sign it with manifest-tool sign.";
    0x0207 SignatureMultiple "signature-multiple" 2 5
        "The authentication wrapper contains several signatures."
        "Sign the unsigned envelope; manifest-tool sign replaces one signature only.";
    0x0208 DigestAlgorithmUnsupported "digest-algorithm-unsupported" 3 5
        "The digest algorithm is unsupported; only SHA-256 is."
        "Create the manifest with SHA-256 digests.";
    0x0209 DigestLength "digest-length" 1 5
        "The length of a digest does not match its algorithm."
        "Create the manifest again.";
    0x020a ManifestDigestMismatch "manifest-digest-mismatch" 4 5
        "The manifest does not match its signed digest."
        "Re-export the file from its source.";
    0x020b MemberDigestMismatch "member-digest-mismatch" 4 5
        "A severed member does not match its signed digest."
        "Re-export the file from its source.";
    0x020c MemberSevered "member-severed" 9 5
        "A required command sequence has been severed."
        "Use the full envelope.";
    0x020d ManifestVersion "manifest-version" 1 5
        "The manifest version is unsupported; only version 1 is."
        "Create the manifest with a tool of this version.";
    0x020e ManifestElementUnsupported "manifest-element-unsupported" 5 5
        "The manifest contains an unsupported element."
        "See docs/suit-support.md for the supported elements.";
    0x020f ComponentCount "component-count" 6 5
        "The manifest names no component, one component twice, or too many."
        "Split the manifest.";
    0x0210 ComponentUnsupported "component-unsupported" 6 5
        "The manifest names a component that the device does not have."
        "Check that this kind of device has [\"app\"] or [\"table\"], encrypted or not.";
    0x0211 ComponentIndex "component-index" 1 5
        "A set-component-index is missing or out of range."
        "Correct the command sequence.";
    0x0212 CommandUnknown "command-unknown" 5 5
        "The manifest uses an unsupported command."
        "See docs/suit-support.md for the supported commands.";
    0x0213 CommandNotShared "command-not-shared" 5 5
        "The shared sequence contains a command that is not allowed there."
        "Move the command to the section that needs it.";
    0x0214 ParameterUnsupported "parameter-unsupported" 8 5
        "The manifest sets an unsupported parameter."
        "See docs/suit-support.md for the supported parameters.";
    0x0215 ParameterMissing "parameter-missing" 11 5
        "A command requires a parameter that is not set."
        "Set the parameter before the command.";
    0x0216 SoftFailureMisplaced "soft-failure-misplaced" 8 5
        "The manifest sets soft-failure outside try-each and run-sequence."
        "Correct the command sequence.";
    0x0217 StrictOrder "strict-order" 5 5
        "A sequence without strict order changes the component index."
        "Correct the command sequence.";
    0x0218 NestingTooDeep "nesting-too-deep" 5 5
        "The command sequences exceed the nesting limit."
        "Simplify the command sequences.";
    0x0219 StepLimit "step-limit" 11 5
        "The command sequences exceed the step limit."
        "Simplify the command sequences.";
    0x021a IdentityUnchecked "identity-unchecked" 7 5
        "The shared sequence does not check vendor and class."
        "Add the vendor and class conditions to the shared sequence.";
    0x021b ScopeVendor "scope-vendor" 7 6
        "The manifest names a vendor outside the credential's scope."
        "Sign with a credential for that vendor.";
    0x021c ScopeClass "scope-class" 7 6
        "The manifest names a device class outside the credential's scope."
        "Sign with a credential for that class.";
    0x021d ScopeDevice "scope-device" 7 6
        "The credential is limited to single devices; a manifest cannot enforce that."
        "Sign with a release credential without serials.";
    0x021e SequenceRollback "sequence-rollback" 4 6
        "The sequence number is below the floor: this is an older release."
        "Publish the release again with a higher sequence number.";
    0x021f SequenceBelowMinimum "sequence-below-minimum" 4 6
        "The sequence number is below the revocation list's minimum for this class."
        "Use a newer release.";
    0x0220 VendorMismatch "vendor-mismatch" 10 5
        "The update is for another vendor."
        "Choose the update for this device.";
    0x0221 ClassMismatch "class-mismatch" 10 5
        "The update is for another device class."
        "Choose the update for this device.";
    0x0222 DeviceMismatch "device-mismatch" 10 5
        "The update is for another single device."
        "Choose the update for this device.";
    0x0223 ImageDigestMismatch "image-digest-mismatch" 10 5
        "The image does not match the digest or size in the manifest."
        "Re-export the image from its source.";
    0x0224 SlotMismatch "slot-mismatch" 10 5
        "The update is for another slot."
        "Choose the update for this device.";
    0x0225 Aborted "aborted" 10 5
        "The manifest contains an abort command for this state of the device."
        "Use a release made for this state of the device.";
    0x0226 ConditionUnknown "condition-unknown" 5 5
        "The manifest uses an unsupported condition, which always fails."
        "See docs/suit-support.md for the supported conditions.";
    0x0227 ImageReference "image-reference" 11 5
        "The manifest does not install, validate and (firmware, no table) invoke exactly one image."
        "Create the manifest with manifest-tool create.";
    0x0228 TextMalformed "text-malformed" 1 5
        "The text of the manifest is malformed."
        "Create the manifest again.";
    0x0229 ScopeActions "scope-actions" 7 6
        "The credential is limited to certain actions; a manifest cannot enforce that."
        "Sign with a release credential without actions.";
    0x0230 SequenceAboveCeiling "sequence-above-ceiling" 4 6
        "The sequence number is above the ceiling that a credential, or the format, sets."
        "Use a lower one; where a credential sets the ceiling, renew that.";
    0x0232 ManifestBare "manifest-bare" 4 5
        "The file is a manifest without an envelope, which no signature covers."
        "Wrap the manifest in a SUIT envelope (tag 107) and sign it.";
    0x0233 ManifestLimit "manifest-limit" 11 5
        "The manifest is longer, or nested more deeply, than this implementation takes."
        "Shorten the manifest; docs/suit-support.md lists the limits.";
    0x0234 EnvelopeMemberUnsupported "envelope-member-unsupported" 9 5
        "The envelope contains a severed member of a SUIT extension, which is unsupported."
        "Create the manifest without that extension.";
    0x0235 EncryptionUnsupported "encryption-unsupported" 8 5
        "The manifest installs an encrypted image, which is unsupported."
        "Publish the image without encryption.";
    0x0236 ContentMismatch "content-mismatch" 10 5
        "A component does not hold the content that the manifest asks for."
        "Check what is in the component.";
    0x0237 UseBeforePassed "use-before-passed" 10 5
        "The manifest may no longer be used: its time has passed."
        "Use a newer release, and check the clock.";
    0x0238 ImageMatches "image-matches" 10 5
        "A component holds the very image that the manifest asks it not to hold."
        "Nothing is to be done if the update is there already.";
    0x0239 BatteryLow "battery-low" 10 5
        "The battery holds less than the manifest asks for."
        "Charge or replace the battery.";
    0x023a UpdateUnauthorized "update-unauthorized" 10 5
        "The update is not authorized for its priority."
        "Authorize it, or wait until the device does.";
    0x023b VersionMismatch "version-mismatch" 10 5
        "The version of a component is not one that the manifest asks for."
        "Install the version that it depends on first.";
    0x023c NotADependency "not-a-dependency" 10 5
        "The component is not a dependency of the manifest."
        "Correct the command sequence.";
    0x023d DependencyIntegrity "dependency-integrity" 4 5
        "A dependency is not authentic, is another one, or is processed unchecked."
        "Check that the right dependency is there, and is checked first.";

    0x0301 NotProvisioned "not-provisioned" 11 7
        "The device is not provisioned."
        "Send its provisioning block first.";
    0x0302 AlreadyProvisioned "already-provisioned" 11 7
        "The device is already provisioned."
        "Use the device as it is; a provisioning block is written only once.";
    0x0303 ProvisioningMalformed "provisioning-malformed" 1 7
        "The provisioning block is malformed, or lacks anchors or keys that this loader needs."
        "Create it again, for this kind of device.";
    0x0304 AnchorCompiledIn "anchor-compiled-in" 4 7
        "The loader has a compiled-in anchor and accepts none from a provisioning block."
        "Create the provisioning block without --anchor.";
    0x0305 NoEnvelope "no-envelope" 11 7
        "The device has accepted no envelope for this image."
        "Send the envelope first.";
    0x0306 ImageTooLarge "image-too-large" 11 7
        "The image does not fit into the device's slot."
        "Make the image smaller, or check that it is for this device.";
    0x0307 ImageIncomplete "image-incomplete" 11 7
        "The transfer ended before the image was complete."
        "Start the update again; it resumes where it stopped.";
    0x0308 ImageOverrun "image-overrun" 11 7
        "The transfer exceeded the announced size."
        "Start the update again.";
    0x0309 FlashFailed "flash-failed" 11 7
        "The device's flash failed to read, program or erase."
        "Try again; if it fails again, replace the device.";
    0x030a JournalCorrupt "journal-corrupt" 11 7
        "The device cannot read its journal."
        "Reset the device and install again; if it fails again, replace the device.";
    0x030b RevocationMalformed "revocation-malformed" 1 7
        "The stored revocation list is unreadable or does not verify."
        "Send the newest revocation list again.";
    0x030c SwapFailed "swap-failed" 11 7
        "The device could not swap in the new image."
        "Reset the device to continue; if it fails again, replace the device.";
    0x030d VectorTableInvalid "vector-table-invalid" 11 7
        "The image does not begin with a usable vector table."
        "Check that the image was linked for this device.";
    0x030e NothingBootable "nothing-bootable" 11 7
        "The device has no bootable image."
        "Install an application.";
    0x030f TrialNotConfirmed "trial-not-confirmed" 11 7
        "The new image did not confirm itself; the device reverted to the old one."
        "Check why the new application did not start up.";
    0x0311 HeadInvalid "head-invalid" 4 7
        "The envelope stored with an image is missing or no longer verifies."
        "Install again.";
    0x0312 InstallAbandoned "install-abandoned" 11 7
        "The install was abandoned on request."
        "Start the update again if you still want it.";
    0x0313 ObjectUnknown "object-unknown" 11 7
        "The download names an object, offset or size that the device does not have."
        "Use an updater-host of the same version as the loader.";
    0x0315 ProvisioningDeviceKeys "provisioning-device-keys" 11 7
        "The block contains device keys (key 8), which this loader does not support."
        "Use a loader that supports them, or omit them.";
    0x0316 ProvisioningPolicy "provisioning-policy" 11 7
        "The block contains a policy (key 9), which this loader does not support."
        "Use a loader that supports it, or omit it.";
    0x0317 ProvisioningIdentityCredential "provisioning-identity-credential" 11 7
        "The block has an identity credential (key 10), which this loader does not support."
        "Use a loader that supports it, or omit it.";
    0x0318 ApplicationSilent "application-silent" 11 7
        "The application dies: it was reset again and again without a sign of life."
        "Install a release that works while the loader listens.";
    0x0319 RunsAlready "runs-already" 11 7
        "The device runs this very release, and its image verifies."
        "Nothing is to be done; the device does not install what it runs.";
    0x031a InstallDelayed "install-delayed" 11 7
        "Installs began and were not confirmed too often; the device delays the next one."
        "Keep the device powered in its loader for the reported number of seconds.";
    0x031b ImageNotForSlot "image-not-for-slot" 11 7
        "The image is not linked for the slot in which it would run."
        "Link the image for the slot where it runs; check that two images are not exchanged.";
    0x031c AnchorSetMalformed "anchor-set-malformed" 1 7
        "The stored set of anchors is unreadable."
        "Send the whole succession chain.";
    0x031d ProvisioningAnchors "provisioning-anchors" 11 7
        "The block contains anchors (key 6), and this loader trusts the device's own key alone."
        "Use a loader that has anchors, or omit them.";
    0x031e PartMissing "part-missing" 11 7
        "The release installs firmware and a table, and one of them is not there: neither is tried without the other."
        "Send the other one as well, and reset the device.";
}

impl Reason {
    /// The stable code.
    #[must_use]
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
            // Legal SUIT, beyond what is taken.
            ErrorKind::Malformed(
                trust::ErrorKind::TooLong | trust::ErrorKind::TooMany | trust::ErrorKind::TooDeep,
            ) => Self::ManifestLimit,
            kind => Self::of_kind(kind),
        }
    }
}

impl Reason {
    /// The reason of every other kind, whatever it carries; those that `From<Error>` took do not come here. Apart, so that it
    /// compiles to a table.
    #[inline(never)]
    const fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Malformed(_)
            | ErrorKind::Trust(_)
            | ErrorKind::ConditionFailed(_)
            | ErrorKind::Platform(_) => Self::ManifestMalformed,
            ErrorKind::ManifestBare => Self::ManifestBare,
            ErrorKind::EnvelopeMemberUnsupported => Self::EnvelopeMemberUnsupported,
            ErrorKind::EncryptionUnsupported => Self::EncryptionUnsupported,
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
            ErrorKind::SequenceAboveCeiling => Self::SequenceAboveCeiling,
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
    #[must_use]
    pub fn of_provisioning(kind: trust::ErrorKind) -> Self {
        let reason = Self::from(kind);
        let is_named = matches!(
            reason,
            Self::ProvisioningAnchors
                | Self::ProvisioningDeviceKeys
                | Self::ProvisioningPolicy
                | Self::ProvisioningIdentityCredential
        );
        if is_named { reason } else { Self::ProvisioningMalformed }
    }
}

impl From<trust::ErrorKind> for Reason {
    fn from(kind: trust::ErrorKind) -> Self {
        use trust::ErrorKind as Kind;
        match kind {
            Kind::CoseUnsupported => Self::CoseUnsupported,
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
            Kind::RevocationDropsEntry => Self::RevocationDropsEntry,
            Kind::GenerationRevoked => Self::GenerationRevoked,
            Kind::CredentialForAnchor => Self::CredentialForAnchor,
            Kind::ScopeIssuer => Self::ScopeIssuer,
            Kind::SuccessionOrder => Self::SuccessionOrder,
            Kind::SuccessionOld => Self::SuccessionOld,
            Kind::SuccessionForked => Self::SuccessionForked,
            Kind::SuccessionRights => Self::SuccessionRights,
            Kind::SuccessionKey => Self::SuccessionKey,
            Kind::KeyUnwrap => Self::KeyUnwrap,
            Kind::ContentTag => Self::ContentTag,
            Kind::DeviceKeyUnknown => Self::DeviceKeyUnknown,
            Kind::MacInvalid => Self::MacInvalid,
            Kind::AnchorsUnsupported => Self::ProvisioningAnchors,
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
