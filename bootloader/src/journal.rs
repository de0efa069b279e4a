//! The journal: an append-only list of snapshots in two halves (docs/flash-layout.md, Journal). The newest valid
//! record wins; a torn or unreadable one does not count. When a half is full the next snapshot goes to the other
//! half, which is erased right before, once this half is proven to hold a whole record. A place that does not take
//! its record is passed over.

mod record;

use embedded_storage::nor_flash::NorFlash;

use crate::flash::{Flash, FlashError, is_erased};
pub use crate::layout::JOURNAL_RECORD_LEN as RECORD_LEN;
use crate::layout::{Area, Half};
use crate::state::{BootState, Event, IllegalTransition};

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

/// What was found in the two halves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recovery {
    /// At least one valid record.
    Found,
    /// No record that was ever completed.
    Blank,
    /// Records that are unreadable now: the second half is not erased, and it is used after the first one is proven.
    Lost,
}

/// The recovered journal.
#[derive(Clone, Copy, Debug)]
pub struct Journal {
    state: BootState,
    /// Number of the place before `next`, whether its record is whole or not. Numbers grow with the places, so a
    /// record in doubt never carries the number of a later one, whatever it reads later.
    sequence: u32,
    half: Half,
    /// Index of the record that is to be written next in `half`.
    next: u32,
    /// The newest record was written since the journal was opened: no cut is in it.
    affirmed: bool,
    /// `half` holds a record with a used place right after it. A reset passes a place over, so both were written in one
    /// run, and no cut is in the first of them.
    is_proven: bool,
    recovery: Recovery,
}

impl Journal {
    /// Recovers the newest state; without any valid record it is that of a device from the factory.
    pub fn open<F: NorFlash>(flash: &mut Flash<F>) -> Self {
        let mut journal = Self {
            state: BootState::FACTORY,
            sequence: 0,
            half: Half::First,
            next: u32::MAX,
            affirmed: false,
            is_proven: false,
            recovery: Recovery::Blank,
        };
        let mut passed = 0;
        for half in [Half::First, Half::Second] {
            passed = journal.scan(flash, half).unwrap_or(passed);
        }
        journal.sequence = journal.sequence.saturating_add(passed);
        journal
    }

    /// Takes the newest record of a half, if it is newer than the present state, and returns how many places after it
    /// are passed over.
    #[inline(never)]
    fn scan<F: NorFlash>(&mut self, flash: &mut Flash<F>, half: Half) -> Option<u32> {
        let mut end = 0;
        let mut newest_here = None;
        let (mut follows_record, mut is_proven) = (false, false);
        for index in 0..capacity(flash, half) {
            let mut bytes = [0; RECORD_LEN];
            let Some(offset) = offset_of(index) else { break };
            let readable = flash.read(Area::Journal(half), offset, &mut bytes).is_ok();
            let mut is_record = false;
            if !(readable && is_erased(&bytes)) {
                end = index;
                if half == Half::Second && self.recovery == Recovery::Blank {
                    self.recovery = Recovery::Lost;
                }
                is_proven |= follows_record;
                if readable && let Some((sequence, state)) = record::decode(&bytes) {
                    is_record = true;
                    if sequence > self.sequence {
                        (self.sequence, self.state) = (sequence, state);
                        newest_here = Some(index);
                        self.recovery = Recovery::Found;
                    }
                }
            }
            follows_record = is_record;
        }
        let newest = newest_here?;
        (self.half, self.is_proven) = (half, is_proven);
        // A cut may have left the word after the last record half programmed, although it reads as erased.
        self.next = end.saturating_add(2);
        Some(end.saturating_add(1).saturating_sub(newest))
    }

    /// The present state.
    #[must_use]
    pub const fn state(&self) -> &BootState {
        &self.state
    }

    /// What was found when the journal was opened.
    #[cfg(feature = "loader")]
    pub(crate) const fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// Records an event. The state changes only if its record is in flash and reads back.
    ///
    /// # Errors
    /// [`JournalError::Illegal`] if the state does not allow the event, [`JournalError::Flash`] if no place takes the
    /// record.
    pub fn record<F: NorFlash>(&mut self, flash: &mut Flash<F>, event: Event) -> Result<(), JournalError> {
        let state = self.state.after(event).map_err(JournalError::Illegal)?;
        self.append(flash, &state)?;
        self.state = state;
        Ok(())
    }

    /// Writes the present state once more, unless its record was written since the journal was opened.
    ///
    /// A record that a cut hit may read whole now and torn at the next boot, or the reverse. Before the loader erases
    /// data that another reading of the journal would need, it makes this reading last.
    #[cfg(feature = "loader")]
    pub(crate) fn affirm<F: NorFlash>(&mut self, flash: &mut Flash<F>) -> Result<(), FlashError> {
        let state = self.state;
        if self.affirmed { Ok(()) } else { self.append(flash, &state) }
    }

    /// Writes a record to the first place that takes it, in this half or else in an erased one. Until the half holds a
    /// record that is proven to be whole, the record is written twice, one right after the other.
    ///
    /// A full half that is proven stays, and the other one is erased. One that is not proven holds nothing that any
    /// caller was told of, while the other one is proven: it is erased itself, however often power was lost in it.
    #[inline(never)]
    fn append<F: NorFlash>(&mut self, flash: &mut Flash<F>, state: &BootState) -> Result<(), FlashError> {
        self.affirmed = false;
        let (mut half, mut index, mut is_proven) = (self.half, self.next, self.is_proven);
        let (mut follows_copy, mut has_erased) = (false, false);
        loop {
            if index >= capacity(flash, half) {
                if has_erased {
                    return Err(FlashError::NotProgrammed);
                }
                half = if is_proven { half.other() } else { half };
                (index, is_proven, follows_copy, has_erased) = (0, false, false, true);
                flash.erase_area(Area::Journal(half))?;
            }
            // Whatever happens below, this number and this place have been used.
            self.sequence = self.sequence.checked_add(1).ok_or(FlashError::OutOfArea)?;
            let next = index.saturating_add(1);
            if half == self.half {
                self.next = next;
            }
            let is_taken = write(flash, half, index, &record::encode(self.sequence, state)).is_ok();
            if is_taken && (is_proven || follows_copy) {
                (self.half, self.next, self.affirmed, self.is_proven) = (half, next, true, true);
                return Ok(());
            }
            (index, follows_copy) = (next, is_taken);
        }
    }
}

/// Programs a record and reads it back.
fn write<F: NorFlash>(
    flash: &mut Flash<F>,
    half: Half,
    index: u32,
    record: &[u8; RECORD_LEN],
) -> Result<(), FlashError> {
    let offset = offset_of(index).ok_or(FlashError::OutOfArea)?;
    flash.program(Area::Journal(half), offset, record)?;
    let mut written = [0; RECORD_LEN];
    flash.read(Area::Journal(half), offset, &mut written)?;
    if written == *record { Ok(()) } else { Err(FlashError::NotProgrammed) }
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
