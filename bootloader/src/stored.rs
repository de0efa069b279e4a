//! Stored objects: the provisioning block, the newest revocation list of each domain, as they were received, the anchors
//! after successions, and later others (docs/flash-layout.md, Stored objects). One mechanism for all kinds: the objects of a device are a set, and
//! both halves of the region hold it. The journal names the set that counts. A new set goes to one half while the other
//! one keeps the old set; then the journal names the new one, and the other half becomes its copy.

use embedded_storage::nor_flash::NorFlash;

#[cfg(feature = "loader")]
use crate::checksum::Checksum;
use crate::checksum::checksum;
#[cfg(feature = "loader")]
use crate::flash::FlashError;
use crate::flash::{Flash, HasLayout};
#[cfg(feature = "loader")]
use crate::journal::{Journal, JournalError};
use crate::layout::{Area, Half, OBJECT_HEADER_LEN, UNIT, offset_of};
#[cfg(feature = "loader")]
use crate::state::{BootState, Event, FAILED_MENDS_MAX};

const VERSION: u8 = 1;
const HEADER_LEN: u32 = offset_of(OBJECT_HEADER_LEN);
/// The kind of an object. A loader copies objects of a kind that it does not know with its set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// A word, for size: a device widens a byte again after each call.
#[repr(u32)]
pub(crate) enum Kind {
    Provisioning = 1,
    #[cfg(feature = "loader")]
    RevocationList = 2,
    #[cfg(feature = "loader")]
    AnchorSet = 3,
}

/// The owner of an object: the domain of a list, zeros for an object of the device.
pub(crate) type Owner = [u8; 8];
/// What there is one object of.
pub(crate) type Name = (Kind, Owner);
/// The owner of the provisioning block and of the anchor set.
pub(crate) const DEVICE: Owner = [0; 8];

/// The header of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Header {
    kind: u8,
    owner: Owner,
    /// Bytes of the object.
    len: u16,
    /// CRC over them.
    crc: u32,
    /// The set that it belongs to.
    set: u16,
}

impl Header {
    #[cfg(feature = "loader")]
    fn encode(&self) -> [u8; OBJECT_HEADER_LEN] {
        let mut bytes = [0; OBJECT_HEADER_LEN];
        let ([l0, l1], [c0, c1, c2, c3]) = (self.len.to_be_bytes(), self.crc.to_be_bytes());
        let [s0, s1] = self.set.to_be_bytes();
        let [o0, o1, o2, o3, o4, o5, o6, o7] = self.owner;
        let fields =
            [self.kind, VERSION, l0, l1, o0, o1, o2, o3, o4, o5, o6, o7, c0, c1, c2, c3, s0, s1, 0, 0];
        if let Some(place) = bytes.first_chunk_mut() {
            *place = fields;
        }
        if let Some((content, crc)) = bytes.split_last_chunk_mut::<4>() {
            *crc = checksum(&[content]).to_be_bytes();
        }
        bytes
    }

    /// It counts if it is one that [`encode`](Self::encode) writes.
    fn decode(bytes: &[u8; OBJECT_HEADER_LEN]) -> Option<Self> {
        let (content, seal) = bytes.split_last_chunk::<4>()?;
        let (&[kind, version, l0, l1], rest) = content.split_first_chunk()?;
        let (owner, rest) = rest.split_first_chunk()?;
        let (&[c0, c1, c2, c3, s0, s1], unused) = rest.split_first_chunk()?;
        let is_whole = checksum(&[content]).to_be_bytes() == *seal;
        (is_whole && version == VERSION && unused == [0; 10]).then_some(Self {
            kind,
            owner: *owner,
            len: u16::from_be_bytes([l0, l1]),
            crc: u32::from_be_bytes([c0, c1, c2, c3]),
            set: u16::from_be_bytes([s0, s1]),
        })
    }

    fn is(&self, (kind, owner): Name) -> bool {
        self.kind == kind as u8 && self.owner == owner
    }

    /// Bytes of the object in flash, a multiple of [`UNIT`].
    fn padded_len(&self) -> u32 {
        u32::from(self.len).next_multiple_of(const { offset_of(UNIT) })
    }

    /// Where the object after this one begins.
    #[inline(never)]
    fn end(&self, offset: u32) -> u32 {
        offset.saturating_add(HEADER_LEN).saturating_add(self.padded_len())
    }
}

