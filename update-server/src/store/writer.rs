//! The one connection that writes, and the queue before it. SQLite has one writer at a time anyway: writers that meet
//! here wait in order, where on connections of their own they would poll for the lock and starve each other.
//!
//! Synchronising the disk costs more than any write, so the writes that wait share it (group commit). The writer
//! begins a transaction, runs each waiting job in a savepoint, commits once, and answers all of them after that:
//! - A job that fails is rolled back alone and gets its own error.
//! - No other answer leaves before the commit, not even "it was there already": what a job read may be the work of an
//!   earlier job in the group.
//! - A commit that fails fails every job of the group.
//!
//! Only a connection whose transaction ended as asked is used again. After any failure (a full disk, a lost file)
//! SQLite may have rolled back a transaction that sqlx believes to be open, so the next group gets a new connection.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument as _, Span};

use super::StoreError;

/// How long a write waits for its turn.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);
/// Writes that may wait; the next ones wait for room. Not below the number of connections that the server takes.
const QUEUE_LEN: usize = 256;
/// Most writes that share one commit: the first of them waits for the last.
const MAX_GROUP: usize = 64;

/// The queue's near end. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    pub(super) turn_limit: Duration,
}

#[derive(Debug)]
enum Message {
    Run(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

impl Writer {
    /// Starts the task that writes, on connections made with `options`.
    pub(super) fn start(options: SqliteConnectOptions) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_LEN);
        tokio::spawn(Task { options, connection: None, waiting }.run());
        Self { queue, turn_limit: QUEUE_TIMEOUT }
    }

    /// Runs `work` in a transaction that holds the write lock from its start: what it read cannot change under it.
    /// Returns after what it wrote is synchronised to the disk. Once its turn has come, the work runs to its end,
    /// also when the caller does not wait.
    ///
    /// # Errors
    /// The error of `work`, which then left nothing behind; [`StoreError::Busy`] when its turn did not come in time;
    /// [`StoreError::Commit`] when the database did not keep it.
    pub(super) async fn run<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        let (reply, mut answer) = oneshot::channel();
        let taken = Arc::new(AtomicBool::new(false));
        let job =
            Work { work: Some(work), outcome: None, reply, taken: taken.clone(), request: Span::current() };
        let queued = async {
            self.queue.send(Message::Run(Box::new(job))).await.map_err(|_| StoreError::BrokenOff)?;
            (&mut answer).await.map_err(|_| StoreError::BrokenOff)?
        };
        match tokio::time::timeout(self.turn_limit, queued).await {
            Ok(outcome) => outcome,
            // Whoever sets it first decides: a job that runs already is waited for, since it may be kept.
            Err(_) if !taken.swap(true, Ordering::AcqRel) => Err(StoreError::Busy),
            Err(_) => answer.await.map_err(|_| StoreError::BrokenOff)?,
        }
    }

    /// Writes that are in the queue.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Waits for the writes that were queued before, and closes the connection. Later writes are refused.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

/// A write on its way through the queue.
trait Job: Send + std::fmt::Debug {
    /// Takes the job out of the queue; `false` when nobody waits for it any more.
    fn take(&self) -> bool;
    /// Does the work, and holds back its result.
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Result<(), StoreError>>;
    /// Sends the caller the result, or the error instead.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Work<T, W> {
    work: Option<W>,
    outcome: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    taken: Arc<AtomicBool>,
    request: Span,
}

impl<T, W> std::fmt::Debug for Work<T, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl<T, W> Job for Work<T, W>
where
    T: Send + 'static,
    W: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
{
    fn take(&self) -> bool {
        !self.reply.is_closed() && !self.taken.swap(true, Ordering::AcqRel)
    }

    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Result<(), StoreError>> {
        let Some(work) = self.work.take() else {
            return std::future::ready(Err(StoreError::BrokenOff)).boxed();
        };
        let (outcome, request) = (&mut self.outcome, self.request.clone());
        async move {
            *outcome = Some(work(connection).await?);
            Ok(())
        }
        .instrument(request)
        .boxed()
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { outcome, reply, .. } = *self;
        // The caller may be gone.
        let _ = reply.send(committed.and_then(|()| outcome.ok_or(StoreError::BrokenOff)));
    }
}

/// The task at the queue's far end.
struct Task {
    options: SqliteConnectOptions,
    /// Where one is open, and not in doubt.
    connection: Option<SqliteConnection>,
    waiting: mpsc::Receiver<Message>,
}

