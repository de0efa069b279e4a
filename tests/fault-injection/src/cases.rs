//! The cases: a device, what was forged of it, and the image that it may run.

use anyhow::{Context as _, Result};
use bootloader::layout::{Layout, Slot};
use bootloader::state::{ImageRecord, Status};
use device_harness::factory::{
    Factory, authenticated, authentication_key, description, image, provisioning_block,
    provisioning_block_with,
};
use qemu_mps2_support::{AN386_LAYOUT, in_place_layout_of, layout::AN386};
use sha2::{Digest as _, Sha256};
use suit_manifest::author::{create, inspect};
use update_protocol::profile::Object;

use crate::subject::{Believes, Subject};

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
    swap("flipped-image", "one bit of the active image", flipped_image),
    swap("forged-signature", "one bit of the signature in the active head", forged_signature),
    swap("forged-manifest", "another manifest under the genuine signature, with its image", forged_manifest),
    swap(
        "forged-head",
        "a manifest and its image that the key never signed, and their digest in the journal",
        forged_head,
    ),
    swap(
        "forged-credential",
        "a credential that the root never signed, its release, and their digest in the journal",
        forged_credential,
    ),
    swap("revoked-pending", "a pending release whose key was revoked since", revoked_pending),
    swap("lower-pending", "a pending release below the floor, in the journal", lower_pending),
    swap("lower-active", "an active release below the floor, in the journal", lower_active),
    swap("rollback", "nothing: the release before is in slot B", rollback),
    in_place(
        "in-place-active",
        "in the slot that runs, an image that the key never signed, and its digest in the journal",
        forged_in_place,
    ),
    in_place(
        "in-place-pending",
        "in the other slot, a pending image that the key never signed, and its digest in the journal",
        forged_pending_in_place,
    ),
    own_key("forged-mac", "one bit of the MAC in the active head", forged_mac),
    own_key(
        "forged-own-head",
        "a manifest and its image that the device's key never authenticated, and their digest in the journal",
        forged_own_head,
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

fn flipped_image(history: &History) -> Result<Prepared> {
    let subject = history.device()?;
    subject.flip(Slot::A, history.layout.head_len() + 100, 3);
    Ok(Prepared::new(subject, None))
}

fn forged_signature(history: &History) -> Result<Prepared> {
    let subject = history.device()?;
    let envelope = history.factory.envelope(2, history.second());
    let sign1 = signed(&envelope)?;
    let at = envelope.windows(sign1.len()).position(|bytes| bytes == sign1).context("no signature")?;
    // The signature ends the COSE_Sign1: R, then S.
    subject.flip(Slot::A, u32::try_from(at + sign1.len() - SIGNATURE_LEN)?, 0);
    Ok(Prepared::new(subject, None))
}

/// Where the MAC of an envelope lies: it ends the COSE_Mac0.
fn mac_of(envelope: &[u8]) -> Result<usize> {
    let mac0 = inspect(envelope)?.mac0().context("the envelope has no MAC")?;
    let at = envelope.windows(mac0.len()).position(|bytes| bytes == mac0).context("no MAC")?;
    Ok(at + mac0.len() - MAC_LEN)
}

fn forged_mac(history: &History) -> Result<Prepared> {
    let subject = history.device()?;
    let at = mac_of(&history.envelope(2, 2))?;
    subject.flip(Slot::A, u32::try_from(at)?, 0);
    Ok(Prepared::new(subject, None))
}

fn forged_own_head(history: &History) -> Result<Prepared> {
    let (mut envelope, genuine) = (history.envelope(2, 3), history.envelope(2, 2));
    let (to, from) = (mac_of(&envelope)?, mac_of(&genuine)?);
    envelope[to..to + MAC_LEN].copy_from_slice(&genuine[from..from + MAC_LEN]);
    let subject = history.with_active(&envelope, history.third(), 2)?;
    Ok(Prepared::new(subject, None))
}

fn forged_manifest(history: &History) -> Result<Prepared> {
    let genuine = history.factory.envelope(2, history.second());
    let forged = create(&description(2, history.third()))?;
    // The digest and the signature of the one, the manifest of the other.
    let envelope = splice(&genuine, &forged)?;
    let subject = history.device()?;
    subject.place(Slot::A, &envelope, history.third())?;
    Ok(Prepared::new(subject, None))
}

/// `genuine` with the manifest of `forged`.
fn splice(genuine: &[u8], forged: &[u8]) -> Result<Vec<u8>> {
    let (ours, theirs) = (manifest(genuine)?, manifest(forged)?);
    let at = genuine.windows(ours.len()).position(|window| window == ours).context("no manifest")?;
    anyhow::ensure!(ours.len() == theirs.len(), "the manifests differ in length");
    let mut envelope = genuine.to_vec();
    envelope[at..at + ours.len()].copy_from_slice(theirs);
    Ok(envelope)
}

/// The manifest of an envelope: the byte string, with its head, whose digest is signed.
fn manifest(envelope: &[u8]) -> Result<&[u8]> {
    let digest = *inspect(envelope)?.digest();
    let strings = (0..envelope.len()).filter_map(|start| {
        let len = match envelope.get(start..)? {
            [0x58, len, ..] => 2 + usize::from(*len),
            [0x59, high, low, ..] => 3 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => return None,
        };
        envelope.get(start..start + len)
    });
    let mut found = strings.filter(|bytes| <[u8; 32]>::from(Sha256::digest(bytes)) == digest);
    found.next().context("the envelope has no manifest")
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

fn forged_head(history: &History) -> Result<Prepared> {
    let envelope = history.forged(2, 3)?;
    let subject = history.with_active(&envelope, history.third(), 2)?;
    Ok(Prepared::new(subject, None))
}

fn forged_credential(history: &History) -> Result<Prepared> {
    let factory = &history.factory;
    let own = factory.with_new_release_key(7);
    let envelope = own.envelope(2, history.third());
    let envelope = with_signature_of(&envelope, own.credential(), factory.credential())?;
    let subject = history.with_active(&envelope, history.third(), 2)?;
    Ok(Prepared::new(subject, None))
}

fn revoked_pending(history: &History) -> Result<Prepared> {
    let subject = history.device()?;
    let stolen = history.factory.with_new_release_key(7);
    let envelope = stolen.envelope(3, history.third());
    subject.send(&[(Object::Envelope, &envelope), (Object::Image { offset: 0 }, history.third())])?;
    let list = history.factory.revocation_list(2, &[stolen.release_kid()]);
    subject.send(&[(Object::RevocationList, &list)])?;
    let state = subject.state()?;
    anyhow::ensure!(state.status == Status::Pending, "the release is not pending: {:?}", state.status);
    anyhow::ensure!(state.highest_list_sequence() == 2, "the list was not stored");
    Ok(Prepared::new(subject, Some((Slot::A, history.second().to_vec()))))
}

fn lower_pending(history: &History) -> Result<Prepared> {
    let subject = history.device()?;
    let envelope = history.factory.envelope(1, history.first());
    subject.place(Slot::B, &envelope, history.first())?;
    let record = record(&envelope, history.first(), 1)?;
    subject.forge(|state| {
        state.status = Status::Pending;
        state.spare = Some(record);
    })?;
    Ok(Prepared::new(subject, Some((Slot::A, history.second().to_vec()))))
}

fn lower_active(history: &History) -> Result<Prepared> {
    let envelope = history.factory.envelope(1, history.first());
    let subject = history.with_active(&envelope, history.first(), 1)?;
    Ok(Prepared::new(subject, None))
}

fn rollback(history: &History) -> Result<Prepared> {
    Ok(Prepared::new(history.device()?, Some((Slot::A, history.second().to_vec()))))
}

/// Release 2 runs in slot B.
fn forged_in_place(history: &History) -> Result<Prepared> {
    let (subject, envelope, image) = (history.device()?, history.forged(2, 3)?, history.image(3, Slot::B));
    anyhow::ensure!(subject.active_slot()? == Slot::B, "release 2 is not in slot B");
    subject.place(Slot::B, &envelope, image)?;
    let record = record(&envelope, image, 2)?;
    subject.forge(|state| state.active = Some(record))?;
    Ok(Prepared::new(subject, None))
}

fn forged_pending_in_place(history: &History) -> Result<Prepared> {
    let (subject, envelope, image) = (history.device()?, history.forged(3, 3)?, history.image(3, Slot::A));
    subject.place(Slot::A, &envelope, image)?;
    let record = record(&envelope, image, 3)?;
    subject.forge(|state| {
        state.status = Status::Pending;
        state.spare = Some(record);
    })?;
    Ok(Prepared::new(subject, Some((Slot::B, history.image(2, Slot::B).to_vec()))))
}
