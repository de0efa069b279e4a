//! Exchanging the images page by page, without a page that is used more than the others (docs/boot-rules.md, Swap).
//! Slot B is one page longer than slot A: each page of slot A goes to the page before the one that its successor comes
//! from. Two marked steps a page; a step reads only what the step before it left whole and read back, so each can be
//! done again after a cut.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;

use crate::checksum::Checksum;
use crate::flash::{ERASED, Flash, FlashError};
use crate::journal::{Journal, JournalError};
use crate::layout::{Area, Layout, Slot, UNIT, offset_of};
use crate::state::{BootState, Event, ImageRecord, Status, Step, SwapProgress};
use crate::token::SlotProof;

/// Why the slots are exchanged, with the proof for the image that moves to slot A.
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

/// Begins an exchange and runs it to its end.
pub(crate) fn begin<F: NorFlash>(
    flash: &mut Flash<F>,
    journal: &mut Journal,
    start: Start,
) -> Result<(), JournalError> {
    let event = match start {
        Start::Try(proof) => Event::SwapStarted(proof),
        Start::Return(proof, reason) => Event::RevertStarted(proof, reason.code()),
    };
    journal.record(flash, event)?;
    resume(flash, journal)
}

/// Continues the exchange that the journal has under way, to its end; does nothing if there is none. The record that
/// began it took a proof.
pub(crate) fn resume<F: NorFlash>(flash: &mut Flash<F>, journal: &mut Journal) -> Result<(), JournalError> {
    let Some(exchange) = Exchange::of(flash.layout(), journal.state()) else { return Ok(()) };
    // A mark that decayed is no step that was not done: what the step would read is gone.
    if let Some(source) = journal.take_source()
        && exchange.source(flash) != source
    {
        journal.pass_step()?;
    }
    // The step that is done again erases what the step before it read.
    journal.affirm(flash)?;
    // Every round ends, moves the progress, which only grows, or turns round once: at most four rounds a page.
    while let Some(exchange) = Exchange::of(flash.layout(), journal.state()) {
        if exchange.at.page >= exchange.pages() {
            return journal.record(flash, Event::SwapFinished);
        }
        if journal.lacks_a_mark() {
            let source = exchange.source(flash);
            journal.anchor(flash, source)?;
        }
        let done = (0..TRIES).any(|_| exchange.step(flash).is_ok()) || exchange.is_done(flash);
        match (done, exchange.is_revert, exchange.at.step) {
            (false, false, _) => journal.record(flash, Event::SwapGivenUp(exchange.pages()))?,
            (false, true, Step::Take) => return journal.record(flash, Event::SwapLost),
            // What a revert saves is the image that goes: nothing needs it.
            (true, _, _) | (false, true, Step::Save) => {
                let next = Exchange { at: exchange.at.next(), ..exchange };
                let source = next.source(flash);
                journal.advance(flash, Event::SwapStepped, source)?;
            }
        }
    }
    Ok(())
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

    /// Does the next step.
    fn step<F: NorFlash>(&self, flash: &mut Flash<F>) -> Result<(), FlashError> {
        let (Some(to), from) = self.pages_of_step() else { return Ok(()) };
        flash.erase_page(to.0, to.1)?;
        self.each_chunk(|done| {
            let mut chunk = [ERASED; CHUNK];
            read_or_erased(flash, from, done, &mut chunk);
            if chunk != [ERASED; CHUNK] {
                flash.program(to.0, to.1.checked_add(done).ok_or(FlashError::OutOfArea)?, &chunk)?;
            }
            let mut written = [0; CHUNK];
            flash.read(to.0, to.1.checked_add(done).ok_or(FlashError::OutOfArea)?, &mut written)?;
            if written == chunk { Ok(()) } else { Err(FlashError::NotProgrammed) }
        })
    }

    /// Whether the page that the next step fills has its content already.
    fn is_done<F: NorFlash>(&self, flash: &mut Flash<F>) -> bool {
        let (Some(to), from) = self.pages_of_step() else { return true };
        let same = self.each_chunk(|done| {
            let (mut wanted, mut found) = ([ERASED; CHUNK], [0; CHUNK]);
            read_or_erased(flash, from, done, &mut wanted);
            flash.read(to.0, to.1.checked_add(done).ok_or(FlashError::OutOfArea)?, &mut found)?;
            if wanted == found { Ok(()) } else { Err(FlashError::NotProgrammed) }
        });
        same.is_ok()
    }

    /// CRC of what the next step reads; 0 if it reads nothing.
    fn source<F: NorFlash>(&self, flash: &mut Flash<F>) -> u32 {
        if self.at.page >= self.pages() {
            return 0;
        }
        let (_, Some(from)) = self.pages_of_step() else { return 0 };
        let mut crc = Checksum::new();
        let _every_chunk = self.each_chunk(|done| {
            let mut chunk = [ERASED; CHUNK];
            read_or_erased(flash, Some(from), done, &mut chunk);
            crc.update(&chunk);
            Ok(())
        });
        crc.value()
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

/// Data that cannot be read counts as erased: its image fails its digest and does not boot. An exchange that stopped
/// here would lose the other image too.
fn read_or_erased<F: NorFlash>(flash: &mut Flash<F>, from: Option<Page>, done: u32, chunk: &mut [u8; CHUNK]) {
    let read = from.and_then(|(area, offset)| {
        let offset = offset.checked_add(done)?;
        flash.read(area, offset, chunk).ok()
    });
    if read.is_none() {
        *chunk = [ERASED; CHUNK];
    }
}

/// Pages of a slot that an image with its head takes.
fn pages(layout: &Layout, image: Option<ImageRecord>) -> u32 {
    image.map_or(0, |image| layout.head_len().saturating_add(image.size).div_ceil(layout.page()))
}