impl Task {
    async fn run(mut self) {
        while let Some(message) = self.waiting.recv().await {
            let closing = match message {
                Message::Close(done) => Some(done),
                Message::Run(job) if job.take() => self.write_group(job).await,
                Message::Run(_) => None,
            };
            if let Some(done) = closing {
                self.close().await;
                let _ = done.send(());
                return;
            }
        }
        self.close().await;
    }

    /// Runs `first` and the jobs that wait behind it, commits, and answers them. Returns the request to close that
    /// ended the group.
    async fn write_group(&mut self, first: Box<dyn Job>) -> Option<oneshot::Sender<()>> {
        let mut group = match self.begin().await {
            Ok(connection) => Group { connection, done: Vec::new(), is_suspect: false },
            Err(error) => {
                first.answer(Err(Doubt::from(error).into()));
                return None;
            }
        };
        let mut closing = None;
        let mut next = Some(first);
        while let Some(job) = next.take() {
            if let Err(doubt) = group.run(job).await {
                group.give_up(&doubt);
                return None;
            }
            while group.done.len() < MAX_GROUP && next.is_none() && closing.is_none() {
                match self.waiting.try_recv() {
                    Ok(Message::Run(job)) if job.take() => next = Some(job),
                    Ok(Message::Run(_)) => {}
                    Ok(Message::Close(done)) => closing = Some(done),
                    Err(_) => break,
                }
            }
        }
        self.connection = group.commit().await;
        closing
    }

    /// A connection with a transaction that holds the write lock, and a savepoint for the first job.
    async fn begin(&mut self) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        sqlx::query("BEGIN IMMEDIATE; SAVEPOINT job").execute(&mut connection).await?;
        Ok(connection)
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the database did not close cleanly");
        }
    }
}

/// Why a transaction did not end as asked, for every job in it.
#[derive(Debug, Clone)]
enum Doubt {
    Database(Arc<sqlx::Error>),
    Panicked,
}

impl From<sqlx::Error> for Doubt {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<Doubt> for StoreError {
    fn from(doubt: Doubt) -> Self {
        match doubt {
            Doubt::Database(error) => Self::Commit(error),
            Doubt::Panicked => Self::BrokenOff,
        }
    }
}

/// A transaction, with the jobs that are done and wait for its commit.
struct Group {
    connection: SqliteConnection,
    done: Vec<Box<dyn Job>>,
    /// A job failed: the connection is not used again.
    is_suspect: bool,
}

impl Group {
    /// Runs a job in the open savepoint, and opens the next.
    ///
    /// # Errors
    /// The transaction is in doubt.
    async fn run(&mut self, mut job: Box<dyn Job>) -> Result<(), Doubt> {
        match AssertUnwindSafe(job.run(&mut self.connection)).catch_unwind().await {
            Ok(Ok(())) => {
                self.done.push(job);
                self.execute("RELEASE job; SAVEPOINT job").await
            }
            Ok(Err(error)) => {
                self.is_suspect = true;
                let undone = self.execute("ROLLBACK TO job").await;
                // SQLite may have rolled back all of it, for one on a full disk. Then the savepoint is gone, and the
                // error is the group's.
                match (undone, error) {
                    (Ok(()), error) => job.answer(Err(error)),
                    (Err(_), StoreError::Database(error)) => {
                        self.done.push(job);
                        return Err(error.into());
                    }
                    (Err(doubt), error) => {
                        job.answer(Err(error));
                        return Err(doubt);
                    }
                }
                Ok(())
            }
            Err(_panic) => {
                self.done.push(job);
                Err(Doubt::Panicked)
            }
        }
    }

    /// Makes what was written last, synchronised to the disk, and answers. Returns the connection unless it is in
    /// doubt.
    async fn commit(mut self) -> Option<SqliteConnection> {
        // It ends the open savepoint too.
        if let Err(doubt) = self.execute("COMMIT").await {
            self.give_up(&doubt);
            return None;
        }
        self.done.into_iter().for_each(|job| job.answer(Ok(())));
        (!self.is_suspect).then_some(self.connection)
    }

    /// Answers with the failure. The connection is dropped: SQLite rolls back what is open in it.
    fn give_up(self, doubt: &Doubt) {
        self.done.into_iter().for_each(|job| job.answer(Err(doubt.clone().into())));
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), Doubt> {
        sqlx::query(sql).execute(&mut self.connection).await?;
        Ok(())
    }
}
