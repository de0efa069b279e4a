//! The provisioning block (docs/records.md): the identity of a device, and its anchors. This is its only reader;
//! `author::ProvisioningRequest` is its only writer.

use crate::anchor::AnchorSet;
use crate::cbor::Reader;
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
        let (mut serial, mut node_address, mut ids) = (&[][..], 0, [&[0; 16]; 3]);
        let (mut anchors, mut sequence_floor) = (AnchorSet::EMPTY, 0);
        let mut seen = 0u8;
        let mut entries = reader.map()?;
        while let Some(key) = entries.next_label(&mut reader)? {
            let start = reader.position();
            let refuse = |kind| Err(Error::new(kind, start));
            match key {
                FORMAT => {
                    if reader.label()? != VERSION {
                        return refuse(ErrorKind::OutOfRange);
                    }
                }
                SERIAL => {
                    serial = reader.name(MAX_SERIAL_LEN)?.as_bytes();
                    if !is_serial_bytes(serial) || serial == UNPROVISIONED_SERIAL.as_bytes() {
                        return refuse(ErrorKind::InvalidText);
                    }
                }
                VENDOR => ids = [reader.byte_array()?; 3],
                CLASS => ids = [ids[0], reader.byte_array()?, ids[2]],
                DEVICE => ids = [ids[0], ids[1], reader.byte_array()?],
                NODE_ADDRESS => {
                    node_address = u8::try_from(reader.uint()?).unwrap_or(0);
                    if !is_node_address(node_address) {
                        return refuse(ErrorKind::OutOfRange);
                    }
                }
                ANCHORS => anchors.read(&mut reader)?,
                SEQUENCE_FLOOR => {
                    sequence_floor = reader.uint()?;
                    // The limit of a list's minimum: it leaves room below the highest ceiling.
                    if sequence_floor > MAX_MINIMUM_SEQUENCE {
                        return refuse(ErrorKind::OutOfRange);
                    }
                }
                DEVICE_KEYS => return refuse(ErrorKind::DeviceKeysUnsupported),
                POLICY => return refuse(ErrorKind::PolicyUnsupported),
                IDENTITY_CREDENTIAL => return refuse(ErrorKind::IdentityCredentialUnsupported),
                _ => return refuse(ErrorKind::UnknownKey),
            }
            // The keys that got here are 0 to 7.
            seen |= 1u8.checked_shl(key.unsigned_abs()).unwrap_or(0);
        }
        reader.finish()?;
        // All but anchors and floor are required.
        let missing = reader.error(ErrorKind::MissingKey);
        if seen & 0x3F != 0x3F {
            return Err(missing);
        }
        let [vendor, class, device] = ids.map(|id| *id);
        let mut bytes = [0; MAX_SERIAL_LEN];
        bytes.get_mut(..serial.len()).ok_or(missing)?.copy_from_slice(serial);
        let serial_len = u8::try_from(serial.len()).map_err(|_| missing)?;
        let identity = Identity { serial: bytes, serial_len, vendor, class, device, node_address };
        Ok(Self { identity, anchors, sequence_floor })
    }
}

/// True for 1 to [`MAX_NODE_ADDRESS`].
#[must_use]
pub const fn is_node_address(address: u8) -> bool {
    matches!(address, 1..=MAX_NODE_ADDRESS)
}
