//! The power goes away at every flash operation of a succession, in each state of a device.

use bootloader::layout::{Area, Half};
use bootloader::state::Status;
use device_harness::device::{Boot, Device, Failure, download, record};
use device_harness::factory::{Factory, provisioning_block};
use device_harness::power::{Release, Scenario, cut_everywhere};
use device_harness::succession::{Dynasty, chain};
use flash_model::Cut;
use suit_manifest::Reason;
use update_protocol::profile::Object;
use update_protocol::uds::server::{Download, Handler as _};

/// What a device does when the chain comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// Its image is confirmed.
    Confirmed,
    Installing,
    Pending,
    /// The chain comes when the trial is over: the image has confirmed itself, or not.
    Trial {
        confirms: bool,
    },
    /// A cut left it in the middle of the exchange that takes the old image back.
    Reverting,
    /// Both copies of its anchor set are unreadable: the whole chain comes again.
    Lost,
    /// It has taken nothing of two successions and nine lists.
    Shelf,
}

struct Succession {
    at: At,
    dynasty: Dynasty,
    /// The root after the first one, and the last one.
    next: Factory,
    last: Factory,
    chain: Vec<u8>,
    images: [Vec<u8>; 3],
}

impl Succession {
    fn new<const WORD: usize, const PAGE: usize>(at: At) -> Self {
        let dynasty = Dynasty::new(1);
        let [next, third] = [2, 3].map(Factory::new);
        let one = dynasty.by_root(dynasty.first(), &next, (0, 1));
        let two = dynasty.by_root(&next, &third, (0, 2));
        let (records, last, number) =
            if at == At::Shelf { (vec![one, two], third, 9) } else { (vec![one], Factory::new(2), 1) };
        let chain = chain(&records, &last.revocation_list(number, &[]));
        let device = Device::<WORD, PAGE>::new(2);
        let images = [(PAGE / 2 + 13, 0x55), (PAGE + 21, 0xAA), (PAGE / 2 + 21, 0x33)]
            .map(|(len, fill)| device.image(len, fill));
        Self { at, dynasty, next, last, chain, images }
    }

    fn envelope(&self, factory: &Factory, sequence: u8) -> Vec<u8> {
        factory.envelope(sequence.into(), &self.images[usize::from(sequence) - 1])
    }

    fn send<const WORD: usize, const PAGE: usize>(
        &self,
        device: &mut Device<WORD, PAGE>,
    ) -> Result<(), Failure> {
        match device.send(Object::SuccessionChain, &self.chain) {
            Err(failure) if failure.reason() == Some(Reason::SuccessionOld) => Ok(()),
            sent => sent,
        }
    }

    fn is_taken<const WORD: usize, const PAGE: usize>(&self, device: &Device<WORD, PAGE>) -> bool {
        let state = device.state();
        assert_eq!(state.has_anchor_set, state.domains[0].succession_sequence != 0);
        let expected = if self.at == At::Shelf { 2 } else { 1 };
        let taken = state.domains[0].succession_sequence;
        assert!([0, expected].contains(&taken), "half of a chain: {taken}");
        taken == expected
    }
}

impl<const WORD: usize, const PAGE: usize> Scenario<WORD, PAGE> for Succession {
    fn prepare(&self) -> Device<WORD, PAGE> {
        let mut device = Device::new(2);
        let block = provisioning_block(&self.dynasty.anchors(), None);
        device.send(Object::ProvisioningBlock, &block).expect("provisioning");
        let old = self.dynasty.first();
        device.update(&self.envelope(old, 1), &self.images[0]);
        device.send(Object::RevocationList, &old.revocation_list(3, &[])).expect("list");
        let envelope = self.envelope(old, 2);
        match self.at {
            At::Confirmed | At::Shelf => {}
            At::Installing => {
                let nor = device.nor.clone();
                let mut session = device.program();
                download(&nor, &mut session, Object::Envelope, &envelope).expect("envelope");
                assert_eq!(record(&session).resume_offset, 0);
                let size = u32::try_from(self.images[1].len()).expect("size");
                session.open_object(Download { address: 0x1000_0000, size }).expect("image");
                session.write_object(0, &self.images[1][..64]).expect("block");
                drop(session);
                assert!(matches!(device.state().status, Status::Installing { .. }));
            }
            At::Pending => device.install(&envelope, &self.images[1]).expect("install"),
            At::Trial { .. } => {
                device.install(&envelope, &self.images[1]).expect("install");
                assert!(matches!(device.boot(), Boot::Run(_)));
            }
            At::Reverting => {
                device.install(&envelope, &self.images[1]).expect("install");
                assert!(matches!(device.boot(), Boot::Run(_)));
                // Halfway through the boot that reverts.
                let mut clean = device.twin();
                let before = clean.nor.medium().operations();
                clean.boot();
                let operations = clean.nor.medium().operations() - before;
                device.nor.medium_mut().cut_at(operations / 2, Cut::Nothing);
                device.boot();
                device.nor.medium_mut().power_on();
                assert!(matches!(device.state().status, Status::Reverting(_)));
            }
            At::Lost => {
                self.send(&mut device).expect("chain");
                lose_anchors(&device);
            }
        }
        device
    }

