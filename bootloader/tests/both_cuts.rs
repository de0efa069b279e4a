//! The power goes away at every flash operation of an update with a release of firmware and a table.

use bootloader::application::Confirmation;
use bootloader::authority::Roots;
use bootloader::state::Status;
use device_harness::device::{Boot, Device, Failure};
use device_harness::factory::{Factory, description, device_key, encrypted, table_description, with_table};
use device_harness::part::Tabled;
use device_harness::power::{Release, Scenario, cut_everywhere};
use trust::encryption::ContentAlgorithm;

type L = Tabled<Roots>;

/// A device with firmware and a table, and a release of both, of which the firmware is for the device alone.
struct Both {
    factory: Factory,
    images: [Vec<u8>; 2],
    tables: [Vec<u8>; 2],
    firmware: Vec<u8>,
    table: Vec<u8>,
    envelope: Vec<u8>,
    ciphertext: Vec<u8>,
    /// The application works with the new ones.
    confirms: bool,
}

impl Both {
    fn new<const WORD: usize, const PAGE: usize>(confirms: bool) -> Self {
        let factory = Factory::new(1);
        let device = Device::<WORD, PAGE>::new(pages(PAGE));
        let images = [(PAGE / 2 + 13, 0x11), (4096 + 77, 0x22)].map(|(len, fill)| device.image(len, fill));
        let tables = [(PAGE / 2 + 3, 0x55), (4096 + 21, 0xAA)].map(|(len, fill)| vec![fill; len]);
        let firmware = factory.envelope(1, &images[0]);
        let table = factory.envelope_of(&table_description(1, &tables[0]));
        let (update, ciphertext) = encrypted(
            &description(2, &images[1]),
            &images[1],
            ContentAlgorithm::A128Gcm,
            &[device_key("A-0001")],
        );
        let envelope = factory.envelope_of(&with_table(&update, &table_description(2, &tables[1])));
        Self { factory, images, tables, firmware, table, envelope, ciphertext, confirms }
    }

    /// Sequence numbers of what runs and of the table that it found, each whole.
    fn pair<const WORD: usize, const PAGE: usize>(&self, device: &mut Device<WORD, PAGE, L>) -> [u64; 2] {
        assert!(matches!(device.boot(), Boot::Run(_)));
        let firmware = device.state().active.expect("it runs").sequence;
        let table = device.table().found().expect("a table").sequence;
        let [image, expected] = [(firmware, &self.images), (table, &self.tables)]
            .map(|(sequence, all)| &all[usize::try_from(sequence - 1).expect("a release")]);
        assert!(&device.running(image.len()) == image, "the firmware is torn");
        assert!(device.found_table().as_ref() == Some(expected), "the table is torn");
        [firmware, table]
    }
}

fn pages(page: usize) -> u32 {
    u32::try_from(2 * 4096 / page).expect("a number of pages")
}

impl<const WORD: usize, const PAGE: usize> Scenario<WORD, PAGE, L> for Both {
    fn prepare(&self) -> Device<WORD, PAGE, L> {
        let mut device = Device::new(pages(PAGE));
        device.provision_with(&self.factory, &[device_key("A-0001")]);
        device.update(&self.firmware, &self.images[0]);
        device.update_table(&self.table, &self.tables[0]);
        device
    }

    fn run(&self, device: &mut Device<WORD, PAGE, L>) -> Result<(), Failure> {
        // A cut between hand-over and confirming ends a trial: the host then begins again.
        for _ in 0..5 {
            let boot = device.boot();
            if device.nor.medium().is_off() {
                return Err(Failure::NoPower);
            }
            assert!(matches!(boot, Boot::Run(_)), "{boot:?}");
            let state = device.state();
            let is_new = state.active.is_some_and(|image| image.sequence == 2);
            match state.status {
                Status::Trial { .. } if is_new && self.confirms => {
                    // In either order.
                    let confirmed = device.table().confirm();
                    assert_eq!(confirmed, Ok(Confirmation::WithFirmware));
                    device.application().confirm().map_err(|_| Failure::NoPower)?;
                }
                Status::Trial { .. } if is_new => {}
                Status::Idle if is_new => return Ok(()),
                _ if !self.confirms && state.revert_reason != 0 => return Ok(()),
                _ => {
                    device.install_table(&self.envelope, &self.tables[1])?;
                    device.install(&self.envelope, &self.ciphertext)?;
                }
            }
        }
        panic!("the update does not come to an end: {:?}, {:?}", device.state(), device.table_state());
    }

    fn releases(&self) -> Vec<Release> {
        (1..).zip(self.images.iter().cloned()).collect()
    }

    /// Old firmware with the old table, or new with new; and floors that are those of the release, or of neither.
    fn inspect(&self, device: &mut Device<WORD, PAGE, L>) {
        let pair = self.pair(device);
        assert!(pair == [1, 1] || pair == [2, 2], "{pair:?}");
        let (firmware, table) = (device.state(), device.table_state());
        if pair == [2, 2] && firmware.status == Status::Idle {
            assert_eq!((firmware.floor, table.floor, table.status), (2, 2, Status::Idle));
        } else {
            assert_eq!((firmware.floor, table.floor), (1, 1));
        }
        if firmware.status != Status::Idle && pair == [2, 2] {
            assert_eq!(self.pair(device), [1, 1], "the way back is lost");
        }
    }

    fn finished(&self, device: &mut Device<WORD, PAGE, L>) {
        let expected = if self.confirms { 2 } else { 1 };
        assert_eq!(self.pair(device), [expected; 2]);
        assert_eq!((device.state().floor, device.table_state().floor), (expected, expected));
    }
}

fn everything<const WORD: usize, const PAGE: usize>(confirms: bool) {
    let count = cut_everywhere::<WORD, PAGE, L>(&Both::new::<WORD, PAGE>(confirms));
    println!("page {PAGE}, word {WORD}: {count} operations");
    assert!(count > 200, "it hardly did anything");
}

#[test]
fn suit71_pages_of_4096_bytes_and_words_of_8() {
    everything::<8, 4096>(true);
}

#[test]
fn suit71_pages_of_512_bytes_and_words_of_32_and_nothing_is_confirmed() {
    everything::<32, 512>(false);
}
