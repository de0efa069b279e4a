//! From an authenticated envelope to a pending image (docs/boot-rules.md, Install). Nothing is written before the
//! manifest authenticates and its conditions hold; then the head goes to slot B, then the image, page by page, with
//! progress in the journal. After a reset only the very same envelope resumes an install.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::profile::Installs;
use suit_manifest::{ManifestOf, Reason, Walk};

use crate::flash::{Flash, FlashError, HasLayout};
use crate::journal::Journal;
use crate::layout::{Area, Layout, Slot, UNIT};
use crate::provisioning::Identity;
use crate::receive::{Found, Receives};
use crate::refusal::Refusal;
use crate::revocation::ListBuffer;
use crate::state::{Event, ImageRecord, Status};
use crate::token::{Purpose, SlotProof};
#[cfg(feature = "remap")]
use crate::verify::vectors_of;
use crate::verify::{EnvelopeBuffer, SlotPlatform, Verifier, head_is};

/// Image bytes between two progress records; at least a page.
pub const COMMIT_INTERVAL: u32 = 4096;

/// An install whose envelope was accepted since the loader started.
#[derive(Debug)]
pub(crate) struct Install<P: Receives> {
    image: ImageRecord,
    stage: Stage,
    writer: Option<Writer>,
    incoming: P::Incoming,
}

/// What came with an envelope in one file: key and length of the payload, and where in the file that stands.
#[cfg(feature = "one-file")]
pub(crate) type Beside<'a> = Option<(trust::cbor::Utf8<'a>, u64, u32)>;
/// Nothing comes with an envelope.
#[cfg(not(feature = "one-file"))]
pub(crate) type Beside<'a> = ();

/// How far an install has come. An envelope alone writes nothing: it costs nobody anything to send one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Its envelope, of so many bytes, is in the buffer only.
    New(usize),
    /// Its head is in slot B since before the loader started.
    Resumed,
    /// The journal has it, and slot B is being written.
    Begun,
}

/// The end of the image stream.
#[derive(Clone, Copy, Debug)]
struct Writer {
    /// Image bytes received, those in `partial` included.
    received: u32,
    /// The last, incomplete word.
    partial: [u8; UNIT],
    partial_len: usize,
}

impl<P: Receives> Install<P> {
    /// Judges an envelope; nothing is written. `is_good`: the active image verifies.
    // It has what it judges with and where the result goes.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn accept<F: NorFlash, L: HasLayout<Profile = P>>(
        flash: &mut Flash<F, L>,
        journal: &Journal,
        verifier: &Verifier<'_>,
        (envelope, _beside): (&[u8], Beside<'_>),
        list: &mut ListBuffer,
        is_good: bool,
        install: &mut Option<Self>,
    ) -> Result<(), Refusal> {
        // By reference: it is large, and one copy of it is enough.
        let authenticated = verifier.authenticate(flash, journal.state(), Purpose::Install, envelope, list);
        let authenticated = authenticated.as_ref().map_err(|&error| Refusal::from(error))?;
        let slot = journal.state().spare_slot(flash.layout());
        let mut image = ImageRecord { manifest_digest: *authenticated.digest(), sequence: 0, size: 0 };
        let found = image_of(flash, verifier.identity, authenticated.manifest(), slot, &mut image)?;
        // T2: what follows is what the manifest fetches.
        #[cfg(feature = "one-file")]
        if let Some((uri, len, position)) = _beside
            && (uri != found.0.uri || len != found.0.size)
        {
            return Err(Refusal { position, ..Refusal::of(Reason::ImageReference) });
        }
        let state = journal.state();
        // Its size may be another one in the other slot.
        let active = state.active.as_ref().map(|active| &active.manifest_digest);
        if is_good && active == Some(&image.manifest_digest) {
            return Err(Reason::RunsAlready.into());
        }
        let is_known = state.spare.as_ref() == Some(&image) && head_is(flash, slot, envelope);
        // A file begins at its first byte, whatever has come of it before.
        #[cfg(feature = "one-file")]
        let is_known = is_known && _beside.is_none();
        let stage = match state.status {
            Status::Pending if is_known => return Ok(()),
            // Below the first commit nothing is worth keeping, and with it the head is whole. A first page that has
            // the head too is erased with it.
            Status::Installing { offset }
                if is_known && (offset > 0 || !flash.layout().head_shares_page()) =>
            {
                Stage::Resumed
            }
            _ => Stage::New(envelope.len()),
        };
        if !P::DECRYPTS {
            *install = Some(Self { image, stage, writer: None, incoming: P::Incoming::default() });
            return Ok(());
        }
        Self::place(install, image, stage);
        let accepted = match install {
            Some(install) => P::accept(flash, state.set, list, &found, &mut install.incoming),
            None => Ok(()),
        };
        if accepted.is_err() {
            *install = None;
        }
        accepted
    }

