//! Verifies the image in a slot: the head authenticates, its conditions hold, the digest matches the bytes in flash,
//! the vector table points into the image, and the journal recorded this image before. The result is a
//! [`VerifiedImage`]; nothing else starts a swap or a jump.

mod platform;

use core::hint::black_box;

use embedded_storage::nor_flash::NorFlash;
use firmware_image::{VECTORS_LEN, Vectors};

use crate::authority::{Authenticates, Inquiry};
use crate::evidence::Evidence;
use crate::flash::{Flash, HasLayout};
use crate::journal::Journal;
use crate::layout::{Area, ENVELOPE_LEN_MAX, Layout, Region, Slot, UNIT, offset_of};
use crate::provisioning::Identity;
use crate::refusal::Refusal;
use crate::revocation::ListBuffer;
use crate::state::{BootState, ImageRecord};
use crate::token::Purpose;
pub(crate) use platform::{SlotPlatform, read_image};
use suit_manifest::{AuthenticatedOf, EnvelopeOf, ManifestOf, Reason, Walk, Walked};
use trust::{AnchorSet, Kid};

/// An authenticated envelope, as this loader reads it.
pub(crate) type Authentic<'a, L> =
    AuthenticatedOf<'a, <L as HasLayout>::Profile, <<L as HasLayout>::Authority as Authenticates>::Proof<'a>>;

/// The vectors of an image, as they were read twice.
#[cfg(not(feature = "table"))]
pub(crate) type ReadVectors = [Vectors; 2];
/// The vectors of an image, as they were read twice; `None`: it is a table, into which nobody jumps.
#[cfg(feature = "table")]
pub(crate) type ReadVectors = Option<[Vectors; 2]>;

/// Room for an envelope.
pub type EnvelopeBuffer = [u8; ENVELOPE_LEN_MAX];

/// What a verification compares with, beside the state in the journal: that has the floor, and the numbers of the
/// revocation lists.
#[derive(Clone, Copy)]
pub(crate) struct Verifier<'v> {
    pub(crate) identity: &'v Identity,
    pub(crate) anchors: &'v AnchorSet,
}

/// An image that verified, in the slot it was verified in. Only [`Verifier::slot`] makes one.
/// It yields the token of the next step ([`crate::token`]).
#[derive(Debug)]
pub(crate) struct VerifiedImage {
    purpose: Purpose,
    image: ImageRecord,
    /// The anchor under which it verified.
    issuer: Kid,
    vectors: ReadVectors,
    evidence: Evidence,
    /// The slot to map to the addresses of slot A, computed twice.
    #[cfg(feature = "remap")]
    banks: [Slot; 2],
    #[cfg(feature = "table")]
    slot: Slot,
    /// Its release installs firmware and a table.
    #[cfg(feature = "table")]
    is_of_both: bool,
}

impl VerifiedImage {
    #[cfg(feature = "remap")]
    pub(crate) const fn banks(&self) -> [Slot; 2] {
        self.banks
    }

    /// kid of the anchor under which it verified.
    pub(crate) const fn issuer(&self) -> Kid {
        self.issuer
    }

    /// Where it lies, if it is a table that the application may use.
    #[cfg(feature = "table")]
    pub(crate) fn table(self) -> Option<Slot> {
        let is_whole = self.vectors.is_none() && self.purpose == Purpose::Run && self.evidence.holds();
        is_whole.then_some(self.slot)
    }

    /// Digest of its manifest, if that installs firmware and a table.
    #[cfg(feature = "table")]
    pub(crate) const fn release_of_both(&self) -> Option<&[u8; 32]> {
        if self.is_of_both { Some(&self.image.manifest_digest) } else { None }
    }

    /// The parts of a token.
    pub(crate) fn into_parts(self) -> (Purpose, ImageRecord, ReadVectors, Evidence) {
        (self.purpose, self.image, self.vectors, self.evidence)
    }
}

