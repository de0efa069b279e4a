//! One bus, whichever kind it is.

use std::io;

use update_protocol::can::Frame;

use crate::address::{BusAddress, SlcanSpeed};
use crate::slcan::{Slcan, SlcanStream};
#[cfg(target_os = "linux")]
use crate::socketcan::SocketCan;
use crate::udp_multicast::UdpMulticast;

/// Why a bus does not open, take or give a frame.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// It cannot be opened.
    #[error("cannot open the bus {address}: {source}")]
    Open {
        /// Which one.
        address: BusAddress,
        /// Why.
        source: io::Error,
    },
    /// It failed.
    #[error("the bus failed: {0}")]
    Io(#[from] io::Error),
    /// The peer is gone.
    #[error("the other end of the bus is closed")]
    Closed,
    /// The frame is CAN FD and the bus was opened without `?fd`.
    #[error("the bus was opened without CAN FD (add ?fd to its address)")]
    FdNotEnabled,
    /// The bus takes no frames: nobody acknowledges, or it is overloaded.
    #[error("the bus took no frame for a second: nobody acknowledges, or it is overloaded")]
    Stuck,
    /// There is no such bus on this operating system.
    #[error("there is no {0} bus on this operating system")]
    Unsupported(&'static str),
}

/// An open bus. Frames that were sent with it are not received with it.
#[derive(Debug)]
pub struct Bus {
    transport: Transport,
    fd: bool,
}

#[derive(Debug)]
enum Transport {
    UdpMulticast(Box<UdpMulticast>),
    Slcan(Box<Slcan>),
    #[cfg(target_os = "linux")]
    SocketCan(SocketCan),
}

impl Bus {
    /// Opens a bus.
    ///
    /// # Errors
    /// [`BusError::Open`], [`BusError::Unsupported`]
    pub async fn open(address: &BusAddress) -> Result<Self, BusError> {
        let cannot = |source| BusError::Open { address: address.clone(), source };
        let transport = match address {
            BusAddress::UdpMulticast(udp) => {
                Transport::UdpMulticast(Box::new(UdpMulticast::open(udp).map_err(cannot)?))
            }
            BusAddress::Slcan(slcan) => Transport::Slcan(Box::new(Slcan::open(slcan).await.map_err(cannot)?)),
            #[cfg(target_os = "linux")]
            BusAddress::SocketCan(can) => Transport::SocketCan(SocketCan::open(can).map_err(cannot)?),
            #[cfg(not(target_os = "linux"))]
            BusAddress::SocketCan(_) => return Err(BusError::Unsupported("socketcan")),
        };
        Ok(Self { transport, fd: address.is_fd() })
    }

    /// A bus over a stream of slcan lines, without the commands that open an adapter: two ends of
    /// `tokio::io::duplex` are a bus within a process.
    #[must_use]
    pub fn over_slcan_stream(stream: Box<dyn SlcanStream>, fd: bool) -> Self {
        Self { transport: Transport::Slcan(Box::new(Slcan::over(stream))), fd }
    }

    /// An slcan adapter at the other end of a stream, opened as [`BusAddress::Slcan`] says.
    ///
    /// # Errors
    /// Those of the stream; the adapter refuses, or no traffic tells the bit rate.
    pub async fn over_slcan_adapter(
        stream: Box<dyn SlcanStream>,
        speed: Option<SlcanSpeed>,
        fd: bool,
    ) -> std::io::Result<Self> {
        let slcan = Slcan::over_adapter(stream, speed).await?;
        Ok(Self { transport: Transport::Slcan(Box::new(slcan)), fd })
    }

    /// Frames that an adapter refused because its queue was full.
    #[must_use]
    pub fn refused_frames(&self) -> u64 {
        match &self.transport {
            Transport::Slcan(bus) => bus.refused_frames(),
            Transport::UdpMulticast(_) => 0,
            #[cfg(target_os = "linux")]
            Transport::SocketCan(_) => 0,
        }
    }

    /// Tells the bus whether a message of several frames has passed whole: what has no other sign of a full queue is
    /// paced by that.
    pub(crate) fn message(&mut self, passed: bool) {
        match &mut self.transport {
            Transport::Slcan(bus) => bus.message(passed),
            Transport::UdpMulticast(_) => {}
            #[cfg(target_os = "linux")]
            Transport::SocketCan(_) => {}
        }
    }

    /// Whether CAN FD frames may be sent.
    #[must_use]
    pub const fn is_fd(&self) -> bool {
        self.fd
    }

    /// Sends a frame; returns when the operating system has taken it. If the future is dropped, the frame may or
    /// may not be sent, but never half of it.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn send(&mut self, frame: &Frame) -> Result<(), BusError> {
        if frame.is_fd() && !self.fd {
            return Err(BusError::FdNotEnabled);
        }
        match &mut self.transport {
            Transport::UdpMulticast(bus) => bus.send(frame).await,
            Transport::Slcan(bus) => bus.send(frame).await,
            #[cfg(target_os = "linux")]
            Transport::SocketCan(bus) => bus.send(frame).await,
        }
    }

    /// The next frame of somebody else. If the future is dropped, no frame is lost. What is no frame (a stray
    /// datagram, noise on a serial line, an error frame) is stepped over.
    ///
    /// # Errors
    /// [`BusError`]
    pub async fn recv(&mut self) -> Result<Frame, BusError> {
        match &mut self.transport {
            Transport::UdpMulticast(bus) => bus.recv().await,
            Transport::Slcan(bus) => bus.recv().await,
            #[cfg(target_os = "linux")]
            Transport::SocketCan(bus) => bus.recv().await,
        }
    }
}
