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

#[test]
fn several_devices_are_listed() {
    let device = |node, serial: &str| DeviceSummary {
        node,
        serial: serial.to_owned(),
        vendor: uuid::Uuid::nil(),
        class: uuid::Uuid::nil(),
        mode: "application",
        image: "confirmed",
        reverted: false,
        resumable: false,
        listening: false,
        silence: None,
        lost_identity: false,
        version: None,
        sequence: 0,
    };
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