impl Verifier<'_> {
    /// Authenticates an envelope for this purpose, and compares it with the floor.
    pub(crate) fn authenticate<'a, F: NorFlash, L: HasLayout>(
        &self,
        flash: &mut Flash<F, L>,
        state: &BootState,
        purpose: Purpose,
        envelope: &'a [u8],
        list: &mut ListBuffer,
    ) -> Result<Authentic<'a, L>, suit_manifest::Error> {
        // By reference: both are large.
        let parsed = EnvelopeOf::parse(envelope);
        let parsed = parsed.as_ref().map_err(|&error| error)?;
        let inquiry = Inquiry { verifier: self, state, purpose };
        let mut authenticated = L::Authority::authenticate(inquiry, flash, parsed, list);
        let checked = match &authenticated {
            Ok(authenticated) => authenticated.manifest().check_sequence(state.floor),
            Err(_) => Ok(()),
        };
        if let Err(error) = checked {
            authenticated = Err(error);
        }
        authenticated
    }

    /// Verifies the image for this purpose, in its slot; the journal says that it is `expected`.
    pub(crate) fn slot<F: NorFlash, L: HasLayout>(
        &self,
        flash: &mut Flash<F, L>,
        state: &BootState,
        purpose: Purpose,
        expected: &ImageRecord,
        (head, list): (&mut EnvelopeBuffer, &mut ListBuffer),
    ) -> Result<VerifiedImage, Refusal> {
        // The envelope, as it lies in flash.
        let slot = purpose.slot(flash.layout(), state);
        let envelope = read_head(flash, slot, head)?;
        // By reference: it is large, and one copy of it is enough.
        let authenticated = self.authenticate(flash, state, purpose, envelope, list);
        let authenticated = authenticated.as_ref().map_err(|&error| Refusal::from(error))?;
        self.judge(flash, (purpose, slot), expected, authenticated, list)
    }

    /// Whether a head that authenticates is that of the expected image, and whether that image is in its slot.
    // A call, for the stack: what it holds must not lie above the verification of the signature.
    #[inline(never)]
    fn judge<F: NorFlash, L: HasLayout>(
        &self,
        flash: &mut Flash<F, L>,
        (purpose, slot): (Purpose, Slot),
        expected: &ImageRecord,
        authenticated: &Authentic<'_, L>,
        list: &mut ListBuffer,
    ) -> Result<VerifiedImage, Refusal> {
        // The journal recorded this image when it authenticated.
        if authenticated.digest() != &expected.manifest_digest {
            return Err(Reason::HeadInvalid.into());
        }

        // Its conditions, and its image in this slot.
        let mut examined = None;
        let mut platform = SlotPlatform::new(flash, self.identity, slot, Some(&mut examined));
        walk(authenticated.manifest(), purpose, expected.size, &mut platform)?;
        let examined = examined.as_ref().ok_or(Refusal::of(Reason::ImageDigestMismatch))?;
        // T14: its conditions once more, which no evidence has.
        #[cfg(feature = "table")]
        {
            let mut platform = SlotPlatform::new(flash, self.identity, slot, None);
            walk(authenticated.manifest(), purpose, expected.size, &mut platform)?;
        }

        #[cfg(not(feature = "table"))]
        let vectors =
            [check_vectors(flash, slot, expected.size)?, check_vectors(flash, slot, expected.size)?];
        #[cfg(feature = "table")]
        let vectors = match flash.layout().is_data() {
            false => {
                Some([check_vectors(flash, slot, expected.size)?, check_vectors(flash, slot, expected.size)?])
            }
            true => None,
        };
        // T14: a second recovery says what the journal records, and how low a number may be.
        let journal = Journal::recover_again(flash);
        let state = journal.state();
        let recorded = if purpose == Purpose::Run { state.active } else { state.spare };
        let recorded = recorded.map_or([0; 32], |image| image.manifest_digest);
        let shortfalls =
            self.shortfalls(flash, (purpose, slot), state, authenticated, expected.sequence, list);
        let [first, second] = L::Authority::pairs(authenticated.authority());
        let evidence = Evidence::collect(&[
            first,
            second,
            (authenticated.digest(), &expected.manifest_digest),
            (&authenticated.computed_digest(), &expected.manifest_digest),
            (&examined.computed, &examined.demanded),
            (&authenticated.computed_digest(), &recorded),
            (&shortfalls, &[0; 32]),
        ]);
        Ok(VerifiedImage {
            purpose,
            image: *expected,
            issuer: L::Authority::issuer(authenticated.authority()),
            vectors,
            evidence,
            #[cfg(feature = "remap")]
            banks: [
                flash.layout().bank(slot),
                black_box(flash.layout()).bank(purpose.slot(flash.layout(), state)),
            ],
            #[cfg(feature = "table")]
            slot,
            #[cfg(feature = "table")]
            is_of_both: authenticated.manifest().installs_both(),
        })
    }

    /// T14: floor and revocation once more, as numbers that are 0 if nothing is wrong: whether the sequence number is
    /// below the floor or the list's minimum, whether the list takes the signer's key back, whether the domain of that
    /// list is not the issuer's, whether the image that was hashed lies in another slot than that of the purpose, and in
    /// which bits the numbers of list and journal differ, or those of the image in manifest and journal.
    #[inline(never)]
    fn shortfalls<F: NorFlash, L: HasLayout>(
        &self,
        flash: &mut Flash<F, L>,
        (purpose, hashed): (Purpose, Slot),
        state: &BootState,
        authenticated: &Authentic<'_, L>,
        recorded: u64,
        list: &mut ListBuffer,
    ) -> [u8; 32] {
        let sequence = authenticated.manifest().sequence_number();
        let is_elsewhere = black_box(purpose).slot(flash.layout(), state) != hashed;
        let inquiry = Inquiry { verifier: self, state, purpose };
        let Misfit { is_revoked, is_astray, mut difference } =
            L::Authority::misfit(inquiry, flash, authenticated.authority(), sequence, list);
        difference |= black_box(sequence ^ recorded);
        let mut shortfalls = [0; 32];
        if let Some((flags, rest)) = shortfalls.split_first_chunk_mut::<4>() {
            *flags = [is_below(sequence, state.floor), is_revoked, is_astray, is_elsewhere].map(u8::from);
            if let Some(place) = rest.first_chunk_mut() {
                *place = difference.to_be_bytes();
            }
        }
        shortfalls
    }
}

