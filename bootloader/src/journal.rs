//! The journal: an append-only list of snapshots in two or three parts (docs/flash-layout.md, Journal). The newest valid
//! record wins; a torn or unreadable one does not count. Each snapshot is written twice, one right after the other, so
//! that no word of flash that decays loses it. When a part is full the next snapshot goes to another part, which is
//! erased right before, once this one is proven to hold a whole record. A place that does not take its record, and a
//! part that is not erased, are passed over. Steps of a procedure are marks in a region of their own.

mod mark;
pub(crate) mod packed;
mod record;

use embedded_storage::nor_flash::NorFlash;

use crate::flash::{Flash, FlashError, HasLayout};
use crate::layout::Area;
pub use crate::layout::JOURNAL_RECORD_LEN as RECORD_LEN;
use crate::state::{BootState, Event, IllegalTransition};
#[cfg(feature = "loader")]
use crate::state::{MARKS_MAX, Status};
#[cfg(feature = "loader")]
use mark::Mark;
pub use packed::Packed;
use record::Record;
pub use record::Snapshot;

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

/// What was found in the parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recovery {
    /// At least one valid record.
    Found,
    /// No record that was ever completed.
    Blank,
    /// Records that are unreadable now: a part after the first one is not erased, and is used after the first one is
    /// proven.
    Lost,
}

/// The recovered journal, with its newest state as a loader or as an application has it.
#[derive(Clone, Copy, Debug)]
// Small fields first: the short instructions of a device reach them.
#[repr(C)]
pub struct Journal<S = BootState> {
    /// Where the newest record is.
    part: u8,
    /// The newest part with a record in which no cut is: one with a used place right after it, since a reset passes a
    /// place over, or the first of two copies of which the second is whole. It is not erased.
    proven: Option<u8>,
    /// A part with nothing but records in doubt: it is the first to be erased, so that none of them comes back.
    torn: Option<u8>,
    /// The newest record was written since the journal was opened: no cut is in it.
    affirmed: bool,
    /// The newest state has one whole record only.
    is_single: bool,
    recovery: Recovery,
    /// The furthest mark may be in a sector that does not read.
    is_silent: bool,
    /// A resumption of the install has been counted since the journal was opened.
    #[cfg(feature = "loader")]
    is_resumed: bool,
    /// Index of the record that is to be written next in `part`.
    next: u32,
    /// Place of the next mark, once it is known.
    #[cfg(feature = "loader")]
    next_mark: Option<u32>,
    /// The state, and the number of the place before `next`, whether its record is whole or not. Numbers grow with the
    /// places, so a record in doubt never carries the number of a later one, whatever it reads later.
    newest: Record<S>,
}

/// Recoveries of which two or three have to agree.
const RECOVERIES: u8 = 5;
#[cfg(feature = "loader")]
const EXCHANGE_PLACES: u32 = crate::layout::offset_of(crate::layout::EXCHANGE_PLACES);

/// The records of a part.
struct Scan<S> {
    /// The newest whole one; number 0 if there is none.
    newest: Record<S>,
    /// Its place.
    index: u32,
    /// Its second copy is missing.
    is_single: bool,
    is_proven: bool,
    /// The place for the next record, 0 if none was used.
    next: u32,
}

impl<S: Snapshot> Journal<S> {
    /// Before its recovery.
    // Not a constant: stores take less room than a copy of its zeros.
    #[inline(never)]
    pub(crate) const fn unread() -> Self {
        Self {
            newest: Record::NONE,
            part: 0,
            next: u32::MAX,
            proven: None,
            affirmed: false,
            is_single: false,
            torn: None,
            recovery: Recovery::Blank,
            is_silent: false,
            #[cfg(feature = "loader")]
            is_resumed: false,
            #[cfg(feature = "loader")]
            next_mark: None,
        }
    }

