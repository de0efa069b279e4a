//! A scan says of any places what the plain rule says, which looks at each of them from the first one on.

use proptest::prelude::*;

use super::*;

/// What is in a place.
#[derive(Clone, Debug)]
enum Place {
    Erased,
    Torn,
    Whole { sequence: u32, is_second: bool },
}

fn place() -> impl Strategy<Value = Place> {
    let whole = (1..9_u32, any::<bool>());
    prop_oneof![
        2 => Just(Place::Erased),
        1 => Just(Place::Torn),
        4 => whole.prop_map(|(sequence, is_second)| Place::Whole { sequence, is_second }),
    ]
}

fn record(sequence: u32, is_second: bool) -> Record {
    Record { sequence, is_second, state: BootState { floor: sequence.into(), ..BootState::FACTORY } }
}

/// Newest number, its place, whether it has no second copy, whether the part is proven, and the next place.
type Said = (u32, u32, bool, bool, u32);

/// The rule of docs/flash-layout.md, Journal.
fn plain(places: &[Place]) -> Said {
    let (mut newest, mut at, mut is_single, mut is_proven, mut next) = (0, 0, false, false, 0);
    let mut before = 0;
    for (index, place) in (0u32..).zip(places) {
        let previous = std::mem::take(&mut before);
        if let Place::Erased = place {
            continue;
        }
        next = index + 2;
        is_proven |= previous != 0;
        if let &Place::Whole { sequence, is_second } = place {
            before = sequence;
            is_proven |= is_second;
            if sequence >= newest {
                is_single = !(is_second && previous != 0 && sequence == previous + 1);
                (newest, at) = (sequence, index);
            }
        }
    }
    (newest, at, is_single, is_proven, next)
}

proptest! {
    /// Numbers that fall from place to place too: an erase that did nothing to the second page of a part leaves older
    /// records above newer ones.
    #[test]
    fn boot24_a_scan_finds_the_highest_number_wherever_it_is(places in prop::collection::vec(place(), 0..12)) {
        let nor = Nor::<8, 4096>::new(FLASH_LEN);
        let mut device = flash(&nor);
        for (index, place) in (0u32..).zip(&places) {
            let mut bytes = match *place {
                Place::Erased => continue,
                Place::Torn => record(9, true).encode(),
                Place::Whole { sequence, is_second } => record(sequence, is_second).encode(),
            };
            if let Place::Torn = place {
                bytes[RECORD_LEN - 1] ^= 1;
            }
            device.program(Area::Journal(0), offset_of(index), &bytes).unwrap();
        }
        let Scan { newest, index, is_single, is_proven, next } = scan::<_, _, BootState>(&mut device, 0);
        prop_assert_eq!((newest.sequence, index, is_single, is_proven, next), plain(&places));
    }
}
