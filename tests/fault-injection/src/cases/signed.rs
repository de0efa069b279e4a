//! What is forged of a device that believes its roots and swaps its images.

use anyhow::{Context as _, Result};
use bootloader::layout::Slot;
use bootloader::state::Status;
use device_harness::factory::description;
use sha2::{Digest as _, Sha256};
use suit_manifest::author::{create, inspect};
use update_protocol::profile::Object;

use super::{History, Prepared, SIGNATURE_LEN, record, signed, with_signature_of};

pub(super) fn flipped_image(history: &History) -> Result<Prepared> {
    let subject = history.device()?;
    subject.flip(Slot::A, history.layout.head_len() + 100, 3);
    Ok(Prepared::new(subject, None))
}

pub(super) fn forged_signature(history: &History) -> Result<Prepared> {
    let subject = history.device()?;
    let envelope = history.factory.envelope(2, history.second());
    let sign1 = signed(&envelope)?;
    let at = envelope.windows(sign1.len()).position(|bytes| bytes == sign1).context("no signature")?;
    // The signature ends the COSE_Sign1: R, then S.
    subject.flip(Slot::A, u32::try_from(at + sign1.len() - SIGNATURE_LEN)?, 0);
    Ok(Prepared::new(subject, None))
}

pub(super) fn forged_manifest(history: &History) -> Result<Prepared> {
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

pub(super) fn forged_head(history: &History) -> Result<Prepared> {
    let envelope = history.forged(2, 3)?;
    let subject = history.with_active(&envelope, history.third(), 2)?;
    Ok(Prepared::new(subject, None))
}

pub(super) fn forged_credential(history: &History) -> Result<Prepared> {
    let factory = &history.factory;
    let own = factory.with_new_release_key(7);
    let envelope = own.envelope(2, history.third());
    let envelope = with_signature_of(&envelope, own.credential(), factory.credential())?;
    let subject = history.with_active(&envelope, history.third(), 2)?;
    Ok(Prepared::new(subject, None))
}

pub(super) fn revoked_pending(history: &History) -> Result<Prepared> {
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

pub(super) fn lower_pending(history: &History) -> Result<Prepared> {
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

pub(super) fn lower_active(history: &History) -> Result<Prepared> {
    let envelope = history.factory.envelope(1, history.first());
    let subject = history.with_active(&envelope, history.first(), 1)?;
    Ok(Prepared::new(subject, None))
}

pub(super) fn rollback(history: &History) -> Result<Prepared> {
    Ok(Prepared::new(history.device()?, Some((Slot::A, history.second().to_vec()))))
}
