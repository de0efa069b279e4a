//! A trust store that owns what it holds.

use std::vec::Vec;

use super::TrustStore;
use crate::anchor::{Anchor, Domain, domains, root_of, signer};
use crate::error::{Error, ErrorKind};
use crate::revocation::{Replacement, RevocationList, read_unverified_revocation};
use crate::succession::{
    Holding, Succeeded, SuccessionChain, SuccessionClaims, SuccessionNumber, encode_succession_chain,
    follow_one, read_unverified_succession, records,
};
use crate::{Rights, UnixTime};

/// The trust store of a program on an operating system: anchors, all successions of their domains, and the newest
/// revocation list of each.
///
/// Give it the first root of a domain, and its recovery root, as a device has them: later roots come by
/// [`TrustStoreBuf::add_chain`] and [`TrustStoreBuf::add_succession`] only. [`TrustStoreBuf::add_list`] adds lists. Each
/// record is verified, and compared with what is held, or the store stays as it was.
#[derive(Clone, Debug, Default)]
pub struct TrustStoreBuf {
    given: Vec<Anchor>,
    /// Those that count: retired roots have the right *boot*, and stay.
    anchors: Vec<Anchor>,
    lists: Vec<HeldList>,
    successions: Vec<HeldSuccession>,
}

/// A list that verified under the anchors of its store. Of a domain whose root has changed since, it says what minimums the
/// first list of the new root has to state, and counts no more.
#[derive(Clone, Debug)]
struct HeldList {
    domain: Domain,
    bytes: Vec<u8>,
}

/// A succession that verified, whether its root still counts or not.
#[derive(Clone, Debug)]
struct HeldSuccession {
    domain: Domain,
    number: SuccessionNumber,
    bytes: Vec<u8>,
}

/// The result of adding a list, a succession or a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// It is held: the first of its domain, or newer than the one that was held.
    Newest,
    /// It was held already.
    Already,
    /// A newer one is held and stays.
    Older,
}

impl TrustStoreBuf {
    /// These anchors; a key that is there twice counts once.
    #[must_use]
    pub fn new(anchors: impl IntoIterator<Item = Anchor>) -> Self {
        let mut kept: Vec<Anchor> = Vec::new();
        for anchor in anchors {
            if !kept.iter().any(|known| known.key() == anchor.key()) {
                kept.push(anchor);
            }
        }
        Self { anchors: kept.clone(), given: kept, lists: Vec::new(), successions: Vec::new() }
    }

    /// The anchors that count, retired ones included.
    #[must_use]
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// The anchors that the store began with.
    #[must_use]
    pub fn given(&self) -> &[Anchor] {
        &self.given
    }

    /// Every anchor that ever counted, with the rights that it had: to tell what was genuine once.
    #[must_use]
    pub fn former(&self) -> Vec<Anchor> {
        let named = self.successions.iter().filter_map(|held| {
            let claims = read_unverified_succession(&held.bytes).ok()?;
            Some(Anchor::new(*claims.key(), claims.rights(), held.domain))
        });
        self.given.iter().copied().chain(named).collect()
    }

