//! What the server remembers, in SQLite through sqlx. All SQL is here and below, and it is the part that SQLite and
//! PostgreSQL share (`$1` parameters, `ON CONFLICT`, no rowid): a second database needs its own migrations folder
//! and its own `connect`.
//!
//! A `201` that was sent survives a power cut: every commit is synchronised (`synchronous = FULL`).

mod devices;
mod releases;
mod revocations;

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

pub use devices::{StoredDevice, StoredEvent};
pub use releases::{Insertion, NewEnvelope, StoredEnvelope, StoredRelease};
pub use revocations::{ListInsertion, StoredList};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a writer waits for another before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_CONNECTIONS: u32 = 8;

/// Why the database did not serve.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A later version of this program has written the database.
    #[error("the database has schema version {found}; this update-server knows version {known} at most")]
    Newer {
        /// The version in the database.
        found: i64,
        /// The newest one compiled in.
        known: i64,
    },
    /// A migration was changed after it had been applied, or broke off.
    #[error("the database cannot be brought up to date: {0}")]
    Migration(MigrateError),
    /// What the database holds is not what was written to it.
    #[error("the database holds a malformed {what}")]
    Corrupt {
        /// The kind of value.
        what: &'static str,
    },
    /// SQLite failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// The database. Cheap to clone; all clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens the file `path`, makes it where it is missing, and brings its schema up to date.
    pub async fn connect(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new().max_connections(MAX_CONNECTIONS).connect_with(options).await?;
        migrate(&pool).await?;
        Ok(Self { pool })
    }

    /// Waits for the connections to end; SQLite then folds its write-ahead log into the database.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Asks the database whether it answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// A transaction that holds the write lock from its start: what it read cannot change under it, and it never
    /// fails half-way because another writer came first.
    async fn begin_write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// Brings the schema up to date. sqlx compares what was applied with what is compiled in before it changes anything.
async fn migrate(pool: &SqlitePool) -> Result<(), StoreError> {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    MIGRATIONS.run(pool).await.map_err(|error| match error {
        // Applied, and not among ours: a later version has been at work, and its tables may mean anything.
        MigrateError::VersionMissing(found) if found > known => StoreError::Newer { found, known },
        error => StoreError::Migration(error),
    })
}

/// A sequence number as it is kept (see the migration): most significant byte first.
fn sequence_key(sequence: u64) -> Vec<u8> {
    sequence.to_be_bytes().to_vec()
}

fn sequence_of(key: &[u8]) -> Result<u64, StoreError> {
    Ok(u64::from_be_bytes(fixed(key, "sequence number")?))
}

fn fixed<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt { what })
}

/// Seconds as they are kept: SQL integers are signed. Later than the year 292 billion is that year.
fn time_key(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

fn time_of(key: i64) -> Result<u64, StoreError> {
    u64::try_from(key).map_err(|_| StoreError::Corrupt { what: "time" })
}

#[cfg(test)]
mod tests;
