//! The server's memory, in SQLite through sqlx. All SQL is here and below, and it is the part that SQLite and
//! PostgreSQL share (`$1` parameters, `ON CONFLICT`, no rowid): a second database needs its own migrations folder
//! and its own `connect`.
//!
//! A `201` that was sent survives a power cut: every commit is synchronised (`synchronous = FULL`).

mod device_changes;
mod devices;
mod issuers;
mod migrations;
mod readiness;
mod releases;
mod reports;
mod revocations;
mod successions;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};

pub use device_changes::Imported;
pub use devices::{Installed, Registered, Retirement, StoredDevice, StoredEvent};
pub use issuers::{IssuerInsertion, StoredIssuer};
pub use readiness::DatabaseFault;
pub use releases::{Insertion, NewEnvelope, ReleaseEvent, StoredEnvelope, StoredRelease, Withdrawal};
pub use reports::{ReportInsertion, StoredReport};
pub use revocations::{ListInsertion, NewList, StoredList};
pub use successions::{StoredSuccession, SuccessionInsertion};

use self::migrations::MIGRATIONS;
use self::readiness::OpenedFile;
use self::writer::Writer;
use crate::domain::installs::Installs;

/// How long a statement waits for another process (a backup) before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const READ_CONNECTIONS: u32 = 8;

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
    /// A stored value does not have its form.
    #[error("the database holds a malformed {what}")]
    Corrupt {
        /// The kind of value.
        what: &'static str,
    },
    /// Too many writers wait, or the disk is too slow for them.
    #[error("the database is busy: a write did not get its turn in time")]
    Busy,
    /// SQLite failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A transaction was not kept, with all writes that shared it.
    #[error("the database did not keep the write: {0}")]
    Commit(Arc<sqlx::Error>),
    /// The server is ending, or a write panicked.
    #[error("the write broke off")]
    BrokenOff,
    /// The file is not there.
    #[error("cannot use the database {}: {source}", .path.display())]
    File {
        /// The database.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Primary result codes of SQLite (<https://www.sqlite.org/rescode.html>), and the one that a full disk gives while
/// the shared memory of the write-ahead log grows.
const SQLITE_BUSY: u32 = 5;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_FULL: u32 = 13;
const SQLITE_NOTADB: u32 = 26;
const SQLITE_IOERR_SHMSIZE: u32 = 4874;

impl StoreError {
    /// Whether the disk has no space left.
    pub fn is_full(&self) -> bool {
        self.sqlite_code().is_some_and(|code| code & 0xff == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE)
    }

    /// Whether the file is not, or not any more, what SQLite wrote.
    pub fn is_damage(&self) -> bool {
        self.sqlite_code().is_some_and(|code| matches!(code & 0xff, SQLITE_CORRUPT | SQLITE_NOTADB))
    }

    /// Whether another process, a backup for one, held the database for too long.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy) || self.sqlite_code().is_some_and(|code| code & 0xff == SQLITE_BUSY)
    }

    /// The extended result code.
    fn sqlite_code(&self) -> Option<u32> {
        let error = match self {
            Self::Database(error) => error,
            Self::Commit(error) => error.as_ref(),
            // What it ran into is behind it.
            Self::Migration(error) => std::error::Error::source(error)?.downcast_ref::<sqlx::Error>()?,
            Self::Newer { .. } | Self::Corrupt { .. } | Self::Busy | Self::BrokenOff | Self::File { .. } => {
                return None;
            }
        };
        error.as_database_error()?.code()?.parse().ok()
    }
}

/// The database: one connection that writes, others that read. Cheap to clone; all clones share the connections.
#[derive(Debug, Clone)]
pub struct Store {
    writer: Writer,
    readers: SqlitePool,
    file: OpenedFile,
}

impl Store {
    /// Opens the file `path`, creates it if it is missing, and brings its schema up to date.
    pub async fn connect(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let mut first = options.clone().create_if_missing(true).connect().await?;
        migrate(&mut first).await?;
        first.close().await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READ_CONNECTIONS)
            .test_before_acquire(false)
            // In WAL mode readers see the last commit and hold nobody up; `query_only` keeps them readers.
            .connect_with(options.clone().pragma("query_only", "ON"))
            .await?;
        let file =
            OpenedFile::at(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        Ok(Self { writer: Writer::start(options), readers, file })
    }

    /// Waits for the connections to end; SQLite then folds its write-ahead log into the database.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Brings the schema up to date. sqlx compares what was applied with what is compiled in before it changes anything.
async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    MIGRATIONS.run(connection).await.map_err(|error| match error {
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

/// What has this name in the database.
fn installs_of(name: &str) -> Result<Installs, StoreError> {
    name.parse().map_err(|_| StoreError::Corrupt { what: "target" })
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
