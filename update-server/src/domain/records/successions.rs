//! Successions: who is the root of a domain, and who was (docs/records.md, Succession).

use trust::{
    Anchor, Domain, Held, Kid, Rights, SuccessionNumber, TrustStoreBuf, read_succession_file,
    read_unverified_succession, succession_domain,
};

use super::{Records, RecordsError, new_list};
use crate::store::{Store, StoredList, StoredSuccession, SuccessionInsertion};

/// The root of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootSummary {
    pub domain: Domain,
    /// `None`: no configured anchor of it is a root.
    pub kid: Option<Kid>,
    /// Its place among the roots of the domain.
    pub number: SuccessionNumber,
    /// That of its newest revocation list, if it has signed one.
    pub list_sequence: Option<u64>,
}

/// A stored succession.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccessionSummary {
    pub number: SuccessionNumber,
    /// The new root.
    pub kid: Kid,
    /// The root or the recovery root that named it.
    pub grantor: Kid,
    /// Its name.
    pub name: String,
    pub rights: Rights,
    /// Seconds since the epoch.
    pub issued_at: u64,
    pub record: Vec<u8>,
}

/// An anchor, and what it is in its domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorSummary {
    pub anchor: Anchor,
    /// Of a root, and of one that was: its place among the roots of the domain.
    pub number: Option<SuccessionNumber>,
}

/// What a domain has to bring a verifier to its present root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainAnswer {
    Chain(Vec<u8>),
    /// The present root has this number: there is no later one.
    NothingLater(SuccessionNumber),
    /// The present root has signed no revocation list yet, and a chain ends with one.
    NoList,
    /// Longer than a device takes.
    TooLong,
}

/// The trust store of these anchors and what is stored. Each list is added while its signer is the root: it says which
/// minimums the next root has to state, and a root that retired before it could not have signed it.
///
/// # Errors
/// A stored record does not verify, or the database failed.
pub(super) async fn load(store: &Store, anchors: &[Anchor]) -> Result<TrustStoreBuf, RecordsError> {
    let mut trusted = TrustStoreBuf::new(anchors.iter().copied());
    let configured: Vec<Domain> = trusted.domains().collect();
    // What is of a domain without a configured anchor has no effect; it is kept in case the anchor comes back.
    let is_configured = |domain: Domain| configured.contains(&domain);
    let (lists, successions) = (store.lists().await?, store.successions().await?);
    let mut lists: Vec<StoredList> = lists.into_iter().filter(|list| is_configured(list.domain)).collect();
    add_due_lists(&mut trusted, &mut lists)?;
    for StoredSuccession { domain, number, bytes } in successions {
        if is_configured(domain) {
            let added = trusted.add_succession(bytes);
            added.map_err(|source| RecordsError::StoredSuccession { domain, number, source })?;
            add_due_lists(&mut trusted, &mut lists)?;
        }
    }
    // Nobody who was a root here signed what is left.
    for list in lists {
        add_list(&mut trusted, list)?;
    }
    Ok(trusted)
}

/// Adds the lists that the present roots signed.
fn add_due_lists(trusted: &mut TrustStoreBuf, lists: &mut Vec<StoredList>) -> Result<(), RecordsError> {
    let due: Vec<_> = lists.extract_if(.., |list| trusted.is_due(&list.bytes)).collect();
    due.into_iter().try_for_each(|list| add_list(trusted, list))
}

fn add_list(trusted: &mut TrustStoreBuf, list: StoredList) -> Result<(), RecordsError> {
    let StoredList { domain, bytes } = list;
    let added = trusted.add_list(bytes);
    added.map(drop).map_err(|source| RecordsError::StoredList { domain, source })
}

impl Records {
    /// Verifies a succession, or a succession chain, and keeps what is new of it.
    ///
    /// # Errors
    /// Why it was not taken. Nothing was stored.
    pub async fn put_succession(
        &self,
        bytes: Vec<u8>,
        now: u64,
    ) -> Result<(Held, RootSummary), RecordsError> {
        let records = self.clone();
        self.in_turn(async move { records.succeed(&bytes, now).await }).await
    }

    async fn succeed(&self, bytes: &[u8], now: u64) -> Result<(Held, RootSummary), RecordsError> {
        match self.try_succession(bytes, now).await? {
            Some(outcome) => Ok(outcome),
            // A commit that was reported as failed had been kept: what is trusted did not follow the database.
            None => {
                self.replace(load(&self.store, &self.given).await?);
                self.try_succession(bytes, now).await?.ok_or(RecordsError::Contradicted)
            }
        }
    }

    /// `None`: the database has what is not known here.
    async fn try_succession(
        &self,
        bytes: &[u8],
        now: u64,
    ) -> Result<Option<(Held, RootSummary)>, RecordsError> {
        let before = self.trust_store();
        let mut trusted = TrustStoreBuf::clone(&before);
        let file = read_succession_file(bytes).map_err(RecordsError::Refused)?;
        let (domain, held) = match (file.list, file.records.first()) {
            (None, Some(record)) => {
                let domain = read_unverified_succession(record).map(|claims| claims.domain());
                (domain, trusted.add_succession(record.to_vec()))
            }
            _ => (succession_domain(bytes), trusted.add_chain(bytes)),
        };
        let domain = domain.map_err(RecordsError::Refused)?;
        let held = held.map_err(RecordsError::Refused)?;
        let present = root(&trusted, domain);
        match held {
            Held::Already => return Ok(Some((held, present))),
            Held::Older => return Err(RecordsError::SuccessionOld { present: present.number }),
            Held::Newest => {}
        }
        let successions = trusted.successions().skip(before.successions().count());
        let successions = successions
            .map(|(domain, number, record)| StoredSuccession { domain, number, bytes: record.to_vec() })
            .collect();
        let list = trusted.list_of(domain);
        let list =
            list.filter(|list| before.list_of(domain).is_none_or(|old| old.as_bytes() != list.as_bytes()));
        let list = list.map(|list| new_list(&list, present.number));
        match self.store.insert_successions(successions, list, now).await? {
            SuccessionInsertion::Contradicted => Ok(None),
            SuccessionInsertion::Kept => {
                self.replace(trusted);
                Ok(Some((held, present)))
            }
        }
    }

