//! The cases: a device, what was forged of it, and the image that it may run.

use anyhow::{Context as _, Result};
use bootloader::layout::Slot;
use bootloader::state::{ImageRecord, Status};
use device_harness::factory::{Factory, description, image, provisioning_block};
use qemu_mps2_support::AN386_LAYOUT as LAYOUT;
use sha2::{Digest as _, Sha256};
use suit_manifest::author::{create, inspect};
use update_protocol::profile::Object;

use crate::subject::Subject;

/// Bytes of each image: with its head, two pages.
const IMAGE_LEN: usize = 2600;
/// Bytes of an Ed25519 signature.
const SIGNATURE_LEN: usize = 64;

/// A case under attack.
pub(crate) struct Case {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What was forged.
    pub(crate) about: &'static str,
    make: fn(&History) -> Result<Prepared>,
}

/// A device that is ready to be attacked.
pub(crate) struct Prepared {
    pub(crate) subject: Subject,
    /// The image that may run; `None`: nothing may.
    pub(crate) allowed: Option<Vec<u8>>,
}

/// All cases.
pub(crate) const CASES: [Case; 9] = [
    Case { name: "flipped-image", about: "one bit of the active image", make: flipped_image },
    Case {
        name: "forged-signature",
        about: "one bit of the signature in the active head",
        make: forged_signature,
    },
    Case {
        name: "forged-manifest",
        about: "another manifest under the genuine signature, with its image",
        make: forged_manifest,
    },
    Case {
        name: "forged-head",
        about: "a manifest and its image that the key never signed, and their digest in the journal",
        make: forged_head,
    },
    Case {
        name: "forged-credential",
        about: "a credential that the root never signed, its release, and their digest in the journal",
        make: forged_credential,
    },
    Case {
        name: "revoked-pending",
        about: "a pending release whose key was revoked since",
        make: revoked_pending,
    },
    Case {
        name: "lower-pending",
        about: "a pending release below the floor, in the journal",
        make: lower_pending,
    },
    Case {
        name: "lower-active",
        about: "an active release below the floor, in the journal",
        make: lower_active,
    },
    Case { name: "rollback", about: "nothing: the release before is in slot B", make: rollback },
];

impl Case {
    /// Makes the device and holds it against the loader library: it must refuse the forged thing.
    pub(crate) fn prepare(&self) -> Result<Prepared> {
        let prepared = History::new().and_then(|history| (self.make)(&history));
        let prepared = prepared.with_context(|| format!("cannot prepare the case {}", self.name))?;
        let clean = Subject::of(prepared.subject.memory());
        let runs = clean.boot()?;
        let expected = prepared.allowed.as_ref().is_none_or(|image| clean.running(image.len()) == *image);
        anyhow::ensure!(
            runs == prepared.allowed.is_some() && expected,
            "the loader library boots the forged part of the case {}",
            self.name
        );
        Ok(prepared)
    }
}

/// A device that nobody has attacked: it runs its second release, of so many bytes, and has a revocation list.
pub(crate) fn confirmed(image_len: usize) -> Result<Subject> {
    History::with_images(image_len)?.device()
}

/// A manufacturer and two releases.
struct History {
    factory: Factory,
    images: [Vec<u8>; 3],
}

impl History {
    fn new() -> Result<Self> {
        Self::with_images(IMAGE_LEN)
    }

    fn with_images(len: usize) -> Result<Self> {
        let ram = LAYOUT.ram();
        let top = ram.end().context("RAM has no end")?;
        let make = |fill| image(len, fill, LAYOUT.image_address(), top);
        Ok(Self { factory: Factory::new(1), images: [make(0x11), make(0x22), make(0x33)] })
    }

    /// A device that runs release 2, confirmed, with a revocation list and release 1 in slot B.
    fn device(&self) -> Result<Subject> {
        let subject = Subject::new();
        let block = provisioning_block(&[self.factory.anchor()], None);
        subject.send(&[(Object::ProvisioningBlock, &block)])?;
        for (sequence, image) in (1..).zip(&self.images[..2]) {
            subject.update(&self.factory.envelope(sequence, image), image)?;
        }
        subject.send(&[(Object::RevocationList, &self.factory.revocation_list(1, &[]))])?;
        Ok(subject)
    }

    fn first(&self) -> &[u8] {
        &self.images[0]
    }

    fn second(&self) -> &[u8] {
        &self.images[1]
    }

    fn third(&self) -> &[u8] {
        &self.images[2]
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
    subject.flip(Slot::A, LAYOUT.head_len() + 100, 3);
    Ok(Prepared { subject, allowed: None })
}

fn forged_signature(history: &History) -> Result<Prepared> {
    let subject = history.device()?;
    let envelope = history.factory.envelope(2, history.second());
    let sign1 = signed(&envelope)?;
    let at = envelope.windows(sign1.len()).position(|bytes| bytes == sign1).context("no signature")?;
    // The signature ends the COSE_Sign1: R, then S.
    subject.flip(Slot::A, u32::try_from(at + sign1.len() - SIGNATURE_LEN)?, 0);
    Ok(Prepared { subject, allowed: None })
}

fn forged_manifest(history: &History) -> Result<Prepared> {
    let genuine = history.factory.envelope(2, history.second());
    let forged = create(&description(2, history.third()))?;
    // The digest and the signature of the one, the manifest of the other.
    let envelope = splice(&genuine, &forged)?;
    let subject = history.device()?;
    subject.place(Slot::A, &envelope, history.third())?;
    Ok(Prepared { subject, allowed: None })
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
    let factory = &history.factory;
    let (own, genuine) = (factory.envelope(2, history.third()), factory.envelope(2, history.second()));
    let envelope = with_signature_of(&own, &signed(&own)?, &signed(&genuine)?)?;
    let subject = history.with_active(&envelope, history.third(), 2)?;
    Ok(Prepared { subject, allowed: None })
}

fn forged_credential(history: &History) -> Result<Prepared> {
    let factory = &history.factory;
    let own = factory.with_new_release_key(7);
    let envelope = own.envelope(2, history.third());
    let envelope = with_signature_of(&envelope, own.credential(), factory.credential())?;
    let subject = history.with_active(&envelope, history.third(), 2)?;
    Ok(Prepared { subject, allowed: None })
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
    Ok(Prepared { subject, allowed: Some(history.second().to_vec()) })
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
    Ok(Prepared { subject, allowed: Some(history.second().to_vec()) })
}

fn lower_active(history: &History) -> Result<Prepared> {
    let envelope = history.factory.envelope(1, history.first());
    let subject = history.with_active(&envelope, history.first(), 1)?;
    Ok(Prepared { subject, allowed: None })
}

fn rollback(history: &History) -> Result<Prepared> {
    Ok(Prepared { subject: history.device()?, allowed: Some(history.second().to_vec()) })
}
