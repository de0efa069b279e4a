//! The wire: CAN frames, ISO-TP (ISO 15765-2:2016), UDS (ISO 14229-1:2020), and the profile a device serves.
//!
//! Everything is sans-IO: frames and the time go in, frames and the next point in time come out; nothing here
//! touches a bus, a clock or a heap. Times are microseconds (`now_us`) of any monotonic clock. The update core
//! behind [`uds::server::Handler`] sees objects, data and routines, never a service. Described in
//! docs/can-protocol.md.
//!
//! # A device
//!
//! ```
//! use update_protocol::isotp::{Config, Link};
//! use update_protocol::profile;
//! use update_protocol::uds::server::{Answer, Event, Handler, Server};
//! use update_protocol::uds::Nrc;
//!
//! struct Device;
//! impl Handler for Device {
//!     fn read_identifier(&mut self, did: u16, answer: &mut Answer<'_>) -> Result<(), Nrc> {
//!         match did {
//!             profile::did::SERIAL => answer.append(b"A-1"),
//!             _ => Err(Nrc::REQUEST_OUT_OF_RANGE),
//!         }
//!     }
//! }
//!
//! # struct Can; impl Can { fn receive(&mut self) -> Option<update_protocol::can::Frame> { None }
//! #   fn transmit(&mut self, _: &update_protocol::can::Frame) {} }
//! # fn now_us() -> u64 { 0 } fn reset() {}
//! # let mut can = Can;
//! let (mut request, mut answer) = ([0; 4095], [0; 300]);
//! let mut link = Link::new(profile::device_addressing(0x10), Config::classic(), &mut request[..], &mut answer[..]);
//! let (mut server, mut device) = (Server::new(), Device);
//! loop {
//!     if let Some(frame) = can.receive() { link.on_frame(&frame, now_us()); } else { link.on_timeout(now_us()); }
//!     match server.poll(&mut link, &mut device, now_us()) {
//!         Some(Event::Reset) => reset(), // only comes when the answer has left the link
//!         Some(Event::SessionExpired) | None => {}
//!     }
//!     while let Some(frame) = link.poll_transmit(now_us()) { can.transmit(&frame); }
//! #   break;
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(test)]
extern crate std;

pub mod can;
pub mod isotp;
pub mod profile;
pub mod slcan;
pub mod uds;