    /// Recovers the newest state; without any valid record it is that of a device from the factory.
    ///
    /// T14: recovery runs again, from another part on, until two runs after one another agree on all of it. A part that
    /// holds nothing whole may be one that does not read for a moment: then three have to agree, and a moment that hides it
    /// from three hides everything from the one between. Without such runs no state counts.
    #[inline(never)]
    pub fn open<F: NorFlash, L: HasLayout>(flash: &mut Flash<F, L>) -> Self {
        let (mut journal, mut agreed) = (Self::recover(flash, 0), false);
        for first in 1..RECOVERIES {
            let again = Self::recover(flash, first);
            let agrees = journal.is_same(&again);
            journal = again;
            if agrees && (agreed || journal.torn.is_none()) {
                return journal;
            }
            agreed = agrees;
        }
        Self { recovery: Recovery::Lost, newest: Record::NONE, ..journal }
    }

    /// Whether both recoveries found the same, as bytes.
    #[inline(never)]
    fn is_same(&self, other: &Self) -> bool {
        let rest = |journal: &Self| {
            (journal.part, journal.next, journal.proven, journal.torn, journal.is_single, journal.is_silent)
        };
        self.newest.encode() == other.newest.encode() && rest(self) == rest(other)
    }

    /// One recovery; the first part that it looks at makes no difference to the result.
    #[inline(never)]
    pub(crate) fn recover<F: NorFlash, L: HasLayout>(flash: &mut Flash<F, L>, first: u8) -> Self {
        let mut journal = Self::unread();
        let (mut proven, mut passed) = (0, 0u32);
        let parts = flash.layout().journal_parts();
        for turn in 0..parts {
            let part = first.saturating_add(turn).checked_rem(parts).unwrap_or(0);
            let found = scan(flash, part);
            let sequence = found.newest.sequence;
            if sequence == 0 && found.next > 0 {
                journal.torn = journal.torn.max(Some(part));
            }
            if found.is_proven && sequence > proven {
                proven = sequence;
                journal.proven = Some(part);
            }
            if sequence > journal.newest.sequence {
                (journal.newest, journal.is_single) = (found.newest, found.is_single);
                (journal.part, journal.next) = (part, found.next);
                passed = found.next.saturating_sub(found.index).saturating_sub(1);
            }
        }
        journal.recovery = match (journal.newest.sequence, journal.torn) {
            (0, None | Some(0)) => Recovery::Blank,
            (0, Some(_)) => Recovery::Lost,
            _ => Recovery::Found,
        };
        // Places that were used after the newest record have numbers too.
        journal.newest.sequence = journal.newest.sequence.saturating_add(passed);
        journal.take_marks(flash);
        journal
    }

    /// Carries the state on to the furthest mark.
    // A call, so that the journal above stays in memory: taken apart into fields it costs 0.2 KB of moves.
    #[inline(never)]
    fn take_marks<F: NorFlash, L: HasLayout>(&mut self, flash: &mut Flash<F, L>) {
        let state = &mut self.newest.state;
        if let Some((base, marks)) = state.marked() {
            let marks = mark::scan(flash, marks);
            self.is_silent = marks.is_silent;
            if let Some(mark) = marks.furthest.filter(|mark| mark.position >= base) {
                state.go_to(mark.position, mark.source);
            }
        }
    }

    /// The present state.
    #[must_use]
    pub const fn state(&self) -> &S {
        &self.newest.state
    }
}

impl Journal {
    /// What was found when the journal was opened.
    #[cfg(feature = "loader")]
    pub(crate) const fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// How far the procedure has come is not known in this boot: marks may be there that do not read.
    #[cfg(feature = "loader")]
    pub(crate) const fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// A second recovery, from another part on.
    #[cfg(feature = "loader")]
    #[inline(always)]
    pub(crate) fn recover_again<F: NorFlash, L: HasLayout>(flash: &mut Flash<F, L>) -> Self {
        #[cfg(feature = "table")]
        if flash.is_at_table() {
            let mut table = Self::recover(flash, 1);
            flash.turn(false);
            table.adopt(Self::recover(flash, 1).state());
            flash.turn(true);
            return table;
        }
        Self::recover(flash, 1)
    }

    /// The journal of a table goes by what the device has stored.
    #[cfg(all(feature = "table", feature = "loader"))]
    pub(crate) const fn adopt(&mut self, device: &BootState) {
        self.newest.state.adopt(device);
    }