    /// The roots of the configured domains.
    pub fn roots(&self) -> Vec<RootSummary> {
        let trusted = self.trust_store();
        trusted.domains().map(|domain| root(&trusted, domain)).collect()
    }

    /// The anchors that count, and those that have retired.
    pub fn anchors(&self) -> Vec<AnchorSummary> {
        let trusted = self.trust_store();
        let named: Vec<_> = trusted
            .successions()
            .filter_map(|(_, number, record)| {
                Some((number, read_unverified_succession(record).ok()?.key().kid()))
            })
            .collect();
        let number = |anchor: &Anchor| {
            let (number, _) = named.iter().find(|(_, kid)| *kid == anchor.kid())?;
            Some(*number)
        };
        let is_first = |anchor: &Anchor| {
            trusted.given().iter().any(|given| given.key() == anchor.key() && given.is_root())
        };
        let summary = |anchor: &Anchor| AnchorSummary {
            anchor: *anchor,
            number: number(anchor).or_else(|| is_first(anchor).then_some(SuccessionNumber::FIRST)),
        };
        trusted.anchors().iter().map(summary).collect()
    }

    /// At most `limit` successions of a domain above `after`, in their order: those that a verifier with that number needs,
    /// or every one. `None`: the domain is not configured.
    pub fn successions(
        &self,
        domain: Domain,
        after: SuccessionNumber,
        every: bool,
        limit: usize,
    ) -> Option<(RootSummary, Vec<SuccessionSummary>)> {
        let trusted = self.trust_store();
        let root = trusted.domains().any(|known| known == domain).then(|| root(&trusted, domain))?;
        let mut all: Vec<_> = trusted
            .successions()
            .filter(|(of, number, _)| *of == domain && *number > after)
            .map(|(_, number, record)| (number, record))
            .collect();
        all.sort_by_key(|(number, _)| *number);
        let needed: Vec<_> = trusted.successions_after(domain, after).collect();
        let wanted = all.into_iter().filter(|(_, record)| every || needed.contains(record));
        let summaries = wanted.filter_map(|(number, record)| {
            let claims = read_unverified_succession(record).ok()?;
            Some(SuccessionSummary {
                number,
                kid: claims.key().kid(),
                grantor: claims.grantor(),
                name: claims.iss().to_owned(),
                rights: claims.rights(),
                issued_at: claims.issued_at().0,
                record: record.to_vec(),
            })
        });
        Some((root, summaries.take(limit).collect()))
    }

    /// The chain from a number on. `None`: the domain is not configured.
    pub fn chain(&self, domain: Domain, after: SuccessionNumber) -> Option<ChainAnswer> {
        let trusted = self.trust_store();
        let root = trusted.domains().any(|known| known == domain).then(|| root(&trusted, domain))?;
        Some(match trusted.chain_after(domain, after) {
            Ok(Some(chain)) => ChainAnswer::Chain(chain),
            Ok(None) if root.number <= after => ChainAnswer::NothingLater(root.number),
            Ok(None) => ChainAnswer::NoList,
            Err(_) => ChainAnswer::TooLong,
        })
    }
}

fn root(trusted: &TrustStoreBuf, domain: Domain) -> RootSummary {
    RootSummary {
        domain,
        kid: trusted.root_of(domain).map(Anchor::kid),
        number: trusted.number_of(domain),
        list_sequence: trusted.list_of(domain).map(|list| list.sequence()),
    }
}

#[cfg(test)]
mod tests {
    use trust::author::{Signer as _, SoftwareKey, SuccessionRequest, grant_succession, request_succession};
    use trust::{ErrorKind, UnixTime};

    use super::*;

    /// A commit that was reported as failed may be there all the same: then it is what counts.
    #[tokio::test]
    async fn a_succession_that_was_kept_unnoticed_counts() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::connect(&dir.path().join("registry.sqlite")).await.unwrap();
        let [root, second, other] = [1, 2, 3].map(|seed| SoftwareKey::from_seed(&[seed; 32]).unwrap());
        let anchor = Anchor::root(root.public_key());
        let number = SuccessionNumber { recovery_epoch: 0, succession_sequence: 1 };
        let record = |new: &SoftwareKey| {
            let request = SuccessionRequest {
                iss: "root".into(),
                issued_at: UnixTime(0),
                domain: anchor.domain(),
                number,
                rights: anchor.rights(),
            };
            grant_succession(&request_succession(&request, new).unwrap(), &root).unwrap()
        };
        let records = Records::open(store.clone(), vec![anchor]).await.unwrap();
        let kept = StoredSuccession { domain: anchor.domain(), number, bytes: record(&second) };
        store.insert_successions(vec![kept], None, 0).await.unwrap();
        let Err(RecordsError::Refused(error)) = records.put_succession(record(&other), 0).await else {
            panic!("a fork was taken")
        };
        assert_eq!(error.kind, ErrorKind::SuccessionForked);
        assert_eq!(records.roots()[0].kid, Some(second.public_key().kid()));
        assert_eq!(records.generation(), 1, "the releases are judged again");
        let (held, _) = records.put_succession(record(&second), 0).await.unwrap();
        assert_eq!(held, Held::Already);
    }
}
