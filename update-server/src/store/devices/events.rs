//! What was reported of a device, and who changed its entry.

use futures::FutureExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use trust::Kid;

use super::named::{Said, compared};
use super::rows::optional;
use super::{device_of, write};
use crate::domain::installs::Installs;
use crate::domain::registration::{Conflict, NOTHING, heard};
use crate::domain::registry::{Event, Reporter};
use crate::domain::{Digest, VersionText};
use crate::store::{Store, StoreError, installs_of, sequence_key, sequence_of, time_key, time_of};

/// Events that are kept of a device from one token: the oldest go first. A refusal would keep the news out of what runs.
const MAX_EVENTS_OF_A_TOKEN: i64 = 1000;

/// An event as it was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its kind, as the interface writes it.
    pub kind: String,
    /// The manifest concerned.
    pub release: Option<Digest>,
    /// What was updated, of an update.
    pub target: Option<Installs>,
    /// The key that signed that manifest.
    pub release_kid: Option<Kid>,
    /// The version concerned.
    pub version: Option<String>,
    /// The sequence number concerned.
    pub sequence: Option<u64>,
    /// Why, in the words of who retired or restored the device.
    pub note: Option<String>,
    /// Why, as a slug of docs/errors.md.
    pub reason: Option<String>,
    /// When it happened, where the reporter had a clock: seconds since the epoch.
    pub at: Option<u64>,
    /// When it arrived here: seconds since the epoch.
    pub received_at: u64,
    /// Who said so.
    pub reporter: Option<String>,
}

impl Store {
    /// Keeps an event, and with it what is on the device now where the event says so and nothing later has been said.
    /// `None` when no such device is registered: then nothing is stored.
    pub async fn insert_event(
        &self,
        serial: &str,
        event: &Event,
        (reporter, now): (&Reporter, u64),
    ) -> Result<Option<Result<(), Conflict>>, StoreError> {
        let (serial, event, reporter) = (serial.to_owned(), event.clone(), reporter.clone());
        self.writer
            .run(move |connection| {
                async move { insert_event(connection, &serial, &event, (&reporter, now)).await }.boxed()
            })
            .await
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

/// An event that somebody made, who is no device.
pub(in crate::store) async fn note_change(
    connection: &mut SqliteConnection,
    serial: &str,
    kind: &str,
    note: Option<&str>,
    (reporter, now): (&Reporter, u64),
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO device_events (serial, kind, note, received_at, reporter) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(serial)
    .bind(kind)
    .bind(note)
    .bind(time_key(now))
    .bind(reporter.as_str())
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn insert_event(
    connection: &mut SqliteConnection,
    serial: &str,
    event: &Event,
    (reporter, now): (&Reporter, u64),
) -> Result<Option<Result<(), Conflict>>, StoreError> {
    let Some(known) = device_of(connection, serial).await? else { return Ok(None) };
    let says_what_is_installed = event.kind.says_what_is_installed();
    if says_what_is_installed && event.sequence == Some(NOTHING) {
        return Ok(Some(Err(Conflict::Nothing)));
    }
    let said = match event.release {
        Some(release) => {
            let device = says_what_is_installed.then_some((known.vendor, known.class));
            let said = Said {
                installs: event.target,
                sequence: event.sequence,
                release_kid: event.release_kid,
                device,
            };
            match compared(connection, release, said).await? {
                Ok(installs) => installs,
                Err(conflict) => return Ok(Some(Err(conflict))),
            }
        }
        None => event.target,
    };
    // Hosts that say nothing of a target bring firmware.
    let installs = said.unwrap_or(Installs::Firmware);
    write(connection, &heard(known, (event, installs), (reporter, now))).await?;
    // A host sends a report again when it did not see the answer: the same of the same time is stored once.
    sqlx::query(
        "INSERT INTO device_events
         (serial, kind, release, version, sequence, reason, at, received_at, release_kid, reporter, target)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 WHERE NOT EXISTS (
             SELECT 1 FROM device_events WHERE serial = $1 AND kind = $2 AND at = $7
             AND release IS NOT DISTINCT FROM $3 AND version IS NOT DISTINCT FROM $4
             AND sequence IS NOT DISTINCT FROM $5 AND reason IS NOT DISTINCT FROM $6
             AND release_kid IS NOT DISTINCT FROM $9 AND target IS NOT DISTINCT FROM $11
         )",
    )
    .bind(serial)
    .bind(event.kind.as_str())
    .bind(event.release.map(|release| release.0.to_vec()))
    .bind(event.version.as_ref().map(VersionText::as_str))
    .bind(event.sequence.map(sequence_key))
    .bind(event.reason.as_ref().map(|reason| reason.as_str()))
    .bind(event.at.map(time_key))
    .bind(time_key(now))
    .bind(event.release_kid.map(|kid| kid.0.to_vec()))
    .bind(reporter.as_str())
    .bind(event.kind.is_of_update().then(|| installs.name()))
    .execute(&mut *connection)
    .await?;
    bound_events(connection, serial, reporter).await?;
    Ok(Some(Ok(())))
}

/// Takes the oldest events away that one token reported beyond its limit. What others reported stays, and what somebody
/// changed (`device-...`).
async fn bound_events(
    connection: &mut SqliteConnection,
    serial: &str,
    reporter: &Reporter,
) -> Result<(), StoreError> {
    let dropped = sqlx::query(
        "DELETE FROM device_events WHERE serial = $1 AND reporter = $2 AND kind NOT LIKE 'device-%' AND id <= (
             SELECT id FROM device_events WHERE serial = $1 AND reporter = $2 AND kind NOT LIKE 'device-%'
             ORDER BY id DESC LIMIT 1 OFFSET $3
         )",
    )
    .bind(serial)
    .bind(reporter.as_str())
    .bind(MAX_EVENTS_OF_A_TOKEN)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if dropped > 0 {
        tracing::info!(
            serial,
            reporter = reporter.as_str(),
            dropped,
            "the oldest events of a device had to go"
        );
    }
    Ok(())
}

fn event(row: &SqliteRow) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        kind: row.try_get("kind")?,
        release: optional(row, "release")?.map(Digest),
        target: row.try_get::<Option<&str>, _>("target")?.map(installs_of).transpose()?,
        release_kid: optional(row, "release_kid")?.map(Kid),
        note: row.try_get("note")?,
        version: row.try_get("version")?,
        sequence: row.try_get::<Option<&[u8]>, _>("sequence")?.map(sequence_of).transpose()?,
        reason: row.try_get("reason")?,
        at: row.try_get::<Option<i64>, _>("at")?.map(time_of).transpose()?,
        received_at: time_of(row.try_get("received_at")?)?,
        reporter: row.try_get("reporter")?,
    })
}
