//! The revocation lists in flash: the newest one of each domain, as it was signed, in the half to which the journal
//! points. A newer list goes to the other half, together with those of the other domains; then the journal points
//! there. The loader verifies lists again at each use.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;
use trust::{AnchorSet, DOMAINS_MAX, Domain, Replacement, RevocationList};

use crate::flash::{Flash, FlashError};
use crate::journal::Journal;
use crate::layout::{Area, Half, REVOCATION_LIST_LEN_MAX};
use crate::refusal::Refusal;
use crate::state::{BootState, DomainNumbers, Event};
use crate::stored::{self, Found, Kind};

/// Room for one list.
pub type ListBuffer = [u8; REVOCATION_LIST_LEN_MAX];

/// The lists that the journal names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StoredLists {
    set: u16,
    domains: [DomainNumbers; DOMAINS_MAX],
}

impl StoredLists {
    pub(crate) fn of(state: &BootState) -> Self {
        Self { set: state.set, domains: state.domains }
    }

    fn half(self) -> Half {
        if self.set.is_multiple_of(2) { Half::Second } else { Half::First }
    }
}

/// The newest list of one domain, verified; `None` if the domain never sent one.
///
/// Accepted lists that are unreadable are an error: their revoked keys must stay out.
pub(crate) fn load<'l, F: NorFlash>(
    flash: &mut Flash<F>,
    lists: StoredLists,
    anchors: &AnchorSet,
    domain: Domain,
    buffer: &'l mut ListBuffer,
) -> Result<Option<RevocationList<'l>>, Refusal> {
    let mut numbers = anchors.domains().zip(lists.domains);
    let number = numbers.find(|(known, _)| *known == domain).map_or(0, |(_, numbers)| numbers.list_sequence);
    if number == 0 {
        return Ok(None);
    }
    // From here on a list is missed that is not found, however its place reads.
    let damaged = Refusal::of(Reason::RevocationMalformed);
    let mut offset = 0u32;
    // A half holds at most one list for each domain.
    for _ in 0..=DOMAINS_MAX {
        match stored::read(flash, Area::Revocation(lists.half()), offset, Kind::RevocationList, buffer) {
            Found::Record { owner, len } if owner == domain.0.0 => {
                let bytes = buffer.get(..len).ok_or(damaged)?;
                let list = RevocationList::verify(bytes, anchors.as_slice()).map_err(|_| damaged)?;
                let is_it = list.domain() == domain && list.sequence() == number;
                return if is_it { Ok(Some(list)) } else { Err(damaged) };
            }
            Found::Record { len, .. } => offset = offset.saturating_add(stored::footprint(len)),
            Found::Nothing | Found::Damaged => return Err(damaged),
        }
    }
    Err(damaged)
}

/// Verifies a received list and puts it in the place of its domain's older one.
#[inline(never)]
pub(crate) fn accept<F: NorFlash>(
    flash: &mut Flash<F>,
    journal: &mut Journal,
    anchors: &AnchorSet,
    received: &[u8],
    buffer: &mut ListBuffer,
) -> Result<(), Refusal> {
    let list = RevocationList::verify(received, anchors.as_slice())?;
    let index = anchors.domains().position(|domain| domain == list.domain());
    let index = index.ok_or(Refusal::of(Reason::AnchorUnknown))?;
    let lists = StoredLists::of(journal.state());
    let mut sequences = lists.domains.map(|domain| domain.list_sequence);
    let number = sequences.get_mut(index).ok_or(Refusal::of(Reason::AnchorUnknown))?;
    match load(flash, lists, anchors, list.domain(), buffer) {
        Ok(None) => {}
        Ok(Some(held)) => match list.replaces(&held)? {
            Replacement::Newer => {}
            Replacement::Same => return Err(Reason::RevocationSequence.into()),
        },
        // Of an unreadable list only the number is known: the domain may send the same list again, not an older one.
        // The number of another domain does not matter.
        Err(_) if list.sequence() < *number => return Err(Reason::RevocationSequence.into()),
        Err(_) => {}
    }
    *number = list.sequence().max(*number);

    journal.affirm(flash)?;
    let to = lists.half().other();
    flash.erase_area(Area::Revocation(to))?;
    let mut offset = 0u32;
    for domain in anchors.domains() {
        let bytes = if domain == list.domain() {
            received
        } else {
            match load(flash, lists, anchors, domain, buffer) {
                Ok(Some(other)) => other.as_bytes(),
                // One that does not read is left out. The journal keeps its number: the domain stays locked out.
                Ok(None) | Err(_) => continue,
            }
        };
        let (owner, len) = (domain.0.0, bytes.len());
        stored::write(flash, Area::Revocation(to), offset, (Kind::RevocationList, owner), bytes)?;
        // A list that is not in flash revokes nothing: the journal must not point to it.
        let found = stored::read(flash, Area::Revocation(to), offset, Kind::RevocationList, buffer);
        if found != (Found::Record { owner, len }) {
            return Err(FlashError::NotProgrammed.into());
        }
        offset = offset.saturating_add(stored::footprint(len));
    }
    journal.record(flash, Event::RevocationStored(sequences))?;
    Ok(())
}