    // A call, for the stack: it is large, and must not lie above the verification of the signature.
    #[inline(never)]
    fn place(install: &mut Option<Self>, image: ImageRecord, stage: Stage) {
        *install = Some(Self { image, stage, writer: None, incoming: P::Incoming::default() });
    }

    /// Prepares slot B for the first bytes that come since the envelope was accepted. `buffer` begins with it.
    #[inline(never)]
    fn begin<F: NorFlash, L: HasLayout<Profile = P>>(
        &mut self,
        flash: &mut Flash<F, L>,
        journal: &mut Journal,
        buffer: &EnvelopeBuffer,
    ) -> Result<(), Refusal> {
        let Stage::New(len) = self.stage else {
            // Another reading of the journal may find the next page full.
            return Ok(journal.resume(flash)?);
        };
        match journal.state().status {
            Status::Installing { .. } | Status::Pending => journal.record(flash, Event::Abandoned)?,
            _ => give_up(flash, journal)?,
        }
        // Another reading of the journal may find the way back in slot B.
        journal.affirm(flash)?;
        let slot = journal.state().spare_slot(flash.layout());
        erase_head(flash, slot)?;
        let envelope = buffer.get(..len).ok_or(Refusal::of(Reason::NoEnvelope))?;
        flash.program_padded(Area::Slot(slot), 0, envelope)?;
        Ok(journal.record(flash, Event::InstallStarted(self.image))?)
    }

    /// The image of an install that nothing but the buffer knows of.
    pub(crate) fn in_buffer(&self) -> Option<&ImageRecord> {
        matches!(self.stage, Stage::New(_)).then_some(&self.image)
    }

    /// Manifest digest of its release.
    pub(crate) const fn digest(&self) -> &[u8; 32] {
        &self.image.manifest_digest
    }

    /// Begins to stream at `offset`, which has to be the committed one, for the `len` bytes that are missing.
    pub(crate) fn open(
        &mut self,
        layout: &Layout,
        committed: u32,
        offset: u32,
        len: u32,
    ) -> Result<(), Refusal> {
        self.writer = None;
        // The page of the first byte holds the head: an envelope begins it again.
        if self.stage == Stage::Begun && offset == 0 && layout.head_shares_page() {
            return Err(Reason::NoEnvelope.into());
        }
        if offset != committed || offset.checked_add(len) != Some(self.len()) {
            return Err(Reason::ObjectUnknown.into());
        }
        self.writer = Some(Writer { received: offset, partial: [0; UNIT], partial_len: 0 });
        Ok(())
    }

    /// Makes ready for the bytes from there on.
    pub(crate) fn begin_at<F: NorFlash, L: HasLayout<Profile = P>>(
        &mut self,
        flash: &mut Flash<F, L>,
        journal: &Journal,
        offset: u32,
    ) -> Result<(), Refusal> {
        let slot = journal.state().spare_slot(flash.layout());
        let begun = P::begin(&mut self.incoming, flash, slot, offset);
        if begun.is_err() {
            self.writer = None;
        }
        begun
    }

    /// Bytes that come: the image, and what is behind it.
    fn len(&self) -> u32 {
        self.image.size.saturating_add(P::tag_len(&self.incoming))
    }

    /// Stops streaming; what was committed stays.
    pub(crate) fn close(&mut self) {
        self.writer = None;
    }

    /// Whether the next `len` bytes begin the install or a page, which is erased first.
    pub(crate) fn will_erase(&self, layout: &Layout, len: u32) -> bool {
        self.writer.as_ref().is_some_and(|writer| {
            let into = writer.offset_in_page(layout);
            self.stage != Stage::Begun || into == 0 || into.saturating_add(len) > layout.page()
        })
    }

    /// T2: no byte after the signed size.
    pub(crate) fn check(&self, len: usize) -> Result<(), Refusal> {
        let writer = self.writer.as_ref().ok_or(Refusal::of(Reason::NoEnvelope))?;
        let received = writer.received.saturating_add(P::tag_received(&self.incoming));
        let end = u32::try_from(len).ok().and_then(|len| received.checked_add(len));
        if end.is_some_and(|end| end <= self.len()) { Ok(()) } else { Err(Reason::ImageOverrun.into()) }
    }

