//! The credentials of issuing keys: one of each key in each domain.

use futures::FutureExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use trust::{Domain, Kid};

use super::{Store, StoreError, fixed, time_key};
use crate::domain::order::{Order, order};

/// A stored credential of an issuing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredIssuer {
    /// That of the anchor that certified it.
    pub domain: Domain,
    /// The issuing key's.
    pub kid: Kid,
    pub bytes: Vec<u8>,
}

/// What became of a credential of an issuing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerInsertion {
    /// The first one of its key in its domain.
    Created,
    /// It took the place of another one.
    Replaced,
    /// It was here.
    AlreadyThere,
    /// The stored one stays, for this reason, which is neither [`Order::Same`] nor [`Order::Later`].
    Kept(Order),
}

impl Store {
    /// Keeps a credential if it counts before the stored one of its key and domain. `dead` is a stored one that was found
    /// not to verify: it gives way in any case.
    pub async fn insert_issuer(
        &self,
        new: StoredIssuer,
        dead: Option<Vec<u8>>,
        now: u64,
    ) -> Result<IssuerInsertion, StoreError> {
        self.writer
            .run(move |connection| async move { insert(connection, new, dead.as_deref(), now).await }.boxed())
            .await
    }

    /// Puts a credential whose domain was not known into its domain.
    pub async fn adopt_issuer(&self, unknown: Domain, kid: Kid, domain: Domain) -> Result<(), StoreError> {
        self.writer
            .run(move |connection| {
                async move {
                    sqlx::query("UPDATE issuers SET domain = $3 WHERE domain = $1 AND kid = $2")
                        .bind(unknown.0.0.to_vec())
                        .bind(kid.0.to_vec())
                        .bind(domain.0.0.to_vec())
                        .execute(connection)
                        .await?;
                    Ok(())
                }
                .boxed()
            })
            .await
    }

    /// The credential of an issuing key in a domain.
    pub async fn issuer(&self, domain: Domain, kid: Kid) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query("SELECT bytes FROM issuers WHERE domain = $1 AND kid = $2")
            .bind(domain.0.0.to_vec())
            .bind(kid.0.to_vec())
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.map(|row| row.try_get("bytes")).transpose()?)
    }

    /// The credentials of an issuing key, by domain.
    pub async fn issuers_with(&self, kid: Kid) -> Result<Vec<StoredIssuer>, StoreError> {
        let rows = sqlx::query("SELECT domain, kid, bytes FROM issuers WHERE kid = $1 ORDER BY domain")
            .bind(kid.0.to_vec())
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(issuer).collect()
    }

    /// All of them, by domain and kid.
    pub async fn issuers(&self) -> Result<Vec<StoredIssuer>, StoreError> {
        let rows = sqlx::query("SELECT domain, kid, bytes FROM issuers ORDER BY domain, kid")
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(issuer).collect()
    }
}

fn issuer(row: &SqliteRow) -> Result<StoredIssuer, StoreError> {
    Ok(StoredIssuer {
        domain: Domain(Kid(fixed(row.try_get("domain")?, "domain")?)),
        kid: Kid(fixed(row.try_get("kid")?, "kid")?),
        bytes: row.try_get("bytes")?,
    })
}

async fn insert(
    connection: &mut SqliteConnection,
    new: StoredIssuer,
    dead: Option<&[u8]>,
    now: u64,
) -> Result<IssuerInsertion, StoreError> {
    let StoredIssuer { domain, kid, bytes } = new;
    let stored = sqlx::query("SELECT bytes FROM issuers WHERE domain = $1 AND kid = $2")
        .bind(domain.0.0.to_vec())
        .bind(kid.0.to_vec())
        .fetch_optional(&mut *connection)
        .await?;
    let outcome = match stored {
        None => IssuerInsertion::Created,
        Some(row) => {
            let stored: &[u8] = row.try_get("bytes")?;
            match order(&bytes, stored, now).map_err(|_| StoreError::Corrupt { what: "issuer" })? {
                Order::Same => return Ok(IssuerInsertion::AlreadyThere),
                Order::Later => IssuerInsertion::Replaced,
                Order::Earlier { .. } | Order::Contradicts { .. } if dead == Some(stored) => {
                    IssuerInsertion::Replaced
                }
                kept @ (Order::Earlier { .. } | Order::Contradicts { .. }) => {
                    return Ok(IssuerInsertion::Kept(kept));
                }
            }
        }
    };
    sqlx::query(
        "INSERT INTO issuers (domain, kid, bytes, stored_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (domain, kid) DO UPDATE SET bytes = excluded.bytes, stored_at = excluded.stored_at",
    )
    .bind(domain.0.0.to_vec())
    .bind(kid.0.to_vec())
    .bind(bytes)
    .bind(time_key(now))
    .execute(&mut *connection)
    .await?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::tests::issued;

    /// Somebody else replaced it meanwhile: what takes its place is not the one that was found dead.
    #[tokio::test]
    async fn srv51_only_the_one_that_was_found_dead_gives_way() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::connect(&dir.path().join("registry.sqlite")).await.unwrap();
        let (domain, kid) = (Domain(Kid([1; 8])), Kid([2; 8]));
        let put = async |at, dead| {
            let new = StoredIssuer { domain, kid, bytes: issued(at, 1) };
            store.insert_issuer(new, dead, 1000).await.unwrap()
        };
        assert_eq!(put(30, None).await, IssuerInsertion::Created);
        let kept = IssuerInsertion::Kept(Order::Earlier { stored: 30 });
        assert_eq!(put(20, Some(issued(10, 1))).await, kept);
        assert_eq!(store.issuer(domain, kid).await.unwrap(), Some(issued(30, 1)));
        assert_eq!(put(20, Some(issued(30, 1))).await, IssuerInsertion::Replaced);
    }
}
