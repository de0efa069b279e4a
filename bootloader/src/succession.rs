//! Succession: the root of a domain is replaced (docs/records.md, Succession). A chain replaces the stored anchor set and
//! the list of the domain in one step, and the journal records the numbers of the new root in the same instant. From then
//! on the anchors of the provisioning block and of the build have retired.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::Reason;
use trust::{AnchorSet, Holding, Kid, MAX_ANCHOR_SET_LEN, RevocationList, SuccessionChain, SuccessionNumber};

use crate::anchor;
use crate::authority::Authenticates as _;
use crate::flash::{Flash, HasLayout};
use crate::install::give_up;
use crate::journal::Journal;
use crate::provisioning;
use crate::refusal::Refusal;
use crate::revocation::{self, ListBuffer};
use crate::state::{BootState, DomainNumbers, Event};
use crate::stored::{self, DEVICE, Kind};

/// The anchors that count, and whether they are those of the journal.
#[derive(Clone, Copy)]
pub(crate) struct Anchors {
    pub(crate) set: AnchorSet,
    /// The journal says that there is an anchor set, and both copies of it are unreadable: the roots of domains with
    /// successions have retired, and nothing is installed, until a whole chain comes.
    pub(crate) is_lost: bool,
}

impl Anchors {
    /// Those that a block and a build give, before any succession.
    pub(crate) fn given<L: HasLayout>(block: &AnchorSet) -> Self {
        let set = if L::Authority::HAS_ANCHORS { anchor::effective(block) } else { AnchorSet::EMPTY };
        Self { set, is_lost: false }
    }

    /// Those of the stored set, if the journal says that there is one.
    pub(crate) fn load<F: NorFlash, L: HasLayout>(
        &mut self,
        flash: &mut Flash<F, L>,
        state: &BootState,
        buffer: &mut [u8],
    ) {
        if !state.has_anchor_set {
            return;
        }
        let len = stored::load(flash, state.set, (Kind::AnchorSet, DEVICE), buffer).unwrap_or(0);
        match AnchorSet::parse(buffer.get(..len).unwrap_or_default()) {
            Ok(set) => self.set = set,
            Err(_) => {
                let given = self.set;
                // A domain without a succession has the anchors that were given.
                self.set.retire(&|domain| {
                    let number = given.domain_index(domain).and_then(|index| state.domains.get(index));
                    number.is_none_or(|number| number.root() != SuccessionNumber::FIRST)
                });
                self.is_lost = true;
            }
        }
    }
}

/// Verifies a received chain and puts its last root and that root's list in the place of those of their domain.
/// `runs_under`: the anchor under which the image that runs was installed.
#[inline(never)]
pub(crate) fn accept<F: NorFlash, L: HasLayout>(
    flash: &mut Flash<F, L>,
    journal: &mut Journal,
    anchors: &mut Anchors,
    runs_under: Option<Kid>,
    received: &[u8],
    buffer: &mut ListBuffer,
) -> Result<(), Refusal> {
    let mut domains = journal.state().domains;
    let numbers = domains.map(|domain| domain.root());
    // The anchors that the device began with.
    let name = (Kind::Provisioning, DEVICE);
    let len = stored::load(flash, journal.state().set, name, buffer).unwrap_or(0);
    let block = provisioning::parse::<L>(buffer.get(..len).unwrap_or_default());
    provisioning::wipe::<L>(buffer);
    let block = block.as_ref().map_err(|_| Refusal::of(Reason::ProvisioningMalformed))?;
    let given = anchor::effective(&block.anchors);
    let holding = Holding { given: given.as_slice(), held: anchors.set.as_slice(), numbers: &numbers };
    let chain = SuccessionChain::verify(received, &holding)?;
    let succeeded = chain.succeeded();

    let mut after = AnchorSet::EMPTY;
    succeeded.place_anchors(anchors.set.as_slice(), runs_under, &mut after)?;

    let list = chain.list(after.as_slice());
    let list = list.as_ref().map_err(|&error| error)?;
    let index = after.domain_index(succeeded.domain());
    let number = index.and_then(|index| domains.get_mut(index));
    let number = number.ok_or(Refusal::of(Reason::AnchorUnknown))?;
    // A root that comes back after its loss has signed the held list itself.
    let is_back = succeeded.number() == number.root();
    let signers = if is_back { &after } else { &anchors.set };
    let old = (number.list_sequence != 0)
        .then(|| revocation::load(flash, journal.state(), signers, succeeded.domain(), buffer));
    let old: Option<&RevocationList<'_>> = old.as_ref().and_then(|old| old.as_ref().ok());
    succeeded.admits(list, old)?;
    if is_back && list.sequence() < number.list_sequence {
        return Err(Reason::RevocationSequence.into());
    }
    let SuccessionNumber { recovery_epoch, succession_sequence } = succeeded.number();
    *number = DomainNumbers { recovery_epoch, succession_sequence, list_sequence: list.sequence() };

    let mut bytes = [0; MAX_ANCHOR_SET_LEN];
    let len = after.encode(&mut bytes);
    give_up(flash, journal)?;
    journal.affirm(flash)?;
    let objects = [
        ((Kind::AnchorSet, DEVICE), bytes.get(..len).unwrap_or_default()),
        ((Kind::RevocationList, succeeded.domain().0.0), chain.list_bytes()),
    ];
    stored::replace(flash, journal.state(), &objects)?;
    journal.record(flash, Event::Succeeded(domains))?;
    *anchors = Anchors { set: after, is_lost: false };
    // It counts. A half that does not take its copy is tried again at the next boots.
    Ok(stored::mend(flash, journal)?)
}
