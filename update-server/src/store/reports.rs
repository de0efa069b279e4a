//! Reports of devices, as they came.

use futures::FutureExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use trust::Kid;

use super::{Store, StoreError, fixed, installs_of, sequence_of, time_key, time_of};
use crate::domain::Digest;
use crate::domain::device_report::ReceivedReport;
use crate::domain::installs::Installs;
use crate::domain::registry::Reporter;

/// Reports that are kept of a device from one token: the oldest go first. What another token sent stays.
const MAX_REPORTS_OF_A_TOKEN: i64 = 100;

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportInsertion {
    /// Kept; so many older ones of the same token had to go.
    Created { dropped: u64 },
    /// The same report of the same token is there.
    AlreadyThere,
}

/// A report as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReport {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    pub bytes: Vec<u8>,
    /// Of the manifest that it is about, if one authenticated.
    pub manifest_digest: Option<Vec<u8>>,
    /// Sequence number of the release with that manifest, if it is here.
    pub release_sequence: Option<u64>,
    /// What that release installs.
    pub release_target: Option<Installs>,
    /// kid of the key that it names.
    pub device_key: Option<Kid>,
    /// Another device of which a report names the same key.
    pub key_also_of: Option<String>,
    /// When the device was asked, where the reporter had a clock: seconds since the epoch.
    pub at: Option<u64>,
    /// Seconds since the epoch.
    pub received_at: u64,
    /// Who sent it.
    pub reporter: String,
}

impl Store {
    /// Keeps a report. `None` when no such device is registered: then nothing is stored.
    pub async fn insert_report(
        &self,
        serial: &str,
        report: ReceivedReport,
        at: Option<u64>,
        (reporter, now): (&Reporter, u64),
    ) -> Result<Option<ReportInsertion>, StoreError> {
        let (serial, reporter) = (serial.to_owned(), reporter.clone());
        self.writer
            .run(move |connection| {
                async move { insert_report(connection, &serial, &report, at, (&reporter, now)).await }.boxed()
            })
            .await
    }

    /// The reports of a device, the last received first.
    pub async fn reports(&self, serial: &str) -> Result<Vec<StoredReport>, StoreError> {
        let rows = sqlx::query(
            "SELECT report.*, releases.sequence AS release_sequence,
                 releases.target AS release_target, (
                 SELECT min(other.serial) FROM device_reports AS other
                 WHERE other.device_key = report.device_key AND other.serial <> report.serial
             ) AS key_also_of
             FROM device_reports AS report
             LEFT JOIN releases ON releases.manifest_digest = report.manifest_digest
             WHERE report.serial = $1 ORDER BY report.id DESC",
        )
        .bind(serial)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(report).collect()
    }

    /// The bytes of one report.
    pub async fn report(&self, serial: &str, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = sqlx::query_scalar(
            "SELECT bytes FROM device_reports WHERE serial = $1 AND digest = $2 ORDER BY id LIMIT 1",
        )
        .bind(serial)
        .bind(digest.0.to_vec())
        .fetch_optional(&self.readers)
        .await?;
        Ok(bytes)
    }
}

async fn insert_report(
    connection: &mut SqliteConnection,
    serial: &str,
    report: &ReceivedReport,
    at: Option<u64>,
    (reporter, now): (&Reporter, u64),
) -> Result<Option<ReportInsertion>, StoreError> {
    // A host sends a report again when it did not see the answer.
    let inserted = sqlx::query(
        "INSERT INTO device_reports
         (serial, digest, bytes, manifest_digest, device_key, at, received_at, reporter)
         SELECT serial, $2, $3, $4, $5, $6, $7, $8 FROM devices WHERE serial = $1
         ON CONFLICT (serial, digest, reporter) DO NOTHING",
    )
    .bind(serial)
    .bind(report.digest().0.to_vec())
    .bind(report.bytes())
    .bind(report.manifest_digest())
    .bind(report.device_key().map(|kid| kid.0.to_vec()))
    .bind(at.map(time_key))
    .bind(time_key(now))
    .bind(reporter.as_str())
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if inserted == 0 {
        let known = sqlx::query("SELECT 1 FROM devices WHERE serial = $1")
            .bind(serial)
            .fetch_optional(&mut *connection)
            .await?;
        return Ok(known.map(|_| ReportInsertion::AlreadyThere));
    }
    let dropped = sqlx::query(
        "DELETE FROM device_reports WHERE serial = $1 AND reporter = $2 AND id NOT IN (
             SELECT id FROM device_reports WHERE serial = $1 AND reporter = $2 ORDER BY id DESC LIMIT $3
         )",
    )
    .bind(serial)
    .bind(reporter.as_str())
    .bind(MAX_REPORTS_OF_A_TOKEN)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    Ok(Some(ReportInsertion::Created { dropped }))
}

fn report(row: &SqliteRow) -> Result<StoredReport, StoreError> {
    Ok(StoredReport {
        digest: Digest(fixed(row.try_get("digest")?, "digest")?),
        bytes: row.try_get("bytes")?,
        manifest_digest: row.try_get("manifest_digest")?,
        release_sequence: row
            .try_get::<Option<&[u8]>, _>("release_sequence")?
            .map(sequence_of)
            .transpose()?,
        release_target: row.try_get::<Option<&str>, _>("release_target")?.map(installs_of).transpose()?,
        device_key: match row.try_get::<Option<&[u8]>, _>("device_key")? {
            Some(kid) => Some(Kid(fixed(kid, "device key")?)),
            None => None,
        },
        key_also_of: row.try_get("key_also_of")?,
        at: row.try_get::<Option<i64>, _>("at")?.map(time_of).transpose()?,
        received_at: time_of(row.try_get("received_at")?)?,
        reporter: row.try_get("reporter")?,
    })
}
