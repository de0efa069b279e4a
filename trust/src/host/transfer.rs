//! How slow a line may be: one rule for the clients of an update-server and for the server.

use std::time::Duration;

/// Slowest line over which an image is still moved.
const MIN_BYTES_PER_SECOND: u64 = 8 * 1024;
/// For a request with a small body, the server's disk included.
const SMALL_TRANSFER: Duration = Duration::from_secs(60);

/// The longest time that moving so many bytes to or from a server may take.
#[must_use]
pub const fn transfer_time(bytes: u64) -> Duration {
    SMALL_TRANSFER.saturating_add(Duration::from_secs(bytes / MIN_BYTES_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_transfer_may_take_longer() {
        assert_eq!(transfer_time(0), Duration::from_secs(60));
        assert_eq!(transfer_time(8 * 1024 * 100), Duration::from_secs(160));
    }
}
