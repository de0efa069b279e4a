//! Devices and the reports on them.

mod events;
mod named;
mod rows;

use futures::FutureExt as _;
use sqlx::SqliteConnection;
use suit_manifest::Target;
use trust::Kid;

pub use self::events::StoredEvent;
pub(super) use self::events::note_change;
use self::named::{Said, compared};
use self::rows::device;
pub(super) use self::rows::state;
use super::{Store, StoreError, sequence_key, time_key};
use crate::domain::life_cycle::LifeState;
use crate::domain::registration::{Conflict, DeviceFacts, Outcome, Statement, registered};
use crate::domain::registry::{DeviceFilter, Label, Reporter};
use crate::domain::{Digest, Identifier, VersionText};

/// A registered device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDevice {
    /// The serial number.
    pub serial: String,
    pub vendor: Identifier,
    pub class: Identifier,
    /// What it was last known to run.
    pub firmware: Installed,
    /// The table that it was last known to have.
    pub table: Installed,
    /// The anchors that it holds.
    pub anchors: Option<Vec<Kid>>,
    /// Of what time that is.
    pub anchors_at: u64,
    /// That it was retired.
    pub retired: Option<Retirement>,
    /// Its identity key as a COSE_Key.
    pub identity: Option<Vec<u8>>,
    /// Its identity credential.
    pub credential: Option<Vec<u8>>,
    /// The production line or batch.
    pub line: Option<String>,
    pub owner: Option<String>,
    /// Where it is in its life.
    pub state: LifeState,
    /// Somebody said that state.
    pub state_set: bool,
    /// Values by which its symmetric keys are compared.
    pub key_checks: Option<String>,
    /// A publisher's token said which device this is.
    pub vouched: bool,
    /// Of a device that was registered since servers note it.
    pub registered: Option<Registered>,
    /// Seconds since the epoch.
    pub last_seen: u64,
    /// Who reported it last.
    pub seen_by: Option<String>,
}

/// Firmware or a table on a device, as it was last known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed {
    pub version: Option<String>,
    pub sequence: Option<u64>,
    pub manifest_digest: Option<Digest>,
    /// The key that signed that manifest.
    pub release_kid: Option<Kid>,
    /// Of what time all this is; 0 is before every report.
    pub stated_at: u64,
}

/// Who registered a device, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    pub by: String,
    /// Seconds since the epoch.
    pub at: u64,
}

/// That a device was retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    /// Why, in the words of who did it.
    pub reason: Option<String>,
    /// Seconds since the epoch.
    pub at: u64,
}

/// Devices that one token for reports may make known, for which no publisher has vouched: as many as one list takes.
const MAX_REPORTED_DEVICES_OF_A_TOKEN: i64 = 10_000;

const RETIRED: &str = "device-retired";
const RESTORED: &str = "device-restored";
const CLAIMED: &str = "device-claimed";

impl StoredDevice {
    /// One of which nothing else is known.
    pub fn new(serial: &str, vendor: Identifier, class: Identifier) -> Self {
        Self {
            serial: serial.to_owned(),
            vendor,
            class,
            firmware: Installed::default(),
            table: Installed::default(),
            anchors: None,
            anchors_at: 0,
            retired: None,
            identity: None,
            credential: None,
            line: None,
            owner: None,
            state: LifeState::Active,
            state_set: false,
            key_checks: None,
            vouched: false,
            registered: None,
            last_seen: 0,
            seen_by: None,
        }
    }

    /// What of it a target is.
    pub fn installed(&mut self, target: Target) -> &mut Installed {
        match target {
            Target::Firmware => &mut self.firmware,
            Target::Table => &mut self.table,
        }
    }
}

impl Store {
    /// Registers the device or brings it up to date, as [`registered`] decides.
    pub async fn upsert_device(
        &self,
        serial: &str,
        facts: &DeviceFacts,
        now: u64,
    ) -> Result<Result<Outcome, Conflict>, StoreError> {
        let (serial, facts) = (serial.to_owned(), facts.clone());
        self.writer
            .run(move |connection| {
                async move { upsert_device(connection, &serial, &facts, now).await }.boxed()
            })
            .await
    }

    /// Marks a device as retired or not, with an event; another reason takes the place of the one before. `None` when
    /// no such device is registered.
    pub async fn mark_retired(
        &self,
        serial: &str,
        retired: bool,
        note: Option<&str>,
        (reporter, now): (&Reporter, u64),
    ) -> Result<Option<StoredDevice>, StoreError> {
        let (of, note, reporter) = (serial.to_owned(), note.map(str::to_owned), reporter.clone());
        self.writer
            .run(move |connection| {
                async move { mark_retired(connection, &of, retired, note.as_deref(), (&reporter, now)).await }
                    .boxed()
            })
            .await?;
        self.device(serial).await
    }

