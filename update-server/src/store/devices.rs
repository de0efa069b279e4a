//! Devices and what was reported of them.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, fixed, sequence_key, sequence_of, time_key, time_of};
use crate::domain::registry::{DeviceFacts, Event};
use crate::domain::{Digest, Identifier};

/// A device as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDevice {
    /// The serial number.
    pub serial: String,
    /// Its vendor.
    pub vendor: Identifier,
    /// Its class.
    pub class: Identifier,
    /// The version that it was last known to run.
    pub version: Option<String>,
    /// The sequence number that it was last known to run.
    pub sequence: Option<u64>,
    /// Its identity key as a COSE_Key.
    pub identity: Option<Vec<u8>>,
    /// Seconds since the epoch.
    pub last_seen: u64,
}

/// An event as it was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its kind, as the interface writes it.
    pub kind: String,
    /// The manifest concerned.
    pub release: Option<Digest>,
    /// The version concerned.
    pub version: Option<String>,
    /// The sequence number concerned.
    pub sequence: Option<u64>,
    /// Why, as a slug of docs/errors.md.
    pub reason: Option<String>,
    /// When it happened, where the reporter had a clock: seconds since the epoch.
    pub at: Option<u64>,
    /// When it arrived here: seconds since the epoch.
    pub received_at: u64,
}

impl Store {
    /// Registers the device or brings it up to date; what `facts` leave out stays as it is. `None` when the serial
    /// number is registered with another vendor, class or identity key: then nothing changes.
    pub async fn upsert_device(
        &self,
        serial: &str,
        facts: &DeviceFacts,
        now: u64,
    ) -> Result<Option<(bool, StoredDevice)>, StoreError> {
        let mut transaction = self.begin_write().await?;
        let known = sqlx::query("SELECT serial FROM devices WHERE serial = $1")
            .bind(serial)
            .fetch_optional(&mut *transaction)
            .await?
            .is_some();
        let row = sqlx::query(
            "INSERT INTO devices (serial, vendor, class, version, sequence, identity, last_seen)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (serial) DO UPDATE
             SET version = COALESCE(excluded.version, devices.version),
                 sequence = COALESCE(excluded.sequence, devices.sequence),
                 identity = COALESCE(excluded.identity, devices.identity),
                 last_seen = excluded.last_seen
             WHERE devices.vendor = excluded.vendor AND devices.class = excluded.class
               AND COALESCE(devices.identity = excluded.identity, TRUE)
             RETURNING *",
        )
        .bind(serial)
        .bind(facts.vendor.0.to_vec())
        .bind(facts.class.0.to_vec())
        .bind(facts.version.as_ref().map(|version| version.as_str()))
        .bind(facts.sequence.map(sequence_key))
        .bind(facts.identity.map(|key| key.to_cose_key().to_vec()))
        .bind(time_key(now))
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        row.map(|row| Ok((!known, device(&row)?))).transpose()
    }

    /// The device, where it is registered.
    pub async fn device(&self, serial: &str) -> Result<Option<StoredDevice>, StoreError> {
        let row = sqlx::query("SELECT * FROM devices WHERE serial = $1")
            .bind(serial)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(device).transpose()
    }

    /// At most `limit` devices by serial number, those after `after` where it is given.
    pub async fn devices(&self, after: Option<&str>, limit: u32) -> Result<Vec<StoredDevice>, StoreError> {
        let rows = sqlx::query("SELECT * FROM devices WHERE serial > $1 ORDER BY serial LIMIT $2")
            .bind(after.unwrap_or_default())
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(device).collect()
    }

    /// Keeps an event, and with it what the device runs now where the event says so. `false` when no such device is
    /// registered: then nothing is stored.
    pub async fn insert_event(&self, serial: &str, event: &Event, now: u64) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        let runs = event.kind.says_what_runs();
        let version = event.version.as_ref().map(|version| version.as_str());
        let known = sqlx::query(
            "UPDATE devices SET last_seen = $2, version = COALESCE($3, version), sequence = COALESCE($4, sequence)
             WHERE serial = $1",
        )
        .bind(serial)
        .bind(time_key(now))
        .bind(version.filter(|_| runs))
        .bind(event.sequence.filter(|_| runs).map(sequence_key))
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if known == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO device_events (serial, kind, release, version, sequence, reason, at, received_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(serial)
        .bind(event.kind.as_str())
        .bind(event.release.map(|release| release.0.to_vec()))
        .bind(version)
        .bind(event.sequence.map(sequence_key))
        .bind(event.reason.as_ref().map(|reason| reason.as_str()))
        .bind(event.at.map(time_key))
        .bind(time_key(now))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The last `limit` events of a device, the latest first.
    pub async fn events(&self, serial: &str, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = sqlx::query("SELECT * FROM device_events WHERE serial = $1 ORDER BY id DESC LIMIT $2")
            .bind(serial)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(event).collect()
    }
}

fn device(row: &SqliteRow) -> Result<StoredDevice, StoreError> {
    Ok(StoredDevice {
        serial: row.try_get("serial")?,
        vendor: Identifier(fixed(row.try_get("vendor")?, "vendor")?),
        class: Identifier(fixed(row.try_get("class")?, "class")?),
        version: row.try_get("version")?,
        sequence: row.try_get::<Option<&[u8]>, _>("sequence")?.map(sequence_of).transpose()?,
        identity: row.try_get("identity")?,
        last_seen: time_of(row.try_get("last_seen")?)?,
    })
}

fn event(row: &SqliteRow) -> Result<StoredEvent, StoreError> {
    let release = row.try_get::<Option<&[u8]>, _>("release")?;
    Ok(StoredEvent {
        kind: row.try_get("kind")?,
        release: release.map(|bytes| Ok::<_, StoreError>(Digest(fixed(bytes, "digest")?))).transpose()?,
        version: row.try_get("version")?,
        sequence: row.try_get::<Option<&[u8]>, _>("sequence")?.map(sequence_of).transpose()?,
        reason: row.try_get("reason")?,
        at: row.try_get::<Option<i64>, _>("at")?.map(time_of).transpose()?,
        received_at: time_of(row.try_get("received_at")?)?,
    })
}
