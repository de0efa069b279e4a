use super::numbers::seal;
use super::*;
use crate::state::BootState;

pub(crate) const GOOD: Regions = Regions {
    base: 0x2100_0000,
    page: 4096,
    stored: Region { start: 0x0000, len: 0x4000 },
    journal: Region { start: 0x4000, len: 0x3000 },
    progress: Region { start: 0x8000, len: 0x2000 },
    slot_a: Region { start: 0x1_0000, len: 0x8_0000 },
    slot_b: Region { start: 0x9_0000, len: 0x8_1000 },
    ram: Region { start: 0x2000_0000, len: 0x1_0000 },
};

#[test]
fn the_documented_layout_is_one() {
    let layout = Layout::new(GOOD).unwrap();
    assert_eq!(layout.head_len(), 4096);
    assert_eq!(layout.image_address(), 0x2101_1000);
    assert_eq!(layout.image_capacity(), 0x7_F000);
    assert_eq!(layout.flash_len(), 0x11_1000);
    assert_eq!(layout.region(Area::Journal(1)), Region { start: 0x5000, len: 0x1000 });
    assert_eq!(layout.region(Area::Slot(Slot::B)), Region { start: 0x9_1000, len: 0x8_0000 });
    assert_eq!(layout.region(Area::Slot(Slot::Kept)), Region { start: 0x9_0000, len: 0x8_0000 });
}

#[test]
fn without_a_swap_both_slots_are_as_long_and_each_strategy_has_its_addresses() {
    let equal = Regions { slot_b: Region { start: 0x9_0000, len: 0x8_0000 }, ..GOOD };
    let bank = 0x10_0000;
    let in_banks = Regions { slot_b: Region { start: 0x11_0000, len: 0x8_0000 }, ..GOOD };
    for (strategy, regions, address, slot, bank) in [
        (Strategy::InPlace, equal, 0x2109_1000, 1, Slot::A),
        (Strategy::BankSwitch { bank }, in_banks, 0x2101_1000, 0, Slot::B),
    ] {
        let layout = Layout::of(strategy, None, regions).unwrap();
        assert_eq!(layout.region(Area::Slot(Slot::B)), regions.slot_b);
        assert_eq!((layout.run_address(Slot::A), layout.component_slot(Slot::A)), (0x2101_1000, 0));
        assert_eq!((layout.run_address(Slot::B), layout.component_slot(Slot::B)), (address, slot));
        assert_eq!((layout.bank(Slot::A), layout.bank(Slot::B)), (Slot::A, bank));
        assert_eq!(Layout::from_numbers(&layout.numbers()), Some(layout));
        assert_eq!(Layout::of(strategy, None, GOOD), Err(LayoutError::Unequal));
        let (state, next) = (BootState::FACTORY, BootState { receives_in_b: true, ..BootState::FACTORY });
        assert_eq!([state, next].map(|state| state.spare_slot(&layout)), [Slot::A, Slot::B]);
    }
    assert_eq!(Layout::of(Strategy::Swap, None, GOOD), Layout::new(GOOD));
    let swapping = Layout::new(GOOD).unwrap();
    assert_eq!((swapping.run_address(Slot::B), swapping.component_slot(Slot::B)), (0x2101_1000, 0));
    assert_eq!((swapping.bank(Slot::B), BootState::FACTORY.spare_slot(&swapping)), (Slot::A, Slot::B));
}

