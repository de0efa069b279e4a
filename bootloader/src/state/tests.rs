use super::*;

const OLD: ImageRecord = ImageRecord { manifest_digest: [1; 32], sequence: 5, size: 100 };
const NEW: ImageRecord = ImageRecord { manifest_digest: [2; 32], sequence: 6, size: 200 };
const AT: SwapProgress = SwapProgress { page: 4, step: Step::Put };

fn states() -> [(&'static str, BootState); 7] {
    let with = |status| BootState {
        status,
        floor: 5,
        active: Some(OLD),
        spare: Some(NEW),
        provisioned: true,
        ..BootState::FACTORY
    };
    [
        ("Factory", BootState::FACTORY),
        ("Idle", with(Status::Idle)),
        ("Installing", with(Status::Installing { offset: 64 })),
        ("Pending", with(Status::Pending)),
        ("Swapping", with(Status::Swapping(AT))),
        ("Trial", with(Status::Trial { boots: 1 })),
        ("Reverting", with(Status::Reverting(AT))),
    ]
}

fn events() -> [(&'static str, Event); 13] {
    [
        ("Provisioned", Event::Provisioned(7)),
        ("RevocationStored", Event::RevocationStored(RevocationPointer { half: Half::First, sequence: 1 })),
        ("InstallStarted", Event::InstallStarted(NEW)),
        ("Committed", Event::Committed(128)),
        ("Matched", Event::Matched),
        ("Abandoned", Event::Abandoned),
        ("PendingDropped", Event::PendingDropped(0x301)),
        ("SwapStarted", Event::SwapStarted),
        ("SwapStepped", Event::SwapStepped),
        ("SwapFinished", Event::SwapFinished),
        ("Confirmed", Event::Confirmed),
        ("RevertStarted", Event::RevertStarted(0x302)),
        ("TrialDropped", Event::TrialDropped(0x302)),
    ]
}

/// Which events each state takes. A change here is a change of the design.
const LEGAL: &[(&str, &[&str])] = &[
    ("Factory", &["Provisioned", "RevocationStored", "InstallStarted"]),
    ("Idle", &["RevocationStored", "InstallStarted"]),
    ("Installing", &["RevocationStored", "InstallStarted", "Committed", "Matched", "Abandoned"]),
    ("Pending", &["RevocationStored", "InstallStarted", "Abandoned", "PendingDropped", "SwapStarted"]),
    ("Swapping", &["RevocationStored", "SwapStepped", "SwapFinished"]),
    ("Trial", &["RevocationStored", "Confirmed", "RevertStarted", "TrialDropped"]),
    ("Reverting", &["RevocationStored", "SwapStepped", "SwapFinished"]),
];

#[test]
fn the_table_of_transitions() {
    for ((name, state), (expected_name, legal)) in states().into_iter().zip(LEGAL) {
        assert_eq!(name, *expected_name);
        let taken: Vec<_> = events()
            .into_iter()
            .filter(|(_, event)| state.after(*event).is_ok())
            .map(|(name, _)| name)
            .collect();
        assert_eq!(taken, *legal, "{name}");
    }
}

#[test]
fn no_event_lowers_the_floor_and_only_confirming_and_provisioning_raise_it() {
    for (name, state) in states() {
        for (event_name, event) in events().into_iter().chain([("HandedOver", Event::HandedOver)]) {
            let Ok(next) = state.after(event) else { continue };
            assert!(next.floor >= state.floor, "{name} {event_name}");
            if !matches!(event, Event::Confirmed | Event::Provisioned(_)) {
                assert_eq!(next.floor, state.floor, "{name} {event_name}");
            }
        }
    }
}

#[test]
fn an_image_gets_as_many_trial_boots_as_the_limit_says_and_confirms_only_after_one() {
    let [.., (_, trial), _] = states();
    let mut state = BootState { status: Status::Trial { boots: 0 }, ..trial };
    assert!(state.after(Event::Confirmed).is_err(), "nothing has run yet");
    for _ in 0..TRIAL_BOOTS {
        state = state.after(Event::HandedOver).unwrap();
    }
    assert!(state.after(Event::HandedOver).is_err());
    assert_eq!(
        state.after(Event::Confirmed).unwrap().floor,
        5,
        "the floor is the confirmed image's sequence"
    );
}

#[test]
fn t05_an_image_below_the_floor_is_not_installed_in_any_state() {
    for (name, state) in states() {
        let state = BootState { floor: 6, ..state };
        assert!(state.after(Event::InstallStarted(OLD)).is_err(), "{name}");
    }
}

#[test]
fn t07_records_change_slots_in_the_same_instant_as_the_swap_ends() {
    for (name, state) in states() {
        if let Status::Swapping(_) | Status::Reverting(_) = state.status {
            let stepped = state.after(Event::SwapStepped).unwrap();
            assert_eq!((stepped.active, stepped.spare), (state.active, state.spare), "{name}");
            let ended = state.after(Event::SwapFinished).unwrap();
            assert_eq!((ended.active, ended.spare), (state.spare, state.active), "{name}");
        }
    }
}

#[test]
fn without_an_image_to_come_back_a_revert_is_illegal() {
    let [.., (_, trial), _] = states();
    let state = BootState { spare: None, ..trial };
    assert!(state.after(Event::RevertStarted(1)).is_err());
    let dropped = state.after(Event::TrialDropped(1)).unwrap();
    assert_eq!((dropped.active, dropped.status), (None, Status::Idle));
}

#[test]
fn progress_neither_falls_nor_passes_the_image() {
    let [_, _, (_, installing), ..] = states();
    assert!(installing.after(Event::Committed(63)).is_err());
    assert!(installing.after(Event::Committed(201)).is_err());
    installing.after(Event::Committed(200)).unwrap();
}
