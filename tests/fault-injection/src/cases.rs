//! The cases: a device, what was forged of it, and the image that it may run.

use anyhow::{Context as _, Result};
use bootloader::layout::{Layout, Slot};
use bootloader::state::ImageRecord;
use device_harness::factory::{
    Factory, authenticated, authentication_key, description, image, provisioning_block,
    provisioning_block_with,
};
use qemu_mps2_support::{AN386_LAYOUT, in_place_layout_of, layout::AN386};
use suit_manifest::author::inspect;
use update_protocol::profile::Object;

use crate::subject::{Believes, Subject};

mod in_place;
mod own_key;
mod signed;
mod tables;

/// Bytes of each image: with its head, two pages.
const IMAGE_LEN: usize = 2600;
/// Bytes of a MAC.
const MAC_LEN: usize = 32;
/// Of the device.
const SERIAL: &str = "A-0001";
/// Bytes of an Ed25519 signature.
const SIGNATURE_LEN: usize = 64;

/// A case under attack.
pub(crate) struct Case {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What was forged.
    pub(crate) about: &'static str,
    /// The loader that is attacked.
    pub(crate) strategy: Strategy,
    /// The function with whose first call the attack begins; `None`: with the reset.
    pub(crate) since: Option<&'static str>,
    make: Make,
}

/// How a loader brings an image to where it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Strategy {
    Swap,
    InPlace,
    /// As [`Strategy::Swap`], in a device that believes its own key.
    OwnKey,
    /// The same with a table beside its firmware, and one file.
    Tabled,
}

impl Strategy {
    const fn layout(self) -> Layout {
        match self {
            Self::Swap | Self::OwnKey | Self::Tabled => AN386_LAYOUT,
            Self::InPlace => in_place_layout_of(&AN386),
        }
    }

    const fn believes(self) -> Believes {
        match self {
            Self::Swap | Self::InPlace => Believes::Roots,
            Self::OwnKey => Believes::OwnKey,
            Self::Tabled => Believes::OwnKeyTabled,
        }
    }
}

/// A device that is ready to be attacked.
pub(crate) struct Prepared {
    pub(crate) subject: Subject,
    /// The image that may run, and its slot; `None`: nothing may.
    pub(crate) allowed: Option<(Slot, Vec<u8>)>,
    /// The table that may be handed over; `None`: none.
    pub(crate) allowed_table: Option<Vec<u8>>,
}

impl Prepared {
    fn new(subject: Subject, allowed: Option<(Slot, Vec<u8>)>) -> Self {
        Self { subject, allowed, allowed_table: None }
    }
}

