//! Roots that follow one another: a succession closes the ledger of the root that it replaces, and the successor's ledger
//! goes on from it, with a copy of it.

use std::path::Path;

use trust::author::{RecordKind, Unsigned};
use trust::{
    Error as Refusal, ErrorKind, PublicKey, RevocationClaims, RevocationList, Revoked, Rights, Role,
    SuccessionNumber,
};

use crate::MAX_LEDGERS;
use crate::chain::{Ledger, Stored};
use crate::disk;
use crate::entry::{Continues, Event, Import, Open, Purpose};
use crate::error::{Error, Fault};
use crate::facts::{Facts, SuccessionFacts};
use crate::names::check_name;
use crate::values::{Hex, Time};

/// The root that followed the one of a ledger.
#[derive(Clone, Debug)]
pub struct Successor<'l> {
    /// Number of the entry that says so.
    pub entry: u64,
    /// When it was written.
    pub time: Time,
    /// What the succession says.
    pub facts: SuccessionFacts,
    /// The succession.
    pub record: &'l [u8],
    /// The root or recovery root that granted it.
    pub grantor: PublicKey,
}

impl Purpose {
    /// The rights of such an anchor; `None`: it is no anchor.
    const fn rights(self) -> Option<Rights> {
        match self {
            Self::Root => Some(Rights::ALL),
            Self::OwnerRoot => Some(Rights::GOVERNANCE.and(Rights::SUCCESSION)),
            Self::RecoveryRoot => Some(Rights::SUCCESSION),
            Self::Issuing => None,
        }
    }

    pub(crate) const fn is_root(self) -> bool {
        matches!(self, Self::Root | Self::OwnerRoot)
    }
}

impl Ledger {
    /// The successions that stand in this ledger, signed here or reported, in their order.
    pub fn successions(&self) -> impl Iterator<Item = Successor<'_>> {
        let joined = self.joined().iter().flat_map(|(_, entries)| entries);
        self.entries().iter().chain(joined).filter_map(|stored| succession(stored, self.key()))
    }

    /// The root that followed the one of this ledger, which is closed then. What the recovery root says comes last.
    #[must_use]
    pub fn successor(&self) -> Option<Successor<'_>> {
        let is_root = self.opened().purpose.is_root();
        self.successions().filter(|_| is_root).max_by_key(|successor| successor.facts.number())
    }

    /// This ledger, and those that it goes on from, back to the first one at hand.
    pub fn line(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |ledger| ledger.before())
    }

    /// The number of the ledger's root; `None` if the ledger does not know it, or is not that of a root.
    #[must_use]
    pub fn root_number(&self) -> Option<SuccessionNumber> {
        self.roots().number()
    }

    /// The rights of the ledger's key as an anchor; `None`: it is no anchor.
    #[must_use]
    pub fn rights(&self) -> Option<Rights> {
        match self.before().and_then(Self::successor) {
            Some(successor) => Rights::from_bits(successor.facts.rights.into()),
            None => self.opened().purpose.rights(),
        }
    }

    /// Whether devices take credentials of this role from the ledger's key.
    #[must_use]
    pub fn may_certify(&self, role: Role) -> bool {
        match self.rights() {
            Some(rights) => rights.include(Rights::to_certify(role)),
            None => matches!(role, Role::Identity | Role::Device),
        }
    }

    /// Whether the ledger's key signs revocation lists.
    #[must_use]
    pub fn may_revoke(&self) -> bool {
        self.rights().is_some_and(|rights| rights.include(Rights::GOVERNANCE))
    }

    /// The newest list of the roots before.
    #[must_use]
    pub fn list_before(&self) -> Option<RevocationList<'_>> {
        self.line().skip(1).find_map(Self::newest_list)
    }

    /// The devices that the roots before revoked, and that have to stay in the lists of this one: it certifies their issuing
    /// keys again, and they would be good again. Each root drops only those below its own lowest generation.
    #[must_use]
    pub fn devices_revoked_before(&self) -> Vec<Revoked> {
        let mut before: Vec<&Self> = self.line().skip(1).collect();
        before.reverse();
        let lists = before.into_iter().filter_map(Self::newest_list);
        lists.fold(Vec::new(), |known, list| {
            let mut revoked = dropped_devices(&known, &list);
            revoked.extend(list.revoked().filter(|revoked| revoked.role == Role::Device));
            revoked
        })
    }

    /// Those of them that the newest list of this root lacks: good again, if their issuing keys are.
    #[must_use]
    pub fn devices_that_return(&self) -> Vec<Revoked> {
        self.newest_list()
            .map(|list| dropped_devices(&self.devices_revoked_before(), &list))
            .unwrap_or_default()
    }

    pub(crate) fn roots(&self) -> Roots<'_> {
        Roots { key: self.key(), open: self.opened(), before: self.before() }
    }
}

