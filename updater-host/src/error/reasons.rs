//! What a technician can do about the reason that a host or a device gives, and about the state that a device reports.
//! The hints of `suit_manifest::reason` are for the people who make releases.

use suit_manifest::reason::Reason;
use update_protocol::profile::{Component, ImageState, Mode, StateRecord};

use crate::device::Waits;

const OTHER_RELEASE: &str = "This release is not for this device. Choose the release for it, or ask the manufacturer which one it is.";
const TRANSFER_AGAIN: &str = "Run the update again; it resumes. If it fails again, call the manufacturer.";
const FILE_AGAIN: &str =
    "Get the file again from the manufacturer; this one is damaged, or made for another loader.";
const SIGN_AGAIN: &str = "Call the manufacturer and name the code: no device takes this file until the manufacturer signs it anew.";
const OTHER_BLOCK: &str =
    "Ask the manufacturer for a provisioning block that is made for this loader, and name the code.";
const RESUME: &str =
    "Run the update again; it resumes. Run updater-host abandon to drop the interrupted install.";
pub(super) const OTHER_HOST: &str = "Use an updater-host of the loader's version.";

/// What to do where the identity of a provisioned device is lost.
pub(crate) const NO_IDENTITY: &str =
    "Its memory is damaged. Turn its power off and on once; if that does not help, call the manufacturer.";

