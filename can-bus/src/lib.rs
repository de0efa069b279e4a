//! CAN for programs that run on an operating system: buses, an ISO-TP channel on one, and a tester on that.
//!
//! [`Bus`] is udp-multicast (python-can's, the default), slcan (serial, TCP, Unix socket) or SocketCAN.
//! [`IsoTpChannel`] joins a bus and a [`Link`](update_protocol::isotp::Link) for both ends; [`Tester`] is the UDS
//! client on it. Described in docs/can-protocol.md.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use can_bus::{Bus, BusAddress, Flow, IsoTpChannel, Tester, find_nodes};
//! use update_protocol::{profile, uds::Session};
//!
//! let mut bus = Bus::open(&"udp-multicast".parse::<BusAddress>()?).await?;
//! let nodes = find_nodes(&mut bus, std::time::Duration::from_millis(500)).await?;
//! let mut tester = Tester::new(IsoTpChannel::new(bus, profile::tester_addressing(nodes[0])));
//! tester.session(Session::Programming).await?;
//! let state = tester.read_state().await?;
//! let ended = tester.download(profile::Object::Envelope, &[0; 300], |_| Flow::Continue).await?;
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

mod address;
mod answers;
mod bus;
mod channel;
mod identifiers;
mod scan;
mod slcan;
#[cfg(target_os = "linux")]
mod socketcan;
mod tester;
mod udp_multicast;
mod wait;
mod window;

pub use address::{
    BusAddress, BusAddressError, SlcanAddress, SlcanDataSpeed, SlcanPeer, SlcanSpeed, SocketCanAddress,
    UdpMulticastAddress,
};
pub use bus::{BitRates, Bus, BusError};
pub use channel::{ChannelError, IsoTpChannel, MAX_MESSAGE_LEN};
pub use identifiers::{Identifiers, IdentifiersError};
pub use scan::{NodeScan, find_nodes, first_frames};
pub use slcan::SlcanStream;
pub use tester::{Ended, Flow, Tester, TesterError};
