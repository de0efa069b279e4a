//! What the clients of an update-server share: which addresses are this machine, how slow a line may be.

use std::time::Duration;

/// Slowest line over which an image is still moved.
const MIN_BYTES_PER_SECOND: u64 = 8 * 1024;
/// For a request with a small body, the server's disk included.
const SMALL_TRANSFER: Duration = Duration::from_secs(60);

/// Whether the host of a URL is this machine: what is sent there needs neither a proxy nor encryption.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The longest time that moving so many bytes to or from a server may take.
#[must_use]
pub const fn transfer_time(bytes: u64) -> Duration {
    SMALL_TRANSFER.saturating_add(Duration::from_secs(bytes / MIN_BYTES_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_told_from_others() {
        for host in ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["192.0.2.1", "localhost.example", "", "128.0.0.1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_large_transfer_may_take_longer() {
        assert_eq!(transfer_time(0), Duration::from_secs(60));
        assert_eq!(transfer_time(8 * 1024 * 100), Duration::from_secs(160));
    }
}
