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

use crate::flash::Flash;
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
    identity: Option<Identity>,
    /// The device is provisioned without anchors.
    anchor_compiled_in: bool,
}

impl<F: NorFlash> Device<F> {
    /// Reads journal and provisioning block; writes nothing.
    pub fn open(mut flash: Flash<F>) -> Self {
        let journal = Journal::open(&mut flash);
        let block = provisioning::load_identity(&mut flash, journal.state());
        let anchor_compiled_in = matches!(block, Some((_, false)));
        Self { flash, journal, identity: block.map(|(identity, _)| identity), anchor_compiled_in }
    }

    /// Ends the trial: the application works, the bus is up, and it is reachable. Raises the sequence floor.
    ///
    /// # Errors
    /// [`JournalError`] if the record did not reach flash: the trial goes on and the next reset reverts.
    pub fn confirm(&mut self) -> Result<Confirmation, JournalError> {
        match self.journal.state().status {
            Status::Trial { .. } => {
                self.journal.record(&mut self.flash, Event::Confirmed)?;
                Ok(Confirmation::Confirmed)
            }
            _ => Ok(Confirmation::AlreadyConfirmed),
        }
    }

    /// The identity of the device.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Its address on the bus.
    pub fn node_address(&self) -> u8 {
        crate::address::node_address(self.identity())
    }

    /// The state in the journal.
    pub fn state(&self) -> &BootState {
        self.journal.state()
    }

    /// The state record an application answers.
    pub fn state_record(&self, max_request_len: u16) -> StateRecord {
        let now = Circumstances {
            mode: Mode::Application,
            bootable: true,
            listening: false,
            accepted: None,
            anchor_compiled_in: self.anchor_compiled_in,
            refusal: (0, 0),
            max_request_len,
        };
        state_record(self.journal.state(), self.flash.layout(), &now)
    }
}
