//! What the functions give back, as C has it.

use bootloader::application::{Confirmation, Running};
use bootloader::journal::JournalError;
use bootloader::provisioning::Identity;
use update_protocol::profile::{DEFAULT_NODE_ADDRESS, MAX_TEXT_LEN, UNPROVISIONED_SERIAL};

/// `anchorage_result`. The numbers are stable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub enum CResult {
    /// Done.
    Ok = 0,
    /// There was no trial: nothing was written.
    AlreadyConfirmed = 1,
    /// A pointer is null or not aligned, or a callback is missing.
    Pointer = 2,
    /// The layout is not one that was generated, or its word does not suit.
    Layout = 3,
    /// The application was not opened.
    NotOpen = 4,
    /// The device has no readable provisioning block: it has no identity.
    NotProvisioned = 5,
    /// The journal does not read, or did not take the record, or one copy of it only: the next reset confirms or reverts.
    Flash = 6,
    /// The journal has a trial, but not of a program that was handed over to.
    NotHandedOver = 7,
    /// The loader found no table that verifies.
    NoTable = 8,
    /// The table ends before.
    Outside = 9,
    /// The table came with the firmware that is on trial: nothing was written, and confirming that confirms both.
    WithFirmware = 10,
}

impl From<Result<Confirmation, JournalError>> for CResult {
    fn from(confirmed: Result<Confirmation, JournalError>) -> Self {
        match confirmed {
            Ok(Confirmation::Confirmed) => Self::Ok,
            Ok(Confirmation::AlreadyConfirmed) => Self::AlreadyConfirmed,
            Ok(Confirmation::WithFirmware) => Self::WithFirmware,
            Err(JournalError::Flash(_)) => Self::Flash,
            Err(JournalError::Illegal(_)) => Self::NotHandedOver,
        }
    }
}

impl CResult {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::AlreadyConfirmed,
        Self::Pointer,
        Self::Layout,
        Self::NotOpen,
        Self::NotProvisioned,
        Self::Flash,
        Self::NotHandedOver,
        Self::NoTable,
        Self::Outside,
        Self::WithFirmware,
    ];
}

/// `anchorage_state`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CState {
    /// Sequence number of the image that runs.
    pub sequence: u64,
    /// Lowest sequence number that may be installed.
    pub floor: u64,
    /// Manifest digest of the image that runs.
    pub digest: [u8; 32],
    /// Why the last release was reverted or dropped (docs/errors.md), 0 if it was not.
    pub reason: u16,
    /// State of the image that runs: 1 confirmed, 2 on trial.
    pub image: u8,
    /// Zero.
    pub reserved: u8,
}

impl CState {
    pub(crate) fn of(running: &Running<'_>) -> Self {
        let Running { image, sequence, floor, digest, reason } = *running;
        let digest = digest.first_chunk().map_or([0; 32], |digest| *digest);
        Self { sequence, floor, digest, reason, image: image as u8, reserved: 0 }
    }
}

/// Bytes of a serial with its end.
pub const SERIAL_LEN: usize = MAX_TEXT_LEN + 1;

/// `anchorage_identity`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CIdentity {
    /// Vendor id.
    pub vendor: [u8; 16],
    /// Class id.
    pub class_id: [u8; 16],
    /// Device id.
    pub device: [u8; 16],
    /// Serial, ended by a zero.
    pub serial: [u8; SERIAL_LEN],
    /// Address on the bus.
    pub node_address: u8,
}

impl CIdentity {
    pub(crate) const EMPTY: Self = Self {
        vendor: [0; 16],
        class_id: [0; 16],
        device: [0; 16],
        serial: [0; SERIAL_LEN],
        node_address: 0,
    };

    /// That of a device, into an empty one; one without has the serial and the address of a device in factory state.
    pub(crate) fn fill(&mut self, identity: Option<&Identity>) {
        let mut serial = UNPROVISIONED_SERIAL.as_bytes();
        self.node_address = DEFAULT_NODE_ADDRESS;
        if let Some(identity) = identity {
            serial = identity.serial_bytes();
            (self.vendor, self.class_id, self.device) = (identity.vendor, identity.class, identity.device);
            self.node_address = identity.node_address;
        }
        for (to, from) in self.serial.iter_mut().zip(serial) {
            *to = *from;
        }
    }
}
