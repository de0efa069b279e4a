//! Release 2 comes to a device that runs release 1, with the power cut at every flash operation: firmware or a table, plain
//! or encrypted, in parts or as one file.

use suit_manifest::author::UpdateDescription;
use trust::author::DerivedKey;
use trust::encryption::ContentAlgorithm;
use update_protocol::profile::{Component, Object};

use super::{Release, Scenario, cut_everywhere, update};
use crate::device::{Boot, Device, Failure, Placed};
use crate::factory::{
    Factory, authenticated, authentication_key, description, device_key, encrypted, in_one_file, one_file,
    provisioning_block_with, table_description,
};

/// Of the device under test.
const SERIAL: &str = "A-0001";
/// Bytes that the loader commits at a time.
const COMMITTED: usize = 4096;
/// Commits of the new release before its end.
const COMMITS: usize = 3;
/// Operations that an update has at least.
const FEWEST: u64 = 100;

/// How an update comes.
#[derive(Clone, Copy)]
pub struct Update {
    component: Component,
    content: Option<ContentAlgorithm>,
    is_file: bool,
    is_by_own_key: bool,
}

impl Update {
    /// In plain, signed, as an envelope and then an image.
    #[must_use]
    pub fn of(component: Component) -> Self {
        Self { component, content: None, is_file: false, is_by_own_key: false }
    }

    /// For devices alone that have a key.
    #[must_use]
    pub fn encrypted(self, algorithm: ContentAlgorithm) -> Self {
        Self { content: Some(algorithm), ..self }
    }

    /// An envelope with its image in it.
    #[must_use]
    pub fn in_one_file(self) -> Self {
        Self { is_file: true, ..self }
    }

    /// Authenticated with the device's own key; nothing public is on the device.
    #[must_use]
    pub fn by_own_key(self) -> Self {
        Self { is_by_own_key: true, ..self }
    }

    /// Cuts it at every operation.
    pub fn cut_everywhere<const WORD: usize, const PAGE: usize, L: Placed>(self) {
        let count = cut_everywhere::<WORD, PAGE, L>(&Prepared::<WORD, PAGE>::new(self));
        println!("page {PAGE}, word {WORD}: {count} operations");
        assert!(count > FEWEST, "it hardly did anything");
    }

    /// What the device is provisioned with.
    fn block(&self, factory: &Factory) -> Vec<u8> {
        let mut keys: Vec<DerivedKey> = self.content.map(|_| device_key(SERIAL)).into_iter().collect();
        if self.is_by_own_key {
            keys.push(authentication_key(SERIAL));
            return provisioning_block_with(&[], None, &keys);
        }
        provisioning_block_with(&[factory.anchor()], None, &keys)
    }

    fn envelope(&self, factory: &Factory, update: &UpdateDescription) -> Vec<u8> {
        if self.is_by_own_key {
            authenticated(update, &authentication_key(SERIAL))
        } else {
            factory.envelope_of(update)
        }
    }
}

/// What is sent of release 2.
enum Sent {
    Parts { envelope: Vec<u8>, content: Vec<u8> },
    File(Vec<u8>),
}

/// A device, what it has, and what comes.
struct Prepared<const WORD: usize, const PAGE: usize> {
    component: Component,
    block: Vec<u8>,
    /// What the device runs, with its envelope; that of the component is the last one.
    before: Vec<(Component, Vec<u8>, Vec<u8>)>,
    new: Vec<u8>,
    sent: Sent,
}