/// Which of these devices a list lacks that should have them.
fn dropped_devices(known: &[Revoked], list: &RevocationClaims<'_>) -> Vec<Revoked> {
    let lowest = list.lowest_generation(Role::Device);
    let has = |device: &Revoked| {
        list.revoked().any(|revoked| revoked.role == Role::Device && revoked.id == device.id)
    };
    known.iter().filter(|device| device.generation >= lowest && !has(device)).copied().collect()
}

/// What the entries of a ledger are held against: whose it is, and the roots before.
#[derive(Clone, Copy)]
pub(crate) struct Roots<'a> {
    pub(crate) key: &'a PublicKey,
    pub(crate) open: &'a Open,
    pub(crate) before: Option<&'a Ledger>,
}

impl Roots<'_> {
    fn number(&self) -> Option<SuccessionNumber> {
        if !self.open.purpose.is_root() {
            return None;
        }
        match self.before {
            Some(before) => before.successor().map(|successor| successor.facts.number()),
            None => (self.open.domain == self.open.kid).then_some(SuccessionNumber::FIRST),
        }
    }

    /// The first list of a root states the minimums of the list before, unless the recovery root named it: as devices
    /// judge it (`trust::Succeeded::admits`).
    pub(crate) fn admit_first(&self, list: &RevocationClaims<'_>) -> Result<(), Refusal> {
        let by_recovery = self.number().is_some_and(SuccessionNumber::is_of_recovery);
        let before = self.before.and_then(|before| before.line().find_map(Ledger::newest_list));
        match before {
            Some(before) if !by_recovery && !list.states_minimums_of(&before) => {
                Err(Refusal::new(ErrorKind::RevocationDropsEntry, 0))
            }
            _ => Ok(()),
        }
    }
}

/// The order of the successions in a ledger.
pub(crate) struct Order<'a> {
    purpose: Purpose,
    domain: Hex<8>,
    key: &'a PublicKey,
    /// Of the ledger's root, then of the newest succession.
    number: Option<SuccessionNumber>,
    is_closed: bool,
}

impl<'a> Order<'a> {
    pub(crate) fn begin(roots: &Roots<'a>) -> Self {
        let Open { purpose, domain, .. } = *roots.open;
        Self { purpose, domain, key: roots.key, number: roots.number(), is_closed: false }
    }

    /// Whether the ledger's key has retired.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub(crate) fn follow(&mut self, stored: &Stored) -> Result<(), &'static str> {
        let number = self.next(&stored.entry.event)?;
        if number.is_some() && succession(stored, self.key).is_some() {
            self.number = number;
            self.is_closed = self.purpose.is_root();
        }
        Ok(())
    }

    /// The number of a succession that may come next; `None` for every other event.
    pub(crate) fn next(&self, event: &Event) -> Result<Option<SuccessionNumber>, &'static str> {
        let facts = match event {
            Event::Succession(entry) => entry.facts.clone(),
            Event::Import(Import::Succession { grantor, record }) => imported(grantor, &record.0)
                .map(|(facts, _)| facts)
                .ok_or("the signatures of the succession do not hold")?,
            _ => return Ok(None),
        };
        let number = facts.number();
        if facts.domain != self.domain {
            return Err("it is for another domain");
        }
        match (event, self.purpose) {
            (Event::Import(_), Purpose::Root | Purpose::OwnerRoot) => {
                if !number.is_of_recovery() {
                    return Err("only a succession by the recovery root is reported to the ledger of a root");
                }
                if self.number.is_some_and(|held| number <= held) {
                    return Err("its number is not above the one before");
                }
            }
            (Event::Succession(_), Purpose::Root | Purpose::OwnerRoot) => {
                if number.is_of_recovery() {
                    return Err("a root grants no succession of the recovery root");
                }
                if self.number.is_some_and(|held| held.named_by_root() != Some(number)) {
                    return Err("its number is not the next one");
                }
            }
            (Event::Succession(_), Purpose::RecoveryRoot) => {
                if !number.is_of_recovery() {
                    return Err("the recovery root grants no succession of a root");
                }
                if self.number.is_some_and(|held| held.named_by_recovery() != Some(number)) {
                    return Err("its number is not the next one");
                }
            }
            _ => return Err("the key of this ledger names no root"),
        }
        Ok(Some(number))
    }
}

