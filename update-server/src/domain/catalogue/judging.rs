//! When verdicts are made: all of them after a revocation list or a succession, those that the time bounds at that time, and one after
//! a publication or a withdrawal.
//!
//! No verdict is given that is known to be outdated: who asks waits until it is made again, for a bounded time. One that
//! could not be made (the database failed, the task broke off) stays outdated.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use tracing::{Instrument as _, Span};
use trust::{TrustStore, TrustStoreBuf, UnixTime};

use super::{Catalogue, CatalogueError};
use crate::domain::Digest;
use crate::domain::index::{Entry, Index};
use crate::store::{StoredEnvelope, StoredRelease};

/// Releases that are judged in one go while the index is made.
const PAGE_LEN: u32 = 128;

/// The index, and what it was made from.
#[derive(Debug, Default)]
pub(super) struct Indexed {
    pub(super) index: Index,
    /// Of which lists; `None` before the first time.
    generation: Option<u64>,
    /// At what time, seconds since the epoch.
    judged_at: u64,
    /// Releases that were changed, or may have been, since their verdict was made, with the number of the last doubt.
    doubtful: BTreeMap<Digest, u64>,
    doubts: u64,
}

impl Indexed {
    /// What has to be judged again before the index holds at `now`; `None` when it is all.
    fn outdated(&self, generation: u64, now: u64) -> Option<Vec<Digest>> {
        if self.generation != Some(generation) {
            return None;
        }
        let mut outdated: Vec<_> = self.doubtful.keys().copied().collect();
        if self.judged_at != now {
            outdated.extend(self.index.bounded_between(self.judged_at, now));
        }
        Some(outdated)
    }
}

impl Catalogue {
    /// Makes the index hold at `now`, under the present lists. Mostly there is nothing to do.
    ///
    /// # Errors
    /// [`CatalogueError::Busy`] when that did not end in time: the present verdicts may be wrong then. The database or
    /// the stored lists cannot be used.
    pub async fn bring_up_to(&self, now: u64) -> Result<(), CatalogueError> {
        let brought = tokio::time::timeout(self.turn_limit, self.bring_up_at_length(now)).await;
        brought.unwrap_or(Err(CatalogueError::Busy))
    }

    /// The same, however long it takes.
    pub(super) async fn bring_up_at_length(&self, now: u64) -> Result<(), CatalogueError> {
        if self.is_current(now) {
            return Ok(());
        }
        // Only who has the turn begins: who hangs up before leaves nothing behind.
        let turn = self.judging.clone().lock_owned().await;
        let now = self.no_earlier(now);
        // Another reader may have done it meanwhile.
        if self.is_current(now) {
            return Ok(());
        }
        // To its end, also when the reader hangs up: the next one would begin again.
        let catalogue = self.clone();
        let judged = async move {
            let _turn = turn;
            catalogue.judge_outdated(now).await
        };
        tokio::spawn(judged.in_current_span()).await?
    }

    /// The time of the last verdicts, where it is so little after `now` that the request only waited; the clock may also
    /// have been set back.
    pub(super) fn no_earlier(&self, now: u64) -> u64 {
        let judged_at = self.indexed.read().unwrap_or_else(PoisonError::into_inner).judged_at;
        let waited = judged_at.saturating_sub(now);
        if waited <= 2 * self.turn_limit.as_secs() { judged_at.max(now) } else { now }
    }

    /// Whether nothing has to be judged before the index holds at `now`.
    pub(super) fn is_current(&self, now: u64) -> bool {
        self.outdated(now).is_some_and(|outdated| outdated.is_empty())
    }

    /// What has to be judged again before the index holds at `now`; `None` when it is all.
    fn outdated(&self, now: u64) -> Option<Vec<Digest>> {
        let Ok(indexed) = self.indexed.read() else {
            // Somebody panicked in the middle of a change.
            return None;
        };
        indexed.outdated(self.records.generation(), now)
    }

    /// The verdict on a release is not given any more before it is made again.
    pub(crate) fn doubt(&self, digest: Digest) {
        let mut indexed = self.indexed.write().unwrap_or_else(PoisonError::into_inner);
        indexed.doubts += 1;
        let number = indexed.doubts;
        indexed.doubtful.insert(digest, number);
    }

    async fn judge_outdated(&self, now: u64) -> Result<(), CatalogueError> {
        let outdated = match self.outdated(now) {
            Some(outdated) => outdated,
            None => {
                self.judge_all(now).await?;
                // Changed meanwhile.
                self.outdated(now).unwrap_or_default()
            }
        };
        for digest in outdated {
            self.judge(digest, now).await?;
        }
        self.indexed.write().unwrap_or_else(PoisonError::into_inner).judged_at = now;
        Ok(())
    }

    /// Judges a release again. A doubt that arises meanwhile stays.
    async fn judge(&self, digest: Digest, now: u64) -> Result<(), CatalogueError> {
        let doubt = |indexed: &Indexed| indexed.doubtful.get(&digest).copied();
        let before = doubt(&self.indexed.read().unwrap_or_else(PoisonError::into_inner));
        let entry = match self.store.release(digest).await? {
            Some(release) => {
                let envelopes = self.store.envelopes(digest, digest).await?;
                judge_page(self.records.trust_store(), now, vec![release], envelopes).await?.pop()
            }
            None => None,
        };
        let mut indexed = self.indexed.write().unwrap_or_else(PoisonError::into_inner);
        match entry {
            Some((digest, entry)) => indexed.index.put(digest, entry),
            None => indexed.index.remove(digest),
        }
        if doubt(&indexed) == before {
            indexed.doubtful.remove(&digest);
        }
        Ok(())
    }

    async fn judge_all(&self, now: u64) -> Result<(), CatalogueError> {
        let generation = self.records.generation();
        let mut index = Index::default();
        let mut after = None;
        loop {
            let page = self.store.releases(after, PAGE_LEN).await?;
            let (Some(first), Some(last)) = (page.first(), page.last()) else { break };
            after = Some(last.manifest_digest);
            let envelopes = self.store.envelopes(first.manifest_digest, last.manifest_digest).await?;
            for (digest, entry) in judge_page(self.records.trust_store(), now, page, envelopes).await? {
                index.put(digest, entry);
            }
        }
        let mut indexed = self.indexed.write().unwrap_or_else(PoisonError::into_inner);
        // What was doubted stays so: it may have been changed after it was read.
        (indexed.index, indexed.generation, indexed.judged_at) = (index, Some(generation), now);
        self.indexed.clear_poison();
        Ok(())
    }
}

/// Judges releases by their envelopes; both in the order of the manifests' digests.
async fn judge_page(
    trusted: Arc<TrustStoreBuf>,
    now: u64,
    releases: Vec<StoredRelease>,
    envelopes: Vec<StoredEnvelope>,
) -> Result<Vec<(Digest, Entry)>, CatalogueError> {
    let request = Span::current();
    let judged = tokio::task::spawn_blocking(move || {
        let former = trusted.former();
        let judge = |store: &TrustStore<'_>| {
            let history = TrustStore::new(&former);
            let judge = |release: StoredRelease| {
                let digest = release.manifest_digest;
                let start = envelopes.partition_point(|envelope| envelope.manifest_digest < digest);
                let end = envelopes.partition_point(|envelope| envelope.manifest_digest <= digest);
                let own = envelopes.get(start..end).unwrap_or_default();
                (digest, Entry::judge(&release, own, store, &history))
            };
            releases.into_iter().map(judge).collect()
        };
        request.in_scope(|| trusted.with(Some(UnixTime(now)), judge))
    });
    Ok(judged.await?)
}