    /// Records an event. The state changes only if its record is in flash and reads back.
    ///
    /// # Errors
    /// [`JournalError::Illegal`] if the state does not allow the event, [`JournalError::Flash`] if no place takes the
    /// record.
    pub fn record<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
        event: Event,
    ) -> Result<(), JournalError> {
        let mut state = *self.state();
        state.go_on(event).map_err(JournalError::Illegal)?;
        Ok(self.append(flash, &state)?)
    }

    /// Puts any state into the journal, as an attacker with access to the flash would.
    ///
    /// # Errors
    /// [`FlashError`] if no place takes the record.
    #[cfg(feature = "fault-injection")]
    pub fn forge<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
        state: BootState,
    ) -> Result<(), FlashError> {
        self.newest.state = state;
        self.append(flash, &state)
    }

    /// Records a step of the present procedure by a mark, or by a record where no mark is taken; the event that begins
    /// a procedure by a record. `source` gives the CRC of what the next step reads.
    ///
    /// # Errors
    /// Those of [`Journal::record`].
    #[cfg(feature = "loader")]
    pub(crate) fn advance<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
        event: Event,
        source: fn(&mut Flash<F, L>, &BootState) -> u32,
    ) -> Result<(), JournalError> {
        let mut state = *self.state();
        state.go_on(event).map_err(JournalError::Illegal)?;
        state.source = source(flash, &state);
        if state.marks != self.state().marks {
            state.is_unmarked = self.takes_no_marks(flash, state.marks);
        } else if !state.is_unmarked {
            if self.mark(flash, &mut state)? {
                self.newest.state = state;
                return Ok(());
            }
            state.is_unmarked = true;
        }
        Ok(self.append(flash, &state)?)
    }

    /// Whether a procedure that begins takes no marks. A region that does not read, after a cut in its erase, is erased
    /// again, unless marks in it may count at the next boot.
    #[cfg(feature = "loader")]
    fn takes_no_marks<F: NorFlash, L: HasLayout>(&self, flash: &mut Flash<F, L>, marks: u32) -> bool {
        let mut is_silent = mark::scan(flash, marks).is_silent;
        let is_exchange = matches!(self.state().status, Status::Swapping(_) | Status::Reverting(_));
        if is_silent && (!is_exchange || self.state().is_unmarked) {
            let _ = flash.erase_area(Area::Progress);
            is_silent = mark::scan(flash, marks).is_silent;
        }
        is_silent
    }

    /// Marks the position of this state; `false`: no place took it.
    #[cfg(feature = "loader")]
    fn mark<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
        state: &mut BootState,
    ) -> Result<bool, FlashError> {
        let Some(position) = state.position() else { return Ok(false) };
        let mut mark = Mark { marks: state.marks, position, source: state.source };
        let mut next = match self.next_mark {
            Some(next) => next,
            None => mark::scan(flash, state.marks).next,
        };
        let mut has_erased = false;
        loop {
            if next >= mark::places(flash) {
                // A region without a place has none after an erase either.
                if has_erased || next == 0 {
                    return Ok(false);
                }
                has_erased = true;
                // The marks so far go, and a cut in the erase leaves words that do not read: no mark counts until it is done.
                let mut turned = *self.state();
                turned.is_unmarked = true;
                self.append(flash, &turned)?;
                if flash.erase_area(Area::Progress).is_err() {
                    return Ok(false);
                }
                turned.begin_marks();
                (mark.marks, state.marks) = (turned.marks, turned.marks);
                self.append(flash, &turned)?;
                next = 0;
            }
            let is_taken = mark.write(flash, next).is_ok();
            next = next.saturating_add(1);
            self.next_mark = Some(next);
            if is_taken {
                return Ok(true);
            }
        }
    }

    /// Counts a step that was done before the journal was opened, and whose mark is lost.
    #[cfg(feature = "loader")]
    pub(crate) fn pass_step<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
        source: fn(&mut Flash<F, L>, &BootState) -> u32,
    ) -> Result<(), JournalError> {
        self.newest.state.go_on(Event::SwapStepped).map_err(JournalError::Illegal)?;
        self.newest.state.source = source(flash, self.state());
        Ok(())
    }

    /// What the next step of the exchange reads has this CRC now.
    #[cfg(feature = "loader")]
    pub(crate) const fn take_source(&mut self, crc: u32) {
        self.newest.state.source = crc;
    }

    /// Writes the newest state again if only one whole record of it is left.
    ///
    /// # Errors
    /// [`FlashError`] if no place takes the record.
    #[cfg(feature = "loader")]
    pub(crate) fn mend<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
    ) -> Result<(), FlashError> {
        if self.is_single { self.affirm(flash) } else { Ok(()) }
    }

    /// Writes the present state once more, unless its record was written since the journal was opened.
    ///
    /// A record that a cut hit may read whole now and torn at the next boot, or the reverse. Before the loader erases
    /// data that another reading of the journal would need, it makes this reading last.
    #[cfg(feature = "loader")]
    pub(crate) fn affirm<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
    ) -> Result<(), FlashError> {
        if self.affirmed {
            return Ok(());
        }
        let mut state = *self.state();
        // The marks so far count no more, however they read later; those that were not seen do.
        if !self.is_silent {
            state.marks = state.marks.wrapping_add(1) & MARKS_MAX;
        }
        self.append(flash, &state)
    }

    /// [`Journal::affirm`] for an install that is resumed, once after the journal was opened.
    ///
    /// # Errors
    /// [`FlashError`] if no place takes the record.
    #[cfg(feature = "loader")]
    pub(crate) fn resume<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
    ) -> Result<(), FlashError> {
        // Whatever record this boot wrote before it has another count.
        if !core::mem::replace(&mut self.is_resumed, true) {
            self.newest.state.resume_install();
            self.affirmed = false;
        }
        self.affirm(flash)
    }

    /// Makes room for the records of an exchange and the trial after it: in a journal whose other parts take none, they
    /// would stop the device between two images.
    ///
    /// # Errors
    /// [`FlashError`] if no part has the room.
    #[cfg(feature = "loader")]
    pub(crate) fn make_room<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
    ) -> Result<(), FlashError> {
        let capacity = capacity(flash, self.part);
        if capacity.saturating_sub(self.next) >= EXCHANGE_PLACES.min(capacity) {
            return Ok(());
        }
        let next = core::mem::replace(&mut self.next, capacity);
        let state = *self.state();
        let made = self.append(flash, &state);
        if made.is_err() {
            self.next = next;
        }
        made
    }
}