/// A bank switch that brings another part of the flash to the addresses of slot A would run no image.
#[test]
fn slots_that_a_bank_switch_does_not_exchange_are_refused() {
    let with = |bank, a: u32, b: u32, len| {
        let slots = [a, b].map(|start| Region { start, len });
        let regions = Regions { slot_a: slots[0], slot_b: slots[1], ..GOOD };
        Layout::of(Strategy::BankSwitch { bank }, None, regions)
    };
    let bank = 0x4_0000;
    for (a, b) in [(0x1_0000, 0x5_0000), (0x5_0000, 0x1_0000), (0x9_0000, 0xD_0000)] {
        let layout = with(bank, a, b, 0x3_0000).unwrap();
        assert_eq!(Layout::from_numbers(&layout.numbers()), Some(layout));
    }
    for (name, bank, a, b, len) in [
        ("another offset", bank, 0x1_0000, 0x5_1000, 0x2_0000),
        ("beyond its bank", bank, 0x1_1000, 0x5_1000, 0x3_0000),
        ("in banks that are no pair", bank, 0x5_0000, 0x9_0000, 0x3_0000),
        ("two banks on", bank, 0x1_0000, 0x9_0000, 0x3_0000),
        ("no bank", 0, 0x1_0000, 0x5_0000, 0x3_0000),
        ("a bank beyond the address space", 0x8000_0000, 0x1_0000, 0x5_0000, 0x3_0000),
    ] {
        assert_eq!(with(bank, a, b, len), Err(LayoutError::Banks), "{name}");
    }
    // A device that begins behind the loader, 64 KiB into its first bank.
    let behind = |len| {
        let [stored, journal, progress] =
            [0x3_0000, 0x3_4000, 0x3_8000].map(|start| Region { start, len: 0x4000 });
        let journal = Region { len: 0x3000, ..journal };
        let [slot_a, slot_b] = [0, bank].map(|start| Region { start, len });
        let regions = Regions { base: 0x0801_0000, stored, journal, progress, slot_a, slot_b, ..GOOD };
        Layout::of(Strategy::BankSwitch { bank }, None, regions)
    };
    behind(0x3_0000).unwrap();
    assert_eq!(behind(0x3_1000), Err(LayoutError::Banks), "beyond its bank");
}

/// A library that does not know how an image comes to run reads no journal of such a device.
#[test]
fn numbers_of_an_unknown_strategy_are_no_layout() {
    let mut numbers = Layout::new(GOOD).unwrap().numbers();
    numbers[2] |= 4 << 8;
    numbers[LAYOUT_NUMBERS - 1] = seal(&numbers);
    assert_eq!(Layout::from_numbers(&numbers), None);
}

#[test]
fn the_head_is_as_long_as_an_envelope_on_every_part() {
    for (page, shares) in [(512, false), (4096, false), (8192, true)] {
        let region = |index: u32| Region { start: index * 0x10_000, len: 0x8000 };
        let layout = Layout::new(Regions {
            page,
            stored: region(0),
            journal: region(1),
            progress: region(3),
            slot_a: region(4),
            slot_b: Region { start: 0x5_0000, len: 0x8000 + page },
            ..GOOD
        });
        let layout = layout.unwrap();
        assert_eq!((layout.head_len(), layout.head_shares_page()), (4096, shares));
    }
}

