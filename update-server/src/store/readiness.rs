//! Whether the database can be used: it is where it was, its pages hold together, and it takes a write.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use futures::FutureExt as _;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::{Store, StoreError, time_key, time_of};

/// The file that was opened: device and inode.
#[derive(Debug, Clone)]
pub(super) struct OpenedFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl OpenedFile {
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }

    /// Whether the path still names it: what is written to a file without a name is lost at the end of the process.
    fn is_in_place(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Why the database is not ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseFault {
    /// The file was renamed, removed or replaced under the running server.
    #[error("the database file was moved, removed or replaced")]
    Moved,
    /// A page is not what SQLite wrote.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// It does not take a write, or does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Looks at every page, on a connection that has nothing in memory yet, and writes a row.
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn check(&self, now: u64) -> Result<(), DatabaseFault> {
        if !self.file.is_in_place() {
            return Err(DatabaseFault::Moved);
        }
        self.check_pages().await?;
        self.writer
            .run(move |connection| {
                async move {
                    sqlx::query(
                        "INSERT INTO readiness (id, checked_at) VALUES (1, $1)
                         ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at",
                    )
                    .bind(time_key(now))
                    .execute(connection)
                    .await?;
                    Ok(())
                }
                .boxed()
            })
            .await?;
        Ok(())
    }

    /// The newest time that was recorded by this server's clock, seconds since the epoch.
    ///
    /// # Errors
    /// The database failed.
    pub async fn newest_time(&self) -> Result<Option<u64>, StoreError> {
        // The last row of a table that only grows is its newest.
        let newest: Option<i64> = sqlx::query_scalar(
            "SELECT MAX(at) FROM (
                 SELECT MAX(published_at) AS at FROM releases
                 UNION ALL SELECT MAX(published_at) FROM envelopes WHERE id = (SELECT MAX(id) FROM envelopes)
                 UNION ALL SELECT MAX(at) FROM release_events WHERE id = (SELECT MAX(id) FROM release_events)
                 UNION ALL SELECT MAX(stored_at) FROM revocation_lists
                 UNION ALL SELECT MAX(last_seen) FROM devices
                 UNION ALL SELECT MAX(received_at) FROM device_events WHERE id = (SELECT MAX(id) FROM device_events)
                 UNION ALL SELECT MAX(checked_at) FROM readiness
             )",
        )
        .fetch_one(&self.readers)
        .await?;
        newest.map(time_of).transpose()
    }

    async fn check_pages(&self) -> Result<(), DatabaseFault> {
        let options = SqliteConnectOptions::new().filename(&self.file.path).pragma("query_only", "ON");
        let found = async {
            let mut connection = options.connect().await?;
            let found: String =
                sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok::<_, sqlx::Error>(found)
        };
        match found.await.map_err(StoreError::from) {
            Ok(found) if found == "ok" => Ok(()),
            Ok(found) => Err(DatabaseFault::Damaged(found)),
            Err(error) if error.is_damage() => Err(DatabaseFault::Damaged(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }
}
