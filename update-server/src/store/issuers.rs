//! The credentials of issuing keys: of each key the one that was issued last.

use futures::FutureExt as _;
use sqlx::{Row as _, SqliteConnection};
use trust::Kid;

use super::{Store, StoreError, time_key};

/// A stored credential of an issuing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredIssuer {
    /// The issuing key's.
    pub kid: Kid,
    pub bytes: Vec<u8>,
}

/// What became of a credential of an issuing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerInsertion {
    /// The first one of its key.
    Created,
    /// It took the place of an older one.
    Replaced,
    /// It was here, or one that was issued later.
    AlreadyThere,
}

impl Store {
    /// Keeps a credential unless one of the same key was issued later.
    pub async fn insert_issuer(
        &self,
        kid: Kid,
        issued_at: u64,
        bytes: Vec<u8>,
        now: u64,
    ) -> Result<IssuerInsertion, StoreError> {
        self.writer
            .run(move |connection| {
                async move { insert(connection, kid, issued_at, bytes, now).await }.boxed()
            })
            .await
    }

    /// The credential of an issuing key.
    pub async fn issuer(&self, kid: Kid) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query("SELECT bytes FROM issuers WHERE kid = $1")
            .bind(kid.0.to_vec())
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(|row| row.try_get("bytes")).transpose()?)
    }

    /// All of them, by kid.
    pub async fn issuers(&self) -> Result<Vec<StoredIssuer>, StoreError> {
        let rows =
            sqlx::query("SELECT kid, bytes FROM issuers ORDER BY kid").fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                let kid = Kid(super::fixed(row.try_get("kid")?, "kid")?);
                Ok(StoredIssuer { kid, bytes: row.try_get("bytes")? })
            })
            .collect()
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    kid: Kid,
    issued_at: u64,
    bytes: Vec<u8>,
    now: u64,
) -> Result<IssuerInsertion, StoreError> {
    let known = sqlx::query("SELECT 1 FROM issuers WHERE kid = $1")
        .bind(kid.0.to_vec())
        .fetch_optional(&mut *connection)
        .await?
        .is_some();
    let changed = sqlx::query(
        "INSERT INTO issuers (kid, issued_at, bytes, stored_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (kid) DO UPDATE SET issued_at = excluded.issued_at, bytes = excluded.bytes,
                                         stored_at = excluded.stored_at
         WHERE excluded.issued_at >= issuers.issued_at AND excluded.bytes <> issuers.bytes",
    )
    .bind(kid.0.to_vec())
    .bind(time_key(issued_at))
    .bind(bytes)
    .bind(time_key(now))
    .execute(&mut *connection)
    .await?
    .rows_affected();
    Ok(match (known, changed) {
        (false, _) => IssuerInsertion::Created,
        (true, 1..) => IssuerInsertion::Replaced,
        (true, 0) => IssuerInsertion::AlreadyThere,
    })
}
