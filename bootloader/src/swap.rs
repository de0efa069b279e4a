//! Exchanging the images page by page, without a page that is used more than the others (docs/boot-rules.md, Swap).
//! Slot B is one page longer than slot A: each page of slot A goes to the page before the one that its successor comes
//! from. Two marked steps a page; a step reads only what the step before it left whole and read back, so each can be
//! done again after a cut.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;

use crate::checksum::Checksum;
use crate::flash::{Flash, FlashError, HasLayout};
use crate::journal::{Journal, JournalError};
use crate::layout::{Area, Layout, Slot, UNIT, offset_of};
use crate::state::{BootState, Event, ImageRecord, Status, Step, SwapProgress};
use crate::token::SlotProof;

/// Why another image is to run, with the proof for it. Where images are swapped it moves to slot A.
pub(crate) enum Start {
    /// The pending image is tried.
    Try(SlotProof),
    /// The image on trial is reverted, for this reason.
    Return(SlotProof, Reason),
}

/// Bytes copied at a time.
const CHUNK: usize = 8 * UNIT;
const CHUNK_U32: u32 = offset_of(CHUNK);
/// How often a page is tried before the exchange is given up.
const TRIES: u32 = 3;

/// Makes another image the active one: an exchange of the slots, to its end, or one record. `waits`: as in [`resume`].
#[inline(always)]
pub(crate) fn begin<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    journal: &mut Journal,
    start: Start,
    waits: bool,
) -> Result<(), JournalError> {
    // Without a swap the record alone says which image runs.
    #[cfg(feature = "remap")]
    if !flash.layout().swaps() {
        return journal.record(
            flash,
            match start {
                Start::Try(proof) => Event::Remapped(proof),
                Start::Return(proof, reason) => Event::RemappedBack(proof, reason.code()),
            },
        );
    }
    let event = match start {
        Start::Try(proof) => Event::SwapStarted(proof),
        Start::Return(proof, reason) => Event::RevertStarted(proof, reason.code()),
    };
    journal.advance(flash, event, source)?;
    run(flash, journal, waits)
}

/// Continues the exchange that the journal has under way, to its end; does nothing if there is none. The record that
/// began it took a proof. `waits`: the loader will reset by itself if a slot does not answer.
pub(crate) fn resume<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    journal: &mut Journal,
    waits: bool,
) -> Result<(), JournalError> {
    let Some(exchange) = Exchange::of(flash.layout(), journal.state()) else { return Ok(()) };
    // A step that was done before would be done again from a page that a later step has filled.
    if journal.is_silent() {
        return Err(FlashError::Unreadable.into());
    }
    // A mark that decayed is no step that was not done: what the step would read is gone, and lies where it puts it.
    let (known, found) = (journal.state().source, exchange.source(flash).crc);
    if found != known {
        let target = exchange.target(flash);
        if target.is_read && target.crc == known {
            journal.pass_step(flash, source)?;
        } else {
            // It has decayed since: what is left of it goes on.
            journal.take_source(found);
        }
    }
    // The step that is done again erases what the step before it read.
    journal.affirm(flash)?;
    run(flash, journal, waits)
}

fn run<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    journal: &mut Journal,
    waits: bool,
) -> Result<(), JournalError> {
    // Every round ends, moves the progress, which only grows, or turns round once: at most four rounds a page.
    while let Some(exchange) = Exchange::of(flash.layout(), journal.state()) {
        if exchange.at.page >= exchange.pages() {
            return journal.record(flash, Event::SwapFinished);
        }
        let (is_vital, is_revert) = (exchange.is_vital(), exchange.is_revert);
        // A slot that does not answer at all may answer after a reset: what would come of it is not erased for that. Of the
        // image that goes a page may be dead for good: after the last reset it is saved as an erased one.
        if (is_revert || waits) && is_vital && !exchange.source(flash).is_read {
            return Err(FlashError::Unreadable.into());
        }
        let mut known = journal.state().source;
        let done = (0..=TRIES).any(|tries| {
            // It may be the record that read wrong; a page that does not read any more is no other content.
            let now = exchange.source(flash);
            if tries.saturating_add(1) == TRIES && now.is_read {
                known = now.crc;
            }
            exchange.step(flash, tries < TRIES, known).is_ok()
        });
        let event = match (done, is_revert) {
            (false, false) if is_vital => Event::SwapGivenUp(exchange.pages()),
            // The next reset tries again, and a new image ends it.
            (false, true) if is_vital => return Err(FlashError::NotProgrammed.into()),
            (_, _) => Event::SwapStepped,
        };
        journal.advance(flash, event, source)?;
    }
    Ok(())
}

