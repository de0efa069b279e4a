//! The one connection that writes, and the queue before it. SQLite has one writer at a time anyway: writers that meet
//! in here wait in order, where on connections of their own they would poll for the lock and starve each other.
//!
//! Only a connection whose transaction ended as asked is used again. After any failure (a full disk, a lost file) SQLite may
//! have rolled back what sqlx believes to be under way, so that the next transaction gets a new connection.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::StoreError;

/// How long a write waits for its turn.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);

/// The writing connection, where one is open.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    options: SqliteConnectOptions,
    // Tokio's mutex gives turns in the order of asking: it is the queue.
    slot: Arc<Mutex<Option<SqliteConnection>>>,
}

impl Writer {
    pub(super) fn new(options: SqliteConnectOptions) -> Self {
        Self { options, slot: Arc::new(Mutex::new(None)) }
    }

    /// A transaction that holds the write lock from its start: what it read cannot change under it, and it never
    /// fails half-way because another writer came first.
    pub(super) async fn begin(&self) -> Result<WriteTransaction, StoreError> {
        let turn = tokio::time::timeout(QUEUE_TIMEOUT, self.slot.clone().lock_owned());
        let mut slot = turn.await.map_err(|_| StoreError::Busy)?;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await?;
        Ok(WriteTransaction { connection, slot })
    }

    /// Waits for the transaction under way, and closes the connection.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.slot.lock().await.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the database did not close cleanly");
        }
    }
}

/// A transaction under way. Dropped before its end it is rolled back, and its connection is closed.
#[derive(Debug)]
pub(super) struct WriteTransaction {
    connection: SqliteConnection,
    slot: OwnedMutexGuard<Option<SqliteConnection>>,
}

impl WriteTransaction {
    /// Makes what was written last, synchronised to the disk.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.end("COMMIT").await
    }

    /// Drops what was written.
    pub(super) async fn rollback(self) -> Result<(), StoreError> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::query(statement).execute(&mut self.connection).await?;
        *self.slot = Some(self.connection);
        Ok(())
    }
}

impl Deref for WriteTransaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for WriteTransaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}