    /// The device, if it is registered.
    pub async fn device(&self, serial: &str) -> Result<Option<StoredDevice>, StoreError> {
        let row = sqlx::query("SELECT * FROM devices WHERE serial = $1")
            .bind(serial)
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(device).transpose()
    }

    /// At most `limit` devices by serial number, those after `after` where it is given, that the filter lets through.
    pub async fn devices(
        &self,
        after: Option<&str>,
        filter: &DeviceFilter,
        limit: u32,
    ) -> Result<Vec<StoredDevice>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM devices WHERE serial > $1 AND ($2 IS NULL OR (retired_at IS NOT NULL) = $2)
             AND ($4 IS NULL OR vendor = $4) AND ($5 IS NULL OR class = $5) AND ($6 IS NULL OR line = $6)
             AND ($7 IS NULL OR owner = $7) AND ($8 IS NULL OR state = $8) AND ($9 IS NULL OR version = $9)
             AND ($10 IS NULL OR release_kid = $10 OR table_release_kid = $10)
             AND ($14 IS NULL OR table_version = $14) AND ($12 IS NULL OR last_seen < $12)
             AND ($13 IS NULL OR vouched = $13)
             AND ($11 IS NULL OR $11 IN (substr(anchors, 1, 8), substr(anchors, 9, 8), substr(anchors, 17, 8),
                  substr(anchors, 25, 8), substr(anchors, 33, 8), substr(anchors, 41, 8), substr(anchors, 49, 8),
                  substr(anchors, 57, 8)))
             ORDER BY serial LIMIT $3",
        )
        .bind(after.unwrap_or_default())
        .bind(filter.retired)
        .bind(i64::from(limit))
        .bind(filter.vendor.map(|id| id.0.to_vec()))
        .bind(filter.class.map(|id| id.0.to_vec()))
        .bind(filter.line.as_ref().map(Label::as_str))
        .bind(filter.owner.as_ref().map(Label::as_str))
        .bind(filter.state.map(LifeState::as_str))
        .bind(filter.version.as_ref().map(VersionText::as_str))
        .bind(filter.release_kid.map(|kid| kid.0.to_vec()))
        .bind(filter.anchor.map(|kid| kid.0.to_vec()))
        .bind(filter.unseen_since.map(time_key))
        .bind(filter.vouched)
        .bind(filter.table_version.as_ref().map(VersionText::as_str))
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(device).collect()
    }
}

async fn upsert_device(
    connection: &mut SqliteConnection,
    serial: &str,
    facts: &DeviceFacts,
    now: u64,
) -> Result<Result<Outcome, Conflict>, StoreError> {
    let known = device_of(connection, serial).await?;
    let outcome = judged(connection, known, (serial, facts), now).await?;
    if let Ok(outcome) = &outcome {
        keep_outcome(connection, outcome, (&facts.reporter, now)).await?;
    }
    Ok(outcome)
}

/// The entry of a device once `facts` were said of it.
pub(super) async fn judged(
    connection: &mut SqliteConnection,
    known: Option<StoredDevice>,
    (serial, facts): (&str, &DeviceFacts),
    now: u64,
) -> Result<Result<Outcome, Conflict>, StoreError> {
    if facts.contradict_themselves() {
        return Ok(Err(Conflict::Nothing));
    }
    for (digest, installs, Statement { sequence, release_kid, .. }) in facts.named() {
        let said = Said {
            installs: Some(installs),
            sequence: *sequence,
            release_kid: *release_kid,
            device: Some((facts.vendor, facts.class)),
        };
        if let Err(conflict) = compared(connection, digest, said).await? {
            return Ok(Err(conflict));
        }
    }
    if known.is_none() && facts.source.is_report() && is_full(connection, &facts.reporter).await? {
        return Ok(Err(Conflict::TooManyReported { most: MAX_REPORTED_DEVICES_OF_A_TOKEN }));
    }
    registered(known, serial, facts, now)
}

/// Whether a token has made as many devices known as it may.
async fn is_full(connection: &mut SqliteConnection, reporter: &Reporter) -> Result<bool, StoreError> {
    let reported: i64 =
        sqlx::query_scalar("SELECT count(*) FROM devices WHERE registered_by = $1 AND vouched = 0")
            .bind(reporter.as_str())
            .fetch_one(connection)
            .await?;
    Ok(reported >= MAX_REPORTED_DEVICES_OF_A_TOKEN)
}