/// All cases.
pub(crate) const CASES: [Case; 21] = [
    swap("flipped-image", "one bit of the active image", signed::flipped_image),
    swap("forged-signature", "one bit of the signature in the active head", signed::forged_signature),
    swap(
        "forged-manifest",
        "another manifest under the genuine signature, with its image",
        signed::forged_manifest,
    ),
    swap(
        "forged-head",
        "a manifest and its image that the key never signed, and their digest in the journal",
        signed::forged_head,
    ),
    swap(
        "forged-credential",
        "a credential that the root never signed, its release, and their digest in the journal",
        signed::forged_credential,
    ),
    swap("revoked-pending", "a pending release whose key was revoked since", signed::revoked_pending),
    swap("lower-pending", "a pending release below the floor, in the journal", signed::lower_pending),
    swap("lower-active", "an active release below the floor, in the journal", signed::lower_active),
    swap("rollback", "nothing: the release before is in slot B", signed::rollback),
    in_place(
        "in-place-active",
        "in the slot that runs, an image that the key never signed, and its digest in the journal",
        in_place::forged_in_place,
    ),
    in_place(
        "in-place-pending",
        "in the other slot, a pending image that the key never signed, and its digest in the journal",
        in_place::forged_pending_in_place,
    ),
    own_key("forged-mac", "one bit of the MAC in the active head", own_key::forged_mac),
    own_key(
        "forged-own-head",
        "a manifest and its image that the device's key never authenticated, and their digest in the journal",
        own_key::forged_own_head,
    ),
    table("table-mac", "one bit of the MAC in the head of the active table", tables::forged_mac),
    table(
        "table-head",
        "a table that the device's key never authenticated, and its digest in the journal",
        tables::forged_head,
    ),
    table("table-lower", "an active table below its floor, in the journal", tables::lower_active),
    table("table-lower-pending", "a pending table below its floor, in the journal", tables::lower_pending),
    table("table-class", "a genuine table for another class, in the journal", tables::another_class),
    Case {
        name: "both-table",
        about: "one bit of the table of a pending release of both",
        strategy: Strategy::Tabled,
        since: Some("with_its_part"),
        make: tables::flipped_table_of_both,
    },
    Case {
        name: "both-firmware",
        about: "one bit of the firmware of a pending release of both",
        strategy: Strategy::Tabled,
        since: None,
        make: tables::flipped_firmware_of_both,
    },
    Case {
        name: "file-pending",
        about: "one bit of a pending image that came as one file",
        strategy: Strategy::Tabled,
        since: None,
        make: tables::flipped_file,
    },
];

type Make = fn(&History) -> Result<Prepared>;

const fn swap(name: &'static str, about: &'static str, make: Make) -> Case {
    Case { name, about, strategy: Strategy::Swap, since: None, make }
}

const fn in_place(name: &'static str, about: &'static str, make: Make) -> Case {
    Case { name, about, strategy: Strategy::InPlace, since: None, make }
}

const fn own_key(name: &'static str, about: &'static str, make: Make) -> Case {
    Case { name, about, strategy: Strategy::OwnKey, since: None, make }
}

/// Of a table, which comes after the firmware: what runs before was attacked with that.
const fn table(name: &'static str, about: &'static str, make: Make) -> Case {
    Case { name, about, strategy: Strategy::Tabled, since: Some("settle_with_table"), make }
}

impl Case {
    /// Makes the device and holds it against the loader library: it must refuse the forged thing.
    pub(crate) fn prepare(&self) -> Result<Prepared> {
        let history = History::with_images(self.strategy, IMAGE_LEN);
        let prepared = history.and_then(|history| (self.make)(&history));
        let prepared = prepared.with_context(|| format!("cannot prepare the case {}", self.name))?;
        let clean = prepared.subject.with(prepared.subject.memory());
        let mailbox = clean.settle()?;
        let runs = mailbox.is_some();
        let expected = match &prepared.allowed {
            Some((slot, image)) => clean.runs((*slot, image))?,
            None => true,
        };
        let table = mailbox.filter(|_| clean.is_tabled()).map(|mailbox| clean.table(&mailbox)).transpose()?;
        let expected = expected && table.flatten() == prepared.allowed_table;
        anyhow::ensure!(
            runs == prepared.allowed.is_some() && expected,
            "the loader library boots the forged part of the case {}",
            self.name
        );
        Ok(prepared)
    }
}

/// A device that nobody has attacked: it runs its second release, of so many bytes, and has a revocation list.
pub(crate) fn confirmed(strategy: Strategy, image_len: usize) -> Result<Subject> {
    History::with_images(strategy, image_len)?.device()
}

/// A manufacturer and three releases.
struct History {
    factory: Factory,
    layout: Layout,
    believes: Believes,
    /// Linked for slot A, and for slot B, which are the same where images are swapped.
    images: [[Vec<u8>; 2]; 3],
}

impl History {
    fn with_images(strategy: Strategy, len: usize) -> Result<Self> {
        let (layout, believes) = (strategy.layout(), strategy.believes());
        let top = layout.ram().end().context("RAM has no end")?;
        let make = |fill| [Slot::A, Slot::B].map(|slot| image(len, fill, layout.run_address(slot), top));
        Ok(Self { factory: Factory::new(1), layout, believes, images: [0x11, 0x22, 0x33].map(make) })
    }

