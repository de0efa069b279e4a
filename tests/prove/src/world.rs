//! All that a manufacturer makes for a device: what it is provisioned with, its lists, its firmware and its tables.

use bootloader::COMMIT_INTERVAL;
use bootloader::layout::{Layout, Slot};
use bootloader::state::BootState;
use device_harness::device::{DeviceOf, Part, Placed};
use device_harness::factory::{
    ContentAlgorithm, Factory, description, device_key, encrypted, in_one_file, one_file,
    provisioning_block_with, table_description,
};
use suit_manifest::author::UpdateDescription;
use suit_manifest::profile::Installs as _;
use update_protocol::profile::Component;

use crate::life::Step;

/// Serial of the device.
const SERIAL: &str = "A-0001";

/// A signed image, or a table.
#[derive(Clone)]
pub struct Release {
    pub component: Component,
    pub sequence: u64,
    /// As it lies in its slot.
    pub envelope: Vec<u8>,
    /// For slot A, and for slot B where images run in either.
    images: [Vec<u8>; 2],
    pub sent: Sent,
}

/// What a host sends of a release.
#[derive(Clone)]
pub enum Sent {
    /// The envelope, then the image.
    Image,
    /// The envelope, then this ciphertext.
    Ciphertext(Vec<u8>),
    /// One file; one that was cut off begins anew, or a host continues it with the rest of this content.
    File { file: Vec<u8>, continued: Option<Vec<u8>> },
}

impl Release {
    /// The image that is linked for this slot of a device.
    pub fn image(&self, layout: &Layout, slot: Slot) -> &[u8] {
        &self.images[usize::from(layout.component_slot(slot) != 0)]
    }

    /// The table, which is the same in both slots.
    pub fn table(&self) -> &[u8] {
        &self.images[0]
    }
}

/// Sequence numbers of releases: those of the steps, those that wear the journal, and those that rescue a device.
const SEQUENCES: [u64; 4] = [1, 2, 3, 4];
const OF_TURNOVERS: std::ops::Range<u64> = 10..40;
const OF_RESCUES: std::ops::Range<u64> = 90..94;
/// The one that comes as one file, the one that comes beside a table, and an encrypted file that a host continues.
const OF_A_FILE: u64 = 5;
const BESIDE: u64 = 6;
const CONTINUED: u64 = 7;
/// Tables that a cut may leave half committed.
const LONG_TABLES: [u64; 2] = [2, 4];

/// Whether a release of this number rescues a device.
pub fn is_rescue(sequence: u64) -> bool {
    OF_RESCUES.contains(&sequence)
}

pub struct World {
    pub block: Vec<u8>,
    /// The first one is stored before everything else.
    pub lists: [Vec<u8>; 2],
    releases: Vec<Release>,
    tables: Vec<Release>,
}

impl World {
    pub fn new<P: Part, L: Placed>(device: &DeviceOf<P, L>) -> Self {
        let factory = Factory::new(1);
        let holders = [7, 8].map(|number| factory.with_new_release_key(number).release_kid());
        let keys = if L::Profile::DECRYPTS { vec![device_key(SERIAL)] } else { Vec::new() };
        let numbers =
            SEQUENCES.into_iter().chain([OF_A_FILE, BESIDE, CONTINUED]).chain(OF_TURNOVERS).chain(OF_RESCUES);
        Self {
            block: provisioning_block_with(&[factory.anchor()], None, &keys),
            lists: [factory.revocation_list(1, &holders[..1]), factory.revocation_list(2, &holders)],
            releases: numbers.map(|sequence| firmware(&factory, device, sequence)).collect(),
            tables: if L::from(device.layout).table().is_some() {
                (1..=5).map(|sequence| table(&factory, device, sequence)).collect()
            } else {
                Vec::new()
            },
        }
    }

    /// The newest list that a device in this state has.
    pub fn list(&self, state: &BootState) -> Option<&[u8]> {
        let number = usize::try_from(state.domains[0].list_sequence).ok()?;
        self.lists.get(number.checked_sub(1)?).map(Vec::as_slice)
    }

    pub fn release(&self, sequence: u64) -> Option<&Release> {
        self.releases.iter().find(|release| release.sequence == sequence)
    }

    pub fn table(&self, sequence: u64) -> Option<&Release> {
        self.tables.iter().find(|table| table.sequence == sequence)
    }

    /// The releases that a device takes one after the other when it is worn or has nothing to run.
    pub fn rescues(&self) -> impl Iterator<Item = &Release> {
        self.releases.iter().filter(|release| is_rescue(release.sequence))
    }

    /// The releases of which a turnover takes as many as it needs.
    pub fn turnovers(&self) -> impl Iterator<Item = &Release> {
        self.releases.iter().filter(|release| OF_TURNOVERS.contains(&release.sequence))
    }

