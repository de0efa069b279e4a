//! The state of an application is the state of the loader, for any state.

use proptest::prelude::*;
use proptest::sample::select;
use update_protocol::profile::Mode;

use super::record::sealed;
use super::*;
use crate::report::{Circumstances, application_record, image_state, state_record};

fn status() -> impl Strategy<Value = Status> {
    (0..6, any::<u32>(), 0..4_u8).prop_map(|(kind, position, boots)| match kind {
        0 => Status::Idle,
        1 => Status::Installing { offset: position },
        2 => Status::Pending,
        3 => Status::Swapping(SwapProgress::at(position)),
        4 => Status::Trial { boots },
        _ => Status::Reverting(SwapProgress::at(position)),
    })
}

fn image() -> impl Strategy<Value = Option<ImageRecord>> {
    let number = prop_oneof![0..4_u64, any::<u64>()];
    let image = (any::<[u8; 32]>(), number, any::<u32>());
    let image =
        image.prop_map(|(manifest_digest, sequence, size)| ImageRecord { manifest_digest, sequence, size });
    proptest::option::of(image)
}

fn domain() -> impl Strategy<Value = DomainNumbers> {
    (0..3_u16, 0..3_u16, prop_oneof![0..3_u64, any::<u64>()]).prop_map(
        |(recovery_epoch, succession_sequence, list_sequence)| DomainNumbers {
            recovery_epoch,
            succession_sequence,
            list_sequence,
        },
    )
}

/// Any state that a record has.
fn state() -> impl Strategy<Value = BootState> {
    let images = (image(), image(), [domain(), domain()]);
    let numbers = (0..4_u64, any::<u16>(), select(vec![0, 0x0303_u16]), any::<u32>(), 0..=MARKS_MAX);
    let rest = (any::<u32>(), 0..8_u8, any::<[u8; 8]>(), any::<bool>(), any::<bool>(), any::<[bool; 2]>());
    (status(), images, numbers, rest).prop_map(|(status, images, numbers, rest)| {
        let (active, spare, domains) = images;
        let (floor, set, revert_reason, ownership_floor, marks) = numbers;
        let (source, failed_mends, attempts, provisioned, is_unmarked, more) = rest;
        let [receives_in_b, has_anchor_set] = more;
        BootState {
            status,
            floor,
            active,
            spare,
            receives_in_b,
            has_anchor_set,
            set,
            domains,
            provisioned,
            revert_reason,
            ownership_floor,
            marks,
            is_unmarked,
            source,
            failed_mends,
            attempts: Attempts(attempts),
        }
    })
}

