//! The catalogue of releases. A release gets in when its envelope verifies and its image is here; it is offered for
//! as long as an envelope of it verifies, under the revocations and at the time of asking, and until its publisher
//! withdraws it.
//!
//! Answers come from the index; an envelope that is handed out is verified once more on its way. What a release says
//! (version, image, key) is read from a verified envelope; the database's columns only find it.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use suit_manifest::{Envelope, Reason, image_reference};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinError;
use tracing::{Instrument as _, Span};
use trust::{Kid, TrustStore, TrustStoreBuf, UnixTime};

use super::index::{Entry, Index, Verdict};
use super::records::{Records, RecordsError};
use super::{Digest, Identifier};
use crate::blobs::{BlobError, Blobs};
use crate::store::{
    Insertion, NewEnvelope, ReleaseEvent, Store, StoreError, StoredEnvelope, StoredRelease, Withdrawal,
};

/// Releases that are judged in one go while the index is made.
const PAGE_LEN: u32 = 128;
/// Events that come with a single release.
const EVENTS_SHOWN: u32 = 100;
/// How often an envelope that does not verify is looked up again.
const MAX_LOOKUPS: usize = 4;
/// Readers for whom signatures are verified at one time; others wait their turn. Reading needs no token, and must not
/// keep every processor from those who write.
const READERS_VERIFYING: usize = 2;

/// Why a release was not taken, or is not offered.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The trust code or the command processor refused the envelope.
    #[error("{}", .0.message())]
    Refused(Reason),
    /// The image has to be here first.
    #[error("the image {digest}, which the manifest names, is not stored here")]
    ImageNotStored {
        /// The image's digest.
        digest: Digest,
    },
    /// The manifest lies about the image.
    #[error("the manifest gives the image {digest} a size of {manifest} bytes; it has {stored}")]
    ImageSize {
        /// The image's digest.
        digest: Digest,
        /// The size in the manifest, bytes.
        manifest: u64,
        /// The size of the stored image, bytes.
        stored: u64,
    },
    /// One sequence number, one manifest.
    #[error("sequence number {sequence} of this vendor and class belongs to the manifest {by}")]
    SequenceTaken {
        /// The sequence number.
        sequence: u64,
        /// The manifest that has it.
        by: Digest,
    },
    /// There is no such release.
    #[error("there is no such release")]
    Unknown,
    /// The publisher withdrew the release.
    #[error("its publisher withdrew this release: {}", .0.reason)]
    Withdrawn(Withdrawal),
    /// There are releases, and the newest of them is not offered.
    #[error("of the releases that were published none is offered; the newest, {sequence}, is not: {why}")]
    NoneOffered {
        /// The sequence number of the newest.
        sequence: u64,
        /// Why that one is not offered.
        why: String,
    },
    /// The database gives an envelope that does not verify, again and again.
    #[error("the database holds no envelope of the release {0} that verifies")]
    Damaged(Digest),
    /// The signed records cannot be used.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image store failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The verification panicked, or the server is ending.
    #[error("a verification broke off: {0}")]
    Verification(#[from] JoinError),
}

/// The image of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The URI in the manifest.
    pub uri: String,
}

/// A release, read from an envelope that verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// SHA-256 over the bstr-wrapped manifest.
    pub manifest_digest: Digest,
    /// SHA-256 over the whole envelope.
    pub envelope_digest: Digest,
    /// The manifest's sequence number.
    pub sequence: u64,
    /// The version in the manifest's text, where it has one.
    pub version: Option<String>,
    /// For whose devices it is.
    pub vendor: Identifier,
    /// For which class of them.
    pub class: Identifier,
    /// For which single device of them, where it is not for all.
    pub device: Option<Identifier>,
    /// What is installed.
    pub image: Image,
    /// The key that signed the manifest.
    pub release_kid: Kid,
    /// When this envelope was published: seconds since the epoch.
    pub published_at: u64,
    /// The times of the credential in this envelope.
    pub validity: Validity,
}

/// The times of a credential, seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// When it was issued.
    pub issued_at: u64,
    /// From when it is valid.
    pub not_before: Option<u64>,
    /// Until when it is valid.
    pub expires: Option<u64>,
}

impl Validity {
    /// The times at which a verdict on it may change.
    pub(super) fn boundaries(self) -> impl Iterator<Item = u64> {
        self.not_before.into_iter().chain(self.expires)
    }
}

