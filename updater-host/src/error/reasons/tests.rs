use super::*;

/// A device that works, with this reason.
fn state(mode: Mode, image: ImageState, reason: u16) -> StateRecord {
    StateRecord { mode, image, reason, ..StateRecord::factory(1024, 1024) }
}

/// Every hint that a device or a host can lead to, with the reason that it is for.
fn hints() -> impl Iterator<Item = (Reason, &'static str)> {
    Reason::ALL.iter().flat_map(|&reason| {
        let runs = state(Mode::Application, ImageState::Confirmed, reason.code());
        [reason_hint(reason), nothing_runs_hint(reason.code()), state_hint(&runs, None).unwrap_or_default()]
            .map(|hint| (reason, hint))
    })
}

/// The technician has no key and no command of the maker, and cannot look into a file.
#[test]
fn each_reason_has_a_hint_that_a_technician_can_follow() {
    for (reason, hint) in hints() {
        assert!(hint.ends_with('.') && hint.starts_with(char::is_uppercase), "{reason:?}: {hint:?}");
        for word in ["manifest-tool", "docs/", "errors.md", "credential", "envelope member", "NRC"] {
            assert!(!hint.contains(word), "{reason:?}: {hint}");
        }
    }
}

/// What a device finds in its own memory or state is not mended by another file.
#[test]
fn a_reason_that_only_devices_have_is_not_blamed_on_the_file() {
    for reason in Reason::ALL.iter().filter(|reason| reason.exit_code() == 7) {
        assert_ne!(reason_hint(*reason), FILE_AGAIN, "{reason:?}");
    }
}

/// FR16: each state that a device can report, with the words that its hint must have.
#[test]
fn each_state_of_a_device_has_its_hint() {
    use ImageState as I;
    use Mode::{Application, Factory, Loader};
    use Reason as R;
    let table = [
        (Factory, I::None, None, Some("updater-host provision")),
        (Application, I::Confirmed, None, None),
        (Loader, I::Confirmed, None, None),
        (Application, I::Confirmed, Some(R::TrialNotConfirmed), Some("works with what it had before")),
        (Application, I::Confirmed, Some(R::InstallDelayed), Some("it waits until the device")),
        (Application, I::Confirmed, Some(R::SwapFailed), Some("Run the update again")),
        (Application, I::Confirmed, Some(R::InstallAbandoned), Some("if you still want it")),
        (Application, I::Trial, None, Some("the next reset reverts it")),
        (Loader, I::Pending, None, Some("updater-host reset")),
        (Loader, I::Reverting, None, Some("Keep it powered")),
        (Loader, I::Confirmed, Some(R::ApplicationSilent), Some("while the loader listens")),
        (Loader, I::Confirmed, Some(R::FlashFailed), Some("replace it")),
        (Loader, I::None, None, Some("install a release")),
        (Loader, I::None, Some(R::NothingBootable), Some("install a release")),
        (Loader, I::None, Some(R::TrialNotConfirmed), Some("has no older one")),
        (Loader, I::None, Some(R::KeyRevoked), Some("install a newer release")),
        (Loader, I::None, Some(R::GenerationRevoked), Some("install a newer release")),
        (Loader, I::None, Some(R::HeadInvalid), Some("install a release")),
        (Loader, I::None, Some(R::ImageDigestMismatch), Some("install a release")),
        (Loader, I::None, Some(R::FlashFailed), Some("power of the device off and on")),
        (Loader, I::None, Some(R::JournalCorrupt), Some("power of the device off and on")),
    ];
    for (mode, image, reason, words) in table {
        let hint = state_hint(&state(mode, image, reason.map_or(0, Reason::code)), None);
        let fits = match words {
            Some(words) => hint.is_some_and(|hint| hint.contains(words)),
            None => hint.is_none(),
        };
        assert!(fits, "{mode:?} {image:?} {reason:?}: {hint:?}");
    }
}

/// An interrupted install resumes, whatever ended the image before it. A reason of a newer loader is not guessed at.
#[test]
fn an_install_that_resumes_and_an_unknown_reason_have_their_hints() {
    for reason in [0, Reason::TrialNotConfirmed.code()] {
        let mut interrupted = state(Mode::Loader, ImageState::None, reason);
        interrupted.flags.resumable = true;
        assert_eq!(state_hint(&interrupted, None), Some(RESUME));
    }
    let unknown = state(Mode::Application, ImageState::Confirmed, 0x03FF);
    assert_eq!(state_hint(&unknown, None), Some(OTHER_HOST));
}

/// A device without an image has no old firmware to work with.
#[test]
fn a_device_that_runs_nothing_is_not_said_to_work() {
    for &reason in Reason::ALL {
        let hint = nothing_runs_hint(reason.code());
        assert!(!hint.contains("works with") && !hint.contains("nothing to do"), "{reason:?}: {hint}");
        assert!(hint.contains("update") || hint.contains("nstall"), "{reason:?}: {hint}");
    }
}
