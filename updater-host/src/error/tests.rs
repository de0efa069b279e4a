use super::*;

fn device_refusal(reason_code: u16) -> Error {
    Error::DeviceRefused(DeviceRefusal {
        subject: Subject::Envelope,
        nrc: Nrc::SECURITY_ACCESS_DENIED,
        reason_code,
        position: 7,
    })
}

#[test]
fn a_refusal_by_the_host_has_the_exit_code_of_its_reason() {
    for &reason in Reason::ALL {
        let error = Error::Refused { subject: Subject::Envelope, reason, position: 0, facts: None };
        assert_eq!(error.code(), reason.slug());
        assert!(!error.hint().is_empty());
        // 7 would say that somebody else refused.
        assert!((4..=6).contains(&error.exit_code()), "{reason:?}");
    }
}

#[test]
fn a_refusal_by_the_device_is_a_remote_one_with_the_same_slug() {
    for &reason in Reason::ALL {
        let error = device_refusal(reason.code());
        assert_eq!((error.code().as_str(), error.exit_code()), (reason.slug(), 7));
    }
}

#[test]
fn a_device_without_a_reason_or_with_a_newer_one_is_still_told_apart() {
    assert_eq!(device_refusal(0).code(), "nrc-33");
    assert_eq!(device_refusal(0xABCD).code(), "reason-abcd");
    assert_eq!(
        device_refusal(0xABCD).to_string(),
        "the device refused the release's envelope: it must be unlocked first"
    );
}

#[test]
fn a_message_says_what_happened_to_what() {
    let error = Error::Refused {
        subject: Subject::Image,
        reason: Reason::ImageDigestMismatch,
        position: 0,
        facts: None,
    };
    assert_eq!(
        error.to_string(),
        "the host refused the release's image: the image does not match the digest or size in the manifest"
    );
}

/// An unknown flag, version, mode or image state comes from a newer loader; a wrong length from anything.
#[test]
fn a_record_of_a_newer_loader_asks_for_a_newer_host() {
    use update_protocol::profile::{StateRecord, anchors::AnchorReportError};
    let hint = |error| Error::DeviceAnswer(error).hint();
    let newer = "Use an updater-host of the loader's version.";
    let good = StateRecord::factory(1024, 1024).encode();
    for at in 0..4 {
        let mut bytes = good;
        bytes[at] = 0xE0;
        let error = StateRecord::decode(&bytes).unwrap_err();
        assert_eq!(hint(DeviceAnswerError::StateRecord(error)), newer, "{error}");
    }
    assert_eq!(hint(DeviceAnswerError::AnchorReport(AnchorReportError::Version(9))), newer);
    let short = StateRecord::decode(&good[1..]).unwrap_err();
    for other in [
        DeviceAnswerError::StateRecord(short),
        DeviceAnswerError::AnchorReport(AnchorReportError::Length),
        DeviceAnswerError::OtherInstall,
    ] {
        assert!(hint(other).starts_with("Disconnect other tools"), "{other}");
    }
}

/// An image of the wrong slot is the wrong release, or one file of two.
#[test]
fn an_image_of_the_wrong_slot_has_a_hint_of_its_own() {
    assert_eq!(reason_hint(Reason::ImageNotForSlot), reason_hint(Reason::VectorTableInvalid));
    assert!(Reason::ImageNotForSlot.hint().contains("not exchanged"));
    for (second_slot, name) in [(false, "first"), (true, "second")] {
        let subject = Subject::SlotImage { second_slot };
        let reason = Reason::ImageDigestMismatch;
        let error = Error::Refused { subject, reason, position: 0, facts: None };
        assert_eq!(error.hint(), "Pass both images of the release with --image.");
        assert!(error.to_string().contains(&format!("image for the {name} slot")), "{error}");
    }
}

#[test]
fn several_devices_are_listed() {
    let device = |node, serial: &str| DeviceSummary {
        node,
        serial: serial.to_owned(),
        vendor: uuid::Uuid::nil(),
        class: uuid::Uuid::nil(),
        mode: "application",
        image: "confirmed",
        waits: None,
        reverted: false,
        resumable: false,
        listening: false,
        silence: None,
        lost_identity: false,
        version: None,
        sequence: 0,
        table: None,
    };
    let blank = |node| DeviceSummary { mode: "factory", ..device(node, "unprovisioned") };
    assert!(Error::SeveralDevices(vec![blank(0x10), device(0x11, "A-2")]).hint().contains("--serial"));
    assert!(!Error::SeveralDevices(vec![blank(0x10), blank(0x11)]).hint().contains("--serial"));
    let error = Error::SeveralDevices(vec![device(0x10, "A-1"), device(0x11, "A-2")]);
    let text = error.to_string();
    assert!(
        text.starts_with("2 devices") && text.contains("node 0x10  A-1") && text.contains("node 0x11  A-2"),
        "{text}"
    );
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn a_device_that_runs_nothing_says_why() {
    let message = |reason_code| Error::NothingRuns { reason_code }.to_string();
    assert_eq!(message(0), "after the reset the device has no application that can run");
    assert!(message(0x0311).ends_with("can run: head-invalid"), "{}", message(0x0311));
}

/// What a hint tells to pass can be passed: to the command that it names, or to one of this program.
#[test]
fn each_option_in_a_hint_exists() {
    use clap::CommandFactory as _;
    let program = crate::cli::Cli::command();
    let has = |command: &clap::Command, option: &str| {
        command.get_arguments().any(|argument| argument.get_long() == Some(option))
    };
    let is_in_name = |char: char| char.is_ascii_lowercase() || char == '-';
    let mut count = 0;
    for source in [
        include_str!("hints.rs"),
        include_str!("reasons.rs"),
        include_str!("report.rs"),
        include_str!("line.rs"),
        include_str!("provision.rs"),
        include_str!("roots.rs"),
        include_str!("words.rs"),
    ] {
        // A literal goes on in the next line.
        let words: Vec<_> =
            source.split(|char: char| !is_in_name(char)).filter(|word| !word.is_empty()).collect();
        for (place, word) in words.iter().enumerate() {
            let Some(option) = word.strip_prefix("--").filter(|option| !option.is_empty()) else { continue };
            count += 1;
            let named = match words[..place] {
                [.., "updater-host", command] => program.find_subcommand(command),
                _ => None,
            };
            let is_there = match named {
                Some(command) => has(command, option),
                None => {
                    has(&program, option) || program.get_subcommands().any(|command| has(command, option))
                }
            };
            assert!(is_there, "{:?}", &words[place.saturating_sub(3)..=place]);
        }
    }
    assert!(count > 20, "{count}");
}

/// A device that refuses a list goes by its own anchors; one without an identity has no serial to choose it by.
#[test]
fn a_hint_names_no_option_that_the_command_does_not_have() {
    let refused = |subject| {
        let reason_code = Reason::AnchorUnknown.code();
        Error::DeviceRefused(DeviceRefusal {
            subject,
            nrc: Nrc::SECURITY_ACCESS_DENIED,
            reason_code,
            position: 0,
        })
        .hint()
    };
    assert!(refused(Subject::Envelope).contains("--anchor"));
    for subject in
        [Subject::RevocationList("f".to_owned()), Subject::SuccessionChain(SuccessionNumber::FIRST)]
    {
        assert!(!refused(subject).contains("--"));
    }
}

/// The firmware may never come: only this command drops the table that waits for it.
#[test]
fn the_hint_between_two_halves_names_abandon() {
    let hint = Error::Interrupted(Moment::BetweenHalves).hint().to_owned();
    assert!(hint.contains("updater-host abandon --table"), "{hint}");
}
