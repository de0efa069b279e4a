//! Is what lies in a slot an image this device may run? One way to say yes: the head authenticates, its conditions
//! hold, the digest is that of the bytes in flash, the vector table leads into the image, and the journal knew this
//! image before. The yes is a [`VerifiedImage`]; nothing else starts a swap or a jump.

mod evidence;
mod platform;

use crate::flash::{Flash, is_erased};
use crate::handoff::Entry;
use crate::layout::{Area, ENVELOPE_LEN_MAX, Region, Slot, UNIT, offset_of};
use crate::provisioning::Identity;
use crate::refusal::Refusal;
use crate::revocation::{self, ListBuffer};
use crate::state::{ImageRecord, RevocationPointer};
use embedded_storage::nor_flash::NorFlash;
use evidence::Evidence;
use firmware_image::Vectors;
pub(crate) use platform::SlotPlatform;
use suit_manifest::{Authenticated, Envelope, Reason, Walk, Walked};
use trust::{AnchorSet, TrustStore};

/// Room for an envelope.
pub type EnvelopeBuffer = [u8; ENVELOPE_LEN_MAX];

/// Whether revocation is looked at. A list that arrives later must not brick a device: what is already installed
/// and confirmed boots without; what is to be installed or tried does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lists {
    /// Ignore them.
    Ignored,
    /// Ask them.
    At(Option<RevocationPointer>),
}

/// What the image in the slot is verified for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// It was just streamed: the install sections are run to their ends as well.
    Installed,
    /// It is about to be swapped or booted.
    Boot,
}

/// Who verifies and against what.
#[derive(Clone, Copy)]
pub(crate) struct Verifier<'v> {
    pub(crate) identity: &'v Identity,
    pub(crate) anchors: &'v AnchorSet,
    pub(crate) lists: Lists,
    /// Lowest sequence number that is accepted.
    pub(crate) floor: u64,
}

/// An image that verified, in the slot it was verified in. Only [`Verifier::slot`] makes one.
#[derive(Debug)]
pub(crate) struct VerifiedImage {
    entry: Entry,
    evidence: Evidence,
}

impl VerifiedImage {
    /// Where to jump, if the evidence is still whole.
    pub(crate) fn entry(self) -> Result<Entry, Refusal> {
        if self.evidence.holds() { Ok(self.entry) } else { Err(Reason::HeadInvalid.into()) }
    }

    /// Whether the evidence is whole, for what is decided but not jumped to.
    pub(crate) fn holds(&self) -> bool {
        self.evidence.holds()
    }
}

impl Verifier<'_> {
    /// Authenticates an envelope with the revocation list of its anchor's domain, and holds it against the floor.
    pub(crate) fn authenticate<'a, F: NorFlash>(
        &self,
        flash: &mut Flash<F>,
        envelope: &'a [u8],
        list: &mut ListBuffer,
    ) -> Result<Authenticated<'a>, Refusal> {
        let parsed = Envelope::parse(envelope)?;
        // A loader has no clock; hosts and servers check the times in credentials.
        let mut store = TrustStore::new(self.anchors.as_slice());
        let held = match self.lists {
            // The journal names what is in the slot: it was installed under these anchors.
            Lists::Ignored => {
                store = store.to_boot();
                None
            }
            Lists::At(pointer) => {
                let issuer = parsed.claimed_issuer()?;
                let anchor = self.anchors.as_slice().iter().find(|anchor| anchor.kid() == issuer);
                match anchor {
                    Some(anchor) => revocation::load(flash, pointer, self.anchors, anchor.domain(), list)?,
                    // Below it is refused with the place.
                    None => None,
                }
            }
        };
        let authenticated = parsed.authenticate(&store.with_lists(held.as_slice()))?;
        authenticated.check_sequence(self.floor)?;
        Ok(authenticated)
    }

    /// Verifies the image in `slot`, of which the journal says that it is `expected`.
    pub(crate) fn slot<F: NorFlash>(
        &self,
        flash: &mut Flash<F>,
        slot: Slot,
        stage: Stage,
        expected: &ImageRecord,
        (head, list): (&mut EnvelopeBuffer, &mut ListBuffer),
    ) -> Result<VerifiedImage, Refusal> {
        // The envelope, as it lies in flash.
        let envelope = read_head(flash, slot, head)?;
        let authenticated = self.authenticate(flash, envelope, list)?;

        // It is the one the journal has seen authenticate before.
        if authenticated.digest() != &expected.manifest_digest
            || authenticated.manifest().sequence_number() != expected.sequence
        {
            return Err(Reason::HeadInvalid.into());
        }

        // Its conditions, and its image in this slot.
        let mut platform = SlotPlatform::new(flash, self.identity, slot);
        walk(&authenticated, stage, expected.size, &mut platform)?;
        let examined = platform.examined().ok_or(Refusal::of(Reason::ImageDigestMismatch))?;
        if examined.size != expected.size {
            return Err(Reason::ImageDigestMismatch.into());
        }

        let entry = check_entry(flash, slot, expected.size)?;
        let evidence = Evidence::collect(&[
            (authenticated.digest(), &expected.manifest_digest),
            (&examined.computed, &examined.demanded),
        ]);
        Ok(VerifiedImage { entry, evidence })
    }
}

