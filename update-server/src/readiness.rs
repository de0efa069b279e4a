//! Whether the server can do its work: not that the process lives, but that it would keep a release, an image or a
//! report now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinError;
use tracing::Instrument as _;
use trust::host::ClockFault;

use crate::blobs::{BlobError, Blobs};
use crate::clock::ClockWatch;
use crate::domain::catalogue::Catalogue;
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
    /// The verdicts on the releases cannot be brought up to date: no release is offered.
    VerdictsOutdated,
}

/// The state of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// None when the server is ready.
    pub faults: Vec<Fault>,
    /// The clock is evidently wrong. The server serves all the same.
    pub clock: Option<ClockFault>,
}

/// The result of a check.
#[derive(Debug)]
struct Checked {
    good_until: Instant,
    state: State,
}

/// Checks what the server stands on, a bounded number of times.
#[derive(Debug)]
pub struct Readiness {
    store: Store,
    blobs: Arc<Blobs>,
    catalogue: Catalogue,
    clock: Arc<ClockWatch>,
    last: Arc<Mutex<Option<Checked>>>,
}

impl Readiness {
    /// Checks `store`, `blobs`, `catalogue` and `clock`.
    pub fn new(store: Store, blobs: Arc<Blobs>, catalogue: Catalogue, clock: Arc<ClockWatch>) -> Self {
        Self { store, blobs, catalogue, clock, last: Arc::default() }
    }

    /// The state at `now` (seconds since the epoch), or a moment ago.
    ///
    /// # Errors
    /// The check panicked, or the server is ending.
    pub async fn state(&self, now: u64) -> Result<State, JoinError> {
        let mut last = self.last.clone().lock_owned().await;
        if let Some(checked) = last.as_ref()
            && Instant::now() < checked.good_until
        {
            return Ok(checked.state.clone());
        }
        let (store, blobs) = (self.store.clone(), self.blobs.clone());
        let (catalogue, clock) = (self.catalogue.clone(), self.clock.clone());
        // To its end, and the next one waits for it, also when the client hangs up: who asks and hangs up would begin
        // any number of checks otherwise.
        let check = async move {
            let started = Instant::now();
            // Before the check writes the time.
            let clock = clock.fault(now).await.unwrap_or_default();
            let state = State { faults: check(&store, &blobs, &catalogue, now).await, clock };
            let kept = MIN_KEPT.max(started.elapsed() * KEPT_PER_CHECK);
            *last = Some(Checked { good_until: Instant::now() + kept, state: state.clone() });
            state
        };
        tokio::spawn(check.in_current_span()).await
    }
}

async fn check(store: &Store, blobs: &Blobs, catalogue: &Catalogue, now: u64) -> Vec<Fault> {
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
    if let Err(error) = catalogue.bring_up_to(now).await {
        tracing::error!(%error, "the verdicts on the releases are outdated");
        faults.push(Fault::VerdictsOutdated);
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
    use crate::domain::Digest;
    use crate::domain::catalogue::tests::catalogue;

    async fn readiness(dir: &tempfile::TempDir) -> (Store, Readiness) {
        let (store, blobs, catalogue) = catalogue(dir).await;
        let clock = Arc::new(ClockWatch::new(store.clone(), catalogue.clone()));
        (store.clone(), Readiness::new(store, blobs, catalogue, clock))
    }

    #[tokio::test]
    async fn a_clock_before_the_newest_record_is_warned_of_until_it_is_set() {
        let dir = tempfile::tempdir().unwrap();
        let later = 2_000_000_000;
        let (store, readiness) = readiness(&dir).await;
        assert_eq!(readiness.state(later).await.unwrap(), State::default());
        // The check of a server that starts with a wrong clock writes an older time; that the other one was later is
        // remembered.
        let clock = ClockWatch::new(store.clone(), readiness.catalogue.clone());
        for _ in 0..2 {
            assert_eq!(clock.fault(later - 1).await.unwrap(), Some(ClockFault::BeforeRecord));
            store.check(later - 1).await.unwrap();
        }
        assert_eq!(clock.fault(later).await.unwrap(), None);
        assert_eq!(clock.fault(1).await.unwrap(), Some(ClockFault::BeforeProgram));
    }

    #[tokio::test]
    async fn verdicts_that_cannot_be_made_are_a_fault() {
        let dir = tempfile::tempdir().unwrap();
        let (store, readiness) = readiness(&dir).await;
        readiness.catalogue.doubt(Digest::of(b"a release"));
        store.close().await;
        let faults = readiness.state(1).await.unwrap().faults;
        assert_eq!(faults, [Fault::DatabaseUnwritable, Fault::VerdictsOutdated]);
    }

    #[tokio::test]
    async fn clients_that_hang_up_begin_no_second_check() {
        let dir = tempfile::tempdir().unwrap();
        let (store, readiness) = readiness(&dir).await;
        // A check waits for the writer.
        let (release, _held) = store.hold_writer().await;
        for now in 1..=10 {
            let asked = readiness.state(now);
            assert!(tokio::time::timeout(Duration::from_millis(20), asked).await.is_err());
        }
        drop(release);
        assert_eq!(readiness.state(11).await.unwrap().faults, []);
        assert_eq!(store.checked_at().await, 1, "the first check went on, and its result is given again");
    }
}
