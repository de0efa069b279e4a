//! The catalogue of releases. A release gets in when its envelope verifies and its image is here; it is offered for
//! as long as its envelope verifies, under the revocations and at the time of asking.
//!
//! What a release says (version, image, key) is read from the verified envelope each time; the database's columns
//! only find it.

use std::sync::Arc;

use suit_manifest::{Envelope, Reason, image_reference};
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tracing::Span;
use trust::{Kid, TrustStore, UnixTime};

use super::records::{Records, RecordsError};
use super::{Digest, Identifier};
use crate::blobs::{BlobError, Blobs};
use crate::store::{Insertion, NewEnvelope, Store, StoreError, StoredEnvelope, StoredRelease};

/// Releases that are looked at in one go while searching for those that are offered.
const SEARCH_STEP: u32 = 32;
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
    /// There is no such release, or none that is offered.
    #[error("there is no such release")]
    Unknown,
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
}

impl Release {
    /// Verifies an envelope and reads the release from it.
    pub fn read(envelope: &[u8], store: &TrustStore<'_>, published_at: u64) -> Result<Self, Reason> {
        let authenticated = Envelope::parse(envelope)?.authenticate(store)?;
        let image = image_reference(&authenticated)?;
        let manifest = authenticated.manifest();
        Ok(Self {
            manifest_digest: Digest(*authenticated.digest()),
            envelope_digest: Digest::of(envelope),
            sequence: manifest.sequence_number(),
            version: manifest.version_text().map(str::to_owned),
            vendor: Identifier(image.vendor),
            class: Identifier(image.class),
            device: image.device.map(Identifier),
            image: Image { digest: Digest(image.digest), size: image.size, uri: image.uri.to_owned() },
            release_kid: authenticated.authority().credential().key().kid(),
            published_at,
        })
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

impl Audience {
    fn is_of(&self, release: &Release) -> bool {
        (release.vendor, release.class) == (self.vendor, self.class)
    }

    fn is_meant_by(&self, release: &Release) -> bool {
        release.device.is_none() || release.device == self.device
    }
}

/// A release that the index found, and the ways in which it was signed.
struct Candidate {
    found: StoredRelease,
    envelopes: Vec<StoredEnvelope>,
}

/// The catalogue.
#[derive(Debug, Clone)]
pub struct Catalogue {
    store: Store,
    blobs: Arc<Blobs>,
    records: Records,
    places: Arc<Semaphore>,
}

impl Catalogue {
    /// The catalogue kept in `store` and `blobs`, going by `records`.
    pub fn new(store: Store, blobs: Arc<Blobs>, records: Records) -> Self {
        Self { store, blobs, records, places: Arc::new(Semaphore::new(READERS_VERIFYING)) }
    }

    /// Takes an envelope into the catalogue, or nothing.
    pub async fn publish(&self, envelope: &[u8], now: u64) -> Result<(Publication, Release), CatalogueError> {
        let trusted = self.records.trust_store().await?;
        let mut release = trusted.with(Some(UnixTime(now)), |store| {
            Release::read(envelope, store, now).map_err(CatalogueError::Refused)
        })?;
        let Image { digest, size: manifest, .. } = release.image;
        match self.blobs.size(digest).await? {
            None => return Err(CatalogueError::ImageNotStored { digest }),
            Some(stored) if stored != manifest => {
                return Err(CatalogueError::ImageSize { digest, manifest, stored });
            }
            Some(_) => {}
        }
        let sequence = release.sequence;
        let new = NewEnvelope {
            manifest_digest: release.manifest_digest,
            vendor: release.vendor,
            class: release.class,
            sequence,
            bytes: envelope,
            published_at: now,
        };
        match self.store.insert_envelope(&new).await? {
            Insertion::Created => Ok((Publication::Created, release)),
            Insertion::AlreadyThere { published_at } => {
                release.published_at = published_at;
                Ok((Publication::AlreadyThere, release))
            }
            Insertion::SequenceTaken { by } => Err(CatalogueError::SequenceTaken { sequence, by }),
        }
    }

    /// At most `limit` releases that are offered to `audience` at `now`, highest sequence number first, below `below`
    /// where it is given.
    pub async fn offers(
        &self,
        audience: Audience,
        mut below: Option<u64>,
        limit: usize,
        now: u64,
    ) -> Result<Vec<Release>, CatalogueError> {
        let mut offers = Vec::new();
        // The newest are asked for most often, and are mostly offered.
        let mut step = u32::try_from(limit).map_or(SEARCH_STEP, |limit| limit.min(SEARCH_STEP));
        loop {
            let mut candidates = Vec::new();
            for found in self.store.releases(audience.vendor, audience.class, below, step).await? {
                let envelopes = self.store.envelopes(found.manifest_digest).await?;
                candidates.push(Candidate { found, envelopes });
            }
            let Some(last) = candidates.last() else { return Ok(offers) };
            below = Some(last.found.sequence);
            let wanted = limit - offers.len();
            offers
                .extend(self.verify(now, move |store| offered(&candidates, audience, wanted, store)).await?);
            if offers.len() == limit {
                return Ok(offers);
            }
            step = SEARCH_STEP;
        }
    }

    /// The newest release that is offered to `audience` at `now`.
    pub async fn latest(&self, audience: Audience, now: u64) -> Result<Release, CatalogueError> {
        let newest = self.offers(audience, None, 1, now).await?.pop();
        newest.ok_or(CatalogueError::Unknown)
    }

    /// The envelope of a manifest as it was received: of several, the last that is valid at `now`.
    pub async fn envelope(&self, manifest_digest: Digest, now: u64) -> Result<Vec<u8>, CatalogueError> {
        let mut envelopes = self.store.envelopes(manifest_digest).await?;
        let valid = self
            .verify(now, move |store| {
                let valid = first_valid(manifest_digest, &envelopes, store);
                valid.map(|(_, index)| envelopes.swap_remove(index).bytes)
            })
            .await?;
        valid.map_err(|reason| reason.map_or(CatalogueError::Unknown, CatalogueError::Refused))
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
        let trusted = self.records.trust_store().await?;
        let request = Span::current();
        let decided = tokio::task::spawn_blocking(move || {
            // Taken along: the reader may be gone before this is done.
            let _place = place;
            request.in_scope(|| trusted.with(Some(UnixTime(now)), decide))
        });
        Ok(decided.await?)
    }
}

/// The first `wanted` of the candidates that are offered to `audience`.
fn offered(
    candidates: &[Candidate],
    audience: Audience,
    wanted: usize,
    store: &TrustStore<'_>,
) -> Vec<Release> {
    let offers = candidates.iter().filter_map(|Candidate { found, envelopes }| {
        let digest = found.manifest_digest;
        match first_valid(digest, envelopes, store) {
            Ok((release, _)) if !audience.is_of(&release) || release.sequence != found.sequence => {
                tracing::error!(release = %digest, "the database has it in another place than its manifest");
                None
            }
            Ok((release, _)) => audience.is_meant_by(&release).then_some(release),
            Err(reason) => {
                let reason = reason.map_or("unknown", Reason::slug);
                tracing::debug!(release = %digest, reason, "not offered");
                None
            }
        }
    });
    offers.take(wanted).collect()
}

/// The first envelope of the manifest that verifies, or why the first one does not.
fn first_valid(
    manifest_digest: Digest,
    envelopes: &[StoredEnvelope],
    store: &TrustStore<'_>,
) -> Result<(Release, usize), Option<Reason>> {
    let mut refused = None;
    for (index, envelope) in envelopes.iter().enumerate() {
        match Release::read(&envelope.bytes, store, envelope.published_at) {
            Ok(release) if release.manifest_digest == manifest_digest => return Ok((release, index)),
            Ok(release) => tracing::error!(
                release = %manifest_digest,
                envelope = %release.envelope_digest,
                "the database has the envelope of another manifest under this one"
            ),
            Err(reason) => refused = refused.or(Some(reason)),
        }
    }
    Err(refused)
}

#[cfg(test)]
mod tests;
