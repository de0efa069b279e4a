use super::*;

pub(crate) const GOOD: Regions = Regions {
    base: 0x2100_0000,
    page: 4096,
    provisioning: Region { start: 0x0000, len: 0x2000 },
    journal: Region { start: 0x2000, len: 0x2000 },
    revocation: Region { start: 0x4000, len: 0x4000 },
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
    assert_eq!(layout.region(Area::Journal(Half::Second)), Region { start: 0x3000, len: 0x1000 });
    assert_eq!(layout.region(Area::Slot(Slot::B)), Region { start: 0x9_1000, len: 0x8_0000 });
    assert_eq!(layout.region(Area::Slot(Slot::Kept)), Region { start: 0x9_0000, len: 0x8_0000 });
}

#[test]
fn the_head_takes_whole_pages() {
    for (page, head) in [(512, 4096), (4096, 4096), (8192, 8192)] {
        let region = |index: u32| Region { start: index * 0x10_000, len: 0x8000 };
        let layout = Layout::new(Regions {
            page,
            provisioning: region(0),
            journal: region(1),
            revocation: region(2),
            progress: region(3),
            slot_a: region(4),
            slot_b: Region { start: 0x5_0000, len: 0x8000 + page },
            ..GOOD
        });
        assert_eq!(layout.unwrap().head_len(), head);
    }
}

#[test]
fn wrong_descriptions_are_refused() {
    let cases: [(&str, LayoutError, Regions); 12] = [
        ("page not a power of two", LayoutError::Page, Regions { page: 3000, ..GOOD }),
        ("page too small", LayoutError::Page, Regions { page: 256, ..GOOD }),
        ("page too large", LayoutError::Page, Regions { page: 16384, ..GOOD }),
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
            Regions { journal: Region { start: 0x20_0000, len: 0x3000 }, ..GOOD },
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
            Regions { journal: Region { start: 0x1_0000, len: 0x2000 }, ..GOOD },
        ),
    ];
    for (name, error, regions) in cases {
        assert_eq!(Layout::new(regions), Err(error), "{name}");
    }
    let page = Regions { page: 512, slot_b: Region { start: 0x9_0000, len: 0x8_0200 }, ..GOOD };
    let small = Regions { provisioning: Region { start: 0, len: 2048 }, ..page };
    assert_eq!(Layout::new(small), Err(LayoutError::TooSmall), "provisioning half below a record");
    let small = Regions { revocation: Region { start: 0x4000, len: 0x1000 }, ..page };
    assert_eq!(Layout::new(small), Err(LayoutError::TooSmall), "revocation half below a list of each domain");
    let small = Regions { journal: Region { start: 0x2000, len: 2048 }, ..page };
    assert_eq!(Layout::new(small), Err(LayoutError::TooSmall), "journal half below six records");
    Layout::new(Regions { journal: Region { start: 0x2000, len: 3072 }, ..page }).unwrap();
}
