//! Whether the server can do its work: not that the process lives, but that a release, an image or a report that
//! came now would be kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::blobs::{BlobError, Blobs};
use crate::store::{DatabaseFault, Store};

/// Shortest time for which a result is given again. Asking needs no token.
const MIN_KEPT: Duration = Duration::from_millis(500);
/// The result of a check is given again for this many times what the check took: checks that clients cause take at
/// most this part of the machine.
const KEPT_PER_CHECK: u32 = 20;

/// What keeps the server from its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The database file has another name now, or none.
    DatabaseMoved,
    /// The database's pages do not hold together.
    DatabaseDamaged,
    /// The database takes no write.
    DatabaseUnwritable,
    /// The disk is full.
    StorageFull,
    /// The image folder takes no file.
    ImagesUnwritable,
}

/// Checks what the server stands on, a bounded number of times.
#[derive(Debug)]
pub struct Readiness {
    store: Store,
    blobs: Arc<Blobs>,
    last: Mutex<Option<(Instant, Vec<Fault>)>>,
}

impl Readiness {
    /// Checks `store` and `blobs`.
    pub fn new(store: Store, blobs: Arc<Blobs>) -> Self {
        Self { store, blobs, last: Mutex::new(None) }
    }

    /// What is wrong at `now` (seconds since the epoch), or was a moment ago; nothing when the server is ready.
    pub async fn faults(&self, now: u64) -> Vec<Fault> {
        let mut last = self.last.lock().await;
        if let Some((good_until, faults)) = &*last
            && Instant::now() < *good_until
        {
            return faults.clone();
        }
        let started = Instant::now();
        let mut faults = Vec::new();
        if let Err(error) = self.store.check(now).await {
            tracing::error!(%error, "the database is not ready");
            faults.push(database_fault(&error));
        }
        if let Err(error) = self.blobs.check().await {
            tracing::error!(%error, "the image folder is not ready");
            let full = matches!(error, BlobError::Full);
            let fault = if full { Fault::StorageFull } else { Fault::ImagesUnwritable };
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        let kept = MIN_KEPT.max(started.elapsed() * KEPT_PER_CHECK);
        *last = Some((Instant::now() + kept, faults.clone()));
        faults
    }
}

fn database_fault(error: &DatabaseFault) -> Fault {
    match error {
        DatabaseFault::Moved => Fault::DatabaseMoved,
        DatabaseFault::Damaged(_) => Fault::DatabaseDamaged,
        DatabaseFault::Store(error) if error.is_damage() => Fault::DatabaseDamaged,
        DatabaseFault::Store(error) if error.is_full() => Fault::StorageFull,
        DatabaseFault::Store(_) => Fault::DatabaseUnwritable,
    }
}
