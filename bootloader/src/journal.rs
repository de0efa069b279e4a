//! The journal: an append-only list of snapshots in two halves (docs/flash-layout.md, Journal). The newest valid
//! record wins; a torn or unreadable one does not count. Each snapshot is written twice, one right after the other, so
//! that no word of flash that decays loses it. When a half is full the next snapshot goes to the other half, which is
//! erased right before, once this half is proven to hold a whole record. A place that does not take its record is
//! passed over. Steps of a procedure are marks in a region of their own.

mod mark;
mod record;

use embedded_storage::nor_flash::NorFlash;

use crate::flash::{Flash, FlashError};
pub use crate::layout::JOURNAL_RECORD_LEN as RECORD_LEN;
use crate::layout::{Area, Half};
use crate::state::{BootState, Event, IllegalTransition};
#[cfg(feature = "loader")]
use mark::Mark;

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
    /// The newest state has one whole record only.
    is_single: bool,
    recovery: Recovery,
    /// How far the procedure has come is in the record too.
    is_based: bool,
    /// CRC of what its next step reads, from the last mark.
    #[cfg(feature = "loader")]
    source: Option<u32>,
    /// Place of the next mark; `None`: their region was not erased since the journal was opened.
    #[cfg(feature = "loader")]
    next_mark: Option<u32>,
    /// Position of the last mark since then.
    #[cfg(feature = "loader")]
    marked: Option<u32>,
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
            is_single: false,
            recovery: Recovery::Blank,
            is_based: true,
            #[cfg(feature = "loader")]
            source: None,
            #[cfg(feature = "loader")]
            next_mark: None,
            #[cfg(feature = "loader")]
            marked: None,
        };
        let mut passed = 0;
        for half in [Half::First, Half::Second] {
            passed = journal.scan(flash, half).unwrap_or(passed);
        }
        journal.sequence = journal.sequence.saturating_add(passed);
        if let Some(base) = journal.state.position()
            && let Some(mark) = mark::furthest(flash, journal.state.marks)
            && mark.position >= base
        {
            journal.state.set_position(mark.position);
            journal.is_based = false;
            #[cfg(feature = "loader")]
            {
                journal.source = Some(mark.source);
            }
        }
        journal
    }

    /// Takes the newest record of a half, if it is newer than the present state, and returns how many places after it
    /// are passed over.
    #[inline(never)]
    fn scan<F: NorFlash>(&mut self, flash: &mut Flash<F>, half: Half) -> Option<u32> {
        let mut end = 0;
        let mut newest_here = None;
        let (mut before, mut is_proven) = (None, false);
        for index in 0..capacity(flash, half) {
            let mut bytes = [0; RECORD_LEN];
            let Some(offset) = offset_of(index) else { break };
            let readable = flash.read(Area::Journal(half), offset, &mut bytes).is_ok();
            let mut here = None;
            if !(readable && flash.is_erased(&bytes)) {
                end = index;
                if half == Half::Second && self.recovery == Recovery::Blank {
                    self.recovery = Recovery::Lost;
                }
                is_proven |= before.is_some();
                here = if readable { record::decode(&bytes) } else { None };
                if let Some((sequence, state)) = here
                    && sequence > self.sequence
                {
                    (self.sequence, self.state) = (sequence, state);
                    self.is_single = before != Some((sequence.saturating_sub(1), state));
                    newest_here = Some(index);
                    self.recovery = Recovery::Found;
                }
            }
            before = here;
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

    /// Records a step of the present procedure by a mark, or by a record where no mark is taken. `source` is the CRC of
    /// what the step after it reads.
    ///
    /// # Errors
    /// Those of [`Journal::record`].
    #[cfg(feature = "loader")]
    pub(crate) fn advance<F: NorFlash>(
        &mut self,
        flash: &mut Flash<F>,
        event: Event,
        source: u32,
    ) -> Result<(), JournalError> {
        let state = self.state.after(event).map_err(JournalError::Illegal)?;
        let is_marked = self.mark(flash, &state, source)?;
        if !is_marked {
            self.append(flash, &state)?;
        }
        self.is_based = !is_marked;
        self.state = state;
        Ok(())
    }

    /// Whether the present position has no mark yet: the loss of the next one would not show.
    #[cfg(feature = "loader")]
    pub(crate) fn lacks_a_mark(&self) -> bool {
        self.marked != self.state.position()
    }

    /// Marks the present position. Without a place for the mark, only its use is missing.
    ///
    /// # Errors
    /// [`FlashError`] if the journal takes no record.
    #[cfg(feature = "loader")]
    pub(crate) fn mark_here<F: NorFlash>(
        &mut self,
        flash: &mut Flash<F>,
        source: u32,
    ) -> Result<(), FlashError> {
        let state = self.state;
        self.mark(flash, &state, source).map(drop)
    }

    /// `false`: no place took it.
    #[cfg(feature = "loader")]
    fn mark<F: NorFlash>(
        &mut self,
        flash: &mut Flash<F>,
        state: &BootState,
        source: u32,
    ) -> Result<bool, FlashError> {
        let Some(position) = state.position() else { return Ok(false) };
        let mark = Mark { marks: state.marks, position, source };
        let mut next = match self.next_mark {
            Some(next) => next,
            None => {
                // The marks so far go.
                if !self.is_based {
                    let state = self.state;
                    self.append(flash, &state)?;
                    self.is_based = true;
                }
                if flash.erase_area(Area::Progress).is_err() {
                    return Ok(false);
                }
                0
            }
        };
        for _ in 0..MARK_TRIES {
            if next >= mark::places::<F>(flash) {
                // The next one goes to an erased region again, once this step is in a record.
                self.next_mark = None;
                return Ok(false);
            }
            let is_taken = mark.write(flash, next).is_ok();
            next = next.saturating_add(1);
            self.next_mark = Some(next);
            if is_taken {
                self.marked = Some(position);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// CRC of what the next step of the present procedure reads, as the last mark has it. Another one means that the
    /// step was done and that its mark is lost.
    #[cfg(feature = "loader")]
    pub(crate) fn take_source(&mut self) -> Option<u32> {
        self.source.take()
    }

    /// Counts a step that was done before the journal was opened, and whose mark is lost.
    #[cfg(feature = "loader")]
    pub(crate) fn pass_step(&mut self) -> Result<(), JournalError> {
        self.state = self.state.after(Event::SwapStepped).map_err(JournalError::Illegal)?;
        self.is_based = false;
        Ok(())
    }

    /// Writes the newest state again if only one whole record of it is left.
    ///
    /// # Errors
    /// [`FlashError`] if no place takes the record.
    #[cfg(feature = "loader")]
    pub(crate) fn mend<F: NorFlash>(&mut self, flash: &mut Flash<F>) -> Result<(), FlashError> {
        if self.is_single { self.affirm(flash) } else { Ok(()) }
    }

    /// Writes the present state once more, unless its record was written since the journal was opened.
    ///
    /// A record that a cut hit may read whole now and torn at the next boot, or the reverse. Before the loader erases
    /// data that another reading of the journal would need, it makes this reading last.
    #[cfg(feature = "loader")]
    pub(crate) fn affirm<F: NorFlash>(&mut self, flash: &mut Flash<F>) -> Result<(), FlashError> {
        if self.affirmed {
            return Ok(());
        }
        let mut state = self.state;
        // The marks so far count no more, however they read later.
        state.marks = state.marks.wrapping_add(1);
        self.append(flash, &state)?;
        self.state = state;
        Ok(())
    }

    /// Writes a record twice, to the first two places in a row that take it, in this half or else in an erased one.
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
            if is_taken && follows_copy {
                (self.half, self.next, self.affirmed, self.is_proven) = (half, next, true, true);
                (self.is_single, self.is_based) = (false, true);
                #[cfg(feature = "loader")]
                {
                    self.marked = None;
                }
                return Ok(());
            }
            (index, follows_copy) = (next, is_taken);
        }
    }
}

/// Places that are tried for a mark.
#[cfg(feature = "loader")]
const MARK_TRIES: u32 = 3;

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
