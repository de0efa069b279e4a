use update_protocol::profile::Flags;

use super::*;
use crate::output::Report as _;

fn device() -> Device {
    let state = StateRecord {
        mode: Mode::Application,
        image: ImageState::Confirmed,
        flags: Flags { reverted: true, resumable: true, ..Flags::default() },
        active_sequence: 7,
        reason: Reason::TrialNotConfirmed.code(),
        manifest_digest: [0xab; 32],
        ..StateRecord::factory(4095, 1024)
    };
    Device {
        node: 0x10,
        serial: DeviceText::new(b"A-1").unwrap(),
        identity: identity(&[1; 48]).unwrap(),
        component: Component::Firmware,
        state,
        other: None,
        application_version: Some(DeviceText::new(b"2.0.0").unwrap()),
        loader_version: None,
        trust: Some(DeviceTrust {
            anchors: vec![AnchorEntry { kid: [3; 8], rights: 15, domain: [3; 8] }],
            domains: vec![DomainEntry { domain: [3; 8], ..DomainEntry::default() }],
        }),
    }
}

/// Of a release, and not of two; and of a loader that says nothing else.
#[test]
fn half_of_a_release_waits_across_a_reset() {
    let pending = |digest| StateRecord {
        image: ImageState::Pending,
        manifest_digest: digest,
        reason: 0,
        ..device().state
    };
    let before = Device { state: pending([0xab; 32]), other: Some(device().state), ..device() };
    let waits = |after: &Device| after.waits_still(Component::Firmware, &before);
    assert!(waits(&before) && !before.waits_still(Component::Table, &before));
    let of_another = Device { state: pending([0xac; 32]), ..before.clone() };
    assert!(!waits(&of_another));
    // The other half waits too, or is in use.
    let in_use = StateRecord { active_digest: [0xab; 32], ..device().state };
    for other in [pending([0xab; 32]), in_use] {
        assert!(!waits(&Device { other: Some(other), ..before.clone() }));
    }
    for (reason, says) in
        [(Reason::PartMissing, true), (Reason::TrialNotConfirmed, true), (Reason::SwapFailed, false)]
    {
        let state = StateRecord { mode: Mode::Loader, reason: reason.code(), ..before.state };
        assert_eq!(waits(&Device { state, ..before.clone() }), says, "{reason:?}");
    }
}

#[test]
fn an_identity_has_three_parts() {
    assert!(identity(&[0; 48]).is_ok());
    for len in [0, 1, 16, 32, 47, 49, 64] {
        assert_eq!(identity(&vec![0; len]), Err(DeviceAnswerError::IdentityLength(len)));
    }
}

#[test]
fn an_anchor_report_is_whole_and_of_a_known_version() {
    for bytes in [&[][..], &[1], &[3, 0], &[2], &[2, 1], &[2, 0, 0], &[1, 1], &[1, 0, 0], &[1; 8]] {
        assert!(matches!(DeviceTrust::read(bytes), Err(DeviceAnswerError::AnchorReport(_))), "{bytes:?}");
    }
    for version in [1, 2] {
        let none = DeviceTrust { anchors: vec![], domains: vec![] };
        assert_eq!(DeviceTrust::read(&[version, 0]), Ok(none));
    }
}

#[test]
fn a_reason_has_its_slug_or_its_number() {
    assert_eq!(reason_slug(0), None);
    assert_eq!(reason_slug(0x030f).as_deref(), Some("trial-not-confirmed"));
    assert_eq!(reason_slug(0x7fff).as_deref(), Some("reason-7fff"));
}

#[test]
fn info_is_one_flat_object() {
    let json = serde_json::to_value(InfoReport::new(&device())).unwrap();
    for (key, value) in [
        ("serial", "A-1".into()),
        ("node", 16.into()),
        ("mode", "application".into()),
        ("version", "2.0.0".into()),
        ("sequence", 7.into()),
        ("image", "confirmed".into()),
        ("reverted", true.into()),
        ("reason", "trial-not-confirmed".into()),
        ("vendor", "01010101-0101-0101-0101-010101010101".into()),
        ("manifest_digest", serde_json::Value::from("ab".repeat(32))),
    ] {
        assert_eq!(json[key], value, "{key}");
    }
}

#[test]
fn boot26_an_application_that_dies_is_named_with_what_to_do() {
    let mut device = device();
    device.state.mode = Mode::Loader;
    device.state.flags = Flags { listening: true, ..Flags::default() };
    device.state.reason = Reason::ApplicationSilent.code();
    device.state.reason_position = 0x0504;
    device.application_version = None;
    let line = device.summary().to_string();
    assert!(line.ends_with("its application dies; install one that works (see info)"), "{line}");
    let text = InfoReport::new(&device).lines();
    assert!(
        text.contains("application dies    4 resets without a sign of life, the last by watchdog"),
        "{text}"
    );
    assert!(text.contains("update the device now") && !text.contains("at byte"), "{text}");
    let json = serde_json::to_value(InfoReport::new(&device)).unwrap();
    assert_eq!(json["silence"], serde_json::json!({"resets": 4, "last_reset": "watchdog"}));
    assert_eq!(json["listening"], true);
    // A window at power-up has no fault to name.
    device.state.reason = 0;
    let text = InfoReport::new(&device).lines();
    assert!(text.contains("update the device now") && !text.contains("dies"), "{text}");
}

#[test]
fn info_for_people_has_no_empty_line() {
    let text = InfoReport::new(&device()).lines();
    assert!(text.contains("serial              A-1"), "{text}");
    assert!(text.lines().all(|line| !line.trim().is_empty()));
}

/// A session ends what is on trial: nobody reports it as what the device has, unless it was what the session was for.
#[cfg(feature = "http")]
#[test]
fn what_is_beside_the_component_is_told_unless_it_is_on_trial_by_itself() {
    let table = StateRecord { active_sequence: 3, active_digest: [5; 32], ..device().state };
    let state = |image, active_digest| StateRecord { image, active_digest, ..table };
    let beside = |device: Device| [Component::Firmware, Component::Table].map(|of| device.beside(of));
    let with = |other| beside(Device { other: Some(other), ..device() });
    assert_eq!(beside(device()), [None, None]);
    let told = Installed { version: None, sequence: 3, digest: Some([5; 32]) };
    assert_eq!(with(table), [None, Some(told.clone())]);
    assert_eq!(with(state(ImageState::Pending, [5; 32])), [None, Some(told.clone())]);
    for image in [ImageState::Trial, ImageState::Reverting] {
        assert_eq!(with(state(image, [5; 32])), [None, None], "{image:?}");
        assert_eq!(with(state(image, [0; 32])), [None, None], "{image:?}");
    }
    // With the firmware that it came with.
    let mut of_both = Device { other: Some(state(ImageState::Trial, [5; 32])), ..device() };
    of_both.state.active_digest = [5; 32];
    assert_eq!(beside(of_both), [None, Some(told)]);
    // The firmware beside a table.
    let turned = Device { other: Some(table), ..device() }.turned(Component::Table).unwrap();
    let firmware = Installed { version: Some("2.0.0".to_owned()), sequence: 7, digest: None };
    assert_eq!(beside(turned.clone()), [Some(firmware), None]);
    let mut on_trial = turned;
    on_trial.other = Some(StateRecord { image: ImageState::Trial, active_digest: [5; 32], ..device().state });
    on_trial.state.active_digest = [5; 32];
    assert_eq!(beside(on_trial), [None, None], "the session for the table ends the trial of both");
}
