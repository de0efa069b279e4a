//! What the server believes: the configured anchors and the newest revocation list of each (docs/records.md).
//!
//! Lists are verified when they come in and again whenever they are used, so that a damaged database shuts the
//! server's mouth instead of opening it.

use std::sync::Arc;

use suit_manifest::Reason;
use trust::{Kid, PublicKey, RevocationList, Revoked, TrustStore, UnixTime};

use crate::store::{ListInsertion, Store, StoreError, StoredList};

/// Why a record was refused or the stored ones cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The list does not verify.
    #[error("{0}")]
    Refused(trust::Error),
    /// A list of the same or a higher sequence is stored.
    #[error("list-sequence {offered} is not above {stored}, that of the stored list")]
    NotNewer {
        /// The new list's.
        offered: u64,
        /// The stored list's.
        stored: u64,
    },
    /// A stored list does not verify any more: the database is damaged, or the anchors were changed so that the list
    /// now revokes one of them.
    #[error("the stored revocation list of anchor {} does not verify: {source}", hex::encode(.kid.0))]
    StoredList {
        /// The anchor.
        kid: Kid,
        /// What the trust code said.
        source: trust::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RecordsError {
    /// The reason of the table in docs/errors.md, where it is the record's fault.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused(error) => Some(Reason::from(*error)),
            Self::NotNewer { .. } => Some(Reason::RevocationSequence),
            Self::StoredList { .. } | Self::Store(_) => None,
        }
    }
}

/// A revocation list, told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSummary {
    /// The anchor that signed it.
    pub kid: Kid,
    /// Its sequence.
    pub list_sequence: u64,
    /// What it revokes: kids (8 bytes) and ctis (16 bytes).
    pub revoked: Vec<Vec<u8>>,
}

/// What a verification at one moment goes by.
#[derive(Debug)]
pub struct Belief {
    anchors: Arc<[PublicKey]>,
    lists: Vec<StoredList>,
    now: UnixTime,
}

impl Belief {
    /// Runs `decide` with the trust store.
    pub fn with<R>(&self, decide: impl FnOnce(&TrustStore<'_>) -> R) -> Result<R, RecordsError> {
        let revocations = self
            .lists
            .iter()
            .map(|list| {
                RevocationList::verify(&list.bytes, &self.anchors)
                    .map_err(|source| RecordsError::StoredList { kid: Kid(list.kid), source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let store = TrustStore { anchors: &self.anchors, revocations: &revocations, now: Some(self.now) };
        Ok(decide(&store))
    }
}

/// The signed records.
#[derive(Debug, Clone)]
pub struct Records {
    store: Store,
    anchors: Arc<[PublicKey]>,
}

impl Records {
    /// Goes by `anchors` and the lists in `store`; fails when a stored list does not verify.
    pub async fn open(store: Store, anchors: Vec<PublicKey>) -> Result<Self, RecordsError> {
        let records = Self { store, anchors: anchors.into() };
        records.belief(0).await?.with(|_| ())?;
        Ok(records)
    }

    /// The anchors.
    pub fn anchors(&self) -> &[PublicKey] {
        &self.anchors
    }

    /// What is believed at `now` (seconds since the epoch).
    pub async fn belief(&self, now: u64) -> Result<Belief, RecordsError> {
        let mut lists = self.store.lists().await?;
        // The list of an anchor that is configured no longer says nothing, and is kept in case it comes back.
        lists.retain(|list| self.anchors.iter().any(|anchor| anchor.kid().0 == list.kid));
        Ok(Belief { anchors: self.anchors.clone(), lists, now: UnixTime(now) })
    }

    /// Verifies a list and keeps it when it is newer than the stored one.
    pub async fn put_list(
        &self,
        bytes: &[u8],
        now: u64,
    ) -> Result<(ListInsertion, ListSummary), RecordsError> {
        let (kid, offered, summary) = {
            let list = RevocationList::verify(bytes, &self.anchors).map_err(RecordsError::Refused)?;
            (list.issuer_kid(), list.sequence(), summary(&list))
        };
        match self.store.insert_list(kid.0, offered, bytes, now).await? {
            ListInsertion::NotNewer { stored } => Err(RecordsError::NotNewer { offered, stored }),
            outcome => Ok((outcome, summary)),
        }
    }

    /// The lists of the configured anchors.
    pub async fn lists(&self) -> Result<Vec<ListSummary>, RecordsError> {
        self.belief(0).await?.with(|store| store.revocations.iter().map(summary).collect())
    }

    /// The list of one anchor as it was received.
    pub async fn list(&self, kid: Kid) -> Result<Option<Vec<u8>>, RecordsError> {
        let lists = self.belief(0).await?.lists;
        Ok(lists.into_iter().find(|list| list.kid == kid.0).map(|list| list.bytes))
    }
}

fn summary(list: &RevocationList<'_>) -> ListSummary {
    let revoked = list
        .entries()
        .map(|entry| match entry {
            Revoked::Key(kid) => kid.0.to_vec(),
            Revoked::Credential(cti) => cti.to_vec(),
        })
        .collect();
    ListSummary { kid: list.issuer_kid(), list_sequence: list.sequence(), revoked }
}