    /// Takes the next bytes of the image, of which there are not too many. `buffer` begins with the envelope if these are
    /// the first ones.
    pub(crate) fn write<F: NorFlash, L: HasLayout<Profile = P>>(
        &mut self,
        flash: &mut Flash<F, L>,
        journal: &mut Journal,
        buffer: &EnvelopeBuffer,
        data: &[u8],
    ) -> Result<(), Refusal> {
        if self.stage != Stage::Begun {
            // What is linked for the other slot erases nothing.
            #[cfg(feature = "remap")]
            if let (Stage::New(_), Some(vectors)) = (self.stage, data.first_chunk())
                && !flash.layout().swaps()
                && !flash.layout().is_data()
            {
                let slot = journal.state().spare_slot(flash.layout());
                let vectors = P::first(&self.incoming, vectors);
                vectors_of(flash.layout(), slot, self.image.size, &vectors)?;
            }
            self.begin(flash, journal, buffer)?;
            self.stage = Stage::Begun;
        }
        let writer = self.writer.as_mut().ok_or(Refusal::of(Reason::NoEnvelope))?;
        let left = self.image.size.saturating_sub(writer.received);
        let written = P::take(&mut self.incoming, data, left, |part| writer.write(flash, journal, part));
        if written.is_err() {
            // The content of that page is unknown now; the install resumes where the journal says.
            self.writer = None;
        }
        written
    }

    /// The whole image has come: verifies what is in slot B and marks it pending.
    pub(crate) fn finish<F: NorFlash, L: HasLayout<Profile = P>>(
        &mut self,
        flash: &mut Flash<F, L>,
        journal: &mut Journal,
        verifier: &Verifier<'_>,
        buffers: (&mut EnvelopeBuffer, &mut ListBuffer),
    ) -> Result<(), Refusal> {
        let writer = self.writer.as_mut().ok_or(Refusal::of(Reason::NoEnvelope))?;
        let tag_len = P::tag_len(&self.incoming);
        if writer.received != self.image.size || P::tag_received(&self.incoming) != tag_len {
            return Err(Reason::ImageIncomplete.into());
        }
        writer.flush(flash, journal.state().spare_slot(flash.layout()))?;
        // What was fetched first: once it is decrypted, only this knows what it was.
        let verified = match P::verify(&self.incoming) {
            Ok(()) => verifier
                .slot(flash, journal.state(), Purpose::Install, &self.image, buffers)
                .and_then(SlotProof::of),
            Err(refusal) => Err(refusal),
        };
        match verified {
            Ok(proof) => Ok(journal.record(flash, Event::Matched(proof))?),
            Err(refusal) => {
                // The received bytes are not the signed ones: there is nothing to resume.
                journal.record(flash, Event::Abandoned)?;
                Err(refusal)
            }
        }
    }
}

/// Gives up what an exchange or a trial that failed in this boot would bring: something new comes.
#[inline(never)]
pub(crate) fn give_up<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    journal: &mut Journal,
) -> Result<(), Refusal> {
    match journal.state().status {
        Status::Idle | Status::Installing { .. } | Status::Pending => {}
        Status::Swapping(_) | Status::Reverting(_) => journal.record(flash, Event::SwapLost)?,
        // The way back did not read in this boot.
        status if status.is_trial_over() => {
            journal.record(flash, Event::TrialDropped(Reason::TrialNotConfirmed.code()))?;
        }
        // Slot B holds the way back.
        Status::Trial { .. } => return Err(Reason::TrialNotConfirmed.into()),
    }
    Ok(())
}

/// Asks the manifest which image it installs on this device. Every condition holds then, up to its invoke, once the
/// image is there.
#[inline(never)]
fn image_of<'a, F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    identity: &Identity,
    manifest: &ManifestOf<'a, L::Profile>,
    slot: Slot,
    record: &mut ImageRecord,
) -> Result<Found<'a, L::Profile>, Refusal> {
    let capacity = flash.layout().image_capacity();
    let platform = &mut SlotPlatform::new(flash, identity, slot, None);
    let found = Walk::rehearse(manifest, platform.goal(), platform)?;
    let size = L::Profile::decrypted(&found.1).map_or(found.0.size, |decrypted| decrypted.size);
    let fits = u32::try_from(size).ok().filter(|&size| size <= capacity);
    record.sequence = manifest.sequence_number();
    record.size = fits.ok_or(Refusal::of(Reason::ImageTooLarge))?;
    Ok(found)
}

