//! The trust store of the server: the configured anchors and the newest revocation list of each domain
//! (docs/records.md).
//!
//! Lists are verified when they come in and again whenever they are used, so that a damaged database shuts the
//! server's mouth instead of opening it.

use std::sync::Arc;

use suit_manifest::Reason;
use trust::{Anchor, Domain, Kid, RevocationList, Revoked, TrustStoreBuf};

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

/// The signed records.
#[derive(Debug, Clone)]
pub struct Records {
    store: Store,
    anchors: Arc<[Anchor]>,
}

impl Records {
    /// Goes by `anchors` and the lists in `store`; fails when a stored list does not verify.
    pub async fn open(store: Store, anchors: Vec<Anchor>) -> Result<Self, RecordsError> {
        let records = Self { store, anchors: anchors.into() };
        records.trust_store().await?;
        Ok(records)
    }

    /// The anchors.
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// The trust store as it is now: the lists are verified again.
    pub async fn trust_store(&self) -> Result<TrustStoreBuf, RecordsError> {
        let mut trusted = TrustStoreBuf::new(self.anchors.iter().copied());
        for StoredList { kid, bytes } in self.store.lists().await? {
            // The list of a domain that is configured no longer says nothing, and is kept in case it comes back.
            if trusted.domains().any(|domain| domain.0.0 == kid) {
                trusted
                    .add_list(bytes)
                    .map_err(|source| RecordsError::StoredList { kid: Kid(kid), source })?;
            }
        }
        Ok(trusted)
    }

    /// Verifies a list and keeps it when it is newer than the stored one.
    pub async fn put_list(
        &self,
        bytes: &[u8],
        now: u64,
    ) -> Result<(ListInsertion, ListSummary), RecordsError> {
        let (domain, offered, summary) = {
            let list = RevocationList::verify(bytes, &self.anchors).map_err(RecordsError::Refused)?;
            (list.domain(), list.sequence(), summary(&list))
        };
        match self.store.insert_list(domain.0.0, offered, bytes, now).await? {
            ListInsertion::NotNewer { stored } => Err(RecordsError::NotNewer { offered, stored }),
            outcome => Ok((outcome, summary)),
        }
    }

    /// The lists of the configured domains.
    pub async fn lists(&self) -> Result<Vec<ListSummary>, RecordsError> {
        Ok(self.trust_store().await?.lists().map(|list| summary(&list)).collect())
    }

    /// The list of one domain as it was received.
    pub async fn list(&self, domain: Domain) -> Result<Option<Vec<u8>>, RecordsError> {
        Ok(self.trust_store().await?.list_of(domain).map(|list| list.as_bytes().to_vec()))
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
