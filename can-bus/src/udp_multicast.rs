//! python-can's `udp_multicast` bus: a frame is a msgpack map in a datagram to a group (can/interfaces/udp_multicast).
//!
//! Any process of this machine that uses python-can's defaults for IPv4 is on the same bus. Frames are sent from a
//! port of their own, which tells them from the frames of others.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use update_protocol::can::{Frame, Id};

use crate::address::UdpMulticastAddress;
use crate::bus::BusError;

/// Requested size of the receive buffer, for a process that is not scheduled; the kernel may grant less (`rmem_max`).
const RECEIVE_BUFFER_LEN: usize = 4 * 1024 * 1024;
/// Longest datagram that is looked at; python-can reads as much. A frame takes about 250 bytes.
const MAX_DATAGRAM_LEN: usize = 4096;

#[derive(Debug)]
pub(crate) struct UdpMulticast {
    receiver: UdpSocket,
    sender: UdpSocket,
    own: SocketAddr,
    group: SocketAddr,
    datagram: Box<[u8; MAX_DATAGRAM_LEN]>,
}

impl UdpMulticast {
    pub(crate) fn open(address: &UdpMulticastAddress) -> io::Result<Self> {
        let group = SocketAddr::V4(SocketAddrV4::new(address.group, address.port));

        let receiver = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        receiver.set_reuse_address(true)?;
        // python-can sets it as well, and all sockets on a port have to agree.
        #[cfg(unix)]
        receiver.set_reuse_port(true)?;
        receiver.set_recv_buffer_size(RECEIVE_BUFFER_LEN)?;
        receiver.bind(&group.into())?;
        receiver.join_multicast_v4(&address.group, &address.interface)?;
        receiver.set_nonblocking(true)?;

        let sender = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        sender.set_multicast_if_v4(&address.interface)?;
        sender.set_multicast_ttl_v4(address.ttl)?;
        sender.set_multicast_loop_v4(true)?;
        sender.bind(&SocketAddr::V4(SocketAddrV4::new(address.interface, 0)).into())?;
        sender.set_nonblocking(true)?;

        let sender = UdpSocket::from_std(sender.into())?;
        Ok(Self {
            receiver: UdpSocket::from_std(receiver.into())?,
            own: sender.local_addr()?,
            sender,
            group,
            datagram: Box::new([0; MAX_DATAGRAM_LEN]),
        })
    }

    pub(crate) async fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        let datagram = rmp_serde::to_vec_named(&Message::from(frame)).map_err(io::Error::other)?;
        self.sender.send_to(&datagram, self.group).await?;
        Ok(())
    }

    pub(crate) async fn recv(&mut self) -> Result<Frame, BusError> {
        loop {
            let (len, from) = self.receiver.recv_from(&mut self.datagram[..]).await?;
            if from == self.own {
                continue;
            }
            let message = rmp_serde::from_slice::<Received<'_>>(self.datagram.get(..len).unwrap_or_default());
            if let Some(frame) = message.ok().and_then(|message| message.frame()) {
                return Ok(frame);
            }
        }
    }
}

/// A message as python-can writes it; it refuses further members.
#[derive(Serialize)]
struct Message<'a> {
    timestamp: f64,
    arbitration_id: u32,
    is_extended_id: bool,
    is_remote_frame: bool,
    is_error_frame: bool,
    channel: Option<()>,
    dlc: usize,
    #[serde(serialize_with = "as_bin")]
    data: &'a [u8],
    is_fd: bool,
    bitrate_switch: bool,
    error_state_indicator: bool,
}

fn as_bin<S: serde::Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(data)
}

impl<'a> From<&'a Frame> for Message<'a> {
    fn from(frame: &'a Frame) -> Self {
        Self {
            timestamp: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()),
            arbitration_id: frame.id().raw(),
            is_extended_id: frame.id().is_extended(),
            is_remote_frame: frame.is_remote(),
            is_error_frame: false,
            channel: None,
            // python-can's dlc is the length in bytes, also for FD.
            dlc: frame.announced_len(),
            data: frame.data(),
            is_fd: frame.is_fd(),
            bitrate_switch: frame.brs(),
            error_state_indicator: false,
        }
    }
}

/// A message as somebody else wrote it: anything may be in it.
#[derive(Deserialize)]
struct Received<'a> {
    arbitration_id: u32,
    is_extended_id: bool,
    #[serde(default)]
    is_remote_frame: bool,
    #[serde(default)]
    is_error_frame: bool,
    #[serde(default)]
    dlc: usize,
    #[serde(borrow)]
    data: &'a [u8],
    #[serde(default)]
    is_fd: bool,
    #[serde(default)]
    bitrate_switch: bool,
}

impl Received<'_> {
    fn frame(&self) -> Option<Frame> {
        let id = if self.is_extended_id {
            Id::Extended(self.arbitration_id)
        } else {
            Id::Standard(u16::try_from(self.arbitration_id).ok()?)
        };
        match (self.is_error_frame, self.is_remote_frame, self.is_fd) {
            (true, _, _) | (false, true, true) => None,
            (false, true, false) => Frame::new_remote(id, self.dlc).ok(),
            (false, false, true) => Frame::new_fd(id, self.data, self.bitrate_switch).ok(),
            (false, false, false) => Frame::new(id, self.data).ok(),
        }
    }
}

#[cfg(test)]
mod tests;
