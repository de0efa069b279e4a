//! Devices and what was reported of them.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::writer::WriteTransaction;
use super::{Store, StoreError, fixed, sequence_key, sequence_of, time_key, time_of};
use crate::domain::registry::{DeviceFacts, Event};
use crate::domain::{Digest, Identifier};

/// A device as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDevice {
    /// The serial number.
    pub serial: String,
    pub vendor: Identifier,
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
    /// Registers the device or brings it up to date; what `facts` leave out stays as it is, and so do version and
    /// sequence when a later statement of them has come before. `None` when the serial number is registered with
    /// another vendor, class or identity key: then nothing changes.
    pub async fn upsert_device(
        &self,
        serial: &str,
        facts: &DeviceFacts,
        now: u64,
    ) -> Result<Option<(bool, StoredDevice)>, StoreError> {
        let mut transaction = self.begin_write().await?;
        let known = stated_at(&mut transaction, serial).await?;
        let says = facts.version.is_some() || facts.sequence.is_some();
        let news = news(says, facts.at, now, known.unwrap_or_default());
        let row = sqlx::query(
            "INSERT INTO devices (serial, vendor, class, version, sequence, identity, last_seen, stated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (serial) DO UPDATE
             SET version = COALESCE(excluded.version, devices.version),
                 sequence = COALESCE(excluded.sequence, devices.sequence),
                 identity = COALESCE(excluded.identity, devices.identity),
                 last_seen = excluded.last_seen,
                 stated_at = excluded.stated_at
             WHERE devices.vendor = excluded.vendor AND devices.class = excluded.class
               AND COALESCE(devices.identity = excluded.identity, TRUE)
             RETURNING *",
        )
        .bind(serial)
        .bind(facts.vendor.0.to_vec())
        .bind(facts.class.0.to_vec())
        .bind(facts.version.as_ref().filter(|_| news.is_some()).map(|version| version.as_str()))
        .bind(facts.sequence.filter(|_| news.is_some()).map(sequence_key))
        .bind(facts.identity.map(|key| key.to_cose_key().to_vec()))
        .bind(time_key(now))
        .bind(news.or(known).unwrap_or_default())
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        row.map(|row| Ok((known.is_none(), device(&row)?))).transpose()
    }

    /// The device, where it is registered.
    pub async fn device(&self, serial: &str) -> Result<Option<StoredDevice>, StoreError> {
        let row = sqlx::query("SELECT * FROM devices WHERE serial = $1")
            .bind(serial)
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(device).transpose()
    }

    /// At most `limit` devices by serial number, those after `after` where it is given.
    pub async fn devices(&self, after: Option<&str>, limit: u32) -> Result<Vec<StoredDevice>, StoreError> {
        let rows = sqlx::query("SELECT * FROM devices WHERE serial > $1 ORDER BY serial LIMIT $2")
            .bind(after.unwrap_or_default())
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(device).collect()
    }

    /// Keeps an event, and with it what the device runs now where the event says so and nothing later has been said.
    /// `false` when no such device is registered: then nothing is stored.
    pub async fn insert_event(&self, serial: &str, event: &Event, now: u64) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        let Some(known) = stated_at(&mut transaction, serial).await? else {
            transaction.rollback().await?;
            return Ok(false);
        };
        let version = event.version.as_ref().map(|version| version.as_str());
        let says = event.kind.says_what_runs() && (version.is_some() || event.sequence.is_some());
        let news = news(says, event.at, now, known);
        sqlx::query(
            "UPDATE devices SET last_seen = $2, version = COALESCE($3, version), sequence = COALESCE($4, sequence),
             stated_at = $5 WHERE serial = $1",
        )
        .bind(serial)
        .bind(time_key(now))
        .bind(version.filter(|_| news.is_some()))
        .bind(event.sequence.filter(|_| news.is_some()).map(sequence_key))
        .bind(news.unwrap_or(known))
        .execute(&mut *transaction)
        .await?;
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

    /// The last `limit` events of a device, the last received first.
    pub async fn events(&self, serial: &str, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = sqlx::query("SELECT * FROM device_events WHERE serial = $1 ORDER BY id DESC LIMIT $2")
            .bind(serial)
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(event).collect()
    }
}

/// Of what time the device's version and sequence are; `None` when no such device is registered.
async fn stated_at(transaction: &mut WriteTransaction, serial: &str) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query("SELECT stated_at FROM devices WHERE serial = $1")
        .bind(serial)
        .fetch_optional(&mut **transaction)
        .await?;
    row.map(|row| Ok(row.try_get("stated_at")?)).transpose()
}

/// Of what time a report speaks, when it says what the device runs and what is known is not of a later time. Nobody
/// speaks of what is to come: such a time is now, also where it is known (the clock was set back).
fn news(says_what_runs: bool, at: Option<u64>, now: u64, known: i64) -> Option<i64> {
    let at = time_key(at.unwrap_or(now).min(now));
    (says_what_runs && at >= known.min(time_key(now))).then_some(at)
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