/// CRC of what the next step reads.
fn source<F: NorFlash, L: HasLayout>(flash: &mut Flash<F, L>, state: &BootState) -> u32 {
    Exchange::of(flash.layout(), state).map_or(0, |exchange| exchange.source(flash).crc)
}

/// An exchange under way.
#[derive(Clone, Copy)]
struct Exchange {
    at: SwapProgress,
    /// The pages go back, the last one first.
    is_revert: bool,
    /// Pages of the image in slot A before the exchange, and of the one that comes.
    going: u32,
    coming: u32,
    /// Bytes of a page.
    page: u32,
}

/// A page of an area, by the offset of its first byte.
type Page = (Area, u32);

/// The content of a page.
#[derive(Clone, Copy)]
struct Content {
    /// Its CRC; 0 if there is no page, and another one than that of an erased page if nothing of it reads.
    crc: u32,
    /// Whether any of it reads.
    is_read: bool,
}

impl Exchange {
    fn of(layout: &Layout, state: &BootState) -> Option<Self> {
        let (at, is_revert) = match state.status {
            Status::Swapping(at) => (at, false),
            Status::Reverting(at) => (at, true),
            Status::Idle | Status::Installing { .. } | Status::Pending | Status::Trial { .. } => return None,
        };
        let pages = |image| pages(layout, image);
        let (going, coming) = (pages(state.active), pages(state.spare));
        Some(Self { at, is_revert, going, coming, page: layout.page() })
    }

    fn pages(&self) -> u32 {
        self.going.max(self.coming)
    }

    /// The page that the next step fills, and the one it reads; `None`: the page is erased, or left alone.
    fn pages_of_step(&self) -> (Option<Page>, Option<Page>) {
        let index = match self.is_revert {
            false => self.at.page,
            true => self.pages().saturating_sub(self.at.page).saturating_sub(1),
        };
        let offset = index.saturating_mul(self.page);
        let (to, from) = if self.is_revert { (Slot::B, Slot::Kept) } else { (Slot::Kept, Slot::B) };
        let in_a = (Area::Slot(Slot::A), offset);
        match self.at.step {
            Step::Save if index < self.going => (Some((Area::Slot(to), offset)), Some(in_a)),
            Step::Save => (None, None),
            // Pages after the end of the image that comes are erased.
            Step::Take => (Some(in_a), (index < self.coming).then_some((Area::Slot(from), offset))),
        }
    }

    /// Whether an image is lost without the next step. Nobody needs what a revert saves, and what would be erased behind
    /// the image that comes is neither verified nor run.
    fn is_vital(&self) -> bool {
        match self.at.step {
            Step::Save => !self.is_revert,
            Step::Take => self.pages_of_step().1.is_some(),
        }
    }

