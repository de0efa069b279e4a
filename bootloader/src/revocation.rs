//! The revocation lists in flash: the newest one of each anchor, as it was signed, in the half the journal points
//! to. A newer list is written, with those of the other anchors, to the other half; then the journal points there.
//! Lists are verified again each time they are used.

use crate::flash::{Flash, FlashError};
use crate::journal::Journal;
use crate::layout::{Area, Half, REVOCATION_LIST_LEN_MAX};
use crate::provisioning::{ANCHORS_MAX, Anchors};
use crate::refusal::Refusal;
use crate::state::{Event, RevocationPointer};
use crate::stored::{self, Found, Kind};
use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;
use trust::{PublicKey, RevocationList};

/// Room for one list.
pub type ListBuffer = [u8; REVOCATION_LIST_LEN_MAX];

/// The newest list of one anchor, verified; `None` if it never gave one.
///
/// Lists that were accepted but cannot be read are an error: what they took back may not be let in.
pub(crate) fn load<'l, F: NorFlash>(
    flash: &mut Flash<F>,
    pointer: Option<RevocationPointer>,
    anchor: &PublicKey,
    buffer: &'l mut ListBuffer,
) -> Result<Option<RevocationList<'l>>, Refusal> {
    let Some(pointer) = pointer else { return Ok(None) };
    let damaged = Refusal::of(Reason::RevocationMalformed);
    let kid = anchor.kid();
    let mut offset = 0u32;
    // A half holds at most one list for each anchor.
    for _ in 0..=ANCHORS_MAX {
        match stored::read(flash, Area::Revocation(pointer.half), offset, Kind::RevocationList, buffer) {
            Found::Record { owner, len } if owner == kid.0 => {
                let bytes = buffer.get(..len).ok_or(damaged)?;
                let list =
                    RevocationList::verify(bytes, core::slice::from_ref(anchor)).map_err(|_| damaged)?;
                return Ok(Some(list));
            }
            Found::Record { len, .. } => offset = offset.saturating_add(stored::footprint(len)),
            Found::Nothing if offset == 0 => return Err(damaged),
            Found::Nothing => return Ok(None),
            Found::Damaged => return Err(damaged),
        }
    }
    Err(damaged)
}

/// Verifies a received list and puts it in the place of its signer's older one.
pub(crate) fn accept<F: NorFlash>(
    flash: &mut Flash<F>,
    journal: &mut Journal,
    anchors: &Anchors,
    received: &[u8],
    buffer: &mut ListBuffer,
) -> Result<(), Refusal> {
    let mut refusal = Refusal::of(Reason::AnchorUnknown);
    let mut verified = None;
    for anchor in anchors.iter() {
        match RevocationList::verify(received, core::slice::from_ref(anchor)) {
            Ok(list) => verified = Some((anchor, list)),
            Err(error) if error.kind == trust::ErrorKind::AnchorUnknown => {}
            Err(error) => refusal = error.into(),
        }
    }
    let (signer, list) = verified.ok_or(refusal)?;
    // A list cannot take back any of the anchors, not only its signer's own key.
    if anchors.iter().any(|anchor| list.revokes_kid(&anchor.kid())) {
        return Err(Reason::RevocationNamesAnchor.into());
    }

    let pointer = journal.state().revocation;
    // Of lists that do not read only the highest number among them is known: the one that was sent last may come
    // again, an older one may not.
    let held = match load(flash, pointer, signer, buffer) {
        Ok(held) => held.map_or(0, |held| held.sequence()),
        Err(_) => pointer.map_or(0, |pointer| pointer.sequence.saturating_sub(1)),
    };
    list.supersede(held)?;

    journal.affirm(flash)?;
    let to = pointer.map_or(Half::First, |pointer| pointer.half.other());
    flash.erase_area(Area::Revocation(to))?;
    let mut offset = 0u32;
    for anchor in anchors.iter() {
        let bytes = if anchor == signer {
            received
        } else {
            match load(flash, pointer, anchor, buffer) {
                Ok(None) => continue,
                Ok(Some(other)) => other.as_bytes(),
                // Nothing verifies as this list: its anchor stays shut out until it sends one.
                Err(_) => &[],
            }
        };
        let (owner, len) = (anchor.kid().0, bytes.len());
        stored::write(flash, Area::Revocation(to), offset, (Kind::RevocationList, owner), bytes)?;
        // A list that is not there takes nothing back: the journal must not point to it.
        let found = stored::read(flash, Area::Revocation(to), offset, Kind::RevocationList, buffer);
        if found != (Found::Record { owner, len }) {
            return Err(FlashError::NotProgrammed.into());
        }
        offset = offset.saturating_add(stored::footprint(len));
    }
    let sequence = pointer.map_or(0, |pointer| pointer.sequence).max(list.sequence());
    journal.record(flash, Event::RevocationStored(RevocationPointer { half: to, sequence }))?;
    Ok(())
}
