//! The power goes away at every flash operation of everything a device ever does with its flash.

use device_harness::device::{Boot, Device, Failure, routine};
use device_harness::factory::{Factory, provisioning_block};
use device_harness::power::{Release, Scenario, cut_everywhere, update};
use suit_manifest::Reason;
use update_protocol::profile::{Component, Object, rid};

/// Image pages of each slot, and lengths of two images that do not end at a page or word.
fn sizes(page: usize) -> (u32, usize, usize) {
    (2, page / 2 + 13, page + 21)
}

/// A host's command that a reset may have done already.
fn power(failure: Failure) -> Result<(), Failure> {
    if failure == Failure::NoPower { Err(failure) } else { Ok(()) }
}

struct Provision {
    factory: Factory,
}

impl<const WORD: usize, const PAGE: usize> Scenario<WORD, PAGE> for Provision {
    fn prepare(&self) -> Device<WORD, PAGE> {
        Device::new(sizes(PAGE).0)
    }

    fn run(&self, device: &mut Device<WORD, PAGE>) -> Result<(), Failure> {
        let block = provisioning_block(&[self.factory.anchor()], None);
        match device.send(Object::ProvisioningBlock, &block) {
            Err(failure) if failure.reason() == Some(Reason::AlreadyProvisioned) => Ok(()),
            result => result,
        }
    }

    fn releases(&self) -> Vec<Release> {
        Vec::new()
    }

    fn must_boot(&self) -> bool {
        false
    }

    fn inspect(&self, device: &mut Device<WORD, PAGE>) {
        let Boot::Stay(Some(reason)) = device.boot() else { panic!("booted without an image") };
        assert!(matches!(reason, Reason::NotProvisioned | Reason::NothingBootable), "{reason:?}");
    }

    fn finished(&self, device: &mut Device<WORD, PAGE>) {
        assert_eq!(device.loader().identity().map(|identity| identity.serial()), Some("A-0001"));
    }
}

/// A device that runs release 1, or nothing, and release 2 for it.
struct Releases {
    factory: Factory,
    old: Option<Vec<u8>>,
    new: Vec<u8>,
    envelope: Vec<u8>,
}

impl Releases {
    fn new<const WORD: usize, const PAGE: usize>(old: Option<usize>, new: usize) -> Self {
        let device = Device::<WORD, PAGE>::new(sizes(PAGE).0);
        let factory = Factory::new(1);
        let new = device.image(new, 0xAA);
        let envelope = factory.envelope(2, &new);
        Self { factory, old: old.map(|len| device.image(len, 0x55)), new, envelope }
    }

    fn device<const WORD: usize, const PAGE: usize>(&self) -> Device<WORD, PAGE> {
        let mut device = Device::new(sizes(PAGE).0);
        device.provision(&self.factory);
        if let Some(old) = &self.old {
            device.update(&self.factory.envelope(1, old), old);
        }
        device
    }

    /// What may run.
    fn bootable(&self) -> Vec<Release> {
        let old = self.old.iter().map(|old| (1, old.clone()));
        old.chain([(2, self.new.clone())]).collect()
    }
}

/// Install, swap, trial, confirm.
struct Update(Releases);

impl<const WORD: usize, const PAGE: usize> Scenario<WORD, PAGE> for Update {
    fn prepare(&self) -> Device<WORD, PAGE> {
        self.0.device()
    }

    fn run(&self, device: &mut Device<WORD, PAGE>) -> Result<(), Failure> {
        update(device, Component::Firmware, |device| device.install(&self.0.envelope, &self.0.new))
    }

    fn releases(&self) -> Vec<Release> {
        self.0.bootable()
    }

    fn must_boot(&self) -> bool {
        self.0.old.is_some()
    }

    fn finished(&self, device: &mut Device<WORD, PAGE>) {
        assert!(matches!(device.boot(), Boot::Run(_)));
        let state = device.state();
        assert_eq!((state.active.map(|image| image.sequence), state.floor), (Some(2), 2));
        assert!(device.running(self.0.new.len()) == self.0.new);
    }
}

/// The new release has had its trial and said nothing.
struct Revert(Releases);

impl<const WORD: usize, const PAGE: usize> Scenario<WORD, PAGE> for Revert {
    fn prepare(&self) -> Device<WORD, PAGE> {
        let mut device = self.0.device();
        device.install(&self.0.envelope, &self.0.new).expect("install");
        assert!(matches!(device.boot(), Boot::Run(_)));
        device
    }

    fn run(&self, device: &mut Device<WORD, PAGE>) -> Result<(), Failure> {
        device.boot();
        if device.nor.medium().is_off() { Err(Failure::NoPower) } else { Ok(()) }
    }

    fn releases(&self) -> Vec<Release> {
        self.0.bootable()
    }

    fn must_boot(&self) -> bool {
        self.0.old.is_some()
    }

    fn finished(&self, device: &mut Device<WORD, PAGE>) {
        let boot = device.boot();
        let state = device.state();
        assert_eq!(state.revert_reason, Reason::TrialNotConfirmed.code());
        match &self.0.old {
            Some(old) => {
                assert!(matches!(boot, Boot::Run(_)));
                assert_eq!((state.active.map(|image| image.sequence), state.floor), (Some(1), 1));
                assert!(device.running(old.len()) == *old);
            }
            None => {
                assert_eq!(boot, Boot::Stay(Some(Reason::TrialNotConfirmed)));
                assert_eq!((state.active, state.floor), (None, 0));
            }
        }
    }
}

