//! The table, as the application sees it (docs/tables.md).
//!
//! ```
//! # use bootloader::{application::{Device, Table}, flash::Flash, journal::JournalError, layout::Layout, mailbox::MAILBOX_LEN};
//! # use embedded_storage::nor_flash::NorFlash;
//! # #[allow(non_snake_case)]
//! # fn start<F: NorFlash>(driver: F, TABLE: Layout, mailbox: &[u8; MAILBOX_LEN], is_good: fn(u32, u32) -> bool)
//! # -> Result<(), JournalError> {
//! let mut table = Table::open(Flash::new(driver, TABLE)?, mailbox);
//! match table.found() {
//!     // The loader verified it right before this start.
//!     Some(found) if is_good(found.address, found.len) => {
//!         // The trial ends here. Without this call the next reset brings the old table back.
//!         table.confirm()?;
//!     }
//!     // A reset brings the old one back.
//!     Some(_) => {}
//!     // The defaults.
//!     None => {}
//! }
//! # Ok(())
//! # }
//! ```

use embedded_storage::nor_flash::NorFlash;
use update_protocol::profile::STATE_RECORD_LEN;

use super::{Confirmation, Device};
use crate::flash::Flash;
use crate::journal::packed::ACTIVE_SIZE;
use crate::journal::{Journal, JournalError};
use crate::layout::{Area, Slot, UNIT, offset_of};
use crate::mailbox::{self, MAILBOX_LEN, TablePlace};
use crate::report::table_record;

const UNIT_LEN: u32 = offset_of(UNIT);

/// The table of a device.
pub struct Table<F> {
    device: Device<F>,
    /// Where the loader found it.
    place: Option<TablePlace>,
}

/// The table that the loader verified right before the application started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// Address of its first byte, where flash is mapped.
    pub address: u32,
    /// Its bytes.
    pub len: u32,
    /// Its sequence number.
    pub sequence: u64,
    /// It is on trial: a reset before [`Table::confirm`] brings the one before it back.
    pub is_on_trial: bool,
}

/// Why no bytes of the table were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableError {
    /// The loader found no table that verifies.
    None,
    /// The table ends before.
    Outside,
    /// They do not read.
    Unreadable,
}

impl<F: NorFlash> Table<F> {
    /// Reads the journal of the table; writes nothing. `flash` has the layout of the table, and `mailbox` is what the loader
    /// left there at this start.
    pub fn open(mut flash: Flash<F>, mailbox: &[u8; MAILBOX_LEN]) -> Self {
        let journal = Journal::open(&mut flash);
        let device = Device { flash, journal };
        let state = device.journal.state();
        let active = if state.receives_in_b() { Slot::A } else { Slot::B };
        // Whatever RAM holds after a start without the loader, it is the slot that the journal has.
        let found = mailbox::table_place(mailbox);
        let place = found.filter(|place| place.slot == active && state.has_active());
        Self { device, place }
    }

    /// The table that the loader verified.
    pub fn found(&self) -> Option<Found> {
        let state = self.device.journal.state();
        let layout = self.device.flash.layout();
        let start = layout.region(Area::Slot(self.place?.slot)).start;
        Some(Found {
            address: layout.base().saturating_add(start).saturating_add(layout.head_len()),
            len: state.field(ACTIVE_SIZE).first_chunk().map_or(0, |len| u32::from_be_bytes(*len)),
            sequence: self.device.running().sequence,
            is_on_trial: state.is_trial(),
        })
    }

    /// Reads bytes of it, through the driver: for flash that is not mapped.
    ///
    /// # Errors
    /// [`TableError`]; what of `bytes` was read before is there.
    pub fn read(&mut self, offset: u32, mut bytes: &mut [u8]) -> Result<(), TableError> {
        let (Some(found), Some(TablePlace { slot, .. })) = (self.found(), self.place) else {
            return Err(TableError::None);
        };
        let end = u32::try_from(bytes.len()).ok().and_then(|len| offset.checked_add(len));
        if end.is_none_or(|end| end > found.len) {
            return Err(TableError::Outside);
        }
        let mut at = self.device.flash.layout().head_len().saturating_add(offset);
        while !bytes.is_empty() {
            // Whole units are read, which every driver takes; a slot ends with one.
            let mut unit = [0; UNIT];
            let into = at.checked_rem(UNIT_LEN).unwrap_or(0);
            let read = self.device.flash.read(Area::Slot(slot), at.saturating_sub(into), &mut unit);
            read.map_err(|_| TableError::Unreadable)?;
            let part = usize::try_from(into).ok().and_then(|into| unit.get(into..)).unwrap_or_default();
            let len = part.len().min(bytes.len());
            let Some((now, later)) = core::mem::take(&mut bytes).split_at_mut_checked(len) else { break };
            for (to, from) in now.iter_mut().zip(part) {
                *to = *from;
            }
            bytes = later;
            at = at.saturating_add(UNIT_LEN).saturating_sub(into);
        }
        Ok(())
    }

    /// Ends the trial: the application works with it. Raises its sequence floor.
    ///
    /// # Errors
    /// Those of [`Device::confirm`]; a table that the loader did not hand over is not confirmed.
    pub fn confirm(&mut self) -> Result<Confirmation, JournalError> {
        match self.place {
            // Its sequence floor rises with that of the firmware, or not at all.
            Some(TablePlace { is_tried_with_firmware: true, .. }) => Ok(Confirmation::WithFirmware),
            Some(_) if self.device.journal.state().is_trial() => self.device.confirm(),
            _ => Ok(Confirmation::AlreadyConfirmed),
        }
    }

    /// The state record that an application answers (`FD04`), its longest request being this long.
    #[must_use]
    pub fn state_record(&self, max_request_len: u16) -> [u8; STATE_RECORD_LEN] {
        let (state, layout) = (self.device.journal.state(), self.device.flash.layout());
        table_record(state, layout, self.place.is_some(), max_request_len)
    }

    /// Gives the driver back.
    pub fn release(self) -> F {
        self.device.flash.release()
    }
}
