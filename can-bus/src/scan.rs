//! Who is on a bus.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use update_protocol::isotp::{Config, Link};
use update_protocol::profile;
use update_protocol::uds::sid;

use crate::bus::{Bus, BusError};

/// A question to every node on 29-bit identifiers whether it is there.
///
/// ```no_run
/// # async fn example(bus: &mut can_bus::Bus) -> Result<(), can_bus::BusError> {
/// let mut scan = can_bus::NodeScan::begin(bus, std::time::Duration::from_millis(500)).await?;
/// while let Some(node) = scan.next(bus).await? {
///     println!("node {node:02X}");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct NodeScan {
    until: Instant,
    found: BTreeSet<u8>,
}

impl NodeScan {
    /// Asks; answers are collected for `window`.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn begin(bus: &mut Bus, window: Duration) -> Result<Self, BusError> {
        ask(bus).await?;
        Ok(Self { until: Instant::now() + window, found: BTreeSet::new() })
    }

    /// Asks once more, since the question or an answer may have been lost; nodes that were found do not come again.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn again(&mut self, bus: &mut Bus, window: Duration) -> Result<(), BusError> {
        ask(bus).await?;
        self.until = Instant::now() + window;
        Ok(())
    }

    /// The next node that answers, as soon as it does; `None` when the window is over.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn next(&mut self, bus: &mut Bus) -> Result<Option<u8>, BusError> {
        while let Ok(frame) = timeout_at(self.until, bus.recv()).await {
            let frame = frame?;
            // A single frame with `7E 00` from a device to the tester.
            if let (Some(node), [0x02, 0x7E, 0x00, ..]) = (profile::responding_node(frame.id()), frame.data())
                && self.found.insert(node)
            {
                return Ok(Some(node));
            }
        }
        Ok(None)
    }
}

async fn ask(bus: &mut Bus) -> Result<(), BusError> {
    let config = if bus.is_fd() { Config::fd(true) } else { Config::classic() };
    let addressing = profile::tester_addressing(profile::DEFAULT_NODE_ADDRESS);
    let mut link = Link::new(addressing, config, [0; 8], [0; 8]);
    // Two bytes fit every buffer and frame; the link is new and idle.
    let _taken = link.send_functional(&[sid::TESTER_PRESENT, 0], 0);
    while let Some(frame) = link.poll_transmit(0) {
        bus.send(&frame).await?;
    }
    Ok(())
}

/// Asks every node on 29-bit identifiers whether it is there and collects node addresses for `window`.
///
/// # Errors
/// [`BusError`]
pub async fn find_nodes(bus: &mut Bus, window: Duration) -> Result<Vec<u8>, BusError> {
    let mut scan = NodeScan::begin(bus, window).await?;
    while scan.next(bus).await?.is_some() {}
    Ok(scan.found.into_iter().collect())
}
