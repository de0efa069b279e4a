//! A record in an area of its own: header, then the bytes as they were received (docs/flash-layout.md, Stored
//! records). The header is programmed last, so a record with a header is whole; its CRC detects decay.

use embedded_storage::nor_flash::NorFlash;

use crate::checksum::checksum;
use crate::flash::{Flash, FlashError};
use crate::layout::{Area, RECORD_HEADER_LEN, UNIT, offset_of};

const VERSION: u8 = 1;
const HEADER_LEN: u32 = offset_of(RECORD_HEADER_LEN);

/// The kind of a record; a reader of one kind takes no other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Provisioning = 1,
    #[cfg(feature = "loader")]
    RevocationList = 2,
}

/// The owner of a record: the domain of a list, zeros for a provisioning block.
pub(crate) type Owner = [u8; 8];

/// The content at an offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// A record; this many of its bytes were put into the buffer.
    Record { owner: Owner, len: usize },
    /// Nothing was written there.
    Nothing,
    /// Bytes that are not a whole record.
    Damaged,
}

/// Bytes of flash that a record takes, a multiple of [`UNIT`].
#[cfg(feature = "loader")]
pub(crate) fn footprint(len: usize) -> u32 {
    let padded = len.checked_next_multiple_of(UNIT).and_then(|len| len.checked_add(RECORD_HEADER_LEN));
    padded.and_then(|len| u32::try_from(len).ok()).unwrap_or(u32::MAX)
}

/// Reads the record at `offset`; `buffer` holds whole [`UNIT`]s and at least the longest record of its kind.
pub(crate) fn read<F: NorFlash>(
    flash: &mut Flash<F>,
    area: Area,
    offset: u32,
    kind: Kind,
    buffer: &mut [u8],
) -> Found {
    let mut header = [0; RECORD_HEADER_LEN];
    match flash.read(area, offset, &mut header) {
        Err(FlashError::OutOfArea) => return Found::Nothing,
        Err(
            FlashError::Geometry | FlashError::Unreadable | FlashError::NotProgrammed | FlashError::NotErased,
        ) => return Found::Damaged,
        Ok(()) if flash.is_erased(&header) => return Found::Nothing,
        Ok(()) => {}
    }
    read_body(flash, area, offset, kind, &header, buffer).unwrap_or(Found::Damaged)
}

fn read_body<F: NorFlash>(
    flash: &mut Flash<F>,
    area: Area,
    offset: u32,
    kind: Kind,
    header: &[u8; RECORD_HEADER_LEN],
    buffer: &mut [u8],
) -> Option<Found> {
    let (fields, rest) = header.split_first_chunk::<12>()?;
    let (crc, padding) = rest.split_first_chunk::<4>()?;
    let [found_kind, version, len_high, len_low, owner @ ..] = *fields;
    if found_kind != kind as u8 || version != VERSION || padding.iter().any(|&byte| byte != 0) {
        return None;
    }
    let len = usize::from(u16::from_be_bytes([len_high, len_low]));
    let body = buffer.get_mut(..len.checked_next_multiple_of(UNIT)?)?;
    if !body.is_empty() {
        flash.read(area, offset.checked_add(HEADER_LEN)?, body).ok()?;
    }
    let bytes = body.get(..len)?;
    (checksum(&[fields, bytes]) == u32::from_be_bytes(*crc)).then_some(Found::Record { owner, len })
}

/// Writes a record into erased flash.
#[cfg(feature = "loader")]
pub(crate) fn write<F: NorFlash>(
    flash: &mut Flash<F>,
    area: Area,
    offset: u32,
    (kind, owner): (Kind, Owner),
    bytes: &[u8],
) -> Result<(), FlashError> {
    let [len_high, len_low] = u16::try_from(bytes.len()).map_err(|_| FlashError::OutOfArea)?.to_be_bytes();
    let mut header = [0; RECORD_HEADER_LEN];
    if let Some((fields, rest)) = header.split_first_chunk_mut::<12>() {
        let [o0, o1, o2, o3, o4, o5, o6, o7] = owner;
        *fields = [kind as u8, VERSION, len_high, len_low, o0, o1, o2, o3, o4, o5, o6, o7];
        if let Some(crc) = rest.first_chunk_mut::<4>() {
            *crc = checksum(&[fields, bytes]).to_be_bytes();
        }
    }
    let body = offset.checked_add(HEADER_LEN).ok_or(FlashError::OutOfArea)?;
    if !bytes.is_empty() {
        flash.program_padded(area, body, bytes)?;
    }
    flash.program(area, offset, &header)
}
