//! Releases and their envelopes. A release is one manifest; an envelope is one way in which it was signed.

use bytes::Bytes;
use futures::FutureExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqliteExecutor};
use suit_manifest::Target;

use super::{Store, StoreError, fixed, installs_of, sequence_key, sequence_of, time_key, time_of};
use crate::domain::installs::Installs;
use crate::domain::{Digest, Identifier};

/// An envelope that was verified and is to be kept.
#[derive(Debug, Clone)]
pub struct NewEnvelope {
    /// The manifest's digest.
    pub manifest_digest: Digest,
    /// The vendor for which it is a release.
    pub vendor: Identifier,
    /// The class for which it is a release.
    pub class: Identifier,
    /// What it installs.
    pub target: Installs,
    /// The manifest's sequence number.
    pub sequence: u64,
    /// The envelope as received.
    pub bytes: Bytes,
    /// Seconds since the epoch.
    pub published_at: u64,
}

/// The result of storing an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insertion {
    /// It is stored now.
    Created,
    /// The same bytes were stored before.
    AlreadyThere {
        /// When: seconds since the epoch.
        published_at: u64,
    },
    /// Another manifest of that vendor and class has the sequence number, and installs of the same; nothing was stored.
    SequenceTaken {
        /// What both would install.
        target: Target,
        /// The manifest that has it.
        by: Digest,
    },
}

/// That a publisher withdrew a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// Why, in the publisher's words.
    pub reason: String,
    /// Seconds since the epoch.
    pub at: u64,
}

/// A release, as the database finds it. What it says is in its envelopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRelease {
    /// The manifest's digest.
    pub manifest_digest: Digest,
    /// The vendor for which it is a release.
    pub vendor: Identifier,
    /// The class for which it is a release.
    pub class: Identifier,
    /// What it installs.
    pub target: Installs,
    /// The manifest's sequence number.
    pub sequence: u64,
    /// When and why it was withdrawn.
    pub withdrawal: Option<Withdrawal>,
}

/// Something that happened to a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseEvent {
    /// `release-published`, `release-withdrawn` or `release-restored`.
    pub kind: String,
    /// Why, in the publisher's words.
    pub reason: Option<String>,
    /// Seconds since the epoch.
    pub at: u64,
}

const PUBLISHED: &str = "release-published";
const WITHDRAWN: &str = "release-withdrawn";
const RESTORED: &str = "release-restored";

/// An envelope as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEnvelope {
    /// The manifest under which it is kept.
    pub manifest_digest: Digest,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Seconds since the epoch.
    pub published_at: u64,
}

impl Store {
    /// Keeps an envelope, and its release where it is the first of it, or nothing.
    pub async fn insert_envelope(&self, new: NewEnvelope) -> Result<Insertion, StoreError> {
        self.writer
            .run(move |connection| async move { insert_envelope(connection, &new).await }.boxed())
            .await
    }

    /// Marks a release as withdrawn, or (without a reason) as not withdrawn any more. `None` when there is no such
    /// release; `false` when it was so already.
    pub async fn mark_withdrawn(
        &self,
        manifest_digest: Digest,
        reason: Option<String>,
        now: u64,
    ) -> Result<Option<bool>, StoreError> {
        self.writer
            .run(move |connection| {
                async move { mark_withdrawn(connection, manifest_digest, reason.as_deref(), now).await }
                    .boxed()
            })
            .await
    }

    /// The last `limit` events of a release, the last first.
    pub async fn release_events(
        &self,
        manifest_digest: Digest,
        limit: u32,
    ) -> Result<Vec<ReleaseEvent>, StoreError> {
        let rows = sqlx::query(
            "SELECT kind, reason, at FROM release_events WHERE manifest_digest = $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(manifest_digest.0.to_vec())
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let (kind, reason) = (row.try_get("kind")?, row.try_get("reason")?);
                Ok(ReleaseEvent { kind, reason, at: time_of(row.try_get("at")?)? })
            })
            .collect()
    }

    /// The release of a manifest.
    pub async fn release(&self, manifest_digest: Digest) -> Result<Option<StoredRelease>, StoreError> {
        stored_release(&self.readers, manifest_digest).await
    }

    /// At most `limit` releases in the order of their digests, after `after` where it is given.
    pub async fn releases(
        &self,
        after: Option<Digest>,
        limit: u32,
    ) -> Result<Vec<StoredRelease>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM releases WHERE $1 IS NULL OR manifest_digest > $1 ORDER BY manifest_digest LIMIT $2",
        )
        .bind(after.map(|digest| digest.0.to_vec()))
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(release).collect()
    }

    /// The envelopes of the manifests from `first` to `last`, in the order of the digests; of one manifest the last
    /// received first.
    pub async fn envelopes(&self, first: Digest, last: Digest) -> Result<Vec<StoredEnvelope>, StoreError> {
        let rows = sqlx::query(
            "SELECT manifest_digest, bytes, published_at FROM envelopes
             WHERE manifest_digest BETWEEN $1 AND $2 ORDER BY manifest_digest, id DESC",
        )
        .bind(first.0.to_vec())
        .bind(last.0.to_vec())
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let (manifest_digest, bytes) = (digest(row, "manifest_digest")?, row.try_get("bytes")?);
                let published_at = time_of(row.try_get("published_at")?)?;
                Ok(StoredEnvelope { manifest_digest, bytes, published_at })
            })
            .collect()
    }

    /// An envelope by its own digest.
    pub async fn envelope(&self, sha256: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query("SELECT bytes FROM envelopes WHERE sha256 = $1")
            .bind(sha256.0.to_vec())
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| Ok(row.try_get("bytes")?)).transpose()
    }
}

