//! What people change of a device: its state, and what production and owners say. Lists of devices that come as one.

use futures::FutureExt as _;
use sqlx::SqliteConnection;

use super::devices::{device_of, judged, keep_outcome, note_change, state};
use super::{Store, StoreError, StoredDevice};
use crate::domain::life_cycle::LifeState;
use crate::domain::registration::{Conflict, DeviceFacts, Gains};
use crate::domain::registry::{Amendment, Import, KeyChecks, Label, Reporter};

const STATE: &str = "device-state";
const AMENDED: &str = "device-amended";

/// What became of a list of devices, by their places in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Of the devices that were registered.
    pub gains: Gains,
    pub refused: Vec<(usize, Conflict)>,
}

impl Store {
    /// Registers these devices, of which no two have one serial number, as `which` says.
    pub async fn import_devices(
        &self,
        devices: Vec<(String, DeviceFacts)>,
        which: Import,
        now: u64,
    ) -> Result<Imported, StoreError> {
        self.writer
            .run(move |connection| async move { import(connection, &devices, which, now).await }.boxed())
            .await
    }

    /// Changes what production and owners say of a device. `None` when no such device is registered.
    pub async fn amend_device(
        &self,
        serial: &str,
        amendment: &Amendment,
        note: String,
        (reporter, now): (&Reporter, u64),
    ) -> Result<Option<StoredDevice>, StoreError> {
        let (of, amendment, reporter) = (serial.to_owned(), amendment.clone(), reporter.clone());
        let known = self
            .writer
            .run(move |connection| {
                async move { amend(connection, &of, &amendment, &note, (&reporter, now)).await }.boxed()
            })
            .await?;
        if known { self.device(serial).await } else { Ok(None) }
    }

    /// Takes a step of the life cycle. `None` when no such device is registered; its state when there is no such step.
    pub async fn change_state(
        &self,
        serial: &str,
        to: LifeState,
        reason: &str,
        (reporter, now): (&Reporter, u64),
    ) -> Result<Option<Result<(), LifeState>>, StoreError> {
        let (serial, reason, reporter) = (serial.to_owned(), reason.to_owned(), reporter.clone());
        self.writer
            .run(move |connection| {
                async move { step(connection, &serial, to, &reason, (&reporter, now)).await }.boxed()
            })
            .await
    }
}

/// Each is judged before one is written, so that nothing has to be taken back.
async fn import(
    connection: &mut SqliteConnection,
    devices: &[(String, DeviceFacts)],
    which: Import,
    now: u64,
) -> Result<Imported, StoreError> {
    let (mut good, mut refused, mut gains) = (Vec::new(), Vec::new(), Gains::default());
    for (place, (serial, facts)) in devices.iter().enumerate() {
        let known = device_of(connection, serial).await?;
        match judged(connection, known.clone(), (serial, facts), now).await? {
            Ok(outcome) => {
                gains.count(known.as_ref(), &outcome.device, facts);
                good.push((outcome, &facts.reporter));
            }
            Err(conflict) => refused.push((place, conflict)),
        }
    }
    let kept = match which {
        Import::All => refused.is_empty(),
        Import::Good => true,
        Import::None => false,
    };
    if kept {
        for (outcome, reporter) in &good {
            keep_outcome(connection, outcome, (reporter, now)).await?;
        }
    }
    Ok(Imported { gains, refused })
}

async fn amend(
    connection: &mut SqliteConnection,
    serial: &str,
    amendment: &Amendment,
    note: &str,
    by: (&Reporter, u64),
) -> Result<bool, StoreError> {
    let label = |value: &Option<Option<Label>>| {
        value.as_ref().and_then(|value| value.as_ref().map(|label| label.as_str().to_owned()))
    };
    let checks = amendment.key_checks.as_ref().and_then(|value| value.as_ref().map(KeyChecks::to_text));
    let changed = sqlx::query(
        "UPDATE devices SET line = CASE WHEN $2 THEN $3 ELSE line END,
             owner = CASE WHEN $4 THEN $5 ELSE owner END,
             key_checks = CASE WHEN $6 THEN $7 ELSE key_checks END
         WHERE serial = $1",
    )
    .bind(serial)
    .bind(amendment.line.is_some())
    .bind(label(&amendment.line))
    .bind(amendment.owner.is_some())
    .bind(label(&amendment.owner))
    .bind(amendment.key_checks.is_some())
    .bind(checks)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if changed == 0 {
        return Ok(false);
    }
    note_change(connection, serial, AMENDED, Some(note), by).await?;
    Ok(true)
}

async fn step(
    connection: &mut SqliteConnection,
    serial: &str,
    to: LifeState,
    reason: &str,
    by: (&Reporter, u64),
) -> Result<Option<Result<(), LifeState>>, StoreError> {
    let row = sqlx::query("SELECT state FROM devices WHERE serial = $1")
        .bind(serial)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let from = state(&row)?;
    // The same again is no step: its answer was lost, or nobody had said it yet.
    if from != to && !from.next().contains(&to) {
        return Ok(Some(Err(from)));
    }
    sqlx::query("UPDATE devices SET state = $2, state_set = 1 WHERE serial = $1")
        .bind(serial)
        .bind(to.as_str())
        .execute(&mut *connection)
        .await?;
    if from != to {
        let note = format!("{from} to {to}; {reason}");
        note_change(connection, serial, STATE, Some(&note), by).await?;
    }
    Ok(Some(Ok(())))
}
