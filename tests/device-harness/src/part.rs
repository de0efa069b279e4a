//! Flash drivers over the model, and where things lie in their parts.

use std::cell::{Ref, RefCell, RefMut};
use std::marker::PhantomData;
use std::rc::Rc;

use bootloader::authority::{Authenticates, OwnKey, Roots};
use bootloader::flash::{BlankAsErased, BlankCheck, HasLayout, Joined};
use bootloader::layout::{
    self, JOURNAL_LONE_PART_RECORDS, JOURNAL_PART_RECORDS, JOURNAL_RECORD_LEN, Layout, Region, Regions,
    STORED_HALF_LEN,
};
use bootloader::reporting::Authenticated;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use flash_model::{Chip, Medium, ModelError, Nor};
use suit_manifest::profile::Decrypting;

/// RAM of its application.
pub const RAM: Region = Region { start: 0x2000_0000, len: 0x1_0000 };
/// Address of offset 0 of its flash.
pub const BASE: u32 = 0x2100_0000;

/// Where things lie in a part, and what of SUIT the loader there takes.
pub trait Placed: HasLayout + From<Layout> {}

impl<L: HasLayout + From<Layout>> Placed for L {}

/// The layout of a device that decrypts, believes `A`, and reports.
#[derive(Clone, Copy, Debug)]
pub struct Decrypts<A>(Layout, PhantomData<A>);

/// One that believes its maker's roots.
pub type Deciphering = Decrypts<Roots>;
/// One that believes its own key.
pub type Symmetric = Decrypts<OwnKey>;

impl<A> From<Layout> for Decrypts<A> {
    fn from(layout: Layout) -> Self {
        Self(layout, PhantomData)
    }
}

impl<A: Authenticates> HasLayout for Decrypts<A> {
    type Profile = Decrypting;
    type Authority = A;
    type Reports = Authenticated;

    fn layout(&self) -> &Layout {
        &self.0
    }
}

/// The layout of a device with a table beside its firmware, which decrypts, believes `A`, and reports.
#[derive(Clone, Copy, Debug)]
pub struct Tabled<A> {
    firmware: Layout,
    table: Layout,
    believes: PhantomData<A>,
}

impl<A> From<Layout> for Tabled<A> {
    fn from(firmware: Layout) -> Self {
        Self { firmware, table: table_beside(&firmware), believes: PhantomData }
    }
}

impl<A: Authenticates> HasLayout for Tabled<A> {
    type Profile = Decrypting;
    type Authority = A;
    type Reports = Authenticated;

    fn layout(&self) -> &Layout {
        &self.firmware
    }

    fn table(&self) -> Option<&Layout> {
        Some(&self.table)
    }
}

/// A flash driver over the model.
pub trait Part: NorFlash + Clone {
    /// The driver of a medium of its own.
    fn over(medium: Medium) -> Self;

    fn medium(&self) -> Ref<'_, Medium>;

    /// The medium, to cut and to tamper with.
    fn medium_mut(&self) -> RefMut<'_, Medium>;
}

impl<const WORD: usize, const PAGE: usize> Part for Nor<WORD, PAGE> {
    fn over(medium: Medium) -> Self {
        Self::with(medium)
    }

    fn medium(&self) -> Ref<'_, Medium> {
        self.medium()
    }

    fn medium_mut(&self) -> RefMut<'_, Medium> {
        self.medium_mut()
    }
}

/// Slot B in external flash.
pub type Two<const WORD: usize, const PAGE: usize, const OUTER_WORD: usize, const OUTER_PAGE: usize> =
    Joined<Nor<WORD, PAGE>, Nor<OUTER_WORD, OUTER_PAGE>>;