#[test]
fn wrong_descriptions_are_refused() {
    let cases: [(&str, LayoutError, Regions); 12] = [
        ("page not a power of two", LayoutError::Page, Regions { page: 3000, ..GOOD }),
        ("page too small", LayoutError::Page, Regions { page: 256, ..GOOD }),
        ("page too large", LayoutError::Page, Regions { page: 0x4_0000, ..GOOD }),
        ("empty", LayoutError::Unaligned, Regions { journal: Region { start: 0x1000, len: 0 }, ..GOOD }),
        (
            "not on a page",
            LayoutError::Unaligned,
            Regions { slot_a: Region { start: 0x1_0800, len: 0x8_0000 }, ..GOOD },
        ),
        (
            "wraps",
            LayoutError::Unaligned,
            Regions { slot_b: Region { start: 0xFFFF_F000, len: 0x8_1000 }, ..GOOD },
        ),
        (
            "odd halves",
            LayoutError::Unequal,
            Regions { journal: Region { start: 0x20_0000, len: 0x5000 }, ..GOOD },
        ),
        (
            "no page for marks",
            LayoutError::Unaligned,
            Regions { progress: Region { start: 0x20_0000, len: 16 }, ..GOOD },
        ),
        (
            "unequal slots",
            LayoutError::Unequal,
            Regions { slot_b: Region { start: 0x9_0000, len: 0x8_0000 }, ..GOOD },
        ),
        (
            "slots without room for an image",
            LayoutError::TooSmall,
            Regions {
                slot_a: Region { start: 0x1_0000, len: 0x1000 },
                slot_b: Region { start: 0x9_0000, len: 0x2000 },
                ..GOOD
            },
        ),
        (
            "slots overlap",
            LayoutError::Overlap,
            Regions { slot_b: Region { start: 0x8_F000, len: 0x8_1000 }, ..GOOD },
        ),
        (
            "journal in a slot",
            LayoutError::Overlap,
            Regions { journal: Region { start: 0x1_0000, len: 0x3000 }, ..GOOD },
        ),
    ];
    for (name, error, regions) in cases {
        assert_eq!(Layout::new(regions), Err(error), "{name}");
    }
    let page = Regions { page: 512, slot_b: Region { start: 0x9_0000, len: 0x8_0200 }, ..GOOD };
    let small = Regions { stored: Region { start: 0, len: 2 * 6144 }, ..page };
    assert_eq!(Layout::new(small), Err(LayoutError::TooSmall), "half below an object of each kind");
    Layout::new(Regions { stored: Region { start: 0, len: 2 * 6656 }, ..page }).unwrap();
    let small = Regions { journal: Region { start: 0x4000, len: 1024 }, ..page };
    assert_eq!(Layout::new(small), Err(LayoutError::TooSmall), "journal part below six records");
    // As many marks as an exchange has steps, where there are two parts.
    let steps = (2 * page.slot_b.len / page.page * 32).next_multiple_of(page.page);
    let page = Regions { progress: Region { start: 0x20_0000, len: steps }, ..page };
    let small = Regions { journal: Region { start: 0x4000, len: 4096 }, ..page };
    assert_eq!(Layout::new(small), Err(LayoutError::TooSmall), "one of two parts below an exchange");
    let two = Region { start: 0x4000, len: 8192 };
    let small = Regions { journal: two, progress: Region { start: 0x20_0000, len: steps - 512 }, ..page };
    assert_eq!(
        Layout::new(small),
        Err(LayoutError::TooSmall),
        "two parts, and too few marks for an exchange"
    );
    for (len, parts) in [(3072, 3), (6144, 3), (2 * 3584, 2), (8192, 2)] {
        let layout = Layout::new(Regions { journal: Region { start: 0x4000, len }, ..page }).unwrap();
        assert_eq!(layout.journal_parts(), parts, "{len} bytes");
    }
}

/// The regions, by number.
const REGIONS: usize = 5;

/// A description with another region of this number.
fn with(mut regions: Regions, number: usize, change: impl Fn(Region) -> Region) -> Regions {
    let region = region_of(&mut regions, number);
    *region = change(*region);
    regions
}

fn region_of(regions: &mut Regions, number: usize) -> &mut Region {
    let Regions { stored, journal, progress, slot_a, slot_b, .. } = regions;
    [stored, journal, progress, slot_a, slot_b].into_iter().nth(number).unwrap()
}

#[test]
fn each_region_has_whole_pages_and_ends() {
    for number in 0..REGIONS {
        let refused = |name: &str, change: fn(Region) -> Region| {
            assert_eq!(
                Layout::new(with(GOOD, number, change)),
                Err(LayoutError::Unaligned),
                "{name}, {number}"
            );
        };
        refused("empty", |region| Region { len: 0, ..region });
        refused("begins within a page", |region| Region { start: region.start + 512, ..region });
        refused("ends within a page", |region| Region { len: region.len + 512, ..region });
        refused("wraps around", |region| Region { start: 0xFFFF_F000, ..region });
    }
    let ram = Region { start: 0xFFFF_0000, len: 0x2_0000 };
    assert_eq!(Layout::new(Regions { ram, ..GOOD }), Err(LayoutError::Unaligned), "RAM wraps around");
    assert_eq!(
        Layout::new(Regions { base: 0xFFFF_0000, ..GOOD }),
        Err(LayoutError::Unaligned),
        "the flash does"
    );
    let odd = Regions { stored: Region { start: 0, len: 0x3000 }, ..GOOD };
    assert_eq!(Layout::new(odd), Err(LayoutError::Unequal), "halves of a page and a half");
}