/// What speaks against an authority, as values that are 0 if nothing does.
pub(crate) struct Misfit {
    /// A list takes the signer's key back, or the sequence number is below its minimum.
    pub(crate) is_revoked: bool,
    /// The domain of that list is not the issuer's.
    pub(crate) is_astray: bool,
    /// The bits in which the numbers of list and journal differ.
    pub(crate) difference: u64,
}

impl Misfit {
    pub(crate) const NONE: Self = Self { is_revoked: false, is_astray: false, difference: 0 };
}

/// Without a branch.
pub(crate) const fn is_below(sequence: u64, limit: u64) -> bool {
    sequence.overflowing_sub(limit).1
}

/// Walks the manifest to its end, over the bytes in flash: the image that it fetches is there.
#[inline(never)]
fn walk<F: NorFlash, L: HasLayout>(
    manifest: &ManifestOf<'_, L::Profile>,
    purpose: Purpose,
    size: u32,
    platform: &mut SlotPlatform<'_, F, L>,
) -> Result<(), Refusal> {
    let goal = platform.goal();
    let mut walk = match purpose {
        Purpose::Install => Walk::install(manifest, goal),
        Purpose::Try | Purpose::Return | Purpose::Run => Walk::boot(manifest, goal, size.into()),
    };
    while walk.run(platform)? != Walked::Complete {}
    Ok(())
}

