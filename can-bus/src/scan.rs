//! The search for nodes on a bus.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use update_protocol::can::Frame;
use update_protocol::isotp::{Addressing, Config, Link};
use update_protocol::profile;
use update_protocol::uds::sid;

use crate::answers::answered_service;
use crate::bus::{Bus, BusError};
use crate::wait::now_or_never;

/// Frames that may wait when a question is asked; on a bus that never pauses they would not end.
const MAX_STALE_FRAMES: u32 = 10_000;

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
        while let Some(frame) = heard_until(bus, self.until).await? {
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

/// Sends a request of at most seven bytes to one device and collects, for `window`, the frames that begin an answer
/// to it. One device gives one; several that share its identifiers give one each. Nobody gets a flow control, so that
/// a longer answer ends with its first frame.
///
/// # Errors
/// [`BusError`]
pub async fn first_frames(
    bus: &mut Bus,
    addressing: &Addressing,
    request: &[u8],
    window: Duration,
) -> Result<Vec<Vec<u8>>, BusError> {
    let service = request.first().copied().unwrap_or_default();
    // Answers to earlier questions are none to this one.
    for _ in 0..MAX_STALE_FRAMES {
        let Some(frame) = now_or_never(bus.recv()).await else { break };
        frame?;
    }
    let mut link = Link::new(*addressing, config(bus), [0; 8], [0; 8]);
    // It is new and idle, and the request is a single frame.
    let _taken = link.send(request, 0);
    transmit(bus, &mut link).await?;
    let until = Instant::now() + window;
    let mut found = Vec::new();
    while let Some(frame) = heard_until(bus, until).await? {
        if frame.id() == addressing.rx() && answered_service(frame.data()) == Some(service) {
            found.push(frame.data().to_vec());
        }
    }
    Ok(found)
}

/// The next frame; `None` after the end of the window, also on a bus that never pauses.
async fn heard_until(bus: &mut Bus, until: Instant) -> Result<Option<Frame>, BusError> {
    if Instant::now() >= until {
        return Ok(None);
    }
    timeout_at(until, bus.recv()).await.ok().transpose()
}

fn config(bus: &Bus) -> Config {
    if bus.is_fd() { Config::fd(true) } else { Config::classic() }
}

async fn ask(bus: &mut Bus) -> Result<(), BusError> {
    let addressing = profile::tester_addressing(profile::DEFAULT_NODE_ADDRESS);
    let mut link = Link::new(addressing, config(bus), [0; 8], [0; 8]);
    // Two bytes fit every buffer and frame; the link is new and idle.
    let _taken = link.send_functional(&[sid::TESTER_PRESENT, 0], 0);
    transmit(bus, &mut link).await
}

/// Sends what a link has to send; returns when it has left.
async fn transmit(bus: &mut Bus, link: &mut Link<[u8; 8], [u8; 8]>) -> Result<(), BusError> {
    while let Some(frame) = link.poll_transmit(0) {
        bus.send(&frame).await?;
    }
    bus.left().await
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