/// The release of a manifest, if it is here.
pub(super) async fn stored_release(
    connection: impl SqliteExecutor<'_>,
    manifest_digest: Digest,
) -> Result<Option<StoredRelease>, StoreError> {
    let row = sqlx::query("SELECT * FROM releases WHERE manifest_digest = $1")
        .bind(manifest_digest.0.to_vec())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(release).transpose()
}

async fn insert_envelope(
    connection: &mut SqliteConnection,
    new: &NewEnvelope,
) -> Result<Insertion, StoreError> {
    let sha256 = Digest::of(&new.bytes);
    let there = sqlx::query("SELECT published_at FROM envelopes WHERE sha256 = $1")
        .bind(sha256.0.to_vec())
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(row) = there {
        return Ok(Insertion::AlreadyThere { published_at: time_of(row.try_get("published_at")?)? });
    }
    sqlx::query(
        "INSERT INTO releases (manifest_digest, vendor, class, target, sequence, published_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind(new.manifest_digest.0.to_vec())
    .bind(new.vendor.0.to_vec())
    .bind(new.class.0.to_vec())
    .bind(new.target.name())
    .bind(sequence_key(new.sequence))
    .bind(time_key(new.published_at))
    .execute(&mut *connection)
    .await?;
    for &target in new.target.targets() {
        if let Some(by) = holder(connection, new, target).await?
            && by != new.manifest_digest
        {
            // Then the insertion before did nothing.
            return Ok(Insertion::SequenceTaken { target, by });
        }
    }
    sqlx::query(
        "INSERT INTO envelopes (sha256, manifest_digest, bytes, published_at) VALUES ($1, $2, $3, $4)",
    )
    .bind(sha256.0.to_vec())
    .bind(new.manifest_digest.0.to_vec())
    .bind(new.bytes.as_ref())
    .bind(time_key(new.published_at))
    .execute(&mut *connection)
    .await?;
    insert_event(connection, new.manifest_digest, PUBLISHED, None, new.published_at).await?;
    Ok(Insertion::Created)
}

/// The release that has this sequence number in the series of `target`.
async fn holder(
    connection: &mut SqliteConnection,
    new: &NewEnvelope,
    target: Target,
) -> Result<Option<Digest>, StoreError> {
    // In the words of the indexes, so that they serve.
    let sql = match target {
        Target::Firmware => {
            "SELECT manifest_digest FROM releases
             WHERE vendor = $1 AND class = $2 AND sequence = $3 AND target <> 'table'"
        }
        Target::Table => {
            "SELECT manifest_digest FROM releases
             WHERE vendor = $1 AND class = $2 AND sequence = $3 AND target <> 'firmware'"
        }
    };
    let row = sqlx::query(sql)
        .bind(new.vendor.0.to_vec())
        .bind(new.class.0.to_vec())
        .bind(sequence_key(new.sequence))
        .fetch_optional(connection)
        .await?;
    row.map(|row| digest(&row, "manifest_digest")).transpose()
}

async fn mark_withdrawn(
    connection: &mut SqliteConnection,
    manifest_digest: Digest,
    reason: Option<&str>,
    now: u64,
) -> Result<Option<bool>, StoreError> {
    let row = sqlx::query("SELECT withdrawn_reason FROM releases WHERE manifest_digest = $1")
        .bind(manifest_digest.0.to_vec())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    if row.try_get::<Option<&str>, _>("withdrawn_reason")? == reason {
        return Ok(Some(false));
    }
    sqlx::query("UPDATE releases SET withdrawn_at = $2, withdrawn_reason = $3 WHERE manifest_digest = $1")
        .bind(manifest_digest.0.to_vec())
        .bind(reason.map(|_| time_key(now)))
        .bind(reason)
        .execute(&mut *connection)
        .await?;
    let kind = if reason.is_some() { WITHDRAWN } else { RESTORED };
    insert_event(connection, manifest_digest, kind, reason, now).await?;
    Ok(Some(true))
}

async fn insert_event(
    connection: &mut SqliteConnection,
    manifest_digest: Digest,
    kind: &'static str,
    reason: Option<&str>,
    at: u64,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO release_events (manifest_digest, kind, reason, at) VALUES ($1, $2, $3, $4)")
        .bind(manifest_digest.0.to_vec())
        .bind(kind)
        .bind(reason)
        .bind(time_key(at))
        .execute(connection)
        .await?;
    Ok(())
}

fn release(row: &SqliteRow) -> Result<StoredRelease, StoreError> {
    let at = row.try_get::<Option<i64>, _>("withdrawn_at")?.map(time_of).transpose()?;
    let reason: Option<String> = row.try_get("withdrawn_reason")?;
    Ok(StoredRelease {
        manifest_digest: digest(row, "manifest_digest")?,
        vendor: Identifier(fixed(row.try_get("vendor")?, "vendor")?),
        class: Identifier(fixed(row.try_get("class")?, "class")?),
        target: installs_of(row.try_get("target")?)?,
        sequence: sequence_of(row.try_get("sequence")?)?,
        withdrawal: at.zip(reason).map(|(at, reason)| Withdrawal { reason, at }),
    })
}

fn digest(row: &SqliteRow, column: &str) -> Result<Digest, StoreError> {
    Ok(Digest(fixed(row.try_get(column)?, "digest")?))
}
