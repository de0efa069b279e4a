use super::*;

const OLD: ImageRecord = ImageRecord { manifest_digest: [1; 32], sequence: 5, size: 100 };
const NEW: ImageRecord = ImageRecord { manifest_digest: [2; 32], sequence: 6, size: 200 };
const SUCCEEDED: DomainNumbers =
    DomainNumbers { recovery_epoch: 0, succession_sequence: 1, list_sequence: 1 };
const AT: SwapProgress = SwapProgress { page: 4, step: Step::Take };

/// One value of each variant, by name. A variant that is missing here does not compile.
macro_rules! every {
    ($function:ident, $name:ident: $enum:ident { $($variant:ident => $value:expr),* $(,)? }) => {
        fn $name(value: &$enum) -> &'static str {
            match value {
                $($enum::$variant { .. } => stringify!($variant)),*
            }
        }

        fn $function() -> Vec<$enum> {
            vec![$($value),*]
        }
    };
}

every!(statuses, status_name: Status {
    Idle => Status::Idle,
    Installing => Status::Installing { offset: 64 },
    Pending => Status::Pending,
    Swapping => Status::Swapping(AT),
    Trial => Status::Trial { boots: 1 },
    Reverting => Status::Reverting(AT),
});

every!(events, event_name: Event {
    Provisioned => Event::Provisioned(7),
    RevocationStored => Event::RevocationStored([1, 0]),
    Succeeded => Event::Succeeded([SUCCEEDED, DomainNumbers::default()]),
    MendFailed => Event::MendFailed,
    InstallStarted => Event::InstallStarted(NEW),
    Committed => Event::Committed(128),
    Matched => Event::Matched(SlotProof::forged(Purpose::Install, NEW)),
    Abandoned => Event::Abandoned,
    PendingDropped => Event::PendingDropped(0x301),
    SwapStarted => Event::SwapStarted(SlotProof::forged(Purpose::Try, NEW)),
    SwapStepped => Event::SwapStepped,
    SwapGivenUp => Event::SwapGivenUp(9),
    SwapLost => Event::SwapLost,
    SwapFinished => Event::SwapFinished,
    HandedOver => Event::HandedOver,
    Confirmed => Event::Confirmed,
    RevertStarted => Event::RevertStarted(SlotProof::forged(Purpose::Return, NEW), 0x302),
    TrialDropped => Event::TrialDropped(0x302),
    Remapped => Event::Remapped(SlotProof::forged(Purpose::Try, NEW)),
    RemappedBack => Event::RemappedBack(SlotProof::forged(Purpose::Return, NEW), 0x302),
});

/// Every state in which an event may come: a device from the factory, each status, and a trial without a boot.
fn states() -> Vec<(&'static str, BootState)> {
    let with = |status| BootState {
        status,
        floor: 5,
        active: Some(OLD),
        spare: Some(NEW),
        provisioned: true,
        ..BootState::FACTORY
    };
    let mut states =
        vec![("Factory", BootState::FACTORY), ("Trial, not booted", with(Status::Trial { boots: 0 }))];
    states.extend(statuses().into_iter().map(|status| (status_name(&status), with(status))));
    states
}

/// A state by its name.
fn state(wanted: &str) -> BootState {
    states().into_iter().find(|(name, _)| *name == wanted).unwrap().1
}

/// What each event makes of each state, as a table in Markdown; empty: refused.
fn table() -> String {
    let states = states();
    let cells = |first: &str, cells: Vec<&str>| format!("| {first} | {} |\n", cells.join(" | "));
    let mut table = cells("event", states.iter().map(|(name, _)| *name).collect());
    table += &cells("---", vec!["---"; states.len()]);
    for index in 0..events().len() {
        let name = event_name(&events()[index]);
        let after = states.iter().map(|(_, state)| {
            let next = state.after(events().swap_remove(index));
            next.map_or("", |next| status_name(&next.status))
        });
        table += &cells(name, after.collect());
    }
    table
}

/// A change here is a change of the design: the table is in docs/boot-rules.md.
#[test]
fn the_table_of_transitions_is_the_documented_one() {
    let document = include_str!("../../../docs/boot-rules.md");
    let (_, rest) = document.split_once("<!-- transitions -->\n").expect("the table begins");
    let (documented, _) = rest.split_once("<!-- end -->").expect("the table ends");
    assert_eq!(documented, table(), "docs/boot-rules.md has to say:\n{}", table());
}

#[test]
fn no_event_lowers_the_floor_and_only_confirming_and_provisioning_raise_it() {
    for (name, state) in states() {
        for event in events() {
            let event_name = event_name(&event);
            let may_raise = matches!(event, Event::Confirmed | Event::Provisioned(_));
            let Ok(next) = state.after(event) else { continue };
            assert!(next.floor >= state.floor, "{name} {event_name}");
            assert!(may_raise || next.floor == state.floor, "{name} {event_name}");
        }
    }
}

