//! The application's side of the loader's flash: it confirms itself and reads the identity of the device. It needs
//! no anchor and verifies nothing.
//!
//! ```
//! # use bootloader::{application::Device, flash::Flash, journal::JournalError, layout::Layout};
//! # use embedded_storage::nor_flash::NorFlash;
//! # #[allow(non_snake_case)]
//! # fn start<F: NorFlash>(driver: F, LAYOUT: Layout, self_test_passed: fn() -> bool) -> Result<(), JournalError> {
//! let mut device = Device::open(Flash::new(driver, LAYOUT)?);
//! if self_test_passed() {
//!     // The trial ends here. Without this call the next reset brings the old image back.
//!     device.confirm()?;
//! }
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "table")]
mod table;

use embedded_storage::nor_flash::NorFlash;
use update_protocol::profile::{ImageState, STATE_RECORD_LEN};

use crate::flash::{Flash, FlashError};
use crate::journal::packed::{ACTIVE_DIGEST, ACTIVE_SEQUENCE, FLOOR, REVERT_REASON};
use crate::journal::{Journal, JournalError, Packed};
use crate::provisioning::{self, Identity};
use crate::report::{application_record, image_state};
use crate::state::BootState;
#[cfg(feature = "table")]
pub use table::{Found, Table, TableError};

/// The result of confirming.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Confirmation {
    /// The trial is over, the floor is this image's sequence number.
    Confirmed,
    /// There was no trial: nothing was written.
    AlreadyConfirmed,
    /// The table came with the firmware that is on trial: nothing was written, and confirming the firmware confirms both.
    WithFirmware,
}

/// The device, as its application sees it.
pub struct Device<F> {
    flash: Flash<F>,
    journal: Journal<Packed>,
}

impl<F: NorFlash> Device<F> {
    /// Reads the journal; writes nothing.
    pub fn open(mut flash: Flash<F>) -> Self {
        let journal = Journal::open(&mut flash);
        Self { flash, journal }
    }

    /// Ends the trial: the application works, the bus is up, and it is reachable. Raises the sequence floor.
    ///
    /// # Errors
    /// [`JournalError`] if the journal does not read, or did not take the record whole: the next reset shows whether one copy of it did, and else reverts.
    pub fn confirm(&mut self) -> Result<Confirmation, JournalError> {
        let state = self.journal.state();
        if state.is_trial() {
            self.journal.confirm(&mut self.flash)?;
            Ok(Confirmation::Confirmed)
        } else if state.is_provisioned() {
            Ok(Confirmation::AlreadyConfirmed)
        } else {
            // No loader boots an image of a device without provisioning: it is the journal that does not read.
            Err(FlashError::Unreadable.into())
        }
    }

    /// Reads the identity of the device in the provisioning block.
    pub fn identity(&mut self) -> Option<Identity> {
        self.block().map(|(identity, _)| identity)
    }

    /// Reads its address on the bus there.
    pub fn node_address(&mut self) -> u8 {
        crate::address::node_address(self.identity().as_ref())
    }

    /// The identity, and whether the block has anchors. Read when it is asked for: an application that only confirms
    /// itself does not link the reader.
    fn block(&mut self) -> Option<(Identity, bool)> {
        provisioning::load_identity(&mut self.flash, self.journal.state().set())
    }

    /// The state in the journal.
    #[must_use]
    pub fn state(&self) -> BootState {
        self.journal.state().fields()
    }

    /// The state record that an application answers (`FD00`), its longest request being this long. Reads the provisioning
    /// block. [`StateRecord`](update_protocol::profile::StateRecord) has its fields.
    pub fn state_record(&mut self, max_request_len: u16) -> [u8; STATE_RECORD_LEN] {
        // The device is provisioned without anchors.
        let anchor_compiled_in = matches!(self.block(), Some((_, false)));
        application_record(self.journal.state(), self.flash.layout(), anchor_compiled_in, max_request_len)
    }

    /// What runs. Reads nothing.
    #[must_use]
    pub fn running(&self) -> Running<'_> {
        let state = self.journal.state();
        Running {
            image: image_state(state),
            sequence: state
                .field(ACTIVE_SEQUENCE)
                .first_chunk()
                .map_or(0, |number| u64::from_be_bytes(*number)),
            floor: state.field(FLOOR).first_chunk().map_or(0, |number| u64::from_be_bytes(*number)),
            digest: state.field(ACTIVE_DIGEST),
            reason: state.field(REVERT_REASON).first_chunk().map_or(0, |number| u16::from_be_bytes(*number)),
        }
    }
}

/// The image that runs, as the journal has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Running<'a> {
    /// Its state.
    pub image: ImageState,
    /// Its sequence number; 0: none is known.
    pub sequence: u64,
    /// Lowest sequence number that may be installed.
    pub floor: u64,
    /// Its manifest digest, 32 bytes; zeros: none is known.
    pub digest: &'a [u8],
    /// Why the last release was reverted or dropped (docs/errors.md); 0: it was not.
    pub reason: u16,
}
