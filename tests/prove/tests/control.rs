//! The control: the same model over another loader with a journaled swap, embassy-boot. A progress word that a cut
//! leaves unreadable stops that one for good, because it takes an ECC fault for an error of its driver. A model that
//! finds no brick there is too weak to say anything about ours.

use std::cell::RefCell;
use std::rc::Rc;

use embassy_boot::{AlignedBuffer, BlockingFirmwareUpdater};
use embassy_boot::{BootLoader, BootLoaderConfig, FirmwareUpdaterConfig, State};
use flash_model::{Chip, Cut, Fault, Medium, Nor};

const WORD: usize = 8;
const PAGE: usize = 512;
const PAGES: usize = 3;
/// Active, then the image that comes with a page more, then the state.
const DFU: usize = PAGES * PAGE;
const STATE: usize = DFU + (PAGES + 1) * PAGE;
/// Resets after which a device that did not boot never will.
const RESETS: u32 = 5;

type Driver = Nor<WORD, PAGE>;

struct Device {
    medium: Rc<RefCell<Medium>>,
}

impl Device {
    fn over(medium: Medium) -> Self {
        Self { medium: Rc::new(RefCell::new(medium)) }
    }

    fn drivers(&self) -> [Driver; 3] {
        [(0, DFU), (DFU, STATE - DFU), (STATE, PAGE)]
            .map(|(start, len)| Nor::window(&self.medium, start, len))
    }

    /// A reset; what the loader says.
    fn boot(&self) -> Result<State, ()> {
        let [active, dfu, state] = self.drivers();
        let mut buffer = AlignedBuffer([0; PAGE]);
        BootLoader::new(BootLoaderConfig { active, dfu, state }).prepare_boot(buffer.as_mut()).map_err(drop)
    }

    /// The image that would run.
    fn runs(&self) -> Vec<u8> {
        self.medium.borrow().bytes()[..DFU].to_vec()
    }
}

/// A device that runs the old image and has the new one to swap in.
fn pending() -> Medium {
    let medium = Medium::of(&[Chip::even(WORD, PAGE, STATE + PAGE)]);
    let device = Device::over(medium);
    device.medium.borrow_mut().count_double_programs();
    let [mut active, dfu, state] = device.drivers();
    embedded_storage::nor_flash::NorFlash::write(&mut active, 0, &image(1)).unwrap();
    let mut aligned = AlignedBuffer([0; WORD]);
    let mut updater = BlockingFirmwareUpdater::new(FirmwareUpdaterConfig { dfu, state }, aligned.as_mut());
    updater.write_firmware(0, &image(2)).unwrap();
    updater.mark_updated().unwrap();
    drop(updater);
    Rc::unwrap_or_clone(device.medium).into_inner()
}

fn image(fill: u8) -> Vec<u8> {
    (0..DFU as u64).map(|index| index.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[0] ^ fill).collect()
}

/// Cuts at which no image boots any more.
fn bricks(base: &Medium, operations: u64, cut: impl Fn(u64) -> Cut) -> u64 {
    let is_brick = |operation: &u64| {
        let device = Device::over(base.clone());
        device.medium.borrow_mut().plan_at(*operation, Fault::Cut(cut(*operation)));
        assert!(device.boot().is_err(), "power was not lost at {operation}");
        let boots = |_| {
            device.medium.borrow_mut().power_cycle();
            device.boot().is_ok() && [image(1), image(2)].contains(&device.runs())
        };
        // A trial that is not confirmed goes back, so each further boot changes the image: one that boots counts.
        !(0..RESETS).any(boots)
    };
    (0..operations).filter(is_brick).count() as u64
}

#[test]
fn control_the_model_finds_the_bricks_of_a_loader_that_reads_torn_words() {
    let base = pending();
    let clean = Device::over(base.clone());
    let before = clean.medium.borrow().operations();
    assert_eq!(clean.boot(), Ok(State::Swap));
    assert!(clean.runs() == image(2), "the swap does not work");
    let operations = clean.medium.borrow().operations() - before;

    // It survives a cut between two operations: that is what it was made for, and the harness holds it right.
    assert_eq!(bricks(&base, operations, |_| Cut::Nothing), 0);
    assert_eq!(bricks(&base, operations, |_| Cut::All), 0);
    // Each page takes two progress words.
    let found = bricks(&base, operations, |_| Cut::Unreadable);
    assert!(found >= 2 * PAGES as u64, "{found} bricks of at least {}: the model is too weak", 2 * PAGES);
    println!("embassy-boot: {operations} operations, {found} bricks by words that a cut leaves unreadable");
}