/// The record of a state, and the state as its bytes.
fn packed(sequence: u32, is_second: bool, state: BootState) -> ([u8; RECORD_LEN], Packed) {
    let bytes = Record { sequence, is_second, state }.encode();
    let record = Packed::decode(&bytes).expect("a record");
    assert_eq!((record.sequence, record.is_second, record.encode()), (sequence, is_second, bytes));
    (bytes, record.state)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_record_has_the_same_fields_as_bytes(state in state(), sequence: u32, is_second: bool) {
        let (_, packed) = packed(sequence, is_second, state);
        prop_assert_eq!(packed.fields(), state);
        prop_assert_eq!(packed.set(), state.set);
        prop_assert_eq!(packed.is_provisioned(), state.provisioned);
        prop_assert_eq!(packed.is_trial(), matches!(state.status, Status::Trial { .. }));
        prop_assert_eq!(packed.marked(), state.marked());
    }

    /// A record that is none for the loader is none for an application, and the reverse.
    #[test]
    fn the_same_bytes_are_records(state in state(), changes: [(u8, u8); 3], count in 0..=3_usize) {
        let (mut bytes, _) = packed(7, true, state);
        for (at, value) in &changes[..count] {
            bytes[usize::from(*at) % RECORD_LEN] = *value;
        }
        for bytes in [bytes, sealed(bytes)] {
            prop_assert_eq!(Packed::decode(&bytes).is_some(), BootState::decode(&bytes).is_some());
        }
    }

    #[test]
    fn a_confirmation_of_bytes_is_the_one_of_the_state(state in state()) {
        let (_, mut packed) = packed(1, false, state);
        let confirmed = packed.confirm();
        match state.after(Event::Confirmed) {
            Ok(after) => prop_assert_eq!((confirmed, packed.fields()), (true, after)),
            Err(IllegalTransition) => prop_assert!(!confirmed),
        }
    }

    #[test]
    fn bytes_keep_what_the_state_keeps(now in state(), before in state(), is_equal: bool, part in 0..4) {
        // Mostly states of which one number rose or fell.
        let now = match (is_equal, part) {
            (true, _) => now,
            (_, 0) => BootState { floor: now.floor, ..before },
            (_, 1) => BootState { domains: now.domains, ..before },
            (_, 2) => BootState { provisioned: now.provisioned, ..before },
            (_, _) => before,
        };
        let (bytes, _) = packed(2, false, now);
        let (_, packed_before) = packed(1, false, before);
        prop_assert_eq!(Packed::keeps(&bytes, &packed_before), BootState::keeps(&bytes, &before));
    }

    #[test]
    fn a_mark_moves_bytes_as_it_moves_the_state(state in state(), position: u32, source: u32) {
        let (_, mut packed) = packed(1, false, state);
        if state.marked().is_some() {
            packed.go_to(position, source);
            let mut after = state;
            after.go_to(position, source);
            prop_assert_eq!(packed.fields(), after);
        }
    }

    /// One test holds what the loader and an application say of the same state.
    #[test]
    fn a_state_record_of_bytes_is_the_one_of_the_state(state in state(), anchor_compiled_in: bool, max_request_len: u16) {
        let equal = Regions { slot_b: Region { len: GOOD.slot_a.len, ..GOOD.slot_b }, ..GOOD };
        let layouts = [Layout::new(GOOD).unwrap(), Layout::of(crate::layout::Strategy::InPlace, None, equal).unwrap()];
        let now = Circumstances {
            mode: Mode::Application,
            bootable: true,
            listening: false,
            anchor_compiled_in,
            accepted: None,
            refusal: (0, 0),
            max_request_len,
        };
        let (_, packed) = packed(1, false, state);
        for layout in layouts {
            let expected = state_record(&state, &layout, &now);
            let found = application_record(&packed, &layout, anchor_compiled_in, max_request_len);
            prop_assert_eq!(found, expected.encode());
            prop_assert_eq!(image_state(&packed), expected.image);
        }
    }
}

/// Each value of each byte of the record of each status.
#[test]
fn any_byte_of_a_record_counts_for_bytes_as_for_the_state() {
    let image = ImageRecord { manifest_digest: [0xA5; 32], sequence: 3, size: 77 };
    let at = SwapProgress::at(5);
    let statuses = [
        Status::Idle,
        Status::Installing { offset: 5 },
        Status::Pending,
        Status::Swapping(at),
        Status::Trial { boots: 1 },
        Status::Reverting(at),
    ];
    for status in statuses {
        let state = BootState { status, active: Some(image), ..BootState::FACTORY };
        let (bytes, _) = packed(7, false, state);
        for (index, value) in (0..RECORD_LEN - 4).flat_map(|index| (0..=255).map(move |value| (index, value)))
        {
            let mut other = bytes;
            other[index] = value;
            let other = sealed(other);
            let (packed, fields) = (Packed::decode(&other), BootState::decode(&other));
            assert_eq!(packed.is_some(), fields.is_some(), "{status:?}, byte {index}: {value:#04x}");
        }
    }
}

#[test]
fn without_a_record_there_is_the_state_of_the_factory() {
    assert_eq!(Packed::FACTORY.fields(), BootState::FACTORY);
    let record = Record { sequence: 1, is_second: false, state: Packed::FACTORY };
    let factory = Record { sequence: 1, is_second: false, state: BootState::FACTORY };
    assert_eq!(record.encode(), factory.encode());
}
