//! The provisioning block (docs/records.md): who the device is and whom it believes. Written once, in factory
//! state; a block that no longer reads leaves a provisioned device without identity, and it trusts nobody.

use crate::flash::Flash;
#[cfg(feature = "loader")]
use crate::flash::FlashError;
use crate::layout::{Area, PROVISIONING_BLOCK_LEN_MAX};
use crate::stored::{self, Found, Kind};
use embedded_storage::nor_flash::NorFlash;
#[cfg(feature = "loader")]
use suit_manifest::Reason;
use trust::PublicKey;
use trust::cbor::Reader;

/// Anchors a block may hold.
pub const ANCHORS_MAX: usize = 4;
/// Bytes of a serial.
pub const SERIAL_LEN_MAX: usize = 32;
const NODE_ADDRESS_MAX: u64 = 239;

const FORMAT: i32 = 0;
const SERIAL: i32 = 1;
const VENDOR: i32 = 2;
const CLASS: i32 = 3;
const DEVICE: i32 = 4;
const NODE_ADDRESS: i32 = 5;
const ANCHORS: i32 = 6;
const SEQUENCE_FLOOR: i32 = 7;

/// Who a device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    serial: [u8; SERIAL_LEN_MAX],
    serial_len: u8,
    /// Vendor id, a UUID.
    pub vendor: [u8; 16],
    /// Class id, a UUID.
    pub class: [u8; 16],
    /// Device id, a UUID.
    pub device: [u8; 16],
    /// Address on the bus.
    pub node_address: u8,
}

impl Identity {
    /// The serial: 1 to 32 printable ASCII characters.
    #[must_use]
    pub fn serial(&self) -> &str {
        let bytes = self.serial.get(..usize::from(self.serial_len)).unwrap_or(&[]);
        core::str::from_utf8(bytes).unwrap_or("")
    }
}

/// Up to [`ANCHORS_MAX`] public keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Anchors {
    keys: [Option<PublicKey>; ANCHORS_MAX],
}

impl Anchors {
    /// One anchor.
    #[must_use]
    pub const fn single(key: PublicKey) -> Self {
        Self { keys: [Some(key), None, None, None] }
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().flatten()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// False: no room, or there already.
    fn add(&mut self, key: PublicKey) -> bool {
        if self.iter().any(|known| *known == key) {
            return false;
        }
        match self.keys.iter_mut().find(|place| place.is_none()) {
            Some(place) => {
                *place = Some(key);
                true
            }
            None => false,
        }
    }
}

/// What a provisioning block says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Provisioning {
    /// Who the device is.
    pub identity: Identity,
    /// Whom it believes; empty when the loader has its anchor compiled in.
    pub anchors: Anchors,
    /// The sequence floor it begins with.
    pub sequence_floor: u64,
}

/// Why a block is none; the byte offset where it was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// Byte offset in the block.
    pub position: u32,
}

impl From<trust::Error> for Malformed {
    fn from(error: trust::Error) -> Self {
        Self { position: error.position }
    }
}

impl Provisioning {
    /// Reads a block: a deterministic CBOR map of known keys only.
    pub fn parse(block: &[u8]) -> Result<Self, Malformed> {
        if block.len() > PROVISIONING_BLOCK_LEN_MAX {
            return Err(Malformed { position: 0 });
        }
        let mut reader = Reader::new(block);
        let (mut format, mut serial, mut vendor, mut class, mut device) = (None, None, None, None, None);
        let (mut node_address, mut anchors, mut sequence_floor) = (None, Anchors::default(), 0);
        let mut entries = reader.map()?;
        while let Some(key) = entries.next_label(&mut reader)? {
            let malformed = Malformed { position: reader.position() };
            match key {
                FORMAT => format = Some(reader.uint()?).filter(|&version| version == 1),
                SERIAL => serial = Some(reader.name(SERIAL_LEN_MAX)?).filter(|text| is_printable(text)),
                VENDOR | CLASS | DEVICE => {
                    let id = Some(reader.byte_array::<16>()?);
                    match key {
                        VENDOR => vendor = id,
                        CLASS => class = id,
                        _ => device = id,
                    }
                }
                NODE_ADDRESS => {
                    let address =
                        Some(reader.uint()?).filter(|address| (1..=NODE_ADDRESS_MAX).contains(address));
                    node_address =
                        Some(address.and_then(|address| u8::try_from(address).ok()).ok_or(malformed)?);
                }
                ANCHORS => {
                    let count = reader.array()?;
                    if count == 0 || count > ANCHORS_MAX as u64 {
                        return Err(malformed);
                    }
                    for _ in 0..count {
                        let position = reader.position();
                        let key =
                            PublicKey::from_cose_key(reader.bytes()?).map_err(|_| Malformed { position })?;
                        if !anchors.add(key) {
                            return Err(Malformed { position });
                        }
                    }
                }
                SEQUENCE_FLOOR => sequence_floor = reader.uint()?,
                _ => return Err(malformed),
            }
        }
        reader.finish()?;
        let missing = Malformed { position: reader.position() };
        format.ok_or(Malformed { position: 0 })?;
        let serial_text = serial.ok_or(missing)?;
        let mut serial = [0; SERIAL_LEN_MAX];
        serial.get_mut(..serial_text.len()).ok_or(missing)?.copy_from_slice(serial_text.as_bytes());
        Ok(Self {
            identity: Identity {
                serial,
                serial_len: u8::try_from(serial_text.len()).map_err(|_| missing)?,
                vendor: *vendor.ok_or(missing)?,
                class: *class.ok_or(missing)?,
                device: *device.ok_or(missing)?,
                node_address: node_address.ok_or(missing)?,
            },
            anchors,
            sequence_floor,
        })
    }

    /// Reads the block in flash. `Nothing`: none was ever written whole.
    pub fn load<F: NorFlash>(flash: &mut Flash<F>) -> Option<Self> {
        let mut block = [0; PROVISIONING_BLOCK_LEN_MAX];
        match stored::read(flash, Area::Provisioning, 0, Kind::Provisioning, &mut block) {
            Found::Record { len, .. } => Self::parse(block.get(..len)?).ok(),
            Found::Nothing | Found::Damaged => None,
        }
    }
}

/// Writes a block that was parsed, over whatever a cut may have left there.
#[cfg(feature = "loader")]
pub(crate) fn store<F: NorFlash>(flash: &mut Flash<F>, block: &[u8]) -> Result<(), FlashError> {
    flash.erase_area(Area::Provisioning)?;
    stored::write(flash, Area::Provisioning, 0, (Kind::Provisioning, [0; 8]), block)
}

/// Whether a block's anchors fit a loader that has its own compiled in, or has not.
#[cfg(feature = "loader")]
pub(crate) fn check_anchors(anchors: &Anchors, compiled_in: bool) -> Result<(), Reason> {
    match (compiled_in, anchors.is_empty()) {
        (true, false) => Err(Reason::AnchorCompiledIn),
        (false, true) => Err(Reason::ProvisioningMalformed),
        _ => Ok(()),
    }
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}
