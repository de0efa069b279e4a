//! A trust store that owns what it holds.

use std::vec::Vec;

use super::TrustStore;
use crate::UnixTime;
use crate::anchor::{Anchor, Domain, domains};
use crate::error::{Error, ErrorKind};
use crate::revocation::{Replacement, RevocationList};

/// The trust store of a program on an operating system: anchors, and the newest revocation list of each of their
/// domains.
///
/// [`TrustStoreBuf::add_list`] alone adds lists: it verifies each and compares it with the held one.
#[derive(Clone, Debug, Default)]
pub struct TrustStoreBuf {
    anchors: Vec<Anchor>,
    lists: Vec<HeldList>,
}

/// A list that verified under the anchors of its store.
#[derive(Clone, Debug)]
struct HeldList {
    domain: Domain,
    bytes: Vec<u8>,
}

/// The result of adding a list.
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
        Self { anchors: kept, lists: Vec::new() }
    }

    /// The anchors.
    #[must_use]
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// The domains of the anchors, each once.
    pub fn domains(&self) -> impl Iterator<Item = Domain> + '_ {
        domains(&self.anchors)
    }

    /// Verifies a revocation list and holds it if it is the newest of its domain. Lists may come in any order.
    ///
    /// # Errors
    /// Those of [`RevocationList::verify`]; those of [`RevocationList::replaces`], for the newer one of two. The
    /// store stays as it was.
    pub fn add_list(&mut self, bytes: Vec<u8>) -> Result<Held, Error> {
        let list = RevocationList::verify(&bytes, &self.anchors)?;
        let domain = list.domain();
        let held = match self.list_of(domain) {
            None => Held::Newest,
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
            self.lists.retain(|held| held.domain != domain);
            self.lists.push(HeldList { domain, bytes });
        }
        Ok(held)
    }

    /// The newest list of each domain that has one.
    pub fn lists(&self) -> impl Iterator<Item = RevocationList<'_>> {
        self.lists.iter().filter_map(|held| RevocationList::verified_before(&held.bytes, held.domain))
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
}