impl Release {
    /// Verifies an envelope and reads the release from it.
    pub fn read(envelope: &[u8], store: &TrustStore<'_>, published_at: u64) -> Result<Self, Reason> {
        let authenticated = Envelope::parse(envelope)?.authenticate(store)?;
        let image = image_reference(&authenticated)?;
        let manifest = authenticated.manifest();
        let credential = authenticated.authority().credential();
        let validity = Validity {
            issued_at: credential.issued_at().0,
            not_before: credential.not_before().map(|time| time.0),
            expires: credential.expires().map(|time| time.0),
        };
        Ok(Self {
            manifest_digest: Digest(*authenticated.digest()),
            envelope_digest: Digest::of(envelope),
            sequence: manifest.sequence_number(),
            version: manifest.version_text().map(str::to_owned),
            vendor: Identifier(image.vendor),
            class: Identifier(image.class),
            device: image.device.map(Identifier),
            image: Image { digest: Digest(image.digest), size: image.size, uri: image.uri.to_owned() },
            release_kid: credential.key().kid(),
            published_at,
            validity,
        })
    }

    /// Whether this envelope of a manifest takes the place of `other`: one with the text does of one without, and of
    /// equals the one whose credential was issued later. A poorer copy never loses what is known.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        let rank = |release: &Self| (release.version.is_some(), release.validity.issued_at);
        rank(self) > rank(other)
    }
}

/// What became of a published envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publication {
    /// It is in the catalogue now.
    Created,
    /// It was there already.
    AlreadyThere,
}

/// Who asks for releases.
#[derive(Debug, Clone, Copy)]
pub struct Audience {
    /// The vendor of its devices.
    pub vendor: Identifier,
    /// Their class.
    pub class: Identifier,
    /// One of them; releases for single devices are offered to that device only.
    pub device: Option<Identifier>,
}

/// The index, and what it was made from.
#[derive(Debug, Default)]
struct Indexed {
    index: Index,
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

/// The catalogue. Cheap to clone; all clones share what they know.
#[derive(Debug, Clone)]
pub struct Catalogue {
    store: Store,
    blobs: Arc<Blobs>,
    records: Records,
    places: Arc<Semaphore>,
    indexed: Arc<RwLock<Indexed>>,
    /// Held while releases are judged, so that an older verdict never overwrites a newer one.
    judging: Arc<Mutex<()>>,
}

impl Catalogue {
    /// The catalogue kept in `store` and `blobs`, going by `records`; judges every release at `now`.
    ///
    /// # Errors
    /// The database or the stored lists cannot be used.
    pub async fn open(
        store: Store,
        blobs: Arc<Blobs>,
        records: Records,
        now: u64,
    ) -> Result<Self, CatalogueError> {
        let catalogue = Self {
            store,
            blobs,
            records,
            places: Arc::new(Semaphore::new(READERS_VERIFYING)),
            indexed: Arc::default(),
            judging: Arc::default(),
        };
        catalogue.bring_up_to(now).await?;
        Ok(catalogue)
    }

    /// Takes an envelope into the catalogue, or nothing.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn publish(
        &self,
        envelope: Bytes,
        now: u64,
    ) -> Result<(Publication, Arc<Release>), CatalogueError> {
        // To its end, also when the publisher does not wait: the index has to follow the database.
        let catalogue = self.clone();
        let published = async move { catalogue.publish_to_the_end(&envelope, now).await };
        tokio::spawn(published.in_current_span()).await?
    }

    async fn publish_to_the_end(
        &self,
        envelope: &Bytes,
        now: u64,
    ) -> Result<(Publication, Arc<Release>), CatalogueError> {
        let read = |store: &TrustStore<'_>| Release::read(envelope, store, now);
        let mut release =
            self.records.trust_store().with(Some(UnixTime(now)), read).map_err(CatalogueError::Refused)?;
        self.bring_up_to(now).await?;
        if let Some(withdrawal) = self.known(release.manifest_digest).and_then(|entry| entry.withdrawal) {
            return Err(CatalogueError::Withdrawn(withdrawal));
        }
        let Image { digest, size: manifest, .. } = release.image;
        let stored =
            self.blobs.stored(digest).await?.ok_or(CatalogueError::ImageNotStored { digest })?.size();
        if stored != manifest {
            return Err(CatalogueError::ImageSize { digest, manifest, stored });
        }
        let sequence = release.sequence;
        let new = NewEnvelope {
            manifest_digest: release.manifest_digest,
            vendor: release.vendor,
            class: release.class,
            sequence,
            bytes: envelope.clone(),
            published_at: now,
        };
        let publication = match self.store.insert_envelope(new).await? {
            Insertion::Created => Publication::Created,
            Insertion::AlreadyThere { published_at } => {
                release.published_at = published_at;
                Publication::AlreadyThere
            }
            Insertion::SequenceTaken { by } => return Err(CatalogueError::SequenceTaken { sequence, by }),
        };
        self.judge(&[release.manifest_digest], now).await?;
        if let Some(known) = self.known(release.manifest_digest).and_then(|entry| entry.release.clone()) {
            release.version = release.version.or_else(|| known.version.clone());
        }
        Ok((publication, Arc::new(release)))
    }

