//! The numbers of our devices: identifiers, objects, routines, addresses, the state record (docs/can-protocol.md).

pub mod anchors;
mod state_record;

pub use state_record::{Flags, ImageState, Mode, STATE_RECORD_LEN, StateRecord, StateRecordError};

use crate::can::Id;
use crate::isotp::Addressing;
use crate::uds::P2_MS;

/// Data identifiers, read with service `22`.
pub mod did {
    /// Loader version, ASCII.
    pub const LOADER_VERSION: u16 = 0xF180;
    /// Active session, 1 byte; answered by the server itself.
    pub const ACTIVE_SESSION: u16 = 0xF186;
    /// Serial, ASCII, at most 32 bytes.
    pub const SERIAL: u16 = 0xF18C;
    /// Application version, ASCII, at most 32 bytes; served by the application only.
    pub const APPLICATION_VERSION: u16 = 0xF195;
    /// [`StateRecord`](super::StateRecord).
    pub const STATE_RECORD: u16 = 0xFD00;
    /// Vendor id (16), class id (16), device id (16); zeros in factory state.
    pub const IDENTITY: u16 = 0xFD01;
    /// The [anchors](super::anchors); served by the loader only.
    pub const ANCHORS: u16 = 0xFD02;
    /// Tag of 8 bytes that tells devices in factory state apart, which all have one address; served by a loader in
    /// factory state only, after a delay of at most [`FACTORY_TAG_DELAY_MS`](super::FACTORY_TAG_DELAY_MS).
    pub const FACTORY_TAG: u16 = 0xFD03;
    /// [`StateRecord`](super::StateRecord) of the table; served by a loader that has one only.
    pub const TABLE_STATE: u16 = 0xFD04;
}

/// Routine identifiers, started with service `31 01`.
pub mod rid {
    /// Forgets an install in progress or a pending one; the active image stays. The option record is a
    /// [`Component`](super::Component), or none for the firmware.
    pub const ABANDON_INSTALL: u16 = 0xF001;
    /// Answers a report about the last attempt to install, with the option record as its nonce; what is in it is opaque here.
    pub const MAKE_REPORT: u16 = 0xF002;
    /// Reads back the spare slot and matches its digest again; answers one status byte. Its option record is that of
    /// [`ABANDON_INSTALL`].
    pub const CHECK_PROGRAMMING_DEPENDENCIES: u16 = 0xFF01;
}

/// What of a device is updated by itself, by its number in the option record of a routine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Component {
    /// Its firmware; what an absent option record means.
    Firmware = 0,
    /// Its table.
    Table = 1,
}

impl Component {
    /// The component that an option record names; `None` for one that names none.
    #[must_use]
    pub const fn of(option: &[u8]) -> Option<Self> {
        match option {
            [] | [0] => Some(Self::Firmware),
            [1] => Some(Self::Table),
            _ => None,
        }
    }

    /// The address of a download of one file: an envelope with the image, or the table, integrated in it. No loader has to
    /// take one.
    #[must_use]
    pub const fn file_address(self) -> u32 {
        match self {
            Self::Firmware => 0x7000_0000,
            Self::Table => 0x8000_0000,
        }
    }

    /// The component that a file at this address is for.
    #[must_use]
    pub const fn of_file(address: u32) -> Option<Self> {
        match address {
            0x7000_0000 => Some(Self::Firmware),
            0x8000_0000 => Some(Self::Table),
            _ => None,
        }
    }

    /// The identifier of its state record.
    #[must_use]
    pub const fn state_identifier(self) -> u16 {
        match self {
            Self::Firmware => did::STATE_RECORD,
            Self::Table => did::TABLE_STATE,
        }
    }
}

/// The status byte that [`rid::CHECK_PROGRAMMING_DEPENDENCIES`] answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum DependencyStatus {
    /// What is installed matches its digest.
    Good = 0,
    /// Nothing is installed that waits for its first boot.
    NothingInstalled = 1,
    /// The digest does not match.
    NoMatch = 2,
}

