//! The mailbox: 32 bytes of RAM that a reset keeps, in which an application asks for the loader and says that it is
//! alive, and in which the loader counts its hand-overs without such a sign, and its own resets after faults (docs/mailbox.md). Plain bytes in and out;
//! the place of the mailbox is the board's.
//!
//! RAM is hostile: after a power cut it holds anything. Each part is read by itself, and a part that is not whole is
//! not there.

use crate::checksum::checksum;
#[cfg(feature = "table")]
use crate::layout::Slot;

/// Bytes of the mailbox.
pub const MAILBOX_LEN: usize = 32;
/// Bytes of a request, which an application writes at the start of the mailbox.
pub const REQUEST_LEN: usize = 16;
/// Where an application says that it is alive.
pub const ALIVE_OFFSET: usize = 28;
/// The word that says so, as it lies in RAM; one store of [`ALIVE_OFFSET`]'s four bytes.
pub const ALIVE: [u8; 4] = *b"LIVE";
/// Hand-overs without a sign of life after which the loader listens before the next one.
pub const SILENT_RESETS_MAX: u8 = 3;
/// For how long it does, unless its board chooses another time.
pub const LISTEN_MS: u32 = 10_000;
/// How often the loader resets by itself, after [`LISTEN_MS`], because a fault that may pass kept it from its image.
pub const RETRIES_MAX: u8 = 3;

const REQUEST_MAGIC: [u8; 8] = *b"ANCHRMB1";
const PROGRAMMING_SESSION: u8 = 1;
const COUNT_MAGIC: [u8; 4] = *b"ANL1";
/// Bytes of the loader's part, its CRC included.
#[cfg(feature = "table")]
const COUNT_LEN: usize = ALIVE_OFFSET - REQUEST_LEN;
#[cfg(feature = "table")]
const TABLE_IN_A: u8 = 1;
#[cfg(feature = "table")]
const TABLE_IN_B: u8 = 2;
/// Beside either.
#[cfg(feature = "table")]
const TRIED_WITH_FIRMWARE: u8 = 4;

/// Where the table lies that verified in this boot.
#[cfg(feature = "table")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TablePlace {
    /// The slot.
    pub slot: Slot,
    /// It came with the firmware that is on trial: the application confirms both with that.
    pub is_tried_with_firmware: bool,
}

/// A request of the application to the loader, across a reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Stay on the bus in the programming session, and answer the `10 02` the application has received.
    ProgrammingSession {
        /// The positive answer was not suppressed: the loader sends it once it is up.
        answer: bool,
    },
}

impl Request {
    /// Its bytes, for the start of the mailbox.
    #[must_use]
    #[inline(never)]
    pub fn encode(self) -> [u8; REQUEST_LEN] {
        let Self::ProgrammingSession { answer } = self;
        let [m0, m1, m2, m3, m4, m5, m6, m7] = REQUEST_MAGIC;
        let content = [m0, m1, m2, m3, m4, m5, m6, m7, PROGRAMMING_SESSION, u8::from(answer), 0, 0];
        let [c0, c1, c2, c3] = checksum(&[&content]).to_be_bytes();
        [m0, m1, m2, m3, m4, m5, m6, m7, PROGRAMMING_SESSION, u8::from(answer), 0, 0, c0, c1, c2, c3]
    }

    /// Reads the start of a mailbox: it is one of the two that there are, or none.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let is = |answer| Self::ProgrammingSession { answer }.encode() == *bytes;
        if is(true) {
            Some(Self::ProgrammingSession { answer: true })
        } else if is(false) {
            Some(Self::ProgrammingSession { answer: false })
        } else {
            None
        }
    }
}

/// Why the device was reset, as its board found it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ResetCause {
    /// The board cannot tell. With a whole count in the mailbox it was not the power.
    Unknown = 0,
    /// Power came.
    Power = 1,
    /// The supply was too low for a moment.
    BrownOut = 2,
    /// The reset pin.
    Pin = 3,
    /// A program: a tester asked for it, or it panicked.
    Software = 4,
    /// The watchdog.
    Watchdog = 5,
}

/// When and for how long a loader listens on the bus although it has an image to hand over to: the choice of a board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listening {
    /// After power came, milliseconds; 0: not at all. It delays each start of the device.
    pub at_power_up_ms: u32,
    /// After [`SILENT_RESETS_MAX`] hand-overs without a sign of life, milliseconds.
    pub after_silence_ms: u32,
    /// Whether a reset by [`ResetCause::Power`] is counted as well where RAM outlived it. Without it, power clears the
    /// count: a device that is switched on and off too quickly for its application is not a dying one.
    pub counts_power: bool,
}

impl Listening {
    /// No window at power-up, [`LISTEN_MS`] after silence, power clears the count.
    pub const DEFAULT: Self = Self { at_power_up_ms: 0, after_silence_ms: LISTEN_MS, counts_power: false };
}

/// The circumstances of a start of the loader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wake {
    /// What the application asked for.
    pub request: Option<Request>,
    /// Hand-overs since the last sign of life.
    pub silent_resets: u8,
    /// Resets of the loader by itself in a row.
    pub retries: u8,
    /// Why the loader started.
    pub cause: ResetCause,
    /// Power came.
    is_power_up: bool,
    listening: Listening,
}