/// Each two of the regions, with one page in common and none with the others.
#[test]
fn no_two_regions_share_a_page() {
    let mut apart = GOOD;
    for (number, start) in (0..REGIONS).zip((0..).step_by(0x20_0000)) {
        region_of(&mut apart, number).start = start;
    }
    Layout::new(apart).unwrap();
    for number in 0..REGIONS {
        let end = region_of(&mut apart, number).end().unwrap();
        for other in (0..REGIONS).filter(|other| *other != number) {
            let moved = with(apart, other, |region| Region { start: end - 4096, ..region });
            assert_eq!(Layout::new(moved), Err(LayoutError::Overlap), "{other} in {number}");
            let beside = with(apart, other, |region| Region { start: end, ..region });
            Layout::new(beside).unwrap_or_else(|error| panic!("{other} behind {number}: {error:?}"));
        }
    }
}

/// A number that was changed, whichever, is noticed: an application has no other check of them.
#[test]
fn numbers_that_were_changed_are_no_layout() {
    let numbers = Layout::new(GOOD).unwrap().numbers();
    for index in 0..LAYOUT_NUMBERS {
        for bit in 0..32 {
            let mut changed = numbers;
            changed[index] ^= 1 << bit;
            assert_eq!(Layout::from_numbers(&changed), None, "number {index}, bit {bit}");
        }
    }
}

const KIB: u32 = 1024;

/// An F4 with two banks.
const UNEVEN: [Sectors; 6] = [
    Sectors { count: 4, len: 16 * KIB },
    Sectors { count: 1, len: 64 * KIB },
    Sectors { count: 7, len: 128 * KIB },
    Sectors { count: 4, len: 16 * KIB },
    Sectors { count: 1, len: 64 * KIB },
    Sectors { count: 7, len: 128 * KIB },
];

const fn region(start: u32, len: u32) -> Region {
    Region { start: start * KIB, len: len * KIB }
}

const ON_UNEVEN: Regions = Regions {
    page: 128 * KIB,
    stored: region(1024, 32),
    journal: region(1056, 32),
    progress: region(64, 64),
    slot_a: region(384, 512),
    slot_b: region(1152, 640),
    ..GOOD
};

#[test]
fn a_layout_on_uneven_sectors_has_whole_sectors_everywhere() {
    let part = Part { sectors: &UNEVEN, erased: 0 };
    let layout = Layout::on(&part, ON_UNEVEN).unwrap();
    assert_eq!((layout.erased(), layout.page(), layout.head_len()), (0, 128 * KIB, 4096));
    let cases = [
        ("half a sector", LayoutError::Sectors, Regions { journal: region(1056, 16), ..ON_UNEVEN }),
        (
            "a half ends within a sector",
            LayoutError::Sectors,
            Regions { stored: region(128, 128), ..ON_UNEVEN },
        ),
        (
            "slot of small sectors, in part",
            LayoutError::Sectors,
            Regions { slot_a: region(320, 512), ..ON_UNEVEN },
        ),
        ("beyond the part", LayoutError::Sectors, Regions { slot_b: region(1536, 640), ..ON_UNEVEN }),
        (
            "no halves",
            LayoutError::Unequal,
            Regions { journal: Region { len: 32 * KIB + 1, ..GOOD.journal }, ..ON_UNEVEN },
        ),
        ("overlap", LayoutError::Overlap, Regions { stored: region(1056, 32), ..ON_UNEVEN }),
        ("a page of no power of two", LayoutError::Page, Regions { page: 96 * KIB, ..ON_UNEVEN }),
    ];
    for (name, error, regions) in cases {
        assert_eq!(Layout::on(&part, regions), Err(error), "{name}");
    }
    // Stored objects and journal have bytes, slots have whole pages.
    for number in [0, 1, 3, 4] {
        let empty = with(ON_UNEVEN, number, |region| Region { len: 0, ..region });
        assert_eq!(Layout::on(&part, empty), Err(LayoutError::Unaligned), "{number} is empty");
    }
    for number in [3, 4] {
        let odd = with(ON_UNEVEN, number, |region| Region { len: region.len + 64 * KIB, ..region });
        assert_eq!(Layout::on(&part, odd), Err(LayoutError::Unaligned), "{number} ends within a page");
    }
    assert_eq!(Layout::on(&Part { sectors: &UNEVEN, erased: 0x55 }, ON_UNEVEN), Err(LayoutError::Erased));
    // A half of two pages is erased page by page: each of them is whole sectors.
    let halves = [64, 128, 64, 64, 128, 64].map(|len| Sectors { count: 1, len: len * KIB });
    let sectors = [&halves[..], &[Sectors { count: 12, len: 128 * KIB }]].concat();
    let stored = Regions { stored: region(0, 512), slot_a: region(512, 512), ..ON_UNEVEN };
    let crossed = Regions {
        journal: region(1664, 256),
        progress: region(1920, 128),
        slot_b: region(1024, 640),
        ..stored
    };
    assert_eq!(Layout::on(&Part { sectors: &sectors, erased: 0 }, crossed), Err(LayoutError::Sectors));
    let even = [Sectors { count: 16, len: 128 * KIB }];
    Layout::on(&Part { sectors: &even, erased: 0 }, crossed).unwrap();
    let none = Part { sectors: &[], erased: 0xFF };
    assert_eq!(Layout::on(&none, ON_UNEVEN), Err(LayoutError::Sectors));
    let endless = Part { sectors: &[Sectors { count: u32::MAX, len: 4096 }], erased: 0xFF };
    assert_eq!(Layout::on(&endless, ON_UNEVEN), Err(LayoutError::Sectors));
    let flat = Part { sectors: &[Sectors { count: 4096, len: 0 }], erased: 0xFF };
    assert_eq!(Layout::on(&flat, ON_UNEVEN), Err(LayoutError::Sectors));
}

