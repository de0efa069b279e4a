//! When verdicts are made: all of them after a revocation list, those that the time bounds at that time, and one after
//! a publication or a withdrawal.

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
}

impl Indexed {
    /// What has to be judged again before the index holds at `now`; `None` when it is all.
    fn outdated(&self, generation: u64, now: u64) -> Option<Vec<Digest>> {
        if self.generation != Some(generation) {
            return None;
        }
        if self.judged_at == now {
            return Some(Vec::new());
        }
        Some(self.index.bounded_between(self.judged_at, now))
    }
}

impl Catalogue {
    /// Makes the index hold at `now`, under the present lists. Mostly there is nothing to do.
    ///
    /// # Errors
    /// The database or the stored lists cannot be used.
    pub async fn bring_up_to(&self, now: u64) -> Result<(), CatalogueError> {
        if self.outdated(now).is_some_and(|outdated| outdated.is_empty()) {
            return Ok(());
        }
        // To its end, also when the reader hangs up: the next one would begin again.
        let catalogue = self.clone();
        let brought = async move {
            let _turn = catalogue.judging.lock().await;
            // Another reader may have done it meanwhile.
            match catalogue.outdated(now) {
                None => catalogue.judge_all(now).await,
                Some(outdated) if outdated.is_empty() => Ok(()),
                Some(outdated) => {
                    catalogue.judge_in_turn(&outdated, now).await?;
                    catalogue.indexed.write().unwrap_or_else(PoisonError::into_inner).judged_at = now;
                    Ok(())
                }
            }
        };
        tokio::spawn(brought.in_current_span()).await?
    }

    /// What has to be judged again before the index holds at `now`; `None` when it is all.
    fn outdated(&self, now: u64) -> Option<Vec<Digest>> {
        let indexed = self.indexed.read().unwrap_or_else(PoisonError::into_inner);
        indexed.outdated(self.records.generation(), now)
    }

    /// Judges some releases again.
    pub(super) async fn judge(&self, digests: &[Digest], now: u64) -> Result<(), CatalogueError> {
        let _turn = self.judging.lock().await;
        self.judge_in_turn(digests, now).await
    }

    async fn judge_in_turn(&self, digests: &[Digest], now: u64) -> Result<(), CatalogueError> {
        for digest in digests {
            let entry = match self.store.release(*digest).await? {
                Some(release) => {
                    let envelopes = self.store.envelopes(*digest, *digest).await?;
                    judge_page(self.records.trust_store(), now, vec![release], envelopes).await?.pop()
                }
                None => None,
            };
            let mut indexed = self.indexed.write().unwrap_or_else(PoisonError::into_inner);
            match entry {
                Some((digest, entry)) => indexed.index.put(digest, entry),
                None => indexed.index.remove(*digest),
            }
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
        *indexed = Indexed { index, generation: Some(generation), judged_at: now };
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
        let judge = |store: &TrustStore<'_>| {
            let history = TrustStore::new(store.anchors());
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