impl<S: Snapshot> Journal<S> {
    /// Writes a record twice, to the first two places in a row that take it, in this part or else in an erased one.
    ///
    /// The part that is proven stays. One that is not holds nothing that any caller was told of: it is erased itself,
    /// however often power was lost in it. A part that cannot be erased is passed over, once one is proven.
    #[inline(never)]
    fn append<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
        state: &S,
    ) -> Result<(), FlashError> {
        self.affirmed = false;
        // A device without a sure record is one from the factory: one in another part that a cut hits would look like loss.
        let parts = if cfg!(feature = "loader") && self.proven.is_none() {
            1
        } else {
            flash.layout().journal_parts()
        };
        let mut record = Record { is_second: false, state: *state, ..self.newest };
        if !S::keeps(&record.encode(), self.state()) {
            return Err(FlashError::NotProgrammed);
        }
        // A record in doubt that comes back must not be the newest.
        if let Some(torn) = self.torn.filter(|torn| *torn != self.part) {
            if flash.erase_area(Area::Journal(torn)).is_ok() {
                self.torn = None;
            } else {
                let doubtful = capacity(flash, torn).saturating_mul(2);
                record.sequence = record.sequence.checked_add(doubtful).ok_or(FlashError::OutOfArea)?;
            }
        }
        let (mut part, mut index, mut turns) = (self.part, self.next, 0u8);
        loop {
            if index >= capacity(flash, part) {
                if turns >= parts {
                    return Err(FlashError::NotProgrammed);
                }
                let first = self.torn.unwrap_or(self.part);
                part = first.saturating_add(turns).checked_rem(parts).unwrap_or(0);
                turns = turns.saturating_add(1);
                record.is_second = false;
                if self.proven != Some(part) && flash.erase_area(Area::Journal(part)).is_ok() {
                    index = 0;
                }
                continue;
            }
            // Whatever happens below, this number and this place have been used.
            record.sequence = record.sequence.checked_add(1).ok_or(FlashError::OutOfArea)?;
            self.newest.sequence = record.sequence;
            index = index.saturating_add(1);
            if part == self.part {
                self.next = index;
            }
            let is_taken = write(flash, part, index.saturating_sub(1), &record, self.state()).is_ok();
            if is_taken && record.is_second {
                (self.part, self.next, self.proven, self.affirmed) = (part, index, Some(part), true);
                (self.newest, self.is_single, self.torn) = (record, false, None);
                return Ok(());
            }
            record.is_second = is_taken;
        }
    }
}