/// The header in this half.
#[inline(never)]
fn header_in<F: NorFlash, L: HasLayout>(flash: &mut Flash<F, L>, half: Half, offset: u32) -> Option<Header> {
    let mut bytes = [0; OBJECT_HEADER_LEN];
    flash.read(Area::Stored(half), offset, &mut bytes).ok()?;
    Header::decode(&bytes)
}

/// The header of the object of this set at an offset, from the first half that has it.
fn header_at<F: NorFlash, L: HasLayout>(flash: &mut Flash<F, L>, set: u16, offset: u32) -> Option<Header> {
    [Half::First, Half::Second]
        .into_iter()
        .find_map(|half| header_in(flash, half, offset).filter(|header| header.set == set))
}

/// Whether a half holds this object whole.
#[cfg(feature = "loader")]
#[inline(never)]
fn is_whole<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    half: Half,
    offset: u32,
    header: &Header,
) -> bool {
    header_in(flash, half, offset) == Some(*header) && has_bytes(flash, half, offset, header)
}

/// Whether a half holds the bytes of this object, whatever its header there says.
#[cfg(feature = "loader")]
#[inline(never)]
fn has_bytes<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    half: Half,
    offset: u32,
    header: &Header,
) -> bool {
    let mut crc = Checksum::new();
    let mut at = offset.saturating_add(HEADER_LEN);
    let mut rest = usize::from(header.len);
    while rest > 0 {
        let (mut unit, len) = ([0; UNIT], rest.min(UNIT));
        if flash.read(Area::Stored(half), at, &mut unit).is_err() {
            return false;
        }
        crc.update(unit.get(..len).unwrap_or(&[]));
        at = at.saturating_add(const { offset_of(UNIT) });
        rest = rest.saturating_sub(len);
    }
    crc.value() == header.crc
}

/// Reads an object of a set into the buffer, which holds whole [`UNIT`]s and the longest object of its kind, from the
/// first half that holds it whole; its length.
#[inline(never)]
pub(crate) fn load<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    set: u16,
    name: Name,
    buffer: &mut [u8],
) -> Option<usize> {
    let mut offset = 0;
    while let Some(header) = header_at(flash, set, offset) {
        if header.is(name) {
            let len = usize::from(header.len);
            let body = buffer.get_mut(..len.next_multiple_of(UNIT))?;
            let at = offset.saturating_add(HEADER_LEN);
            return [Half::First, Half::Second].into_iter().find_map(|half| {
                flash.read(Area::Stored(half), at, body).ok()?;
                let bytes = body.get(..len)?;
                (checksum(&[bytes]) == header.crc).then_some(len)
            });
        }
        offset = header.end(offset);
    }
    None
}

/// Whether an object of any set was ever written.
#[cfg(feature = "loader")]
pub(crate) fn is_used<F: NorFlash, L: HasLayout>(flash: &mut Flash<F, L>) -> bool {
    [Half::First, Half::Second].into_iter().any(|half| header_in(flash, half, 0).is_some())
}

/// How many objects of the set a half holds whole; `None` if it lacks one that counts still, be its header in one half and
/// its bytes in the other, or the provisioning block, without which there is no set.
#[cfg(feature = "loader")]
#[inline(never)]
fn held<F: NorFlash, L: HasLayout>(flash: &mut Flash<F, L>, set: u16, half: Half) -> Option<u32> {
    let (mut offset, mut held) = (0, 0u32);
    while let Some(header) = header_at(flash, set, offset) {
        if is_whole(flash, half, offset, &header) {
            held = held.saturating_add(1);
        } else if offset == 0
            || [half, half.other()].into_iter().any(|half| has_bytes(flash, half, offset, &header))
        {
            return None;
        }
        offset = header.end(offset);
    }
    // The block comes first.
    (held > 0 || set == 0).then_some(held)
}