    /// The domains of the anchors, each once.
    pub fn domains(&self) -> impl Iterator<Item = Domain> + '_ {
        domains(&self.anchors)
    }

    /// The present root of a domain.
    #[must_use]
    pub fn root_of(&self, domain: Domain) -> Option<&Anchor> {
        root_of(&self.anchors, domain)
    }

    /// The number of the present root of a domain; that of a first root if no succession is held.
    #[must_use]
    pub fn number_of(&self, domain: Domain) -> SuccessionNumber {
        self.successions_of(domain).map(|held| held.number).max().unwrap_or(SuccessionNumber::FIRST)
    }

    /// Verifies a revocation list and holds it if it is the newest of its domain. Lists may come in any order.
    ///
    /// # Errors
    /// Those of [`RevocationList::verify`]; those of [`RevocationList::replaces`], for the newer one of two;
    /// [`ErrorKind::RevocationDropsEntry`] when the first list of a successor lacks a minimum of the list before. The
    /// store stays as it was.
    pub fn add_list(&mut self, bytes: Vec<u8>) -> Result<Held, Error> {
        let list = RevocationList::verify(&bytes, &self.anchors)?;
        let domain = list.domain();
        let held = match self.held_list(domain) {
            None => Held::Newest,
            Some(former) if !self.counts(&former) => {
                if !list.states_minimums_of(&former) {
                    return Err(Error::new(ErrorKind::RevocationDropsEntry, 0));
                }
                Held::Newest
            }
            Some(held) => match list.replaces(&held) {
                Ok(Replacement::Newer) => Held::Newest,
                Ok(Replacement::Same) => Held::Already,
                Err(error) if error.kind == ErrorKind::RevocationSequence => {
                    held.replaces(&list)?;
                    Held::Older
                }
                Err(error) => return Err(error),
            },
        };
        if held == Held::Newest {
            self.hold_list(domain, bytes);
        }
        Ok(held)
    }

    /// Verifies a succession and holds it; the root of its domain is replaced. They come in their order, and those that the
    /// store has may come again.
    ///
    /// # Errors
    /// Those of [`SuccessionChain::verify`]. The store stays as it was.
    pub fn add_succession(&mut self, record: Vec<u8>) -> Result<Held, Error> {
        let claims = read_unverified_succession(&record)?;
        if let Some(held) = self.judge_known(&claims)? {
            return Ok(held);
        }
        let succeeded = self.holding(|holding| follow_one(&record, holding))?;
        self.take(&succeeded, [record]);
        Ok(Held::Newest)
    }

    /// Verifies a succession chain and holds its records, and its list if that is the newest. A chain whose successions are
    /// all held already still brings its list.
    ///
    /// # Errors
    /// Those of [`SuccessionChain::verify`]; those of its list: [`RevocationList::verify`] and [`Succeeded::admits`]. The
    /// store stays as it was.
    pub fn add_chain(&mut self, chain: &[u8]) -> Result<Held, Error> {
        let (rows, list) = records(chain)?;
        let claims = rows.iter().map(|record| read_unverified_succession(record));
        let claims: Vec<_> = claims.collect::<Result<_, _>>()?;
        let is_rescue = |claims: &SuccessionClaims<'_>| {
            Some(claims.number()) == self.number_of(claims.domain()).named_by_recovery()
        };
        if !claims.iter().any(is_rescue) {
            // A fork is named, wherever in the chain it is.
            for claims in &claims {
                self.judge_known(claims)?;
            }
        }
        let verified = match self.holding(|holding| SuccessionChain::verify(chain, holding)) {
            Ok(verified) => verified,
            Err(error) if error.kind == ErrorKind::SuccessionOld => return self.add_old_list(&rows, list),
            Err(error) => return Err(error),
        };
        let succeeded = *verified.succeeded();
        let after = self.anchors_after(&succeeded);
        let first = verified.list(&after)?;
        succeeded.admits(&first, self.held_list(succeeded.domain()).as_ref())?;
        let applied = (0..).zip(&rows).filter(|(place, _)| succeeded.has_applied(*place));
        self.take(&succeeded, applied.map(|(_, record)| record.to_vec()));
        self.hold_list(succeeded.domain(), list.to_vec());
        Ok(Held::Newest)
    }

    /// Adds successions of whatever source and order, of one domain or several: each in its place. What stops the row of a
    /// domain is passed over if the recovery root ended it: a record of a later epoch follows.
    ///
    /// `meet` sees the store before the first of them and after each one that counts: the time for a list of the root that
    /// is present then, whose minimums the next root has to state.
    ///
    /// # Errors
    /// Those of [`TrustStoreBuf::add_succession`] for the first record that does not fit; the store stays as it was.
    pub fn add_successions(
        &mut self,
        records: impl IntoIterator<Item = Vec<u8>>,
        mut meet: impl FnMut(&mut Self),
    ) -> Result<(), Error> {
        let mut rows = Vec::new();
        for record in records {
            let claims = read_unverified_succession(&record)?;
            rows.push((claims.domain(), claims.number(), record));
        }
        rows.sort_by_key(|&(domain, number, _)| (domain, number));
        let mut after = self.clone();
        meet(&mut after);
        let mut stopped = Vec::new();
        for (domain, number, record) in rows {
            match after.add_succession(record) {
                Ok(Held::Newest) => meet(&mut after),
                Ok(Held::Already | Held::Older) => {}
                Err(error) => stopped.push((domain, number, error)),
            }
        }
        if let Some((.., error)) = stopped.into_iter().find(|&(domain, at, _)| !after.is_over(domain, at)) {
            return Err(error);
        }
        *self = after;
        Ok(())
    }

    /// Whether a list, **not verified**, names a present root as its signer: the time to add it, before that root retires.
    #[must_use]
    pub fn is_due(&self, list: &[u8]) -> bool {
        let Ok(list) = read_unverified_revocation(list) else { return false };
        self.anchors.iter().any(|anchor| anchor.is_root() && anchor.kid() == list.issuer_kid())
    }

    /// Whether the recovery root has spoken since this number.
    fn is_over(&self, domain: Domain, at: SuccessionNumber) -> bool {
        self.number_of(domain).recovery_epoch > at.recovery_epoch
    }

    /// The chain that brings a verifier from this number to the present root, with the current list of that root; from
    /// [`SuccessionNumber::FIRST`] the whole one, which brings every verifier there. `None`: there is no succession after
    /// that number, or the present root has not signed a list yet.
    ///
    /// # Errors
    /// [`ErrorKind::TooLong`] and [`ErrorKind::TooMany`] when a device would not take it: then the recovery root has to name
    /// the next root, which leaves out what roots signed before.
    pub fn chain_after(&self, domain: Domain, number: SuccessionNumber) -> Result<Option<Vec<u8>>, Error> {
        let rows: Vec<_> = self.successions_after(domain, number).collect();
        let Some(list) = self.list_of(domain).filter(|_| !rows.is_empty()) else { return Ok(None) };
        encode_succession_chain(&rows, list.as_bytes()).map(Some)
    }

    /// The successions that a verifier with this number needs, in their order: what roots signed before the recovery root
    /// spoke is left out.
    pub fn successions_after(
        &self,
        domain: Domain,
        number: SuccessionNumber,
    ) -> impl Iterator<Item = &[u8]> + '_ {
        let epoch = self.number_of(domain).recovery_epoch;
        let mut needed: Vec<_> = self
            .successions_of(domain)
            .filter(|held| held.number > number)
            .filter(|held| held.number.recovery_epoch == epoch || held.number.is_of_recovery())
            .collect();
        needed.sort_by_key(|held| held.number);
        needed.into_iter().map(|held| held.bytes.as_slice())
    }

    /// Every succession that is held, in the order in which they were added.
    pub fn successions(&self) -> impl Iterator<Item = (Domain, SuccessionNumber, &[u8])> + '_ {
        self.successions.iter().map(|held| (held.domain, held.number, held.bytes.as_slice()))
    }

    /// The newest list of each domain whose present root has signed one.
    pub fn lists(&self) -> impl Iterator<Item = RevocationList<'_>> {
        self.held_lists().filter(|list| self.counts(list))
    }

    /// The newest list of a domain.
    #[must_use]
    pub fn list_of(&self, domain: Domain) -> Option<RevocationList<'_>> {
        self.lists().find(|list| list.domain() == domain)
    }

    /// Runs `decide` with the trust store at this time; `None`: without a clock.
    pub fn with<R>(&self, now: Option<UnixTime>, decide: impl FnOnce(&TrustStore<'_>) -> R) -> R {
        let lists: Vec<RevocationList<'_>> = self.lists().collect();
        let store = TrustStore::new(&self.anchors).with_lists(&lists);
        decide(&now.map_or(store, |now| store.at(now)))
    }

    fn held_lists(&self) -> impl Iterator<Item = RevocationList<'_>> {
        self.lists.iter().filter_map(|held| RevocationList::verified_before(&held.bytes, held.domain))
    }

    fn held_list(&self, domain: Domain) -> Option<RevocationList<'_>> {
        self.held_lists().find(|list| list.domain() == domain)
    }

    /// Whether the signer of a list still governs.
    fn counts(&self, list: &RevocationList<'_>) -> bool {
        signer(&self.anchors, list.issuer_kid())
            .is_some_and(|anchor| anchor.rights().include(Rights::GOVERNANCE))
    }

    fn hold_list(&mut self, domain: Domain, bytes: Vec<u8>) {
        self.lists.retain(|held| held.domain != domain);
        self.lists.push(HeldList { domain, bytes });
    }

    fn successions_of(&self, domain: Domain) -> impl Iterator<Item = &HeldSuccession> {
        self.successions.iter().filter(move |held| held.domain == domain)
    }

    fn holding<R>(&self, decide: impl FnOnce(&Holding<'_>) -> R) -> R {
        let numbers: Vec<_> = self.domains().map(|domain| self.number_of(domain)).collect();
        decide(&Holding { given: &self.given, held: &self.anchors, numbers: &numbers })
    }

    /// Compares a succession with the one of its number that is held, if there is one.
    fn judge_known(&self, claims: &SuccessionClaims<'_>) -> Result<Option<Held>, Error> {
        let Some(known) = self.successions_of(claims.domain()).find(|held| held.number == claims.number())
        else {
            return Ok(None);
        };
        let same = read_unverified_succession(&known.bytes)?;
        if (same.key(), same.rights()) == (claims.key(), claims.rights()) {
            Ok(Some(Held::Already))
        } else if known.number.recovery_epoch < self.number_of(claims.domain()).recovery_epoch {
            // The recovery root put both of them aside.
            Ok(Some(Held::Older))
        } else {
            Err(Error::new(ErrorKind::SuccessionForked, 0))
        }
    }

    /// Of a chain whose successions are held: its list.
    fn add_old_list(&mut self, rows: &[&[u8]], list: &[u8]) -> Result<Held, Error> {
        let last = rows.last().map(|record| read_unverified_succession(record)).transpose()?;
        let is_present =
            last.is_some_and(|last| self.root_of(last.domain()).is_some_and(|root| root.key() == last.key()));
        if is_present { self.add_list(list.to_vec()) } else { Ok(Held::Older) }
    }

    fn anchors_after(&self, succeeded: &Succeeded) -> Vec<Anchor> {
        let mut after = self.anchors.clone();
        let former = after.iter_mut().find(|known| known.domain() == succeeded.domain() && known.is_root());
        let former = former.map(|former| core::mem::replace(former, *succeeded.root()));
        after.extend(former.map(Anchor::retired));
        after
    }

    fn take(&mut self, succeeded: &Succeeded, records: impl IntoIterator<Item = Vec<u8>>) {
        let domain = succeeded.domain();
        self.anchors = self.anchors_after(succeeded);
        for bytes in records {
            if let Ok(number) = read_unverified_succession(&bytes).map(|claims| claims.number()) {
                self.successions.push(HeldSuccession { domain, number, bytes });
            }
        }
        // A thief who had the root may have set minimums.
        if succeeded.is_by_recovery() {
            self.lists.retain(|held| held.domain != domain);
        }
    }
}