impl Journal<Packed> {
    /// Records that the image on trial works.
    ///
    /// # Errors
    /// Those of [`Journal::record`].
    pub(crate) fn confirm<F: NorFlash>(&mut self, flash: &mut Flash<F>) -> Result<(), JournalError> {
        let mut state = *self.state();
        if !state.confirm() {
            return Err(JournalError::Illegal(IllegalTransition));
        }
        Ok(self.append(flash, &state)?)
    }
}

/// Looks at all places of a part, from the last one down: numbers grow with the places, so the first whole record is the
/// newest, and hardly any other is decoded. An erase that did nothing leaves older records above newer ones.
#[inline(never)]
fn scan<F: NorFlash, L: HasLayout, S: Snapshot>(flash: &mut Flash<F, L>, part: u8) -> Scan<S> {
    let mut found = Scan { newest: Record::<S>::NONE, index: 0, is_single: false, is_proven: false, next: 0 };
    let mut index = capacity(flash, part);
    // The place above is used.
    let mut is_followed = false;
    while index > 0 {
        let above = index;
        index = index.saturating_sub(1);
        let mut bytes = [0; RECORD_LEN];
        let is_readable = flash.read(Area::Journal(part), offset_of(index), &mut bytes).is_ok();
        if is_readable && flash.is_erased(&bytes) {
            is_followed = false;
            continue;
        }
        if found.next == 0 {
            // A cut may have left the word after this place half programmed, although it reads as erased.
            found.next = index.saturating_add(2);
        }
        let is_newest_above = found.index == above && found.newest.is_second;
        let counts =
            !found.is_proven || is_newest_above || record::sequence_in(&bytes) > found.newest.sequence;
        let record = if is_readable && counts { S::decode(&bytes) } else { None };
        if let Some(record) = record {
            found.is_proven |= record.is_second || is_followed;
            if record.sequence > found.newest.sequence {
                (found.newest, found.index, found.is_single) = (record, index, true);
            } else if is_newest_above {
                found.is_single = record.sequence.saturating_add(1) != found.newest.sequence;
            }
        }
        is_followed = true;
    }
    found
}

/// Programs a record after this state and reads it back.
///
/// T14: the bytes that are programmed, and those that were read, say themselves that they take back nothing of the state
/// before; and those that were read are another encoding. A record that a fault left wrong is not programmed, or not
/// taken.
fn write<F: NorFlash, L: HasLayout, S: Snapshot>(
    flash: &mut Flash<F, L>,
    part: u8,
    index: u32,
    record: &Record<S>,
    before: &S,
) -> Result<(), FlashError> {
    let bytes = record.encode();
    if !S::keeps(&bytes, before) {
        return Err(FlashError::NotProgrammed);
    }
    flash.program(Area::Journal(part), offset_of(index), &bytes)?;
    let mut written = [0; RECORD_LEN];
    flash.read(Area::Journal(part), offset_of(index), &mut written)?;
    if written == record.encode() && S::keeps(&written, before) {
        Ok(())
    } else {
        Err(FlashError::NotProgrammed)
    }
}

fn capacity<F: NorFlash, L: HasLayout>(flash: &Flash<F, L>, part: u8) -> u32 {
    flash.layout().region(Area::Journal(part)).len / RECORD_LEN_U32
}

/// Of a record; beyond any area if it does not fit into 32 bits.
const fn offset_of(index: u32) -> u32 {
    index.saturating_mul(RECORD_LEN_U32)
}

const RECORD_LEN_U32: u32 = crate::layout::offset_of(RECORD_LEN);

#[cfg(test)]
mod tests;
