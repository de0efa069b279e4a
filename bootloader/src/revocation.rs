//! The revocation lists in flash: the newest one of each domain, as it was signed, a stored object
//! ([`crate::stored`]). The loader verifies lists again at each use, and the journal has their numbers.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;
use trust::{AnchorSet, Domain, Replacement, RevocationList};

use crate::flash::Flash;
use crate::journal::Journal;
use crate::layout::REVOCATION_LIST_LEN_MAX;
use crate::refusal::Refusal;
use crate::state::{BootState, Event};
use crate::stored::{self, Kind};

/// Room for one list.
pub type ListBuffer = [u8; REVOCATION_LIST_LEN_MAX];

/// list-sequence of a domain in the journal, 0 of one that never sent a list.
#[inline(never)]
pub(crate) fn number(state: &BootState, anchors: &AnchorSet, domain: Domain) -> u64 {
    let numbers = anchors.domain_index(domain).and_then(|index| state.domains.get(index));
    numbers.map_or(0, |numbers| numbers.list_sequence)
}

/// The newest list of one domain, verified; `None` if the domain never sent one.
///
/// Accepted lists that are unreadable are an error: their revoked keys must stay out.
pub(crate) fn load<'l, F: NorFlash>(
    flash: &mut Flash<F>,
    state: &BootState,
    anchors: &AnchorSet,
    domain: Domain,
    buffer: &'l mut ListBuffer,
) -> Result<Option<RevocationList<'l>>, Refusal> {
    let number = number(state, anchors, domain);
    if number == 0 {
        return Ok(None);
    }
    // From here on a list is missed that is not found, however its place reads.
    let damaged = Refusal::of(Reason::RevocationMalformed);
    let len = stored::load(flash, state.set, (Kind::RevocationList, domain.0.0), buffer).ok_or(damaged)?;
    let bytes = buffer.get(..len).ok_or(damaged)?;
    let list = RevocationList::verify(bytes, anchors.as_slice()).map_err(|_| damaged)?;
    let is_it = list.domain() == domain && list.sequence() == number;
    #[cfg(feature = "fault-injection")]
    let is_it = is_it || trust::fault::skips_list_number();
    if is_it { Ok(Some(list)) } else { Err(damaged) }
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
    let mut sequences = journal.state().domains.map(|domain| domain.list_sequence);
    let index = anchors.domain_index(list.domain());
    let number = index.and_then(|index| sequences.get_mut(index));
    let number = number.ok_or(Refusal::of(Reason::AnchorUnknown))?;
    match load(flash, journal.state(), anchors, list.domain(), buffer) {
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
    // A list of another domain that does not read is left out. The journal keeps its number: the domain stays locked out.
    stored::replace(flash, journal.state(), (Kind::RevocationList, list.domain().0.0), received)?;
    journal.record(flash, Event::RevocationStored(sequences))?;
    // The list counts. A half that does not take its copy is tried again at the next boots.
    Ok(stored::mend(flash, journal)?)
}