    /// Withdraws a release for `reason`, or offers it again (without one).
    ///
    /// # Errors
    /// [`CatalogueError::Unknown`], or the database failed.
    pub async fn withdraw(
        &self,
        manifest_digest: Digest,
        reason: Option<String>,
        now: u64,
    ) -> Result<Entry, CatalogueError> {
        let catalogue = self.clone();
        let withdrawn = async move {
            let marked = catalogue.store.mark_withdrawn(manifest_digest, reason.clone(), now).await?;
            let changed = marked.ok_or(CatalogueError::Unknown)?;
            if changed {
                tracing::info!(release = %manifest_digest, reason, "withdrawal of a release");
            }
            catalogue.bring_up_to(now).await?;
            catalogue.judge(&[manifest_digest], now).await?;
            catalogue.known(manifest_digest).ok_or(CatalogueError::Unknown)
        };
        tokio::spawn(withdrawn.in_current_span()).await?
    }

    /// At most `limit` releases that are offered to `audience` at `now`, highest sequence number first, below `below`
    /// where it is given.
    ///
    /// # Errors
    /// The database or the stored lists cannot be used.
    pub async fn offers(
        &self,
        audience: Audience,
        below: Option<u64>,
        limit: usize,
        now: u64,
    ) -> Result<Vec<Entry>, CatalogueError> {
        self.bring_up_to(now).await?;
        Ok(self.look(|index| {
            let offers = index.offers(audience, below, limit);
            offers.into_iter().filter_map(|digest| index.entry(digest).cloned()).collect()
        }))
    }

    /// At most `limit` releases of the vendor and class of `audience`, offered or not, for whichever device.
    ///
    /// # Errors
    /// The database or the stored lists cannot be used.
    pub async fn every(
        &self,
        audience: Audience,
        below: Option<u64>,
        limit: usize,
        now: u64,
    ) -> Result<Vec<Entry>, CatalogueError> {
        self.bring_up_to(now).await?;
        Ok(self.look(|index| {
            let every = index.every(audience, below, limit);
            every.into_iter().filter_map(|digest| index.entry(digest).cloned()).collect()
        }))
    }

