//! The geometries: words of 1 to 32 bytes, pages of 512 to 16384, uneven sectors, none for marks, two parts of a journal,
//! 00 when erased, erased words that fault, slot B in a flash of its own, and images that run in either slot; and the lives
//! of a device that is updated by one file, and of one with a table.

use bootloader::authority::Roots;
use bootloader::layout::Layout;
use device_harness::part::{self, Deciphering, Faulting, Tabled, Two, table_beside};
use flash_model::{Chip, Nor};

use crate::bench::{Bench, Geometry};
use crate::life::Step;

/// Image pages of a slot.
const PAGES: u32 = 2;
/// Bytes of an image that is committed before it is whole.
const LONG: u32 = 5 * 1024;

type Maker = fn(&'static str) -> Box<dyn Geometry>;

fn even<const WORD: usize, const PAGE: usize>(name: &'static str) -> Box<dyn Geometry> {
    let layout = part::layout(u32::try_from(PAGE).expect("a page"), PAGES);
    let chip = Chip::even(WORD, PAGE, layout.flash_len() as usize);
    Box::new(Bench::<Nor<WORD, PAGE>>::new(name, &[chip], layout, &Step::OF_FIRMWARE))
}

/// A layout with room for images that are committed before they are whole.
pub fn long<const PAGE: usize>() -> Layout {
    let page = u32::try_from(PAGE).expect("a page");
    part::layout(page, LONG.div_ceil(page).max(PAGES))
}

/// Releases come as one file.
fn by_file<const WORD: usize, const PAGE: usize>(name: &'static str) -> Box<dyn Geometry> {
    let layout = long::<PAGE>();
    let chip = Chip::even(WORD, PAGE, layout.flash_len() as usize);
    Box::new(Bench::<Nor<WORD, PAGE>, Deciphering>::new(name, &[chip], layout, &Step::BY_FILE))
}

/// A table beside the firmware.
fn tabled<const WORD: usize, const PAGE: usize>(name: &'static str) -> Box<dyn Geometry> {
    let layout = long::<PAGE>();
    let chip = Chip::even(WORD, PAGE, table_beside(&layout).flash_len() as usize);
    Box::new(Bench::<Nor<WORD, PAGE>, Tabled<Roots>>::new(name, &[chip], layout, &Step::WITH_A_TABLE))
}

/// Two parts of a journal.
fn two_parts<const WORD: usize, const PAGE: usize>(name: &'static str) -> Box<dyn Geometry> {
    let layout = part::layout_of_two_parts(u32::try_from(PAGE).expect("a page"), PAGES);
    let chip = Chip::even(WORD, PAGE, layout.flash_len() as usize);
    Box::new(Bench::<Nor<WORD, PAGE>>::new(name, &[chip], layout, &Step::OF_FIRMWARE))
}

fn erased_to_zero<const WORD: usize, const PAGE: usize>(name: &'static str) -> Box<dyn Geometry> {
    let layout = part::layout_erased_to(0, u32::try_from(PAGE).expect("a page"), PAGES);
    let chip = Chip { erased: 0, ..Chip::even(WORD, PAGE, layout.flash_len() as usize) };
    Box::new(Bench::<Nor<WORD, PAGE>>::new(name, &[chip], layout, &Step::OF_FIRMWARE))
}

fn faulting<const WORD: usize, const PAGE: usize>(name: &'static str) -> Box<dyn Geometry> {
    let layout = part::layout(u32::try_from(PAGE).expect("a page"), PAGES);
    let chip = Chip { faults_when_erased: true, ..Chip::even(WORD, PAGE, layout.flash_len() as usize) };
    Box::new(Bench::<Faulting<WORD, PAGE>>::new(name, &[chip], layout, &Step::OF_FIRMWARE))
}

/// Slot B comes last, and lies in external flash.
fn two<const WORD: usize, const PAGE: usize, const OUTER_WORD: usize, const OUTER_PAGE: usize>(
    name: &'static str,
) -> Box<dyn Geometry> {
    let page = u32::try_from(PAGE.max(OUTER_PAGE)).expect("a page");
    let (layout, regions) = (part::layout(page, PAGES), part::regions(page, PAGES));
    let chips = [
        Chip::even(WORD, PAGE, regions.slot_b.start as usize),
        Chip::even(OUTER_WORD, OUTER_PAGE, regions.slot_b.len as usize),
    ];
    Box::new(Bench::<Two<WORD, PAGE, OUTER_WORD, OUTER_PAGE>>::new(name, &chips, layout, &Step::OF_FIRMWARE))
}

/// Images run where they lie, or after a bank switch.
fn in_place<const WORD: usize, const PAGE: usize>(name: &'static str) -> Box<dyn Geometry> {
    remapped::<WORD, PAGE>(name, part::in_place)
}

fn bank_switch<const WORD: usize, const PAGE: usize>(name: &'static str) -> Box<dyn Geometry> {
    remapped::<WORD, PAGE>(name, part::bank_switch)
}

fn remapped<const WORD: usize, const PAGE: usize>(
    name: &'static str,
    layout: fn(u32, u32) -> Layout,
) -> Box<dyn Geometry> {
    let layout = layout(u32::try_from(PAGE).expect("a page"), PAGES);
    let chip = Chip::even(WORD, PAGE, layout.flash_len() as usize);
    Box::new(Bench::<Nor<WORD, PAGE>>::new(name, &[chip], layout, &Step::OF_FIRMWARE))
}

/// The sectors of an F4 with two banks, an eighth as long.
fn uneven(name: &'static str) -> Box<dyn Geometry> {
    let (chip, layout) = part::uneven(4, 2048);
    Box::new(Bench::<Nor<4, 2048>>::new(name, &[chip], layout, &Step::OF_FIRMWARE))
}

/// The sectors of an F407, a sixteenth as long.
fn few_sectors(name: &'static str) -> Box<dyn Geometry> {
    let (chip, layout) = part::few_sectors(4, 1024);
    Box::new(Bench::<Nor<4, 1024>>::new(name, &[chip], layout, &Step::OF_FIRMWARE))
}

/// Every geometry by its name.
pub const ALL: [(&str, Maker); 22] = [
    ("w4-p512", even::<4, 512>),
    ("w32-p512", even::<32, 512>),
    ("w1-p1024", even::<1, 1024>),
    ("w2-p1024", even::<2, 1024>),
    ("w8-p2048", even::<8, 2048>),
    ("w8-p4096", even::<8, 4096>),
    ("w16-p8192", even::<16, 8192>),
    ("w32-p8192", even::<32, 8192>),
    ("w8-p512-two-parts", two_parts::<8, 512>),
    ("w8-p4096-two-parts", two_parts::<8, 4096>),
    ("w4-p512-00", erased_to_zero::<4, 512>),
    ("w16-p512-fault", faulting::<16, 512>),
    ("w4-uneven", uneven),
    ("w4-f407", few_sectors),
    ("w8-p2048+w1-p4096", two::<8, 2048, 1, 4096>),
    ("w4-p512-in-place", in_place::<4, 512>),
    ("w16-p8192-in-place", in_place::<16, 8192>),
    ("w8-p2048-banks", bank_switch::<8, 2048>),
    ("w32-p512-banks", bank_switch::<32, 512>),
    ("w16-p2048-file", by_file::<16, 2048>),
    ("w8-p4096-table", tabled::<8, 4096>),
    ("w32-p512-table", tabled::<32, 512>),
];
