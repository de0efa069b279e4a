//! The provisioning block (docs/records.md): the identity of a device, and its anchors. This is its only reader;
//! `author::ProvisioningRequest` is its only writer.

use crate::anchor::{AnchorSet, BLOCK_ANCHORS_MAX};
use crate::cbor::{Reader, bit};
use crate::device_keys::DeviceKeys;
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
pub(crate) const DEVICE_KEYS: i32 = 8;
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

    /// Reads the identity at the front of a block, and whether anchors follow. For an application, which has room neither
    /// for a CBOR reader nor for keys: the loader parsed the block before it wrote it, and took the identity from here.
    ///
    /// The keys of the map ascend and 0 to 5 are required, so the front of a block has one form. `None`: another form, or
    /// a value that [`ProvisioningBlock::parse`] refuses.
    #[must_use]
    pub fn in_front_of(block: &[u8]) -> Option<(Self, bool)> {
        let mut identity = Self::VACANT;
        let has_anchors = identity.read_front(block)?;
        Some((identity, has_anchors))
    }

    const VACANT: Self = Self {
        serial: [0; MAX_SERIAL_LEN],
        serial_len: 0,
        vendor: [0; 16],
        class: [0; 16],
        device: [0; 16],
        node_address: 0,
    };

    // Into a vacant one, in place: it is large.
    #[inline(never)]
    fn read_front(&mut self, block: &[u8]) -> Option<bool> {
        let rest = match block.split_first()? {
            (0xA6..=0xA9, rest) => rest,
            _ => return None,
        };
        let rest = rest.strip_prefix(&[key(FORMAT), key(VERSION), key(SERIAL)])?;
        let (serial_len, rest) = argument(rest, TEXT)?;
        let (text, mut rest) = rest.split_at_checked(usize::from(serial_len))?;
        if !is_serial_bytes(text) || text == UNPROVISIONED_SERIAL.as_bytes() {
            return None;
        }
        self.serial_len = serial_len;
        for (to, from) in self.serial.iter_mut().zip(text) {
            *to = *from;
        }
        let ids = [&mut self.vendor, &mut self.class, &mut self.device];
        for (id, label) in ids.into_iter().zip([VENDOR, CLASS, DEVICE]) {
            let (found, after) = rest.strip_prefix(&[key(label), BYTES_16])?.split_first_chunk()?;
            (*id, rest) = (*found, after);
        }
        (self.node_address, rest) = argument(rest.strip_prefix(&[key(NODE_ADDRESS)])?, 0)?;
        if !is_node_address(self.node_address) {
            return None;
        }
        Some(rest.first() == Some(&key(ANCHORS)))
    }
}

fn check_serial(reader: &mut Reader<'_>) {
    let start = reader.position();
    let serial = reader.name(MAX_SERIAL_LEN).as_bytes();
    if !is_serial_bytes(serial) || serial == UNPROVISIONED_SERIAL.as_bytes() {
        reader.refuse(ErrorKind::InvalidText, start);
    }
}

/// Initial byte of an empty text.
const TEXT: u8 = 0x60;
/// Initial byte of a byte string of 16 bytes.
const BYTES_16: u8 = 0x50;

/// The argument of a head of this type, and what follows it; `None` unless it is below 256 and in its shortest form.
fn argument(bytes: &[u8], major: u8) -> Option<(u8, &[u8])> {
    let (initial, rest) = bytes.split_first()?;
    match (initial.checked_sub(major)?, rest) {
        (argument @ 0..=23, rest) => Some((argument, rest)),
        (24, [argument, rest @ ..]) if *argument >= 24 => Some((*argument, rest)),
        _ => None,
    }
}

/// A label of 0 to 23 as a key of a map.
const fn key(label: i32) -> u8 {
    label.to_le_bytes()[0]
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
        let mut parsed = Self::VACANT;
        parsed.read(
            block,
            |anchors, reader, _| anchors.read(reader, BLOCK_ANCHORS_MAX),
            |reader, start| reader.refuse(ErrorKind::DeviceKeysUnsupported, start),
        )?;
        Ok(parsed)
    }

    /// Reads a block that may have device keys, for a loader that has the use of them.
    ///
    /// # Errors
    /// Those of [`ProvisioningBlock::parse`] but [`ErrorKind::DeviceKeysUnsupported`]; for key 8, [`ErrorKind::TooMany`],
    /// [`ErrorKind::Repeated`], [`ErrorKind::KeyOrder`]
    #[inline(never)]
    pub fn parse_with_keys(block: &[u8]) -> Result<(Self, DeviceKeys), Error> {
        let mut parsed = (Self::VACANT, DeviceKeys::default());
        let (provisioning, keys) = &mut parsed;
        provisioning.read(
            block,
            |anchors, reader, _| anchors.read(reader, BLOCK_ANCHORS_MAX),
            |reader, _| keys.read(reader),
        )?;
        Ok(parsed)
    }

    /// Reads the block of a device that trusts its own key alone: it has an authentication key, and no anchors.
    ///
    /// # Errors
    /// Those of [`ProvisioningBlock::parse_with_keys`]; [`ErrorKind::AnchorsUnsupported`]; [`ErrorKind::MissingKey`] without
    /// an authentication key.
    #[inline(never)]
    pub fn parse_own_key(block: &[u8]) -> Result<(Self, DeviceKeys), Error> {
        let mut parsed = (Self::VACANT, DeviceKeys::default());
        let (provisioning, keys) = &mut parsed;
        provisioning.read(
            block,
            |_, reader, start| reader.refuse(ErrorKind::AnchorsUnsupported, start),
            |reader, _| keys.read(reader),
        )?;
        if keys.authentication().is_none() {
            return Err(Error::new(ErrorKind::MissingKey, 0));
        }
        Ok(parsed)
    }

    const VACANT: Self = Self { identity: Identity::VACANT, anchors: AnchorSet::EMPTY, sequence_floor: 0 };

    // Into a vacant one, in place: it is large.
    fn read<'b>(
        &mut self,
        block: &'b [u8],
        mut anchors: impl FnMut(&mut AnchorSet, &mut Reader<'b>, u32),
        mut device_keys: impl FnMut(&mut Reader<'b>, u32),
    ) -> Result<(), Error> {
        if block.len() > MAX_PROVISIONING_BLOCK_LEN {
            return Err(Error::new(ErrorKind::TooLong, 0));
        }
        let mut reader = Reader::new(block);
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
                SERIAL => check_serial(&mut reader),
                VENDOR | CLASS | DEVICE => {
                    reader.byte_array::<16>();
                }
                NODE_ADDRESS => {
                    reader.uint_within(1, MAX_NODE_ADDRESS.into());
                }
                ANCHORS => anchors(&mut self.anchors, &mut reader, start),
                // The limit of a list's minimum: it leaves room below the highest ceiling.
                SEQUENCE_FLOOR => self.sequence_floor = reader.uint_within(0, MAX_MINIMUM_SEQUENCE),
                DEVICE_KEYS => device_keys(&mut reader, start),
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
        // The checks above are those of the front; their faults have names and places here.
        self.identity.read_front(block).map(drop).ok_or(Error::new(ErrorKind::MissingKey, 0))
    }
}

/// The keys that every block has.
const REQUIRED: u32 = bit(FORMAT) | bit(SERIAL) | bit(VENDOR) | bit(CLASS) | bit(DEVICE) | bit(NODE_ADDRESS);

/// True for 1 to [`MAX_NODE_ADDRESS`].
#[must_use]
pub const fn is_node_address(address: u8) -> bool {
    matches!(address, 1..=MAX_NODE_ADDRESS)
}
