//! Exchanging the slots page by page through the scratch page, three journaled steps a page (docs/boot-rules.md,
//! Swap). A step reads only what the step before it left whole, so each can be done again after a cut.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;

use crate::flash::{Flash, FlashError, is_erased};
use crate::journal::{Journal, JournalError};
use crate::layout::{Area, Layout, Slot, UNIT, offset_of};
use crate::state::{Event, ImageRecord, Status, Step};
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
    let state = *journal.state();
    let (Status::Swapping(_) | Status::Reverting(_)) = state.status else { return Ok(()) };
    // The step that is done again erases what the step before it read.
    journal.affirm(flash)?;
    let a_pages = pages(flash.layout(), state.active);
    let b_pages = pages(flash.layout(), state.spare);
    // Every round either ends or moves the progress, which only grows: at most three rounds a page.
    loop {
        let (Status::Swapping(at) | Status::Reverting(at)) = journal.state().status else {
            return Ok(());
        };
        if at.page >= a_pages.max(b_pages) {
            return journal.record(flash, Event::SwapFinished);
        }
        let offset = at.page.checked_mul(flash.layout().page()).ok_or(FlashError::OutOfArea)?;
        let (from_a, from_b) = (at.page < a_pages, at.page < b_pages);
        match at.step {
            Step::Save if from_a => copy_page(flash, (Area::Slot(Slot::A), offset), (Area::Scratch, 0))?,
            Step::Take if from_b => {
                copy_page(flash, (Area::Slot(Slot::B), offset), (Area::Slot(Slot::A), offset))?;
            }
            Step::Put if from_a => copy_page(flash, (Area::Scratch, 0), (Area::Slot(Slot::B), offset))?,
            // Pages after an image's end are erased, not copied.
            Step::Save => {}
            Step::Take => flash.erase_page(Area::Slot(Slot::A), offset)?,
            Step::Put => flash.erase_page(Area::Slot(Slot::B), offset)?,
        }
        journal.record(flash, Event::SwapStepped)?;
    }
}

/// Pages of a slot that an image with its head takes.
fn pages(layout: &Layout, image: Option<ImageRecord>) -> u32 {
    image.map_or(0, |image| layout.head_len().saturating_add(image.size).div_ceil(layout.page()))
}

fn copy_page<F: NorFlash>(
    flash: &mut Flash<F>,
    from: (Area, u32),
    to: (Area, u32),
) -> Result<(), FlashError> {
    flash.erase_page(to.0, to.1)?;
    let mut buffer = [0; CHUNK];
    let mut done = 0u32;
    while done < flash.layout().page() {
        let at = |start: u32| start.checked_add(done).ok_or(FlashError::OutOfArea);
        // Data that cannot be read stays erased: its image fails its digest and does not boot. An exchange that
        // stopped here would lose the other image too.
        if flash.read(from.0, at(from.1)?, &mut buffer).is_ok() && !is_erased(&buffer) {
            flash.program(to.0, at(to.1)?, &buffer)?;
        }
        done = done.saturating_add(CHUNK_U32);
    }
    Ok(())
}
