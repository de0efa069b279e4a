//! Addresses for tests that run beside others.

use std::net::{TcpListener, UdpSocket};

use anyhow::Result;

/// The address of an unused simulated bus, in the form of can-bus: its port was free just now.
///
/// # Errors
/// When there is no free port.
pub fn bus() -> Result<String> {
    let port = UdpSocket::bind("0.0.0.0:0")?.local_addr()?.port();
    Ok(format!("udp-multicast:239.74.163.2:{port}"))
}

/// An address of this machine that no server listens on: its port was free just now.
///
/// # Errors
/// When there is no free port.
pub fn server() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
