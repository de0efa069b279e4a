//! The revocation lists in flash: the newest one of each domain, as it was signed, a stored object
//! ([`crate::stored`]). The loader verifies lists again at each use, and the journal has their numbers.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;
use trust::{AnchorSet, Domain, Replacement, RevocationList};

use crate::flash::{Flash, HasLayout};
use crate::journal::Journal;
use crate::layout::{PROVISIONING_BLOCK_LEN_MAX, REVOCATION_LIST_LEN_MAX};
use crate::refusal::Refusal;
use crate::state::{BootState, Event};
use crate::stored::{self, Kind};

/// Room for one list, or for a provisioning block.
pub type ListBuffer = [u8; REVOCATION_LIST_LEN_MAX];
const _: () = assert!(PROVISIONING_BLOCK_LEN_MAX <= REVOCATION_LIST_LEN_MAX);

/// list-sequence of a domain in the journal, 0 of one that never sent a list.
#[inline(never)]
pub(crate) fn number(state: &BootState, anchors: &AnchorSet, domain: Domain) -> u64 {
    let numbers = anchors.domain_index(domain).and_then(|index| state.domains.get(index));
    numbers.map_or(0, |numbers| numbers.list_sequence)
}

/// The newest list of a domain that sent one, verified, with the number that the journal has.
///
/// An accepted list that is unreadable is an error: its revoked keys must stay out.
#[inline(never)]
pub(crate) fn load<'l, F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    state: &BootState,
    anchors: &AnchorSet,
    domain: Domain,
    buffer: &'l mut ListBuffer,
) -> Result<RevocationList<'l>, trust::Error> {
    // From here on a list is missed that is not found, however its place reads.
    let len = stored::load(flash, state.set, (Kind::RevocationList, domain.0.0), buffer).unwrap_or(0);
    let mut list = RevocationList::verify(buffer.get(..len).unwrap_or_default(), anchors.as_slice());
    let is_other = |list: &RevocationList<'_>| {
        let is_it = list.domain() == domain && list.sequence() == number(state, anchors, domain);
        #[cfg(feature = "fault-injection")]
        let is_it = is_it || trust::fault::skips_list_number();
        !is_it
    };
    if list.as_ref().is_ok_and(is_other) {
        list = Err(trust::Error::new(trust::ErrorKind::RevocationSequence, 0));
    }
    list
}

/// Verifies a received list and puts it in the place of its domain's older one.
#[inline(never)]
pub(crate) fn accept<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    journal: &mut Journal,
    anchors: &AnchorSet,
    received: &[u8],
    buffer: &mut ListBuffer,
) -> Result<(), Refusal> {
    // By reference: lists are large.
    let list = RevocationList::verify(received, anchors.as_slice());
    let list = list.as_ref().map_err(|&error| error)?;
    let mut sequences = journal.state().domains.map(|domain| domain.list_sequence);
    let index = anchors.domain_index(list.domain());
    let number = index.and_then(|index| sequences.get_mut(index));
    let number = number.ok_or(Refusal::of(Reason::AnchorUnknown))?;
    let held = (*number != 0).then(|| load(flash, journal.state(), anchors, list.domain(), buffer));
    match &held {
        None => {}
        Some(Ok(held)) => match list.replaces(held)? {
            Replacement::Newer => {}
            Replacement::Same => return Err(Reason::RevocationSequence.into()),
        },
        // Of an unreadable list only the number is known: the domain may send the same list again, not an older one.
        // The number of another domain does not matter.
        Some(Err(_)) if list.sequence() < *number => return Err(Reason::RevocationSequence.into()),
        Some(Err(_)) => {}
    }
    *number = list.sequence().max(*number);

    journal.affirm(flash)?;
    // A list of another domain that does not read is left out. The journal keeps its number: the domain stays locked out.
    let objects = [((Kind::RevocationList, list.domain().0.0), received)];
    stored::replace(flash, journal.state(), &objects)?;
    journal.record(flash, Event::RevocationStored(sequences))?;
    // The list counts. A half that does not take its copy is tried again at the next boots.
    Ok(stored::mend(flash, journal)?)
}