/// Longest delay before the answer to [`did::FACTORY_TAG`], ms: with the rest of an answer within P2.
pub const FACTORY_TAG_DELAY_MS: u32 = 40;
/// Serial of a device in factory state.
pub const UNPROVISIONED_SERIAL: &str = "unprovisioned";
/// Longest serial and longest version, bytes.
pub const MAX_TEXT_LEN: usize = 32;
/// Longest envelope a device takes, bytes.
pub const MAX_ENVELOPE_HEAD_LEN: u32 = 4096;
/// Longest revocation list a device takes, bytes.
pub const MAX_REVOCATION_LIST_LEN: u32 = 1536;
/// Longest provisioning block a device takes, bytes.
pub const MAX_PROVISIONING_BLOCK_LEN: u32 = 1024;
/// Longest succession chain a device takes, bytes.
pub const MAX_SUCCESSION_CHAIN_LEN: u32 = 4096;

/// The slowest bit rate that our devices are built for, 125 kbit/s, in bits per millisecond.
pub const SLOWEST_BITS_PER_MS: u32 = 125;
/// A frame of 8 bytes with a 29-bit identifier and as many stuff bits as there can be, bits.
const LONGEST_FRAME_BITS: u32 = 160;

/// P2 that a server declares, milliseconds: its own [`P2_MS`] and the time that its longest request takes on the
/// slowest bus, since stock testers count from the moment they begin to send. For a request of `max_request_len` bytes.
#[must_use]
pub const fn declared_p2_ms(max_request_len: u16) -> u16 {
    let frames = (max_request_len.div_ceil(7) as u32).saturating_add(2);
    let [_, _, high, low] =
        frames.saturating_mul(LONGEST_FRAME_BITS).div_ceil(SLOWEST_BITS_PER_MS).to_be_bytes();
    // 9,365 frames at most: the upper bytes are zero.
    P2_MS.saturating_add(u16::from_be_bytes([high, low]))
}

/// The object of a download. The address of a RequestDownload names one of these, not flash; on a device with a table a
/// [`Destination`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Object {
    /// `00000000`: authentication wrapper, manifest, severed members.
    Envelope,
    /// `10000000` + offset: the image from that byte on.
    Image {
        /// The byte the download begins at.
        offset: u32,
    },
    /// `20000000`: a signed revocation list.
    RevocationList,
    /// `30000000`: a provisioning block.
    ProvisioningBlock,
    /// `40000000`: a succession chain.
    SuccessionChain,
}

impl Object {
    /// Images and tables are shorter than this.
    pub const MAX_IMAGE_OFFSET: u32 = 0x0FFF_FFFF;
    const IMAGE_BASE: u32 = 0x1000_0000;

    /// The object at an address, if there is one; those of a table have none here.
    #[must_use]
    pub const fn at(address: u32) -> Option<Self> {
        match address {
            0 => Some(Self::Envelope),
            0x1000_0000..=0x1FFF_FFFF => Some(Self::Image { offset: address & Self::MAX_IMAGE_OFFSET }),
            0x2000_0000 => Some(Self::RevocationList),
            0x3000_0000 => Some(Self::ProvisioningBlock),
            0x4000_0000 => Some(Self::SuccessionChain),
            _ => None,
        }
    }

    /// Its address; `None` for an image offset above [`Object::MAX_IMAGE_OFFSET`].
    #[must_use]
    pub const fn address(self) -> Option<u32> {
        match self {
            Self::Envelope => Some(0),
            Self::Image { offset } if offset <= Self::MAX_IMAGE_OFFSET => Some(Self::IMAGE_BASE | offset),
            Self::Image { .. } => None,
            Self::RevocationList => Some(0x2000_0000),
            Self::ProvisioningBlock => Some(0x3000_0000),
            Self::SuccessionChain => Some(0x4000_0000),
        }
    }

    /// This object of a component.
    #[must_use]
    pub const fn of(self, component: Component) -> Destination {
        Destination { component, object: self }
    }
}

/// What the address of a RequestDownload names on a device with a table: an object, and whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Destination {
    /// The component; of objects that are about the device it is the firmware.
    pub component: Component,
    /// The object: the envelope and the image of a table are those of its component.
    pub object: Object,
}

impl Destination {
    const TABLE_ENVELOPE: u32 = 0x5000_0000;
    const TABLE_BASE: u32 = 0x6000_0000;
    const TABLE_END: u32 = Self::TABLE_BASE | Object::MAX_IMAGE_OFFSET;

