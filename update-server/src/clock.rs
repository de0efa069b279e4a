//! Whether the server's clock can be right. One that is behind finds no credential expired, so it is warned of; whether
//! it is the clock that is wrong, or a record of a time when it was ahead, only a person knows.

use std::sync::{Mutex, PoisonError};

use trust::UnixTime;
use trust::host::{ClockFault, clock_fault};

use crate::domain::catalogue::Catalogue;
use crate::store::{Store, StoreError};

/// Looks at the clock, and logs when its fault changes.
#[derive(Debug)]
pub struct ClockWatch {
    store: Store,
    catalogue: Catalogue,
    last: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The newest time that was ever recorded, seconds since the epoch. A check of a wrong clock writes an older one.
    recorded_at: Option<u64>,
    fault: Option<ClockFault>,
}

impl ClockWatch {
    /// Holds the clock against what `store` and `catalogue` have.
    pub fn new(store: Store, catalogue: Catalogue) -> Self {
        Self { store, catalogue, last: Mutex::default() }
    }

    /// The fault of a clock that reads `now` (seconds since the epoch).
    ///
    /// # Errors
    /// The database failed.
    pub async fn fault(&self, now: u64) -> Result<Option<ClockFault>, StoreError> {
        let recorded_at = self.store.newest_time().await?;
        let issued_at = self.catalogue.newest_issue();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.recorded_at = last.recorded_at.max(recorded_at);
        let fault = clock_fault(UnixTime(now), issued_at.map(UnixTime), last.recorded_at.map(UnixTime));
        if fault != last.fault {
            match fault {
                Some(fault) => {
                    let recorded_at = last.recorded_at;
                    tracing::warn!(now, issued_at, recorded_at, "{}", fault.message());
                }
                None => tracing::info!(now, "the clock is plausible again"),
            }
            last.fault = fault;
        }
        Ok(fault)
    }
}