    fn run(&self, device: &mut Device<WORD, PAGE>) -> Result<(), Failure> {
        if let At::Trial { confirms } = self.at {
            let state = device.state();
            let is_new = state.active.is_some_and(|image| image.sequence == 2);
            if confirms && is_new && matches!(state.status, Status::Trial { boots: 1 }) {
                device.application().confirm().map(drop).map_err(|_| Failure::NoPower)?;
            } else if matches!(state.status, Status::Trial { .. }) {
                device.boot();
                if device.nor.medium().is_off() {
                    return Err(Failure::NoPower);
                }
            }
        }
        self.send(device)
    }

    fn releases(&self) -> Vec<Release> {
        (1..).zip(self.images.iter().cloned()).take(2).collect()
    }

    fn inspect(&self, device: &mut Device<WORD, PAGE>) {
        let boot = device.boot();
        assert!(matches!(boot, Boot::Run(_)), "does not boot: {boot:?}");
        let image = &self.images[2];
        if !self.is_taken(device) || matches!(device.state().status, Status::Trial { .. }) {
            return;
        }
        // A device that has taken the chain, or has lost its anchors, lets the old roots do nothing.
        for old in
            [self.dynasty.first(), &self.next].into_iter().take(if self.at == At::Shelf { 2 } else { 1 })
        {
            let refused = device.install(&old.envelope(90, image), image).expect_err("the old root installs");
            let reason = refused.reason().expect("a reason");
            let known = [Reason::AnchorRights, Reason::AnchorUnknown, Reason::AnchorSetMalformed];
            assert!(known.contains(&reason), "{reason:?}");
        }
    }

    fn finished(&self, device: &mut Device<WORD, PAGE>) {
        assert!(self.is_taken(device));
        assert_eq!(device.state().domains[0].list_sequence, if self.at == At::Shelf { 9 } else { 1 });
        <Self as Scenario<WORD, PAGE>>::inspect(self, device);
        assert_eq!(device.state().status, Status::Idle);
        let image = &self.images[2];
        device.update(&self.last.envelope(3, image), image);
        assert_eq!(&device.running(image.len()), image);
    }
}

/// Both copies of the anchor set are unreadable.
fn lose_anchors<const WORD: usize, const PAGE: usize>(device: &Device<WORD, PAGE>) {
    for half in [Half::First, Half::Second] {
        let mut at = device.layout.region(Area::Stored(half)).start as usize;
        loop {
            let medium = device.nor.medium();
            let (kind, len) = (medium.bytes()[at], [medium.bytes()[at + 2], medium.bytes()[at + 3]]);
            drop(medium);
            if kind == 3 {
                break;
            }
            at += 32 + usize::from(u16::from_be_bytes(len)).next_multiple_of(32);
        }
        // The word of its bytes, behind the header.
        device.nor.medium_mut().break_word(at + 32);
    }
}

fn everything<const WORD: usize, const PAGE: usize>() {
    for at in [
        At::Confirmed,
        At::Installing,
        At::Pending,
        At::Trial { confirms: true },
        At::Trial { confirms: false },
        At::Reverting,
        At::Lost,
        At::Shelf,
    ] {
        let started = std::time::Instant::now();
        let count = cut_everywhere::<WORD, PAGE, _>(&Succession::new::<WORD, PAGE>(at));
        println!("page {PAGE}, word {WORD}: {at:?}: {count} operations, {:?}", started.elapsed());
        assert!(count > 3, "{at:?} hardly did anything");
    }
}

#[test]
fn key36_pages_of_4096_bytes_and_words_of_8() {
    everything::<8, 4096>();
}

#[test]
fn key36_pages_of_512_bytes_and_words_of_32() {
    everything::<32, 512>();
}