struct Revoke {
    factory: Factory,
    /// One key, then two.
    lists: [Vec<u8>; 2],
    /// Envelopes of the key that both lists name, and of the one that only the second names.
    envelopes: [Vec<u8>; 2],
}

impl Revoke {
    fn new(image: &[u8]) -> Self {
        let factory = Factory::new(1);
        let holders = [7, 8].map(|number| factory.with_new_release_key(number));
        let kids = [0, 1].map(|index: usize| holders[index].release_kid());
        let lists = [factory.revocation_list(1, &kids[..1]), factory.revocation_list(2, &kids)];
        let envelopes = [0, 1].map(|index: usize| holders[index].envelope(1, image));
        Self { factory, lists, envelopes }
    }
}

impl<const WORD: usize, const PAGE: usize> Scenario<WORD, PAGE> for Revoke {
    fn prepare(&self) -> Device<WORD, PAGE> {
        let mut device = Device::new(sizes(PAGE).0);
        device.provision(&self.factory);
        device.send(Object::RevocationList, &self.lists[0]).expect("first list");
        device
    }

    fn run(&self, device: &mut Device<WORD, PAGE>) -> Result<(), Failure> {
        match device.send(Object::RevocationList, &self.lists[1]) {
            Err(failure) if failure.reason() == Some(Reason::RevocationSequence) => Ok(()),
            result => result,
        }
    }

    fn releases(&self) -> Vec<Release> {
        Vec::new()
    }

    fn must_boot(&self) -> bool {
        false
    }

    fn inspect(&self, device: &mut Device<WORD, PAGE>) {
        let sequence = device.state().highest_list_sequence();
        assert!(matches!(sequence, 1 | 2), "{sequence}");
        // At no instant is the key let in that the older list takes back already.
        let refused = device.send(Object::Envelope, &self.envelopes[0]).expect_err("a revoked key");
        assert_eq!(refused.reason(), Some(Reason::KeyRevoked));
    }

    fn finished(&self, device: &mut Device<WORD, PAGE>) {
        let refused = device.send(Object::Envelope, &self.envelopes[1]).expect_err("a revoked key");
        assert_eq!(refused.reason(), Some(Reason::KeyRevoked));
    }
}

/// A pending image is abandoned.
struct Abandon {
    factory: Factory,
    image: Vec<u8>,
}

impl<const WORD: usize, const PAGE: usize> Scenario<WORD, PAGE> for Abandon {
    fn prepare(&self) -> Device<WORD, PAGE> {
        let mut device = Device::new(sizes(PAGE).0);
        device.provision(&self.factory);
        device.install(&self.factory.envelope(1, &self.image), &self.image).expect("install");
        device
    }

    fn run(&self, device: &mut Device<WORD, PAGE>) -> Result<(), Failure> {
        let nor = device.nor.clone();
        let abandoned = routine(&mut device.program(), rid::ABANDON_INSTALL);
        if nor.medium().is_off() {
            return Err(Failure::NoPower);
        }
        abandoned.map(drop).map_err(|nrc| Failure::Refused(nrc, None)).or_else(power)
    }

    fn releases(&self) -> Vec<Release> {
        vec![(1, self.image.clone())]
    }

    fn must_boot(&self) -> bool {
        false
    }

    fn finished(&self, device: &mut Device<WORD, PAGE>) {
        assert_eq!(device.boot(), Boot::Stay(Some(Reason::NothingBootable)));
    }
}

/// Every scenario on one geometry.
fn everything<const WORD: usize, const PAGE: usize>() {
    let (_, short, long) = sizes(PAGE);
    let releases = Releases::new::<WORD, PAGE>;
    let spare = Device::<WORD, PAGE>::new(1).image(64, 1);
    let started = std::time::Instant::now();
    let operations = [
        ("provisioning", cut_everywhere::<WORD, PAGE, _>(&Provision { factory: Factory::new(1) })),
        ("revocation", cut_everywhere::<WORD, PAGE, _>(&Revoke::new(&spare))),
        (
            "abandon",
            cut_everywhere::<WORD, PAGE, _>(&Abandon { factory: Factory::new(1), image: spare.clone() }),
        ),
        ("first install", cut_everywhere::<WORD, PAGE, _>(&Update(releases(None, short)))),
        ("first install is dropped", cut_everywhere::<WORD, PAGE, _>(&Revert(releases(None, short)))),
        ("update to a longer image", cut_everywhere::<WORD, PAGE, _>(&Update(releases(Some(short), long)))),
        ("revert to a longer image", cut_everywhere::<WORD, PAGE, _>(&Revert(releases(Some(long), short)))),
    ];
    for (scenario, count) in operations {
        println!("page {PAGE}, word {WORD}: {scenario}: {count} operations");
        assert!(count > 3, "{scenario} hardly did anything");
    }
    println!("page {PAGE}, word {WORD}: {:?}", started.elapsed());
}

#[test]
fn pages_of_512_bytes_and_words_of_4() {
    everything::<4, 512>();
}

#[test]
fn pages_of_512_bytes_and_words_of_32() {
    everything::<32, 512>();
}

#[test]
fn pages_of_4096_bytes_and_words_of_8() {
    everything::<8, 4096>();
}

#[test]
fn pages_of_8192_bytes_and_words_of_32() {
    everything::<32, 8192>();
}