/// What marks slot B or exchanges the slots takes a proof for that, and of the image that is there.
#[test]
fn boot21_a_proof_of_another_image_or_for_another_purpose_is_refused() {
    type Make = fn(SlotProof) -> Event;
    let cases: [(&str, Purpose, Make); 5] = [
        ("Installing", Purpose::Install, Event::Matched),
        ("Pending", Purpose::Try, Event::SwapStarted),
        ("Trial", Purpose::Return, |proof| Event::RevertStarted(proof, 1)),
        ("Pending", Purpose::Try, Event::Remapped),
        ("Trial", Purpose::Return, |proof| Event::RemappedBack(proof, 1)),
    ];
    for (name, purpose, event) in cases {
        let state = state(name);
        for proven in [Purpose::Install, Purpose::Try, Purpose::Return, Purpose::Run] {
            let taken = state.after(event(SlotProof::forged(proven, NEW))).is_ok();
            assert_eq!(taken, proven == purpose, "{name}: {proven:?}");
        }
        assert!(state.after(event(SlotProof::forged(purpose, OLD))).is_err(), "{name}: of the other slot");
        let empty = BootState { spare: None, ..state };
        assert!(empty.after(event(SlotProof::forged(purpose, NEW))).is_err(), "{name}: of nothing");
    }
}

#[test]
fn an_image_gets_as_many_trial_boots_as_the_limit_says_and_confirms_only_after_one() {
    let mut state = BootState { floor: 4, ..state("Trial, not booted") };
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

/// Without a swap, images and slots change places in one record, and no other event moves them.
#[test]
fn boot29_a_remap_is_one_record_and_its_revert_another() {
    let pending = state("Pending");
    let tried = pending.after(Event::Remapped(SlotProof::forged(Purpose::Try, NEW))).unwrap();
    assert_eq!((tried.active, tried.spare, tried.receives_in_b), (Some(NEW), Some(OLD), true));
    assert_eq!((tried.status, tried.floor), (Status::Trial { boots: 0 }, pending.floor));
    let booted = tried.after(Event::HandedOver).unwrap();
    let back = booted.after(Event::RemappedBack(SlotProof::forged(Purpose::Return, OLD), 0x30F)).unwrap();
    assert_eq!((back.active, back.spare, back.receives_in_b), (Some(OLD), Some(NEW), false));
    assert_eq!((back.status, back.revert_reason), (Status::Idle, 0x30F));
    for (name, state) in states() {
        for event in events() {
            let (moves, event_name) =
                (matches!(event, Event::Remapped(_) | Event::RemappedBack(..)), event_name(&event));
            let Ok(next) = state.after(event) else { continue };
            assert_eq!(next.receives_in_b != state.receives_in_b, moves, "{name} {event_name}");
        }
    }
}

/// The pages that were exchanged go back, the last one first; the one that failed is taken back, and not saved.
#[test]
fn a_swap_that_is_given_up_turns_round_where_it_is() {
    let start = BootState { status: Status::Swapping(SwapProgress::START), ..state("Swapping") };
    for (step, undone) in [
        (Step::Save, SwapProgress { page: 5, step: Step::Save }),
        (Step::Take, SwapProgress { page: 4, step: Step::Take }),
    ] {
        let state = BootState { status: Status::Swapping(SwapProgress { page: 4, step }), ..start };
        let turned = state.after(Event::SwapGivenUp(9)).unwrap();
        assert_eq!(turned.status, Status::Reverting(undone));
        assert_eq!((turned.active, turned.spare), (state.spare, state.active));
        assert_ne!(turned.marks, state.marks);
        let ended = turned.after(Event::SwapFinished).unwrap();
        assert_eq!((ended.status, ended.active, ended.spare), (Status::Idle, state.active, state.spare));
        assert_eq!(ended.revert_reason, Reason::SwapFailed.code());
    }
    let lost = state("Reverting").after(Event::SwapLost).unwrap();
    assert_eq!((lost.status, lost.active, lost.spare), (Status::Idle, None, None));
}

#[test]
fn a_position_is_a_progress_and_back() {
    let mut at = SwapProgress::START;
    for position in 0..100 {
        assert_eq!((at.position(), SwapProgress::at(position)), (position, at));
        at = at.next();
    }
}

#[test]
fn without_an_image_to_come_back_a_revert_is_illegal() {
    let state = BootState { spare: None, ..state("Trial") };
    assert!(state.after(Event::RevertStarted(SlotProof::forged(Purpose::Return, NEW), 1)).is_err());
    let dropped = state.after(Event::TrialDropped(1)).unwrap();
    assert_eq!((dropped.active, dropped.status), (None, Status::Idle));
}

#[test]
fn progress_neither_falls_nor_passes_the_image() {
    let installing = state("Installing");
    assert!(installing.after(Event::Committed(63)).is_err());
    assert!(installing.after(Event::Committed(201)).is_err());
    installing.after(Event::Committed(200)).unwrap();
}