    /// The newest release that is offered to `audience` at `now`.
    ///
    /// # Errors
    /// [`CatalogueError::Unknown`] when none was ever published, [`CatalogueError::NoneOffered`] when none is offered.
    pub async fn latest(&self, audience: Audience, now: u64) -> Result<Arc<Release>, CatalogueError> {
        loop {
            self.bring_up_to(now).await?;
            let Some(digest) = self.look(|index| index.offers(audience, None, 1).pop()) else {
                return Err(self.look(|index| none_offered(index.newest(audience))));
            };
            match self.hand_out(digest, now).await {
                Ok((release, _)) => return Ok(release),
                // The index has just learnt of it: the next one is asked for.
                Err(CatalogueError::Refused(_) | CatalogueError::Withdrawn(_) | CatalogueError::Unknown) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The envelope of a manifest as it was received: of several that are valid at `now`, the best.
    ///
    /// # Errors
    /// Why it is not handed out.
    pub async fn envelope(&self, manifest_digest: Digest, now: u64) -> Result<Vec<u8>, CatalogueError> {
        self.bring_up_to(now).await?;
        Ok(self.hand_out(manifest_digest, now).await?.1)
    }

    /// What is known of a release, offered or not, with its last events.
    ///
    /// # Errors
    /// [`CatalogueError::Unknown`], or the database failed.
    pub async fn release(
        &self,
        manifest_digest: Digest,
        now: u64,
    ) -> Result<(Entry, Vec<ReleaseEvent>), CatalogueError> {
        self.bring_up_to(now).await?;
        let entry = self.known(manifest_digest).ok_or(CatalogueError::Unknown)?;
        Ok((entry, self.store.release_events(manifest_digest, EVENTS_SHOWN).await?))
    }

    /// A release that the index says is offered, verified once more.
    async fn hand_out(
        &self,
        manifest_digest: Digest,
        now: u64,
    ) -> Result<(Arc<Release>, Vec<u8>), CatalogueError> {
        for _ in 0..MAX_LOOKUPS {
            let entry = self.known(manifest_digest).ok_or(CatalogueError::Unknown)?;
            let release = match (entry.verdict, entry.release, entry.withdrawal) {
                (Verdict::Offered, Some(release), _) => release,
                (Verdict::Withdrawn, _, Some(withdrawal)) => {
                    return Err(CatalogueError::Withdrawn(withdrawal));
                }
                (Verdict::Refused(reason), ..) => return Err(CatalogueError::Refused(reason)),
                (Verdict::Offered | Verdict::Withdrawn | Verdict::Damaged, ..) => {
                    return Err(CatalogueError::Unknown);
                }
            };
            if let Some(bytes) = self.store.envelope(release.envelope_digest).await? {
                let published_at = release.published_at;
                let decide = move |store: &TrustStore<'_>| {
                    let read = Release::read(&bytes, store, published_at);
                    read.map(|read| (read, bytes))
                };
                if let Ok((read, bytes)) = self.verify(now, decide).await?
                    && read.manifest_digest == manifest_digest
                    && read.envelope_digest == release.envelope_digest
                {
                    return Ok((release, bytes));
                }
            }
            // A list came meanwhile, or the database is damaged.
            self.bring_up_to(now).await?;
            self.judge(&[manifest_digest], now).await?;
        }
        Err(CatalogueError::Damaged(manifest_digest))
    }

    fn look<R>(&self, look: impl FnOnce(&Index) -> R) -> R {
        look(&self.indexed.read().unwrap_or_else(PoisonError::into_inner).index)
    }

    fn known(&self, manifest_digest: Digest) -> Option<Entry> {
        self.look(|index| index.entry(manifest_digest).cloned())
    }

    /// Makes the index hold at `now`, under the present lists. Mostly there is nothing to do.
    ///
    /// # Errors
    /// The database or the stored lists cannot be used.
    pub async fn bring_up_to(&self, now: u64) -> Result<(), CatalogueError> {
        let outdated = || {
            let indexed = self.indexed.read().unwrap_or_else(PoisonError::into_inner);
            indexed.outdated(self.records.generation(), now)
        };
        if outdated().is_some_and(|outdated| outdated.is_empty()) {
            return Ok(());
        }
        let _turn = self.judging.lock().await;
        // Another reader may have done it meanwhile.
        match outdated() {
            None => self.judge_all(now).await,
            Some(outdated) if outdated.is_empty() => Ok(()),
            Some(outdated) => {
                self.judge_in_turn(&outdated, now).await?;
                self.indexed.write().unwrap_or_else(PoisonError::into_inner).judged_at = now;
                Ok(())
            }
        }
    }

    /// Judges some releases again.
    async fn judge(&self, digests: &[Digest], now: u64) -> Result<(), CatalogueError> {
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

    /// Runs `decide` for a reader: away from the threads that serve the connections, few at a time, and by what is
    /// trusted when its turn has come.
    async fn verify<R: Send + 'static>(
        &self,
        now: u64,
        decide: impl FnOnce(&TrustStore<'_>) -> R + Send + 'static,
    ) -> Result<R, CatalogueError> {
        // Nobody closes the semaphore.
        let place = self.places.clone().acquire_owned().await.ok();
        let trusted = self.records.trust_store();
        let request = Span::current();
        let decided = tokio::task::spawn_blocking(move || {
            // Taken along: the reader may be gone before this is done.
            let _place = place;
            request.in_scope(|| trusted.with(Some(UnixTime(now)), decide))
        });
        Ok(decided.await?)
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

/// Why nothing is offered, by the newest release that would be.
fn none_offered(newest: Option<&Entry>) -> CatalogueError {
    let Some(entry) = newest else { return CatalogueError::Unknown };
    let why = match (entry.verdict, &entry.withdrawal) {
        (Verdict::Withdrawn, Some(withdrawal)) => {
            format!("its publisher withdrew it ({})", withdrawal.reason)
        }
        (Verdict::Refused(reason), _) => {
            format!("{} ({})", reason.message().trim_end_matches('.'), reason.slug())
        }
        (Verdict::Offered | Verdict::Withdrawn | Verdict::Damaged, _) => {
            "its record in the database is damaged".to_owned()
        }
    };
    CatalogueError::NoneOffered { sequence: entry.sequence(), why }
}

#[cfg(test)]
mod tests;
