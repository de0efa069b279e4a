//! Rows of the table of devices.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use trust::Kid;

use super::{Installed, Registered, Retirement, StoredDevice};
use crate::domain::life_cycle::LifeState;
use crate::domain::{Digest, Identifier};
use crate::store::{StoreError, fixed, sequence_of, time_of};

pub(super) fn device(row: &SqliteRow) -> Result<StoredDevice, StoreError> {
    Ok(StoredDevice {
        serial: row.try_get("serial")?,
        vendor: Identifier(fixed(row.try_get("vendor")?, "vendor")?),
        class: Identifier(fixed(row.try_get("class")?, "class")?),
        firmware: Installed {
            version: row.try_get("version")?,
            sequence: row.try_get::<Option<&[u8]>, _>("sequence")?.map(sequence_of).transpose()?,
            manifest_digest: optional(row, "manifest_digest")?.map(Digest),
            release_kid: optional(row, "release_kid")?.map(Kid),
            stated_at: time_of(row.try_get("stated_at")?)?,
        },
        table: Installed {
            version: row.try_get("table_version")?,
            sequence: row.try_get::<Option<&[u8]>, _>("table_sequence")?.map(sequence_of).transpose()?,
            manifest_digest: optional(row, "table_manifest_digest")?.map(Digest),
            release_kid: optional(row, "table_release_kid")?.map(Kid),
            stated_at: time_of(row.try_get("table_stated_at")?)?,
        },
        anchors: row.try_get::<Option<&[u8]>, _>("anchors")?.map(kids).transpose()?,
        anchors_at: time_of(row.try_get("anchors_at")?)?,
        retired: match row.try_get::<Option<i64>, _>("retired_at")? {
            Some(at) => Some(Retirement { reason: row.try_get("retired_reason")?, at: time_of(at)? }),
            None => None,
        },
        identity: row.try_get("identity")?,
        credential: row.try_get("credential")?,
        line: row.try_get("line")?,
        owner: row.try_get("owner")?,
        state: state(row)?,
        state_set: row.try_get("state_set")?,
        key_checks: row.try_get("key_checks")?,
        vouched: row.try_get("vouched")?,
        registered: match (row.try_get("registered_by")?, row.try_get::<Option<i64>, _>("registered_at")?) {
            (Some(by), Some(at)) => Some(Registered { by, at: time_of(at)? }),
            _ => None,
        },
        last_seen: time_of(row.try_get("last_seen")?)?,
        seen_by: row.try_get("seen_by")?,
    })
}

pub(in crate::store) fn state(row: &SqliteRow) -> Result<LifeState, StoreError> {
    row.try_get::<&str, _>("state")?.parse().map_err(|_| StoreError::Corrupt { what: "state" })
}

pub(super) fn optional<const N: usize>(
    row: &SqliteRow,
    column: &'static str,
) -> Result<Option<[u8; N]>, StoreError> {
    row.try_get::<Option<&[u8]>, _>(column)?.map(|bytes| fixed(bytes, column)).transpose()
}

fn kids(bytes: &[u8]) -> Result<Vec<Kid>, StoreError> {
    bytes.chunks(trust::KID_LEN).map(|kid| Ok(Kid(fixed(kid, "anchor")?))).collect()
}