/// Reads a slot's head; the envelope ends where its outermost CBOR item ends. It is not verified yet.
pub(crate) fn read_head<'h, F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    slot: Slot,
    buffer: &'h mut EnvelopeBuffer,
) -> Result<&'h [u8], Refusal> {
    // The rest of a head is never used: a word of it that does not read costs nothing.
    let (mut len, mut readable) = (0usize, 0usize);
    for unit in buffer.as_chunks_mut::<UNIT>().0 {
        if flash.read(Area::Slot(slot), offset_of(len), unit).is_err() {
            *unit = [flash.layout().erased(); UNIT];
        } else if readable == len {
            readable = readable.saturating_add(UNIT);
        }
        len = len.saturating_add(UNIT);
    }
    // A head of which some words do not read may be whole after a reset.
    let is_read = readable == len;
    let invalid = Refusal::of(if is_read { Reason::HeadInvalid } else { Reason::FlashFailed });
    let buffer: &'h EnvelopeBuffer = buffer;
    if flash.is_erased(buffer) {
        return Err(invalid);
    }
    let mut reader = trust::cbor::Reader::new(buffer);
    let envelope = reader.item();
    match reader.check() {
        Ok(()) if envelope.len() <= readable => Ok(envelope),
        _ => Err(invalid),
    }
}

/// T13: the first two vectors of the image in `slot`, as they are where it runs.
#[inline(never)]
fn check_vectors<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    slot: Slot,
    size: u32,
) -> Result<Vectors, Refusal> {
    let mut start = [0; UNIT];
    flash.read(Area::Slot(slot), flash.layout().head_len(), &mut start)?;
    let vectors = start.first_chunk().ok_or(Refusal::of(Reason::VectorTableInvalid))?;
    vectors_of(flash.layout(), slot, size, vectors)
}

/// The same of the first bytes of an image.
pub(crate) fn vectors_of(
    layout: &Layout,
    slot: Slot,
    size: u32,
    vectors: &[u8; VECTORS_LEN],
) -> Result<Vectors, Refusal> {
    let image = Region { start: layout.run_address(slot), len: size };
    Vectors::check(image, layout.ram(), vectors).map_err(|_error| {
        // Where images run in either slot, one that is linked for the other slot is the likely mistake.
        #[cfg(feature = "remap")]
        if !layout.swaps() && _error == firmware_image::VectorError::OutsideImage {
            return Refusal::of(Reason::ImageNotForSlot);
        }
        Refusal::of(Reason::VectorTableInvalid)
    })
}

/// Whether the head in flash is exactly this envelope.
pub(crate) fn head_is<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    slot: Slot,
    envelope: &[u8],
) -> bool {
    let mut buffer = [0; UNIT];
    let mut offset = 0u32;
    let mut chunks = envelope.chunks(UNIT);
    while offset < const { offset_of(ENVELOPE_LEN_MAX) } {
        if flash.read(Area::Slot(slot), offset, &mut buffer).is_err() {
            return false;
        }
        let chunk = chunks.next().unwrap_or(&[]);
        let Some((same, behind)) = buffer.split_at_checked(chunk.len()) else { return false };
        if same != chunk || !flash.is_erased(behind) {
            return false;
        }
        offset = offset.saturating_add(const { offset_of(UNIT) });
    }
    true
}

#[cfg(all(test, feature = "table"))]
mod tests {
    use super::*;
    use crate::evidence::PAIRS;

    /// T14: where a table lies is said of one that verified to be used, and of nothing else.
    #[test]
    fn t14_a_table_without_whole_evidence_lies_nowhere() {
        let same = [7; 32];
        let pairs = [(&same, &same); PAIRS as usize];
        let vectors = Vectors::check(
            Region { start: 0x1000, len: 64 },
            Region { start: 0x2000, len: 64 },
            &[0x40, 0x20, 0, 0, 0x09, 0x10, 0, 0],
        )
        .unwrap();
        let whole = pairs.len();
        for (purpose, vectors, compared, found) in [
            (Purpose::Run, None, whole, Some(Slot::B)),
            (Purpose::Run, None, whole - 1, None),
            (Purpose::Try, None, whole, None),
            (Purpose::Run, Some([vectors; 2]), whole, None),
        ] {
            let image = VerifiedImage {
                purpose,
                image: ImageRecord { manifest_digest: same, sequence: 1, size: 1 },
                issuer: Kid([0; 8]),
                vectors,
                evidence: Evidence::collect(&pairs[..compared]),
                banks: [Slot::A; 2],
                slot: Slot::B,
                is_of_both: false,
            };
            assert_eq!(image.table(), found);
        }
    }
}
