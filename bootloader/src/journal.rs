//! The journal: an append-only list of snapshots in two halves (docs/flash-layout.md, Journal). The newest valid
//! record wins; a torn or unreadable one is no record. When a half is full the next snapshot goes to the other
//! half, which is erased right before, so the half with the newest record is never touched.

mod record;

use crate::flash::{Flash, FlashError, is_erased};
use crate::layout::{Area, Half};
use crate::state::{BootState, Event, IllegalTransition};
use embedded_storage::nor_flash::NorFlash;
pub use record::RECORD_LEN;
pub(crate) use record::checksum;

/// Why an event was not recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JournalError {
    /// The flash failed; after a reset the state is the one before the event or the one after it.
    Flash(FlashError),
    /// The event does not belong to the present state; nothing was written.
    Illegal(IllegalTransition),
}

impl From<FlashError> for JournalError {
    fn from(error: FlashError) -> Self {
        Self::Flash(error)
    }
}

/// The recovered journal.
#[derive(Clone, Copy, Debug)]
pub struct Journal {
    state: BootState,
    sequence: u32,
    half: Half,
    /// Index of the record that is to be written next in `half`.
    next: u32,
}

impl Journal {
    /// Recovers the newest state; a journal without any valid record is that of a device from the factory.
    pub fn open<F: NorFlash>(flash: &mut Flash<F>) -> Self {
        let mut journal = Self { state: BootState::FACTORY, sequence: 0, half: Half::Second, next: u32::MAX };
        for half in [Half::First, Half::Second] {
            journal.scan(flash, half);
        }
        journal
    }

    /// Takes the newest record of a half, if it is newer than what is there.
    #[inline(never)]
    fn scan<F: NorFlash>(&mut self, flash: &mut Flash<F>, half: Half) {
        let mut end = 0;
        let mut newest_here = false;
        for index in 0..capacity(flash, half) {
            let mut bytes = [0; RECORD_LEN];
            let Some(offset) = offset_of(index) else { break };
            let readable = flash.read(Area::Journal(half), offset, &mut bytes).is_ok();
            if readable && is_erased(&bytes) {
                continue;
            }
            end = index;
            if readable
                && let Some((sequence, state)) = record::decode(&bytes)
                && sequence > self.sequence
            {
                (self.sequence, self.state) = (sequence, state);
                newest_here = true;
            }
        }
        if newest_here {
            self.half = half;
            // A cut may have left the word behind the last record half programmed yet reading as erased: no word
            // of that record's place is programmed again.
            self.next = end.saturating_add(2);
        }
    }

    /// The present state.
    #[must_use]
    pub const fn state(&self) -> &BootState {
        &self.state
    }

    /// Records an event. The state changes only if its record is in flash and reads back.
    pub fn record<F: NorFlash>(&mut self, flash: &mut Flash<F>, event: Event) -> Result<(), JournalError> {
        let state = self.state.after(event).map_err(JournalError::Illegal)?;
        self.append(flash, &state)?;
        self.state = state;
        Ok(())
    }

    #[inline(never)]
    fn append<F: NorFlash>(&mut self, flash: &mut Flash<F>, state: &BootState) -> Result<(), FlashError> {
        let sequence = self.sequence.checked_add(1).ok_or(FlashError::OutOfArea)?;
        let record = record::encode(sequence, state);
        let (half, index) = if self.next < capacity(flash, self.half) {
            (self.half, self.next)
        } else {
            (self.half.other(), 0)
        };
        if half != self.half {
            // Until its record is complete the other half stays the newest, and a retry erases again.
            flash.erase_area(Area::Journal(half))?;
        } else {
            // Whatever happens below, this place has been used.
            self.next = self.next.saturating_add(1);
        }
        let offset = offset_of(index).ok_or(FlashError::OutOfArea)?;
        flash.program(Area::Journal(half), offset, &record)?;
        let mut written = [0; RECORD_LEN];
        flash.read(Area::Journal(half), offset, &mut written)?;
        if written != record {
            return Err(FlashError::NotProgrammed);
        }
        (self.sequence, self.half, self.next) = (sequence, half, index.saturating_add(1));
        Ok(())
    }
}

fn capacity<F: NorFlash>(flash: &Flash<F>, half: Half) -> u32 {
    flash.layout().region(Area::Journal(half)).len / RECORD_LEN_U32
}

fn offset_of(index: u32) -> Option<u32> {
    index.checked_mul(RECORD_LEN_U32)
}

const RECORD_LEN_U32: u32 = crate::layout::offset_of(RECORD_LEN);

#[cfg(test)]
mod tests;
