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

use embedded_storage::nor_flash::NorFlash;
use update_protocol::profile::{Mode, StateRecord};

use crate::flash::{Flash, FlashError};
use crate::journal::{Journal, JournalError};
use crate::provisioning::{self, Identity};
use crate::report::{Circumstances, state_record};
use crate::state::{BootState, Event, Status};

/// The result of confirming.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Confirmation {
    /// The trial is over, the floor is this image's sequence number.
    Confirmed,
    /// There was no trial: nothing was written.
    AlreadyConfirmed,
}

/// The device, as its application sees it.
pub struct Device<F> {
    flash: Flash<F>,
    journal: Journal,
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
        match self.journal.state().status {
            Status::Trial { .. } => {
                self.journal.record(&mut self.flash, Event::Confirmed)?;
                Ok(Confirmation::Confirmed)
            }
            // No loader boots an image of a device without provisioning: it is the journal that does not read.
            _ if !self.state().provisioned => Err(FlashError::Unreadable.into()),
            _ => Ok(Confirmation::AlreadyConfirmed),
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
        provisioning::load_identity(&mut self.flash, self.journal.state())
    }

    /// The state in the journal.
    pub fn state(&self) -> &BootState {
        self.journal.state()
    }

    /// The state record an application answers. Reads the provisioning block.
    pub fn state_record(&mut self, max_request_len: u16) -> StateRecord {
        // The device is provisioned without anchors.
        let anchor_compiled_in = matches!(self.block(), Some((_, false)));
        let now = Circumstances {
            mode: Mode::Application,
            bootable: true,
            listening: false,
            accepted: None,
            anchor_compiled_in,
            refusal: (0, 0),
            max_request_len,
        };
        state_record(self.journal.state(), self.flash.layout(), &now)
    }
}