impl<const WORD: usize, const PAGE: usize, const OUTER_WORD: usize, const OUTER_PAGE: usize> Part
    for Two<WORD, PAGE, OUTER_WORD, OUTER_PAGE>
{
    fn over(medium: Medium) -> Self {
        let ends: Vec<_> = medium.chip_ends().collect();
        let [inner, outer] = *ends else { panic!("two chips") };
        let medium = Rc::new(RefCell::new(medium));
        Self::new(Nor::window(&medium, 0, inner), Nor::window(&medium, inner, outer - inner))
    }

    fn medium(&self) -> Ref<'_, Medium> {
        self.devices().0.medium()
    }

    fn medium_mut(&self) -> RefMut<'_, Medium> {
        self.devices().0.medium_mut()
    }
}

/// A driver whose controller has a blank check.
#[derive(Clone)]
pub struct Checked<const WORD: usize, const PAGE: usize>(Nor<WORD, PAGE>);

impl<const WORD: usize, const PAGE: usize> ErrorType for Checked<WORD, PAGE> {
    type Error = ModelError;
}

impl<const WORD: usize, const PAGE: usize> ReadNorFlash for Checked<WORD, PAGE> {
    const READ_SIZE: usize = WORD;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), ModelError> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<const WORD: usize, const PAGE: usize> NorFlash for Checked<WORD, PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), ModelError> {
        self.0.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), ModelError> {
        self.0.write(offset, bytes)
    }
}

impl<const WORD: usize, const PAGE: usize> BlankCheck for Checked<WORD, PAGE> {
    fn is_blank(&mut self, offset: u32, len: usize) -> Result<bool, ModelError> {
        self.0.is_blank(offset, len)
    }
}

/// A part whose erased words fault when they are read.
pub type Faulting<const WORD: usize, const PAGE: usize> = BlankAsErased<Checked<WORD, PAGE>>;

impl<const WORD: usize, const PAGE: usize> Part for Faulting<WORD, PAGE> {
    fn over(medium: Medium) -> Self {
        Self::new(Checked(Nor::with(medium)), 0xFF)
    }

    fn medium(&self) -> Ref<'_, Medium> {
        self.device().0.medium()
    }

    fn medium_mut(&self) -> RefMut<'_, Medium> {
        self.device().0.medium_mut()
    }
}

/// A small layout: slots of `pages` image pages.
pub fn layout(page: u32, pages: u32) -> Layout {
    Layout::new(regions(page, pages)).expect("layout")
}

/// A table behind this firmware, in slots as long as its own.
pub fn table_beside(firmware: &Layout) -> Layout {
    let page = firmware.page();
    let mut at = firmware.flash_len();
    let mut region = |bytes: u32| {
        let len = bytes.next_multiple_of(page);
        at += len;
        Region { start: at - len, len }
    };
    let part = u32::try_from(JOURNAL_PART_RECORDS * JOURNAL_RECORD_LEN).expect("a part");
    let slot = firmware.regions().slot_a.len;
    let regions = layout::TableRegions {
        journal: region(3 * part.next_multiple_of(page)),
        progress: region(page),
        slot_a: region(slot),
        slot_b: region(slot),
    };
    firmware.for_table(None, regions).expect("layout of a table")
}

/// The same with two parts of a journal.
pub fn layout_of_two_parts(page: u32, pages: u32) -> Layout {
    let layout = Layout::new(regions_with(2, page, pages)).expect("layout");
    assert_eq!(layout.journal_parts(), 2);
    layout
}

/// The regions of [`layout`]; slot B comes last.
pub fn regions(page: u32, pages: u32) -> Regions {
    regions_with(3, page, pages)
}