/// What a technician can do about a refusal by host or device. Without a `_` arm: each new reason is judged here.
#[must_use]
pub(crate) const fn reason_hint(reason: Reason) -> &'static str {
    use Reason as R;
    match reason {
        R::KeyUnwrap
        | R::DeviceKeyUnknown
        | R::VendorMismatch
        | R::ClassMismatch
        | R::DeviceMismatch
        | R::SlotMismatch
        | R::ComponentUnsupported => OTHER_RELEASE,
        R::Aborted => {
            "The device is in a state for which this release is not made. Ask the manufacturer which one is."
        }
        R::ImageTooLarge | R::VectorTableInvalid | R::ImageNotForSlot => {
            "The image does not fit this device. Check that it is the release for it, and call the manufacturer."
        }
        R::SequenceRollback | R::SequenceBelowMinimum => {
            "Use a newer release. The manufacturer can publish an older one again under a higher number."
        }
        R::ImageDigestMismatch => "Get the image and the envelope again, both from the same release.",
        R::AnchorUnknown | R::SignatureInvalid | R::KeyMismatch => {
            "Check that --anchor names the root key of this device's manufacturer. If it does, do not install the \
             release, and call the manufacturer."
        }
        R::CredentialExpired | R::CredentialNotYetValid => {
            "Check the clock of this computer. If it is right, ask the manufacturer for a renewed release."
        }
        R::CredentialRevoked | R::KeyRevoked | R::GenerationRevoked => {
            "The manufacturer has withdrawn the key of this release. Do not install it; get a newer one."
        }
        R::RevocationSequence => "The device has this list or a newer one; there is nothing to do.",
        R::RevocationForked | R::RevocationDropsEntry => {
            "Call the manufacturer and name the code: two revocation lists contradict each other, and only a new list \
             that continues both ends this."
        }
        R::SuccessionOld => "The device has this root or a newer one; there is nothing to do.",
        R::SuccessionOrder => "Get the whole succession chain from the manufacturer or the server.",
        R::SuccessionForked => {
            "Call the manufacturer and name the code: two successions contradict each other, and only the recovery root \
             ends this."
        }
        R::RevocationMalformed => {
            "The device cannot read its revocation list. Send it the newest one: updater-host revocations LIST."
        }
        R::AnchorSetMalformed => {
            "The device cannot read which roots it trusts. Send it the whole succession chain of its manufacturer."
        }
        R::NotProvisioned => "Give the device its identity first: updater-host provision BLOCK.",
        R::AlreadyProvisioned => {
            "Choose a device that has no identity yet. Run updater-host scan to list the devices and their serials."
        }
        R::ProvisioningMalformed
        | R::AnchorCompiledIn
        | R::ProvisioningAnchors
        | R::ProvisioningDeviceKeys
        | R::ProvisioningPolicy
        | R::ProvisioningIdentityCredential => OTHER_BLOCK,
        R::ObjectUnknown => OTHER_HOST,
        R::FlashFailed | R::JournalCorrupt => {
            "Run the update again. If it fails again, the device is broken: replace it."
        }
        R::TrialNotConfirmed => {
            "The device works with what it had before. Call the manufacturer: what was installed did not confirm itself."
        }
        R::ImageIncomplete | R::ImageOverrun | R::NoEnvelope | R::HeadInvalid | R::SwapFailed => {
            TRANSFER_AGAIN
        }
        R::PartMissing => {
            "The device has half of a release of firmware and a table, and tries both or none. Run the update of that release \
             again, with all its files. If it does not go through any more, drop the half that waits: updater-host abandon for \
             firmware, updater-host abandon --table for a table."
        }
        R::NothingBootable => {
            "The device waits in its loader. Run the update to install a release; if it fails, call the manufacturer."
        }
        R::ApplicationSilent => {
            "Install a release that works; run the update while the loader listens. Run it again if the device does \
             not answer: it listens before each start of its application."
        }
        R::InstallDelayed => {
            "Run the update again and leave it running: it waits until the device takes the install, at most an hour. \
             Keep the device powered, and find out why its updates were not confirmed."
        }
        R::RunsAlready => "The device runs this release; there is nothing to do.",
        R::InstallAbandoned => "Run the update again if you still want it.",
        R::RoleMismatch
        | R::RevocationNamesAnchor
        | R::AnchorRights
        | R::CredentialForAnchor
        | R::SuccessionRights
        | R::SuccessionKey
        | R::ScopeIssuer
        | R::ContentTag
        | R::ScopeVendor
        | R::ScopeClass
        | R::ScopeDevice
        | R::ScopeActions
        | R::SequenceAboveCeiling => SIGN_AGAIN,
        R::MacInvalid => {
            "Get the file again from the manufacturer, for this device; this one was changed, or made with another key."
        }
        R::ReportNonce => "Ask the device again: an old answer of it was played, or another device answered.",
        R::CoseUnsupported => {
            "Check that the file is for this kind of device. A release that is signed needs --anchor; one that only its device can \
             verify goes without."
        }
        R::RecordMalformed
        | R::AlgorithmUnsupported
        | R::HeaderUnsupported
        | R::RecordType
        | R::KeyInvalid
        | R::ManifestMalformed
        | R::EnvelopeTooLarge
        | R::EnvelopeMemberUnknown
        | R::EnvelopeMemberUnauthenticated
        | R::IntegratedPayloadUnsupported
        | R::SignatureMissing
        | R::SignatureMultiple
        | R::DigestAlgorithmUnsupported
        | R::DigestLength
        | R::ManifestDigestMismatch
        | R::MemberDigestMismatch
        | R::MemberSevered
        | R::ManifestVersion
        | R::ManifestElementUnsupported
        | R::ComponentCount
        | R::ComponentIndex
        | R::CommandUnknown
        | R::CommandNotShared
        | R::ParameterUnsupported
        | R::ParameterMissing
        | R::SoftFailureMisplaced
        | R::StrictOrder
        | R::NestingTooDeep
        | R::StepLimit
        | R::IdentityUnchecked
        | R::ConditionUnknown
        | R::ImageReference
        | R::TextMalformed
        | R::ManifestBare
        | R::ManifestLimit
        | R::EnvelopeMemberUnsupported
        | R::ContentMismatch
        | R::UseBeforePassed
        | R::ImageMatches
        | R::BatteryLow
        | R::UpdateUnauthorized
        | R::VersionMismatch
        | R::NotADependency
        | R::DependencyIntegrity
        | R::EncryptionUnsupported => FILE_AGAIN,
    }
}

/// What to do about a device without an application that can run, by the reason code that it reports. It takes a release
/// whatever the reason; where it had an image before, the reason says what became of that one.
#[must_use]
pub(crate) const fn nothing_runs_hint(reason_code: u16) -> &'static str {
    use Reason as R;
    match Reason::from_code(reason_code) {
        Some(R::ApplicationSilent) => reason_hint(R::ApplicationSilent),
        Some(R::TrialNotConfirmed) => {
            "The new firmware did not confirm itself, and the device has no older one. It waits in its loader: install \
             another release, or call the manufacturer if there is none."
        }
        Some(R::CredentialRevoked | R::KeyRevoked | R::GenerationRevoked) => {
            "The manufacturer has withdrawn the key of the firmware, and the device has no other one. It waits in its \
             loader: install a newer release."
        }
        Some(R::FlashFailed | R::JournalCorrupt | R::SwapFailed) => {
            "Turn the power of the device off and on once: it tries again. If it still runs nothing, run the update. If \
             that fails, the device is broken: replace it."
        }
        _ => reason_hint(R::NothingBootable),
    }
}

