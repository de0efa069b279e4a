//! Controls: the lives by one file and with a table over parts that are broken on purpose, so that loader and application
//! go by what is not in flash. A proof that found nothing there would find nothing in a loader that does so.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use bootloader::authority::Roots;
use bootloader::layout::{Area, Slot};
use device_harness::part::{Deciphering, Part, Placed, Tabled, table_beside};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use flash_model::{Chip, Decay, Medium, ModelError, Nor};
use prove::bench::Bench;
use prove::case::Kind;
use prove::engine::{Selection, Summary, run};
use prove::geometries::long;
use prove::life::Step;

const WORD: usize = 32;
const PAGE: usize = 512;
const ERASED: u8 = 0xFF;

/// What is broken.
trait Flaw: Clone {
    fn of(medium: &Medium) -> Self;
    /// Before and after each operation and read.
    fn meets(&self, _medium: &mut Medium) {}
    fn has_erased(&self, _start: usize, _end: usize) {}
    fn has_written(&self, _start: usize, _bytes: &[u8]) {}
    fn has_read(&self, _start: usize, _bytes: &mut [u8]) {}
}

/// Answers reads with what was to be written.
#[derive(Clone)]
struct Echoes(Rc<RefCell<Vec<u8>>>);

impl Flaw for Echoes {
    fn of(medium: &Medium) -> Self {
        Self(Rc::new(RefCell::new(medium.bytes().to_vec())))
    }

    fn has_erased(&self, start: usize, end: usize) {
        self.0.borrow_mut()[start..end].fill(ERASED);
    }

    fn has_written(&self, start: usize, bytes: &[u8]) {
        self.0.borrow_mut()[start..start + bytes.len()].copy_from_slice(bytes);
    }

    fn has_read(&self, start: usize, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0.borrow()[start..start + bytes.len()]);
    }
}

/// Loses a bit of the image in slot B with its power.
#[derive(Clone)]
struct Forgets<const OF_TABLE: bool>(Rc<Cell<bool>>);

impl<const OF_TABLE: bool> Flaw for Forgets<OF_TABLE> {
    fn of(_: &Medium) -> Self {
        Self(Rc::default())
    }

    fn meets(&self, medium: &mut Medium) {
        if medium.is_off() {
            self.0.set(true);
        } else if self.0.take() {
            let firmware = long::<PAGE>();
            let layout = if OF_TABLE { table_beside(&firmware) } else { firmware };
            let image = (layout.region(Area::Slot(Slot::B)).start + layout.head_len()) as usize;
            if medium.is_programmed(image) {
                medium.decay(image, Decay::Flip(1));
            }
        }
    }
}

#[derive(Clone)]
struct Broken<F> {
    part: Nor<WORD, PAGE>,
    flaw: F,
}

impl<F: Flaw> Broken<F> {
    fn during<R>(&mut self, operation: impl FnOnce(&mut Nor<WORD, PAGE>) -> R) -> R {
        self.flaw.meets(&mut self.part.medium_mut());
        let result = operation(&mut self.part);
        self.flaw.meets(&mut self.part.medium_mut());
        result
    }
}

impl<F: Flaw> Part for Broken<F> {
    fn over(medium: Medium) -> Self {
        Self { flaw: F::of(&medium), part: Nor::with(medium) }
    }

    fn medium(&self) -> Ref<'_, Medium> {
        self.part.medium()
    }

    fn medium_mut(&self) -> RefMut<'_, Medium> {
        self.part.medium_mut()
    }
}

impl<F> ErrorType for Broken<F> {
    type Error = ModelError;
}

impl<F: Flaw> ReadNorFlash for Broken<F> {
    const READ_SIZE: usize = WORD;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), ModelError> {
        self.during(|part| part.read(offset, bytes))?;
        self.flaw.has_read(offset as usize, bytes);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.part.capacity()
    }
}

impl<F: Flaw> NorFlash for Broken<F> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), ModelError> {
        self.during(|part| part.erase(from, to))?;
        self.flaw.has_erased(from as usize, to as usize);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), ModelError> {
        self.during(|part| part.write(offset, bytes))?;
        self.flaw.has_written(offset as usize, bytes);
        Ok(())
    }
}

/// What the proof finds in a part with this flaw, under one kind of fault in these steps.
fn finds<F: Flaw, L: Placed>(life: &'static [Step], steps: &[Step], kind: Kind) -> Summary {
    let layout = long::<PAGE>();
    let len = L::from(layout).table().map_or(layout.flash_len(), |table| table.flash_len());
    let chips = [Chip::even(WORD, PAGE, len as usize)];
    let bench = Bench::<Broken<F>, L>::new("broken", &chips, layout, life);
    let (kinds, steps) = (vec![kind], steps.to_vec());
    let selection = Selection { kinds, steps, seed: 1, brief: false, every: 1, names_excused: false };
    let mut summary = Summary::default();
    run(&bench, &selection, &AtomicBool::new(false), &mut summary);
    println!("{summary}: {:?}", summary.failures);
    summary
}

fn refused(summary: &Summary) -> bool {
    summary.failures.iter().any(|failing| failing.what.starts_with("a genuine release is refused"))
}

#[test]
fn control_the_proof_finds_a_table_that_is_not_in_flash() {
    let steps = [Step::TableUpdate, Step::TableFile];
    let found = finds::<Echoes, Tabled<Roots>>(&Step::WITH_A_TABLE, &steps, Kind::Silent);
    assert!(found.tables > 0, "{found}");
}

#[test]
fn control_the_proof_finds_an_image_of_one_file_that_is_not_in_flash() {
    let steps = [Step::File, Step::Continued];
    let found = finds::<Echoes, Deciphering>(&Step::BY_FILE, &steps, Kind::Silent);
    assert!(found.bricks > 0, "{found}");
}

#[test]
fn control_the_proof_finds_a_table_that_goes_on_behind_something_else() {
    let steps = [Step::TableUpdate];
    let found = finds::<Forgets<true>, Tabled<Roots>>(&Step::WITH_A_TABLE, &steps, Kind::CutNothing);
    assert!(refused(&found), "{found}");
}

#[test]
fn control_the_proof_finds_one_file_that_goes_on_behind_something_else() {
    let steps = [Step::Continued];
    let found = finds::<Forgets<false>, Deciphering>(&Step::BY_FILE, &steps, Kind::CutNothing);
    assert!(refused(&found), "{found}");
}