#[test]
fn a_part_with_small_sectors_takes_the_layout_of_larger_pages() {
    let part = Part { sectors: &[Sectors { count: 1024, len: 2048 }], erased: 0xFF };
    assert_eq!(Layout::on(&part, GOOD), Layout::new(GOOD));
}

#[test]
fn every_fault_of_a_layout_has_words() {
    use LayoutError::{Erased, Overlap, Page, Sectors, TooSmall, Unaligned, Unequal};
    let all = [Page, Unaligned, Sectors, Erased, TooSmall, Unequal, Overlap];
    let words: std::collections::BTreeSet<_> = all.iter().map(|error| error.words()).collect();
    assert_eq!(words.len(), all.len());
}

/// An F407: the loader in the first small sector and in the middle one.
const F407: [Sectors; 3] = [
    Sectors { count: 4, len: 16 * KIB },
    Sectors { count: 1, len: 64 * KIB },
    Sectors { count: 7, len: 128 * KIB },
];

#[test]
fn a_part_of_few_sectors_has_no_marks() {
    let part = Part { sectors: &F407, erased: 0xFF };
    let regions = Regions {
        base: 0x0800_0000,
        page: 128 * KIB,
        journal: region(16, 48),
        progress: region(64, 0),
        stored: region(128, 256),
        slot_a: region(384, 256),
        slot_b: region(640, 384),
        ram: Region { start: 0x2000_0000, len: 0x2_0000 },
    };
    let layout = Layout::on(&part, regions).unwrap();
    assert_eq!((layout.journal_parts(), layout.region(Area::Progress).len), (3, 0));
    assert_eq!((layout.image_address(), layout.image_capacity()), (0x0806_1000, 252 * KIB));
    assert_eq!(Layout::from_numbers(&layout.numbers()), Some(layout));
    // The loader lies between regions of the layout.
    let region = |start, len| Region { start: 0x0800_0000 + start * KIB, len: len * KIB };
    let used = [(0, 16), (16, 16), (60, 8), (64, 64), (64, 65), (640, 1), (1024, 1)];
    assert_eq!(
        used.map(|(start, len)| layout.uses(region(start, len))),
        [false, true, true, false, true, true, false]
    );
    let misplaced = Regions { progress: Region { start: 1, len: 0 }, ..regions };
    assert_eq!(Layout::on(&part, misplaced), Err(LayoutError::Sectors));
}
