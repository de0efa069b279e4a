//! The answers to the command processor: the identity of the device, and the content of one of its slots.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::profile::Installs;
use suit_manifest::{ComponentId, Digest, Platform, PlatformError, Reason, Target, Wanted};
use trust::hash::Sha256;

use crate::flash::{Flash, HasLayout};
use crate::layout::{Area, Slot, UNIT, offset_of};
use crate::provisioning::Identity;
use crate::refusal::Refusal;

/// Bytes hashed at a time.
const CHUNK: usize = 8 * UNIT;
const CHUNK_LEN: u32 = offset_of(CHUNK);

/// An image that an image-match hashed and found.
#[derive(Clone, Copy)]
pub(crate) struct Examined {
    /// SHA-256 of the bytes in flash.
    pub(crate) computed: [u8; 32],
    /// The digest that the manifest gives.
    pub(crate) demanded: [u8; 32],
}

/// The device, with the component `["app"]`, or `["table"]`, lying in one slot, or yet to come there. A walk asks for the
/// bytes of that one alone.
pub(crate) struct SlotPlatform<'p, F, L> {
    flash: &'p mut Flash<F, L>,
    identity: &'p Identity,
    slot: Slot,
    /// The image that was hashed last and matched: the walk invokes none but that one. `None`: as if the image had come.
    examined: Option<&'p mut Option<Examined>>,
}

impl<'p, F: NorFlash, L: HasLayout> SlotPlatform<'p, F, L> {
    pub(crate) fn new(
        flash: &'p mut Flash<F, L>,
        identity: &'p Identity,
        slot: Slot,
        examined: Option<&'p mut Option<Examined>>,
    ) -> Self {
        Self { flash, identity, slot, examined }
    }

    /// What a walk over this slot goes for.
    pub(crate) fn goal(&self) -> <L::Profile as Installs>::Goal {
        L::Profile::goal(self.wanted().target)
    }

    #[inline(always)]
    fn wanted(&self) -> Wanted {
        let target = if self.flash.layout().is_data() { Target::Table } else { Target::Firmware };
        #[cfg(feature = "table")]
        if self.flash.layout_at(true).is_some() {
            return target.of_any();
        }
        target.into()
    }

    fn hash(&mut self, size: u32, digest: &mut [u8; 32]) -> Result<(), PlatformError> {
        let mut hash = Sha256::new();
        read_image(self.flash, self.slot, size, |part| hash.update(part))
            .map_err(|_| PlatformError(Reason::FlashFailed))?;
        *digest = hash.finish();
        Ok(())
    }
}

/// Reads the first `size` bytes of the image in a slot, in parts.
#[inline(always)]
pub(crate) fn read_image<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    slot: Slot,
    size: u32,
    mut part: impl FnMut(&mut [u8]),
) -> Result<(), Refusal> {
    let unreadable = Refusal::of(Reason::FlashFailed);
    let start = flash.layout().head_len();
    let mut buffer = [0; CHUNK];
    let mut done = 0u32;
    while done < size {
        let len = usize::try_from(size.saturating_sub(done)).map_or(CHUNK, |rest| rest.min(CHUNK));
        // Whole units are read; only the image's own bytes count.
        let read = buffer.get_mut(..len.next_multiple_of(UNIT)).ok_or(unreadable)?;
        let offset = start.checked_add(done).ok_or(unreadable)?;
        flash.read(Area::Slot(slot), offset, read).map_err(|_| unreadable)?;
        part(read.get_mut(..len).ok_or(unreadable)?);
        done = done.saturating_add(CHUNK_LEN);
    }
    Ok(())
}

impl<F: NorFlash, L: HasLayout> Platform for SlotPlatform<'_, F, L> {
    fn vendor_matches(&mut self, _component: u32, id: &[u8; 16]) -> bool {
        self.identity.vendor == *id
    }

    fn class_matches(&mut self, _component: u32, id: &[u8; 16]) -> bool {
        self.identity.class == *id
    }

    fn device_matches(&mut self, _component: u32, id: &[u8; 16]) -> bool {
        self.identity.device == *id
    }

    /// The slot for which the image is linked: where images are swapped that is slot A, wherever they lie before.
    fn component_slot(&mut self, _component: u32) -> Option<u64> {
        Some(self.flash.layout().component_slot(self.slot))
    }

    fn image_matches(
        &mut self,
        _component: u32,
        digest: &Digest<'_>,
        size: u64,
    ) -> Result<bool, PlatformError> {
        if self.examined.is_none() {
            return Ok(true);
        }
        let capacity = self.flash.layout().image_capacity();
        let Some(size) = u32::try_from(size).ok().filter(|&size| size <= capacity) else { return Ok(false) };
        let mut found = Examined { computed: [0; 32], demanded: *digest.sha256() };
        self.hash(size, &mut found.computed)?;
        let matches = found.computed == found.demanded;
        if let Some(examined) = self.examined.as_mut().filter(|_| matches) {
            **examined = Some(found);
        }
        Ok(matches)
    }

    fn supports(&self, component_id: &ComponentId<'_>) -> bool {
        self.wanted().has(component_id, L::Profile::DECRYPTS)
    }
}