impl<const WORD: usize, const PAGE: usize> Prepared<WORD, PAGE> {
    fn new(update: Update) -> Self {
        let (factory, component) = (Factory::new(1), update.component);
        let device = Device::<WORD, PAGE>::new(Self::pages());
        // Neither ends at a page or a word.
        let lens = [(PAGE / 2 + 13, 0x55), (COMMITS * COMMITTED + 21, 0xAA)];
        let described = |component: Component, sequence: u64, bytes: &[u8]| match component {
            Component::Firmware => description(sequence, bytes),
            Component::Table => table_description(sequence, bytes),
        };
        let [old, new] = lens.map(|(len, fill)| match component {
            Component::Firmware => device.image(len, fill),
            Component::Table => vec![fill; len],
        });
        let mut before = Vec::new();
        if component == Component::Table {
            before.push((Component::Firmware, device.image(PAGE / 2 + 3, 0x11)));
        }
        before.push((component, old));
        let has = |(component, bytes): (Component, Vec<u8>)| {
            (component, update.envelope(&factory, &described(component, 1, &bytes)), bytes)
        };
        let before = before.into_iter().map(has).collect();
        let release = described(component, 2, &new);
        let (release, content) = match update.content {
            None => (release, new.clone()),
            Some(algorithm) => encrypted(&release, &new, algorithm, &[device_key(SERIAL)]),
        };
        let sent = if update.is_file {
            Sent::File(one_file(&update.envelope(&factory, &in_one_file(&release)), &content))
        } else {
            Sent::Parts { envelope: update.envelope(&factory, &release), content }
        };
        Self { component, block: update.block(&factory), before, new, sent }
    }

    /// Image pages of a slot.
    fn pages() -> u32 {
        u32::try_from((COMMITS + 1) * COMMITTED / PAGE).expect("a number of pages")
    }

    fn old(&self) -> &[u8] {
        &self.before.last().expect("a release").2
    }
}

impl<const WORD: usize, const PAGE: usize, L: Placed> Scenario<WORD, PAGE, L> for Prepared<WORD, PAGE> {
    fn prepare(&self) -> Device<WORD, PAGE, L> {
        let mut device = Device::new(Self::pages());
        device.send(Object::ProvisioningBlock, &self.block).expect("provisioning");
        for (component, envelope, bytes) in &self.before {
            device.update_of(*component, envelope, bytes);
        }
        device
    }

    fn run(&self, device: &mut Device<WORD, PAGE, L>) -> Result<(), Failure> {
        update(device, self.component, |device| match &self.sent {
            Sent::Parts { envelope, content } => device.install_of(self.component, envelope, content),
            Sent::File(file) => device.install_file(self.component, file),
        })
    }

    fn releases(&self) -> Vec<Release> {
        match self.component {
            Component::Firmware => vec![(1, self.old().to_vec()), (2, self.new.clone())],
            Component::Table => vec![(1, self.before[0].2.clone())],
        }
    }

    /// One of both tables is there, whole, its floor has not risen before its time, and there is a way back.
    fn inspect(&self, device: &mut Device<WORD, PAGE, L>) {
        if self.component == Component::Firmware {
            return;
        }
        assert!(matches!(device.boot(), Boot::Run(_)));
        let (state, found) = (device.table_state(), device.table().found());
        let sequence = found.map(|found| found.sequence);
        let expected = match sequence {
            Some(1) => self.old(),
            Some(2) => &self.new,
            _ => panic!("no table: {state:?}"),
        };
        assert!(device.found_table().is_some_and(|table| table == expected), "the table is torn");
        let is_confirmed = found.is_some_and(|found| !found.is_on_trial);
        assert!(state.floor == 1 || (state.floor, sequence, is_confirmed) == (2, Some(2), true), "{state:?}");
        if !is_confirmed {
            assert!(matches!(device.boot(), Boot::Run(_)));
            assert!(device.found_table().is_some_and(|table| table == self.old()), "the way back is lost");
        }
    }

    fn finished(&self, device: &mut Device<WORD, PAGE, L>) {
        assert!(matches!(device.boot(), Boot::Run(_)));
        let state = device.state_of(self.component);
        assert_eq!((state.active.map(|image| image.sequence), state.floor), (Some(2), 2));
        let is_there = match self.component {
            Component::Firmware => device.running(self.new.len()) == self.new,
            Component::Table => device.found_table().as_ref() == Some(&self.new),
        };
        assert!(is_there, "release 2 is not there");
    }
}
