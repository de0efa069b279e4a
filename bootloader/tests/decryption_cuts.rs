//! The power goes away at every flash operation of an encrypted update.

use bootloader::state::Status;
use device_harness::device::{Boot, Device, Failure};
use device_harness::factory::{Factory, device_key};
use device_harness::part::Deciphering;
use device_harness::power::{Release, Scenario, cut_everywhere};
use trust::encryption::ContentAlgorithm;

/// A device that runs a release, and an encrypted one for it.
struct Encrypted {
    factory: Factory,
    old: Vec<u8>,
    new: Vec<u8>,
    envelope: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl Encrypted {
    fn new<const WORD: usize, const PAGE: usize>(algorithm: ContentAlgorithm) -> Self {
        let device = Device::<WORD, PAGE>::new(pages(PAGE));
        let factory = Factory::new(1);
        // Neither ends at a page or a word, and the new one is committed three times before its end.
        let [old, new] =
            [(PAGE / 2 + 13, 0x55), (COMMITS * 4096 + 21, 0xAA)].map(|(len, fill)| device.image(len, fill));
        let (envelope, ciphertext) = factory.encrypted(2, &new, algorithm, &[device_key("A-0001")]);
        Self { factory, old, new, envelope, ciphertext }
    }
}

/// Commits of the new image.
const COMMITS: usize = 3;

/// Image pages of a slot.
fn pages(page: usize) -> u32 {
    u32::try_from((COMMITS + 1) * 4096 / page).expect("a number of pages")
}

impl<const WORD: usize, const PAGE: usize> Scenario<WORD, PAGE, Deciphering> for Encrypted {
    fn prepare(&self) -> Device<WORD, PAGE, Deciphering> {
        let mut device = Device::new(pages(PAGE));
        device.provision_with(&self.factory, &[device_key("A-0001")]);
        device.update(&self.factory.envelope(1, &self.old), &self.old);
        device
    }

    fn run(&self, device: &mut Device<WORD, PAGE, Deciphering>) -> Result<(), Failure> {
        // A cut between hand-over and confirming ends a trial: the host then begins again.
        for _ in 0..4 {
            let boot = device.boot();
            if device.nor.medium().is_off() {
                return Err(Failure::NoPower);
            }
            let state = device.state();
            let running = matches!(boot, Boot::Run(_)).then_some(state.active).flatten();
            let is_new = running.is_some_and(|image| image.sequence == 2);
            match state.status {
                Status::Trial { .. } if is_new => {
                    return device.application().confirm().map(drop).map_err(|_| Failure::NoPower);
                }
                Status::Idle if is_new => return Ok(()),
                _ => device.install(&self.envelope, &self.ciphertext)?,
            }
        }
        panic!("the update does not come to an end: {:?}", device.state());
    }

    fn releases(&self) -> Vec<Release> {
        vec![(1, self.old.clone()), (2, self.new.clone())]
    }

    fn finished(&self, device: &mut Device<WORD, PAGE, Deciphering>) {
        assert!(matches!(device.boot(), Boot::Run(_)));
        let state = device.state();
        assert_eq!((state.active.map(|image| image.sequence), state.floor), (Some(2), 2));
        assert!(device.running(self.new.len()) == self.new);
    }
}

fn everything<const WORD: usize, const PAGE: usize>(algorithm: ContentAlgorithm) {
    let count = cut_everywhere::<WORD, PAGE, _>(&Encrypted::new::<WORD, PAGE>(algorithm));
    println!("page {PAGE}, word {WORD}: {algorithm:?}: {count} operations");
    assert!(count > 100, "it hardly did anything");
}

#[test]
fn boot83_pages_of_4096_bytes_and_words_of_8() {
    everything::<8, 4096>(ContentAlgorithm::A128Gcm);
}

#[test]
fn boot83_pages_of_512_bytes_and_words_of_32() {
    everything::<32, 512>(ContentAlgorithm::A128Ctr);
}
