//! Every succession of each domain, by its number. None is ever replaced.

use futures::FutureExt as _;
use sqlx::{Row as _, SqliteConnection};
use trust::{Domain, Kid, SuccessionNumber};

use super::revocations::{ListInsertion, NewList, insert_list};
use super::{Store, StoreError, time_key};

/// A succession as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSuccession {
    pub domain: Domain,
    /// The number of its root.
    pub number: SuccessionNumber,
    pub bytes: Vec<u8>,
}

/// The result of storing successions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuccessionInsertion {
    /// All of it is stored.
    Kept,
    /// The database has another succession of one of the numbers, or a list that is as new. Nothing was stored.
    Contradicted,
}

impl Store {
    /// Keeps successions, and the list of the last root if there is one: all of it or nothing.
    pub async fn insert_successions(
        &self,
        successions: Vec<StoredSuccession>,
        list: Option<NewList>,
        now: u64,
    ) -> Result<SuccessionInsertion, StoreError> {
        self.writer
            .run(move |connection| {
                async move { insert(connection, &successions, list.as_ref(), now).await }.boxed()
            })
            .await
    }

    /// All successions of all domains, those of a domain in their order.
    pub async fn successions(&self) -> Result<Vec<StoredSuccession>, StoreError> {
        let rows = sqlx::query(
            "SELECT domain, recovery_epoch, succession_sequence, bytes FROM successions
             ORDER BY domain, recovery_epoch, succession_sequence",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let domain = Domain(Kid(super::fixed(row.try_get("domain")?, "domain")?));
                let number = |column| -> Result<u16, StoreError> {
                    let number: i64 = row.try_get(column)?;
                    u16::try_from(number).map_err(|_| StoreError::Corrupt { what: "succession number" })
                };
                let number = SuccessionNumber {
                    recovery_epoch: number("recovery_epoch")?,
                    succession_sequence: number("succession_sequence")?,
                };
                Ok(StoredSuccession { domain, number, bytes: row.try_get("bytes")? })
            })
            .collect()
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    successions: &[StoredSuccession],
    list: Option<&NewList>,
    now: u64,
) -> Result<SuccessionInsertion, StoreError> {
    // Looked at first: what is written here is written.
    for succession in successions {
        let stored = sqlx::query(
            "SELECT bytes FROM successions
             WHERE domain = $1 AND recovery_epoch = $2 AND succession_sequence = $3",
        )
        .bind(succession.domain.0.0.to_vec())
        .bind(i64::from(succession.number.recovery_epoch))
        .bind(i64::from(succession.number.succession_sequence))
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = stored
            && row.try_get::<&[u8], _>("bytes")? != succession.bytes
        {
            return Ok(SuccessionInsertion::Contradicted);
        }
    }
    if let Some(list) = list
        && matches!(insert_list(connection, list, now).await?, ListInsertion::NotNewer { .. })
    {
        return Ok(SuccessionInsertion::Contradicted);
    }
    for succession in successions {
        sqlx::query(
            "INSERT INTO successions (domain, recovery_epoch, succession_sequence, bytes, stored_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (domain, recovery_epoch, succession_sequence) DO NOTHING",
        )
        .bind(succession.domain.0.0.to_vec())
        .bind(i64::from(succession.number.recovery_epoch))
        .bind(i64::from(succession.number.succession_sequence))
        .bind(&succession.bytes)
        .bind(time_key(now))
        .execute(&mut *connection)
        .await?;
    }
    Ok(SuccessionInsertion::Kept)
}
