//! The catalogue of releases. A release gets in when its envelope verifies and its image is here; it is offered for
//! as long as an envelope of it verifies, under the revocations and at the time of asking, and until its publisher
//! withdraws it.
//!
//! Answers come from the index; an envelope that is handed out is verified once more on its way. What a release says
//! (version, image, key) is read from a verified envelope; the database's columns only find it.

mod error;
mod judging;
mod release;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, Semaphore};
use tracing::{Instrument as _, Span};
use trust::{Kid, TrustStore, UnixTime};

pub use self::error::CatalogueError;
use self::judging::Indexed;
pub use self::release::{Image, Release, Validity};
use super::index::{Entry, Index, Standing, Verdict};
use super::installs::Installs;
use super::records::Records;
use super::{Digest, Identifier};
use crate::blobs::Blobs;
use crate::store::{Insertion, NewEnvelope, ReleaseEvent, Store};

/// Events that come with a single release.
const EVENTS_SHOWN: u32 = 100;
/// How often an envelope that does not verify is looked up again.
const MAX_LOOKUPS: usize = 4;
/// Readers for whom signatures are verified at one time; others wait their turn. Reading needs no token, and must not
/// keep every processor from those who write.
const READERS_VERIFYING: usize = 2;

/// How long an answer waits for verdicts that have to be made again. All of 100,000 releases take about 20 s.
const TURN_LIMIT: Duration = Duration::from_secs(30);

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
    /// What of them is to be installed: a release of another target is as one for another class.
    pub target: Installs,
    /// One of them; releases for single devices are offered to that device only.
    pub device: Option<Identifier>,
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
    turn_limit: Duration,
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
            turn_limit: TURN_LIMIT,
        };
        catalogue.bring_up_at_length(now).await?;
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
        for &Image { digest, size: manifest, .. } in release.images() {
            let stored =
                self.blobs.stored(digest).await?.ok_or(CatalogueError::ImageNotStored { digest })?.size();
            if stored != manifest {
                return Err(CatalogueError::ImageSize { digest, manifest, stored });
            }
        }
        let sequence = release.sequence;
        let new = NewEnvelope {
            manifest_digest: release.manifest_digest,
            vendor: release.vendor,
            class: release.class,
            target: release.target,
            sequence,
            bytes: envelope.clone(),
            published_at: now,
        };
        let inserted = self.store.insert_envelope(new).await;
        // Also when it failed: a commit that is reported as failed may still be found later.
        self.doubt(release.manifest_digest);
        let publication = match inserted? {
            Insertion::Created => Publication::Created,
            Insertion::AlreadyThere { published_at } => {
                release.published_at = published_at;
                Publication::AlreadyThere
            }
            Insertion::SequenceTaken { target, by } => {
                return Err(CatalogueError::SequenceTaken { sequence, target, by });
            }
        };
        self.bring_up_to(now).await?;
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
            catalogue.bring_up_to(now).await?;
            // One that could not be shown, for want of its anchor, is not marked either.
            if catalogue.known(manifest_digest).is_none_or(|entry| entry.release.is_none()) {
                return Err(CatalogueError::Unknown);
            }
            let marked = catalogue.store.mark_withdrawn(manifest_digest, reason.clone(), now).await;
            catalogue.doubt(manifest_digest);
            let changed = marked?.ok_or(CatalogueError::Unknown)?;
            if changed {
                tracing::info!(release = %manifest_digest, reason, "withdrawal of a release");
            }
            catalogue.bring_up_to(now).await?;
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
        self.list(now, |index| index.offers(audience, below, limit)).await
    }

    /// At most `limit` releases of the vendor, class and target of `audience`, offered or not, for whichever device.
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
        self.list(now, |index| index.every(audience, below, limit)).await
    }

    async fn list(
        &self,
        now: u64,
        select: impl FnOnce(&Index) -> Vec<Digest>,
    ) -> Result<Vec<Entry>, CatalogueError> {
        self.bring_up_to(now).await?;
        Ok(self.look(|index| {
            let selected = select(index).into_iter();
            selected.filter_map(|digest| index.entry(digest).cloned()).collect()
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
                if let Ok((read, bytes)) = self.verify(self.no_earlier(now), decide).await?
                    && read.manifest_digest == manifest_digest
                    && read.envelope_digest == release.envelope_digest
                {
                    return Ok((release, bytes));
                }
            }
            // A list came meanwhile, or the database is damaged.
            self.doubt(manifest_digest);
            self.bring_up_to(now).await?;
        }
        Err(CatalogueError::Damaged(manifest_digest))
    }

    /// When the newest credential or revocation list was issued, of those that a configured anchor's key signed: seconds
    /// since the epoch.
    pub fn newest_issue(&self) -> Option<u64> {
        let lists = self.records.trust_store().lists().map(|list| list.issued_at().0).max();
        lists.max(self.look(Index::newest_issue))
    }

    /// How many releases are stored, and under which of the configured anchors.
    pub fn standing(&self) -> Standing {
        self.look(Index::standing)
    }

    /// The roots of the configured domains under which no release is, while there are some.
    pub fn anchors_without_releases(&self, standing: &Standing) -> Vec<Kid> {
        let trusted = self.records.trust_store();
        let idle = trusted.domains().filter(|domain| !standing.of_domain.contains_key(&domain.0.0));
        if standing.stored == 0 { Vec::new() } else { idle.map(|domain| domain.0).collect() }
    }

    /// Whether a release names this image, so that it was stored once.
    pub fn names_image(&self, digest: Digest) -> bool {
        self.look(|index| index.names_image(digest))
    }

    /// Looks whether the images are there that releases name. A lost one is logged and counted by [`Blobs::damaged`].
    pub async fn look_for_images(&self) {
        let named: Vec<_> = self.look(|index| index.images().collect());
        for digest in named {
            if let Ok(false) = self.blobs.contains(digest).await {
                self.blobs.note_lost(digest);
            }
        }
    }

    fn look<R>(&self, look: impl FnOnce(&Index) -> R) -> R {
        look(&self.indexed.read().unwrap_or_else(PoisonError::into_inner).index)
    }

    /// The version in the text of a release, where it is here and has one.
    pub fn version_of(&self, manifest_digest: Digest) -> Option<String> {
        self.known(manifest_digest)?.release.as_ref()?.version.clone()
    }

    /// The vendor and the id of the one device that a release is for, where it is here and for one.
    pub fn device_of(&self, manifest_digest: Digest) -> Option<(Identifier, Identifier)> {
        let release = self.known(manifest_digest)?.release?;
        Some((release.vendor, release.device?))
    }

    fn known(&self, manifest_digest: Digest) -> Option<Entry> {
        self.look(|index| index.entry(manifest_digest).cloned())
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
pub(crate) mod tests;
