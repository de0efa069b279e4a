//! The power goes away at every flash operation of an encrypted update.

use std::marker::PhantomData;

use device_harness::device::{Boot, Device, Failure, Placed};
use device_harness::factory::{
    Factory, authenticated, authentication_key, description, device_key, encrypted, provisioning_block_with,
};
use device_harness::part::{Deciphering, Symmetric};
use device_harness::power::{Release, Scenario, cut_everywhere, update};
use trust::encryption::ContentAlgorithm;
use update_protocol::profile::Object;

/// A device that runs a release, and an encrypted one for it.
struct Encrypted<L> {
    block: Vec<u8>,
    old: Vec<u8>,
    first: Vec<u8>,
    new: Vec<u8>,
    envelope: Vec<u8>,
    ciphertext: Vec<u8>,
    kind: PhantomData<fn() -> L>,
}

/// Commits of the new image.
const COMMITS: usize = 3;

/// Image pages of a slot.
fn pages(page: usize) -> u32 {
    u32::try_from((COMMITS + 1) * 4096 / page).expect("a number of pages")
}

impl<L> Encrypted<L> {
    /// `authenticate`: the release of an update, by whomever such a device believes.
    fn new<const WORD: usize, const PAGE: usize>(
        algorithm: ContentAlgorithm,
        block: Vec<u8>,
        authenticate: impl Fn(&suit_manifest::author::UpdateDescription) -> Vec<u8>,
    ) -> Self {
        let device = Device::<WORD, PAGE>::new(pages(PAGE));
        // Neither ends at a page or a word, and the new one is committed three times before its end.
        let [old, new] =
            [(PAGE / 2 + 13, 0x55), (COMMITS * 4096 + 21, 0xAA)].map(|(len, fill)| device.image(len, fill));
        let first = authenticate(&description(1, &old));
        let (update, ciphertext) = encrypted(&description(2, &new), &new, algorithm, &[device_key("A-0001")]);
        Self { block, old, first, new, envelope: authenticate(&update), ciphertext, kind: PhantomData }
    }
}

impl<const WORD: usize, const PAGE: usize, L: Placed> Scenario<WORD, PAGE, L> for Encrypted<L> {
    fn prepare(&self) -> Device<WORD, PAGE, L> {
        let mut device = Device::new(pages(PAGE));
        device.send(Object::ProvisioningBlock, &self.block).expect("provisioning");
        device.update(&self.first, &self.old);
        device
    }

    fn run(&self, device: &mut Device<WORD, PAGE, L>) -> Result<(), Failure> {
        update(device, &self.envelope, &self.ciphertext)
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

fn everything<const WORD: usize, const PAGE: usize, L: Placed>(scenario: &Encrypted<L>) {
    let count = cut_everywhere::<WORD, PAGE, L>(scenario);
    println!("page {PAGE}, word {WORD}: {count} operations");
    assert!(count > 100, "it hardly did anything");
}

fn signed<const WORD: usize, const PAGE: usize>(algorithm: ContentAlgorithm) -> Encrypted<Deciphering> {
    let factory = Factory::new(1);
    let block = provisioning_block_with(&[factory.anchor()], None, &[device_key("A-0001")]);
    Encrypted::new::<WORD, PAGE>(algorithm, block, |update| factory.envelope_of(update))
}

#[test]
fn boot83_pages_of_4096_bytes_and_words_of_8() {
    everything::<8, 4096, _>(&signed::<8, 4096>(ContentAlgorithm::A128Gcm));
}

#[test]
fn boot83_pages_of_512_bytes_and_words_of_32() {
    everything::<32, 512, _>(&signed::<32, 512>(ContentAlgorithm::A128Ctr));
}

/// Nothing public is on the device.
#[test]
fn boot85_a_device_that_believes_its_own_key() {
    let (update, own) = (device_key("A-0001"), authentication_key("A-0001"));
    let block = provisioning_block_with(&[], None, &[update, own.clone()]);
    let authenticate = |update: &_| authenticated(update, &own);
    everything::<8, 4096, Symmetric>(&Encrypted::new::<8, 4096>(
        ContentAlgorithm::A128Gcm,
        block,
        authenticate,
    ));
}
