//! Whether the server can do its work: not that the process lives, but that it would keep a release, an image or a
//! report now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinError;
use tracing::Instrument as _;

use crate::blobs::{BlobError, Blobs};
use crate::store::{DatabaseFault, Store};

/// Shortest time for which a result is given again. Asking needs no token.
const MIN_KEPT: Duration = Duration::from_millis(500);
/// The result of a check is given again for this many times what the check took: checks that clients cause take at
/// most this part of the machine.
const KEPT_PER_CHECK: u32 = 20;

/// Why the server is not ready.
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

/// The result of a check.
#[derive(Debug)]
struct Checked {
    good_until: Instant,
    faults: Vec<Fault>,
}

/// Checks what the server stands on, a bounded number of times.
#[derive(Debug)]
pub struct Readiness {
    store: Store,
    blobs: Arc<Blobs>,
    last: Arc<Mutex<Option<Checked>>>,
}

impl Readiness {
    /// Checks `store` and `blobs`.
    pub fn new(store: Store, blobs: Arc<Blobs>) -> Self {
        Self { store, blobs, last: Arc::default() }
    }

    /// The faults at `now` (seconds since the epoch), or a moment ago; none when the server is ready.
    ///
    /// # Errors
    /// The check panicked, or the server is ending.
    pub async fn faults(&self, now: u64) -> Result<Vec<Fault>, JoinError> {
        let mut last = self.last.clone().lock_owned().await;
        if let Some(checked) = last.as_ref()
            && Instant::now() < checked.good_until
        {
            return Ok(checked.faults.clone());
        }
        let (store, blobs) = (self.store.clone(), self.blobs.clone());
        // To its end, and the next one waits for it, also when the client hangs up: who asks and hangs up would begin
        // any number of checks otherwise.
        let check = async move {
            let started = Instant::now();
            let faults = check(&store, &blobs, now).await;
            let kept = MIN_KEPT.max(started.elapsed() * KEPT_PER_CHECK);
            *last = Some(Checked { good_until: Instant::now() + kept, faults: faults.clone() });
            faults
        };
        tokio::spawn(check.in_current_span()).await
    }
}

async fn check(store: &Store, blobs: &Blobs, now: u64) -> Vec<Fault> {
    let mut faults = Vec::new();
    if let Err(error) = store.check(now).await {
        tracing::error!(%error, "the database is not ready");
        faults.push(database_fault(&error));
    }
    if let Err(error) = blobs.check().await {
        tracing::error!(%error, "the image folder is not ready");
        let full = matches!(error, BlobError::Full);
        let fault = if full { Fault::StorageFull } else { Fault::ImagesUnwritable };
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    faults
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn clients_that_hang_up_begin_no_second_check() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::connect(&dir.path().join("registry.sqlite")).await.unwrap();
        let blobs = Arc::new(Blobs::open(&dir.path().join("images")).unwrap());
        let readiness = Readiness::new(store.clone(), blobs);
        // A check waits for the writer.
        let (release, _held) = store.hold_writer().await;
        for now in 1..=10 {
            let asked = readiness.faults(now);
            assert!(tokio::time::timeout(Duration::from_millis(20), asked).await.is_err());
        }
        drop(release);
        assert_eq!(readiness.faults(11).await.unwrap(), []);
        assert_eq!(store.checked_at().await, 1, "the first check went on, and its result is given again");
    }
}