fn erase_head<F: NorFlash, L: HasLayout>(flash: &mut Flash<F, L>, slot: Slot) -> Result<(), FlashError> {
    let (page, head_len) = (flash.layout().page(), flash.layout().head_len());
    let mut offset = 0u32;
    while offset < head_len {
        flash.erase_page(Area::Slot(slot), offset)?;
        offset = offset.saturating_add(page);
    }
    Ok(())
}

impl Writer {
    /// Bytes of the slot's page before the next byte.
    fn offset_in_page(&self, layout: &Layout) -> u32 {
        layout.head_len().saturating_add(self.received).checked_rem(layout.page()).unwrap_or(0)
    }

    fn write<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
        journal: &mut Journal,
        mut data: &[u8],
    ) -> Result<(), Refusal> {
        let page = flash.layout().page();
        let slot = journal.state().spare_slot(flash.layout());
        while !data.is_empty() {
            let into_page = self.offset_in_page(flash.layout());
            if into_page == 0 {
                self.begin_page(flash, journal, slot)?;
            }
            let room = usize::try_from(page.saturating_sub(into_page)).unwrap_or(0);
            let (now, later) = data.split_at_checked(room).unwrap_or((data, &[]));
            self.write_in_page(flash, slot, now)?;
            data = later;
        }
        Ok(())
    }

    /// All before this byte is in flash, since pages are whole words; the page that begins here is erased.
    fn begin_page<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
        journal: &mut Journal,
        slot: Slot,
    ) -> Result<(), Refusal> {
        let interval = COMMIT_INTERVAL.max(flash.layout().page());
        let Status::Installing { offset: committed } = journal.state().status else {
            return Err(Reason::NoEnvelope.into());
        };
        let at = self.slot_offset(flash).ok_or(FlashError::OutOfArea)?;
        if at.is_multiple_of(interval) && self.received > committed {
            journal.advance(flash, Event::Committed(self.received), |_, state| state.source)?;
        }
        Ok(flash.erase_page(Area::Slot(slot), at)?)
    }

    /// Programs whole words and keeps the rest.
    fn write_in_page<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
        slot: Slot,
        data: &[u8],
    ) -> Result<(), FlashError> {
        let word = Flash::<F, L>::WORD;
        let mut rest = data;
        if self.partial_len > 0 {
            let (fill, behind) =
                rest.split_at_checked(word.saturating_sub(self.partial_len)).unwrap_or((rest, &[]));
            self.keep(fill)?;
            rest = behind;
            if self.partial_len < word {
                return Ok(());
            }
            self.program_partial(flash, slot)?;
        }
        let whole = rest.len().saturating_sub(rest.len().checked_rem(word).unwrap_or(0));
        let (words, tail) = rest.split_at_checked(whole).ok_or(FlashError::OutOfArea)?;
        if !words.is_empty() {
            let at = self.slot_offset(flash).ok_or(FlashError::OutOfArea)?;
            flash.program(Area::Slot(slot), at, words)?;
            self.advance(words.len())?;
        }
        self.keep(tail)
    }

    /// Programs the last word, padded as erased.
    fn flush<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
        slot: Slot,
    ) -> Result<(), FlashError> {
        if self.partial_len == 0 { Ok(()) } else { self.program_partial(flash, slot) }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), FlashError> {
        let end = self.partial_len.checked_add(bytes.len()).ok_or(FlashError::OutOfArea)?;
        self.partial.get_mut(self.partial_len..end).ok_or(FlashError::OutOfArea)?.copy_from_slice(bytes);
        self.partial_len = end;
        self.advance(bytes.len())
    }

    fn program_partial<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
        slot: Slot,
    ) -> Result<(), FlashError> {
        let kept = u32::try_from(self.partial_len).map_err(|_| FlashError::OutOfArea)?;
        let at = self.slot_offset(flash).and_then(|at| at.checked_sub(kept)).ok_or(FlashError::OutOfArea)?;
        let bytes = self.partial.get(..self.partial_len).ok_or(FlashError::Geometry)?;
        flash.program_padded(Area::Slot(slot), at, bytes)?;
        self.partial_len = 0;
        Ok(())
    }

    fn advance(&mut self, len: usize) -> Result<(), FlashError> {
        let len = u32::try_from(len).map_err(|_| FlashError::OutOfArea)?;
        self.received = self.received.checked_add(len).ok_or(FlashError::OutOfArea)?;
        Ok(())
    }

    fn slot_offset<F: NorFlash, L: HasLayout>(&self, flash: &Flash<F, L>) -> Option<u32> {
        flash.layout().head_len().checked_add(self.received)
    }
}
