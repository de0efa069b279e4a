//! What a release is to a device that it is meant for, and what to say of both before and after.

use update_protocol::profile::{Component, ImageState, Mode};

use crate::cli::Update;
use crate::device::{Device, Installed, Waits, beside, target_of};
use crate::output::Output;
use crate::release::{Authority, Release};

/// Whether there is nothing to do: the release is confirmed.
pub(super) fn is_done(device: &Device, release: &Release, options: &Update) -> bool {
    let state = &device.state;
    !wants_it_again(options)
        && runs(device, release)
        && has_table(device, release)
        && state.image == ImageState::Confirmed
        && state.mode == Mode::Application
}

/// Whether the device has a release of both, whatever else it has begun: it need not be sent before what is beyond it.
#[cfg(feature = "http")]
pub(super) fn has_both(device: &Device, release: &Release, options: &Update) -> bool {
    let is_there = |component: Component| {
        device.of(component).is_some_and(|state| {
            matches!(state.image, ImageState::Confirmed | ImageState::Pending)
                && Some(state.active_digest) == release.digest()
        })
    };
    !wants_it_again(options) && is_there(Component::Firmware) && is_there(Component::Table)
}

/// Whether what is there already is sent all the same.
fn wants_it_again(options: &Update) -> bool {
    options.reinstall || options.dangerous_skip_host_checks
}

/// Whether the release runs already and only has to confirm itself. Sending it again would revert it first.
pub(super) fn is_on_trial(device: &Device, release: &Release) -> bool {
    let state = &device.state;
    runs(device, release) && state.image == ImageState::Trial && state.mode == Mode::Application
}

/// Whether the active image of a device is this release: by its manifest digest, or by its sequence number where the
/// device does not say the digest.
fn runs(device: &Device, release: &Release) -> bool {
    let Some(facts) = release.facts.as_ref() else { return false };
    match device.active_digest() {
        Some(digest) => digest == facts.manifest_digest,
        None => facts.sequence == device.state.active_sequence,
    }
}

/// Whether the device has the table that comes with the release, if one does.
pub(super) fn has_table(device: &Device, release: &Release) -> bool {
    release.table.is_none()
        || device.of(Component::Table).is_some_and(|table| {
            table.image == ImageState::Confirmed && Some(table.active_digest) == release.digest()
        })
}

/// What an earlier update has begun, and this one has not ended: it waits, also while the application runs.
pub(super) fn warn_of_unfinished(device: &Device, output: &Output) {
    for component in [Component::Firmware, Component::Table] {
        let Some(state) = device.of(component) else { continue };
        let (name, option) = match component {
            Component::Firmware => ("firmware", ""),
            Component::Table => ("table", " --table"),
        };
        let drops = format!("updater-host abandon{option} drops it");
        let other = target_of(beside(component)).name();
        let is_at_rest = matches!(state.image, ImageState::Confirmed | ImageState::None);
        let words = match device.waits(component) {
            Some(Waits::Reset) => format!(
                "a {name} release of an earlier update waits for a reset: updater-host reset starts it, {drops}"
            ),
            Some(Waits::Half) => format!(
                "the {name} of an earlier update waits for the {other} of its release, and no reset starts it alone: the update \
                 of that release brings the {other}, {drops}"
            ),
            Some(Waits::Either) => format!(
                "a {name} release of an earlier update waits for a reset: updater-host reset starts it, {drops}; if a reset \
                 does not start it, it is half of a release of firmware and a table, and the update of that release brings \
                 the other half"
            ),
            None if state.flags.resumable && is_at_rest => format!(
                "the {name} of an earlier update has not come whole: the update of that release resumes it, {drops}"
            ),
            None => continue,
        };
        output.warn("unfinished", &words);
    }
}

/// Two releases with one number: the device has the other one.
pub(super) fn warn_of_equal_number(device: &Device, release: &Release, output: &Output) {
    let Some(facts) = release.facts.as_ref() else { return };
    if let Some(digest) = device.active_digest()
        && facts.sequence == device.state.active_sequence
        && digest != facts.manifest_digest
    {
        let verb = match device.component {
            Component::Firmware => "runs",
            Component::Table => "has the table of",
        };
        let words = format!(
            "the device {verb} another release with the sequence number {}; this update replaces it",
            facts.sequence
        );
        output.warn("same-number", &words);
    }
}

/// A clock that is wrong finds no credential expired.
pub(super) fn warn_of_clock(release: &Release, output: &Output) {
    let authority = release.facts.as_ref().map(|facts| &facts.authority);
    if let Some(Authority::Credential { clock_warning: Some(warning), .. }) = authority {
        output.warn("clock", warning);
    }
}

/// A release and its application may call themselves differently: then somebody has packed the wrong image.
pub(super) fn warn_of_labels(release: &Release, after: &Installed, output: &Output) {
    let named = release.facts.as_ref().and_then(|facts| facts.version.as_deref());
    if let (Some(named), Some(found)) = (named, after.version.as_deref())
        && named != found
    {
        let words = format!(
            "the release is labelled {named}, but the application that runs now reports {found}; tell the manufacturer"
        );
        output.warn("version-labels-differ", &words);
    }
}
