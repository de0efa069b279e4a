//! The demo application without a board: it reports its version, confirms itself, and goes to the loader when a
//! tester asks for the programming session (docs/can-protocol.md, Services). Sans-IO: the boards and the simulator
//! hand it to a [`Server`](update_protocol::uds::server::Server).
//!
//! An application of your own does the same three things through [`bootloader::application`].
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod descriptor;
mod service;

pub use descriptor::{Behaviour, Descriptor};
pub use service::{ballast_is_intact, serve};

#[cfg(feature = "table")]
use bootloader::application::Table;
use bootloader::application::{Confirmation, Device};
use bootloader::device::Program;
use bootloader::journal::JournalError;
use bootloader::mailbox::Request;
use embedded_storage::nor_flash::NorFlash;
#[cfg(feature = "table")]
use update_protocol::profile::STATE_RECORD_LEN;
use update_protocol::profile::{UNPROVISIONED_SERIAL, did};
use update_protocol::uds::server::{Answer, Handler, SessionChange};
use update_protocol::uds::{Nrc, Session};

/// Longest request it takes, bytes: everything but a download is short.
pub const MAX_REQUEST_LEN: u16 = 256;
/// Longest answer, bytes: all of its data identifiers at once.
pub const MAX_ANSWER_LEN: usize = 352;

/// How a table begins that it does not confirm.
#[cfg(feature = "table")]
const REJECT: &[u8; 6] = b"reject";

/// How long it has to have worked before it says that it is alive: then a tester has time to reach it.
pub const ALIVE_AFTER_US: u64 = 3_000_000;

/// The running application.
pub struct Application<F> {
    device: Device<F>,
    descriptor: Descriptor,
    request: Option<Request>,
    /// Its table.
    #[cfg(feature = "table")]
    table: Option<TakenTable>,
}

/// The table, as this application found it.
#[cfg(feature = "table")]
#[derive(Clone, Copy, Debug)]
pub struct TakenTable {
    /// Its state record.
    record: [u8; STATE_RECORD_LEN],
    /// The application does not work with it.
    is_rejected: bool,
}

impl<F: NorFlash> Application<F> {
    /// Starts on an open device.
    pub const fn new(device: Device<F>, descriptor: Descriptor) -> Self {
        Self {
            device,
            descriptor,
            request: None,
            #[cfg(feature = "table")]
            table: None,
        }
    }

    /// The same with a table beside the firmware, which it has [looked at](take_table).
    #[must_use]
    #[cfg(feature = "table")]
    pub fn with_table(self, table: TakenTable) -> Self {
        Self { table: Some(table), ..self }
    }

    /// Its node address.
    pub fn node_address(&mut self) -> u8 {
        self.device.node_address()
    }

    /// To be called when the board's self-test was good: confirms the image, if it is one that does.
    ///
    /// # Errors
    /// When the journal cannot be written: the next reset reverts, or finds a copy that was written.
    pub fn self_test_passed(&mut self) -> Result<Option<Confirmation>, JournalError> {
        // They may have come together: then the firmware confirms both, or neither.
        #[cfg(feature = "table")]
        if self.table.is_some_and(|table| table.is_rejected) {
            return Ok(None);
        }
        match self.descriptor.behaviour {
            Behaviour::Confirms | Behaviour::Crashes | Behaviour::Stalls => self.device.confirm().map(Some),
            Behaviour::NeverConfirms | Behaviour::Hangs => Ok(None),
        }
    }

    /// The request to leave in the mailbox for the reset that a tester caused.
    pub const fn request(&self) -> Option<Request> {
        self.request
    }
}

/// Looks at the table that the loader found, and confirms it. This application takes any that does not begin with the
/// word `reject`, so that a table can be seen to go back; one of your own checks what its table says.
#[cfg(feature = "table")]
pub fn take_table<F: NorFlash>(table: &mut Table<F>, behaviour: Behaviour) -> TakenTable {
    let confirms = !matches!(behaviour, Behaviour::NeverConfirms | Behaviour::Hangs);
    let mut word = [0; REJECT.len()];
    let is_rejected = table.read(0, &mut word).is_ok() && word == *REJECT;
    if confirms && !is_rejected {
        // One that is not confirmed goes back at the next reset; the record says what came of it.
        let _on_trial = table.confirm();
    }
    TakenTable { record: table.state_record(MAX_REQUEST_LEN), is_rejected }
}

impl<F: NorFlash> Handler for Application<F> {
    fn read_identifier(&mut self, identifier: u16, answer: &mut Answer<'_>) -> Result<(), Nrc> {
        match identifier {
            did::APPLICATION_VERSION => answer.append(self.descriptor.version().as_bytes()),
            did::SERIAL => {
                let identity = self.device.identity();
                let serial = identity.as_ref().map_or(UNPROVISIONED_SERIAL, |identity| identity.serial());
                answer.append(serial.as_bytes())
            }
            did::STATE_RECORD => answer.append(&self.device.state_record(MAX_REQUEST_LEN)),
            #[cfg(feature = "table")]
            did::TABLE_STATE => answer.append(&self.table.ok_or(Nrc::REQUEST_OUT_OF_RANGE)?.record),
            did::IDENTITY => {
                let unknown = [0; 16];
                let identity = self.device.identity();
                let ids = identity
                    .as_ref()
                    .map_or([&unknown; 3], |identity| [&identity.vendor, &identity.class, &identity.device]);
                ids.iter().try_for_each(|id| answer.append(*id))
            }
            _ => Err(Nrc::REQUEST_OUT_OF_RANGE),
        }
    }

    fn change_session(&mut self, session: Session) -> Result<SessionChange, Nrc> {
        match session {
            Session::Default | Session::Extended => Ok(SessionChange::Enter),
            Session::Programming => {
                // NRC 78 goes out, and after that an answer is due whether it was suppressed or not.
                self.request = Some(Request::ProgrammingSession { answer: true });
                Ok(SessionChange::HandOver)
            }
        }
    }
}

impl<F: NorFlash> Program for Application<F> {
    fn ends_with_its_session(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