    /// The firmware that a step brings.
    pub fn release_of(&self, step: Step) -> Option<&Release> {
        let sequence = match step {
            Step::Provision
            | Step::List
            | Step::Turnover
            | Step::TableFirst
            | Step::TableUpdate
            | Step::TableRevert
            | Step::TableFile => return None,
            Step::First => 1,
            Step::Update => 2,
            Step::Revert => 3,
            Step::Abandon => 4,
            Step::File => OF_A_FILE,
            Step::Continued => CONTINUED,
            Step::Beside => BESIDE,
        };
        self.release(sequence)
    }

    /// The table that a step brings.
    pub fn table_of(&self, step: Step) -> Option<&Release> {
        let sequence = match step {
            Step::Provision
            | Step::First
            | Step::Update
            | Step::List
            | Step::Revert
            | Step::Abandon
            | Step::Turnover
            | Step::File
            | Step::Continued => return None,
            Step::TableFirst => 1,
            Step::TableUpdate => 2,
            Step::TableRevert => 3,
            Step::TableFile => 4,
            Step::Beside => 5,
        };
        self.table(sequence)
    }
}

/// A short one takes the place of a longer one and the reverse; no length ends with a page or word.
fn len<P: Part, L: Placed>(device: &DeviceOf<P, L>, sequence: u64) -> usize {
    let page = device.layout.page() as usize;
    if sequence.is_multiple_of(2) { page + 21 } else { page / 2 + 13 }
}

/// One that goes on behind its first commit, if it was cut there.
fn long<P: Part, L: Placed>(device: &DeviceOf<P, L>, sequence: u64) -> usize {
    let committed = COMMIT_INTERVAL.max(device.layout.page()) as usize;
    committed + 61 * usize::try_from(sequence).expect("few")
}

fn firmware<P: Part, L: Placed>(factory: &Factory, device: &DeviceOf<P, L>, sequence: u64) -> Release {
    let capacity = device.layout.image_capacity() as usize;
    let is_file = [OF_A_FILE, CONTINUED].contains(&sequence);
    let len = if is_file { long(device, sequence) } else { len(device, sequence) };
    let fill = sequence.to_le_bytes()[0] ^ 0x55;
    // The image for the other slot has another length, too.
    let images = [(Slot::A, len), (Slot::B, len + 3)]
        .map(|(slot, len)| device.image_for(slot, len.min(capacity), fill));
    let [first, second] = &images;
    let component = Component::Firmware;
    if sequence == OF_A_FILE {
        let envelope = factory.envelope_of(&in_one_file(&description(sequence, first)));
        let sent = Sent::File { file: one_file(&envelope, first), continued: None };
        return Release { component, sequence, envelope, images, sent };
    }
    if sequence == CONTINUED {
        let (envelope, sent) = encrypted_file(factory, &description(sequence, first), first);
        return Release { component, sequence, envelope, images, sent };
    }
    let envelope = match device.layout.component_slot(Slot::B) {
        0 => factory.envelope(sequence, first),
        _ => factory.envelope_for_slots(sequence, [first, second]),
    };
    Release { component, sequence, envelope, images, sent: Sent::Image }
}

/// One file that this device alone can read, and whose bytes a tag seals.
fn encrypted_file(factory: &Factory, plain: &UpdateDescription, bytes: &[u8]) -> (Vec<u8>, Sent) {
    let (update, content) = encrypted(plain, bytes, ContentAlgorithm::A128Gcm, &[device_key(SERIAL)]);
    let envelope = factory.envelope_of(&in_one_file(&update));
    let file = one_file(&envelope, &content);
    (envelope, Sent::File { file, continued: Some(content) })
}

/// The first and the third one are plain, the fourth one comes as one file.
fn table<P: Part, L: Placed>(factory: &Factory, device: &DeviceOf<P, L>, sequence: u64) -> Release {
    let is_long = LONG_TABLES.contains(&sequence);
    let len = if is_long { long(device, sequence) } else { len(device, sequence) };
    let table = vec![sequence.to_le_bytes()[0] ^ 0xAA; len];
    let (component, plain) = (Component::Table, table_description(sequence, &table));
    let keys = [device_key(SERIAL)];
    let release =
        |envelope, sent| Release { component, sequence, envelope, images: [table.clone(), Vec::new()], sent };
    match sequence {
        1 | 3 => release(factory.envelope_of(&plain), Sent::Image),
        4 => {
            let (envelope, sent) = encrypted_file(factory, &plain, &table);
            release(envelope, sent)
        }
        _ => {
            let (update, content) = encrypted(&plain, &table, ContentAlgorithm::A128Ctr, &keys);
            release(factory.envelope_of(&update), Sent::Ciphertext(content))
        }
    }
}