    /// Does the next step, or only looks whether it was done: what is written is read back, and has the CRC of what was to
    /// be copied, since reads that fail for a moment leave a hole. In slot A a word that has nothing to hold need not read,
    /// if what it is to hold reads: verification tells whether the image needs it. Where neither reads, nothing is known.
    fn step<F: NorFlash, L: HasLayout>(
        &self,
        flash: &mut Flash<F, L>,
        writes: bool,
        known: u32,
    ) -> Result<(), FlashError> {
        let (Some(to), from) = self.pages_of_step() else { return Ok(()) };
        if writes {
            flash.erase_page(to.0, to.1)?;
        }
        let mut crc = Checksum::new();
        self.each_chunk(|done| {
            let (mut chunk, mut found) = ([0; CHUNK], [0; CHUNK]);
            let is_known = from.is_none() | read_or_erased(flash, from, done, &mut chunk);
            let at = to.1.checked_add(done).ok_or(FlashError::OutOfArea)?;
            if writes && !flash.is_erased(&chunk) {
                flash.program(to.0, at, &chunk)?;
            }
            let is_read = read_or_erased(flash, Some(to), done, &mut found);
            crc.update(&found);
            let is_there = found == chunk && (is_read || is_known && self.at.step == Step::Take);
            if is_there { Ok(()) } else { Err(FlashError::NotProgrammed) }
        })?;
        // A dead page of the image that goes is saved as an erased one.
        let crc = crc.value();
        let is_known = crc == known || !self.is_revert && crc == unread(known);
        if from.is_none() || is_known { Ok(()) } else { Err(FlashError::Unreadable) }
    }

    /// What the next step reads.
    fn source<F: NorFlash, L: HasLayout>(&self, flash: &mut Flash<F, L>) -> Content {
        self.content(flash, self.pages_of_step().1)
    }

    /// What lies where the next step writes.
    fn target<F: NorFlash, L: HasLayout>(&self, flash: &mut Flash<F, L>) -> Content {
        self.content(flash, self.pages_of_step().0)
    }

    fn content<F: NorFlash, L: HasLayout>(&self, flash: &mut Flash<F, L>, page: Option<Page>) -> Content {
        let Some(page) = page.filter(|_| self.at.page < self.pages()) else {
            return Content { crc: 0, is_read: true };
        };
        let (mut crc, mut is_read) = (Checksum::new(), false);
        let _every_chunk = self.each_chunk(|done| {
            let mut chunk = [0; CHUNK];
            is_read |= read_or_erased(flash, Some(page), done, &mut chunk);
            crc.update(&chunk);
            Ok(())
        });
        Content { crc: if is_read { crc.value() } else { unread(crc.value()) }, is_read }
    }

    fn each_chunk(&self, mut each: impl FnMut(u32) -> Result<(), FlashError>) -> Result<(), FlashError> {
        let mut done = 0u32;
        while done < self.page {
            each(done)?;
            done = done.saturating_add(CHUNK_U32);
        }
        Ok(())
    }
}

/// The CRC of a page of which nothing reads: not that of an erased one, as which its data counts. A page that was erased
/// and not filled yet would pass for a copy of it.
const fn unread(crc: u32) -> u32 {
    !crc
}

/// Data that cannot be read counts as erased, unit by unit: its image fails its digest and does not boot. An exchange
/// that stopped here would lose the other image too. Returns whether all of it can be read.
#[inline(never)]
fn read_or_erased<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    from: Option<Page>,
    mut done: u32,
    chunk: &mut [u8; CHUNK],
) -> bool {
    let mut is_read = true;
    for unit in chunk.as_chunks_mut::<UNIT>().0 {
        let is_unit_read =
            from.is_some_and(|(area, offset)| flash.read(area, offset.saturating_add(done), unit).is_ok());
        if !is_unit_read {
            *unit = [flash.layout().erased(); UNIT];
        }
        is_read &= is_unit_read;
        done = done.saturating_add(const { offset_of(UNIT) });
    }
    is_read
}

/// Pages of a slot that an image with its head takes.
fn pages(layout: &Layout, image: Option<ImageRecord>) -> u32 {
    let page = layout.page();
    let len = image.map_or(0, |image| layout.head_len().saturating_add(image.size));
    // A page has bytes, and a division that nothing checks is a panic.
    len.saturating_add(page.saturating_sub(1)).checked_div(page).unwrap_or(0)
}
