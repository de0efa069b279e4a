//! Decrypts an image while it comes (draft-ietf-suit-firmware-encryption section 4.2): the ciphertext is nowhere but in the
//! request that brings it, and the plaintext nowhere but in the slot.
//!
//! After a reset, the key stream goes on at the byte where the image is continued. The sums over the ciphertext, of GCM
//! and of its digest, are derived again: what is in the slot is encrypted once more (docs/decisions/0090). Nothing that
//! depends on a key is in flash, but for the keys of the device in its provisioning block.

use embedded_storage::nor_flash::NorFlash;
use firmware_image::VECTORS_LEN;
use suit_manifest::Reason;
use suit_manifest::profile::Decrypting;
use trust::encryption::{Decryption, EncryptionInfo};
use trust::gcm::TAG_LEN;
use trust::hash::Sha256;

use super::{Found, Receives};
use crate::flash::{Flash, HasLayout};
use crate::layout::{Slot, UNIT};
use crate::provisioning;
use crate::refusal::Refusal;
use crate::revocation::ListBuffer;
use crate::verify::read_image;

/// Bytes decrypted at a time. The key is expanded for each piece: 15 % of the time at 128 bytes, 4 % at these.
pub const DECRYPTED_LEN: usize = 16 * UNIT;

/// An encrypted image that comes.
#[derive(Debug)]
pub struct Encrypted {
    /// At the first byte.
    start: Decryption,
    /// At the next byte.
    stream: Decryption,
    /// Over what has come.
    hash: Sha256,
    /// Digest of the ciphertext, its tag included, as the manifest has it.
    digest: [u8; 32],
    tag: [u8; TAG_LEN],
    tag_received: usize,
}

impl Receives for Decrypting {
    /// `None`: the image is not encrypted.
    type Incoming = Option<Encrypted>;

    #[inline(never)]
    fn accept<F: NorFlash, L: HasLayout>(
        flash: &mut Flash<F, L>,
        set: u16,
        buffer: &mut ListBuffer,
        (image, decryption): &Found<'_, Self>,
        incoming: &mut Option<Encrypted>,
    ) -> Result<(), Refusal> {
        let Some(decrypted) = decryption else { return Ok(()) };
        let info = EncryptionInfo::read(decrypted.info)?;
        let start = decryption_for(flash, set, buffer, &info)?;
        let stream = start.clone();
        let (hash, digest) = (Sha256::new(), *image.digest.sha256());
        *incoming = Some(Encrypted { start, stream, hash, digest, tag: [0; TAG_LEN], tag_received: 0 });
        Ok(())
    }

    fn tag_len(incoming: &Option<Encrypted>) -> u32 {
        incoming.as_ref().map_or(0, |encrypted| len_of(encrypted.start.tag_len()))
    }

    fn tag_received(incoming: &Option<Encrypted>) -> u32 {
        incoming.as_ref().map_or(0, |encrypted| len_of(encrypted.tag_received))
    }

    #[inline(never)]
    fn begin<F: NorFlash, L: HasLayout>(
        incoming: &mut Option<Encrypted>,
        flash: &mut Flash<F, L>,
        slot: Slot,
        offset: u32,
    ) -> Result<(), Refusal> {
        let Some(Encrypted { start, stream, hash, tag_received, .. }) = incoming else { return Ok(()) };
        (*stream, *hash, *tag_received) = (start.clone(), Sha256::new(), 0);
        read_image(flash, slot, offset, |part| {
            stream.derive_again(part);
            hash.update(part);
        })
    }

    fn first(incoming: &Option<Encrypted>, received: &[u8; VECTORS_LEN]) -> [u8; VECTORS_LEN] {
        let mut first = *received;
        if let Some(encrypted) = incoming {
            encrypted.stream.clone().decrypt(&mut first);
        }
        first
    }

    fn take(
        incoming: &mut Option<Encrypted>,
        data: &[u8],
        left: u32,
        mut write: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let Some(Encrypted { stream, hash, tag, tag_received, .. }) = incoming else { return write(data) };
        hash.update(data);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let (content, behind) = data.split_at_checked(left).unwrap_or((data, &[]));
        for part in content.chunks(DECRYPTED_LEN) {
            let mut buffer = [0; DECRYPTED_LEN];
            let Some(plain) = buffer.get_mut(..part.len()) else { continue };
            plain.copy_from_slice(part);
            stream.decrypt(plain);
            write(plain)?;
        }
        for (to, from) in tag.iter_mut().skip(*tag_received).zip(behind) {
            *to = *from;
        }
        *tag_received = tag_received.saturating_add(behind.len());
        Ok(())
    }

    #[inline(never)]
    fn verify(incoming: &Option<Encrypted>) -> Result<(), Refusal> {
        let Some(encrypted) = incoming else { return Ok(()) };
        let tag = encrypted.tag.get(..encrypted.start.tag_len()).unwrap_or_default();
        encrypted.stream.clone().verify(tag)?;
        if encrypted.hash.clone().finish() != encrypted.digest {
            return Err(Reason::ImageDigestMismatch.into());
        }
        Ok(())
    }
}

/// The content key, unwrapped with the key of this device.
#[inline(never)]
fn decryption_for<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    set: u16,
    buffer: &mut ListBuffer,
    info: &EncryptionInfo<'_>,
) -> Result<Decryption, Refusal> {
    let keys = provisioning::keys(flash, set, buffer)?;
    let (kid, key) = keys.update().ok_or(Refusal::of(Reason::DeviceKeyUnknown))?;
    let content_key = info.content_key(&kid.0, &key)?;
    Ok(info.decryption(&content_key))
}

fn len_of(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