/// The succession of an entry, if it has one that is signed.
fn succession<'e>(stored: &'e Stored, key: &PublicKey) -> Option<Successor<'e>> {
    let (entry, time) = (stored.entry.number, stored.entry.time);
    match &stored.entry.event {
        Event::Succession(event) => {
            let (facts, record) = (event.facts.clone(), stored.record.as_deref()?);
            Some(Successor { entry, time, facts, record, grantor: *key })
        }
        Event::Import(Import::Succession { grantor, record }) => {
            let (facts, grantor) = imported(grantor, &record.0)?;
            Some(Successor { entry, time, facts, record: &record.0, grantor })
        }
        _ => None,
    }
}

/// A succession of another key, both of whose signatures hold.
fn imported(grantor: &Hex<40>, record: &[u8]) -> Option<(SuccessionFacts, PublicKey)> {
    let grantor = PublicKey::from_cose_key(&grantor.0).ok()?;
    let unsigned = Unsigned::from_record(record, &grantor).ok()?;
    if unsigned.kind() != RecordKind::Succession {
        return None;
    }
    match Facts::of(&unsigned).ok()? {
        Facts::Succession(facts) => Some((facts, grantor)),
        Facts::Credential(_) | Facts::List(_) | Facts::Ceremony(_) => None,
    }
}

/// The first entry of the ledger of a root that follows the one of `before`.
pub(crate) fn continuing(open: Open, before: &Ledger) -> Result<Open, Error> {
    let not = |reason| Err(Error::NotSucceeded { path: before.folder().to_owned(), reason });
    let Some(successor) = before.successor() else {
        return not("it says of no succession; its root has not retired");
    };
    if successor.facts.kid != open.kid || successor.facts.public_key != open.public_key {
        return not("the succession in it names another key");
    }
    if before.line().count() >= MAX_LEDGERS as usize {
        return not("too many ledgers go on from one another");
    }
    check_name(before.names(), &open.name, open.kid)?;
    let Some(last) = before.entries().last() else { return not("it has no entry") };
    let head = Continues { kid: before.opened().kid, entries: last.entry.number, digest: Hex(last.digest) };
    Ok(Open { domain: before.opened().domain, continues: Some(head), ..open })
}

/// The copy of the ledger that this one goes on from.
pub(crate) fn read_before(folder: &Path, open: &Open, depth: u32) -> Result<Option<Ledger>, Error> {
    let Some(head) = &open.continues else { return Ok(None) };
    let path = disk::before_path(folder);
    let fault = |reason| Err(Error::damaged(&path, Fault::Before(reason)));
    if depth.saturating_add(1) >= MAX_LEDGERS {
        return fault("too many ledgers go on from one another");
    }
    let before = match Ledger::open_at(&path, depth.saturating_add(1)) {
        Err(Error::Absent(_)) => return fault("it is not there"),
        before => before?,
    };
    let last = before.entries().last().map(|last| (last.entry.number, Hex(last.digest)));
    if last != Some((head.entries, head.digest)) || before.opened().kid != head.kid {
        return fault("it has another head");
    }
    if before.opened().domain != open.domain {
        return fault("it is of another domain");
    }
    match before.successor() {
        Some(successor) if successor.facts.public_key == open.public_key => Ok(Some(before)),
        _ => fault("it names another root"),
    }
}
