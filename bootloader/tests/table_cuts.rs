//! The power goes away at every flash operation of an update of a table.

use bootloader::authority::Roots;
use device_harness::device::{Boot, Device, Failure};
use device_harness::factory::{Factory, device_key, encrypted, table_description};
use device_harness::part::Tabled;
use device_harness::power::{Release, Scenario, cut_everywhere};
use trust::encryption::ContentAlgorithm;

type L = Tabled<Roots>;

/// A device with a table, and a new one that only it can read.
struct Table {
    factory: Factory,
    image: Vec<u8>,
    firmware: Vec<u8>,
    old: Vec<u8>,
    first: Vec<u8>,
    new: Vec<u8>,
    envelope: Vec<u8>,
    ciphertext: Vec<u8>,
}

/// Commits of the new table.
const COMMITS: usize = 2;

fn pages(page: usize) -> u32 {
    u32::try_from((COMMITS + 1) * 4096 / page).expect("a number of pages")
}

impl Table {
    fn new<const WORD: usize, const PAGE: usize>(algorithm: ContentAlgorithm) -> Self {
        let factory = Factory::new(1);
        let image = Device::<WORD, PAGE>::new(pages(PAGE)).image(PAGE / 2 + 13, 0x11);
        let firmware = factory.envelope(1, &image);
        let [old, new] =
            [(PAGE / 2 + 3, 0x55), (COMMITS * 4096 + 21, 0xAA)].map(|(len, fill)| vec![fill; len]);
        let first = factory.envelope_of(&table_description(1, &old));
        let (update, ciphertext) =
            encrypted(&table_description(2, &new), &new, algorithm, &[device_key("A-0001")]);
        let envelope = factory.envelope_of(&update);
        Self { factory, image, firmware, old, first, new, envelope, ciphertext }
    }
}

impl<const WORD: usize, const PAGE: usize> Scenario<WORD, PAGE, L> for Table {
    fn prepare(&self) -> Device<WORD, PAGE, L> {
        let mut device = Device::new(pages(PAGE));
        device.provision_with(&self.factory, &[device_key("A-0001")]);
        device.update(&self.firmware, &self.image);
        device.update_table(&self.first, &self.old);
        device
    }

    fn run(&self, device: &mut Device<WORD, PAGE, L>) -> Result<(), Failure> {
        // A cut between hand-over and confirming ends a trial: the host then begins again.
        for _ in 0..4 {
            let boot = device.boot();
            if device.nor.medium().is_off() {
                return Err(Failure::NoPower);
            }
            assert!(matches!(boot, Boot::Run(_)), "{boot:?}");
            let mut table = device.table();
            match table.found() {
                Some(found) if found.sequence == 2 && found.is_on_trial => {
                    return table.confirm().map(drop).map_err(|_| Failure::NoPower);
                }
                Some(found) if found.sequence == 2 => return Ok(()),
                _ => device.install_table(&self.envelope, &self.ciphertext)?,
            }
        }
        panic!("the update does not come to an end: {:?}", device.table_state());
    }

    fn releases(&self) -> Vec<Release> {
        vec![(1, self.image.clone())]
    }

    /// One of both tables is there, whole, and the floor has not risen before its time.
    fn inspect(&self, device: &mut Device<WORD, PAGE, L>) {
        assert!(matches!(device.boot(), Boot::Run(_)));
        let (state, found) = (device.table_state(), device.table().found());
        let sequence = found.map(|found| found.sequence);
        let expected = match sequence {
            Some(1) => &self.old,
            Some(2) => &self.new,
            _ => panic!("no table: {state:?}"),
        };
        assert!(device.found_table().as_ref() == Some(expected), "the table is torn");
        let is_confirmed = found.is_some_and(|found| !found.is_on_trial);
        assert!(state.floor == 1 || (state.floor, sequence, is_confirmed) == (2, Some(2), true), "{state:?}");
        if !is_confirmed {
            assert!(matches!(device.boot(), Boot::Run(_)));
            assert!(device.found_table().as_ref() == Some(&self.old), "the way back is lost");
        }
    }

    fn finished(&self, device: &mut Device<WORD, PAGE, L>) {
        assert!(matches!(device.boot(), Boot::Run(_)));
        assert_eq!(device.table_state().floor, 2);
        assert!(device.found_table().as_ref() == Some(&self.new));
    }
}

fn everything<const WORD: usize, const PAGE: usize>(algorithm: ContentAlgorithm) {
    let count = cut_everywhere::<WORD, PAGE, L>(&Table::new::<WORD, PAGE>(algorithm));
    println!("page {PAGE}, word {WORD}: {count} operations");
    assert!(count > 100, "it hardly did anything");
}

#[test]
fn boot91_pages_of_4096_bytes_and_words_of_8() {
    everything::<8, 4096>(ContentAlgorithm::A128Gcm);
}

#[test]
fn boot91_pages_of_512_bytes_and_words_of_32() {
    everything::<32, 512>(ContentAlgorithm::A128Ctr);
}