impl Wake {
    /// Reads the mailbox that the board found. The board then writes [`Wake::mailbox`] in its place.
    #[must_use]
    pub fn read(mailbox: &[u8; MAILBOX_LEN], cause: ResetCause, listening: Listening) -> Self {
        let (rest, alive) = mailbox.split_at(ALIVE_OFFSET);
        let (request, count) = rest.split_at(REQUEST_LEN);
        let request = Request::decode(request);
        let numbers = count.get(COUNT_MAGIC.len()..).and_then(|count| count.first_chunk().copied());
        #[cfg(feature = "table")]
        let [counted, retries, table] = numbers.unwrap_or_default();
        #[cfg(not(feature = "table"))]
        let ([counted, retries], table) = (numbers.unwrap_or_default(), 0);
        let is_whole = counting(counted, retries, table).split_at(REQUEST_LEN).1.starts_with(count);
        let count = is_whole.then_some(counted);
        let is_power_up = match cause {
            ResetCause::Power => true,
            ResetCause::Unknown => count.is_none(),
            ResetCause::BrownOut | ResetCause::Pin | ResetCause::Software | ResetCause::Watchdog => false,
        };
        let is_counted = !is_power_up || listening.counts_power;
        // An application that asks for the loader is alive, whether it said so or not.
        let silent_resets = match count {
            Some(count) if is_counted && alive != ALIVE && request.is_none() => count,
            _ => 0,
        };
        let retries = if is_whole && !is_power_up && request.is_none() { retries } else { 0 };
        Self { request, silent_resets, retries, cause, is_power_up, listening }
    }

    /// The mailbox while the loader runs: the request is taken, the counts are kept.
    #[must_use]
    pub fn mailbox(&self) -> [u8; MAILBOX_LEN] {
        counting(self.silent_resets, self.retries, 0)
    }

    /// The mailbox for a reset of the loader by itself.
    #[must_use]
    pub fn mailbox_of_retry(&self) -> [u8; MAILBOX_LEN] {
        counting(self.silent_resets, self.retries.saturating_add(1), 0)
    }

    /// The same start as if the application had given a sign of life.
    #[cfg(feature = "loader")]
    #[must_use]
    pub(crate) const fn with_life(self) -> Self {
        Self { silent_resets: 0, ..self }
    }

    /// Whether the loader may reset by itself after a fault that may pass.
    #[cfg(feature = "loader")]
    pub(crate) const fn may_retry(&self) -> bool {
        self.retries < RETRIES_MAX
    }

    /// Whether the application died so often that the loader listens before it runs it again.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        self.silent_resets >= SILENT_RESETS_MAX
    }

    /// For how long the loader listens before it hands over, milliseconds; 0: not at all.
    #[must_use]
    pub fn listen_ms(&self) -> u32 {
        let Listening { at_power_up_ms, after_silence_ms, .. } = self.listening;
        let at_power_up_ms = if self.is_power_up { at_power_up_ms } else { 0 };
        if self.is_silent() { after_silence_ms.max(at_power_up_ms) } else { at_power_up_ms }
    }
}

/// The mailbox for a hand-over after `silent_resets` others without a sign of life.
#[cfg(not(feature = "table"))]
pub(crate) fn handing_over(silent_resets: u8) -> [u8; MAILBOX_LEN] {
    counting(silent_resets.saturating_add(1), 0, 0)
}

/// The mailbox for a hand-over after `silent_resets` others without a sign of life; `table`: where the table lies that
/// verified in this boot.
#[cfg(feature = "table")]
pub(crate) fn handing_over(silent_resets: u8, table: Option<TablePlace>) -> [u8; MAILBOX_LEN] {
    let table = table.map_or(0, |table| {
        let slot = if table.slot == Slot::B { TABLE_IN_B } else { TABLE_IN_A };
        slot | if table.is_tried_with_firmware { TRIED_WITH_FIRMWARE } else { 0 }
    });
    counting(silent_resets.saturating_add(1), 0, table)
}

/// Where the loader found a table that verifies, in this boot; `None`: there is none, or the mailbox is not whole.
#[must_use]
#[cfg(feature = "table")]
pub fn table_place(mailbox: &[u8; MAILBOX_LEN]) -> Option<TablePlace> {
    let (_, count) = mailbox.split_at(REQUEST_LEN);
    let [counted, retries, table] =
        count.get(COUNT_MAGIC.len()..).and_then(|count| count.first_chunk().copied())?;
    let whole = counting(counted, retries, table);
    let (_, whole) = whole.split_at(REQUEST_LEN);
    if whole.get(..COUNT_LEN)? != count.get(..COUNT_LEN)? {
        return None;
    }
    let slot = match table & !TRIED_WITH_FIRMWARE {
        TABLE_IN_A => Slot::A,
        TABLE_IN_B => Slot::B,
        _ => return None,
    };
    Some(TablePlace { slot, is_tried_with_firmware: table & TRIED_WITH_FIRMWARE != 0 })
}

#[inline(never)]
fn counting(count: u8, retries: u8, table: u8) -> [u8; MAILBOX_LEN] {
    let [m0, m1, m2, m3] = COUNT_MAGIC;
    let content = [m0, m1, m2, m3, count, retries, table, 0];
    let mut mailbox = [0; MAILBOX_LEN];
    let (_, place) = mailbox.split_at_mut(REQUEST_LEN);
    for (to, from) in place.iter_mut().zip(content.into_iter().chain(checksum(&[&content]).to_be_bytes())) {
        *to = from;
    }
    mailbox
}

#[cfg(test)]
mod tests;