/// Objects by their names.
#[cfg(feature = "loader")]
pub(crate) type Objects<'o> = &'o [(Name, &'o [u8])];

/// Writes the set after the one that the journal names, with these objects in the places of those with their names: into
/// one half, while the other one keeps all of the old set. The first set of a device goes to both.
///
/// # Errors
/// [`FlashError`] if no half is free for it, or does not take it; the old set is as it was.
#[cfg(feature = "loader")]
#[inline(never)]
pub(crate) fn replace<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    state: &BootState,
    new: Objects<'_>,
) -> Result<(), FlashError> {
    let (set, next) = (state.set, state.next_set());
    let mut written = Err(FlashError::Unreadable);
    for to in [Half::First, Half::Second] {
        if written.is_err()
            && let Some(objects) = held(flash, set, to.other())
        {
            written = write_set(flash, to, (set, next), objects, new);
            if written.is_err() {
                // A half with a word that takes nothing may take the old set still, and the other half the new one.
                let _ = write_set(flash, to, (set, set), objects, &[]);
            } else if set == 0 {
                return write_set(flash, to.other(), (next, next), 1, &[]);
            }
        }
    }
    written
}

/// Makes both halves hold all of the set that the journal names. A half that does not take it is left after some tries,
/// until the next set.
///
/// # Errors
/// Those of [`Journal::record`].
#[cfg(feature = "loader")]
#[inline(never)]
pub(crate) fn mend<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    journal: &mut Journal,
) -> Result<(), JournalError> {
    let set = journal.state().set;
    for half in [Half::First, Half::Second] {
        if journal.state().failed_mends < FAILED_MENDS_MAX
            && held(flash, set, half).is_none()
            && let Some(objects) = held(flash, set, half.other())
        {
            // Another reading of the journal may name what this half holds.
            journal.affirm(flash)?;
            if write_set(flash, half, (set, set), objects, &[]).is_err() {
                journal.record(flash, Event::MendFailed)?;
            }
        }
    }
    Ok(())
}

/// Erases a half and copies the objects of the other one there, as objects of the set `to_set`; with `new` in the places
/// of the objects with their names. An object that is whole in no half is left out.
///
/// # Errors
/// [`FlashError::Unreadable`] if it does not find as many objects as the other half held a moment ago, before it erases
/// and while it copies: a read that fails for a while must lose nothing.
#[cfg(feature = "loader")]
#[inline(never)]
fn write_set<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    to: Half,
    (from_set, to_set): (u16, u16),
    objects: u32,
    new: Objects<'_>,
) -> Result<(), FlashError> {
    let (from, mut read_at, mut write_at, mut missing) = (to.other(), 0, 0u32, objects);
    if held(flash, from_set, from) != Some(objects) {
        return Err(FlashError::Unreadable);
    }
    flash.erase_area(Area::Stored(to))?;
    while let Some(header) = header_in(flash, from, read_at).filter(|header| header.set == from_set) {
        let is_replaced = new.iter().any(|(name, _)| header.is(*name));
        let is_whole = is_whole(flash, from, read_at, &header);
        missing = missing.wrapping_sub(is_whole.into());
        if !is_replaced && is_whole {
            let mut done = HEADER_LEN;
            while done < header.end(0) {
                let mut unit = [0; UNIT];
                flash.read(Area::Stored(from), read_at.saturating_add(done), &mut unit)?;
                // Padding reads as erased, and need not be programmed.
                if !flash.is_erased(&unit) {
                    flash.program(Area::Stored(to), write_at.saturating_add(done), &unit)?;
                }
                done = done.saturating_add(const { offset_of(UNIT) });
            }
            let sealed = Header { set: to_set, ..header };
            seal(flash, to, write_at, &sealed)?;
            write_at = sealed.end(write_at);
        }
        read_at = header.end(read_at);
        // A copy of the set has its objects where the set has them, though one may be missing.
        if from_set == to_set {
            write_at = read_at;
        }
    }
    if missing != 0 {
        return Err(FlashError::Unreadable);
    }
    for &((kind, owner), bytes) in new {
        let len = u16::try_from(bytes.len()).map_err(|_| FlashError::OutOfArea)?;
        let header = Header { kind: kind as u8, owner, len, crc: checksum(&[bytes]), set: to_set };
        flash.program_padded(Area::Stored(to), write_at.saturating_add(HEADER_LEN), bytes)?;
        seal(flash, to, write_at, &header)?;
        write_at = header.end(write_at);
    }
    Ok(())
}

/// Programs the header after its object and reads both back.
#[cfg(feature = "loader")]
fn seal<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    half: Half,
    offset: u32,
    header: &Header,
) -> Result<(), FlashError> {
    flash.program(Area::Stored(half), offset, &header.encode())?;
    if is_whole(flash, half, offset, header) { Ok(()) } else { Err(FlashError::NotProgrammed) }
}