/// What a technician can do about half of a release that waits. The other half may be gone for good: by a newer release, or with
/// the files.
#[must_use]
pub(crate) const fn half_hint(waits: Component) -> &'static str {
    match waits {
        Component::Firmware => {
            "Run the update of that release again, which brings its table. If it does not any more, run updater-host abandon \
             to drop the firmware."
        }
        Component::Table => {
            "Run the update of that release again, which brings its firmware. If it does not any more, run updater-host \
             abandon --table to drop the table."
        }
    }
}

/// What a technician can do about the state that a device reports, and about what waits on it; `None`: it runs a confirmed
/// image and refused nothing.
#[must_use]
pub(crate) const fn state_hint(state: &StateRecord, waits: Option<Waits>) -> Option<&'static str> {
    if matches!(state.mode, Mode::Factory) {
        return Some(reason_hint(Reason::NotProvisioned));
    }
    match state.image {
        ImageState::Pending => {
            return Some(match waits {
                None | Some(Waits::Reset) => {
                    "An installed image waits for a reset. Run updater-host reset to start it, or updater-host abandon to drop it."
                }
                Some(Waits::Half) => {
                    "An installed image waits for the table of its release; no reset starts it alone. Run the update of that \
                     release again, which brings the table. If it does not any more, run updater-host abandon and updater-host \
                     abandon --table to drop both."
                }
                Some(Waits::Either) => {
                    "An installed image waits. Run updater-host reset to start it. If a reset does not start it, it waits for the \
                     table of its release: run the update of that release again, or updater-host abandon to drop it."
                }
            });
        }
        ImageState::Trial => {
            return Some(
                "The image runs on trial, and the next reset reverts it. Run the update again to wait until it \
                 confirms itself.",
            );
        }
        ImageState::Reverting => {
            return Some(
                "The device goes back to its old image. Keep it powered, and look again in a minute.",
            );
        }
        ImageState::None if matches!(state.mode, Mode::Loader) => {
            return Some(if state.flags.resumable { RESUME } else { nothing_runs_hint(state.reason) });
        }
        ImageState::None | ImageState::Confirmed => {}
    }
    match Reason::from_code(state.reason) {
        Some(reason) => Some(reason_hint(reason)),
        None if state.reason != 0 => Some(OTHER_HOST),
        None if state.flags.resumable => Some(RESUME),
        None => None,
    }
}

/// What a technician can do about the state of a table, and about what waits on it; `None`: nothing.
#[must_use]
pub(crate) const fn table_hint(state: &StateRecord, waits: Option<Waits>) -> Option<&'static str> {
    match state.image {
        ImageState::Pending => Some(match waits {
            None | Some(Waits::Reset) => {
                "A table waits for a reset. Run updater-host reset to try it, or updater-host abandon --table to drop it."
            }
            Some(Waits::Half) => {
                "A table waits for the firmware of its release; no reset tries it alone. Run the update of that release again, \
                 which brings the firmware. If it does not any more, run updater-host abandon and updater-host abandon --table \
                 to drop both."
            }
            Some(Waits::Either) => {
                "A table waits. Run updater-host reset to try it. If a reset does not try it, it waits for the firmware of its \
                 release: run the update of that release again, or updater-host abandon --table to drop it."
            }
        }),
        ImageState::Trial => Some(
            "The table is on trial, and the next reset brings the one before it back. Run the update again to wait until the \
             application confirms it.",
        ),
        ImageState::None if state.active_sequence != 0 => Some(
            "The table is damaged, and the application goes without it. Run the update of the table again.",
        ),
        _ if state.flags.resumable => Some(
            "Run the update of the table again; it resumes. Run updater-host abandon --table to drop it.",
        ),
        _ if state.flags.reverted => Some(
            "The application did not confirm its last table, and has the one before it. Ask the manufacturer for another one.",
        ),
        ImageState::None | ImageState::Confirmed | ImageState::Reverting => None,
    }
}

#[cfg(test)]
mod tests;
