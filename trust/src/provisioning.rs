//! The provisioning block (docs/records.md): the identity of a device, and its anchors. This is its only reader;
//! `author::ProvisioningRequest` is its only writer.

use crate::anchor::AnchorSet;
use crate::cbor::{Reader, bit};
use crate::error::{Error, ErrorKind};
use crate::revocation::MAX_MINIMUM_SEQUENCE;
use crate::text::{MAX_SERIAL_LEN, is_serial_bytes};

/// Longest block, bytes.
pub const MAX_PROVISIONING_BLOCK_LEN: usize = 1024;
/// Highest node address; the lowest is 1. The same range as `update_protocol::profile::is_node_address`.
pub const MAX_NODE_ADDRESS: u8 = 239;

/// A device in factory state reports this as its serial, so it is not a serial of any other. The same text as
/// `update_protocol::profile::UNPROVISIONED_SERIAL`.
pub const UNPROVISIONED_SERIAL: &str = "unprovisioned";

pub(crate) const VERSION: i32 = 1;
pub(crate) const FORMAT: i32 = 0;
pub(crate) const SERIAL: i32 = 1;
pub(crate) const VENDOR: i32 = 2;
pub(crate) const CLASS: i32 = 3;
pub(crate) const DEVICE: i32 = 4;
pub(crate) const NODE_ADDRESS: i32 = 5;
pub(crate) const ANCHORS: i32 = 6;
pub(crate) const SEQUENCE_FLOOR: i32 = 7;
const DEVICE_KEYS: i32 = 8;
const POLICY: i32 = 9;
const IDENTITY_CREDENTIAL: i32 = 10;

/// The identity of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    serial: [u8; MAX_SERIAL_LEN],
    serial_len: u8,
    /// Vendor id, a UUID.
    pub vendor: [u8; 16],
    /// Class id, a UUID.
    pub class: [u8; 16],
    /// Device id, a UUID.
    pub device: [u8; 16],
    /// Address on the bus, 1 to [`MAX_NODE_ADDRESS`].
    pub node_address: u8,
}

impl Identity {
    /// The serial: 1 to 32 printable ASCII characters.
    #[must_use]
    pub fn serial(&self) -> &str {
        core::str::from_utf8(self.serial_bytes()).unwrap_or_default()
    }

    fn read_serial(&mut self, reader: &mut Reader<'_>) {
        let start = reader.position();
        let serial = reader.name(MAX_SERIAL_LEN).as_bytes();
        if !is_serial_bytes(serial) || serial == UNPROVISIONED_SERIAL.as_bytes() {
            reader.refuse(ErrorKind::InvalidText, start);
        }
        for (to, from) in self.serial.iter_mut().zip(serial) {
            *to = *from;
        }
        self.serial_len = u8::try_from(serial.len()).unwrap_or(0);
    }

    /// The serial as bytes, for a loader, which has no room for `str`.
    #[must_use]
    pub fn serial_bytes(&self) -> &[u8] {
        self.serial.get(..usize::from(self.serial_len)).unwrap_or_default()
    }
}

/// The content of a provisioning block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProvisioningBlock {
    /// The identity of the device.
    pub identity: Identity,
    /// The anchors; empty when the loader has its anchor compiled in.
    pub anchors: AnchorSet,
    /// The sequence floor that the device begins with, at most [`MAX_MINIMUM_SEQUENCE`].
    pub sequence_floor: u64,
}

impl ProvisioningBlock {
    /// Reads a block.
    ///
    /// # Errors
    /// The kind that names the fault, at its byte. [`ErrorKind::DeviceKeysUnsupported`],
    /// [`ErrorKind::PolicyUnsupported`] and [`ErrorKind::IdentityCredentialUnsupported`] for the keys 8 to 10: a
    /// device may not go without what its block asks for.
    #[inline(never)]
    pub fn parse(block: &[u8]) -> Result<Self, Error> {
        if block.len() > MAX_PROVISIONING_BLOCK_LEN {
            return Err(Error::new(ErrorKind::TooLong, 0));
        }
        let mut reader = Reader::new(block);
        let mut read = Self {
            identity: Identity {
                serial: [0; MAX_SERIAL_LEN],
                serial_len: 0,
                vendor: [0; 16],
                class: [0; 16],
                device: [0; 16],
                node_address: 0,
            },
            anchors: AnchorSet::EMPTY,
            sequence_floor: 0,
        };
        let mut seen = 0;
        let mut entries = reader.map();
        while let Some(key) = entries.next_label(&mut reader) {
            seen |= bit(key);
            let start = reader.position();
            match key {
                FORMAT => {
                    if reader.label() != VERSION {
                        reader.refuse(ErrorKind::OutOfRange, start);
                    }
                }
                SERIAL => read.identity.read_serial(&mut reader),
                VENDOR => read.identity.vendor = *reader.byte_array(),
                CLASS => read.identity.class = *reader.byte_array(),
                DEVICE => read.identity.device = *reader.byte_array(),
                NODE_ADDRESS => {
                    [read.identity.node_address, ..] =
                        reader.uint_within(1, MAX_NODE_ADDRESS.into()).to_le_bytes();
                }
                ANCHORS => read.anchors.read(&mut reader),
                // The limit of a list's minimum: it leaves room below the highest ceiling.
                SEQUENCE_FLOOR => read.sequence_floor = reader.uint_within(0, MAX_MINIMUM_SEQUENCE),
                DEVICE_KEYS => reader.refuse(ErrorKind::DeviceKeysUnsupported, start),
                POLICY => reader.refuse(ErrorKind::PolicyUnsupported, start),
                IDENTITY_CREDENTIAL => reader.refuse(ErrorKind::IdentityCredentialUnsupported, start),
                _ => reader.refuse(ErrorKind::UnknownKey, start),
            }
        }
        reader.expect_end();
        // All but anchors and floor are required.
        if REQUIRED & !seen != 0 {
            reader.refuse(ErrorKind::MissingKey, reader.position());
        }
        reader.check()?;
        Ok(read)
    }
}

/// The keys that every block has.
const REQUIRED: u32 = bit(FORMAT) | bit(SERIAL) | bit(VENDOR) | bit(CLASS) | bit(DEVICE) | bit(NODE_ADDRESS);

/// True for 1 to [`MAX_NODE_ADDRESS`].
#[must_use]
pub const fn is_node_address(address: u8) -> bool {
    matches!(address, 1..=MAX_NODE_ADDRESS)
}