pub(super) async fn keep_outcome(
    connection: &mut SqliteConnection,
    outcome: &Outcome,
    by: (&Reporter, u64),
) -> Result<(), StoreError> {
    write(connection, &outcome.device).await?;
    if let Some(change) = &outcome.claimed {
        note_change(connection, &outcome.device.serial, CLAIMED, Some(change), by).await?;
    }
    Ok(())
}

/// The whole entry but for its retirement.
async fn write(connection: &mut SqliteConnection, device: &StoredDevice) -> Result<(), StoreError> {
    let anchors = device.anchors.as_ref().map(|kids| kids.iter().flat_map(|kid| kid.0).collect());
    sqlx::query(
        "INSERT INTO devices (serial, vendor, class, version, sequence, manifest_digest, release_kid, stated_at,
                              anchors, anchors_at, identity, credential, line, owner, state, state_set, key_checks,
                              vouched, registered_at, registered_by, last_seen, seen_by, table_version,
                              table_sequence, table_manifest_digest, table_release_kid, table_stated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                 $23, $24, $25, $26, $27)
         ON CONFLICT (serial) DO UPDATE
         SET vendor = excluded.vendor, class = excluded.class, version = excluded.version,
             sequence = excluded.sequence, manifest_digest = excluded.manifest_digest,
             release_kid = excluded.release_kid, stated_at = excluded.stated_at, anchors = excluded.anchors,
             anchors_at = excluded.anchors_at, identity = excluded.identity, credential = excluded.credential,
             line = excluded.line, owner = excluded.owner, state = excluded.state, state_set = excluded.state_set,
             key_checks = excluded.key_checks, vouched = excluded.vouched, registered_at = excluded.registered_at,
             registered_by = excluded.registered_by, last_seen = excluded.last_seen, seen_by = excluded.seen_by,
             table_version = excluded.table_version, table_sequence = excluded.table_sequence,
             table_manifest_digest = excluded.table_manifest_digest,
             table_release_kid = excluded.table_release_kid, table_stated_at = excluded.table_stated_at",
    )
    .bind(&device.serial)
    .bind(device.vendor.0.to_vec())
    .bind(device.class.0.to_vec())
    .bind(&device.firmware.version)
    .bind(device.firmware.sequence.map(sequence_key))
    .bind(device.firmware.manifest_digest.map(|digest| digest.0.to_vec()))
    .bind(device.firmware.release_kid.map(|kid| kid.0.to_vec()))
    .bind(time_key(device.firmware.stated_at))
    .bind::<Option<Vec<u8>>>(anchors)
    .bind(time_key(device.anchors_at))
    .bind(&device.identity)
    .bind(&device.credential)
    .bind(&device.line)
    .bind(&device.owner)
    .bind(device.state.as_str())
    .bind(device.state_set)
    .bind(&device.key_checks)
    .bind(device.vouched)
    .bind(device.registered.as_ref().map(|it| time_key(it.at)))
    .bind(device.registered.as_ref().map(|it| &it.by))
    .bind(time_key(device.last_seen))
    .bind(&device.seen_by)
    .bind(&device.table.version)
    .bind(device.table.sequence.map(sequence_key))
    .bind(device.table.manifest_digest.map(|digest| digest.0.to_vec()))
    .bind(device.table.release_kid.map(|kid| kid.0.to_vec()))
    .bind(time_key(device.table.stated_at))
    .execute(connection)
    .await?;
    Ok(())
}

async fn mark_retired(
    connection: &mut SqliteConnection,
    serial: &str,
    retired: bool,
    note: Option<&str>,
    (reporter, now): (&Reporter, u64),
) -> Result<(), StoreError> {
    let changed = sqlx::query(
        "UPDATE devices SET retired_at = $2, retired_reason = $3
         WHERE serial = $1 AND ((retired_at IS NULL) = $4 OR ($4 AND retired_reason IS DISTINCT FROM COALESCE($3, retired_reason)))",
    )
    .bind(serial)
    .bind(retired.then(|| time_key(now)))
    .bind(note)
    .bind(retired)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if changed == 1 {
        let kind = if retired { RETIRED } else { RESTORED };
        note_change(connection, serial, kind, note, (reporter, now)).await?;
    }
    Ok(())
}

/// The device, if it is registered, in the transaction of a write.
pub(super) async fn device_of(
    connection: &mut SqliteConnection,
    serial: &str,
) -> Result<Option<StoredDevice>, StoreError> {
    let row = sqlx::query("SELECT * FROM devices WHERE serial = $1")
        .bind(serial)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(device).transpose()
}
