//! Releases and their envelopes. A release is one manifest; an envelope is one way in which it was signed.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, fixed, sequence_key, sequence_of, time_key, time_of};
use crate::domain::{Digest, Identifier};

/// An envelope that was verified and is to be kept.
#[derive(Debug)]
pub struct NewEnvelope<'a> {
    /// The manifest's digest.
    pub manifest_digest: Digest,
    /// The vendor for which it is a release.
    pub vendor: Identifier,
    /// The class for which it is a release.
    pub class: Identifier,
    /// The manifest's sequence number.
    pub sequence: u64,
    /// The envelope as received.
    pub bytes: &'a [u8],
    /// Seconds since the epoch.
    pub published_at: u64,
}

/// What became of a new envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insertion {
    /// It is stored now.
    Created,
    /// The same bytes were stored before.
    AlreadyThere {
        /// When: seconds since the epoch.
        published_at: u64,
    },
    /// Another manifest of that vendor and class has the sequence number; nothing was stored.
    SequenceTaken {
        /// The manifest that has it.
        by: Digest,
    },
}

/// A release, as the index knows it. What it says is in its envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRelease {
    /// The manifest's digest.
    pub manifest_digest: Digest,
    /// The manifest's sequence number.
    pub sequence: u64,
}

/// An envelope as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEnvelope {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Seconds since the epoch.
    pub published_at: u64,
}

impl Store {
    /// Keeps an envelope, and its release where it is the first of it, or nothing.
    pub async fn insert_envelope(&self, new: &NewEnvelope<'_>) -> Result<Insertion, StoreError> {
        let mut transaction = self.begin_write().await?;
        sqlx::query(
            "INSERT INTO releases (manifest_digest, vendor, class, sequence, published_at)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(new.manifest_digest.0.to_vec())
        .bind(new.vendor.0.to_vec())
        .bind(new.class.0.to_vec())
        .bind(sequence_key(new.sequence))
        .bind(time_key(new.published_at))
        .execute(&mut *transaction)
        .await?;
        let holder = sqlx::query(
            "SELECT manifest_digest FROM releases WHERE vendor = $1 AND class = $2 AND sequence = $3",
        )
        .bind(new.vendor.0.to_vec())
        .bind(new.class.0.to_vec())
        .bind(sequence_key(new.sequence))
        .fetch_one(&mut *transaction)
        .await?;
        let by = digest(&holder, "manifest_digest")?;
        if by != new.manifest_digest {
            transaction.rollback().await?;
            return Ok(Insertion::SequenceTaken { by });
        }
        let sha256 = Digest::of(new.bytes);
        let there = sqlx::query("SELECT published_at FROM envelopes WHERE sha256 = $1")
            .bind(sha256.0.to_vec())
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(row) = there {
            transaction.rollback().await?;
            return Ok(Insertion::AlreadyThere { published_at: time_of(row.try_get("published_at")?)? });
        }
        sqlx::query(
            "INSERT INTO envelopes (sha256, manifest_digest, bytes, published_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(sha256.0.to_vec())
        .bind(new.manifest_digest.0.to_vec())
        .bind(new.bytes)
        .bind(time_key(new.published_at))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Insertion::Created)
    }

    /// At most `limit` releases of a vendor and class, highest sequence number first, below `below` where it is given.
    pub async fn releases(
        &self,
        vendor: Identifier,
        class: Identifier,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredRelease>, StoreError> {
        let rows = sqlx::query(
            "SELECT manifest_digest, sequence FROM releases
             WHERE vendor = $1 AND class = $2 AND ($3 IS NULL OR sequence < $3)
             ORDER BY sequence DESC LIMIT $4",
        )
        .bind(vendor.0.to_vec())
        .bind(class.0.to_vec())
        .bind(below.map(sequence_key))
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let manifest_digest = digest(row, "manifest_digest")?;
                Ok(StoredRelease { manifest_digest, sequence: sequence_of(row.try_get("sequence")?)? })
            })
            .collect()
    }

    /// The envelopes of a manifest, the last received first.
    pub async fn envelopes(&self, manifest_digest: Digest) -> Result<Vec<StoredEnvelope>, StoreError> {
        let rows = sqlx::query(
            "SELECT bytes, published_at FROM envelopes WHERE manifest_digest = $1 ORDER BY id DESC",
        )
        .bind(manifest_digest.0.to_vec())
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let published_at = time_of(row.try_get("published_at")?)?;
                Ok(StoredEnvelope { bytes: row.try_get("bytes")?, published_at })
            })
            .collect()
    }
}

fn digest(row: &SqliteRow, column: &str) -> Result<Digest, StoreError> {
    Ok(Digest(fixed(row.try_get(column)?, "digest")?))
}
