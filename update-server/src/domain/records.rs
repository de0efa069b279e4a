//! The trust store of the server: the configured anchors, every succession of their domains, and the newest revocation
//! list of each (docs/records.md).
//!
//! Records are verified when the server starts and when they come in.

mod successions;

use std::sync::{Arc, PoisonError, RwLock};

use suit_manifest::Reason;
use tokio::sync::Mutex;
use tokio::task::JoinError;
use tracing::Instrument as _;
use trust::{Anchor, Domain, Held, Kid, RevocationList, SuccessionNumber, TrustStoreBuf};

pub use self::successions::{AnchorSummary, ChainAnswer, RootSummary, SuccessionSummary};
use crate::store::{ListInsertion, NewList, Store, StoreError};

/// Why a record is refused, or the stored ones cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The record does not verify.
    #[error("{}", without_position(.0))]
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
    #[error("the stored revocation list of the domain {} does not verify: {source}", hex::encode(.domain.0.0))]
    StoredList {
        domain: Domain,
        /// What the trust code said.
        source: trust::Error,
    },
    /// The recovery root has spoken since.
    #[error("the succession is put aside: the present root has the number {present}")]
    SuccessionOld {
        /// The present root's.
        present: SuccessionNumber,
    },
    /// A stored succession does not verify any more: the database is damaged, or the anchors were changed.
    #[error("the stored succession {number} of the domain {} does not verify: {source}", hex::encode(.domain.0.0))]
    StoredSuccession {
        domain: Domain,
        number: SuccessionNumber,
        /// What the trust code said.
        source: trust::Error,
    },
    /// What the database holds and what was verified differ, also when it was read again.
    #[error("the database holds another record than the one that was verified")]
    Contradicted,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server is ending.
    #[error("a record was not kept: {0}")]
    Cut(#[from] JoinError),
}

impl RecordsError {
    /// The reason of the table in docs/errors.md, where it is the record's fault.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused(error) => Some(Reason::from(*error)),
            Self::NotNewer { .. } => Some(Reason::RevocationSequence),
            Self::SuccessionOld { .. } => Some(Reason::SuccessionOld),
            Self::StoredList { .. }
            | Self::StoredSuccession { .. }
            | Self::Contradicted
            | Self::Store(_)
            | Self::Cut(_) => None,
        }
    }
}

/// What a revocation list says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSummary {
    pub domain: Domain,
    /// The anchor that signed it.
    pub issuer_kid: Kid,
    /// Its sequence.
    pub list_sequence: u64,
    /// What it revokes: kids (8 bytes) and ctis (16 bytes).
    pub revoked: Vec<Vec<u8>>,
}

/// The signed records. Cheap to clone; all clones share what they hold.
#[derive(Debug, Clone)]
pub struct Records {
    store: Store,
    /// The configured anchors: those of the beginning of each domain.
    given: Arc<[Anchor]>,
    held: Arc<RwLock<HeldRecords>>,
    changing: Arc<Mutex<()>>,
}

/// What the database has: only this process writes there.
#[derive(Debug)]
struct HeldRecords {
    trusted: Arc<TrustStoreBuf>,
    generation: u64,
}

impl Records {
    /// Goes by `anchors` and the records in `store`.
    ///
    /// # Errors
    /// A stored record does not verify, or the database failed.
    pub async fn open(store: Store, anchors: Vec<Anchor>) -> Result<Self, RecordsError> {
        let trusted = Arc::new(successions::load(&store, &anchors).await?);
        let held = Arc::new(RwLock::new(HeldRecords { trusted, generation: 0 }));
        Ok(Self { store, given: anchors.into(), held, changing: Arc::default() })
    }

    /// The trust store as it is now.
    pub fn trust_store(&self) -> Arc<TrustStoreBuf> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).trusted.clone()
    }

    /// Counts the changes of the records: what was decided under another generation is to be decided again.
    pub fn generation(&self) -> u64 {
        self.held.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// Verifies a list and keeps it when it may take the place of the stored one.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn put_list(
        &self,
        bytes: Vec<u8>,
        now: u64,
    ) -> Result<(ListInsertion, ListSummary), RecordsError> {
        let records = self.clone();
        self.in_turn(async move { records.keep_list(bytes, now).await }).await
    }

    /// Runs a change to its end, also when the sender does not wait: what is trusted has to follow the database. One at a
    /// time.
    async fn in_turn<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, RecordsError>> + Send + 'static,
    ) -> Result<T, RecordsError> {
        let changing = self.changing.clone();
        let changed = async move {
            let _turn = changing.lock().await;
            change.await
        };
        tokio::spawn(changed.in_current_span()).await?
    }

    fn replace(&self, trusted: TrustStoreBuf) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let generation = held.generation + 1;
        *held = HeldRecords { trusted: Arc::new(trusted), generation };
    }

    async fn keep_list(
        &self,
        bytes: Vec<u8>,
        now: u64,
    ) -> Result<(ListInsertion, ListSummary), RecordsError> {
        let mut trusted = TrustStoreBuf::clone(&self.trust_store());
        let (new, summary) = {
            let list = RevocationList::verify(&bytes, trusted.anchors()).map_err(RecordsError::Refused)?;
            (new_list(&list, trusted.number_of(list.domain())), summary(&list))
        };
        let offered = new.list_sequence;
        let stored = trusted.list_of(new.domain).map(|list| list.sequence());
        // The rule of what may replace what is the one that devices go by.
        match (trusted.add_list(bytes).map_err(RecordsError::Refused)?, stored) {
            (Held::Already, _) => return Ok((ListInsertion::AlreadyThere, summary)),
            (Held::Older, Some(stored)) => return Err(RecordsError::NotNewer { offered, stored }),
            (Held::Newest | Held::Older, _) => {}
        }
        match self.store.insert_list(new, now).await? {
            ListInsertion::NotNewer { stored } => Err(RecordsError::NotNewer { offered, stored }),
            outcome @ (ListInsertion::Created | ListInsertion::Replaced | ListInsertion::AlreadyThere) => {
                self.replace(trusted);
                Ok((outcome, summary))
            }
        }
    }

    /// The lists of the configured domains.
    pub fn lists(&self) -> Vec<ListSummary> {
        self.trust_store().lists().map(|list| summary(&list)).collect()
    }

    /// The list of one domain as it was received.
    pub fn list(&self, domain: Domain) -> Option<Vec<u8>> {
        self.trust_store().list_of(domain).map(|list| list.as_bytes().to_vec())
    }
}

/// An error about a whole record has no place in it.
fn without_position(error: &trust::Error) -> String {
    match error.position {
        0 => Reason::from(*error).message().to_owned(),
        _ => error.to_string(),
    }
}

fn new_list(list: &RevocationList<'_>, number: SuccessionNumber) -> NewList {
    let (domain, list_sequence, bytes) = (list.domain(), list.sequence(), list.as_bytes().to_vec());
    NewList { domain, number, list_sequence, bytes }
}

fn summary(list: &RevocationList<'_>) -> ListSummary {
    let revoked = list.revoked().map(|entry| entry.id.as_bytes().to_vec()).collect();
    ListSummary {
        domain: list.domain(),
        issuer_kid: list.issuer_kid(),
        list_sequence: list.sequence(),
        revoked,
    }
}
