//! The power goes away at every flash operation of an update that comes as one file.

use std::marker::PhantomData;

use bootloader::layout::Layout;
use device_harness::device::{Boot, Device, Failure, Placed};
use device_harness::factory::{
    Factory, description, device_key, encrypted, in_one_file, one_file, provisioning_block_with,
};
use device_harness::part::Deciphering;
use device_harness::power::{Release, Scenario, cut_everywhere};
use trust::author::DerivedKey;
use trust::encryption::ContentAlgorithm;
use update_protocol::profile::{Component, Object};

/// A device that runs a release, and a file for it.
struct File<L> {
    block: Vec<u8>,
    old: Vec<u8>,
    first: Vec<u8>,
    new: Vec<u8>,
    file: Vec<u8>,
    kind: PhantomData<fn() -> L>,
}

/// Commits of the new image.
const COMMITS: usize = 3;

fn pages(page: usize) -> u32 {
    u32::try_from((COMMITS + 1) * 4096 / page).expect("a number of pages")
}

impl<L> File<L> {
    fn new<const WORD: usize, const PAGE: usize>(keys: &[DerivedKey]) -> Self {
        let factory = Factory::new(1);
        let device = Device::<WORD, PAGE>::new(pages(PAGE));
        let [old, new] =
            [(PAGE / 2 + 13, 0x55), (COMMITS * 4096 + 21, 0xAA)].map(|(len, fill)| device.image(len, fill));
        let update = description(2, &new);
        let (update, content) = match keys {
            [] => (update, new.clone()),
            keys => encrypted(&update, &new, ContentAlgorithm::A128Gcm, keys),
        };
        let file = one_file(&factory.envelope_of(&in_one_file(&update)), &content);
        let block = provisioning_block_with(&[factory.anchor()], None, keys);
        Self { block, first: factory.envelope(1, &old), old, new, file, kind: PhantomData }
    }
}

impl<const WORD: usize, const PAGE: usize, L: Placed> Scenario<WORD, PAGE, L> for File<L> {
    fn prepare(&self) -> Device<WORD, PAGE, L> {
        let mut device = Device::new(pages(PAGE));
        device.send(Object::ProvisioningBlock, &self.block).expect("provisioning");
        device.update(&self.first, &self.old);
        device
    }

    fn run(&self, device: &mut Device<WORD, PAGE, L>) -> Result<(), Failure> {
        // A cut between hand-over and confirming ends a trial: the tool then begins again.
        for _ in 0..4 {
            let boot = device.boot();
            if device.nor.medium().is_off() {
                return Err(Failure::NoPower);
            }
            assert!(matches!(boot, Boot::Run(_)), "{boot:?}");
            if device.state().active.is_some_and(|image| image.sequence == 2) {
                return device.application().confirm().map(drop).map_err(|_| Failure::NoPower);
            }
            device.install_file(Component::Firmware, &self.file)?;
        }
        panic!("the update does not come to an end: {:?}", device.state());
    }

    fn releases(&self) -> Vec<Release> {
        vec![(1, self.old.clone()), (2, self.new.clone())]
    }

    fn finished(&self, device: &mut Device<WORD, PAGE, L>) {
        assert!(matches!(device.boot(), Boot::Run(_)));
        let state = device.state();
        assert_eq!((state.active.map(|image| image.sequence), state.floor), (Some(2), 2));
        assert!(device.running(self.new.len()) == self.new);
    }
}

fn everything<const WORD: usize, const PAGE: usize, L: Placed>(keys: &[DerivedKey]) {
    let count = cut_everywhere::<WORD, PAGE, L>(&File::<L>::new::<WORD, PAGE>(keys));
    println!("page {PAGE}, word {WORD}: {count} operations");
    assert!(count > 100, "it hardly did anything");
}

#[test]
fn suit66_pages_of_4096_bytes_and_words_of_8() {
    everything::<8, 4096, Layout>(&[]);
}

#[test]
fn suit66_encrypted_pages_of_512_bytes_and_words_of_32() {
    everything::<32, 512, Deciphering>(&[device_key("A-0001")]);
}
