//! The newest revocation list of each domain. Under one root its list-sequence never falls, and a list of an earlier root
//! never comes back: the database itself compares the numbers.

use futures::FutureExt as _;
use sqlx::{Row as _, SqliteConnection};
use trust::{Domain, Kid, SuccessionNumber};

use super::{Store, StoreError, sequence_key, sequence_of, time_key};

/// A revocation list as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredList {
    pub domain: Domain,
    pub bytes: Vec<u8>,
}

/// A revocation list that verified and is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewList {
    pub domain: Domain,
    /// The number of the root that signed it.
    pub number: SuccessionNumber,
    /// Its sequence, which begins again under each root.
    pub list_sequence: u64,
    pub bytes: Vec<u8>,
}

/// The result of storing a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListInsertion {
    /// The first list of its domain.
    Created,
    /// It replaced an older list.
    Replaced,
    /// The same bytes were stored before.
    AlreadyThere,
    /// The stored list is as new or newer; nothing was stored.
    NotNewer {
        /// The stored list's sequence.
        stored: u64,
    },
}

impl Store {
    /// Keeps the list when its root is later than that of the stored one, or the same and its sequence higher.
    pub async fn insert_list(&self, list: NewList, now: u64) -> Result<ListInsertion, StoreError> {
        self.writer
            .run(move |connection| async move { insert_list(connection, &list, now).await }.boxed())
            .await
    }

    /// The list of each domain that has one, by domain.
    pub async fn lists(&self) -> Result<Vec<StoredList>, StoreError> {
        let rows = sqlx::query("SELECT domain, bytes FROM revocation_lists ORDER BY domain")
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| {
                let domain = Domain(Kid(super::fixed(row.try_get("domain")?, "domain")?));
                Ok(StoredList { domain, bytes: row.try_get("bytes")? })
            })
            .collect()
    }
}

pub(super) async fn insert_list(
    connection: &mut SqliteConnection,
    list: &NewList,
    now: u64,
) -> Result<ListInsertion, StoreError> {
    let NewList { domain, number, list_sequence, bytes } = list;
    let stored = sqlx::query("SELECT list_sequence, bytes FROM revocation_lists WHERE domain = $1")
        .bind(domain.0.0.to_vec())
        .fetch_optional(&mut *connection)
        .await?;
    let replaced = sqlx::query(
        "INSERT INTO revocation_lists
             (domain, recovery_epoch, succession_sequence, list_sequence, bytes, stored_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (domain) DO UPDATE
         SET recovery_epoch = excluded.recovery_epoch, succession_sequence = excluded.succession_sequence,
             list_sequence = excluded.list_sequence, bytes = excluded.bytes, stored_at = excluded.stored_at
         WHERE (excluded.recovery_epoch, excluded.succession_sequence, excluded.list_sequence)
             > (revocation_lists.recovery_epoch, revocation_lists.succession_sequence,
                revocation_lists.list_sequence)",
    )
    .bind(domain.0.0.to_vec())
    .bind(i64::from(number.recovery_epoch))
    .bind(i64::from(number.succession_sequence))
    .bind(sequence_key(*list_sequence))
    .bind(bytes)
    .bind(time_key(now))
    .execute(&mut *connection)
    .await?
    .rows_affected();
    match stored {
        None => Ok(ListInsertion::Created),
        Some(_) if replaced == 1 => Ok(ListInsertion::Replaced),
        Some(row) if row.try_get::<&[u8], _>("bytes")? == *bytes => Ok(ListInsertion::AlreadyThere),
        Some(row) => Ok(ListInsertion::NotNewer { stored: sequence_of(row.try_get("list_sequence")?)? }),
    }
}