/// The manifest's walk to its end, over the bytes in flash: what it fetches has been fetched.
#[inline(never)]
fn walk<F: NorFlash>(
    authenticated: &Authenticated<'_>,
    stage: Stage,
    size: u32,
    platform: &mut SlotPlatform<'_, F>,
) -> Result<(), Refusal> {
    let mut walk = match stage {
        Stage::Installed => Walk::install(authenticated)?,
        Stage::Boot => Walk::boot(authenticated, size.into())?,
    };
    while walk.run(platform)? != Walked::Invoke {}
    Ok(())
}

/// Reads a slot's head; the envelope ends where its outermost CBOR item ends. Nothing of it is believed yet.
pub(crate) fn read_head<'h, F: NorFlash>(
    flash: &mut Flash<F>,
    slot: Slot,
    buffer: &'h mut EnvelopeBuffer,
) -> Result<&'h [u8], Refusal> {
    let invalid = Refusal::of(Reason::HeadInvalid);
    flash.read(Area::Slot(slot), 0, buffer).map_err(|_| invalid)?;
    let buffer: &'h EnvelopeBuffer = buffer;
    if is_erased(buffer) {
        return Err(invalid);
    }
    trust::cbor::Reader::new(buffer).item().map_err(|_| invalid)
}

/// T13: the first two vectors of the image in `slot`, as they are when it runs in slot A.
pub(crate) fn check_entry<F: NorFlash>(
    flash: &mut Flash<F>,
    slot: Slot,
    size: u32,
) -> Result<Entry, Refusal> {
    let mut start = [0; UNIT];
    flash.read(Area::Slot(slot), flash.layout().head_len(), &mut start)?;
    let vectors = start.first_chunk().ok_or(Refusal::of(Reason::VectorTableInvalid))?;
    let layout = flash.layout();
    let image = Region { start: layout.image_address(), len: size };
    let vectors = Vectors::check(image, layout.ram(), vectors);
    vectors.map(Entry::of).map_err(|_| Refusal::of(Reason::VectorTableInvalid))
}

/// Whether the head in flash is exactly this envelope.
pub(crate) fn head_is<F: NorFlash>(flash: &mut Flash<F>, slot: Slot, envelope: &[u8]) -> bool {
    let mut buffer = [0; UNIT];
    let mut offset = 0u32;
    let mut chunks = envelope.chunks(UNIT);
    while offset < const { offset_of(ENVELOPE_LEN_MAX) } {
        if flash.read(Area::Slot(slot), offset, &mut buffer).is_err() {
            return false;
        }
        let chunk = chunks.next().unwrap_or(&[]);
        let Some((same, behind)) = buffer.split_at_checked(chunk.len()) else { return false };
        if same != chunk || !is_erased(behind) {
            return false;
        }
        offset = offset.saturating_add(const { offset_of(UNIT) });
    }
    true
}