fn regions_with(journal_parts: u32, page: u32, pages: u32) -> Regions {
    let mut at = 0;
    let mut region = |bytes: u32| {
        let len = bytes.next_multiple_of(page);
        at += len;
        Region { start: at - len, len }
    };
    let records = if journal_parts < 3 { JOURNAL_LONE_PART_RECORDS } else { JOURNAL_PART_RECORDS };
    let records = u32::try_from(records * JOURNAL_RECORD_LEN).expect("a part").next_multiple_of(page);
    let objects = STORED_HALF_LEN.next_multiple_of(page);
    let head = 4096u32.next_multiple_of(page);
    // Two parts of a journal want all marks of an exchange in the region.
    let marks = if journal_parts < 3 { 64 * (head / page + pages + 1) } else { page }.next_multiple_of(page);
    Regions {
        base: BASE,
        page,
        stored: region(2 * objects),
        journal: region(journal_parts * records),
        progress: region(marks),
        slot_a: region(head + pages * page),
        slot_b: region(head + pages * page + page),
        ram: RAM,
    }
}

/// A layout of a board that runs images in either slot.
pub fn in_place(page: u32, pages: u32) -> Layout {
    let mut regions = regions(page, pages);
    regions.slot_b.len = regions.slot_a.len;
    Layout::of(layout::Strategy::InPlace, None, regions).expect("layout")
}

/// A layout of a board that switches banks; the first one ends with slot A.
pub fn bank_switch(page: u32, pages: u32) -> Layout {
    let mut regions = regions(page, pages);
    let Region { start, len } = regions.slot_a;
    let bank = start + len;
    regions.slot_b = Region { start: bank + start, len };
    regions.base -= regions.base % (2 * bank);
    Layout::of(layout::Strategy::BankSwitch { bank }, None, regions).expect("layout")
}

/// A layout on sectors that erase to another value.
pub fn layout_erased_to(erased: u8, page: u32, pages: u32) -> Layout {
    let regions = regions(page, pages);
    let slot_b = regions.slot_b;
    let sectors = [layout::Sectors { count: (slot_b.start + slot_b.len) / page, len: page }];
    Layout::on(&layout::Part { sectors: &sectors, erased }, regions).expect("layout")
}

/// Sectors that are `unit` times as long as these runs say: for the model, and for a layout.
fn sectors<const RUNS: usize>(
    word: usize,
    unit: u32,
    runs: [(u32, u32); RUNS],
) -> (Chip, [layout::Sectors; RUNS]) {
    let sectors = runs.map(|(count, len)| layout::Sectors { count, len: len * unit });
    let lens = sectors.iter().flat_map(|run| std::iter::repeat_n(run.len as usize, run.count as usize));
    (Chip { sectors: lens.collect(), ..Chip::even(word, 1, 0) }, sectors)
}

/// An F4 with two banks, whose sectors are `unit` times 1, 4 and 8 long, and a layout on both. Its slots have two
/// sectors and three.
pub fn uneven(word: usize, unit: u32) -> (Chip, Layout) {
    let (chip, sectors) = sectors(word, unit, [(4, 1), (1, 4), (7, 8), (4, 1), (1, 4), (7, 8)]);
    let region = |start: u32, len: u32| Region { start: start * unit, len: len * unit };
    let regions = Regions {
        base: BASE,
        page: 8 * unit,
        progress: region(3, 1),
        stored: region(8, 16),
        slot_a: region(24, 16),
        journal: region(64, 3),
        slot_b: region(72, 24),
        ram: RAM,
    };
    let part = layout::Part { sectors: &sectors, erased: 0xFF };
    (chip, Layout::on(&part, regions).expect("layout"))
}

/// An F407 with the layout of its board: the loader lies between the regions, and there is no sector for marks.
pub fn few_sectors(word: usize, unit: u32) -> (Chip, Layout) {
    let (chip, sectors) = sectors(word, unit, [(4, 1), (1, 4), (7, 8)]);
    let region = |start: u32, len: u32| Region { start: start * unit, len: len * unit };
    let regions = Regions {
        base: BASE,
        page: 8 * unit,
        journal: region(1, 3),
        progress: region(4, 0),
        stored: region(8, 16),
        slot_a: region(24, 16),
        slot_b: region(40, 24),
        ram: RAM,
    };
    let part = layout::Part { sectors: &sectors, erased: 0xFF };
    (chip, Layout::on(&part, regions).expect("layout"))
}