    /// What an address names, if it names something: `50000000` the envelope of a table, `60000000` + offset the table
    /// from that byte on, and all that [`Object::at`] has.
    #[must_use]
    pub const fn at(address: u32) -> Option<Self> {
        match address {
            Self::TABLE_ENVELOPE => Some(Object::Envelope.of(Component::Table)),
            Self::TABLE_BASE..=Self::TABLE_END => {
                Some(Object::Image { offset: address & Object::MAX_IMAGE_OFFSET }.of(Component::Table))
            }
            address => match Object::at(address) {
                Some(object) => Some(object.of(Component::Firmware)),
                None => None,
            },
        }
    }

    /// Its address; `None` for an offset above [`Object::MAX_IMAGE_OFFSET`], and for what a table does not have.
    #[must_use]
    pub const fn address(self) -> Option<u32> {
        match (self.component, self.object) {
            (Component::Firmware, object) => object.address(),
            (Component::Table, Object::Envelope) => Some(Self::TABLE_ENVELOPE),
            (Component::Table, Object::Image { offset }) if offset <= Object::MAX_IMAGE_OFFSET => {
                Some(Self::TABLE_BASE | offset)
            }
            (
                Component::Table,
                Object::Image { .. }
                | Object::RevocationList
                | Object::ProvisioningBlock
                | Object::SuccessionChain,
            ) => None,
        }
    }
}

impl From<Object> for Destination {
    fn from(object: Object) -> Self {
        object.of(Component::Firmware)
    }
}

/// The tester's address on 29-bit normal fixed addressing.
pub const TESTER_ADDRESS: u8 = 0xF1;
/// The address of a device that was not provisioned with another one.
pub const DEFAULT_NODE_ADDRESS: u8 = 0x10;
/// Highest node address of a device; the lowest is 1.
pub const MAX_NODE_ADDRESS: u8 = 239;
/// To every device, 29 bit.
pub const FUNCTIONAL_ID: Id = Id::Extended(0x18DB_33F1);
/// The tester's request, 11 bit.
pub const REQUEST_ID_11: Id = Id::Standard(0x7E0);
/// The device's response, 11 bit.
pub const RESPONSE_ID_11: Id = Id::Standard(0x7E8);
/// To every device, 11 bit.
pub const FUNCTIONAL_ID_11: Id = Id::Standard(0x7DF);

/// `18DA<TA>F1`: tester to device.
#[must_use]
pub const fn request_id(node: u8) -> Id {
    Id::Extended(0x18DA_0000 | (node as u32) << 8 | TESTER_ADDRESS as u32)
}

/// `18DAF1<SA>`: device to tester.
#[must_use]
pub const fn response_id(node: u8) -> Id {
    Id::Extended(0x18DA_0000 | (TESTER_ADDRESS as u32) << 8 | node as u32)
}

/// The device that sends with this identifier to the tester; `None` for an address that no device may have.
#[must_use]
pub const fn responding_node(id: Id) -> Option<u8> {
    match id {
        Id::Extended(raw @ 0x18DA_F100..=0x18DA_F1FF) if is_node_address(raw.to_le_bytes()[0]) => {
            Some(raw.to_le_bytes()[0])
        }
        Id::Standard(_) | Id::Extended(_) => None,
    }
}

/// True for a node address that a device may have: 1 to [`MAX_NODE_ADDRESS`].
#[must_use]
pub const fn is_node_address(node: u8) -> bool {
    matches!(node, 1..=MAX_NODE_ADDRESS)
}

/// The identifiers of a device. Its own node address has to be one ([`is_node_address`]).
#[must_use]
pub const fn device_addressing(node: u8) -> Addressing {
    Addressing::known(response_id(node), request_id(node), None, Some(FUNCTIONAL_ID))
}

/// The identifiers of a tester that talks to `node`.
#[must_use]
pub const fn tester_addressing(node: u8) -> Addressing {
    Addressing::known(request_id(node), response_id(node), Some(FUNCTIONAL_ID), None)
}

/// The identifiers of a device on 11 bits.
#[must_use]
pub const fn device_addressing_11() -> Addressing {
    Addressing::known(RESPONSE_ID_11, REQUEST_ID_11, None, Some(FUNCTIONAL_ID_11))
}

/// The identifiers of a tester on 11 bits.
#[must_use]
pub const fn tester_addressing_11() -> Addressing {
    Addressing::known(REQUEST_ID_11, RESPONSE_ID_11, Some(FUNCTIONAL_ID_11), None)
}

#[cfg(test)]
mod tests;