    /// The image of a release in a slot.
    fn image(&self, release: usize, slot: Slot) -> &[u8] {
        &self.images[release - 1][usize::from(self.layout.component_slot(slot) != 0)]
    }

    /// The envelope of a release with this number.
    fn envelope(&self, sequence: u64, release: usize) -> Vec<u8> {
        let [first, second] = &self.images[release - 1];
        if self.believes != Believes::Roots {
            authenticated(&description(sequence, first), &authentication_key(SERIAL))
        } else if self.layout.swaps() {
            self.factory.envelope(sequence, first)
        } else {
            self.factory.envelope_for_slots(sequence, [first, second])
        }
    }

    /// The same, of which the signature is that of release 2.
    fn forged(&self, sequence: u64, release: usize) -> Result<Vec<u8>> {
        let (own, genuine) = (self.envelope(sequence, release), self.envelope(2, 2));
        with_signature_of(&own, &signed(&own)?, &signed(&genuine)?)
    }

    /// A device that runs release 2, confirmed, with a revocation list and release 1 in slot B.
    fn device(&self) -> Result<Subject> {
        let subject = Subject::new(self.layout, self.believes);
        let block = match self.believes {
            Believes::Roots => provisioning_block(&[self.factory.anchor()], None),
            Believes::OwnKey | Believes::OwnKeyTabled => {
                provisioning_block_with(&[], None, &[authentication_key(SERIAL)])
            }
        };
        subject.send(&[(Object::ProvisioningBlock, &block)])?;
        for (sequence, release) in [(1, 1), (2, 2)] {
            let slot = subject.state()?.spare_slot(&self.layout);
            subject.update(&self.envelope(sequence, release), self.image(release, slot))?;
        }
        if self.believes == Believes::Roots {
            subject.send(&[(Object::RevocationList, &self.factory.revocation_list(1, &[]))])?;
        }
        Ok(subject)
    }

    fn first(&self) -> &[u8] {
        self.image(1, Slot::A)
    }

    fn second(&self) -> &[u8] {
        self.image(2, Slot::A)
    }

    fn third(&self) -> &[u8] {
        self.image(3, Slot::A)
    }

    /// A device with `envelope` and `image` in slot A, and a journal that calls them active.
    fn with_active(&self, envelope: &[u8], image: &[u8], sequence: u64) -> Result<Subject> {
        let subject = self.device()?;
        subject.place(Slot::A, envelope, image)?;
        let record = record(envelope, image, sequence)?;
        subject.forge(|state| state.active = Some(record))?;
        Ok(subject)
    }
}

fn record(envelope: &[u8], image: &[u8], sequence: u64) -> Result<ImageRecord> {
    let manifest_digest = *inspect(envelope)?.digest();
    Ok(ImageRecord { manifest_digest, sequence, size: u32::try_from(image.len())? })
}

/// `envelope` with the signature of `sign1` exchanged for that of `other`, which signs something else.
fn with_signature_of(envelope: &[u8], sign1: &[u8], other: &[u8]) -> Result<Vec<u8>> {
    let signature = |sign1: &[u8]| sign1.last_chunk::<SIGNATURE_LEN>().copied();
    let (old, new) = signature(sign1).zip(signature(other)).context("no signature")?;
    let at = envelope.windows(SIGNATURE_LEN).position(|bytes| bytes == old).context("no signature")?;
    let mut forged = envelope.to_vec();
    forged[at..at + SIGNATURE_LEN].copy_from_slice(&new);
    Ok(forged)
}

fn signed(envelope: &[u8]) -> Result<Vec<u8>> {
    Ok(inspect(envelope)?.sign1().context("the envelope has no signature")?.to_vec())
}
